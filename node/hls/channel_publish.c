/* Snapshots of a channel: made once, at the stream's home, for all who ask; and who waits for the
 * next one. */
#include <stdlib.h>
#include <string.h>

#include "node/hls/channel_private.h"

#define TEXT_MAX_BYTES (8u << 20) /* a playlist; of a day of two-second segments: 4 MiB */

void hls_snapshot_unref(struct hls_snapshot **snapshot)
{
    struct hls_snapshot *gone = *snapshot;

    *snapshot = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    hls_data_unref(&gone->full);
    hls_data_unref(&gone->delta);
    free(gone);
}

/* --- making --- */

static struct hls_data *write_text(const struct hls_playlist *playlist)
{
    struct hls_data *data = NULL;
    struct buf_writer text;

    buf_writer_init(&text, TEXT_MAX_BYTES);
    hls_write_media(&text, playlist);
    if (buf_writer_status(&text) == E_OK)
        data = hls_data_create();
    if (data)
        hls_data_put(data, buf_writer_view(&text));
    buf_writer_fini(&text);
    if (data && hls_data_is_broken(data))
        hls_data_unref(&data);
    return data;
}

static size_t n_complete(const struct hls_channel *c)
{
    return c->n_segments - c->is_open;
}

static int64_t part_target_us(const struct hls_channel *c)
{
    int64_t part_us = c->segmenter.conf.part_us;

    return part_us ? part_us + HLS_PART_SLACK_US : 0;
}

static struct hls_edge edge_of(const struct hls_channel *c)
{
    size_t n = n_complete(c);
    struct hls_edge edge = {.part_target_us = part_target_us(c), .ended = c->has_ended};

    edge.n_parts_before = n ? c->bodies[n - 1].n_parts : 0;
    edge.n_parts = c->is_open ? c->bodies[n].n_parts : 0;
    edge.next_msn = c->is_open ? c->segments[n].msn : n ? c->segments[n - 1].msn + 1 : 0;
    return edge;
}

static void write_texts(struct hls_channel *c, struct hls_snapshot *s)
{
    size_t first = c->n_old, n = n_complete(c);
    struct hls_playlist playlist = {
        .container = c->form.container,
        .only = c->form.only,
        .type = HLS_LIVE,
        .target_us = (int64_t)c->plan.segment_ms * 1000,
        .part_target_us = part_target_us(c),
        .segments = c->segments + first,
        .n_segments = n - first,
        .open = c->is_open ? &c->segments[n] : NULL,
        .ended = c->has_ended,
    };
    struct hls_reports reports;

    hls_reports_take(c, &reports);
    playlist.reports = reports.all;
    playlist.n_reports = reports.n;
    if (first < c->n_segments)
        playlist.discontinuity_sequence =
            c->bodies[first].discontinuities - c->segments[first].discontinuity;
    s->full = write_text(&playlist);
    playlist.skip = true;
    s->delta = playlist.part_target_us ? write_text(&playlist) : hls_data_ref(s->full);
    hls_reports_drop(&reports);
}

static void measure(const struct hls_channel *c, struct hls_snapshot *s)
{
    size_t first = c->n_old, n = n_complete(c);
    const struct es_track *tracks[2];
    uint64_t n_pictures = 0;
    int64_t us = 0;

    for (size_t i = first; i < n; i++) {
        if (c->segments[i].gap)
            continue;
        n_pictures += c->bodies[i].n_lead;
        us += c->segments[i].duration_us;
    }
    hls_mux_tracks(&c->mux, tracks);
    hls_facts_of(&s->facts, tracks, c->segments + first, n - first, n_pictures, us);
}

/* A player that finds one segment and no parts has played it before the next one is there. */
static bool is_playable(const struct hls_channel *c)
{
    size_t n = n_complete(c) - c->n_old;

    return n >= (c->has_ended || part_target_us(c) ? 1 : 2);
}

/* Of the newest segment that is complete and to be had. The first one of a run may be shorter. */
static int64_t border_of(const struct hls_channel *c)
{
    const struct hls_segment *last = n_complete(c) ? &c->segments[n_complete(c) - 1] : NULL;

    if (!last || last->gap || (last->run == c->plan.run && last->msn == c->plan.first_msn))
        return INT64_MIN;
    return c->bodies[n_complete(c) - 1].start_us;
}

static struct hls_snapshot *make(struct hls_channel *c)
{
    struct hls_snapshot *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->version = c->snapshot->version + 1;
    s->is_playable = is_playable(c);
    s->edge = edge_of(c);
    s->target_us = hls_window_target_us(c);
    s->border_us = border_of(c);
    measure(c, s);
    write_texts(c, s);
    if (!s->full || !s->delta)
        hls_snapshot_unref(&s);
    return s;
}

/* --- views --- */

/* On the loop that waits. Who is told may wait again. */
static void on_wake(struct loop_msg *msg)
{
    struct hls_view *view = list_entry(msg, struct hls_view, msg);
    struct hls_channel *c = view->channel;
    struct list *node, told;

    pthread_mutex_lock(&c->lock);
    view->in_flight = false;
    view->n_waiting = 0;
    pthread_mutex_unlock(&c->lock);
    list_init(&told);
    while ((node = list_pop_front(&view->waiters))) { /* all of them: one may stop another */
        list_entry(node, struct hls_waiter, node)->view = NULL;
        list_push_back(&told, node);
    }
    while ((node = list_pop_front(&told))) {
        struct hls_waiter *waiter = list_entry(node, struct hls_waiter, node);

        waiter->on_news(waiter);
    }
    hls_channel_unref(&c);
}

