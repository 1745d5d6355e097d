/* Publishers held ready for when the source of their stream fails. The stream knows no more of them
 * than their order: each has a session that decides what its turn means. */
#include "node/stream/stream_private.h"

#include <string.h>

#define TURN_US 2000000 /* who had its turn and did not attach within this, will not */

enum err stream_add_standby(struct stream *stream, struct standby *standby)
{
    if (stream->state == STREAM_ENDED)
        return E_STALE;
    list_push_back(&stream->standbys, &standby->node);
    return E_OK;
}

void stream_remove_standby(struct standby *standby)
{
    list_remove(&standby->node);
}

static bool give_turn(struct stream *s, uint64_t epoch)
{
    struct list *node = list_pop_front(&s->standbys);
    struct standby *standby;

    if (!node)
        return false;
    standby = list_entry(node, struct standby, node);
    standby->on_turn(standby, epoch); /* last: it may be gone, and so may the stream */
    return true;
}

bool stream_promote(struct stream *stream, uint64_t epoch)
{
    return give_turn(stream, epoch);
}

void stream_give_turn(struct stream *stream)
{
    stream->next_turn_us = loop_now_us(stream->home->loop) + TURN_US;
    (void)give_turn(stream, 0);
}

/* A relay that lost its upstream is no reason: the stream's owner is elsewhere, and whoever watches
 * over owners says when it failed. */
void stream_check_standbys(struct stream *stream, int64_t now_us)
{
    if (stream->last_kind == SOURCE_PUBLISHER && now_us >= stream->next_turn_us)
        stream_give_turn(stream);
}

void stream_end_standbys(struct stream *stream)
{
    while (give_turn(stream, 0))
        continue;
}

void stream_node_leaves(struct stream *s, const char *node_id)
{
    if (s->source && s->source->kind == SOURCE_PUBLISHER && !strcmp(s->source->upstream, node_id))
        s->source->yields = true;
}
