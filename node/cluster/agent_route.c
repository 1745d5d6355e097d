/* Route questions: from the cache while fresh, else one question to the scheduler however many ask
 * the same (a flight), else from what is known here. */
#include "node/cluster/agent_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"

#define SWEEP_MS 60000

struct flight {
    struct list node; /* in agent->flights */
    struct agent *agent;
    struct http_call *call;
    struct timer deadline;
    struct list waits;
    struct cluster_route_query query;
    struct route_entry *entry; /* shared: others may join. NULL: for one asker alone */
};

struct wait {
    struct list node;
    struct agent_ask *ask;
};

static void answer_degraded(struct agent *agent, struct agent_ask *ask)
{
    struct route_entry *entry =
        route_cache_get(&agent->routes, &ask->route, loop_now_us(agent->node->control));
    struct route_fallback fallback = {&agent->node->conf.fallback_origins, &agent->internal_urls};

    metric_add(&m_cluster_asks_route_degraded, 1);
    ask->degraded = true;
    route_degraded(&ask->route, entry && entry->has_route ? &entry->route : NULL, &fallback,
                   &ask->route_reply);
    agent_answer(ask);
}

static void flight_free(struct flight *flight)
{
    struct list *node;

    while ((node = list_pop_front(&flight->waits))) { /* at the end of the program */
        struct wait *wait = list_entry(node, struct wait, node);

        agent_abandon(wait->ask);
        free(wait);
    }
    if (flight->entry)
        flight->entry->flight = NULL;
    http_call_cancel(&flight->call);
    timer_stop(&flight->deadline);
    list_remove(&flight->node);
    free(flight);
}

/* route NULL: nobody answered. */
static void flight_land(struct flight *flight, const struct cluster_route *route)
{
    struct list *node;

    while ((node = list_pop_front(&flight->waits))) {
        struct wait *wait = list_entry(node, struct wait, node);

        if (route) {
            wait->ask->route_reply = *route;
            agent_answer(wait->ask);
        } else {
            answer_degraded(flight->agent, wait->ask);
        }
        free(wait);
    }
    flight_free(flight);
}

static void keep(struct flight *flight, const struct cluster_route *route)
{
    struct agent *agent = flight->agent;
    int64_t now_us = loop_now_us(agent->node->control);
    struct route_entry *entry = flight->entry;

    if (!entry)
        entry = route_cache_get(&agent->routes, &flight->query, now_us);
    if (entry && (route->decision == CLUSTER_PULL || route->ttl_ms > 0))
        route_entry_store(entry, route, now_us);
}

static void on_reply(void *arg, const struct http_reply *http)
{
    struct flight *flight = arg;
    struct cluster_route route;
    struct cluster_error error = {""};
    char text[PROBLEM_SIZE];

    flight->call = NULL;
    if (http->e == E_OK && http->status == 200 &&
        cluster_route_decode(http->body, &route, &error) == E_OK) {
        metric_add(&m_cluster_asks_route_answered, 1);
        for (unsigned i = 0; i < route.n_upstreams; i++)
            agent_note_epoch(flight->agent, route.upstreams[i].epoch);
        keep(flight, &route);
        flight_land(flight, &route);
        return;
    }
    log_debug("cluster", "msg=\"no route from the scheduler\" stream=%s server=%s why=%s",
              flight->query.name.text, LOG_STR(http->server),
              *error.text ? LOG_STR(error.text) : LOG_STR(agent_reply_problem(http, text)));
    flight_land(flight, NULL);
}

static void on_deadline(struct timer *timer)
{
    flight_land(list_entry(timer, struct flight, deadline), NULL);
}

static enum err flight_call(struct flight *flight)
{
    struct buf_writer out;
    enum err e;

    buf_writer_init(&out, 8192);
    e = cluster_route_query_encode(&flight->query, &out);
    buf_write_u8(&out, 0);
    if (e == E_OK && (e = buf_writer_status(&out)) == E_OK) {
        flight->call = http_client_call(flight->agent->ask_client, "GET", (const char *)out.data,
                                        NULL, on_reply, flight);
        e = flight->call ? E_OK : E_NOMEM;
    }
    buf_writer_fini(&out);
    return e;
}

