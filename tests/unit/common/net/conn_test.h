/* What the tests of conn*.c and linger.c share: a connection on one loop whose other end is a plain
 * descriptor, and bytes that say where in the stream they belong. */
#ifndef HW_TESTS_CONN_TEST_H
#define HW_TESTS_CONN_TEST_H

#include "tests/unit/common/net/net_test.h"

#include "common/net/conn.h"

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

static inline void maybe_close(struct peer *p)
{
    if (p->close_in_callback)
        conn_close(&p->conn);
}

static inline void on_readable(struct conn *conn, void *arg)
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

static inline void on_writable(struct conn *conn, void *arg)
{
    struct peer *p = arg;

    (void)conn;
    p->n_writable++;
    p->writable = true;
    maybe_close(p);
}

static inline void on_error(struct conn *conn, void *arg, enum err e)
{
    struct peer *p = arg;

    (void)conn;
    p->n_errors++;
    p->end = e;
    p->ended = true;
    maybe_close(p);
}

static inline void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct peer *p = arg;

    (void)conn;
    p->n_connected++;
    p->end = e;
    p->done = true;
    maybe_close(p);
}

static const struct conn_ops k_peer_ops = {on_readable, on_writable, on_error, on_connected};

static struct loop *loop;

static inline int setup(void **state)
{
    (void)state;
    loop = loop_create("test", 0);
    return loop ? 0 : -1;
}

static inline int teardown(void **state)
{
    (void)state;
    loop_destroy(&loop);
    return 0;
}

static inline const struct addr *any_peer(void)
{
    static struct addr a;

    assert_int_equal(addr_parse(&a, "10.1.2.3:5555"), E_OK);
    return &a;
}

/* Returns the descriptor of the other end. */
static inline int peer_open(struct peer *p, int sndbuf_bytes)
{
    int fds[2];

    *p = (struct peer){.end = E_OK};
    buf_writer_init(&p->got, SIZE_MAX);
    tcp_pair(fds, sndbuf_bytes);
    p->conn = conn_create(loop, fds[0], any_peer(), QUEUE_MAX, &k_peer_ops, p);
    assert_non_null(p->conn);
    return fds[1];
}

static inline void peer_free(struct peer *p, int fd)
{
    conn_close(&p->conn);
    buf_writer_fini(&p->got);
    if (fd >= 0)
        close(fd);
}

static inline uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

static inline uint8_t *pattern_bytes(size_t size_bytes)
{
    uint8_t *data = malloc(size_bytes);

    for (size_t i = 0; i < size_bytes; i++)
        data[i] = pattern(i);
    return data;
}

static inline void assert_pattern(const uint8_t *data, size_t from, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (data[i] != pattern(from + i))
            fail_msg("byte %zu is wrong", from + i);
    }
}

/* What the other end reads. */
struct drain {
    int fd;
    size_t size_bytes; /* to read */
    uint8_t *data;
};

/* Reads what has arrived without waiting; true once size_bytes are there. */
static inline bool drain_some(struct drain *d, size_t *got)
{
    ssize_t n;

    while (*got < d->size_bytes &&
           (n = recv(d->fd, d->data + *got, d->size_bytes - *got, MSG_DONTWAIT)) > 0)
        *got += (size_t)n;
    return *got == d->size_bytes;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
