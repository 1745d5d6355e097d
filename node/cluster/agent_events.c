/* The events connection: what the scheduler says within milliseconds. Opened after the first
 * acknowledged heartbeat; a closed one makes this node suspect, so it is opened again soon. */
#include "node/cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"

/* When a scheduler dies, all its nodes come to the next one: spread over twice this. */
#define EVENTS_BACKOFF_MIN_MS 250
#define EVENTS_BACKOFF_MAX_MS 4000
#define EVENTS_SILENCE_MS 12000 /* there is a ping every 5 s */

static void forget_lines(struct agent *agent)
{
    http_lines_close(&agent->lines);
    timer_start_ms(&agent->events_timer, jitter_ms(agent->events_backoff_ms, 1));
    agent->events_backoff_ms *= 2;
    if (agent->events_backoff_ms > EVENTS_BACKOFF_MAX_MS)
        agent->events_backoff_ms = EVENTS_BACKOFF_MAX_MS;
    route_cache_expire_all(&agent->routes); /* what happens from here on is not heard */
}

static void on_line(void *arg, struct buf_view line)
{
    struct agent *agent = arg;
    struct cluster_event event;
    struct cluster_error error = {""};

    agent->events_backoff_ms = EVENTS_BACKOFF_MIN_MS;
    timer_start_ms(&agent->events_timer, EVENTS_SILENCE_MS);
    if (line.size_bytes == 0)
        return;
    if (cluster_event_decode(line, &event, &error) != E_OK) {
        metric_add(&m_cluster_events_bad, 1);
        log_warn("cluster", "msg=\"bad event from the scheduler\" why=%s", LOG_STR(error.text));
        return;
    }
    agent_on_event(agent, &event);
}

static void on_end(void *arg, enum err e)
{
    struct agent *agent = arg;

    log_debug("cluster", "msg=\"events connection ended\" why=\"%s\"", err_text(e));
    agent->lines = NULL;
    forget_lines(agent);
}

static void connect_lines(struct agent *agent)
{
    char path[64 + CLUSTER_ID_SIZE];

    snprintf(path, sizeof path, "/v1/nodes/%s/events?instance=%" PRIu64, agent->id,
             agent->node->instance);
    agent->lines = http_client_lines(agent->ask_client, path, on_line, on_end, agent);
    if (!agent->lines) {
        forget_lines(agent);
        return;
    }
    metric_add(&m_cluster_events_connects, 1);
    timer_start_ms(&agent->events_timer, EVENTS_SILENCE_MS);
}

static void on_timer(struct timer *timer)
{
    struct agent *agent = list_entry(timer, struct agent, events_timer);

    if (!agent->lines) {
        connect_lines(agent);
        return;
    }
    log_warn("cluster", "msg=\"events connection is silent, making a new one\" limit_ms=%d",
             EVENTS_SILENCE_MS);
    forget_lines(agent);
}

void agent_events_init(struct agent *agent)
{
    agent->events_backoff_ms = EVENTS_BACKOFF_MIN_MS;
    timer_init(&agent->events_timer, agent->node->control, on_timer);
}

void agent_events_fini(struct agent *agent)
{
    timer_stop(&agent->events_timer);
    http_lines_close(&agent->lines);
}

void agent_events_move(struct agent *agent)
{
    if (agent->lines)
        forget_lines(agent);
}

void agent_events_want(struct agent *agent, bool recovered)
{
    if (recovered)
        agent->events_backoff_ms = EVENTS_BACKOFF_MIN_MS;
    if (!agent->lines && (recovered || !timer_is_armed(&agent->events_timer)))
        connect_lines(agent);
}
