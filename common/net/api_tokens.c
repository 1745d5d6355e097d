/* See api_tokens.h. Hashes are compared, so that neither length nor bytes of a guess tell how near
 * it is. */
#include "common/net/api_tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES ((size_t)API_TOKENS_MAX * 512)
#define BLANKS " \t\r"

const char *const k_api_scopes[] = {"admin", "operate", "read", NULL};

_Static_assert(API_TOKEN_HASH_BYTES == SHA256_DIGEST_LENGTH, "tokens are kept as SHA-256");

static enum err refuse(struct conf_error *error, const char *key, unsigned line, const char *why)
{
    if (line)
        snprintf(error->text, sizeof error->text, "%s: line %u: %s", key, line, why);
    else
        snprintf(error->text, sizeof error->text, "%s: %s", key, why);
    return E_INVAL;
}

static void hash_secret(const char *secret, uint8_t hash[API_TOKEN_HASH_BYTES])
{
    (void)SHA256((const unsigned char *)secret, strlen(secret), hash);
}

/* --- one line --- */

/* Others are called so in the audit log: api_access.c. */
static bool is_taken(const char *text)
{
    return !strcmp(text, "node") || !strcmp(text, "loopback") || !strcmp(text, "-");
}

static bool is_name(const char *text)
{
    size_t size = strlen(text);

    return !is_taken(text) && size < API_TOKEN_NAME_SIZE &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

static bool read_scope(const char *text, enum api_scope *scope)
{
    for (int i = 0; k_api_scopes[i]; i++)
        if (!strcmp(text, k_api_scopes[i])) {
            *scope = (enum api_scope)i;
            return true;
        }
    return false;
}

/* What can stand in a header, and is no easy guess. */
static bool is_secret(const char *text)
{
    size_t size = strlen(text);

    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return size >= API_TOKEN_MIN_BYTES && size <= API_TOKEN_MAX_BYTES;
}

/* NULL, or why not. */
static const char *parse_line(char *line, struct api_token *out)
{
    char *rest = NULL, *name = strtok_r(line, BLANKS, &rest);
    char *scope = strtok_r(NULL, BLANKS, &rest), *secret = strtok_r(NULL, BLANKS, &rest);

    if (!scope || !secret || strtok_r(NULL, BLANKS, &rest))
        return "expected name, scope and secret, apart by spaces";
    if (!is_name(name))
        return "the name is not 1 to 32 of [A-Za-z0-9._-], or is node or loopback";
    if (!read_scope(scope, &out->scope))
        return "the scope is none of read, operate, admin";
    if (!is_secret(secret))
        return "the secret is not 16 to 256 visible ASCII characters";
    snprintf(out->name, sizeof out->name, "%s", name);
    hash_secret(secret, out->hash);
    return NULL;
}
_Static_assert(API_TOKEN_MIN_BYTES == 16 && API_TOKEN_MAX_BYTES == 256, "parse_line() says so");

static const char *find_double(const struct api_tokens *tokens, const struct api_token *t)
{
    for (size_t i = 0; i < tokens->n_items; i++) {
        if (!strcmp(tokens->items[i].name, t->name))
            return "the name was given to another token before";
        if (!memcmp(tokens->items[i].hash, t->hash, sizeof t->hash))
            return "the secret is that of another token before";
    }
    return NULL;
}

/* --- the whole --- */

enum err api_tokens_parse(const char *key, char *text, struct api_tokens *tokens,
                          struct conf_error *error)
{
    struct api_tokens fresh = {calloc(API_TOKENS_MAX, sizeof *fresh.items), 0};
    char *rest = text, *line;
    const char *why = NULL;
    unsigned number = 0;

    if (!fresh.items)
        return E_NOMEM;
    while (!why && (line = strsep(&rest, "\n"))) {
        struct api_token t;

        number++;
        line += strspn(line, BLANKS);
        if (!*line || *line == '#')
            continue;
        why = fresh.n_items == API_TOKENS_MAX ? "more than 256 tokens" : parse_line(line, &t);
        if (!why)
            why = find_double(&fresh, &t);
        if (!why)
            fresh.items[fresh.n_items++] = t;
    }
    if (why) {
        api_tokens_fini(&fresh);
        return refuse(error, key, number, why);
    }
    api_tokens_fini(tokens);
    *tokens = fresh;
    return E_OK;
}
_Static_assert(API_TOKENS_MAX == 256, "api_tokens_parse() says so");

/* What nobody may do with the file. One that root gives to a group, which this program is of, is as
 * good as one's own: so come the secrets of pods, and files that a package keeps. */
static mode_t strange_bits(const struct stat *st)
{
    return st->st_uid == 0 && geteuid() != 0 ? 037 : 077;
}

/* Into text, FILE_MAX_BYTES and a zero; NULL, or why not. */
static const char *read_file(const char *path, char *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *why = NULL;
    struct stat st;
    size_t used = 0;
    ssize_t n = 1;

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) != 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "not a file";
    else if (st.st_mode & strange_bits(&st))
        why = "others may use it; expected mode 0600 or 0400, of root's file 0640 or 0440";
    while (!why && n > 0 && used <= FILE_MAX_BYTES) {
        n = read(fd, text + used, FILE_MAX_BYTES + 1 - used);
        used += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    text[used < FILE_MAX_BYTES ? used : FILE_MAX_BYTES] = '\0';
    if (!why && n < 0)
        why = "cannot be read";
    if (!why && used > FILE_MAX_BYTES)
        why = "too long";
    return !why && strlen(text) != used ? "holds a zero byte" : why;
}

enum err api_tokens_read(const char *key, const char *path, struct api_tokens *tokens,
                         struct conf_error *error)
{
    char *text, where[256];
    const char *why;
    enum err e;

    if (!path[0]) {
        api_tokens_fini(tokens);
        return E_OK;
    }
    snprintf(where, sizeof where, "%s: \"%s\"", key, path);
    text = malloc(FILE_MAX_BYTES + 2);
    if (!text) {
        snprintf(error->text, sizeof error->text, "%s: %s", where, err_text(E_NOMEM));
        return E_NOMEM;
    }
    why = read_file(path, text);
    e = why ? refuse(error, where, 0, why) : api_tokens_parse(where, text, tokens, error);
    explicit_bzero(text, FILE_MAX_BYTES + 2);
    free(text);
    return e;
}

void api_tokens_fini(struct api_tokens *tokens)
{
    free(tokens->items);
    *tokens = (struct api_tokens){NULL, 0};
}

const struct api_token *api_tokens_find(const struct api_tokens *tokens, const char *secret)
{
    const struct api_token *found = NULL;
    uint8_t hash[API_TOKEN_HASH_BYTES];

    hash_secret(secret, hash);
    for (size_t i = 0; i < tokens->n_items; i++)
        if (CRYPTO_memcmp(hash, tokens->items[i].hash, sizeof hash) == 0)
            found = &tokens->items[i];
    return found;
}
