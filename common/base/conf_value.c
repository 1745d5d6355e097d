/* Values of a configuration: one row of functions a type. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_impl.h"
#include "common/base/utf8.h"

static void *member(const struct conf_field *field, void *conf)
{
    return (char *)conf + field->offset;
}

static const void *member_const(const struct conf_field *field, const void *conf)
{
    return (const char *)conf + field->offset;
}

void conf_value_describe(const struct conf_field *field, char *out, size_t size)
{
    size_t used;

    switch (field->type) {
    case CONF_BOOL:
        snprintf(out, size, "true or false");
        break;
    case CONF_UINT:
        snprintf(out, size, "a whole number from %" PRIu64 " to %" PRIu64 "%s%s%s", field->min,
                 field->max, field->unit[0] ? " (" : "", field->unit, field->unit[0] ? ")" : "");
        break;
    case CONF_STRING:
        snprintf(out, size, "printable text of at most %" PRIu64 " bytes", field->max);
        break;
    case CONF_ENUM:
        used = (size_t)snprintf(out, size, "one of:");
        for (size_t i = 0; field->choices[i] && used < size; i++)
            used +=
                (size_t)snprintf(out + used, size - used, "%s %s", i ? "," : "", field->choices[i]);
        break;
    case CONF_ADDR:
        snprintf(out, size, "\"host:port\", \"[v6]:port\" or \"\" for off");
        break;
    case CONF_LIST:
        snprintf(out, size, "a list of at most %" PRIu64 " texts, none empty", field->max);
        break;
    }
}

static enum err refuse(const struct conf_field *field, struct conf_problem *problem)
{
    conf_value_describe(field, problem->expected, sizeof problem->expected);
    return E_INVAL;
}

static enum err refuse_text(const struct conf_field *field, const char *text,
                            struct conf_problem *problem)
{
    bool is_long = strlen(text) > 64;

    snprintf(problem->found, sizeof problem->found, "\"%.64s%s\"", text, is_long ? "..." : "");
    return refuse(field, problem);
}

static bool is_clean_text(const char *text)
{
    struct buf_reader in = buf_reader_from(buf_view_str(text));
    uint32_t c;
    enum err e;

    while ((e = utf8_read(&in, &c)) == E_OK)
        if (c < 0x20 || c == 0x7f)
            return false;
    return e == E_END;
}

/* Digits alone, without sign or space, in 0..max. */
static bool parse_uint(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (text[0] == '\0')
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)(unsigned char)*text - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return value <= max;
}

static bool is_host(const char *host)
{
    static const char k_allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    return host[0] && host[strspn(host, k_allowed)] == '\0';
}

static bool is_v6(const char *host)
{
    struct in6_addr ignored;

    return inet_pton(AF_INET6, host, &ignored) == 1;
}

static bool is_addr(const char *text, uint64_t max_bytes)
{
    const char *colon = strrchr(text, ':');
    char host[304];
    uint64_t port;
    size_t size;

    if (text[0] == '\0')
        return true;
    if (!colon || strlen(text) > max_bytes || strlen(text) >= sizeof host ||
        strlen(colon + 1) > 5 || !parse_uint(colon + 1, 65535, &port))
        return false;
    size = (size_t)(colon - text);
    memcpy(host, text, size);
    host[size] = '\0';
    if (host[0] != '[')
        return is_host(host);
    if (host[size - 1] != ']')
        return false;
    host[size - 1] = '\0';
    return is_v6(host + 1);
}

static enum err set_string(const struct conf_field *field, void *conf, const char *text)
{
    char **slot = member(field, conf);
    char *copy = strdup(text);

    if (!copy)
        return E_NOMEM;
    free(*slot);
    *slot = copy;
    return E_OK;
}

static void list_free(struct conf_list *list)
{
    for (size_t i = 0; i < list->n_items; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct conf_list){0};
}

