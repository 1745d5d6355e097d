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
/* Of the stream's time: a track that is promised may be silent. Silence in its place (silent_audio)
 * begins when tracks_wait_ms, 500, is over. */
#define LEARN_MAX_US 750000
#define SILENCE_US 400000 /* looked at every 100 ms: relays hear something within 500 */

struct page_sink {
    struct mux_sink sink;
    struct feed *feed;
    bool failed;
};

struct feed *feed_create(struct media_loop *home, const struct feed_key *key,
                         const struct stream_conf *conf)
{
    struct feed *f = calloc(1, sizeof *f);
    const struct feed_format *maker;

    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    f->format = k_formats[key->format];
    f->key = *key;
    f->mux.style = key->style;
    f->mux.inner = f->format->inner;
    maker = f->format->inner ? f->format->inner : f->format;
    f->init_version = maker->take_tracks ? &f->mux.version : &f->tracks.version;
    f->is_learning = maker->look != NULL;
    f->learn_us = INT64_MIN;
    f->home = home;
    f->conf = conf;
    flush_init(f);
    list_init(&f->taps);
    list_init(&f->stream_node);
    track_set_init(&f->tracks);
    f->mux.last_hw_us = INT64_MIN / 2;
    f->window = page_create(home->pool, PAGE_SMALL, 1, 0);
    if (!f->window || (f->format->open && !f->format->open(&f->mux))) {
        page_unref(&f->window);
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
    if (f->format->close)
        f->format->close(&f->mux);
    feed_unref(feed);
}

static void tell_tracks(struct feed *f)
{
    if (f->format->take_tracks)
        f->format->take_tracks(&f->mux, &f->tracks);
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
    page->before_marks = f->tail->before_marks + f->tail->written_marks;
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
    if (f->format->write_init)
        f->format->write_init(&out, &f->mux, &f->tracks, dts_us);
    if (buf_writer_status(&out) == E_OK)
        init = feed_init_create(*f->init_version, buf_writer_view(&out));
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
static inline struct feed_mark *begin_unit(struct feed *f, const struct media_frame_info *info)
{
    struct feed_mark *mark;

    if (page_is_full(f->tail) && !add_page(f))
        return NULL;
    mark = page_begin_unit(f->tail);
    mark->version = *f->init_version;
    mark->appended_us = loop_now_us(f->home->loop);
    mark->gop = info->gop;
    return mark;
}

static struct feed_mark *begin_entry(struct feed *f, const struct media_frame_info *info)
{
    struct feed_init *init = make_init(f, info->dts_us);
    struct feed_mark *mark = init ? begin_unit(f, info) : NULL;

    if (!mark) {
        feed_init_unref(&init);
        return NULL;
    }
    mark->init = init;
    f->fresh_init_bytes += init->size_bytes;
    f->tail->init_bytes += init->size_bytes;
    note_entry(f);
    return mark;
}

/* The format has no place for the frame. */
static void cancel_unit(struct feed *f, bool entry)
{
    size_t init_bytes = 0;

    (void)page_cancel_unit(f->tail, &init_bytes);
    if (entry) {
        f->fresh_init_bytes -= init_bytes;
        f->n_entries--;
        f->owes_entry = true;
    }
}

/* Where the format has no place for the pictures, the sound behind each key frame is the entry
 * point. */
static bool is_entry(const struct feed *f, const struct media_frame *frame, bool entry)
{
    bool made_up = f->owes_entry && !f->has_pictures && frame->info.kind == MEDIA_AUDIO &&
                   !(frame->info.flags & (FRAME_CONFIG | FRAME_SEQ_END));

    return (entry || made_up) && f->fresh_init_bytes < MAX_FRESH_INIT_BYTES;
}

static void apply_tracks(struct feed *f, const struct media_frame *frame)
{
    if (!track_set_apply(&f->tracks, frame) || !(frame->info.flags & (FRAME_CONFIG | FRAME_EXTRA)))
        return;
    f->has_pictures = false;
    tell_tracks(f);
}

static void note_written(struct feed *f, enum media_kind kind, bool entry)
{
    if (entry)
        f->owes_entry = false;
    if (kind == MEDIA_VIDEO)
        f->pending_video = f->has_pictures = true;
}

static void append(struct feed *f, const struct media_frame *frame, bool entry)
{
    struct page_sink ps = {.sink = {put_bytes, put_body}, .feed = f};

    if (f->set_flags & FEED_ENDED)
        return;
    if (!feed_key_picks(&f->key, &frame->info)) {
        f->owes_entry |= entry;
        return;
    }
    apply_tracks(f, frame);
    entry = is_entry(f, frame, entry);
    if (f->format->look)
        f->format->look(&f->mux, frame);
    if (!(entry ? begin_entry(f, &frame->info) : begin_unit(f, &frame->info))) {
        feed_set_flags(f, FEED_ENDED | FEED_BROKEN);
        return;
    }
    f->format->write_unit(&ps.sink, &f->mux, frame, entry);
    if (ps.failed)
        feed_set_flags(f, FEED_ENDED | FEED_BROKEN);
    else if (page_unit_is_empty(f->tail))
        cancel_unit(f, entry);
    else
        note_written(f, frame->info.kind, entry);
}

void feed_append(struct feed *feed, const struct media_frame *frame, bool entry)
{
    append(feed, frame, entry);
    flush_touch(feed);
}

static uint32_t flag_of(enum media_kind kind)
{
    return kind == MEDIA_AUDIO ? FEED_AUDIO : kind == MEDIA_VIDEO ? FEED_VIDEO : 0;
}

bool feed_learn(struct feed *feed, const struct media_frame *frame)
{
    const struct media_frame_info *info = &frame->info;
    uint32_t promised = feed->set_flags & (FEED_AUDIO | FEED_VIDEO);

    if (!feed_key_picks(&feed->key, info))
        return false;
    if (!(info->flags & FRAME_EXTRA)) /* says nothing by itself */
        feed->learned |= flag_of(info->kind);
    if (feed->learn_us == INT64_MIN)
        feed->learn_us = info->dts_us;
    if (!(feed->set_flags & FEED_READY) ||
        ((promised & ~feed->learned) && info->dts_us - feed->learn_us < LEARN_MAX_US))
        return false;
    feed->is_learning = false;
    feed->format->look(&feed->mux, frame);
    return true;
}

/* What lies in the cache says what its first entry point's init data needs. */
static void look_ahead(struct feed *f, const struct gop_cache *cache)
{
    for (unsigned i = 0; i < f->tracks.n_configs; i++)
        if (f->tracks.configs[i]->info.flags & FRAME_CONFIG)
            f->learned |= flag_of(f->tracks.configs[i]->info.kind);
    for (size_t i = 0; f->format->look && i < cache->n_items; i++)
        if (feed_key_picks(&f->key, &gop_cache_at(cache, i)->frame->info))
            f->format->look(&f->mux, gop_cache_at(cache, i)->frame);
    for (size_t i = 0; f->is_learning && i < cache->n_items; i++)
        (void)feed_learn(f, gop_cache_at(cache, i)->frame);
}

static bool picks(const void *key, const struct media_frame_info *info)
{
    return feed_key_picks(key, info);
}

void feed_fill(struct feed *feed, const struct gop_cache *cache)
{
    track_set_copy(&feed->tracks, &cache->base);
    track_set_filter(&feed->tracks, picks, &feed->key);
    tell_tracks(feed);
    look_ahead(feed, cache);
    for (size_t i = 0; !feed->is_learning && i < cache->n_items; i++) {
        const struct gop_item *item = gop_cache_at(cache, i);

        append(feed, item->frame, item->entry);
    }
    feed_publish(feed);
}

void feed_set_codecs(struct feed *feed, const struct stream_codecs *codecs)
{
    uint32_t packed = (uint32_t)codecs->audio | (uint32_t)codecs->video << 8 |
                      codecs->n_more_audio << 16 | codecs->n_more_video << 24;

    atomic_store_explicit(&feed->codecs, packed, memory_order_release);
}

void feed_get_codecs(const struct feed *feed, struct stream_codecs *codecs)
{
    uint32_t packed = atomic_load_explicit(&feed->codecs, memory_order_acquire);

    *codecs = (struct stream_codecs){.audio = (enum media_codec)(packed & 0xff),
                                     .video = (enum media_codec)(packed >> 8 & 0xff),
                                     .n_more_audio = packed >> 16 & 0xff,
                                     .n_more_video = packed >> 24};
}

void feed_clear_tracks(struct feed *feed)
{
    track_set_clear(&feed->tracks);
    tell_tracks(feed);
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

void feed_set_plan(struct feed *feed, const struct stream_plan *plan)
{
    feed->mux.plan = plan;
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
    if (!begin_unit(feed, now))
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

/* Tracks that are there, but not in this feed. */
static uint32_t hidden_flags(const struct feed_key *key)
{
    return key->tracks == TRACKS_AUDIO ? FEED_VIDEO : key->tracks == TRACKS_VIDEO ? FEED_AUDIO : 0;
}

void feed_set_flags(struct feed *feed, uint32_t flags)
{
    change_flags(feed, feed->set_flags | (flags & ~hidden_flags(&feed->key)));
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
