/* Answers whose bytes come piece by piece: in order, each given back when it is sent, and cut off
 * where there is no more. */
#include "tests/unit/common/net/test_http_server.h"

#define WHOLE_BYTES 300000u

static struct source { /* of one answer at a time */
    struct loop_msg msg;
    struct loop *loop;
    struct http_exchange *x;
    uint8_t data[WHOLE_BYTES];
    uint8_t *piece; /* lent to the answer, in a block of its own */
    uint64_t at, left_bytes, fails_at;
    size_t step;
    unsigned n_wants, n_lent, n_done;
} g_source;

static void give(struct loop_msg *msg)
{
    struct source *s = list_entry(msg, struct source, msg);
    size_t n = s->left_bytes < s->step ? (size_t)s->left_bytes : s->step;

    if (!s->x)
        return; /* the peer has left */
    if (s->at >= s->fails_at) {
        http_fail_pieces(s->x);
        return;
    }
    s->piece = malloc(n);
    assert_non_null(s->piece);
    memcpy(s->piece, s->data + s->at, n);
    http_give_piece(s->x, buf_view_of(s->piece, n));
}

static void on_want(struct http_exchange *x, void *arg, uint64_t at, uint64_t left_bytes)
{
    struct source *s = arg;

    free(s->piece);
    s->piece = NULL;
    s->x = x;
    s->at = at;
    s->left_bytes = left_bytes;
    s->n_wants++;
    s->msg = (struct loop_msg){.run = give};
    loop_post(s->loop, &s->msg);
}

static void on_done(void *arg)
{
    struct source *s = arg;

    free(s->piece);
    s->piece = NULL;
    s->x = NULL;
    s->n_done++;
    assert_true(s->n_done <= s->n_lent);
}

static void on_pieces(struct http_exchange *x, void *arg)
{
    struct http_pieces answer = {.content_type = "video/mp4",
                                 .etag = "\"e1\"",
                                 .whole_bytes = WHOLE_BYTES,
                                 .want = on_want,
                                 .done = on_done,
                                 .arg = &g_source};

    (void)arg;
    g_source.n_lent++;
    http_respond_pieces(x, &answer);
}

static void on_now(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, NULL, buf_view_str(http_query(x)));
}

static const struct http_route k_routes[] = {
    {"GET", "/pieces", on_pieces, 0}, {"GET", "/now", on_now, 0}, {0}};

static int set_up(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    fixture_open(f, &k_http_limits_default, k_routes);
    memset(&g_source, 0, sizeof g_source);
    g_source.loop = f->loop;
    g_source.step = 65536;
    g_source.fails_at = UINT64_MAX;
    for (size_t i = 0; i < WHOLE_BYTES; i++)
        g_source.data[i] = (uint8_t)(i * 7 + (i >> 8));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    assert_int_equal(g_source.n_done, g_source.n_lent);
    assert_null(g_source.piece);
    free(f);
    return 0;
}

/* Waits for head and body; both are taken off. */
static void expect(struct client *c, const char *status_line, size_t first, size_t n_bytes)
{
    const char *end;
    size_t head_bytes;

    client_wait_bytes(c, 120); /* no head is longer than it and what follows */
    end = memmem(c->got.data, c->got.used_bytes, "\r\n\r\n", 4);
    assert_non_null(end);
    assert_memory_equal(c->got.data, status_line, strlen(status_line));
    head_bytes = (size_t)(end + 4 - (const char *)c->got.data);
    client_wait_bytes(c, head_bytes + n_bytes);
    assert_memory_equal(c->got.data + head_bytes, g_source.data + first, n_bytes);
    buf_writer_consume(&c->got, head_bytes + n_bytes);
}

#define GET(target, fields) "GET " target " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static void test_respond_pieces_sends_all_of_it_between_other_answers(void **state)
{
    static const size_t k_steps[] = {1000, 65536, WHOLE_BYTES};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof k_steps / sizeof k_steps[0]; i++) {
        struct client c;

        g_source.step = k_steps[i];
        g_source.n_wants = 0;
        client_open_sized(&c, f, 8192);
        client_send(&c, GET("/now?1", "") GET("/pieces", "") GET("/now?2", ""));
        client_expect(&c, 200, "1");
        expect(&c, "HTTP/1.1 200 OK\r\n", 0, WHOLE_BYTES);
        client_expect(&c, 200, "2");
        assert_int_equal(g_source.n_wants, (WHOLE_BYTES + k_steps[i] - 1) / k_steps[i]);
        client_close(&c);
    }
}

static void test_respond_pieces_gives_ranges(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, GET("/pieces", "Range: bytes=65535-200000\r\n"));
    expect(&c, "HTTP/1.1 206 Partial Content\r\n", 65535, 200000 - 65535 + 1);
    client_send(&c, GET("/pieces", "Range: bytes=-1\r\n"));
    expect(&c, "HTTP/1.1 206 Partial Content\r\n", WHOLE_BYTES - 1, 1);
    client_send(&c, GET("/pieces", "If-None-Match: \"e1\"\r\n") GET("/now?on", ""));
    client_expect(&c, 304, "");
    client_expect(&c, 200, "on");
    client_send(&c, "HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&c, "HTTP/1.1 200 OK\r\n", 0, 0);
    assert_int_equal(g_source.n_wants, 4); /* three of the first range, and the last byte */
    client_close(&c);
}

static void test_fail_pieces_cuts_the_answer_off(void **state)
{
    struct fixture *f = *state;
    struct client c;

    g_source.fails_at = 65536;
    client_open(&c, f);
    client_send(&c, GET("/pieces", "") GET("/now?never", ""));
    client_wait_end(&c);
    assert_true(c.got.used_bytes < WHOLE_BYTES);
    client_close(&c);
}

static void test_pieces_are_given_back_when_the_peer_leaves(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open_sized(&c, f, 4096);
    client_send(&c, GET("/pieces", ""));
    client_wait_bytes(&c, 1000);
    client_close(&c);
    for (unsigned i = 0; i < 1000 && !g_source.n_done; i++)
        loop_turn(f->loop, true);
    assert_int_equal(g_source.n_done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_respond_pieces_sends_all_of_it_between_other_answers,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_respond_pieces_gives_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fail_pieces_cuts_the_answer_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pieces_are_given_back_when_the_peer_leaves, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
