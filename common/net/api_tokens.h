/* The tokens of people and programs that use an API, and what each of them may do. Secrets are kept
 * as their hashes. One thread at a time. */
#ifndef HW_COMMON_NET_API_TOKENS_H
#define HW_COMMON_NET_API_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/conf.h"

#define API_TOKENS_MAX 256u
#define API_TOKEN_NAME_SIZE 33
#define API_TOKEN_MIN_BYTES 16u
#define API_TOKEN_MAX_BYTES 256u
#define API_TOKEN_HASH_BYTES 32

/* Each may do what those after it may, too. What is not said of a route is the first. */
enum api_scope {
    API_ADMIN,   /* everything: configuration, tokens of streams, drain */
    API_OPERATE, /* what happens to streams and sessions */
    API_READ,    /* look */
    API_NONE     /* without a token */
};
extern const char *const k_api_scopes[]; /* "admin", ..., NULL */

struct api_token {
    char name[API_TOKEN_NAME_SIZE];
    enum api_scope scope;
    uint8_t hash[API_TOKEN_HASH_BYTES];
};

struct api_tokens { /* zeroed = none */
    struct api_token *items;
    size_t n_items;
};

/* Reads lines "name scope secret", apart by spaces; empty ones and those that begin with # are
 * skipped. The file is its owner's alone (no bits for group and others). An empty path gives none.
 * key names the file in errors, which never hold a secret. E_INVAL, E_NOMEM: *tokens is as it was.
 */
enum err api_tokens_read(const char *key, const char *path, struct api_tokens *tokens,
                         struct conf_error *error);
/* The same of text, which is ended by a zero and is overwritten. */
enum err api_tokens_parse(const char *key, char *text, struct api_tokens *tokens,
                          struct conf_error *error);
void api_tokens_fini(struct api_tokens *tokens);
/* Whose secret this is, or NULL; lent until the tokens are changed. Looks at all of them whatever
 * the secret is. */
const struct api_token *api_tokens_find(const struct api_tokens *tokens, const char *secret);

#endif
