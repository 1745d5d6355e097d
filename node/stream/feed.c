/* Feed: the writing side of the page chain. */
#include "node/stream/feed.h"

#include <stdlib.h>
#include <string.h>

#include "node/stream/media_loop.h"
#include "node/stream/tap.h"

/* A page that filled sooner: the next is large. One that took longer: small. */
#define PAGE_TOO_SMALL_US 500000
#define PAGE_TOO_LARGE_US 4000000
/* Init data of entry points that are not published yet: a burst of tiny key frames under a large
 * header must not fill the memory before the window is trimmed. */
#define MAX_FRESH_INIT_BYTES ((size_t)2 << 20)
#define RELAY_KEEP_US 1000000 /* longer than a relay takes to come from another node */
#define SILENCE_US 400000     /* looked at every 100 ms: relays hear something within 500 */

struct page_sink {
    struct mux_sink sink;
    struct feed *feed;
    bool failed;
};

struct feed *feed_create(struct media_loop *home, enum feed_format_id format,
                         const struct stream_conf *conf)
{
    struct feed *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    f->format = &k_formats[format];
    f->format_id = format;
    f->home = home;
    f->conf = conf;
    flush_init(f);
    list_init(&f->taps);
    track_set_init(&f->tracks);
    f->mux.last_hw_us = INT64_MIN / 2;
    f->window = page_create(home->pool, PAGE_SMALL, 1, 0);
    if (!f->window) {
        free(f);
        return NULL;
    }
    f->published = f->tail = f->window;
    atomic_init(&f->window_seq, f->window->seq);
    return f;
}

struct feed *feed_ref(struct feed *feed)
{
    atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
    return feed;
}

void feed_unref(struct feed **feed)
{
    struct feed *gone = *feed;

    *feed = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(gone);
}

void feed_close(struct feed **feed)
{
    struct feed *f = *feed;

    if (!f)
        return;
    flush_forget(f);
    (void)page_publish(f->published); /* so that freeing the window walks the whole chain */
    page_unref(&f->window);
    f->published = f->tail = NULL;
    track_set_fini(&f->tracks);
    feed_unref(feed);
}

/* By how long the last page took to fill. */
static enum page_size next_page_size(const struct feed *f)
{
    const struct feed_page *tail = f->tail;
    int64_t since_us = tail->written_marks ? tail->marks[0].appended_us : 0;
    int64_t took_us = loop_now_us(f->home->loop) - since_us;

    if (took_us < PAGE_TOO_SMALL_US)
        return PAGE_LARGE;
    return took_us > PAGE_TOO_LARGE_US ? PAGE_SMALL : tail->size;
}

static bool add_page(struct feed *f)
{
    struct feed_page *page = page_create(f->home->pool, next_page_size(f), f->tail->seq + 1,
                                         f->tail->before_bytes + page_memory_bytes(f->tail));

    if (!page)
        return false;
    f->tail->written_next = page; /* the link owns the reference */
    f->tail = page;
    return true;
}

static void put_bytes(struct mux_sink *sink, struct buf_view bytes)
{
    struct page_sink *ps = (struct page_sink *)sink;
    struct buf_reader in = buf_reader_from(bytes);

    page_copy(ps->feed->tail, &in);
    while (in.left_bytes && !ps->failed) {
        ps->failed = !add_page(ps->feed);
        page_copy(ps->feed->tail, &in);
    }
}

static void put_body(struct mux_sink *sink, const struct media_frame *frame, struct buf_view part)
{
    struct page_sink *ps = (struct page_sink *)sink;

    if (part.size_bytes < PAGE_PART_BYTES) {
        put_bytes(sink, part);
        return;
    }
    while (!ps->failed && !page_lend(ps->feed->tail, frame, part))
        ps->failed = !add_page(ps->feed);
}

static struct feed_init *make_init(struct feed *f, int64_t dts_us)
{
    struct feed_init *init = NULL;
    struct buf_writer out;

    buf_writer_init(&out, 1 << 26);
    f->format->write_init(&out, &f->tracks, dts_us);
    if (buf_writer_status(&out) == E_OK)
        init = feed_init_create(f->tracks.version, buf_writer_view(&out));
    if (init)
        init->run = f->mux.run;
    buf_writer_fini(&out);
    return init;
}

static void note_entry(struct feed *f)
{
    if (f->n_entries == FEED_MAX_ENTRIES)
        memmove(f->entries, f->entries + 1, --f->n_entries * sizeof f->entries[0]);
    f->entries[f->n_entries++] = (struct feed_entry){f->tail, f->tail->written_marks - 1};
    if (f->n_entries == 1)
        f->published_us = 0; /* viewers may be waiting for the first one: due now */
}

/* Inline: for each frame of each feed. */
static inline bool begin_unit(struct feed *f, const struct media_frame_info *info, bool entry)
{
    struct feed_init *init = NULL;
    struct feed_mark *mark;

    if (entry && !(init = make_init(f, info->dts_us)))
        return false;
    if (page_is_full(f->tail) && !add_page(f)) {
        feed_init_unref(&init);
        return false;
    }
    mark = page_begin_unit(f->tail);
    mark->version = f->tracks.version;
    mark->appended_us = loop_now_us(f->home->loop);
    mark->gop = info->gop;
    mark->init = init;
    if (entry) {
        f->fresh_init_bytes += init->size_bytes;
        f->tail->init_bytes += init->size_bytes;
        note_entry(f);
    }
    return true;
}

