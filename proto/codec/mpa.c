/* MPEG audio frame headers. */
#include "proto/codec/mpa.h"

#include <stdio.h>

#include "proto/codec/params.h"

/* clang-format off */
static const uint16_t k_rates_kbps[5][15] = { /* ISO 11172-3 2.4.2.3; ISO 13818-3 2.4.2.3 */
    {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448}, /* 1, layer 1 */
    {0, 32, 48, 56,  64,  80,  96, 112, 128, 160, 192, 224, 256, 320, 384}, /* 1, layer 2 */
    {0, 32, 40, 48,  56,  64,  80,  96, 112, 128, 160, 192, 224, 256, 320}, /* 1, layer 3 */
    {0, 32, 48, 56,  64,  80,  96, 112, 128, 144, 160, 176, 192, 224, 256}, /* 2, layer 1 */
    {0,  8, 16, 24,  32,  40,  48,  56,  64,  80,  96, 112, 128, 144, 160}, /* 2, layers 2, 3 */
};
/* clang-format on */
static const uint32_t k_rates_hz[3] = {44100, 48000, 32000};
static const uint8_t k_versions[4] = {3, 0, 2, 1}; /* the bits 01 are reserved */

static uint32_t samples_of(unsigned version, unsigned layer)
{
    if (layer == 1)
        return 384;
    return layer == 3 && version != 1 ? 576 : 1152;
}

static unsigned frame_bytes_of(const struct mpa_info *m, unsigned padding)
{
    unsigned slots;

    if (m->layer == 1) { /* slots of 4 bytes */
        slots = 12000u * m->rate_kbps / m->sample_rate_hz + padding;
        return slots * 4;
    }
    return m->samples / 8 * 1000u * m->rate_kbps / m->sample_rate_hz + padding;
}

enum err mpa_parse(struct buf_view frame, struct mpa_info *out, const char **why)
{
    struct bit_reader r = bit_reader_from(frame);
    unsigned sync = bit_read(&r, 11);
    struct mpa_info m = {0};
    unsigned rate_index, rate_row, hz_index, padding;

    m.version = k_versions[bit_read(&r, 2)];
    m.layer = (uint8_t)(4 - bit_read(&r, 2));
    bit_skip(&r, 1); /* protection */
    rate_index = bit_read(&r, 4);
    hz_index = bit_read(&r, 2);
    padding = bit_read(&r, 1);
    bit_skip(&r, 1); /* private */
    m.channels = bit_read(&r, 2) == 3 ? 1 : 2;
    if (bit_overrun(&r) || sync != 0x7ff)
        return params_fail(why, "MPEG audio frame without its header");
    if (m.version == 0 || m.layer == 4 || rate_index == 15 || hz_index == 3)
        return params_fail(why, "MPEG audio frame with reserved values");
    rate_row = m.version == 1 ? m.layer - 1u : m.layer == 1 ? 3 : 4;
    m.rate_kbps = k_rates_kbps[rate_row][rate_index];
    m.sample_rate_hz = k_rates_hz[hz_index] >> (m.version - 1);
    m.samples = samples_of(m.version, m.layer);
    if (m.rate_kbps)
        m.frame_bytes = frame_bytes_of(&m, padding);
    *out = m;
    return E_OK;
}

enum err mpa_frame_params(struct codec_params *p, struct buf_view frame, const char **why)
{
    struct codec_audio *a = &p->audio;
    struct mpa_info info;
    enum err e = mpa_parse(frame, &info, why);

    if (e != E_OK)
        return e;
    a->sample_rate_hz = a->output_rate_hz = info.sample_rate_hz;
    a->channels = info.channels;
    a->samples_per_frame = info.samples;
    a->mpeg_version = info.version == 1 ? 1 : 2;
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "mp4a.40.%u", 31u + info.layer); /* 34: MP3 */
    return E_OK;
}
