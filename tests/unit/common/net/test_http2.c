/* HTTP/2 on a connection: the same handlers and answers as HTTP/1.1, many at once. */
#include "tests/unit/common/net/http2_test.h"

#define BIG_BYTES 400000

static uint8_t *g_big;
static struct buf_view g_parts[3];
static unsigned g_n_lent, g_n_done;
static bool g_was_done, g_was_gone, g_was_called;

static void on_done(void *arg)
{
    (void)arg;
    g_n_done++;
    g_was_done = true;
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    assert_ptr_equal(x, seen->held);
    seen->held = NULL;
    seen->n_gone++;
    g_was_gone = true;
}

static void on_echo(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_add_header(x, "X-Method", http_method(x));
    http_respond(x, 200, "text/plain",
                 http_body(x).size_bytes ? http_body(x) : buf_view_str(http_query(x)));
}

static void on_host(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, NULL, buf_view_str(http_header(x, "Host")));
}

static void on_copied(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, NULL, buf_view_of(g_big, BIG_BYTES));
}

static void on_shared(struct http_exchange *x, void *arg)
{
    struct http_shared answer = {.status = 200,
                                 .content_type = "video/mp4",
                                 .etag = "\"e1\"",
                                 .cache_control = "max-age=60",
                                 .parts = g_parts,
                                 .n_parts = 3,
                                 .done = on_done};

    (void)arg;
    g_n_lent++;
    http_respond_shared(x, &answer);
}

static void on_hold(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    seen->held = x;
    g_was_called = true;
    http_set_pending(x, on_gone, seen);
}

/* Answers what another stream waits for, then itself. */
static void on_free(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;
    struct http_exchange *held = seen->held;

    seen->held = NULL;
    http_respond(held, 200, NULL, buf_view_str("freed"));
    http_respond(x, 200, NULL, buf_view_str("free"));
}

static void on_stream(struct http_exchange *x, void *arg)
{
    on_hold(x, arg);
    http_stream_begin(x, 200, "text/plain");
    assert_int_equal(http_stream_write(x, buf_view_str("first\n")), E_OK);
}

static void on_take(struct http_exchange *x, void *arg)
{
    (void)arg;
    assert_null(http_take_conn(x));
}

static void on_upload(struct http_exchange *x, void *arg)
{
    (void)x, (void)arg;
    fail_msg("an upload needs the connection");
}

static const struct http_route k_routes[] = {
    {"GET", "/echo", on_echo, HTTP_ROUTE_CORS},
    {"POST", "/echo", on_echo, 0},
    {"GET", "/host", on_host, 0},
    {"GET", "/copied", on_copied, 0},
    {"GET", "/shared", on_shared, 0},
    {"GET", "/hold", on_hold, 0},
    {"GET", "/free", on_free, 0},
    {"GET", "/stream", on_stream, 0},
    {"GET", "/take", on_take, 0},
    {"POST", "/upload", on_upload, HTTP_ROUTE_UPLOAD},
    {0},
};

static int set_up_limits(void **state, int64_t timeout_ms)
{
    struct http_limits limits = k_http_limits_default;
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    limits.max_head_bytes = 2048;
    limits.max_body_bytes = 10000;
    limits.idle_timeout_ms = limits.body_timeout_ms = limits.head_timeout_ms = timeout_ms;
    fixture_open(f, &limits, k_routes);
    g_big = malloc(BIG_BYTES);
    assert_non_null(g_big);
    for (size_t i = 0; i < BIG_BYTES; i++)
        g_big[i] = (uint8_t)(i * 7 + (i >> 9));
    g_parts[0] = buf_view_of(g_big, 5001);
    g_parts[1] = buf_view_of(g_big, 0);
    g_parts[2] = buf_view_of(g_big + 5001, BIG_BYTES - 5001);
    g_n_lent = g_n_done = 0;
    g_was_done = g_was_gone = g_was_called = false;
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_limits(state, 60000);
}

