/* node/cluster/agent against a scheduler made for the test, over real HTTP on loopback. Everything
 * runs in this thread: the loops are turned until what is expected has happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/drain.h"
#include "node/handover.h"
#include "node/node.h"
#include "node/relay/pull.h"
#include "node/relay/push.h"

#define PATIENCE_US 10000000
#define GRANTED_EPOCH 5000
#define LOG_SIZE 256

struct rig {
    struct loop *control, *media_loop;
    struct node node;
    struct node_loop media;
    char url[96];
    char *urls[1];

    /* the scheduler */
    struct http_server *server;
    struct listener *listener;
    struct http_exchange *events; /* the node's events connection */
    const char *token;            /* that it wants */
    unsigned n_beats, n_routes;
    struct cluster_heartbeat beat; /* the last one */
    unsigned n_parts;              /* of full reports */
    size_t n_in_parts;             /* streams in them */
    struct cluster_heartbeat_reply beat_reply;
    unsigned beat_status, publish_status; /* 0 = as usual */
    bool hold_routes;
    struct http_exchange *held[8];
    unsigned n_held;
    char calls[LOG_SIZE]; /* "P" publish, "R" release, in order */

    /* what reached the streams */
    struct source source;
    enum err evicted;
    uint64_t published_epoch;
    struct standby standby;
    uint64_t promoted_epoch;
    char left[2][CLUSTER_ID_SIZE]; /* by pulls, by pushes */
    unsigned n_drains, n_resumes;
};
static struct rig *rig;

/* The agent's other ends: these stand in for node/relay, node/drain.c and node/handover.c. */
bool handover_is_old(const struct node *node, const char *id)
{
    (void)node;
    (void)id;
    return false;
}

void pull_on_leaving(struct node *node, struct stream *stream, const char *leaving)
{
    (void)node;
    assert_string_equal(stream_name_of(stream)->text, "live/a");
    strcpy(rig->left[0], leaving);
}

void push_on_leaving(struct node *node, struct stream *stream, const char *leaving)
{
    (void)node;
    assert_string_equal(stream_name_of(stream)->text, "live/a");
    strcpy(rig->left[1], leaving);
}

void node_drain(struct node *node, enum drain_why why)
{
    (void)node;
    assert_int_equal(why, DRAIN_ORDER);
    rig->n_drains++;
}

void node_resume(struct node *node)
{
    (void)node;
    rig->n_resumes++;
}

void pull_on_published(struct node *node, struct stream *stream, uint64_t epoch, const char *owner)
{
    (void)node;
    (void)stream;
    (void)owner;
    rig->published_epoch = epoch;
}

/* Whatever the media loop waits for wakes the control loop first; heartbeats end every wait. */
static void turn(void)
{
    loop_turn(rig->control, true);
    loop_turn(rig->media_loop, false);
}

#define TURN_UNTIL(condition)                                              \
    do {                                                                   \
        int64_t end_us = clock_mono_us() + PATIENCE_US;                    \
        while (!(condition)) {                                             \
            if (clock_mono_us() > end_us)                                  \
                fail_msg("%d: never came true: %s", __LINE__, #condition); \
            turn();                                                        \
        }                                                                  \
    } while (0)

/* --- the scheduler --- */

static void answer(struct http_exchange *x, struct buf_writer *out)
{
    assert_int_equal(buf_writer_status(out), E_OK);
    http_respond(x, 200, "application/json", buf_writer_view(out));
    buf_writer_fini(out);
}

static void on_beat(struct http_exchange *x, void *arg)
{
    struct cluster_error error;
    struct buf_writer out;

    (void)arg;
    cluster_heartbeat_fini(&rig->beat);
    assert_string_equal(http_path_arg(x, "id"), "n1");
    assert_true(http_bearer_is(x, rig->token));
    assert_int_equal(cluster_heartbeat_decode(http_body(x), &rig->beat, &error), E_OK);
    rig->n_beats++;
    if (rig->beat.part || rig->beat.more) {
        assert_int_equal(rig->beat.part, rig->n_parts);
        rig->n_parts++;
        rig->n_in_parts += rig->beat.n_streams;
    }
    if (rig->beat_status != 200) {
        http_respond_problem(x, rig->beat_status, "not today");
        return;
    }
    buf_writer_init(&out, 65536);
    cluster_heartbeat_reply_encode(&rig->beat_reply, &out);
    rig->beat_reply.n_fenced = rig->beat_reply.n_moved = 0;
    rig->beat_reply.want_full = rig->beat_reply.drain = false;
    answer(x, &out);
}

static void on_events_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    (void)arg;
    rig->events = NULL;
}

