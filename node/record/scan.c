/* See scan.h. */
#include "node/record/scan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/codec/codec.h"
#include "proto/flv/flv.h"
#include "proto/ts/ts.h"

#define US_PER_MS 1000
#define FLV_LOOK_BYTES 64u      /* of a body: header and ModEx */
#define FLV_CONFIG_BYTES 65536u /* of a configuration */
#define MAX_MOOF_BYTES (1u << 20)
#define MAX_INIT_BYTES (1u << 20)

/* --- FLV --- */

struct flv_walk {
    const struct record_source *source;
    struct record_scan *out;
    uint32_t last_ms[2], step_ms[2]; /* by kind: the last frame, and its distance to that before */
};

/* The size of the picture, and what the sound is. What cannot be read is left out. */
static void look_at_config(struct flv_walk *w, uint64_t at, uint32_t size_bytes,
                           const struct media_frame_info *info)
{
    struct flv_seek_facts *facts = &w->out->flv;
    struct codec_params params;
    const char *why;
    uint8_t *body = size_bytes <= FLV_CONFIG_BYTES ? malloc(size_bytes) : NULL;

    if (body && w->source->read(w->source, at, body, size_bytes) && info->es_offset < size_bytes &&
        codec_params_from_config(info->codec,
                                 buf_view_of(body + info->es_offset, size_bytes - info->es_offset),
                                 &params, &why) == E_OK) {
        if (params.kind == MEDIA_VIDEO) {
            facts->width = params.video.width;
            facts->height = params.video.height;
        } else {
            facts->sample_rate_hz = params.audio.sample_rate_hz;
            facts->channels = params.audio.channels;
        }
    }
    free(body);
}

static void note_time(struct flv_walk *w, enum media_kind kind, uint32_t ms)
{
    if (ms > w->last_ms[kind])
        w->step_ms[kind] = ms - w->last_ms[kind];
    w->last_ms[kind] = ms;
    if (ms > w->out->flv.last_ms)
        w->out->flv.last_ms = ms;
    if (ms + w->step_ms[kind] > w->out->flv.duration_ms)
        w->out->flv.duration_ms = ms + w->step_ms[kind];
}

/* One tag, with its trailer. */
static enum err walk_tag(struct flv_walk *w, uint64_t at, uint32_t *size_bytes)
{
    const struct record_source *source = w->source;
    uint8_t head[FLV_TAG_HEADER_BYTES], trailer[4], expected[4], body[FLV_LOOK_BYTES];
    struct media_frame_info info = {.kind = MEDIA_DATA};
    struct buf_reader r = buf_reader_from(buf_view_of(head, sizeof head));
    uint32_t data_bytes, ms, look_bytes;
    const char *why;
    uint8_t type;

    if (!source->read(source, at, head, sizeof head))
        return E_END;
    type = buf_read_u8(&r);
    data_bytes = buf_read_u24be(&r);
    ms = buf_read_u24be(&r);
    ms |= (uint32_t)buf_read_u8(&r) << 24;
    if ((type != FLV_TAG_AUDIO && type != FLV_TAG_VIDEO) || !data_bytes)
        return E_END;
    flv_put_tag_trailer(expected, data_bytes);
    if (!source->read(source, at + sizeof head + data_bytes, trailer, sizeof trailer) ||
        memcmp(trailer, expected, sizeof trailer) != 0)
        return E_END;
    look_bytes = data_bytes < sizeof body ? data_bytes : (uint32_t)sizeof body;
    if (!source->read(source, at + sizeof head, body, look_bytes))
        return E_END;
    *size_bytes = data_bytes + (uint32_t)(sizeof head + sizeof trailer);
    info.kind = type == FLV_TAG_AUDIO ? MEDIA_AUDIO : MEDIA_VIDEO;
    if (flv_parse_body(type, buf_view_of(body, look_bytes), &info, &why) != E_OK)
        return E_END;
    w->out->flv.codecs[info.kind] = info.codec;
    if (info.flags & FRAME_CONFIG)
        look_at_config(w, at + sizeof head, data_bytes, &info);
    else
        note_time(w, info.kind, ms);
    if (info.flags & FRAME_KEY && info.kind == MEDIA_VIDEO)
        return flv_seek_add_key(&w->out->flv, ms, at) ? E_OK : E_NOMEM;
    return E_OK;
}

