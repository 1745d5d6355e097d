/* conn.c and linger.c over real TCP on loopback: split reads, closing inside callbacks and after
 * the last byte, moving a live connection between loops. */
#include "tests/unit/common/net/conn_test.h"

/* --- properties --- */

static void test_create_keeps_peer_and_loop(void **state)
{
    struct peer p;
    int fd = peer_open(&p, 0);

    (void)state;
    assert_string_equal(conn_peer(p.conn), "10.1.2.3:5555");
    assert_int_equal(addr_port(conn_peer_addr(p.conn)), 5555);
    assert_ptr_equal(conn_loop(p.conn), loop);
    assert_true(conn_fd(p.conn) >= 0);
    peer_free(&p, fd);
}

/* --- reading --- */

static void test_read_gives_the_bytes_in_order_for_every_split(void **state)
{
    static const char k_text[] = "GET /live/x.flv HTTP/1.1\r\n\r\n";

    (void)state;
    for (size_t step = 1; step <= sizeof k_text; step += 3) {
        struct peer p;
        int fd = peer_open(&p, 0);

        for (size_t at = 0; at < sizeof k_text; at += step) {
            size_t n = sizeof k_text - at < step ? sizeof k_text - at : step;

            write_full(fd, k_text + at, n);
            p.want_bytes = at + n;
            p.done = false;
            turn_until(loop, &p.done);
        }
        assert_int_equal(p.got.used_bytes, sizeof k_text);
        assert_memory_equal(p.got.data, k_text, sizeof k_text);
        assert_int_equal(conn_bytes_in(p.conn), sizeof k_text);
        peer_free(&p, fd);
    }
}

static void test_read_gives_closed_once_at_the_end_of_the_stream(void **state)
{
    struct peer p;
    int fd = peer_open(&p, 0);
    struct buf_view view;
    unsigned n_readable;

    (void)state;
    write_full(fd, "bye", 3);
    shutdown(fd, SHUT_WR);
    turn_until(loop, &p.ended);
    assert_int_equal(p.end, E_CLOSED);
    assert_memory_equal(p.got.data, "bye", 3);
    n_readable = p.n_readable;
    turn_ready(loop); /* the event must not fire for ever */
    assert_int_equal(p.n_readable, n_readable);
    assert_int_equal(conn_read(p.conn, &view), E_CLOSED);
    assert_int_equal(conn_write(p.conn, buf_view_str("still")), E_OK); /* half-closed only */
    peer_free(&p, fd);
}

static void test_read_gives_closed_after_a_reset(void **state)
{
    struct peer p;
    int fd = peer_open(&p, 0);
    struct linger hard = {1, 0};

    (void)state;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    turn_until(loop, &p.ended);
    assert_int_equal(p.end, E_CLOSED);
    assert_int_equal(conn_write(p.conn, buf_view_str("x")), E_CLOSED);
    peer_free(&p, -1);
}

static void test_set_reading_pauses_and_resumes(void **state)
{
    struct peer p;
    int fd = peer_open(&p, 0);

    (void)state;
    conn_set_reading(p.conn, false);
    write_full(fd, "abc", 3);
    turn_ready(loop);
    assert_int_equal(p.n_readable, 0);
    p.want_bytes = 3;
    conn_set_reading(p.conn, true);
    turn_until(loop, &p.done);
    assert_memory_equal(p.got.data, "abc", 3);
    peer_free(&p, fd);
}

/* --- closing inside callbacks --- */

static void test_close_is_fine_inside_on_readable(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(QUEUE_MAX / 2);

    (void)state;
    p.close_in_callback = true;
    conn_write(p.conn, buf_view_of(data, QUEUE_MAX / 2)); /* a write event is armed too */
    write_full(fd, "abc", 3);
    turn_until(loop, &p.done);
    assert_null(p.conn);
    turn_ready(loop);
    free(data);
    peer_free(&p, fd);
}

