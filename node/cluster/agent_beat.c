/* Heartbeats: one at a time. The media loops are asked what they have, what changed is sent, and
 * the answer says what to do. A long full report goes out in parts, one heartbeat each, right after
 * the other. */
#include "node/cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/report.h"
#include "node/control/gather.h"

#define BEAT_MAX_BYTES ((size_t)256 << 20) /* CLUSTER_MAX_STREAMS of the longest names and URLs */

struct beat {
    struct agent *agent;
    struct http_call *call; /* while the scheduler is asked */
    /* Written by the media loops, one after another. */
    struct report report;
    bool is_sampling; /* sessions are asked for their bytes, too */
    struct node_totals totals;
    uint64_t owned_sum; /* of report.streams */
    /* As sent; of a report in parts, the last one. */
    struct cluster_heartbeat message;
};

static void beat_free(struct beat *beat)
{
    http_call_cancel(&beat->call);
    cluster_heartbeat_fini(&beat->message);
    report_fini(&beat->report);
    free(beat);
}

/* On media loops. */
static void collect(struct media_loop *ml, void *arg)
{
    struct beat *beat = arg;

    report_add_loop(&beat->report, ml);
    if (beat->is_sampling)
        node_totals_add_loop(&beat->totals, ml);
}

/* --- sending --- */

/* While nobody answers, nodes come back at different times. */
static int64_t next_beat_ms(const struct agent *agent)
{
    return jitter_ms(agent->beat_interval_ms, agent->link == LINK_DOWN ? 0.5 : 0.1);
}

static void beat_end(struct agent *agent)
{
    beat_free(agent->beat);
    agent->beat = NULL;
    agent_publish_beat_ended(agent);
    if (agent->beat_again)
        agent_beat_soon(agent, 0);
    else
        timer_start_ms(&agent->beat_timer, next_beat_ms(agent));
    agent->beat_again = false;
}

/* A process that was replaced is known to drain by what its successor says; of the two, only that
 * one speaks for the node. */
static enum cluster_node_state state_of(const struct node *node)
{
    return atomic_load(&node->draining) ? CLUSTER_NODE_DRAINING : CLUSTER_NODE_ACTIVE;
}

static void describe(struct agent *agent, struct beat *beat)
{
    const struct node *node = agent->node;
    struct cluster_heartbeat *m = &beat->message;

    memcpy(m->node, agent->id, sizeof m->node);
    m->instance = node->instance;
    m->replaces = node->replaces;
    m->role = (enum cluster_role)node->conf.cluster_role;
    m->state = state_of(node);
    snprintf(m->zone, sizeof m->zone, "%s", node->conf.cluster_zone);
    m->public_urls = agent->public_urls;
    m->internal_urls = agent->internal_urls;
    memcpy(m->admin_url, agent->admin_url, sizeof m->admin_url);
    m->capacity_egress_bps = node->conf.cluster_capacity_egress_bps;
    m->max_viewers = (uint32_t)node->conf.limits_viewers;
    m->weight = (uint32_t)node->conf.cluster_weight;
    m->highest_epoch = agent->highest_epoch;
    m->owned_sum = beat->owned_sum;
    m->load = beat->report.load;
    m->load.in_bps = agent->sample.in_bps;
    m->load.out_bps = agent->sample.out_bps;
    m->load.cpu_permille = agent->sample.cpu_permille;
}

/* Standbys stand in the first part of what is said. Lent to the message until it is written. */
static enum err encode(struct beat *beat, struct buf_writer *out)
{
    struct cluster_heartbeat *m = &beat->message;
    enum err e;

    if (m->part == 0) {
        m->standbys = beat->report.standbys;
        m->n_standbys = beat->report.n_standbys;
    }
    e = cluster_heartbeat_encode(m, out);
    m->standbys = NULL;
    m->n_standbys = 0;
    buf_write_u8(out, 0);
    return e == E_OK ? buf_writer_status(out) : e;
}

static void on_reply(void *arg, const struct http_reply *reply);

/* Everything that is to be said now, or the next part of it. */
static enum err send_next(struct agent *agent, struct beat *beat)
{
    struct buf_writer out;
    char path[32 + CLUSTER_ID_SIZE];
    enum err e;

    cluster_heartbeat_fini(&beat->message);
    beat->message = (struct cluster_heartbeat){0};
    describe(agent, beat);
    e = beat_book_build(&agent->book, beat->report.streams, beat->report.n_streams, clock_mono_us(),
                        &beat->message);
    if (e != E_OK)
        return e;
    buf_writer_init(&out, BEAT_MAX_BYTES);
    e = encode(beat, &out);
    if (e == E_OK) {
        snprintf(path, sizeof path, "/v1/nodes/%s/heartbeat", agent->id);
        beat->call = http_client_call(agent->beat_client, "POST", path, (const char *)out.data,
                                      on_reply, agent);
        e = beat->call ? E_OK : E_NOMEM;
    }
    buf_writer_fini(&out);
    return e;
}

static void send_or_give_up(struct agent *agent, struct beat *beat)
{
    if (!beat->report.out_of_memory && send_next(agent, beat) == E_OK)
        return;
    log_warn("cluster", "msg=\"no memory for a heartbeat\" streams=%zu", beat->report.n_streams);
    beat_book_want_full(&agent->book);
    beat_end(agent);
}

