/* node/control/trace over real HTTP on loopback. All loops are turned by this thread. */
#include "tests/unit/node/control/http_ask.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/listener.h"
#include "node/control/trace.h"
#include "node/node.h"
#include "proto/flv/flv.h"

#define PATIENCE_US 10000000
#define N_LOOPS 3
#define REPLY_SIZE 16384
#define TOKEN "Authorization: Bearer secret\r\n"

struct rig {
    struct node node;
    struct node_loop loops[N_LOOPS]; /* the media port is on the first */
    struct session_info viewer;      /* on the last */
    struct source source;
    struct stream *stream; /* owned reference */
    struct http_server *server;
    struct listener *listener;
    struct addr addr;
    int64_t late_us; /* of the frame, at most */
    char reply[REPLY_SIZE];
    unsigned status;
    json_t *json; /* of the reply; NULL when it is none */
};
static struct rig *rig;

static void no_source(void *arg, struct stream *stream)
{
    (void)arg;
    (void)stream;
}

static void on_evict(struct source *source, enum err why)
{
    (void)source;
    (void)why;
}

static void on_count(const struct session_info *info, struct session_counts *counts)
{
    (void)info;
    counts->bytes_in = counts->bytes_out = counts->n_jumps = 0;
    counts->lag_us = 33000;
}

static void turn(void)
{
    for (unsigned i = 0; i < N_LOOPS; i++)
        loop_turn(rig->loops[i].media.loop, false);
    loop_turn(rig->node.control, false);
}

static const struct http_route k_routes[] = {{"GET", "/v1/trace", trace_handle, 0},
                                             {NULL, NULL, NULL, 0}};

static void open_loops(void)
{
    for (unsigned i = 0; i < N_LOOPS; i++) {
        struct node_loop *nl = &rig->loops[i];

        nl->node = &rig->node;
        assert_int_equal(media_loop_init(&nl->media, loop_create("media", i), rig->node.registry),
                         E_OK);
        nl->media.owner = nl;
    }
}

static void listen_on_first(void)
{
    struct listen_error error;
    int hold_fd = -1;

    rig->server = http_server_create(rig->loops[0].media.loop, &k_http_limits_default, "http",
                                     k_routes, &rig->loops[0]);
    assert_int_equal(listen_reserve("http.listen", "127.0.0.1:0", &rig->addr, &hold_fd, &error),
                     E_OK);
    rig->listener = listener_open(rig->loops[0].media.loop, &rig->addr, http_server_accept,
                                  rig->server, &error);
    assert_non_null(rig->listener);
    close(hold_fd);
}

static int setup(void **state)
{
    static const struct stream_conf k_conf = {
        .gop = {1, 1 << 20, 1000000}, .publisher_grace_ms = 10000, .pull_idle_ms = 60000};
    static char k_token[] = "secret";
    struct stream_hooks hooks = {.need_source = no_source, .changed = no_source};
    struct conf_args args = {0};
    struct conf_error error;

    (void)state;
    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    log_set_level(LOG_ERROR);
    assert_int_equal(conf_load(&k_node_schema, &args, &rig->node.conf, &error), E_OK);
    strcpy(rig->node.id, "edge-2");
    rig->node.token = k_token;
    rig->node.stream_conf = k_conf;
    rig->node.registry = registry_create(&rig->node.stream_conf, &hooks);
    rig->node.control = loop_create("control", N_LOOPS);
    rig->node.n_loops = N_LOOPS;
    rig->node.loops = rig->loops;
    open_loops();
    listen_on_first();
    session_info_init(&rig->viewer, &rig->loops[N_LOOPS - 1].media, 'f', "flv", "10.0.0.1:5");
    strcpy(rig->viewer.id, "f-1");
    rig->viewer.kind = "play";
    rig->viewer.stream = "live/a";
    rig->viewer.count = on_count;
    return 0;
}

static int teardown(void **state)
{
    struct list *node, *tmp;

    (void)state;
    json_decref(rig->json);
    if (rig->source.stream)
        stream_detach(&rig->source);
    stream_unref(&rig->stream);
    listener_close(&rig->listener);
    http_server_destroy(&rig->server);
    session_info_fini(&rig->viewer, &rig->loops[N_LOOPS - 1].media);
    for (unsigned i = 0; i < N_LOOPS; i++) {
        list_for_each_safe(node, tmp, &rig->loops[i].media.streams)
            stream_kick(stream_at_home(node));
        media_loop_fini(&rig->loops[i].media);
        loop_destroy(&rig->loops[i].media.loop);
    }
    loop_destroy(&rig->node.control);
    registry_destroy(&rig->node.registry);
    conf_free(&k_node_schema, &rig->node.conf);
    free(rig);
    return 0;
}