/* The header, and a front that is as long as this room makes it. */
static bool has_flv_front(const struct record_source *source)
{
    uint8_t head[FLV_TAG_HEADER_BYTES];
    struct buf_reader r = buf_reader_from(buf_view_of(head, sizeof head));

    if (!source->read(source, 0, head, 3) || memcmp(head, "FLV", 3) != 0 ||
        !source->read(source, FLV_SEEK_META_AT, head, sizeof head) ||
        buf_read_u8(&r) != FLV_TAG_SCRIPT)
        return false;
    return buf_read_u24be(&r) + FLV_TAG_HEADER_BYTES + 4u == FLV_SEEK_META_BYTES &&
           source->size_bytes >= FLV_SEEK_FIRST_AT;
}

static enum err scan_flv(const struct record_source *source, struct record_scan *out)
{
    struct flv_walk w = {.source = source, .out = out};
    uint64_t at = FLV_SEEK_FIRST_AT;
    uint32_t size_bytes = 0;
    enum err e = has_flv_front(source) ? E_OK : E_PROTO;

    if (e != E_OK)
        return e;
    while ((e = walk_tag(&w, at, &size_bytes)) == E_OK)
        at += size_bytes;
    if (e != E_END)
        return e;
    out->good_bytes = at;
    out->duration_us = (int64_t)out->flv.duration_ms * US_PER_MS;
    memcpy(out->codecs, out->flv.codecs, sizeof out->codecs);
    return at > FLV_SEEK_FIRST_AT ? E_OK : E_PROTO;
}

/* --- MP4 --- */

struct box {
    uint32_t type;
    uint64_t at, size_bytes;
};

static bool read_box(const struct record_source *source, uint64_t at, struct box *box)
{
    uint8_t head[8];
    struct buf_reader r = buf_reader_from(buf_view_of(head, sizeof head));

    if (!source->read(source, at, head, sizeof head))
        return false;
    box->at = at;
    box->size_bytes = buf_read_u32be(&r);
    box->type = buf_read_u32be(&r);
    return box->size_bytes >= 8 && box->size_bytes <= source->size_bytes - at;
}

/* The whole box in memory of its own; NULL: not to be had. */
static uint8_t *load_box(const struct record_source *source, const struct box *box, uint64_t max)
{
    uint8_t *bytes = box->size_bytes <= max ? malloc((size_t)box->size_bytes) : NULL;

    if (bytes && source->read(source, box->at, bytes, (size_t)box->size_bytes))
        return bytes;
    free(bytes);
    return NULL;
}

/* The place behind the init section; 0 = there is none. */
static uint64_t scan_init(const struct record_source *source, struct mp4_movie *movie)
{
    struct box ftyp, moov;
    uint8_t *bytes;
    enum err e;

    if (!read_box(source, 0, &ftyp) || ftyp.type != MEDIA_FOURCC('f', 't', 'y', 'p') ||
        ftyp.size_bytes > MAX_INIT_BYTES ||
        !read_box(source, ftyp.size_bytes + MP4_HOLD_BYTES, &moov))
        return 0;
    bytes = load_box(source, &moov, MAX_INIT_BYTES);
    if (!bytes)
        return 0;
    e = mp4_movie_take_init(movie, buf_view_of(bytes, (size_t)moov.size_bytes));
    free(bytes);
    return e == E_OK ? moov.at + moov.size_bytes : 0;
}

