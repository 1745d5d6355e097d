/* Answers of shared memory: what is sent of them, from where it lies, and when it is given back. */
#include "tests/unit/common/net/test_http_server.h"

#define SMALL_BYTES 40
#define BIG_BYTES 400000 /* more than small sockets hold */

/* Parts as a segment has them: of any size, also empty. */
static const size_t k_small_parts[] = {0, 7, 1, 0, 0, 12, 20, 0};
static const size_t k_big_parts[] = {1, 0, 5000, 94999, 100000, 199999, 1};

struct body {
    uint8_t *data;
    struct buf_view parts[8];
    size_t n_parts;
    unsigned n_lent, n_done;
};
static struct body g_small, g_big;
static bool g_was_done; /* some body came back */

static void body_init(struct body *b, const size_t *sizes, size_t n_parts)
{
    size_t at = 0;

    *b = (struct body){.n_parts = n_parts};
    for (size_t i = 0; i < n_parts; i++)
        at += sizes[i];
    b->data = malloc(at);
    assert_non_null(b->data);
    for (size_t i = 0; i < at; i++)
        b->data[i] = (uint8_t)('a' + i * 7 % 26 + (i >> 9) % 3);
    at = 0;
    for (size_t i = 0; i < n_parts; i++) {
        b->parts[i] = buf_view_of(b->data + at, sizes[i]);
        at += sizes[i];
    }
}

static void on_done(void *arg)
{
    struct body *b = arg;

    b->n_done++;
    g_was_done = true;
    assert_true(b->n_done <= b->n_lent);
}

static void respond(struct http_exchange *x, struct body *b, unsigned status)
{
    struct http_shared answer = {.status = status,
                                 .content_type = "video/mp4",
                                 .etag = "\"e1\"",
                                 .cache_control = "max-age=60",
                                 .parts = b->parts,
                                 .n_parts = b->n_parts,
                                 .done = on_done,
                                 .arg = b};

    b->n_lent++;
    http_respond_shared(x, &answer);
}

static void on_small(struct http_exchange *x, void *arg)
{
    (void)arg;
    respond(x, &g_small, 200);
}

static void on_big(struct http_exchange *x, void *arg)
{
    (void)arg;
    respond(x, &g_big, 200);
}

static void on_missing(struct http_exchange *x, void *arg)
{
    (void)arg;
    respond(x, &g_small, 404);
}

static void on_now(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, NULL, buf_view_str(http_query(x)));
}

static void on_hold(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->held = x;
    seen->n_calls++;
}

static const struct http_route k_routes[] = {
    {"GET", "/small", on_small, HTTP_ROUTE_CORS},
    {"GET", "/big", on_big, 0},
    {"GET", "/missing", on_missing, 0},
    {"GET", "/now", on_now, 0},
    {"GET", "/hold", on_hold, 0},
    {0},
};

static int set_up_limits(void **state, int64_t idle_timeout_ms)
{
    struct http_limits limits = k_http_limits_default;
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    limits.idle_timeout_ms = idle_timeout_ms;
    fixture_open(f, &limits, k_routes);
    body_init(&g_small, k_small_parts, sizeof k_small_parts / sizeof k_small_parts[0]);
    body_init(&g_big, k_big_parts, sizeof k_big_parts / sizeof k_big_parts[0]);
    g_was_done = false;
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_limits(state, 60000);
}

static int set_up_impatient(void **state)
{
    return set_up_limits(state, 150);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    assert_int_equal(g_small.n_done, g_small.n_lent);
    assert_int_equal(g_big.n_done, g_big.n_lent);
    free(g_small.data);
    free(g_big.data);
    free(f);
    return 0;
}

#define GET_WITH(target, fields) "GET " target " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define GET(target) GET_WITH(target, "")

/* Takes a head off what came; its body follows there. */
static void take_head(struct client *c, char *head, size_t size)
{
    const char *end;
    size_t head_bytes;

    buf_write_u8(&c->got, 0);
    end = strstr((char *)c->got.data, "\r\n\r\n");
    c->got.used_bytes--;
    assert_non_null(end);
    head_bytes = (size_t)(end + 4 - (char *)c->got.data);
    assert_true(buf_view_to_str(buf_view_of(c->got.data, head_bytes), head, size));
    buf_writer_consume(&c->got, head_bytes);
}