static int set_up_impatient(void **state)
{
    return set_up_limits(state, 60);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    assert_int_equal(g_n_done, g_n_lent);
    free(g_big);
    free(f);
    return 0;
}

static void test_requests_are_answered_on_their_streams(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *echo, *host, *copied, *shared, *missing, *options;

    h2_open(&c, f);
    copied = h2_get(&c, "/copied");
    shared = h2_get(&c, "/shared");
    echo = h2_get(&c, "/echo?a=1");
    host = h2_get(&c, "/host");
    missing = h2_get(&c, "/nowhere");
    options = h2_ask(&c, "OPTIONS", "/echo", NULL, NULL, NULL);
    h2_expect_text(&c, echo, 200, "a=1");
    assert_non_null(strstr(echo->fields, "content-type: text/plain\n"));
    assert_non_null(strstr(echo->fields, "content-length: 3\n"));
    assert_non_null(strstr(echo->fields, "x-method: GET\n"));
    assert_non_null(strstr(echo->fields, "access-control-allow-origin: *\n"));
    assert_non_null(strstr(echo->fields, "date: "));
    h2_expect_text(&c, host, 200, "a.test");
    h2_until(&c, &missing->is_closed);
    assert_int_equal(missing->status, 404);
    h2_expect_text(&c, options, 204, "");
    h2_expect(&c, copied, 200, g_big, BIG_BYTES);
    h2_expect(&c, shared, 200, g_big, BIG_BYTES);
    assert_false(c.has_goaway);
    h2_close(&c);
}

static void test_requests_are_understood_in_every_split(void **state)
{
    struct fixture *f = *state;
    struct buf_writer w;

    buf_writer_init(&w, 4096);
    h2_write_preface(&w);
    h2_write_get(&w, 1, "/echo?one", true);
    h2_write_get(&w, 3, "/echo?three", true);
    for (size_t step = 1; step <= w.used_bytes; step += step < 40 ? 1 : 13) {
        int fd = h2_connect(f, 0);
        struct buf_writer got;

        buf_writer_init(&got, 65536);
        buf_write_u8(&got, 0); /* memmem() wants memory */
        for (size_t at = 0; at < w.used_bytes; at += step) {
            write_full(fd, w.data + at, w.used_bytes - at < step ? w.used_bytes - at : step);
            loop_turn(f->loop, false);
        }
        while (!memmem(got.data, got.used_bytes, "one", 3) ||
               !memmem(got.data, got.used_bytes, "three", 5)) {
            loop_turn(f->loop, false);
            h2_read_some(fd, &got);
        }
        buf_writer_fini(&got);
        close(fd);
        turn_ready(f->loop);
    }
    buf_writer_fini(&w);
}

/* Gives body_bytes of x. */
static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t max_bytes,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    size_t *left_bytes = source->ptr;
    size_t n = *left_bytes < max_bytes ? *left_bytes : max_bytes;

    (void)s, (void)id, (void)arg;
    memset(to, 'x', n);
    *left_bytes -= n;
    if (*left_bytes == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void test_bodies_come_with_requests_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    size_t sizes[] = {1, 10000, 10001, 60000, 3000000};
    struct h2_client c;

    h2_open(&c, f);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size_bytes = sizes[i];
        nghttp2_data_provider body = {.source.ptr = &sizes[i], .read_callback = read_body};
        struct h2_stream *stream = h2_ask(&c, "POST", "/echo", NULL, NULL, &body);

        h2_until(&c, &stream->is_closed);
        assert_int_equal(stream->status, size_bytes <= 10000 ? 200 : 413);
        if (size_bytes <= 10000)
            assert_int_equal(stream->body.used_bytes, size_bytes);
        assert_int_equal(stream->error_code, NGHTTP2_NO_ERROR);
    }
    h2_expect_text(&c, h2_get(&c, "/echo?on"), 200, "on");
    h2_close(&c);
}

