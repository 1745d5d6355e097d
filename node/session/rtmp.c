/* RTMP sessions: life, and what clients say; rtmp_publish.c and rtmp_play.c do it. A
 * publisher's connection moves once to its stream's home loop, before any media is read; a player
 * stays on the loop that accepted it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/admission.h"
#include "node/session/rtmp_play.h"
#include "node/session/rtmp_publish.h"
#include "node/session/rtmp_session.h"
#include "node/session/session.h"

#define MAX_QUEUE_BYTES (256u * 1024) /* answers to one client */
#define MAX_QUERY_BYTES 4096u         /* behind a stream's name; tokens are long */
#define MAX_HELD_BYTES 65536u         /* what a client sends while its publish or play is decided */

static const char *const k_state_kinds[] = {
    [RTMP_SESSION_CONNECTING] = "idle",  [RTMP_SESSION_IDLE] = "idle",
    [RTMP_SESSION_ASKING] = "publish",   [RTMP_SESSION_PUBLISHING] = "publish",
    [RTMP_SESSION_CHECKING] = "waiting", [RTMP_SESSION_JOINING] = "waiting",
    [RTMP_SESSION_PLAYING] = "play",
};

static const unsigned k_moves[] = {
    /* allowed next states, as bits */
    [RTMP_SESSION_CONNECTING] = 1u << RTMP_SESSION_IDLE,
    [RTMP_SESSION_IDLE] = 1u << RTMP_SESSION_ASKING | 1u << RTMP_SESSION_CHECKING,
    [RTMP_SESSION_ASKING] = 1u << RTMP_SESSION_PUBLISHING | 1u << RTMP_SESSION_IDLE,
    [RTMP_SESSION_PUBLISHING] = 1u << RTMP_SESSION_IDLE,
    [RTMP_SESSION_CHECKING] = 1u << RTMP_SESSION_JOINING | 1u << RTMP_SESSION_IDLE,
    [RTMP_SESSION_JOINING] = 1u << RTMP_SESSION_PLAYING | 1u << RTMP_SESSION_IDLE,
    [RTMP_SESSION_PLAYING] = 1u << RTMP_SESSION_IDLE,
};

static bool has_timer(const struct rtmp_session *s)
{
    return s->state == RTMP_SESSION_CONNECTING || s->state == RTMP_SESSION_IDLE;
}

static void on_timer(struct timer *timer);

void rtmp_session_set_state(struct rtmp_session *s, enum rtmp_session_state state)
{
    const struct node_conf *conf = &s->nl->node->conf;

    assert(k_moves[s->state] & 1u << state);
    (void)k_moves; /* without assertions */
    if (has_timer(s))
        timer_stop(&s->timer);
    if (state == RTMP_SESSION_IDLE)
        admission_give(s->nl->node, &s->info.pass);
    s->state = state;
    s->info.kind = k_state_kinds[state];
    if (state == RTMP_SESSION_IDLE) {
        rtmp_session_drop_words(s);
        timer_init(&s->timer, s->nl->media.loop, on_timer);
        timer_start_ms(&s->timer, (int64_t)conf->limits_idle_ms);
    } else if (state == RTMP_SESSION_CHECKING) {
        s->check = (struct rtmp_check){NULL, {0}};
    } else if (state == RTMP_SESSION_JOINING) {
        s->viewer = (struct viewer){.state = VIEWER_OUT};
    }
}

static void held_free(struct rtmp_held *held)
{
    if (!held)
        return;
    timer_stop(&held->timer);
    buf_writer_fini(&held->bytes);
    free(held);
}

void rtmp_session_discard(struct rtmp_session *s)
{
    admission_give(s->nl->node, &s->info.pass);
    conn_close(&s->conn);
    rtmp_server_destroy(&s->proto);
    held_free(s->held);
    rtmp_session_drop_words(s);
    free(s);
}

static void session_free(struct rtmp_session *s)
{
    rtmp_publish_drop(s);
    if (rtmp_session_has_viewer(s))
        viewer_leave(&s->viewer);
    if (has_timer(s))
        timer_stop(&s->timer);
    if (s->state == RTMP_SESSION_CHECKING)
        access_cancel(&s->check.pending);
    session_info_fini(&s->info, &s->nl->media);
    rtmp_session_discard(s);
}

