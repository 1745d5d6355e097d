/* Definitions of the metrics, and the sums that are taken when somebody asks. */
#include "node/control/node_metrics.h"

#include <string.h>

#include "node/node.h"

#define NODE_METRIC_DEFINE(name_, type_, family_, labels_, help_) \
    struct metric name_ = METRIC(METRIC_##type_, "headwater_" family_, labels_, help_);
NODE_METRIC_MAP(NODE_METRIC_DEFINE)

static const double k_first_byte_bounds[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                             0.2,   0.5,   1,    2,    5,    10};

struct metric_histogram m_first_byte = {
    .name = "headwater_first_byte_seconds",
    .labels = "",
    .help = "From the play request to the first media byte",
    .bounds = k_first_byte_bounds,
    .n_bounds = sizeof k_first_byte_bounds / sizeof k_first_byte_bounds[0],
};

void node_metrics_register(void)
{
#define NODE_METRIC_REGISTER(name, type, family, labels, help) metrics_register(&name, 1);
    NODE_METRIC_MAP(NODE_METRIC_REGISTER)
    metrics_register_histogram(&m_first_byte);
}

static const struct {
    const char *protocol, *kind;
    struct metric *gauge;
} k_session_gauges[] = {
    {"rtmp", "idle", &m_sessions_rtmp_idle},
    {"rtmp", "publish", &m_sessions_rtmp_publish},
    {"rtmp", "play", &m_sessions_rtmp_play},
    {"rtmp", "pull", &m_sessions_rtmp_pull},
    {"flv", "play", &m_sessions_flv_play},
    {"flv", "pull", &m_sessions_flv_pull},
    {"relay", "play", &m_sessions_relay_play},
    {"relay", "pull", &m_sessions_relay_pull},
    {"", "", &m_sessions_other},
};
#define N_SESSION_GAUGES (sizeof k_session_gauges / sizeof k_session_gauges[0])
_Static_assert(N_SESSION_GAUGES <= sizeof((struct node_totals *)0)->n_sessions / sizeof(int64_t),
               "node_totals.n_sessions has a slot for each row");

void node_totals_add_stream(struct node_totals *totals, const struct stream_info *info)
{
    if (!info->live)
        totals->n_waiting++;
    else if (info->kind == SOURCE_PUBLISHER)
        totals->n_published++;
    else
        totals->n_pulled++;
    totals->n_people += info->n_viewers;
    totals->n_relays += info->n_children;
}

void node_totals_add_session(struct node_totals *totals, const struct session_info *info)
{
    size_t i = 0;

    while (i + 1 < N_SESSION_GAUGES && (strcmp(k_session_gauges[i].protocol, info->protocol) != 0 ||
                                        strcmp(k_session_gauges[i].kind, info->kind) != 0))
        i++;
    totals->n_sessions[i]++;
}

void node_totals_publish(const struct node_totals *totals, struct node *node)
{
    metric_set(&m_streams_published, totals->n_published);
    metric_set(&m_streams_pulled, totals->n_pulled);
    metric_set(&m_streams_waiting, totals->n_waiting);
    metric_set(&m_viewers_people, totals->n_people);
    metric_set(&m_viewers_relays, totals->n_relays);
    metric_set(&m_connections, atomic_load_explicit(&node->n_connections, memory_order_relaxed));
    for (size_t i = 0; i < N_SESSION_GAUGES; i++)
        metric_set(k_session_gauges[i].gauge, totals->n_sessions[i]);
}
