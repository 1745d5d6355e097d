/* A channel's life. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/hls/channel_private.h"

#define LOOK_MS 500 /* whether somebody asks */
#define EMPTY_IDLE_US \
    1000000 /* names that nobody publishes cost little: anybody can make them up */

/* --- making and freeing --- */

static void channel_free(struct hls_channel *c)
{
    hls_window_clear(c);
    for (unsigned i = 0; i < HLS_MAX_INITS; i++)
        hls_data_unref(&c->inits[i].data);
    hls_snapshot_unref(&c->snapshot);
    hls_channel_fini_views(c);
    free(c->segments);
    free(c->bodies);
    stream_unref(&c->stream);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct hls_channel *hls_channel_ref(struct hls_channel *channel)
{
    atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
    return channel;
}

void hls_channel_unref(struct hls_channel **channel)
{
    struct hls_channel *gone = *channel;

    *channel = NULL;
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        channel_free(gone);
}

static struct hls_snapshot *make_empty_snapshot(void)
{
    struct hls_snapshot *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->border_us = INT64_MIN;
    return s;
}

struct hls_channel *hls_channel_create(struct hls *hls, const struct stream_name *name,
                                       struct hls_form form, const char *key)
{
    struct hls_channel *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    c->hls = hls;
    c->form = form;
    c->name = *name;
    snprintf(c->key, sizeof c->key, "%s", key);
    list_init(&c->all_node);
    list_init(&c->sink.node);
    track_set_init(&c->tracks);
    atomic_init(&c->used_us, clock_mono_us());
    c->stream = registry_get(hls_registry(hls), name);
    c->snapshot = make_empty_snapshot();
    if (hls_channel_init_views(c) && c->stream && c->snapshot)
        return c;
    hls_channel_unref(&c);
    return NULL;
}

/* --- home --- */

static struct hls_channel *channel_of_sink(struct stream_sink *sink)
{
    return list_entry(sink, struct hls_channel, sink);
}

void hls_channel_close(struct hls_channel *c)
{
    if (!c->is_home)
        return;
    c->is_home = false;
    hls_record_close(c);
    timer_stop(&c->timer);
    stream_sink_close(&c->sink);
    hls_mux_close(&c->mux);
    hls_data_unref(&c->whole);
    track_set_fini(&c->tracks);
    metric_add(&m_hls_channels, -1);
    log_info("hls", "msg=closed stream=%s container=%s tracks=%s", c->name.text,
             hls_container_name(c->form.container), hls_only_name(c->form.only));
    hls_channel_unref(&c); /* home's */
}

static void on_frame(struct stream_sink *sink, const struct media_frame *frame, bool entry)
{
    hls_channel_frame(channel_of_sink(sink), frame, entry);
}

/* Without memory for a muxer nothing more is cut; the channel is given up when nobody asks. */
static void on_source_change(struct stream_sink *sink)
{
    struct hls_channel *c = channel_of_sink(sink);

    hls_channel_end_run(c);
    track_set_clear(&c->tracks);
    if (hls_mux_reset(&c->mux, c->form) != E_OK)
        stream_sink_close(sink);
    if (c->is_dirty)
        hls_channel_publish(c);
}

static void on_end(struct stream_sink *sink)
{
    struct hls_channel *c = channel_of_sink(sink);

    hls_channel_end_run(c);
    pthread_mutex_lock(&c->lock);
    c->has_ended = true;
    pthread_mutex_unlock(&c->lock);
    hls_record_end(c);
    hls_channel_publish(c);
}

static const struct stream_sink_ops k_sink_ops = {on_frame, on_source_change, on_end};

static bool is_waited_for(struct hls_channel *c)
{
    bool wants = false;

    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < hls_n_loops(c->hls); i++)
        wants |= c->views[i].n_waiting > 0;
    pthread_mutex_unlock(&c->lock);
    return wants;
}

static void on_look(struct timer *timer)
{
    struct hls_channel *c = list_entry(timer, struct hls_channel, timer);
    const struct hls_conf *conf = hls_conf_of(c->hls);
    int64_t idle_us = c->snapshot->version ? conf->idle_us : EMPTY_IDLE_US;
    int64_t unused_us = clock_mono_us() - atomic_load_explicit(&c->used_us, memory_order_relaxed);
    bool is_used = unused_us < idle_us || is_waited_for(c);

    timer_start_ms(&c->timer, LOOK_MS);
    stream_sink_want(&c->sink, is_used);
    if (is_used || (conf->mode == HLS_ALWAYS && c->sink.stream))
        return;
    if (hls_forget(c, idle_us))
        hls_channel_close(c); /* last: c may be gone */
}

static void settle(struct hls_channel *c)
{
    c->is_home = true; /* with the reference of the message */
    metric_add(&m_hls_channels, 1);
    metric_add(&m_hls_channels_opened, 1);
    log_info("hls", "msg=open stream=%s container=%s tracks=%s", c->name.text,
             hls_container_name(c->form.container), hls_only_name(c->form.only));
    timer_init(&c->timer, stream_home(c->stream)->loop, on_look);
    timer_start_ms(&c->timer, LOOK_MS);
    stream_sink_want(&c->sink, true);
    if (hls_mux_open(&c->mux, c->form) != E_OK) {
        stream_sink_close(&c->sink);
        return;
    }
    hls_channel_begin(c);
    if (c->is_dirty)
        hls_channel_publish(c);
}

/* Nobody can be served: the next one who asks tries again. */
static void give_up(struct hls_channel *c)
{
    (void)hls_forget(c, -1);
    hls_channel_unref(&c); /* the message's */
}

static void on_open(struct loop_msg *msg)
{
    struct hls_channel *c = list_entry(msg, struct hls_channel, open_msg);

    if (stream_sink_open(c->stream, &c->sink, &k_sink_ops) == E_OK) {
        settle(c);
        return;
    }
    stream_unref(&c->stream); /* it has ended meanwhile: the name has, or gets, a new one */
    c->stream = registry_get(hls_registry(c->hls), &c->name);
    if (c->stream)
        loop_post(stream_home(c->stream)->loop, &c->open_msg);
    else
        give_up(c);
}

static void on_open_lost(struct loop_msg *msg)
{
    struct hls_channel *c = list_entry(msg, struct hls_channel, open_msg);

    hls_channel_unref(&c);
}

void hls_channel_open(struct hls_channel *c)
{
    c->open_msg = (struct loop_msg){.run = on_open, .drop = on_open_lost};
    (void)hls_channel_ref(c);
    loop_post(stream_home(c->stream)->loop, &c->open_msg);
}

void hls_channel_count_viewer(struct hls_channel *channel, int by)
{
    atomic_fetch_add_explicit(&channel->sink.n_viewers, (uint32_t)by, memory_order_relaxed);
}

const char *hls_container_name(enum hls_container container)
{
    return container == HLS_TS ? "ts" : "fmp4";
}

const char *hls_only_name(enum hls_only only)
{
    static const char *const k_names[] = {
        [HLS_ALL_TRACKS] = "all", [HLS_ONLY_AUDIO] = "audio", [HLS_ONLY_VIDEO] = "video"};

    return k_names[only];
}
