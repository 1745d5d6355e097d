/* HTTP-FLV publishers: the body of a request is the media. http_publish_ask.c lets them in. */
#include "node/session/http_publish_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/clocks.h"
#include "node/control/node_metrics.h"
#include "node/session/http_asked.h"
#include "node/session/admission.h"
#include "node/session/publisher.h"
#include "node/session/session.h"
#include "proto/flv/flv.h"

#define MAX_READ_BYTES (1u << 20) /* that came with the head; the server reads less */

static bool is_from_edge(const struct http_publish *s)
{
    return s->from.edge[0] != '\0';
}

/* --- life --- */

/* What belongs to no loop. */
void http_publish_discard(void *session)
{
    struct http_publish *s = session;

    buf_writer_fini(&s->read);
    flv_decoder_destroy(&s->flv);
    clocks_drop(&s->clock);
    admission_give(s->nl->node, &s->info.pass);
    conn_close(&s->conn);
    free(s->stream);
    free(s);
}

static void session_free(struct http_publish *s)
{
    publisher_release(&s->publisher);
    timer_stop(&s->beat);
    session_info_fini(&s->info, &s->nl->media);
    http_publish_discard(s);
}

static void session_close(struct http_publish *s, const char *why)
{
    if (s->closed)
        return;
    log_line(s->said ? LOG_DEBUG : LOG_INFO, s->info.protocol,
             "msg=closed session=%s trace=%s peer=%s kind=%s stream=%s bytes_in=%llu reason=%s",
             s->info.id, SESSION_TRACE(&s->info), s->info.peer, s->info.kind, s->info.stream,
             (unsigned long long)conn_bytes_in(s->conn), LOG_STR(why));
    if (publisher_tell_done(&s->publisher, why))
        ; /* it is in the access log */
    else if (is_from_edge(s) || publisher_was_accepted(&s->publisher))
        session_log(s->nl->node, &s->info, why);
    else
        session_log_refused(s->nl->node, &s->info, "publish", why);
    metric_add(is_from_edge(s) ? &m_bytes_in_relay : &m_bytes_in_flv,
               (int64_t)conn_bytes_in(s->conn));
    if (s->answered)
        conn_close_after_flush(&s->conn);
    s->closed = true;
    if (!s->busy)
        session_free(s);
}

/* The loop's scratch for answers, empty, and what was written there to the peer. */
static struct buf_writer *begin_answer(struct http_publish *s)
{
    buf_writer_clear(&s->nl->out);
    return &s->nl->out;
}

static enum err send_answer(struct http_publish *s, const struct buf_writer *out)
{
    enum err e = buf_writer_status(out);

    return e == E_OK ? conn_write(s->conn, buf_writer_view(out)) : e;
}

/* The last answer, with the reason; fields are more lines of its head. */
static void session_end_with(struct http_publish *s, unsigned status, const char *fields,
                             const char *why)
{
    struct buf_writer *out;

    if (s->closed)
        return;
    out = begin_answer(s);
    push_write_final(out, status, fields, why);
    s->answered = send_answer(s, out) == E_OK;
    session_close(s, why);
}

static void session_end(struct http_publish *s, unsigned status, const char *why)
{
    session_end_with(s, status, "", why);
}

static void enter(void *session)
{
    struct http_publish *s = session;

    s->busy++;
}

static void feed(struct http_publish *s, struct buf_view bytes);

static bool may_read(const struct http_publish *s)
{
    return !s->closed && !s->moving && !publisher_is_pending(&s->publisher);
}

static void note_heard(struct http_publish *s)
{
    if (s->heard_us && s->heard_bytes == conn_bytes_in(s->conn) && publisher_is_live(&s->publisher))
        return;
    s->heard_bytes = conn_bytes_in(s->conn);
    s->heard_us = loop_now_us(s->nl->media.loop);
}

/* A node says something twice a second, also where its encoder says nothing: that one is the edge's
 * to judge. The stream is free for whoever brings it another way. */
static bool is_silent(const struct http_publish *s)
{
    return loop_now_us(s->nl->media.loop) - s->heard_us >=
           (int64_t)s->nl->node->conf.upstream_stall_ms * 1000;
}

