/* The form that each codec's frames take in a PES packet. */
#include <string.h>

#include "proto/codec/av1.h"
#include "proto/codec/nal.h"
#include "proto/ts/ts_private.h"

enum { DESCRIPTOR_AV1 = 0x80 };
enum { TRANSFER_PQ = 16, TRANSFER_HLG = 18, PRIMARIES_BT709 = 1, PRIMARIES_BT2020 = 9 };
enum { MAX_PES_AUDIO_BYTES = 0xffff - 13 }; /* PES_packet_length less the longest header */

static const uint8_t k_start_code[] = {0, 0, 0, 1};

static void add_descriptor(struct ts_track *t, uint8_t tag, const uint8_t *data, uint8_t size_bytes)
{
    uint8_t *at = t->descriptors + t->descriptor_bytes;

    at[0] = tag;
    at[1] = size_bytes;
    memcpy(at + 2, data, size_bytes);
    t->descriptor_bytes = (uint8_t)(t->descriptor_bytes + 2 + size_bytes);
}

static enum err fail(const char **why, const char *text)
{
    *why = text;
    return E_PROTO;
}

/* --- H.264 and HEVC: byte streams, 2.14.1 and 2.17.1 --- */

static enum err setup_nal(struct ts_track *t, const struct codec_params *params, const char **why)
{
    const struct codec_video *v = &params->video;

    (void)why;
    t->nal_length_bytes = v->nal_length_bytes;
    for (unsigned i = 0; i < v->n_sets; i++) {
        buf_write(&t->start, k_start_code, sizeof k_start_code);
        buf_write_view(&t->start, v->sets[i]);
    }
    return buf_writer_status(&t->start);
}

static enum err check_nal(const struct ts_track *t, const struct ts_frame *frame,
                          struct ts_payload *payload, const char **why)
{
    const unsigned sets = 1u << NAL_SPS | 1u << NAL_PPS;
    struct nal_summary sum;
    enum err e = nal_scan(t->codec, frame->es, t->nal_length_bytes, &sum, why);

    if (e != E_OK)
        return e;
    payload->put_start = (frame->key || sum.kinds & 1u << NAL_KEY) && (sum.kinds & sets) != sets;
    return E_OK;
}

/* Every access unit starts with a delimiter of its own, and those in the frame are left out: a
 * frame has exactly one, in the first place, whatever the encoder does. */
static void put_nal(struct ts_pes *pes, const struct ts_payload *payload)
{
    static const uint8_t k_h264_aud[] = {0, 0, 0, 1, 0x09, 0xf0};       /* any kind of slice */
    static const uint8_t k_hevc_aud[] = {0, 0, 0, 1, 0x46, 0x01, 0x50}; /* likewise */
    const struct ts_track *t = pes->track;
    struct nal_reader r = nal_reader_from(payload->es, t->nal_length_bytes);
    struct buf_view nal;
    const char *why;

    ts_pes_put(pes, t->codec == CODEC_H264 ? buf_view_of(k_h264_aud, sizeof k_h264_aud)
                                           : buf_view_of(k_hevc_aud, sizeof k_hevc_aud));
    if (payload->put_start)
        ts_pes_put(pes, buf_writer_view(&t->start));
    while (nal_next(&r, &nal, &why) == E_OK) {
        if (nal_kind_of(t->codec, nal) == NAL_AUD)
            continue;
        ts_pes_put(pes, buf_view_of(k_start_code, sizeof k_start_code));
        ts_pes_put(pes, nal);
    }
}

/* --- AV1: "Carriage of AV1 in MPEG-2 TS" 1.0 --- */

/* 2.2: 0 SDR, 1 wide gamut, 2 that and high dynamic range, 3 not said. */
static unsigned hdr_wcg_of(const struct codec_colour *c)
{
    if (c->transfer == TRANSFER_PQ || c->transfer == TRANSFER_HLG)
        return 2;
    if (c->primaries == PRIMARIES_BT2020)
        return 1;
    return c->primaries == PRIMARIES_BT709 ? 0 : 3;
}

/* 3.2: a byte 3 stands behind two zeros wherever a start code could be seen. Calls put for each run
 * of bytes between two of them. */
