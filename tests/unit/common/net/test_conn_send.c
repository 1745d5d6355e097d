/* conn_send.c over real TCP on loopback: short sends, the queue and its bound. */
#include "tests/unit/common/net/conn_test.h"

static void test_write_queues_what_the_socket_does_not_take(void **state)
{
    struct peer p;
    size_t size = 300000, got = 0;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(size), *back = malloc(size);
    struct drain d = {fd, size, back};

    (void)state;
    for (size_t at = 0; at < size; at += 1000) /* many pieces: the queue is compacted on its way */
        assert_int_equal(conn_write(p.conn, buf_view_of(data + at, 1000)), E_OK);
    assert_true(conn_queued_bytes(p.conn) > 0);
    while (!drain_some(&d, &got))
        loop_turn(loop, false);
    assert_pattern(back, 0, size);
    turn_until(loop, &p.writable); /* told once the queue is empty */
    assert_int_equal(conn_queued_bytes(p.conn), 0);
    assert_int_equal(conn_bytes_out(p.conn), size);
    assert_int_equal(p.n_errors, 0);
    free(data);
    free(back);
    peer_free(&p, fd);
}

static void test_write_gives_slow_above_the_bound(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(QUEUE_MAX);
    enum err e = E_OK;

    (void)state;
    for (int i = 0; i < 40 && e == E_OK; i++)
        e = conn_write(p.conn, buf_view_of(data, QUEUE_MAX / 8));
    assert_int_equal(e, E_SLOW);
    assert_in_range(conn_queued_bytes(p.conn), QUEUE_MAX / 2, QUEUE_MAX);
    assert_int_equal(p.n_errors, 0); /* told by the return value alone */
    free(data);
    peer_free(&p, fd);
}

static void test_error_is_told_when_the_peer_resets_while_bytes_are_queued(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(QUEUE_MAX / 2);
    struct linger hard = {1, 0};

    (void)state;
    conn_set_reading(p.conn, false);
    assert_int_equal(conn_write(p.conn, buf_view_of(data, QUEUE_MAX / 2)), E_OK);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    turn_until(loop, &p.ended);
    assert_int_equal(p.end, E_CLOSED);
    assert_int_equal(p.n_errors, 1);
    turn_ready(loop);
    assert_int_equal(p.n_errors, 1);
    free(data);
    peer_free(&p, -1);
}

/* Cuts data into n pieces of different sizes. */
static int make_iov(struct iovec *iov, int n, uint8_t *data, size_t size_bytes)
{
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        size_t piece = i == n - 1 ? size_bytes - at : (size_bytes / (size_t)n) - (size_t)(i % 3);

        iov[i] = (struct iovec){data + at, piece};
        at += piece;
    }
    return n;
}

static size_t sum_of(const struct iovec *iov, int n_iov)
{
    size_t sum = 0;

    for (int i = 0; i < n_iov; i++)
        sum += iov[i].iov_len;
    return sum;
}

static void send_all_by_iov(int n_iov)
{
    struct peer p;
    size_t size = 400000, got = 0, sent = 0;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(size), *back = malloc(size);
    struct iovec *iov = calloc((size_t)n_iov, sizeof *iov);
    struct drain d = {fd, size, back};
    bool was_short = false;

    while (sent < size) {
        size_t n;
        int used =
            make_iov(iov, sent + (size_t)n_iov * 8 < size ? n_iov : 1, data + sent, size - sent);
        enum err e = conn_send_iov(p.conn, iov, used, sum_of(iov, used), &n);

        assert_true(e == E_OK || e == E_AGAIN);
        assert_true(e == E_OK || n == 0);
        sent += n;
        if (sent == size)
            break;
        was_short = true;
        p.writable = false;
        while (!p.writable) { /* armed by the short send */
            drain_some(&d, &got);
            loop_turn(loop, false);
        }
    }
    assert_true(was_short);
    read_full(fd, back + got, size - got);
    assert_pattern(back, 0, size);
    assert_int_equal(conn_bytes_out(p.conn), size);
    free(iov);
    free(data);
    free(back);
    peer_free(&p, fd);
}

static void test_send_iov_continues_after_short_sends(void **state)
{
    (void)state;
    send_all_by_iov(1);
    send_all_by_iov(7);
    send_all_by_iov(3000); /* above IOV_MAX */
}

static void test_send_iov_gives_again_while_the_queue_is_not_empty(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    size_t size = QUEUE_MAX / 2, got = 0, n = 1;
    uint8_t *data = pattern_bytes(size), *back = malloc(size);
    struct drain d = {fd, size, back};
    struct iovec iov = {data, 10};

    (void)state;
    assert_int_equal(conn_write(p.conn, buf_view_of(data, size)), E_OK);
    assert_int_equal(conn_send_iov(p.conn, &iov, 1, iov.iov_len, &n), E_AGAIN);
    assert_int_equal(n, 0);
    while (!p.writable) {
        drain_some(&d, &got);
        loop_turn(loop, false);
    }
    assert_int_equal(conn_send_iov(p.conn, &iov, 1, iov.iov_len, &n), E_OK);
    assert_int_equal(n, 10);
    assert_int_equal(conn_send_iov(p.conn, &iov, 0, 0, &n), E_OK);
    assert_int_equal(n, 0);
    free(data);
    free(back);
    peer_free(&p, fd);
}

static void test_writable_is_not_told_without_need(void **state)
{
    struct peer p;
    int fd = peer_open(&p, 0);

    (void)state;
    assert_int_equal(conn_write(p.conn, buf_view_str("hello")), E_OK);
    turn_ready(loop);
    assert_int_equal(p.n_writable, 0);
    peer_free(&p, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_queues_what_the_socket_does_not_take),
        TEST(test_write_gives_slow_above_the_bound),
        TEST(test_error_is_told_when_the_peer_resets_while_bytes_are_queued),
        TEST(test_send_iov_continues_after_short_sends),
        TEST(test_send_iov_gives_again_while_the_queue_is_not_empty),
        TEST(test_writable_is_not_told_without_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