static void on_beat(struct timer *timer)
{
    struct http_publish *s = list_entry(timer, struct http_publish, beat);
    struct buf_writer *out;

    note_heard(s);
    if (is_silent(s)) {
        metric_add(&m_timeout_upstream_stall, 1);
        session_end(s, 408, "nothing heard within upstream_stall_ms"); /* s is gone */
        return;
    }
    out = begin_answer(s);
    push_write_beat(out);
    timer_start_ms(timer, PUSH_BEAT_MS);
    if (send_answer(s, out) != E_OK)
        session_close(s, "connection lost"); /* last: s may be gone */
}

static void settle(struct http_publish *s)
{
    if (s->closed) {
        session_free(s);
    } else if (s->moving) {
        s->moving = false;
        timer_stop(&s->beat);
        publisher_move(&s->publisher); /* last: s lives on another loop from here on */
    } else if (is_from_edge(s) && publisher_was_accepted(&s->publisher) &&
               !timer_is_armed(&s->beat)) {
        note_heard(s);
        timer_init(&s->beat, s->nl->media.loop, on_beat);
        timer_start_ms(&s->beat, PUSH_BEAT_MS);
    }
}

static void leave(void *session)
{
    struct http_publish *s = session;

    if (may_read(s)) {
        feed(s, buf_writer_view(&s->read));
        buf_writer_fini(&s->read);
    }
    if (may_read(s))
        conn_set_reading(s->conn, true);
    if (--s->busy == 0)
        settle(s);
}

/* --- media --- */

static enum err on_tag(struct http_publish *s, const struct flv_tag *tag, const char **why)
{
    struct stream_upstream said;
    struct flv_hw hw;

    if (is_from_edge(s) && tag->header.type_id == FLV_TAG_SCRIPT &&
        flv_parse_hw_body(tag->body, &hw) == E_OK) {
        said = (struct stream_upstream){.run = hw.run,
                                        .gop = hw.gop,
                                        .ingest_us = hw.ingest_us,
                                        .wall_us = hw.wall_us,
                                        .is_timed = hw.has_clock,
                                        .clock = clocks_ours(s->clock, clock_mono_us(), &hw),
                                        .plan = hw.plan,
                                        .trail = hw.trail};
        publisher_set_upstream(&s->publisher, &said);
        return E_OK;
    }
    if (tag->header.type_id != FLV_TAG_AUDIO && tag->header.type_id != FLV_TAG_VIDEO &&
        tag->header.type_id != FLV_TAG_SCRIPT)
        return E_OK; /* reserved types: not for players either */
    return publisher_media(&s->publisher, tag->header.type_id,
                           ts_unwrap_us(&s->unwrap, tag->header.dts_ms), tag->body, why);
}

/* Another node's header tells truly which tracks there are; an encoder's is written before it
 * knows. */
static void tell_tracks(struct http_publish *s)
{
    bool audio, video;

    if (s->told_tracks || !is_from_edge(s) || !flv_decoder_header(s->flv, &audio, &video))
        return;
    s->told_tracks = true;
    publisher_expect_tracks(&s->publisher, audio, video);
}

static void on_bad_input(struct http_publish *s, const char *why)
{
    metric_add(&m_protocol_error_flv_media, 1);
    log_warn(s->info.protocol, "msg=\"bad input\" session=%s trace=%s peer=%s reason=%s",
             s->info.id, SESSION_TRACE(&s->info), s->info.peer, LOG_STR(why));
    s->said = true;
    session_end(s, 400, why);
}

static void feed_flv(struct http_publish *s, struct buf_view piece)
{
    struct buf_reader in = buf_reader_from(piece);
    const char *why = NULL;
    struct flv_tag tag;
    enum err e = E_OK;

    while (!s->closed && e == E_OK && (e = flv_decoder_feed(s->flv, &in, &tag)) == E_OK) {
        tell_tracks(s);
        e = on_tag(s, &tag, &why);
    }
    tell_tracks(s);
    if (!s->closed && e != E_OK && e != E_AGAIN)
        on_bad_input(s, why ? why : flv_decoder_error(s->flv));
}

/* The caller holds s->busy. */
static void feed(struct http_publish *s, struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes);
    struct buf_view piece;
    enum err e = E_OK;

    while (!s->closed && (e = http_body_next(&s->body, &in, &piece)) == E_OK)
        feed_flv(s, piece);
    if (!s->closed && e == E_END)
        session_end(s, 200, "the encoder has ended the stream");
    else if (!s->closed && e == E_PROTO)
        on_bad_input(s, "malformed chunk");
}

