/* Words to a service manager, over real sockets of the kind that it listens at. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/net/notify.h"

/* Listens as a service manager does; name as in NOTIFY_SOCKET, which is set to it. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    size_t size_bytes = offsetof(struct sockaddr_un, sun_path) + strlen(name);

    assert_true(fd >= 0);
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)size_bytes), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void assert_hears(int fd, const char *text)
{
    char got[128] = "";
    ssize_t n = recv(fd, got, sizeof got - 1, 0);

    assert_int_equal(n, strlen(text));
    assert_string_equal(got, text);
}

static void test_say_gives_one_datagram_at_a_path(void **state)
{
    char folder[] = "/tmp/test_notify.XXXXXX", path[64];
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    fd = listen_at(path);
    assert_int_equal(notify_say("READY=1"), E_OK);
    assert_int_equal(notify_say("STOPPING=1\nSTATUS=bye"), E_OK);
    assert_hears(fd, "READY=1");
    assert_hears(fd, "STOPPING=1\nSTATUS=bye");
    close(fd);
    assert_int_equal(notify_say("READY=1"), E_IO);
    assert_int_equal(errno, ECONNREFUSED);
    unlink(path);
    rmdir(folder);
}

static void test_say_gives_one_datagram_at_an_abstract_name(void **state)
{
    char name[64];
    int fd;

    (void)state;
    snprintf(name, sizeof name, "@test_notify.%ld", (long)getpid());
    fd = listen_at(name);
    assert_int_equal(notify_say("WATCHDOG=1"), E_OK);
    assert_hears(fd, "WATCHDOG=1");
    close(fd);
}

static void test_say_gives_io_and_does_not_wait_when_nobody_reads(void **state)
{
    char name[64];
    enum err e = E_OK;
    int fd;

    (void)state;
    snprintf(name, sizeof name, "@test_notify.full.%ld", (long)getpid());
    fd = listen_at(name);
    for (int i = 0; i < 100000 && e == E_OK; i++)
        e = notify_say("WATCHDOG=1");
    assert_int_equal(e, E_IO);
    assert_int_equal(errno, EAGAIN);
    close(fd);
}

static void test_say_gives_ok_without_and_invalid_for_no_socket(void **state)
{
    char longest[200];

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_say("READY=1"), E_OK);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(notify_say("READY=1"), E_OK);
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(notify_say("READY=1"), E_INVAL);
    setenv("NOTIFY_SOCKET", "@", 1);
    assert_int_equal(notify_say("READY=1"), E_INVAL);
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    assert_int_equal(notify_say("READY=1"), E_INVAL);
    unsetenv("NOTIFY_SOCKET");
}

static void test_watchdog_gives_half_the_period_of_this_process(void **state)
{
    static const struct {
        const char *period, *pid; /* NULL: not set; pid "": ours */
        int64_t gives;
    } k_cases[] = {
        {NULL, NULL, 0},
        {"30000000", NULL, 15000},
        {"30000000", "", 15000},
        {"30000000", "1", 0},
        {"30000000", "x", 0},
        {"0", NULL, 0},
        {"1", NULL, 1},
        {"-5", NULL, 0},
        {"30s", NULL, 0},
        {"", NULL, 0},
        {"99999999999999999999", NULL, 0},
    };
    char own[32];

    (void)state;
    snprintf(own, sizeof own, "%ld", (long)getpid());
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (k_cases[i].period)
            setenv("WATCHDOG_USEC", k_cases[i].period, 1);
        if (k_cases[i].pid)
            setenv("WATCHDOG_PID", k_cases[i].pid[0] ? k_cases[i].pid : own, 1);
        assert_int_equal(notify_watchdog_ms(), k_cases[i].gives);
    }
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_say_gives_one_datagram_at_a_path),
        cmocka_unit_test(test_say_gives_one_datagram_at_an_abstract_name),
        cmocka_unit_test(test_say_gives_io_and_does_not_wait_when_nobody_reads),
        cmocka_unit_test(test_say_gives_ok_without_and_invalid_for_no_socket),
        cmocka_unit_test(test_watchdog_gives_half_the_period_of_this_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
