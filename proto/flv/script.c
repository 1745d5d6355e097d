/* Script tags (FLV 10.1 E.4.4): which one is the metadata, and the @hw tag that nodes put into the
 * stream between them. */
#include "proto/flv/flv.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/amf/amf.h"

#define AMF0_STRING 0x02
#define EXACT_DOUBLE_MAX 9007199254740992.0 /* 2^53: up to here a double holds every integer */

/* A handful of members. What a later version adds must fit as well. */
static const struct amf_limits k_hw_limits = {
    .max_depth = 4, .max_values = 128, .max_string_bytes = 4096};

/* The name that starts a script body. Without a document: this looks at every script tag. */
static struct buf_view read_name(struct buf_reader *in)
{
    uint8_t marker = buf_read_u8(in);
    uint16_t size_bytes = buf_read_u16be(in);

    return marker == AMF0_STRING ? buf_take(in, size_bytes) : (struct buf_view){NULL, 0};
}

bool flv_is_metadata(struct buf_view body, struct buf_view *inner)
{
    struct buf_reader in = buf_reader_from(body);
    struct buf_view name = read_name(&in);

    /* What RTMP publishers send (ffmpeg, OBS, librtmp): the name of the server's handler in front.
     */
    if (buf_view_equals(name, "@setDataFrame")) {
        body = buf_rest(&in);
        name = read_name(&in);
    }
    if (!buf_view_equals(name, "onMetaData"))
        return false;
    *inner = body;
    return true;
}

/* --- @hw ----------------------------------------------------------------------------------------
 */

static void write_unsigned(struct buf_writer *w, const char *name, uint64_t value)
{
    char text[24];

    if (value <= (uint64_t)EXACT_DOUBLE_MAX) {
        amf_write_member_number(w, name, (double)value);
        return;
    }
    snprintf(text, sizeof text, "%" PRIu64, value);
    amf_write_member_cstr(w, name, text);
}

static void write_signed(struct buf_writer *w, const char *name, int64_t value)
{
    char text[24];

    if (value >= -(int64_t)EXACT_DOUBLE_MAX && value <= (int64_t)EXACT_DOUBLE_MAX) {
        amf_write_member_number(w, name, (double)value);
        return;
    }
    snprintf(text, sizeof text, "%" PRId64, value);
    amf_write_member_cstr(w, name, text);
}

/* Nothing when data is NULL. */
static void write_text(struct buf_writer *w, const char *name, struct buf_view text)
{
    if (!text.data)
        return;
    amf_write_name(w, name);
    amf_write_string(w, text);
}

void flv_write_hw_body(struct buf_writer *w, const struct flv_hw *hw)
{
    amf_write_cstr(w, "@hw");
    amf_write_ecma_array(w, 5u + (hw->run != 0) + (hw->path.data != NULL) + 2u * hw->has_clock +
                                (hw->trail.data != NULL) + (hw->plan.data != NULL) + hw->end);
    write_unsigned(w, "v", hw->v);
    write_unsigned(w, "epoch", hw->epoch);
    write_unsigned(w, "gop", hw->gop);
    write_signed(w, "ingest_us", hw->ingest_us);
    write_signed(w, "wall_us", hw->wall_us);
    if (hw->run)
        write_unsigned(w, "run", hw->run);
    write_text(w, "path", hw->path);
    if (hw->has_clock) {
        write_signed(w, "clock_us", hw->clock_us);
        write_signed(w, "unc_us", hw->unc_us);
    }
    write_text(w, "trail", hw->trail);
    write_text(w, "plan", hw->plan);
    if (hw->end)
        write_unsigned(w, "end", 1);
    amf_write_end(w);
}

/* Sign and magnitude, so that one reader serves both kinds of member. */
struct integer {
    bool negative;
    uint64_t magnitude;
};

static enum err parse_decimal(struct buf_view text, struct integer *out)
{
    struct buf_reader in = buf_reader_from(text);
    struct integer value = {0};

    if (in.left_bytes && *in.at == '-') {
        value.negative = true;
        (void)buf_read_u8(&in);
    }
    if (in.left_bytes == 0)
        return E_PROTO;
    while (in.left_bytes) {
        uint8_t digit = (uint8_t)(buf_read_u8(&in) - '0');

        if (digit > 9 || __builtin_mul_overflow(value.magnitude, 10u, &value.magnitude) ||
            __builtin_add_overflow(value.magnitude, digit, &value.magnitude))
            return E_PROTO;
    }
    *out = value;
    return E_OK;
}

/* 0 when there is no such member. */
static enum err read_integer(const struct amf_value *array, const char *name, struct integer *out)
{
    const struct amf_value *member = amf_find(array, name);
    double number;

