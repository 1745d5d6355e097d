/* HTTP-FLV sessions, for people and for relays: GET /{app}/{name}.flv takes the connection out of
 * the HTTP server; the answer is withheld until the stream is there. A relay (a node that pulls) is
 * the same with @hw tags, a token and a hop list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/clocks.h"
#include "node/control/node_metrics.h"
#include "node/control/trace.h"
#include "node/session/admission.h"
#include "node/session/redirect.h"
#include "node/session/session.h"
#include "node/stream/hops.h"
#include "node/stream/viewer.h"
#include "node/token.h"
#include "proto/flv/flv.h"

#define SUFFIX ".flv"
#define SESSION_HEADER "X-Headwater-Session" /* what /v1/trace calls it */

/* What only a relay needs. */
struct flv_relay {
    struct stream *stream;   /* owned reference */
    struct hops_child child; /* in stream_hops(stream) */
};

struct flv_session {
    struct session_info info;
    struct node_loop *nl;
    struct conn *conn;
    struct viewer viewer;
    struct flv_relay *relay; /* NULL for people */
    bool busy, closed;
    bool is_admitted;    /* a person */
    bool flush_at_close; /* what is queued is to reach the player */
    char stream[];       /* its name, for info */
};

static void relay_drop(struct flv_session *s)
{
    if (!s->relay)
        return;
    hops_remove_child(stream_hops(s->relay->stream), &s->relay->child);
    stream_unref(&s->relay->stream);
    free(s->relay);
    s->relay = NULL;
}

static void session_free(struct flv_session *s)
{
    viewer_leave(&s->viewer);
    relay_drop(s);
    if (s->is_admitted)
        admission_give(s->nl->node);
    session_info_fini(&s->info, &s->nl->media);
    conn_close(&s->conn);
    free(s);
}

static void session_close(struct flv_session *s, const char *why)
{
    if (s->closed)
        return;
    log_info(s->info.protocol,
             "msg=closed session=%s peer=%s kind=play stream=%s bytes_out=%llu jumps=%llu "
             "reason=%s",
             s->info.id, s->info.peer, s->info.stream, (unsigned long long)conn_bytes_out(s->conn),
             (unsigned long long)viewer_jumps(&s->viewer), LOG_STR(why));
    metric_add(s->viewer.relay ? &m_bytes_out_relay : &m_bytes_out_flv,
               (int64_t)conn_bytes_out(s->conn));
    s->closed = true;
    if (s->flush_at_close)
        conn_close_after_flush(&s->conn);
    if (!s->busy)
        session_free(s);
}

/* --- the viewer's side --- */

static struct flv_session *session_of_viewer(struct viewer *viewer)
{
    return list_entry(viewer, struct flv_session, viewer);
}

/* What the relay gets, and by which way it came. */
static void write_relay_fields(const struct flv_session *s, struct buf_writer *head)
{
    char path[HOPS_ID_SIZE + HOPS_PATH_SIZE];

    hops_write_path(stream_hops(s->relay->stream), s->nl->node->id, path);
    buf_printf(head, "X-Headwater-Epoch: %llu\r\nX-Headwater-Run: %llu\r\nX-Headwater-Path: %s\r\n",
               (unsigned long long)viewer_epoch(&s->viewer),
               (unsigned long long)viewer_run(&s->viewer), path);
}

static enum err on_viewer_start(struct viewer *viewer, bool has_audio, bool has_video)
{
    struct flv_session *s = session_of_viewer(viewer);
    struct buf_writer head;
    enum err e;

    log_info(s->info.protocol, "msg=play session=%s peer=%s stream=%s", s->info.id, s->info.peer,
             s->info.stream);
    buf_writer_init(&head, 4096);
    buf_write_str(&head,
                  "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nCache-Control: no-store\r\n"
                  "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: " SESSION_HEADER
                  "\r\nConnection: close\r\n");
    buf_printf(&head, SESSION_HEADER ": %s/%s\r\n", s->nl->node->id, s->info.id);
    if (s->relay) {
        hops_feed_child(stream_hops(s->relay->stream), &s->relay->child);
        write_relay_fields(s, &head);
    }
    buf_write_str(&head, "\r\n");
    flv_write_file_header(&head, has_audio, has_video);
    e = buf_writer_status(&head);
    if (e == E_OK)
        e = viewer_write(viewer, buf_writer_view(&head));
    buf_writer_fini(&head);
    return e;
}

