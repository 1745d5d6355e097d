/* Tap: serves the viewers of one feed on one loop. */
#include "node/stream/tap.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/stream/media_loop.h"

#define FLUSH_IOVECS 64 /* per send; longer batches take several */

static void tap_free(struct tap *tap)
{
    page_unref(&tap->oldest);
    feed_unref(&tap->feed);
    stream_unref(&tap->stream);
    free(tap->live);
    free(tap);
}

/* --- opening and closing --- */

static struct tap *tap_of_msg(struct loop_msg *msg)
{
    return list_entry(msg, struct tap, msg);
}

/* A loop ended before the message arrived: nobody asks for the tap any more. */
static void on_lost(struct loop_msg *msg)
{
    tap_free(tap_of_msg(msg));
}

static void on_opened(struct loop_msg *msg);

static void open_at_home(struct loop_msg *msg)
{
    struct tap *tap = tap_of_msg(msg);

    stream_tap_open(tap->stream, tap);
    tap->msg.run = on_opened;
    loop_post(tap->ml->loop, &tap->msg);
}

static void ask_to_open(struct tap *tap)
{
    tap->state = TAP_OPENING;
    tap->msg.run = open_at_home;
    loop_post(stream_home(tap->stream)->loop, &tap->msg);
}

/* The stream ended while we asked: the name has, or gets, a new one. */
static bool ask_again(struct tap *tap)
{
    struct stream_name name = *stream_name_of(tap->stream);

    stream_unref(&tap->stream);
    tap->stream = registry_get(tap->ml->registry, &name);
    if (!tap->stream)
        return false;
    ask_to_open(tap);
    return true;
}

static void on_closed(struct loop_msg *msg)
{
    struct tap *tap = tap_of_msg(msg);

    tap->state = TAP_CLOSED;
    list_remove(&tap->all_node);
    if (!atomic_load_explicit(&tap->dirty, memory_order_acquire))
        tap_free(tap); /* else the wake-up under way frees it */
}

static void close_at_home(struct loop_msg *msg)
{
    struct tap *tap = tap_of_msg(msg);

    stream_tap_close(tap->stream, tap);
    tap->msg.run = on_closed;
    loop_post(tap->ml->loop, &tap->msg);
}

static void forget_key(struct tap *tap)
{
    if (map_get(&tap->ml->taps, tap->key) == tap)
        map_remove(&tap->ml->taps, tap->key);
}

static void begin_close(struct tap *tap)
{
    forget_key(tap);
    if (tap->state == TAP_OPENING) /* decided when the answer is here */
        return;
    tap->state = TAP_CLOSING;
    tap->msg.run = close_at_home;
    loop_post(stream_home(tap->stream)->loop, &tap->msg);
}

static bool has_viewers(const struct tap *tap)
{
    return tap->n_live || !list_is_empty(&tap->behind) || !list_is_empty(&tap->waiting);
}

/* All viewers get on_end(why). */
static void end_all(struct tap *tap, enum err why)
{
    bool was_serving = tap->serving;
    struct list *node, *tmp;

    tap->serving = true;
    while (tap->n_live)
        viewer_end(tap->live[tap->n_live - 1].viewer, why);
    list_for_each_safe(node, tmp, &tap->behind)
        viewer_end(list_entry(node, struct viewer, node), why);
    list_for_each_safe(node, tmp, &tap->waiting)
        viewer_end(list_entry(node, struct viewer, node), why);
    tap->serving = was_serving;
}

static void on_opened(struct loop_msg *msg)
{
    struct tap *tap = tap_of_msg(msg);

    if (tap->open_result == E_STALE && has_viewers(tap) && ask_again(tap))
        return;
    if (tap->open_result != E_OK) { /* never joined the feed */
        tap->state = TAP_CLOSED;
        forget_key(tap); /* first: who is turned away may ask again at once */
        end_all(tap, tap->open_result);
        list_remove(&tap->all_node);
        tap_free(tap);
        return;
    }
    tap->state = TAP_OPEN;
    tap->end = tap->scan = (struct feed_pos){tap->oldest, 0};
    if (!has_viewers(tap))
        begin_close(tap);
    else
        tap_serve(tap);
}

