/* Configuration: one schema table a program gives parser, ranges, defaults, --help-config and the
 * example in conf/. A key is typed once. Sources, later ones win: default, JSON file (-c),
 * HEADWATER_A__B=c in the environment, --set a.b=c.
 *
 * The file is JSON (Jansson) in which // comments outside strings are blanked first, so that error
 * positions stay right. Unknown keys, wrong types and values out of range are refused with file
 * (and line for syntax errors), key path, the value found and what is allowed. A variable in the
 * environment is named HEADWATER_, then the key in capitals with "__" for each dot; an unknown one
 * is refused too. */
#ifndef HW_COMMON_BASE_CONF_H
#define HW_COMMON_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

enum conf_type {
    CONF_BOOL,   /* bool */
    CONF_UINT,   /* uint64_t, min..max */
    CONF_STRING, /* char * (owned by the configuration, never NULL); max = longest in bytes */
    CONF_ENUM,   /* int, index into choices */
    CONF_ADDR,   /* char *: "host:port", "[v6]:port" or "" for off; port 0 = any free one */
    CONF_LIST    /* struct conf_list of strings; max = most items */
};

struct conf_list {
    char **items; /* owned by the configuration */
    size_t n_items;
};

struct conf_field {
    const char *key; /* "rtmp.listen": dots make nested objects in the file */
    enum conf_type type;
    size_t offset;              /* of the member in the program's struct */
    const char *default_value;  /* as text, in the form --set takes; lists comma-separated */
    uint64_t min, max;          /* CONF_UINT: range; CONF_STRING: max bytes; CONF_LIST: max items */
    const char *const *choices; /* CONF_ENUM: NULL-terminated */
    const char *unit;           /* "ms", "bytes", ... or "" */
    const char *help;           /* one sentence */
    bool reloadable;            /* SIGHUP applies it */
};

/* One row of a schema each. */
/* clang-format off */
#define CONF_FIELD_BOOL(struct_, member, key_, def, help_, reload) \
    {key_, CONF_BOOL, offsetof(struct_, member), def, 0, 0, NULL, "", help_, reload}
#define CONF_FIELD_UINT(struct_, member, key_, def, min_, max_, unit_, help_, reload) \
    {key_, CONF_UINT, offsetof(struct_, member), def, min_, max_, NULL, unit_, help_, reload}
#define CONF_FIELD_STRING(struct_, member, key_, def, max_, help_, reload) \
    {key_, CONF_STRING, offsetof(struct_, member), def, 0, max_, NULL, "", help_, reload}
#define CONF_FIELD_ENUM(struct_, member, key_, def, choices_, help_, reload) \
    {key_, CONF_ENUM, offsetof(struct_, member), def, 0, 0, choices_, "", help_, reload}
#define CONF_FIELD_ADDR(struct_, member, key_, def, help_, reload) \
    {key_, CONF_ADDR, offsetof(struct_, member), def, 0, 300, NULL, "", help_, reload}
#define CONF_FIELD_LIST(struct_, member, key_, def, max_, help_, reload) \
    {key_, CONF_LIST, offsetof(struct_, member), def, 0, max_, NULL, "", help_, reload}
/* clang-format on */

struct conf_schema {
    const char *program; /* "headwater-node" */
    const struct conf_field *fields;
    size_t n_fields;
    size_t struct_bytes; /* size of the program's struct */
};

struct conf_error {
    char text[512]; /* one line, ready to print: file, key path, found, allowed */
};

/* What the command line said; main() fills it with conf_parse_args(). */
struct conf_args {
    const char *path;  /* -c, or NULL */
    const char **sets; /* --set values, borrowed from argv */
    size_t n_sets;
    bool check, help, help_config, version;
};

/* Parses -c FILE, --set K=V (also --set=K=V), --check-config, --help-config, --help/-h,
 * --version/-V. Anything else is E_INVAL with the text in *error. Pair with conf_args_fini(). */
enum err conf_parse_args(int argc, char **argv, struct conf_args *args, struct conf_error *error);
void conf_args_fini(struct conf_args *args);

/* Fills *out (a zeroed program struct of schema->struct_bytes): default, file, environment, sets.
 * On failure *out is back to zero and *error tells why. Pair with conf_free(). */
enum err conf_load(const struct conf_schema *schema, const struct conf_args *args, void *out,
                   struct conf_error *error);
void conf_free(const struct conf_schema *schema, void *conf);

/* After SIGHUP: moves the values of reloadable fields from *fresh to *live (swaps, so that both
 * stay valid for conf_free()), and counts changed fields that need a restart in *n_ignored; their
 * keys are listed, comma-separated, in ignored[size]. */
void conf_apply_reload(const struct conf_schema *schema, void *live, void *fresh, size_t *n_ignored,
                       char *ignored, size_t size);

/* Annotated table of all keys with type, default, range and help. */
void conf_print_help(const struct conf_schema *schema, FILE *out);
/* The annotated example file: JSON with // comments, every key at its default. It loads as it is.
 */
void conf_print_example(const struct conf_schema *schema, FILE *out);

#endif
