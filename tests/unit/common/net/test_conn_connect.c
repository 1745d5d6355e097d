/* conn_connect.c on loopback: success, refusal, silence, and closing before and inside the answer.
 */
#include "tests/unit/common/net/conn_test.h"

static void test_connect_sends_what_was_written_before(void **state)
{
    struct addr bound;
    int listen_fd = raw_listen(&bound), fd;
    struct peer p = {.end = E_IO};
    char text[6] = "", local[ADDR_TEXT_SIZE];

    (void)state;
    p.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_peer_ops, &p);
    assert_non_null(p.conn);
    assert_string_equal(conn_peer(p.conn), addr_format(&bound, local));
    assert_int_equal(conn_write(p.conn, buf_view_str("hello")), E_OK);
    assert_int_equal(p.n_connected, 0); /* never from within the call */
    turn_until(loop, &p.done);
    assert_int_equal(p.end, E_OK);
    fd = accept(listen_fd, NULL, NULL);
    turn_until(loop, &p.writable);
    read_full(fd, text, 5);
    assert_string_equal(text, "hello");
    p.done = false;
    p.want_bytes = 2;
    buf_writer_init(&p.got, SIZE_MAX);
    write_full(fd, "ok", 2);
    turn_until(loop, &p.done);
    assert_memory_equal(p.got.data, "ok", 2);
    assert_int_equal(p.n_connected, 1);
    close(listen_fd);
    peer_free(&p, fd);
}

static void test_connect_tells_refusal(void **state)
{
    struct addr bound;
    int listen_fd = raw_listen(&bound);
    struct peer p = {.end = E_OK};
    struct iovec iov = {"x", 1};
    size_t n;

    (void)state;
    close(listen_fd);
    p.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_peer_ops, &p);
    assert_non_null(p.conn);
    turn_until(loop, &p.done);
    assert_int_equal(p.end, E_IO);
    assert_int_equal(conn_write(p.conn, buf_view_str("x")), E_CLOSED);
    assert_int_equal(conn_send_iov(p.conn, &iov, 1, iov.iov_len, &n), E_CLOSED);
    turn_ready(loop);
    assert_int_equal(p.n_connected, 1);
    peer_free(&p, -1);
}

static void test_connect_tells_failure_at_once_despite_queued_bytes(void **state)
{
    struct peer p = {.end = E_OK};
    struct addr group;

    (void)state;
    assert_int_equal(addr_parse(&group, "224.0.0.1:9"), E_OK); /* no TCP to a multicast group */
    p.conn = conn_connect(loop, &group, 5000, QUEUE_MAX, &k_peer_ops, &p);
    assert_non_null(p.conn);
    assert_int_equal(conn_write(p.conn, buf_view_str("x")), E_OK); /* the socket says "writable" */
    assert_int_equal(p.n_connected, 0);
    turn_until(loop, &p.done);
    assert_int_equal(p.end, E_IO);
    turn_ready(loop);
    assert_int_equal(p.n_connected, 1);
    peer_free(&p, -1);
}

static void test_connect_may_be_closed_inside_on_connected_and_before(void **state)
{
    struct addr bound;
    int listen_fd = raw_listen(&bound);
    struct peer p = {.close_in_callback = true}, q = {.end = E_OK};

    (void)state;
    p.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_peer_ops, &p);
    q.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_peer_ops, &q);
    conn_close_after_flush(&q.conn);
    turn_until(loop, &p.done);
    assert_null(p.conn);
    assert_null(q.conn);
    assert_int_equal(q.n_connected, 0);
    close(listen_fd);
}

static void test_connect_gives_timeout_when_nobody_answers(void **state)
{
    struct addr bound;
    int listen_fd = raw_listen(&bound), filler[8];
    struct peer p = {.end = E_OK};

    (void)state;
    /* A full backlog leaves further SYNs without an answer. */
    assert_int_equal(listen(listen_fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(filler[i], &bound.storage.any, bound.size_bytes);
    }
    p.conn = conn_connect(loop, &bound, 50, QUEUE_MAX, &k_peer_ops, &p);
    turn_until(loop, &p.done);
    assert_int_equal(p.end, E_TIMEOUT);
    for (int i = 0; i < 8; i++)
        close(filler[i]);
    close(listen_fd);
    peer_free(&p, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connect_sends_what_was_written_before),
        TEST(test_connect_tells_refusal),
        TEST(test_connect_tells_failure_at_once_despite_queued_bytes),
        TEST(test_connect_may_be_closed_inside_on_connected_and_before),
        TEST(test_connect_gives_timeout_when_nobody_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
