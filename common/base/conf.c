/* Configuration: the command line, and the order of the sources. */
#include "common/base/conf.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_impl.h"

extern char **environ;

#define ENV_PREFIX "HEADWATER_"

void conf_error_set(struct conf_error *error, const char *source, const char *key,
                    const char *format, ...)
{
    va_list args;
    size_t used = (size_t)snprintf(error->text, sizeof error->text, "%.280s: %.*s%s", source,
                                   CONF_KEY_MAX, key, key[0] ? ": " : "");

    va_start(args, format);
    vsnprintf(error->text + used, sizeof error->text - used, format, args);
    va_end(args);
    for (char *at = error->text; *at; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
}

enum err conf_error_value(struct conf_error *error, const char *source, const char *key, enum err e,
                          const struct conf_problem *problem)
{
    if (e == E_INVAL)
        conf_error_set(error, source, key, "found %s, expected %s", problem->found,
                       problem->expected);
    else
        conf_error_set(error, source, key, "%s", err_text(e));
    return e;
}

static enum err bad_args(struct conf_args *args, struct conf_error *error, const char *argument,
                         const char *why)
{
    conf_error_set(error, argument, "", "%s", why);
    conf_args_fini(args);
    return E_INVAL;
}

static enum err add_set(struct conf_args *args, const char *text)
{
    const char **sets = realloc(args->sets, (args->n_sets + 1) * sizeof(const char *));

    if (!sets)
        return E_NOMEM;
    args->sets = sets;
    args->sets[args->n_sets++] = text;
    return E_OK;
}

/* The member that a flag without value sets, or NULL. */
static bool *flag_of(struct conf_args *args, const char *text)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"--check-config", &args->check}, {"--help-config", &args->help_config},
        {"--help", &args->help},          {"-h", &args->help},
        {"--version", &args->version},    {"-V", &args->version},
    };

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(text, flags[i].name) == 0)
            return flags[i].flag;
    return NULL;
}

enum err conf_parse_args(int argc, char **argv, struct conf_args *args, struct conf_error *error)
{
    *args = (struct conf_args){0};
    for (int i = 1; i < argc; i++) {
        bool *flag = flag_of(args, argv[i]);
        bool is_set = strcmp(argv[i], "--set") == 0;
        bool is_file = strcmp(argv[i], "-c") == 0;
        const char *set = strncmp(argv[i], "--set=", 6) == 0 ? argv[i] + 6 : NULL;

        if (flag) {
            *flag = true;
            continue;
        }
        if (!is_set && !is_file && !set)
            return bad_args(args, error, argv[i], "unknown argument; --help lists all of them");
        if ((is_set || is_file) && i + 1 == argc)
            return bad_args(args, error, argv[i],
                            is_set ? "expected key=value" : "expected a file");
        if (is_file && args->path)
            return bad_args(args, error, "-c", "given twice, expected one file");
        if (is_file)
            args->path = argv[++i];
        else if (add_set(args, set ? set : argv[++i]) != E_OK)
            return bad_args(args, error, "--set", err_text(E_NOMEM));
    }
    return E_OK;
}

void conf_args_fini(struct conf_args *args)
{
    free(args->sets);
    *args = (struct conf_args){0};
}

static enum err load_defaults(const struct conf_schema *schema, void *out, struct conf_error *error)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];
        struct conf_problem problem;
        enum err e = conf_value_set_text(field, out, field->default_value, &problem);

        assert(strlen(field->key) < CONF_KEY_MAX - 1); /* no cut key equals it */
        if (e != E_OK)
            return conf_error_value(error, "default", field->key, e, &problem);
    }
    return E_OK;
}

static const struct conf_field *find_by_env(const struct conf_schema *schema, const char *variable,
                                            size_t name_bytes)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        char name[CONF_ENV_MAX];

        conf_key_env(schema->fields[i].key, name);
        if (strlen(name) == name_bytes && memcmp(name, variable, name_bytes) == 0)
            return &schema->fields[i];
    }
    return NULL;
}

/* "HEADWATER_RTMP__LISTEN" -> "rtmp.listen", for finding what an unknown variable meant. */
static void key_from_env(const char *name, char key[CONF_KEY_MAX])
{
    size_t used = 0;

    for (name += strlen(ENV_PREFIX); *name && used + 1 < CONF_KEY_MAX; name++) {
        if (name[0] == '_' && name[1] == '_') {
            key[used++] = '.';
            name++;
        } else {
            key[used++] = (char)tolower((unsigned char)*name);
        }
    }
    key[used] = '\0';
}

/* The value is no part of the error's source: the environment is where secrets come from. */
static enum err load_variable(const struct conf_schema *schema, const char *variable, void *out,
                              struct conf_error *error)
{
    size_t name_bytes = strcspn(variable, "=");
    const struct conf_field *field = find_by_env(schema, variable, name_bytes);
    struct conf_problem problem;
    char name[CONF_ENV_MAX], key[CONF_KEY_MAX];
    enum err e;

