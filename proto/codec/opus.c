/* Opus: ID header and TOC byte. */
#include "proto/codec/opus.h"

#include <stdio.h>

#include "proto/codec/params.h"

#define OPUS_MAX_PACKET_SAMPLES 5760u /* 120 ms: RFC 6716 3.2.5 */
#define OPUS_DEFAULT_SAMPLES 960u     /* 20 ms, what encoders use unless told otherwise */

static uint32_t frame_samples(unsigned config)
{
    if (config < 12) /* SILK: 10, 20, 40, 60 ms */
        return config % 4 == 3 ? 2880 : 480u << config % 4;
    if (config < 16) /* hybrid: 10, 20 ms */
        return 480u << config % 2;
    return 120u << config % 4; /* CELT: 2.5, 5, 10, 20 ms */
}

uint32_t opus_packet_samples(struct buf_view packet)
{
    static const uint8_t k_n_frames[3] = {1, 2, 2};
    unsigned n_frames, code;
    uint32_t samples;

    if (packet.size_bytes == 0)
        return 0;
    code = packet.data[0] & 3;
    if (code == 3)
        n_frames = packet.size_bytes > 1 ? packet.data[1] & 0x3f : 0;
    else
        n_frames = k_n_frames[code];
    samples = n_frames * frame_samples(packet.data[0] >> 3);
    return samples <= OPUS_MAX_PACKET_SAMPLES ? samples : 0;
}

unsigned opus_packet_channels(struct buf_view packet)
{
    if (packet.size_bytes == 0)
        return 0;
    return packet.data[0] & 4 ? 2 : 1;
}

static void set_audio(struct codec_params *p, unsigned channels, uint32_t samples)
{
    p->audio.sample_rate_hz = p->audio.output_rate_hz = OPUS_RATE_HZ;
    p->audio.channels = (uint8_t)channels;
    p->audio.samples_per_frame = samples;
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "opus");
}

static uint16_t read_u16le(struct buf_reader *in)
{
    uint16_t value = buf_read_u16be(in);

    return (uint16_t)(value << 8 | value >> 8);
}

/* RFC 7845 5.1.1: family 0 is mono or stereo, the others say which stream each channel is in. */
static enum err read_mapping(struct buf_reader *in, struct codec_opus *o, unsigned channels,
                             const char **why)
{
    if (o->mapping_family == 0) {
        if (channels > 2)
            return params_fail(why, "OpusHead: mapping family 0 with more than 2 channels");
        o->n_streams = 1;
        o->n_coupled = (uint8_t)(channels - 1);
        o->mapping[1] = 1;
        return E_OK;
    }
    o->n_streams = buf_read_u8(in);
    o->n_coupled = buf_read_u8(in);
    for (unsigned i = 0; i < channels; i++)
        o->mapping[i] = buf_read_u8(in);
    if (in->overrun)
        return params_fail(why, "OpusHead: channel mapping is cut off");
    if (o->n_streams == 0 || o->n_coupled > o->n_streams || o->n_streams + o->n_coupled > 255)
        return params_fail(why, "OpusHead: impossible number of streams");
    return E_OK;
}

enum err opus_params(struct codec_params *p, struct buf_view config, const char **why)
{
    struct buf_reader in = buf_reader_from(config);
    struct codec_opus *o = &p->audio.opus;
    bool has_magic = buf_view_equals(buf_take(&in, 8), "OpusHead");
    uint8_t version, channels;
    enum err e;

    p->record = buf_rest(&in);
    version = buf_read_u8(&in);
    channels = buf_read_u8(&in);
    o->pre_skip = read_u16le(&in);
    o->input_rate_hz = buf_read_u32le(&in);
    o->gain = (int16_t)read_u16le(&in);
    o->mapping_family = buf_read_u8(&in);
    if (!has_magic || in.overrun)
        return params_fail(why, "no OpusHead of 19 bytes or more");
    if (version > 15 || channels == 0) /* the upper half of the version breaks compatibility */
        return params_fail(why, "OpusHead: unknown version or no channel");
    e = read_mapping(&in, o, channels, why);
    if (e == E_OK)
        set_audio(p, channels, OPUS_DEFAULT_SAMPLES);
    return e;
}

enum err opus_packet_params(struct codec_params *p, struct buf_view frame, const char **why)
{
    unsigned channels = opus_packet_channels(frame);
    uint32_t samples = opus_packet_samples(frame);
    struct codec_opus *o = &p->audio.opus;

    if (samples == 0)
        return params_fail(why, "Opus packet without frames, or above 120 ms");
    set_audio(p, channels, samples);
    o->input_rate_hz = OPUS_RATE_HZ;
    o->n_streams = 1;
    o->n_coupled = (uint8_t)(channels - 1);
    o->mapping[1] = 1;
    return E_OK;
}
