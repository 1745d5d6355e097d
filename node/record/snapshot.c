/* See snapshot.h. */
#include "node/record/snapshot.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"
#include "node/record/decode.h"
#include "node/stream/es_tracks.h"
#include "node/stream/sink.h"

#define MAX_RUNNING 2u
#define MAX_KEPT 32u
#define KEEP_US 1000000
#define MAX_JPEG_BYTES (16u << 20)

struct waiter {
    struct list node;
    struct http_exchange *x; /* NULL: the peer has left */
};

struct shot { /* of one stream: under way, or done and kept for a moment */
    struct list node;
    struct loop_msg msg;
    struct snapshots *owner;
    struct stream *stream;            /* owned; until the frames are there */
    const struct media_frame *config; /* owned */
    const struct media_frame *key;    /* owned */
    char name[STREAM_NAME_SIZE];
    struct list waiters;
    char *command; /* owned */
    int64_t timeout_ms;
    pthread_t thread;
    bool has_thread, is_done;
    int64_t done_us;
    enum err result;
    struct buf_writer jpeg;
};

struct snapshots {
    struct node *node;
    struct list shots;
    unsigned n_running, n_kept;
    _Atomic bool is_cancelled;
};

static const struct {
    enum err e;
    unsigned status;
    const char *text;
} k_faults[] = {
    {E_NOT_FOUND, 501, "the program that decodes is not installed (snapshot.command)"},
    {E_UNSUPPORTED, 501, "a codec that no picture is made of"},
    {E_AGAIN, 503, "no key frame is kept yet (gop_cache.count)"},
    {E_TIMEOUT, 504, "decoding took too long (snapshot.timeout_ms)"},
    {E_IO, 502, "the decoder made no picture"},
};

static void answer(struct http_exchange *x, const struct shot *shot)
{
    if (shot->result == E_OK) {
        http_add_header(x, "Cache-Control", "no-store");
        http_respond(x, 200, "image/jpeg", buf_writer_view(&shot->jpeg));
        return;
    }
    for (size_t i = 0; i < sizeof k_faults / sizeof k_faults[0]; i++) {
        if (k_faults[i].e != shot->result)
            continue;
        http_respond_problem(x, k_faults[i].status, "%s", k_faults[i].text);
        return;
    }
    http_respond_problem(x, 503, "%s", err_text(shot->result));
}

static void shot_free(struct shot *shot)
{
    struct list *node;

    while ((node = list_pop_front(&shot->waiters)))
        free(list_entry(node, struct waiter, node));
    if (shot->is_done)
        shot->owner->n_kept--;
    list_remove(&shot->node);
    stream_unref(&shot->stream);
    media_frame_unref(&shot->config);
    media_frame_unref(&shot->key);
    buf_writer_fini(&shot->jpeg);
    free(shot->command);
    free(shot);
}

static void finish(struct shot *shot, enum err e)
{
    struct list *node;

    shot->result = e;
    shot->is_done = true;
    shot->done_us = clock_mono_us();
    shot->owner->n_running--;
    shot->owner->n_kept++;
    metric_add(e == E_OK ? &m_snapshots_ok : &m_snapshots_failed, 1);
    if (e != E_OK)
        log_info("snapshot", "msg=failed stream=%s reason=\"%s\"", shot->name, err_text(e));
    while ((node = list_pop_front(&shot->waiters))) {
        struct waiter *waiter = list_entry(node, struct waiter, node);

        if (waiter->x)
            answer(waiter->x, shot);
        free(waiter);
    }
}

/* --- the picture --- */

static void on_decoded(struct loop_msg *msg)
{
    struct shot *shot = list_entry(msg, struct shot, msg);

    (void)pthread_join(shot->thread, NULL);
    shot->has_thread = false;
    finish(shot, shot->result);
}

static void *run(void *arg)
{
    struct shot *shot = arg;
    struct decode decode = {.command = shot->command,
                            .timeout_ms = shot->timeout_ms,
                            .is_cancelled = &shot->owner->is_cancelled,
                            .config = shot->config,
                            .key = shot->key};

    shot->result = decode_to_jpeg(&decode, &shot->jpeg);
    loop_post(shot->owner->node->control, &shot->msg);
    return NULL;
}

static void on_gathered(void *arg)
{
    struct shot *shot = arg;

    stream_unref(&shot->stream);
    if (!shot->key) {
        finish(shot, E_AGAIN);
        return;
    }
    shot->msg = (struct loop_msg){.run = on_decoded}; /* without drop: the list has it */
    shot->has_thread = pthread_create(&shot->thread, NULL, run, shot) == 0;
    if (!shot->has_thread)
        finish(shot, E_NOMEM);
}

