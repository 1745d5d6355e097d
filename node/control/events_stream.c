/* Events of streams. */
#include "node/control/events_stream.h"

#include "node/control/events.h"
#include "node/node.h"
#include "node/relay/pull.h"

#define N_FIELDS(fields) ((unsigned)(sizeof(fields) / sizeof(fields)[0]))

void events_on_stream_idle(void *arg, struct stream *stream)
{
    struct event_field fields[] = {{"stream", stream_name_of(stream)->text, 0}};

    events_tell(arg, EVENT_IDLE, fields, N_FIELDS(fields));
}

/* A stream that another node forwards has its encoder there, and that node tells of it. */
void events_on_stream_stalled(void *arg, struct stream *stream)
{
    const struct node *node = arg;
    struct stream_info info;

    if (!events_wanted(&node->events, EVENT_PUBLISH_STALL))
        return;
    stream_get_info(stream, &info);
    if (info.upstream[0])
        return;
    events_tell(arg, EVENT_PUBLISH_STALL,
                (struct event_field[]){{"session", info.session_id, 0},
                                       {"protocol", info.protocol, 0},
                                       {"stream", info.name.text, 0},
                                       {"silent_ms", NULL, info.since_frame_us / 1000}},
                4);
}

bool events_on_stream_not_found(void *arg, struct stream *stream)
{
    struct event_field fields[] = {{"stream", stream_name_of(stream)->text, 0}};

    if (pull_is_under_way(stream))
        return false;
    events_tell(arg, EVENT_STREAM_NOT_FOUND, fields, N_FIELDS(fields));
    return true;
}
