/* Viewer: the states of one receiver. Caught up it is a slot in its tap's array and costs one send
 * a flush; behind, it has its own position and is driven by its socket. */
#include "node/stream/viewer.h"

#include <stdlib.h>

#include "node/control/node_metrics.h"
#include "node/stream/hops.h"
#include "node/stream/media_loop.h"
#include "node/stream/tap.h"
#include "node/stream/trace_id.h"

#define PUMP_IOVECS 32

static const struct stream_conf *conf_of(const struct viewer *v)
{
    return registry_conf(v->tap->ml->registry);
}

static int64_t now_us(const struct viewer *v)
{
    return loop_now_us(v->tap->ml->loop);
}

/* --- moving between states --- */

enum err viewer_join(struct media_loop *ml, struct viewer *viewer, const struct viewer_join *join)
{
    struct feed_key key = {join->format, join->tracks, join->style};
    struct tap *tap;

    if (ml->n_parked >= registry_conf(ml->registry)->max_parked)
        return E_LIMIT;
    tap = tap_get(ml, join->name, &key);
    if (!tap)
        return E_NOMEM;
    *viewer = (struct viewer){.state = VIEWER_WAITING,
                              .relay = join->relay,
                              .tap = tap,
                              .conn = join->conn,
                              .ops = join->ops,
                              .joined_us = loop_now_us(ml->loop),
                              .progress_us = loop_now_us(ml->loop),
                              .have_run = join->have_run,
                              .have_gop = join->have_gop};
    list_init(&viewer->node);
    list_push_back(&tap->waiting, &viewer->node);
    ml->n_parked++;
    atomic_fetch_add_explicit(join->relay ? &tap->n_relays : &tap->n_viewers, 1,
                              memory_order_relaxed);
    if (tap->state == TAP_OPEN)
        media_loop_wake_tap(ml, tap); /* starts at the end of this turn */
    else if (join->session)
        hops_ask_trace(stream_hops(tap->stream), session_trace_id(join->session));
    return E_OK;
}

static void leave_live(struct viewer *v)
{
    struct tap *tap = v->tap;
    struct tap_live last = tap->live[--tap->n_live];

    tap->live[v->live_index] = last;
    last.viewer->live_index = v->live_index;
}

static void leave_state(struct viewer *v)
{
    if (v->state == VIEWER_LIVE)
        leave_live(v);
    if (v->state == VIEWER_WAITING)
        v->tap->ml->n_parked--;
    list_remove(&v->node);
}

void viewer_leave(struct viewer *viewer)
{
    struct tap *tap = viewer->tap;

    if (viewer->state == VIEWER_OUT)
        return;
    leave_state(viewer);
    viewer->state = VIEWER_OUT;
    feed_init_unref(&viewer->init);
    if (viewer->priv) {
        buf_writer_fini(viewer->priv);
        free(viewer->priv);
        viewer->priv = NULL;
    }
    viewer->tap = NULL;
    atomic_fetch_sub_explicit(viewer->relay ? &tap->n_relays : &tap->n_viewers, 1,
                              memory_order_relaxed);
    tap_viewer_gone(tap);
}

void viewer_end(struct viewer *viewer, enum err why)
{
    const struct viewer_ops *ops = viewer->ops;

    if (why == E_SLOW)
        metric_add(&m_viewers_slow_close, 1);
    if (why == E_DENIED || why == E_UNSUPPORTED) /* the owner says so, and is to be understood */
        (void)viewer_leave_whole(viewer);
    else
        viewer_leave(viewer);
    ops->on_end(viewer, why); /* last: the viewer may be gone */
}

static bool grow_live(struct tap *tap)
{
    uint32_t capacity = tap->live_capacity ? tap->live_capacity * 2 : 8;
    struct tap_live *live;

    if (tap->n_live < tap->live_capacity)
        return true;
    live = realloc(tap->live, capacity * sizeof *live);
    if (!live)
        return false;
    tap->live = live;
    tap->live_capacity = capacity;
    return true;
}

static enum err become_live(struct viewer *v)
{
    struct tap *tap = v->tap;