static void on_events(struct http_exchange *x, void *arg)
{
    (void)arg;
    rig->events = x;
    http_set_pending(x, on_events_gone, NULL);
    http_stream_begin(x, 200, "application/json");
}

static void send_event(enum cluster_event_type type, const struct stream_name *name, uint64_t epoch,
                       const char *node)
{
    struct cluster_event event = {.type = type, .name = *name, .epoch = epoch};
    struct buf_writer out;

    snprintf(event.node, sizeof event.node, "%s", node);
    buf_writer_init(&out, 4096);
    assert_int_equal(cluster_event_encode(&event, &out), E_OK);
    assert_int_equal(http_stream_write(rig->events, buf_writer_view(&out)), E_OK);
    buf_writer_fini(&out);
}

static void note_call(const char *what)
{
    strncat(rig->calls, what, LOG_SIZE - strlen(rig->calls) - 1);
}

static void on_publish(struct http_exchange *x, void *arg)
{
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_GRANTED,
                                          .epoch = GRANTED_EPOCH};
    struct buf_writer out;

    (void)arg;
    assert_string_equal(http_path(x), "/v1/streams/live/a/publish");
    note_call("P");
    if (rig->publish_status) {
        http_respond_problem(x, rig->publish_status, "not today");
        return;
    }
    buf_writer_init(&out, 4096);
    cluster_publish_reply_encode(&reply, &out);
    answer(x, &out);
}

static void on_release(struct http_exchange *x, void *arg)
{
    struct cluster_publish message;
    struct cluster_error error;

    (void)arg;
    assert_int_equal(cluster_publish_decode(http_body(x), &message, &error), E_OK);
    assert_int_equal(message.epoch, GRANTED_EPOCH);
    note_call("R");
    http_respond(x, 200, "application/json", buf_view_str("{\"v\":1}"));
}

static void answer_route(struct http_exchange *x)
{
    struct cluster_route route = {.decision = CLUSTER_PULL, .n_upstreams = 1, .ttl_ms = 60000};
    struct buf_writer out;

    strcpy(route.upstreams[0].node, "o1");
    strcpy(route.upstreams[0].url, "http://10.0.0.1:8080");
    route.upstreams[0].epoch = 77;
    buf_writer_init(&out, 4096);
    cluster_route_encode(&route, &out);
    answer(x, &out);
}

static void on_route(struct http_exchange *x, void *arg)
{
    (void)arg;
    rig->n_routes++;
    if (!rig->hold_routes) {
        answer_route(x);
        return;
    }
    assert_true(rig->n_held < 8);
    rig->held[rig->n_held++] = x;
    http_set_pending(x, NULL, NULL);
}

static const struct http_route k_routes[] = {
    {"POST", "/v1/nodes/{id}/heartbeat", on_beat, 0},
    {"GET", "/v1/nodes/{id}/events", on_events, 0},
    {"POST", "/v1/streams/{rest...}", on_publish, 0},
    {"DELETE", "/v1/streams/{rest...}", on_release, 0},
    {"GET", "/v1/route", on_route, 0},
    {NULL, NULL, NULL, 0},
};

