/* links: proto/mp4
 * A configuration and frames of any time and size: whatever is written must be boxes that fill each
 * other, and sample tables that fill the mdat. */
#include <stdlib.h>
#include <string.h>

#include "proto/mp4/mp4.h"

enum { MAX_SAMPLES = 64 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Walks boxes; those of the list hold boxes themselves. Adds up what truns say. */
static void walk(struct buf_view bytes, uint64_t *body_bytes, size_t *n_samples)
{
    static const char k_holders[] = "moov trak mdia minf stbl dinf mvex moof traf";
    struct buf_reader r = buf_reader_from(bytes);

    while (r.left_bytes) {
        uint32_t size_bytes = buf_read_u32be(&r);
        char type[5] = {0};
        struct buf_view content;
        struct buf_reader in;
        uint32_t n;
        bool video;

        check(size_bytes >= 8 && r.left_bytes >= size_bytes - 4);
        memcpy(type, buf_take(&r, 4).data, 4);
        content = buf_take(&r, size_bytes - 8);
        in = buf_reader_from(content);
        if (strstr(k_holders, type))
            walk(content, body_bytes, n_samples);
        if (strcmp(type, "trun") != 0)
            continue;
        video = buf_read_u32be(&in) & 0x800;
        n = buf_read_u32be(&in);
        (void)buf_read_u32be(&in); /* data offset */
        for (uint32_t i = 0; i < n; i++) {
            (void)buf_read_u32be(&in);
            *body_bytes += buf_read_u32be(&in);
            (void)buf_take(&in, video ? 8 : 0);
        }
        *n_samples += n;
        check(!in.overrun && in.left_bytes == 0);
    }
}

/* A time of any magnitude up to 2^50 us, 35 years: the first byte says of which. */
static int64_t read_time(struct buf_reader *in)
{
    unsigned shift = 14 + buf_read_u8(in) % 48;
    int64_t value = (int64_t)(buf_read_be(in, 8) >> shift);

    return shift & 1 ? -value : value;
}

static size_t read_samples(struct buf_reader *in, struct mp4_sample *samples, unsigned n_tracks)
{
    size_t n = 0;

    while (in->left_bytes && n < MAX_SAMPLES) {
        unsigned bits = buf_read_u8(in);

        samples[n].track = bits % n_tracks;
        samples[n].key = bits & 2;
        samples[n].disposable = bits & 4;
        samples[n].dts_us = read_time(in);
        samples[n].cts_us = read_time(in);
        samples[n].size_bytes = bits & 8 ? buf_read_u32be(in) : buf_read_u8(in);
        samples[n].n_sound = bits & 16 ? buf_read_u16be(in) : 0;
        n++;
    }
    return n;
}

static void try_fragment(struct buf_reader *in, const struct codec_params *const *tracks,
                         unsigned n_tracks)
{
    struct mp4_sample samples[MAX_SAMPLES];
    struct mp4_fragment f = {.samples = samples};
    uint64_t body_bytes = 0;
    size_t n_samples = 0;
    struct mp4_mux mux;
    struct buf_writer w;
    struct buf_view moof;
    struct buf_reader r;

    buf_writer_init(&w, 1 << 16);
    mp4_mux_init(&mux, tracks, n_tracks);
    f.next_dts_us[0] = read_time(in);
    f.n_samples = read_samples(in, samples, n_tracks);
    if (mp4_write_fragment(&w, &mux, &f) != E_OK) {
        check(w.used_bytes == 0);
        buf_writer_fini(&w);
        return;
    }
    r = buf_reader_from(buf_writer_view(&w));
    moof = buf_take(&r, w.used_bytes - 8);
    walk(moof, &body_bytes, &n_samples);
    check(n_samples == f.n_samples && buf_read_u32be(&r) == 8 + body_bytes);
    buf_writer_fini(&w);
}

/* False: not a track that goes into MP4. */
static bool read_track(struct buf_reader *in, enum media_kind kind, struct codec_params *params)
{
    enum media_codec codec = (enum media_codec)(buf_read_u8(in) % CODEC_COUNT);
    struct buf_view config = buf_take(in, buf_read_u8(in));
    const char *why;
    enum err e;

    e = codec_has_config(codec) ? codec_params_from_config(codec, config, params, &why)
                                : codec_params_from_frame(codec, config, params, &why);
    return e == E_OK && params->kind == kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size));
    struct codec_params params[MP4_MAX_TRACKS];
    const struct codec_params *tracks[MP4_MAX_TRACKS];
    unsigned n_tracks = 0;
    struct buf_writer w;
    const char *why;

    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    buf_writer_init(&w, 1 << 16);
    n_tracks += read_track(&in, MEDIA_VIDEO, &params[0]);
    n_tracks += read_track(&in, MEDIA_AUDIO, &params[n_tracks]);
    for (unsigned i = 0; i < n_tracks; i++)
        tracks[i] = &params[i];
    if (n_tracks && mp4_write_init(&w, tracks, n_tracks, &why) == E_OK) {
        walk(buf_writer_view(&w), &(uint64_t){0}, &(size_t){0});
        try_fragment(&in, tracks, n_tracks);
    } else {
        check(w.used_bytes == 0);
    }
    buf_writer_fini(&w);
    free(copy);
    return 0;
}