    if (!grow_live(tap))
        return E_NOMEM;
    list_remove(&v->node);
    v->state = VIEWER_LIVE;
    v->page = NULL;
    v->jump = false;
    v->live_index = tap->n_live;
    tap->live[tap->n_live++] = (struct tap_live){v, v->conn};
    return E_OK;
}

void viewer_fall_behind(struct viewer *viewer, struct feed_pos pos)
{
    leave_live(viewer);
    viewer->state = VIEWER_BEHIND;
    viewer->page = pos.page;
    viewer->offset = pos.offset;
    viewer->progress_us = now_us(viewer);
    list_push_back(&viewer->tap->behind, &viewer->node);
}

enum err viewer_start(struct viewer *viewer, const struct tap_entry *entry)
{
    uint32_t flags = viewer->tap->flags;
    struct stream_codecs codecs;

    leave_state(viewer);
    viewer->state = VIEWER_BEHIND;
    viewer->page = entry->pos.page;
    viewer->offset = entry->pos.offset;
    viewer->init = feed_init_ref(entry->mark->init);
    viewer->init_offset = 0;
    viewer->first_unit = pos_units_before(&entry->pos);
    viewer->n_dropped = 0;
    metric_observe_us(&m_first_frame, now_us(viewer) - viewer->joined_us);
    viewer->joined_us = viewer->progress_us = now_us(viewer);
    list_push_back(&viewer->tap->behind, &viewer->node);
    viewer_codecs(viewer, &codecs);
    if (viewer->ops->takes && !viewer->ops->takes(viewer, &codecs))
        return E_UNSUPPORTED;
    return viewer->ops->on_start(viewer, flags & FEED_AUDIO, flags & FEED_VIDEO);
}

/* --- sending while behind --- */

static struct feed_pos pos_of(const struct viewer *v)
{
    struct feed_pos pos = {v->page, v->offset};

    pos_normalise(&pos);
    return pos;
}

/* Between units, with no init data half sent. */
static bool at_boundary(const struct viewer *v)
{
    struct feed_pos pos;

    if (v->init)
        return v->init_offset == 0;
    pos = pos_of(v);
    return pos_mark_at(&pos) || pos_compare(&pos, &v->tap->end) >= 0;
}

static bool has_private(const struct viewer *v)
{
    return v->priv && v->priv->used_bytes;
}

static enum err send_private(struct viewer *v)
{
    enum err e = conn_write(v->conn, buf_writer_view(v->priv));

    buf_writer_fini(v->priv);
    free(v->priv);
    v->priv = NULL;
    return e;
}

/* True when the viewer has seen the entry's headers already. */
static bool knows_version(const struct feed_pos *pos, uint32_t version)
{
    struct feed_pos before = *pos;
    const struct feed_mark *mark;

    if (!before.offset)
        return false;
    before.offset--;
    mark = pos_mark_before(&before);
    return mark && mark->version == version;
}

static const struct tap_entry *newer_entry(const struct viewer *v)
{
    const struct tap *tap = v->tap;
    struct feed_pos pos = pos_of(v);

    if (!tap->n_entries || pos_compare(&tap->entries[tap->n_entries - 1].pos, &pos) <= 0)
        return NULL;
    return &tap->entries[tap->n_entries - 1];
}

static void jump(struct viewer *v)
{
    const struct tap_entry *entry = newer_entry(v);
    struct feed_pos pos = pos_of(v);
    bool needs_init; /* a start that was not sent yet still owes it */

    v->jump = false;
    if (!entry)
        return;
    needs_init = v->init || !knows_version(&pos, entry->mark->init->version);
    feed_init_unref(&v->init);
    if (needs_init)
        v->init = feed_init_ref(entry->mark->init);
    v->init_offset = 0;
    v->n_dropped += pos_units_before(&entry->pos) - pos_units_before(&pos);
    v->page = entry->pos.page;
    v->offset = entry->pos.offset;
    v->n_jumps++;
    metric_add(&m_viewers_slow_jump, 1);
}

struct pump_batch {
    struct iovec iov[PUMP_IOVECS];
    int n_iov;
    size_t size_bytes;
};