static void scheduler_open(void)
{
    struct listen_error error;
    struct addr bound;
    int hold_fd = -1;
    char text[ADDR_TEXT_SIZE];

    assert_int_equal(listen_reserve("test", "127.0.0.1:0", &bound, &hold_fd, &error), E_OK);
    rig->server = http_server_create(rig->control, &k_http_limits_default, "test", k_routes, NULL);
    rig->listener = listener_open(rig->control, &bound, http_server_accept, rig->server, &error);
    assert_non_null(rig->listener);
    close(hold_fd);
    snprintf(rig->url, sizeof rig->url, "http://%s", addr_format(&bound, text));
    rig->urls[0] = rig->url;
}

static void scheduler_close(void)
{
    listener_close(&rig->listener);
    http_server_destroy(&rig->server);
}

/* --- the node --- */

static void no_source(void *arg, struct stream *stream)
{
    (void)arg;
    (void)stream;
}

static char k_empty[] = "", k_token[] = "secret";

static void node_open(void)
{
    static const struct stream_conf k_conf = {
        .gop = {1, 1 << 20, 1000000}, .publisher_grace_ms = 1000, .publish_stall_ms = 60000};
    struct stream_hooks hooks = {.need_source = no_source, .changed = no_source};
    struct node *node = &rig->node;
    struct node_conf *conf = &node->conf;
    const char *why = "";

    strcpy(node->id, "n1");
    node->instance = 42;
    node->token = k_token;
    node->control = rig->control;
    node->stream_conf = k_conf;
    node->registry = registry_create(&node->stream_conf, &hooks);
    node->n_loops = 1;
    node->loops = &rig->media;
    rig->media.node = node;
    assert_int_equal(media_loop_init(&rig->media.media, rig->media_loop, node->registry), E_OK);
    rig->media.media.owner = &rig->media;
    assert_int_equal(addr_parse(&node->http_addr, "0.0.0.0:8080"), E_OK);
    conf->cluster_schedulers = (struct conf_list){rig->urls, 1};
    conf->cluster_zone = k_empty;
    conf->cluster_advertise_public_rtmp = conf->cluster_advertise_public_http = k_empty;
    conf->cluster_advertise_public_https = conf->cluster_advertise_internal_rtmp = k_empty;
    conf->cluster_advertise_internal_http = conf->cluster_advertise_internal_https = k_empty;
    node->agent = agent_create(node, &why);
    assert_non_null(node->agent);
}

static int setup(void **state)
{
    (void)state;
    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    list_init(&rig->standby.node);
    log_set_level(LOG_ERROR);
    rig->token = "secret";
    rig->beat_status = 200;
    rig->beat_reply = (struct cluster_heartbeat_reply){.lease_ms = 5000, .interval_ms = 100};
    rig->control = loop_create("control", 0);
    rig->media_loop = loop_create("media", 0);
    assert_true(rig->control && rig->media_loop);
    scheduler_open();
    node_open();
    return 0;
}

static int teardown(void **state)
{
    struct list *node, *tmp;

    (void)state;
    agent_destroy(&rig->node.agent);
    scheduler_close();
    cluster_heartbeat_fini(&rig->beat);
    free(rig->beat_reply.fenced);
    free(rig->beat_reply.moved);
    stream_remove_standby(&rig->standby);
    list_for_each_safe(node, tmp, &rig->media.media.streams)
        stream_kick(stream_at_home(node));
    media_loop_fini(&rig->media.media);
    loop_destroy(&rig->control);
    loop_destroy(&rig->media_loop);
    registry_destroy(&rig->node.registry);
    free(rig);
    return 0;
}

static struct stream_name name_a(void)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str("/live/a"), &why), E_OK);
    return name;
}

static void on_evict(struct source *source, enum err why)
{
    (void)source;
    rig->evicted = why;
}

/* live/a has a publisher of that epoch. The registry's stream stays while it has a source. */
static void publish_a(uint64_t epoch)
{
    struct stream_name name = name_a();
    struct stream *stream = registry_get(rig->node.registry, &name);
    struct source_offer offer = {.epoch = epoch, .numbers_gops = true};

    assert_non_null(stream);
    rig->source = (struct source){.kind = SOURCE_PUBLISHER,
                                  .protocol = "rtmp",
                                  .session_id = "r-1",
                                  .upstream = "",
                                  .on_evict = on_evict};
    loop_turn(rig->media_loop, false); /* the home loop takes the stream in */
    assert_int_equal(stream_attach(stream, &rig->source, &offer), E_OK);
    stream_unref(&stream);
}