    *out = (struct integer){0};
    if (!member)
        return E_OK;
    if (amf_is(member, AMF_STRING))
        return parse_decimal(amf_string(member), out);
    if (!amf_is(member, AMF_NUMBER))
        return E_PROTO;
    number = amf_number(member, 0);
    if (!(number >= -EXACT_DOUBLE_MAX && number <= EXACT_DOUBLE_MAX)) /* NaN is caught too */
        return E_PROTO;
    out->negative = number < 0;
    out->magnitude = (uint64_t)(out->negative ? -number : number);
    return (double)out->magnitude == (out->negative ? -number : number) ? E_OK : E_PROTO;
}

static enum err read_unsigned(const struct amf_value *array, const char *name, uint64_t *out)
{
    struct integer value;
    enum err e = read_integer(array, name, &value);

    if (e == E_OK && value.negative && value.magnitude)
        e = E_PROTO;
    *out = value.magnitude;
    return e;
}

static enum err read_signed(const struct amf_value *array, const char *name, int64_t *out)
{
    struct integer value;
    enum err e = read_integer(array, name, &value);

    if (e != E_OK)
        return e;
    if (value.magnitude > (uint64_t)INT64_MAX + value.negative)
        return E_PROTO;
    *out = value.negative ? (int64_t)(0 - value.magnitude) : (int64_t)value.magnitude;
    return E_OK;
}

/* data NULL when there is no such member. */
static enum err read_text(const struct amf_value *array, const char *name, struct buf_view *out)
{
    const struct amf_value *member = amf_find(array, name);

    *out = buf_view_of(NULL, 0);
    if (!member)
        return E_OK;
    if (!amf_is(member, AMF_STRING))
        return E_PROTO;
    *out = amf_string(member);
    return E_OK;
}

static bool is_within(int64_t value_us, int64_t least_us)
{
    return value_us >= least_us && value_us <= FLV_HW_MAX_US;
}

/* Both, or none. */
static enum err read_clock(const struct amf_value *array, struct flv_hw *hw)
{
    enum err e;

    hw->has_clock = amf_find(array, "clock_us") && amf_find(array, "unc_us");
    if (!hw->has_clock)
        return E_OK;
    if ((e = read_signed(array, "clock_us", &hw->clock_us)) != E_OK ||
        (e = read_signed(array, "unc_us", &hw->unc_us)) != E_OK)
        return e;
    return is_within(hw->clock_us, -FLV_HW_MAX_US) && is_within(hw->unc_us, -1) ? E_OK : E_PROTO;
}

static enum err read_members(const struct amf_value *array, struct flv_hw *out)
{
    struct flv_hw hw = {0};
    uint64_t version = 0, end = 0;
    enum err e;

    if (!amf_is(array, AMF_ECMA_ARRAY) && !amf_is(array, AMF_OBJECT))
        return E_PROTO;
    if ((e = read_unsigned(array, "v", &version)) != E_OK ||
        (e = read_unsigned(array, "epoch", &hw.epoch)) != E_OK ||
        (e = read_unsigned(array, "gop", &hw.gop)) != E_OK ||
        (e = read_signed(array, "ingest_us", &hw.ingest_us)) != E_OK ||
        (e = read_signed(array, "wall_us", &hw.wall_us)) != E_OK ||
        (e = read_unsigned(array, "run", &hw.run)) != E_OK ||
        (e = read_text(array, "path", &hw.path)) != E_OK || (e = read_clock(array, &hw)) != E_OK ||
        (e = read_text(array, "trail", &hw.trail)) != E_OK ||
        (e = read_text(array, "plan", &hw.plan)) != E_OK ||
        (e = read_unsigned(array, "end", &end)) != E_OK)
        return e;
    if (version > UINT32_MAX || !is_within(hw.ingest_us, -FLV_HW_MAX_US) ||
        !is_within(hw.wall_us, -FLV_HW_MAX_US))
        return E_PROTO;
    hw.v = (uint32_t)version;
    hw.end = end != 0;
    *out = hw;
    return E_OK;
}

enum err flv_parse_hw_body(struct buf_view body, struct flv_hw *out)
{
    struct buf_reader in = buf_reader_from(body);
    const struct amf_value *array;
    struct amf_doc *doc;
    enum err e;

    if (!buf_view_equals(read_name(&in), "@hw"))
        return E_NOT_FOUND;
    doc = amf_doc_create(&k_hw_limits);
    if (!doc)
        return E_NOMEM;
    e = amf0_read_value(doc, &in, &array);
    if (e == E_OK)
        e = read_members(array, out);
    amf_doc_destroy(&doc);
    return e == E_OK || e == E_NOMEM ? e : E_PROTO;
}
