/* Sessions that play over HTTP, for people and for relays: the connection is taken out of the HTTP
 * server; the answer is withheld until the stream is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/admission.h"
#include "node/session/http_asked.h"
#include "node/session/http_play.h"

#define SESSION_HEADER "X-Headwater-Session" /* what /v1/trace calls it */

static void drop_parts(struct play_session *s)
{
    if (play_is_relay(s))
        play_relay_drop(s);
    else if (play_is_ws(s))
        play_ws_drop(s);
}

static void session_free(struct play_session *s)
{
    viewer_leave(&s->viewer);
    drop_parts(s);
    admission_give(s->nl->node, &s->info.pass);
    session_info_fini(&s->info, &s->nl->media);
    conn_close(&s->conn);
    free(s);
}

static bool is_unanswered(const struct play_session *s)
{
    return !strcmp(s->info.kind, "waiting");
}

/* Other nodes are not people. */
static void tell(const struct play_session *s, enum event_id id, const char *reason)
{
    if (!play_is_relay(s))
        session_tell(s->nl->node, id, &s->info, reason);
}

void play_session_close(struct play_session *s, const char *why)
{
    if (s->closed)
        return;
    if (play_is_relay(s) || is_unanswered(s))
        session_log(s->nl->node, &s->info, why);
    else
        tell(s, EVENT_PLAY_DONE, why);
    log_info(s->info.protocol,
             "msg=closed session=%s trace=%s peer=%s kind=play stream=%s bytes_out=%llu jumps=%llu "
             "reason=%s",
             s->info.id, SESSION_TRACE(&s->info), s->info.peer, s->info.stream,
             (unsigned long long)conn_bytes_out(s->conn),
             (unsigned long long)viewer_jumps(&s->viewer), LOG_STR(why));
    metric_add(s->form->closed_bytes, (int64_t)conn_bytes_out(s->conn));
    s->closed = true;
    if (s->flush_at_close)
        conn_close_after_flush(&s->conn);
    if (!s->busy)
        session_free(s);
}

/* --- the viewer's side --- */

static struct play_session *session_of_viewer(struct viewer *viewer)
{
    return list_entry(viewer, struct play_session, viewer);
}

static void write_cors(const struct play_session *s, struct buf_writer *out)
{
    const char *origin = words_origin(&s->info);

    http_write_cors(out, node_conf_cors(&s->nl->node->conf, *origin ? origin : NULL), origin);
}

static void write_media_fields(const struct play_session *s, struct buf_writer *out)
{
    buf_write_str(out, "Content-Type: ");
    buf_write_str(out, s->form->content_type);
    buf_write_str(out, "\r\nCache-Control: no-store\r\n");
    write_cors(s, out);
    buf_write_str(out,
                  "Access-Control-Expose-Headers: " SESSION_HEADER "\r\nConnection: close\r\n");
}

static void write_answer(struct play_session *s, struct buf_writer *out)
{
    buf_write_str(out,
                  play_is_ws(s) ? "HTTP/1.1 101 Switching Protocols\r\n" : "HTTP/1.1 200 OK\r\n");
    if (play_is_ws(s))
        play_ws_write_fields(s, out);
    else
        write_media_fields(s, out);
    buf_write_str(out, SESSION_HEADER ": ");
    buf_write_str(out, s->nl->node->id);
    buf_write_str(out, "/");
    buf_write_str(out, s->info.id);
    buf_write_str(out, "\r\n");
    if (play_is_relay(s))
        play_relay_start(s, out);
    buf_write_str(out, "\r\n");
}

/* What the format has before its first unit; over a WebSocket a message of its own. */
static void write_media_head(const struct play_session *s, struct buf_writer *out, bool has_audio,
                             bool has_video)
{
    uint8_t frame[WS_MAX_HEADER_BYTES];
    struct buf_writer head;

    if (!s->form->write_head)
        return;
    buf_writer_init(&head, 256);
    s->form->write_head(&head, has_audio, has_video);
    if (play_is_ws(s))
        buf_write(out, frame, ws_put_header(frame, WS_BINARY, true, head.used_bytes));
    buf_write_view(out, buf_writer_view(&head));
    buf_writer_fini(&head);
}

static enum err on_viewer_start(struct viewer *viewer, bool has_audio, bool has_video)
{
    struct play_session *s = session_of_viewer(viewer);
    struct buf_writer out;
    enum err e;

