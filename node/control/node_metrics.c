/* Definitions of the metrics, and the sums that are taken when somebody asks. */
#include "node/control/node_metrics.h"

#include <string.h>

#include "node/node.h"

#define NODE_METRIC_DEFINE(name_, type_, family_, labels_, help_) \
    struct metric name_ = METRIC(METRIC_##type_, "headwater_" family_, labels_, help_);
NODE_METRIC_MAP(NODE_METRIC_DEFINE)

/* Not registered: never shown alone. */
#define NODE_BYTES_DEFINE(id, text) struct metric m_bytes_in_##id, m_bytes_out_##id;
NODE_PROTOCOL_MAP(NODE_BYTES_DEFINE)

static const double k_first_frame_bounds[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                              0.2,   0.5,   1,    2,    5,    10};

struct metric_histogram m_first_frame = {
    .name = "headwater_first_frame_seconds",
    .labels = "",
    .help = "From when a player waits for a stream to the frame that it begins with",
    .bounds = k_first_frame_bounds,
    .n_bounds = sizeof k_first_frame_bounds / sizeof k_first_frame_bounds[0],
};

#define TURN_HISTOGRAM(loop_)                                                  \
    {                                                                          \
        .name = "headwater_loop_turn_seconds", .labels = "loop=\"" loop_ "\"", \
        .help = "What a turn of a loop took: others waited that long",         \
        .bounds = k_loop_turn_bounds, .n_bounds = LOOP_N_TURN_BOUNDS,          \
    }

struct metric_histogram m_loop_turn_media = TURN_HISTOGRAM("media");
struct metric_histogram m_loop_turn_control = TURN_HISTOGRAM("control");

static const double k_lag_bounds[] = {0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                      0.1,    0.2,    0.5,   1,     2,     5,    10};

struct metric_histogram m_stream_lag = {
    .name = "headwater_stream_lag_seconds",
    .labels = "",
    .help = "From where a stream was taken in to here, twice a second for each that is relayed",
    .bounds = k_lag_bounds,
    .n_bounds = sizeof k_lag_bounds / sizeof k_lag_bounds[0],
};

struct metric_histogram m_stream_lag_uncertainty = {
    .name = "headwater_stream_lag_uncertainty_seconds",
    .labels = "",
    .help = "How wrong headwater_stream_lag_seconds may be, since clocks differ",
    .bounds = k_lag_bounds,
    .n_bounds = sizeof k_lag_bounds / sizeof k_lag_bounds[0],
};

void node_metrics_register(void)
{
#define NODE_METRIC_REGISTER(name, type, family, labels, help) metrics_register(&name, 1);
    NODE_METRIC_MAP(NODE_METRIC_REGISTER)
    metrics_register_histogram(&m_first_frame);
    metrics_register_histogram(&m_loop_turn_media);
    metrics_register_histogram(&m_loop_turn_control);
    metrics_register_histogram(&m_stream_lag);
    metrics_register_histogram(&m_stream_lag_uncertainty);
}

static const struct {
    const char *protocol, *kind;
    struct metric *gauge;
} k_session_gauges[] = {
    {"rtmp", "idle", &m_sessions_rtmp_idle},
    {"rtmp", "publish", &m_sessions_rtmp_publish},
    {"rtmp", "standby", &m_sessions_rtmp_standby},
    {"rtmp", "play", &m_sessions_rtmp_play},
    {"rtmp", "pull", &m_sessions_rtmp_pull},
    {"rtmp", "push", &m_sessions_rtmp_push},
    {"flv", "publish", &m_sessions_flv_publish},
    {"flv", "standby", &m_sessions_flv_standby},
    {"flv", "play", &m_sessions_flv_play},
    {"flv", "pull", &m_sessions_flv_pull},
    {"ts", "play", &m_sessions_ts_play},
    {"mp4", "play", &m_sessions_mp4_play},
    {"ws-flv", "play", &m_sessions_ws_flv_play},
    {"ws-ts", "play", &m_sessions_ws_ts_play},
    {"ws-mp4", "play", &m_sessions_ws_mp4_play},
    {"hls", "play", &m_sessions_hls_play},
    {"relay", "play", &m_sessions_relay_play},
    {"relay", "pull", &m_sessions_relay_pull},
    {"relay", "publish", &m_sessions_relay_publish},
    {"relay", "standby", &m_sessions_relay_standby},
    {"relay", "push", &m_sessions_relay_push},
    {"", "", &m_sessions_other},
};
#define N_SESSION_GAUGES (sizeof k_session_gauges / sizeof k_session_gauges[0])
_Static_assert(N_SESSION_GAUGES <= sizeof((struct node_totals *)0)->n_sessions / sizeof(int64_t),
               "node_totals.n_sessions has a slot for each row");

/* A pull counts as relay whatever it speaks. */
static const struct {
    const char *protocol;
    struct metric *closed_in, *closed_out, *total_in, *total_out;
} k_byte_rows[NODE_N_BYTE_ROWS] = {
#define NODE_BYTE_ROW(id, text) \
    {text, &m_bytes_in_##id, &m_bytes_out_##id, &m_bytes_in_total_##id, &m_bytes_out_total_##id},
    NODE_PROTOCOL_MAP(NODE_BYTE_ROW)};

static int64_t value_of(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

void node_totals_begin(struct node_totals *totals)
{
    *totals = (struct node_totals){0};
    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++) {
        totals->in_bytes[i] = value_of(k_byte_rows[i].closed_in);
        totals->out_bytes[i] = value_of(k_byte_rows[i].closed_out);
    }
}

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

static void add_bytes(struct node_totals *totals, const struct session_info *info)
{
    const char *protocol = strcmp(info->kind, "pull") == 0 ? "relay" : info->protocol;
    struct session_counts counts = {0};

    if (!info->count)
        return;
    info->count(info, &counts);
    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++) {
        if (strcmp(k_byte_rows[i].protocol, protocol) != 0)
            continue;
        totals->in_bytes[i] += (int64_t)counts.bytes_in;
        totals->out_bytes[i] += (int64_t)counts.bytes_out;
    }
}

/* Most are of the kind of the one before, and the texts are static. */
static bool is_of_row(const struct session_info *info, size_t i)
{
    return strcmp(k_session_gauges[i].protocol, info->protocol) == 0 &&
           strcmp(k_session_gauges[i].kind, info->kind) == 0;
}

void node_totals_add_session(struct node_totals *totals, const struct session_info *info)
{
    size_t i = totals->last_row;

    if (!is_of_row(info, i))
        for (i = 0; i + 1 < N_SESSION_GAUGES && !is_of_row(info, i);)
            i++;
    totals->last_row = i;
    totals->n_sessions[i]++;
    add_bytes(totals, info);
}

void node_totals_add_loop(struct node_totals *totals, struct media_loop *ml)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->sessions) {
        node_totals_add_session(totals, list_entry(node, struct session_info, node));
    }
}