static void expect_head(struct client *c, const char *status_line, const char *field)
{
    char head[1024];

    client_wait_bytes(c, 130); /* a head is longer, and comes in one piece */
    take_head(c, head, sizeof head);
    if (strncmp(head, status_line, strlen(status_line)) != 0 || !strstr(head, field))
        fail_msg("expected %s and %s in: %s", status_line, field, head);
}

static void expect_bytes(struct client *c, const uint8_t *data, size_t size_bytes)
{
    client_wait_bytes(c, size_bytes);
    assert_memory_equal(c->got.data, data, size_bytes);
    buf_writer_consume(&c->got, size_bytes);
}

static void test_respond_shared_sends_all_parts_between_other_answers(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/now?1") GET("/big") GET("/small") GET("/big") GET("/now?2"));
    client_expect(&c, 200, "1");
    for (int i = 0; i < 2; i++) {
        expect_head(&c, "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 400000\r\n");
        expect_bytes(&c, g_big.data, BIG_BYTES);
        if (i == 0)
            client_expect(&c, 200, NULL);
    }
    client_expect(&c, 200, "2");
    assert_int_equal(g_big.n_done, 2);
    assert_int_equal(g_small.n_done, 1);
    client_close(&c);
}

static void test_respond_shared_tells_what_caches_need(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char head[1024];

    client_open(&c, f);
    client_send(&c, GET("/small"));
    client_wait_bytes(&c, 150 + SMALL_BYTES);
    take_head(&c, head, sizeof head);
    assert_non_null(strstr(head, "\r\nContent-Type: video/mp4\r\n"));
    assert_non_null(strstr(head, "\r\nETag: \"e1\"\r\n"));
    assert_non_null(strstr(head, "\r\nCache-Control: max-age=60\r\n"));
    assert_non_null(strstr(head, "\r\nAccept-Ranges: bytes\r\n"));
    assert_non_null(strstr(head, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    expect_bytes(&c, g_small.data, SMALL_BYTES);
    client_close(&c);
}

static void ask_range(struct client *c, const char *target, size_t first, size_t last)
{
    char request[200];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\nRange: bytes=%zu-%zu\r\n\r\n",
             target, first, last);
    client_send(c, request);
}

static void expect_range(struct client *c, const struct body *b, size_t first, size_t last,
                         size_t whole_bytes)
{
    char content_range[80];

    snprintf(content_range, sizeof content_range, "\r\nContent-Range: bytes %zu-%zu/%zu\r\n", first,
             last, whole_bytes);
    expect_head(c, "HTTP/1.1 206 Partial Content\r\n", content_range);
    expect_bytes(c, b->data + first, last - first + 1);
}

static void test_respond_shared_gives_every_range_of_small_parts(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    for (size_t first = 0; first < SMALL_BYTES; first++) {
        for (size_t last = first; last < SMALL_BYTES; last++) {
            ask_range(&c, "/small", first, last);
            expect_range(&c, &g_small, first, last, SMALL_BYTES);
        }
    }
    client_close(&c);
}

/* From and to each edge between parts, one byte before and behind. */
static void test_respond_shared_gives_ranges_at_the_edges_of_big_parts(void **state)
{
    static const size_t k_edges[] = {0,      1,      2,      5000,   5001,   5002,  99999,
                                     100000, 199999, 200000, 200001, 399998, 399999};
    const size_t n_edges = sizeof k_edges / sizeof k_edges[0];
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 16384);
    for (size_t i = 0; i < n_edges; i++) {
        for (size_t j = i; j < n_edges; j++) {
            ask_range(&c, "/big", k_edges[i], k_edges[j]);
            expect_range(&c, &g_big, k_edges[i], k_edges[j], BIG_BYTES);
        }
    }
    client_close(&c);
}