/* Takes off with its first asker; NULL when out of memory. */
static struct flight *flight_start(struct agent *agent, const struct cluster_route_query *query,
                                   struct route_entry *shared)
{
    struct flight *flight = calloc(1, sizeof *flight);

    if (!flight)
        return NULL;
    flight->agent = agent;
    flight->query = *query;
    list_init(&flight->waits);
    list_push_back(&agent->flights, &flight->node);
    timer_init(&flight->deadline, agent->node->control, on_deadline);
    if (flight_call(flight) != E_OK) {
        flight_free(flight);
        return NULL;
    }
    timer_start_ms(&flight->deadline, ASK_DEADLINE_MS);
    flight->entry = shared;
    if (shared)
        shared->flight = flight;
    return flight;
}

static bool join(struct flight *flight, struct agent_ask *ask)
{
    struct wait *wait = calloc(1, sizeof *wait);

    if (!wait)
        return false;
    wait->ask = ask;
    list_push_back(&flight->waits, &wait->node);
    return true;
}

/* Where else than here? A node that is full asks it for each viewer that comes: they share a
 * question while it is under way, but its answer is for them alone, or all who come after would be
 * sent to one place. */
static bool is_away(const struct cluster_route_query *query)
{
    return query->intent == CLUSTER_INTENT_PLAY && query->avoid.n == 1;
}

/* True when the cache or a flight under way takes care of it. */
static bool try_shared(struct agent *agent, struct agent_ask *ask, const struct route_entry *entry)
{
    const struct cluster_route *route =
        is_away(&ask->route)
            ? NULL
            : route_entry_fresh(entry, ask->route.have_epoch, loop_now_us(agent->node->control));

    if (route) {
        metric_add(&m_cluster_asks_route_cached, 1);
        ask->route_reply = *route;
        agent_answer(ask);
        return true;
    }
    if (!entry->flight || !join(entry->flight, ask))
        return false;
    metric_add(&m_cluster_asks_route_shared, 1);
    return true;
}

void agent_route_ask(struct agent *agent, struct agent_ask *ask)
{
    struct route_entry *shared = NULL;
    struct flight *flight;

    memcpy(ask->route.node, agent->id, sizeof ask->route.node);
    ask->route_reply = (struct cluster_route){0};
    if (agent->link == LINK_DOWN || agent->link == LINK_REFUSED) {
        answer_degraded(agent, ask);
        return;
    }
    if (ask->route.avoid.n == 0 || is_away(&ask->route)) {
        shared = route_cache_get(&agent->routes, &ask->route, loop_now_us(agent->node->control));
        if (shared && try_shared(agent, ask, shared))
            return;
        if (shared && shared->flight)
            shared = NULL; /* it could not be joined */
    }
    flight = flight_start(agent, &ask->route, shared);
    if (!flight) {
        answer_degraded(agent, ask);
    } else if (!join(flight, ask)) {
        flight_free(flight);
        answer_degraded(agent, ask);
    }
}

static void on_sweep(struct timer *timer)
{
    struct agent *agent = list_entry(timer, struct agent, sweep_timer);

    route_cache_sweep(&agent->routes, loop_now_us(agent->node->control));
    timer_start_ms(timer, SWEEP_MS);
}

void agent_route_init(struct agent *agent)
{
    route_cache_init(&agent->routes, ROUTE_CACHE_MAX_STREAMS);
    list_init(&agent->flights);
    timer_init(&agent->sweep_timer, agent->node->control, on_sweep);
    timer_start_ms(&agent->sweep_timer, SWEEP_MS);
}

void agent_route_fini(struct agent *agent)
{
    struct list *node, *tmp;

    timer_stop(&agent->sweep_timer);
    list_for_each_safe(node, tmp, &agent->flights)
        flight_free(list_entry(node, struct flight, node));
    route_cache_fini(&agent->routes);
}
