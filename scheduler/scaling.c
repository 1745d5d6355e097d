/* Advice on how many nodes there should be. */
#include "scheduler/scaling.h"

#include <math.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/api_answer.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define PAST_BYTES 65536
#define RETRY_AFTER "5"

static const struct {
    enum cluster_role not_of;
    enum stat utilisation, headroom, replicas, wanted;
} k_roles[AUTOSCALE_N_ROLES] = {
    [AUTOSCALE_EDGE] = {CLUSTER_ORIGIN, STAT_EDGE_UTILISATION, STAT_EDGE_HEADROOM,
                        STAT_EDGE_REPLICAS, STAT_EDGE_WANTED},
    [AUTOSCALE_ORIGIN] = {CLUSTER_EDGE, STAT_ORIGIN_UTILISATION, STAT_ORIGIN_HEADROOM,
                          STAT_ORIGIN_REPLICAS, STAT_ORIGIN_WANTED},
};

static struct autoscale_conf conf_of(const struct scheduler_conf *conf, enum autoscale_role role)
{
    bool is_edge = role == AUTOSCALE_EDGE;

    return (struct autoscale_conf){
        .min = (uint32_t)(is_edge ? conf->autoscale_edge_min : conf->autoscale_origin_min),
        .max = (uint32_t)(is_edge ? conf->autoscale_edge_max : conf->autoscale_origin_max),
        .target_percent = (uint32_t)conf->autoscale_target,
        .hysteresis_percent = (uint32_t)conf->autoscale_hysteresis,
        .start_us = (int64_t)conf->autoscale_start_s * 1000000,
        .scale_in_delay_us = (int64_t)conf->autoscale_delay_s * 1000000,
    };
}

/* --- in --- */

static void add(struct scaling *scaling, const struct registry_node *node, int64_t now_us)
{
    const struct registry *r = &scaling->scheduler->registry;
    struct autoscale_node seen = {
        .id = node->id,
        .takes_work =
            node->place.state == CLUSTER_NODE_ACTIVE && !registry_is_suspect(r, node, now_us),
        .n_viewers = node->load.n_viewers,
        .max_viewers = node->place.max_viewers,
        .n_clients = node->load.n_viewers + node->load.n_relays + node->load.n_publishers,
        .out_bps = node->load.out_bps,
        .capacity_bps = node->place.capacity_bps,
        .cpu_permille = node->load.cpu_permille,
    };

    for (int i = 0; i < AUTOSCALE_N_ROLES; i++)
        if (node->place.role != k_roles[i].not_of)
            autoscale_add(&scaling->sums[i], &seen);
}

void scaling_saw(struct scaling *scaling, const struct registry_node *node, int64_t now_us)
{
    for (; node; node = node->older)
        if (node->seq > 0 && registry_is_live(node, now_us)) /* 0: it has not said anything yet */
            add(scaling, node, now_us);
}

void scaling_learn(struct scaling *scaling, struct buf_view json)
{
    memset(scaling->stored, 0, sizeof scaling->stored);
    if (json.size_bytes == 0)
        return;
    if (autoscale_past_read(json, scaling->stored) != E_OK) {
        log_warn("autoscale", "msg=\"what the store has is no advice, it is written anew\"");
        return;
    }
    for (int i = 0; i < AUTOSCALE_N_ROLES; i++)
        (void)autoscale_past_merge(&scaling->roles[i].past, &scaling->stored[i], clock_wall_us());
}

void scaling_doubt(struct scaling *scaling)
{
    scaling->heard_since_us = 0;
}

/* --- once a round --- */

/* Nodes report every interval, here or to others, who write it to the store at once. */
static bool hears_all(struct scaling *scaling, int64_t now_us)
{
    const struct scheduler *s = scaling->scheduler;

    if (!s->store->ops->is_up(s->store))
        scaling->heard_since_us = 0;
    else if (scaling->heard_since_us == 0)
        scaling->heard_since_us = now_us;
    return scaling->heard_since_us &&
           now_us - scaling->heard_since_us >=
               s->registry.conf.lease_us + 2 * s->registry.conf.interval_us;
}

static void show(const struct autoscale_advice *advice, enum autoscale_role role)
{
    bool is_known = advice->why != AUTOSCALE_UNKNOWN;

    stats_set(k_roles[role].replicas, advice->n_nodes);
    stats_set(k_roles[role].wanted, is_known ? (int64_t)advice->wanted : METRIC_ABSENT);
    stats_set(k_roles[role].utilisation, is_known && advice->n_nodes > 0
                                             ? (int64_t)(advice->utilisation * METRIC_RATIO_ONE)
                                             : METRIC_ABSENT);
    stats_set(k_roles[role].headroom,
              is_known && advice->headroom >= 0 ? (int64_t)advice->headroom : METRIC_ABSENT);
}

