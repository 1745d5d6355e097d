/* Floods of HTTP/2: who sends one is cut off with a reason, who does not notices nothing. */
#include "tests/unit/common/net/http2_test.h"

static void on_hello(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, NULL, buf_view_str("hello"));
}

static void on_hold(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct seen *)arg)->n_calls++;
}

static const struct http_route k_routes[] = {
    {"GET", "/hello", on_hello, 0},
    {"GET", "/hold", on_hold, 0},
    {0},
};

static int set_up(void **state)
{
    struct http_limits limits = k_http_limits_default;
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    limits.max_head_bytes = 2048;
    fixture_open(f, &limits, k_routes);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    free(f);
    return 0;
}

/* --- the n-th frames of each kind --- */

/* CVE-2023-44487. */
static void write_reset(struct buf_writer *w, uint32_t n)
{
    h2_write_get(w, 2 * n + 1, "/hold", true);
    h2_write_frame(w, NGHTTP2_RST_STREAM, 0, 2 * n + 1, "\0\0\0\x08", 4);
}

static void write_settings(struct buf_writer *w, uint32_t n)
{
    (void)n;
    h2_write_frame(w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

static void write_ping(struct buf_writer *w, uint32_t n)
{
    (void)n;
    h2_write_frame(w, NGHTTP2_PING, 0, 0, "12345678", 8);
}

static void write_window(struct buf_writer *w, uint32_t n)
{
    (void)n;
    h2_write_frame(w, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
}

static void write_empty(struct buf_writer *w, uint32_t n)
{
    if (n == 0)
        h2_write_get(w, 1, "/hello", false);
    h2_write_frame(w, NGHTTP2_DATA, 0, 1, NULL, 0);
}

/* CVE-2024-27316. */
static void write_continuation(struct buf_writer *w, uint32_t n)
{
    if (n == 0)
        h2_write_frame(w, NGHTTP2_HEADERS, 0, 1, "\x82\x87", 2);
    h2_write_frame(w, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
}

/* A field of 1,000 bytes put into the table, and then asked for by single bytes: CVE-2016-1544. */
static void write_bomb(struct buf_writer *w, uint32_t n)
{
    struct buf_writer block;

    (void)n;
    buf_writer_init(&block, 4096);
    buf_write_str(&block, "\x82\x87\x84\x40\x01y\x7f\xe9\x06"); /* 127 + 0x69 + (6 << 7) = 1000 */
    for (int i = 0; i < 1000; i++)
        buf_write_u8(&block, 'z');
    for (int i = 0; i < 100; i++)
        buf_write_u8(&block, 0xbe); /* 62: the newest entry */
    h2_write_frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                   block.data, block.used_bytes);
    buf_writer_fini(&block);
}

/* A name in upper case: the stream is reset, as often as that happens. CVE-2025-8671. */
static void write_bad(struct buf_writer *w, uint32_t n)
{
    h2_write_frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
                   2 * n + 1, "\x82\x87\x84\x00\x01X\x01x", 8);
}

/* --- what becomes of who sends them --- */

/* Frames of the server: looks for GOAWAY. */
static bool find_goaway(const struct buf_writer *got, uint32_t *code)
{
    struct buf_reader r = buf_reader_from(buf_writer_view(got));

    while (r.left_bytes >= 9) {
        uint32_t size = buf_read_u24be(&r);
        uint8_t type = buf_read_u8(&r);
        struct buf_reader payload;

        buf_take(&r, 5);
        payload = buf_reader_from(buf_take(&r, size));
        if (type == NGHTTP2_GOAWAY && !r.overrun) {
            buf_take(&payload, 4);
            *code = buf_read_u32be(&payload);
            return true;
        }
    }
    return false;
}

/* Sends n of the frames at once, and reads until the server ends; true when it did. */
static bool send_flood(struct fixture *f, void (*write)(struct buf_writer *w, uint32_t n),
                       unsigned n_frames, struct buf_writer *got)
{
    int fd = h2_connect(f, 0);
    struct buf_writer w;
    bool has_ended = false;

    buf_writer_init(&w, 1 << 20);
    h2_write_preface(&w);
    for (uint32_t n = 0; n < n_frames; n++)
        write(&w, n);
    write_full(fd, w.data, w.used_bytes);
    for (int i = 0; i < 100 && !has_ended; i++) {
        loop_turn(f->loop, false);
        has_ended = !h2_read_some(fd, got);
    }
    close(fd);
    buf_writer_fini(&w);
    return has_ended;
}

static const struct {
    const char *reason;
    void (*write)(struct buf_writer *w, uint32_t n);
    unsigned n_fine, n_flood;
} k_floods[] = {
    {"rapid_resets", write_reset, 150, 250}, {"settings_flood", write_settings, 20, 40},
    {"ping_flood", write_ping, 90, 110},     {"window_flood", write_window, 1900, 2100},
    {"empty_frames", write_empty, 90, 110},  {"continuation_flood", write_continuation, 5, 50},
    {"bad_frames", write_bad, 40, 110},      {"head_size", write_bomb, 0, 1},
};

static long count_of(const char *reason)
{
    char series[128];

    snprintf(series, sizeof series, "headwater_http_bad_requests_total{reason=\"%s\"} ", reason);
    return metric_value(series);
}

static void test_flood_ends_its_connection_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open(&c, f);
    h2_expect_text(&c, h2_get(&c, "/hello"), 200, "hello");
    for (size_t i = 0; i < sizeof k_floods / sizeof k_floods[0]; i++) {
        long before = count_of(k_floods[i].reason);
        struct buf_writer got;
        uint32_t code = 0;

        assert_int_not_equal(before, -1);
        buf_writer_init(&got, 1 << 20);
        if (!send_flood(f, k_floods[i].write, k_floods[i].n_flood, &got))
            fail_msg("%s: not cut off", k_floods[i].reason);
        if (!find_goaway(&got, &code) || code != NGHTTP2_ENHANCE_YOUR_CALM)
            fail_msg("%s: GOAWAY has code %u", k_floods[i].reason, code);
        if (count_of(k_floods[i].reason) != before + 1)
            fail_msg("%s: counted %ld times", k_floods[i].reason,
                     count_of(k_floods[i].reason) - before);
        buf_writer_fini(&got);
        h2_expect_text(&c, h2_get(&c, "/hello"), 200, "hello");
    }
    assert_false(c.has_goaway);
    h2_close(&c);
}

static void test_connection_goes_on_below_each_limit(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof k_floods / sizeof k_floods[0]; i++) {
        struct buf_writer got;
        uint32_t code = 0;

        buf_writer_init(&got, 1 << 20);
        if (send_flood(f, k_floods[i].write, k_floods[i].n_fine, &got) || find_goaway(&got, &code))
            fail_msg("%s: cut off with %u", k_floods[i].reason, code);
        buf_writer_fini(&got);
        turn_ready(f->loop);
    }
}

