/* links: proto/http
 * Request head, then its target, query and body. Whatever the split, the answer must be the same as
 * for the whole. */
#include <stdlib.h>
#include <string.h>

#include "proto/http/http.h"

#define MAX_HEAD 2048

struct outcome {
    enum err e;
    unsigned status;
    unsigned n_fields;
    size_t head_bytes;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Uses what a server uses of a good head. */
static void use_head(const struct http_head *head)
{
    char path[256], value[64];
    struct buf_view query;
    const char *why;

    check(head->n_fields <= HTTP_MAX_HEADERS && head->method.size_bytes > 0);
    check(!(head->chunked && head->has_length));
    if (http_split_target(head->target, path, sizeof path, &query, &why) != E_OK) {
        check(why != NULL);
        return;
    }
    check(path[0] == '/' && !strstr(path, "/../") && !strstr(path, "//"));
    (void)http_query_get(query, "a", value, sizeof value);
}

static struct outcome parse(const uint8_t *data, size_t size, struct http_body *body)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size));
    struct outcome o = {.e = E_NOMEM};
    struct http_head *head = malloc(sizeof *head);
    struct http_error error = {0, NULL};

    if (!copy || !head)
        goto out;
    if (size)
        memcpy(copy, data, size);
    o.e = http_parse_request(&in, MAX_HEAD, head, &error);
    if (o.e == E_OK) {
        use_head(head);
        http_body_init(body, head, false);
        o.n_fields = head->n_fields;
        o.head_bytes = size - in.left_bytes;
    } else {
        check(in.left_bytes == size);
        check(o.e == E_AGAIN || (error.status >= 400 && error.text));
        o.status = error.status;
    }
out:
    free(copy);
    free(head);
    return o;
}

/* Content length of the body in pieces of step bytes; *e is the last answer. */
static size_t decode(struct http_body body, const uint8_t *data, size_t size, size_t step,
                     enum err *e)
{
    size_t total = 0;

    *e = body.done ? E_END : E_AGAIN;
    for (size_t at = 0; at < size && *e == E_AGAIN; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *copy = malloc(n);
        struct buf_reader in = buf_reader_from(buf_view_of(copy, n));
        struct buf_view piece;

        if (!copy)
            break;
        memcpy(copy, data + at, n);
        while ((*e = http_body_next(&body, &in, &piece)) == E_OK)
            total += piece.size_bytes;
        free(copy);
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? data[0] + 1u : 1; /* the first byte picks the split */
    struct http_body body = {.done = true};
    struct outcome whole, part = {.e = E_AGAIN};
    enum err e, e_whole;

    if (size < 1 || size > 2 * MAX_HEAD)
        return 0;
    data++;
    size--;
    whole = parse(data, size, &body);
    for (size_t n = step; part.e == E_AGAIN; n += step) {
        part = parse(data, n < size ? n : size, &body);
        if (n >= size)
            break;
    }
    check(part.e == whole.e && part.status == whole.status && part.n_fields == whole.n_fields &&
          part.head_bytes == whole.head_bytes);
    if (whole.e != E_OK)
        return 0;
    data += whole.head_bytes;
    size -= whole.head_bytes;
    check(decode(body, data, size, step, &e) == decode(body, data, size, size + 1, &e_whole));
    check(e == e_whole);
    return 0;
}
