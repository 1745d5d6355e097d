/* Faults: one table row a kind. Each strikes something that is well, and is undone a while later.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_redis.h"
#include "tests/sim/sim_world.h"

#define SECOND INT64_C(1000000)
#define MAX_ACTIVE 24

struct fault {
    void (*undo)(struct fault *fault); /* NULL: the slot is free */
    int64_t until_us;
    struct sim_daemon *daemon;
    uint64_t left, right; /* sets of hosts, as bits */
    bool both_ways;
    struct sim_weather weather; /* as it was */
};

static struct {
    struct fault active[MAX_ACTIVE];
    uint32_t n_faults;
    bool is_redis_struck, is_weather_struck;
} g;

static void check_over(void *arg)
{
    struct fault *fault = arg;
    void (*undo)(struct fault *) = fault->undo;

    if (!undo || sim_now_us() < fault->until_us)
        return;
    fault->undo = NULL;
    undo(fault);
}

/* Returns a slot that is undone after a while; NULL when too much is broken already. */
static struct fault *begin(void (*undo)(struct fault *fault), int64_t for_us)
{
    struct fault *fault = g.active;

    while (fault < g.active + MAX_ACTIVE && fault->undo)
        fault++;
    if (fault == g.active + MAX_ACTIVE)
        return NULL;
    *fault = (struct fault){.undo = undo, .until_us = sim_now_us() + for_us};
    sim_at(fault->until_us, NULL, (struct sim_task){.run = check_over, .arg = fault});
    return fault;
}

static int64_t some_time_us(void)
{
    return sim_chance(500) ? sim_between(50000, SECOND) : sim_between(SECOND, 7 * SECOND);
}

static struct sim_daemon *some_node(void)
{
    return &sim_world.nodes[sim_below(sim_world.n_nodes)];
}

static struct sim_daemon *some_scheduler(void)
{
    return &sim_world.schedulers[sim_below(sim_world.n_schedulers)];
}

/* --- daemons --- */

static void undo_kill(struct fault *fault)
{
    struct sim_daemon *d = fault->daemon;

    if (d->process)
        return;
    if (d >= sim_world.nodes && d < sim_world.nodes + SIM_MAX_NODES)
        sim_node_start(d);
    else
        sim_scheduler_start(d);
}

static void undo_freeze(struct fault *fault)
{
    sim_daemon_thaw(fault->daemon);
}

static void kill_daemon(struct sim_daemon *d)
{
    struct fault *fault = d->process ? begin(undo_kill, some_time_us()) : NULL;

    if (!fault)
        return;
    fault->daemon = d;
    sim_daemon_kill(d);
}

static void freeze_daemon(struct sim_daemon *d)
{
    struct fault *fault = sim_daemon_runs(d) ? begin(undo_freeze, some_time_us()) : NULL;

    if (!fault)
        return;
    fault->daemon = d;
    sim_daemon_freeze(d);
}

static void strike_node_kill(void)
{
    kill_daemon(some_node());
}

static void strike_node_freeze(void)
{
    freeze_daemon(some_node());
}

/* It ends by itself, by drain_timeout_s at the latest. */
static void strike_node_drain(void)
{
    struct sim_daemon *d = some_node();
    struct fault *fault =
        sim_daemon_runs(d) && !d->is_draining ? begin(undo_kill, 5 * SECOND) : NULL;

    if (!fault)
        return;
    fault->daemon = d;
    sim_node_drain(d);
}

static void undo_order(struct fault *fault)
{
    struct sim_daemon *d = fault->daemon;

    sim_operator_drain(d, false);
    if (!d->process)
        sim_node_start(d);
}

/* By the API of a scheduler: taken back, unless the node has left by then. */
static void strike_node_order(void)
{
    struct sim_daemon *d = some_node();
    struct fault *fault = d->process && !d->is_draining && !d->is_ordered
                              ? begin(undo_order, sim_between(SECOND / 2, 5 * SECOND))
                              : NULL;

    if (!fault)
        return;
    fault->daemon = d;
    sim_note("operator: drain %s", d->host->name);
    sim_operator_drain(d, true);
}

static void strike_scheduler_kill(void)
{
    kill_daemon(some_scheduler());
}

static void strike_scheduler_freeze(void)
{
    freeze_daemon(some_scheduler());
}

/* --- the network --- */