static enum err list_add(const struct conf_field *field, struct conf_list *list, const char *text,
                         size_t size)
{
    char **items;
    char *item;

    if (list->n_items >= field->max || size == 0)
        return E_INVAL;
    items = realloc(list->items, (list->n_items + 1) * sizeof(char *));
    if (!items)
        return E_NOMEM;
    list->items = items;
    item = strndup(text, size);
    if (!item)
        return E_NOMEM;
    list->items[list->n_items++] = item;
    return is_clean_text(item) ? E_OK : E_INVAL;
}

/* Takes the items of *made into the member when e is E_OK, else frees them. Returns e. */
static enum err list_commit(const struct conf_field *field, void *conf, struct conf_list *made,
                            enum err e)
{
    struct conf_list *slot = member(field, conf);

    if (e != E_OK) {
        list_free(made);
        return e;
    }
    list_free(slot);
    *slot = *made;
    return E_OK;
}

/* "a, b" -> a and b; spaces around items are dropped; "" is the empty list. */
static enum err set_list_text(const struct conf_field *field, void *conf, const char *text)
{
    struct conf_list made = {0};
    enum err e = E_OK;

    while (e == E_OK && (text[0] || made.n_items)) {
        size_t size = strcspn(text, ",");
        const char *next = text + size;

        for (; size && *text == ' '; size--)
            text++;
        while (size && text[size - 1] == ' ')
            size--;
        e = list_add(field, &made, text, size);
        if (*next == '\0')
            break;
        text = next + 1;
    }
    return list_commit(field, conf, &made, e);
}

static enum err set_bool(const struct conf_field *field, void *conf, const char *text)
{
    bool is_true = strcmp(text, "true") == 0;

    if (!is_true && strcmp(text, "false") != 0)
        return E_INVAL;
    *(bool *)member(field, conf) = is_true;
    return E_OK;
}

static enum err set_uint(const struct conf_field *field, void *conf, const char *text)
{
    uint64_t value;

    if (!parse_uint(text, field->max, &value) || value < field->min)
        return E_INVAL;
    *(uint64_t *)member(field, conf) = value;
    return E_OK;
}

static enum err set_enum(const struct conf_field *field, void *conf, const char *text)
{
    for (int i = 0; field->choices[i]; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            *(int *)member(field, conf) = i;
            return E_OK;
        }
    }
    return E_INVAL;
}

static enum err set_text(const struct conf_field *field, void *conf, const char *text)
{
    if (strlen(text) > field->max || !is_clean_text(text))
        return E_INVAL;
    return set_string(field, conf, text);
}

static enum err set_addr(const struct conf_field *field, void *conf, const char *text)
{
    return is_addr(text, field->max) ? set_string(field, conf, text) : E_INVAL;
}

static enum err (*const k_set[])(const struct conf_field *, void *, const char *) = {
    [CONF_BOOL] = set_bool, [CONF_UINT] = set_uint, [CONF_STRING] = set_text,
    [CONF_ENUM] = set_enum, [CONF_ADDR] = set_addr, [CONF_LIST] = set_list_text,
};

enum err conf_value_set_text(const struct conf_field *field, void *conf, const char *text,
                             struct conf_problem *problem)
{
    enum err e = k_set[field->type](field, conf, text);

    return e == E_INVAL ? refuse_text(field, text, problem) : e;
}

/* What a JSON value is, in words short enough for a line. */
static void describe_json(const json_t *value, char *out, size_t size)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        snprintf(out, size, "an object");
        break;
    case JSON_ARRAY:
        snprintf(out, size, "a list of %zu", json_array_size(value));
        break;
    case JSON_STRING:
        snprintf(out, size, "\"%.64s%s\"", json_string_value(value),
                 json_string_length(value) > 64 ? "..." : "");
        break;
    case JSON_INTEGER:
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(out, size, "%.17g, which is no whole number", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(out, size, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        snprintf(out, size, "null");
        break;
    }
}