/* live/a comes from edge-1. */
static void pull(void)
{
    struct source_offer offer = {.epoch = UINT64_C(9007199254740993), .run = UINT64_MAX};
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str("/live/a"), &why), E_OK);
    rig->stream = registry_get(rig->node.registry, &name);
    assert_non_null(rig->stream);
    turn(); /* its home loop takes it in */
    rig->source = (struct source){.kind = SOURCE_PULL,
                                  .protocol = "relay",
                                  .session_id = "p-1",
                                  .upstream = "edge-1",
                                  .on_evict = on_evict};
    assert_int_equal(stream_attach(rig->stream, &rig->source, &offer), E_OK);
}

/* A key frame that was 9 ms on its way, and what the upstream says before it. */
static void push_frame(const char *trail, bool clock_is_known)
{
    static const uint8_t k_key[] = {0x17, 1, 0, 0, 0, 1, 2, 3, 4};
    int64_t now_us = clock_mono_us();
    struct stream_upstream said = {.epoch = UINT64_C(9007199254740993),
                                   .run = UINT64_MAX,
                                   .gop = 1,
                                   .ingest_us = now_us - 500000 - 9000,
                                   .is_timed = true,
                                   .clock = {clock_is_known, 500000, 40},
                                   .trail = buf_view_str(trail)};
    const char *why;

    stream_set_upstream(&rig->source, &said);
    assert_int_equal(
        stream_push(&rig->source, FLV_TAG_VIDEO, 0, buf_view_of(k_key, sizeof k_key), &why), E_OK);
    rig->late_us = 9000 + clock_mono_us() - now_us;
}

static int send_request(const char *query, const char *headers)
{
    char request[512], lines[512];

    snprintf(request, sizeof request, "GET /v1/trace%s", query);
    snprintf(lines, sizeof lines, "Host: x\r\n%s", headers);
    return http_ask_send(&rig->addr, request, lines);
}

static void read_reply(int fd)
{
    char *body;

    rig->status = http_ask_read(fd, turn, rig->reply, REPLY_SIZE);
    body = strstr(rig->reply, "\r\n\r\n");
    json_decref(rig->json);
    rig->json = body ? json_loads(body, 0, NULL) : NULL;
}

static void ask(const char *query)
{
    read_reply(send_request(query, TOKEN));
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "(none)";
}

static const json_t *hop(size_t i)
{
    return json_array_get(json_object_get(rig->json, "hops"), i);
}

static size_t n_hops(void)
{
    return json_array_size(json_object_get(rig->json, "hops"));
}

static int64_t lag_of(size_t i)
{
    return json_integer_value(json_object_get(hop(i), "lag_us"));
}

/* unc_us -1: neither is known. */
static void assert_hop(size_t i, const char *id, const char *epoch, int64_t lag_us, int64_t unc_us)
{
    const json_t *lag = json_object_get(hop(i), "lag_us");
    const json_t *unc = json_object_get(hop(i), "uncertainty_us");

    assert_string_equal(text_at(hop(i), "node"), id);
    assert_string_equal(text_at(hop(i), "epoch"), epoch);
    if (unc_us < 0) {
        assert_true(json_is_null(lag));
        assert_true(json_is_null(unc));
        return;
    }
    assert_int_equal(json_integer_value(lag), lag_us);
    assert_int_equal(json_integer_value(unc), unc_us);
}

static int64_t age_of(size_t i)
{
    const json_t *age = json_object_get(hop(i), "age_us");

    return json_is_integer(age) ? json_integer_value(age) : -1;
}

