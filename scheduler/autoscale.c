/* How many nodes are wanted. */
#include "scheduler/autoscale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FEW_CLIENTS 20.0 /* what fewer cost is mostly what a node costs idle */
#define SMOOTH_US 20e6   /* of what a client takes */
#define ROUNDING 1e-9

/* Over so long a growth is measured: soon enough, and so that a slow one is more than chance. */
static const int64_t k_windows_us[] = {5000000, 30000000};

const char *const k_autoscale_resources[] = {"egress", "viewers", "cpu", NULL};

/* --- sums --- */

static bool is_before(const struct autoscale_empty *a, const struct autoscale_empty *b)
{
    if (a->takes_work != b->takes_work)
        return !a->takes_work;
    if (a->n_clients != b->n_clients)
        return a->n_clients < b->n_clients;
    if (a->out_bps != b->out_bps)
        return a->out_bps < b->out_bps;
    return strcmp(a->id, b->id) < 0;
}

static void list_empty(struct autoscale_sums *sums, const struct autoscale_node *node)
{
    struct autoscale_empty entry = {
        .takes_work = node->takes_work, .n_clients = node->n_clients, .out_bps = node->out_bps};
    unsigned at;

    snprintf(entry.id, sizeof entry.id, "%s", node->id);
    if (sums->n_emptiest == AUTOSCALE_N_EMPTIEST) {
        if (!is_before(&entry, &sums->emptiest[AUTOSCALE_N_EMPTIEST - 1]))
            return;
        sums->n_emptiest--;
    }
    for (at = sums->n_emptiest++; at > 0 && is_before(&entry, &sums->emptiest[at - 1]); at--)
        sums->emptiest[at] = sums->emptiest[at - 1];
    sums->emptiest[at] = entry;
}

static void add_use(struct autoscale_sums *sums, const struct autoscale_node *node,
                    enum autoscale_resource resource, uint64_t used, uint64_t limit)
{
    if (limit == 0)
        return; /* it does not say what it can */
    sums->used[resource] += used;
    sums->limit[resource] += node->takes_work ? limit : 0;
}

void autoscale_add(struct autoscale_sums *sums, const struct autoscale_node *node)
{
    sums->n_nodes += node->takes_work;
    sums->n_clients += node->n_clients;
    add_use(sums, node, AUTOSCALE_EGRESS, node->out_bps, node->capacity_bps);
    add_use(sums, node, AUTOSCALE_VIEWERS, node->n_viewers, node->max_viewers);
    add_use(sums, node, AUTOSCALE_CPU, node->cpu_permille, 1000);
    list_empty(sums, node);
}

/* --- growth --- */

struct moment {
    int64_t now_us, wall_us;
};

static void take_sample(struct autoscale *a, uint64_t n_clients, const struct moment *at)
{
    a->samples[a->n_samples++ % AUTOSCALE_N_SAMPLES] =
        (struct autoscale_sample){at->now_us, n_clients};
    autoscale_past_raise(&a->clients, at->wall_us / AUTOSCALE_SLOT_US,
                         n_clients < UINT32_MAX ? (uint32_t)n_clients : UINT32_MAX);
}

/* The newest sample that old; NULL: there is none. */
static const struct autoscale_sample *sample_before(const struct autoscale *a, int64_t at_us)
{
    unsigned n = a->n_samples < AUTOSCALE_N_SAMPLES ? a->n_samples : AUTOSCALE_N_SAMPLES;

    for (unsigned i = 1; i <= n; i++) {
        const struct autoscale_sample *s = &a->samples[(a->n_samples - i) % AUTOSCALE_N_SAMPLES];

        if (s->at_us <= at_us)
            return s;
    }
    return NULL;
}

/* Clients a second beyond the highest number that there is still room for, as it was within the
 * scale-in delay up to window_us ago: who comes back after a node died is no growth, and no
 * swinging load is. 0 when it may be chance: of clients that come and go each by itself, more or
 * fewer by the root of their number are. */
static double growth_over(const struct autoscale *a, int64_t window_us, int64_t delay_us,
                          uint64_t n_now, const struct moment *at)
{
    const struct autoscale_sample *from = sample_before(a, at->now_us - window_us);
    double peak = autoscale_past_most(&a->clients, at->wall_us - delay_us,
                                      at->wall_us - window_us - AUTOSCALE_SLOT_US);
    double rise;

    if (!from)
        return 0;
    rise = (double)n_now - fmax(peak, (double)from->n_clients);
    if (rise <= 3 * sqrt((double)n_now) + 3)
        return 0;
    return rise * 1e6 / (double)(at->now_us - from->at_us);
}

