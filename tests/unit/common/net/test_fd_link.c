/* fd_link.c: lines and descriptors between two ends, both turned by this thread. */
#include "common/net/fd_link.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/base/log.h"
#include "net_test.h"

#define MAX_LINES 2000

struct end { /* one of the two */
    struct fd_link *link;
    char *lines[MAX_LINES];
    int fds[MAX_LINES];
    unsigned n_lines;
    enum err why; /* on_end() */
    bool ended, close_at_line;
};

static struct {
    struct loop *loop;
    char folder[64], path[96];
    struct fd_link_listener *listener;
    struct end server, client;
    bool accepted;
} rig;

static void on_line(struct fd_link *link, void *arg, struct buf_view line, int fd)
{
    struct end *end = arg;

    assert_ptr_equal(link, end->link);
    assert_true(end->n_lines < MAX_LINES);
    end->lines[end->n_lines] = malloc(line.size_bytes + 1);
    assert_non_null(end->lines[end->n_lines]);
    memcpy(end->lines[end->n_lines], line.data, line.size_bytes);
    end->lines[end->n_lines][line.size_bytes] = '\0';
    end->fds[end->n_lines++] = fd;
    if (end->close_at_line)
        fd_link_close(&end->link);
}

static void on_end(struct fd_link *link, void *arg, enum err why)
{
    struct end *end = arg;

    assert_ptr_equal(link, end->link);
    end->ended = true;
    end->why = why;
    fd_link_close(&end->link);
}

static const struct fd_link_ops k_ops = {on_line, on_end};

static void on_accept(void *arg, int fd)
{
    (void)arg;
    assert_false(rig.accepted);
    rig.accepted = true;
    rig.server.link = fd_link_create(rig.loop, fd, &k_ops, &rig.server);
}

static int setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    log_set_level(LOG_ERROR);
    rig.loop = loop_create("test", 0);
    strcpy(rig.folder, "/tmp/headwater-test-XXXXXX");
    if (!rig.loop || !mkdtemp(rig.folder))
        return -1;
    snprintf(rig.path, sizeof rig.path, "%s/socket", rig.folder);
    return 0;
}

static void end_fini(struct end *end)
{
    fd_link_close(&end->link);
    for (unsigned i = 0; i < end->n_lines; i++) {
        free(end->lines[i]);
        if (end->fds[i] >= 0)
            close(end->fds[i]);
    }
}

static int teardown(void **state)
{
    (void)state;
    end_fini(&rig.server);
    end_fini(&rig.client);
    fd_link_listener_close(&rig.listener);
    loop_destroy(&rig.loop);
    unlink(rig.path);
    rmdir(rig.folder);
    return 0;
}

static void listen_here(void)
{
    assert_int_equal(fd_link_listen(rig.loop, rig.path, on_accept, NULL, &rig.listener), E_OK);
}

static void connect_both(void)
{
    listen_here();
    assert_int_equal(fd_link_connect(rig.loop, rig.path, &k_ops, &rig.client, &rig.client.link),
                     E_OK);
    turn_until(rig.loop, &rig.accepted);
}

static void wait_lines(const struct end *end, unsigned n)
{
    struct timer deadline;

    timer_init(&deadline, rig.loop, test_deadline);
    timer_start_ms(&deadline, TEST_DEADLINE_MS);
    while (end->n_lines < n)
        loop_turn(rig.loop, true);
    timer_stop(&deadline);
}

