/* AudioSpecificConfig and ADTS. */
#include "proto/codec/aac.h"

#include <stdio.h>

#include "proto/codec/bits.h"
#include "proto/codec/params.h"

enum {
    AOT_LC = 2,
    AOT_LTP = 4,
    AOT_SBR = 5,
    AOT_LD = 23,
    AOT_PS = 29,
    AOT_ESCAPE = 31,
    AOT_ELD = 39
};
enum { RATE_INDEX_OWN = 15 };
enum { SYNC_SBR = 0x2b7, SYNC_PS = 0x548 };

static const uint32_t k_rates_hz[16] = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050,
                                        16000, 12000, 11025, 8000,  7350,  0,     0,     0};
static const uint8_t k_channels[16] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0};

static unsigned read_object_type(struct bit_reader *r)
{
    unsigned type = bit_read(r, 5);

    return type == AOT_ESCAPE ? 32 + bit_read(r, 6) : type;
}

static uint32_t read_rate_hz(struct bit_reader *r, uint8_t *index)
{
    *index = (uint8_t)bit_read(r, 4);
    return *index == RATE_INDEX_OWN ? bit_read(r, 24) : k_rates_hz[*index];
}

/* 4.4.1.1: how many channels the elements have. */
static unsigned read_program_config(struct bit_reader *r)
{
    unsigned n_elements, n_lfe, n_channels = 0;

    bit_skip(r, 4 + 2 + 4); /* tag, object type, rate index */
    n_elements = bit_read(r, 4);
    n_elements += bit_read(r, 4);
    n_elements += bit_read(r, 4); /* front, side, back */
    n_lfe = bit_read(r, 2);
    bit_skip(r, 3 + 4); /* associated data, coupling */
    if (bit_read_flag(r))
        bit_skip(r, 4); /* mono mixdown */
    if (bit_read_flag(r))
        bit_skip(r, 4); /* stereo mixdown */
    if (bit_read_flag(r))
        bit_skip(r, 3); /* matrix mixdown */
    for (unsigned i = 0; i < n_elements; i++) {
        n_channels += bit_read_flag(r) ? 2 : 1;
        bit_skip(r, 4);
    }
    return n_channels + n_lfe;
}

/* What follows behind GASpecificConfig for decoders that know SBR: 1.6.5.2, "explicit, backward
 * compatible". */
static void read_sync_extension(struct bit_reader *r, struct aac_config *c)
{
    uint8_t index;

    if (bit_left(r) < 16 || bit_read(r, 11) != SYNC_SBR || read_object_type(r) != AOT_SBR)
        return;
    c->sbr = bit_read_flag(r);
    if (!c->sbr)
        return;
    c->output_rate_hz = read_rate_hz(r, &index);
    if (bit_left(r) >= 12 && bit_read(r, 11) == SYNC_PS)
        c->ps = bit_read_flag(r);
}

/* 4.4.1 GASpecificConfig, as far as the plain object types have it. */
static void read_ga_config(struct bit_reader *r, struct aac_config *c)
{
    bool extended;

    c->samples_per_frame = bit_read_flag(r) ? 960 : 1024;
    if (c->object_type == AOT_LD || c->object_type == AOT_ELD)
        c->samples_per_frame /= 2;
    if (c->object_type > AOT_LTP)
        return;
    if (bit_read_flag(r))
        bit_skip(r, 14); /* delay of the core coder */
    extended = bit_read_flag(r);
    if (c->channel_config == 0)
        c->channels = (uint8_t)read_program_config(r);
    else if (!extended && !c->sbr)
        read_sync_extension(r, c);
}

enum err aac_parse_config(struct buf_view config, struct aac_config *out, const char **why)
{
    struct bit_reader r = bit_reader_from(config);
    struct aac_config c = {0};
    unsigned type = read_object_type(&r);
    uint8_t index;

    c.core_rate_hz = c.output_rate_hz = read_rate_hz(&r, &c.rate_index);
    c.channel_config = (uint8_t)bit_read(&r, 4);
    c.channels = k_channels[c.channel_config];
    if (type == AOT_SBR || type == AOT_PS) {
        c.sbr = true;
        c.ps = type == AOT_PS;
        c.output_rate_hz = read_rate_hz(&r, &index);
        type = read_object_type(&r);
    }
    c.object_type = (uint8_t)type;
    if (bit_overrun(&r))
        return params_fail(why, "AudioSpecificConfig is cut off");
    if (type == 0)
        return params_fail(why, "AudioSpecificConfig: object type 0");
    read_ga_config(&r, &c);
    if (bit_overrun(&r))
        return params_fail(why, "AudioSpecificConfig is cut off");
    if (c.core_rate_hz == 0 || c.output_rate_hz == 0)
        return params_fail(why, "AudioSpecificConfig: reserved sampling rate");
    if (c.channels == 0)
        return params_fail(why, "AudioSpecificConfig: reserved channel configuration");
    *out = c;
    return E_OK;
}

