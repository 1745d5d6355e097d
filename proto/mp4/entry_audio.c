/* Sample entries of sound. ISO 14496-12 12.2.3, and the binding of each codec. */
#include "proto/mp4/box.h"

#define FLAC_STREAMINFO_BYTES 38u /* with its block header */
#define FLAC_LAST_BLOCK 0x80u

enum { /* ISO 14496-1: table 1 (tags), table 5 (object types), table 6 (stream types) */
       TAG_ES = 3,
       TAG_DECODER_CONFIG = 4,
       TAG_DECODER_SPECIFIC = 5,
       TAG_SL_CONFIG = 6,
       OBJECT_AAC = 0x40,
       OBJECT_MPEG2_AUDIO = 0x69,
       OBJECT_MPEG1_AUDIO = 0x6b,
       STREAM_AUDIO = 5
};

/* --- esds: ISO 14496-14 5.6 --- */

static void write_descriptor(struct buf_writer *w, unsigned tag, size_t size_bytes)
{
    buf_write_u8(w, tag);
    for (unsigned shift = 21; shift > 0; shift -= 7) /* always four bytes, as all muxers do */
        buf_write_u8(w, 0x80 | (size_bytes >> shift & 0x7f));
    buf_write_u8(w, size_bytes & 0x7f);
}

static void write_esds(struct buf_writer *w, const struct codec_params *p)
{
    enum { HEADER = 5, CONFIG = 13, ES = 3, SL = 1 };
    size_t specific = p->record.size_bytes ? HEADER + p->record.size_bytes : 0;
    size_t esds = mp4_begin_full_box(w, "esds", 0, 0);

    write_descriptor(w, TAG_ES, ES + HEADER + CONFIG + specific + HEADER + SL);
    mp4_write_zeros(w, 3); /* ES_ID 0, as 14496-14 has it, and no flags */
    write_descriptor(w, TAG_DECODER_CONFIG, CONFIG + specific);
    buf_write_u8(w, p->codec == CODEC_AAC        ? OBJECT_AAC
                    : p->audio.mpeg_version == 1 ? OBJECT_MPEG1_AUDIO
                                                 : OBJECT_MPEG2_AUDIO);
    buf_write_u8(w, STREAM_AUDIO << 2 | 1);
    mp4_write_zeros(w, 3 + 4 + 4); /* buffer size, most and average bits a second: not known */
    if (specific) {
        write_descriptor(w, TAG_DECODER_SPECIFIC, p->record.size_bytes);
        buf_write_view(w, p->record);
    }
    write_descriptor(w, TAG_SL_CONFIG, SL);
    buf_write_u8(w, 2); /* predefined for MP4 */
    mp4_end_box(w, esds);
}

/* --- others --- */

/* Opus in ISOBMFF 4.3.2: the ID header, big endian. */
static void write_dops(struct buf_writer *w, const struct codec_params *p)
{
    const struct codec_opus *o = &p->audio.opus;
    size_t dops = mp4_begin_box(w, "dOps");

    buf_write_u8(w, 0);
    buf_write_u8(w, p->audio.channels);
    buf_write_u16be(w, o->pre_skip);
    buf_write_u32be(w, o->input_rate_hz);
    buf_write_u16be(w, (uint16_t)o->gain);
    buf_write_u8(w, o->mapping_family);
    if (o->mapping_family) {
        buf_write_u8(w, o->n_streams);
        buf_write_u8(w, o->n_coupled);
        buf_write(w, o->mapping, p->audio.channels);
    }
    mp4_end_box(w, dops);
}

/* ETSI TS 102 366 F.4. */
static void write_dac3(struct buf_writer *w, const struct codec_params *p)
{
    const struct ac3_info *a = &p->audio.ac3;
    size_t dac3 = mp4_begin_box(w, "dac3");

    /* fscod:2 bsid:5 bsmod:3 acmod:3 lfeon:1 bit_rate_code:5 reserved:5 */
    buf_write_u24be(w, (uint32_t)a->fscod << 22 | (uint32_t)a->bsid << 17 |
                           (uint32_t)a->bsmod << 14 | (uint32_t)a->acmod << 11 |
                           (uint32_t)a->lfeon << 10 | (uint32_t)a->bit_rate_code << 5);
    mp4_end_box(w, dac3);
}