    snprintf(name, sizeof name, "%.*s", (int)(name_bytes < sizeof name ? name_bytes : sizeof name),
             variable);
    if (!field) {
        key_from_env(name, key);
        return conf_key_unknown(schema, name, key, true, error);
    }
    e = conf_value_set_text(field, out, variable + name_bytes + (variable[name_bytes] == '='),
                            &problem);
    return e == E_OK ? E_OK : conf_error_value(error, name, field->key, e, &problem);
}

/* Kubernetes puts the addresses of a service called headwater-x into every pod's environment as
 * HEADWATER_X_SERVICE_HOST, HEADWATER_X_PORT, HEADWATER_X_PORT_80_TCP_ADDR and the like. */
static bool is_service_link(const char *variable)
{
    static const char *const k_tails[] = {"_SERVICE_HOST=", "_SERVICE_PORT=", "_SERVICE_PORT_",
                                          "_PORT=tcp://",   "_PORT=udp://",   "_PORT_"};
    size_t name_bytes = strcspn(variable, "=");

    for (size_t i = 0; i < sizeof k_tails / sizeof k_tails[0]; i++) {
        const char *at = strstr(variable, k_tails[i]);

        if (at && (size_t)(at - variable) < name_bytes)
            return true;
    }
    return false;
}

static enum err load_environment(const struct conf_schema *schema, void *out,
                                 struct conf_error *error)
{
    enum err e = E_OK;

    for (char **variable = environ; variable && *variable && e == E_OK; variable++)
        if (strncmp(*variable, ENV_PREFIX, strlen(ENV_PREFIX)) == 0 && !is_service_link(*variable))
            e = load_variable(schema, *variable, out, error);
    return e;
}

static enum err load_set(const struct conf_schema *schema, const char *set, void *out,
                         struct conf_error *error)
{
    const char *equals = strchr(set, '=');
    size_t key_bytes = equals ? (size_t)(equals - set) : 0;
    const struct conf_field *field;
    struct conf_problem problem;
    char source[128], key[CONF_KEY_MAX];
    enum err e;

    snprintf(source, sizeof source, "--set %.96s%s", set, strlen(set) > 96 ? "..." : "");
    if (key_bytes == 0) {
        conf_error_set(error, source, "", "expected key=value");
        return E_INVAL;
    }
    snprintf(key, sizeof key, "%.*s", (int)(key_bytes < sizeof key ? key_bytes : sizeof key), set);
    field = conf_key_find(schema, key);
    if (!field)
        return conf_key_unknown(schema, source, key, false, error);
    e = conf_value_set_text(field, out, equals + 1, &problem);
    return e == E_OK ? E_OK : conf_error_value(error, source, key, e, &problem);
}

enum err conf_load(const struct conf_schema *schema, const struct conf_args *args, void *out,
                   struct conf_error *error)
{
    enum err e;

    error->text[0] = '\0';
    e = load_defaults(schema, out, error);
    if (e == E_OK && args->path)
        e = conf_file_load(schema, args->path, out, error);
    if (e == E_OK)
        e = load_environment(schema, out, error);
    for (size_t i = 0; i < args->n_sets && e == E_OK; i++)
        e = load_set(schema, args->sets[i], out, error);
    if (e != E_OK) {
        conf_free(schema, out);
        memset(out, 0, schema->struct_bytes);
    }
    return e;
}

void conf_free(const struct conf_schema *schema, void *conf)
{
    for (size_t i = 0; i < schema->n_fields; i++)
        conf_value_free(&schema->fields[i], conf);
}

/* Adds ", key"; "..." and nothing more once it does not fit. */
static void list_key(char *out, size_t size, const char *key)
{
    size_t used = strlen(out);
    size_t needed = strlen(key) + (used ? 2 : 0);

    if (used >= 3 && strcmp(out + used - 3, "...") == 0)
        return;
    if (used + needed + 5 > size) /* keeps room for ", ..." */
        snprintf(out + used, size - used, "%s...", used ? ", " : "");
    else
        snprintf(out + used, size - used, "%s%s", used ? ", " : "", key);
}

void conf_apply_reload(const struct conf_schema *schema, void *live, void *fresh, size_t *n_ignored,
                       char *ignored, size_t size)
{
    *n_ignored = 0;
    if (size)
        ignored[0] = '\0';
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct conf_field *field = &schema->fields[i];

        if (conf_value_equals(field, live, fresh))
            continue;
        if (field->reloadable) {
            conf_value_swap(field, live, fresh);
            continue;
        }
        ++*n_ignored;
        if (size)
            list_key(ignored, size, field->key);
    }
}