static void share(struct scaling *scaling, int64_t wall_us)
{
    const struct store *store = scaling->scheduler->store;
    struct buf_writer json;
    bool is_news = false;

    for (int i = 0; i < AUTOSCALE_N_ROLES; i++)
        is_news |= autoscale_past_merge(&scaling->stored[i], &scaling->roles[i].past, wall_us);
    if (!is_news)
        return;
    buf_writer_init(&json, PAST_BYTES);
    autoscale_past_write(scaling->stored, &json);
    if (buf_writer_status(&json) == E_OK)
        store->ops->put_scale(scaling->scheduler->store, buf_writer_view(&json));
    buf_writer_fini(&json);
}

static void say_change(const struct autoscale *a, const struct autoscale_conf *conf,
                       enum autoscale_role role, uint32_t before)
{
    char reason[256];

    if (a->advice.wanted == before)
        return;
    autoscale_reason(a, conf, reason, sizeof reason);
    log_info("autoscale", "msg=\"nodes wanted\" role=%s wanted=%u before=%u have=%u reason=%s",
             k_autoscale_roles[role], a->advice.wanted, before, a->advice.n_nodes, LOG_STR(reason));
}

void scaling_settle(struct scaling *scaling, int64_t now_us)
{
    int64_t wall_us = clock_wall_us();
    bool is_whole = hears_all(scaling, now_us);

    for (int i = 0; i < AUTOSCALE_N_ROLES; i++) {
        struct autoscale *a = &scaling->roles[i];
        struct autoscale_conf conf = conf_of(scaling->scheduler->conf, (enum autoscale_role)i);
        uint32_t before = a->advice.wanted;

        autoscale_tick(a, &conf, &scaling->sums[i], is_whole, now_us, wall_us);
        show(&a->advice, (enum autoscale_role)i);
        say_change(a, &conf, (enum autoscale_role)i, before);
    }
    memset(scaling->sums, 0, sizeof scaling->sums);
    share(scaling, wall_us);
}

void scaling_init(struct scaling *scaling, struct scheduler *scheduler)
{
    *scaling = (struct scaling){.scheduler = scheduler};
    for (int i = 0; i < AUTOSCALE_N_ROLES; i++)
        show(&scaling->roles[i].advice, (enum autoscale_role)i);
}

/* --- the call --- */

static json_t *advice_json(const struct scaling *scaling, enum autoscale_role role)
{
    const struct autoscale *a = &scaling->roles[role];
    const struct autoscale_advice *v = &a->advice;
    struct autoscale_conf conf = conf_of(scaling->scheduler->conf, role);
    char reason[256];

    autoscale_reason(a, &conf, reason, sizeof reason);
    return json_pack(
        "{s:i, s:I, s:I, s:f, s:o, s:s}", "v", 1, "replicas", (json_int_t)v->n_nodes, "wanted",
        (json_int_t)v->wanted, "utilisation", round(v->utilisation * 1e6) / 1e6, "headroom",
        v->headroom < 0 ? json_null() : json_integer((json_int_t)v->headroom), "reason", reason);
}

json_t *scaling_json(const struct scaling *scaling)
{
    json_t *root = json_object();

    for (int i = 0; i < AUTOSCALE_N_ROLES; i++)
        (void)json_object_set_new(root, k_autoscale_roles[i],
                                  scaling->roles[i].advice.why == AUTOSCALE_UNKNOWN
                                      ? json_null()
                                      : advice_json(scaling, (enum autoscale_role)i));
    return root;
}

static json_t *emptiest_json(const struct autoscale *a)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < a->n_emptiest; i++)
        (void)json_array_append_new(list, json_string(a->emptiest[i].id));
    return list;
}

static void respond_advice(struct http_exchange *x, const struct scaling *scaling,
                           enum autoscale_role role)
{
    json_t *root = advice_json(scaling, role);

    if (root && json_object_set_new(root, "emptiest", emptiest_json(&scaling->roles[role])) != 0) {
        json_decref(root);
        root = NULL;
    }
    api_respond_json(x, 200, root);
}

void people_autoscale(struct http_exchange *x, void *arg)
{
    const struct scheduler *s = arg;
    const char *text = http_query_arg(x, "role");
    int role = 0;

    while (k_autoscale_roles[role] && (!text || strcmp(text, k_autoscale_roles[role]) != 0))
        role++;
    http_add_header(x, "Cache-Control", "no-store");
    if (role == AUTOSCALE_N_ROLES) {
        http_respond_problem(x, 400, "role: expected edge or origin");
    } else if (s->scaling.roles[role].advice.why == AUTOSCALE_UNKNOWN) {
        http_add_header(x, "Retry-After", RETRY_AFTER);
        http_respond_problem(x, 503, "not all nodes were heard yet");
    } else {
        respond_advice(x, &s->scaling, (enum autoscale_role)role);
    }
}
