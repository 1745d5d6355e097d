/* Tables between a C struct and a JSON object: one row a field gives encoder, decoder, range check
 * and the path in an error. Private to proto/cluster. Sans I/O. */
#ifndef HW_PROTO_CLUSTER_MESSAGE_H
#define HW_PROTO_CLUSTER_MESSAGE_H

#include <jansson.h>

#include "common/base/buf.h"
#include "proto/cluster/cluster.h"

/* Numbers above this lose digits in readers that keep them as doubles (RFC 8259, section 6). */
#define MESSAGE_MAX_NUMBER ((uint64_t)1 << 53)

enum message_kind {
    MESSAGE_BOOL,     /* bool: true or false */
    MESSAGE_U32,      /* uint32_t: a number */
    MESSAGE_U64,      /* uint64_t: a number up to 2^53 */
    MESSAGE_U64_TEXT, /* uint64_t: decimal digits in a string */
    MESSAGE_TEXT,     /* char[size]: no control characters */
    MESSAGE_ID,       /* char[size]: a node id, or "" unless required */
    MESSAGE_URL,      /* char[size]: scheme://host[:port] with a scheme of choices, or "" */
    MESSAGE_ENUM,     /* enum: one of choices */
    MESSAGE_NAME,     /* struct stream_name: "app/name" */
    MESSAGE_IDS       /* struct cluster_ids: an array of node ids; what exceeds it is an error */
};

struct message_field {
    const char *key;
    enum message_kind kind;
    bool required; /* absent is an error; always written. Others are written unless zero */
    size_t offset, size;
    const char *const *choices; /* NULL-terminated */
};

#define MESSAGE_FIELD(struct_, key_, member, kind_, required_, choices_)                      \
    {                                                                                         \
        key_, kind_, required_, offsetof(struct_, member), sizeof(((struct_ *)NULL)->member), \
            choices_                                                                          \
    }

struct message_table {
    const struct message_field *fields;
    size_t n_fields;
};
#define MESSAGE_TABLE(fields_)                          \
    {                                                   \
        fields_, sizeof(fields_) / sizeof((fields_)[0]) \
    }

/* Where an object stands in its message, for error paths: "", "load." or "streams[3].". */
struct message_place {
    const char *key; /* NULL: the message itself */
    bool in_array;
    size_t index;
};

/* Parses a whole message: an object with a "v" of 1 or more. Returns a new reference in *root (the
 * caller's, json_decref). E_INVAL, E_NOMEM. */
enum err message_parse(struct buf_view json, json_t **root, struct cluster_error *error);
/* Fills the fields of *out; fields that are absent and not required are left as they are. null
 * counts as absent. *out may be half written on E_INVAL. */
enum err message_read(const json_t *object, const struct message_table *table,
                      struct message_place place, void *out, struct cluster_error *error);
/* Reads the object under key with the table; absent is fine. */
enum err message_read_object(const json_t *root, const char *key, const struct message_table *table,
                             void *out, struct cluster_error *error);
/* Reads the array of objects under key into *items, an own calloc'ed array of n_items elements of
 * item_bytes each (NULL when there are none; free() on failure too). More than max_items:
 * E_TOO_BIG. */
struct message_array {
    const char *key;
    const struct message_table *table;
    size_t item_bytes, max_items;
};
enum err message_read_array(const json_t *root, const struct message_array *array, void **items,
                            size_t *n_items, struct cluster_error *error);

/* Digits only, no sign, no space, within 64 bits; else false and *out is as it was. */
bool message_parse_decimal(const char *text, uint64_t *out);

/* "{" and the version. */
void message_write_open(struct buf_writer *out);
/* Writes ,"key":value for each field of *from; first leaves out the leading comma. */
void message_write(struct buf_writer *out, const struct message_table *table, const void *from,
                   bool first);
/* Writes ,"key":{...}. */
void message_write_object(struct buf_writer *out, const char *key,
                          const struct message_table *table, const void *from);
/* Writes ,"key":[{...}, ...] unless there are no items. */
void message_write_array(struct buf_writer *out, const struct message_array *array,
                         const void *items, size_t n_items);

/* "scheme://host[:port]" and nothing more, with a scheme of the NULL-terminated list. */
bool message_url_is_valid(const char *url, const char *const *schemes);
/* "app/name" exactly; E_INVAL with *why (static). */
enum err message_name_from_text(struct stream_name *out, const char *text, const char **why);

#endif