static void test_trace_lists_the_hops_from_the_viewer_to_the_encoder(void **state)
{
    (void)state;
    pull();
    push_frame("origin-1,7,0,0;edge-1,9007199254740993,5000,30", true);
    ask("?session=f-1");
    assert_int_equal(rig->status, 200);
    assert_int_equal(json_integer_value(json_object_get(rig->json, "v")), 1);
    assert_string_equal(text_at(rig->json, "session"), "f-1");
    assert_string_equal(text_at(rig->json, "kind"), "play");
    assert_string_equal(text_at(rig->json, "stream"), "live/a");
    assert_string_equal(text_at(rig->json, "protocol"), "flv");
    assert_string_equal(text_at(rig->json, "peer"), "10.0.0.1:5");
    assert_string_equal(text_at(rig->json, "node"), "edge-2");
    assert_int_equal(json_integer_value(json_object_get(rig->json, "viewer_lag_us")), 33000);
    assert_string_equal(text_at(json_object_get(rig->json, "encoder"), "run"),
                        "18446744073709551615");
    assert_int_equal(n_hops(), 3);
    assert_in_range(lag_of(0), 9000, rig->late_us);
    assert_hop(0, "edge-2", "9007199254740993", lag_of(0), 40);
    assert_hop(1, "edge-1", "9007199254740993", 5000, 30);
    assert_hop(2, "origin-1", "7", 0, 0);
    assert_true(age_of(0) >= 0);
    assert_int_equal(age_of(1), age_of(0) + lag_of(0) - 5000); /* it was on its way meanwhile */
    assert_int_equal(age_of(2), age_of(0) + lag_of(0));
}

static void test_trace_says_null_for_what_is_not_known(void **state)
{
    (void)state;
    pull();
    push_frame("origin-1,7,0,0;edge-1,7,0,-1", false);
    ask("?session=f-1");
    assert_int_equal(n_hops(), 3);
    assert_hop(0, "edge-2", "9007199254740993", 0, -1);
    assert_hop(1, "edge-1", "7", 0, -1);
    assert_hop(2, "origin-1", "7", 0, 0);
    assert_true(age_of(0) >= 0);
    assert_int_equal(age_of(1), -1);
    assert_int_equal(age_of(2), -1);
}

static void test_trace_has_no_hops_while_the_stream_has_no_source(void **state)
{
    (void)state;
    ask("?session=f-1"); /* nor is there a stream */
    assert_int_equal(rig->status, 200);
    assert_int_equal(n_hops(), 0);
    assert_true(json_is_null(json_object_get(rig->json, "encoder")));
    pull();
    push_frame("origin-1,7,0,0", true);
    stream_detach(&rig->source);
    ask("?session=f-1");
    assert_int_equal(n_hops(), 0);
    assert_true(json_is_null(json_object_get(rig->json, "encoder")));
}

static void test_trace_takes_the_name_of_the_node_in_front(void **state)
{
    (void)state;
    ask("?session=edge-2/f-1");
    assert_int_equal(rig->status, 200);
    assert_string_equal(text_at(rig->json, "session"), "f-1");
    ask("?session=edge-1%2Ff-1");
    assert_int_equal(rig->status, 404);
    assert_non_null(strstr(text_at(rig->json, "detail"), "edge-2"));
}

static void test_trace_gives_404_for_a_session_that_is_not_here(void **state)
{
    (void)state;
    ask("?session=f-2");
    assert_int_equal(rig->status, 404);
    assert_non_null(strstr(text_at(rig->json, "detail"), "no session"));
}

static void test_trace_gives_400_for_what_is_no_id(void **state)
{
    static const char *const k_bad[] = {"", "?session=", "?session=edge-2/",
                                        "?session=0123456789abcdef", "?x=f-1"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        ask(k_bad[i]);
        assert_int_equal(rig->status, 400);
    }
}

static void test_trace_gives_401_without_the_token(void **state)
{
    (void)state;
    read_reply(send_request("?session=f-1", ""));
    assert_int_equal(rig->status, 401);
}

static void test_trace_survives_a_peer_that_leaves_and_a_node_that_stops(void **state)
{
    int fds[2];

    (void)state;
    pull();
    for (int i = 0; i < 2; i++)
        fds[i] = send_request("?session=f-1", TOKEN);
    loop_turn(rig->loops[0].media.loop, true);
    close(fds[0]);
    for (int i = 0; i < 4; i++)
        turn();
    close(fds[1]);
    fds[0] = send_request("?session=f-1", TOKEN); /* under way in teardown */
    loop_turn(rig->loops[0].media.loop, true);
    loop_turn(rig->loops[0].media.loop, false);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_trace_lists_the_hops_from_the_viewer_to_the_encoder),
        TEST(test_trace_says_null_for_what_is_not_known),
        TEST(test_trace_has_no_hops_while_the_stream_has_no_source),
        TEST(test_trace_takes_the_name_of_the_node_in_front),
        TEST(test_trace_gives_404_for_a_session_that_is_not_here),
        TEST(test_trace_gives_400_for_what_is_no_id),
        TEST(test_trace_gives_401_without_the_token),
        TEST(test_trace_survives_a_peer_that_leaves_and_a_node_that_stops),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