static void append(struct feed *f, const struct media_frame *frame, bool entry)
{
    struct page_sink ps = {.sink = {put_bytes, put_body}, .feed = f};

    if (f->set_flags & FEED_ENDED)
        return;
    entry = entry && f->fresh_init_bytes < MAX_FRESH_INIT_BYTES;
    track_set_apply(&f->tracks, frame);
    if (!begin_unit(f, &frame->info, entry)) {
        feed_set_flags(f, FEED_ENDED | FEED_BROKEN);
        return;
    }
    f->format->write_unit(&ps.sink, &f->mux, frame, entry);
    if (ps.failed)
        feed_set_flags(f, FEED_ENDED | FEED_BROKEN);
    if (frame->info.kind == MEDIA_VIDEO)
        f->pending_video = true;
}

void feed_append(struct feed *feed, const struct media_frame *frame, bool entry)
{
    append(feed, frame, entry);
    flush_touch(feed);
}

void feed_fill(struct feed *feed, const struct gop_cache *cache)
{
    track_set_copy(&feed->tracks, &cache->base);
    for (size_t i = 0; i < cache->n_items; i++) {
        const struct gop_item *item = gop_cache_at(cache, i);

        append(feed, item->frame, item->entry);
    }
    feed_publish(feed);
}

void feed_clear_tracks(struct feed *feed)
{
    track_set_clear(&feed->tracks);
}

void feed_set_upstream(struct feed *feed, uint64_t epoch, uint64_t run, int64_t wall_offset_us)
{
    feed->mux.epoch = epoch;
    feed->mux.run = run;
    feed->mux.wall_offset_us = wall_offset_us;
    atomic_store_explicit(&feed->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&feed->run, run, memory_order_relaxed);
}

void feed_set_path(struct feed *feed, const char *path)
{
    feed->mux.path = path;
}

void feed_set_lag(struct feed *feed, const struct stream_lag *lag)
{
    feed->mux.lag = lag;
}

void feed_check_silence(struct feed *feed, const struct media_frame_info *now)
{
    struct page_sink ps = {.sink = {put_bytes, put_body}, .feed = feed};

    if (!feed->format->write_idle || feed->pending || feed->set_flags & FEED_ENDED)
        return;
    if (!feed->mux.path && (loop_now_us(feed->home->loop) - feed->published_us < SILENCE_US ||
                            now->ingest_us == feed->mux.last_hw_us))
        return;
    if (!begin_unit(feed, now, false))
        return; /* the next look tries again */
    feed->format->write_idle(&ps.sink, &feed->mux, now);
    if (ps.failed)
        feed_set_flags(feed, FEED_ENDED | FEED_BROKEN);
    flush_touch(feed);
}

static void change_flags(struct feed *f, uint32_t flags)
{
    f->set_flags = flags;
    f->published_us = 0; /* due now */
    f->pending_video = true;
    flush_touch(f);
}

void feed_set_flags(struct feed *feed, uint32_t flags)
{
    change_flags(feed, feed->set_flags | flags);
}

void feed_set_live(struct feed *feed, bool live)
{
    change_flags(feed, live ? feed->set_flags | FEED_LIVE : feed->set_flags & ~(uint32_t)FEED_LIVE);
}

static int64_t age_us(const struct feed *f, const struct feed_entry *entry)
{
    return loop_now_us(f->home->loop) - entry->page->marks[entry->mark].appended_us;
}

static bool is_outgrown(const struct feed *f, const struct feed_entry *entry)
{
    return f->tail->before_bytes - entry->page->before_bytes > f->conf->gop.max_bytes ||
           age_us(f, entry) > f->conf->gop.max_us;
}

/* The window keeps the latest gop_cache.count entry points, and for relays the one before for a
 * moment, within the cache's size. */
static void trim_window(struct feed *f)
{
    unsigned keep = f->conf->gop.max_gops ? f->conf->gop.max_gops : 1;
    struct feed_page *first;

    if (f->format->relay && f->n_entries > keep &&
        age_us(f, &f->entries[f->n_entries - keep]) < RELAY_KEEP_US)
        keep++;
    while (f->n_entries > keep || (f->n_entries && is_outgrown(f, &f->entries[0])))
        memmove(f->entries, f->entries + 1, --f->n_entries * sizeof f->entries[0]);
    first = f->n_entries ? f->entries[0].page : f->tail;
    while (f->window != first) {
        struct feed_page *gone = f->window;

        f->window = page_ref(atomic_load_explicit(&gone->next, memory_order_relaxed));
        page_unref(&gone);
    }
    atomic_store_explicit(&f->window_bytes, f->window->before_bytes, memory_order_relaxed);
    atomic_store_explicit(&f->window_seq, f->window->seq, memory_order_release);
}

void feed_publish(struct feed *feed)
{
    struct list *node, *tmp;

    feed->published = page_publish(feed->published);
    trim_window(feed);
    atomic_store_explicit(&feed->flags, feed->set_flags, memory_order_release);
    feed->published_us = loop_now_us(feed->home->loop);
    if (feed->pending_video)
        feed->video_us = feed->published_us;
    feed->pending = feed->pending_video = false;
    feed->fresh_init_bytes = 0;
    list_for_each_safe(node, tmp, &feed->taps)
        media_loop_wake_tap(feed->home, list_entry(node, struct tap, home_node));
}

size_t feed_pinned_bytes(const struct feed *feed, const struct feed_page *oldest)
{
    uint64_t window_bytes = atomic_load_explicit(&feed->window_bytes, memory_order_relaxed);

    return oldest->before_bytes < window_bytes ? (size_t)(window_bytes - oldest->before_bytes) : 0;
}
