/* AMF0 out, section 2. */
#include <assert.h>
#include <string.h>

#include "proto/amf/amf_doc.h"

enum { /* section 2.1 */
       MARKER_NUMBER = 0x00,
       MARKER_BOOLEAN = 0x01,
       MARKER_STRING = 0x02,
       MARKER_OBJECT = 0x03,
       MARKER_NULL = 0x05,
       MARKER_UNDEFINED = 0x06,
       MARKER_REFERENCE = 0x07,
       MARKER_ECMA_ARRAY = 0x08,
       MARKER_STRICT_ARRAY = 0x0a,
       MARKER_DATE = 0x0b,
       MARKER_LONG_STRING = 0x0c,
       MARKER_UNSUPPORTED = 0x0d,
       MARKER_XML = 0x0f,
       MARKER_TYPED_OBJECT = 0x10,
       MARKER_AVMPLUS = 0x11,
       AMF3_MARKER_BYTES = 0x0c
};

void amf_write_number(struct buf_writer *w, double value)
{
    buf_write_u8(w, MARKER_NUMBER);
    buf_write_f64be(w, value);
}

void amf_write_boolean(struct buf_writer *w, bool value)
{
    buf_write_u8(w, MARKER_BOOLEAN);
    buf_write_u8(w, value ? 1 : 0);
}

/* Lengths are 32 bits: no view of ours comes near. */
static void write_long(struct buf_writer *w, unsigned marker, struct buf_view text)
{
    assert(text.size_bytes <= UINT32_MAX);
    buf_write_u8(w, marker);
    buf_write_u32be(w, (uint32_t)text.size_bytes);
    buf_write_view(w, text);
}

static void write_short(struct buf_writer *w, struct buf_view text)
{
    assert(text.size_bytes <= UINT16_MAX);
    buf_write_u16be(w, (unsigned)text.size_bytes);
    buf_write_view(w, text);
}

void amf_write_string(struct buf_writer *w, struct buf_view text)
{
    if (text.size_bytes > UINT16_MAX) {
        write_long(w, MARKER_LONG_STRING, text);
        return;
    }
    buf_write_u8(w, MARKER_STRING);
    write_short(w, text);
}

void amf_write_cstr(struct buf_writer *w, const char *text)
{
    amf_write_string(w, buf_view_str(text));
}

void amf_write_null(struct buf_writer *w)
{
    buf_write_u8(w, MARKER_NULL);
}

void amf_write_undefined(struct buf_writer *w)
{
    buf_write_u8(w, MARKER_UNDEFINED);
}

static void write_date(struct buf_writer *w, double ms_since_1970, int16_t time_zone_min)
{
    buf_write_u8(w, MARKER_DATE);
    buf_write_f64be(w, ms_since_1970);
    buf_write_u16be(w, (uint16_t)time_zone_min);
}

void amf_write_date(struct buf_writer *w, double ms_since_1970)
{
    write_date(w, ms_since_1970, 0); /* section 2.13: the time zone should be 0 */
}

void amf_write_object(struct buf_writer *w)
{
    buf_write_u8(w, MARKER_OBJECT);
}

void amf_write_ecma_array(struct buf_writer *w, uint32_t n_members)
{
    buf_write_u8(w, MARKER_ECMA_ARRAY);
    buf_write_u32be(w, n_members);
}

void amf_write_end(struct buf_writer *w)
{
    buf_write_u24be(w, 9); /* empty name, object-end-marker */
}

void amf_write_strict_array(struct buf_writer *w, uint32_t n_members)
{
    buf_write_u8(w, MARKER_STRICT_ARRAY);
    buf_write_u32be(w, n_members);
}

void amf_write_name(struct buf_writer *w, const char *name)
{
    write_short(w, buf_view_str(name));
}

void amf_write_member_number(struct buf_writer *w, const char *name, double value)
{
    amf_write_name(w, name);
    amf_write_number(w, value);
}

void amf_write_member_boolean(struct buf_writer *w, const char *name, bool value)
{
    amf_write_name(w, name);
    amf_write_boolean(w, value);
}

void amf_write_member_cstr(struct buf_writer *w, const char *name, const char *text)
{
    amf_write_name(w, name);
    amf_write_cstr(w, text);
}