static void test_respond_shared_answers_conditions(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET_WITH("/small", "If-None-Match: \"x\", W/\"e1\"\r\nRange: bytes=0-1\r\n"));
    expect_head(&c, "HTTP/1.1 304 Not Modified\r\n", "\r\nETag: \"e1\"\r\n");
    client_send(&c, GET_WITH("/small", "If-None-Match: \"x\"\r\nRange: bytes=0-1\r\n"));
    expect_range(&c, &g_small, 0, 1, SMALL_BYTES);
    client_send(&c, GET_WITH("/small", "If-Range: \"e1\"\r\nRange: bytes=-1\r\n"));
    expect_range(&c, &g_small, SMALL_BYTES - 1, SMALL_BYTES - 1, SMALL_BYTES);
    client_send(&c, GET_WITH("/small", "If-Range: \"old\"\r\nRange: bytes=0-1\r\n"));
    expect_head(&c, "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 40\r\n");
    expect_bytes(&c, g_small.data, SMALL_BYTES);
    client_send(&c, GET_WITH("/small", "Range: bytes=0-1, 4-5\r\n"));
    expect_head(&c, "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 40\r\n");
    expect_bytes(&c, g_small.data, SMALL_BYTES);
    client_send(&c, GET_WITH("/missing", "If-None-Match: *\r\nRange: bytes=0-1\r\n"));
    expect_head(&c, "HTTP/1.1 404 Not Found\r\n", "\r\nContent-Length: 40\r\n");
    expect_bytes(&c, g_small.data, SMALL_BYTES);
    assert_int_equal(c.got.used_bytes, 0);
    client_close(&c);
}

static void test_respond_shared_gives_416_behind_the_end(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct answer a;

    client_open(&c, f);
    client_send(&c, GET_WITH("/big", "Range: bytes=400000-\r\n") GET("/now?on"));
    client_read(&c, &a, false);
    assert_int_equal(a.status, 416);
    assert_non_null(strstr(a.head, "\r\nContent-Range: bytes */400000\r\n"));
    assert_null(strstr(a.head, "ETag"));
    client_expect(&c, 200, "on");
    assert_int_equal(g_big.n_done, 1);
    client_close(&c);
}

static void test_respond_shared_sends_no_body_to_head(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct answer a;

    client_open(&c, f);
    client_send(&c, "HEAD /big HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n" GET("/now?on"));
    client_read(&c, &a, true);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "\r\nContent-Length: 400000\r\n"));
    client_expect(&c, 200, "on");
    assert_int_equal(g_big.n_done, 1);
    client_close(&c);
}

/* Reads the answer with a blocking socket, step bytes at a time, while the loop turns. */
static void read_in_steps(struct fixture *f, struct client *c, size_t step)
{
    size_t total = BIG_BYTES, got = 0;
    uint8_t *bytes = malloc(total + 1024);
    const char *body = NULL;

    assert_non_null(bytes);
    while (!body || got < total) {
        ssize_t n = recv(c->fd, bytes + got, step, MSG_DONTWAIT);

        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
        bytes[got] = 0;
        if (!body && (body = strstr((char *)bytes, "\r\n\r\n")) != NULL)
            total += (size_t)(body + 4 - (char *)bytes);
        assert_true(g_big.n_done == 0 || got > 0);
        loop_turn(f->loop, false);
    }
    assert_int_equal(got, total);
    assert_memory_equal(bytes + total - BIG_BYTES, g_big.data, BIG_BYTES);
    free(bytes);
}

static void test_respond_shared_serves_a_peer_that_reads_in_any_steps(void **state)
{
    static const size_t k_steps[] = {997, 4096, 5001, 16384, 65536};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof k_steps / sizeof k_steps[0]; i++) {
        struct client c;

        g_big.n_done = g_big.n_lent = 0;
        client_open_sized(&c, f, 8192);
        event_del(c.ev);
        client_send(&c, GET("/big"));
        while (g_big.n_lent == 0)
            loop_turn(f->loop, true);
        turn_ready(f->loop);
        assert_int_equal(g_big.n_done, 0); /* most of it has no room */
        read_in_steps(f, &c, k_steps[i]);
        assert_int_equal(g_big.n_done, 1);
        client_close(&c);
    }
}