struct tap *tap_get(struct media_loop *ml, const struct stream_name *name,
                    const struct feed_key *feed_key)
{
    char key[sizeof((struct tap *)0)->key];
    struct tap *tap;

    snprintf(key, sizeof key, "%s/%d/%d/%s", k_formats[feed_key->format]->name,
             (int)feed_key->tracks, (int)feed_key->style, name->text);
    tap = map_get(&ml->taps, key);
    if (tap)
        return tap;
    tap = calloc(1, sizeof *tap);
    if (!tap)
        return NULL;
    tap->ml = ml;
    tap->feed_key = *feed_key;
    memcpy(tap->key, key, sizeof key);
    tap->msg.drop = on_lost;
    list_init(&tap->home_node);
    list_init(&tap->all_node);
    list_init(&tap->behind);
    list_init(&tap->waiting);
    tap->stream = registry_get(ml->registry, name);
    if (!tap->stream || map_set(&ml->taps, key, tap) != E_OK) {
        tap_free(tap);
        return NULL;
    }
    list_push_back(&ml->all_taps, &tap->all_node);
    ask_to_open(tap);
    return tap;
}

void tap_abandon(struct tap *tap)
{
    end_all(tap, E_END);
    list_remove(&tap->all_node);
    tap_free(tap);
}

void tap_viewer_gone(struct tap *tap)
{
    if (!tap->serving && !has_viewers(tap) && (tap->state == TAP_OPENING || tap->state == TAP_OPEN))
        begin_close(tap);
}

/* --- entry points --- */

static void drop_entries(struct tap *tap, unsigned n)
{
    tap->n_entries -= n;
    memmove(tap->entries, tap->entries + n, tap->n_entries * sizeof tap->entries[0]);
}

/* Walks the marks up to limit and keeps the latest entry points. */
static void scan_marks(struct tap *tap, const struct feed_pos *limit)
{
    unsigned keep = registry_conf(tap->ml->registry)->gop.max_gops;
    uint64_t window_seq = atomic_load_explicit(&tap->feed->window_seq, memory_order_acquire);
    unsigned n_void = 0;

    keep = (keep ? keep : 1) + tap->feed->format->relay;
    while (pos_compare(&tap->scan, limit) < 0) {
        const struct feed_mark *mark = pos_mark_at(&tap->scan);

        if (mark && mark->init) {
            if (tap->n_entries == FEED_MAX_ENTRIES)
                drop_entries(tap, 1);
            tap->entries[tap->n_entries++] = (struct tap_entry){tap->scan, mark};
        }
        tap->scan = pos_unit_end(tap->scan, limit);
    }
    if (tap->n_entries > keep)
        drop_entries(tap, tap->n_entries - keep);
    while (n_void < tap->n_entries && tap->entries[n_void].pos.page->seq < window_seq)
        n_void++;
    drop_entries(tap, n_void);
}

/* What one encoder left is not for nodes any more when the next one has come: they have had it. */
static const struct tap_entry *relay_entry(const struct tap *tap, unsigned first)
{
    uint64_t run = atomic_load_explicit(&tap->feed->run, memory_order_relaxed);

    while (first < tap->n_entries && tap->entries[first].mark->init->run != run)
        first++;
    return first < tap->n_entries ? &tap->entries[first] : NULL;
}

/* The entry point at which a viewer starts now, NULL when there is none yet. */
static const struct tap_entry *start_entry(const struct tap *tap, const struct viewer *viewer)
{
    unsigned n_cached = registry_conf(tap->ml->registry)->gop.max_gops;
    const struct tap_entry *newest = tap->n_entries ? &tap->entries[tap->n_entries - 1] : NULL;
    unsigned first = tap->n_entries > n_cached ? tap->n_entries - n_cached : 0;

    if (!newest)
        return NULL;
    /* GOP numbers are those of one run */
    for (unsigned i = 0; viewer->have_run && i < tap->n_entries; i++)
        if (tap->entries[i].mark->init->run == viewer->have_run &&
            tap->entries[i].mark->gop == viewer->have_gop)
            return &tap->entries[i];
    if (!n_cached) /* no cache: only an entry point that came after the viewer */
        return newest->mark->appended_us >= viewer->joined_us ? newest : NULL;
    return tap->feed->format->relay ? relay_entry(tap, first) : &tap->entries[first];
}

