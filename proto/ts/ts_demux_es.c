/* The form that each codec's frames have in PES packets, made into that of MP4 and FLV. */
#include <string.h>

#include "proto/codec/aac.h"
#include "proto/codec/ac3.h"
#include "proto/codec/annexb.h"
#include "proto/codec/mpa.h"
#include "proto/codec/opus.h"
#include "proto/ts/ts_demux_private.h"

enum { OPUS_PREFIX = 0x3ff, MAX_CONFIG_BYTES = 32 };

/* --- what is told ------------------------------------------------------------------------------
 */

static void fill(const struct ts_es *es, struct buf_view bytes, struct ts_unit *out)
{
    *out = (struct ts_unit){.kind = es->codec->kind,
                            .codec = es->codec->codec,
                            .dts_us = es->dts_us,
                            .pts_us = es->pts_us,
                            .es = bytes};
}

/* E_OK: it is another one, and told in *out; E_AGAIN: it is known. */
static enum err tell_config(struct ts_es *es, struct buf_view config, struct ts_unit *out)
{
    bool same = es->told_config && es->config.used_bytes == config.size_bytes &&
                !memcmp(es->config.data, config.data, config.size_bytes);

    if (same)
        return E_AGAIN;
    buf_writer_clear(&es->config);
    buf_write_view(&es->config, config);
    if (buf_writer_status(&es->config) != E_OK)
        return buf_writer_status(&es->config);
    es->told_config = true;
    fill(es, buf_writer_view(&es->config), out);
    out->config = true;
    return E_OK;
}

/* Where a new PES packet begins, so does its time. */
static void take_time(struct ts_es *es)
{
    if (es->next_dts_us == TS_NO_TIME ||
        es->pes.used_bytes - es->rest.left_bytes < es->carried_bytes)
        return;
    es->dts_us = es->next_dts_us;
    es->pts_us = es->next_pts_us;
    es->next_dts_us = TS_NO_TIME;
}

/* --- pictures: a PES packet is one -------------------------------------------------------------
 */

static void add_nal(struct ts_es *es, struct buf_view nal)
{
    buf_write_u32be(&es->frame, (uint32_t)nal.size_bytes);
    buf_write_view(&es->frame, nal);
}

/* Parameter sets go into the configuration; delimiters and filling say nothing to MP4. */
static enum err gather_nals(struct ts_es *es, bool *has_new_sets)
{
    const unsigned left_out = 1u << NAL_VPS | 1u << NAL_SPS | 1u << NAL_PPS | 1u << NAL_AUD |
                              1u << NAL_FILLER | 1u << NAL_END;
    struct buf_view nal;

    buf_writer_clear(&es->frame);
    es->is_key = false;
    while (annexb_next(&es->rest, &nal)) {
        enum nal_kind kind = nal_kind_of(es->codec->codec, nal);
        enum err e = nal_sets_add(&es->sets, nal);

        if (e == E_NOMEM)
            return e;
        *has_new_sets |= e == E_OK;
        es->is_key |= kind == NAL_KEY;
        if (!(1u << kind & left_out))
            add_nal(es, nal);
    }
    return buf_writer_status(&es->frame);
}

static enum err tell_sets(struct ts_es *es, struct ts_unit *out)
{
    struct buf_writer record;
    enum err e;

    buf_writer_init(&record, es->config.max_bytes);
    e = nal_sets_write_record(&es->sets, &record);
    if (e == E_OK)
        e = tell_config(es, buf_writer_view(&record), out);
    buf_writer_fini(&record);
    return e;
}

static enum err next_picture(struct ts_es *es, struct ts_unit *out)
{
    bool has_new_sets = false;
    enum err e;

    if (es->rest.left_bytes) {
        take_time(es);
        e = gather_nals(es, &has_new_sets);
        es->has_frame = e == E_OK && es->frame.used_bytes;
        if (e == E_OK && has_new_sets)
            e = tell_sets(es, out);
        else if (e == E_OK)
            e = E_AGAIN;
        if (e != E_AGAIN)
            return e;
    }
    if (!es->has_frame || !es->told_config)
        return E_AGAIN;
    es->has_frame = false;
    fill(es, buf_writer_view(&es->frame), out);
    out->key = es->is_key;
    return E_OK;
}