static void test_peer_that_waits_for_100_gets_it(void **state)
{
    struct fixture *f = *state;
    size_t size_bytes = 3;
    nghttp2_data_provider body = {.source.ptr = &size_bytes, .read_callback = read_body};
    struct h2_stream *stream;
    struct h2_client c;

    h2_open(&c, f);
    stream = h2_ask(&c, "POST", "/echo", "expect", "100-continue", &body);
    h2_expect_text(&c, stream, 200, "xxx");
    assert_int_equal(stream->n_informational, 1);
    h2_close(&c);
}

static void test_head_and_conditions_are_as_in_http1(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *head, *known, *range, *behind;

    h2_open(&c, f);
    head = h2_ask(&c, "HEAD", "/shared", NULL, NULL, NULL);
    known = h2_ask(&c, "GET", "/shared", "if-none-match", "\"e1\"", NULL);
    range = h2_ask(&c, "GET", "/shared", "range", "bytes=5000-5002", NULL);
    behind = h2_ask(&c, "GET", "/shared", "range", "bytes=400000-", NULL);
    h2_expect_text(&c, head, 200, "");
    assert_non_null(strstr(head->fields, "content-length: 400000\n"));
    assert_non_null(strstr(head->fields, "etag: \"e1\"\n"));
    h2_expect_text(&c, known, 304, "");
    h2_expect(&c, range, 206, g_big + 5000, 3);
    assert_non_null(strstr(range->fields, "content-range: bytes 5000-5002/400000\n"));
    h2_until(&c, &behind->is_closed);
    assert_int_equal(behind->status, 416);
    h2_close(&c);
}

static void test_later_answer_holds_back_no_other(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *held;

    h2_open(&c, f);
    held = h2_get(&c, "/hold");
    h2_expect_text(&c, h2_get(&c, "/echo?other"), 200, "other");
    assert_false(held->is_closed);
    h2_expect_text(&c, h2_get(&c, "/free"), 200, "free");
    h2_expect_text(&c, held, 200, "freed");
    h2_close(&c);
}

static void test_later_answer_tells_when_its_stream_is_reset(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *held;

    h2_open(&c, f);
    held = h2_get(&c, "/hold");
    h2_until(&c, &g_was_called);
    nghttp2_submit_rst_stream(c.session, 0, h2_id(&c, held), NGHTTP2_CANCEL);
    h2_until(&c, &g_was_gone);
    assert_int_equal(f->seen.n_gone, 1);
    h2_expect_text(&c, h2_get(&c, "/echo?on"), 200, "on");
    h2_close(&c);
}

static void test_later_answer_tells_when_the_peer_leaves(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open(&c, f);
    h2_get(&c, "/hold");
    h2_until(&c, &g_was_called);
    h2_close(&c);
    turn_until(f->loop, &g_was_gone);
    assert_int_equal(f->seen.n_gone, 1);
}

static void test_stream_goes_out_as_it_is_written(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *stream;

    h2_open(&c, f);
    stream = h2_get(&c, "/stream");
    while (stream->body.used_bytes < 6)
        h2_step(&c);
    assert_int_equal(http_stream_write(f->seen.held, buf_view_str("second\n")), E_OK);
    while (stream->body.used_bytes < 13)
        h2_step(&c);
    assert_false(stream->is_closed);
    http_stream_end(f->seen.held);
    h2_expect_text(&c, stream, 200, "first\nsecond\n");
    assert_null(strstr(stream->fields, "content-length"));
    assert_int_equal(f->seen.n_gone, 0);
    h2_close(&c);
}

