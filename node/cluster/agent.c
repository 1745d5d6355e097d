/* Life of the agent, its connection state, and the doors for other threads. */
#include "node/cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/base/log.h"
#include "common/net/tls_setup.h"
#include "node/control/node_metrics.h"

/* --- what this node calls itself --- */

/* The listen address as others reach it: a wildcard only gets here when all schedulers are on this
 * machine. */
static void default_url(char out[CLUSTER_URL_SIZE], const char *scheme, const struct addr *bound)
{
    char text[ADDR_TEXT_SIZE];

    if (bound->size_bytes == 0)
        return;
    if (addr_is_wildcard(bound))
        snprintf(text, sizeof text, "127.0.0.1:%u", addr_port(bound));
    else
        addr_format(bound, text);
    snprintf(out, CLUSTER_URL_SIZE, "%s://%s", scheme, text);
}

static void choose_url(char out[CLUSTER_URL_SIZE], const char *configured, const char *scheme,
                       const struct addr *bound)
{
    size_t size = strlen(configured);

    if (size == 0) {
        default_url(out, scheme, bound);
        return;
    }
    while (size && configured[size - 1] == '/') /* "http://host/" is the same place */
        size--;
    snprintf(out, CLUSTER_URL_SIZE, "%.*s", (int)size, configured);
}

/* Other nodes use TLS only where they are told to: they reach this one by an address of which the
 * certificates of the people's port need not know. */