void rtmp_session_close(struct rtmp_session *s, const char *why)
{
    if (s->closed)
        return;
    log_line(
        s->said ? LOG_DEBUG : LOG_INFO, "rtmp",
        "msg=closed session=%s trace=%s peer=%s kind=%s stream=%s bytes_in=%llu bytes_out=%llu "
        "reason=%s",
        s->info.id, SESSION_TRACE(&s->info), s->info.peer, s->info.kind,
        s->info.stream[0] ? s->info.stream : "-", (unsigned long long)conn_bytes_in(s->conn),
        (unsigned long long)conn_bytes_out(s->conn), LOG_STR(why));
    if (!rtmp_publish_tell_done(s, why) && !rtmp_play_tell_done(s, why) && !s->is_logged)
        session_log(s->nl->node, &s->info, why);
    metric_add(&m_bytes_in_rtmp, (int64_t)conn_bytes_in(s->conn));
    metric_add(&m_bytes_out_rtmp, (int64_t)conn_bytes_out(s->conn));
    if (s->flush_at_close)
        conn_close_after_flush(&s->conn);
    s->closed = true;
    if (!s->busy)
        session_free(s);
}

/* --- what the client says --- */

static void on_connect_event(struct rtmp_session *s, const struct rtmp_event *ev)
{
    if (s->state == RTMP_SESSION_CONNECTING)
        rtmp_session_set_state(s, RTMP_SESSION_IDLE);
    rtmp_session_tell_connect(s, ev);
}

/* What is behind the name; NULL when there is too much of it, or what is no text. */
static const char *query_of(struct buf_view stream, char out[MAX_QUERY_BYTES])
{
    struct buf_reader in = buf_reader_from(stream);
    struct buf_view query;

    while (in.left_bytes && buf_read_u8(&in) != '?')
        ;
    query = buf_rest(&in);
    for (size_t i = 0; i < query.size_bytes; i++)
        if (query.data[i] < 0x20 || query.data[i] == 0x7f)
            return NULL;
    return buf_view_to_str(query, out, MAX_QUERY_BYTES) ? out : NULL;
}

static void on_request_event(struct rtmp_session *s, const struct rtmp_event *ev)
{
    bool publish = ev->type == RTMP_EVENT_PUBLISH;
    char text[MAX_QUERY_BYTES];
    const char *why = "the query behind the stream's name is too long, or no text";
    const char *query = query_of(ev->stream, text);
    struct access_request request;

    rtmp_session_describe(s, publish ? ACCESS_PUBLISH : ACCESS_PLAY, query ? query : "", &request);
    if (!query || stream_name_make(&request.name, ev->app, ev->stream, &why) != E_OK) {
        metric_add(publish ? &m_publish_refused_name : &m_play_refused_name, 1);
        rtmp_session_refuse(
            s, publish ? "NetStream.Publish.BadName" : "NetStream.Play.StreamNotFound", why);
        return;
    }
    if (!rtmp_session_take_words(s, &request))
        return;
    s->is_logged = false; /* this one is not */
    if (publish)
        rtmp_publish_begin(s, &request);
    else
        rtmp_play_begin(s, &request);
}

static void on_stop_event(struct rtmp_session *s, const struct rtmp_event *ev)
{
    (void)ev;
    if (s->state == RTMP_SESSION_PUBLISHING) {
        log_info("rtmp", "msg=unpublish session=%s peer=%s stream=%s", s->info.id, s->info.peer,
                 s->info.stream);
        (void)rtmp_publish_tell_done(s, "stopped by the publisher");
        rtmp_publish_drop(s);
        rtmp_session_set_state(s, RTMP_SESSION_IDLE);
    } else if (rtmp_session_has_viewer(s)) {
        rtmp_play_stop(s);
    }
}

/* A live stream has no past: after a pause the player goes on with what is sent. */
static void on_pause_event(struct rtmp_session *s, const struct rtmp_event *ev)
{
    log_debug("rtmp", "msg=pause session=%s paused=%d", s->info.id, ev->paused);
}

static void on_media_event(struct rtmp_session *s, const struct rtmp_event *ev)
{
    rtmp_publish_media(s, ev);
}

static void (*const k_event_handlers[])(struct rtmp_session *s, const struct rtmp_event *ev) = {
    [RTMP_EVENT_CONNECT] = on_connect_event, [RTMP_EVENT_PUBLISH] = on_request_event,
    [RTMP_EVENT_PLAY] = on_request_event,    [RTMP_EVENT_MEDIA] = on_media_event,
    [RTMP_EVENT_STOP] = on_stop_event,       [RTMP_EVENT_PAUSE] = on_pause_event,
};