static void test_stream_ends_when_the_peer_does_not_keep_up(void **state)
{
    static char zeros[100000];
    struct fixture *f = *state;
    enum err e = E_OK;
    struct h2_client c;
    struct h2_stream *stream;

    h2_open(&c, f);
    c.is_lazy = true;
    stream = h2_get(&c, "/stream");
    h2_until(&c, &g_was_called);
    for (size_t n = 0; e == E_OK; n += sizeof zeros) {
        assert_true(n < 2 * HTTP_ANSWER_QUEUE_BYTES);
        e = http_stream_write(f->seen.held, buf_view_of(zeros, sizeof zeros));
    }
    assert_int_equal(e, E_SLOW);
    assert_int_equal(http_stream_write(f->seen.held, buf_view_str("more")), E_CLOSED);
    assert_int_equal(f->seen.n_gone, 0); /* not from within the call */
    h2_until(&c, &g_was_gone);
    h2_until(&c, &stream->is_closed);
    assert_int_equal(stream->error_code, NGHTTP2_ENHANCE_YOUR_CALM);
    h2_close(&c);
}

/* 400 KB each, and 1 MiB is what may wait before the next handler is called. */
static void test_handlers_wait_while_answers_do(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *streams[10], *held;

    h2_open(&c, f);
    c.is_lazy = true;
    for (int i = 0; i < 10; i++)
        streams[i] = h2_get(&c, "/copied");
    held = h2_get(&c, "/hold");
    while (streams[0]->body.used_bytes + streams[1]->body.used_bytes + streams[2]->body.used_bytes <
           65535)
        h2_step(&c);
    turn_ready(f->loop);
    assert_int_equal(f->seen.n_calls, 0);
    c.is_lazy = false;
    nghttp2_submit_window_update(c.session, 0, 0, 1 << 20); /* what was not given back */
    for (int i = 0; i < 10; i++)
        nghttp2_submit_window_update(c.session, 0, h2_id(&c, streams[i]), 1 << 20);
    for (int i = 0; i < 10; i++)
        h2_expect(&c, streams[i], 200, g_big, BIG_BYTES);
    assert_int_equal(f->seen.n_calls, 1);
    assert_false(held->is_closed);
    h2_close(&c);
}

/* A frame of it waits for the socket when the stream is given up. */
static void test_stream_that_is_given_up_leaves_no_frame_behind(void **state)
{
    static char zeros[100000];
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
    struct fixture *f = *state;
    enum err e = E_OK;
    struct h2_client c;
    struct h2_stream *stream;

    h2_open_sized(&c, f, 8192);
    nghttp2_submit_window_update(c.session, 0, 0, 1 << 30);
    nghttp2_submit_settings(c.session, 0, &window, 1);
    stream = h2_get(&c, "/stream");
    h2_until(&c, &g_was_called);
    while (e == E_OK) {
        e = http_stream_write(f->seen.held, buf_view_of(zeros, sizeof zeros));
        loop_turn(f->loop, false);
    }
    assert_int_equal(e, E_SLOW);
    turn_until(f->loop, &g_was_gone);
    h2_until(&c, &stream->is_closed);
    assert_int_equal(stream->error_code, NGHTTP2_ENHANCE_YOUR_CALM);
    h2_expect_text(&c, h2_get(&c, "/echo?on"), 200, "on");
    h2_close(&c);
}

static void test_connection_that_would_be_taken_asks_for_http1(void **state)
{
    struct fixture *f = *state;
    size_t size_bytes = 10;
    nghttp2_data_provider body = {.source.ptr = &size_bytes, .read_callback = read_body};
    struct h2_client c;
    struct h2_stream *play, *publish;

    h2_open(&c, f);
    play = h2_get(&c, "/take");
    publish = h2_ask(&c, "POST", "/upload", NULL, NULL, &body);
    h2_until(&c, &play->is_closed);
    h2_until(&c, &publish->is_closed);
    assert_int_equal(play->error_code, NGHTTP2_HTTP_1_1_REQUIRED);
    assert_int_equal(publish->error_code, NGHTTP2_HTTP_1_1_REQUIRED);
    h2_expect_text(&c, h2_get(&c, "/echo?on"), 200, "on");
    h2_close(&c);
}