static void test_close_is_fine_inside_on_writable(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    size_t size = 100000, got = 0;
    uint8_t *data = pattern_bytes(size), *back = malloc(size);
    struct drain d = {fd, size, back};

    (void)state;
    p.close_in_callback = true;
    conn_write(p.conn, buf_view_of(data, size));
    while (!p.writable) {
        drain_some(&d, &got);
        loop_turn(loop, false);
    }
    assert_null(p.conn);
    read_full(fd, back + got, size - got);
    assert_int_equal(read(fd, back, 1), 0);
    free(data);
    free(back);
    peer_free(&p, fd);
}

static void test_close_is_fine_inside_on_error(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(QUEUE_MAX / 2);
    struct linger hard = {1, 0};

    (void)state;
    p.close_in_callback = true;
    conn_set_reading(p.conn, false);
    conn_write(p.conn, buf_view_of(data, QUEUE_MAX / 2));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    turn_until(loop, &p.ended);
    assert_null(p.conn);
    free(data);
    peer_free(&p, -1);
}

/* --- close after flush --- */

static void test_close_after_flush_delivers_the_answer_despite_unread_input(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    size_t size = 200000, got = 0;
    uint8_t *data = pattern_bytes(size), *back = malloc(size);
    struct drain d = {fd, size, back};

    (void)state;
    write_full(fd, data, 1000); /* never read by the owner: close() alone would send a reset */
    conn_write(p.conn, buf_view_of(data, size));
    conn_close_after_flush(&p.conn);
    assert_null(p.conn);
    while (!drain_some(&d, &got))
        loop_turn(loop, false);
    assert_pattern(back, 0, size);
    write_full(fd, data, 1000); /* more input after the answer is dropped too */
    turn_ready(loop);
    assert_int_equal(recv(fd, back, 1, 0), 0); /* an orderly end, no reset */
    assert_int_equal(p.n_readable + p.n_errors + p.n_writable, 0);
    free(data);
    free(back);
    peer_free(&p, fd); /* now the loop closes what is left */
    turn_ready(loop);
}

static void test_close_after_flush_ends_with_the_loop(void **state)
{
    struct peer p;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(QUEUE_MAX / 2);

    (void)state;
    conn_write(p.conn, buf_view_of(data, QUEUE_MAX / 2));
    conn_close_after_flush(&p.conn);
    free(data);
    peer_free(&p, fd); /* teardown destroys the loop; the leak checker looks at the rest */
}

struct knocker {
    struct timer timer;
    int fd;
    bool closed;
};

