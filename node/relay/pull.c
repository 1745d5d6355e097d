/* Pull: keeps a wanted stream fed from somewhere else. One a stream and node. This is the policy:
 * when to look for an upstream, which ones are tried, which one wins. */
#include "node/relay/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"

#define AVOID_US 2000000          /* how long an upstream that failed is left alone */
#define AVOID_LEAVING_US 10000000 /* and one that said that it leaves */
#define LOOK_BACKOFF_MIN_MS 250
#define LOOK_BACKOFF_MAX_MS 2000
#define WAITING_MS \
    2000 /* head start of an upstream that waits, too; jittered: two may wait for each other */
#define SPREAD_MS 200  /* those below one node do not leave it in the same moment */
#define FOLLOW_MS 1000 /* an upstream that is no origin follows a stream that moved by itself */

static void search(struct pull *p);

static int64_t now_us(const struct pull *p)
{
    return loop_now_us(p->nl->media.loop);
}

/* --- life --- */

static void close_links(struct pull *p, const struct pull_link *but)
{
    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i] != but)
            pull_link_close(&p->links[i]);
}

static void pull_free(struct pull *p)
{
    if (p->ask)
        p->ask->arg = NULL;
    timer_stop(&p->head_start);
    timer_stop(&p->look);
    timer_stop(&p->retry);
    pull_sources_leave(p);
    if (p->item && !relay_order_gave_up(&p->order))
        relay_status_set(&p->item->status, RELAY_IDLE, NULL, "");
    stream_set_puller(p->stream, NULL); /* first: letting go of the stream is heard here */
    close_links(p, NULL);
    list_remove(&p->node);
    stream_unref(&p->stream);
    relay_pull_unref(&p->item);
    free(p);
}

static void on_head_start(struct timer *timer);
static void on_look(struct timer *timer);
static void on_retry(struct timer *timer);

struct pull *pull_of(struct stream *stream)
{
    struct pull *p = stream_puller(stream);

    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->nl = stream_home(stream)->owner;
    p->stream = stream_ref(stream);
    p->look_backoff_ms = LOOK_BACKOFF_MIN_MS;
    list_push_back(&p->nl->pulls, &p->node);
    timer_init(&p->head_start, p->nl->media.loop, on_head_start);
    timer_init(&p->look, p->nl->media.loop, on_look);
    timer_init(&p->retry, p->nl->media.loop, on_retry);
    stream_set_puller(stream, p);
    return p;
}

void pull_stop_all(struct node_loop *nl)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &nl->pulls)
        pull_free(list_entry(node, struct pull, node));
}

void pull_stream_changed(struct stream *stream)
{
    struct pull *p = stream_puller(stream);

    /* Ended while nothing was attached: nobody will ask again. */
    if (p && stream_has_ended(stream))
        pull_free(p);
}

/* Nothing is pulled, and nobody watches, or somebody publishes here. */
static bool is_pointless(const struct pull *p)
{
    return !pull_running_link(p) && (!stream_is_wanted(p->stream) || stream_has_source(p->stream));
}

/* --- looking for another upstream while there is one --- */

/* The upstream is about to go, or the stream has gone from it, or it has come to lie too deep. */
static bool must_change(const struct pull *p, const struct pull_link *running)
{
    return (*p->leaving && !strcmp(p->leaving, running->to.node)) ||
           p->moved_epoch > stream_epoch(p->stream) ||
           pull_path_depth(running->path) > HOPS_MAX_DEPTH;
}

static void look_in(struct pull *p, int64_t delay_ms)
{
    timer_start_ms(&p->look, delay_ms);
}

static void look_with_backoff(struct pull *p)
{
    look_in(p, jitter_ms(p->look_backoff_ms, 0.3));
    p->look_backoff_ms *= 2;
    if (p->look_backoff_ms > LOOK_BACKOFF_MAX_MS)
        p->look_backoff_ms = LOOK_BACKOFF_MAX_MS;
}

