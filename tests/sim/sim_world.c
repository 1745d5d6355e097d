/* The cluster and the run. */
#include "tests/sim/sim_world.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_redis.h"

#define SECOND INT64_C(1000000)
#define CALM_US (5 * SECOND)      /* until faults begin */
#define FAULTS_US (12 * SECOND)   /* for so long */
#define SETTLE_US (20 * SECOND)   /* after the heal everything must be right within this */
#define REGISTRY_US (10 * SECOND) /* and registries within this */
#define STAY_US (2 * SECOND)      /* and stay so */
#define NEWS_US (2 * SECOND)      /* what changes after that is known within this */
#define LOOK_US 50000

struct sim_world sim_world;

static const char *const k_policies[] = {"refuse", "takeover", "standby"};

/* --- plan --- */

static void make_plan(struct sim_plan *plan)
{
    plan->scope = sim_chance(300) ? SIM_CONTROL : SIM_ALL;
    plan->has_redis = sim_chance(850);
    plan->n_schedulers = plan->has_redis ? 1 + sim_below(SIM_MAX_SCHEDULERS) : 1;
    plan->n_origins = 2 + sim_below(2);
    plan->n_edges = 2 + sim_below(4);
    plan->n_streams = 2 + sim_below(4);
    plan->max_children = 1 + sim_below(3);
    plan->has_rivals = plan->scope == SIM_ALL && sim_chance(600);
    plan->fault_every_us = sim_between(SECOND / 3, 3 * SECOND);
    sim_weather.latency_us = sim_between(100, 3000);
    sim_weather.jitter_us = sim_between(50, 5000);
}

/* --- set-up --- */

static void add_schedulers(struct sim_world *w)
{
    char name[24];

    for (unsigned i = 0; i < w->plan.n_schedulers; i++) {
        struct sim_daemon *d = &w->schedulers[w->n_schedulers++];

        snprintf(name, sizeof name, "scheduler%u", i + 1);
        sim_daemon_init_scheduler(d, sim_host_add(name));
        sim_daemon_set(d, "max_children=%u", w->plan.max_children);
        if (!w->plan.has_redis)
            continue;
        sim_daemon_set(d, "store.type=redis");
        sim_daemon_set(d, "store.redis.url=redis://%s", sim_redis_host(0)->address);
        sim_daemon_set(d, "store.redis.master=%s", SIM_REDIS_MASTER);
        sim_daemon_set(d, "store.redis.sentinels=%s,%s,%s", sim_sentinel_host(0)->address,
                       sim_sentinel_host(1)->address, sim_sentinel_host(2)->address);
    }
}

static void list_schedulers(struct sim_daemon *node, const struct sim_world *w, unsigned first)
{
    char list[200] = "";
    size_t used = 0;

    for (unsigned i = 0; i < w->n_schedulers; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%shttp://%s:%d", i ? "," : "",
                                 w->schedulers[(first + i) % w->n_schedulers].host->address,
                                 SIM_SCHEDULER_PORT);
    sim_daemon_set(node, "cluster.schedulers=%s", list);
}

static void add_nodes(struct sim_world *w)
{
    bool same_order = sim_chance(500);
    char name[24];

    for (unsigned i = 0; i < w->plan.n_origins + w->plan.n_edges; i++) {
        bool is_origin = i < w->plan.n_origins;
        struct sim_daemon *d = &w->nodes[w->n_nodes++];

        snprintf(name, sizeof name, "%s%u", is_origin ? "origin" : "edge",
                 is_origin ? i + 1 : i + 1 - w->plan.n_origins);
        sim_daemon_init_node(d, sim_host_add(name),
                             !is_origin        ? CLUSTER_EDGE
                             : sim_chance(200) ? CLUSTER_BOTH
                                               : CLUSTER_ORIGIN);
        list_schedulers(d, w, same_order ? 0 : i % w->n_schedulers);
        sim_daemon_set(d, "cluster.zone=z%u", 1 + i % 2);
        sim_daemon_set(d, "publish.duplicate_apps=takeover=takeover,standby=standby");
        sim_daemon_set(d, "pull.failback_ms=3000");
        sim_daemon_set(d, "drain_timeout_s=3");
    }
}

