/* Forwarding over HTTP, in bytes. */
#include "node/relay/push_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "common/net/http_server.h"

#define MAX_ANSWER_BYTES 16384 /* one answer, problem included */
#define RETRY_AFTER_S 2

/* --- the edge's side --- */

void push_write_request(struct buf_writer *out, const struct push_target *target,
                        const struct push_request *request)
{
    bool is_v6 = target->host.size_bytes && memchr(target->host.data, ':', target->host.size_bytes);

    buf_write_str(out, "POST /");
    http_percent_encode(buf_view_str(target->name->text), out);
    buf_printf(out, ".flv HTTP/1.1\r\nHost: %s%.*s%s:%u\r\nUser-Agent: Headwater/%s\r\n",
               is_v6 ? "[" : "", (int)target->host.size_bytes, (const char *)target->host.data,
               is_v6 ? "]" : "", target->port, HW_VERSION);
    if (*target->token)
        buf_printf(out, "Authorization: Bearer %s\r\n", target->token);
    buf_printf(out, PUSH_FORWARD_HEADER ": %s,%s\r\n" PUSH_RUN_HEADER ": %" PRIu64 "\r\n",
               request->edge, request->client, request->run);
    if (request->clock_url)
        buf_printf(out, PUSH_CLOCK_HEADER ": %s\r\n", request->clock_url);
    buf_printf(out,
               "Content-Type: video/x-flv\r\nContent-Length: %" PRId64
               "\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
               INT64_MAX);
}

void push_answers_init(struct push_answers *a)
{
    buf_writer_init(&a->kept, MAX_ANSWER_BYTES);
}

void push_answers_fini(struct push_answers *a)
{
    buf_writer_fini(&a->kept);
}

enum err push_answers_add(struct push_answers *a, struct buf_view bytes)
{
    buf_write_view(&a->kept, bytes);
    return buf_writer_status(&a->kept);
}

static uint64_t read_number(const char *text)
{
    uint64_t value = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(*text - '0'), &value))
            return 0;
    return *text ? 0 : value;
}

static uint64_t header_number(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_find(head, name);
    char text[24];

    if (!field || !buf_view_to_str(field->value, text, sizeof text))
        return 0;
    return read_number(text);
}

static void read_detail(struct buf_view json, struct push_answer *out)
{
    json_t *problem = json_loadb((const char *)json.data, json.size_bytes, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));

    snprintf(out->detail, sizeof out->detail, "%s", detail ? detail : "");
    json_decref(problem);
}

/* E_AGAIN until the body is whole. Bodies without a length are not waited for. */
static enum err read_final(const struct http_head *head, struct buf_reader *in,
                           struct push_answer *out)
{
    struct http_body body;
    struct buf_view piece;
    struct buf_writer whole;
    enum err e;

    http_body_init(&body, head, false);
    if (body.kind == HTTP_BODY_UNTIL_CLOSE)
        return E_OK;
    buf_writer_init(&whole, MAX_ANSWER_BYTES);
    while ((e = http_body_next(&body, in, &piece)) == E_OK)
        buf_write_view(&whole, piece);
    if (e == E_END)
        read_detail(buf_writer_view(&whole), out);
    buf_writer_fini(&whole);
    return e == E_END ? E_OK : e;
}

enum err push_answers_next(struct push_answers *a, struct push_answer *out)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&a->kept));
    struct http_error error = {0};
    struct http_head head;
    enum err e = http_parse_response(&in, MAX_ANSWER_BYTES, &head, &error);

    if (e != E_OK)
        return e == E_AGAIN ? E_AGAIN : E_PROTO;
    *out = (struct push_answer){.status = head.status};
    if (head.status >= 200)
        e = read_final(&head, &in, out);
    else
        out->epoch = header_number(&head, PUSH_EPOCH_HEADER);
    if (e == E_OK)
        buf_writer_consume(&a->kept, a->kept.used_bytes - in.left_bytes);
    return e;
}

/* --- the origin's side --- */

enum err push_read_request(const char *forward, const char *run, struct push_request *out)
{
    size_t edge_bytes = strcspn(forward, ",");
    struct push_request request = {.run = run ? read_number(run) : 0};

    if (edge_bytes >= sizeof request.edge || !forward[edge_bytes])
        return E_INVAL;
    memcpy(request.edge, forward, edge_bytes);
    if (!cluster_id_is_valid(request.edge))
        return E_INVAL;
    snprintf(request.client, sizeof request.client, "%s", forward + edge_bytes + 1);
    *out = request;
    return E_OK;
}

void push_write_continue(struct buf_writer *out, uint64_t epoch)
{
    buf_printf(out, "HTTP/1.1 100 Continue\r\n" PUSH_EPOCH_HEADER ": %" PRIu64 "\r\n\r\n", epoch);
}

void push_write_beat(struct buf_writer *out)
{
    buf_write_str(out, "HTTP/1.1 102 Processing\r\n\r\n");
}

void push_write_final(struct buf_writer *out, unsigned status, const char *fields,
                      const char *detail)
{
    struct buf_writer body;

    buf_writer_init(&body, MAX_ANSWER_BYTES);
    if (status != 200)
        http_write_problem(&body, status, detail);
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_text(status));
    if (status != 200)
        buf_write_str(out, "Content-Type: application/problem+json\r\n");
    buf_write_str(out, fields);
    if (status == 503 && !fields[0])
        buf_printf(out, "Retry-After: %d\r\n", RETRY_AFTER_S);
    buf_printf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", body.used_bytes);
    buf_write_view(out, buf_writer_view(&body));
    if (buf_writer_status(&body) != E_OK)
        out->failed = buf_writer_status(&body);
    buf_writer_fini(&body);
}