/* One fragment; *at is moved behind it. E_END: there is none. */
static enum err scan_fragment(const struct record_source *source, struct mp4_movie *movie,
                              uint64_t *at)
{
    struct box moof, mdat;
    uint8_t *bytes;
    enum err e;

    if (!read_box(source, *at, &moof) || moof.type != MEDIA_FOURCC('m', 'o', 'o', 'f') ||
        !read_box(source, *at + moof.size_bytes, &mdat) ||
        mdat.type != MEDIA_FOURCC('m', 'd', 'a', 't'))
        return E_END;
    bytes = load_box(source, &moof, MAX_MOOF_BYTES);
    if (!bytes)
        return E_END;
    e = mp4_movie_take_fragment(movie, buf_view_of(bytes, (size_t)moof.size_bytes), *at,
                                mdat.size_bytes - 8);
    free(bytes);
    if (e == E_OK)
        *at = mdat.at + mdat.size_bytes;
    return e == E_PROTO ? E_END : e;
}

static enum err scan_mp4(const struct record_source *source, struct record_scan *out)
{
    uint64_t at;
    enum err e = E_OK;

    out->movie = mp4_movie_create();
    if (!out->movie)
        return E_NOMEM;
    at = scan_init(source, out->movie);
    if (!at)
        return E_PROTO;
    while (e == E_OK)
        e = scan_fragment(source, out->movie, &at);
    if (e != E_END)
        return e;
    out->good_bytes = at;
    out->duration_us = mp4_movie_duration_us(out->movie);
    for (unsigned kind = 0; kind < 2; kind++)
        out->codecs[kind] = mp4_movie_codec(out->movie, (enum media_kind)kind);
    return mp4_movie_samples(out->movie) ? E_OK : E_PROTO;
}

/* --- TS --- */

#define TS_STEP_PACKETS 512u
#define TS_HZ_PER_MS 90
#define TS_TIME_BITS 33

struct ts_walk {
    int64_t first, last[2], step[2]; /* 90 kHz, by kind */
    bool has_first;
    enum media_codec codecs[2];
};

static void note_stream(struct ts_walk *w, uint8_t stream_type)
{
    static const struct {
        uint8_t type;
        enum media_kind kind;
        enum media_codec codec;
    } k_types[] = {
        {0x1b, MEDIA_VIDEO, CODEC_H264}, {0x24, MEDIA_VIDEO, CODEC_HEVC},
        {0x0f, MEDIA_AUDIO, CODEC_AAC},  {0x03, MEDIA_AUDIO, CODEC_MP3},
        {0x04, MEDIA_AUDIO, CODEC_MP3},  {0x81, MEDIA_AUDIO, CODEC_AC3},
        {0x87, MEDIA_AUDIO, CODEC_EAC3}, {0x06, MEDIA_AUDIO, CODEC_OPUS},
    };

    for (size_t i = 0; i < sizeof k_types / sizeof k_types[0]; i++)
        if (k_types[i].type == stream_type)
            w->codecs[k_types[i].kind] = k_types[i].codec;
}

/* The PMT of one packet: ISO 13818-1 2.4.4.8. */
static void walk_pmt(struct ts_walk *w, struct buf_reader r)
{
    uint16_t section_bytes;
    struct buf_reader streams;

    (void)buf_take(&r, 1u + buf_read_u8(&r)); /* pointer_field, table_id */
    section_bytes = buf_read_u16be(&r) & 0xfff;
    if (r.overrun || section_bytes < 13 || section_bytes > r.left_bytes)
        return;
    streams = buf_reader_from(buf_take(&r, section_bytes - 4u)); /* without CRC */
    (void)buf_take(&streams, 7);                                 /* up to PCR_PID, with it */
    (void)buf_take(&streams, buf_read_u16be(&streams) & 0xfff);
    while (!streams.overrun && streams.left_bytes >= 5) {
        note_stream(w, buf_read_u8(&streams));
        (void)buf_read_u16be(&streams);
        (void)buf_take(&streams, buf_read_u16be(&streams) & 0xfff);
    }
}

static int64_t read_time(struct buf_reader *r) /* 2.4.3.7 */
{
    int64_t high = buf_read_u8(r) >> 1 & 7, mid = buf_read_u16be(r) >> 1,
            low = buf_read_u16be(r) >> 1;

    return high << 30 | mid << 15 | low;
}