/* --- what the publisher says --- */

static const unsigned k_statuses[PUBLISHER_N_FAULTS] = {
    [PUBLISHER_DENIED] = 403,    [PUBLISHER_ELSEWHERE] = 302, [PUBLISHER_LEAVING] = 503,
    [PUBLISHER_BUSY] = 409,      [PUBLISHER_REFUSED] = 409,   [PUBLISHER_NO_MEMORY] = 503,
    [PUBLISHER_NO_ORIGIN] = 503, [PUBLISHER_TAKEN] = 409,     [PUBLISHER_FENCED] = 409,
    [PUBLISHER_SILENT] = 408,    [PUBLISHER_KICKED] = 403,
};

static void must_move(void *session)
{
    struct http_publish *s = session;

    s->moving = true;
}

static bool on_renamed(void *session, const struct stream_name *name)
{
    struct http_publish *s = session;
    char *block = words_rename(&s->info, name->text);

    if (!block) {
        session_end(s, 503, err_text(E_NOMEM));
        return false;
    }
    free(s->stream);
    s->stream = block;
    return true;
}

/* An edge sends nothing before it has the stream; a person may wait for leave, or not. */
static void on_accepted(void *session, bool live)
{
    struct http_publish *s = session;
    struct buf_writer *out = begin_answer(s);

    if (is_from_edge(s) && live)
        push_write_continue(out, publisher_epoch(&s->publisher));
    else if (is_from_edge(s))
        push_write_beat(out);
    else if (s->expects_continue)
        buf_write_str(out, "HTTP/1.1 100 Continue\r\n\r\n");
    s->expects_continue = false;
    if (send_answer(s, out) != E_OK)
        session_close(s, "connection lost");
}

/* What access_ask() said. */
static void end_refused(struct http_publish *s, enum publisher_fault fault, const char *text)
{
    const struct access_denial *denial = publisher_denial(&s->publisher);
    struct buf_writer fields;

    buf_writer_init(&fields, ACCESS_TEXT_SIZE + HTTP_DENIAL_BYTES);
    if (fault == PUBLISHER_ELSEWHERE)
        buf_printf(&fields, "Location: %s\r\n", text);
    else
        http_write_denial(&fields, denial);
    buf_write_u8(&fields, 0);
    if (buf_writer_status(&fields) != E_OK)
        session_end(s, 503, err_text(E_NOMEM));
    else if (fault == PUBLISHER_ELSEWHERE)
        session_end_with(s, 302, (const char *)fields.data, "the stream is published elsewhere");
    else
        session_end_with(s, denial->status, (const char *)fields.data, text);
    buf_writer_fini(&fields);
}

static void on_over(void *session, enum publisher_fault fault, const char *text)
{
    struct http_publish *s = session;

    if (!publisher_was_accepted(&s->publisher)) /* else it was said */
        log_warn(s->info.protocol, "msg=refused session=%s trace=%s peer=%s stream=%s reason=%s",
                 s->info.id, SESSION_TRACE(&s->info), s->info.peer, s->info.stream, LOG_STR(text));
    s->said = true;
    if (fault == PUBLISHER_DENIED || fault == PUBLISHER_ELSEWHERE)
        end_refused(s, fault, text);
    else
        session_end(s, k_statuses[fault], text);
}

/* --- the connection's side --- */

static void on_readable(struct conn *conn, void *arg)
{
    struct http_publish *s = arg;
    struct buf_view got;
    enum err e = E_AGAIN;

    (void)conn;
    enter(s);
    while (may_read(s) && (e = conn_read(s->conn, &got)) == E_OK)
        feed(s, got);
    if (!s->closed && e != E_OK && e != E_AGAIN)
        session_close(s, e == E_CLOSED ? "closed by the peer" : err_text(e));
    leave(s);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    session_close(arg, err_text(e));
}

static const struct conn_ops k_conn_ops = {.on_readable = on_readable, .on_error = on_error};

/* One set of words a protocol: people's sessions and nodes' are counted apart. */
static const struct publisher_ops k_flv_ops = {.protocol = "flv",
                                               .conn_ops = &k_conn_ops,
                                               .sessions = &m_sessions_total_flv_publish,
                                               .must_move = must_move,
                                               .enter = enter,
                                               .leave = leave,
                                               .on_renamed = on_renamed,
                                               .on_accepted = on_accepted,
                                               .on_over = on_over,
                                               .discard = http_publish_discard};
