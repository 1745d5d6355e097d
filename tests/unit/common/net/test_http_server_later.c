/* Answers that come later: put off, endless, or given with the connection itself. */
#include "tests/unit/common/net/test_http_server.h"

#include <linux/tcp.h>

static void on_gone(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    assert_ptr_equal(x, seen->held);
    seen->held = NULL;
    seen->n_gone++;
}

static void on_hold(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    assert_null(seen->held); /* one at a time, in order */
    seen->n_calls++;
    seen->held = x;
    http_set_pending(x, on_gone, seen);
}

static void on_now(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    http_respond(x, 200, NULL, buf_view_str(http_query(x)));
}

/* Answers what another connection waits for, then itself. */
static void on_free(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;
    struct http_exchange *held = seen->held;

    seen->n_calls++;
    seen->held = NULL;
    http_respond(held, 200, NULL, buf_view_str("freed"));
    http_respond(x, 200, NULL, buf_view_str("free"));
}

static void on_stream(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    seen->held = x;
    http_set_pending(x, on_gone, seen);
    http_add_header(x, "Cache-Control", "no-store");
    http_stream_begin(x, 200, "text/plain");
    assert_int_equal(http_stream_write(x, buf_view_str("first\n")), E_OK);
}

/* Writes more than the queue takes from inside the handler. */
static void on_flood(struct http_exchange *x, void *arg)
{
    static char zeros[HTTP_ANSWER_QUEUE_BYTES / 4];
    struct seen *seen = arg;

    on_stream(x, arg);
    while (seen->stream_error == E_OK)
        seen->stream_error = http_stream_write(x, buf_view_of(zeros, sizeof zeros));
    assert_int_equal(http_stream_write(x, buf_view_str("more")), E_CLOSED);
    assert_int_equal(seen->n_gone, 0); /* not from within the call */
}

static void taken_on_readable(struct conn *conn, void *arg)
{
    struct buf_view got;
    enum err e;

    (void)arg;
    while ((e = conn_read(conn, &got)) == E_OK)
        assert_int_equal(conn_write(conn, got), E_OK);
}

static const struct conn_ops k_taken_ops = {.on_readable = taken_on_readable};

static void take(struct http_exchange *x, struct seen *seen)
{
    static const char k_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n";

    seen->taken = http_take_conn(x);
    if (!seen->taken)
        return;
    conn_set_ops(seen->taken, &k_taken_ops, seen);
    assert_int_equal(conn_write(seen->taken, buf_view_str(k_head)), E_OK);
}

static void on_take(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    take(x, seen);
}

/* What a handler of uploads gets: body and bytes; the test reads the rest off the connection. */
static struct {
    struct http_body body;
    struct buf_writer rest;
    bool expects;
} taken_upload;

static void take_upload(struct http_exchange *x, struct seen *seen)
{
    buf_writer_init(&taken_upload.rest, 65536);
    taken_upload.expects = http_expects_continue(x);
    seen->taken = http_take_upload(x, &taken_upload.body, &taken_upload.rest);
    assert_non_null(seen->taken);
    conn_set_ops(seen->taken, &k_taken_ops, seen);
}

static void on_upload(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    if (http_query(x)[0])
        http_respond(x, 403, NULL, buf_view_str("no"));
    else
        take_upload(x, seen);
}

static const struct http_route k_routes[] = {
    {"GET", "/hold", on_hold, 0},
    {"GET", "/now", on_now, 0},
    {"GET", "/free", on_free, 0},
    {"GET", "/stream", on_stream, 0},
    {"GET", "/flood", on_flood, 0},
    {"GET", "/take", on_take, 0},
    {"POST", "/upload", on_upload, HTTP_ROUTE_UPLOAD},
    {"POST", "/upload_later", on_hold, HTTP_ROUTE_UPLOAD},
    {NULL, NULL, NULL, 0},
};

static const struct http_limits k_limits = {
    .max_head_bytes = 4096,
    .max_body_bytes = 4096,
    .head_timeout_ms = 60000,
    .body_timeout_ms = 60000,
    .idle_timeout_ms = 60000,
    .max_pipelined = 4,
};

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static int set_up(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    fixture_open(f, &k_limits, k_routes);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    conn_close(&f->seen.taken);
    fixture_close(f);
    free(f);
    return 0;
}

static void wait_for_calls(struct fixture *f, unsigned n_calls)
{
    struct timer deadline;

    timer_init(&deadline, f->loop, test_deadline);
    timer_start_ms(&deadline, TEST_DEADLINE_MS);
    while (f->seen.n_calls < n_calls)
        loop_turn(f->loop, true);
    timer_stop(&deadline);
}

static void wait_for_gone(struct fixture *f)
{
    struct timer deadline;

    timer_init(&deadline, f->loop, test_deadline);
    timer_start_ms(&deadline, TEST_DEADLINE_MS);
    while (f->seen.n_gone == 0)
        loop_turn(f->loop, true);
    timer_stop(&deadline);
}