/* --- sound: some frames a PES packet, and not always whole ones --------------------------------
 */

/* One frame, and what its decoder has to know. */
struct ts_sound {
    struct buf_view raw;
    uint32_t samples, rate_hz;
    uint8_t config[MAX_CONFIG_BYTES];
    size_t config_bytes; /* 0: the codec has none */
};

static enum err take_adts(struct ts_es *es, struct ts_sound *sound)
{
    struct aac_adts adts;
    enum err e = aac_next_adts(&es->rest, &adts);

    if (e != E_OK)
        return e;
    aac_put_config(&adts, sound->config);
    sound->config_bytes = AAC_CONFIG_BYTES;
    sound->raw = adts.raw;
    sound->samples = 1024;
    sound->rate_hz = adts.rate_hz;
    return E_OK;
}

static enum err take_latm(struct ts_es *es, struct ts_sound *sound)
{
    struct aac_config config;
    const char *why;
    enum err e;

    while (!es->raws.left_bytes) {
        e = latm_next(&es->latm, &es->rest, &es->frame);
        if (e != E_OK)
            return e;
        es->raws = buf_reader_from(buf_writer_view(&es->frame));
    }
    sound->raw = buf_take(&es->raws, buf_read_u16be(&es->raws));
    sound->config_bytes = es->latm.config_bytes;
    memcpy(sound->config, es->latm.config, sizeof es->latm.config);
    e = aac_parse_config(buf_view_of(sound->config, sound->config_bytes), &config, &why);
    sound->samples = config.samples_per_frame;
    sound->rate_hz = config.core_rate_hz;
    return e;
}

static enum err take_mpa(struct ts_es *es, struct ts_sound *sound)
{
    struct mpa_info info;
    const char *why;

    if (es->rest.left_bytes < 4)
        return E_AGAIN;
    if (mpa_parse(buf_rest(&es->rest), &info, &why) != E_OK || info.layer != 3 || !info.frame_bytes)
        return E_PROTO;
    if (info.frame_bytes > es->rest.left_bytes)
        return E_AGAIN;
    sound->raw = buf_take(&es->rest, info.frame_bytes);
    sound->samples = info.samples;
    sound->rate_hz = info.sample_rate_hz;
    return E_OK;
}

/* An access unit of E-AC-3 may be several sync frames: those of a PES packet are taken for one. */
static enum err take_ac3(struct ts_es *es, struct ts_sound *sound)
{
    struct buf_view rest = buf_rest(&es->rest);
    struct ac3_info info;
    const char *why;

    if (!rest.size_bytes)
        return E_AGAIN;
    if (ac3_parse(rest, &info, &why) != E_OK)
        return E_PROTO;
    sound->raw = buf_take(&es->rest, info.enhanced ? rest.size_bytes : info.first_bytes);
    sound->samples = info.samples;
    sound->rate_hz = info.sample_rate_hz;
    return E_OK;
}

/* OpusHead, RFC 7845 5.1: what channel_config_code stands for. */
static void put_opus_head(struct ts_sound *sound, unsigned channels)
{
    static const uint8_t k_n_streams[9] = {0, 1, 1, 2, 2, 3, 4, 4, 5};
    static const uint8_t k_n_coupled[9] = {0, 0, 1, 1, 2, 2, 2, 3, 3};
    static const uint8_t k_maps[9][8] = {{0},
                                         {0},
                                         {0, 1},
                                         {0, 2, 1},
                                         {0, 1, 2, 3},
                                         {0, 4, 1, 2, 3},
                                         {0, 4, 1, 2, 3, 5},
                                         {0, 4, 1, 2, 3, 5, 6},
                                         {0, 6, 1, 2, 3, 4, 5, 7}};
    uint8_t *at = sound->config + 8;

    memset(sound->config, 0, MAX_CONFIG_BYTES);
    memcpy(sound->config, "OpusHead", 8);
    at[0] = 1; /* version */
    at[1] = (uint8_t)channels;
    at[4] = (uint8_t)(OPUS_RATE_HZ & 0xff); /* little endian; pre-skip before it is 0 */
    at[5] = (uint8_t)(OPUS_RATE_HZ >> 8);
    at[10] = channels > 2; /* mapping family, behind the gain */
    sound->config_bytes = 8 + 11;
    if (channels <= 2)
        return;
    at[11] = k_n_streams[channels];
    at[12] = k_n_coupled[channels];
    memcpy(at + 13, k_maps[channels], channels);
    sound->config_bytes = 8 + 13 + channels;
}