/* A counter never goes back, even when a session ended during the walk. */
static void raise_to(struct metric *m, int64_t value)
{
    if (value > value_of(m))
        metric_set(m, value);
}

static void publish_turns(const struct node *node)
{
    struct loop_turns media = {.sum_us = 0}, control = {.sum_us = 0};

    for (unsigned i = 0; i < node->n_loops; i++)
        loop_turns_add(node->loops[i].media.loop, &media);
    loop_turns_add(node->control, &control);
    metric_set_histogram(&m_loop_turn_media, media.counts, media.sum_us);
    metric_set_histogram(&m_loop_turn_control, control.counts, control.sum_us);
}

void node_totals_publish(const struct node_totals *totals, struct node *node)
{
    publish_turns(node);
    metric_set(&m_streams_published, totals->n_published);
    metric_set(&m_streams_pulled, totals->n_pulled);
    metric_set(&m_streams_waiting, totals->n_waiting);
    metric_set(&m_viewers_people, totals->n_people);
    metric_set(&m_viewers_relays, totals->n_relays);
    metric_set(&m_connections, (int64_t)conn_budget_used(node->budget));
    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++) {
        raise_to(k_byte_rows[i].total_in, totals->in_bytes[i]);
        raise_to(k_byte_rows[i].total_out, totals->out_bytes[i]);
    }
    for (size_t i = 0; i < N_SESSION_GAUGES; i++)
        metric_set(k_session_gauges[i].gauge, totals->n_sessions[i]);
}
