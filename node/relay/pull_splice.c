/* The same stream from another foreign server: the new connection is held until its first picture,
 * and that picture tells where it is in what the stream has, since servers pass bodies through.
 * So viewers get each frame once. Without a picture that is known, time goes on, but what the new
 * server has cached comes again. */
#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"
#include "node/conf.h"
#include "node/relay/pull_private.h"

#define MAX_HELD_BYTES (256u * 1024) /* metadata and headers of all tracks */
#define N_MARKS (sizeof((struct pull_marks *)0)->all / sizeof((struct pull_marks *)0)->all[0])

struct pull_hold {
    struct buf_writer bytes; /* of each: type, time, length, body */
    bool has_video;          /* its headers came: a picture will, too */
};

static uint64_t hash_of(struct buf_view body)
{
    static const uint64_t k_key[2] = {0, 0}; /* a server that steers it steers the stream as well */

    return siphash13(k_key, body.data, body.size_bytes);
}

static bool look_at(const struct rtmp_client_event *media, struct media_frame_info *info)
{
    const char *why;

    *info = (struct media_frame_info){0};
    return media->body.size_bytes &&
           flv_parse_body(media->media_type, media->body, info, &why) == E_OK;
}

static bool is_picture(const struct media_frame_info *info)
{
    return info->kind == MEDIA_VIDEO && info->flags & FRAME_KEY && !(info->flags & FRAME_HEADERS) &&
           !info->track_id;
}

/* --- where pictures are --- */

void pull_marks_note(struct pull *p, const struct rtmp_client_event *media)
{
    struct media_frame_info info;
    uint64_t gop = stream_gop(p->stream), run = stream_run(p->stream);
    unsigned last = (p->marks.next + N_MARKS - 1) % N_MARKS;

    if (media->media_type != RTMP_VIDEO || !look_at(media, &info) || !is_picture(&info))
        return;
    if (p->marks.run != run)
        p->marks = (struct pull_marks){.run = run};
    else if (p->marks.all[last].gop == gop) /* one that the stream had */
        return;
    p->marks.all[p->marks.next].hash = hash_of(media->body);
    p->marks.all[p->marks.next].gop = gop;
    p->marks.all[p->marks.next].timestamp_ms = media->timestamp_ms;
    p->marks.next = (p->marks.next + 1) % N_MARKS;
}

/* 0: not known, or a still picture that was sent again and again. Times tell those apart, where
 * servers leave them alone. */
static uint64_t find(const struct pull *p, const struct rtmp_client_event *media)
{
    uint64_t hash = hash_of(media->body), found = 0;
    unsigned n = 0;

    for (unsigned i = 0; p->marks.run == stream_run(p->stream) && i < N_MARKS; i++) {
        if (!p->marks.all[i].gop || p->marks.all[i].hash != hash)
            continue;
        found = p->marks.all[i].gop;
        n++;
        if (p->marks.all[i].timestamp_ms == media->timestamp_ms)
            return found;
    }
    return n == 1 ? found : 0;
}

/* --- until the first picture --- */

enum err pull_hold_begin(struct pull_link *l)
{
    l->hold = calloc(1, sizeof *l->hold);
    if (!l->hold)
        return E_NOMEM;
    buf_writer_init(&l->hold->bytes, MAX_HELD_BYTES);
    timer_start_ms(&l->timer, (int64_t)l->nl->node->conf.upstream_stall_ms); /* GOPs may be long */
    return E_OK;
}

void pull_hold_free(struct pull_hold **hold)
{
    if (*hold)
        buf_writer_fini(&(*hold)->bytes);
    free(*hold);
    *hold = NULL;
}

static enum err keep(struct pull_hold *hold, const struct rtmp_client_event *media)
{
    buf_write_u8(&hold->bytes, media->media_type);
    buf_write_u32be(&hold->bytes, media->timestamp_ms);
    buf_write_u32be(&hold->bytes, (uint32_t)media->body.size_bytes);
    buf_write_view(&hold->bytes, media->body);
    return buf_writer_status(&hold->bytes);
}

static enum err push(struct pull_link *l, uint8_t type, uint32_t timestamp_ms, struct buf_view body)
{
    return stream_push(&l->source, type, ts_unwrap_us(&l->unwrap, timestamp_ms), body, &l->why);
}

static enum err give_held(struct pull_link *l, struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes);
    enum err e = E_OK;

    while (e == E_OK && l->pull && in.left_bytes) {
        uint8_t type = buf_read_u8(&in);
        uint32_t timestamp_ms = buf_read_u32be(&in), size = buf_read_u32be(&in);

        e = push(l, type, timestamp_ms, buf_take(&in, size));
    }
    return e;
}

/* The link is the stream's source from here on. */
static enum err release(struct pull_link *l, const struct rtmp_client_event *media, uint64_t gop)
{
    struct source_offer offer = {.numbers_gops = true, .run = random_u64() | 1, .gop = gop};
    struct pull_hold *hold = l->hold;
    enum err e;

    l->hold = NULL;
    if (gop)
        offer.run = stream_run(l->stream);
    e = pull_link_attach(l, &offer);
    if (e == E_OK)
        e = give_held(l, buf_writer_view(&hold->bytes));
    if (e == E_OK && l->pull)
        e = push(l, media->media_type, media->timestamp_ms, media->body);
    pull_hold_free(&hold);
    return e;
}

enum err pull_hold_media(struct pull_link *l, const struct rtmp_client_event *media)
{
    struct media_frame_info info;
    bool parsed = look_at(media, &info);

    if (!parsed || info.kind == MEDIA_DATA || info.flags & FRAME_HEADERS) {
        l->hold->has_video |= parsed && info.kind == MEDIA_VIDEO;
        return keep(l->hold, media);
    }
    if (is_picture(&info))
        return release(l, media, find(l->pull, media));
    return l->hold->has_video ? E_OK : release(l, media, 0); /* sound, or nobody said pictures */
}