/* --- serving --- */

struct batch {
    struct iovec iov[FLUSH_IOVECS];
    int n_iov;
    size_t size_bytes;
    struct feed_pos end;
};

/* The published bytes from start on, as many as fit. */
static void batch_from(struct batch *b, struct feed_pos start)
{
    b->n_iov = 0;
    b->size_bytes = 0;
    b->end = start;
    while (b->n_iov < FLUSH_IOVECS) {
        struct feed_page *next;
        uint32_t used = page_published(b->end.page, &next);
        uint32_t from = b->end.offset;

        b->n_iov += page_gather(b->end.page, &b->end.offset, used, b->iov + b->n_iov,
                                FLUSH_IOVECS - b->n_iov);
        b->size_bytes += b->end.offset - from;
        if (b->end.offset < used || !next)
            return;
        b->end = (struct feed_pos){next, 0};
    }
}

/* Position n_bytes after start. */
static struct feed_pos pos_advance(struct feed_pos start, size_t n_bytes)
{
    while (n_bytes) {
        struct feed_page *next;
        size_t here = page_published(start.page, &next) - start.offset;

        if (n_bytes < here || !next) {
            start.offset += (uint32_t)n_bytes;
            break;
        }
        n_bytes -= here;
        start = (struct feed_pos){next, 0};
    }
    pos_normalise(&start);
    return start;
}

static void fell_short(struct tap *tap, struct viewer *v, size_t sent)
{
    viewer_fall_behind(v, pos_advance(tap->end, sent));
}

/* One send per live viewer of the same bytes. Who came first is served first, so that a crowd that
 * joins does not delay those who are there. A viewer that leaves is replaced by the last one. */
static void send_to_live(struct tap *tap, const struct batch *b)
{
    for (uint32_t i = 0; i < tap->n_live;) {
        struct tap_live live = tap->live[i];
        size_t sent = 0;
        enum err e = conn_send_iov(live.conn, b->iov, b->n_iov, b->size_bytes, &sent);

        if (e == E_OK && sent == b->size_bytes)
            i++;
        else if (e == E_OK || e == E_AGAIN)
            fell_short(tap, live.viewer, sent);
        else
            viewer_end(live.viewer, e);
    }
}

static void check_viewer(struct viewer *v, const struct stream_codecs *codecs)
{
    if (v->ops->takes && !v->ops->takes(v, codecs))
        viewer_end(v, E_UNSUPPORTED);
}

/* Frames of another codec are next: who cannot take them goes before. */
static void check_codecs(struct tap *tap)
{
    uint32_t packed = atomic_load_explicit(&tap->feed->codecs, memory_order_acquire);
    struct stream_codecs codecs;
    struct list *node, *tmp;

    if (packed == tap->codecs)
        return;
    tap->codecs = packed;
    feed_get_codecs(tap->feed, &codecs);
    for (uint32_t i = tap->n_live; i-- > 0;)
        check_viewer(tap->live[i].viewer, &codecs);
    list_for_each_safe(node, tmp, &tap->behind)
        check_viewer(list_entry(node, struct viewer, node), &codecs);
}

static void start_waiting(struct tap *tap)
{
    struct list *node, *tmp;

    if (list_is_empty(&tap->waiting) || !(tap->flags & FEED_READY))
        return;
    list_for_each_safe(node, tmp, &tap->waiting) {
        struct viewer *v = list_entry(node, struct viewer, node);
        const struct tap_entry *entry = start_entry(tap, v);
        enum err e;

        if (!entry || (v->relay && !(tap->flags & FEED_LIVE)))
            continue;
        e = viewer_start(v, entry);
        if (e != E_OK)
            viewer_end(v, e);
        else
            viewer_pump_or_end(v);
    }
}

