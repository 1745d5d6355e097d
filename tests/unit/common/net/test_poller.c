/* poller.c under connections: many that are ready at once, and some that go while it is their turn.
 */
#include "common/net/conn.h"

#include "net_test.h"

#define MANY 300u /* more than the poller asks for in two turns */

struct member {
    struct conn *conn;
    int far_fd;
    unsigned n_told;
};

static struct loop *loop;
static struct member members[MANY];
static unsigned n_members;
static void (*when_told)(struct member *m);

/* Does not read, so what is ready stays so. */
static void on_readable(struct conn *conn, void *arg)
{
    struct member *m = arg;

    (void)conn;
    m->n_told++;
    if (when_told)
        when_told(m);
}

static const struct conn_ops k_ops = {.on_readable = on_readable};

/* n connections with a byte to read each. */
static void open_members(unsigned n)
{
    struct addr peer;

    loop = loop_create("test", 0);
    assert_non_null(loop);
    assert_int_equal(addr_parse(&peer, "10.1.2.3:5555"), E_OK);
    when_told = NULL;
    n_members = n;
    for (unsigned i = 0; i < n; i++) {
        int fds[2];

        tcp_pair(fds, 0);
        write_full(fds[1], "x", 1);
        members[i] = (struct member){.far_fd = fds[1]};
        members[i].conn = conn_create(loop, fds[0], &peer, 1000, &k_ops, &members[i]);
        assert_non_null(members[i].conn);
    }
}

static void close_members(void)
{
    for (unsigned i = 0; i < n_members; i++) {
        conn_close(&members[i].conn);
        close(members[i].far_fd);
    }
    loop_destroy(&loop);
}

static unsigned total_told(void)
{
    unsigned total = 0;

    for (unsigned i = 0; i < n_members; i++)
        total += members[i].n_told;
    return total;
}

static void test_turns_tell_everyone_though_the_first_stay_ready(void **state)
{
    (void)state;
    open_members(MANY);
    for (unsigned turns = 0; turns < 3; turns++)
        loop_turn(loop, false);
    for (unsigned i = 0; i < MANY; i++)
        assert_in_range(members[i].n_told, 1, 2);
    close_members();
}

static void close_others(struct member *m)
{
    for (unsigned i = 0; i < n_members; i++)
        if (&members[i] != m)
            conn_close(&members[i].conn);
}

static void test_close_by_another_callback_leaves_nothing_to_be_told(void **state)
{
    (void)state;
    open_members(3);
    when_told = close_others;
    loop_turn(loop, false);
    assert_int_equal(total_told(), 1);
    close_members();
}

static void detach_others(struct member *m)
{
    when_told = NULL;
    for (unsigned i = 0; i < n_members; i++)
        if (&members[i] != m)
            members[i].conn = conn_detach(&members[i].conn);
}

static void test_detach_by_another_callback_leaves_nothing_to_be_told(void **state)
{
    (void)state;
    open_members(3);
    when_told = detach_others;
    loop_turn(loop, false);
    assert_int_equal(total_told(), 1);
    for (unsigned i = 0; i < n_members; i++)
        if (!members[i].n_told)
            conn_adopt(members[i].conn, loop, &k_ops, &members[i]);
    loop_turn(loop, false);
    assert_int_equal(total_told(), 4);
    close_members();
}

static void stop_others(struct member *m)
{
    for (unsigned i = 0; i < n_members; i++)
        if (&members[i] != m)
            conn_set_reading(members[i].conn, false);
}

static void test_set_reading_by_another_callback_holds_in_the_same_turn(void **state)
{
    (void)state;
    open_members(3);
    when_told = stop_others;
    loop_turn(loop, false);
    assert_int_equal(total_told(), 1);
    loop_turn(loop, false);
    assert_int_equal(total_told(), 2); /* the one that nobody stopped */
    close_members();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_tell_everyone_though_the_first_stay_ready),
        cmocka_unit_test(test_close_by_another_callback_leaves_nothing_to_be_told),
        cmocka_unit_test(test_detach_by_another_callback_leaves_nothing_to_be_told),
        cmocka_unit_test(test_set_reading_by_another_callback_holds_in_the_same_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
