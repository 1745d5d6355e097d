/* One connection to an origin: asks it to take the stream, then is an ordinary viewer of the stream
 * in the relay format, over a connection that goes the other way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/relay/push_private.h"
#include "node/session/session.h"
#include "proto/flv/flv.h"

#define CONNECT_TIMEOUT_MS 2000
#define MAX_QUEUE_BYTES (4u << 20) /* the rest of a unit, when the stream ends inside it */
#define MAX_HEAD_BYTES 4096

/* While the connection can still be asked. */
static void log_end(const struct push_link *link)
{
    if (link->conn && link->state >= PUSH_LINK_GRANTED)
        session_log(link->nl->node, &link->info, "no longer forwarded");
}

static void link_free(struct push_link *link)
{
    link->push = NULL;
    if (link->busy) {
        link->doomed = true;
        return;
    }
    timer_stop(&link->timer);
    dial_stop(&link->dial);
    viewer_leave(&link->viewer);
    log_end(link);
    if (link->conn)
        metric_add(&m_bytes_out_relay, (int64_t)conn_bytes_out(link->conn));
    conn_close(&link->conn);
    push_answers_fini(&link->answers);
    session_info_fini(&link->info, &link->nl->media);
    stream_unref(&link->stream);
    free(link);
}

/* Last statement: the link may be gone. */
static void over(struct push_link *link, enum err e, unsigned status, const char *text)
{
    if (link->push)
        push_link_over(link, e, status, text);
    else
        link_free(link);
}

/* For callers that push.c is still on the stack of. */
static void fail_soon(struct push_link *link, enum err e)
{
    link->failed = e;
    timer_start_ms(&link->timer, 0);
}

/* --- silence --- */

static int64_t silent_at_us(const struct push_link *link)
{
    return link->heard_us + (int64_t)link->nl->node->conf.upstream_stall_ms * 1000;
}

static void note_heard(struct push_link *link)
{
    link->heard_us = loop_now_us(link->nl->media.loop);
    if (!timer_is_armed(&link->timer))
        timer_start_at_us(&link->timer, silent_at_us(link));
}

static void finish_now(struct push_link *link)
{
    if (link->conn && viewer_leave_whole(&link->viewer) == E_OK) {
        log_end(link);
        metric_add(&m_bytes_out_relay, (int64_t)conn_bytes_out(link->conn));
        conn_close_after_flush(&link->conn);
    }
    link_free(link);
}

static void on_timer(struct timer *timer)
{
    struct push_link *link = list_entry(timer, struct push_link, timer);

    if (link->state == PUSH_LINK_FINISHING) {
        finish_now(link);
    } else if (link->failed != E_OK) {
        over(link, link->failed, 0, NULL);
    } else if (loop_now_us(timer->loop) < silent_at_us(link)) {
        timer_start_at_us(timer, silent_at_us(link));
    } else {
        metric_add(&m_timeout_upstream_stall, 1);
        over(link, E_TIMEOUT, 0, "nothing heard within upstream_stall_ms");
    }
}

/* --- the viewer's side --- */

static enum err on_start(struct viewer *viewer, bool has_audio, bool has_video)
{
    struct buf_writer header;
    enum err e;

    buf_writer_init(&header, 64);
    flv_write_file_header(&header, has_audio, has_video);
    e = buf_writer_status(&header);
    if (e == E_OK)
        e = viewer_write(viewer, buf_writer_view(&header));
    buf_writer_fini(&header);
    return e;
}

static void on_end(struct viewer *viewer, enum err why)
{
    over(list_entry(viewer, struct push_link, viewer), why, 0, NULL);
}

static const struct viewer_ops k_viewer_ops = {.on_start = on_start, .on_end = on_end};

/* --- the connection's side --- */

static void on_answer(struct push_link *link, const struct push_answer *answer)
{
    bool is_open = link->state == PUSH_LINK_ASKING || link->state == PUSH_LINK_STANDBY;

    if (!link->push) {
        ; /* finishing: nobody wants to know */
    } else if (answer->status >= 200) {
        over(link, E_CLOSED, answer->status, answer->detail);
    } else if (answer->status == 100 && is_open) {
        link->state = PUSH_LINK_GRANTED;
        push_link_granted(link, answer->epoch);
    } else if (link->state == PUSH_LINK_ASKING) {
        link->state = PUSH_LINK_STANDBY;
        push_link_stands_by(link);
    }
}

static enum err take(struct push_link *link, struct buf_view got)
{
    enum err e = push_answers_add(&link->answers, got);
    struct push_answer answer;

    while (e == E_OK && !link->doomed && (e = push_answers_next(&link->answers, &answer)) == E_OK)
        on_answer(link, &answer);
    return e;
}

static void on_readable(struct conn *conn, void *arg)
{
    struct push_link *link = arg;
    struct buf_view got;
    enum err e = E_AGAIN;

    (void)conn;
    link->busy++;
    while (!link->doomed && (e = conn_read(link->conn, &got)) == E_OK) {
        note_heard(link);
        e = take(link, got);
        if (e != E_AGAIN)
            break;
    }
    link->busy--;
    if (link->doomed)
        link_free(link);
    else if (e != E_AGAIN)
        over(link, e, 0, e == E_PROTO ? "no HTTP answer" : NULL);
}