static void answer_error(struct flv_session *s, unsigned status, const char *detail)
{
    char body[256], head[512];
    int n_body = snprintf(body, sizeof body, "{\"status\":%u,\"title\":\"%s\",\"detail\":\"%s\"}\n",
                          status, http_status_text(status), detail);
    int n_head = snprintf(head, sizeof head,
                          "HTTP/1.1 %u %s\r\nContent-Type: application/problem+json\r\n"
                          "Content-Length: %d\r\nAccess-Control-Allow-Origin: *\r\n%s"
                          "Connection: close\r\n\r\n%s",
                          status, http_status_text(status), n_body,
                          status == 503 ? "Retry-After: 2\r\n" : "", body);

    if (n_head > 0 && conn_write(s->conn, buf_view_of(head, (size_t)n_head)) == E_OK)
        conn_close_after_flush(&s->conn);
}

/* Without it a relay could not tell the end of the stream from the end of this node. */
static void say_end(struct flv_session *s)
{
    struct flv_hw hw = {.v = FLV_HW_VERSION, .end = true};
    struct buf_writer body, tag;

    buf_writer_init(&body, 1024);
    buf_writer_init(&tag, 1024);
    flv_write_hw_body(&body, &hw);
    flv_write_tag(&tag, FLV_TAG_SCRIPT, 0, buf_writer_view(&body));
    if (buf_writer_status(&tag) == E_OK)
        (void)conn_write(s->conn, buf_writer_view(&tag));
    buf_writer_fini(&body);
    buf_writer_fini(&tag);
}

static bool is_unanswered(const struct flv_session *s)
{
    return !strcmp(s->info.kind, "waiting");
}