static void test_shared_answer_comes_back_when_its_stream_is_reset(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *stream;

    h2_open(&c, f);
    c.is_lazy = true;
    stream = h2_get(&c, "/shared");
    while (stream->body.used_bytes < 60000)
        h2_step(&c);
    assert_int_equal(g_n_done, 0);
    nghttp2_submit_rst_stream(c.session, 0, h2_id(&c, stream), NGHTTP2_CANCEL);
    h2_until(&c, &g_was_done);
    assert_int_equal(g_n_done, 1);
    h2_close(&c);
}

static void test_shared_answers_come_back_when_the_server_ends(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open(&c, f);
    c.is_lazy = true;
    h2_get(&c, "/shared");
    h2_get(&c, "/shared");
    h2_get(&c, "/hold");
    h2_until(&c, &g_was_called);
    http_server_destroy(&f->server);
    assert_int_equal(g_n_done, 2);
    assert_int_equal(f->seen.n_gone, 1);
    h2_close(&c);
}

static void test_drain_answers_what_was_asked_and_then_ends(void **state)
{
    struct fixture *f = *state;
    struct h2_stream *held, *late;
    struct h2_client c, idle, next;

    h2_open(&idle, f);
    h2_expect_text(&idle, h2_get(&idle, "/echo?1"), 200, "1");
    h2_open(&c, f);
    held = h2_get(&c, "/hold");
    h2_until(&c, &g_was_called);
    http_server_drain(f->server);
    late = h2_get(&c, "/echo?late"); /* sent before GOAWAY is read */
    h2_until(&c, &c.has_goaway);
    assert_int_equal(c.goaway_code, NGHTTP2_NO_ERROR);
    h2_until(&c, &late->is_closed);
    assert_int_equal(late->error_code, NGHTTP2_REFUSED_STREAM); /* to be tried elsewhere */
    assert_false(held->is_closed);
    h2_until(&idle, &idle.is_closed);
    assert_true(idle.has_goaway);
    h2_open(&next, f);
    h2_expect_text(&next, h2_get(&next, "/free"), 200, "free");
    h2_expect_text(&c, held, 200, "freed");
    h2_until(&c, &c.is_closed);
    h2_expect_text(&next, h2_get(&next, "/echo?2"), 200, "2");
    assert_false(next.has_goaway);
    h2_close(&next);
    h2_close(&c);
    h2_close(&idle);
}

