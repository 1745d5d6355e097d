/* What the conf_*.c files share; nobody else includes this. */
#ifndef HW_COMMON_BASE_CONF_IMPL_H
#define HW_COMMON_BASE_CONF_IMPL_H

#include <jansson.h>

#include "common/base/conf.h"

enum { CONF_KEY_MAX = 128, CONF_ENV_MAX = 160 };

/* Why a value was refused: two halves of "found ..., expected ...". */
struct conf_problem {
    char found[96];
    char expected[256];
};

/* Writes "source: key: ..." with snprintf(); key may be "". Control characters become '?'. */
void conf_error_set(struct conf_error *error, const char *source, const char *key,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for a refused value (E_INVAL with *problem) or E_NOMEM. Returns e. */
enum err conf_error_value(struct conf_error *error, const char *source, const char *key, enum err e,
                          const struct conf_problem *problem);

/* conf_key.c */
const struct conf_field *conf_key_find(const struct conf_schema *schema, const char *key);
/* The first field below the group `key` ("rtmp" -> rtmp.listen), or NULL. */
const struct conf_field *conf_key_group(const struct conf_schema *schema, const char *key);
/* The field whose key is nearest to what was typed; NULL when none is near. */
const struct conf_field *conf_key_nearest(const struct conf_schema *schema, const char *key);
/* "rtmp.listen" -> "HEADWATER_RTMP__LISTEN" */
void conf_key_env(const char *key, char out[CONF_ENV_MAX]);
/* The error for a key that no field has. Returns E_INVAL. as_env: suggestions as variables. */
enum err conf_key_unknown(const struct conf_schema *schema, const char *source, const char *key,
                          bool as_env, struct conf_error *error);

/* conf_value.c: *conf is the program's struct. A set replaces (and frees) what was there; on
 * failure the old value stays. E_INVAL with *problem, or E_NOMEM. */
enum err conf_value_set_text(const struct conf_field *field, void *conf, const char *text,
                             struct conf_problem *problem);
enum err conf_value_set_json(const struct conf_field *field, void *conf, const json_t *value,
                             struct conf_problem *problem);
void conf_value_free(const struct conf_field *field, void *conf);
/* As a set: E_NOMEM, or E_INVAL when it is none of the field's. */
enum err conf_value_copy(const struct conf_field *field, const void *from, void *to);
bool conf_value_equals(const struct conf_field *field, const void *a, const void *b);
void conf_value_swap(const struct conf_field *field, void *a, void *b);
/* "a whole number from 0 to 256": what errors, --help-config and the example say alike. */
void conf_value_describe(const struct conf_field *field, char *out, size_t size);

/* conf_file.c */
enum err conf_file_load(const struct conf_schema *schema, const char *path, void *conf,
                        struct conf_error *error);
/* The same for the text of a file; name is for errors. Blanks the comments in text. */
enum err conf_file_load_text(const struct conf_schema *schema, const char *name, char *text,
                             size_t size, void *conf, struct conf_error *error);

#endif