static void on_viewer_end(struct viewer *viewer, enum err why)
{
    struct flv_session *s = session_of_viewer(viewer);

    if (s->closed || !is_unanswered(s) || why == E_CLOSED || why == E_IO) {
        s->flush_at_close = why == E_END;
        if (why == E_END && viewer->relay)
            say_end(s);
        session_close(s, why == E_END ? "the stream has ended" : err_text(why));
        return;
    }
    s->busy = true;
    session_close(s, why == E_NOT_FOUND || why == E_END ? "no such stream" : err_text(why));
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

static enum err on_start_mark(struct viewer *viewer, bool has_audio, bool has_video)
{
    session_of_viewer(viewer)->info.kind = "play";
    return on_viewer_start(viewer, has_audio, has_video);
}

static const struct viewer_ops k_viewer_ops = {on_start_mark, on_viewer_end};

/* --- the connection's side --- */

/* A player has nothing more to say: what it sends is dropped, its end is the end. */
static void on_readable(struct conn *conn, void *arg)
{
    struct flv_session *s = arg;
    struct buf_view got;
    enum err e;

    do
        e = conn_read(conn, &got);
    while (e == E_OK);
    if (e != E_AGAIN)
        session_close(s, e == E_CLOSED ? "closed by the peer" : err_text(e));
}

static void on_writable(struct conn *conn, void *arg)
{
    struct flv_session *s = arg;

    (void)conn;
    viewer_on_writable(&s->viewer); /* last: s may be gone */
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    session_close(arg, err_text(e));
}

static const struct conn_ops k_conn_ops = {
    .on_readable = on_readable, .on_writable = on_writable, .on_error = on_error};

/* The tag in flight is completed. A relay takes an end without @hw for the end of the node, and
 * goes elsewhere; but another process of this node has its place. */
static void session_kick(struct session_info *info)
{
    struct flv_session *s = list_entry(info, struct flv_session, info);
    const char *why = sessions_kick_reason(s->nl);
    bool unanswered = is_unanswered(s);

    s->flush_at_close = viewer_leave_whole(&s->viewer) == E_OK && !unanswered;
    if (s->flush_at_close && s->relay && s->nl->node->drain.why == DRAIN_REPLACED)
        say_end(s);
    s->busy = true;
    session_close(s, why);
    s->busy = false;
    if (unanswered)
        answer_error(s, 503, why);
    session_free(s);
}

static void session_count(const struct session_info *info, uint64_t *bytes_in, uint64_t *bytes_out,
                          int64_t *lag_us, uint64_t *n_jumps)
{
    const struct flv_session *s =
        (const struct flv_session *)(const void *)((const char *)info -
                                                   offsetof(struct flv_session, info));

    *bytes_in = conn_bytes_in(s->conn);
    *bytes_out = conn_bytes_out(s->conn);
    *lag_us = viewer_lag_us(&s->viewer);
    *n_jumps = viewer_jumps(&s->viewer);
}

/* --- requests --- */

struct flv_request {
    struct stream_name name;
    const char *hops; /* lent by the request; NULL = a person */
    uint64_t have_run, have_gop;
    bool knows_waiting; /* it understands that it is told to wait */
};

static void refuse_loop(struct http_exchange *x, struct node *node, const char *hops)
{
    metric_add(&m_relay_loops_refused, 1);
    log_warn("relay", "msg=\"loop refused\" peer=%s hops=%s", http_peer(x), LOG_STR(hops));
    http_respond_problem(
        x, 508,
        "relay loop: the hop list names node %s or one above it, or more than %d, or "
        "this node has too many above it",
        node->id, HOPS_MAX);
}

/* Where the relay broke off: GOP numbers are those of one run, whatever the epoch. */
static void read_have(struct http_exchange *x, struct flv_request *r)
{
    const char *have = http_header(x, "X-Headwater-Have"); /* epoch,gop */
    const char *run = http_header(x, "X-Headwater-Have-Run");
    unsigned long long gop;

    if (!have || !run || sscanf(have, "%*20u,%20llu", &gop) != 1)
        return;
    r->have_run = strtoull(run, NULL, 10);
    r->have_gop = gop;
}

/* Relay headers: token, hop list, where to resume. False: answered. */
static bool check_relay(struct http_exchange *x, struct node *node, struct flv_request *r)
{
    const char *hops = http_header(x, "X-Headwater-Hops");
    unsigned n_hops;

    if (!hops)
        return true;
    if (!node_trusts(node, x)) {
        metric_add(&m_play_refused_denied, 1);
        http_respond_problem(x, 401, "a relay needs the node token (cluster.token_file)");
        return false;
    }
    if (strlen(hops) >= HOPS_SIZE || hops_hold(hops, node->id, &n_hops) || n_hops > HOPS_MAX) {
        refuse_loop(x, node, hops);
        return false;
    }
    read_have(x, r);
    r->knows_waiting = http_header(x, "X-Headwater-Waits") != NULL;
    r->hops = hops;
    return true;
}

static bool parse_request(struct http_exchange *x, struct node *node, struct flv_request *r)
{
    const char *path = http_path(x);
    size_t size = strlen(path), suffix = strlen(SUFFIX);
    const char *why = NULL;

    if (size <= suffix || strcmp(path + size - suffix, SUFFIX)) {
        metric_add(&m_play_refused_not_found, 1);
        http_respond_problem(x, 404, "nothing is here: streams are at /{app}/{name}.flv");
        return false;
    }
    if (stream_name_from_path(&r->name, buf_view_of(path, size - suffix), &why) != E_OK) {
        metric_add(&m_play_refused_name, 1);
        http_respond_problem(x, 404, "%s", why);
        return false;
    }
    if (!check_relay(x, node, r))
        return false;
    if (!r->hops && !node->conf.play_open) {
        metric_add(&m_play_refused_closed, 1);
        http_respond_problem(x, 403, "playing is closed on this server");
        return false;
    }
    return true;
}

static bool is_here(struct node *node, const struct stream_name *name)
{
    struct stream *stream = registry_find(node->registry, name->text);
    bool found = stream != NULL;

    stream_unref(&stream);
    return found;
}

static void answer_head(struct http_exchange *x, struct node *node, const struct stream_name *name)
{
    bool found = is_here(node, name);

    http_respond(x, found ? 200 : 404, found ? "video/x-flv" : NULL, buf_view_of(NULL, 0));
}

/* E_STALE: the relay would be a loop. */
static enum err relay_begin(struct flv_session *s, struct node *node, const struct flv_request *r)
{
    struct flv_relay *relay;

    if (!r->hops)
        return E_OK;
    relay = s->relay = calloc(1, sizeof *relay);
    if (!relay)
        return E_NOMEM;
    list_init(&relay->child.node);
    relay->stream = registry_get(node->registry, &r->name);
    if (!relay->stream) {
        free(relay);
        s->relay = NULL;
        return E_NOMEM;
    }
    return hops_add_child(stream_hops(relay->stream), &relay->child, r->hops) ? E_OK : E_STALE;
}

/* Of somebody who was admitted. NULL: answered. */
static struct flv_session *session_create(struct http_exchange *x, struct node_loop *nl,
                                          const struct flv_request *r)
{
    size_t name_size = strlen(r->name.text) + 1;
    struct flv_session *s = calloc(1, sizeof *s + name_size);
    enum err e = s ? relay_begin(s, nl->node, r) : E_NOMEM;

    if (e != E_OK) {
        if (e == E_STALE)
            refuse_loop(x, nl->node, r->hops);
        else
            http_respond_problem(x, 503, "%s", err_text(e));
        if (s)
            relay_drop(s);
        if (!r->hops)
            admission_give(nl->node);
        free(s);
        return NULL;
    }
    s->nl = nl;
    s->is_admitted = !r->hops;
    memcpy(s->stream, r->name.text, name_size);
    session_info_init(&s->info, &nl->media, r->hops ? 'n' : 'f', r->hops ? "relay" : "flv",
                      http_peer(x));
    s->info.kind = "waiting";
    s->info.count = session_count;
    s->info.kick = session_kick;
    s->info.stream = s->stream;
    s->conn = http_take_conn(x);
    if (s->conn) {
        conn_set_ops(s->conn, &k_conn_ops, s);
        return s;
    }
    session_free(s);
    return NULL;
}

/* A node that drains still gives other nodes what it has: it may be the only one. */
static const char *why_no_relay(struct node *node, const struct flv_request *r)
{
    return atomic_load(&node->draining) && !is_here(node, &r->name) ? "this node is shutting down"
                                                                    : NULL;
}

/* May it come? Else it is answered. */
static bool admit(struct http_exchange *x, struct node_loop *nl, const struct flv_request *r)
{
    const char *why = r->hops ? why_no_relay(nl->node, r) : admission_take(nl->node);

    if (!why)
        return true;
    if (r->hops)
        http_respond_problem(x, 503, "%s", why);
    else
        redirect_away(x, nl, &r->name, why);
    return false;
}

/* The stream may be a while in coming, and this node is not to be taken for a dead one. */
static enum err say_waiting(struct flv_session *s)
{
    return conn_write(s->conn, buf_view_str("HTTP/1.1 102 Processing\r\n\r\n"));
}

static void serve(struct http_exchange *x, struct node_loop *nl, const struct flv_request *r)
{
    struct viewer_join join = {.name = &r->name,
                               .format = r->hops ? FORMAT_RELAY : FORMAT_FLV,
                               .ops = &k_viewer_ops,
                               .relay = r->hops != NULL,
                               .have_run = r->have_run,
                               .have_gop = r->have_gop};
    struct flv_session *s;
    enum err e;

    if (!admit(x, nl, r) || !(s = session_create(x, nl, r))) /* r->hops is gone with x */
        return;
    join.conn = s->conn;
    e = r->knows_waiting ? say_waiting(s) : E_OK;
    if (e == E_OK)
        e = viewer_join(&nl->media, &s->viewer, &join);
    metric_add(join.relay ? &m_sessions_total_relay_play : &m_sessions_total_flv_play, 1);
    if (e == E_OK)
        return;
    metric_add(&m_play_refused_limit, 1);
    answer_error(s, 503,
                 e == E_LIMIT ? "too many viewers are waiting (limits.parked_viewers)"
                              : err_text(e));
    session_free(s);
}

/* There is no better place. */
static void serve_here(struct http_exchange *x, void *arg)
{
    struct node_loop *nl = arg;
    struct flv_request r = {0};

    if (parse_request(x, nl->node, &r))
        serve(x, nl, &r);
}

void http_flv_handle(struct http_exchange *x, void *arg)
{
    struct node_loop *nl = arg;
    struct flv_request r = {0};

    if (!parse_request(x, nl->node, &r))
        return;
    if (http_is_head(x))
        answer_head(x, nl->node, &r.name);
    else if (r.hops || !redirect_viewer(x, nl, &r.name, serve_here))
        serve(x, nl, &r);
}
