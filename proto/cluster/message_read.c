/* JSON object to struct, by table. What arrives here is untrusted: its size was bounded by the
 * caller, its nesting by Jansson (2,048 levels), each text by the array it goes to. */
#include "proto/cluster/message.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPENED (3 * CLUSTER_MAX_STREAMS) /* objects and lists */
#define MAX_COMMAS (16 * CLUSTER_MAX_STREAMS)

/* Where and what was wrong, while one field is read. */
struct reading {
    const struct message_field *field;
    struct message_place place;
    struct cluster_error *error;
};

static const char *type_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a number";
    case JSON_REAL:
        return "a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

static enum err refuse(const struct reading *r, const char *expected, const char *found)
{
    char path[96];

    if (!r->place.key)
        snprintf(path, sizeof path, "%s", r->field->key);
    else if (!r->place.in_array)
        snprintf(path, sizeof path, "%s.%s", r->place.key, r->field->key);
    else
        snprintf(path, sizeof path, "%s[%zu].%s", r->place.key, r->place.index, r->field->key);
    snprintf(r->error->text, sizeof r->error->text, "%s: expected %s, found %s", path, expected,
             found);
    return E_INVAL;
}

static enum err refuse_key(struct cluster_error *error, const char *key, const char *expected,
                           const json_t *found)
{
    snprintf(error->text, sizeof error->text, "%s: expected %s, found %s", key, expected,
             found ? type_text(found) : "nothing");
    return E_INVAL;
}

static enum err read_bool(const struct reading *r, const json_t *value, void *to)
{
    if (!json_is_boolean(value))
        return refuse(r, "a boolean", type_text(value));
    *(bool *)to = json_is_true(value);
    return E_OK;
}

static enum err read_u32(const struct reading *r, const json_t *value, void *to)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value))
        return refuse(r, "a number", type_text(value));
    if (n < 0 || n > UINT32_MAX)
        return refuse(r, "a number from 0 to 4294967295",
                      n < 0 ? "a negative one" : "a larger one");
    *(uint32_t *)to = (uint32_t)n;
    return E_OK;
}

static enum err read_u64(const struct reading *r, const json_t *value, void *to)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value))
        return refuse(r, "a number", type_text(value));
    if (n < 0 || (uint64_t)n > MESSAGE_MAX_NUMBER)
        return refuse(r, "a number from 0 to 2^53", n < 0 ? "a negative one" : "a larger one");
    *(uint64_t *)to = (uint64_t)n;
    return E_OK;
}

bool message_parse_decimal(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)*text - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static enum err read_u64_text(const struct reading *r, const json_t *value, void *to)
{
    if (!json_is_string(value))
        return refuse(r, "a decimal string", type_text(value));
    if (!message_parse_decimal(json_string_value(value), to))
        return refuse(r, "a decimal string of at most 64 bits", "another string");
    return E_OK;
}

static enum err read_text(const struct reading *r, const json_t *value, void *to)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);

    if (!text)
        return refuse(r, "a string", type_text(value));
    if (size >= r->field->size)
        return refuse(r, "a shorter string", "one above the limit");
    for (size_t i = 0; i < size; i++)
        if (iscntrl((unsigned char)text[i]))
            return refuse(r, "a string", "one with control characters");
    memcpy(to, text, size + 1);
    return E_OK;
}

static enum err read_id(const struct reading *r, const json_t *value, void *to)
{
    const char *text = json_string_value(value);

    if (!text)
        return refuse(r, "a node id", type_text(value));
    if (!cluster_id_is_valid(text) && (*text || r->field->required))
        return refuse(r, "1-64 bytes of [A-Za-z0-9._-]", *text ? "another string" : "\"\"");
    return read_text(r, value, to);
}

static enum err read_url(const struct reading *r, const json_t *value, void *to)
{
    const char *text = json_string_value(value);

    if (!text)
        return refuse(r, "a string", type_text(value));
    if (*text && !message_url_is_valid(text, r->field->choices))
        return refuse(r, "scheme://host:port", "another string");
    return read_text(r, value, to);
}

static enum err read_enum(const struct reading *r, const json_t *value, void *to)
{
    const char *text = json_string_value(value);
    char expected[80] = "one of";

    if (!text)
        return refuse(r, "a string", type_text(value));
    for (int i = 0; r->field->choices[i]; i++) {
        size_t used = strlen(expected);

        if (strcmp(r->field->choices[i], text) == 0) {
            memcpy(to, &i, sizeof i);
            return E_OK;
        }
        snprintf(expected + used, sizeof expected - used, " %s", r->field->choices[i]);
    }
    return refuse(r, expected, "another string");
}

static enum err read_name(const struct reading *r, const json_t *value, void *to)
{
    const char *text = json_string_value(value);
    const char *why = "";

    if (!text)
        return refuse(r, "a stream name", type_text(value));
    if (message_name_from_text(to, text, &why) != E_OK)
        return refuse(r, "a stream name", why);
    return E_OK;
}

static enum err read_ids(const struct reading *r, const json_t *value, void *to)
{
    struct cluster_ids *ids = to;
    size_t n = json_array_size(value);