static void escape_obu(struct buf_view unit, void (*put)(void *arg, struct buf_view run), void *arg)
{
    static const uint8_t k_prevention = 3;
    struct buf_reader in = buf_reader_from(unit);
    unsigned n_zeros = 0;
    size_t run = 0;

    for (size_t i = 0; i < unit.size_bytes; i++, run++) {
        if (n_zeros >= 2 && unit.data[i] <= 3) {
            put(arg, buf_take(&in, run));
            put(arg, buf_view_of(&k_prevention, 1));
            run = 0;
            n_zeros = 0;
        }
        n_zeros = unit.data[i] == 0 ? n_zeros + 1 : 0;
    }
    put(arg, buf_take(&in, run));
}

static void put_obus(struct buf_view obus, void (*put)(void *arg, struct buf_view run), void *arg)
{
    struct buf_reader in = buf_reader_from(obus);
    struct av1_obu obu;
    const char *why;

    while (av1_next_obu(&in, &obu, &why) == E_OK) {
        if (obu.type == AV1_OBU_TEMPORAL_DELIMITER || obu.type == AV1_OBU_TILE_LIST)
            continue; /* 3.1: may be removed; shall not be used */
        put(arg, buf_view_of(k_start_code + 1, 3));
        escape_obu(obu.unit, put, arg);
    }
}

static void put_to_writer(void *arg, struct buf_view run)
{
    buf_write_view(arg, run);
}

static void put_to_pes(void *arg, struct buf_view run)
{
    ts_pes_put(arg, run);
}

static enum err setup_av1(struct ts_track *t, const struct codec_params *params, const char **why)
{
    struct buf_reader in = buf_reader_from(params->record);
    uint8_t descriptor[4];

    (void)why;
    for (unsigned i = 0; i < sizeof descriptor; i++)
        descriptor[i] = buf_read_u8(&in); /* av1C, but for two bits that were reserved there */
    descriptor[3] = (uint8_t)((descriptor[3] & 0x1f) | hdr_wcg_of(&params->video.colour) << 6);
    add_descriptor(t, DESCRIPTOR_AV1, descriptor, sizeof descriptor);
    put_obus(buf_rest(&in), put_to_writer, &t->start);
    return buf_writer_status(&t->start);
}

static enum err check_av1(const struct ts_track *t, const struct ts_frame *frame,
                          struct ts_payload *payload, const char **why)
{
    struct buf_reader in = buf_reader_from(frame->es);
    bool has_sequence_header = false;
    unsigned n = 0;
    struct av1_obu obu;
    enum err e;

    (void)t;
    while ((e = av1_next_obu(&in, &obu, why)) == E_OK) {
        has_sequence_header |= obu.type == AV1_OBU_SEQUENCE_HEADER;
        n += obu.type != AV1_OBU_TEMPORAL_DELIMITER;
    }
    if (e != E_END)
        return e;
    if (n == 0)
        return fail(why, "AV1 frame without an OBU");
    payload->put_start = frame->key && !has_sequence_header;
    return E_OK;
}

static void put_av1(struct ts_pes *pes, const struct ts_payload *payload)
{
    if (payload->put_start)
        ts_pes_put(pes, buf_writer_view(&pes->track->start));
    put_obus(payload->es, put_to_pes, pes);
}

/* --- audio --- */

static enum err check_audio(const struct ts_track *t, const struct ts_frame *frame,
                            struct ts_payload *payload, const char **why)
{
    (void)t;
    (void)frame;
    payload->size_bytes = payload->header_bytes + payload->es.size_bytes;
    if (payload->es.size_bytes == 0)
        return fail(why, "empty audio frame");
    if (payload->size_bytes > MAX_PES_AUDIO_BYTES) {
        *why = "audio frame above what a PES packet can say";
        return E_TOO_BIG;
    }
    return E_OK;
}

static void put_audio(struct ts_pes *pes, const struct ts_payload *payload)
{
    ts_pes_put(pes, buf_view_of(payload->header, payload->header_bytes));
    ts_pes_put(pes, payload->es);
}

static enum err setup_aac(struct ts_track *t, const struct codec_params *params, const char **why)
{
    uint8_t header[AAC_ADTS_BYTES];

    t->aac = params->audio.aac;
    return aac_put_adts(&t->aac, 1, header, why);
}

static enum err check_aac(const struct ts_track *t, const struct ts_frame *frame,
                          struct ts_payload *payload, const char **why)
{
    enum err e;

