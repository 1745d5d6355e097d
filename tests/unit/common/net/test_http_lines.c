/* http_lines.c: the long answer that is cut into lines. */
#include "common/net/http_client.h"

#include "http_test.h"

struct lines_seen {
    struct http_client *client; /* destroyed at destroy_at */
    struct http_lines *lines;
    char text[512]; /* each followed by '|' */
    size_t longest_bytes;
    unsigned n_lines, n_ends, close_at, destroy_at;
    bool got_line, ended, close_in_end;
    enum err e;
};

static void on_line(void *arg, struct buf_view line)
{
    struct lines_seen *s = arg;
    size_t used = strlen(s->text);

    if (line.size_bytes > s->longest_bytes)
        s->longest_bytes = line.size_bytes;
    if (used + line.size_bytes + 2 < sizeof s->text) {
        if (line.size_bytes)
            memcpy(s->text + used, line.data, line.size_bytes);
        s->text[used + line.size_bytes] = '|';
    }
    s->n_lines++;
    s->got_line = true;
    if (s->n_lines == s->close_at)
        http_lines_close(&s->lines);
    if (s->n_lines == s->destroy_at)
        http_client_destroy(&s->client);
}

static void on_lines_end(void *arg, enum err e)
{
    struct lines_seen *s = arg;

    s->n_ends++;
    s->e = e;
    s->ended = true;
    if (s->close_in_end)
        http_lines_close(&s->lines);
}

static void start_lines(struct http_client *client, struct lines_seen *s)
{
    s->lines = http_client_lines(client, "/v1/nodes/n1/events", on_line, on_lines_end, s);
    assert_non_null(s->lines);
    assert_int_equal(s->n_lines + s->n_ends, 0);
}

static void say_chunk(struct server_conn *c, const char *data, size_t size_bytes)
{
    char head[32];

    snprintf(head, sizeof head, "%zx\r\n", size_bytes);
    say(c, head);
    assert_int_equal(conn_write(c->conn, buf_view_of(data, size_bytes)), E_OK);
    say(c, "\r\n");
}

static const char k_stream_head[] =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n";
static const char k_stream[] = "{\"a\":1}\n\n{\"bb\":22}\r\nccc\n";

static size_t stream_step; /* chunk size; 0: not chunked, until the connection ends */

static void answer_stream(struct server_conn *c)
{
    if (stream_step == 0) {
        say(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        say(c, k_stream);
        server_conn_close(c);
        return;
    }
    say(c, k_stream_head);
    for (size_t at = 0; at < sizeof k_stream - 1; at += stream_step) {
        size_t left = sizeof k_stream - 1 - at;

        say_chunk(c, k_stream + at, left < stream_step ? left : stream_step);
    }
    say(c, "0\r\n\r\n");
}

static void test_lines_are_cut_alike_for_every_chunk_size(void **state)
{
    struct http_client *client = make_client(&a, NULL);

    (void)state;
    a.on_request = answer_stream;
    for (stream_step = 0; stream_step < sizeof k_stream; stream_step++) {
        struct lines_seen s = {.n_lines = 0};

        start_lines(client, &s);
        turn_until(loop, &s.ended);
        assert_string_equal(s.text, "{\"a\":1}||{\"bb\":22}|ccc|");
        assert_int_equal(s.n_lines, 4);
        assert_int_equal(s.n_ends, 1);
        assert_int_equal(s.e, E_END);
    }
    assert_non_null(strstr(a.last, "\r\nAuthorization: Bearer s3cret\r\n"));
    http_client_destroy(&client);
}

static void answer_stream_open(struct server_conn *c)
{
    say(c, k_stream_head);
    say_chunk(c, "one\n", 4);
}

static void test_lines_come_while_the_answer_goes_on(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct lines_seen s = {.n_lines = 0};

    (void)state;
    a.on_request = answer_stream_open;
    start_lines(client, &s);
    turn_until(loop, &s.got_line);
    assert_string_equal(s.text, "one|");
    s.got_line = false;
    say_chunk(&a.conns[0], "two\nhalf", 8);
    turn_until(loop, &s.got_line);
    assert_string_equal(s.text, "one|two|");
    server_conn_close(&a.conns[0]); /* in mid-line, without the last chunk */
    turn_until(loop, &s.ended);
    assert_string_equal(s.text, "one|two|");
    assert_int_equal(s.e, E_IO);
    http_client_destroy(&client);
}

static void test_lines_give_timeout_without_bytes(void **state)
{
    static void (*const k_answers[])(struct server_conn * c) = {answer_nothing, answer_stream_open};
    struct http_client *client = make_client(&a, &b);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct lines_seen s = {.close_in_end = true};

        a.on_request = b.on_request = k_answers[i];
        start_lines(client, &s);
        turn_until(loop, &s.ended);
        assert_int_equal(s.e, E_TIMEOUT);
        assert_int_equal(s.n_lines, i);
        assert_null(s.lines);
    }
    assert_int_equal(a.n_requests, 1); /* the second time another server was asked */
    assert_int_equal(b.n_requests, 1);
    http_client_destroy(&client);
}

