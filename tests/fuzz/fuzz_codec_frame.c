/* links: proto/codec
 * Any bytes as a frame: NAL units, OBUs, key frames, audio frames; the first byte picks the codec
 * and, for NAL units, the size of their lengths. */
#include <stdlib.h>
#include <string.h>

#include "proto/codec/av1.h"
#include "proto/codec/codec.h"
#include "proto/codec/nal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void try_nals(enum media_codec codec, struct buf_view frame, unsigned length_bytes)
{
    struct nal_reader r = nal_reader_from(frame, length_bytes);
    struct nal_summary sum;
    struct buf_view nal;
    const char *why = NULL;
    unsigned n = 0;
    enum err e, scanned = nal_scan(codec, frame, length_bytes, &sum, &why);

    require((scanned == E_OK) == (why == NULL));
    while ((e = nal_next(&r, &nal, &why)) == E_OK) {
        require(nal.size_bytes > 0);
        require(nal.data >= frame.data &&
                nal.data + nal.size_bytes <= frame.data + frame.size_bytes);
        n++;
    }
    require(scanned == E_OK ? e == E_END && n == sum.n_units : e == E_PROTO || n == 0);
}

static void try_obus(struct buf_view frame)
{
    struct buf_reader in = buf_reader_from(frame);
    struct av1_obu obu;
    const char *why = NULL;
    size_t total_bytes = 0;
    enum err e;

    while ((e = av1_next_obu(&in, &obu, &why)) == E_OK) {
        require(obu.unit.size_bytes > obu.payload.size_bytes);
        total_bytes += obu.unit.size_bytes;
    }
    require(e == E_END ? total_bytes == frame.size_bytes : e == E_PROTO && why);
}

static void try_params(enum media_codec codec, struct buf_view frame)
{
    struct codec_params p = {.codec = CODEC_NONE};
    struct codec_params key = {.codec = codec, .kind = MEDIA_VIDEO};
    const char *why = NULL;

    if (codec_params_from_frame(codec, frame, &p, &why) == E_OK) {
        require(p.kind == MEDIA_AUDIO && p.rfc6381[0]);
        require(p.audio.sample_rate_hz > 0 && p.audio.channels > 0);
        require(p.audio.samples_per_frame == codec_frame_samples(&p, frame));
    } else {
        require(why && p.codec == CODEC_NONE);
    }
    why = NULL;
    if (codec_params_add_key_frame(&key, frame, &why) != E_OK)
        require(why && key.video.width == 0 && key.video.height == 0);
    p = (struct codec_params){.codec = CODEC_FLAC, .kind = MEDIA_AUDIO};
    require(codec_frame_samples(&p, frame) <= 65536);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned k_length_bytes[] = {1, 2, 4, 4};
    struct buf_view frame, raw;
    enum media_codec codec;
    uint8_t *copy;

    if (size == 0)
        return 0;
    copy = malloc(size > 1 ? size - 1 : 1);
    if (!copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    frame = buf_view_of(copy, size - 1);
    codec = (data[0] & 0x3f) % CODEC_COUNT;
    try_nals(codec == CODEC_HEVC ? CODEC_HEVC : CODEC_H264, frame, k_length_bytes[data[0] >> 6]);
    try_obus(frame);
    try_params(codec, frame);
    raw = aac_skip_adts(frame);
    require(raw.size_bytes <= frame.size_bytes);
    free(copy);
    return 0;
}