static double growth_of(const struct autoscale *a, const struct autoscale_conf *conf,
                        uint64_t n_now, const struct moment *at)
{
    double most = 0;

    for (size_t i = 0; i < sizeof k_windows_us / sizeof k_windows_us[0]; i++)
        most = fmax(most, growth_over(a, k_windows_us[i], conf->scale_in_delay_us, n_now, at));
    return most;
}

/* --- what is needed --- */

struct need {
    double now, soon;   /* in nodes as they are, full ones */
    double utilisation; /* of what is used most */
    double headroom;
    enum autoscale_resource tight;
};

static double clients_of(const struct autoscale_sums *sums)
{
    return fmax((double)sums->n_clients, FEW_CLIENTS);
}

/* Viewers are counted, not measured. */
static void smooth(struct autoscale *a, const struct autoscale_sums *sums, bool is_first,
                   int64_t now_us)
{
    double n = (double)sums->n_clients, passed_us = (double)(now_us - a->each_us);
    double share = is_first ? 1 : passed_us / (passed_us + SMOOTH_US);

    for (int i = 0; i < AUTOSCALE_N_RESOURCES; i++)
        a->each[i] += share * ((double)sums->used[i] / clients_of(sums) - a->each[i]);
    a->each[AUTOSCALE_VIEWERS] = n > 0 ? (double)sums->used[AUTOSCALE_VIEWERS] / n : 1;
    a->each_us = now_us;
}

static double used_of(const struct autoscale *a, const struct autoscale_sums *sums, int resource)
{
    if (resource == AUTOSCALE_VIEWERS)
        return (double)sums->used[resource];
    return a->each[resource] * clients_of(sums);
}

static struct need need_of(const struct autoscale *a, const struct autoscale_sums *sums,
                           double more_clients)
{
    struct need need = {.headroom = -1};

    for (int i = 0; i < AUTOSCALE_N_RESOURCES; i++) {
        double used = used_of(a, sums, i), limit = (double)sums->limit[i], each = a->each[i];
        double room;

        if (limit <= 0)
            continue;
        if (used / limit >= need.utilisation) {
            need.utilisation = used / limit;
            need.tight = (enum autoscale_resource)i;
        }
        need.now = fmax(need.now, used / limit * sums->n_nodes);
        need.soon = fmax(need.soon, (used + each * more_clients) / limit * sums->n_nodes);
        room = used >= limit ? 0 : each > 0 ? floor((limit - used) / each) : -1;
        if (room >= 0 && (need.headroom < 0 || room < need.headroom))
            need.headroom = room;
    }
    return need;
}

static uint32_t nodes_for(double full_nodes, double target)
{
    double n = ceil(full_nodes / target - ROUNDING);

    return n >= AUTOSCALE_MAX_NODES ? AUTOSCALE_MAX_NODES : (uint32_t)n;
}

static uint32_t within(uint32_t n, uint32_t min, uint32_t max)
{
    n = n > max ? max : n; /* min above max: min */
    return n < min ? min : n;
}

/* What is needed, and to keep what there is while that is not clearly too much. */
static uint32_t judge(struct autoscale *a, const struct autoscale_conf *conf,
                      const struct need *need)
{
    double target = conf->target_percent / 100.0;
    uint32_t now = nodes_for(need->now, target), soon = nodes_for(need->soon, target);
    uint32_t keep = nodes_for(need->now, target * (100.0 - conf->hysteresis_percent) / 100.0);
    uint32_t before = a->advice.wanted;

    now = soon > now ? soon : now;
    keep = keep < before ? keep : before;
    return now > keep ? now : keep;
}

/* needed: now; most: at any moment of the delay. */
static enum autoscale_why why_of(const struct autoscale_conf *conf, uint32_t needed, uint32_t most,
                                 bool is_growth)
{
    if (needed > conf->max)
        return AUTOSCALE_MAX;
    if (most <= conf->min)
        return AUTOSCALE_MIN;
    if (most > needed)
        return AUTOSCALE_DELAY;
    return is_growth ? AUTOSCALE_GROWTH : AUTOSCALE_LOAD;
}

