/* Real schedulers over simulated Redis, and thousands of nodes that do nothing but report, publish
 * and end streams: what the control plane says to Redis. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/http_client.h"
#include "scheduler/scheduler.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_redis.h"
#include "tests/sim/sim_scale.h"

#define SECOND INT64_C(1000000)
#define FILL_LIMIT_S 600
#define WRITTEN_S 20 /* until every stream is in Redis, too */
#define COUNTED_S 20
#define BODY_BYTES ((size_t)64 << 20)

struct reporter { /* a node */
    struct http_client *client;
    struct timer timer;
    struct cluster_heartbeat beat;
    uint64_t first_stream, n_streams; /* first, first + n_origins, ... */
    uint64_t at;                      /* of the full report: streams told */
};

static struct {
    const struct sim_size *size;
    uint64_t n_origins;
    struct sim_daemon schedulers[SIM_MAX_FLEET_SCHEDULERS];
    struct loop *loop;
    struct reporter *reporters;
    struct http_client *encoder; /* whoever publishes and ends streams */
    struct timer encoder_timer;
    uint64_t n_heartbeats, highest_epoch;
} g;

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* --- heartbeats --- */

static void name_stream(uint64_t i, struct stream_name *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->text, sizeof out->text, "live/stream-%07" PRIu64, i);
    out->app_bytes = 4;
}

/* The next part of a full report. */
static void fill_part(struct reporter *r)
{
    struct cluster_heartbeat *m = &r->beat;

    m->streams = need(calloc(CLUSTER_PART_STREAMS, sizeof *m->streams));
    for (m->n_streams = 0; m->n_streams < CLUSTER_PART_STREAMS && r->at < r->n_streams; r->at++) {
        struct cluster_stream *stream = &m->streams[m->n_streams++];
        uint64_t i = r->first_stream + r->at * g.n_origins;

        name_stream(i, &stream->name);
        stream->epoch = UINT64_C(1767225600000000) + i;
    }
    m->more = r->at < r->n_streams;
}

static void on_reply(void *arg, const struct http_reply *http);

static void send_beat(struct reporter *r)
{
    struct cluster_heartbeat *m = &r->beat;
    struct buf_writer body;
    char path[32 + CLUSTER_ID_SIZE];

    if (m->full)
        fill_part(r);
    m->seq++;
    buf_writer_init(&body, BODY_BYTES);
    if (cluster_heartbeat_encode(m, &body) != E_OK)
        abort();
    buf_write_u8(&body, 0);
    snprintf(path, sizeof path, "/v1/nodes/%s/heartbeat", m->node);
    (void)http_client_call(r->client, "POST", path, (const char *)body.data, on_reply, r);
    buf_writer_fini(&body);
    cluster_heartbeat_fini(m);
    g.n_heartbeats++;
}

static void on_reply(void *arg, const struct http_reply *http)
{
    struct reporter *r = arg;
    struct cluster_heartbeat_reply reply;
    struct cluster_error error;
    int64_t wait_ms = 1000;

    if (http->e != E_OK || http->status != 200 ||
        cluster_heartbeat_reply_decode(http->body, &reply, &error) != E_OK) {
        r->beat.full = true;
        r->beat.part = 0;
        r->at = 0;
    } else {
        bool has_begun = r->beat.full && r->beat.more;

        r->beat.part = has_begun ? r->beat.part + 1 : 0;
        r->beat.full = has_begun || reply.want_full;
        if (!has_begun)
            r->at = 0;
        if (r->beat.full)
            wait_ms = 0;
        cluster_heartbeat_reply_fini(&reply);
    }
    timer_start_ms(&r->timer, jitter_ms(wait_ms, 0.1));
}

static void on_timer(struct timer *timer)
{
    send_beat(list_entry(timer, struct reporter, timer));
}

/* --- encoders --- */

/* Takes m, which comes back to done(). */
static void call_publish(const char *method, struct cluster_publish *m,
                         void (*done)(void *arg, const struct http_reply *http))
{
    struct buf_writer body;
    char path[STREAM_NAME_SIZE + 32];

    buf_writer_init(&body, BODY_BYTES);
    if (cluster_publish_encode(m, &body) != E_OK)
        abort();
    buf_write_u8(&body, 0);
    snprintf(path, sizeof path, "/v1/streams/%s/publish", m->name.text);
    need(http_client_call(g.encoder, method, path, (const char *)body.data, done, m));
    buf_writer_fini(&body);
}

static void on_given_up(void *arg, const struct http_reply *http)
{
    (void)http;
    free(arg);
}

static void on_published(void *arg, const struct http_reply *http)
{
    struct cluster_publish *m = arg;
    struct cluster_publish_reply reply;
    struct cluster_error error;

    if (http->e != E_OK || http->status != 200 ||
        cluster_publish_reply_decode(http->body, &reply, &error) != E_OK) {
        free(m);
        return;
    }
    m->epoch = reply.epoch;
    call_publish("DELETE", m, on_given_up);
}