static void on_done(struct agent_ask *ask)
{
    ++*(unsigned *)ask->arg;
}

static struct agent_ask make_ask(int what, unsigned *n_done)
{
    struct agent_ask ask = {.reply_loop = rig->media_loop, .arg = n_done, .done = on_done};

    if (what == AGENT_ASK_PUBLISH) {
        ask.what = AGENT_ASK_PUBLISH;
        ask.publish.name = name_a();
    } else {
        ask.what = AGENT_ASK_ROUTE;
        ask.route.name = name_a();
        ask.route.intent = CLUSTER_INTENT_SOURCE;
    }
    return ask;
}

/* --- heartbeats --- */

static void test_start_gives_full_heartbeat_then_deltas(void **state)
{
    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    assert_true(rig->beat.full);
    assert_int_equal(rig->beat.seq, 1);
    assert_int_equal(rig->beat.instance, 42);
    assert_int_equal(rig->beat.state, CLUSTER_NODE_ACTIVE);
    assert_string_equal(rig->beat.internal_urls.http, "http://127.0.0.1:8080");
    assert_string_equal(rig->beat.internal_urls.rtmp, "");
    assert_int_equal(rig->beat.n_streams, 1);
    assert_string_equal(rig->beat.streams[0].name.text, "live/a");
    assert_int_equal(rig->beat.streams[0].kind, CLUSTER_STREAM_OWNED);
    assert_int_equal(rig->beat.streams[0].epoch, 7);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    TURN_UNTIL(rig->n_beats == 2);
    assert_false(rig->beat.full);
    assert_int_equal(rig->beat.seq, 2);
    assert_int_equal(rig->beat.n_streams, 0);
    assert_int_equal(rig->beat.highest_epoch, 7);
}

static void test_heartbeat_gives_full_report_when_the_scheduler_wants_it(void **state)
{
    (void)state;
    rig->beat_reply.want_full = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 2);
    assert_true(rig->beat.full);
}

static void test_heartbeat_gives_disconnected_when_refused_and_recovers(void **state)
{
    (void)state;
    rig->beat_status = 401;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    TURN_UNTIL(rig->n_beats == 2);
    assert_false(agent_is_connected(rig->node.agent));
    rig->beat_status = 200;
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    assert_true(rig->beat.full);
}

static void test_heartbeat_says_what_the_node_is(void **state)
{
    (void)state;
    rig->node.replaces = 41;
    rig->node.conf.cluster_weight = 250;
    rig->node.conf.limits_viewers = 1000;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    assert_int_equal(rig->beat.replaces, 41);
    assert_int_equal(rig->beat.weight, 250);
    assert_int_equal(rig->beat.max_viewers, 1000);
}

static void test_heartbeat_gives_stream_as_carried_at_an_edge(void **state)
{
    (void)state;
    rig->node.conf.cluster_role = CLUSTER_EDGE; /* what is published there is forwarded */
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    assert_int_equal(rig->beat.streams[0].kind, CLUSTER_STREAM_CARRIED);
    assert_int_equal(rig->beat.streams[0].epoch, 7);
    assert_int_equal(rig->beat.streams[0].depth, 1);
    assert_string_equal(rig->beat.streams[0].upstream, "");
}

/* One publisher each, of streams that nobody looks at closer. */
static struct source *publish_many(unsigned n)
{
    struct source *sources = calloc(n, sizeof *sources);

