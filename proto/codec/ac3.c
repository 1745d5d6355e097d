/* AC-3 and E-AC-3 sync frames. */
#include "proto/codec/ac3.h"

#include <stdio.h>

#include "proto/codec/params.h"

enum { SYNC_WORD = 0x0b77, BSID_AC3_MAX = 10, BSID_MAX = 16, BLOCK_SAMPLES = 256 };
enum { STREAM_DEPENDENT = 1, STREAM_RESERVED = 3 };

static const uint32_t k_rates_hz[3] = {48000, 44100, 32000};
static const uint16_t k_rates_kbps[19] = {32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                          192, 224, 256, 320, 384, 448, 512, 576, 640};
static const uint8_t k_channels[8] = {2, 1, 2, 3, 3, 4, 4, 5}; /* by acmod */
static const uint8_t k_blocks[4] = {1, 2, 3, 6};

/* Table 4.13: the frame has 1536 samples; at 44.1 kHz the lowest bit of frmsizecod adds a word. */
static uint32_t ac3_frame_bytes(unsigned fscod, unsigned frmsizecod)
{
    uint32_t kbps = k_rates_kbps[frmsizecod >> 1];

    if (fscod == 1)
        return (kbps * 1000 * 96 / 44100 + (frmsizecod & 1)) * 2;
    return kbps * (fscod == 0 ? 4 : 6);
}

static enum err parse_ac3(struct bit_reader *r, struct ac3_info *a, const char **why)
{
    unsigned frmsizecod;

    bit_skip(r, 16 + 16); /* sync word, crc1 */
    a->fscod = (uint8_t)bit_read(r, 2);
    frmsizecod = bit_read(r, 6);
    a->bsid = (uint8_t)bit_read(r, 5);
    a->bsmod = (uint8_t)bit_read(r, 3);
    a->acmod = (uint8_t)bit_read(r, 3);
    if (a->acmod & 1 && a->acmod != 1)
        bit_skip(r, 2); /* cmixlev */
    if (a->acmod & 4)
        bit_skip(r, 2); /* surmixlev */
    if (a->acmod == 2)
        bit_skip(r, 2); /* dsurmod */
    a->lfeon = (uint8_t)bit_read(r, 1);
    if (bit_overrun(r) || a->fscod == 3 || frmsizecod >= 38)
        return params_fail(why, "AC-3 frame: cut off, or with reserved values");
    a->bit_rate_code = (uint8_t)(frmsizecod >> 1);
    a->sample_rate_hz = k_rates_hz[a->fscod] >> (a->bsid > 8 ? a->bsid - 8 : 0);
    a->samples = 6 * BLOCK_SAMPLES;
    a->first_bytes = ac3_frame_bytes(a->fscod, frmsizecod);
    a->rate_kbps = (uint16_t)(k_rates_kbps[a->bit_rate_code] >> (a->bsid > 8 ? a->bsid - 8 : 0));
    a->n_independent = 1;
    return E_OK;
}

/* One E-AC-3 sync frame: E.1.2.2, up to the channel map. */
struct eac3_frame {
    struct ac3_info info;
    unsigned stream_type;
    uint32_t channel_map; /* of a dependent one; 0 = not said */
};

static enum err parse_eac3(struct bit_reader *r, struct eac3_frame *f, const char **why)
{
    struct ac3_info *a = &f->info;
    unsigned blocks_code = 3;

    bit_skip(r, 16);
    f->stream_type = bit_read(r, 2);
    bit_skip(r, 3); /* substream id */
    a->first_bytes = (bit_read(r, 11) + 1) * 2;
    a->fscod = (uint8_t)bit_read(r, 2);
    if (a->fscod == 3) {
        unsigned half = bit_read(r, 2);

        a->sample_rate_hz = half == 3 ? 0 : k_rates_hz[half] / 2;
    } else {
        blocks_code = bit_read(r, 2);
        a->sample_rate_hz = k_rates_hz[a->fscod];
    }
    a->samples = (uint32_t)k_blocks[blocks_code] * BLOCK_SAMPLES;
    a->acmod = (uint8_t)bit_read(r, 3);
    a->lfeon = (uint8_t)bit_read(r, 1);
    a->bsid = (uint8_t)bit_read(r, 5);
    for (unsigned i = 0; i < (a->acmod == 0 ? 2 : 1); i++) {
        bit_skip(r, 5); /* dialnorm */
        if (bit_read_flag(r))
            bit_skip(r, 8); /* compr */
    }
    if (f->stream_type == STREAM_DEPENDENT && bit_read_flag(r))
        f->channel_map = bit_read(r, 16);
    if (bit_overrun(r) || a->sample_rate_hz == 0 || f->stream_type == STREAM_RESERVED)
        return params_fail(why, "E-AC-3 frame: cut off, or with reserved values");
    return E_OK;
}