static void test_server_that_ends_says_so(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open(&c, f);
    h2_get(&c, "/hold");
    h2_until(&c, &g_was_called);
    http_server_destroy(&f->server);
    h2_until(&c, &c.is_closed);
    assert_true(c.has_goaway);
    assert_int_equal(c.goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(f->seen.n_gone, 1);
    h2_close(&c);
}

/* The socket is full, then empty again: frames wait for both sides. */
static void test_answers_wait_for_a_slow_socket(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *streams[20];

    h2_open_sized(&c, f, 8192);
    nghttp2_submit_window_update(c.session, 0, 0, 1 << 30);
    for (int i = 0; i < 20; i++)
        streams[i] = h2_get(&c, i % 2 ? "/shared" : "/copied");
    for (int i = 0; i < 20; i++)
        h2_expect(&c, streams[i], 200, g_big, BIG_BYTES);
    assert_int_equal(g_n_done, 10);
    h2_close(&c);
}

static void test_stream_without_window_is_reset_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *stalled, *held;

    h2_open(&c, f);
    nghttp2_submit_window_update(c.session, 0, 0, 1 << 20);
    held = h2_get(&c, "/hold");
    c.is_lazy = true;
    stalled = h2_get(&c, "/shared");
    h2_until(&c, &stalled->is_closed);
    assert_int_equal(stalled->error_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(g_n_done, 1);
    assert_false(held->is_closed);
    h2_expect_text(&c, h2_get(&c, "/free"), 200, "free");
    assert_false(c.has_goaway);
    h2_close(&c);
}

static void test_connection_without_window_is_ended(void **state)
{
    static const char k_series[] = "headwater_http_bad_requests_total{reason=\"slow_reader\"} ";
    struct fixture *f = *state;
    long before = metric_value(k_series);
    struct h2_client c;

    h2_open(&c, f);
    c.is_lazy = true;
    h2_get(&c, "/shared");
    h2_until(&c, &c.is_closed);
    assert_true(c.has_goaway);
    assert_int_equal(c.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(g_n_done, 1);
    assert_int_equal(metric_value(k_series), before + 1);
    h2_close(&c);
}

static void test_socket_that_is_not_read_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open_sized(&c, f, 8192);
    nghttp2_submit_window_update(c.session, 0, 0, 1 << 30);
    h2_get(&c, "/shared");
    h2_get(&c, "/copied");
    while (g_n_lent == 0)
        h2_step(&c);
    turn_until(f->loop, &g_was_done);
    assert_int_equal(g_n_done, 1);
    h2_close(&c);
}

static void test_connection_that_is_idle_is_ended_in_peace(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open(&c, f);
    h2_expect_text(&c, h2_get(&c, "/echo?1"), 200, "1");
    h2_until(&c, &c.is_closed);
    assert_true(c.has_goaway);
    assert_int_equal(c.goaway_code, NGHTTP2_NO_ERROR);
    h2_close(&c);
}

static void test_body_that_does_not_come_gets_408(void **state)
{
    struct fixture *f = *state;
    struct buf_writer w, got;
    int fd = h2_connect(f, 0);

    buf_writer_init(&w, 4096);
    buf_writer_init(&got, 65536);
    h2_write_preface(&w);
    h2_write_get(&w, 1, "/echo", false);
    write_full(fd, w.data, w.used_bytes);
    buf_write_u8(&got, 0); /* memmem() wants memory */
    while (!memmem(got.data, got.used_bytes, "not complete in time", 20)) {
        loop_turn(f->loop, false);
        h2_read_some(fd, &got);
    }
    close(fd);
    buf_writer_fini(&w);
    buf_writer_fini(&got);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define IMPATIENT(f) cmocka_unit_test_setup_teardown(f, set_up_impatient, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_requests_are_answered_on_their_streams),
        T(test_requests_are_understood_in_every_split),
        T(test_bodies_come_with_requests_up_to_the_limit),
        T(test_peer_that_waits_for_100_gets_it),
        T(test_head_and_conditions_are_as_in_http1),
        T(test_later_answer_holds_back_no_other),
        T(test_later_answer_tells_when_its_stream_is_reset),
        T(test_later_answer_tells_when_the_peer_leaves),
        T(test_stream_goes_out_as_it_is_written),
        T(test_stream_ends_when_the_peer_does_not_keep_up),
        T(test_handlers_wait_while_answers_do),
        T(test_stream_that_is_given_up_leaves_no_frame_behind),
        T(test_connection_that_would_be_taken_asks_for_http1),
        T(test_shared_answer_comes_back_when_its_stream_is_reset),
        T(test_shared_answers_come_back_when_the_server_ends),
        T(test_drain_answers_what_was_asked_and_then_ends),
        T(test_server_that_ends_says_so),
        T(test_answers_wait_for_a_slow_socket),
        IMPATIENT(test_stream_without_window_is_reset_and_no_other),
        IMPATIENT(test_connection_without_window_is_ended),
        IMPATIENT(test_socket_that_is_not_read_ends_the_connection),
        IMPATIENT(test_connection_that_is_idle_is_ended_in_peace),
        IMPATIENT(test_body_that_does_not_come_gets_408),
    };
#undef T
#undef IMPATIENT

    return cmocka_run_group_tests(tests, NULL, NULL);
}