static void respond_held(struct fixture *f, const char *text)
{
    struct http_exchange *x = f->seen.held;

    f->seen.held = NULL;
    http_respond(x, 200, NULL, buf_view_str(text));
}

static void test_later_answer_holds_back_the_ones_behind_it(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/hold") GET("/now?1") GET("/hold") GET("/now?2"));
    wait_for_calls(f, 1);
    turn_ready(f->loop);
    assert_int_equal(f->seen.n_calls, 1);
    assert_int_equal(c.got.used_bytes, 0);
    respond_held(f, "a");
    client_expect(&c, 200, "a");
    client_expect(&c, 200, "1");
    assert_int_equal(f->seen.n_calls, 3);
    respond_held(f, "b");
    client_expect(&c, 200, "b");
    client_expect(&c, 200, "2");
    assert_int_equal(f->seen.n_gone, 0);
    client_close(&c);
}

static void test_answers_to_requests_that_came_together_go_out_together(void **state)
{
    struct fixture *f = *state;
    struct tcp_info info;
    socklen_t size = sizeof info;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/now?1") GET("/now?2") GET("/now?3"));
    client_expect(&c, 200, "1");
    client_expect(&c, 200, "2");
    client_expect(&c, 200, "3");
    assert_int_equal(getsockopt(c.fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    client_close(&c);
    if (size < offsetof(struct tcp_info, tcpi_data_segs_in) + sizeof info.tcpi_data_segs_in)
        skip(); /* qemu-user gives the first four bytes alone */
    assert_int_equal(info.tcpi_data_segs_in, 1);
}

static void test_answer_to_another_connection_does_not_mix_with_those_before(void **state)
{
    struct fixture *f = *state;
    struct client waiting, c;

    client_open(&waiting, f);
    client_send(&waiting, GET("/hold") GET("/now?behind"));
    wait_for_calls(f, 1);
    client_open(&c, f);
    client_send(&c, GET("/now?before") GET("/free") GET("/now?after"));
    client_expect(&c, 200, "before");
    client_expect(&c, 200, "free");
    client_expect(&c, 200, "after");
    client_expect(&waiting, 200, "freed");
    client_expect(&waiting, 200, "behind");
    client_close(&c);
    client_close(&waiting);
}

static void test_connection_is_taken_behind_the_answers_before(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/now?before") GET("/take"));
    client_expect(&c, 200, "before");
    client_wait_bytes(&c, 1);
    client_close(&c);
}

static void test_requests_above_max_pipelined_wait_in_the_socket(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char filler[3900];

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/hold"));
    wait_for_calls(f, 1);
    memset(filler, 'x', sizeof filler);
    for (int i = 0;; i++) { /* until the sockets are full: the server does not read */
        char text[4096];
        int size = snprintf(text, sizeof text, "GET /now?%d HTTP/1.1\r\nHost: a\r\nX: %.*s\r\n\r\n",
                            i, (int)sizeof filler, filler);

        assert_in_range(i, 0, 20000);
        if (send(c.fd, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) != size)
            break;
        turn_ready(f->loop);
    }
    assert_int_equal(f->seen.n_calls, 1);
    respond_held(f, "a");
    client_expect(&c, 200, "a");
    for (int i = 0; i < 4; i++) {
        char want[16];

        snprintf(want, sizeof want, "%d", i);
        client_expect(&c, 200, want);
    }
    client_close(&c);
}

static void test_later_answer_tells_when_the_peer_leaves_first(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/hold") GET("/now"));
    wait_for_calls(f, 1);
    client_close(&c);
    wait_for_gone(f);
    turn_ready(f->loop);
    assert_int_equal(f->seen.n_gone, 1);
    assert_int_equal(f->seen.n_calls, 1); /* the one behind is dropped */
}

static void test_destroy_tells_the_handler_of_a_later_answer(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/hold"));
    wait_for_calls(f, 1);
    http_server_destroy(&f->server);
    assert_int_equal(f->seen.n_gone, 1);
    client_wait_end(&c);
    assert_int_equal(c.got.used_bytes, 0);
    client_close(&c);
}

static void test_stream_gives_chunks_and_keeps_the_connection(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/stream") GET("/now?behind"));
    wait_for_calls(f, 1);
    assert_int_equal(http_stream_write(f->seen.held, buf_view_str("")), E_OK);
    assert_int_equal(http_stream_write(f->seen.held, buf_view_str("second\n")), E_OK);
    turn_ready(f->loop);
    assert_int_equal(f->seen.n_calls, 1);
    http_stream_end(f->seen.held);
    f->seen.held = NULL;
    client_read(&c, &a, false);
    assert_non_null(strstr(a.head, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(a.head, "\r\nCache-Control: no-store\r\n"));
    assert_null(strstr(a.head, "Content-Length"));
    assert_string_equal(a.body, "first\nsecond\n");
    client_expect(&c, 200, "behind");
    client_close(&c);
}

static void test_stream_to_http_1_0_ends_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    struct client c;

    client_open(&c, f);
    client_send(&c, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wait_for_calls(f, 1);
    http_stream_end(f->seen.held);
    f->seen.held = NULL;
    client_wait_end(&c);
    client_read(&c, &a, false);
    assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
    assert_null(strstr(a.head, "Transfer-Encoding"));
    assert_string_equal(a.body, "first\n");
    client_close(&c);
}

static void test_stream_to_head_gives_the_head_alone(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    struct client c;

    client_open(&c, f);
    client_send(&c, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n" GET("/now?behind"));
    wait_for_calls(f, 1);
    http_stream_end(f->seen.held);
    f->seen.held = NULL;
    client_read(&c, &a, true);
    client_expect(&c, 200, "behind");
    client_close(&c);
}

static void test_stream_tells_when_the_peer_leaves(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/stream"));
    client_wait_bytes(&c, 100);
    client_close(&c);
    wait_for_gone(f);
    assert_int_equal(f->seen.n_gone, 1);
}

static void test_stream_write_gives_slow_then_gone_to_a_full_queue(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/flood"));
    wait_for_gone(f);
    assert_int_equal(f->seen.stream_error, E_SLOW);
    assert_int_equal(f->seen.n_gone, 1);
    client_wait_end(&c);
    client_close(&c);
}

static void test_stream_write_outside_a_callback_gives_slow_then_gone(void **state)
{
    static char zeros[HTTP_ANSWER_QUEUE_BYTES / 4];
    struct fixture *f = *state;
    enum err e = E_OK;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/stream"));
    wait_for_calls(f, 1);
    turn_ready(f->loop);
    while (e == E_OK)
        e = http_stream_write(f->seen.held, buf_view_of(zeros, sizeof zeros));
    assert_int_equal(e, E_SLOW);
    assert_int_equal(f->seen.n_gone, 0);
    wait_for_gone(f);
    client_wait_end(&c);
    client_close(&c);
}

static void test_stream_end_is_fine_after_a_failed_write(void **state)
{
    static char zeros[HTTP_ANSWER_QUEUE_BYTES / 4];
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 8192);
    client_send(&c, GET("/stream"));
    wait_for_calls(f, 1);
    while (http_stream_write(f->seen.held, buf_view_of(zeros, sizeof zeros)) == E_OK)
        ;
    http_stream_end(f->seen.held);
    f->seen.held = NULL;
    client_wait_end(&c);
    assert_int_equal(f->seen.n_gone, 0);
    client_close(&c);
}

static void test_take_conn_gives_the_connection_and_drops_what_was_read(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/now?1") GET("/take") GET("/now?dropped"));
    client_expect(&c, 200, "1");
    turn_ready(f->loop);
    assert_int_equal(f->seen.n_calls, 2);
    assert_non_null(f->seen.taken);
    http_server_destroy(&f->server); /* has no part in it any more */
    client_send(&c, "12345678");     /* comes back by the new owner */
    client_expect(&c, 200, "12345678");
    client_close(&c);
}

static void test_take_conn_later_gives_the_connection_too(void **state)
{
    struct fixture *f = *state;
    struct http_exchange *x;
    struct client c;

    client_open(&c, f);
    /* so many behind it that reading is paused: the new owner must read all the same */
    client_send(&c, GET("/hold") GET("/now?1") GET("/now?2") GET("/now?3") GET("/now?4"));
    wait_for_calls(f, 1);
    turn_ready(f->loop);
    x = f->seen.held;
    take(x, &f->seen);
    assert_non_null(f->seen.taken);
    client_send(&c, "12345678");
    client_expect(&c, 200, "12345678");
    turn_ready(f->loop);
    assert_int_equal(f->seen.n_gone, 0);
    assert_int_equal(f->seen.n_calls, 1);
    client_close(&c);
}

#define POST_CHUNKED(target) "POST " target " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"

/* The content of the first piece that was read with the head, by the body's own state. */
static void assert_first_piece(const char *expected)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&taken_upload.rest));
    struct buf_view piece;

    assert_int_equal(http_body_next(&taken_upload.body, &in, &piece), E_OK);
    assert_true(buf_view_equals(piece, expected));
    buf_writer_fini(&taken_upload.rest);
}