/* When to look again. Nothing is better than the origin itself. */
static void plan_look(struct pull *p)
{
    const struct pull_link *running = pull_running_link(p);

    timer_stop(&p->look);
    if (running && pull_move_is_due(&p->move))
        look_with_backoff(p);
    else if (running && p->item && !pull_link_is_relay(running) && running->to.depth > 0)
        look_in(p, jitter_ms((int64_t)p->nl->node->conf.pull_failback_ms, 0.3));
    if (!running || !pull_link_is_relay(running) || !p->nl->node->agent)
        return;
    if (must_change(p, running)) {
        look_with_backoff(p);
    } else if (pull_link_depth(running) > 0) {
        look_in(p, jitter_ms((int64_t)p->nl->node->conf.pull_failback_ms, 0.3));
    }
}

static bool has_links(const struct pull *p)
{
    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i])
            return true;
    return false;
}

static void on_retry(struct timer *timer)
{
    struct pull *p = list_entry(timer, struct pull, retry);

    if (is_pointless(p))
        pull_free(p);
    else if (!has_links(p))
        search(p);
}

static void on_look(struct timer *timer)
{
    struct pull *p = list_entry(timer, struct pull, look);

    if (pull_running_link(p))
        search(p);
}

/* --- trying --- */

static int free_slot(const struct pull *p)
{
    for (int i = 0; i < PULL_LINKS; i++)
        if (!p->links[i])
            return i;
    return -1;
}

static bool is_linked(const struct pull *p, const struct pull_candidate *to)
{
    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i] && !p->links[i]->is_left && !strcmp(p->links[i]->to.url, to->url))
            return true; /* who asked us to come again has the same URL */
    return false;
}

/* False: it pulls from here, or memory is short. */
static bool try_one(struct pull *p, unsigned slot, const struct pull_candidate *to)
{
    if (!hops_set_upstream(stream_hops(p->stream), slot, to->node)) {
        log_debug("relay",
                  "msg=\"upstream left out\" stream=%s upstream=%s reason=\"it pulls from here\"",
                  stream_name_of(p->stream)->text, to->url);
        return false;
    }
    pull_tell_try(p, to);
    p->links[slot] = pull_link_open(p, slot, to);
    if (!p->links[slot])
        (void)hops_set_upstream(stream_hops(p->stream), slot, "");
    return p->links[slot] != NULL;
}

/* Begins to try the next candidate. The one after it waits for its head start to pass, or for a
 * link that fails. Last: the pull may be gone. */
static void try_next(struct pull *p)
{
    int slot = free_slot(p);
    const struct pull_candidate *to;

    timer_stop(&p->head_start);
    if (is_pointless(p)) {
        pull_free(p);
        return;
    }
    while (slot >= 0 && (to = pull_candidates_next(&p->candidates, now_us(p)))) {
        if (is_linked(p, to) || !try_one(p, (unsigned)slot, to))
            continue;
        if (free_slot(p) >= 0 && *to->node) /* foreign ones are tried one after the other */
            timer_start_ms(&p->head_start, (int64_t)p->nl->node->conf.pull_head_start_ms);
        return;
    }
    if (p->item && !has_links(p) && !p->ask)
        pull_sources_wait(p);
    else if (slot >= 0 && !p->ask)
        plan_look(p);
}

static void on_head_start(struct timer *timer)
{
    try_next(list_entry(timer, struct pull, head_start));
}

/* --- where it is --- */

/* Links that are tried where the stream is not any more, by the latest word. */
static void drop_outdated(struct pull *p)
{
    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i] && p->links[i]->state != LINK_RUNNING &&
            !pull_candidates_hold(&p->candidates, p->links[i]->to.url))
            pull_link_close(&p->links[i]);
}

/* How many of the candidates are to be tried. While there is an upstream: all if it has to be left;
 * else only one that is the first choice and nearer to the origin, so that nobody changes to and
 * fro. */
static unsigned n_worth_trying(struct pull *p)
{
    const struct pull_candidate *first = &p->candidates.all[0];
    const struct pull_link *running = pull_running_link(p);

    if (!running || !p->candidates.n)
        return p->candidates.n;
    if (!strcmp(first->url, running->to.url)) {
        p->moved_epoch = 0; /* it is where the stream is */
        return 0;
    }
    if (must_change(p, running))
        return p->candidates.n;
    return first->depth < pull_link_depth(running) ? 1 : 0;
}