static void answer_403(struct server_conn *c)
{
    say_status(c, "403 Forbidden");
}

static void test_lines_give_the_reason_when_there_is_no_stream(void **state)
{
    static const struct {
        void (*answer)(struct server_conn *c);
        enum err e;
    } k_rows[] = {{answer_403, E_DENIED},
                  {answer_404, E_NOT_FOUND},
                  {answer_by_closing, E_IO},
                  {answer_503, E_IO}};
    struct http_client *client = make_client(&a, NULL);

    (void)state;
    a.body = "not a line\n";
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct lines_seen s = {.n_lines = 0};

        a.on_request = k_rows[i].answer;
        start_lines(client, &s);
        turn_until(loop, &s.ended);
        assert_int_equal(s.e, k_rows[i].e);
        assert_int_equal(s.n_lines, 0);
    }
    http_client_destroy(&client);
}

static size_t long_line_bytes;

static void answer_long_line(struct server_conn *c)
{
    char *line = malloc(long_line_bytes + 1);

    memset(line, 'x', long_line_bytes);
    line[long_line_bytes] = '\n';
    say(c, k_stream_head);
    for (size_t at = 0; at <= long_line_bytes; at += 30000)
        say_chunk(c, line + at,
                  long_line_bytes + 1 - at < 30000 ? long_line_bytes + 1 - at : 30000);
    say(c, "0\r\n\r\n");
    free(line);
}

static void test_lines_take_64_kib_and_give_too_big_above(void **state)
{
    struct http_client *client = make_client(&a, NULL);

    (void)state;
    a.on_request = answer_long_line;
    for (long_line_bytes = 65536; long_line_bytes <= 65537; long_line_bytes++) {
        struct lines_seen s = {.n_lines = 0};

        start_lines(client, &s);
        turn_until(loop, &s.ended);
        assert_int_equal(s.e, long_line_bytes == 65536 ? E_END : E_TOO_BIG);
        assert_int_equal(s.n_lines, long_line_bytes == 65536 ? 1 : 0);
        assert_int_equal(s.longest_bytes, long_line_bytes == 65536 ? 65536 : 0);
    }
    http_client_destroy(&client);
}

static void test_lines_may_be_closed_inside_on_line(void **state)
{
    struct http_client *client = make_client(&a, NULL);

    (void)state;
    a.on_request = answer_stream;
    for (stream_step = 1; stream_step < sizeof k_stream; stream_step += 4) {
        struct lines_seen s = {.close_at = 2};

        start_lines(client, &s);
        while (s.n_lines < 2)
            loop_turn(loop, true);
        turn_ready(loop);
        assert_null(s.lines);
        assert_int_equal(s.n_lines, 2);
        assert_int_equal(s.n_ends, 0);
    }
    http_client_destroy(&client);
}

static void test_client_may_be_destroyed_inside_on_line(void **state)
{
    struct lines_seen s = {.destroy_at = 3}, other = {.n_lines = 0};
    struct http_client *client = make_client(&a, NULL);

    (void)state;
    a.on_request = answer_stream;
    stream_step = 100;
    s.client = client;
    start_lines(client, &other);
    http_lines_close(&other.lines); /* before anything happened */
    start_lines(client, &s);
    while (s.n_lines < 3)
        loop_turn(loop, true);
    turn_ready(loop);
    assert_null(s.client);
    assert_int_equal(s.n_lines, 3);
    assert_int_equal(s.n_ends + other.n_lines + other.n_ends, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lines_are_cut_alike_for_every_chunk_size),
        T(test_lines_come_while_the_answer_goes_on),
        T(test_lines_give_timeout_without_bytes),
        T(test_lines_give_the_reason_when_there_is_no_stream),
        T(test_lines_take_64_kib_and_give_too_big_above),
        T(test_lines_may_be_closed_inside_on_line),
        T(test_client_may_be_destroyed_inside_on_line),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
