/* Publishing over RTMP: from the request to the lease to frames in the stream. */
#include "node/session/rtmp_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/control/node_metrics.h"
#include "node/session/session.h"

struct rtmp_publish {
    struct loop_msg msg; /* carries the session to the stream's home loop */
    struct rtmp_session *session;
    struct stream *stream;   /* owned reference */
    struct ts_unwrap unwrap; /* beside source.stream: each frame needs both */
    struct source source;
    struct agent_ask *ask; /* under way; freed by its answer */
    uint64_t epoch;        /* lease held; 0 = none */
};

static void refuse(struct rtmp_session *s, struct metric *metric, const char *code,
                   const char *text)
{
    metric_add(metric, 1);
    rtmp_publish_drop(s);
    rtmp_session_refuse(s, code, text);
}

/* --- the source's side --- */

static const struct {
    enum err why;
    const char *code, *text;
} k_evictions[] = {
    {E_BUSY, "NetStream.Publish.BadName", "another publisher took over"},
    {E_STALE, "NetStream.Publish.BadName", "the stream has a newer owner on another node"},
    {E_TIMEOUT, "NetStream.Publish.Idle", "no media within publish_stall_ms"},
    {E_DENIED, "NetStream.Publish.Denied", "closed by the operator"},
};

static void on_evict(struct source *source, enum err why)
{
    struct rtmp_publish *p = list_entry(source, struct rtmp_publish, source);
    struct rtmp_session *s = p->session;
    const char *code = "NetStream.Publish.Failed", *text = err_text(why);

    for (size_t i = 0; i < sizeof k_evictions / sizeof k_evictions[0]; i++) {
        if (k_evictions[i].why == why) {
            code = k_evictions[i].code;
            text = k_evictions[i].text;
        }
    }
    if (why == E_TIMEOUT)
        metric_add(&m_timeout_publish_stall, 1);
    log_warn("rtmp", "msg=\"publish ended\" session=%s peer=%s stream=%s reason=%s", s->info.id,
             s->info.peer, s->info.stream, LOG_STR(text));
    rtmp_session_end(s, code, text);
}

static void set_pace(struct source *source, enum conn_pace pace)
{
    struct rtmp_session *s = list_entry(source, struct rtmp_publish, source)->session;

    if (s->conn) /* else it is closing */
        conn_set_pace(s->conn, pace);
}

/* --- deciding --- */

static void decide(struct rtmp_session *s);

/* The stream ended between the decision and now: the name has, or gets, another one. */
static void decide_again(struct rtmp_session *s)
{
    struct rtmp_publish *p = s->publish;
    struct stream *stream = registry_get(s->nl->node->registry, stream_name_of(p->stream));

    if (!stream) {
        refuse(s, &m_publish_refused_limit, "NetStream.Publish.Failed", err_text(E_NOMEM));
        return;
    }
    stream_unref(&p->stream);
    p->stream = stream;
    if (stream_home(stream) == &s->nl->media)
        decide(s);
    else
        s->moving = true;
}

static void attach(struct rtmp_session *s)
{
    struct rtmp_publish *p = s->publish;
    struct source_offer offer = {.epoch = p->epoch, .numbers_gops = true};
    enum err e;

    p->source = (struct source){.kind = SOURCE_PUBLISHER,
                                .protocol = "rtmp",
                                .session_id = s->info.id,
                                .upstream = "",
                                .on_evict = on_evict,
                                .set_pace = set_pace};
    e = stream_attach(p->stream, &p->source, &offer);
    if (e == E_BUSY) {
        refuse(s, &m_publish_refused_busy, "NetStream.Publish.BadName",
               "the stream has a publisher already (publish.duplicate is refuse)");
    } else if (e != E_OK) {
        decide_again(s);
    } else {
        rtmp_session_set_state(s, RTMP_SESSION_PUBLISHING);
        metric_add(&m_sessions_total_rtmp_publish, 1);
        log_info("rtmp", "msg=publish session=%s peer=%s stream=%s epoch=%llu", s->info.id,
                 s->info.peer, s->info.stream, (unsigned long long)p->epoch);
        rtmp_session_accept_request(s);
    }
}

static void forward_text(const struct cluster_publish_reply *r, char *text, size_t size)
{
    if (r->decision == CLUSTER_PUBLISH_FORWARD)
        snprintf(text, size, "this node takes no publishers: publish to %s (node %s)",
                 r->origin_rtmp, r->origin);
    else
        snprintf(text, size, "%s", r->reason[0] ? r->reason : "refused by the scheduler");
}

static void on_lease(struct agent_ask *ask)
{
    struct rtmp_session *s = ask->arg;
    const struct cluster_publish_reply *r = &ask->publish_reply;
    bool granted = r->decision == CLUSTER_PUBLISH_GRANTED;
    struct agent *agent = ask->agent;
    char text[512];

    if (!s) { /* the client left meanwhile */
        if (granted)
            agent_release(agent, &ask->publish.name, r->epoch);
        free(ask);
        return;
    }
    s->busy++;
    s->publish->ask = NULL;
    if (granted) {
        s->publish->epoch = r->epoch;
        attach(s);
    } else {
        forward_text(r, text, sizeof text);
        refuse(s, &m_publish_refused_cluster, "NetStream.Publish.BadName", text);
    }
    free(ask);
    s->busy--;
    if (!s->closed && !(s->publish && s->publish->ask)) /* else another answer is awaited */
        conn_set_reading(s->conn, true);
    rtmp_session_resume(s); /* last: s may be gone */
}

