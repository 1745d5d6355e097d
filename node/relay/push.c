/* Which origin gets the stream of an encoder at this edge: the one that the scheduler names; when
 * it is lost another one, and when it is about to leave another one first. */
#include "node/relay/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/control/node_metrics.h"
#include "node/relay/push_private.h"

#define SEARCH_MIN_MS 20 /* jittered: the other pushes to that origin search, too */
#define SEARCH_MAX_MS 1000
#define AVOID_MS 2000 /* how long an origin that failed is told to the scheduler */

/* --- looking for an origin --- */

static void open_next(struct push *p, const char *node, const char *http);

static void search_soon(struct push *p)
{
    timer_start_ms(&p->search, jitter_ms(p->backoff_ms, 0.5));
    p->backoff_ms *= 2;
    if (p->backoff_ms > SEARCH_MAX_MS)
        p->backoff_ms = SEARCH_MAX_MS;
}

/* A first origin may take longer than a node that was never asked would be waited for. */
static void start_deadline(struct push *p)
{
    const struct node_conf *conf = &p->conf.nl->node->conf;
    uint64_t ms = conf->forward_buffer_ms;

    if (!p->granted && ms < conf->upstream_stall_ms)
        ms = conf->upstream_stall_ms;
    if (!timer_is_armed(&p->deadline))
        timer_start_ms(&p->deadline, (int64_t)ms);
}

static void avoid(struct push *p, const char *node)
{
    if (!cluster_id_is_valid(node) || !strcmp(node, "-"))
        return;
    snprintf(p->avoid[p->next_avoid].node, sizeof p->avoid[0].node, "%s", node);
    p->avoid[p->next_avoid].until_us = loop_now_us(p->conf.nl->media.loop) + AVOID_MS * 1000;
    p->next_avoid = (p->next_avoid + 1) % CLUSTER_MAX_UPSTREAMS;
}

static void note_tried(struct push *p, const char *who, const char *why)
{
    size_t used = strlen(p->tried);
    char one[sizeof p->tried];

    snprintf(one, sizeof one, "%.120s: %.120s", who, why);
    if (!strstr(p->tried, one))
        snprintf(p->tried + used, sizeof p->tried - used, "%s%s", used ? "; " : "", one);
}

/* Last statement: p may be gone. */
static void fail(struct push *p, enum err why, const char *text)
{
    char copy[sizeof p->tried + 64]; /* text may be p's */

    snprintf(copy, sizeof copy, "%s", text);
    p->conf.ops->on_failed(p->conf.arg, why, copy);
}

static void on_deadline(struct timer *timer)
{
    struct push *p = list_entry(timer, struct push, deadline);
    char text[sizeof p->tried + 64];

    snprintf(text, sizeof text, "no origin takes the stream (forward_buffer_ms): %s",
             *p->tried ? p->tried : "none answers");
    fail(p, E_TIMEOUT, text);
}

/* No scheduler answers. */
static void use_fallback(struct push *p)
{
    const struct conf_list *list = &p->conf.nl->node->conf.fallback_origins;

    if (list->n_items) {
        open_next(p, "-", list->items[p->at_fallback++ % list->n_items]);
        return;
    }
    note_tried(p, "no scheduler answers", "fallback_origins is empty");
    search_soon(p);
    if (!p->granted) /* nothing is lost by saying so at once */
        timer_start_ms(&p->deadline, 0);
}

/* The owner's id comes with a refusal that no other origin can change. */
static void on_refused(struct push *p, const struct cluster_publish_reply *reply)
{
    const char *reason = *reply->reason ? reply->reason : "refused by the scheduler";

    if (!p->link && (reply->origin[0] || !p->granted)) {
        fail(p, reply->origin[0] ? E_BUSY : E_TIMEOUT, reason);
        return;
    }
    note_tried(p, "scheduler", reason);
    search_soon(p);
}

static void on_answer(struct agent_ask *ask)
{
    const struct cluster_publish_reply *reply = &ask->publish_reply;
    struct push *p = ask->arg;

    if (reply->decision == CLUSTER_PUBLISH_GRANTED && !ask->degraded)
        agent_release(ask->agent, &ask->publish.name, reply->epoch); /* an edge does not own */
    if (p) {
        p->ask = NULL;
        if (reply->decision == CLUSTER_PUBLISH_FORWARD && reply->origin_http[0])
            open_next(p, reply->origin, reply->origin_http);
        else if (ask->degraded)
            use_fallback(p);
        else
            on_refused(p, reply);
    }
    free(ask);
}

static void ask_scheduler(struct push *p)
{
    struct agent_ask *ask = calloc(1, sizeof *ask);
    int64_t now_us = loop_now_us(p->conf.nl->media.loop);

    if (!ask) {
        search_soon(p);
        return;
    }
    ask->reply_loop = p->conf.nl->media.loop;
    ask->arg = p;
    ask->done = on_answer;
    ask->what = AGENT_ASK_PUBLISH;
    ask->publish.name = *stream_name_of(p->conf.stream);
    ask->publish.duplicate = p->conf.duplicate;
    ask->publish.run = p->conf.run;
    snprintf(ask->publish.client, sizeof ask->publish.client, "%s", p->conf.client);
    for (unsigned i = 0; i < CLUSTER_MAX_UPSTREAMS; i++)
        if (p->avoid[i].until_us > now_us)
            memcpy(ask->publish.avoid.id[ask->publish.avoid.n++], p->avoid[i].node,
                   sizeof p->avoid[i].node);
    p->ask = ask;
    agent_ask(p->conf.nl->node->agent, ask);
}

static void on_search(struct timer *timer)
{
    struct push *p = list_entry(timer, struct push, search);

    if (!p->next && !p->ask && (!p->link || p->leaving))
        ask_scheduler(p);
}

