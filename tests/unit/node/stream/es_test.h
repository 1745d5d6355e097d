/* What the tests of the formats that carry elementary streams share: tracks, frames and a sink. */
#ifndef HW_TESTS_STREAM_ES_TEST_H
#define HW_TESTS_STREAM_ES_TEST_H

#include "tests/unit/node/stream/stream_test.h"

/* --- frames: FLV header, then the elementary stream data --- */

static const uint8_t k_avc_config[] = {/* High, 320x180, 30000/1001 pictures a second */
                                       0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1b, 0x67, 0x64,
                                       0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x6a,
                                       0x02, 0x02, 0x02, 0x80, 0x00, 0x01, 0xf4, 0x80, 0x00, 0x75,
                                       0x30, 0x07, 0x8a, 0x14, 0xcb, 0x01, 0x00, 0x06, 0x68, 0xeb,
                                       0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00};
static const uint8_t k_aac_44k[] = {0x12, 0x10}, k_aac_48k[] = {0x11, 0x90};
static const uint8_t k_idr[] = {0, 0, 0, 4, 0x65, 1, 2, 3}, k_slice[] = {0, 0, 0, 3, 0x41, 5, 6};
static const uint8_t k_sound[] = {0x21, 0x10, 0x05, 0x20};
static const uint8_t k_mp3[417] = {0xff, 0xfb, 0x90, 0x00}; /* 44.1 kHz, 128 kbit/s */

#define ES(array) buf_view_of(array, sizeof(array))

static inline const struct media_frame *es_frame(enum media_codec codec, unsigned flags,
                                                 int64_t dts_us, struct buf_view es)
{
    struct media_frame_info info = {
        .kind = codec >= CODEC_AAC ? MEDIA_AUDIO : MEDIA_VIDEO,
        .codec = codec,
        .flags = (uint16_t)flags,
        .es_offset = codec >= CODEC_AAC ? 2 : 5,
        .dts_us = dts_us,
    };
    uint8_t body[4096] = {0};

    assert_true(info.es_offset + es.size_bytes <= sizeof body);
    memcpy(body + info.es_offset, es.data, es.size_bytes);
    return media_frame_create(&info, buf_view_of(body, info.es_offset + es.size_bytes));
}

/* --- a format with what a feed does around it --- */

struct es_rig {
    struct mux_sink sink;
    const struct feed_format *format;
    struct mux_context ctx;
    struct track_set tracks;
    struct buf_writer out;       /* units */
    struct buf_writer init;      /* of the last entry point */
    struct buf_view last;        /* of out: the last unit */
    const struct media_frame *f; /* the one being written */
};

static inline void es_put(struct mux_sink *sink, struct buf_view bytes)
{
    buf_write_view(&((struct es_rig *)sink)->out, bytes);
}

static inline void es_put_body(struct mux_sink *sink, const struct media_frame *frame,
                               struct buf_view part)
{
    struct es_rig *r = (struct es_rig *)sink;

    assert_ptr_equal(frame, r->f);
    assert_true(part.data >= frame->body &&
                part.data + part.size_bytes <= frame->body + frame->size_bytes);
    buf_write_view(&r->out, part);
}

static inline void es_init(struct es_rig *r, enum feed_format_id id)
{
    memset(r, 0, sizeof *r);
    r->sink = (struct mux_sink){es_put, es_put_body};
    r->format = k_formats[id];
    r->ctx.inner = r->format->inner;
    track_set_init(&r->tracks);
    buf_writer_init(&r->out, 1 << 22);
    buf_writer_init(&r->init, 1 << 22);
    assert_true(!r->format->open || r->format->open(&r->ctx));
    if (r->format->take_tracks)
        r->format->take_tracks(&r->ctx, &r->tracks);
}

static inline void es_fini(struct es_rig *r)
{
    if (r->format->close)
        r->format->close(&r->ctx);
    track_set_fini(&r->tracks);
    buf_writer_fini(&r->out);
    buf_writer_fini(&r->init);
}

/* Gives the number of bytes of the unit. */
static inline size_t es_write(struct es_rig *r, enum media_codec codec, unsigned flags,
                              int64_t dts_us, struct buf_view es, bool entry)
{
    size_t before = r->out.used_bytes;

    r->f = es_frame(codec, flags, dts_us, es);
    if (track_set_apply(&r->tracks, r->f) && r->format->take_tracks)
        r->format->take_tracks(&r->ctx, &r->tracks);
    if (r->format->look)
        r->format->look(&r->ctx, r->f);
    if (entry && r->format->write_init) {
        buf_writer_clear(&r->init);
        r->format->write_init(&r->init, &r->ctx, &r->tracks, dts_us);
    }
    r->format->write_unit(&r->sink, &r->ctx, r->f, entry);
    media_frame_unref(&r->f);
    assert_int_equal(buf_writer_status(&r->out), E_OK);
    r->last = buf_view_of(r->out.data + before, r->out.used_bytes - before);
    return r->last.size_bytes;
}

static inline size_t es_video(struct es_rig *r, bool key, int64_t dts_us)
{
    return es_write(r, CODEC_H264, key ? FRAME_KEY : 0, dts_us, key ? ES(k_idr) : ES(k_slice), key);
}

static inline size_t es_audio(struct es_rig *r, int64_t dts_us, bool entry)
{
    return es_write(r, CODEC_AAC, 0, dts_us, ES(k_sound), entry);
}

static inline size_t es_config(struct es_rig *r, enum media_codec codec, struct buf_view config)
{
    return es_write(r, codec, FRAME_CONFIG, 0, config, false);
}

#endif