/* opus_control_header(), then the packet. */
static enum err take_opus(struct ts_es *es, struct ts_sound *sound)
{
    struct buf_reader in = es->rest;
    unsigned flags, part;
    size_t size_bytes = 0;

    if (!in.left_bytes)
        return E_AGAIN;
    flags = buf_read_u16be(&in);
    do {
        part = buf_read_u8(&in);
        size_bytes += part;
    } while (part == 255 && !in.overrun);
    (void)buf_take(&in, (flags & 0x10 ? 2u : 0u) + (flags & 0x08 ? 2u : 0u)); /* trimming */
    if (flags & 0x04)
        (void)buf_take(&in, buf_read_u8(&in)); /* extension */
    sound->raw = buf_take(&in, size_bytes);
    if (in.overrun || flags >> 5 != OPUS_PREFIX || !size_bytes)
        return E_PROTO;
    es->rest = in;
    sound->samples = opus_packet_samples(sound->raw);
    sound->rate_hz = OPUS_RATE_HZ;
    put_opus_head(sound, es->opus_channels ? es->opus_channels : opus_packet_channels(sound->raw));
    return sound->samples ? E_OK : E_PROTO;
}

/* The frame that was taken stands behind its configuration, if that is another one. */
static enum err give_sound(struct ts_es *es, const struct ts_sound *sound, struct ts_unit *out)
{
    int64_t lasts_us = (int64_t)sound->samples * 1000000 / sound->rate_hz;
    enum err e = E_AGAIN;

    if (sound->config_bytes)
        e = tell_config(es, buf_view_of(sound->config, sound->config_bytes), out);
    if (e == E_OK) {
        es->has_frame = true;
        es->sound = sound->raw;
        es->sound_us = lasts_us;
        return E_OK;
    }
    if (e != E_AGAIN)
        return e;
    fill(es, sound->raw, out);
    out->key = true;
    es->dts_us += lasts_us;
    es->pts_us += lasts_us;
    return E_OK;
}

static enum err next_sound(struct ts_es *es, struct ts_unit *out,
                           enum err (*take)(struct ts_es *es, struct ts_sound *sound))
{
    struct ts_sound sound = {0};
    enum err e;

    if (es->has_frame) {
        es->has_frame = false;
        fill(es, es->sound, out);
        out->key = true;
        es->dts_us += es->sound_us;
        es->pts_us += es->sound_us;
        return E_OK;
    }
    take_time(es);
    do {
        e = take(es, &sound);
    } while (e == E_OK && !sound.raw.size_bytes); /* a header alone is no frame */
    if (e == E_PROTO || e == E_UNSUPPORTED)
        es->rest = (struct buf_reader){0}; /* the next PES packet begins anew */
    return e == E_OK ? give_sound(es, &sound, out) : e;
}