/* Each encoder has two to four servers: origins, or edges that forward. */
static void add_encoder(struct sim_world *w, unsigned number, unsigned stream)
{
    struct sim_encoder *e = &w->encoders[w->n_encoders++];
    unsigned first = sim_below(w->n_nodes), n = 2 + sim_below(SIM_MAX_TARGETS - 1);

    sim_encoder_init(e, number, w->streams[stream]);
    for (unsigned i = 0; i < n; i++)
        sim_encoder_target(e, w->nodes[(first + i) % w->n_nodes].host);
}

static void add_people(struct sim_world *w)
{
    for (unsigned i = 0; i < w->plan.n_streams; i++) {
        snprintf(w->streams[i], sizeof w->streams[i], "%s/s%u", k_policies[sim_below(3)], i + 1);
        add_encoder(w, i + 1, i);
    }
    for (unsigned i = 0; w->plan.has_rivals && i < w->plan.n_streams; i++)
        if (sim_chance(500))
            add_encoder(w, i + 101, i);
    for (unsigned i = 0; i < w->plan.n_streams; i++)
        for (unsigned k = w->plan.n_origins; k < w->n_nodes; k++)
            if (sim_chance(600))
                sim_viewer_init(&w->viewers[w->n_viewers++], w->streams[i], w->nodes[k].host);
}

static void start_all(struct sim_world *w)
{
    for (unsigned i = 0; i < w->n_schedulers; i++)
        sim_scheduler_start(&w->schedulers[i]);
    for (unsigned i = 0; i < w->n_nodes; i++)
        sim_node_start(&w->nodes[i]);
}

static void build(struct sim_world *w)
{
    make_plan(&w->plan);
    sim_daemon_begin();
    sim_people_begin();
    if (w->plan.has_redis)
        sim_redis_start();
    add_schedulers(w);
    add_nodes(w);
    add_people(w);
    sim_operator_begin();
    sim_check_begin();
    start_all(w);
}

struct sim_daemon *sim_world_node(const char *id)
{
    for (unsigned i = 0; i < sim_world.n_nodes; i++)
        if (strcmp(sim_world.nodes[i].host->name, id) == 0)
            return &sim_world.nodes[i];
    return NULL;
}

bool sim_world_is_wanted(const char *stream)
{
    for (unsigned i = 0; i < sim_world.n_encoders; i++)
        if (sim_world.encoders[i].wanted && strcmp(sim_world.encoders[i].stream, stream) == 0)
            return true;
    return false;
}

/* --- the run --- */

/* Runs on, looking at what must hold at every moment. */
static void run_for(int64_t us)
{
    int64_t until_us = sim_now_us() + us;

    while (sim_now_us() < until_us && !sim_has_failed()) {
        sim_run_until(sim_now_us() + LOOK_US < until_us ? sim_now_us() + LOOK_US : until_us);
        sim_check_always();
    }
}

static void begin_calmly(struct sim_world *w)
{
    const char *stream = "", *wrong;

    run_for(SECOND / 2);
    for (unsigned i = 0; i < w->plan.n_streams; i++)
        sim_encoder_on(&w->encoders[i]);
    run_for(SECOND / 2);
    for (unsigned i = 0; i < w->n_viewers; i++)
        sim_viewer_on(&w->viewers[i]);
    run_for(CALM_US - SECOND);
    wrong = sim_check_registries(&stream);
    if (!wrong)
        wrong = sim_check_people(&stream);
    if (wrong)
        sim_fail("a calm start", stream, "%s", wrong);
    for (unsigned i = 0; i < w->n_viewers; i++) {
        w->viewers[i].n_connects = 1;
        w->viewers[i].longest_gap_us = 0;
    }
}

static void suffer(struct sim_world *w)
{
    int64_t until_us = sim_now_us() + FAULTS_US;

    while (sim_now_us() < until_us && !sim_has_failed()) {
        sim_faults_strike();
        run_for(sim_between(w->plan.fault_every_us / 2, w->plan.fault_every_us * 3 / 2));
    }
}

