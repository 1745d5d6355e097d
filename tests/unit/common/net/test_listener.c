/* listener.c: ports that are busy, accepting in batches, a full descriptor table. */
#include "common/net/listener.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "common/base/metrics.h"
#include "loop_test.h"

#define N_CLIENTS 100 /* more than one batch */

struct accepted {
    struct listener *listener;
    int fds[N_CLIENTS];
    unsigned n, want;
    char peer[ADDR_TEXT_SIZE];
    bool done, close_listener;
};

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct accepted *a = arg;

    a->fds[a->n++] = fd;
    addr_format(peer, a->peer);
    a->done = a->n >= a->want;
    if (a->close_listener)
        listener_close(&a->listener);
}

/* Reserves, opens and lets go of the holder, as the programs do. */
static void open_at(struct accepted *a, const char *text, struct addr *bound)
{
    struct listen_error error = {""};
    int hold_fd;

    if (listen_reserve("http.listen", text, bound, &hold_fd, &error) != E_OK)
        fail_msg("%s", error.text);
    assert_true(hold_fd >= 0);
    a->listener = listener_open(loop, bound, on_accept, a, &error);
    if (!a->listener)
        fail_msg("%s", error.text);
    close(hold_fd);
}

static void close_all(struct accepted *a)
{
    for (unsigned i = 0; i < a->n; i++)
        close(a->fds[i]);
    listener_close(&a->listener);
}

static void test_open_accepts_more_than_a_batch(void **state)
{
    struct accepted a = {.want = N_CLIENTS};
    struct addr bound, local = {.size_bytes = sizeof local.storage};
    int clients[N_CLIENTS], one = 0;
    socklen_t size = sizeof one;
    char text[ADDR_TEXT_SIZE];

    (void)state;
    open_at(&a, "127.0.0.1:0", &bound);
    assert_true(addr_port(&bound) > 0);
    for (int i = 0; i < N_CLIENTS; i++)
        clients[i] = raw_connect(&bound);
    turn_until(loop, &a.done);
    getsockname(clients[N_CLIENTS - 1], &local.storage.any, &local.size_bytes);
    assert_string_equal(a.peer, addr_format(&local, text));
    for (int i = 0; i < N_CLIENTS; i++) { /* inherited from the listening socket */
        one = 0;
        getsockopt(a.fds[i], IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, &size);
        assert_int_equal(one, 1);
        getsockopt(a.fds[i], IPPROTO_TCP, 25 /* TCP_NOTSENT_LOWAT */, &one, &size);
        assert_int_equal(one, 131072);
    }
    assert_true(fcntl(a.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(a.fds[0], F_GETFD) & FD_CLOEXEC);
    for (int i = 0; i < N_CLIENTS; i++)
        close(clients[i]);
    close_all(&a);
}

static void test_open_shares_the_port_between_loops(void **state)
{
    struct accepted a = {.want = 1}, b = {.want = 1};
    struct listen_error error;
    struct addr bound;
    struct loop *other = loop_create("other", 1);
    int clients[64];
    int hold_fd;

    (void)state;
    assert_int_equal(listen_reserve("http.listen", "127.0.0.1:0", &bound, &hold_fd, &error), E_OK);
    a.listener = listener_open(loop, &bound, on_accept, &a, &error);
    b.listener = listener_open(other, &bound, on_accept, &b, &error);
    assert_non_null(a.listener);
    assert_non_null(b.listener);
    close(hold_fd);
    for (int i = 0; i < 64; i++)
        clients[i] = raw_connect(&bound);
    turn_ready(loop);
    turn_ready(other);
    assert_int_equal(a.n + b.n, 64);
    assert_true(a.n > 0 && b.n > 0); /* the kernel hashes by port: 64 on one side is 1 in 2^63 */
    for (int i = 0; i < 64; i++)
        close(clients[i]);
    close_all(&a);
    close_all(&b);
    loop_destroy(&other);
}

static void test_reserve_gives_busy_with_key_address_and_reason(void **state)
{
    struct accepted a = {.want = 1};
    struct listen_error error;
    struct addr bound, second;
    char text[ADDR_TEXT_SIZE], want[128];
    int hold_fd = 5;

    (void)state;
    open_at(&a, "127.0.0.1:0", &bound); /* has SO_REUSEPORT, and still is found */
    addr_format(&bound, text);
    assert_int_equal(listen_reserve("rtmp.listen", text, &second, &hold_fd, &error), E_BUSY);
    assert_int_equal(hold_fd, -1);
    snprintf(want, sizeof want, "rtmp.listen %s: address already in use", text);
    assert_string_equal(error.text, want);
    close_all(&a);
    assert_int_equal(listen_reserve("rtmp.listen", text, &second, &hold_fd, &error), E_OK);
    close(hold_fd);
}

static void test_reserve_gives_busy_while_another_only_holds(void **state)
{
    struct listen_error error;
    struct addr bound, second;
    char text[ADDR_TEXT_SIZE];
    int first_fd, second_fd;

    (void)state;
    assert_int_equal(listen_reserve("a", "127.0.0.1:0", &bound, &first_fd, &error), E_OK);
    addr_format(&bound, text);
    assert_int_equal(listen_reserve("b", text, &second, &second_fd, &error), E_BUSY);
    close(first_fd);
}

static void test_reserve_is_fine_right_after_connections_were_closed(void **state)
{
    struct accepted a = {.want = 1};
    struct listen_error error;
    struct addr bound, again;
    char text[ADDR_TEXT_SIZE];
    int client, hold_fd;

    (void)state;
    open_at(&a, "127.0.0.1:0", &bound);
    client = raw_connect(&bound);
    turn_until(loop, &a.done);
    close_all(&a); /* the server's end closes first: it stays in TIME_WAIT */
    close(client);
    addr_format(&bound, text);
    assert_int_equal(listen_reserve("http.listen", text, &again, &hold_fd, &error), E_OK);
    close(hold_fd);
}

static void test_reserve_resolves_names(void **state)
{
    struct listen_error error;
    struct addr bound;
    int hold_fd;

    (void)state;
    assert_int_equal(listen_reserve("admin.listen", "localhost:0", &bound, &hold_fd, &error), E_OK);
    assert_true(addr_is_loopback(&bound));
    close(hold_fd);
}

static void test_reserve_explains_bad_text(void **state)
{
    static const struct {
        const char *text, *error;
    } k_rows[] = {
        {"127.0.0.1", "x.listen 127.0.0.1: not an address (host:port or [v6]:port)"},
        {"127.0.0.1:99999", "x.listen 127.0.0.1:99999: not an address (host:port or [v6]:port)"},
        {":80", "x.listen :80: not an address (host:port or [v6]:port)"},
        {"192.0.2.1:80", "x.listen 192.0.2.1:80: cannot assign requested address"},
    };
    struct listen_error error;
    struct addr bound;
    int hold_fd;

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        assert_int_not_equal(listen_reserve("x.listen", k_rows[i].text, &bound, &hold_fd, &error),
                             E_OK);
        assert_string_equal(error.text, k_rows[i].error);
        assert_int_equal(hold_fd, -1);
    }
}