/* Once the other side is gone, a send is answered with a reset, and the next one fails. */
static void on_knock(struct timer *timer)
{
    struct knocker *k = list_entry(timer, struct knocker, timer);

    k->closed = send(k->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
    timer_start_ms(timer, 20);
}

static void test_close_after_flush_gives_up_on_a_peer_that_stays(void **state)
{
    struct peer p;
    struct knocker k = {.fd = peer_open(&p, 0)};
    int64_t begin_us = clock_mono_us();

    (void)state;
    conn_close_after_flush(&p.conn);
    timer_init(&k.timer, loop, on_knock);
    timer_start_ms(&k.timer, 0);
    turn_until(loop, &k.closed);
    assert_in_range((clock_mono_us() - begin_us) / 1000, 1900, 10000);
    timer_stop(&k.timer);
    peer_free(&p, k.fd);
}

/* --- from loop to loop --- */

/* The connection goes to a loop thread and back while the other end keeps sending. */
struct move {
    struct loop_msg msg;
    struct conn *conn; /* on its way */
    struct loop *home, *away, *at;
    struct buf_writer got;
    size_t hop_bytes; /* moved on after each so many */
    size_t size_bytes;
    unsigned n_hops;
    bool done;
};

static void on_moved(struct loop_msg *msg);

static void on_move_readable(struct conn *conn, void *arg)
{
    struct move *m = arg;
    struct buf_view view;

    if (conn_read(conn, &view) != E_OK) /* one read a turn: the rest travels in the socket */
        return;
    buf_write_view(&m->got, view);
    if (m->got.used_bytes >= m->size_bytes) {
        conn_close(&m->conn);
        m->msg.run = on_moved;
        loop_post(m->home, &m->msg);
    } else if (m->got.used_bytes >= m->hop_bytes * (m->n_hops + 1)) {
        m->n_hops++;
        m->at = m->at == m->home ? m->away : m->home;
        m->conn = conn_detach(&m->conn);
        loop_post(m->at, &m->msg);
    }
}

static const struct conn_ops k_move_ops = {on_move_readable, NULL, NULL, NULL};

static void on_moved(struct loop_msg *msg)
{
    struct move *m = (struct move *)msg;

    if (m->got.used_bytes >= m->size_bytes) {
        m->done = true;
        return;
    }
    conn_adopt(m->conn, m->at, &k_move_ops, m);
    conn_write(m->conn, buf_view_str("+"));
}

static void test_detach_and_adopt_lose_no_byte_between_loops(void **state)
{
    struct move m = {.msg = {.run = on_moved}, .hop_bytes = 20000, .size_bytes = 1 << 20};
    uint8_t *data = pattern_bytes(m.size_bytes);
    size_t sent = 0;
    int fds[2];
    char plus[100];

    (void)state;
    m.home = m.at = loop;
    m.away = loop_create("away", 1);
    buf_writer_init(&m.got, SIZE_MAX);
    assert_int_equal(loop_start_thread(m.away), E_OK);
    tcp_pair(fds, 0);
    m.conn = conn_create(loop, fds[0], any_peer(), QUEUE_MAX, &k_move_ops, &m);
    while (!m.done) {
        ssize_t n =
            sent < m.size_bytes
                ? send(fds[1], data + sent, m.size_bytes - sent < 7000 ? m.size_bytes - sent : 7000,
                       MSG_DONTWAIT | MSG_NOSIGNAL)
                : 0;

        sent += n > 0 ? (size_t)n : 0;
        loop_turn(loop, sent == m.size_bytes);
    }
    assert_int_equal(m.got.used_bytes, m.size_bytes);
    assert_pattern(m.got.data, 0, m.size_bytes);
    assert_true(m.n_hops >= 4);
    assert_int_equal(recv(fds[1], plus, sizeof plus, 0), m.n_hops); /* each new loop could write */
    loop_stop(m.away);
    loop_join(m.away);
    loop_destroy(&m.away);
    buf_writer_fini(&m.got);
    free(data);
    close(fds[1]);
}

static void test_adopt_goes_on_sending_the_queue(void **state)
{
    struct peer p, q = {.end = E_OK};
    struct loop *other = loop_create("other", 1);
    size_t size = 300000, got = 0;
    int fd = peer_open(&p, SMALL_BUFFER);
    uint8_t *data = pattern_bytes(size), *back = malloc(size);
    struct drain d = {fd, size, back};

    (void)state;
    conn_write(p.conn, buf_view_of(data, size));
    q.conn = conn_detach(&p.conn);
    assert_null(p.conn);
    assert_null(conn_loop(q.conn));
    conn_adopt(q.conn, other, &k_peer_ops, &q);
    assert_ptr_equal(conn_loop(q.conn), other);
    while (!drain_some(&d, &got))
        loop_turn(other, false);
    assert_pattern(back, 0, size);
    assert_int_equal(p.n_writable, 0);
    peer_free(&q, -1);
    loop_destroy(&other);
    free(data);
    free(back);
    peer_free(&p, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_keeps_peer_and_loop),
        TEST(test_read_gives_the_bytes_in_order_for_every_split),
        TEST(test_read_gives_closed_once_at_the_end_of_the_stream),
        TEST(test_read_gives_closed_after_a_reset),
        TEST(test_set_reading_pauses_and_resumes),
        TEST(test_close_is_fine_inside_on_readable),
        TEST(test_close_is_fine_inside_on_writable),
        TEST(test_close_is_fine_inside_on_error),
        TEST(test_close_after_flush_delivers_the_answer_despite_unread_input),
        TEST(test_close_after_flush_ends_with_the_loop),
        TEST(test_close_after_flush_gives_up_on_a_peer_that_stays),
        TEST(test_detach_and_adopt_lose_no_byte_between_loops),
        TEST(test_adopt_goes_on_sending_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
