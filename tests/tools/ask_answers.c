/* Heads are parsed, bodies are skipped. */
#include "tests/tools/ask_answers.h"

#include "proto/http/http.h"

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_HEAD_BYTES 16384
#define NO_CONTENT 204

void ask_answers_init(struct ask_answers *answers)
{
    *answers = (struct ask_answers){0};
    buf_writer_init(&answers->bytes, MAX_BYTES);
}

void ask_answers_fini(struct ask_answers *answers)
{
    buf_writer_fini(&answers->bytes);
}

enum err ask_answers_feed(struct ask_answers *answers, struct buf_view got)
{
    buf_writer_consume(&answers->bytes, answers->used_bytes);
    answers->used_bytes = 0;
    buf_write_view(&answers->bytes, got);
    return buf_writer_status(&answers->bytes);
}

enum err ask_answers_next(struct ask_answers *answers, unsigned *status)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&answers->bytes));
    struct http_error error;
    struct http_head head;
    enum err e;

    (void)buf_take(&in, answers->used_bytes);
    e = http_parse_response(&in, MAX_HEAD_BYTES, &head, &error);
    if (e != E_OK)
        return e == E_AGAIN ? e : E_PROTO;
    if (!head.has_length && head.status != NO_CONTENT)
        return E_PROTO;
    (void)buf_take(&in, head.has_length ? (size_t)head.length_bytes : 0);
    if (in.overrun)
        return E_AGAIN;
    answers->used_bytes = answers->bytes.used_bytes - in.left_bytes;
    *status = head.status;
    return E_OK;
}