static void test_open_on_the_ipv6_wildcard_serves_ipv4_too(void **state)
{
    struct accepted a = {.want = 1};
    struct listen_error error;
    struct addr bound, v4;
    int hold_fd, client;

    (void)state;
    if (listen_reserve("x", "[::]:0", &bound, &hold_fd, &error) != E_OK)
        skip(); /* a machine without IPv6 */
    a.listener = listener_open(loop, &bound, on_accept, &a, &error);
    assert_non_null(a.listener);
    close(hold_fd);
    assert_int_equal(addr_parse(&v4, "127.0.0.1:1"), E_OK);
    v4.storage.v4.sin_port = htons((uint16_t)addr_port(&bound));
    client = raw_connect(&v4);
    turn_until(loop, &a.done);
    assert_memory_equal(a.peer, "127.0.0.1:", 10);
    close(client);
    close_all(&a);
}

static void test_close_is_fine_inside_on_accept(void **state)
{
    struct accepted a = {.want = 1, .close_listener = true};
    struct addr bound;
    int one, two;

    (void)state;
    open_at(&a, "127.0.0.1:0", &bound);
    one = raw_connect(&bound);
    two = raw_connect(&bound);
    turn_until(loop, &a.done);
    assert_null(a.listener);
    assert_int_equal(a.n, 1);
    close(one);
    close(two);
    close_all(&a);
}

/* Two listeners with a socket each, for the same port, as a process of two loops has them. */
static void open_two(struct accepted *a, struct accepted *b, struct loop *other, struct addr *bound)
{
    struct listen_error error;
    int hold_fd;

    assert_int_equal(listen_reserve("http.listen", "127.0.0.1:0", bound, &hold_fd, &error), E_OK);
    a->listener = listener_open(loop, bound, on_accept, a, &error);
    b->listener = listener_open(other, bound, on_accept, b, &error);
    assert_true(a->listener && b->listener);
    close(hold_fd);
}

/* A process with one loop takes the place of one with two: what stands in either queue is served,
 * also what came before, and closing the old listeners ends nothing. */
static void test_adopt_accepts_all_that_is_queued_at_several_sockets(void **state)
{
    struct accepted a = {.want = 1}, b = {.want = 1}, adopted = {.want = 40};
    struct loop *other = loop_create("other", 1);
    struct listen_error error;
    struct addr bound;
    int clients[40], fds[2];

    (void)state;
    open_two(&a, &b, other, &bound);
    for (int i = 0; i < 20; i++)
        clients[i] = raw_connect(&bound);
    assert_int_equal(listener_fds(a.listener, &fds[0], 1), 1);
    assert_int_equal(listener_fds(b.listener, &fds[1], 1), 1);
    fds[0] = dup(fds[0]);
    fds[1] = dup(fds[1]);
    adopted.listener = listener_adopt(loop, fds, 2, on_accept, &adopted, &error);
    assert_non_null(adopted.listener);
    close_all(&a);
    close_all(&b);
    for (int i = 20; i < 40; i++)
        clients[i] = raw_connect(&bound);
    turn_until(loop, &adopted.done);
    assert_int_equal(a.n + b.n, 0);
    for (int i = 0; i < 40; i++)
        close(clients[i]);
    close_all(&adopted);
    loop_destroy(&other);
}