static void on_collected(void *arg)
{
    struct beat *beat = arg;
    struct agent *agent = beat->agent;

    beat->owned_sum = CLUSTER_SUM_OF_NONE;
    for (size_t i = 0; i < beat->report.n_streams; i++) {
        struct cluster_stream *s = &beat->report.streams[i];

        agent_note_epoch(agent, s->epoch);
        if (s->kind == CLUSTER_STREAM_OWNED)
            beat->owned_sum = cluster_sum_toggle(beat->owned_sum, &s->name, s->epoch);
        if (s->kind == CLUSTER_STREAM_CARRIED && !s->depth) /* an upstream that does not say it */
            s->depth = route_cache_depth(&agent->routes, s->name.text, s->upstream);
    }
    if (beat->is_sampling) {
        node_load_take(&agent->sample, &beat->totals);
        atomic_store_explicit(&agent->node->admission.egress_bps, agent->sample.out_bps,
                              memory_order_relaxed);
    }
    send_or_give_up(agent, beat);
}

static void on_timer(struct timer *timer)
{
    struct agent *agent = list_entry(timer, struct agent, beat_timer);
    struct beat *beat = calloc(1, sizeof *beat);

    if (beat) {
        beat->agent = agent;
        report_init(&beat->report, agent->node);
        beat->is_sampling = node_load_is_due(&agent->sample);
        node_totals_begin(&beat->totals);
        agent->beat_started_us = loop_now_us(agent->node->control);
        if (gather(agent->node, collect, on_collected, beat) == E_OK) {
            agent->beat = beat;
            return;
        }
        free(beat);
    }
    timer_start_ms(timer, next_beat_ms(agent));
}

/* --- the answer --- */

static int64_t clamp_interval_ms(uint32_t interval_ms)
{
    if (interval_ms < 100)
        return 100;
    return interval_ms > 10000 ? 10000 : interval_ms;
}

static void on_acknowledged(struct agent *agent, const struct cluster_heartbeat_reply *reply,
                            const char *server)
{
    bool recovered = agent->link != LINK_UP;

    metric_add(&m_cluster_heartbeats_ok, 1);
    if (agent->beat->message.full && !agent->beat->message.more)
        metric_add(&m_cluster_heartbeats_full, 1);
    (void)beat_book_ack(&agent->book, &agent->beat->message, reply->parts, clock_mono_us());
    agent->said_draining = agent->beat->message.state == CLUSTER_NODE_DRAINING;
    agent->beat_interval_ms = clamp_interval_ms(reply->interval_ms);
    agent_note_epoch(agent, reply->highest_epoch);
    agent_set_link(agent, LINK_UP, server, "");
    agent_return_on_beat(agent, server);
    if (reply->want_full && beat_book_is_done(&agent->book)) { /* else it is under way */
        beat_book_want_full(&agent->book);
        agent->beat_again = true;
    }
    agent_on_beat_reply(agent, reply);
    agent_settings_on_beat(agent, reply, server);
    agent_events_want(agent, recovered);
}

static void on_failed(struct agent *agent, const struct http_reply *http, const char *why)
{
    metric_add(http->e == E_OK ? &m_cluster_heartbeats_refused : &m_cluster_heartbeats_failed, 1);
    beat_book_want_full(&agent->book); /* nobody knows whether it arrived */
    agent->beat_again = false;         /* what is new waits for the next period */
    agent_set_link(agent, agent_reply_refuses(http) ? LINK_REFUSED : LINK_DOWN, http->server, why);
}

static void on_reply(void *arg, const struct http_reply *http)
{
    struct agent *agent = arg;
    struct cluster_heartbeat_reply reply = {0};
    struct cluster_error error = {""};
    const char *why = error.text;
    char text[PROBLEM_SIZE];

    agent->beat->call = NULL;
    if (http->e != E_OK || http->status != 200)
        why = agent_reply_problem(http, text);
    else if (cluster_heartbeat_reply_decode(http->body, &reply, &error) == E_OK)
        why = NULL;
    if (why)
        on_failed(agent, http, why);
    else
        on_acknowledged(agent, &reply, http->server);
    cluster_heartbeat_reply_fini(&reply);
    if (!why && !beat_book_is_done(&agent->book))
        send_or_give_up(agent, agent->beat);
    else
        beat_end(agent);
}

/* --- life --- */

void agent_beat_init(struct agent *agent)
{
    beat_book_init(&agent->book);
    agent->beat_interval_ms = BEAT_INTERVAL_MS;
    timer_init(&agent->beat_timer, agent->node->control, on_timer);
}

void agent_beat_fini(struct agent *agent)
{
    timer_stop(&agent->beat_timer);
    if (agent->beat)
        beat_free(agent->beat); /* its walk over the loops, if any, has ended with them */
    beat_book_fini(&agent->book);
}

void agent_beat_soon(struct agent *agent, int64_t delay_ms)
{
    int64_t since_ms = (loop_now_us(agent->node->control) - agent->beat_started_us) / 1000;

    if (agent->beat) {
        agent->beat_again = true;
        return;
    }
    if (agent->beat_started_us && since_ms < BEAT_MIN_GAP_MS - delay_ms)
        delay_ms = BEAT_MIN_GAP_MS - since_ms;
    timer_start_ms(&agent->beat_timer, delay_ms);
}
