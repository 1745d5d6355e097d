/* The head is parsed when it is whole; what is behind it stays where it is. */
#include "tests/tools/media_answer.h"

#include <stdio.h>
#include <string.h>

#define MAX_HEAD_BYTES 16384

void media_answer_init(struct media_answer *answer)
{
    *answer = (struct media_answer){.status = 0};
    buf_writer_init(&answer->head, MAX_HEAD_BYTES);
}

void media_answer_fini(struct media_answer *answer)
{
    buf_writer_fini(&answer->head);
}

static enum err fail(struct media_answer *a, enum err e, const char *why)
{
    snprintf(a->why, sizeof a->why, "%s", why);
    return e;
}

/* The type without its parameters, RFC 9110 8.3.1. */
static struct buf_view type_of(const struct http_field *field)
{
    struct buf_view type = field->value;
    const uint8_t *end = memchr(type.data, ';', type.size_bytes);

    if (end)
        type.size_bytes = (size_t)(end - type.data);
    while (type.size_bytes && strchr(" \t", type.data[type.size_bytes - 1]))
        type.size_bytes--;
    return type;
}

static enum media_container container_of(const struct http_field *field)
{
    struct buf_view type = field ? type_of(field) : buf_view_str("");

    if (buf_view_equals_nocase(type, "video/mp2t"))
        return CONTAINER_TS;
    return buf_view_equals_nocase(type, "video/mp4") ? CONTAINER_MP4 : CONTAINER_FLV;
}

static enum err judge(struct media_answer *a, const struct http_head *head)
{
    const struct http_field *type = http_find(head, "Content-Type");
    const struct http_field *location = http_find(head, "Location");

    a->status = head->status;
    if (location && !buf_view_to_str(location->value, a->location, sizeof a->location))
        return fail(a, E_PROTO, "a redirect that is too long");
    if (head->status != 200) {
        snprintf(a->why, sizeof a->why, "HTTP status %u %s", head->status,
                 http_status_text(head->status));
        return E_DENIED;
    }
    a->container = container_of(type);
    http_body_init(&a->body, head, false);
    return E_OK;
}

static enum err take_head(struct media_answer *a, struct buf_reader *in)
{
    size_t before = a->head.used_bytes, room = MAX_HEAD_BYTES - before;
    struct http_error error = {0};
    struct http_head head;
    struct buf_reader r;
    enum err e;

    buf_write(&a->head, in->at, in->left_bytes < room ? in->left_bytes : room);
    if (buf_writer_status(&a->head) != E_OK)
        return fail(a, buf_writer_status(&a->head), err_text(buf_writer_status(&a->head)));
    r = buf_reader_from(buf_writer_view(&a->head));
    e = http_parse_response(&r, MAX_HEAD_BYTES, &head, &error);
    if (e == E_AGAIN) {
        (void)buf_take(in, in->left_bytes);
        return e;
    }
    if (e != E_OK)
        return fail(a, e, error.text ? error.text : "no HTTP answer");
    (void)buf_take(in, a->head.used_bytes - r.left_bytes - before);
    e = judge(a, &head);
    buf_writer_clear(&a->head);
    return e;
}

enum err media_answer_next(struct media_answer *a, struct buf_reader *in, struct buf_view *piece)
{
    enum err e = a->status ? E_OK : take_head(a, in);

    if (e != E_OK)
        return e;
    e = http_body_next(&a->body, in, piece);
    return e == E_PROTO ? fail(a, e, "a broken chunk") : e;
}