/* More than the private queue may hold, and none of it goes there. */
static void test_respond_shared_is_not_bounded_by_the_queue(void **state)
{
    static struct buf_view parts[HTTP_ANSWER_QUEUE_BYTES / BIG_BYTES + 3];
    const size_t n_parts = sizeof parts / sizeof parts[0];
    struct fixture *f = *state;
    struct http_shared answer = {
        .status = 200, .parts = parts, .n_parts = n_parts, .done = on_done, .arg = &g_big};
    struct client c;

    for (size_t i = 0; i < n_parts; i++)
        parts[i] = buf_view_of(g_big.data, BIG_BYTES);
    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/hold") GET("/now?on"));
    while (!f->seen.held)
        loop_turn(f->loop, true);
    g_big.n_lent++;
    http_respond_shared(f->seen.held, &answer);
    client_wait_bytes(&c, n_parts * BIG_BYTES + 50);
    turn_until(f->loop, &g_was_done);
    expect_head(&c, "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: ");
    for (size_t i = 0; i < n_parts; i++)
        expect_bytes(&c, g_big.data, BIG_BYTES);
    client_expect(&c, 200, "on");
    client_close(&c);
}

static void test_respond_shared_gives_back_when_the_peer_leaves_in_the_middle(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/big") GET("/big"));
    client_wait_bytes(&c, 50000);
    assert_int_equal(g_big.n_done, 0);
    client_close(&c);
    turn_until(f->loop, &g_was_done);
    turn_ready(f->loop);
    assert_int_equal(g_big.n_done, 1);
    assert_int_equal(g_big.n_lent, 1); /* the second request is dropped */
}

static void test_respond_shared_gives_back_when_the_server_ends(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/big"));
    client_wait_bytes(&c, 50000);
    assert_int_equal(g_big.n_done, 0);
    http_server_destroy(&f->server);
    assert_int_equal(g_big.n_done, 1);
    client_close(&c);
}

/* Whoever has sent its last request may close its side, as "printf | nc -N" does. */
static void test_respond_shared_serves_a_peer_that_has_ended_its_side(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/big"));
    shutdown(c.fd, SHUT_WR);
    expect_head(&c, "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 400000\r\n");
    expect_bytes(&c, g_big.data, BIG_BYTES);
    client_wait_end(&c);
    client_close(&c);
}

static void test_respond_shared_cuts_off_a_peer_that_does_not_read(void **state)
{
    static const char k_series[] = "headwater_http_bad_requests_total{reason=\"slow_reader\"} ";
    struct fixture *f = *state;
    long before = metric_value(k_series);
    struct client c;

    client_open_sized(&c, f, 8192);
    event_del(c.ev);
    client_send(&c, GET("/big"));
    turn_until(f->loop, &g_was_done);
    assert_int_equal(g_big.n_done, 1);
    assert_int_equal(metric_value(k_series), before + 1);
    client_close(&c);
}

/* Slower than the time-out for all of it, but never as long without taking anything. */
static void test_respond_shared_waits_for_a_peer_that_goes_on_reading(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[4000];
    struct client c;
    size_t got = 0;

    client_open_sized(&c, f, 8192);
    event_del(c.ev);
    client_send(&c, GET("/big"));
    while (got < BIG_BYTES) {
        ssize_t n = recv(c.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        struct timespec pause = {0, 6000000};

        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
        loop_turn(f->loop, false);
        nanosleep(&pause, NULL); /* 100 reads: four times the time-out */
    }
    client_close(&c);
    assert_int_equal(g_big.n_done, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define IMPATIENT(f) cmocka_unit_test_setup_teardown(f, set_up_impatient, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_respond_shared_sends_all_parts_between_other_answers),
        T(test_respond_shared_tells_what_caches_need),
        T(test_respond_shared_gives_every_range_of_small_parts),
        T(test_respond_shared_gives_ranges_at_the_edges_of_big_parts),
        T(test_respond_shared_answers_conditions),
        T(test_respond_shared_gives_416_behind_the_end),
        T(test_respond_shared_sends_no_body_to_head),
        T(test_respond_shared_serves_a_peer_that_reads_in_any_steps),
        T(test_respond_shared_is_not_bounded_by_the_queue),
        T(test_respond_shared_gives_back_when_the_peer_leaves_in_the_middle),
        T(test_respond_shared_gives_back_when_the_server_ends),
        T(test_respond_shared_serves_a_peer_that_has_ended_its_side),
        IMPATIENT(test_respond_shared_cuts_off_a_peer_that_does_not_read),
        IMPATIENT(test_respond_shared_waits_for_a_peer_that_goes_on_reading),
    };
#undef T
#undef IMPATIENT

    return cmocka_run_group_tests(tests, NULL, NULL);
}