/* needed, and at_least where more than that is known to be. */
static void settle(struct autoscale *a, const struct autoscale_conf *conf, uint32_t needed,
                   uint32_t at_least, int64_t wall_us)
{
    uint32_t most;

    autoscale_past_raise(&a->past, wall_us / AUTOSCALE_SLOT_US,
                         needed > at_least ? needed : at_least);
    most = autoscale_past_most(&a->past, wall_us - conf->scale_in_delay_us, wall_us);
    a->advice.needed = needed;
    a->advice.why = why_of(conf, needed, most, a->advice.growth > 0);
    a->advice.wanted = within(most, conf->min, conf->max);
}

/* Nobody kept what was needed before: that there are so many nodes is all that is known of it. */
static uint32_t least_known(const struct autoscale *a, const struct autoscale_sums *sums,
                            int64_t wall_us)
{
    bool is_dark = autoscale_past_most(&a->past, wall_us - 3 * AUTOSCALE_SLOT_US, wall_us) == 0;

    return is_dark ? sums->n_nodes : 0;
}

/* Fewer than there are may be heard: never fewer than before then. */
static void hold(struct autoscale *a, const struct autoscale_conf *conf, uint32_t needed,
                 int64_t wall_us)
{
    if (a->advice.why == AUTOSCALE_UNKNOWN)
        return;
    settle(a, conf, needed, a->advice.wanted, wall_us);
    a->advice.why = AUTOSCALE_HELD;
}

void autoscale_tick(struct autoscale *a, const struct autoscale_conf *conf,
                    const struct autoscale_sums *sums, bool is_whole, int64_t now_us,
                    int64_t wall_us)
{
    const struct moment at = {now_us, wall_us};
    bool is_first = is_whole && !a->was_whole;
    struct need need;
    uint32_t needed, least;

    autoscale_past_set_clock(&a->past, wall_us);
    autoscale_past_set_clock(&a->clients, wall_us);
    least = is_first ? least_known(a, sums, wall_us) : 0;
    memcpy(a->emptiest, sums->emptiest, sizeof a->emptiest);
    a->n_emptiest = sums->n_emptiest;
    a->was_whole = is_whole;
    if (is_first)
        a->n_samples = 0; /* who was not heard has not just come */
    a->advice.growth = is_whole ? growth_of(a, conf, sums->n_clients, &at) : 0;
    smooth(a, sums, is_first || !is_whole, now_us);
    need = need_of(a, sums, a->advice.growth * (double)conf->start_us / 1e6);
    a->advice.n_nodes = sums->n_nodes;
    a->advice.tight = need.tight;
    a->advice.utilisation = need.utilisation;
    a->advice.headroom = need.headroom;
    needed = judge(a, conf, &need);
    if (!is_whole) {
        hold(a, conf, needed, wall_us);
        return;
    }
    take_sample(a, sums->n_clients, &at);
    settle(a, conf, needed, least, wall_us);
}

/* --- for people --- */

void autoscale_reason(const struct autoscale *a, const struct autoscale_conf *conf, char *out,
                      size_t size)
{
    const struct autoscale_advice *v = &a->advice;
    uint32_t enough = within(v->needed, conf->min, conf->max);
    char load[96];

    snprintf(load, sizeof load, "%s at %.0f%% of %u nodes, target %u%%",
             k_autoscale_resources[v->tight], v->utilisation * 100, v->n_nodes,
             conf->target_percent);
    switch (v->why) {
    case AUTOSCALE_UNKNOWN:
        snprintf(out, size, "not all nodes were heard yet");
        break;
    case AUTOSCALE_HELD:
        snprintf(out, size, "not all nodes are heard: not fewer than before; %s", load);
        break;
    case AUTOSCALE_GROWTH:
        snprintf(out, size, "%s; %.1f more clients a second, a node takes %lld s to start", load,
                 v->growth, (long long)(conf->start_us / 1000000));
        break;
    case AUTOSCALE_DELAY:
        snprintf(out, size, "%s: %u are enough, but were not all through the last %lld s", load,
                 enough, (long long)(conf->scale_in_delay_us / 1000000));
        break;
    case AUTOSCALE_MIN:
        snprintf(out, size, "%s: the minimum", load);
        break;
    case AUTOSCALE_MAX:
        snprintf(out, size, "%s: the maximum, %u would be needed", load, v->needed);
        break;
    case AUTOSCALE_LOAD:
        snprintf(out, size, "%s", load);
        break;
    }
}