static void test_fds_gives_all_sockets_and_their_number(void **state)
{
    struct accepted a = {.want = 1}, b = {.want = 1}, adopted = {.want = 1};
    struct loop *other = loop_create("other", 1);
    struct listen_error error;
    struct addr bound;
    int fds[2], out[2] = {-1, -1};

    (void)state;
    open_two(&a, &b, other, &bound);
    (void)listener_fds(a.listener, &fds[0], 1);
    (void)listener_fds(b.listener, &fds[1], 1);
    fds[0] = dup(fds[0]);
    fds[1] = dup(fds[1]);
    adopted.listener = listener_adopt(loop, fds, 2, on_accept, &adopted, &error);
    assert_int_equal(listener_fds(adopted.listener, out, 1), 2);
    assert_int_equal(out[0], fds[0]);
    assert_int_equal(out[1], -1);
    assert_int_equal(listener_fds(adopted.listener, out, 2), 2);
    assert_int_equal(out[1], fds[1]);
    assert_int_equal(listener_fds(NULL, out, 2), 0);
    close_all(&a);
    close_all(&b);
    close_all(&adopted);
    loop_destroy(&other);
}

static long refused_total(void)
{
    static const char k_name[] = "\nheadwater_accept_refused_total ";
    struct buf_writer out;
    const char *at;
    long value = -1;

    buf_writer_init(&out, 1 << 20);
    metrics_render(&out);
    buf_write_u8(&out, 0);
    at = strstr((const char *)out.data, k_name);
    if (at)
        value = strtol(at + sizeof k_name - 1, NULL, 10);
    buf_writer_fini(&out);
    return value;
}

static void test_open_refuses_and_counts_when_descriptors_are_used_up(void **state)
{
    struct accepted a = {.want = 1};
    struct rlimit before, low;
    struct addr bound;
    int clients[3], n_filler = 0, filler[64];
    long refused_before;
    char c;

    (void)state;
    open_at(&a, "127.0.0.1:0", &bound);
    refused_before = refused_total();
    assert_true(refused_before >= 0);
    for (int i = 0; i < 3; i++)
        clients[i] = raw_connect(&bound);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){(rlim_t)clients[2] + 8, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n_filler < 64 && (filler[n_filler] = dup(clients[0])) >= 0)
        n_filler++;
    turn_ready(loop);
    assert_int_equal(a.n, 0);
    for (int i = 1; i < 3; i++) /* the first one is kept open by its copies */
        assert_int_equal(recv(clients[i], &c, 1, 0), 0);
    while (n_filler > 0)
        close(filler[--n_filler]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(refused_total(), refused_before + 3);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    clients[0] = raw_connect(&bound); /* and the next one is served */
    turn_until(loop, &a.done);
    close(clients[0]);
    close_all(&a);
}

static void test_open_goes_on_after_a_pause_when_not_even_the_spare_was_left(void **state)
{
    struct accepted a = {.want = 1};
    struct rlimit before, low;
    struct addr bound;
    int client;

    (void)state;
    open_at(&a, "127.0.0.1:0", &bound);
    client = raw_connect(&bound);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){3, before.rlim_max}; /* below the spare: giving it up does not help */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    turn_ready(loop);
    assert_int_equal(a.n, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    turn_until(loop, &a.done);
    assert_int_equal(a.n, 1);
    close(client);
    close_all(&a);
}

static void test_raise_nofile_keeps_a_reserve(void **state)
{
    struct rlimit limit;
    long n;

    (void)state;
    n = net_raise_nofile();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
    assert_true(n > 0);
    if (limit.rlim_cur < 1 << 30)
        assert_int_equal(n, (long)limit.rlim_cur - 64);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_open_accepts_more_than_a_batch),
        T(test_open_shares_the_port_between_loops),
        T(test_reserve_gives_busy_with_key_address_and_reason),
        T(test_reserve_gives_busy_while_another_only_holds),
        T(test_reserve_is_fine_right_after_connections_were_closed),
        T(test_reserve_resolves_names),
        T(test_reserve_explains_bad_text),
        T(test_open_on_the_ipv6_wildcard_serves_ipv4_too),
        T(test_close_is_fine_inside_on_accept),
        T(test_adopt_accepts_all_that_is_queued_at_several_sockets),
        T(test_fds_gives_all_sockets_and_their_number),
        T(test_open_refuses_and_counts_when_descriptors_are_used_up),
        T(test_open_goes_on_after_a_pause_when_not_even_the_spare_was_left),
        T(test_raise_nofile_keeps_a_reserve),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