static void test_take_upload_gives_the_body_as_far_as_it_was_read(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/now?1") POST_CHUNKED("/upload") "\r\n5\r\nhello\r\n6\r\n wo");
    client_expect(&c, 200, "1");
    wait_for_calls(f, 2);
    assert_false(taken_upload.expects);
    assert_first_piece("hello");
    client_send(&c, "rld"); /* comes back by the new owner */
    client_wait_bytes(&c, 3);
    assert_memory_equal(c.got.data, "rld", 3);
    client_close(&c);
}

static void test_upload_is_handed_over_before_its_body_came(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, POST_CHUNKED("/upload") "Expect: 100-continue\r\n\r\n");
    wait_for_calls(f, 1);
    assert_true(taken_upload.expects);
    assert_int_equal(taken_upload.rest.used_bytes, 0);
    assert_int_equal(taken_upload.body.kind, HTTP_BODY_CHUNKED);
    turn_ready(f->loop);
    assert_int_equal(c.got.used_bytes, 0); /* the server does not say 100 by itself */
    buf_writer_fini(&taken_upload.rest);
    client_close(&c);
}

static void test_upload_that_is_decided_later_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, POST_CHUNKED("/upload_later") "\r\n3\r\none\r\n");
    wait_for_calls(f, 1);
    client_send(&c, "3\r\ntwo\r\n"); /* stays in the socket */
    turn_ready(f->loop);
    take_upload(f->seen.held, &f->seen);
    assert_first_piece("one");
    client_wait_bytes(&c, 8);
    assert_memory_equal(c.got.data, "3\r\ntwo\r\n", 8);
    client_close(&c);
}