static void change_cuts(const struct fault *f,
                        void (*change)(const struct sim_host *from, const struct sim_host *to))
{
    for (unsigned a = 0; a < sim_n_hosts(); a++)
        for (unsigned b = 0; b < sim_n_hosts(); b++) {
            if (!(f->left >> a & 1) || !(f->right >> b & 1))
                continue;
            change(sim_host(a), sim_host(b));
            if (f->both_ways)
                change(sim_host(b), sim_host(a));
        }
}

static void undo_cut(struct fault *fault)
{
    sim_note("mend");
    change_cuts(fault, sim_net_mend);
}

static void cut(uint64_t left, uint64_t right, bool both_ways)
{
    struct fault *fault = begin(undo_cut, some_time_us());
    char text[200] = "";
    size_t used = 0;

    if (!fault)
        return;
    fault->left = left;
    fault->right = right & ~left;
    fault->both_ways = both_ways;
    for (unsigned i = 0; i < sim_n_hosts() && used < 180; i++)
        if (left >> i & 1)
            used += (size_t)snprintf(text + used, sizeof text - used, " %s", sim_host(i)->name);
    sim_note("cut%s%s from%s", text, both_ways ? " off" : " one way",
             right == ~0ull ? " all" : " some");
    change_cuts(fault, sim_net_cut);
}

static uint64_t bit(const struct sim_host *host)
{
    return 1ull << host->index;
}

static void strike_node_unplugged(void)
{
    cut(bit(some_node()->host), ~0ull, true);
}

static uint64_t control_hosts(void)
{
    uint64_t hosts = 0;

    for (unsigned i = 0; i < sim_world.n_schedulers; i++)
        hosts |= bit(sim_world.schedulers[i].host);
    for (unsigned i = 0; sim_world.plan.has_redis && i < SIM_N_REDIS; i++)
        hosts |= bit(sim_redis_host(i));
    for (unsigned i = 0; sim_world.plan.has_redis && i < SIM_N_SENTINELS; i++)
        hosts |= bit(sim_sentinel_host(i));
    return hosts;
}

/* Some of the control plane from some of all, or any from any. */
static void strike_control_partition(void)
{
    cut(sim_random() & control_hosts(), sim_random() | sim_random(), sim_chance(750));
}

static void strike_partition(void)
{
    cut(sim_random() & sim_random(), sim_random() | sim_random(), sim_chance(750));
}

static void undo_weather(struct fault *fault)
{
    sim_note("fair weather");
    sim_weather = fault->weather;
    sim_weather.since_us = sim_now_us();
    g.is_weather_struck = false;
}

static void strike_weather(void)
{
    struct fault *fault = g.is_weather_struck ? NULL : begin(undo_weather, some_time_us());

    if (!fault)
        return;
    g.is_weather_struck = true;
    fault->weather = sim_weather;
    if (sim_chance(500))
        sim_weather.loss_permille = (unsigned)sim_between(5, 200);
    else
        sim_weather.jitter_us = sim_between(50000, 800000);
    sim_note("bad weather: loss %u permille, jitter %lld ms", sim_weather.loss_permille,
             (long long)(sim_weather.jitter_us / 1000));
}

/* --- clocks --- */

static void step_clock(struct sim_host *host)
{
    static const int64_t k_steps_us[] = {2000,        50000,         SECOND,
                                         60 * SECOND, 3600 * SECOND, 48 * 3600 * SECOND};
    int64_t most_us = k_steps_us[sim_below(6)];

    host->skew_us += sim_between(-most_us, most_us);
    sim_note("clock of %s is %lld ms ahead", host->name, (long long)(host->skew_us / 1000));
}

static void strike_control_clock(void)
{
    uint64_t hosts = control_hosts();
    unsigned i = sim_below(sim_n_hosts());

    while (!(hosts >> i & 1))
        i = (i + 1) % sim_n_hosts();
    step_clock(sim_host(i));
}

static void strike_node_clock(void)
{
    step_clock(some_node()->host);
}

/* --- Redis --- */

static void undo_redis_crash(struct fault *fault)
{
    (void)fault;
    sim_note("redis starts, empty");
    sim_redis_revive();
    g.is_redis_struck = false;
}

static void undo_redis_freeze(struct fault *fault)
{
    (void)fault;
    sim_note("redis thaws");
    sim_redis_thaw();
    g.is_redis_struck = false;
}

static void undo_redis_failover(struct fault *fault)
{
    (void)fault;
    g.is_redis_struck = false;
}

