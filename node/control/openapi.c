/* See openapi.h. */
#include "node/control/openapi.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_item.h"
#include "node/control/openapi_file.h"

#define MAX_KEY_SIZE 128

struct openapi {
    json_t *root;
    char *text;
};

/* --- making --- */

/* What is shown has an id and the state besides, and may lack what is a secret. */
static json_t *shown(json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties");

    if (!json_object_get(properties, "id"))
        (void)json_object_set_new(properties, "id", json_pack("{s:s}", "type", "string"));
    (void)json_object_set_new(schema, "additionalProperties", json_true());
    (void)json_object_del(schema, "required");
    return schema;
}

/* NULL: it stays as it is. */
static json_t *schema_for(const json_t *place, const struct openapi_schema *schemas, size_t n)
{
    const char *item = json_string_value(json_object_get(place, "x-item"));
    json_t *schema = NULL;

    for (size_t i = 0; item && i < n; i++)
        if (!strcmp(schemas[i].name, item))
            schema = conf_item_json_schema(schemas[i].schema);
    if (item && !schema) /* nothing of the kind in this node */
        return json_pack("{s:s}", "type", "object");
    return schema && json_object_get(place, "x-shown") ? shown(schema) : schema;
}

enum err openapi_set_schemas(struct openapi *api, const struct openapi_schema *schemas, size_t n)
{
    json_t *all = json_object_get(json_object_get(api->root, "components"), "schemas");
    const char *name;
    json_t *place;
    void *tmp;

    json_object_foreach_safe(all, tmp, name, place)
    {
        json_t *schema = schema_for(place, schemas, n);

        if (schema)
            (void)json_object_set_new(all, name, schema);
    }
    free(api->text);
    api->text = json_dumps(api->root, JSON_COMPACT);
    return api->text ? E_OK : E_NOMEM;
}

struct openapi *openapi_create(void)
{
    struct openapi *api = calloc(1, sizeof *api);

    if (!api)
        return NULL;
    api->root = json_loadb((const char *)k_openapi_file, k_openapi_file_bytes, 0, NULL);
    if (api->root)
        (void)json_object_set_new(json_object_get(api->root, "info"), "version",
                                  json_string(HW_VERSION));
    else
        openapi_destroy(&api);
    return api;
}

void openapi_destroy(struct openapi **api)
{
    struct openapi *a = *api;

    *api = NULL;
    if (!a)
        return;
    json_decref(a->root);
    free(a->text);
    free(a);
}

struct buf_view openapi_text(const struct openapi *api)
{
    return buf_view_str(api->text ? api->text : "");
}

/* --- query arguments --- */

/* Names of path variables that stand for several segments end in "..." in routes alone. */
static const json_t *operation_of(const struct openapi *api, const struct http_route *route)
{
    char path[256], method[16];
    const char *dots;
    size_t n = 0;

    snprintf(path, sizeof path, "%s", route->pattern);
    dots = strstr(path, "...}");
    if (dots)
        memmove(path + (dots - path), dots + 3, strlen(dots + 3) + 1);
    for (; route->method[n] && n + 1 < sizeof method; n++)
        method[n] = (char)tolower((unsigned char)route->method[n]);
    method[n] = '\0';
    return json_object_get(json_object_get(json_object_get(api->root, "paths"), path), method);
}

/* The bit of the parameter; 0: there is none of that name. */
static uint64_t parameter_of(const json_t *operation, const char *key)
{
    const json_t *parameter;
    size_t i;

    json_array_foreach(json_object_get(operation, "parameters"), i, parameter)
    {
        const char *in = json_string_value(json_object_get(parameter, "in"));
        const char *name = json_string_value(json_object_get(parameter, "name"));

        if (in && name && !strcmp(in, "query") && !strcmp(name, key))
            return UINT64_C(1) << (i % 64);
    }
    return 0;
}

/* NULL, or what is wrong. What cannot be read would count as not said, and of two the first one
 * alone: a call to end sessions would end others than were meant. */
static const char *why_not(const json_t *operation, struct http_exchange *x, const char *key,
                           uint64_t *seen)
{
    uint64_t parameter = parameter_of(operation, key);
    bool is_twice = *seen & parameter;

    *seen |= parameter;
    if (!parameter)
        return "no such argument of this call";
    if (is_twice)
        return "is there twice";
    return http_query_arg(x, key) ? NULL : "a bad escape";
}

bool openapi_check_query(const struct openapi *api, struct http_exchange *x,
                         const struct http_route *route)
{
    struct buf_reader query = buf_reader_from(buf_view_str(http_query(x)));
    const json_t *operation = operation_of(api, route);
    char key[MAX_KEY_SIZE];
    const char *why;
    uint64_t seen = 0;
    enum err e;

    if (!operation)
        return true;
    while ((e = http_query_next(&query, key, sizeof key)) == E_OK) {
        why = why_not(operation, x, key, &seen);
        if (!why)
            continue;
        http_respond_problem(x, 400, "%s: %s", key, why);
        return false;
    }
    if (e == E_END)
        return true;
    http_respond_problem(x, 400, "query: a bad escape, or a name that is too long");
    return false;
}
