/* node/cluster/clocks against a node made for the test, over real HTTP on loopback. Its loop is the
 * control loop of the node that asks; all is turned by this thread. */
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
#include "common/net/http_client.h"
#include "common/net/listener.h"
#include "node/cluster/clocks.h"
#include "node/control/node_metrics.h"
#include "node/node.h"
#include "proto/flv/flv.h"

#define PATIENCE_US 10000000
#define AHEAD_US INT64_C(3600000000) /* the other clock */
#define TOKEN "secret"

struct rig {
    struct node node; /* asks */
    struct node_loop nl;
    struct http_server *server; /* the one that is asked */
    struct listener *listener;
    struct timer tick; /* so that no turn waits for long */
    unsigned n_asked;
    const char *answer; /* NULL = its clock */
    char url[64];
};
static struct rig *rig;

static void on_clock(struct http_exchange *x, void *arg)
{
    char text[64];

    (void)arg;
    rig->n_asked++;
    if (!http_bearer_is(x, TOKEN)) {
        http_respond_problem(x, 401, "no");
        return;
    }
    snprintf(text, sizeof text, "{\"v\":2,\"mono_us\":%lld,\"more\":[]}",
             (long long)(clock_mono_us() + AHEAD_US));
    http_respond(x, 200, "application/json", buf_view_str(rig->answer ? rig->answer : text));
}

static const struct http_route k_routes[] = {
    {"GET", "/v1/clock", on_clock, 0}, {"GET", "/own", clocks_handle, 0}, {NULL, NULL, NULL, 0}};

static void on_tick(struct timer *timer)
{
    timer_start_ms(timer, 50);
}

static char k_token[] = TOKEN, k_no_token[] = "";

static int setup(void **state)
{
    struct listen_error error;
    struct addr addr;
    int hold_fd = -1;

    (void)state;
    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    log_set_level(LOG_ERROR);
    rig->node.control = loop_create("control", 0);
    timer_init(&rig->tick, rig->node.control, on_tick);
    timer_start_ms(&rig->tick, 0);
    rig->node.token = k_token;
    rig->nl.node = &rig->node;
    rig->node.clocks = clocks_create(&rig->node);
    assert_non_null(rig->node.clocks);
    rig->server =
        http_server_create(rig->node.control, &k_http_limits_default, "t", k_routes, &rig->nl);
    assert_int_equal(listen_reserve("t", "127.0.0.1:0", &addr, &hold_fd, &error), E_OK);
    rig->listener =
        listener_open(rig->node.control, &addr, http_server_accept, rig->server, &error);
    assert_non_null(rig->listener);
    close(hold_fd);
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u/live/a.flv?x=1", addr_port(&addr));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    timer_stop(&rig->tick);
    listener_close(&rig->listener);
    http_server_destroy(&rig->server);
    clocks_destroy(&rig->node.clocks);
    loop_destroy(&rig->node.control);
    free(rig);
    return 0;
}