/* What began last counts as long as the one before it did. */
static void walk_pes(struct ts_walk *w, struct buf_reader r, enum media_kind kind)
{
    uint8_t flags;
    int64_t time, from_last;

    (void)buf_take(&r, 7);
    flags = buf_read_u8(&r);
    (void)buf_read_u8(&r);
    time = read_time(&r);
    if (flags & 0x40)
        time = read_time(&r);
    if (r.overrun || !(flags & 0x80))
        return;
    if (!w->has_first) {
        w->first = time;
        w->has_first = true;
    }
    time = (time - w->first) & ((INT64_C(1) << TS_TIME_BITS) - 1);
    from_last = time - w->last[kind];
    if (time >> (TS_TIME_BITS - 1)) /* before the first */
        return;
    if (from_last > 0)
        w->step[kind] = from_last;
    w->last[kind] = time;
}

static bool walk_packet(struct ts_walk *w, const uint8_t *packet)
{
    struct buf_reader r = buf_reader_from(buf_view_of(packet, TS_PACKET_BYTES));
    uint16_t pid;
    uint8_t control;

    if (buf_read_u8(&r) != 0x47)
        return false;
    pid = buf_read_u16be(&r);
    control = buf_read_u8(&r);
    if (!(pid & 0x4000)) /* nothing begins in it */
        return true;
    if (control & 0x20)
        (void)buf_take(&r, buf_read_u8(&r));
    pid &= 0x1fff;
    if (pid == TS_PID_PMT)
        walk_pmt(w, r);
    else if (pid == TS_PID_VIDEO || pid == TS_PID_AUDIO)
        walk_pes(w, r, pid == TS_PID_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO);
    return true;
}

static enum err scan_ts(const struct record_source *source, struct record_scan *out)
{
    uint8_t *packets = malloc((size_t)TS_STEP_PACKETS * TS_PACKET_BYTES);
    uint64_t n_packets = source->size_bytes / TS_PACKET_BYTES, at = 0;
    struct ts_walk w = {.first = 0};
    bool is_good = packets != NULL;

    while (is_good && at < n_packets) {
        uint64_t left = n_packets - at;
        size_t n = left < TS_STEP_PACKETS ? (size_t)left : TS_STEP_PACKETS;

        is_good = source->read(source, at * TS_PACKET_BYTES, packets, n * TS_PACKET_BYTES);
        for (size_t i = 0; i < n && is_good; i++) {
            is_good = walk_packet(&w, packets + i * TS_PACKET_BYTES);
            at += is_good;
        }
    }
    free(packets);
    if (!packets)
        return E_NOMEM;
    out->good_bytes = at * TS_PACKET_BYTES;
    for (unsigned kind = 0; kind < 2; kind++) {
        int64_t end_us = (w.last[kind] + w.step[kind]) * US_PER_MS / TS_HZ_PER_MS;

        if (end_us > out->duration_us)
            out->duration_us = end_us;
        out->codecs[kind] = w.codecs[kind];
    }
    return w.has_first ? E_OK : E_PROTO;
}

/* --- all --- */

enum err record_scan(enum record_format_id format, const struct record_source *source,
                     struct record_scan *out)
{
    static enum err (*const k_scans[RECORD_N_FORMATS])(const struct record_source *source,
                                                       struct record_scan *out) = {
        [RECORD_FLV] = scan_flv,
        [RECORD_TS] = scan_ts,
        [RECORD_MP4] = scan_mp4,
        [RECORD_HLS] = scan_ts,
    };
    enum err e;

    *out = (struct record_scan){.good_bytes = 0};
    e = k_scans[format](source, out);
    if (e != E_OK)
        record_scan_fini(out);
    return e;
}

void record_scan_fini(struct record_scan *scan)
{
    free(scan->flv.keys);
    mp4_movie_destroy(&scan->movie);
    *scan = (struct record_scan){.good_bytes = 0};
}