/* The locations of E.1.3.1.8 (from the left: L C R Ls Rs, then these) as chan_loc has them,
 * F.6.2.5: Lc/Rc is bit 0. */
static uint16_t chan_loc_of(uint32_t channel_map)
{
    uint16_t loc = 0;

    for (unsigned i = 0; i < 8; i++)
        loc |= (uint16_t)((channel_map >> (10 - i) & 1) << i);
    loc |= (uint16_t)((channel_map >> 1 & 1) << 8); /* LFE2 */
    return loc;
}

/* Adds the sync frames behind the first to *a and gives the size of all in *total_bytes. */
static enum err add_substreams(struct buf_reader in, struct ac3_info *a, uint64_t *total_bytes,
                               const char **why)
{
    while (in.left_bytes) {
        struct bit_reader r = bit_reader_from(buf_rest(&in));
        struct eac3_frame f = {0};

        if (parse_eac3(&r, &f, why) != E_OK)
            return E_PROTO;
        (void)buf_take(&in, f.info.first_bytes);
        if (in.overrun)
            return params_fail(why, "E-AC-3 frame reaches over the end");
        *total_bytes += f.info.first_bytes;
        if (f.stream_type != STREAM_DEPENDENT) {
            a->n_independent++;
        } else if (a->n_independent == 1) {
            a->n_dependent++;
            a->chan_loc |= chan_loc_of(f.channel_map);
        }
    }
    return E_OK;
}

static enum err parse_enhanced(struct buf_view frame, struct ac3_info *a, const char **why)
{
    struct bit_reader r = bit_reader_from(frame);
    struct buf_reader in = buf_reader_from(frame);
    struct eac3_frame first = {0};
    uint64_t total_bytes;
    enum err e = parse_eac3(&r, &first, why);

    if (e != E_OK)
        return e;
    *a = first.info;
    a->enhanced = true;
    a->n_independent = 1;
    total_bytes = a->first_bytes;
    (void)buf_take(&in, a->first_bytes);
    if (in.overrun)
        return params_fail(why, "E-AC-3 frame reaches over the end");
    e = add_substreams(in, a, &total_bytes, why);
    a->rate_kbps = (uint16_t)(total_bytes * 8 * a->sample_rate_hz / a->samples / 1000);
    return e;
}

enum err ac3_parse(struct buf_view frame, struct ac3_info *out, const char **why)
{
    struct buf_reader in = buf_reader_from(frame);
    uint64_t start = buf_read_be(&in, 6);
    unsigned bsid = start >> 3 & 0x1f; /* stands at the same place in both */
    struct ac3_info a = {0};
    enum err e;

    if (in.overrun || start >> 32 != SYNC_WORD || bsid > BSID_MAX)
        return params_fail(why, "AC-3 frame without its sync word");
    if (bsid > BSID_AC3_MAX) {
        e = parse_enhanced(frame, &a, why);
    } else {
        struct bit_reader r = bit_reader_from(frame);

        e = parse_ac3(&r, &a, why);
        if (e == E_OK && a.first_bytes > frame.size_bytes)
            e = params_fail(why, "AC-3 frame reaches over the end");
    }
    if (e != E_OK)
        return e;
    a.channels = (uint8_t)(k_channels[a.acmod] + a.lfeon);
    *out = a;
    return E_OK;
}

enum err ac3_frame_params(struct codec_params *p, struct buf_view frame, const char **why)
{
    struct codec_audio *a = &p->audio;
    enum err e = ac3_parse(frame, &a->ac3, why);

    if (e != E_OK)
        return e;
    if (a->ac3.enhanced != (p->codec == CODEC_EAC3))
        return params_fail(why, "AC-3 where E-AC-3 is promised, or the other way round");
    a->sample_rate_hz = a->output_rate_hz = a->ac3.sample_rate_hz;
    a->channels = a->ac3.channels;
    a->samples_per_frame = a->ac3.samples;
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "%s", p->codec == CODEC_EAC3 ? "ec-3" : "ac-3");
    return E_OK;
}
