/* See events_hls.h. */
#include "node/control/events_hls.h"

#include <stdio.h>

#include "node/control/events.h"
#include "node/node.h"

#define URI_SIZE (STREAM_NAME_SIZE + HLS_NAME_SIZE + 2)

void events_on_hls_segment(void *arg, const struct hls_told *told)
{
    struct node *node = arg;
    char uri[URI_SIZE], path[4096 + URI_SIZE] = "";
    struct event_field fields[] = {
        {"stream", told->stream->text, 0},
        {"uri", uri, 0},
        {"container", hls_container_name(told->form.container), 0},
        {"tracks", hls_only_name(told->form.only), 0},
        {"msn", NULL, (int64_t)told->msn},
        {"duration_ms", NULL, told->duration_us / 1000},
        {"bytes", NULL, (int64_t)told->size_bytes},
        {"path", path, 0}, /* the last: only where there is one */
    };
    unsigned n = sizeof fields / sizeof fields[0];

    if (!events_wanted(&node->events, EVENT_HLS_SEGMENT))
        return;
    snprintf(uri, sizeof uri, "/%s/%s", told->stream->text, told->file);
    if (told->is_on_disk)
        snprintf(path, sizeof path, "%s%s", node->conf.hls_disk_dir, uri);
    events_tell(node, EVENT_HLS_SEGMENT, fields, told->is_on_disk ? n : n - 1);
}
