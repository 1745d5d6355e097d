/* Items: things that are told in a configuration's list, in the body of an API call, and kept as
 * JSON: a target, a rule, a hook. A schema of its own gives them one parser. Keys have no dots; a
 * field without a default must be said.
 *
 * As JSON an item is an object. As text it is the value of the schema's first field and then
 * key=value, apart by spaces; the values of a list are apart by "|":
 *   "http://host/hook events=publish|play timeout_ms=2000" */
#ifndef HW_COMMON_BASE_CONF_ITEM_H
#define HW_COMMON_BASE_CONF_ITEM_H

#include <jansson.h>

#include "common/base/conf.h"

/* Into a zeroed struct of the schema, to be paired with conf_free(). E_INVAL, E_NOMEM: it is back
 * to zero, and *error says where and why: "source: key: found ..., expected ...". source and the
 * others are borrowed. */
enum err conf_item_from_text(const struct conf_schema *schema, const char *source, const char *text,
                             void *out, struct conf_error *error);
enum err conf_item_from_json(const struct conf_schema *schema, const char *source, json_t *json,
                             void *out, struct conf_error *error);
/* Returns an object with every field, for conf_item_from_json(); NULL when out of memory. */
json_t *conf_item_to_json(const struct conf_schema *schema, const void *item);
/* One value of a struct, as JSON. text() makes the JSON of its texts: json_string(), or what masks
 * secrets. Returns a new reference, or NULL. */
json_t *conf_value_to_json(const struct conf_field *field, const void *conf,
                           json_t *(*text)(const char *text));
json_t *conf_list_to_json(const struct conf_list *list, json_t *(*text)(const char *text));
/* What bodies of this schema look like, as JSON Schema. Returns an object, or NULL when out of
 * memory. */
json_t *conf_item_json_schema(const struct conf_schema *schema);
/* A deep copy into a zeroed struct. E_NOMEM, or E_INVAL when a list cannot be one of the schema's:
 * it is back to zero. No JSON: any loop. */
enum err conf_item_copy(const struct conf_schema *schema, const void *item, void *out);

#endif