static void on_wake_lost(struct loop_msg *msg)
{
    struct hls_channel *c = list_entry(msg, struct hls_view, msg)->channel;

    hls_channel_unref(&c);
}

bool hls_channel_init_views(struct hls_channel *c)
{
    c->views = calloc(hls_n_loops(c->hls), sizeof *c->views);
    for (unsigned i = 0; c->views && i < hls_n_loops(c->hls); i++) {
        c->views[i].msg = (struct loop_msg){.run = on_wake, .drop = on_wake_lost};
        c->views[i].channel = c;
        list_init(&c->views[i].waiters);
    }
    return c->views != NULL;
}

void hls_channel_fini_views(struct hls_channel *c)
{
    free(c->views);
}

/* Under the lock: the message is theirs to post. */
static struct loop *must_wake(struct hls_view *view)
{
    if (!view->n_waiting || view->in_flight)
        return NULL;
    view->in_flight = true;
    return view->loop;
}

void hls_channel_publish(struct hls_channel *c)
{
    struct hls_snapshot *fresh = make(c), *old;
    struct loop *wake[MEDIA_LOOPS_MAX];
    unsigned n_loops = hls_n_loops(c->hls);

    c->is_dirty = false;
    if (!fresh)
        return;
    pthread_mutex_lock(&c->lock);
    old = c->snapshot;
    c->snapshot = fresh;
    for (unsigned i = 0; i < n_loops; i++)
        wake[i] = must_wake(&c->views[i]);
    pthread_mutex_unlock(&c->lock);
    hls_snapshot_unref(&old);
    for (unsigned i = 0; i < n_loops; i++) {
        if (!wake[i])
            continue;
        (void)hls_channel_ref(c);
        loop_post(wake[i], &c->views[i].msg);
    }
}

/* --- any loop --- */

struct hls_snapshot *hls_channel_look(struct hls_channel *channel)
{
    struct hls_snapshot *s;

    pthread_mutex_lock(&channel->lock);
    s = channel->snapshot;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&channel->lock);
    return s;
}

bool hls_channel_wait(struct hls_channel *channel, struct media_loop *ml, struct hls_waiter *waiter,
                      uint64_t seen_version)
{
    struct hls_view *view = &channel->views[ml->index];
    bool is_news;

    pthread_mutex_lock(&channel->lock);
    is_news = channel->snapshot->version != seen_version;
    if (!is_news) {
        view->loop = ml->loop;
        view->n_waiting++;
    }
    pthread_mutex_unlock(&channel->lock);
    if (!is_news) {
        waiter->view = view;
        list_push_back(&view->waiters, &waiter->node);
    }
    return !is_news;
}

void hls_waiter_stop(struct hls_waiter *waiter)
{
    struct hls_view *view = waiter->view;
    struct hls_channel *c = view ? view->channel : NULL;

    list_remove(&waiter->node);
    waiter->view = NULL;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    view->n_waiting -= view->n_waiting > 0; /* 0: the message is about to tell the others */
    pthread_mutex_unlock(&c->lock);
}

/* --- names: under the lock --- */

static struct hls_data *find_init(const struct hls_channel *c, const struct hls_name *name)
{
    for (unsigned i = 0; i < HLS_MAX_INITS; i++)
        if (c->inits[i].data && c->inits[i].run == name->run && c->inits[i].map == name->number)
            return c->inits[i].data;
    return NULL;
}

/* Segment numbers have no holes, so the place in the list follows. */
static struct hls_data *find_piece(const struct hls_channel *c, const struct hls_name *name)
{
    uint64_t first_msn = c->n_segments ? c->segments[0].msn : 0;
    const struct hls_body *body;

    if (!c->n_segments || name->number < first_msn || name->number - first_msn >= c->n_segments ||
        c->segments[name->number - first_msn].run != name->run)
        return NULL;
    body = &c->bodies[name->number - first_msn];
    if (name->kind == HLS_SEGMENT)
        return body->data;
    return body->parts && name->part < body->n_parts ? body->parts[name->part] : NULL;
}

/* Nothing has come yet; or it is what a playlist hints at, or the segment that runs. */
static bool is_to_come(const struct hls_channel *c, const struct hls_name *name)
{
    const struct hls_segment *open = c->is_open ? &c->segments[c->n_segments - 1] : NULL;

    if (c->has_ended)
        return false;
    if (!c->n_segments)
        return true;
    if (!open || open->run != name->run || name->kind == HLS_INIT)
        return false;
    if (name->number == open->msn)
        return name->kind == HLS_SEGMENT || name->part == open->n_parts;
    return name->kind == HLS_PART && name->number == open->msn + 1 && name->part == 0;
}

enum err hls_channel_find(struct hls_channel *channel, const struct hls_name *name,
                          struct hls_data **data)
{
    struct hls_data *found = NULL;
    enum err e = E_NOT_FOUND;

    pthread_mutex_lock(&channel->lock);
    if (name->container == channel->form.container && name->only == channel->form.only)
        found = name->kind == HLS_INIT ? find_init(channel, name) : find_piece(channel, name);
    if (found) {
        *data = hls_data_ref(found);
        e = E_OK;
    } else if (is_to_come(channel, name)) {
        e = E_AGAIN;
    }
    pthread_mutex_unlock(&channel->lock);
    return e;
}

bool hls_channel_has_ended(struct hls_channel *channel)
{
    bool has_ended;

    pthread_mutex_lock(&channel->lock);
    has_ended = channel->has_ended;
    pthread_mutex_unlock(&channel->lock);
    return has_ended;
}
