/* Requests made beforehand. */
#include "tests/tools/ask_requests.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)1 << 30)

static size_t count_lines(struct buf_view text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.size_bytes; i++)
        n += text.data[i] == '\n';
    return n;
}

/* The bytes up to the next end of a line or of the text, and past it. */
static struct buf_view take_line(struct buf_reader *in)
{
    const uint8_t *end = memchr(in->at, '\n', in->left_bytes);
    struct buf_view line = buf_take(in, end ? (size_t)(end - in->at) : in->left_bytes);

    if (end)
        (void)buf_take(in, 1);
    return line;
}

static enum err add(struct ask_requests *requests, struct buf_view path, const char *host,
                    const char *token)
{
    struct buf_writer *w = &requests->bytes;

    if (path.data[0] != '/')
        return E_INVAL;
    buf_write_str(w, "GET ");
    buf_write_view(w, path);
    buf_printf(w, " HTTP/1.1\r\nHost: %s\r\n", host);
    if (*token)
        buf_printf(w, "Authorization: Bearer %s\r\n", token);
    buf_write_str(w, "\r\n");
    requests->ends[requests->n++] = w->used_bytes;
    return buf_writer_status(w);
}

enum err ask_requests_init(struct ask_requests *requests, struct buf_view text, const char *host,
                           const char *token)
{
    struct buf_reader in = buf_reader_from(text);
    enum err e = E_OK;

    *requests = (struct ask_requests){0};
    buf_writer_init(&requests->bytes, MAX_BYTES);
    requests->ends = calloc(count_lines(text), sizeof *requests->ends);
    if (!requests->ends)
        return E_NOMEM;
    while (e == E_OK && in.left_bytes) {
        struct buf_view line = take_line(&in);

        if (line.size_bytes)
            e = add(requests, line, host, token);
    }
    return e == E_OK && requests->n == 0 ? E_INVAL : e;
}

void ask_requests_fini(struct ask_requests *requests)
{
    buf_writer_fini(&requests->bytes);
    free(requests->ends);
    *requests = (struct ask_requests){0};
}

struct buf_view ask_requests_next(struct ask_requests *requests)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&requests->bytes));
    size_t i = requests->next, begin = i ? requests->ends[i - 1] : 0;

    requests->next = i + 1 < requests->n ? i + 1 : 0;
    (void)buf_take(&in, begin);
    return buf_take(&in, requests->ends[i] - begin);
}