    payload->es = aac_skip_adts(frame->es);
    e = aac_put_adts(&t->aac, payload->es.size_bytes, payload->header, why);
    payload->header_bytes = AAC_ADTS_BYTES;
    return e == E_OK ? check_audio(t, frame, payload, why) : e;
}

static enum err setup_mp3(struct ts_track *t, const struct codec_params *params, const char **why)
{
    (void)why;
    if (params->audio.mpeg_version != 1)
        t->stream_type = TS_TYPE_MPEG2_AUDIO;
    return E_OK;
}

/* "Opus in MPEG-2 TS" (ETSI draft TS, as FFmpeg and GStreamer have it): channel_config_code is the
 * number of channels in the usual order of RFC 7845 5.1.1.2. */
static enum err setup_opus(struct ts_track *t, const struct codec_params *params, const char **why)
{
    static const uint8_t k_n_coupled[9] = {0, 0, 1, 1, 2, 2, 2, 3, 3};
    static const uint8_t k_n_streams[9] = {0, 1, 1, 2, 2, 3, 4, 4, 5};
    const struct codec_opus *o = &params->audio.opus;
    unsigned channels = params->audio.channels;
    uint8_t extension[2] = {TS_EXTENSION_OPUS, (uint8_t)channels};

    if (o->mapping_family > 1 || channels > 8 || o->n_streams != k_n_streams[channels] ||
        o->n_coupled != k_n_coupled[channels]) {
        *why = "Opus channel mapping that TS has no code for";
        return E_UNSUPPORTED;
    }
    add_descriptor(t, TS_DESCRIPTOR_EXTENSION, extension, sizeof extension);
    return E_OK;
}

/* opus_control_header(): prefix 3ff:11, no trimming, no extension; then au_size as a sum of bytes
 * that ends with one below 255. */
static enum err check_opus(const struct ts_track *t, const struct ts_frame *frame,
                           struct ts_payload *payload, const char **why)
{
    size_t left_bytes = payload->es.size_bytes;
    unsigned n = 0;

    payload->header[n++] = 0x7f;
    payload->header[n++] = 0xe0;
    for (; left_bytes >= 255 && n < sizeof payload->header - 1; left_bytes -= 255)
        payload->header[n++] = 255;
    if (left_bytes >= 255) {
        *why = "Opus packet above 9689 bytes";
        return E_TOO_BIG;
    }
    payload->header[n++] = (uint8_t)left_bytes;
    payload->header_bytes = (uint8_t)n;
    return check_audio(t, frame, payload, why);
}

/* --- the table --- */

/* clang-format off */
static const struct ts_codec k_codecs[CODEC_COUNT] = {
    [CODEC_H264] = {TS_TYPE_H264,        TS_STREAM_VIDEO,     NULL,   setup_nal,  check_nal,   put_nal},
    [CODEC_HEVC] = {TS_TYPE_HEVC,        TS_STREAM_VIDEO,     NULL,   setup_nal,  check_nal,   put_nal},
    [CODEC_AV1]  = {TS_TYPE_PRIVATE_PES, TS_STREAM_PRIVATE_1, "AV01", setup_av1,  check_av1,   put_av1},
    [CODEC_AAC]  = {TS_TYPE_AAC_ADTS,    TS_STREAM_AUDIO,     NULL,   setup_aac,  check_aac,   put_audio},
    [CODEC_MP3]  = {TS_TYPE_MPEG1_AUDIO, TS_STREAM_AUDIO,     NULL,   setup_mp3,  check_audio, put_audio},
    [CODEC_AC3]  = {TS_TYPE_AC3,         TS_STREAM_PRIVATE_1, "AC-3", NULL,       check_audio, put_audio},
    [CODEC_EAC3] = {TS_TYPE_EAC3,        TS_STREAM_PRIVATE_1, "EAC3", NULL,       check_audio, put_audio},
    [CODEC_OPUS] = {TS_TYPE_PRIVATE_PES, TS_STREAM_PRIVATE_1, "Opus", setup_opus, check_opus,  put_audio},
};
/* clang-format on */

bool ts_carries(enum media_codec codec)
{
    return ts_codec_of(codec) != NULL;
}

const struct ts_codec *ts_codec_of(enum media_codec codec)
{
    return k_codecs[codec].put ? &k_codecs[codec] : NULL;
}
