/* conn*.c and linger.c over real TCP on loopback: split reads, short sends, closing inside
 * callbacks, moving a live connection between loops. */
#include "common/net/conn.h"

#include "net_test.h"

#define SMALL_BUFFER 4096
#define QUEUE_MAX (1u << 20)

/* One connection under test; the other end is a plain descriptor. */
struct peer {
    struct conn *conn;
    struct buf_writer got;
    size_t want_bytes; /* of got; sets done */
    enum err end;      /* what conn_read() gave after E_AGAIN, or on_error / on_connected told */
    unsigned n_readable, n_writable, n_errors, n_connected;
    bool done, writable, ended, close_in_callback;
};

static void maybe_close(struct peer *p)
{
    if (p->close_in_callback)
        conn_close(&p->conn);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct peer *p = arg;
    struct buf_view view;
    enum err e;

    p->n_readable++;
    while ((e = conn_read(conn, &view)) == E_OK)
        buf_write_view(&p->got, view);
    if (e != E_AGAIN) {
        p->end = e;
        p->ended = true;
    }
    p->done = p->got.used_bytes >= p->want_bytes;
    maybe_close(p);
}

static void on_writable(struct conn *conn, void *arg)
{
    struct peer *p = arg;

    (void)conn;
    p->n_writable++;
    p->writable = true;
    maybe_close(p);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    struct peer *p = arg;

    (void)conn;
    p->n_errors++;
    p->end = e;
    p->ended = true;
    maybe_close(p);
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct peer *p = arg;

    (void)conn;
    p->n_connected++;
    p->end = e;
    p->done = true;
    maybe_close(p);
}

static const struct conn_ops k_ops = {on_readable, on_writable, on_error, on_connected};

static struct loop *loop;

static int setup(void **state)
{
    (void)state;
    loop = loop_create("test", 0);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(&loop);
    return 0;
}

static const struct addr *any_peer(void)
{
    static struct addr a;

    assert_int_equal(addr_parse(&a, "10.1.2.3:5555"), E_OK);
    return &a;
}

/* Returns the descriptor of the other end. */
static int peer_open(struct peer *p, int sndbuf_bytes)
{
    int fds[2];

    *p = (struct peer){.end = E_OK};
    buf_writer_init(&p->got, SIZE_MAX);
    tcp_pair(fds, sndbuf_bytes);
    p->conn = conn_create(loop, fds[0], any_peer(), QUEUE_MAX, &k_ops, p);
    assert_non_null(p->conn);
    return fds[1];
}

static void peer_free(struct peer *p, int fd)
{
    conn_close(&p->conn);
    buf_writer_fini(&p->got);
    if (fd >= 0)
        close(fd);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

static uint8_t *pattern_bytes(size_t size_bytes)
{
    uint8_t *data = malloc(size_bytes);

    for (size_t i = 0; i < size_bytes; i++)
        data[i] = pattern(i);
    return data;
}

static void assert_pattern(const uint8_t *data, size_t from, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (data[i] != pattern(from + i))
            fail_msg("byte %zu is wrong", from + i);
    }
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

/* --- writing --- */

struct drain {
    int fd;
    size_t size_bytes; /* to read */
    uint8_t *data;
};

/* Reads what has arrived without waiting; true once size_bytes are there. */
static bool drain_some(struct drain *d, size_t *got)
{
    ssize_t n;

    while (*got < d->size_bytes &&
           (n = recv(d->fd, d->data + *got, d->size_bytes - *got, MSG_DONTWAIT)) > 0)
        *got += (size_t)n;
    return *got == d->size_bytes;
}

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

/* --- connecting --- */

static void test_connect_sends_what_was_written_before(void **state)
{
    struct addr bound;
    int listen_fd = raw_listen(&bound), fd;
    struct peer p = {.end = E_IO};
    char text[6] = "", local[ADDR_TEXT_SIZE];

    (void)state;
    p.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_ops, &p);
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
    p.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_ops, &p);
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
    p.conn = conn_connect(loop, &group, 5000, QUEUE_MAX, &k_ops, &p);
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
    p.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_ops, &p);
    q.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_ops, &q);
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
    p.conn = conn_connect(loop, &bound, 50, QUEUE_MAX, &k_ops, &p);
    turn_until(loop, &p.done);
    assert_int_equal(p.end, E_TIMEOUT);
    for (int i = 0; i < 8; i++)
        close(filler[i]);
    close(listen_fd);
    peer_free(&p, -1);
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
    conn_adopt(q.conn, other, &k_ops, &q);
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_create_keeps_peer_and_loop),
        T(test_read_gives_the_bytes_in_order_for_every_split),
        T(test_read_gives_closed_once_at_the_end_of_the_stream),
        T(test_read_gives_closed_after_a_reset),
        T(test_set_reading_pauses_and_resumes),
        T(test_write_queues_what_the_socket_does_not_take),
        T(test_write_gives_slow_above_the_bound),
        T(test_error_is_told_when_the_peer_resets_while_bytes_are_queued),
        T(test_send_iov_continues_after_short_sends),
        T(test_send_iov_gives_again_while_the_queue_is_not_empty),
        T(test_writable_is_not_told_without_need),
        T(test_close_is_fine_inside_on_readable),
        T(test_close_is_fine_inside_on_writable),
        T(test_close_is_fine_inside_on_error),
        T(test_close_after_flush_delivers_the_answer_despite_unread_input),
        T(test_close_after_flush_ends_with_the_loop),
        T(test_close_after_flush_gives_up_on_a_peer_that_stays),
        T(test_connect_sends_what_was_written_before),
        T(test_connect_tells_refusal),
        T(test_connect_tells_failure_at_once_despite_queued_bytes),
        T(test_connect_may_be_closed_inside_on_connected_and_before),
        T(test_connect_gives_timeout_when_nobody_answers),
        T(test_detach_and_adopt_lose_no_byte_between_loops),
        T(test_adopt_goes_on_sending_the_queue),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