#define TURN_UNTIL(condition)                                              \
    do {                                                                   \
        int64_t end_us = clock_mono_us() + PATIENCE_US;                    \
        while (!(condition)) {                                             \
            if (clock_mono_us() > end_us)                                  \
                fail_msg("%d: never came true: %s", __LINE__, #condition); \
            loop_turn(rig->node.control, true);                            \
        }                                                                  \
    } while (0)

static int64_t value_of(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

static struct stream_clock ours(struct clock_peer *peer, int64_t clock_us, int64_t unc_us)
{
    const struct flv_hw hw = {.has_clock = true, .clock_us = clock_us, .unc_us = unc_us};

    return clocks_ours(peer, clock_mono_us(), &hw);
}

static void test_ours_is_known_after_the_first_answer_and_adds_to_what_was_said(void **state)
{
    struct clock_peer *peer = clocks_hold(rig->node.clocks, rig->url);
    struct stream_clock clock;

    (void)state;
    assert_non_null(peer);
    assert_false(ours(peer, 0, 0).is_known);
    TURN_UNTIL(ours(peer, 0, 0).is_known);
    clock = ours(peer, 7000, 100);
    /* What is said holds: one clock of this machine is both. */
    assert_in_range(clock.us - 7000 + AHEAD_US + clock.unc_us, 0, 2 * clock.unc_us);
    assert_true(clock.unc_us > 100 && clock.unc_us < PATIENCE_US);
    clocks_drop(&peer);
    assert_null(peer);
}

static void test_ours_is_not_known_where_the_peer_says_none(void **state)
{
    struct clock_peer *peer = clocks_hold(rig->node.clocks, rig->url);
    struct flv_hw silent = {.has_clock = false};

    (void)state;
    TURN_UNTIL(ours(peer, 0, 0).is_known);
    assert_false(ours(peer, 0, -1).is_known);
    assert_false(clocks_ours(peer, clock_mono_us(), &silent).is_known);
    assert_false(ours(NULL, 0, 0).is_known);
    clocks_drop(&peer);
}

static void test_peer_is_asked_four_times_at_first_and_then_left_alone(void **state)
{
    struct clock_peer *peer = clocks_hold(rig->node.clocks, rig->url);
    int64_t begin_us;

    (void)state;
    TURN_UNTIL(rig->n_asked == 4);
    begin_us = clock_mono_us();
    while (clock_mono_us() - begin_us < 100000)
        loop_turn(rig->node.control, false);
    assert_int_equal(rig->n_asked, 4);
    clocks_drop(&peer);
}

static void test_hold_gives_one_peer_for_all_streams_of_a_node(void **state)
{
    struct clock_peer *peers[3];
    char url[100];

    (void)state;
    peers[0] = clocks_hold(rig->node.clocks, rig->url);
    *strstr(strcpy(url, rig->url), "/live") = '\0';
    peers[1] = clocks_hold(rig->node.clocks, url);
    peers[2] = clocks_hold(rig->node.clocks, "http://127.0.0.2/");
    assert_ptr_equal(peers[0], peers[1]);
    assert_ptr_not_equal(peers[0], peers[2]);
    assert_int_equal(value_of(&m_clock_peers), 2);
    for (int i = 0; i < 3; i++)
        clocks_drop(&peers[i]);
}

static void test_peer_that_nobody_holds_is_not_asked_any_more(void **state)
{
    struct clock_peer *peer = clocks_hold(rig->node.clocks, rig->url);

    (void)state;
    TURN_UNTIL(rig->n_asked == 1);
    clocks_drop(&peer);
    TURN_UNTIL(value_of(&m_clock_peers) == 0);
    assert_in_range(rig->n_asked, 1, 2);
    peer = clocks_hold(rig->node.clocks, rig->url); /* again, from the beginning */
    assert_false(ours(peer, 0, 0).is_known);
    TURN_UNTIL(ours(peer, 0, 0).is_known);
    clocks_drop(&peer);
}

static void test_answers_that_are_no_clock_are_counted_and_left_out(void **state)
{
    static const char *const k_bad[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"mono_us\":\"5\"}",
                                        "{\"mono_us\":-5}",
                                        "{\"mono_us\":5.5}",
                                        "{\"mono_us\":9223372036854775807}"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct clock_peer *peer = clocks_hold(rig->node.clocks, rig->url);
        int64_t before = value_of(&m_clock_asks_failed);

        rig->answer = k_bad[i];
        TURN_UNTIL(value_of(&m_clock_asks_failed) > before);
        assert_false(ours(peer, 0, 0).is_known);
        clocks_drop(&peer);
        TURN_UNTIL(value_of(&m_clock_peers) == 0);
    }
}

static void test_node_that_refuses_or_is_away_stays_unknown(void **state)
{
    struct clock_peer *away = clocks_hold(rig->node.clocks, "http://127.0.0.1:1");
    struct clock_peer *peer = clocks_hold(rig->node.clocks, rig->url);
    int64_t before = value_of(&m_clock_asks_failed);

    (void)state;
    rig->node.token = k_no_token;
    TURN_UNTIL(value_of(&m_clock_asks_failed) >= before + 8);
    assert_false(ours(peer, 0, 0).is_known);
    assert_false(ours(away, 0, 0).is_known);
    clocks_drop(&peer);
    clocks_drop(&away);
}

static void test_hold_gives_null_for_what_cannot_be_asked(void **state)
{
    static const char *const k_bad[] = {NULL, "", "http://", "rtmp://127.0.0.1/live",
                                        "127.0.0.1:80"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_null(clocks_hold(rig->node.clocks, k_bad[i]));
    assert_null(clocks_hold(NULL, rig->url));
    assert_int_equal(value_of(&m_clock_peers), 0);
}

static void hold_all(struct clock_peer *peers[CLOCKS_MAX_PEERS])
{
    char url[64];

    for (unsigned i = 0; i < CLOCKS_MAX_PEERS; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u", 1 + i);
        peers[i] = clocks_hold(rig->node.clocks, url);
        assert_non_null(peers[i]);
    }
}

static void test_hold_gives_null_when_there_are_too_many(void **state)
{
    struct clock_peer *peers[CLOCKS_MAX_PEERS];
    int64_t before = value_of(&m_clock_asks_limit);

    (void)state;
    hold_all(peers);
    assert_null(clocks_hold(rig->node.clocks, rig->url));
    assert_int_equal(value_of(&m_clock_asks_limit), before + 1);
    for (unsigned i = 0; i < CLOCKS_MAX_PEERS; i++)
        clocks_drop(&peers[i]);
}

static unsigned count_lines(const char *path, const char *with)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    unsigned n = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        n += strstr(line, with) != NULL;
    fclose(file);
    return n;
}

static void test_hold_says_once_that_there_are_too_many_until_one_has_gone(void **state)
{
    struct clock_peer *peers[CLOCKS_MAX_PEERS];
    char path[] = "/tmp/headwater-clocks-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    log_set_level(LOG_WARN);
    assert_int_equal(log_open(path), E_OK);
    hold_all(peers);
    for (int i = 0; i < 3; i++)
        assert_null(clocks_hold(rig->node.clocks, rig->url));
    assert_int_equal(count_lines(path, "too many"), 1);
    clocks_drop(&peers[0]);
    TURN_UNTIL(value_of(&m_clock_peers) == CLOCKS_MAX_PEERS - 1);
    peers[0] = clocks_hold(rig->node.clocks, "http://127.0.0.2:1");
    for (int i = 0; i < 3; i++)
        assert_null(clocks_hold(rig->node.clocks, rig->url));
    assert_int_equal(count_lines(path, "too many"), 2);
    for (unsigned i = 0; i < CLOCKS_MAX_PEERS; i++)
        clocks_drop(&peers[i]);
    assert_int_equal(log_open(""), E_OK);
    unlink(path);
}

/* --- our own --- */

struct got {
    bool done;
    unsigned status;
    long long mono_us;
};

static void on_own(void *arg, const struct http_reply *reply)
{
    struct got *got = arg;
    char text[256] = "";

    got->done = true;
    got->status = reply->status;
    (void)buf_view_to_str(reply->body, text, sizeof text);
    (void)sscanf(text, "{\"v\":1,\"mono_us\":%lld}", &got->mono_us);
}

static struct got ask_own(const char *token)
{
    const char *url = rig->url, *why;
    struct http_client_conf conf = {.urls = &url,
                                    .n_urls = 1,
                                    .bearer_token = token,
                                    .timeout_ms = 5000,
                                    .max_body_bytes = 1000,
                                    .log_area = "t"};
    struct http_client *client;
    struct got got = {0};

    *strstr(rig->url, "/live") = '\0';
    client = http_client_create(rig->node.control, &conf, &why);
    assert_non_null(client);
    assert_non_null(http_client_call(client, "GET", "/own", NULL, on_own, &got));
    TURN_UNTIL(got.done);
    http_client_destroy(&client);
    return got;
}

static void test_handle_says_the_clock_to_other_nodes(void **state)
{
    int64_t before_us = clock_mono_us();
    struct got got = ask_own(TOKEN);

    (void)state;
    assert_int_equal(got.status, 200);
    assert_in_range(got.mono_us, before_us, clock_mono_us());
}

static void test_handle_refuses_who_has_no_token(void **state)
{
    (void)state;
    assert_int_equal(ask_own("other").status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_ours_is_known_after_the_first_answer_and_adds_to_what_was_said),
        TEST(test_ours_is_not_known_where_the_peer_says_none),
        TEST(test_peer_is_asked_four_times_at_first_and_then_left_alone),
        TEST(test_hold_gives_one_peer_for_all_streams_of_a_node),
        TEST(test_peer_that_nobody_holds_is_not_asked_any_more),
        TEST(test_answers_that_are_no_clock_are_counted_and_left_out),
        TEST(test_node_that_refuses_or_is_away_stays_unknown),
        TEST(test_hold_gives_null_for_what_cannot_be_asked),
        TEST(test_hold_gives_null_when_there_are_too_many),
        TEST(test_hold_says_once_that_there_are_too_many_until_one_has_gone),
        TEST(test_handle_says_the_clock_to_other_nodes),
        TEST(test_handle_refuses_who_has_no_token),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