static void test_upload_that_is_refused_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, POST_CHUNKED("/upload?no") "\r\n3\r\none\r\n" GET("/now?dropped"));
    client_expect(&c, 403, "no");
    client_wait_end(&c);
    assert_int_equal(f->seen.n_calls, 1);
    client_close(&c);
}

static void test_upload_without_a_body_is_taken_as_done(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, "POST /upload HTTP/1.1\r\nHost: a\r\n\r\n" GET("/now?dropped"));
    wait_for_calls(f, 1);
    turn_ready(f->loop);
    assert_true(taken_upload.body.done);
    assert_int_equal(f->seen.n_calls, 1);
    buf_writer_fini(&taken_upload.rest);
    client_close(&c);
}

static void test_drain_ends_connections_with_their_next_answer(void **state)
{
    struct fixture *f = *state;
    struct client held, idle, next;
    struct answer a;

    client_open(&held, f);
    client_open(&idle, f);
    client_send(&held, GET("/hold"));
    client_send(&idle, GET("/now"));
    client_read(&idle, &a, false);
    assert_true(a.keep_alive);
    wait_for_calls(f, 2);
    http_server_drain(f->server);
    respond_held(f, "later");
    client_read(&held, &a, false);
    assert_string_equal(a.body, "later");
    assert_false(a.keep_alive);
    client_wait_end(&held);
    client_send(&idle, GET("/now") GET("/now")); /* both are answered, the second one ends it */
    client_read(&idle, &a, false);
    assert_true(a.keep_alive);
    client_read(&idle, &a, false);
    assert_false(a.keep_alive);
    client_wait_end(&idle);
    client_open(&next, f);
    client_send(&next, GET("/now"));
    client_read(&next, &a, false);
    assert_true(a.keep_alive);
    client_close(&next);
    client_close(&idle);
    client_close(&held);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_later_answer_holds_back_the_ones_behind_it),
        TEST(test_answers_to_requests_that_came_together_go_out_together),
        TEST(test_answer_to_another_connection_does_not_mix_with_those_before),
        TEST(test_connection_is_taken_behind_the_answers_before),
        TEST(test_requests_above_max_pipelined_wait_in_the_socket),
        TEST(test_later_answer_tells_when_the_peer_leaves_first),
        TEST(test_drain_ends_connections_with_their_next_answer),
        TEST(test_destroy_tells_the_handler_of_a_later_answer),
        TEST(test_stream_gives_chunks_and_keeps_the_connection),
        TEST(test_stream_to_http_1_0_ends_with_the_connection),
        TEST(test_stream_to_head_gives_the_head_alone),
        TEST(test_stream_tells_when_the_peer_leaves),
        TEST(test_stream_write_gives_slow_then_gone_to_a_full_queue),
        TEST(test_stream_write_outside_a_callback_gives_slow_then_gone),
        TEST(test_stream_end_is_fine_after_a_failed_write),
        TEST(test_take_conn_gives_the_connection_and_drops_what_was_read),
        TEST(test_take_conn_later_gives_the_connection_too),
        TEST(test_take_upload_gives_the_body_as_far_as_it_was_read),
        TEST(test_upload_is_handed_over_before_its_body_came),
        TEST(test_upload_that_is_decided_later_keeps_its_bytes),
        TEST(test_upload_that_is_refused_ends_the_connection),
        TEST(test_upload_without_a_body_is_taken_as_done),
    };
#undef TEST

    return cmocka_run_group_tests_name("http_server_later", tests, NULL, NULL);
}