static void take_route(struct pull *p, const struct cluster_route *r)
{
    if (r->decision == CLUSTER_PULL && r->n_upstreams) {
        pull_candidates_clear(&p->candidates, now_us(p));
        pull_candidates_add_route(&p->candidates, p->nl->node, stream_name_of(p->stream), r);
        drop_outdated(p);
        pull_candidates_begin(&p->candidates, n_worth_trying(p));
    } else {
        p->moved_epoch = 0; /* it has moved to nowhere */
    }
    try_next(p);
}

static void ask_route(struct pull *p);

static void on_route(struct agent_ask *ask)
{
    struct pull *p = ask->arg;

    if (p) {
        p->ask = NULL;
        if (is_pointless(p))
            pull_free(p);
        else if (p->ask_again)
            ask_route(p);
        else
            take_route(p, &ask->route_reply);
    }
    free(ask);
}

static void ask_route(struct pull *p)
{
    struct agent_ask *ask;

    p->ask_again = p->ask != NULL;
    if (p->ask)
        return;
    ask = calloc(1, sizeof *ask);
    if (!ask)
        return;
    ask->reply_loop = p->nl->media.loop;
    ask->arg = p;
    ask->done = on_route;
    ask->what = AGENT_ASK_ROUTE;
    ask->route.name = *stream_name_of(p->stream);
    ask->route.intent = CLUSTER_INTENT_SOURCE;
    ask->route.tls = true;
    snprintf(ask->route.protocol, sizeof ask->route.protocol, "flv");
    ask->route.have_epoch = stream_epoch(p->stream);
    pull_candidates_avoided(&p->candidates, now_us(p), &ask->route.avoid);
    p->ask = ask;
    agent_ask(p->nl->node->agent, ask);
}

/* Places that were told are the only ones of their streams, and who asked us to move is one. */
static void search(struct pull *p)
{
    const struct pull_link *running = pull_running_link(p);
    struct node *node = p->nl->node;
    bool knows;

    if (!running)
        pull_take_item(p);
    knows = !running || pull_move_is_due(&p->move) || (p->item && !pull_link_is_relay(running));
    if (knows) {
        pull_candidates_clear(&p->candidates, now_us(p));
        pull_move_add(p, &p->candidates);
        if (!running)
            pull_candidates_add_own(&p->candidates, node, stream_name_of(p->stream), p->item);
        if (!p->candidates.n && p->item)
            pull_sources_add(p, running);
    }
    if (knows && (p->candidates.n || p->item)) {
        pull_candidates_begin(&p->candidates, p->candidates.n);
        try_next(p);
    } else if (node->agent && (!running || pull_link_is_relay(running))) {
        ask_route(p);
    }
}

/* --- what links say --- */

enum err pull_answered(struct pull_link *l, const struct source_offer *offer)
{
    struct pull *p = l->pull;
    enum err e;

    p->attaching = l;
    e = stream_attach(p->stream, &l->source, offer);
    p->attaching = NULL;
    if (e != E_OK)
        return e;
    l->state = LINK_RUNNING;
    close_links(p, l);
    timer_stop(&p->head_start);
    timer_stop(&p->retry);
    pull_source_runs(p, l);
    pull_candidates_begin(&p->candidates, 0);
    p->n_failed = 0;
    if (!l->is_left)
        p->move.to.url[0] = '\0';
    if (strcmp(p->leaving, l->to.node) != 0)
        p->leaving[0] = '\0';
    p->look_backoff_ms = LOOK_BACKOFF_MIN_MS;
    plan_look(p);
    return E_OK;
}

/* All that ask when a stream begins wait for its first frames: whoever is nearest to the origin
 * would win each race, and get everybody as a child. */
void pull_waits(struct pull_link *l)
{
    if (timer_is_armed(&l->pull->head_start))
        timer_start_ms(&l->pull->head_start, jitter_ms(WAITING_MS, 0.3));
}

