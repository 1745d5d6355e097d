/* What the tests of node/cluster/agent share: the agent of a node with one media loop, against a
 * scheduler made for the test, over real HTTP on loopback. Everything runs in this thread: the
 * loops are turned until what is expected has happened. */
#ifndef HW_TESTS_AGENT_TEST_H
#define HW_TESTS_AGENT_TEST_H

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
#include "node/control/settings_sync.h"
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
    const char *settings; /* the answer to GET /v1/settings */
    unsigned n_gets, n_posts, post_status;
    char asked[128], posted[2048]; /* the last ones */

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
static inline void turn(void)
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

static inline void answer(struct http_exchange *x, struct buf_writer *out)
{
    assert_int_equal(buf_writer_status(out), E_OK);
    http_respond(x, 200, "application/json", buf_writer_view(out));
    buf_writer_fini(out);
}

static inline void on_beat(struct http_exchange *x, void *arg)
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

static inline void on_events_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    (void)arg;
    rig->events = NULL;
}

static inline void on_events(struct http_exchange *x, void *arg)
{
    (void)arg;
    rig->events = x;
    http_set_pending(x, on_events_gone, NULL);
    http_stream_begin(x, 200, "application/json");
}

static inline void note_call(const char *what)
{
    strncat(rig->calls, what, LOG_SIZE - strlen(rig->calls) - 1);
}

static inline void on_publish(struct http_exchange *x, void *arg)
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

static inline void on_release(struct http_exchange *x, void *arg)
{
    struct cluster_publish message;
    struct cluster_error error;

    (void)arg;
    assert_int_equal(cluster_publish_decode(http_body(x), &message, &error), E_OK);
    assert_int_equal(message.epoch, GRANTED_EPOCH);
    note_call("R");
    http_respond(x, 200, "application/json", buf_view_str("{\"v\":1}"));
}

static inline void answer_route(struct http_exchange *x)
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

static inline void on_route(struct http_exchange *x, void *arg)
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

static inline void on_get_settings(struct http_exchange *x, void *arg)
{
    (void)arg;
    rig->n_gets++;
    snprintf(rig->asked, sizeof rig->asked, "%s", http_query(x));
    http_respond(x, 200, "application/json", buf_view_str(rig->settings));
}

static inline void on_post_settings(struct http_exchange *x, void *arg)
{
    (void)arg;
    rig->n_posts++;
    assert_true(buf_view_to_str(http_body(x), rig->posted, sizeof rig->posted));
    if (rig->post_status)
        http_respond_problem(x, rig->post_status, "not today");
    else
        http_respond(x, 200, "application/json", buf_view_str("{\"v\":1}"));
}

static const struct http_route k_routes[] = {
    {"POST", "/v1/nodes/{id}/heartbeat", on_beat, 0},
    {"GET", "/v1/nodes/{id}/events", on_events, 0},
    {"POST", "/v1/streams/{rest...}", on_publish, 0},
    {"DELETE", "/v1/streams/{rest...}", on_release, 0},
    {"GET", "/v1/route", on_route, 0},
    {"GET", "/v1/settings", on_get_settings, 0},
    {"POST", "/v1/settings", on_post_settings, 0},
    {NULL, NULL, NULL, 0},
};

static inline void scheduler_open(void)
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

static inline void scheduler_close(void)
{
    listener_close(&rig->listener);
    http_server_destroy(&rig->server);
}

/* --- the node --- */

static inline void no_source(void *arg, struct stream *stream)
{
    (void)arg;
    (void)stream;
}

static char k_empty[] = "", k_token[] = "secret";

static inline void node_open(void)
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
    node->settings = settings_create(rig->control, node->id);
    node->n_loops = 1;
    node->loops = &rig->media;
    rig->media.node = node;
    assert_int_equal(media_loop_init(&rig->media.media, rig->media_loop, node->registry), E_OK);
    rig->media.media.owner = &rig->media;
    assert_int_equal(addr_parse(&node->bound[PROTOCOL_HTTP], "0.0.0.0:8080"), E_OK);
    conf->cluster_schedulers = (struct conf_list){rig->urls, 1};
    conf->cluster_zone = k_empty;
    conf->cluster_advertise_public_rtmp = conf->cluster_advertise_public_http = k_empty;
    conf->cluster_advertise_public_https = conf->cluster_advertise_public_rtmps = k_empty;
    conf->cluster_advertise_internal_rtmp = k_empty;
    conf->cluster_advertise_internal_http = conf->cluster_advertise_internal_https = k_empty;
    conf->cluster_advertise_admin = k_empty;
    node->agent = agent_create(node, &why);
    assert_non_null(node->agent);
}

static inline int setup(void **state)
{
    (void)state;
    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    list_init(&rig->standby.node);
    log_set_level(LOG_ERROR);
    rig->token = "secret";
    rig->beat_status = 200;
    rig->settings = "{\"v\":1}";
    rig->beat_reply = (struct cluster_heartbeat_reply){.lease_ms = 5000, .interval_ms = 100};
    rig->control = loop_create("control", 0);
    rig->media_loop = loop_create("media", 0);
    assert_true(rig->control && rig->media_loop);
    scheduler_open();
    node_open();
    return 0;
}

static inline int teardown(void **state)
{
    struct list *node, *tmp;

    (void)state;
    agent_destroy(&rig->node.agent);
    settings_destroy(&rig->node.settings);
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

static inline struct stream_name name_a(void)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str("/live/a"), &why), E_OK);
    return name;
}

static inline void on_evict(struct source *source, enum err why)
{
    (void)source;
    rig->evicted = why;
}

/* live/a has a publisher of that epoch. The registry's stream stays while it has a source. */
static inline void publish_a(uint64_t epoch)
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

static inline void on_done(struct agent_ask *ask)
{
    ++*(unsigned *)ask->arg;
}

static inline struct agent_ask make_ask(int what, unsigned *n_done)
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