enum err aac_put_adts(const struct aac_config *config, size_t frame_bytes,
                      uint8_t out[AAC_ADTS_BYTES], const char **why)
{
    unsigned profile = config->object_type - 1u;
    unsigned channels = config->channel_config;
    unsigned size_bytes = (unsigned)frame_bytes + AAC_ADTS_BYTES;

    if (config->object_type > AOT_LTP || config->rate_index == RATE_INDEX_OWN || channels == 0 ||
        channels > 7) {
        *why = "AAC object type, sampling rate or channels that ADTS cannot say";
        return E_UNSUPPORTED;
    }
    if (frame_bytes > AAC_ADTS_MAX_FRAME_BYTES) {
        *why = "AAC frame above the 8191 bytes that ADTS can say";
        return E_TOO_BIG;
    }
    out[0] = 0xff; /* syncword:12 */
    out[1] = 0xf1; /* ID:1 = 0, MPEG-4; layer:2; protection_absent:1 */
    out[2] = (uint8_t)(profile << 6 | (unsigned)config->rate_index << 2 | channels >> 2);
    out[3] = (uint8_t)((channels & 3) << 6 | size_bytes >> 11); /* frame length:13 */
    out[4] = (uint8_t)(size_bytes >> 3);
    out[5] = (uint8_t)((size_bytes & 7) << 5 | 0x1f); /* buffer fullness:11, 7ff = variable rate */
    out[6] = 0xfc;                                    /* one raw data block */
    return E_OK;
}

enum err aac_next_adts(struct buf_reader *in, struct aac_adts *out)
{
    struct buf_reader at = *in, frame;
    uint64_t header = buf_read_be(&at, AAC_ADTS_BYTES);
    bool has_crc = !(header >> 40 & 1);
    size_t size_bytes = (size_t)(header >> 13 & 0x1fff);

    if (at.overrun)
        return E_AGAIN;
    out->object_type = (uint8_t)((header >> 38 & 3) + 1);
    out->rate_index = (uint8_t)(header >> 34 & 0x0f);
    out->channel_config = (uint8_t)(header >> 30 & 7);
    out->rate_hz = k_rates_hz[out->rate_index];
    if (header >> 44 != 0xfff || (header >> 41 & 3) != 0 || (header & 3) != 0 || !out->rate_hz ||
        !out->channel_config || size_bytes < AAC_ADTS_BYTES + (has_crc ? 2u : 0u))
        return E_PROTO;
    at = *in;
    frame = buf_reader_from(buf_take(&at, size_bytes));
    if (at.overrun)
        return E_AGAIN;
    (void)buf_take(&frame, AAC_ADTS_BYTES + (has_crc ? 2u : 0u));
    out->raw = buf_rest(&frame);
    *in = at;
    return E_OK;
}

void aac_put_config(const struct aac_adts *adts, uint8_t out[AAC_CONFIG_BYTES])
{
    unsigned bits = (unsigned)adts->object_type << 11 | (unsigned)adts->rate_index << 7 |
                    (unsigned)adts->channel_config << 3;

    out[0] = (uint8_t)(bits >> 8);
    out[1] = (uint8_t)bits;
}

struct buf_view aac_skip_adts(struct buf_view frame)
{
    struct buf_reader in = buf_reader_from(frame);
    uint64_t header = buf_read_be(&in, AAC_ADTS_BYTES);
    bool has_crc = !(header >> 40 & 1);
    size_t size_bytes = (size_t)(header >> 13 & 0x1fff);

    if (header >> 44 != 0xfff || (header >> 41 & 3) != 0 || size_bytes != frame.size_bytes)
        return frame;
    if (has_crc)
        (void)buf_take(&in, 2);
    return in.overrun ? frame : buf_rest(&in);
}

enum err aac_params(struct codec_params *p, struct buf_view config, const char **why)
{
    struct codec_audio *a = &p->audio;
    enum err e = aac_parse_config(config, &a->aac, why);

    if (e != E_OK)
        return e;
    p->record = config;
    a->sample_rate_hz = a->aac.core_rate_hz;
    a->output_rate_hz = a->aac.output_rate_hz;
    a->channels = a->aac.channels;
    a->samples_per_frame = a->aac.samples_per_frame;
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "mp4a.40.%u",
                   a->aac.ps    ? AOT_PS
                   : a->aac.sbr ? AOT_SBR
                                : a->aac.object_type);
    return E_OK;
}