void pull_path_changed(struct pull_link *l)
{
    if (l->state == LINK_RUNNING && pull_path_depth(l->path) > HOPS_MAX_DEPTH)
        look_in(l->pull, jitter_ms(SPREAD_MS, 1.0));
}

/* The stream has no source any more. Who failed is known, so those that were good enough a moment
 * ago are tried without asking, and asked for at the same time. An upstream that ended may have
 * company in that: only asking helps, which the stream does. */
static void find_another(struct pull *p, enum err e, bool was_relay)
{
    if (pull_move_is_due(&p->move)) {
        search(p);
        return;
    }
    if (e != E_END && was_relay) {
        pull_candidates_begin_again(&p->candidates, now_us(p));
        if (p->nl->node->agent)
            ask_route(p);
    }
    try_next(p);
}

void pull_link_over(struct pull_link *l, enum err e)
{
    static const enum err k_harmless[] = {E_NOT_FOUND, E_END, E_BUSY, E_STALE};
    struct pull *p = l->pull;
    bool was_running = l->state == LINK_RUNNING, was_relay = pull_link_is_relay(l), failed = true;

    pull_tell_over(p, l, e);
    if (!was_relay)
        pull_source_over(p, l);
    for (size_t i = 0; i < sizeof k_harmless / sizeof k_harmless[0]; i++)
        failed &= e != k_harmless[i];
    if (failed)
        pull_candidates_avoid(&p->candidates, l->to.node, now_us(p) + AVOID_US);
    pull_link_close(&p->links[l->slot]);
    if (was_running)
        find_another(p, e, was_relay);
    else
        try_next(p);
}

void pull_evicted(struct pull_link *l, enum err why)
{
    struct pull *p = l->pull;

    pull_tell_evicted(p, l, why);
    if (p->attaching)
        pull_link_close(&p->links[l->slot]);
    else
        pull_free(p);
}

/* --- what others say --- */

void pull_need_source(void *arg, struct stream *stream)
{
    struct node *node = arg;
    struct pull *p;

    if (!node->agent && !node->handover && !relays_has_pulls(node->relays) &&
        !node->conf.fallback_origins.n_items && !stream_puller(stream))
        return; /* a single server: only a publisher can bring it */
    p = pull_of(stream);
    if (p && !p->ask && p->candidates.next == p->candidates.end &&
        !(p->item && (has_links(p) || timer_is_armed(&p->retry))))
        search(p);
}

bool pull_is_under_way(const struct stream *stream)
{
    const struct pull *p = stream_puller(stream);

    for (unsigned i = 0; p && i < PULL_LINKS; i++)
        if (p->links[i])
            return true;
    return p && p->ask;
}

void pull_on_published(struct node *node, struct stream *stream, uint64_t epoch, const char *owner)
{
    struct pull *p = stream_puller(stream);
    struct pull_link *running = p ? pull_running_link(p) : NULL;

    if (!strcmp(owner, node->id) || !stream_is_wanted(stream))
        return;
    if (!stream_has_source(stream)) {
        p = pull_of(stream);
        if (p)
            search(p);
        return;
    }
    if (!running || !pull_link_is_relay(running) || epoch <= stream_epoch(stream) ||
        !strcmp(running->to.node, owner))
        return;
    p->moved_epoch = epoch;
    if (p->ask)
        p->ask_again = true;
    else
        look_in(p, pull_link_depth(running) ? jitter_ms(FOLLOW_MS, 0.3) : 0);
}

void pull_on_leaving(struct node *node, struct stream *stream, const char *leaving_node)
{
    struct pull *p = stream_puller(stream);
    struct pull_link *running = p ? pull_running_link(p) : NULL;

    if (!p || !strcmp(leaving_node, node->id))
        return;
    pull_candidates_avoid(&p->candidates, leaving_node, now_us(p) + AVOID_LEAVING_US);
    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i] && !strcmp(p->links[i]->to.node, leaving_node))
            snprintf(p->leaving, sizeof p->leaving, "%s", leaving_node); /* though only tried yet */
    if (running && !strcmp(running->to.node, leaving_node))
        look_in(p, jitter_ms(SPREAD_MS, 1.0));
}