static void test_windows_that_answer_data_are_no_flood(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;

    h2_open(&c, f);
    for (int i = 0; i < 100; i++) { /* 127 requests is all the ids of a test's client */
        struct h2_stream *stream = h2_get(&c, "/hello");

        for (int n = 0; n < 21; n++)
            nghttp2_submit_window_update(c.session, 0, 0, 1);
        h2_expect_text(&c, stream, 200, "hello");
    }
    assert_false(c.has_goaway);
    h2_close(&c);
}

static void test_fields_above_the_limit_get_431(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *stream;
    char value[3000];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    h2_open(&c, f);
    stream = h2_ask(&c, "GET", "/hello", "x-big", value, NULL);
    h2_until(&c, &stream->is_closed);
    assert_int_equal(stream->status, 431);
    h2_expect_text(&c, h2_get(&c, "/hello"), 200, "hello");
    h2_close(&c);
}

static void test_paths_that_leave_the_tree_get_400(void **state)
{
    struct fixture *f = *state;
    struct h2_client c;
    struct h2_stream *stream;

    h2_open(&c, f);
    stream = h2_get(&c, "/../hello");
    h2_until(&c, &stream->is_closed);
    assert_int_equal(stream->status, 400);
    h2_expect_text(&c, h2_get(&c, "/hello"), 200, "hello");
    h2_close(&c);
}

static void test_streams_above_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct buf_writer w, got;
    int fd = h2_connect(f, 0);

    buf_writer_init(&w, 65536);
    buf_writer_init(&got, 65536);
    h2_write_preface(&w);
    for (uint32_t i = 0; i < 150; i++)
        h2_write_get(&w, 2 * i + 1, "/hold", true);
    write_full(fd, w.data, w.used_bytes);
    for (int i = 0; i < 10; i++) {
        loop_turn(f->loop, false);
        assert_true(h2_read_some(fd, &got));
    }
    assert_int_equal(f->seen.n_calls, 100);
    close(fd);
    buf_writer_fini(&w);
    buf_writer_fini(&got);
}

static void test_what_is_no_http2_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    long before = count_of("syntax");
    struct buf_writer got;
    int fd = h2_connect(f, 0);

    buf_writer_init(&got, 65536);
    write_full(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 32);
    while (h2_read_some(fd, &got))
        loop_turn(f->loop, false);
    assert_int_equal(count_of("syntax"), before + 1);
    close(fd);
    buf_writer_fini(&got);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_flood_ends_its_connection_and_no_other), T(test_connection_goes_on_below_each_limit),
        T(test_windows_that_answer_data_are_no_flood),  T(test_fields_above_the_limit_get_431),
        T(test_paths_that_leave_the_tree_get_400),      T(test_streams_above_the_limit_are_refused),
        T(test_what_is_no_http2_ends_the_connection),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