static enum err set_list_json(const struct conf_field *field, void *conf, const json_t *value)
{
    struct conf_list made = {0};
    enum err e = E_OK;

    for (size_t i = 0; i < json_array_size(value) && e == E_OK; i++) {
        const json_t *item = json_array_get(value, i);

        e = json_is_string(item)
                ? list_add(field, &made, json_string_value(item), json_string_length(item))
                : E_INVAL;
    }
    return list_commit(field, conf, &made, e);
}

static enum err set_json(const struct conf_field *field, void *conf, const json_t *value)
{
    static const enum conf_type k_strings[] = {CONF_STRING, CONF_ENUM, CONF_ADDR};
    char number[32];

    if (json_is_boolean(value) && field->type == CONF_BOOL)
        return set_bool(field, conf, json_is_true(value) ? "true" : "false");
    if (json_is_integer(value) && field->type == CONF_UINT) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return set_uint(field, conf, number);
    }
    if (json_is_array(value) && field->type == CONF_LIST)
        return set_list_json(field, conf, value);
    for (size_t i = 0; json_is_string(value) && i < sizeof k_strings / sizeof k_strings[0]; i++)
        if (field->type == k_strings[i])
            return k_set[field->type](field, conf, json_string_value(value));
    return E_INVAL;
}

enum err conf_value_set_json(const struct conf_field *field, void *conf, const json_t *value,
                             struct conf_problem *problem)
{
    enum err e = set_json(field, conf, value);

    if (e != E_INVAL)
        return e;
    describe_json(value, problem->found, sizeof problem->found);
    return refuse(field, problem);
}

static bool is_string_type(const struct conf_field *field)
{
    return field->type == CONF_STRING || field->type == CONF_ADDR;
}

void conf_value_free(const struct conf_field *field, void *conf)
{
    if (is_string_type(field)) {
        char **slot = member(field, conf);

        free(*slot);
        *slot = NULL;
    } else if (field->type == CONF_LIST) {
        list_free(member(field, conf));
    }
}

static bool list_equals(const struct conf_list *a, const struct conf_list *b)
{
    if (a->n_items != b->n_items)
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

/* Bytes of the member in the program's struct. */
static size_t member_bytes(const struct conf_field *field)
{
    static const size_t k_bytes[] = {
        [CONF_BOOL] = sizeof(bool),     [CONF_UINT] = sizeof(uint64_t),
        [CONF_STRING] = sizeof(char *), [CONF_ENUM] = sizeof(int),
        [CONF_ADDR] = sizeof(char *),   [CONF_LIST] = sizeof(struct conf_list),
    };

    return k_bytes[field->type];
}

enum err conf_value_copy(const struct conf_field *field, const void *from, void *to)
{
    const void *value = member_const(field, from);
    const struct conf_list *list = value;
    struct conf_list made = {0};
    enum err e = E_OK;

    if (is_string_type(field))
        return set_string(field, to, *(char *const *)value);
    if (field->type != CONF_LIST) {
        memcpy(member(field, to), value, member_bytes(field));
        return E_OK;
    }
    for (size_t i = 0; i < list->n_items && e == E_OK; i++)
        e = list_add(field, &made, list->items[i], strlen(list->items[i]));
    return list_commit(field, to, &made, e);
}

bool conf_value_equals(const struct conf_field *field, const void *a, const void *b)
{
    const void *x = member_const(field, a), *y = member_const(field, b);

    if (is_string_type(field))
        return strcmp(*(char *const *)x, *(char *const *)y) == 0;
    if (field->type == CONF_LIST)
        return list_equals(x, y);
    return memcmp(x, y, member_bytes(field)) == 0;
}

void conf_value_swap(const struct conf_field *field, void *a, void *b)
{
    unsigned char kept[sizeof(struct conf_list)];
    size_t size = member_bytes(field);

    memcpy(kept, member(field, a), size);
    memcpy(member(field, a), member(field, b), size);
    memcpy(member(field, b), kept, size);
}