static const struct publisher_ops k_relay_ops = {.protocol = "relay",
                                                 .conn_ops = &k_conn_ops,
                                                 .sessions = &m_sessions_total_relay_publish,
                                                 .must_move = must_move,
                                                 .enter = enter,
                                                 .leave = leave,
                                                 .on_accepted = on_accepted,
                                                 .on_over = on_over,
                                                 .discard = http_publish_discard};

/* An edge whose origin stops looks for another one; one whose encoder was kicked does not. */
static void session_kick(struct session_info *info)
{
    struct http_publish *s = list_entry(info, struct http_publish, info);

    session_end(s, s->nl->closed ? 503 : 403, sessions_kick_reason(s->nl));
}

static void session_count(const struct session_info *info, struct session_counts *counts)
{
    const struct http_publish *s = list_entry_const(info, struct http_publish, info);

    counts->bytes_in = conn_bytes_in(s->conn);
    counts->bytes_out = conn_bytes_out(s->conn);
    publisher_count(&s->publisher, counts);
    counts->trace = words_trace(info);
}

/* --- beginning --- */

struct http_publish *http_publish_create(struct node_loop *nl, const struct stream_name *name,
                                         const struct push_request *from)
{
    struct http_publish *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->nl = nl;
    s->from = *from;
    buf_writer_init(&s->read, MAX_READ_BYTES);
    s->flv = flv_decoder_create(nl->node->conf.limits_message_bytes);
    s->stream = strdup(name->text);
    if (s->flv && s->stream)
        return s;
    http_publish_discard(s);
    return NULL;
}

/* x is gone after this. False: the peer is, too. */
static bool take(struct http_publish *s, struct http_exchange *x)
{
    s->expects_continue = http_expects_continue(x);
    if (is_from_edge(s))
        s->clock = clocks_hold(s->nl->node->clocks, http_header(x, PUSH_CLOCK_HEADER));
    s->conn = http_take_upload(x, &s->body, &s->read);
    if (!s->conn)
        return false;
    conn_set_ops(s->conn, &k_conn_ops, s);
    session_info_init(&s->info, &s->nl->media, is_from_edge(s) ? 'n' : 'f',
                      is_from_edge(s) ? "relay" : "flv", conn_peer(s->conn));
    s->info.kind = "publish";
    s->info.stream = s->stream;
    s->info.count = session_count;
    s->info.kick = session_kick;
    return true;
}

static bool take_words(struct http_publish *s, const struct access_request *access)
{
    struct words words = {.stream = s->stream,
                          .referrer = access->referrer,
                          .agent = access->agent,
                          .trace = access->trace};
    char *block = words_make(&words, &s->info);

    if (!block) {
        session_info_fini(&s->info, &s->nl->media);
        return false;
    }
    free(s->stream);
    s->stream = block;
    return true;
}

/* The connection is the session's. access NULL: an edge's stream. */
static void begin(struct http_publish *s, const struct stream_name *name,
                  struct access_request *access)
{
    struct publisher_request request = {.name = name,
                                        .client = is_from_edge(s) ? s->from.client : s->info.peer,
                                        .edge = s->from.edge,
                                        .run = s->from.run,
                                        .access = access};

    if (access) {
        access->peer = s->info.peer;
        access->session = s->info.id;
    }
    s->publisher = (struct publisher){.ops = is_from_edge(s) ? &k_relay_ops : &k_flv_ops,
                                      .session = s,
                                      .nl = &s->nl,
                                      .conn = &s->conn,
                                      .info = &s->info};
    enter(s);
    if (s->body.kind == HTTP_BODY_NONE)
        session_end(s, 411, "the media is the body: chunked, or with a length");
    else if (buf_writer_status(&s->read) != E_OK)
        session_end(s, 503, err_text(E_NOMEM));
    else
        publisher_begin(&s->publisher, &request);
    leave(s);
}

void http_publish_take(struct http_publish *s, struct http_exchange *x,
                       const struct stream_name *name, struct access_request *access)
{
    /* Who encodes what an edge forwards is known there. */
    bool has_words = access && words_are_wanted(s->nl->node);

    if (take(s, x) && (!has_words || take_words(s, access)))
        begin(s, name, access);
    else
        http_publish_discard(s);
}
