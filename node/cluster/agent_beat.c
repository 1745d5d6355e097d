/* Heartbeats: one at a time. The media loops are asked what they have, what changed is sent, and
 * the answer says what to close. */
#include "node/cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"

#define SAMPLE_MIN_US 500000
#define BEAT_MAX_BYTES ((size_t)256 << 20) /* CLUSTER_MAX_STREAMS of the longest names and URLs */

struct beat {
    struct agent *agent;
    struct http_call *call; /* while the scheduler is asked */
    /* Written by the media loops, one after another. */
    struct cluster_stream *streams; /* owned */
    size_t n_streams, capacity;
    bool out_of_memory;
    struct cluster_load load;
    bool is_sampling; /* sessions are asked for their bytes, too */
    struct node_totals totals;
    /* As sent. */
    struct cluster_heartbeat message;
};

static void beat_free(struct beat *beat)
{
    http_call_cancel(&beat->call);
    cluster_heartbeat_fini(&beat->message);
    free(beat->streams);
    free(beat);
}

/* --- on media loops --- */

static struct cluster_stream *add_stream(struct beat *beat)
{
    if (beat->n_streams == CLUSTER_MAX_STREAMS)
        return NULL; /* the scheduler takes no more in one report */
    if (beat->n_streams == beat->capacity) {
        size_t capacity = beat->capacity ? 2 * beat->capacity : 64;
        void *grown = realloc(beat->streams, capacity * sizeof *beat->streams);

        if (!grown) {
            beat->out_of_memory = true;
            return NULL;
        }
        beat->streams = grown;
        beat->capacity = capacity;
    }
    beat->streams[beat->n_streams] = (struct cluster_stream){0};
    return &beat->streams[beat->n_streams++];
}

static void collect_stream(struct stream *stream, void *arg)
{
    struct beat *beat = arg;
    struct cluster_stream *to;
    struct stream_info info;

    stream_get_info(stream, &info);
    beat->load.n_streams++;
    beat->load.n_viewers += info.n_viewers;
    beat->load.n_relays += info.n_children;
    if (!info.live)
        return;
    if (info.kind == SOURCE_PUBLISHER)
        beat->load.n_publishers++;
    to = add_stream(beat);
    if (!to)
        return;
    to->name = info.name;
    to->kind = info.kind == SOURCE_PUBLISHER ? CLUSTER_STREAM_OWNED : CLUSTER_STREAM_CARRIED;
    to->epoch = info.epoch;
    to->n_viewers = info.n_viewers;
    to->n_children = info.n_children;
    if (to->kind == CLUSTER_STREAM_CARRIED && cluster_id_is_valid(info.upstream))
        snprintf(to->upstream, sizeof to->upstream, "%.*s", CLUSTER_ID_SIZE - 1, info.upstream);
}

static void collect(struct media_loop *ml, void *arg)
{
    struct beat *beat = arg;

    gather_each_stream(ml, collect_stream, beat);
    if (beat->is_sampling)
        node_totals_add_loop(&beat->totals, ml);
}

/* --- load --- */

static int64_t cpu_used_us(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static uint64_t rate_bps(int64_t bytes, int64_t elapsed_us)
{
    return bytes <= 0 ? 0 : (uint64_t)((double)bytes * 8e6 / (double)elapsed_us);
}

static int64_t sum(const int64_t bytes[NODE_N_BYTE_ROWS], int64_t at_least)
{
    int64_t total = 0;

    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++)
        total += bytes[i];
    return total > at_least ? total : at_least; /* a session that ended meanwhile comes next time */
}

/* Pokes come too soon after one sample to say anything new. */
static bool wants_sample(const struct agent *agent)
{
    return !agent->sample.at_us || clock_mono_us() - agent->sample.at_us >= SAMPLE_MIN_US;
}

/* Rates over the time since the last sample. */
static void sample_load(struct agent *agent, const struct node_totals *totals)
{
    struct agent_sample *old = &agent->sample;
    struct agent_sample now = {.at_us = clock_mono_us(), .cpu_us = cpu_used_us()};
    int64_t elapsed_us = now.at_us - old->at_us;
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);

    now.in_bytes = sum(totals->in_bytes, old->in_bytes);
    now.out_bytes = sum(totals->out_bytes, old->out_bytes);
    if (old->at_us && elapsed_us > 0) {
        now.load.in_bps = rate_bps(now.in_bytes - old->in_bytes, elapsed_us);
        now.load.out_bps = rate_bps(now.out_bytes - old->out_bytes, elapsed_us);
        now.load.cpu_permille = (uint32_t)((now.cpu_us - old->cpu_us) * 1000 / elapsed_us /
                                           (n_cores > 0 ? n_cores : 1));
    }
    *old = now;
}

/* --- sending --- */

static void beat_end(struct agent *agent)
{
    beat_free(agent->beat);
    agent->beat = NULL;
    agent_publish_beat_ended(agent);
    if (agent->beat_again)
        agent_beat_soon(agent, 0);
    else
        timer_start_ms(&agent->beat_timer, jitter_ms(agent->beat_interval_ms, 0.1));
    agent->beat_again = false;
}

