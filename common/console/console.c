/* See console.h. Every file has an ETag made of its bytes and is asked for again each time, which
 * is a 304: the page of a program that was replaced is never the one of before. */
#include "common/console/console.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"
#include "common/console/files.h"
#include "common/net/api_answer.h"

/* The page: nothing but its own files, and its own API. No script or style within HTML. */
#define PAGE_POLICY                                                                   \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "     \
    "frame-ancestors 'none'"
/* The frame in which others' code plays media of any node. It is sandboxed: it has no origin, so
 * neither the token nor the API are within its reach. */
#define PLAYER_POLICY                                                                     \
    "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'self'; "    \
    "connect-src http: https: ws: wss:; media-src blob: http: https:; worker-src blob:; " \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

static const struct {
    const char *end, *type, *policy; /* policy NULL = nothing that is shown */
} k_types[] = {
    {"player.html", "text/html; charset=utf-8", PLAYER_POLICY},
    {".html", "text/html; charset=utf-8", PAGE_POLICY},
    {".js", "text/javascript; charset=utf-8", NULL},
    {".css", "text/css; charset=utf-8", NULL},
    {".svg", "image/svg+xml", PAGE_POLICY},
    {".txt", "text/plain; charset=utf-8", NULL},
};
#define N_TYPES (sizeof k_types / sizeof k_types[0])

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static const struct console_file *find_file(const char *path)
{
    const char *name = strcmp(path, "/") == 0 ? "index.html" : path + sizeof "/console/" - 1;

    for (const struct console_file *f = k_console_files; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static void write_etag(char etag[24], struct buf_view bytes)
{
    static const uint64_t k_key[2] = {0x6865616477617465, 0x72636f6e736f6c65}; /* no secret */

    snprintf(etag, 24, "\"%016" PRIx64 "\"", siphash13(k_key, bytes.data, bytes.size_bytes));
}

static void add_headers(struct http_exchange *x, const char *policy)
{
    if (policy)
        http_add_header(x, "Content-Security-Policy", policy);
    http_add_header(x, "X-Content-Type-Options", "nosniff");
    http_add_header(x, "Referrer-Policy", "no-referrer");
}

void console_serve(struct http_exchange *x, void *arg)
{
    const struct console_file *file = find_file(http_path(x));
    struct buf_view *bytes = file ? malloc(sizeof *bytes) : NULL; /* a list of one: see done */
    char etag[24];
    size_t type = 0;

    (void)arg;
    if (!bytes) {
        http_respond_problem(x, file ? 503 : 404,
                             file ? "out of memory" : "no such file of the console");
        return;
    }
    *bytes = buf_view_of(file->bytes, *file->n_bytes);
    write_etag(etag, *bytes);
    while (type + 1 < N_TYPES && !ends_with(file->name, k_types[type].end))
        type++;
    add_headers(x, k_types[type].policy);
    http_respond_shared(x, &(struct http_shared){.status = 200,
                                                 .content_type = k_types[type].type,
                                                 .etag = etag,
                                                 .cache_control = "no-cache",
                                                 .parts = bytes,
                                                 .n_parts = 1,
                                                 .done = free, /* the list stays until then */
                                                 .arg = bytes});
}

void console_say_door(struct http_exchange *x, const struct api_access *access)
{
    http_add_header(x, "Cache-Control", "no-store");
    http_respond(
        x, 200, "application/json",
        buf_view_str(api_access_is_open(access, x) ? "{\"token\":false}" : "{\"token\":true}"));
}

void console_say_who(struct http_exchange *x, const struct console_who *who)
{
    http_add_header(x, "Cache-Control", "no-store");
    api_respond_json(x, 200,
                     json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", who->kind, "id", who->id,
                               "version", HW_VERSION, "who", http_who(x), "scope",
                               k_api_scopes[who->scope]));
}