    assert_non_null(sources);
    for (unsigned i = 0; i < n; i++) {
        struct source_offer offer = {.epoch = i + 1};
        struct stream_name name;
        struct stream *stream;
        const char *why;
        char path[32];

        snprintf(path, sizeof path, "/many/%u", i);
        assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
        stream = registry_get(rig->node.registry, &name);
        loop_turn(rig->media_loop, false);
        sources[i].kind = SOURCE_PUBLISHER;
        sources[i].protocol = "rtmp";
        sources[i].session_id = sources[i].upstream = "";
        sources[i].on_evict = on_evict;
        assert_int_equal(stream_attach(stream, &sources[i], &offer), E_OK);
        stream_unref(&stream);
    }
    return sources;
}

static void
test_heartbeat_gives_long_full_report_in_parts_when_the_scheduler_takes_them(void **state)
{
    const unsigned n = CLUSTER_PART_STREAMS + 200;
    struct source *sources;

    (void)state;
    rig->beat_reply.parts = true;
    rig->beat_reply.want_full = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    sources = publish_many(n);
    rig->beat_reply.want_full = true;
    TURN_UNTIL(rig->n_parts == 2);
    assert_int_equal(rig->n_in_parts, n);
    assert_false(rig->beat.more);
    TURN_UNTIL(!rig->beat.full);
    assert_int_equal(rig->beat.n_streams, 0);
    for (unsigned i = 0; i < n; i++)
        stream_detach(&sources[i]);
    free(sources);
}

/* It is refused, not unreachable: to publish all the same would be past the scheduler's rules. */
static void test_heartbeat_gives_refused_node_with_the_reason_until_it_is_taken(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), again = ask;
    char reason[AGENT_REFUSAL_SIZE];

    (void)state;
    rig->beat_status = 409;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_refused(rig->node.agent, reason));
    assert_string_equal(reason, "status 409: not today");
    assert_false(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_REFUSED);
    assert_non_null(strstr(ask.publish_reply.reason, "409"));
    assert_string_equal(rig->calls, ""); /* nobody was asked in vain */
    rig->beat_status = 200;
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    assert_false(agent_is_refused(rig->node.agent, reason));
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(again.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
}

static void test_set_token_is_what_heartbeats_bear(void **state)
{
    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    TURN_UNTIL(!agent_is_busy(rig->node.agent));
    rig->token = "second";
    agent_set_token(rig->node.agent, "second");
    TURN_UNTIL(rig->n_beats == 3);
}

static void test_heartbeat_reply_tells_what_has_moved(void **state)
{
    struct cluster_fenced *moved = calloc(1, sizeof *moved);

    (void)state;
    assert_non_null(moved);
    publish_a(7);
    moved->name = name_a();
    moved->epoch = 9;
    strcpy(moved->owner, "n2");
    rig->beat_reply.moved = moved;
    rig->beat_reply.n_moved = 1;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->published_epoch == 9);
}

static void test_heartbeat_reply_drains_the_node(void **state)
{
    (void)state;
    rig->beat_reply.drain = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_drains == 1);
}

static void test_poke_gives_heartbeat_before_its_time(void **state)
{
    int64_t begin_us;

    (void)state;
    rig->beat_reply.interval_ms = 10000;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    begin_us = clock_mono_us();
    agent_poke(rig->node.agent);
    agent_poke(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 2);
    assert_true(clock_mono_us() - begin_us < 5000000);
}

static void test_drain_gives_heartbeat_that_says_so(void **state)
{
    (void)state;
    rig->beat_reply.interval_ms = 10000;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    assert_false(agent_drain_is_known(rig->node.agent));
    atomic_store(&rig->node.draining, true);
    agent_drain(rig->node.agent);
    TURN_UNTIL(rig->beat.state == CLUSTER_NODE_DRAINING);
    TURN_UNTIL(agent_drain_is_known(rig->node.agent));
}

static void test_heartbeat_reply_closes_publisher_that_is_fenced(void **state)
{
    struct cluster_fenced *fenced = calloc(1, sizeof *fenced);

    (void)state;
    assert_non_null(fenced);
    publish_a(7);
    fenced->name = name_a();
    fenced->epoch = 9;
    strcpy(fenced->owner, "n2");
    rig->beat_reply.fenced = fenced;
    rig->beat_reply.n_fenced = 1;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->evicted != E_OK);
    assert_int_equal(rig->evicted, E_STALE);
}

