/* A connection to something that talks like Redis, over TCP: store_test.h has a real one, on a Unix
 * socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "scheduler/redis_link.h"

#define COMMAND_BYTES 65536
#define N_COMMANDS 64 /* 4 MB: more than the peer takes without reading */

static struct loop *loop;
static int listen_fd, peer_fd; /* the other side */
static struct redis_target target;
static bool is_up;

static void on_up(void *arg)
{
    (void)arg;
    is_up = true;
}

static void on_down(void *arg)
{
    (void)arg;
    is_up = false;
}

static struct redis_link *make_link(int64_t command_timeout_ms)
{
    struct redis_link_conf conf = {.loop = loop,
                                   .target = &target,
                                   .role = "master",
                                   .connect_timeout_ms = 10000,
                                   .command_timeout_ms = command_timeout_ms,
                                   .retry_ms = 60000,
                                   .name = "test",
                                   .on_up = on_up,
                                   .on_down = on_down};

    return redis_link_create(&conf);
}

/* Answers the greeting, and nothing after it. */
static void greet(void)
{
    static const char k_answers[] = "+PONG\r\n*1\r\n$6\r\nmaster\r\n";

    while ((peer_fd = accept(listen_fd, NULL, NULL)) < 0)
        loop_turn(loop, false);
    assert_int_equal(send(peer_fd, k_answers, strlen(k_answers), 0), strlen(k_answers));
    while (!is_up)
        loop_turn(loop, true);
}

static void send_much(struct redis_link *link)
{
    static char value[COMMAND_BYTES];

    for (int i = 0; i < N_COMMANDS; i++)
        assert_true(redis_link_command(link, NULL, NULL, "SET hw:node:o1 %b", value, sizeof value));
    for (int i = 0; i < 100; i++) /* what the kernel takes */
        loop_turn(loop, false);
}

/* The peer reads again, as Redis does when a lost network is back. */
static void assert_rest_is_taken_back(void)
{
    static char bytes[COMMAND_BYTES];
    size_t n_bytes = 0;
    ssize_t n;

    while ((n = recv(peer_fd, bytes, sizeof bytes, 0)) > 0)
        n_bytes += (size_t)n;
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    assert_in_range(n_bytes, 1, N_COMMANDS * COMMAND_BYTES);
    close(peer_fd);
}

static void test_commands_are_taken_back_when_no_answer_comes_in_time(void **state)
{
    struct redis_link *link = make_link(50);

    (void)state;
    greet();
    send_much(link);
    while (is_up)
        loop_turn(loop, true);
    assert_rest_is_taken_back();
    redis_link_destroy(&link);
}

static void test_commands_are_taken_back_when_the_link_is_stopped(void **state)
{
    struct redis_link *link = make_link(10000);

    (void)state;
    greet();
    send_much(link);
    redis_link_stop(link);
    assert_false(is_up);
    assert_rest_is_taken_back();
    redis_link_destroy(&link);
}

/* As much as a process that is killed can do about it. */
static void test_commands_are_taken_back_when_the_process_dies(void **state)
{
    struct redis_link *link = make_link(10000);
    pid_t child;

    (void)state;
    greet();
    send_much(link);
    child = fork();
    if (child == 0) { /* holds the socket while this process lets go of it */
        for (;;)
            pause();
    }
    assert_true(child > 0);
    redis_link_stop(link);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_rest_is_taken_back();
    redis_link_destroy(&link);
}

static int set_up(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int small = 4096; /* connections have it from here */

    (void)state;
    is_up = false;
    loop = loop_create("test", 0);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (!loop || bind(listen_fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(listen_fd, 1) != 0 || getsockname(listen_fd, (struct sockaddr *)&at, &size) != 0)
        return -1;
    target = (struct redis_target){.host = "127.0.0.1", .port = ntohs(at.sin_port)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(listen_fd);
    loop_destroy(&loop);
    return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_commands_are_taken_back_when_no_answer_comes_in_time),
        TEST(test_commands_are_taken_back_when_the_link_is_stopped),
        TEST(test_commands_are_taken_back_when_the_process_dies),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
