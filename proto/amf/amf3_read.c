/* AMF3, section 3: what encoders send behind AMF0's switch marker, with the three reference tables.
 * Vectors, dictionaries and externalizable objects are refused by name: no encoder sends them, and
 * the last cannot be read without the sender's class. */
#include <stdio.h>

#include "proto/amf/amf_doc.h"

#define MAX_NAME_BYTES \
    65535u /* what an AMF0 name can hold: it must be possible to write it again */

/* Section 1.3.1: 1 to 4 bytes, 7 bits in the first three, 8 in the fourth. */
static uint32_t read_u29(struct buf_reader *in)
{
    uint32_t value = 0;

    for (int i = 0; i < 3; i++) {
        uint32_t byte = buf_read_u8(in);

        value = value << 7 | (byte & 0x7f);
        if (!(byte & 0x80))
            return value;
    }
    return value << 8 | buf_read_u8(in);
}

/* Section 1.3.2: a length with the bytes, or an index into the strings so far. */
static enum err read_text(struct amf_doc *doc, struct buf_reader *in, struct buf_view *out)
{
    uint32_t head = read_u29(in);
    const struct buf_view *strings = doc->strings3.items;
    enum err e;

    if (!(head & 1)) {
        if (in->overrun || head >> 1 >= doc->strings3.n_items)
            return amf_doc_fail(doc, E_PROTO, "string reference to nothing");
        *out = strings[head >> 1];
        return E_OK;
    }
    e = amf_doc_take_text(doc, in, head >> 1, out);
    if (e != E_OK || out->size_bytes == 0) /* the empty string is never sent by reference */
        return e;
    return amf_doc_remember(doc, &doc->strings3, out, sizeof *out);
}

static enum err read_name(struct amf_doc *doc, struct buf_reader *in, struct buf_view *out)
{
    enum err e = read_text(doc, in, out);

    if (e == E_OK && out->size_bytes > MAX_NAME_BYTES)
        return amf_doc_fail(doc, E_TOO_BIG, "name longer than 65535 bytes");
    return e;
}

/* What object reference head (low bit 0) means. Objects and arrays become a reference, so that
 * cycles stay finite; dates, XML and bytes are leaves and are copied. */
static enum err resolve_object(struct amf_doc *doc, uint32_t head, struct amf_value *v)
{
    const struct amf_value *const *objects = doc->objects3.items;
    const struct amf_value *target;

    if (head >> 1 >= doc->objects3.n_items)
        return amf_doc_fail(doc, E_PROTO, "reference to nothing");
    target = objects[head >> 1];
    if (target->type == AMF_DATE || target->type == AMF_XML || target->type == AMF_BYTES) {
        v->type = target->type;
        v->number = target->number;
        v->text = target->text;
        return E_OK;
    }
    v->type = AMF_REFERENCE;
    v->target = target;
    return E_OK;
}

static enum err remember_object(struct amf_doc *doc, struct amf_value *v)
{
    const struct amf_value *self = v;

    return amf_doc_remember(doc, &doc->objects3, &self, sizeof self);
}

static enum err begin_complex(struct amf_doc *doc, struct amf_value *v, enum amf_type type)
{
    enum err e = amf_doc_enter(doc);

    if (e != E_OK)
        return e;
    v->type = type;
    v->ordinal = doc->n_complex++;
    return remember_object(doc, v);
}

static enum err read_integer(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    uint32_t bits = read_u29(in);

    (void)doc;
    v->type = AMF_NUMBER;
    v->number = bits & 0x10000000 ? (double)bits - 0x20000000 : (double)bits;
    return E_OK;
}

static enum err read_double(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    v->type = AMF_NUMBER;
    v->number = buf_read_f64be(in);
    return E_OK;
}

static enum err read_string(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    v->type = AMF_STRING;
    return read_text(doc, in, &v->text);
}

static enum err read_undefined(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_UNDEFINED;
    return E_OK;
}

static enum err read_null(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_NULL;
    return E_OK;
}

static enum err read_false(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_BOOLEAN;
    return E_OK;
}

static enum err read_true(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    (void)doc;
    (void)in;
    v->type = AMF_BOOLEAN;
    v->boolean = true;
    return E_OK;
}

static enum err read_date(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    uint32_t head = read_u29(in);

    if (!(head & 1))
        return resolve_object(doc, head, v);
    v->type = AMF_DATE;
    v->number = buf_read_f64be(in);
    return remember_object(doc, v);
}

/* XML and ByteArray: a length and bytes, kept in the object table and not in the string table. */
static enum err read_blob(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v,
                          enum amf_type type)
{
    uint32_t head = read_u29(in);
    enum err e;

    if (!(head & 1))
        return resolve_object(doc, head, v);
    v->type = type;
    e = amf_doc_take_text(doc, in, head >> 1, &v->text);
    return e == E_OK ? remember_object(doc, v) : e;
}

static enum err read_xml(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    return read_blob(doc, in, v, AMF_XML);
}

