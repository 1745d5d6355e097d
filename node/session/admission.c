/* See admission.h. */
#include "node/session/admission_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/node.h"

#define BURST_US 10000000 /* refusals closer together are one burst */
#define RETRY_S 10        /* for one who has enough: others of his have to end first */

/* --- limits.apps --- */

struct limits_app {
    char *app; /* first: app_items.h */
    uint64_t viewers, viewers_per_ip, viewers_per_stream;
    uint64_t publishers, publishers_per_ip;
    uint64_t egress_bps, egress_bps_per_ip, egress_bps_per_stream, ingress_bps;
};

#define MAX_COUNT 10000000
#define MAX_BPS 1000000000000000
#define COUNT(member, help) \
    CONF_FIELD_UINT(struct limits_app, member, #member, "0", 0, MAX_COUNT, "", help, true)
#define BPS(member, help) \
    CONF_FIELD_UINT(struct limits_app, member, #member, "0", 0, MAX_BPS, "bit/s", help, true)

/* clang-format off */
static const struct conf_field k_app_fields[] = {
    CONF_FIELD_STRING(struct limits_app, app, "app", NULL, 2 * NAME_PART_MAX + 1, "App, or * for all that have no item of their own.", true),
    COUNT(viewers,               "Viewers of all its streams together."),
    COUNT(viewers_per_ip,        "In place of limits.viewers_per_ip."),
    COUNT(viewers_per_stream,    "In place of limits.viewers_per_stream."),
    COUNT(publishers,            "Publishers of all its streams together."),
    COUNT(publishers_per_ip,     "In place of limits.publishers_per_ip."),
    BPS  (egress_bps,            "What its viewers get together."),
    BPS  (egress_bps_per_ip,     "In place of limits.egress_bps_per_ip."),
    BPS  (egress_bps_per_stream, "In place of limits.egress_bps_per_stream."),
    BPS  (ingress_bps,           "In place of limits.ingress_bps."),
};
/* clang-format on */

static const struct conf_schema k_app_schema = {"limits.apps", k_app_fields,
                                                sizeof k_app_fields / sizeof k_app_fields[0],
                                                sizeof(struct limits_app)};

enum err admission_read_apps(const struct node_conf *conf, struct app_items *out,
                             struct conf_error *error)
{
    return app_items_init(out, &k_app_schema, "limits.apps", &conf->limits_apps, error);
}

/* --- what is refused --- */

enum rule {
    RULE_DRAINING,
    RULE_NODE_EGRESS,
    RULE_NODE_VIEWERS,
    RULE_NODE_PUBLISHERS,
    RULE_IP_CONNECTIONS,
    RULE_IP_HLS,
    RULE_IP_VIEWERS,
    RULE_IP_PUBLISHERS,
    RULE_IP_EGRESS,
    RULE_STREAM_VIEWERS,
    RULE_STREAM_EGRESS,
    RULE_APP_VIEWERS,
    RULE_APP_PUBLISHERS,
    RULE_APP_EGRESS,
    N_RULES
};
_Static_assert(N_RULES <= ADMISSION_N_RULES, "each has a burst of its own");

static const struct {
    unsigned status;
    const char *why;
    struct metric *metric;
} k_rules[N_RULES] = {
    [RULE_DRAINING] = {503, "this node is shutting down", &m_limit_draining},
    [RULE_NODE_EGRESS] = {503, "this node sends as much as it can (cluster.capacity.egress_bps)",
                          &m_limit_egress},
    [RULE_NODE_VIEWERS] = {503, "this node has as many viewers as it may have (limits.viewers)",
                           &m_limit_viewers},
    [RULE_NODE_PUBLISHERS] = {503,
                              "this node has as many publishers as it may have "
                              "(limits.publishers)",
                              &m_limit_publishers},
    [RULE_IP_CONNECTIONS] = {429, "too many connections of one address (limits.connections_per_ip)",
                             &m_limit_connections_per_ip},
    [RULE_IP_HLS] = {429, "too many HLS sessions of one address (limits.hls_sessions_per_ip)",
                     &m_limit_hls_sessions_per_ip},
    [RULE_IP_VIEWERS] = {429, "too many viewers of one address (limits.viewers_per_ip)",
                         &m_limit_viewers_per_ip},
    [RULE_IP_PUBLISHERS] = {429, "too many publishers of one address (limits.publishers_per_ip)",
                            &m_limit_publishers_per_ip},
    [RULE_IP_EGRESS] = {429, "one address gets as much as it may (limits.egress_bps_per_ip)",
                        &m_limit_egress_per_ip},
    [RULE_STREAM_VIEWERS] = {503,
                             "the stream has as many viewers as it may have "
                             "(limits.viewers_per_stream)",
                             &m_limit_viewers_per_stream},
    [RULE_STREAM_EGRESS] = {503,
                            "the stream is sent as much as it may be "
                            "(limits.egress_bps_per_stream)",
                            &m_limit_egress_per_stream},
    [RULE_APP_VIEWERS] = {503, "the app has as many viewers as it may have (limits.apps)",
                          &m_limit_viewers_per_app},
    [RULE_APP_PUBLISHERS] = {503, "the app has as many publishers as it may have (limits.apps)",
                             &m_limit_publishers_per_app},
    [RULE_APP_EGRESS] = {503, "the app is sent as much as it may be (limits.apps)",
                         &m_limit_egress_per_app},
};

static struct metric *metric_of(enum rule rule, enum admission_kind kind)
{
    if (kind == ADMISSION_PUBLISHER)
        return &m_publish_refused_limit;
    return rule == RULE_DRAINING ? &m_play_refused_draining : &m_play_refused_limit;
}

static bool refuse(struct node *node, const struct admission_ask *ask, enum rule rule,
                   uint64_t limit, struct admission_refusal *no)
{
    int64_t now_us = clock_mono_us();
    int64_t last_us = atomic_exchange(&node->admission.last_refused_us[rule], now_us);
    char peer[ADDR_TEXT_SIZE];

    *no = (struct admission_refusal){
        .why = k_rules[rule].why, .limit = limit, .status = k_rules[rule].status};
    no->retry_after_s = no->status == 429 ? RETRY_S : 0;
    if (limit)
        snprintf(no->text, sizeof no->text, "%s: %llu", no->why, (unsigned long long)limit);
    else
        snprintf(no->text, sizeof no->text, "%s", no->why);
    metric_add(metric_of(rule, ask->kind), 1);
    metric_add(k_rules[rule].metric, 1);
    if (last_us == 0 || now_us - last_us > BURST_US)
        log_warn("node",
                 "msg=\"%s are turned away\" first=%s stream=%s reason=\"%s\" limit=%llu "
                 "viewers=%llu",
                 ask->kind == ADMISSION_PUBLISHER ? "publishers" : "viewers",
                 addr_format(ask->addr, peer), ask->name->text, no->why, (unsigned long long)limit,
                 (unsigned long long)atomic_load(&node->admission.n_viewers));
    return false;
}

/* --- limits --- */

enum scope { SCOPE_IP, SCOPE_STREAM, SCOPE_APP };

/* One count against one limit. */
struct check {
    enum rule rule;
    unsigned kinds; /* 1 << enum admission_kind */
    enum scope scope;
    size_t count;     /* offset in struct admission_count */
    size_t node_conf; /* offset in struct node_conf; 0 = only apps have it */
    size_t app;       /* offset in struct limits_app; 0 = only the node has it */
};

#define VIEWERS (1u << ADMISSION_VIEWER | 1u << ADMISSION_HLS_VIEWER)
#define HLS_VIEWERS (1u << ADMISSION_HLS_VIEWER)
#define PUBLISHERS (1u << ADMISSION_PUBLISHER)
#define AT(member) offsetof(struct admission_count, member)
#define CONF(member) offsetof(struct node_conf, limits_##member)
#define APP(member) offsetof(struct limits_app, member)

/* What is sent, first: nothing has to be taken back. */
static const struct check k_rates[] = {
    {RULE_IP_EGRESS, VIEWERS, SCOPE_IP, AT(egress_bps), CONF(egress_bps_per_ip),
     APP(egress_bps_per_ip)},
    {RULE_STREAM_EGRESS, VIEWERS, SCOPE_STREAM, AT(egress_bps), CONF(egress_bps_per_stream),
     APP(egress_bps_per_stream)},
    {RULE_APP_EGRESS, VIEWERS, SCOPE_APP, AT(egress_bps), 0, APP(egress_bps)},
};
/* One row for each count that one more adds to; so those without a limit are rows, too. */
static const struct check k_counts[] = {
    {RULE_IP_VIEWERS, VIEWERS, SCOPE_IP, AT(n_viewers), CONF(viewers_per_ip), APP(viewers_per_ip)},
    {RULE_IP_HLS, HLS_VIEWERS, SCOPE_IP, AT(n_hls), CONF(hls_sessions_per_ip), 0},
    {RULE_IP_PUBLISHERS, PUBLISHERS, SCOPE_IP, AT(n_publishers), CONF(publishers_per_ip),
     APP(publishers_per_ip)},
    {RULE_STREAM_VIEWERS, VIEWERS, SCOPE_STREAM, AT(n_viewers), CONF(viewers_per_stream),
     APP(viewers_per_stream)},
    {RULE_APP_VIEWERS, VIEWERS, SCOPE_APP, AT(n_viewers), 0, APP(viewers)},
    {RULE_APP_PUBLISHERS, PUBLISHERS, SCOPE_APP, AT(n_publishers), 0, APP(publishers)},
};
#define N_RATES (sizeof k_rates / sizeof k_rates[0])
#define N_COUNTS (sizeof k_counts / sizeof k_counts[0])

static uint64_t number_at(const void *base, size_t offset)
{
    return base && offset ? *(const uint64_t *)(const void *)((const char *)base + offset) : 0;
}

/* The app's own, else the node's; 0 = none. */
static uint64_t limit_of(const struct node *node, const struct check *check,
                         const struct limits_app *app)
{
    uint64_t limit = number_at(app, check->app);

    return limit ? limit : number_at(&node->conf, check->node_conf);
}

static _Atomic uint64_t *count_of(const struct pass *pass, const struct check *check)
{
    struct admission_count *count = check->scope == SCOPE_IP       ? pass->ip
                                    : check->scope == SCOPE_STREAM ? pass->stream
                                                                   : pass->stream->app;

    return (_Atomic uint64_t *)(void *)((char *)count + check->count);
}

static bool is_for(const struct check *check, enum admission_kind kind)
{
    return check->kinds & 1u << kind;
}

/* --- in and out --- */

static void put_counts(struct node *node, struct pass *pass)
{
    admission_counts_put(&node->admission.counts, &pass->ip);
    admission_counts_put(&node->admission.counts, &pass->stream);
}

/* A pass is in with all of its counts, or not at all. */
static bool get_counts(struct node *node, const struct admission_ask *ask, struct pass *pass)
{
    pass->ip = admission_counts_get_ip(&node->admission.counts, ask->addr);
    pass->stream = admission_counts_get_stream(&node->admission.counts, ask->name);
    if (!pass->ip || !pass->stream)
        put_counts(node, pass);
    return pass->ip != NULL;
}

/* From the first n rows. */
static void uncount(const struct pass *pass, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_for(&k_counts[i], (enum admission_kind)pass->kind))
            atomic_fetch_sub(count_of(pass, &k_counts[i]), 1);
}

/* Into every count, unless one is at its limit. */
static bool count_in(struct node *node, const struct admission_ask *ask, struct pass *pass,
                     const struct limits_app *app, struct admission_refusal *no)
{
    for (size_t i = 0; i < N_COUNTS; i++) {
        uint64_t limit = limit_of(node, &k_counts[i], app);

        if (!is_for(&k_counts[i], ask->kind))
            continue;
        if (atomic_fetch_add(count_of(pass, &k_counts[i]), 1) < limit || !limit)
            continue;
        uncount(pass, i + 1);
        return refuse(node, ask, k_counts[i].rule, limit, no);
    }
    return true;
}

static bool has_room(struct node *node, const struct admission_ask *ask, const struct pass *pass,
                     const struct limits_app *app, struct admission_refusal *no)
{
    for (size_t i = 0; i < N_RATES; i++) {
        uint64_t limit = limit_of(node, &k_rates[i], app);

        if (limit && is_for(&k_rates[i], ask->kind) &&
            atomic_load_explicit(count_of(pass, &k_rates[i]), memory_order_relaxed) >= limit)
            return refuse(node, ask, k_rates[i].rule, limit, no);
    }
    return true;
}

bool admission_may_take_conn(struct node *node, const struct admission_ask *ask,
                             struct admission_refusal *no)
{
    if (!conn_budget_is_full(node->budget, ask->addr))
        return true;
    return refuse(node, ask, RULE_IP_CONNECTIONS, node->conf.limits_connections_per_ip, no);
}

/* Whoever it is. A publisher is not asked by what is sent; and who drains says so elsewhere. */
static bool node_has_room(struct node *node, const struct admission_ask *ask,
                          struct admission_refusal *no)
{
    uint64_t capacity_bps = node->conf.cluster_capacity_egress_bps;

    if (ask->kind == ADMISSION_PUBLISHER)
        return true;
    if (atomic_load(&node->draining))
        return refuse(node, ask, RULE_DRAINING, 0, no);
    if (capacity_bps &&
        atomic_load_explicit(&node->admission.egress_bps, memory_order_relaxed) >= capacity_bps)
        return refuse(node, ask, RULE_NODE_EGRESS, capacity_bps, no);
    return true;
}

static _Atomic uint64_t *node_count(struct node *node, enum admission_kind kind)
{
    return kind == ADMISSION_PUBLISHER ? &node->admission.n_publishers : &node->admission.n_viewers;
}

static bool count_in_node(struct node *node, const struct admission_ask *ask,
                          struct admission_refusal *no)
{
    bool is_publisher = ask->kind == ADMISSION_PUBLISHER;
    uint64_t limit = is_publisher ? node->conf.limits_publishers : node->conf.limits_viewers;

    if (atomic_fetch_add(node_count(node, ask->kind), 1) < limit || !limit)
        return true;
    atomic_fetch_sub(node_count(node, ask->kind), 1);
    return refuse(node, ask, is_publisher ? RULE_NODE_PUBLISHERS : RULE_NODE_VIEWERS, limit, no);
}

bool admission_take(struct node *node, const struct admission_ask *ask, struct pass *pass,
                    struct admission_refusal *no)
{
    const struct limits_app *app = app_items_find(&node->rules.limits_apps, ask->name);

    assert(!pass->ip);
    pass->kind = (uint8_t)ask->kind;
    pass->n_over = 0;
    pass->seen_bytes = 0;
    if (!node_has_room(node, ask, no) || !count_in_node(node, ask, no))
        return false;
    if (!get_counts(node, ask, pass)) {
        *no = (struct admission_refusal){.why = err_text(E_NOMEM), .status = 503};
        snprintf(no->text, sizeof no->text, "%s", no->why);
    } else if (has_room(node, ask, pass, app, no) && count_in(node, ask, pass, app, no)) {
        return true;
    }
    put_counts(node, pass);
    atomic_fetch_sub(node_count(node, ask->kind), 1);
    return false;
}

void admission_give(struct node *node, struct pass *pass)
{
    if (!pass->ip)
        return;
    uncount(pass, N_COUNTS);
    put_counts(node, pass);
    atomic_fetch_sub(node_count(node, (enum admission_kind)pass->kind), 1);
}

void admission_init(struct node *node)
{
    admission_counts_init(&node->admission.counts);
}

void admission_fini(struct node *node)
{
    free(node->admission.measuring);
    admission_counts_fini(&node->admission.counts);
}

uint64_t admission_ingress_limit(const struct node *node, const struct stream_name *name)
{
    const struct limits_app *app = app_items_find(&node->rules.limits_apps, name);

    return app && app->ingress_bps ? app->ingress_bps : node->conf.limits_ingress_bps;
}

void admission_note_own_limit(struct node *node)
{
    atomic_store_explicit(&node->admission.has_own_limits, true, memory_order_relaxed);
}

bool admission_wants_rates(const struct node *node)
{
    bool wants = node->conf.limits_egress_bps_per_ip || node->conf.limits_egress_bps_per_stream ||
                 node->conf.limits_ingress_bps || node->conf.cluster_capacity_egress_bps ||
                 atomic_load_explicit(&node->admission.has_own_limits, memory_order_relaxed);

    for (size_t i = 0; i < node->rules.limits_apps.n_items && !wants; i++) {
        const struct limits_app *app =
            (const void *)(node->rules.limits_apps.items + i * sizeof(struct limits_app));

        wants = app->egress_bps || app->egress_bps_per_ip || app->egress_bps_per_stream ||
                app->ingress_bps;
    }
    return wants;
}