/* A new stream begins at some origin, and ends at once: as many end as begin. */
static void on_encoder_timer(struct timer *timer)
{
    struct reporter *r = &g.reporters[sim_below((uint32_t)g.n_origins)];
    struct cluster_publish *m = need(calloc(1, sizeof *m));
    double per_s = (double)g.size->n_streams / (double)g.size->publish_s;
    static uint64_t n;

    m->instance = r->beat.instance;
    m->run = sim_random();
    snprintf(m->name.text, sizeof m->name.text, "fresh/stream-%" PRIu64, n++);
    m->name.app_bytes = 5;
    memcpy(m->node, r->beat.node, sizeof m->node);
    call_publish("POST", m, on_published);
    timer_start_at_us(timer, sim_now_us() + (int64_t)(1e6 / per_s));
}

/* --- the fleet --- */

static void start_schedulers(void)
{
    char name[40];

    for (uint64_t i = 0; i < g.size->n_schedulers; i++) {
        struct sim_daemon *d = &g.schedulers[i];

        snprintf(name, sizeof name, "scheduler%" PRIu64, i + 1);
        sim_daemon_init_scheduler(d, sim_host_add(name));
        sim_daemon_set(d, "store.type=redis");
        sim_daemon_set(d, "store.redis.url=redis://%s", sim_redis_host(0)->address);
        sim_daemon_set(d, "limits.nodes=%" PRIu64, 2 * g.size->n_nodes);
        sim_daemon_set(d, "limits.streams=%" PRIu64, 2 * g.size->n_streams);
        sim_scheduler_start(d);
    }
}

static struct http_client *make_client(uint64_t i)
{
    char url[80];
    const char *urls[] = {url}, *why;
    struct http_client_conf conf = {.urls = urls,
                                    .n_urls = 1,
                                    .bearer_token = SIM_TOKEN,
                                    .timeout_ms = 60000,
                                    .max_body_bytes = BODY_BYTES,
                                    .log_area = "fleet"};

    snprintf(url, sizeof url, "http://%s:%d", g.schedulers[i % g.size->n_schedulers].host->address,
             SIM_SCHEDULER_PORT);
    return need(http_client_create(g.loop, &conf, &why));
}

static void start_reporters(void)
{
    g.reporters = need(calloc(g.size->n_nodes, sizeof *g.reporters));
    for (uint64_t i = 0; i < g.size->n_nodes; i++) {
        struct reporter *r = &g.reporters[i];
        struct cluster_heartbeat *m = &r->beat;

        snprintf(m->node, sizeof m->node, "node-%" PRIu64, i);
        m->instance = i + 1;
        m->role = i < g.n_origins ? CLUSTER_ORIGIN : CLUSTER_EDGE;
        m->state = CLUSTER_NODE_ACTIVE;
        m->full = true;
        m->load.n_viewers = (uint32_t)(g.size->n_viewers / g.size->n_nodes);
        snprintf(m->zone, sizeof m->zone, "zone-%" PRIu64, i % 5);
        snprintf(m->internal_urls.http, CLUSTER_URL_SIZE, "http://node-%" PRIu64 ":8080", i);
        snprintf(m->internal_urls.rtmp, CLUSTER_URL_SIZE, "rtmp://node-%" PRIu64 ":1935", i);
        m->public_urls = m->internal_urls;
        if (i < g.n_origins) {
            r->first_stream = i;
            r->n_streams = (g.size->n_streams - i + g.n_origins - 1) / g.n_origins;
        }
        r->client = make_client(i);
        timer_init(&r->timer, g.loop, on_timer);
        timer_start_ms(&r->timer, sim_between(0, 1000));
    }
}

static bool is_filled(void)
{
    for (uint64_t i = 0; i < g.size->n_schedulers; i++)
        if (g.schedulers[i].scheduler->registry.n_owned < g.size->n_streams)
            return false;
    return true;
}

void sim_fleet_run(const struct sim_size *size, struct sim_fleet_figures *out)
{
    struct sim_redis_count before;
    struct sim_process *world;
    uint64_t n_heartbeats;

    g.size = size;
    g.n_origins = sim_size_origins(size);
    sim_daemon_begin();
    sim_redis_start();
    start_schedulers();
    sim_run_until(sim_now_us() + 3 * SECOND);
    world = sim_enter(sim_process_start(sim_host_add("fleet"), "fleet"));
    g.loop = loop_create("fleet", 0);
    sim_leave(world);
    start_reporters();
    *out = (struct sim_fleet_figures){.n_seconds = COUNTED_S};
    out->fill_s = (double)sim_now_us();
    for (int i = 0; i < FILL_LIMIT_S * 10 && !is_filled() && !sim_has_failed(); i++)
        sim_run_until(sim_now_us() + SECOND / 10);
    out->fill_s = ((double)sim_now_us() - out->fill_s) / 1e6;
    g.encoder = make_client(0);
    timer_init(&g.encoder_timer, g.loop, on_encoder_timer);
    timer_start_ms(&g.encoder_timer, 0);
    sim_run_until(sim_now_us() + WRITTEN_S * SECOND);
    before = sim_redis_count;
    n_heartbeats = g.n_heartbeats;
    sim_run_until(sim_now_us() + COUNTED_S * SECOND);
    out->n_commands = sim_redis_count.n_commands - before.n_commands;
    out->n_heartbeats = g.n_heartbeats - n_heartbeats;
    for (unsigned i = 0; sim_redis_kind(i); i++)
        out->n_by_kind[i] = sim_redis_count.n_by_kind[i] - before.n_by_kind[i];
    if (sim_has_failed())
        sim_report(stderr);
}