static enum err read_bytes(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    return read_blob(doc, in, v, AMF_BYTES);
}

/* One value under a name, as last member of v. */
static enum err read_member(struct amf_doc *doc, struct buf_reader *in, struct buf_view name,
                            struct amf_value *v, struct amf_value **last)
{
    struct amf_value *member;
    enum err e = amf_doc_add(doc, &member);

    if (e != E_OK)
        return e;
    member->name = name;
    e = amf3_read_into(doc, in, member);
    if (e == E_OK)
        amf_value_append(v, last, member);
    return e;
}

/* Names and values up to the empty name. */
static enum err read_named_members(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v,
                                   struct amf_value **last)
{
    for (;;) {
        struct buf_view name;
        enum err e = read_name(doc, in, &name);

        if (e != E_OK || name.size_bytes == 0)
            return e;
        e = read_member(doc, in, name, v, last);
        if (e != E_OK)
            return e;
    }
}

/* Section 3.11. When some members have names, the others are called "0", "1", ... */
static enum err read_array(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    uint32_t head = read_u29(in);
    struct amf_value *last = NULL;
    enum err e;

    if (!(head & 1))
        return resolve_object(doc, head, v);
    e = begin_complex(doc, v, AMF_STRICT_ARRAY);
    if (e == E_OK)
        e = read_named_members(doc, in, v, &last);
    if (v->n_members)
        v->type = AMF_ECMA_ARRAY;
    for (uint32_t i = 0; e == E_OK && i < head >> 1; i++) {
        e = read_member(doc, in, (struct buf_view){NULL, 0}, v, &last);
        if (e != E_OK || v->type == AMF_STRICT_ARRAY)
            continue;
        snprintf(last->digits, sizeof last->digits, "%u", i % 1000000);
        last->name = buf_view_str(last->digits);
    }
    if (e == E_OK)
        doc->depth--;
    return e;
}

/* Section 3.12: class name and member names, in full or by reference. */
static enum err read_traits(struct amf_doc *doc, struct buf_reader *in, uint32_t head,
                            struct amf3_traits *out)
{
    const struct amf3_traits *known = doc->traits3.items;
    struct buf_view name;
    enum err e;

    if (!(head & 2)) {
        if (head >> 2 >= doc->traits3.n_items)
            return amf_doc_fail(doc, E_PROTO, "traits reference to nothing");
        *out = known[head >> 2];
        return E_OK;
    }
    if (head & 4)
        return amf_doc_fail(doc, E_UNSUPPORTED, "externalizable object");
    out->dynamic = (head & 8) != 0;
    out->n_names = head >> 4;
    out->first_name = doc->trait_names.n_items;
    e = read_name(doc, in, &out->class_name);
    for (uint32_t i = 0; e == E_OK && i < out->n_names; i++) {
        e = read_name(doc, in, &name);
        if (e == E_OK)
            e = amf_doc_remember(doc, &doc->trait_names, &name, sizeof name);
    }
    return e == E_OK ? amf_doc_remember(doc, &doc->traits3, out, sizeof *out) : e;
}

static enum err read_object(struct amf_doc *doc, struct buf_reader *in, struct amf_value *v)
{
    uint32_t head = read_u29(in);
    struct amf_value *last = NULL;
    struct amf3_traits traits;
    enum err e;

    if (!(head & 1))
        return resolve_object(doc, head, v);
    e = begin_complex(doc, v, AMF_OBJECT);
    if (e == E_OK)
        e = read_traits(doc, in, head, &traits);
    if (e != E_OK)
        return e;
    v->class_name = traits.class_name;
    for (uint32_t i = 0; e == E_OK && i < traits.n_names; i++) {
        const struct buf_view *names = doc->trait_names.items; /* moves as the table grows */

        e = read_member(doc, in, names[traits.first_name + i], v, &last);
    }
    if (e == E_OK && traits.dynamic)
        e = read_named_members(doc, in, v, &last);
    if (e == E_OK)
        doc->depth--;
    return e;
}

static enum err (*const k_readers[])(struct amf_doc *doc, struct buf_reader *in,
                                     struct amf_value *v) = {
    read_undefined, read_null, read_false, read_true,   read_integer, read_double, read_string,
    read_xml,       read_date, read_array, read_object, read_xml,     read_bytes,
};

enum err amf3_read_into(struct amf_doc *doc, struct buf_reader *in, struct amf_value *value)
{
    unsigned marker = buf_read_u8(in);
    enum err e;

    if (in->overrun)
        return amf_doc_fail(doc, E_PROTO, "cut short before a value");
    if (marker >= 0x0d && marker <= 0x11)
        return amf_doc_fail(doc, E_UNSUPPORTED, "AMF3 vector or dictionary");
    if (marker > 0x11)
        return amf_doc_fail(doc, E_PROTO, "unknown AMF3 type marker");
    e = k_readers[marker](doc, in, value);
    if (e == E_OK && in->overrun)
        return amf_doc_fail(doc, E_PROTO, "cut short in a value");
    return e;
}