static void open_next(struct push *p, const char *node, const char *http)
{
    struct push_origin origin;

    snprintf(origin.node, sizeof origin.node, "%s", node);
    snprintf(origin.http, sizeof origin.http, "%s", http);
    p->next = push_link_open(p, &origin);
    if (p->next)
        return;
    note_tried(p, http, "cannot be asked");
    search_soon(p);
}

/* --- what the links say --- */

static const char *shown(const struct push_link *link)
{
    return strcmp(link->origin.node, "-") ? link->origin.node : link->origin.http;
}

void push_link_granted(struct push_link *link, uint64_t epoch)
{
    struct push *p = link->push;

    p->old = p->link;
    p->link = link;
    p->next = NULL;
    p->granted = true;
    p->leaving = false;
    p->backoff_ms = SEARCH_MIN_MS;
    p->tried[0] = '\0';
    timer_stop(&p->search);
    timer_stop(&p->deadline);
    metric_add(&m_relay_pushes_granted, 1);
    log_info("relay", "msg=forward session=%s stream=%s origin=%s epoch=%llu", link->info.id,
             link->info.stream, shown(link), (unsigned long long)epoch);
    p->conf.ops->on_granted(p->conf.arg, epoch);
}

void push_link_stands_by(struct push_link *link)
{
    struct push *p = link->push;

    if (p->granted) { /* somebody else has the stream by now: a live encoder does not step back */
        push_link_over(link, E_BUSY, 409, "the stream has another publisher");
        return;
    }
    timer_stop(&p->search);
    timer_stop(&p->deadline);
    p->conf.ops->on_standby(p->conf.arg);
}

static struct metric *metric_of(const struct push_link *link, enum err e, unsigned status)
{
    if (status)
        return &m_relay_pushes_refused;
    if (link->state < PUSH_LINK_GRANTED)
        return &m_relay_pushes_unreachable;
    return e == E_TIMEOUT ? &m_relay_pushes_stalled : &m_relay_pushes_lost;
}

/* 403: an operator closed it. 409: another publisher has the stream, unless it leaves this origin
 * for another one: then it was taken for that one, whose answer is still to come, or was lost. */
static bool is_final(const struct push *p, unsigned status, bool had_stream)
{
    bool moves = p->next || (had_stream && p->leaving);

    return status == 403 || (status == 409 && !p->link && !moves);
}

void push_link_over(struct push_link *link, enum err e, unsigned status, const char *text)
{
    struct push *p = link->push;
    bool had_stream = link == p->link;
    char why[CLUSTER_REASON_SIZE];

    if (!text || !*text)
        text = status ? http_status_text(status) : err_text(e);
    snprintf(why, sizeof why, "%s", text);
    metric_add(metric_of(link, e, status), 1);
    log_warn("relay", "msg=\"forward ended\" session=%s stream=%s origin=%s status=%u reason=%s",
             link->info.id, link->info.stream, shown(link), status, LOG_STR(why));
    note_tried(p, shown(link), why);
    if (status != 409)
        avoid(p, link->origin.node);
    if (had_stream)
        p->link = NULL;
    else
        p->next = NULL;
    push_link_close(&link);
    if (is_final(p, status, had_stream)) {
        fail(p, status == 409 ? E_BUSY : E_DENIED, why);
        return;
    }
    if (!p->link)
        start_deadline(p);
    if (!p->next && !p->ask && (!p->link || p->leaving))
        search_soon(p);
}

/* --- public --- */

struct push *push_create(const struct push_conf *conf, const struct cluster_publish_reply *origin)
{
    struct push *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->conf = *conf;
    p->conf.stream = stream_ref(conf->stream);
    p->backoff_ms = SEARCH_MIN_MS;
    list_init(&p->node);
    list_push_back(&conf->nl->pushes, &p->node);
    timer_init(&p->search, conf->nl->media.loop, on_search);
    timer_init(&p->deadline, conf->nl->media.loop, on_deadline);
    start_deadline(p);
    if (origin)
        open_next(p, origin->origin, origin->origin_http);
    else
        use_fallback(p);
    return p;
}

void push_send(struct push *push)
{
    push_link_send(push->link);
    push_link_finish(&push->old);
}

void push_destroy(struct push **push)
{
    struct push *p = *push;

    *push = NULL;
    if (!p)
        return;
    if (p->ask)
        p->ask->arg = NULL; /* its answer frees it */
    timer_stop(&p->search);
    timer_stop(&p->deadline);
    list_remove(&p->node);
    push_link_close(&p->next);
    push_link_finish(&p->old);
    push_link_finish(&p->link);
    stream_unref(&p->conf.stream);
    free(p);
}

bool push_holds(struct node_loop *nl, const struct stream *stream)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &nl->pushes) {
        if (list_entry(at, struct push, node)->conf.stream == stream)
            return true;
    }
    return false;
}

static void move_away(struct push *p, const char *leaving_node)
{
    bool from_link = p->link && !strcmp(p->link->origin.node, leaving_node);
    bool from_next = p->next && !strcmp(p->next->origin.node, leaving_node);

    if (!from_link && !from_next)
        return;
    avoid(p, leaving_node);
    p->leaving |= from_link;
    if (from_next) {
        push_link_close(&p->next);
        if (!p->link)
            start_deadline(p);
    }
    if (!p->next && !p->ask)
        search_soon(p);
}

void push_on_leaving(struct node *node, struct stream *stream, const char *leaving_node)
{
    struct node_loop *nl = stream_home(stream)->owner;
    struct list *at, *tmp;

    (void)node;
    list_for_each_safe(at, tmp, &nl->pushes) {
        struct push *p = list_entry(at, struct push, node);

        if (p->conf.stream == stream)
            move_away(p, leaving_node);
    }
}
