/* tick.c and conn_set_pace() over socket pairs: once a tick, closing and moving inside
 * callbacks, changing between both ways of reading. */
#include "common/net/tick.h"

#include "common/net/conn.h"
#include "net_test.h"

#define N_PEERS 200 /* more than the first places */
#define TICK_US (CONN_TICK_MS * 1000)

static struct loop *loop;

static int setup(void **state)
{
    (void)state;
    loop = loop_create("test", 3);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(&loop);
    return 0;
}

/* One connection under test and the other end of it. */
struct peer {
    struct conn *conn;
    struct peer *closes; /* closed by this one's callback */
    int fd;
    unsigned n_calls;
    size_t n_bytes;
    int64_t tick_no; /* of the last call */
    bool called, ended, same_tick_twice, moves_to_events;
};

static void on_readable(struct conn *conn, void *arg)
{
    struct peer *p = arg;
    int64_t tick_no =
        (loop_now_us(conn_loop(conn)) - (int64_t)loop_index(conn_loop(conn)) * TICK_US / 10) /
        TICK_US;
    struct buf_view got;
    enum err e;

    p->n_calls++;
    p->same_tick_twice |= p->called && tick_no == p->tick_no;
    p->tick_no = tick_no;
    while ((e = conn_read(conn, &got)) == E_OK)
        p->n_bytes += got.size_bytes;
    p->ended = e != E_AGAIN;
    p->called = true;
    if (p->moves_to_events)
        conn_set_pace(conn, CONN_AT_ONCE);
    if (p->closes)
        conn_close(&p->closes->conn); /* last: it may be p itself */
}

static const struct conn_ops k_ops = {on_readable, NULL, NULL, NULL};

static void peer_open(struct peer *p, bool by_tick)
{
    struct addr any;
    int fds[2];

    assert_int_equal(addr_parse(&any, "10.1.2.3:5555"), E_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *p = (struct peer){.fd = fds[1]};
    p->conn = conn_create(loop, fds[0], &any, 1 << 20, &k_ops, p);
    assert_non_null(p->conn);
    conn_set_pace(p->conn, by_tick ? CONN_TICK : CONN_AT_ONCE);
}

static void peer_free(struct peer *p)
{
    conn_close(&p->conn);
    if (p->fd >= 0)
        close(p->fd);
}

static void say(struct peer *p)
{
    write_full(p->fd, "x", 1);
}

/* Turns until two more ticks are over: whatever could come has come by then. */
static void pass_ticks(void)
{
    struct peer clock;

    peer_open(&clock, true);
    for (int i = 0; i < 2; i++) {
        clock.called = false;
        say(&clock);
        turn_until(loop, &clock.called);
    }
    peer_free(&clock);
}

/* New bytes in several turns of each tick, also after the read, until there were n_calls. */
static void read_in_ticks(struct peer *p, unsigned n_calls)
{
    while (p->n_calls < n_calls) {
        for (int i = 0; i < 3; i++) {
            say(p);
            loop_turn(loop, false);
        }
        loop_turn(loop, true);
    }
}

/* --- once a tick --- */

static void test_tick_reads_each_once_and_together(void **state)
{
    static struct peer peers[N_PEERS];
    bool together = true;

    (void)state;
    for (int i = 0; i < N_PEERS; i++)
        peer_open(&peers[i], true);
    for (unsigned round = 1; round <= 4; round++) {
        for (int i = 0; i < N_PEERS; i++) {
            peers[i].called = false;
            say(&peers[i]);
        }
        turn_until(loop, &peers[round].called);
        for (int i = 0; i < N_PEERS; i++)
            together &= peers[i].n_calls == round && peers[i].tick_no == peers[0].tick_no;
    }
    assert_true(together);
    for (int i = 0; i < N_PEERS; i++) {
        assert_int_equal(peers[i].n_bytes, 4);
        assert_false(peers[i].same_tick_twice);
        peer_free(&peers[i]);
    }
}

static void test_tick_comes_once_however_often_bytes_do(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p, true);
    read_in_ticks(&p, 4);
    assert_false(p.same_tick_twice);
    peer_free(&p);
}