/* --- publish --- */

static void test_ask_publish_gives_the_grant(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done);

    (void)state;
    agent_start(rig->node.agent);
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_int_equal(ask.publish_reply.epoch, GRANTED_EPOCH);
    assert_false(ask.degraded);
}

/* A scheduler that has not heard of this node, or of this process of it, would refuse. */
static void test_ask_publish_waits_for_the_first_heartbeat(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done);

    (void)state;
    agent_ask(rig->node.agent, &ask);
    for (int i = 0; i < 10; i++) {
        loop_turn(rig->control, false);
        loop_turn(rig->media_loop, false);
    }
    assert_string_equal(rig->calls, "");
    agent_start(rig->node.agent);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_false(ask.degraded);
    assert_int_equal(rig->n_beats, 1);
}

static void test_ask_publish_gives_own_epoch_when_no_scheduler_answers(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), again = ask;
    uint64_t now = (uint64_t)clock_wall_us();

    (void)state;
    scheduler_close();
    agent_start(rig->node.agent);
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_true(ask.degraded);
    assert_true(ask.publish_reply.epoch >= now);
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_true(again.publish_reply.epoch > ask.publish_reply.epoch);
}

static void test_ask_publish_gives_refused_when_the_scheduler_answers_4xx(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), other = ask;

    (void)state;
    agent_start(rig->node.agent);
    rig->publish_status = 401;
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_REFUSED);
    assert_non_null(strstr(ask.publish_reply.reason, "401"));
    assert_false(ask.degraded);
    rig->publish_status = 500; /* that is a broken scheduler, not a no */
    agent_ask(rig->node.agent, &other);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(other.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_true(other.degraded);
}

static void test_release_reaches_the_scheduler_before_the_next_publish(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), again = ask;
    struct stream_name name = name_a();

    (void)state;
    agent_start(rig->node.agent);
    agent_ask(rig->node.agent, &ask);
    agent_release(rig->node.agent, &name, GRANTED_EPOCH);
    agent_ask(rig->node.agent, &again);
    agent_release(rig->node.agent, &name, GRANTED_EPOCH);
    TURN_UNTIL(strlen(rig->calls) == 4);
    assert_string_equal(rig->calls, "PRPR");
    assert_int_equal(n_done, 2);
}

/* --- routes --- */

static void test_ask_route_gives_one_answer_to_all_who_ask_the_same(void **state)
{
    unsigned n_done = 0;
    struct agent_ask asks[3];

    (void)state;
    rig->hold_routes = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    for (int i = 0; i < 3; i++) {
        asks[i] = make_ask(AGENT_ASK_ROUTE, &n_done);
        agent_ask(rig->node.agent, &asks[i]);
    }
    TURN_UNTIL(rig->n_held == 1);
    answer_route(rig->held[0]);
    TURN_UNTIL(n_done == 3);
    assert_int_equal(rig->n_routes, 1);
    for (int i = 0; i < 3; i++)
        assert_string_equal(asks[i].route_reply.upstreams[0].node, "o1");

    asks[0] = make_ask(AGENT_ASK_ROUTE, &n_done); /* from the cache */
    agent_ask(rig->node.agent, &asks[0]);
    TURN_UNTIL(n_done == 4);
    assert_int_equal(rig->n_routes, 1);
}

/* Viewers that a full node turns away: one question while it is under way, but no answer is kept.
 */
