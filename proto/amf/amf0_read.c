/* AMF0, section 2: one reader a marker, in a table. */
#include "proto/amf/amf_doc.h"

static enum err read_number(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    v->type = AMF_NUMBER;
    v->number = buf_read_f64be(in);
    return E_OK;
}

static enum err read_boolean(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    v->type = AMF_BOOLEAN;
    v->boolean = buf_read_u8(in) != 0;
    return E_OK;
}

static enum err read_string(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    v->type = AMF_STRING;
    return amf_doc_take_text(doc, in, buf_read_u16be(in), &v->text);
}

static enum err read_long_string(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    v->type = AMF_STRING;
    return amf_doc_take_text(doc, in, buf_read_u32be(in), &v->text);
}

static enum err read_xml(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    v->type = AMF_XML;
    return amf_doc_take_text(doc, in, buf_read_u32be(in), &v->text);
}

static enum err read_null(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_NULL;
    return E_OK;
}

static enum err read_undefined(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_UNDEFINED;
    return E_OK;
}

static enum err read_unsupported(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_UNSUPPORTED;
    return E_OK;
}

static enum err read_date(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    v->type = AMF_DATE;
    v->number = buf_read_f64be(in);
    v->time_zone_min = (int16_t)buf_read_u16be(in);
    return E_OK;
}

static enum err read_reference(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    size_t index = buf_read_u16be(in);
    const struct amf_value *const *objects = doc->objects0.items;

    if (in->overrun || index >= doc->objects0.n_items)
        return amf_doc_fail(doc, E_PROTO, "reference to nothing");
    v->type = AMF_REFERENCE;
    v->target = objects[index];
    return E_OK;
}

/* Numbers the object for references to it, which its own members may make. */
static enum err begin_complex(struct amf_doc *doc, struct amf_value *v, enum amf_type type)
{
    const struct amf_value *self = v;
    enum err e = amf_doc_enter(doc);

    if (e != E_OK)
        return e;
    v->type = type;
    v->ordinal = doc->n_complex++;
    return amf_doc_remember(doc, &doc->objects0, &self, sizeof self);
}

/* True past "00 00 09". A last ECMA array whose end mark is missing is whole, too: some FLV tools
 * count members instead of writing the mark. */
static bool at_end(const struct amf_value *v, struct buf_reader *in)
{
    struct buf_reader peek = *in;

    if (in->left_bytes == 0)
        return v->type == AMF_ECMA_ARRAY;
    if (buf_read_u24be(&peek) != 9 || peek.overrun)
        return false;
    *in = peek;
    return true;
}

static enum err read_members(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    struct amf_value *member, *last = NULL;

    while (!at_end(v, in)) {
        enum err e = amf_doc_add(doc, &member);

        if (e == E_OK)
            e = amf_doc_take_text(doc, in, buf_read_u16be(in), &member->name);
        if (e == E_OK)
            e = amf0_read_into(doc, in, member);
        if (e != E_OK)
            return e;
        amf_value_append(v, &last, member);
    }
    doc->depth--;
    return E_OK;
}

static enum err read_object(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    enum err e = begin_complex(doc, v, AMF_OBJECT);

    return e == E_OK ? read_members(doc, in, v) : e;
}

static enum err read_typed_object(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    enum err e = begin_complex(doc, v, AMF_OBJECT);

    if (e == E_OK)
        e = amf_doc_take_text(doc, in, buf_read_u16be(in), &v->class_name);
    return e == E_OK ? read_members(doc, in, v) : e;
}

static enum err read_ecma_array(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    enum err e = begin_complex(doc, v, AMF_ECMA_ARRAY);

    (void)buf_read_u32be(
        in); /* a hint only: encoders write 0 or the number without later members */
    if (e == E_OK && in->overrun)
        return amf_doc_fail(doc, E_PROTO, "cut short in an array");
    return e == E_OK ? read_members(doc, in, v) : e;
}

static enum err read_strict_array(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    enum err e = begin_complex(doc, v, AMF_STRICT_ARRAY);
    uint32_t n_members = buf_read_u32be(in);
    struct amf_value *member, *last = NULL;

    for (uint32_t i = 0; e == E_OK && i < n_members; i++) {
        e = amf_doc_add(doc, &member);
        if (e == E_OK)
            e = amf0_read_into(doc, in, member);
        if (e == E_OK)
            amf_value_append(v, &last, member);
    }
    if (e == E_OK)
        doc->depth--;
    return e;
}

static enum err (*const k_readers[])(struct amf_doc *doc, struct buf_reader *in,
                                     struct amf_value *v) = {
    [0x00] = read_number,       [0x01] = read_boolean,
    [0x02] = read_string,       [0x03] = read_object,
    [0x05] = read_null,         [0x06] = read_undefined,
    [0x07] = read_reference,    [0x08] = read_ecma_array,
    [0x0a] = read_strict_array, [0x0b] = read_date,
    [0x0c] = read_long_string,  [0x0d] = read_unsupported,
    [0x0f] = read_xml,          [0x10] = read_typed_object,
    [0x11] = amf3_read_into, /* avmplus-object-marker */
};

enum err amf0_read_into(struct amf_doc *doc, struct buf_reader *in, struct amf_value *value)
{
    unsigned marker = buf_read_u8(in);
    enum err e;

    if (in->overrun)
        return amf_doc_fail(doc, E_PROTO, "cut short before a value");
    if (marker == 0x04 || marker == 0x0e)
        return amf_doc_fail(doc, E_UNSUPPORTED, "movie clip or record set");
    if (marker >= sizeof k_readers / sizeof k_readers[0] || !k_readers[marker])
        return amf_doc_fail(doc, E_PROTO, "unknown type marker");
    e = k_readers[marker](doc, in, value);
    if (e == E_OK && in->overrun)
        return amf_doc_fail(doc, E_PROTO, "cut short in a value");
    return e;
}