static void test_tick_gives_again_what_was_left_unread(void **state)
{
    static uint8_t big[3 << 20];
    struct peer p;
    size_t sent = 0, before;

    (void)state;
    peer_open(&p, true);
    while (p.n_bytes < sizeof big) {
        ssize_t n = send(p.fd, big, sizeof big - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        before = p.n_bytes;
        loop_turn(loop, true);
        assert_in_range(p.n_bytes - before, 0, 16 * LOOP_SCRATCH_BYTES);
    }
    assert_int_equal(p.n_bytes, sizeof big);
    peer_free(&p);
}

static void test_tick_tells_the_end_and_a_hang_up(void **state)
{
    struct peer half, gone;
    unsigned n_calls;

    (void)state;
    peer_open(&half, true);
    peer_open(&gone, true);
    say(&half);
    shutdown(half.fd, SHUT_WR);
    close(gone.fd);
    gone.fd = -1;
    turn_until(loop, &half.ended);
    turn_until(loop, &gone.ended);
    assert_int_equal(half.n_bytes, 1);
    n_calls = half.n_calls + gone.n_calls;
    pass_ticks();
    assert_int_equal(half.n_calls + gone.n_calls, n_calls); /* told once */
    peer_free(&half);
    peer_free(&gone);
}

static void test_tick_tells_a_reset(void **state)
{
    struct peer p = {.fd = -1};
    struct linger hard = {1, 0};
    struct addr any;
    int fds[2];

    (void)state;
    assert_int_equal(addr_parse(&any, "10.1.2.3:5555"), E_OK);
    tcp_pair(fds, 0);
    p.conn = conn_create(loop, fds[0], &any, 1 << 20, &k_ops, &p);
    conn_set_pace(p.conn, CONN_TICK);
    setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fds[1]);
    turn_until(loop, &p.ended);
    peer_free(&p);
}

/* --- changing --- */

static void test_change_of_the_way_of_reading_loses_nothing(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p, false);
    for (unsigned i = 1; i <= 6; i++) {
        say(&p);
        conn_set_pace(p.conn, i % 2 ? CONN_TICK : CONN_AT_ONCE); /* with the byte waiting */
        conn_set_pace(p.conn, i % 2 ? CONN_TICK : CONN_AT_ONCE);
        p.called = false;
        turn_until(loop, &p.called);
        assert_int_equal(p.n_bytes, i);
        assert_int_equal(p.n_calls, i);
    }
    peer_free(&p);
}

static void test_event_reading_does_not_wait_for_a_tick(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p, true);
    p.moves_to_events = true; /* from within the tick's callback */
    say(&p);
    turn_until(loop, &p.called);
    say(&p);
    loop_turn(loop, false);
    assert_int_equal(p.n_bytes, 2);
    peer_free(&p);
}

static void test_set_reading_pauses_and_resumes_in_a_tick(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p, true);
    conn_set_reading(p.conn, false);
    say(&p);
    pass_ticks();
    assert_int_equal(p.n_calls, 0);
    conn_set_reading(p.conn, true);
    turn_until(loop, &p.called);
    assert_int_equal(p.n_bytes, 1);
    p.called = false;
    conn_set_reading(p.conn, false);
    close(p.fd); /* seen when reading goes on, and no busy turns until then */
    p.fd = -1;
    pass_ticks();
    assert_int_equal(p.n_calls, 1);
    conn_set_pace(p.conn, CONN_AT_ONCE);
    conn_set_reading(p.conn, true);
    turn_until(loop, &p.ended);
    peer_free(&p);
}

/* --- closing in callbacks --- */

static void test_close_is_fine_inside_the_tick(void **state)
{
    struct peer peers[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        peer_open(&peers[i], true);
        say(&peers[i]);
    }
    for (int i = 0; i < 8; i += 2) { /* the first of each pair to be called ends both */
        peers[i].closes = &peers[i + 1];
        peers[i + 1].closes = &peers[i];
    }
    for (int i = 0; i < 8; i += 2) {
        while (peers[i].n_calls + peers[i + 1].n_calls == 0)
            loop_turn(loop, true);
    }
    pass_ticks();
    for (int i = 0; i < 8; i += 2) {
        assert_int_equal(peers[i].n_calls + peers[i + 1].n_calls, 1);
        assert_true(!peers[i].conn ^ !peers[i + 1].conn);
    }
    for (int i = 0; i < 8; i++)
        peer_free(&peers[i]);
}

static void test_close_of_itself_is_fine_inside_the_tick(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p, true);
    p.closes = &p;
    say(&p);
    turn_until(loop, &p.called);
    assert_null(p.conn);
    peer_free(&p);
}