/* Gives up the pages that no viewer and no entry point needs any more. */
static void release_pages(struct tap *tap)
{
    struct feed_page *first = tap->end.page;
    struct list *node, *tmp;

    if (tap->n_entries && tap->entries[0].pos.page->seq < first->seq)
        first = tap->entries[0].pos.page;
    list_for_each_safe(node, tmp, &tap->behind) {
        struct viewer *v = list_entry(node, struct viewer, node);

        if (v->page->seq < first->seq)
            first = v->page;
    }
    tap->released_seq = tap->end.page->seq;
    while (tap->oldest != first) {
        struct feed_page *gone = tap->oldest;

        tap->oldest = page_ref(atomic_load_explicit(&gone->next, memory_order_acquire));
        page_unref(&gone);
    }
}

static void serve_end(struct tap *tap)
{
    struct list *node, *tmp;

    forget_key(tap); /* who asks for the name from here on gets the next stream of that name */
    if (tap->flags & (FEED_KICKED | FEED_BROKEN)) {
        end_all(tap, tap->flags & FEED_KICKED ? E_DENIED : E_NOMEM);
        return;
    }
    while (tap->n_live)
        viewer_end(tap->live[tap->n_live - 1].viewer, E_END);
    list_for_each_safe(node, tmp, &tap->waiting)
        viewer_end(list_entry(node, struct viewer, node), E_NOT_FOUND);
    /* Those behind get the rest first; housekeeping bounds how long. */
}

void tap_serve(struct tap *tap)
{
    struct batch b;

    if (tap->state != TAP_OPEN)
        return;
    tap->serving = true;
    /* Before the pages: what was written when a flag was set is there then. */
    tap->flags = atomic_load_explicit(&tap->feed->flags, memory_order_acquire);
    do {
        batch_from(&b, tap->end);
        check_codecs(tap); /* after the pages: what they hold was told before */
        if (b.size_bytes)
            send_to_live(tap, &b);
        tap->end = b.end;
    } while (b.n_iov == FLUSH_IOVECS);
    scan_marks(tap, &tap->end);
    start_waiting(tap);
    if (tap->end.page->seq != tap->released_seq) /* else at most a few: housekeeping does it */
        release_pages(tap);
    if (tap->flags & FEED_ENDED)
        serve_end(tap);
    tap->serving = false;
    tap_viewer_gone(tap);
}

/* Above the limit the viewer that is furthest behind goes. */
static void unpin(struct tap *tap)
{
    size_t limit = registry_conf(tap->ml->registry)->max_pinned_bytes;

    while (!list_is_empty(&tap->behind) && feed_pinned_bytes(tap->feed, tap->oldest) > limit) {
        struct viewer *last = NULL;
        struct list *node, *tmp;

        list_for_each_safe(node, tmp, &tap->behind) {
            struct viewer *v = list_entry(node, struct viewer, node);

            if (!last || v->page->seq < last->page->seq)
                last = v;
        }
        viewer_end(last, E_SLOW);
        release_pages(tap);
    }
}

static void check_waiting(struct tap *tap, int64_t now_us)
{
    int64_t wait_us = registry_conf(tap->ml->registry)->play_wait_ms * 1000;
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &tap->waiting) {
        struct viewer *v = list_entry(node, struct viewer, node);

        if (now_us - v->joined_us >= wait_us)
            viewer_end(v, E_NOT_FOUND);
    }
}

void tap_housekeeping(struct tap *tap, int64_t now_us)
{
    struct list *node, *tmp;

    if (tap->state != TAP_OPENING && tap->state != TAP_OPEN)
        return;
    tap->serving = true;
    check_waiting(tap, now_us);
    if (tap->state == TAP_OPEN) {
        list_for_each_safe(node, tmp, &tap->behind)
            viewer_check(list_entry(node, struct viewer, node), now_us);
        release_pages(tap);
        unpin(tap);
    }
    tap->serving = false;
    tap_viewer_gone(tap);
}
