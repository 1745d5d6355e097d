/* Feed: the writing side of the page chain. */
#include "node/stream/feed.h"

#include <stdlib.h>
#include <string.h>

#include "node/stream/media_loop.h"
#include "node/stream/tap.h"

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
    list_init(&f->touched_node);
    list_init(&f->flush_node);
    list_init(&f->taps);
    track_set_init(&f->tracks);
    f->mux.last_hw_us = INT64_MIN / 2;
    f->account = page_account_create();
    f->window = f->account ? page_create(f->account, 1) : NULL;
    if (!f->window) {
        page_account_unref(&f->account);
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
    page_account_unref(&gone->account);
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

static bool add_page(struct feed *f)
{
    struct feed_page *page = page_create(f->account, f->tail->seq + 1);

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

    while (in.left_bytes && !ps->failed) {
        struct feed_page *page = ps->feed->tail;
        size_t room = PAGE_BYTES - page->written_bytes;
        struct buf_view part;

        if (!room) {
            ps->failed = !add_page(ps->feed);
            continue;
        }
        part = buf_take(&in, in.left_bytes < room ? in.left_bytes : room);
        memcpy(page->data + page->written_bytes, part.data, part.size_bytes);
        page->written_bytes += (uint32_t)part.size_bytes;
    }
}

static struct feed_init *make_init(struct feed *f, int64_t dts_us)
{
    struct feed_init *init = NULL;
    struct buf_writer out;

    buf_writer_init(&out, 1 << 26);
    f->format->write_init(&out, &f->tracks, dts_us);
    if (buf_writer_status(&out) == E_OK)
        init = feed_init_create(f->tracks.version, buf_writer_view(&out));
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

static bool begin_unit(struct feed *f, const struct media_frame *frame, bool entry)
{
    struct feed_page *page = f->tail;
    struct feed_mark *mark;

    if (page->written_marks == PAGE_MARKS || page->written_bytes == PAGE_BYTES ||
        page->init_bytes >= PAGE_INIT_BYTES) {
        if (!add_page(f))
            return false;
        page = f->tail;
    }
    mark = &page->marks[page->written_marks];
    *mark = (struct feed_mark){.offset = page->written_bytes,
                               .version = f->tracks.version,
                               .appended_us = loop_now_us(f->home->loop),
                               .gop = frame->info.gop};
    if (entry && !(mark->init = make_init(f, frame->info.dts_us)))
        return false;
    page->init_bytes += entry ? mark->init->size_bytes : 0;
    page->written_marks++;
    if (entry)
        note_entry(f);
    return true;
}

static void append(struct feed *f, const struct media_frame *frame, bool entry)
{
    struct page_sink ps = {.sink = {put_bytes}, .feed = f};

    if (f->set_flags & FEED_ENDED)
        return;
    track_set_apply(&f->tracks, frame);
    if (!begin_unit(f, frame, entry)) {
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

void feed_set_upstream(struct feed *feed, uint64_t epoch, int64_t wall_offset_us)
{
    feed->mux.epoch = epoch;
    feed->mux.wall_offset_us = wall_offset_us;
    atomic_store_explicit(&feed->epoch, epoch, memory_order_relaxed);
}

void feed_set_flags(struct feed *feed, uint32_t flags)
{
    feed->set_flags |= flags;
    feed->published_us = 0; /* due now */
    feed->pending_video = true;
    flush_touch(feed);
}

static bool is_outgrown(const struct feed *f, const struct feed_entry *entry)
{
    int64_t age_us = loop_now_us(f->home->loop) - entry->page->marks[entry->mark].appended_us;

    return (f->tail->seq - entry->page->seq) * PAGE_BYTES > f->conf->gop.max_bytes ||
           age_us > f->conf->gop.max_us;
}

/* The window keeps the latest gop_cache.count entry points, within the cache's size. */
static void trim_window(struct feed *f)
{
    unsigned keep = f->conf->gop.max_gops ? f->conf->gop.max_gops : 1;
    struct feed_page *first;

    while (f->n_entries > keep || (f->n_entries && is_outgrown(f, &f->entries[0])))
        memmove(f->entries, f->entries + 1, --f->n_entries * sizeof f->entries[0]);
    first = f->n_entries ? f->entries[0].page : f->tail;
    while (f->window != first) {
        struct feed_page *gone = f->window;

        f->window = page_ref(atomic_load_explicit(&gone->next, memory_order_relaxed));
        page_unref(&gone);
    }
    atomic_store_explicit(&f->window_seq, f->window->seq, memory_order_release);
}

void feed_publish(struct feed *feed)
{
    struct list *node, *tmp;

    feed->published = page_publish(feed->published);
    trim_window(feed);
    atomic_store_explicit(&feed->flags, feed->set_flags, memory_order_release);
    feed->pending = feed->pending_video = false;
    feed->published_us = loop_now_us(feed->home->loop);
    list_for_each_safe(node, tmp, &feed->taps)
        media_loop_wake_tap(feed->home, list_entry(node, struct tap, home_node));
}

size_t feed_pinned_bytes(const struct feed *feed, uint64_t oldest_seq)
{
    uint64_t window_seq = atomic_load_explicit(&feed->window_seq, memory_order_relaxed);

    if (oldest_seq >= window_seq)
        return 0;
    return (size_t)(window_seq - oldest_seq) * sizeof(struct feed_page);
}