/* Rest of the init data, then pages up to limit. */
static void gather_batch(const struct viewer *v, struct pump_batch *b, const struct feed_pos *limit)
{
    struct feed_pos pos = pos_of(v);

    b->n_iov = 0;
    b->size_bytes = 0;
    if (v->init) {
        b->size_bytes = v->init->size_bytes - v->init_offset;
        b->iov[b->n_iov++] = (struct iovec){v->init->bytes + v->init_offset, b->size_bytes};
    }
    while (b->n_iov < PUMP_IOVECS && pos_compare(&pos, limit) < 0) {
        struct feed_page *next;
        uint32_t used = page_published(pos.page, &next);
        uint32_t from = pos.offset;

        if (pos.page == limit->page)
            used = limit->offset;
        b->n_iov +=
            page_gather(pos.page, &pos.offset, used, b->iov + b->n_iov, PUMP_IOVECS - b->n_iov);
        b->size_bytes += pos.offset - from;
        if (pos.offset < used || pos.page == limit->page || !next)
            break;
        pos = (struct feed_pos){next, 0};
    }
}

static void consume(struct viewer *v, size_t n_bytes)
{
    if (n_bytes)
        v->progress_us = now_us(v);
    if (v->init) {
        size_t left = v->init->size_bytes - v->init_offset;

        if (n_bytes < left) {
            v->init_offset += (uint32_t)n_bytes;
            return;
        }
        n_bytes -= left;
        feed_init_unref(&v->init);
    }
    while (n_bytes) {
        struct feed_page *next;
        size_t here = page_published(v->page, &next) - v->offset;

        if (n_bytes < here || !next) {
            v->offset += (uint32_t)n_bytes;
            return;
        }
        n_bytes -= here;
        v->page = next;
        v->offset = 0;
    }
}

enum err viewer_leave_whole(struct viewer *viewer)
{
    enum err e = E_OK;

    while (viewer->state == VIEWER_BEHIND && e == E_OK && !at_boundary(viewer)) {
        struct feed_pos limit = pos_unit_end(pos_of(viewer), &viewer->tap->end);
        struct pump_batch b;

        gather_batch(viewer, &b, &limit);
        for (int i = 0; i < b.n_iov && e == E_OK; i++)
            e = conn_write(viewer->conn, buf_view_of(b.iov[i].iov_base, b.iov[i].iov_len));
        consume(viewer, b.size_bytes);
    }
    if (e == E_OK && has_private(viewer))
        e = send_private(viewer);
    viewer_leave(viewer);
    return e;
}

/* E_OK: sent all there is, now live. E_AGAIN: the socket is full. Else why the viewer is to end. */
static enum err pump(struct viewer *v)
{
    for (;;) {
        struct feed_pos limit = v->tap->end;
        struct feed_pos pos;
        struct pump_batch b;
        size_t sent = 0;
        enum err e;

        if (at_boundary(v)) {
            if (has_private(v) && (e = send_private(v)) != E_OK)
                return e;
            if (v->jump)
                jump(v);
        } else if (v->jump || has_private(v)) {
            limit = pos_unit_end(pos_of(v), &limit);
        }
        gather_batch(v, &b, &limit);
        if (b.size_bytes &&
            (e = conn_send_iov(v->conn, b.iov, b.n_iov, b.size_bytes, &sent)) != E_OK)
            return e;
        consume(v, sent);
        if (sent < b.size_bytes)
            return E_AGAIN;
        pos = pos_of(v);
        if (pos_compare(&pos, &v->tap->end) >= 0 && !has_private(v))
            break;
    }
    /* Bytes queued by conn_write() go first: stay behind until they are out. */
    if (conn_queued_bytes(v->conn))
        return E_AGAIN;
    return become_live(v);
}

bool viewer_pump_or_end(struct viewer *viewer)
{
    enum err e = pump(viewer);

    if (e == E_OK && viewer->tap->flags & FEED_ENDED)
        e = E_END;
    if (e == E_OK || e == E_AGAIN)
        return true;
    viewer_end(viewer, e);
    return false;
}