static void count_protocol_error(const struct rtmp_session *s)
{
    static const struct {
        const char *fault; /* rtmp_server_fault() */
        struct metric *metric;
    } k_faults[] = {
        {"handshake", &m_protocol_error_rtmp_handshake},
        {"chunk", &m_protocol_error_rtmp_chunk},
        {"amf", &m_protocol_error_rtmp_amf},
        {"order", &m_protocol_error_rtmp_order},
        {"size", &m_protocol_error_rtmp_size},
    };
    struct metric *metric = &m_protocol_error_rtmp_other;

    for (size_t i = 0; i < sizeof k_faults / sizeof k_faults[0]; i++)
        if (!strcmp(k_faults[i].fault, rtmp_server_fault(s->proto)))
            metric = k_faults[i].metric;
    metric_add(metric, 1);
}

void rtmp_session_protocol_error(struct rtmp_session *s, enum err e, const char *detail)
{
    log_warn("rtmp", "msg=\"bad input\" session=%s peer=%s state=%s error=%s reason=%s", s->info.id,
             s->info.peer, rtmp_server_state(s->proto), err_name(e), LOG_STR(detail));
    s->said = true;
    rtmp_session_close(s, "protocol error");
}

/* Bytes that came while a request was being decided, or follow such. */
static void hold(struct rtmp_session *s, struct buf_view bytes)
{
    if (!s->held) {
        s->held = calloc(1, sizeof *s->held);
        if (!s->held) {
            rtmp_session_close(s, err_text(E_NOMEM));
            return;
        }
        s->held->session = s;
        buf_writer_init(&s->held->bytes, MAX_HELD_BYTES);
    }
    buf_write_view(&s->held->bytes, bytes);
    if (buf_writer_status(&s->held->bytes) != E_OK)
        rtmp_session_protocol_error(s, E_TOO_BIG,
                                    "more than 65536 bytes while a request is pending");
}

static bool is_pending(const struct rtmp_session *s)
{
    return s->state == RTMP_SESSION_ASKING || s->state == RTMP_SESSION_CHECKING ||
           s->state == RTMP_SESSION_JOINING;
}

/* All of in: events are handled one by one; a pending request stops it. The caller holds s->busy.
 */
static void feed(struct rtmp_session *s, struct buf_reader *in)
{
    struct buf_writer *out = rtmp_session_out(s);
    uint32_t now_ms = (uint32_t)(loop_now_us(s->nl->media.loop) / 1000);
    struct rtmp_event ev;
    enum err e = E_OK;

    while (!s->closed && !is_pending(s) && !s->moving && e == E_OK) {
        e = rtmp_server_feed(s->proto, in, now_ms, &ev, out);
        if (rtmp_session_send(s, out) != E_OK)
            rtmp_session_close(s, "connection lost");
        else if (e == E_OK)
            k_event_handlers[ev.type](s, &ev);
        out = rtmp_session_out(s);
    }
    if (s->closed)
        return;
    if (e != E_OK && e != E_AGAIN) {
        count_protocol_error(s);
        s->flush_at_close = true; /* a status may be on its way */
        rtmp_session_protocol_error(s, e, rtmp_server_error(s->proto));
    } else if (in->left_bytes) {
        hold(s, buf_rest(in));
    }
}

static void finish_busy(struct rtmp_session *s)
{
    if (--s->busy)
        return;
    if (s->closed)
        session_free(s);
    else if (s->moving)
        rtmp_publish_move(s); /* last: s lives on another loop from here on */
}

void rtmp_session_resume(struct rtmp_session *s)
{
    struct rtmp_held *held = s->held;

    s->held = NULL;
    s->busy++;
    if (held) {
        struct buf_reader in = buf_reader_from(buf_writer_view(&held->bytes));

        feed(s, &in);
    }
    held_free(held);
    finish_busy(s);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct rtmp_session *s = arg;
    struct buf_view got;
    enum err e;

    (void)conn;
    s->busy++;
    while (!s->closed && !s->moving && s->state != RTMP_SESSION_ASKING &&
           (e = conn_read(s->conn, &got)) != E_AGAIN) {
        struct buf_reader in = buf_reader_from(got);

        if (e != E_OK)
            rtmp_session_close(s, e == E_CLOSED ? "closed by the peer" : err_text(e));
        else if (is_pending(s) || s->held) /* in order */
            hold(s, got);
        else
            feed(s, &in);
    }
    finish_busy(s);
}

