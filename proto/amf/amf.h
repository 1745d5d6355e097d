/* AMF0 (Adobe, 2007) complete, and the AMF3 (Adobe, 2013) values that encoders put behind AMF0's
 * switch marker 0x11. Sans I/O: a whole message body becomes a bounded document, and back.
 *
 * Both formats give the same types: an AMF3 integer is a number, an AMF3 array with names is an
 * ECMA array, without names a strict array. What is written is always AMF0 (byte arrays alone,
 * which AMF0 does not have, go behind the switch marker), so decode, encode, decode gives the same
 * document. One thread at a time. */
#ifndef HW_PROTO_AMF_AMF_H
#define HW_PROTO_AMF_AMF_H

#include "common/base/buf.h"

enum amf_type {
    AMF_NUMBER,  /* number */
    AMF_BOOLEAN, /* boolean */
    AMF_STRING,  /* text; short or long form by its length */
    AMF_OBJECT,  /* members with names; class_name not empty = typed object */
    AMF_NULL,
    AMF_UNDEFINED,
    AMF_REFERENCE,  /* target: an object or array earlier in the document, maybe an enclosing one */
    AMF_ECMA_ARRAY, /* members with names */
    AMF_STRICT_ARRAY, /* members without names */
    AMF_DATE,         /* number: ms since 1970 UTC; time_zone_min as sent, to be ignored */
    AMF_UNSUPPORTED,  /* marker 0x0d: the sender had no form for the value */
    AMF_XML,          /* text */
    AMF_BYTES         /* text: an AMF3 ByteArray */
};

struct amf_value {
    enum amf_type type;
    bool boolean;
    int16_t time_zone_min;
    double number;
    struct buf_view text;          /* lent by the input that was read */
    struct buf_view name;          /* of a member; empty for others */
    struct buf_view class_name;    /* of a typed object, else empty */
    const struct amf_value *first; /* first member of an object or array */
    const struct amf_value
        *next; /* next member of the same parent, or next value of the document */
    const struct amf_value *target; /* of a reference */
    uint32_t n_members;
    uint32_t
        ordinal;    /* of an object or array: its number in the document, in order of appearance */
    char digits[8]; /* holds the name of a member that AMF3 sent without one: "0", "1", ... */
};

struct amf_limits {
    unsigned max_depth;      /* objects and arrays inside each other; at most AMF_DEPTH_CEILING */
    unsigned max_values;     /* in one document; at most AMF_VALUES_CEILING */
    size_t max_string_bytes; /* of one string, name, XML text or byte array */
};
#define AMF_DEPTH_CEILING 64u                        /* reading and writing recurse */
#define AMF_VALUES_CEILING 65535u                    /* a reference has 16 bits */
extern const struct amf_limits k_amf_limits_default; /* 16 deep, 4096 values, 1 MiB */

struct amf_doc; /* opaque: the values of one message, and their memory */

/* Returns an empty document, or NULL when out of memory. Pair with amf_doc_destroy(). */
struct amf_doc *amf_doc_create(const struct amf_limits *limits);
/* Takes *doc and sets it to NULL; a NULL *doc is fine. */
void amf_doc_destroy(struct amf_doc **doc);
/* Forgets the values and reference tables, keeps memory for the next message. */
void amf_doc_clear(struct amf_doc *doc);

/* Reads one value from *in, which is moved past it, and adds it to the document. Strings stay in
 * the input's memory, which must live as long as the document is used. *out (lent: valid until the
 * document is cleared) is written only on E_OK.
 *   E_OK           one value
 *   E_PROTO        cut short, an unknown marker, or a reference to nothing
 *   E_TOO_BIG      a limit is crossed
 *   E_UNSUPPORTED  a type that cannot be read: movie clip, record set, AMF3 vectors, dictionaries
 * and externalizable objects E_NOMEM        out of memory. After an error only amf_doc_clear() or
 * _destroy(), and amf_doc_error() for the log */
enum err amf0_read_value(struct amf_doc *doc, struct buf_reader *in, const struct amf_value **out);
/* The same for a body that is AMF3 from its first byte. */
enum err amf3_read_value(struct amf_doc *doc, struct buf_reader *in, const struct amf_value **out);
/* Reads AMF0 values up to the end of body; the first is *out (NULL when body is empty), the others
 * follow by ->next. Errors as above. */
enum err amf0_read_all(struct amf_doc *doc, struct buf_view body, const struct amf_value **out);
/* Static text after an error: "nested deeper than the limit". Never NULL. */
const char *amf_doc_error(const struct amf_doc *doc);

/* --- Looking at values: all take NULL as a value that is not there --- */

/* What a reference stands for; any other value is itself. */
const struct amf_value *amf_deref(const struct amf_value *value);
/* First member of that name of an object or ECMA array, references followed; NULL if none. */
const struct amf_value *amf_find(const struct amf_value *object, const char *name);
/* The n-th value after value, itself for 0; NULL past the end. */
const struct amf_value *amf_at(const struct amf_value *value, unsigned n);
bool amf_is(const struct amf_value *value, enum amf_type type);
double amf_number(const struct amf_value *value, double otherwise);
bool amf_boolean(const struct amf_value *value, bool otherwise);
/* Text of a string; an empty view for anything else. */
struct buf_view amf_string(const struct amf_value *value);

/* --- Writing: a failure stays in the writer's status --- */

void amf_write_number(struct buf_writer *w, double value);
void amf_write_boolean(struct buf_writer *w, bool value);
/* Long string form above 65535 bytes. */
void amf_write_string(struct buf_writer *w, struct buf_view text);
void amf_write_cstr(struct buf_writer *w, const char *text);
void amf_write_null(struct buf_writer *w);
void amf_write_undefined(struct buf_writer *w);
void amf_write_date(struct buf_writer *w, double ms_since_1970);
/* Members are written as name and value; both end with amf_write_end(). */
void amf_write_object(struct buf_writer *w);
void amf_write_ecma_array(struct buf_writer *w, uint32_t n_members);
void amf_write_end(struct buf_writer *w);
/* n_members values follow, without names and without an end. */
void amf_write_strict_array(struct buf_writer *w, uint32_t n_members);
/* At most 65535 bytes. */
void amf_write_name(struct buf_writer *w, const char *name);
/* Name and value in one call. */
void amf_write_member_number(struct buf_writer *w, const char *name, double value);
void amf_write_member_boolean(struct buf_writer *w, const char *name, bool value);
void amf_write_member_cstr(struct buf_writer *w, const char *name, const char *text);
/* One value as read, without its name. E_INVAL when it refers to a value outside of itself. */
enum err amf_write_value(struct buf_writer *w, const struct amf_value *value);
/* All values of the document in order. */
enum err amf_write_doc(struct buf_writer *w, const struct amf_doc *doc);

#endif
