/* AV1: OBUs, the sequence header and av1C. AV1 specification 5.3 and 5.5; AV1-ISOBMFF 2.3. */
#include "proto/codec/av1.h"

#include <stdio.h>

#include "proto/codec/params.h"

enum { OBU_FORBIDDEN = 0x80, OBU_EXTENSION = 0x04, OBU_HAS_SIZE = 0x02 };
enum { AV1C_MARKER_VERSION = 0x81 };
enum { COLOUR_BT709 = 1, COLOUR_UNSPECIFIED = 2, TRANSFER_SRGB = 13, MATRIX_IDENTITY = 0 };

/* 4.10.5: little endian, 7 bits a byte. */
static uint64_t read_leb128(struct buf_reader *in)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++) {
        uint8_t byte = buf_read_u8(in);

        value |= (uint64_t)(byte & 0x7f) << (i * 7);
        if (!(byte & 0x80))
            return value;
    }
    in->overrun = true;
    return 0;
}

enum err av1_next_obu(struct buf_reader *in, struct av1_obu *out, const char **why)
{
    struct buf_reader r = *in;
    struct av1_obu obu;
    uint64_t size_bytes;
    uint8_t header;

    if (in->left_bytes == 0)
        return E_END;
    header = buf_read_u8(&r);
    if (header & OBU_FORBIDDEN)
        return params_fail(why, "OBU with its forbidden bit set");
    if (header & OBU_EXTENSION)
        (void)buf_read_u8(&r);
    size_bytes = header & OBU_HAS_SIZE ? read_leb128(&r) : r.left_bytes;
    if (size_bytes > UINT32_MAX)
        r.overrun = true;
    obu.type = header >> 3 & 0x0f;
    obu.payload = buf_take(&r, (size_t)size_bytes);
    if (r.overrun)
        return params_fail(why, "OBU size reaches over the end");
    obu.unit = buf_take(in, in->left_bytes - r.left_bytes);
    *out = obu;
    return E_OK;
}

/* --- the sequence header, 5.5 --- */

struct sequence {
    unsigned profile;
    bool reduced; /* reduced_still_picture_header */
    bool has_decoder_model;
    unsigned buffer_delay_bits;
};

static void read_timing_info(struct bit_reader *r, struct sequence *s, struct codec_video *v)
{
    uint64_t ticks = bit_read(r, 32);
    uint64_t rate = bit_read(r, 32);

    if (bit_read_flag(r)) /* equal_picture_interval: num_ticks_per_picture_minus_1 */
        vui_set_fps(v, rate, ticks * ((uint64_t)bit_read_ue(r) + 1));
    s->has_decoder_model = bit_read_flag(r);
    if (s->has_decoder_model) {
        s->buffer_delay_bits = bit_read(r, 5) + 1;
        bit_skip(r, 32 + 5 + 5);
    }
}

static void skip_operating_points(struct bit_reader *r, const struct sequence *s)
{
    bool has_display_delay = bit_read_flag(r);
    unsigned n_points = bit_read(r, 5) + 1;

    for (unsigned i = 0; i < n_points; i++) {
        bit_skip(r, 12);
        if (bit_read(r, 5) > 7) /* seq_level_idx */
            bit_skip(r, 1);     /* seq_tier */
        if (s->has_decoder_model && bit_read_flag(r))
            bit_skip(r, 2 * s->buffer_delay_bits + 1);
        if (has_display_delay && bit_read_flag(r))
            bit_skip(r, 4);
    }
}

/* From enable_interintra_compound to order_hint_bits. */
static void skip_inter_tools(struct bit_reader *r)
{
    bool order_hint, screen_content = true;

    bit_skip(r, 4);
    order_hint = bit_read_flag(r);
    if (order_hint)
        bit_skip(r, 2);
    if (!bit_read_flag(r)) /* seq_choose_screen_content_tools */
        screen_content = bit_read_flag(r);
    if (screen_content && !bit_read_flag(r)) /* seq_choose_integer_mv */
        bit_skip(r, 1);
    if (order_hint)
        bit_skip(r, 3);
}

/* 5.5.2. Depth and chroma are in av1C as well; only the colour description is new. */
static void read_color_config(struct bit_reader *r, const struct sequence *s, struct codec_video *v)
{
    struct codec_colour *c = &v->colour;
    bool high = bit_read_flag(r), mono = false;

    if (s->profile == 2 && high)
        bit_skip(r, 1);
    if (s->profile != 1)
        mono = bit_read_flag(r);
    if (bit_read_flag(r)) {
        c->primaries = (uint8_t)bit_read(r, 8);
        c->transfer = (uint8_t)bit_read(r, 8);
        c->matrix = (uint8_t)bit_read(r, 8);
    }
    if (!mono && c->primaries == COLOUR_BT709 && c->transfer == TRANSFER_SRGB &&
        c->matrix == MATRIX_IDENTITY)
        c->full_range = true;
    else
        c->full_range = bit_read_flag(r);
}