    if (!json_is_array(value))
        return refuse(r, "an array of node ids", type_text(value));
    if (n > CLUSTER_MAX_UPSTREAMS)
        return refuse(r, "at most 4 node ids", "more");
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_array_get(value, i));

        if (!id || !cluster_id_is_valid(id))
            return refuse(r, "an array of node ids", "something else in it");
        memcpy(ids->id[i], id, strlen(id) + 1);
    }
    ids->n = (unsigned)n;
    return E_OK;
}

static enum err (*const k_readers[])(const struct reading *r, const json_t *value, void *to) = {
    [MESSAGE_BOOL] = read_bool, [MESSAGE_U32] = read_u32,   [MESSAGE_U64] = read_u64,
    [MESSAGE_TEXT] = read_text, [MESSAGE_ID] = read_id,     [MESSAGE_U64_TEXT] = read_u64_text,
    [MESSAGE_URL] = read_url,   [MESSAGE_ENUM] = read_enum, [MESSAGE_NAME] = read_name,
    [MESSAGE_IDS] = read_ids,
};

enum err message_read(const json_t *object, const struct message_table *table,
                      struct message_place place, void *out, struct cluster_error *error)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        const struct message_field *field = &table->fields[i];
        struct reading r = {field, place, error};
        const json_t *value = json_object_get(object, field->key);
        enum err e = E_OK;

        if (value && !json_is_null(value))
            e = k_readers[field->kind](&r, value, (char *)out + field->offset);
        else if (field->required)
            e = refuse(&r, "a value", "nothing");
        if (e != E_OK)
            return e;
    }
    return E_OK;
}

enum err message_read_object(const json_t *root, const char *key, const struct message_table *table,
                             void *out, struct cluster_error *error)
{
    const json_t *object = json_object_get(root, key);

    if (!object || json_is_null(object))
        return E_OK;
    if (!json_is_object(object))
        return refuse_key(error, key, "an object", object);
    return message_read(object, table, (struct message_place){.key = key}, out, error);
}

static enum err read_items(const json_t *list, const struct message_array *array, char *items,
                           struct cluster_error *error)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *object = json_array_get(list, i);
        struct message_place place = {array->key, true, i};
        char path[64];
        enum err e;

        if (!json_is_object(object)) {
            snprintf(path, sizeof path, "%s[%zu]", array->key, i);
            return refuse_key(error, path, "an object", object);
        }
        e = message_read(object, array->table, place, items + i * array->item_bytes, error);
        if (e != E_OK)
            return e;
    }
    return E_OK;
}

enum err message_read_array(const json_t *root, const struct message_array *array, void **items,
                            size_t *n_items, struct cluster_error *error)
{
    const json_t *list = json_object_get(root, array->key);
    size_t n = json_array_size(list);

    *items = NULL;
    *n_items = 0;
    if (!list || json_is_null(list))
        return E_OK;
    if (!json_is_array(list))
        return refuse_key(error, array->key, "an array", list);
    if (n > array->max_items) {
        snprintf(error->text, sizeof error->text, "%s: %zu items, the limit is %zu", array->key, n,
                 array->max_items);
        return E_TOO_BIG;
    }
    if (n == 0)
        return E_OK;
    *items = calloc(n, array->item_bytes);
    if (!*items)
        return E_NOMEM;
    *n_items = n;
    return read_items(list, array, *items, error);
}

static enum err check_version(const json_t *root, struct cluster_error *error)
{
    const json_t *version = json_object_get(root, "v");

    if (!json_is_object(root))
        return refuse_key(error, "message", "an object", root);
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return refuse_key(error, "v", "a version of 1 or more", version);
    return E_OK; /* a later version: its new fields are ignored like any unknown one */
}

/* A text that is all braces takes 60 times its size in memory, and seconds. The longest message
 * that makes sense has two full lists. */
static bool has_too_many_values(struct buf_view json)
{
    size_t n_opened = 0, n_commas = 0;

    for (size_t i = 0; i < json.size_bytes; i++) {
        n_opened += json.data[i] == '{' || json.data[i] == '[';
        n_commas += json.data[i] == ',';
    }
    return n_opened > MAX_OPENED || n_commas > MAX_COMMAS;
}

enum err message_parse(struct buf_view json, json_t **root, struct cluster_error *error)
{
    json_error_t failed = {0};
    enum err e;

    *root = NULL;
    if (has_too_many_values(json)) {
        snprintf(error->text, sizeof error->text, "too many values");
        return E_TOO_BIG;
    }
    snprintf(error->text, sizeof error->text, "out of memory");
    *root = json_loadb(json.size_bytes ? (const char *)json.data : "", json.size_bytes,
                       JSON_REJECT_DUPLICATES, &failed);
    if (!*root) {
        if (json_error_code(&failed) == json_error_out_of_memory || !failed.text[0])
            return E_NOMEM;
        snprintf(error->text, sizeof error->text, "line %d, column %d: %.100s", failed.line,
                 failed.column, failed.text);
        return E_INVAL;
    }
    e = check_version(*root, error);
    if (e != E_OK) {
        json_decref(*root);
        *root = NULL;
    }
    return e;
}
