/* Answers of shared memory: which part of them is wanted, and sending it from where it lies. */
#include <assert.h>
#include <stdio.h>

#include "common/net/http_server_private.h"

void http_shared_done(struct http_exchange *x)
{
    void (*done)(void *arg) = x->sending.done;

    x->sending.done = NULL;
    if (done)
        done(x->sending.arg);
}

/* --- what is wanted --- */

static uint64_t size_of(const struct http_shared *answer)
{
    uint64_t size_bytes = 0;

    for (size_t i = 0; i < answer->n_parts; i++)
        size_bytes += answer->parts[i].size_bytes;
    return size_bytes;
}

/* RFC 9110, section 13.2.2. */
static bool is_known_to_peer(const struct http_exchange *x, const struct http_shared *answer)
{
    const char *tags = http_header(x, "If-None-Match");

    return answer->etag && tags && http_etag_is_in(buf_view_str(tags), answer->etag);
}

/* Section 14.2: only GET has ranges. */
static enum http_range_kind wanted_range(const struct http_exchange *x,
                                         const struct http_shared *answer, uint64_t whole_bytes,
                                         struct http_range *range)
{
    const char *value = x->is_head ? NULL : http_header(x, "Range");
    const char *only_if = http_header(x, "If-Range");

    if (!value ||
        (only_if && !(answer->etag && http_if_range_holds(buf_view_str(only_if), answer->etag))))
        return HTTP_RANGE_WHOLE;
    return http_parse_range(buf_view_str(value), whole_bytes, range);
}

static void add_content_range(struct http_exchange *x, const struct http_range *range,
                              uint64_t whole_bytes)
{
    char text[80] = "";

    if (range)
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                 (unsigned long long)(range->first + range->size_bytes - 1),
                 (unsigned long long)whole_bytes);
    else
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)whole_bytes);
    http_add_header(x, "Content-Range", text);
}

/* --- a place in the parts --- */

void http_sending_move(struct http_sending *s, uint64_t n_bytes)
{
    s->left_bytes -= n_bytes;
    n_bytes += s->skip_bytes;
    while (s->left_bytes > 0 && n_bytes >= s->parts->size_bytes) /* used up, or empty */
        n_bytes -= s->parts++->size_bytes;
    s->skip_bytes = (size_t)n_bytes;
}

struct buf_view http_sending_piece(const struct http_sending *s)
{
    struct buf_reader part = buf_reader_from(*s->parts);

    (void)buf_take(&part, s->skip_bytes);
    if (part.left_bytes > s->left_bytes)
        part.left_bytes = (size_t)s->left_bytes;
    return buf_rest(&part);
}

/* --- public --- */

static void begin(struct http_exchange *x, const struct http_shared *answer, unsigned status,
                  struct http_range range)
{
    const struct http_version *version = x->inbound->version;
    struct http_reply reply = {
        .status = status,
        .content_type = status == 304 ? NULL : answer->content_type,
        .etag = answer->etag,
        .cache_control = answer->cache_control,
        .has_ranges = status == 200,
        .length_bytes = range.size_bytes,
    };

    if (!x->is_head && !http_has_no_content(status) && x->sending.want) {
        x->sending.later_at = range.first;
        x->sending.later_bytes = range.size_bytes;
    } else if (!x->is_head && !http_has_no_content(status)) {
        x->sending.left_bytes = range.first + range.size_bytes;
        http_sending_move(&x->sending, range.first);
    }
    version->begin(x, &reply);
    x->phase = HTTP_PHASE_SENDING;
    version->send(x);
}

struct decision { /* what of an answer is wanted */
    enum http_range_kind kind;
    struct http_range range;
    uint64_t whole_bytes;
    bool is_known;
};

static struct decision decide(const struct http_exchange *x, const struct http_shared *answer,
                              uint64_t whole_bytes)
{
    struct decision d = {.kind = HTTP_RANGE_WHOLE,
                         .whole_bytes = whole_bytes,
                         .is_known = answer->status == 200 && is_known_to_peer(x, answer)};

    d.range.size_bytes = d.whole_bytes;
    if (answer->status == 200 && !d.is_known)
        d.kind = wanted_range(x, answer, d.whole_bytes, &d.range);
    return d;
}

uint64_t http_shared_bytes(const struct http_exchange *x, const struct http_shared *answer)
{
    struct decision d = decide(x, answer, size_of(answer));

    if (x->is_head || d.is_known || d.kind == HTTP_RANGE_UNSATISFIABLE)
        return 0;
    return d.range.size_bytes;
}

/* x->sending is there but for what of it is wanted. */
static void respond(struct http_exchange *x, const struct http_shared *answer,
                    const struct decision *d)
{
    struct http_inbound *inbound = x->inbound;

    if (d->kind != HTTP_RANGE_WHOLE)
        add_content_range(x, d->kind == HTTP_RANGE_PART ? &d->range : NULL, d->whole_bytes);
    if (inbound->dead)
        inbound->version->end(x);
    else if (d->kind == HTTP_RANGE_UNSATISFIABLE)
        http_respond_problem(x, 416, "the range begins behind the end at %llu bytes",
                             (unsigned long long)d->whole_bytes);
    else
        begin(x, answer,
              d->is_known                  ? 304
              : d->kind == HTTP_RANGE_PART ? 206
                                           : answer->status,
              d->range);
}

void http_respond_shared(struct http_exchange *x, const struct http_shared *answer)
{
    struct http_inbound *inbound = x->inbound;
    struct decision d = decide(x, answer, size_of(answer));

    assert(x->phase == HTTP_PHASE_RUNNING);
    http_inbound_enter(inbound);
    x->sending =
        (struct http_sending){.parts = answer->parts, .done = answer->done, .arg = answer->arg};
    respond(x, answer, &d);
    http_inbound_leave(inbound);
}

/* --- in pieces --- */

void http_respond_pieces(struct http_exchange *x, const struct http_pieces *answer)
{
    struct http_inbound *inbound = x->inbound;
    struct http_shared head = {.status = 200,
                               .content_type = answer->content_type,
                               .etag = answer->etag,
                               .cache_control = answer->cache_control};
    struct decision d = decide(x, &head, answer->whole_bytes);

    assert(x->phase == HTTP_PHASE_RUNNING);
    http_inbound_enter(inbound);
    x->sending = (struct http_sending){
        .want = answer->want, .done = answer->done, .arg = answer->arg, .parts = &x->sending.piece};
    respond(x, &head, &d);
    http_inbound_leave(inbound);
}

bool http_sending_ask(struct http_exchange *x)
{
    struct http_sending *s = &x->sending;

    if (!s->later_bytes)
        return false;
    if (!s->is_asked) {
        s->is_asked = true;
        s->want(x, s->arg, s->later_at, s->later_bytes);
    }
    return true;
}

void http_give_piece(struct http_exchange *x, struct buf_view piece)
{
    struct http_inbound *inbound = x->inbound;
    struct http_sending *s = &x->sending;

    assert(s->is_asked && !s->left_bytes && piece.size_bytes && piece.size_bytes <= s->later_bytes);
    s->is_asked = false;
    s->piece = piece;
    s->parts = &s->piece;
    s->skip_bytes = 0;
    s->left_bytes = piece.size_bytes;
    s->later_at += piece.size_bytes;
    s->later_bytes -= piece.size_bytes;
    http_inbound_enter(inbound);
    inbound->version->resume(x);
    http_inbound_leave(inbound);
}

void http_fail_pieces(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    http_inbound_enter(inbound);
    inbound->version->cut(x);
    http_inbound_leave(inbound);
}
