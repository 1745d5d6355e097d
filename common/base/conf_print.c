/* What a person reads about a configuration: --help-config and the annotated example. */
#include <string.h>

#include "common/base/conf_impl.h"

enum { COMMENT_COLUMNS = 96 };

/* Text in lines of at most COMMENT_COLUMNS, each with indent and prefix. */
static void print_wrapped(FILE *out, int indent, const char *prefix, const char *text)
{
    int room = COMMENT_COLUMNS - indent - (int)strlen(prefix);

    while (*text) {
        int size = (int)strlen(text);

        if (size > room) {
            size = room;
            while (size > 0 && text[size] != ' ')
                size--;
            if (size == 0) /* a word longer than the line */
                size = (int)strcspn(text, " ");
        }
        fprintf(out, "%*s%s%.*s\n", indent, "", prefix, size, text);
        text += size;
        text += strspn(text, " ");
    }
}

/* The sentence of the schema, what is allowed, and whether SIGHUP is enough. */
static void describe_field(const struct conf_field *field, char *out, size_t size)
{
    char allowed[256];

    conf_value_describe(field, allowed, sizeof allowed);
    snprintf(out, size, "%s Allowed: %s.%s", field->help, allowed,
             field->reloadable ? " SIGHUP applies a change." : "");
}

static const char *quotes_of(const struct conf_field *field)
{
    return field->type == CONF_BOOL || field->type == CONF_UINT ? "" : "\"";
}

void conf_print_help(const struct conf_schema *schema, FILE *out)
{
    fprintf(
        out,
        "Configuration of %s: every key in the file (-c; JSON with // comments, dots are nested\n"
        "objects), as --set a.b=c, and in the environment as HEADWATER_A__B=c. Lists are separated "
        "by\n"
        "commas there. Later ones win: default, file, environment, --set.\n\n",
        schema->program);
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];
        char text[512];

        fprintf(out, "%s = %s%s%s\n", field->key, quotes_of(field), field->default_value,
                quotes_of(field));
        describe_field(field, text, sizeof text);
        print_wrapped(out, 6, "", text);
    }
}

static void print_json_text(FILE *out, const char *text, size_t size)
{
    json_t *value = json_stringn(text, size);

    if (value)
        json_dumpf(value, out, JSON_ENCODE_ANY);
    json_decref(value);
}

static void print_json_list(FILE *out, const char *items)
{
    const char *comma = "";

    fputc('[', out);
    while (*items) {
        size_t size = strcspn(items, ",");

        fputs(comma, out);
        print_json_text(out, items, size);
        comma = ", ";
        items += size + (items[size] == ',');
        items += strspn(items, " ");
    }
    fputc(']', out);
}

static void print_json_default(FILE *out, const struct conf_field *field)
{
    if (field->type == CONF_LIST)
        print_json_list(out, field->default_value);
    else if (quotes_of(field)[0])
        print_json_text(out, field->default_value, strlen(field->default_value));
    else
        fputs(field->default_value, out);
}

/* True when key lies below the first prefix_bytes bytes of prefix ("a.b." of "a.b.c"). */
static bool is_below(const char *key, const char *prefix, size_t prefix_bytes)
{
    return strncmp(key, prefix, prefix_bytes) == 0;
}

/* True when an earlier field below the prefix has the same next part: its group is printed already.
 */
static bool is_printed(const struct conf_schema *schema, size_t index, size_t prefix_bytes,
                       size_t part_bytes)
{
    const char *key = schema->fields[index].key;

    for (size_t i = 0; i < index; i++)
        if (is_below(schema->fields[i].key, key, prefix_bytes + part_bytes + 1))
            return true;
    return false;
}

/* The members of one object: fields in the schema's order, each group where it appears first. */
static void print_object(const struct conf_schema *schema, const char *prefix, size_t prefix_bytes,
                         int indent, FILE *out)
{
    const char *comma = "";

    fputs("{\n", out);
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];
        const char *part = field->key + prefix_bytes;
        size_t part_bytes;
        char text[512];

        if (!is_below(field->key, prefix, prefix_bytes))
            continue;
        part_bytes = strcspn(part, ".");
        if (part[part_bytes] == '.' && is_printed(schema, i, prefix_bytes, part_bytes))
            continue;
        fprintf(out, "%s", comma);
        comma = ",\n";
        if (part[part_bytes] == '.') {
            fprintf(out, "%*s\"%.*s\": ", indent, "", (int)part_bytes, part);
            print_object(schema, field->key, prefix_bytes + part_bytes + 1, indent + 4, out);
            continue;
        }
        describe_field(field, text, sizeof text);
        print_wrapped(out, indent, "// ", text);
        fprintf(out, "%*s\"%s\": ", indent, "", part);
        print_json_default(out, field);
    }
    fprintf(out, "\n%*s}", indent - 4, "");
}

void conf_print_example(const struct conf_schema *schema, FILE *out)
{
    fprintf(out, "// Configuration of %s. Every key is at its default and may be left out.\n",
            schema->program);
    print_object(schema, "", 0, 4, out);
    fputc('\n', out);
}
