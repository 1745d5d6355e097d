/* Deciding what becomes of a publish: one at a time for a stream, with the scheduler's leave, as
 * the source, a standby, or a stream that is forwarded. */
#include "node/session/publisher_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/push.h"
#include "node/stream/trace_id.h"
#include "proto/flv/flv.h"

/* --- one decision at a time for a stream --- */

/* Two that ask at once would get a lease each, and the node could not say which of them it has. All
 * publishers of a stream are on its home loop. */
static bool must_wait(const struct publisher *p)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &(*p->nl)->deciding) {
        const struct publisher *other = list_entry(node, struct publisher, node);

        if (other == p)
            break;
        if (other->stream == p->stream)
            return true;
    }
    return false;
}

/* The decision has fallen: it is the next one's turn, from a timer, so that nothing here is on its
 * stack. */
void publisher_settle(struct publisher *p)
{
    struct list *node, *tmp;

    if (list_is_empty(&p->node))
        return;
    list_remove(&p->node);
    list_for_each_safe(node, tmp, &(*p->nl)->deciding) {
        struct publisher *other = list_entry(node, struct publisher, node);

        if (other->stream != p->stream)
            continue;
        timer_start_ms(&other->timer, 0);
        return;
    }
}

/* --- accepted --- */

static void push_kept(struct publisher *p)
{
    for (unsigned i = 0; i <= p->kept.n_configs; i++) {
        const struct media_frame *frame = i ? p->kept.configs[i - 1] : p->kept.metadata;
        const char *why;

        if (frame) /* it was understood when it came */
            (void)stream_push(&p->source, flv_tag_type_of(frame->info.kind), p->dts_us,
                              media_frame_body(frame), &why);
    }
    track_set_fini(&p->kept);
}

static void go_live(struct publisher *p)
{
    p->state = PUBLISHER_LIVE;
    p->accepted = true;
    timer_stop(&p->timer);
    push_kept(p);
    if (p->push)
        push_send(p->push);
    metric_add(p->ops->sessions, 1);
    p->info->kind = "publish";
    log_info(p->ops->protocol,
             "msg=publish session=%s trace=%s peer=%s stream=%s epoch=%llu run=%llx", p->info->id,
             SESSION_TRACE(p->info), p->info->peer, p->info->stream,
             (unsigned long long)stream_epoch(p->stream), (unsigned long long)p->run);
    publisher_tell_live(p);
    publisher_settle(p);
    p->ops->on_accepted(p->session, true);
}

/* It is held ready: here, or by the origin that its stream is forwarded to. */
static void hold(struct publisher *p)
{
    bool is_news = !p->accepted;

    p->state = PUBLISHER_STANDBY;
    p->accepted = true;
    p->info->kind = "standby";
    p->heard_us = loop_now_us((*p->nl)->media.loop);
    publisher_settle(p);
    log_info(p->ops->protocol, "msg=\"publisher stands by\" session=%s trace=%s peer=%s stream=%s",
             p->info->id, SESSION_TRACE(p->info), p->info->peer, p->info->stream);
    if (!p->from_edge) /* else media comes when its turn has come */
        timer_start_at_us(&p->timer, publisher_silent_at_us(p));
    if (is_news)
        p->ops->on_accepted(p->session, false);
}

/* --- deciding --- */

void publisher_look(struct publisher *p)
{
    if (stream_home(p->stream) == &(*p->nl)->media)
        publisher_decide(p);
    else
        p->ops->must_move(p->session);
}

/* The stream ended meanwhile: the name has, or gets, another one. */
static void find_again(struct publisher *p)
{
    struct stream *stream = registry_get(publisher_node(p)->registry, stream_name_of(p->stream));

    publisher_settle(p);
    push_destroy(&p->push);
    if (!stream) {
        publisher_over(p, PUBLISHER_NO_MEMORY, NULL);
        return;
    }
    stream_unref(&p->stream);
    p->stream = stream;
    publisher_look(p);
}