/* AMF3 section 3.14; a length of 29 bits less the reference bit. */
static void write_bytes(struct buf_writer *w, struct buf_view bytes)
{
    uint32_t head = (uint32_t)bytes.size_bytes << 1 | 1;

    assert(bytes.size_bytes < 1u << 28);
    buf_write_u8(w, MARKER_AVMPLUS);
    buf_write_u8(w, AMF3_MARKER_BYTES);
    if (head >= 1u << 21) {
        buf_write_u8(w, 0x80 | head >> 22);
        buf_write_u8(w, 0x80 | (head >> 15 & 0x7f));
        buf_write_u8(w, 0x80 | (head >> 8 & 0x7f));
        buf_write_u8(w, head & 0xff);
    } else {
        if (head >= 1u << 14)
            buf_write_u8(w, 0x80 | head >> 14);
        if (head >= 1u << 7)
            buf_write_u8(w, 0x80 | (head >> 7 & 0x7f));
        buf_write_u8(w, head & 0x7f);
    }
    buf_write_view(w, bytes);
}

/* base is the ordinal that the first object written has for the reader. */
static enum err write_value(struct buf_writer *w, const struct amf_value *value, uint32_t base);

static enum err write_members(struct buf_writer *w, const struct amf_value *v, uint32_t base)
{
    for (const struct amf_value *m = v->first; m; m = m->next) {
        enum err e;

        if (v->type != AMF_STRICT_ARRAY)
            write_short(w, m->name);
        e = write_value(w, m, base);
        if (e != E_OK)
            return e;
    }
    if (v->type != AMF_STRICT_ARRAY)
        amf_write_end(w);
    return buf_writer_status(w);
}

static enum err write_complex(struct buf_writer *w, const struct amf_value *v, uint32_t base)
{
    if (v->type == AMF_ECMA_ARRAY) {
        amf_write_ecma_array(w, v->n_members);
    } else if (v->type == AMF_STRICT_ARRAY) {
        amf_write_strict_array(w, v->n_members);
    } else if (v->class_name.size_bytes) {
        buf_write_u8(w, MARKER_TYPED_OBJECT);
        write_short(w, v->class_name);
    } else {
        amf_write_object(w);
    }
    return write_members(w, v, base);
}

static enum err write_reference(struct buf_writer *w, const struct amf_value *target, uint32_t base)
{
    if (target->ordinal < base || target->ordinal - base > UINT16_MAX)
        return E_INVAL;
    buf_write_u8(w, MARKER_REFERENCE);
    buf_write_u16be(w, target->ordinal - base);
    return buf_writer_status(w);
}

static enum err write_value(struct buf_writer *w, const struct amf_value *v, uint32_t base)
{
    switch (v->type) {
    case AMF_NUMBER:
        amf_write_number(w, v->number);
        break;
    case AMF_BOOLEAN:
        amf_write_boolean(w, v->boolean);
        break;
    case AMF_STRING:
        amf_write_string(w, v->text);
        break;
    case AMF_NULL:
        amf_write_null(w);
        break;
    case AMF_UNDEFINED:
        amf_write_undefined(w);
        break;
    case AMF_DATE:
        write_date(w, v->number, v->time_zone_min);
        break;
    case AMF_UNSUPPORTED:
        buf_write_u8(w, MARKER_UNSUPPORTED);
        break;
    case AMF_XML:
        write_long(w, MARKER_XML, v->text);
        break;
    case AMF_BYTES:
        write_bytes(w, v->text);
        break;
    case AMF_REFERENCE:
        return write_reference(w, v->target, base);
    case AMF_OBJECT:
    case AMF_ECMA_ARRAY:
    case AMF_STRICT_ARRAY:
        return write_complex(w, v, base);
    }
    return buf_writer_status(w);
}

enum err amf_write_value(struct buf_writer *w, const struct amf_value *value)
{
    uint32_t base = 0;

    /* The first object in it is itself; in a leaf there is none, and a lone reference has no
     * target. */
    if (value->type == AMF_REFERENCE)
        return E_INVAL;
    if (value->type == AMF_OBJECT || value->type == AMF_ECMA_ARRAY ||
        value->type == AMF_STRICT_ARRAY)
        base = value->ordinal;
    return write_value(w, value, base);
}

enum err amf_write_doc(struct buf_writer *w, const struct amf_doc *doc)
{
    for (const struct amf_value *v = doc->first; v; v = v->next) {
        enum err e = write_value(w, v, 0);

        if (e != E_OK)
            return e;
    }
    return buf_writer_status(w);
}