static void on_writable(struct conn *conn, void *arg)
{
    struct rtmp_session *s = arg;

    (void)conn;
    s->busy++;
    if (rtmp_session_has_viewer(s))
        viewer_on_writable(&s->viewer);
    finish_busy(s);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    struct rtmp_session *s = arg;

    s->said |= *conn_tls_error(conn) != '\0'; /* by TLS itself */
    rtmp_session_close(s, err_text(e));
}

const struct conn_ops k_rtmp_conn_ops = {
    .on_readable = on_readable, .on_writable = on_writable, .on_error = on_error};

/* --- life --- */

static void on_timer(struct timer *timer)
{
    struct rtmp_session *s = list_entry(timer, struct rtmp_session, timer);
    bool idle = s->state == RTMP_SESSION_IDLE;
    const struct node_conf *conf = &s->nl->node->conf;

    metric_add(idle ? &m_timeout_idle : &m_timeout_handshake, 1);
    log_warn("rtmp", "msg=timeout session=%s peer=%s state=%s limit=%s limit_ms=%llu", s->info.id,
             s->info.peer, rtmp_server_state(s->proto),
             idle ? "limits.idle_ms" : "limits.handshake_ms",
             (unsigned long long)(idle ? conf->limits_idle_ms : conf->limits_handshake_ms));
    s->said = true;
    rtmp_session_close(s,
                       idle ? "neither published nor played in time" : "did not connect in time");
}

static void session_kick(struct session_info *info)
{
    struct rtmp_session *s = list_entry(info, struct rtmp_session, info);
    const char *why = sessions_kick_reason(s->nl);

    if (s->state == RTMP_SESSION_PLAYING)
        rtmp_session_end(s, "NetStream.Play.UnpublishNotify", why);
    else if (s->state == RTMP_SESSION_PUBLISHING)
        rtmp_session_end(s, "NetStream.Unpublish.Success", why);
    else if (is_pending(s))
        rtmp_session_turn_away(s, why);
    else
        rtmp_session_close(s, why);
}

struct rtmp_session *rtmp_session_of(struct session_info *info)
{
    return info->kick == session_kick ? list_entry(info, struct rtmp_session, info) : NULL;
}

static void session_count(const struct session_info *info, struct session_counts *counts)
{
    const struct rtmp_session *s = list_entry_const(info, struct rtmp_session, info);

    counts->bytes_in = conn_bytes_in(s->conn);
    counts->bytes_out = conn_bytes_out(s->conn);
    rtmp_publish_count(s, counts);
    if (rtmp_session_has_viewer(s))
        viewer_count(&s->viewer, counts);
}

static struct rtmp_limits limits_of(const struct node_conf *conf)
{
    struct rtmp_limits limits = k_rtmp_limits_default;

    limits.max_message_bytes = (uint32_t)conf->limits_message_bytes;
    limits.max_command_bytes = (uint32_t)conf->limits_command_bytes;
    return limits;
}

/* What it needs, or false. Takes fd. */
static bool make_parts(struct rtmp_session *s, int fd, const struct addr *peer,
                       struct tls_server *tls)
{
    struct node *node = s->nl->node;
    struct rtmp_limits limits = limits_of(&node->conf);
    uint64_t number = random_u64(); /* not one system call each: it is no secret */
    uint8_t seed[RTMP_SEED_BYTES];

    memcpy(seed, &number, sizeof seed);
    s->conn = conn_create(s->nl->media.loop, fd, peer, MAX_QUEUE_BYTES, &k_rtmp_conn_ops, s);
    if (!s->conn) {
        conn_budget_give(node->budget, peer);
        return false;
    }
    conn_charge(s->conn, node->budget);
    s->proto = rtmp_server_create(&limits, seed);
    return s->proto && (!tls || conn_start_tls(s->conn, tls) == E_OK);
}

void rtmp_session_accept(struct node_loop *nl, int fd, const struct addr *peer,
                         struct tls_server *tls)
{
    struct rtmp_session *s;

    if (!connection_admit(nl->node, fd, peer, tls ? "rtmps" : "rtmp"))
        return;
    s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        conn_budget_give(nl->node->budget, peer);
        return;
    }
    s->nl = nl;
    if (!make_parts(s, fd, peer, tls)) {
        rtmp_session_discard(s);
        return;
    }
    session_info_init(&s->info, &nl->media, 'r', "rtmp", conn_peer(s->conn));
    s->info.count = session_count;
    s->info.kick = session_kick;
    timer_init(&s->timer, nl->media.loop, on_timer);
    timer_start_ms(&s->timer, (int64_t)nl->node->conf.limits_handshake_ms);
}