/* A place that is given away again within the same batch must not get the old one's event. */
struct swap {
    struct tick *tick;
    uint32_t places[2];
    int fds[3][2];
    unsigned n_calls[3];
    bool done;
};

static void on_third(void *arg)
{
    ((struct swap *)arg)->n_calls[2]++;
}

static void on_either(void *arg)
{
    struct swap *s = arg;

    s->n_calls[0]++;
    if (s->done)
        return;
    s->done = true;
    tick_remove(s->tick, s->places[0]);
    tick_remove(s->tick, s->places[1]);
    s->places[0] = tick_add(s->tick, s->fds[2][0], on_third, s); /* nothing to read there */
    s->places[1] = tick_add(s->tick, s->fds[1][1], on_third, s);
}

static void test_add_inside_a_tick_gets_no_event_of_the_former_member(void **state)
{
    struct swap s = {.tick = loop_tick(loop, 0)};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.fds[i]), 0);
    for (int i = 0; i < 2; i++) {
        s.places[i] = tick_add(s.tick, s.fds[i][0], on_either, &s);
        write_full(s.fds[i][1], "x", 1);
    }
    turn_until(loop, &s.done);
    pass_ticks();
    assert_int_equal(s.n_calls[0], 1);
    assert_int_equal(s.n_calls[2], 0);
    for (int i = 0; i < 2; i++)
        tick_remove(s.tick, s.places[i]);
    for (int i = 0; i < 3; i++) {
        close(s.fds[i][0]);
        close(s.fds[i][1]);
    }
}

static void test_add_gives_no_place_to_a_bad_descriptor(void **state)
{
    (void)state;
    assert_int_equal(tick_add(loop_tick(loop, 0), -1, on_third, NULL), TICK_NO_PLACE);
}

/* --- to another loop --- */

static void test_detach_and_adopt_keep_the_way_of_reading(void **state)
{
    struct loop *home = loop, *other = loop_create("other", 7);
    struct conn *moving;
    struct peer p;

    (void)state;
    peer_open(&p, true);
    say(&p);
    moving = conn_detach(&p.conn);
    say(&p);
    pass_ticks(); /* of the old loop: nothing is left there */
    assert_int_equal(p.n_calls, 0);
    conn_adopt(moving, other, &k_ops, &p);
    p.conn = moving;
    loop = other;
    turn_until(other, &p.called);
    assert_int_equal(p.n_bytes, 2);
    read_in_ticks(&p, 4);
    assert_false(p.same_tick_twice);
    moving = conn_detach(&p.conn);
    conn_set_pace(moving, CONN_AT_ONCE); /* on the way */
    p.called = false;
    conn_adopt(moving, home, &k_ops, &p);
    p.conn = moving;
    loop = home;
    say(&p);
    loop_turn(home, false);
    assert_true(p.called);
    peer_free(&p);
    loop_destroy(&other);
}

static void test_close_after_flush_leaves_the_tick(void **state)
{
    struct peer p;
    char text[3];

    (void)state;
    peer_open(&p, true);
    say(&p);
    assert_int_equal(conn_write(p.conn, buf_view_str("bye")), E_OK);
    conn_close_after_flush(&p.conn);
    pass_ticks();
    assert_int_equal(p.n_calls, 0);
    read_full(p.fd, text, 3);
    assert_int_equal(read(p.fd, text, 1), 0);
    peer_free(&p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_tick_reads_each_once_and_together),
        T(test_tick_comes_once_however_often_bytes_do),
        T(test_tick_gives_again_what_was_left_unread),
        T(test_tick_tells_the_end_and_a_hang_up),
        T(test_tick_tells_a_reset),
        T(test_change_of_the_way_of_reading_loses_nothing),
        T(test_event_reading_does_not_wait_for_a_tick),
        T(test_set_reading_pauses_and_resumes_in_a_tick),
        T(test_close_is_fine_inside_the_tick),
        T(test_close_of_itself_is_fine_inside_the_tick),
        T(test_add_inside_a_tick_gets_no_event_of_the_former_member),
        T(test_add_gives_no_place_to_a_bad_descriptor),
        T(test_detach_and_adopt_keep_the_way_of_reading),
        T(test_close_after_flush_leaves_the_tick),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