#define NEXT_SOUND(name)                                               \
    static enum err next_##name(struct ts_es *es, struct ts_unit *out) \
    {                                                                  \
        return next_sound(es, out, take_##name);                       \
    }
NEXT_SOUND(adts)
NEXT_SOUND(latm)
NEXT_SOUND(mpa)
NEXT_SOUND(ac3)
NEXT_SOUND(opus)

/* --- the tables --------------------------------------------------------------------------------
 */

/* clang-format off */
static const struct {
    uint8_t stream_type;
    uint8_t descriptor;       /* that must be there; 0 = none */
    const char *registration; /* 4 characters in a registration descriptor, or NULL */
    struct ts_es_codec codec;
} k_streams[] = {
    {TS_TYPE_H264,        0,                  NULL,   {CODEC_H264, MEDIA_VIDEO, next_picture}},
    {TS_TYPE_HEVC,        0,                  NULL,   {CODEC_HEVC, MEDIA_VIDEO, next_picture}},
    {TS_TYPE_AAC_ADTS,    0,                  NULL,   {CODEC_AAC,  MEDIA_AUDIO, next_adts}},
    {TS_TYPE_AAC_LATM,    0,                  NULL,   {CODEC_AAC,  MEDIA_AUDIO, next_latm}},
    {TS_TYPE_MPEG1_AUDIO, 0,                  NULL,   {CODEC_MP3,  MEDIA_AUDIO, next_mpa}},
    {TS_TYPE_MPEG2_AUDIO, 0,                  NULL,   {CODEC_MP3,  MEDIA_AUDIO, next_mpa}},
    {TS_TYPE_AC3,         0,                  NULL,   {CODEC_AC3,  MEDIA_AUDIO, next_ac3}},
    {TS_TYPE_EAC3,        0,                  NULL,   {CODEC_EAC3, MEDIA_AUDIO, next_ac3}},
    {TS_TYPE_PRIVATE_PES, TS_DESCRIPTOR_AC3,  NULL,   {CODEC_AC3,  MEDIA_AUDIO, next_ac3}},
    {TS_TYPE_PRIVATE_PES, TS_DESCRIPTOR_EAC3, NULL,   {CODEC_EAC3, MEDIA_AUDIO, next_ac3}},
    {TS_TYPE_PRIVATE_PES, 0,                  "AC-3", {CODEC_AC3,  MEDIA_AUDIO, next_ac3}},
    {TS_TYPE_PRIVATE_PES, 0,                  "EAC3", {CODEC_EAC3, MEDIA_AUDIO, next_ac3}},
    {TS_TYPE_PRIVATE_PES, 0,                  "HEVC", {CODEC_HEVC, MEDIA_VIDEO, next_picture}},
    {TS_TYPE_PRIVATE_PES, 0,                  "Opus", {CODEC_OPUS, MEDIA_AUDIO, next_opus}},
};
/* clang-format on */

/* The content of the first descriptor with this tag. */
static bool find_descriptor(struct buf_view descriptors, uint8_t tag, struct buf_view *out)
{
    struct buf_reader in = buf_reader_from(descriptors);

    while (in.left_bytes) {
        uint8_t found = buf_read_u8(&in);

        *out = buf_take(&in, buf_read_u8(&in));
        if (in.overrun)
            return false;
        if (found == tag)
            return true;
    }
    return false;
}

static bool is_registered(struct buf_view descriptors, const char *name)
{
    struct buf_view said;

    return find_descriptor(descriptors, TS_DESCRIPTOR_REGISTRATION, &said) &&
           said.size_bytes >= 4 && !memcmp(said.data, name, 4);
}

const struct ts_es_codec *ts_es_codec_of(uint8_t stream_type, struct buf_view descriptors)
{
    struct buf_view ignored;

    for (size_t i = 0; i < sizeof k_streams / sizeof k_streams[0]; i++) {
        uint8_t tag = k_streams[i].descriptor;
        const char *name = k_streams[i].registration;

        if (k_streams[i].stream_type == stream_type &&
            (!tag || find_descriptor(descriptors, tag, &ignored)) &&
            (!name || is_registered(descriptors, name)))
            return &k_streams[i].codec;
    }
    return NULL;
}

/* channel_config_code; 0 (two mono channels) and codes of their own maps are not known. */
static uint8_t opus_channels(struct buf_view descriptors)
{
    struct buf_view said;

    if (!find_descriptor(descriptors, TS_DESCRIPTOR_EXTENSION, &said) || said.size_bytes < 2 ||
        said.data[0] != TS_EXTENSION_OPUS || said.data[1] > 8)
        return 0;
    return said.data[1];
}

void ts_es_set(struct ts_es *es, const struct ts_es_codec *codec, uint16_t pid,
               struct buf_view descriptors)
{
    es->codec = codec;
    es->pid = pid;
    es->has_continuity = es->is_open = es->is_pending = es->has_frame = es->told_config = false;
    es->rest = es->raws = (struct buf_reader){0};
    es->carried_bytes = 0;
    es->latm = (struct latm){0};
    es->dts_us = es->pts_us = es->next_dts_us = es->next_pts_us = TS_NO_TIME;
    nal_sets_fini(&es->sets);
    nal_sets_init(&es->sets, codec ? codec->codec : CODEC_NONE);
    es->opus_channels = opus_channels(descriptors);
}

void ts_es_fini(struct ts_es *es)
{
    nal_sets_fini(&es->sets);
    buf_writer_fini(&es->in);
    buf_writer_fini(&es->pes);
    buf_writer_fini(&es->frame);
    buf_writer_fini(&es->config);
}