static void strike_redis_wipe(void)
{
    if (!sim_world.plan.has_redis || g.is_redis_struck)
        return;
    sim_note("redis is wiped");
    sim_redis_wipe();
}

static struct fault *begin_redis(void (*undo)(struct fault *fault))
{
    struct fault *fault =
        !sim_world.plan.has_redis || g.is_redis_struck ? NULL : begin(undo, some_time_us());

    g.is_redis_struck |= fault != NULL;
    return fault;
}

static void strike_redis_crash(void)
{
    if (!begin_redis(undo_redis_crash))
        return;
    sim_note("redis is killed");
    sim_redis_crash();
}

static void strike_redis_freeze(void)
{
    if (!begin_redis(undo_redis_freeze))
        return;
    sim_note("redis freezes");
    sim_redis_freeze();
}

static void strike_redis_failover(void)
{
    struct fault *fault = begin_redis(undo_redis_failover);

    if (!fault)
        return;
    sim_note("redis fails over");
    sim_redis_fail_over(sim_chance(500) ? 0 : fault->until_us - sim_now_us());
}

static void strike_redis_lag(void)
{
    if (sim_world.plan.has_redis)
        sim_redis_set_lag(sim_between(0, sim_between(0, 3 * SECOND)));
}

/* --- people --- */

static void strike_encoder(void)
{
    struct sim_encoder *e = &sim_world.encoders[sim_below(sim_world.n_encoders)];
    bool is_rival = e - sim_world.encoders >= (ptrdiff_t)sim_world.plan.n_streams;

    if (!e->wanted) {
        sim_encoder_on(e);
        return;
    }
    sim_encoder_off(e);
    e->at = sim_below(e->n_targets);
    if (!is_rival && sim_chance(700)) /* it comes back at another server */
        sim_encoder_on(e);
}

static void strike_viewer(void)
{
    struct sim_viewer *v;

    if (!sim_world.n_viewers)
        return;
    v = &sim_world.viewers[sim_below(sim_world.n_viewers)];
    if (v->wanted)
        sim_viewer_off(v);
    else
        sim_viewer_on(v);
}

/* --- the table --- */

/* clang-format off */
static const struct {
    void (*strike)(void);
    enum sim_scope scope; /* SIM_CONTROL: in every run */
    unsigned weight;
} k_faults[] = {
    {strike_scheduler_kill,     SIM_CONTROL, 4},
    {strike_scheduler_freeze,   SIM_CONTROL, 4},
    {strike_control_partition,  SIM_CONTROL, 5},
    {strike_control_clock,      SIM_CONTROL, 2},
    {strike_redis_wipe,         SIM_CONTROL, 3},
    {strike_redis_crash,        SIM_CONTROL, 2},
    {strike_redis_freeze,       SIM_CONTROL, 2},
    {strike_redis_failover,     SIM_CONTROL, 4},
    {strike_redis_lag,          SIM_CONTROL, 1},
    {strike_node_kill,          SIM_ALL,     6},
    {strike_node_freeze,        SIM_ALL,     6},
    {strike_node_drain,         SIM_ALL,     3},
    {strike_node_order,         SIM_ALL,     2},
    {strike_node_unplugged,     SIM_ALL,     6},
    {strike_partition,          SIM_ALL,     4},
    {strike_weather,            SIM_ALL,     3},
    {strike_node_clock,         SIM_ALL,     3},
    {strike_encoder,            SIM_ALL,     8},
    {strike_viewer,             SIM_ALL,     4},
};
/* clang-format on */
#define N_FAULTS (sizeof k_faults / sizeof k_faults[0])

void sim_faults_strike(void)
{
    unsigned total = 0, at;

    for (size_t i = 0; i < N_FAULTS; i++)
        total += k_faults[i].scope <= sim_world.plan.scope ? k_faults[i].weight : 0;
    at = sim_below(total);
    for (size_t i = 0; i < N_FAULTS; i++) {
        unsigned weight = k_faults[i].scope <= sim_world.plan.scope ? k_faults[i].weight : 0;

        if (at < weight) {
            k_faults[i].strike();
            g.n_faults++;
            return;
        }
        at -= weight;
    }
}

void sim_faults_heal(void)
{
    for (size_t i = 0; i < MAX_ACTIVE; i++) {
        g.active[i].until_us = 0;
        check_over(&g.active[i]);
    }
    sim_redis_set_lag(0);
}

uint32_t sim_faults_count(void)
{
    return g.n_faults;
}
