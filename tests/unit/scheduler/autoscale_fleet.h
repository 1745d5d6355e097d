/* A fleet of edges that is scaled as Kubernetes does it, second by second: advice is asked for once
 * an interval, pods take their time to start, those that are deleted drain. Viewers come by a curve
 * and go to the emptiest pod that takes work. Shared by the tests of advice. */
#ifndef HW_TESTS_UNIT_SCHEDULER_AUTOSCALE_FLEET_H
#define HW_TESTS_UNIT_SCHEDULER_AUTOSCALE_FLEET_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/autoscale.h"

#define FLEET_MAX_PODS 400
#define SECOND INT64_C(1000000)
#define WALL_US INT64_C(1700000000000000)

enum pod_state { POD_NONE, POD_STARTING, POD_ACTIVE, POD_DRAINING };

struct pod {
    enum pod_state state;
    int64_t until_s; /* starting: when it takes work; draining: when it is cut */
    double viewers;
    double said_viewers; /* in its last heartbeat */
};

struct fleet_conf {
    struct autoscale_conf scale;
    double pod_viewers; /* that fit */
    int64_t ask_s;      /* how often advice is asked for */
    int64_t start_min_s, start_max_s, drain_s;
    unsigned n_pods; /* at the beginning */
    double noise;    /* of what is measured, either way */
    double mean_view_s;
    unsigned seed;
};

struct fleet {
    struct fleet_conf conf;
    struct autoscale autoscale;
    struct pod pods[FLEET_MAX_PODS];
    double egress_factor, cpu_factor; /* of what is measured now, to its mean; 1 = as it is */
    unsigned n_used;                  /* pods[n_used...] are none */
    int64_t now_s;
    unsigned random;
    double refused;         /* viewers that found no room, in this second */
    double n_refused;       /* in all */
    int64_t last_refused_s; /* -1: never */
    double n_cut;           /* viewers that a pod had when its drain was over */
    uint32_t wanted;        /* as Kubernetes was told last */
    int direction;
    unsigned n_reversals, n_changes;
    double pod_seconds;
};

static inline double fleet_random(struct fleet *f) /* 0..1 */
{
    f->random = f->random * 1664525u + 1013904223u;
    return (double)(f->random >> 8) / (1u << 24);
}

/* With so many viewers, as they would be spread. */
static inline struct fleet *fleet_create(const struct fleet_conf *conf, double viewers)
{
    struct fleet *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->conf = *conf;
    f->random = conf->seed + 1;
    f->last_refused_s = -1;
    f->egress_factor = f->cpu_factor = 1;
    f->wanted = f->n_used = conf->n_pods;
    for (unsigned i = 0; i < conf->n_pods; i++) {
        double each = viewers / conf->n_pods;

        f->pods[i] = (struct pod){POD_ACTIVE, 0, each, each};
    }
    return f;
}

static inline unsigned fleet_count(const struct fleet *f, enum pod_state state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->n_used; i++)
        n += f->pods[i].state == state;
    return n;
}

static inline double fleet_viewers(const struct fleet *f)
{
    double n = 0;

    for (unsigned i = 0; i < f->n_used; i++)
        n += f->pods[i].viewers;
    return n;
}

static inline double fleet_room(const struct fleet *f)
{
    return fleet_count(f, POD_ACTIVE) * f->conf.pod_viewers;
}

/* --- pods --- */

static inline void fleet_age_pods(struct fleet *f)
{
    for (unsigned i = 0; i < f->n_used; i++) {
        struct pod *pod = &f->pods[i];

        if (pod->state == POD_STARTING && f->now_s >= pod->until_s)
            pod->state = POD_ACTIVE;
        if (pod->state == POD_DRAINING && (f->now_s >= pod->until_s || pod->viewers < 1)) {
            f->n_cut += pod->viewers;
            *pod = (struct pod){0};
        }
    }
}

static inline void fleet_start_pod(struct fleet *f)
{
    double span_s = (double)(f->conf.start_max_s - f->conf.start_min_s);
    unsigned i = 0;

    while (f->pods[i].state != POD_NONE)
        i++;
    assert_true(i + 1 < FLEET_MAX_PODS);
    f->n_used = f->n_used > i ? f->n_used : i + 1;
    f->pods[i] = (struct pod){.state = POD_STARTING};
    f->pods[i].until_s = f->now_s + f->conf.start_min_s + (int64_t)(fleet_random(f) * span_s + 0.5);
}

