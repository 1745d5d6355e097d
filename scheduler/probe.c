/* Questions to nodes whether they live. */
#include "scheduler/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/base/log.h"
#include "common/net/http_client.h"
#include "common/net/tls_setup.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define KEY_SIZE (CLUSTER_ID_SIZE + 24)

struct probe {
    struct probes *probes;
    struct http_client *client;
    struct timer failed; /* for one that cannot even be asked */
    struct list waits;   /* struct probe_wait */
    int64_t started_us;
    char id[CLUSTER_ID_SIZE];
    uint64_t instance;
};

static void write_key(char key[KEY_SIZE], const char *id, uint64_t instance)
{
    snprintf(key, KEY_SIZE, "%s/%" PRIu64, id, instance);
}

void probes_init(struct probes *probes, struct scheduler *scheduler)
{
    probes->scheduler = scheduler;
    map_init(&probes->by_node);
}

static void free_probe(struct probe *probe)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &probe->waits) {
        list_remove(at);
    }
    timer_stop(&probe->failed);
    http_client_destroy(&probe->client);
    free(probe);
}

void probes_fini(struct probes *probes)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *probe;

    while (map_next(&probes->by_node, &cursor, &key, &probe))
        free_probe(probe);
    map_fini(&probes->by_node);
}

/* A heartbeat that came meanwhile is an answer, too. */
static void tell_registry(const struct probe *probe, bool has_answered)
{
    struct scheduler *s = probe->probes->scheduler;
    struct registry_node *node = registry_instance(&s->registry, probe->id, probe->instance);
    bool is_alive = has_answered || (node && node->heard_us > probe->started_us);

    stats_count(is_alive ? STAT_OWNER_ASKED : STAT_OWNER_SILENT);
    if (!is_alive)
        log_warn("probe", "msg=\"suspect node does not answer\" node=%s", probe->id);
    if (node)
        node->asked_us = scheduler_now_us(s);
    if (node && is_alive)
        registry_answered(node, scheduler_now_us(s));
    else if (node)
        registry_lost(&s->registry, node);
}

static void finish(struct probe *probe, bool has_answered)
{
    struct list *at;
    char key[KEY_SIZE];

    write_key(key, probe->id, probe->instance);
    map_remove(&probe->probes->by_node, key); /* who asks again from here on asks anew */
    tell_registry(probe, has_answered);
    while ((at = list_pop_front(&probe->waits))) {
        struct probe_wait *wait = list_entry(at, struct probe_wait, node);

        wait->done(wait);
    }
    free_probe(probe);
}

static bool is_number(const json_t *root, const char *key, uint64_t number)
{
    const char *text = json_string_value(json_object_get(root, key));

    return text && strtoull(text, NULL, 10) == number;
}

/* Another instance at its address: it was started again, and nobody has told this scheduler yet.
 * What is no such answer comes from a node of before, or one that is too busy. */
static bool is_of_another(const struct probe *probe, struct buf_view body)
{
    json_t *root = json_loadb((const char *)body.data, body.size_bytes, 0, NULL);
    bool is_said = json_is_string(json_object_get(root, "instance"));
    bool is_it = is_number(root, "instance", probe->instance) ||
                 is_number(root, "replaces", probe->instance); /* that one drains beside it */

    json_decref(root);
    return is_said && !is_it;
}

static void on_answer(void *arg, const struct http_reply *reply)
{
    finish(arg, reply->e == E_OK && !is_of_another(arg, reply->body));
}

/* A node that only another scheduler has described so far cannot be asked: its lease decides. */
static void on_failed(struct timer *timer)
{
    struct probe *probe = list_entry(timer, struct probe, failed);
    struct scheduler *s = probe->probes->scheduler;
    const struct registry_node *node = registry_instance(&s->registry, probe->id, probe->instance);

    finish(probe, node && registry_is_live(node, scheduler_now_us(s)));
}

static void ask(struct probe *probe, const char *url)
{
    struct scheduler *s = probe->probes->scheduler;
    struct http_client_conf conf = {
        .urls = &url,
        .n_urls = 1,
        .tls = tls_setup_client(s->tls),
        .bearer_token = "",
        .timeout_ms = (int64_t)s->conf->ask_owner_ms,
        .max_body_bytes = 65536,
        .log_area = "probe",
    };
    const char *why = "no address";

    if (*url)
        probe->client = http_client_create(s->loop, &conf, &why);
    if (probe->client && http_client_call(probe->client, "GET", "/healthz", NULL, on_answer, probe))
        return;
    log_warn("probe", "msg=\"cannot ask node\" node=%s reason=%s", probe->id, LOG_STR(why));
    timer_start_ms(&probe->failed, 0);
}

/* The question under way, or a new one; NULL when out of memory. */
static struct probe *need_probe(struct probes *probes, const struct registry_node *node)
{
    struct probe *probe;
    char key[KEY_SIZE];

    write_key(key, node->id, node->instance);
    probe = map_get(&probes->by_node, key);
    if (probe)
        return probe;
    probe = calloc(1, sizeof *probe);
    if (!probe || map_set(&probes->by_node, key, probe) != E_OK) {
        free(probe);
        return NULL;
    }
    probe->probes = probes;
    probe->started_us = scheduler_now_us(probes->scheduler);
    probe->instance = node->instance;
    memcpy(probe->id, node->id, sizeof probe->id);
    list_init(&probe->waits);
    timer_init(&probe->failed, probes->scheduler->loop, on_failed);
    /* Without TLS where that is possible: there is little time, and nothing secret in it. */
    ask(probe, registry_address(&node->internal_urls));
    return probe;
}

bool probes_ask(struct probes *probes, const struct registry_node *node, struct probe_wait *wait)
{
    struct probe *probe = need_probe(probes, node);

    if (probe && wait)
        list_push_back(&probe->waits, &wait->node);
    return probe != NULL;
}
