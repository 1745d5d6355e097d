/* links: proto/http
 * Response head and body as the pull client reads them: bytes arrive in pieces, the head is kept
 * until complete, content is given piece by piece. */
#include <stdlib.h>
#include <string.h>

#include "proto/http/http.h"

#define MAX_HEAD 2048

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Head from the start of data, fed in growing heap copies. */
static enum err parse_head(const uint8_t *data, size_t size, size_t step, struct http_head *head,
                           size_t *head_bytes)
{
    enum err e = E_AGAIN;

    for (size_t n = step; e == E_AGAIN; n += step) {
        size_t fed = n < size ? n : size;
        uint8_t *copy = malloc(fed ? fed : 1);
        struct buf_reader in = buf_reader_from(buf_view_of(copy, fed));
        struct http_error error = {0, NULL};

        if (!copy)
            return E_NOMEM;
        if (fed)
            memcpy(copy, data, fed);
        e = http_parse_response(&in, MAX_HEAD, head, &error);
        check(e == E_OK || e == E_AGAIN || error.text);
        *head_bytes = fed - in.left_bytes;
        (void)(e == E_OK && http_find(head, "content-type"));
        free(copy);
        if (n >= size)
            break;
    }
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? data[0] + 1u : 1; /* the first byte picks the split */
    struct http_head *head = malloc(sizeof *head);
    struct http_body body;
    size_t at = 0, content_bytes = 0;
    enum err e = E_AGAIN;

    if (head && size > 1 && size < 4 * MAX_HEAD &&
        parse_head(data + 1, size - 1, step, head, &at) == E_OK) {
        http_body_init(&body, head, false);
        for (at++; at < size && e == E_AGAIN; at += step) {
            size_t n = size - at < step ? size - at : step;
            uint8_t *copy = malloc(n);
            struct buf_reader in = buf_reader_from(buf_view_of(copy, n));
            struct buf_view piece;

            if (!copy)
                break;
            memcpy(copy, data + at, n);
            while ((e = http_body_next(&body, &in, &piece)) == E_OK) {
                check(piece.size_bytes > 0 && piece.data >= copy &&
                      piece.data + piece.size_bytes <= copy + n);
                content_bytes += piece.size_bytes;
            }
            check(e == E_AGAIN || e == E_END || e == E_PROTO);
            check(e != E_AGAIN || in.left_bytes == 0);
            free(copy);
        }
        check(content_bytes < size);
        check((e == E_END) == (body.done && e != E_AGAIN));
    }
    free(head);
    return 0;
}