    s->info.kind = "play";
    tell(s, EVENT_PLAY, NULL);
    log_info(s->info.protocol, "msg=play session=%s trace=%s peer=%s stream=%s", s->info.id,
             SESSION_TRACE(&s->info), s->info.peer, s->info.stream);
    buf_writer_init(&out, 4096);
    write_answer(s, &out);
    write_media_head(s, &out, has_audio, has_video);
    e = buf_writer_status(&out);
    if (e == E_OK)
        e = viewer_write(viewer, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

static void answer_error(struct play_session *s, unsigned status, const char *detail)
{
    struct buf_writer body, head;

    buf_writer_init(&body, 4096);
    buf_writer_init(&head, 8192);
    http_write_problem(&body, status, detail);
    buf_printf(&head,
               "HTTP/1.1 %u %s\r\nContent-Type: application/problem+json\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n%s",
               status, http_status_text(status), body.used_bytes,
               status == 503 ? "Retry-After: 2\r\n" : "");
    write_cors(s, &head);
    buf_write_str(&head, "\r\n");
    buf_write_view(&head, buf_writer_view(&body));
    if (buf_writer_status(&body) == E_OK && buf_writer_status(&head) == E_OK &&
        conn_write(s->conn, buf_writer_view(&head)) == E_OK)
        conn_close_after_flush(&s->conn);
    buf_writer_fini(&body);
    buf_writer_fini(&head);
}

/* The end is said in the words of who listens. */
static void say_end(struct play_session *s, unsigned close_code, const char *why)
{
    if (play_is_relay(s))
        play_relay_say_end(s);
    if (play_is_ws(s))
        play_ws_say_end(s, close_code, why);
}

static void on_viewer_end(struct viewer *viewer, enum err why)
{
    struct play_session *s = session_of_viewer(viewer);

    if (s->closed || !is_unanswered(s) || why == E_CLOSED || why == E_IO) {
        s->flush_at_close = why == E_END || (why == E_DENIED && play_is_ws(s));
        if (why == E_END && !s->closed)
            say_end(s, WS_CLOSE_NORMAL, "the stream has ended");
        else if (why == E_DENIED && play_is_ws(s) && !s->closed)
            play_ws_say_end(s, WS_CLOSE_POLICY, "the stream was closed");
        play_session_close(s, why == E_END ? "the stream has ended" : err_text(why));
        return;
    }
    s->busy = true;
    play_session_close(s, why == E_NOT_FOUND || why == E_END ? "no such stream" : err_text(why));
    s->busy = false;
    if (why == E_NOT_FOUND || why == E_END) {
        metric_add(&m_timeout_play_wait, why == E_NOT_FOUND);
        metric_add(&m_play_refused_not_found, 1);
        answer_error(s, 404, "no such stream");
    } else {
        metric_add(&m_play_refused_denied, 1);
        answer_error(s, why == E_DENIED ? 403 : 503, err_text(why));
    }
    session_free(s);
}

static const struct viewer_ops k_viewer_ops = {.on_start = on_viewer_start,
                                               .on_end = on_viewer_end};

/* --- the connection's side --- */

/* Over plain HTTP a player has nothing more to say: what it sends is dropped. Its end is the end.
 */
static void on_readable(struct conn *conn, void *arg)
{
    struct play_session *s = arg;
    struct buf_view got;
    enum err e;

    while ((e = conn_read(conn, &got)) == E_OK)
        if (play_is_ws(s) && !is_unanswered(s) && !play_ws_feed(s, got))
            return;
    if (e != E_AGAIN)
        play_session_close(s, e == E_CLOSED ? "closed by the peer" : err_text(e));
}

static void on_writable(struct conn *conn, void *arg)
{
    struct play_session *s = arg;

    (void)conn;
    viewer_on_writable(&s->viewer); /* last: s may be gone */
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    play_session_close(arg, err_text(e));
}

static const struct conn_ops k_conn_ops = {
    .on_readable = on_readable, .on_writable = on_writable, .on_error = on_error};

/* The unit in flight is completed. A relay takes an end without @hw for the end of the node, and
 * goes elsewhere; but another process of this node has its place. */
static void session_kick(struct session_info *info)
{
    struct play_session *s = list_entry(info, struct play_session, info);
    const char *why = sessions_kick_reason(s->nl);
    bool unanswered = is_unanswered(s);

    s->flush_at_close = viewer_leave_whole(&s->viewer) == E_OK && !unanswered;
    if (s->flush_at_close && play_is_relay(s) && s->nl->node->drain.why == DRAIN_REPLACED)
        play_relay_say_end(s);
    if (s->flush_at_close && play_is_ws(s))
        play_ws_say_end(s, WS_CLOSE_GOING_AWAY, why);
    s->busy = true;
    play_session_close(s, why);
    s->busy = false;
    if (unanswered)
        answer_error(s, 503, why);
    session_free(s);
}

static void session_count(const struct session_info *info, struct session_counts *counts)
{
    const struct play_session *s = list_entry_const(info, struct play_session, info);

    counts->bytes_in = conn_bytes_in(s->conn);
    counts->bytes_out = conn_bytes_out(s->conn);
    counts->trace = words_trace(info);
    viewer_count(&s->viewer, counts);
}

/* --- beginnings --- */

static void init_info(struct play_session *s, const char *id, const char *peer)
{
    session_info_init(&s->info, &s->nl->media, id[0] ? '\0' : s->form->letter, s->form->protocol,
                      peer);
    if (id[0])
        memcpy(s->info.id, id, sizeof s->info.id);
    s->info.kind = "waiting";
    s->info.count = session_count;
    s->info.kick = session_kick;
}

static void refuse(struct http_exchange *x, struct node *node, struct play_request *r, enum err e)
{
    if (e == E_STALE)
        play_relay_refuse_loop(x, node, r->hops);
    else
        http_respond_problem(x, 503, "%s", err_text(e));
    admission_give(node, &r->pass);
}

/* NULL with *e. */
static struct play_session *make(struct http_exchange *x, struct node_loop *nl,
                                 struct play_request *r, enum err *e)
{
    struct play_session *s;
    struct words words;

    http_words(x, nl->node, &r->name, &words);
    words.trace = r->trace;
    /* Not sizeof: the words begin where the members end. */
    s = calloc(1, offsetof(struct play_session, words) + words_size(&words));
    *e = E_NOMEM;
    if (!s)
        return NULL;
    s->nl = nl;
    s->form = r->form;
    *e = play_is_relay(s) ? play_relay_begin(s, r) : play_is_ws(s) ? play_ws_begin(s, r) : E_OK;
    if (*e == E_OK) {
        init_info(s, r->session, "");
        s->info.pass = r->pass;
        r->pass = (struct pass){0};
        words_put(&words, &s->info, s->words);
        return s;
    }
    drop_parts(s);
    free(s);
    return NULL;
}

struct play_session *play_session_create(struct http_exchange *x, struct node_loop *nl,
                                         struct play_request *r)
{
    enum err e;
    struct play_session *s = make(x, nl, r, &e);

    if (!s) {
        refuse(x, nl->node, r, e);
        return NULL;
    }
    s->conn = http_take_conn(x);
    if (s->conn) {
        s->info.peer = conn_peer(s->conn);
        conn_set_ops(s->conn, &k_conn_ops, s);
        return s;
    }
    session_free(s);
    return NULL;
}

static bool has_flv_bodies(const struct play_request *r)
{
    return r->form->write_head != NULL;
}

/* Players of HTTP say nothing of themselves, but for the query: FLV can carry several tracks, yet
 * few players expect them. */
static enum feed_tracks tracks_of(const struct play_request *r)
{
    if (r->hops)
        return TRACKS_ALL;
    return r->selection.tracks == TRACKS_ALL && !has_flv_bodies(r) ? TRACKS_DEFAULT
                                                                   : r->selection.tracks;
}

static enum flv_style style_of(const struct play_request *r)
{
    if (r->hops || !has_flv_bodies(r))
        return FLV_STYLE_WHOLE;
    return r->selection.old_hevc ? FLV_STYLE_CLASSIC_HEVC : FLV_STYLE_ENHANCED;
}

void play_session_join(struct play_session *s, const struct play_request *r)
{
    struct viewer_join join = {.name = &r->name,
                               .format = s->form->format,
                               .tracks = tracks_of(r),
                               .style = style_of(r),
                               .conn = s->conn,
                               .ops = &k_viewer_ops,
                               .relay = play_is_relay(s),
                               .session = &s->info,
                               .have_run = r->have_run,
                               .have_gop = r->have_gop};
    enum err e = r->knows_waiting ? play_relay_say_waiting(s) : E_OK;
    const char *why;

    if (e == E_OK)
        e = viewer_join(&s->nl->media, &s->viewer, &join);
    metric_add(s->form->n_sessions, 1);
    if (e == E_OK)
        return;
    metric_add(&m_play_refused_limit, 1);
    why = e == E_LIMIT ? "too many viewers are waiting (limits.parked_viewers)" : err_text(e);
    session_log_refused(s->nl->node, &s->info, "play", why);
    answer_error(s, 503, why);
    session_free(s);
}