/* One that starts yet; else the emptiest, as the advice names them. */
static inline void fleet_delete_pod(struct fleet *f)
{
    for (unsigned i = 0; i < f->n_used; i++)
        if (f->pods[i].state == POD_STARTING) {
            f->pods[i] = (struct pod){0};
            return;
        }
    for (unsigned i = 0; i < f->autoscale.n_emptiest; i++) {
        struct pod *pod = &f->pods[atoi(f->autoscale.emptiest[i].id)];

        if (pod->state != POD_ACTIVE)
            continue;
        pod->state = POD_DRAINING;
        pod->until_s = f->now_s + f->conf.drain_s;
        return;
    }
}

static inline void fleet_obey(struct fleet *f)
{
    uint32_t wanted = f->autoscale.advice.wanted;
    unsigned have = fleet_count(f, POD_ACTIVE) + fleet_count(f, POD_STARTING);
    int direction = wanted > f->wanted ? 1 : -1;

    if (f->autoscale.advice.why == AUTOSCALE_UNKNOWN)
        return;
    if (wanted != f->wanted) {
        f->n_changes++;
        f->n_reversals += f->direction != 0 && direction != f->direction;
        f->direction = direction;
    }
    f->wanted = wanted;
    for (; have < wanted; have++)
        fleet_start_pod(f);
    for (; have > wanted; have--)
        fleet_delete_pod(f);
}

/* --- viewers --- */

static inline struct pod *fleet_emptiest(struct fleet *f)
{
    struct pod *best = NULL;

    for (unsigned i = 0; i < f->n_used; i++)
        if (f->pods[i].state == POD_ACTIVE && (!best || f->pods[i].viewers < best->viewers))
            best = &f->pods[i];
    return best;
}

/* In small groups, each to the emptiest; who finds no room is refused, and tries again next second.
 */
static inline void fleet_join(struct fleet *f, double n)
{
    double group = fmax(1, n / 50);

    f->refused = 0;
    while (n > 1e-6) {
        struct pod *pod = fleet_emptiest(f);
        double some = fmin(group, n);

        if (!pod || pod->viewers + 1e-6 >= f->conf.pod_viewers) {
            f->refused = n;
            f->n_refused += n;
            f->last_refused_s = f->now_s;
            return;
        }
        some = fmin(some, f->conf.pod_viewers - pod->viewers);
        pod->viewers += some;
        n -= some;
    }
}

/* Everybody leaves at some time and another one comes, by the curve: so pods that drain empty. */
static inline void fleet_follow(struct fleet *f, double viewers)
{
    double stay = exp(-1 / f->conf.mean_view_s), have;

    for (unsigned i = 0; i < f->n_used; i++)
        f->pods[i].viewers *= stay;
    have = fleet_viewers(f);
    for (unsigned i = 0; i < f->n_used && have > viewers; i++)
        f->pods[i].viewers *= viewers / have;
    f->refused = 0;
    if (viewers > fleet_viewers(f))
        fleet_join(f, viewers - fleet_viewers(f));
}

/* --- what is said --- */

static inline double fleet_measured(struct fleet *f, double value)
{
    return value * (1 + f->conf.noise * (2 * fleet_random(f) - 1));
}

static inline void fleet_report(struct fleet *f, struct autoscale_sums *sums)
{
    char id[16];

    for (unsigned i = 0; i < f->n_used; i++) {
        struct pod *pod = &f->pods[i];
        double full = f->conf.pod_viewers;
        struct autoscale_node node = {
            .id = id,
            .takes_work = pod->state == POD_ACTIVE,
            .n_viewers = (uint32_t)lround(pod->said_viewers),
            .max_viewers = (uint32_t)full,
            .n_clients = (uint32_t)lround(pod->said_viewers),
            .out_bps = (uint64_t)fleet_measured(f, pod->said_viewers * 2e6 * f->egress_factor),
            .capacity_bps = (uint64_t)(full * 2.2e6),
            .cpu_permille =
                (uint32_t)fleet_measured(f, pod->said_viewers * 700 / full * f->cpu_factor),
        };

        snprintf(id, sizeof id, "%u", i);
        if (pod->state == POD_ACTIVE || pod->state == POD_DRAINING)
            autoscale_add(sums, &node);
        pod->said_viewers = pod->viewers;
    }
}

static inline void fleet_second(struct fleet *f, double viewers)
{
    struct autoscale_sums sums = {0};

    f->now_s++;
    fleet_age_pods(f);
    fleet_follow(f, viewers);
    fleet_report(f, &sums);
    autoscale_tick(&f->autoscale, &f->conf.scale, &sums, true, f->now_s * SECOND,
                   WALL_US + f->now_s * SECOND);
    if (f->now_s % f->conf.ask_s == 0)
        fleet_obey(f);
    f->pod_seconds += fleet_count(f, POD_ACTIVE) + fleet_count(f, POD_DRAINING);
}

#endif
