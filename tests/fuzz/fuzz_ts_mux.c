/* links: proto/ts
 * Tracks and frames in any order, with any bytes and times; every packet that comes out is looked
 * at. The input is a row of steps: what, codec, track, time step (2 bytes), size (2 bytes), bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/ts/ts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

struct checker {
    struct ts_sink sink;
    uint8_t next[8192]; /* continuity counter + 1; 0 = none yet */
    size_t n_packets;
};

static void check_packet(struct checker *c, const uint8_t *p)
{
    unsigned pid = (p[1] & 0x1fu) << 8 | p[2];
    unsigned counter = p[3] & 15, expected = c->next[pid] - 1u;

    require(p[0] == 0x47 && (p[1] & 0xa0) == 0 && (p[3] & 0xc0) == 0 && (p[3] & 0x30) != 0);
    if (p[3] & 0x20)
        require(p[3] & 0x10 ? p[4] <= 182 : p[4] == 183);
    if (p[3] & 0x10) {
        require(c->next[pid] == 0 || counter == expected);
        c->next[pid] = (uint8_t)(((counter + 1) & 15) + 1);
    }
    c->n_packets++;
}

static void check_put(struct ts_sink *sink, struct buf_view bytes)
{
    struct checker *c = (struct checker *)sink; /* sink comes first */

    require(bytes.size_bytes > 0 && bytes.size_bytes % TS_PACKET_BYTES == 0);
    for (size_t at = 0; at < bytes.size_bytes; at += TS_PACKET_BYTES)
        check_packet(c, bytes.data + at);
}

struct step {
    uint8_t what; /* 0 configuration, 1 frame that describes its track, 2 removal, else a frame */
    enum media_codec codec;
    uint8_t track_id;
    int16_t time_step;
    struct buf_view bytes; /* a copy */
};

static bool next_step(struct buf_reader *in, struct step *s)
{
    struct buf_view bytes;
    uint8_t *copy;
    size_t size_bytes;

    s->what = buf_read_u8(in);
    s->codec = buf_read_u8(in) % CODEC_COUNT;
    s->track_id = buf_read_u8(in) % 16;
    s->time_step = (int16_t)buf_read_u16be(in);
    size_bytes = buf_read_u16be(in);
    bytes = buf_take(in, size_bytes < in->left_bytes ? size_bytes : in->left_bytes);
    copy = malloc(bytes.size_bytes ? bytes.size_bytes : 1);
    if (!copy || in->overrun) {
        free(copy);
        return false;
    }
    if (bytes.size_bytes)
        memcpy(copy, bytes.data, bytes.size_bytes);
    s->bytes = buf_view_of(copy, bytes.size_bytes);
    return true;
}

static void set_track(struct ts_mux *mux, const struct step *s)
{
    struct codec_params params;
    const char *why = NULL;
    enum err e = s->what % 8 == 0 ? codec_params_from_config(s->codec, s->bytes, &params, &why)
                                  : codec_params_from_frame(s->codec, s->bytes, &params, &why);

    if (e != E_OK)
        return;
    e = ts_mux_set_track(mux, s->track_id, &params, &why);
    require((e == E_OK) == ts_mux_has_track(mux, params.kind, s->track_id) || e == E_TOO_BIG ||
            e == E_NOMEM);
    require(e == E_OK || why);
}

static void write_frame(struct ts_mux *mux, struct checker *c, const struct step *s, int64_t dts_us)
{
    struct ts_frame frame = {.kind = s->what & 8 ? MEDIA_VIDEO : MEDIA_AUDIO,
                             .codec = s->codec,
                             .track_id = s->track_id,
                             .key = s->what & 16,
                             .entry = s->what & 32,
                             .dts_us = dts_us,
                             .pts_us = s->what & 64 ? dts_us : dts_us + s->time_step,
                             .es = s->bytes};
    size_t before = c->n_packets;
    const char *why = NULL;
    enum err e = ts_mux_write(mux, &c->sink, &frame, &why);

    require(e == E_OK ? c->n_packets > before : c->n_packets == before && why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct checker s_checker;
    struct buf_reader in = buf_reader_from(buf_view_of(data, size));
    struct ts_mux mux;
    int64_t dts_us = 0;
    struct step s;

    memset(&s_checker, 0, sizeof s_checker);
    s_checker.sink.put = check_put;
    ts_mux_init(&mux);
    while (next_step(&in, &s)) {
        dts_us += s.time_step * INT64_C(500);
        if (s.what % 8 <= 1)
            set_track(&mux, &s);
        else if (s.what % 8 == 2)
            ts_mux_remove_track(&mux, s.what & 8 ? MEDIA_VIDEO : MEDIA_AUDIO, s.track_id);
        else
            write_frame(&mux, &s_checker, &s, dts_us);
        require(mux.n_tracks <= TS_MAX_TRACKS);
        free((void *)(uintptr_t)s.bytes.data);
    }
    ts_mux_fini(&mux);
    return 0;
}
