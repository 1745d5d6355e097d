/* listener_proxy.c: connections of trusted proxies wait for their header, others do not. */
#include "common/net/listener.h"
#include "loop_test.h"

struct accepted {
    struct listener *listener;
    struct trust trust;
    struct addr bound;
    int fd;
    char peer[ADDR_TEXT_SIZE];
    bool done, close_listener;
};

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct accepted *a = arg;

    a->fd = fd;
    addr_format(peer, a->peer);
    a->done = true;
    if (a->close_listener)
        listener_close(&a->listener);
}

static void open_with(struct accepted *a, const char *net)
{
    struct listen_error error = {""};
    char *nets[] = {(char *)(uintptr_t)net};
    int hold_fd;
    size_t bad;

    *a = (struct accepted){.fd = -1};
    assert_int_equal(trust_init(&a->trust, nets, 1, TRUST_NO_HEADER, &bad), E_OK);
    assert_int_equal(listen_reserve("x.listen", "127.0.0.1:0", &a->bound, &hold_fd, &error), E_OK);
    a->listener = listener_open(loop, &a->bound, on_accept, a, &error);
    assert_non_null(a->listener);
    close(hold_fd);
    listener_set_proxies(a->listener, &a->trust);
}

static void close_with(struct accepted *a)
{
    if (a->fd >= 0)
        close(a->fd);
    listener_close(&a->listener);
    trust_fini(&a->trust);
}

static void say(int fd, const char *text, size_t size)
{
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

/* Turns until the kernel has brought what was said: the peer's end is known to be open. */
static void assert_waits(struct accepted *a)
{
    turn_ready(loop);
    assert_false(a->done);
}

static const char k_line[] = "PROXY TCP4 192.0.2.7 198.51.100.1 40112 1935\r\n";

static void test_accept_gives_the_client_and_its_first_byte_for_any_split(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof k_line; step += 11) {
        struct accepted a;
        char byte = 0;
        int client;

        open_with(&a, "127.0.0.0/8");
        client = raw_connect(&a.bound);
        for (size_t at = 0; at + 1 < sizeof k_line; at += step) {
            size_t left = sizeof k_line - 1 - at;

            assert_waits(&a);
            say(client, k_line + at, left < step ? left : step);
        }
        say(client, "\x03", 1);
        turn_until(loop, &a.done);
        assert_string_equal(a.peer, "192.0.2.7:40112");
        while (recv(a.fd, &byte, 1, 0) < 0)
            assert_int_equal(errno, EAGAIN);
        assert_int_equal(byte, 3);
        close(client);
        close_with(&a);
    }
}

static void test_accept_gives_the_proxy_when_there_is_no_header(void **state)
{
    struct accepted a;
    char bytes[4];
    int client;

    (void)state;
    open_with(&a, "127.0.0.1");
    client = raw_connect(&a.bound);
    assert_waits(&a);
    say(client, "GET ", 4);
    turn_until(loop, &a.done);
    assert_int_equal(strncmp(a.peer, "127.0.0.1:", 10), 0);
    assert_int_equal(recv(a.fd, bytes, 4, 0), 4); /* nothing was taken */
    close(client);
    close_with(&a);
}

static void test_accept_waits_for_nobody_else(void **state)
{
    struct accepted a;
    int client;

    (void)state;
    open_with(&a, "10.0.0.0/8");
    client = raw_connect(&a.bound);
    turn_until(loop, &a.done); /* before a byte was said */
    assert_int_equal(strncmp(a.peer, "127.0.0.1:", 10), 0);
    close(client);
    close_with(&a);
}

/* Turns until the peer sees the end. */
static void assert_is_closed(int client)
{
    int64_t end_us = clock_mono_us() + TEST_DEADLINE_MS * 1000;
    char byte;
    ssize_t n;

    do {
        turn_ready(loop);
        n = recv(client, &byte, 1, MSG_DONTWAIT);
        assert_true(clock_mono_us() < end_us);
    } while (n < 0 && errno == EAGAIN);
    assert_true(n <= 0);
}

static void test_a_broken_header_closes_the_connection(void **state)
{
    struct accepted a;
    int client;

    (void)state;
    open_with(&a, "127.0.0.1");
    client = raw_connect(&a.bound);
    say(client, "PROXY TCP5 \r\n", 13);
    assert_is_closed(client);
    assert_false(a.done);
    close(client);
    close_with(&a);
}

static void test_close_closes_those_that_wait(void **state)
{
    struct accepted a;
    int client;

    (void)state;
    open_with(&a, "127.0.0.1");
    client = raw_connect(&a.bound);
    say(client, "PROXY ", 6);
    assert_waits(&a);
    listener_close(&a.listener);
    assert_is_closed(client);
    close(client);
    close_with(&a);
}

static void test_close_is_fine_when_a_client_is_known(void **state)
{
    struct accepted a;
    int client, other;

    (void)state;
    open_with(&a, "127.0.0.1");
    a.close_listener = true;
    other = raw_connect(&a.bound);
    client = raw_connect(&a.bound);
    say(client, k_line, sizeof k_line - 1);
    turn_until(loop, &a.done);
    assert_null(a.listener);
    assert_is_closed(other);
    close(client);
    close(other);
    close_with(&a);
}

static void test_a_local_client_of_a_proxy_on_this_machine_is_local(void **state)
{
    static const char k_local[] = "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n";
    struct accepted a;
    int client;

    (void)state;
    open_with(&a, "127.0.0.1");
    client = raw_connect(&a.bound);
    say(client, k_local, sizeof k_local - 1);
    turn_until(loop, &a.done);
    assert_string_equal(a.peer, "127.0.0.1:1");
    close(client);
    close_with(&a);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_accept_gives_the_client_and_its_first_byte_for_any_split),
        T(test_accept_gives_the_proxy_when_there_is_no_header),
        T(test_accept_waits_for_nobody_else),
        T(test_a_broken_header_closes_the_connection),
        T(test_close_closes_those_that_wait),
        T(test_close_is_fine_when_a_client_is_known),
        T(test_a_local_client_of_a_proxy_on_this_machine_is_local),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