static void describe(struct agent *agent, struct beat *beat)
{
    const struct node *node = agent->node;
    struct cluster_heartbeat *m = &beat->message;

    snprintf(m->node, sizeof m->node, "%s", node->id);
    m->instance = node->instance;
    m->role = (enum cluster_role)node->conf.cluster_role;
    m->state = atomic_load(&node->draining) ? CLUSTER_NODE_DRAINING : CLUSTER_NODE_ACTIVE;
    snprintf(m->zone, sizeof m->zone, "%s", node->conf.cluster_zone);
    m->public_urls = agent->public_urls;
    m->internal_urls = agent->internal_urls;
    m->capacity_egress_bps = node->conf.cluster_capacity_egress_bps;
    m->highest_epoch = agent->highest_epoch;
    if (beat->is_sampling)
        sample_load(agent, &beat->totals);
    m->load = beat->load;
    m->load.in_bps = agent->sample.load.in_bps;
    m->load.out_bps = agent->sample.load.out_bps;
    m->load.cpu_permille = agent->sample.load.cpu_permille;
}

static void on_reply(void *arg, const struct http_reply *reply);

static enum err send_beat(struct agent *agent, struct beat *beat)
{
    struct buf_writer out;
    char path[32 + CLUSTER_ID_SIZE];
    enum err e;

    e = beat_book_build(&agent->book, beat->streams, beat->n_streams, clock_mono_us(),
                        &beat->message);
    if (e != E_OK)
        return e;
    buf_writer_init(&out, BEAT_MAX_BYTES);
    e = cluster_heartbeat_encode(&beat->message, &out);
    buf_write_u8(&out, 0);
    if (e == E_OK)
        e = buf_writer_status(&out);
    if (e == E_OK) {
        snprintf(path, sizeof path, "/v1/nodes/%s/heartbeat", agent->node->id);
        beat->call = http_client_call(agent->beat_client, "POST", path, (const char *)out.data,
                                      on_reply, agent);
        e = beat->call ? E_OK : E_NOMEM;
    }
    buf_writer_fini(&out);
    return e;
}

static void on_collected(void *arg)
{
    struct beat *beat = arg;
    struct agent *agent = beat->agent;

    for (size_t i = 0; i < beat->n_streams; i++) {
        struct cluster_stream *s = &beat->streams[i];

        agent_note_epoch(agent, s->epoch);
        if (s->kind == CLUSTER_STREAM_CARRIED)
            s->depth = route_cache_depth(&agent->routes, s->name.text, s->upstream);
    }
    describe(agent, beat);
    if (beat->out_of_memory || send_beat(agent, beat) != E_OK) {
        log_warn("cluster", "msg=\"no memory for a heartbeat\" streams=%zu", beat->n_streams);
        beat_end(agent);
        return;
    }
    if (beat->message.full)
        metric_add(&m_cluster_heartbeats_full, 1);
}

static void on_timer(struct timer *timer)
{
    struct agent *agent = list_entry(timer, struct agent, beat_timer);
    struct beat *beat = calloc(1, sizeof *beat);

    if (beat) {
        beat->agent = agent;
        beat->is_sampling = wants_sample(agent);
        node_totals_begin(&beat->totals);
        agent->beat_started_us = loop_now_us(agent->node->control);
        if (gather(agent->node, collect, on_collected, beat) == E_OK) {
            agent->beat = beat;
            return;
        }
        free(beat);
    }
    timer_start_ms(timer, jitter_ms(agent->beat_interval_ms, 0.1));
}

/* --- the answer --- */

static void apply_fenced(struct agent *agent, const struct cluster_heartbeat_reply *reply)
{
    for (size_t i = 0; i < reply->n_fenced; i++) {
        const struct cluster_fenced *f = &reply->fenced[i];
        uint64_t epoch = f->epoch;

        agent_note_epoch(agent, f->epoch);
        if (strcmp(f->owner, agent->node->id) == 0)
            continue; /* its grant is on the way to us */
        /* Of an owner with a lower epoch, or none: what was reported may not go on, what came after
         * it may. */
        if (beat_book_epoch(&agent->book, f->name.text) >= epoch)
            epoch = beat_book_epoch(&agent->book, f->name.text) + 1;
        agent_home_post(agent, HOME_FENCE, f->name.text, epoch, f->owner);
    }
}

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
    (void)beat_book_ack(&agent->book, &agent->beat->message, clock_mono_us());
    agent->beat_interval_ms = clamp_interval_ms(reply->interval_ms);
    agent_note_epoch(agent, reply->highest_epoch);
    if (reply->want_full) {
        agent->book.want_full = true;
        agent->beat_again = true;
    }
    agent_set_link(agent, true, server, "");
    apply_fenced(agent, reply);
    agent_events_want(agent, recovered);
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
    if (!why) {
        on_acknowledged(agent, &reply, http->server);
    } else {
        metric_add(http->e == E_OK ? &m_cluster_heartbeats_refused : &m_cluster_heartbeats_failed,
                   1);
        agent->book.want_full = true; /* nobody knows whether it arrived */
        agent->beat_again = false;    /* what is new waits for the next period */
        agent_set_link(agent, false, http->server, why);
    }
    cluster_heartbeat_reply_fini(&reply);
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