/* ETSI TS 102 366 F.6. Only the first independent substream is described: players play that one. */
static void write_dec3(struct buf_writer *w, const struct codec_params *p)
{
    const struct ac3_info *a = &p->audio.ac3;
    size_t dec3 = mp4_begin_box(w, "dec3");

    buf_write_u16be(w, (unsigned)a->rate_kbps << 3); /* data_rate:13 num_ind_sub:3, one less */
    /* fscod:2 bsid:5 reserved:1 asvc:1 bsmod:3 acmod:3 lfeon:1 reserved:3 num_dep_sub:4, then
     * chan_loc:9 or reserved:1 */
    buf_write_u16be(w, (unsigned)a->fscod << 14 | (unsigned)a->bsid << 9 | (unsigned)a->bsmod << 4 |
                           (unsigned)a->acmod << 1 | a->lfeon);
    if (a->n_dependent)
        buf_write_u16be(w, (unsigned)a->n_dependent << 9 | a->chan_loc);
    else
        buf_write_u8(w, 0);
    mp4_end_box(w, dec3);
}

/* FLAC in ISOBMFF 3.3.2: metadata blocks. STREAMINFO is the one that decoding needs, and so it is
 * marked as the last one. */
static void write_dfla(struct buf_writer *w, const struct codec_params *p)
{
    struct buf_reader in = buf_reader_from(p->record);
    size_t dfla = mp4_begin_full_box(w, "dfLa", 0, 0);

    buf_write_u8(w, buf_read_u8(&in) | FLAC_LAST_BLOCK);
    buf_write_view(w, buf_take(&in, FLAC_STREAMINFO_BYTES - 1));
    mp4_end_box(w, dfla);
}

/* --- the entry --- */

static const struct audio_row {
    const char *entry;
    void (*write_config)(struct buf_writer *w, const struct codec_params *p);
    size_t min_config_bytes; /* of codec_params.record */
} k_rows[CODEC_COUNT] = {
    [CODEC_AAC] = {"mp4a", write_esds, 2},
    [CODEC_MP3] = {"mp4a", write_esds, 0},
    [CODEC_OPUS] = {"Opus", write_dops, 0},
    [CODEC_FLAC] = {"fLaC", write_dfla, FLAC_STREAMINFO_BYTES},
    [CODEC_AC3] = {"ac-3", write_dac3, 0},
    [CODEC_EAC3] = {"ec-3", write_dec3, 0},
};

enum err mp4_audio_fault(const struct codec_params *params, const char **why)
{
    const struct audio_row *row = &k_rows[params->codec];

    if (!row->entry) {
        *why = "audio codec without a place in MP4";
        return E_UNSUPPORTED;
    }
    *why = "sample rate and channels are not known yet";
    if (!params->audio.sample_rate_hz || !params->audio.channels)
        return E_INVAL;
    *why = "no codec configuration yet";
    return params->record.size_bytes >= row->min_config_bytes ? E_OK : E_INVAL;
}

/* 16.16 fixed point holds 65535 Hz at most. Of FLAC's higher rates the half that fits is said, as
 * its binding asks (3.3.1); decoders look into the configuration. */
static uint32_t entry_rate(const struct codec_params *params)
{
    uint32_t rate_hz = params->audio.sample_rate_hz;

    while (rate_hz > UINT16_MAX)
        rate_hz /= 2;
    return rate_hz;
}

void mp4_write_audio_entry(struct buf_writer *w, const struct codec_params *params)
{
    const struct audio_row *row = &k_rows[params->codec];
    size_t entry = mp4_begin_box(w, row->entry);

    mp4_write_zeros(w, 6);
    buf_write_u16be(w, 1); /* data_reference_index */
    mp4_write_zeros(w, 8);
    buf_write_u16be(w, params->audio.channels);
    buf_write_u16be(w, params->audio.bits);
    mp4_write_zeros(w, 4);
    buf_write_u32be(w, entry_rate(params) << 16);
    row->write_config(w, params);
    mp4_end_box(w, entry);
}