static const struct media_frame *newest_key(const struct gop_cache *cache)
{
    for (size_t i = cache->n_items; i > 0; i--) {
        const struct media_frame *frame = gop_cache_at(cache, i - 1)->frame;

        if (frame->info.kind == MEDIA_VIDEO && frame->info.flags & FRAME_KEY &&
            frame_is_media(frame) && frame_is_of_default_track(frame))
            return frame;
    }
    return NULL;
}

static void collect(struct media_loop *ml, void *arg)
{
    struct shot *shot = arg;
    const struct track_set *tracks = stream_tracks(shot->stream);
    const struct media_frame *key;

    if (stream_home(shot->stream) != ml)
        return;
    key = newest_key(stream_cache(shot->stream));
    if (!key)
        return;
    shot->key = media_frame_ref(key);
    for (unsigned i = 0; i < tracks->n_configs; i++)
        if (tracks->configs[i]->info.codec == key->info.codec &&
            frame_is_of_default_track(tracks->configs[i]) && !shot->config)
            shot->config = media_frame_ref(tracks->configs[i]);
}

/* --- who asks --- */

static void forget_old(struct snapshots *s)
{
    int64_t now_us = clock_mono_us();
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &s->shots) {
        struct shot *shot = list_entry(node, struct shot, node);

        if (shot->is_done && (now_us - shot->done_us >= KEEP_US || s->n_kept > MAX_KEPT))
            shot_free(shot);
    }
}

static struct shot *find(struct snapshots *s, const char *stream)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &s->shots) {
        struct shot *shot = list_entry(node, struct shot, node);

        if (!strcmp(shot->name, stream))
            return shot;
    }
    return NULL;
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct waiter *)arg)->x = NULL;
}

static void wait_for(struct shot *shot, struct http_exchange *x)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);

    if (!waiter) {
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    waiter->x = x;
    list_push_back(&shot->waiters, &waiter->node);
    http_set_pending(x, on_gone, waiter);
}

/* NULL: answered. Takes *stream. */
static struct shot *begin(struct snapshots *s, struct http_exchange *x, const char *name,
                          struct stream **stream)
{
    const struct node_conf *conf = &s->node->conf;
    struct shot *shot = calloc(1, sizeof *shot);

    if (!shot) {
        stream_unref(stream);
        http_respond_problem(x, 503, "out of memory");
        return NULL;
    }
    shot->owner = s;
    shot->stream = *stream;
    *stream = NULL;
    (void)snprintf(shot->name, sizeof shot->name, "%s", name);
    list_init(&shot->waiters);
    list_init(&shot->node);
    buf_writer_init(&shot->jpeg, MAX_JPEG_BYTES);
    shot->timeout_ms = (int64_t)conf->snapshot_timeout_ms;
    shot->command = strdup(conf->snapshot_command);
    if (!shot->command || gather(s->node, collect, on_gathered, shot) != E_OK) {
        shot_free(shot);
        http_respond_problem(x, 503, "out of memory");
        return NULL;
    }
    list_push_back(&s->shots, &shot->node);
    s->n_running++;
    return shot;
}

void snapshots_handle(struct snapshots *s, struct http_exchange *x, const char *name)
{
    struct stream *stream;
    struct shot *shot;

    if (!s->node->conf.snapshot_command[0]) {
        http_respond_problem(x, 501, "there is no program that decodes (snapshot.command)");
        return;
    }
    forget_old(s);
    shot = find(s, name);
    if (shot && shot->is_done) {
        answer(x, shot);
        return;
    }
    if (!shot && s->n_running >= MAX_RUNNING) {
        http_add_header(x, "Retry-After", "1");
        http_respond_problem(x, 503, "%u snapshots are being made", MAX_RUNNING);
        return;
    }
    if (!shot) {
        stream = registry_find(s->node->registry, name);
        if (stream)
            shot = begin(s, x, name, &stream);
        else
            http_respond_problem(x, 404, "no stream of that name on this node");
    }
    if (shot)
        wait_for(shot, x);
}

/* --- life --- */

struct snapshots *snapshots_create(struct node *node)
{
    struct snapshots *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->node = node;
    list_init(&s->shots);
    return s;
}

void snapshots_stop(struct snapshots *s)
{
    struct list *node, *tmp;

    if (!s)
        return;
    atomic_store(&s->is_cancelled, true);
    list_for_each_safe(node, tmp, &s->shots) {
        struct shot *shot = list_entry(node, struct shot, node);

        if (shot->has_thread)
            (void)pthread_join(shot->thread, NULL);
        shot->has_thread = false;
        stream_unref(&shot->stream);
    }
}

void snapshots_destroy(struct snapshots **snapshots)
{
    struct snapshots *s = *snapshots;
    struct list *node, *tmp;

    if (!s)
        return;
    list_for_each_safe(node, tmp, &s->shots) {
        shot_free(list_entry(node, struct shot, node));
    }
    free(s);
    *snapshots = NULL;
}
