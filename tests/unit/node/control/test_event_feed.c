/* node/control/event_feed over real HTTP: who reads and who does not, the ring, the beat. */
#include "tests/unit/node/control/http_ask.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/listener.h"
#include "node/control/event_feed.h"
#include "node/control/events_json.h"
#include "node/control/node_metrics.h"
#include "node/node.h"

#define TEXT_BYTES 2000
#define READ_BYTES (64u << 20)

struct rig {
    struct node node;
    struct event_feed *feed;
    struct http_server *server;
    struct listener *listener;
    struct addr addr;
    char *got;
    size_t n_got;
};
static struct rig *rig;

static void get_events(struct http_exchange *x, void *arg)
{
    (void)arg;
    event_feed_open(rig->feed, x);
}

static const struct http_route k_routes[] = {{"GET", "/events", get_events, 0},
                                             {NULL, NULL, NULL, 0}};

static int setup(void **state)
{
    struct listen_error error;
    int hold_fd = -1;

    (void)state;
    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    log_set_level(LOG_ERROR);
    strcpy(rig->node.id, "n1");
    rig->node.instance = 255;
    events_init(&rig->node.events);
    rig->node.control = loop_create("control", 0);
    rig->feed = event_feed_create(&rig->node);
    rig->server =
        http_server_create(rig->node.control, &k_http_limits_default, "test", k_routes, NULL);
    rig->got = malloc(READ_BYTES);
    assert_true(rig->feed && rig->server && rig->got);
    assert_int_equal(listen_reserve("test", "127.0.0.1:0", &rig->addr, &hold_fd, &error), E_OK);
    rig->listener =
        listener_open(rig->node.control, &rig->addr, http_server_accept, rig->server, &error);
    assert_non_null(rig->listener);
    close(hold_fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    listener_close(&rig->listener);
    http_server_destroy(&rig->server);
    event_feed_destroy(&rig->feed);
    loop_destroy(&rig->node.control);
    free(rig->got);
    free(rig);
    return 0;
}

static void turn(void)
{
    loop_turn(rig->node.control, false);
}

static int open_reader(const char *query, const char *headers)
{
    int64_t before = atomic_load(&m_event_readers.value);
    int64_t end_us = clock_mono_us() + HTTP_ASK_PATIENCE_US;
    char request[256];
    int fd;

    snprintf(request, sizeof request, "GET /events%s", query);
    fd = http_ask_send(&rig->addr, request, headers);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (atomic_load(&m_event_readers.value) == before) {
        assert_true(clock_mono_us() < end_us);
        turn();
    }
    rig->n_got = 0;
    return fd;
}

static void take(int fd)
{
    ssize_t n;

    while ((n = read(fd, rig->got + rig->n_got, READ_BYTES - 1 - rig->n_got)) > 0)
        rig->n_got += (size_t)n;
    rig->got[rig->n_got] = '\0';
}

static bool has_come(int fd, const char *text)
{
    int64_t end_us = clock_mono_us() + HTTP_ASK_PATIENCE_US;

    for (; clock_mono_us() < end_us; turn()) {
        take(fd);
        if (strstr(rig->got, text))
            return true;
    }
    return false;
}

static void tell(enum event_id id, const char *stream, const char *text)
{
    struct event_field fields[] = {{"stream", stream, 0}, {"reason", text, 0}};

    events_tell(&rig->node, id, fields, 2);
    turn();
}

static void test_reader_gets_what_it_asked_for(void **state)
{
    int fd = open_reader("?types=on_play&stream=live/a", "Host: x\r\n");

    (void)state;
    tell(EVENT_PLAY_DONE, "live/a", "type");
    tell(EVENT_PLAY, "live/b", "stream");
    tell(EVENT_PLAY, "live/a", "wanted");
    assert_true(has_come(fd, "wanted"));
    assert_null(strstr(rig->got, "\"reason\":\"type\""));
    assert_null(strstr(rig->got, "\"reason\":\"stream\""));
    assert_non_null(strstr(rig->got, "id: ff-4\nevent: on_play\ndata: {\"id\":\"ff-4\","));
    close(fd);
}

static void test_slow_reader_is_cut_off_and_the_other_gets_all(void **state)
{
    char text[TEXT_BYTES];
    int64_t end_us = clock_mono_us() + 2 * HTTP_ASK_PATIENCE_US;
    int slow, quick;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    slow = open_reader("", "Host: x\r\n");
    quick = open_reader("", "Host: x\r\n");
    for (unsigned i = 0; atomic_load(&m_event_readers.value) == 2; i++) {
        assert_true(clock_mono_us() < end_us);
        tell(EVENT_PLAY, "live/a", text);
        take(quick);
        assert_true(i < 20000); /* 40 MB: sockets take some, the queue 4 MiB */
    }
    assert_int_equal(atomic_load(&m_event_readers.value), 1);
    tell(EVENT_PLAY, "live/a", "the last one");
    assert_true(has_come(quick, "the last one"));
    for (uint64_t seq = 2; seq <= rig->node.events.seq; seq += 97) {
        char id[64];

        snprintf(id, sizeof id, "\nid: ff-%llu\n", (unsigned long long)seq);
        assert_non_null(strstr(rig->got, id));
    }
    close(slow);
    close(quick);
}

static void test_resume_gives_what_is_kept_and_says_what_is_lost(void **state)
{
    int fd = open_reader("", "Host: x\r\n"), again;

    (void)state;
    for (unsigned i = 0; i < EVENT_FEED_KEPT + 10; i++)
        tell(EVENT_PLAY, "live/a", "x");
    tell(EVENT_PLAY, "live/a", "newest");
    assert_true(has_come(fd, "newest"));
    again = open_reader("", "Host: x\r\nLast-Event-ID: ff-12\r\n"); /* 13 is the oldest one kept */
    assert_true(has_come(again, "newest"));
    assert_null(strstr(rig->got, "lost"));
    assert_non_null(strstr(rig->got, "\nid: ff-13\n"));
    close(again);
    again = open_reader("", "Host: x\r\nLast-Event-ID: ff-11\r\n");
    assert_true(has_come(again, "newest"));
    assert_non_null(strstr(rig->got, "event: lost\ndata: {\"event\":\"lost\",\"after\":\"ff-11\""));
    close(again);
    close(fd);
}

static void test_too_many_readers_are_refused(void **state)
{
    int fds[EVENT_FEED_MAX_READERS];
    char reply[4096];

    (void)state;
    for (unsigned i = 0; i < EVENT_FEED_MAX_READERS; i++)
        fds[i] = open_reader("", "Host: x\r\n");
    assert_int_equal(http_ask_read(http_ask_send(&rig->addr, "GET /events", "Host: x\r\n"), turn,
                                   reply, sizeof reply),
                     503);
    assert_non_null(strstr(reply, "Retry-After"));
    for (unsigned i = 0; i < EVENT_FEED_MAX_READERS; i++)
        close(fds[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reader_gets_what_it_asked_for),
        TEST(test_slow_reader_is_cut_off_and_the_other_gets_all),
        TEST(test_resume_gives_what_is_kept_and_says_what_is_lost),
        TEST(test_too_many_readers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
