/* links: proto/http
 * URLs, hosts, request targets, query strings and escapes; what is encoded decodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/http/http.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool is_inside(struct buf_view part, struct buf_view all)
{
    return part.size_bytes == 0 ||
           (part.data >= all.data && part.data + part.size_bytes <= all.data + all.size_bytes);
}

static void try_url(struct buf_view text)
{
    struct url url;

    if (url_parse(text, &url) != E_OK)
        return;
    check(is_inside(url.scheme, text) && is_inside(url.user, text) &&
          is_inside(url.password, text) && is_inside(url.host, text) && is_inside(url.path, text) &&
          is_inside(url.query, text));
    check(url.scheme.size_bytes > 0 && url.host.size_bytes > 0 && url.port <= 65535);
    check(url.path.size_bytes == 0 || url.path.data[0] == '/');
}

/* Every key is given: the one that was found is among them. */
static void try_keys(struct buf_view query, enum err found)
{
    struct buf_reader r = buf_reader_from(query);
    char key[32];
    bool has_key = false;
    enum err e;

    while ((e = http_query_next(&r, key, sizeof key)) == E_OK)
        has_key |= !strcmp(key, "key");
    check(e == E_END || e == E_INVAL);
    check(e != E_END || has_key == (found != E_NOT_FOUND));
}

static void try_target(struct buf_view text)
{
    char path[128], value[32];
    struct buf_view query;
    const char *why = NULL;
    enum err e = http_split_target(text, path, sizeof path, &query, &why);

    check((e == E_OK) == (why == NULL));
    if (e != E_OK)
        return;
    check(path[0] == '/' && is_inside(query, text));
    for (const char *c = path; *c; c++)
        check((uint8_t)*c >= ' ' && *c != 0x7f && *c != '\\' && !(c[0] == '/' && c[1] == '/'));
    e = http_query_get(query, "key", value, sizeof value);
    check(e == E_OK || e == E_NOT_FOUND || e == E_INVAL);
    try_keys(query, e);
}

static void try_escapes(struct buf_view text)
{
    struct buf_writer w;
    char *back = malloc(text.size_bytes + 1);

    if (!back)
        return;
    buf_writer_init(&w, 1 << 20);
    http_percent_encode(text, &w);
    if (buf_writer_status(&w) == E_OK) {
        bool has_zero = text.size_bytes && memchr(text.data, 0, text.size_bytes);
        enum err e = http_percent_decode(buf_writer_view(&w), back, text.size_bytes + 1);

        check((e == E_OK) == !has_zero);
        check(e != E_OK || text.size_bytes == 0 || memcmp(back, text.data, text.size_bytes) == 0);
    }
    buf_writer_fini(&w);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_view text = buf_view_of(copy, size);
    struct buf_view host;
    unsigned port;

    if (!copy || size > 4096) {
        free(copy);
        return 0;
    }
    if (size)
        memcpy(copy, data, size);
    try_url(text);
    try_target(text);
    try_escapes(text);
    if (http_split_host(text, &host, &port) == E_OK)
        check(is_inside(host, text) && port <= 65535);
    free(copy);
    return 0;
}