/* Two encoders of a stream that take it from each other never come to rest. */
static void send_rivals_home(struct sim_world *w)
{
    for (unsigned i = 0; i < w->n_encoders; i++) {
        struct sim_encoder *e = &w->encoders[i];
        bool is_rival = i >= w->plan.n_streams;

        if (is_rival && e->wanted && strncmp(e->stream, "takeover/", 9) == 0)
            sim_encoder_off(e);
    }
}

static void heal(struct sim_world *w)
{
    sim_note("heal");
    sim_faults_heal();
    w->is_healed = true;
    send_rivals_home(w);
    for (unsigned i = 0; i < w->n_schedulers; i++)
        if (!w->schedulers[i].process)
            sim_scheduler_start(&w->schedulers[i]);
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (!w->nodes[i].process)
            sim_node_start(&w->nodes[i]);
}

/* A node that drains at the heal ends by itself, and is started again. */
static void restart_drained(struct sim_world *w)
{
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (!w->nodes[i].process)
            sim_node_start(&w->nodes[i]);
}

/* Right, and so for STAY_US: what was sent before the heal still arrives after it. */
static void settle(struct sim_world *w, struct sim_result *result)
{
    int64_t healed_us = sim_now_us(), registry_us = 0, right_us = 0, known_us = 0;
    const char *stream = "", *wrong = "";

    while (!sim_has_failed() && (!right_us || sim_now_us() - right_us < STAY_US)) {
        int64_t since_us = sim_now_us() - healed_us;

        restart_drained(w);
        wrong = sim_check_registries(&stream);
        if (wrong)
            registry_us = 0;
        else if (!registry_us)
            registry_us = sim_now_us();
        if (!wrong)
            known_us = sim_now_us();
        if (since_us > REGISTRY_US && wrong && sim_now_us() - known_us > NEWS_US)
            sim_fail("registries say what nodes have", stream, "%s", wrong);
        if (!wrong)
            wrong = sim_check_people(&stream);
        if (wrong)
            right_us = 0;
        else if (!right_us)
            right_us = sim_now_us();
        if (since_us > SETTLE_US && wrong)
            sim_fail("all is well again after the heal", stream, "%s", wrong);
        run_for(LOOK_US);
    }
    result->registry_ms = (registry_us - healed_us) / 1000;
    result->settled_ms = (right_us - healed_us) / 1000;
}

/* Schedulers and Redis failed, nothing else: media does not wait for the control plane. */
static void check_nobody_noticed(const struct sim_world *w, struct sim_result *result)
{
    for (unsigned i = 0; i < w->plan.n_streams; i++)
        if (w->encoders[i].n_sessions != 1)
            sim_fail("people notice nothing", w->encoders[i].stream,
                     "encoder=%u stream=%s was live %u times", w->encoders[i].number,
                     w->encoders[i].stream, w->encoders[i].n_sessions);
    for (unsigned i = 0; i < w->n_viewers; i++) {
        const struct sim_viewer *v = &w->viewers[i];

        if (v->n_connects != 1 || v->longest_gap_us > SECOND)
            sim_fail("people notice nothing", v->stream,
                     "viewer stream=%s node=%s: %u connections, longest gap %lld ms", v->stream,
                     v->edge->name, v->n_connects, (long long)(v->longest_gap_us / 1000));
        if (v->longest_gap_us / 1000 > result->longest_gap_ms)
            result->longest_gap_ms = v->longest_gap_us / 1000;
    }
}

bool sim_world_run(uint64_t seed, struct sim_result *result)
{
    struct sim_world *w = &sim_world;

    *result = (struct sim_result){0};
    sim_begin(seed);
    build(w);
    begin_calmly(w);
    suffer(w);
    heal(w);
    settle(w, result);
    if (w->plan.scope == SIM_CONTROL && !sim_has_failed())
        check_nobody_noticed(w, result);
    result->n_faults = sim_faults_count();
    return !sim_has_failed();
}
