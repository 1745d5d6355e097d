/* Items: text or JSON, along the schema. */
#include "common/base/conf_item.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_impl.h"

#define MAX_FIELDS 64u /* as many as a group of the configuration has */

struct filling {
    const struct conf_schema *schema;
    const char *source;
    void *out;
    struct conf_error *error;
    bool said[MAX_FIELDS];
};

static enum err note_said(struct filling *f, const struct conf_field *field)
{
    size_t i = (size_t)(field - f->schema->fields);

    assert(f->schema->n_fields <= MAX_FIELDS);
    if (f->said[i]) {
        conf_error_set(f->error, f->source, field->key, "is there twice");
        return E_INVAL;
    }
    f->said[i] = true;
    return E_OK;
}

static enum err set_json(struct filling *f, const struct conf_field *field, const json_t *value)
{
    struct conf_problem problem;
    enum err e = note_said(f, field);

    if (e != E_OK)
        return e;
    e = conf_value_set_json(field, f->out, value, &problem);
    return e == E_OK ? E_OK : conf_error_value(f->error, f->source, field->key, e, &problem);
}

/* What was not said: its default. */
static enum err complete(struct filling *f)
{
    for (size_t i = 0; i < f->schema->n_fields; i++) {
        const struct conf_field *field = &f->schema->fields[i];
        struct conf_problem problem;
        enum err e;

        if (f->said[i])
            continue;
        if (!field->default_value) {
            conf_error_set(f->error, f->source, field->key, "is missing");
            return E_INVAL;
        }
        e = conf_value_set_text(field, f->out, field->default_value, &problem);
        if (e != E_OK)
            return conf_error_value(f->error, f->source, field->key, e, &problem);
    }
    return E_OK;
}

static enum err finish(struct filling *f, enum err e)
{
    if (e == E_OK)
        e = complete(f);
    if (e != E_OK)
        conf_free(f->schema, f->out);
    return e;
}

/* --- JSON --- */

enum err conf_item_from_json(const struct conf_schema *schema, const char *source, json_t *json,
                             void *out, struct conf_error *error)
{
    struct filling f = {.schema = schema, .source = source, .out = out, .error = error};
    enum err e = E_OK;
    const char *key;
    json_t *value;

    if (!json_is_object(json)) {
        conf_error_set(error, source, "", "expected an object");
        return E_INVAL;
    }
    json_object_foreach(json, key, value)
    {
        const struct conf_field *field = conf_key_find(schema, key);

        e = field ? set_json(&f, field, value)
                  : conf_key_unknown(schema, source, key, false, error);
        if (e != E_OK)
            break;
    }
    return finish(&f, e);
}

/* --- text --- */

/* "a|b" -> ["a","b"]; "" is the empty list. */
static json_t *list_of(const char *text)
{
    json_t *list = json_array();

    while (list && *text) {
        size_t size = strcspn(text, "|");

        if (json_array_append_new(list, json_stringn(text, size)) != 0) {
            json_decref(list);
            return NULL;
        }
        text += size + (text[size] == '|');
    }
    return list;
}

static enum err set_text(struct filling *f, const struct conf_field *field, const char *text)
{
    struct conf_problem problem;
    json_t *list;
    enum err e;

    if (field->type == CONF_LIST) {
        list = list_of(text);
        e = list ? set_json(f, field, list) : E_NOMEM;
        json_decref(list);
        return e;
    }
    e = note_said(f, field);
    if (e != E_OK)
        return e;
    e = conf_value_set_text(field, f->out, text, &problem);
    return e == E_OK ? E_OK : conf_error_value(f->error, f->source, field->key, e, &problem);
}

static enum err set_word(struct filling *f, char *word, bool is_first)
{
    const struct conf_field *field = f->schema->fields;
    char *value = strchr(word, '=');

    if (is_first)
        return set_text(f, field, word);
    if (!value) {
        conf_error_set(f->error, f->source, "", "found \"%.64s\", expected key=value", word);
        return E_INVAL;
    }
    *value++ = '\0';
    field = conf_key_find(f->schema, word);
    return field ? set_text(f, field, value)
                 : conf_key_unknown(f->schema, f->source, word, false, f->error);
}

enum err conf_item_from_text(const struct conf_schema *schema, const char *source, const char *text,
                             void *out, struct conf_error *error)
{
    struct filling f = {.schema = schema, .source = source, .out = out, .error = error};
    char *copy = strdup(text), *rest = copy, *word;
    bool is_first = true;
    enum err e = copy ? E_OK : E_NOMEM;

    if (!copy)
        conf_error_set(error, source, "", "%s", err_text(E_NOMEM));
    while (e == E_OK && (word = strsep(&rest, " "))) {
        if (!*word)
            continue;
        e = set_word(&f, word, is_first);
        is_first = false;
    }
    free(copy);
    return finish(&f, e);
}

/* --- back --- */

json_t *conf_list_to_json(const struct conf_list *list, json_t *(*text)(const char *text))
{
    json_t *json = json_array();

    for (size_t i = 0; json && i < list->n_items; i++) {
        if (json_array_append_new(json, text(list->items[i])) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

json_t *conf_value_to_json(const struct conf_field *field, const void *conf,
                           json_t *(*text)(const char *text))
{
    const void *member = (const char *)conf + field->offset;

    switch (field->type) {
    case CONF_BOOL:
        return json_boolean(*(const bool *)member);
    case CONF_UINT:
        return json_integer((json_int_t) * (const uint64_t *)member);
    case CONF_ENUM:
        return json_string(field->choices[*(const int *)member]);
    case CONF_STRING:
    case CONF_ADDR:
        return text(*(char *const *)member);
    case CONF_LIST:
        return conf_list_to_json(member, text);
    }
    return NULL;
}

json_t *conf_item_to_json(const struct conf_schema *schema, const void *item)
{
    json_t *json = json_object();

    for (size_t i = 0; json && i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];

        if (json_object_set_new(json, field->key, conf_value_to_json(field, item, json_string)) !=
            0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

enum err conf_item_copy(const struct conf_schema *schema, const void *item, void *out)
{
    enum err e = E_OK;

    for (size_t i = 0; i < schema->n_fields && e == E_OK; i++)
        e = conf_value_copy(&schema->fields[i], item, out);
    if (e != E_OK) {
        conf_free(schema, out);
        memset(out, 0, schema->struct_bytes);
    }
    return e;
}