void viewer_on_writable(struct viewer *viewer)
{
    if (viewer->state == VIEWER_BEHIND)
        viewer_pump_or_end(viewer);
}

enum err viewer_write(struct viewer *viewer, struct buf_view bytes)
{
    enum err e;

    if (viewer->state == VIEWER_BEHIND && (has_private(viewer) || !at_boundary(viewer))) {
        if (!viewer->priv && !(viewer->priv = calloc(1, sizeof *viewer->priv)))
            return E_NOMEM;
        if (!viewer->priv->max_bytes)
            buf_writer_init(viewer->priv, VIEWER_MAX_PRIVATE_BYTES);
        buf_write_view(viewer->priv, bytes);
        e = buf_writer_status(viewer->priv);
        return e == E_TOO_BIG ? E_SLOW : e;
    }
    e = conn_write(viewer->conn, bytes);
    if (e == E_OK && viewer->state == VIEWER_LIVE && conn_queued_bytes(viewer->conn))
        viewer_fall_behind(viewer, viewer->tap->end);
    return e;
}

/* --- slow viewers --- */

int64_t viewer_lag_us(const struct viewer *viewer)
{
    struct feed_pos pos;
    const struct feed_mark *mark;
    int64_t since_us = viewer->joined_us;

    if (viewer->state != VIEWER_BEHIND)
        return 0;
    pos = pos_of(viewer);
    if (pos_compare(&pos, &viewer->tap->end) >= 0 && !viewer->init)
        return 0;
    mark = pos_mark_before(&pos);
    if (!mark && atomic_load_explicit(&pos.page->n_marks, memory_order_acquire))
        mark = &pos.page->marks[0]; /* the unit began on an earlier page: a little later will do */
    if (mark && mark->appended_us > since_us)
        since_us = mark->appended_us;
    return now_us(viewer) - since_us;
}

bool viewer_check(struct viewer *viewer, int64_t now)
{
    const struct stream_conf *conf = conf_of(viewer);

    if (now - viewer->progress_us >= conf->stall_timeout_ms * 1000) {
        viewer_end(viewer, E_SLOW);
        return true;
    }
    if (viewer_lag_us(viewer) > conf->max_lag_ms * 1000 && newer_entry(viewer))
        viewer->jump = true;
    return false;
}

uint64_t viewer_epoch(const struct viewer *viewer)
{
    return atomic_load_explicit(&viewer->tap->feed->epoch, memory_order_relaxed);
}

uint64_t viewer_run(const struct viewer *viewer)
{
    return viewer->init ? viewer->init->run
                        : atomic_load_explicit(&viewer->tap->feed->run, memory_order_relaxed);
}

const struct feed_key *viewer_key(const struct viewer *viewer)
{
    return &viewer->tap->feed_key;
}

void viewer_codecs(const struct viewer *viewer, struct stream_codecs *codecs)
{
    feed_get_codecs(viewer->tap->feed, codecs);
}

void viewer_left_out(const struct viewer *viewer, char text[VIEWER_LEFT_OUT_SIZE])
{
    struct stream_codecs codecs;

    text[0] = '\0';
    if (viewer->state == VIEWER_OUT || viewer->tap->state != TAP_OPEN)
        return;
    viewer_codecs(viewer, &codecs);
    feed_key_tell_left_out(&viewer->tap->feed_key, &codecs, text, VIEWER_LEFT_OUT_SIZE);
}

uint64_t viewer_jumps(const struct viewer *viewer)
{
    return viewer->n_jumps;
}

void viewer_count(const struct viewer *viewer, struct session_counts *counts)
{
    struct feed_pos pos;

    counts->viewer = viewer;
    counts->lag_us = viewer_lag_us(viewer);
    counts->n_jumps = viewer->n_jumps;
    if (viewer->state != VIEWER_LIVE && viewer->state != VIEWER_BEHIND)
        return;
    pos = viewer->state == VIEWER_LIVE ? viewer->tap->end : pos_of(viewer);
    counts->frames_out = pos_units_before(&pos) - viewer->first_unit - viewer->n_dropped;
    counts->n_dropped = viewer->n_dropped;
}
