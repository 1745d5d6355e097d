/* Keepers: for pulls that run though nobody watches. A keeper is a reader of the stream that wants
 * it; so the stream asks for its source, and does not let go of it. When the stream ends, as after
 * a long time without a source, the keeper begins it anew. */
#include <stdlib.h>

#include "node/relay/relays_private.h"
#include "node/stream/sink.h"

#define AGAIN_MS 500

struct keeper {
    struct loop_msg msg;
    struct list node; /* in node_loop.keepers */
    struct node_loop *nl;
    struct relay_pull *pull; /* owned reference */
    struct stream *stream;   /* likewise; NULL between two of them */
    struct stream_sink sink;
    struct timer again;
};

static void keeper_free(struct keeper *k)
{
    timer_stop(&k->again);
    list_remove(&k->node);
    if (k->stream)
        stream_sink_close(&k->sink);
    stream_unref(&k->stream);
    relay_pull_unref(&k->pull);
    free(k);
}

static void on_frame(struct stream_sink *sink, const struct media_frame *frame, bool entry)
{
    (void)sink;
    (void)frame;
    (void)entry;
}

static void on_source_change(struct stream_sink *sink)
{
    (void)sink;
}

static void begin_later(struct keeper *k)
{
    stream_unref(&k->stream);
    timer_start_ms(&k->again, jitter_ms(AGAIN_MS, 0.3));
}

static void on_end(struct stream_sink *sink)
{
    begin_later(list_entry(sink, struct keeper, sink));
}

static const struct stream_sink_ops k_sink_ops = {
    .on_frame = on_frame, .on_source_change = on_source_change, .on_end = on_end};

static void on_lost(struct loop_msg *msg)
{
    keeper_free(list_entry(msg, struct keeper, msg));
}

static void on_again(struct timer *timer);

static void on_home(struct loop_msg *msg)
{
    struct keeper *k = list_entry(msg, struct keeper, msg);

    k->nl = stream_home(k->stream)->owner;
    timer_init(&k->again, k->nl->media.loop, on_again);
    if (k->nl->closed || atomic_load(&k->pull->gone)) {
        keeper_free(k);
        return;
    }
    list_push_back(&k->nl->keepers, &k->node);
    if (stream_sink_open(k->stream, &k->sink, &k_sink_ops) == E_OK)
        stream_sink_want(&k->sink, true);
    else
        begin_later(k);
}

/* Takes the keeper to the home of its stream. False: out of memory. */
static bool go_home(struct keeper *k, struct node *node)
{
    k->stream = registry_get(node->registry, &k->pull->name);
    if (!k->stream)
        return false;
    k->msg = (struct loop_msg){.run = on_home, .drop = on_lost};
    loop_post(stream_home(k->stream)->loop, &k->msg);
    return true;
}

static void on_again(struct timer *timer)
{
    struct keeper *k = list_entry(timer, struct keeper, again);
    struct node_loop *nl = k->nl;

    list_remove(&k->node);
    if (go_home(k, nl->node))
        return;
    list_push_back(&nl->keepers, &k->node);
    begin_later(k);
}

void keeper_begin(struct node *node, struct relay_pull *pull)
{
    struct keeper *k = calloc(1, sizeof *k);

    if (!k)
        return;
    list_init(&k->node);
    k->pull = relay_pull_ref(pull);
    if (!go_home(k, node))
        keeper_free(k);
}

void keeper_check(struct node_loop *nl, bool all)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &nl->keepers) {
        struct keeper *k = list_entry(at, struct keeper, node);

        if (all || atomic_load(&k->pull->gone))
            keeper_free(k);
    }
}