static ino_t inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void test_send_gives_lines_in_order_each_with_its_descriptor(void **state)
{
    int pipes[2][2];
    char text[32];

    (void)state;
    connect_both();
    assert_int_equal(pipe(pipes[0]), 0);
    assert_int_equal(pipe(pipes[1]), 0);
    for (int i = 0; i < 100; i++) { /* every third one has a descriptor */
        snprintf(text, sizeof text, "line %d", i);
        assert_int_equal(
            fd_link_send(rig.client.link, buf_view_str(text), i % 3 == 0 ? pipes[i % 2][0] : -1),
            E_OK);
    }
    wait_lines(&rig.server, 100);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "line %d", i);
        assert_string_equal(rig.server.lines[i], text);
        assert_int_equal(rig.server.fds[i] >= 0, i % 3 == 0);
        if (i % 3 == 0) {
            assert_int_equal(inode_of(rig.server.fds[i]), inode_of(pipes[i % 2][0]));
            assert_true(fcntl(rig.server.fds[i], F_GETFD) & FD_CLOEXEC);
        }
    }
    for (int i = 0; i < 2; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void test_send_duplicates_the_descriptor(void **state)
{
    int pipe_fds[2];
    char c = 0;

    (void)state;
    connect_both();
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(fd_link_send(rig.client.link, buf_view_str("x"), pipe_fds[0]), E_OK);
    close(pipe_fds[0]); /* before the loop had a turn */
    wait_lines(&rig.server, 1);
    assert_int_equal(write(pipe_fds[1], "y", 1), 1);
    assert_int_equal(read(rig.server.fds[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    close(pipe_fds[1]);
}

static void test_send_keeps_what_the_socket_does_not_take(void **state)
{
    static char big[1 << 20];

    (void)state;
    connect_both();
    memset(big, 'a', sizeof big);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fd_link_send(rig.client.link, buf_view_of(big, sizeof big), -1), E_OK);
    assert_int_equal(fd_link_send(rig.client.link, buf_view_str("last"), 0), E_OK);
    wait_lines(&rig.server, 9);
    assert_int_equal(strlen(rig.server.lines[7]), sizeof big);
    assert_string_equal(rig.server.lines[8], "last");
    assert_true(rig.server.fds[8] >= 0);
}

static void test_send_gives_too_big_to_a_peer_that_does_not_read(void **state)
{
    static char big[16 << 20];
    enum err e = E_OK;

    (void)state;
    connect_both();
    for (int i = 0; i < 64 && e == E_OK; i++)
        e = fd_link_send(rig.client.link, buf_view_of(big, sizeof big), -1);
    assert_int_equal(e, E_TOO_BIG);
}

static void test_end_is_told_when_the_peer_closes(void **state)
{
    (void)state;
    connect_both();
    assert_int_equal(fd_link_send(rig.client.link, buf_view_str("bye"), -1), E_OK);
    fd_link_close(&rig.client.link);
    turn_until(rig.loop, &rig.server.ended);
    assert_int_equal(rig.server.why, E_CLOSED);
    assert_int_equal(rig.server.n_lines, 1); /* what was sent before is not lost */
}

static void test_close_is_fine_inside_on_line(void **state)
{
    (void)state;
    connect_both();
    rig.server.close_at_line = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal(fd_link_send(rig.client.link, buf_view_str("x"), 0), E_OK);
    turn_until(rig.loop, &rig.client.ended);
    assert_int_equal(rig.server.n_lines, 1);
    assert_null(rig.server.link);
}

/* Bytes by hand: what the peer may not send. */
static void assert_refused(const char *bytes)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    listen_here();
    strcpy(name.sun_path, rig.path);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    write_full(fd, bytes, strlen(bytes));
    turn_until(rig.loop, &rig.server.ended);
    assert_int_equal(rig.server.why, E_PROTO);
    close(fd);
}

static void test_a_line_without_its_descriptor_ends_the_link(void **state)
{
    (void)state;
    assert_refused("-fine\n+where is it\n");
    assert_int_equal(rig.server.n_lines, 1);
}

static void test_a_line_of_another_kind_ends_the_link(void **state)
{
    (void)state;
    assert_refused("GET / HTTP/1.1\r\n");
    assert_int_equal(rig.server.n_lines, 0);
}

static void test_listen_makes_a_socket_for_its_user_alone(void **state)
{
    struct stat st;

    (void)state;
    listen_here();
    assert_int_equal(stat(rig.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_listen_gives_busy_while_another_listens(void **state)
{
    struct fd_link_listener *other = NULL;

    (void)state;
    listen_here();
    assert_int_equal(fd_link_listen(rig.loop, rig.path, on_accept, NULL, &other), E_BUSY);
    assert_null(other);
}

static void test_listen_replaces_a_file_that_was_left_behind(void **state)
{
    (void)state;
    listen_here();
    fd_link_listener_close(&rig.listener); /* the file stays, as after kill -9 */
    connect_both();
}

static void test_listen_leaves_other_files_alone(void **state)
{
    struct stat st;
    int fd = open(rig.path, O_CREAT | O_WRONLY, 0600);

    (void)state;
    close(fd);
    assert_int_equal(fd_link_listen(rig.loop, rig.path, on_accept, NULL, &rig.listener), E_IO);
    assert_int_equal(stat(rig.path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void test_connect_gives_not_found_when_nobody_listens(void **state)
{
    struct fd_link *link = NULL;

    (void)state;
    assert_int_equal(fd_link_connect(rig.loop, rig.path, &k_ops, &rig.client, &link), E_NOT_FOUND);
    listen_here();
    fd_link_listener_close(&rig.listener);
    assert_int_equal(fd_link_connect(rig.loop, rig.path, &k_ops, &rig.client, &link), E_NOT_FOUND);
    assert_null(link);
}

static void test_adopt_accepts_on_a_socket_of_another_listener(void **state)
{
    struct fd_link_listener *adopted;

    (void)state;
    listen_here();
    adopted = fd_link_adopt(rig.loop, dup(fd_link_listener_fd(rig.listener)), on_accept, NULL);
    assert_non_null(adopted);
    fd_link_listener_close(&rig.listener); /* the socket lives on in the other one */
    assert_int_equal(fd_link_connect(rig.loop, rig.path, &k_ops, &rig.client, &rig.client.link),
                     E_OK);
    turn_until(rig.loop, &rig.accepted);
    fd_link_listener_close(&adopted);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_send_gives_lines_in_order_each_with_its_descriptor),
        T(test_send_duplicates_the_descriptor),
        T(test_send_keeps_what_the_socket_does_not_take),
        T(test_send_gives_too_big_to_a_peer_that_does_not_read),
        T(test_end_is_told_when_the_peer_closes),
        T(test_close_is_fine_inside_on_line),
        T(test_a_line_without_its_descriptor_ends_the_link),
        T(test_a_line_of_another_kind_ends_the_link),
        T(test_listen_makes_a_socket_for_its_user_alone),
        T(test_listen_gives_busy_while_another_listens),
        T(test_listen_replaces_a_file_that_was_left_behind),
        T(test_listen_leaves_other_files_alone),
        T(test_connect_gives_not_found_when_nobody_listens),
        T(test_adopt_accepts_on_a_socket_of_another_listener),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
