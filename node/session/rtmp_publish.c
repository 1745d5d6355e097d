/* Publishing over RTMP: what comes of it, in RTMP's words. */
#include "node/session/rtmp_publish.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/publisher.h"

struct rtmp_publish {
    struct ts_unwrap unwrap; /* beside the publisher's source: each frame needs both */
    struct publisher publisher;
};

static const char *const k_codes[PUBLISHER_N_FAULTS] = {
    [PUBLISHER_DENIED] = "NetStream.Publish.BadName", /* OBS says "could not access the channel" */
    [PUBLISHER_ELSEWHERE] = "NetConnection.Connect.Rejected",
    [PUBLISHER_LEAVING] = "NetStream.Publish.Denied",
    [PUBLISHER_BUSY] = "NetStream.Publish.BadName",
    [PUBLISHER_REFUSED] = "NetStream.Publish.BadName",
    [PUBLISHER_NO_MEMORY] = "NetStream.Publish.Failed",
    [PUBLISHER_NO_ORIGIN] = "NetStream.Publish.Failed",
    [PUBLISHER_TAKEN] = "NetStream.Publish.BadName",
    [PUBLISHER_FENCED] = "NetStream.Publish.BadName",
    [PUBLISHER_SILENT] = "NetStream.Publish.Idle",
    [PUBLISHER_KICKED] = "NetStream.Publish.Denied",
};

static void must_move(void *session)
{
    struct rtmp_session *s = session;

    s->moving = true;
}

static void enter(void *session)
{
    struct rtmp_session *s = session;

    s->busy++;
}

static void leave(void *session)
{
    struct rtmp_session *s = session;

    s->busy--;
    if (!s->closed && !(s->publish && publisher_is_pending(&s->publish->publisher)))
        conn_set_reading(s->conn, true);
    rtmp_session_resume(s); /* last: s may be gone */
}

static bool on_renamed(void *session, const struct stream_name *name)
{
    return rtmp_session_set_name(session, name);
}

static void on_accepted(void *session, bool live)
{
    struct rtmp_session *s = session;

    if (s->state == RTMP_SESSION_ASKING) {
        rtmp_session_set_state(s, RTMP_SESSION_PUBLISHING);
        rtmp_session_accept_request(s);
    }
    s->info.kind = live ? "publish" : "standby";
}

static void on_over(void *session, enum publisher_fault fault, const char *text)
{
    struct rtmp_session *s = session;

    if (s->closed) {
        ; /* it is on its way out */
    } else if (s->nl->closed) {
        rtmp_session_close(s, text);
    } else if (s->state == RTMP_SESSION_PUBLISHING) {
        s->said = true;
        rtmp_session_end(s, k_codes[fault], text);
    } else if (fault == PUBLISHER_ELSEWHERE) {
        rtmp_publish_drop(s);
        rtmp_session_send_away(s, text);
    } else {
        rtmp_publish_drop(s);
        rtmp_session_refuse(s, k_codes[fault], text);
    }
}

static void discard(void *session)
{
    struct rtmp_session *s = session;

    free(s->publish);
    s->publish = NULL;
    rtmp_session_discard(s);
}

static const struct publisher_ops k_ops = {.protocol = "rtmp",
                                           .conn_ops = &k_rtmp_conn_ops,
                                           .sessions = &m_sessions_total_rtmp_publish,
                                           .must_move = must_move,
                                           .enter = enter,
                                           .leave = leave,
                                           .on_renamed = on_renamed,
                                           .on_accepted = on_accepted,
                                           .on_over = on_over,
                                           .discard = discard};

void rtmp_publish_begin(struct rtmp_session *s, const struct access_request *access)
{
    struct publisher_request request = {
        .name = &access->name, .client = s->info.peer, .edge = "", .access = access};
    struct rtmp_publish *p = calloc(1, sizeof *p);

    rtmp_session_set_state(s, RTMP_SESSION_ASKING);
    if (!p) {
        metric_add(&m_publish_refused_limit, 1);
        rtmp_session_refuse(s, k_codes[PUBLISHER_NO_MEMORY], err_text(E_NOMEM));
        return;
    }
    s->publish = p;
    p->publisher = (struct publisher){
        .ops = &k_ops, .session = s, .nl = &s->nl, .conn = &s->conn, .info = &s->info};
    publisher_begin(&p->publisher, &request);
}

void rtmp_publish_move(struct rtmp_session *s)
{
    s->moving = false;
    publisher_move(&s->publish->publisher);
}

void rtmp_publish_count(const struct rtmp_session *s, struct session_counts *counts)
{
    if (s->publish)
        publisher_count(&s->publish->publisher, counts);
}

bool rtmp_publish_tell_done(struct rtmp_session *s, const char *reason)
{
    if (!s->publish || !publisher_tell_done(&s->publish->publisher, reason))
        return false;
    return s->is_logged = true;
}

void rtmp_publish_drop(struct rtmp_session *s)
{
    struct rtmp_publish *p = s->publish;

    if (!p)
        return;
    s->publish = NULL;
    publisher_release(&p->publisher);
    free(p);
}

void rtmp_publish_media(struct rtmp_session *s, const struct rtmp_event *ev)
{
    struct rtmp_publish *p = s->publish;
    const char *why = "";
    enum err e;

    if (!p)
        return;
    e = publisher_media(&p->publisher, ev->media_type, ts_unwrap_us(&p->unwrap, ev->timestamp_ms),
                        ev->body, &why);
    if (e == E_OK)
        return;
    metric_add(&m_protocol_error_rtmp_media, 1);
    log_warn("rtmp", "msg=\"bad input\" session=%s peer=%s state=publishing error=%s reason=%s",
             s->info.id, s->info.peer, err_name(e), LOG_STR(why));
    s->said = true;
    rtmp_session_end(s, "NetStream.Publish.Failed", why[0] ? why : err_text(e));
}