static void test_ask_route_elsewhere_is_shared_and_not_cached(void **state)
{
    unsigned n_done = 0;
    struct agent_ask asks[3];

    (void)state;
    rig->hold_routes = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    for (int i = 0; i < 3; i++) {
        asks[i] = make_ask(AGENT_ASK_ROUTE, &n_done);
        asks[i].route.intent = CLUSTER_INTENT_PLAY;
        strcpy(asks[i].route.avoid.id[0], "n1");
        asks[i].route.avoid.n = 1;
        agent_ask(rig->node.agent, &asks[i]);
    }
    TURN_UNTIL(rig->n_held == 1);
    answer_route(rig->held[0]);
    TURN_UNTIL(n_done == 3);
    assert_int_equal(rig->n_routes, 1);
    agent_ask(rig->node.agent, &asks[0]);
    TURN_UNTIL(rig->n_held == 2);
    answer_route(rig->held[1]);
    TURN_UNTIL(n_done == 4);
}

static void test_ask_route_asks_again_when_an_upstream_is_to_be_avoided(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done), again = ask;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    strcpy(again.route.avoid.id[0], "o2");
    again.route.avoid.n = 1;
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(rig->n_routes, 2);
}

static void test_ask_route_gives_last_known_route_when_no_scheduler_answers(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done), again = ask;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    scheduler_close();
    TURN_UNTIL(!agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_true(again.degraded);
    assert_int_equal(again.route_reply.decision, CLUSTER_PULL);
    assert_string_equal(again.route_reply.upstreams[0].node, "o1");
}

static void test_ask_route_gives_degraded_answer_when_the_scheduler_hangs(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done);

    (void)state;
    rig->hold_routes = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_true(ask.degraded);
    assert_int_equal(ask.route_reply.decision, CLUSTER_WAIT);
}

/* --- events --- */

static void test_event_reaches_the_stream_on_its_home_loop(void **state)
{
    struct stream_name name = name_a();

    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_PUBLISHED, &name, 8, "n2");
    TURN_UNTIL(rig->published_epoch == 8);
    send_event(CLUSTER_EVENT_FENCED, &name, 7, "n2"); /* not above ours: ours goes on */
    send_event(CLUSTER_EVENT_PUBLISHED, &name, 9, "n2");
    TURN_UNTIL(rig->published_epoch == 9);
    assert_int_equal(rig->evicted, E_OK);
    send_event(CLUSTER_EVENT_FENCED, &name, 8, "n2");
    TURN_UNTIL(rig->evicted != E_OK);
    assert_int_equal(rig->evicted, E_STALE);
}

static void test_event_kick_ends_the_stream(void **state)
{
    struct stream_name name = name_a();

    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_KICK, &name, 0, "");
    TURN_UNTIL(rig->evicted != E_OK);
    assert_int_equal(rig->evicted, E_DENIED);
}

static void on_turn(struct standby *standby, uint64_t epoch)
{
    (void)standby;
    rig->promoted_epoch = epoch;
}

static void test_event_promote_gives_the_standby_its_turn(void **state)
{
    struct stream_name name = name_a();
    struct stream *stream;

    (void)state;
    publish_a(7);
    stream = registry_get(rig->node.registry, &name);
    rig->standby.on_turn = on_turn;
    assert_int_equal(stream_add_standby(stream, &rig->standby), E_OK);
    stream_unref(&stream);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    assert_int_equal(rig->beat.n_standbys, 1);
    assert_string_equal(rig->beat.standbys[0].name.text, "live/a");
    send_event(CLUSTER_EVENT_PROMOTE, &name, 8, "n2"); /* not us */
    send_event(CLUSTER_EVENT_PROMOTE, &name, 9, "n1");
    TURN_UNTIL(rig->promoted_epoch);
    assert_int_equal(rig->promoted_epoch, 9);
}

static void test_event_promote_gives_the_stream_back_when_nobody_stands_by(void **state)
{
    struct stream_name name = name_a();

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_PROMOTE, &name, GRANTED_EPOCH, "n1"); /* not even the stream is here */
    TURN_UNTIL(strlen(rig->calls) == 1);
    publish_a(7);
    send_event(CLUSTER_EVENT_PROMOTE, &name, GRANTED_EPOCH, "n1");
    TURN_UNTIL(strlen(rig->calls) == 2);
    assert_string_equal(rig->calls, "RR");
}

