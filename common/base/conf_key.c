/* Keys of a configuration: look-up, names in the environment, and a guess at what was meant. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/conf_impl.h"

const struct conf_field *conf_key_find(const struct conf_schema *schema, const char *key)
{
    for (size_t i = 0; i < schema->n_fields; i++)
        if (strcmp(schema->fields[i].key, key) == 0)
            return &schema->fields[i];
    return NULL;
}

const struct conf_field *conf_key_group(const struct conf_schema *schema, const char *key)
{
    size_t size = strlen(key);

    for (size_t i = 0; i < schema->n_fields; i++)
        if (strncmp(schema->fields[i].key, key, size) == 0 && schema->fields[i].key[size] == '.')
            return &schema->fields[i];
    return NULL;
}

/* Levenshtein distance, letters without case; one row of the table at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[CONF_KEY_MAX + 1];
    size_t b_size = strlen(b);

    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            int differs = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + (size_t)differs;

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
}

/* True when key is the end of a longer one, from a dot on, or its beginning: "max_bytes" or
 * "gop_cache.max" of "gop_cache.max_bytes". */
static bool is_piece(const char *longer, const char *key)
{
    size_t longer_size = strlen(longer), size = strlen(key);

    if (size < 3 || size >= longer_size)
        return false;
    return strncmp(longer, key, size) == 0 ||
           (longer[longer_size - size - 1] == '.' && strcmp(longer + longer_size - size, key) == 0);
}

const struct conf_field *conf_key_nearest(const struct conf_schema *schema, const char *key)
{
    size_t size = strlen(key);
    size_t best = size / 3 + 2; /* first distance that is too far */
    const struct conf_field *nearest = NULL;

    if (size > CONF_KEY_MAX)
        return NULL;
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];
        size_t d = is_piece(field->key, key) ? 1 : distance(key, field->key);

        if (d < best) {
            best = d;
            nearest = field;
        }
    }
    return nearest;
}

void conf_key_env(const char *key, char out[CONF_ENV_MAX])
{
    size_t used = (size_t)snprintf(out, CONF_ENV_MAX, "HEADWATER_");

    for (; *key && used + 2 < CONF_ENV_MAX; key++) {
        if (*key == '.') {
            out[used++] = '_';
            out[used++] = '_';
        } else {
            out[used++] = (char)toupper((unsigned char)*key);
        }
    }
    out[used] = '\0';
}

enum err conf_key_unknown(const struct conf_schema *schema, const char *source, const char *key,
                          bool as_env, struct conf_error *error)
{
    const struct conf_field *group = conf_key_group(schema, key);
    const struct conf_field *meant = group ? group : conf_key_nearest(schema, key);
    const char *what = as_env ? "" : key; /* a variable's name is the source already */
    char name[CONF_ENV_MAX + 2];

    if (!meant) {
        conf_error_set(error, source, what, "unknown key; --help-config lists all of them");
        return E_INVAL;
    }
    if (as_env)
        conf_key_env(meant->key, name);
    else
        snprintf(name, sizeof name, "\"%s\"", meant->key);
    if (group)
        conf_error_set(error, source, what, "a group of keys such as %s, not a value", name);
    else
        conf_error_set(error, source, what, "unknown key; did you mean %s?", name);
    return E_INVAL;
}
