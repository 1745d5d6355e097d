/* See password.h. */
#include "proto/access/password.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MIN_COST 10
#define MAX_COST 18
#define MAX_MEMORY_BYTES (512u << 20)
#define PREFIX "scrypt$"

struct password_file {
    struct map users; /* name -> struct password, owned */
};

/* --- hashes --- */

static bool derive(const char *text, const struct password *p, uint8_t out[PASSWORD_HASH_BYTES])
{
    return EVP_PBE_scrypt(text, strlen(text), p->salt, sizeof p->salt, UINT64_C(1) << p->cost, 8, 1,
                          MAX_MEMORY_BYTES, out, PASSWORD_HASH_BYTES) == 1;
}

bool password_is(const struct password *password, const char *text)
{
    uint8_t hash[PASSWORD_HASH_BYTES];
    bool is_same =
        derive(text, password, hash) && digest_is_same(hash, password->hash, sizeof password->hash);

    OPENSSL_cleanse(hash, sizeof hash);
    return is_same;
}

static bool is_name(const char *name)
{
    size_t size = strlen(name);

    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == ':' || *c == '#')
            return false;
    return size && size < PASSWORD_NAME_SIZE;
}

enum err password_write_line(const char *name, const char *text,
                             const uint8_t salt[PASSWORD_SALT_BYTES], char out[PASSWORD_LINE_SIZE])
{
    struct password p = {.cost = PASSWORD_COST};
    char salt_text[32], hash_text[64];

    if (!is_name(name) || !text[0] || strlen(text) >= PASSWORD_SIZE)
        return E_INVAL;
    memcpy(p.salt, salt, sizeof p.salt);
    if (!derive(text, &p, p.hash) ||
        !base64url_write(buf_view_of(p.salt, sizeof p.salt), salt_text, sizeof salt_text) ||
        !base64url_write(buf_view_of(p.hash, sizeof p.hash), hash_text, sizeof hash_text))
        return E_NOMEM;
    snprintf(out, PASSWORD_LINE_SIZE, "%s:" PREFIX "%u$%s$%s", name, p.cost, salt_text, hash_text);
    return E_OK;
}

/* --- the file --- */

static bool read_exactly(const char *text, size_t size, uint8_t *out, size_t n_out)
{
    size_t n = 0;

    return base64_read(buf_view_of(text, size), out, n_out, &n) == E_OK && n == n_out;
}

/* "scrypt$14$salt$hash" */
static bool read_hash(const char *text, struct password *out)
{
    const char *salt, *hash;
    char *end;
    unsigned long cost;

    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
        return false;
    cost = strtoul(text + strlen(PREFIX), &end, 10);
    if (*end != '$' || cost < MIN_COST || cost > MAX_COST)
        return false;
    salt = end + 1;
    hash = strchr(salt, '$');
    out->cost = (unsigned)cost;
    return hash && read_exactly(salt, (size_t)(hash - salt), out->salt, sizeof out->salt) &&
           read_exactly(hash + 1, strlen(hash + 1), out->hash, sizeof out->hash);
}

static enum err add_user(struct password_file *file, char *line, const char **why)
{
    char *colon = strchr(line, ':');
    struct password *p;

    *why = "not a name, a colon and a hash of headwater-tool passwd";
    if (!colon)
        return E_INVAL;
    *colon = '\0';
    p = calloc(1, sizeof *p);
    if (!p)
        return E_NOMEM;
    if (!is_name(line) || !read_hash(colon + 1, p)) {
        free(p);
        return E_INVAL;
    }
    *why = map_get(&file->users, line) ? "a name is there twice" : "more than 10000 users";
    if (map_get(&file->users, line) || file->users.n_entries == PASSWORD_MAX_USERS ||
        map_set(&file->users, line, p) != E_OK) {
        free(p);
        return E_INVAL;
    }
    return E_OK;
}

static enum err add_line(struct password_file *file, struct buf_view text, const char **why)
{
    char line[PASSWORD_LINE_SIZE];
    size_t size;

    *why = "a line that is too long, or has a zero byte";
    if (!buf_view_to_str(text, line, sizeof line))
        return E_INVAL;
    size = strlen(line);
    while (size && strchr(" \t\r", line[size - 1]))
        line[--size] = '\0';
    return size && line[0] != '#' ? add_user(file, line, why) : E_OK;
}

enum err password_file_parse(struct buf_view text, struct password_file **out, char *why,
                             size_t size)
{
    struct password_file *file = calloc(1, sizeof *file);
    size_t at = 0, n_lines = 0;
    const char *reason = "out of memory";
    enum err e = file ? E_OK : E_NOMEM;

    if (file)
        map_init(&file->users);
    while (at < text.size_bytes && e == E_OK) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size_bytes - at);
        size_t line = end ? (size_t)(end - text.data) - at : text.size_bytes - at;

        n_lines++;
        e = add_line(file, buf_view_of(text.data + at, line), &reason);
        at += line + 1;
    }
    if (e == E_OK) {
        *out = file;
        return E_OK;
    }
    snprintf(why, size, "line %zu: %s", n_lines, reason);
    password_file_destroy(&file);
    return e;
}

void password_file_destroy(struct password_file **file)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    if (!*file)
        return;
    while (map_next(&(*file)->users, &cursor, &key, &value))
        free(value);
    map_fini(&(*file)->users);
    free(*file);
    *file = NULL;
}

const struct password *password_find(const struct password_file *file, const char *name)
{
    return map_get(&file->users, name);
}

/* --- HTTP Basic, RFC 7617 --- */

bool basic_parse(const char *authorization, char name[PASSWORD_NAME_SIZE],
                 char password[PASSWORD_SIZE])
{
    uint8_t text[PASSWORD_NAME_SIZE + PASSWORD_SIZE];
    size_t n = 0, n_name;
    const uint8_t *colon;
    bool ok;

    if (strncasecmp(authorization, "Basic ", 6) != 0)
        return false;
    authorization += 6;
    authorization += strspn(authorization, " ");
    if (base64_read(buf_view_str(authorization), text, sizeof text, &n) != E_OK)
        return false;
    colon = memchr(text, ':', n);
    n_name = colon ? (size_t)(colon - text) : 0;
    ok = colon && buf_view_to_str(buf_view_of(text, n_name), name, PASSWORD_NAME_SIZE) &&
         buf_view_to_str(buf_view_of(colon + 1, n - n_name - 1), password, PASSWORD_SIZE);
    OPENSSL_cleanse(text, sizeof text);
    return ok;
}