static void test_event_leaving_reaches_pulls_and_pushes(void **state)
{
    struct stream_name none = {.text = ""};

    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_LEAVING, &none, 0, "n1"); /* that is us: nothing to do */
    send_event(CLUSTER_EVENT_LEAVING, &none, 0, "n2");
    TURN_UNTIL(rig->left[1][0]);
    assert_string_equal(rig->left[0], "n2");
    assert_string_equal(rig->left[1], "n2");
}

static void test_event_drain_and_resume_are_for_the_node_that_they_name(void **state)
{
    struct stream_name none = {.text = ""};

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_DRAIN, &none, 0, "n2");
    send_event(CLUSTER_EVENT_RESUME, &none, 0, "n2");
    send_event(CLUSTER_EVENT_DRAIN, &none, 0, "n1");
    send_event(CLUSTER_EVENT_RESUME, &none, 0, "n1");
    TURN_UNTIL(rig->n_resumes);
    assert_int_equal(rig->n_drains, 1);
    assert_int_equal(rig->n_resumes, 1);
}

static void test_event_published_makes_the_cached_route_old(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done), again = ask;
    struct stream_name name = name_a();

    (void)state;
    publish_a(7); /* so that the event can be seen to arrive */
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    send_event(CLUSTER_EVENT_PUBLISHED, &name, 8, "n2");
    TURN_UNTIL(rig->published_epoch == 8);
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(rig->n_routes, 2);
}

static void test_events_connection_comes_back_when_it_was_closed(void **state)
{
    struct http_exchange *first;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    first = rig->events;
    rig->events = NULL;
    http_stream_end(first);
    TURN_UNTIL(rig->events);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_start_gives_full_heartbeat_then_deltas),
        TEST(test_heartbeat_gives_full_report_when_the_scheduler_wants_it),
        TEST(test_heartbeat_gives_disconnected_when_refused_and_recovers),
        TEST(test_heartbeat_says_what_the_node_is),
        TEST(test_heartbeat_gives_stream_as_carried_at_an_edge),
        TEST(test_heartbeat_gives_long_full_report_in_parts_when_the_scheduler_takes_them),
        TEST(test_heartbeat_gives_refused_node_with_the_reason_until_it_is_taken),
        TEST(test_set_token_is_what_heartbeats_bear),
        TEST(test_heartbeat_reply_tells_what_has_moved),
        TEST(test_heartbeat_reply_drains_the_node),
        TEST(test_poke_gives_heartbeat_before_its_time),
        TEST(test_drain_gives_heartbeat_that_says_so),
        TEST(test_heartbeat_reply_closes_publisher_that_is_fenced),
        TEST(test_ask_publish_gives_the_grant),
        TEST(test_ask_publish_waits_for_the_first_heartbeat),
        TEST(test_ask_publish_gives_own_epoch_when_no_scheduler_answers),
        TEST(test_ask_publish_gives_refused_when_the_scheduler_answers_4xx),
        TEST(test_release_reaches_the_scheduler_before_the_next_publish),
        TEST(test_ask_route_gives_one_answer_to_all_who_ask_the_same),
        TEST(test_ask_route_elsewhere_is_shared_and_not_cached),
        TEST(test_ask_route_asks_again_when_an_upstream_is_to_be_avoided),
        TEST(test_ask_route_gives_last_known_route_when_no_scheduler_answers),
        TEST(test_ask_route_gives_degraded_answer_when_the_scheduler_hangs),
        TEST(test_event_reaches_the_stream_on_its_home_loop),
        TEST(test_event_kick_ends_the_stream),
        TEST(test_event_promote_gives_the_standby_its_turn),
        TEST(test_event_promote_gives_the_stream_back_when_nobody_stands_by),
        TEST(test_event_leaving_reaches_pulls_and_pushes),
        TEST(test_event_drain_and_resume_are_for_the_node_that_they_name),
        TEST(test_event_published_makes_the_cached_route_old),
        TEST(test_events_connection_comes_back_when_it_was_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
