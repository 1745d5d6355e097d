/* A schema table as JSON Schema (2020-12): for descriptions of an API whose bodies are items. */
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_item.h"

static json_t *choices_json(const struct conf_field *field)
{
    json_t *list = json_array();

    for (size_t i = 0; field->choices[i]; i++)
        (void)json_array_append_new(list, json_string(field->choices[i]));
    return list;
}

static json_t *type_json(const struct conf_field *field)
{
    switch (field->type) {
    case CONF_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case CONF_UINT:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->min,
                         "maximum",
                         (json_int_t)(field->max > INT64_MAX ? INT64_MAX : (int64_t)field->max));
    case CONF_ENUM:
        return json_pack("{s:s, s:o}", "type", "string", "enum", choices_json(field));
    case CONF_LIST:
        return json_pack("{s:s, s:{s:s}, s:I}", "type", "array", "items", "type", "string",
                         "maxItems", (json_int_t)field->max);
    case CONF_STRING:
    case CONF_ADDR:
        break;
    }
    return json_pack("{s:s, s:I}", "type", "string", "maxLength", (json_int_t)field->max);
}

static json_t *field_schema(const struct conf_field *field)
{
    json_t *json = type_json(field);

    (void)json_object_set_new(json, "description",
                              *field->unit ? json_sprintf("%s (%s)", field->help, field->unit)
                                           : json_string(field->help));
    return json;
}

json_t *conf_item_json_schema(const struct conf_schema *schema)
{
    json_t *properties = json_object(), *required = json_array();

    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];

        (void)json_object_set_new(properties, field->key, field_schema(field));
        if (!field->default_value)
            (void)json_array_append_new(required, json_string(field->key));
    }
    return json_pack("{s:s, s:b, s:o, s:o}", "type", "object", "additionalProperties", 0,
                     "properties", properties, "required", required);
}