static enum cluster_duplicate policy_of(const struct publisher *p)
{
    if (p->duplicate >= 0)
        return (enum cluster_duplicate)p->duplicate;
    return (enum cluster_duplicate)node_conf_duplicate(&publisher_node(p)->conf,
                                                       stream_name_of(p->stream));
}

/* An edge whose connection broke is here again before the old one was missed. */
static bool is_same_run(const struct publisher *p)
{
    return p->run == stream_run(p->stream);
}

static void attach(struct publisher *p, uint64_t epoch)
{
    struct source_offer offer = {.epoch = epoch,
                                 .run = p->run,
                                 .numbers_gops = !p->from_edge,
                                 .takes_over =
                                     policy_of(p) == CLUSTER_DUPLICATE_TAKEOVER || is_same_run(p)};
    enum err e = stream_attach(p->stream, &p->source, &offer);

    if (e == E_OK)
        go_live(p);
    else if (e == E_BUSY)
        publisher_over(p, PUBLISHER_BUSY, NULL);
    else
        find_again(p);
}

static void stand_by(struct publisher *p)
{
    if (stream_add_standby(p->stream, &p->standby) == E_OK)
        hold(p);
    else
        find_again(p);
}

/* --- forwarding: what comes from the origins --- */

static void on_push_granted(void *arg, uint64_t epoch)
{
    struct publisher *p = arg;
    struct publisher_guard guard = publisher_enter(p);

    if (p->state == PUBLISHER_LIVE) {
        stream_set_epoch(p->stream, epoch);
        push_send(p->push);
    } else {
        attach(p, epoch);
    }
    publisher_leave(guard);
}

static void on_push_standby(void *arg)
{
    struct publisher *p = arg;
    struct publisher_guard guard = publisher_enter(p);

    hold(p);
    publisher_leave(guard);
}

static void on_push_failed(void *arg, enum err why, const char *text)
{
    struct publisher *p = arg;
    struct publisher_guard guard = publisher_enter(p);

    publisher_over(p,
                   why == E_BUSY     ? PUBLISHER_REFUSED
                   : why == E_DENIED ? PUBLISHER_KICKED
                                     : PUBLISHER_NO_ORIGIN,
                   text);
    publisher_leave(guard);
}

static const struct push_ops k_push_ops = {
    .on_granted = on_push_granted, .on_standby = on_push_standby, .on_failed = on_push_failed};

/* origin NULL: no scheduler says where. */
static void forward(struct publisher *p, const struct cluster_publish_reply *origin)
{
    struct push_conf conf = {.nl = *p->nl,
                             .stream = p->stream,
                             .run = p->run,
                             .duplicate = policy_of(p),
                             .client = p->client,
                             .ops = &k_push_ops,
                             .arg = p};

    p->push = push_create(&conf, origin);
    if (!p->push)
        publisher_over(p, PUBLISHER_NO_MEMORY, NULL);
}

/* --- the scheduler's answers --- */

static bool is_edge(const struct publisher *p)
{
    return publisher_node(p)->conf.cluster_role == CLUSTER_EDGE;
}

static void on_granted(struct publisher *p, const struct agent_ask *ask)
{
    if (ask->degraded && is_edge(p)) { /* what this node grants itself is no lease at an edge */
        forward(p, NULL);
        return;
    }
    p->lease_epoch = ask->publish_reply.epoch;
    attach(p, p->lease_epoch);
}

static void on_forward(struct publisher *p, const struct agent_ask *ask)
{
    const struct cluster_publish_reply *r = &ask->publish_reply;
    char text[512];

    if (r->origin_http[0]) {
        forward(p, r);
        return;
    }
    snprintf(text, sizeof text, "this node takes no publishers: publish to %s (node %s)",
             r->origin_rtmp, r->origin); /* a scheduler of before, or an origin without HTTP */
    publisher_over(p, PUBLISHER_REFUSED, text);
}

