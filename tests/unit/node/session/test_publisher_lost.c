/* node/session/publisher: the node stops while a publisher is between two loops. */
#include "tests/unit/node/session/publisher_rig.h"

#include "node/control/access_log.h"
#include "node/session/words.h"

static struct node_rig rig;
static struct session session;
static char *words;

/* Its stream is at home on the other loop. */
static void begin_elsewhere(void)
{
    static const struct stream_hooks k_hooks;
    struct stream_name name = node_rig_name("live", "x");
    struct access_request access = k_access_request_empty;
    struct publisher_request request = {
        .name = &name, .client = "10.0.0.9:1", .edge = "", .access = &access};
    struct session *s = &session;
    struct stream *stream;

    node_rig_open(&rig, (const char *const[]){NULL}, &k_hooks);
    stream = registry_get(rig.node.registry, &name);
    assert_non_null(stream);
    access.name = name;
    open_session(s, &rig.loops[!stream_home(stream)->index]);
    stream_unref(&stream);
    words = words_make(&(struct words){.stream = "live/x", .agent = "tester"}, &s->info);
    assert_non_null(words);
    enter(s);
    publisher_begin(&s->publisher, &request);
    assert_true(s->moving);
}

static void read_text(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void test_move_leaves_a_line_in_the_access_log_when_the_loops_end(void **state)
{
    static const char *const k_said[] = {"\"stream\":\"live/x\"", "\"refused\":true",
                                         "\"agent\":\"tester\"",
                                         "\"reason\":\"this node is shutting down\""};
    char path[] = "/tmp/headwater-publisher-XXXXXX", line[2048];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    begin_elsewhere();
    rig.node.access_log = access_log_create(path, ACCESS_LOG_JSON);
    assert_non_null(rig.node.access_log);
    publisher_move(&session.publisher);
    node_rig_end(&rig);
    access_log_destroy(&rig.node.access_log);
    assert_null(session.conn);
    assert_false(session.over);
    free(words);
    read_text(path, line, sizeof line);
    for (size_t i = 0; i < sizeof k_said / sizeof k_said[0]; i++)
        assert_non_null(strstr(line, k_said[i]));
    close(session.peer_fd);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move_leaves_a_line_in_the_access_log_when_the_loops_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