static void ask_scheduler(struct rtmp_session *s)
{
    struct rtmp_publish *p = s->publish;
    struct agent_ask *ask = calloc(1, sizeof *ask);

    if (!ask) {
        refuse(s, &m_publish_refused_limit, "NetStream.Publish.Failed", err_text(E_NOMEM));
        return;
    }
    ask->reply_loop = s->nl->media.loop;
    ask->arg = s;
    ask->done = on_lease;
    ask->what = AGENT_ASK_PUBLISH;
    ask->publish.name = *stream_name_of(p->stream);
    ask->publish.takeover = s->nl->node->stream_conf.takeover;
    snprintf(ask->publish.client, sizeof ask->publish.client, "%s", s->info.peer);
    p->ask = ask;
    conn_set_reading(s->conn, false);
    agent_ask(s->nl->node->agent, ask);
}

/* On the stream's home loop. The caller holds s->busy. */
static void decide(struct rtmp_session *s)
{
    if (stream_can_publish(s->publish->stream) == E_BUSY)
        refuse(s, &m_publish_refused_busy, "NetStream.Publish.BadName",
               "the stream has a publisher already (publish.duplicate is refuse)");
    else if (s->nl->node->agent)
        ask_scheduler(s);
    else
        attach(s);
}

/* --- moving --- */

static void on_arrival(struct loop_msg *msg)
{
    struct rtmp_publish *p = list_entry(msg, struct rtmp_publish, msg);
    struct rtmp_session *s = p->session;
    struct media_loop *home = stream_home(p->stream);

    s->nl = home->owner;
    list_push_back(&home->sessions, &s->info.node);
    home->n_sessions++;
    conn_adopt(s->conn, home->loop, &k_rtmp_conn_ops, s);
    s->busy++;
    if (s->nl->closed) /* it came too late */
        rtmp_session_close(s, "this node is shutting down");
    else
        decide(s);
    s->busy--;
    rtmp_session_resume(s);
}

/* The node stops: both loops have ended. */
static void on_lost(struct loop_msg *msg)
{
    struct rtmp_publish *p = list_entry(msg, struct rtmp_publish, msg);
    struct rtmp_session *s = p->session;

    stream_unref(&p->stream);
    free(p);
    rtmp_session_discard(s);
}

void rtmp_publish_move(struct rtmp_session *s)
{
    struct rtmp_publish *p = s->publish;
    struct conn *conn = s->conn;

    s->moving = false;
    session_info_fini(&s->info, &s->nl->media);
    s->conn = conn_detach(&conn);
    p->msg.run = on_arrival;
    p->msg.drop = on_lost;
    loop_post(stream_home(p->stream)->loop, &p->msg);
}

void rtmp_publish_begin(struct rtmp_session *s, const struct stream_name *name)
{
    struct rtmp_publish *p;

    rtmp_session_set_state(s, RTMP_SESSION_ASKING);
    if (!s->nl->node->conf.publish_open) {
        refuse(s, &m_publish_refused_closed, "NetStream.Publish.Denied",
               "publishing is closed on this server");
        return;
    }
    if (atomic_load(&s->nl->node->draining)) {
        refuse(s, &m_publish_refused_closed, "NetStream.Publish.Denied",
               "this node is shutting down");
        return;
    }
    p = s->publish = calloc(1, sizeof *p);
    if (p)
        p->stream = registry_get(s->nl->node->registry, name);
    if (!p || !p->stream) {
        refuse(s, &m_publish_refused_limit, "NetStream.Publish.Failed", err_text(E_NOMEM));
        return;
    }
    p->session = s;
    if (stream_home(p->stream) == &s->nl->media)
        decide(s);
    else
        s->moving = true;
}

void rtmp_publish_drop(struct rtmp_session *s)
{
    struct rtmp_publish *p = s->publish;

    if (!p)
        return;
    s->publish = NULL;
    if (p->ask)
        p->ask->arg = NULL; /* its answer frees it */
    stream_detach(&p->source);
    if (p->epoch && s->nl->node->agent)
        agent_release(s->nl->node->agent, stream_name_of(p->stream), p->epoch);
    stream_unref(&p->stream);
    free(p);
}

void rtmp_publish_media(struct rtmp_session *s, const struct rtmp_event *ev)
{
    struct rtmp_publish *p = s->publish;
    const char *why = "";
    enum err e;

    if (!p)
        return;
    e = stream_push(&p->source, ev->media_type, ts_unwrap_us(&p->unwrap, ev->timestamp_ms),
                    ev->body, &why);
    if (e == E_OK)
        return;
    metric_add(&m_protocol_error_rtmp_media, 1);
    rtmp_session_protocol_error(s, e, why);
}