/* Without an owner's name it is this node that gets no lease: an edge tries another one. */
static void on_refused(struct publisher *p, const struct agent_ask *ask)
{
    const struct cluster_publish_reply *r = &ask->publish_reply;

    if (ask->degraded && is_edge(p))
        forward(p, NULL);
    else
        publisher_over(p, r->origin[0] ? PUBLISHER_REFUSED : PUBLISHER_NO_ORIGIN, r->reason);
}

static void on_standby(struct publisher *p, const struct agent_ask *ask)
{
    (void)ask;
    stand_by(p);
}

static void (*const k_answers[])(struct publisher *p, const struct agent_ask *ask) = {
    [CLUSTER_PUBLISH_GRANTED] = on_granted,
    [CLUSTER_PUBLISH_FORWARD] = on_forward,
    [CLUSTER_PUBLISH_REFUSED] = on_refused,
    [CLUSTER_PUBLISH_STANDBY] = on_standby,
};

static void on_answer(struct agent_ask *ask)
{
    struct publisher *p = ask->arg;

    if (p) {
        struct publisher_guard guard = publisher_enter(p);

        p->ask = NULL;
        k_answers[ask->publish_reply.decision](p, ask);
        publisher_leave(guard);
    } else if (ask->publish_reply.decision == CLUSTER_PUBLISH_GRANTED) { /* it left meanwhile */
        agent_release(ask->agent, &ask->publish.name, ask->publish_reply.epoch);
    }
    free(ask);
}

/* Until leave(): nothing is kept of a publisher that may be refused. */
void publisher_pause(struct publisher *p)
{
    if (publisher_is_pending(p))
        conn_set_reading(*p->conn, false);
}

static void ask_scheduler(struct publisher *p)
{
    struct agent_ask *ask = calloc(1, sizeof *ask);

    if (!ask) {
        publisher_over(p, PUBLISHER_NO_MEMORY, NULL);
        return;
    }
    ask->reply_loop = (*p->nl)->media.loop;
    ask->arg = p;
    ask->done = on_answer;
    ask->what = AGENT_ASK_PUBLISH;
    ask->publish.name = *stream_name_of(p->stream);
    ask->publish.duplicate = policy_of(p);
    ask->publish.run = p->run;
    memcpy(ask->publish.client, p->client, sizeof ask->publish.client);
    p->ask = ask;
    publisher_pause(p);
    agent_ask(publisher_node(p)->agent, ask);
}

/* On the stream's home loop. */
void publisher_decide(struct publisher *p)
{
    enum err e = stream_can_publish(p->stream);

    p->state = PUBLISHER_DECIDING;
    if (list_is_empty(&p->node))
        list_push_back(&(*p->nl)->deciding, &p->node);
    if (must_wait(p))
        publisher_pause(p); /* publisher_settle() wakes it */
    else if (e == E_STALE)
        find_again(p);
    else if (e == E_BUSY && !is_same_run(p) && policy_of(p) == CLUSTER_DUPLICATE_REFUSE)
        publisher_over(p, PUBLISHER_BUSY, NULL);
    else if (e == E_BUSY && !is_same_run(p) && policy_of(p) == CLUSTER_DUPLICATE_STANDBY)
        stand_by(p); /* the lease that the other one has is this node's */
    else if (publisher_node(p)->agent)
        ask_scheduler(p);
    else
        attach(p, 0);
}

/* --- its turn --- */

void publisher_on_turn(struct standby *standby, uint64_t epoch)
{
    struct publisher *p = list_entry(standby, struct publisher, standby);
    struct publisher_guard guard = publisher_enter(p);

    timer_stop(&p->timer);
    if (epoch && !is_edge(p)) {
        p->lease_epoch = epoch;
        attach(p, epoch);
    } else {
        publisher_decide(p);
    }
    publisher_leave(guard);
}
