/* See book.h. */
#include "node/access/book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/map.h"

#define MAX_FILE_BYTES (4u << 20)
#define MAX_LAL_KEY_BYTES 256

static enum err refuse(struct conf_error *error, const char *key, const char *path, const char *why)
{
    snprintf(error->text, sizeof error->text, "%s: \"%.200s\": %s", key, path, why);
    return E_INVAL;
}

/* Into a writer whose content the caller wipes. */
static enum err read_file(const char *key, const char *path, struct buf_writer *out,
                          struct conf_error *error)
{
    FILE *f = fopen(path, "re");
    char chunk[4096];
    bool is_broken;
    size_t n;

    if (!f)
        return refuse(error, key, path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        buf_write(out, chunk, n);
    is_broken = ferror(f) != 0;
    fclose(f);
    explicit_bzero(chunk, sizeof chunk);
    if (is_broken)
        return refuse(error, key, path, "cannot be read");
    return buf_writer_status(out) == E_OK ? E_OK : refuse(error, key, path, "is larger than 4 MiB");
}

/* --- what a file becomes --- */

static enum err take_sign(struct access_book *book, struct buf_view text, char *why, size_t size)
{
    const char *reason = "";
    enum err e = sign_keys_parse(text, &book->sign, &reason);

    snprintf(why, size, "%s", reason);
    return e;
}

static enum err take_lal(struct access_book *book, struct buf_view text, char *why, size_t size)
{
    char line[MAX_LAL_KEY_BYTES + 1];

    while (text.size_bytes && strchr("\r\n", text.data[text.size_bytes - 1]))
        text.size_bytes--;
    snprintf(why, size, "is not one line of 1 to %d bytes", MAX_LAL_KEY_BYTES);
    if (!buf_view_to_str(text, line, sizeof line) || !line[0] || strpbrk(line, "\r\n"))
        return E_INVAL;
    free(book->lal_key);
    book->lal_key = strdup(line);
    explicit_bzero(line, sizeof line);
    return book->lal_key ? E_OK : E_NOMEM;
}

static enum err take_jwt(struct access_book *book, struct buf_view text, char *why, size_t size)
{
    return jwt_keys_parse(text, &book->jwt, why, size);
}

static enum err take_users(struct access_book *book, struct buf_view text, char *why, size_t size)
{
    return password_file_parse(text, &book->users, why, size);
}

static const struct {
    const char *key;
    size_t offset; /* of the path in struct node_conf */
    enum err (*take)(struct access_book *book, struct buf_view text, char *why, size_t size);
    unsigned method; /* that needs it */
} k_files[] = {
    {"access.sign_keys_file", offsetof(struct node_conf, access_sign_keys_file), take_sign,
     METHOD_SIGN},
    {"access.lal_key_file", offsetof(struct node_conf, access_lal_key_file), take_lal, METHOD_LAL},
    {"access.jwt_keys_file", offsetof(struct node_conf, access_jwt_keys_file), take_jwt,
     METHOD_JWT},
    {"access.users_file", offsetof(struct node_conf, access_users_file), take_users, METHOD_USER},
};
#define N_FILES (sizeof k_files / sizeof k_files[0])

static const char *path_of(const struct node_conf *conf, size_t i)
{
    char *const *path = (char *const *)(const void *)((const char *)conf + k_files[i].offset);

    return *path;
}

static enum err read_one(struct access_book *book, const struct node_conf *conf, size_t i,
                         struct conf_error *error)
{
    const char *path = path_of(conf, i);
    char why[256] = "out of memory";
    struct buf_writer text;
    enum err e;

    if (!path[0])
        return E_OK;
    buf_writer_init(&text, MAX_FILE_BYTES);
    e = read_file(k_files[i].key, path, &text, error);
    if (e == E_OK) {
        e = k_files[i].take(book, buf_writer_view(&text), why, sizeof why);
        if (e != E_OK)
            (void)refuse(error, k_files[i].key, path, why);
    }
    if (text.used_bytes)
        explicit_bzero(text.data, text.used_bytes);
    buf_writer_fini(&text);
    return e;
}

/* A way in that nobody can have is a mistake. */
static enum err check_methods(const struct access_book *book, const struct node_conf *conf,
                              struct conf_error *error)
{
    unsigned wanted = 0;

    for (size_t i = 0; i < book->rules.n; i++)
        for (unsigned a = 0; a < ACCESS_N_ACTIONS; a++)
            wanted |= book->rules.rules[i].methods[a];
    for (size_t i = 0; i < N_FILES; i++) {
        if (!(wanted & 1u << k_files[i].method) || path_of(conf, i)[0])
            continue;
        snprintf(error->text, sizeof error->text, "access.rules: \"%s\" needs %s",
                 k_access_methods[k_files[i].method], k_files[i].key);
        return E_INVAL;
    }
    return E_OK;
}

/* --- the whole --- */

struct access_book *access_book_read(const struct node_conf *conf, uint64_t number,
                                     struct conf_error *error)
{
    struct access_book *book = calloc(1, sizeof *book);
    enum err e = E_OK;

    snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
    if (!book)
        return NULL;
    atomic_init(&book->n_refs, 1);
    book->number = number;
    book->lal_key = strdup("");
    book->issuer = strdup(conf->access_jwt_issuer);
    book->audience = strdup(conf->access_jwt_audience);
    if (!book->lal_key || !book->issuer || !book->audience)
        e = E_NOMEM;
    if (e == E_OK)
        e = access_rules_make(&conf->access_rules, &book->rules, error);
    if (e == E_OK)
        e = check_methods(book, conf, error);
    for (size_t i = 0; i < N_FILES && e == E_OK; i++)
        e = read_one(book, conf, i, error);
    if (e != E_OK)
        access_book_unref(&book);
    return book;
}

struct access_book *access_book_ref(struct access_book *book)
{
    atomic_fetch_add_explicit(&book->n_refs, 1, memory_order_relaxed);
    return book;
}

void access_book_unref(struct access_book **book)
{
    struct access_book *b = *book;

    *book = NULL;
    if (!b || atomic_fetch_sub_explicit(&b->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    access_rules_free(&b->rules);
    jwt_keys_destroy(&b->jwt);
    password_file_destroy(&b->users);
    if (b->lal_key)
        explicit_bzero(b->lal_key, strlen(b->lal_key));
    free(b->lal_key);
    free(b->issuer);
    free(b->audience);
    explicit_bzero(&b->sign, sizeof b->sign);
    free(b);
}

uint64_t access_book_stamp(const struct node_conf *conf)
{
    uint64_t stamp = 0;

    for (size_t i = 0; i < N_FILES; i++) {
        struct stat about;
        struct {
            uint64_t size, s, ns, inode;
        } facts = {0};

        if (!path_of(conf, i)[0] || stat(path_of(conf, i), &about) != 0)
            continue;
        facts.size = (uint64_t)about.st_size;
        facts.s = (uint64_t)about.st_mtim.tv_sec;
        facts.ns = (uint64_t)about.st_mtim.tv_nsec;
        facts.inode = (uint64_t)about.st_ino;
        stamp = stamp * 31 + map_hash(&facts, sizeof facts);
    }
    return stamp;
}
