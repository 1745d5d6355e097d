/* The configuration file: comments out, Jansson, then a walk along the schema. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_impl.h"

enum { FILE_MAX_BYTES = 1 << 20 };

/* Turns // comments outside strings into spaces, so that line and column of an error stay right. */
static void blank_comments(char *text, size_t size)
{
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (text[i] == '\n') {
            in_string = false; /* JSON has no line feed in a string: this is where the error is */
        } else if (!in_string && text[i] == '/' && i + 1 < size && text[i + 1] == '/') {
            for (; i < size && text[i] != '\n'; i++)
                text[i] = ' ';
        }
    }
}

struct walk {
    const struct conf_schema *schema;
    const char *source;
    void *conf;
    struct conf_error *error;
};

/* parent + "." + key, cut where it is longer than any key of a schema can be. */
static void join_key(char out[CONF_KEY_MAX], const char *parent, const char *key)
{
    size_t used = strlen(parent); /* a group of the schema: always leaves room */
    size_t size;

    memcpy(out, parent, used);
    if (used)
        out[used++] = '.';
    size = strnlen(key, CONF_KEY_MAX - 1 - used);
    memcpy(out + used, key, size);
    out[used + size] = '\0';
}

static enum err set_field(const struct walk *w, const struct conf_field *field, const json_t *value)
{
    struct conf_problem problem;
    enum err e = conf_value_set_json(field, w->conf, value, &problem);

    return e == E_OK ? E_OK : conf_error_value(w->error, w->source, field->key, e, &problem);
}

static enum err refuse_dotted(const struct walk *w, const char *key)
{
    conf_error_set(w->error, w->source, key,
                   "a dot in a name; in the file groups are nested objects");
    return E_INVAL;
}

/* Goes as deep as the schema does: below an unknown key nothing is looked at. */
static enum err walk_object(const struct walk *w, const char *parent, json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        char key[CONF_KEY_MAX];
        const struct conf_field *field;
        enum err e;

        join_key(key, parent, name);
        field = conf_key_find(w->schema, key);
        if (strchr(name, '.'))
            e = refuse_dotted(w, key);
        else if (field)
            e = set_field(w, field, value);
        else if (json_is_object(value) && conf_key_group(w->schema, key))
            e = walk_object(w, key, value);
        else
            e = conf_key_unknown(w->schema, w->source, key, false, w->error);
        if (e != E_OK)
            return e;
    }
    return E_OK;
}

enum err conf_file_load_text(const struct conf_schema *schema, const char *name, char *text,
                             size_t size, void *conf, struct conf_error *error)
{
    struct walk w = {schema, name, conf, error};
    json_error_t where;
    json_t *root;
    enum err e = E_INVAL;

    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* some editors' byte order mark */
        text += 3;
        size -= 3;
    }
    blank_comments(text, size);
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        char source[320];

        snprintf(source, sizeof source, "%.256s:%d:%d", name, where.line, where.column);
        conf_error_set(error, source, "", "%s", where.text);
        return json_error_code(&where) == json_error_out_of_memory ? E_NOMEM : E_INVAL;
    }
    if (json_is_object(root))
        e = walk_object(&w, "", root);
    else
        conf_error_set(error, name, "", "found a list, expected an object");
    json_decref(root);
    return e;
}

/* Returns the bytes of the file, one more than FILE_MAX_BYTES at most; NULL with errno. */
static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "re");
    char *text = malloc(FILE_MAX_BYTES + 1);
    int saved;

    if (f && text) {
        *size = fread(text, 1, FILE_MAX_BYTES + 1, f);
        if (!ferror(f)) {
            fclose(f);
            return text;
        }
    }
    saved = errno;
    free(text);
    if (f)
        fclose(f);
    errno = saved;
    return NULL;
}

enum err conf_file_load(const struct conf_schema *schema, const char *path, void *conf,
                        struct conf_error *error)
{
    size_t size = 0;
    char *text = read_file(path, &size);
    enum err e = E_TOO_BIG;

    if (!text) {
        conf_error_set(error, path, "", "cannot be read: %s", strerror(errno));
        return E_IO;
    }
    if (size > FILE_MAX_BYTES)
        conf_error_set(error, path, "", "found more than %d bytes, expected a configuration",
                       FILE_MAX_BYTES);
    else
        e = conf_file_load_text(schema, path, text, size, conf, error);
    free(text);
    return e;
}