static void read_size(struct bit_reader *r, struct codec_video *v)
{
    unsigned width_bits = bit_read(r, 4) + 1;
    unsigned height_bits = bit_read(r, 4) + 1;

    v->width = bit_read(r, width_bits) + 1;
    v->height = bit_read(r, height_bits) + 1;
}

static enum err read_sequence_header(struct buf_view payload, struct codec_video *out,
                                     const char **why)
{
    struct bit_reader r = bit_reader_from(payload);
    struct sequence s = {.profile = bit_read(&r, 3)};
    struct codec_video v = *out;

    bit_skip(&r, 1); /* still_picture */
    s.reduced = bit_read_flag(&r);
    if (s.reduced) {
        bit_skip(&r, 5); /* seq_level_idx */
    } else {
        if (bit_read_flag(&r))
            read_timing_info(&r, &s, &v);
        skip_operating_points(&r, &s);
    }
    read_size(&r, &v);
    if (!s.reduced && bit_read_flag(&r))
        bit_skip(&r, 4 + 3); /* bits of frame ids */
    bit_skip(&r, 3);         /* 128x128 blocks, filter intra, intra edge filter */
    if (!s.reduced)
        skip_inter_tools(&r);
    bit_skip(&r, 3); /* superres, cdef, restoration */
    read_color_config(&r, &s, &v);
    if (bit_overrun(&r))
        return params_fail(why, "AV1 sequence header is cut off");
    *out = v;
    return E_OK;
}

/* The sequence header among the OBUs. E_END: there is none. */
static enum err find_sequence_header(struct buf_view obus, struct codec_video *v, const char **why)
{
    struct buf_reader in = buf_reader_from(obus);
    struct av1_obu obu;
    enum err e;

    while ((e = av1_next_obu(&in, &obu, why)) == E_OK)
        if (obu.type == AV1_OBU_SEQUENCE_HEADER)
            return read_sequence_header(obu.payload, v, why);
    return e;
}

enum err av1_add_key_frame(struct codec_video *v, struct buf_view frame, const char **why)
{
    enum err e = find_sequence_header(frame, v, why);

    return e == E_END ? params_fail(why, "AV1 frame without a sequence header") : e;
}

/* --- av1C --- */

/* AV1-ISOBMFF 5: the short form stands for 4:2:0 and BT.709, limited range; all else is spelt. */
static void write_rfc6381(struct codec_params *p, const struct codec_video *v, uint8_t flags)
{
    const struct codec_colour *c = &v->colour;
    bool mono = flags & 0x10;
    bool plain = !mono && v->chroma == 1 && !c->full_range &&
                 (c->primaries == COLOUR_BT709 || c->primaries == COLOUR_UNSPECIFIED) &&
                 (c->transfer == COLOUR_BT709 || c->transfer == COLOUR_UNSPECIFIED);
    int n = snprintf(p->rfc6381, sizeof p->rfc6381, "av01.%u.%02u%c.%02u", v->profile, v->level,
                     flags & 0x80 ? 'H' : 'M', v->bit_depth);

    if (!plain)
        (void)snprintf(p->rfc6381 + n, sizeof p->rfc6381 - (size_t)n,
                       ".%u.%u%u%u.%02u.%02u.%02u.%u", mono, flags >> 3 & 1, flags >> 2 & 1,
                       (flags & 0x0c) == 0x0c ? flags & 3u : 0u, c->primaries, c->transfer,
                       c->matrix, c->full_range);
}

static uint8_t chroma_of(uint8_t flags)
{
    if (flags & 0x10)
        return 0;
    return flags & 0x08 ? (flags & 0x04 ? 1 : 2) : 3;
}

enum err av1_params(struct codec_params *p, struct buf_view config, const char **why)
{
    struct codec_video *v = &p->video;
    struct buf_reader in = buf_reader_from(config);
    uint8_t marker_version = buf_read_u8(&in);
    uint8_t profile_level = buf_read_u8(&in);
    uint8_t flags = buf_read_u8(&in); /* tier, high_bitdepth, twelve_bit, monochrome, x, y, pos:2 */
    enum err e;

    (void)buf_read_u8(&in); /* initial presentation delay */
    if (in.overrun || marker_version != AV1C_MARKER_VERSION)
        return params_fail(why, "av1C: cut off, or not version 1");
    p->record = config;
    v->profile = profile_level >> 5;
    v->level = profile_level & 0x1f;
    v->bit_depth = flags & 0x40 ? (flags & 0x20 ? 12 : 10) : 8;
    v->chroma = chroma_of(flags);
    e = find_sequence_header(buf_rest(&in), v, why);
    if (e != E_OK && e != E_END)
        return e;
    write_rfc6381(p, v, flags);
    return E_OK;
}