static void on_writable(struct conn *conn, void *arg)
{
    (void)conn;
    viewer_on_writable(&((struct push_link *)arg)->viewer); /* last: the link may be gone */
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    over(arg, e, 0, NULL);
}

static enum err ask(struct push_link *link)
{
    const struct node *node = link->nl->node;
    struct push_target target = {.name = stream_name_of(link->stream),
                                 .host = buf_view_str(link->dial.host),
                                 .port = link->dial.port,
                                 .token = node->token};
    struct push_request request = {.run = link->push->conf.run, .clock_url = node->internal_url};
    struct buf_writer out;
    enum err e;

    snprintf(request.edge, sizeof request.edge, "%s", node->id);
    snprintf(request.client, sizeof request.client, "%s", link->push->conf.client);
    buf_writer_init(&out, MAX_HEAD_BYTES);
    push_write_request(&out, &target, &request);
    e = buf_writer_status(&out);
    if (e == E_OK)
        e = conn_write(link->conn, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct push_link *link = arg;
    const char *why = *conn_tls_error(conn) ? conn_tls_error(conn) : "cannot be connected to";

    if (e != E_OK && dial_next(&link->dial, conn))
        return;
    link->state = PUSH_LINK_ASKING;
    note_heard(link);
    if (e == E_OK)
        e = ask(link);
    if (e != E_OK)
        over(link, e, 0, why);
}

static const struct conn_ops k_conn_ops = {.on_readable = on_readable,
                                           .on_writable = on_writable,
                                           .on_error = on_error,
                                           .on_connected = on_connected};

/* --- opening --- */

static void on_conn(void *arg, struct conn *conn)
{
    struct push_link *link = arg;

    link->conn = conn;
    link->info.peer = conn_peer(conn);
}

static void on_dial_failed(void *arg, enum err e, const char *why)
{
    over(arg, e, 0, why);
}

static const struct dial_conf k_dial_conf = {.connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                             .max_queue_bytes = MAX_QUEUE_BYTES,
                                             .ops = &k_conn_ops,
                                             .on_conn = on_conn,
                                             .on_failed = on_dial_failed};

static void on_kick(struct session_info *info)
{
    struct push_link *link = list_entry(info, struct push_link, info);

    over(link, E_DENIED, 0, sessions_kick_reason(link->nl));
}

static void count(const struct session_info *info, struct session_counts *counts)
{
    const struct push_link *link = list_entry_const(info, struct push_link, info);

    counts->bytes_in = link->conn ? conn_bytes_in(link->conn) : 0;
    counts->bytes_out = link->conn ? conn_bytes_out(link->conn) : 0;
    viewer_count(&link->viewer, counts);
}

struct push_link *push_link_open(struct push *push, const struct push_origin *origin)
{
    struct push_link *link = calloc(1, sizeof *link);
    struct url url;
    bool tls;

    if (!link || url_parse(buf_view_str(origin->http), &url) != E_OK ||
        !(buf_view_equals(url.scheme, "http") || buf_view_equals(url.scheme, "https"))) {
        free(link);
        return NULL;
    }
    link->push = push;
    link->nl = push->conf.nl;
    link->stream = stream_ref(push->conf.stream);
    link->origin = *origin;
    tls = buf_view_equals(url.scheme, "https");
    push_answers_init(&link->answers);
    session_info_init(&link->info, &link->nl->media, 'u', "relay", "");
    link->info.kind = "push";
    link->info.stream = stream_name_of(link->stream)->text;
    link->info.count = count;
    link->info.kick = on_kick;
    metric_add(&m_sessions_total_relay_push, 1);
    timer_init(&link->timer, link->nl->media.loop, on_timer);
    note_heard(link);
    dial_begin(&link->dial, link->nl, &k_dial_conf, link, &url, tls ? 443 : 80, tls, false);
    return link;
}

void push_link_send(struct push_link *link)
{
    struct viewer_join join = {.name = stream_name_of(link->stream),
                               .format = FORMAT_RELAY,
                               .tracks = TRACKS_ALL,
                               .conn = link->conn,
                               .ops = &k_viewer_ops,
                               .relay = true};
    enum err e = viewer_join(&link->nl->media, &link->viewer, &join);

    link->state = PUSH_LINK_SENDING;
    if (e != E_OK)
        fail_soon(link, e);
}

void push_link_close(struct push_link **link)
{
    struct push_link *gone = *link;

    *link = NULL;
    if (gone)
        link_free(gone);
}

/* What was pushed in this turn is published at its end. */
void push_link_finish(struct push_link **link)
{
    struct push_link *last = *link;

    *link = NULL;
    if (!last)
        return;
    last->push = NULL;
    if (last->state != PUSH_LINK_SENDING) {
        link_free(last);
        return;
    }
    last->state = PUSH_LINK_FINISHING;
    timer_start_ms(&last->timer, 0);
}
