/* Stamps in H.264, HEVC and AAC frames. */
#include "tests/tools/stamp.h"

#include <string.h>

/* Parameter sets and delimiters come first in an access unit, then at most a few SEI messages. */
#define MAX_NALS_BEFORE_SLICE 16

/* What says "a stamp of ours": no two bytes of it are zero, so no emulation prevention byte is
 * needed in it. */
#define STAMP_UUID \
    0x68, 0x77, 0x2d, 0x73, 0x74, 0x61, 0x4d, 0x70, 0x9a, 0x31, 0xc7, 0x5e, 0xd2, 0x84, 0x6b, 0xf9
#define UUID_BYTES 16

static const uint8_t k_h264_prefix[] = {
    0x06,                          /* nal_ref_idc 0, type 6: SEI */
    0x05,                          /* user_data_unregistered */
    UUID_BYTES + STAMP_TIME_BYTES, /* payload size */
    STAMP_UUID,
};
static const uint8_t k_hevc_prefix[] = {
    0x4e,
    0x01,                          /* type 39: prefix SEI; layer 0, temporal id 0 */
    0x05,                          /* user_data_unregistered */
    UUID_BYTES + STAMP_TIME_BYTES, /* payload size */
    STAMP_UUID,
};
static const uint8_t k_aac_prefix[] = {
    0x81,                 /* id_syn_ele 4, element_instance_tag 0, byte aligned */
    4 + STAMP_TIME_BYTES, /* count */
    0xc8,
    0xf7,
    0xd4,
    0xf3, /* ours */
};
#define RBSP_TRAILING 0x80 /* the stop bit of a NAL unit */

/* Whether a NAL unit that begins with this byte has its place in front of SEI messages. */
static bool h264_is_before_sei(uint8_t first)
{
    unsigned type = first & 0x1f;

    return type == 7 || type == 8 || type == 9 || type == 13 || type == 15; /* SPS PPS AUD ... */
}

static bool hevc_is_before_sei(uint8_t first)
{
    unsigned type = (first >> 1) & 0x3f;

    return type >= 32 && type <= 35; /* VPS SPS PPS AUD */
}

static bool h264_is_sei(uint8_t first)
{
    return (first & 0x1f) == 6;
}

static bool hevc_is_sei(uint8_t first)
{
    return ((first >> 1) & 0x3f) == 39;
}

/* How stamps are in one codec; those of NAL units have is_sei. */
struct stamp_form {
    enum media_codec codec;
    const uint8_t *prefix;
    size_t prefix_bytes;
    bool (*is_before_sei)(uint8_t first);
    bool (*is_sei)(uint8_t first);
};

static const struct stamp_form k_forms[] = {
    {CODEC_H264, k_h264_prefix, sizeof k_h264_prefix, h264_is_before_sei, h264_is_sei},
    {CODEC_HEVC, k_hevc_prefix, sizeof k_hevc_prefix, hevc_is_before_sei, hevc_is_sei},
    {CODEC_AAC, k_aac_prefix, sizeof k_aac_prefix, NULL, NULL},
};

static const struct stamp_form *form_of(const struct media_frame_info *info)
{
    if (info->flags & (FRAME_CONFIG | FRAME_SEQ_END | FRAME_MULTITRACK))
        return NULL;
    for (size_t i = 0; i < sizeof k_forms / sizeof k_forms[0]; i++)
        if (k_forms[i].codec == info->codec)
            return &k_forms[i];
    return NULL;
}

/* The next NAL unit behind its four-byte length; an empty view at the end and when it is cut. */
static struct buf_view next_nal(struct buf_reader *in)
{
    uint32_t size_bytes = buf_read_u32be(in);

    return buf_take(in, size_bytes);
}

void stamp_put_time(uint8_t out[STAMP_TIME_BYTES], int64_t time_us)
{
    for (unsigned i = 0; i < STAMP_TIME_BYTES; i++)
        out[i] = (uint8_t)(0x80 | ((uint64_t)time_us >> (7 * (STAMP_TIME_BYTES - 1 - i)) & 0x7f));
}