static void choose_urls(struct agent *agent)
{
    static const struct addr k_none;
    const struct addr *bound = agent->node->bound;
    const struct node_conf *conf = &agent->node->conf;
    struct cluster_urls *public = &agent->public_urls, *internal = &agent->internal_urls;
    const struct {
        char *url;
        const char *configured, *scheme;
        const struct addr *bound;
    } rows[] = {
        {public->rtmp, conf->cluster_advertise_public_rtmp, "rtmp", &bound[PROTOCOL_RTMP]},
        {public->http, conf->cluster_advertise_public_http, "http", &bound[PROTOCOL_HTTP]},
        {public->rtmps, conf->cluster_advertise_public_rtmps, "rtmps", &bound[PROTOCOL_RTMPS]},
        {public->https, conf->cluster_advertise_public_https, "https", &bound[PROTOCOL_HTTPS]},
        {internal->rtmp, conf->cluster_advertise_internal_rtmp, "rtmp", &bound[PROTOCOL_RTMP]},
        {internal->http, conf->cluster_advertise_internal_http, "http", &bound[PROTOCOL_HTTP]},
        {internal->https, conf->cluster_advertise_internal_https, "https", &k_none},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        choose_url(rows[i].url, rows[i].configured, rows[i].scheme, rows[i].bound);
}

/* The admin port is often for this machine alone: another one would find itself there. */
static void choose_admin_url(struct agent *agent)
{
    const struct node *node = agent->node;
    const struct addr *bound = &node->admin_addr;
    bool is_reached = (!addr_is_loopback(bound) && !addr_is_wildcard(bound)) ||
                      node_conf_is_on_one_machine(&node->conf);

    if (*node->conf.cluster_advertise_admin || is_reached)
        choose_url(agent->admin_url, node->conf.cluster_advertise_admin,
                   node->conf.admin_tls ? "https" : "http", bound);
}

/* --- life --- */

static struct http_client *make_client(struct node *node, int64_t timeout_ms, size_t max_body_bytes,
                                       const char **why)
{
    struct conf_list *schedulers = &node->conf.cluster_schedulers;
    struct http_client_conf conf = {
        .urls = (const char *const *)schedulers->items,
        .n_urls = (unsigned)schedulers->n_items,
        .tls = tls_setup_client(node->tls),
        .bearer_token = node->token ? node->token : "",
        .timeout_ms = timeout_ms,
        .max_body_bytes = max_body_bytes,
        .log_area = "cluster",
    };

    return http_client_create(node->control, &conf, why);
}

static void on_poke(struct loop_msg *msg);

struct agent *agent_create(struct node *node, const char **why)
{
    struct agent *agent = calloc(1, sizeof *agent);

    *why = "out of memory";
    if (!agent)
        return NULL;
    agent->node = node;
    snprintf(agent->id, sizeof agent->id, "%s", node->id);
    agent->poke_msg.run = on_poke;
    pthread_mutex_init(&agent->refusal_lock, NULL);
    agent_beat_init(agent);
    agent_events_init(agent);
    agent_orders_init(agent);
    agent_publish_init(agent);
    agent_route_init(agent);
    agent_return_init(agent);
    agent_settings_init(agent);
    agent->beat_client = make_client(node, BEAT_TIMEOUT_MS, BEAT_ANSWER_MAX_BYTES, why);
    if (agent->beat_client)
        agent->ask_client = make_client(node, ASK_SERVER_MS, ANSWER_MAX_BYTES, why);
    if (agent->ask_client)
        agent->publish_client = make_client(node, ASK_SERVER_MS, ANSWER_MAX_BYTES, why);
    if (agent->publish_client)
        agent->look_client = make_client(node, ASK_SERVER_MS, ANSWER_MAX_BYTES, why);
    if (agent->look_client)
        agent->settings.client = make_client(node, ASK_SERVER_MS, SETTINGS_MAX_BYTES, why);
    if (!agent->settings.client)
        agent_destroy(&agent);
    return agent;
}

void agent_destroy(struct agent **agent)
{
    struct agent *a = *agent;

    if (!a)
        return;
    agent_events_fini(a);
    agent_orders_fini(a);
    agent_route_fini(a);
    agent_publish_fini(a);
    agent_beat_fini(a);
    agent_return_fini(a);
    agent_settings_fini(a);
    http_client_destroy(&a->look_client);
    http_client_destroy(&a->ask_client);
    http_client_destroy(&a->publish_client);
    http_client_destroy(&a->beat_client);
    pthread_mutex_destroy(&a->refusal_lock);
    free(a);
    *agent = NULL;
}

void agent_start(struct agent *agent)
{
    choose_urls(agent);
    choose_admin_url(agent);
    agent->node->internal_url = cluster_urls_http(&agent->internal_urls, true);
    agent_beat_soon(agent, 0);
}

void agent_drain(struct agent *agent)
{
    agent_beat_soon(agent, 0);
}

bool agent_drain_is_known(const struct agent *agent)
{
    return agent->said_draining || agent->link != LINK_UP;
}

void agent_set_token(struct agent *agent, const char *token)
{
    struct http_client *clients[] = {agent->beat_client, agent->ask_client, agent->publish_client,
                                     agent->settings.client};

    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        if (http_client_set_token(clients[i], token) != E_OK)
            log_error("cluster", "msg=\"out of memory: the token stays as it was\"");
    agent_beat_soon(agent, 0);
}

/* --- state --- */

void agent_note_epoch(struct agent *agent, uint64_t epoch)
{
    if (epoch > agent->highest_epoch)
        agent->highest_epoch = epoch;
}

static void set_refusal(struct agent *agent, const char *why)
{
    pthread_mutex_lock(&agent->refusal_lock);
    snprintf(agent->refusal, sizeof agent->refusal, "%s", why);
    pthread_mutex_unlock(&agent->refusal_lock);
}

bool agent_is_refused(struct agent *agent, char reason[AGENT_REFUSAL_SIZE])
{
    pthread_mutex_lock(&agent->refusal_lock);
    memcpy(reason, agent->refusal, AGENT_REFUSAL_SIZE);
    pthread_mutex_unlock(&agent->refusal_lock);
    return reason[0] != '\0';
}

void agent_set_link(struct agent *agent, enum agent_link link, const char *server, const char *why)
{
    if (link == LINK_REFUSED)
        set_refusal(agent, why); /* it may change while the link does not */
    if (agent->link == link)
        return;
    if (agent->link == LINK_REFUSED)
        set_refusal(agent, "");
    agent->link = link;
    atomic_store_explicit(&agent->is_connected, link == LINK_UP, memory_order_relaxed);
    metric_set(&m_cluster_connected, link == LINK_UP);
    metric_set(&m_cluster_refused, link == LINK_REFUSED);
    if (link == LINK_UP)
        log_info("cluster", "msg=\"scheduler answers\" server=%s", LOG_STR(server));
    else if (link == LINK_REFUSED)
        log_error(
            "cluster",
            "msg=\"the scheduler refuses this node: it takes no publishers\" server=%s why=%s",
            LOG_STR(server), LOG_STR(why));
    else
        log_warn("cluster",
                 "msg=\"no scheduler answers: media goes on, routes come from the cache and "
                 "fallback_origins\" server=%s why=%s",
                 LOG_STR(server), LOG_STR(why));
}

const char *agent_reply_problem(const struct http_reply *reply, char text[PROBLEM_SIZE])
{
    json_t *problem;
    const char *detail;

    if (reply->e != E_OK)
        return err_text(reply->e);
    problem = json_loadb((const char *)reply->body.data, reply->body.size_bytes, 0, NULL);
    detail = json_string_value(json_object_get(problem, "detail"));
    snprintf(text, PROBLEM_SIZE, "status %u%s%s", reply->status, detail ? ": " : "",
             detail ? detail : "");
    json_decref(problem);
    return text;
}

bool agent_is_connected(const struct agent *agent)
{
    return atomic_load_explicit(&agent->is_connected, memory_order_relaxed);
}

bool agent_is_busy(const struct agent *agent)
{
    return agent->queues.n_entries > 0 || agent->beat;
}

/* --- doors for other threads --- */

static void on_poke(struct loop_msg *msg)
{
    struct agent *agent = list_entry(msg, struct agent, poke_msg);

    atomic_store(&agent->is_poked, false); /* before looking: what comes now pokes again */
    agent_beat_soon(agent, 0);
}

void agent_poke(struct agent *agent)
{
    if (!atomic_exchange(&agent->is_poked, true))
        loop_post(agent->node->control, &agent->poke_msg);
}

void agent_abandon(struct agent_ask *ask)
{
    ask->publish_reply.decision = CLUSTER_PUBLISH_REFUSED; /* nothing is to be released */
    ask->route_reply.decision = CLUSTER_WAIT;
    ask->done(ask);
}

static void on_ask_drop(struct loop_msg *msg)
{
    agent_abandon(list_entry(msg, struct agent_ask, msg));
}

static void on_ask(struct loop_msg *msg)
{
    struct agent_ask *ask = list_entry(msg, struct agent_ask, msg);

    if (ask->what == AGENT_ASK_PUBLISH)
        agent_publish_ask(ask->agent, ask);
    else
        agent_route_ask(ask->agent, ask);
}

void agent_ask(struct agent *agent, struct agent_ask *ask)
{
    ask->agent = agent;
    ask->degraded = false;
    ask->msg.run = on_ask;
    ask->msg.drop = on_ask_drop;
    loop_post(agent->node->control, &ask->msg);
}

static void on_answer(struct loop_msg *msg)
{
    struct agent_ask *ask = list_entry(msg, struct agent_ask, msg);

    ask->done(ask);
}

void agent_answer(struct agent_ask *ask)
{
    ask->msg.run = on_answer;
    loop_post(ask->reply_loop, &ask->msg);
}

struct release_msg {
    struct loop_msg msg;
    struct agent *agent;
    struct stream_name name;
    uint64_t epoch;
};

static void on_release_drop(struct loop_msg *msg)
{
    free(list_entry(msg, struct release_msg, msg));
}

static void on_release(struct loop_msg *msg)
{
    struct release_msg *release = list_entry(msg, struct release_msg, msg);

    agent_publish_release(release->agent, &release->name, release->epoch);
    free(release);
}

void agent_release(struct agent *agent, const struct stream_name *name, uint64_t epoch)
{
    struct release_msg *release = calloc(1, sizeof *release);

    if (!release)
        return; /* the next heartbeat tells it too, a little later */
    release->msg.run = on_release;
    release->msg.drop = on_release_drop;
    release->agent = agent;
    release->name = *name;
    release->epoch = epoch;
    loop_post(agent->node->control, &release->msg);
}
