/* The document: memory for values that never move, bounded by the limits, and looking at it. */
#include "proto/amf/amf_doc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_PER_BLOCK 32

const struct amf_limits k_amf_limits_default = {
    .max_depth = 16,
    .max_values = 4096,
    .max_string_bytes = 1 << 20,
};

struct amf_block {
    struct amf_block *next;
    size_t n_used;
    struct amf_value values[VALUES_PER_BLOCK];
};

struct amf_doc *amf_doc_create(const struct amf_limits *limits)
{
    struct amf_doc *doc = calloc(1, sizeof *doc);

    if (!doc)
        return NULL;
    assert(limits->max_depth <= AMF_DEPTH_CEILING && limits->max_values <= AMF_VALUES_CEILING);
    doc->limits = *limits;
    doc->error = "";
    return doc;
}

/* Frees all blocks but one, which is left empty. */
static void shrink_blocks(struct amf_doc *doc)
{
    struct amf_block *keep = doc->blocks;

    while (keep && keep->next) {
        struct amf_block *rest = keep->next->next;

        free(keep->next);
        keep->next = rest;
    }
    if (keep)
        keep->n_used = 0;
}

static void fini_table(struct amf_table *table)
{
    free(table->items);
    *table = (struct amf_table){0};
}

void amf_doc_clear(struct amf_doc *doc)
{
    shrink_blocks(doc);
    doc->first = NULL;
    doc->last = NULL;
    doc->n_values = 0;
    doc->n_complex = 0;
    doc->depth = 0;
    doc->objects0.n_items = 0;
    doc->objects3.n_items = 0;
    doc->strings3.n_items = 0;
    doc->traits3.n_items = 0;
    doc->trait_names.n_items = 0;
    doc->error = "";
}

void amf_doc_destroy(struct amf_doc **doc)
{
    if (!*doc)
        return;
    shrink_blocks(*doc);
    free((*doc)->blocks);
    fini_table(&(*doc)->objects0);
    fini_table(&(*doc)->objects3);
    fini_table(&(*doc)->strings3);
    fini_table(&(*doc)->traits3);
    fini_table(&(*doc)->trait_names);
    free(*doc);
    *doc = NULL;
}

const char *amf_doc_error(const struct amf_doc *doc)
{
    return doc->error;
}

enum err amf_doc_fail(struct amf_doc *doc, enum err e, const char *why)
{
    doc->error = why;
    return e;
}

enum err amf_doc_add(struct amf_doc *doc, struct amf_value **out)
{
    struct amf_block *block = doc->blocks;

    if (doc->n_values >= doc->limits.max_values)
        return amf_doc_fail(doc, E_TOO_BIG, "more values than the limit");
    if (!block || block->n_used == VALUES_PER_BLOCK) {
        block = malloc(sizeof *block);
        if (!block)
            return amf_doc_fail(doc, E_NOMEM, "out of memory");
        block->next = doc->blocks;
        block->n_used = 0;
        doc->blocks = block;
    }
    *out = &block->values[block->n_used++];
    **out = (struct amf_value){0};
    doc->n_values++;
    return E_OK;
}

enum err amf_doc_remember(struct amf_doc *doc, struct amf_table *table, const void *item,
                          size_t item_bytes)
{
    if (table->n_items >= doc->limits.max_values)
        return amf_doc_fail(doc, E_TOO_BIG, "more references than the limit");
    if (table->n_items == table->n_allocated) {
        size_t n = table->n_allocated ? table->n_allocated * 2 : 8;
        void *items = realloc(table->items, n * item_bytes);

        if (!items)
            return amf_doc_fail(doc, E_NOMEM, "out of memory");
        table->items = items;
        table->n_allocated = n;
    }
    memcpy((char *)table->items + table->n_items * item_bytes, item, item_bytes);
    table->n_items++;
    return E_OK;
}

enum err amf_doc_enter(struct amf_doc *doc)
{
    if (doc->depth >= doc->limits.max_depth)
        return amf_doc_fail(doc, E_TOO_BIG, "nested deeper than the limit");
    doc->depth++;
    return E_OK;
}

void amf_value_append(struct amf_value *parent, struct amf_value **last, struct amf_value *member)
{
    if (*last)
        (*last)->next = member;
    else
        parent->first = member;
    *last = member;
    parent->n_members++;
}

enum err amf_doc_take_text(struct amf_doc *doc, struct buf_reader *in, size_t size_bytes,
                           struct buf_view *out)
{
    if (in->overrun || size_bytes > in->left_bytes)
        return amf_doc_fail(doc, E_PROTO, "cut short in a string");
    if (size_bytes > doc->limits.max_string_bytes)
        return amf_doc_fail(doc, E_TOO_BIG, "string longer than the limit");
    *out = buf_take(in, size_bytes);
    return E_OK;
}

static enum err read_root(struct amf_doc *doc, struct buf_reader *in, const struct amf_value **out,
                          enum err (*read_into)(struct amf_doc *doc, struct buf_reader *in,
                                                struct amf_value *value))
{
    struct amf_value *value;
    enum err e = amf_doc_add(doc, &value);

    if (e != E_OK)
        return e;
    e = read_into(doc, in, value);
    if (e != E_OK)
        return e;
    if (doc->last)
        doc->last->next = value;
    else
        doc->first = value;
    doc->last = value;
    *out = value;
    return E_OK;
}

enum err amf0_read_value(struct amf_doc *doc, struct buf_reader *in, const struct amf_value **out)
{
    return read_root(doc, in, out, amf0_read_into);
}

enum err amf3_read_value(struct amf_doc *doc, struct buf_reader *in, const struct amf_value **out)
{
    return read_root(doc, in, out, amf3_read_into);
}

enum err amf0_read_all(struct amf_doc *doc, struct buf_view body, const struct amf_value **out)
{
    struct buf_reader in = buf_reader_from(body);
    const struct amf_value *value, *first = NULL;

    while (in.left_bytes) {
        enum err e = amf0_read_value(doc, &in, &value);

        if (e != E_OK)
            return e;
        if (!first)
            first = value;
    }
    *out = first;
    return E_OK;
}

const struct amf_value *amf_deref(const struct amf_value *value)
{
    return value && value->type == AMF_REFERENCE ? value->target : value;
}

const struct amf_value *amf_find(const struct amf_value *object, const char *name)
{
    size_t size = strlen(name); /* once: connect is asked for a dozen of its twenty members */

    object = amf_deref(object);
    if (!amf_is(object, AMF_OBJECT) && !amf_is(object, AMF_ECMA_ARRAY))
        return NULL;
    for (const struct amf_value *m = object->first; m; m = m->next)
        if (m->name.size_bytes == size && (!size || !memcmp(m->name.data, name, size)))
            return amf_deref(m);
    return NULL;
}

const struct amf_value *amf_at(const struct amf_value *value, unsigned n)
{
    while (value && n--)
        value = value->next;
    return value;
}

bool amf_is(const struct amf_value *value, enum amf_type type)
{
    return value && value->type == type;
}

double amf_number(const struct amf_value *value, double otherwise)
{
    return amf_is(value, AMF_NUMBER) ? value->number : otherwise;
}

bool amf_boolean(const struct amf_value *value, bool otherwise)
{
    return amf_is(value, AMF_BOOLEAN) ? value->boolean : otherwise;
}

struct buf_view amf_string(const struct amf_value *value)
{
    return amf_is(value, AMF_STRING) ? value->text : (struct buf_view){NULL, 0};
}