/* --- writing --- */

/* Moves *at over the NAL units that stay in front of the stamp. */
static enum err find_place(const struct stamp_form *form, struct buf_reader *at)
{
    struct buf_reader next = *at;
    struct buf_view nal;

    do {
        *at = next;
        nal = next_nal(&next);
        if (nal.size_bytes == 0)
            return E_PROTO;
    } while (form->is_before_sei(nal.data[0]));
    return E_OK;
}

enum err stamp_insert(const struct media_frame_info *info, struct buf_view body,
                      struct buf_writer *out, size_t *time_at)
{
    const struct stamp_form *form = form_of(info);
    struct buf_reader at = buf_reader_from(body);
    uint8_t time[STAMP_TIME_BYTES];
    size_t begin = out->used_bytes;

    (void)buf_take(&at, info->es_offset);
    if (!form || at.left_bytes == 0)
        return E_UNSUPPORTED;
    if (form->is_sei && find_place(form, &at) != E_OK)
        return E_PROTO;
    stamp_put_time(time, 0);
    buf_write(out, body.data, body.size_bytes - at.left_bytes);
    if (form->is_sei)
        buf_write_u32be(out, (uint32_t)(form->prefix_bytes + STAMP_TIME_BYTES + 1));
    buf_write(out, form->prefix, form->prefix_bytes);
    *time_at = out->used_bytes - begin;
    buf_write(out, time, sizeof time);
    if (form->is_sei)
        buf_write_u8(out, RBSP_TRAILING);
    buf_write_view(out, buf_rest(&at));
    return E_OK;
}

/* --- reading --- */

/* element: a NAL unit, or the rest of the AAC frame. */
static bool read_element(const struct stamp_form *form, struct buf_view element, int64_t *time_us)
{
    struct buf_reader r = buf_reader_from(element);
    struct buf_view prefix = buf_take(&r, form->prefix_bytes);
    uint64_t time = 0;

    if (r.overrun || memcmp(prefix.data, form->prefix, form->prefix_bytes) != 0)
        return false;
    for (unsigned i = 0; i < STAMP_TIME_BYTES; i++) {
        uint8_t byte = buf_read_u8(&r);

        if (!(byte & 0x80)) /* also when it is cut: 0 is read then */
            return false;
        time = time << 7 | (byte & 0x7f);
    }
    *time_us = (int64_t)time;
    return true;
}

bool stamp_read(const struct media_frame_info *info, struct buf_view body, int64_t *time_us)
{
    const struct stamp_form *form = form_of(info);
    struct buf_reader in = buf_reader_from(body);

    (void)buf_take(&in, info->es_offset);
    if (!form)
        return false;
    if (!form->is_sei)
        return read_element(form, buf_rest(&in), time_us);
    for (unsigned i = 0; i < MAX_NALS_BEFORE_SLICE; i++) {
        struct buf_view nal = next_nal(&in);

        if (nal.size_bytes == 0)
            return false;
        if (read_element(form, nal, time_us))
            return true;
        if (!form->is_before_sei(nal.data[0]) && !form->is_sei(nal.data[0]))
            return false;
    }
    return false;
}

bool stamp_find(struct buf_view bytes, int64_t *time_us)
{
    for (size_t i = 0; i < sizeof k_forms / sizeof k_forms[0]; i++) {
        struct buf_reader in = buf_reader_from(bytes);
        const uint8_t *at;

        while (in.left_bytes && (at = memchr(in.at, k_forms[i].prefix[0], in.left_bytes)) != NULL) {
            (void)buf_take(&in, (size_t)(at - in.at));
            if (read_element(&k_forms[i], buf_rest(&in), time_us))
                return true;
            (void)buf_read_u8(&in);
        }
    }
    return false;
}
