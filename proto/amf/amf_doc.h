/* Inside of proto/amf: the document as the two readers fill it. */
#ifndef HW_PROTO_AMF_AMF_DOC_H
#define HW_PROTO_AMF_AMF_DOC_H

#include "proto/amf/amf.h"

struct amf_block; /* values never move: others point to them */

/* Class of an AMF3 object (section 3.12): member names that later objects do not repeat. */
struct amf3_traits {
    struct buf_view class_name;
    size_t first_name; /* in amf_doc.trait_names */
    uint32_t n_names;
    bool dynamic;
};

/* A growing array; at most max_values elements in each. */
struct amf_table {
    void *items; /* owned */
    size_t n_items;
    size_t n_allocated;
};

struct amf_doc {
    struct amf_limits limits;
    struct amf_block *blocks; /* owned; the first one is being filled */
    const struct amf_value *first;
    struct amf_value *last;
    unsigned n_values;
    unsigned n_complex;           /* next ordinal */
    unsigned depth;               /* of the value that is being read */
    struct amf_table objects0;    /* const struct amf_value *: section 2.9 of AMF0 */
    struct amf_table objects3;    /* the same for section 2.2 of AMF3 */
    struct amf_table strings3;    /* struct buf_view */
    struct amf_table traits3;     /* struct amf3_traits */
    struct amf_table trait_names; /* struct buf_view */
    const char *error;            /* static */
};

/* Notes why (static text) and returns e. */
enum err amf_doc_fail(struct amf_doc *doc, enum err e, const char *why);
/* *out is a new value of zeros that the document owns; E_TOO_BIG or E_NOMEM. */
enum err amf_doc_add(struct amf_doc *doc, struct amf_value **out);
/* Copies item (of item_bytes, always the same for one table) to the end of the table. */
enum err amf_doc_remember(struct amf_doc *doc, struct amf_table *table, const void *item,
                          size_t item_bytes);
/* One level deeper; pair with depth-- when that level is read. */
enum err amf_doc_enter(struct amf_doc *doc);
/* Appends member to parent, of which *last is the last member so far (NULL at first). */
void amf_value_append(struct amf_value *parent, struct amf_value **last, struct amf_value *member);
/* E_PROTO after a short read, E_TOO_BIG above max_string_bytes. */
enum err amf_doc_take_text(struct amf_doc *doc, struct buf_reader *in, size_t size_bytes,
                           struct buf_view *out);

/* Read one value into *value, whose name is kept. */
enum err amf0_read_into(struct amf_doc *doc, struct buf_reader *in, struct amf_value *value);
enum err amf3_read_into(struct amf_doc *doc, struct buf_reader *in, struct amf_value *value);

#endif
