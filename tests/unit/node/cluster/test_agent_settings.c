/* node/cluster/agent: settings, as a scheduler has them and as it does not. */
#include "tests/unit/node/cluster/agent_test.h"

struct lamp {
    char *colour;
};

static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct lamp, colour, "colour", NULL, 16, "Which.", false),
};
static const struct conf_schema k_lamp = {"lamp", k_fields, 1, sizeof(struct lamp)};

static struct {
    char text[256]; /* "id=colour ..." */
    unsigned n_done;
    enum err done;
} heard;

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    const struct lamp *lamp = item;
    size_t used = strlen(heard.text);

    (void)arg, (void)json;
    snprintf(heard.text + used, sizeof heard.text - used, "%s=%s ", id, lamp ? lamp->colour : "-");
}

static void on_kept(void *arg, enum err e, const char *why)
{
    (void)arg, (void)why;
    heard.n_done++;
    heard.done = e;
}

static int begin(void **state)
{
    struct setting_owner owner = {.schema = &k_lamp, .on_change = on_change};

    memset(&heard, 0, sizeof heard);
    setup(state);
    settings_own(rig->node.settings, SETTING_BAN, &owner);
    rig->beat_reply.settings_run = 7;
    rig->beat_reply.settings_seq = 0;
    return 0;
}

static void put(const char *id, const char *colour)
{
    json_t *body = json_pack("{s:s}", "colour", colour);
    struct conf_error error;

    assert_int_equal(settings_put(rig->node.settings, SETTING_BAN, id, body, on_kept, NULL, &error),
                     E_OK);
    json_decref(body);
}

#define OF_N2(id, version, colour)                                      \
    "{\"kind\":\"bans\",\"id\":\"" id "\",\"version\":\"" version "\"," \
    "\"origin\":\"n2\",\"item\":{\"colour\":\"" colour "\"}}"

static void test_heartbeat_that_says_more_is_followed_by_a_question(void **state)
{
    (void)state;
    rig->beat_reply.settings_seq = 2;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":2,\"settings\":[" OF_N2(
        "a", "1", "red") "," OF_N2("b", "1", "blue") "]}";
    agent_start(rig->node.agent);
    TURN_UNTIL(strstr(heard.text, "a=red b=blue "));
    assert_string_equal(rig->asked, "run=0&since=0");
    for (unsigned n = rig->n_beats; rig->n_beats < n + 3;)
        turn();
    assert_int_equal(rig->n_gets, 1); /* nothing has changed since */
    rig->beat_reply.settings_seq = 3;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":3,\"settings\":[" OF_N2("a", "2", "green") "]}";
    TURN_UNTIL(strstr(heard.text, "a=green "));
    assert_string_equal(rig->asked, "run=7&since=2");
    assert_int_equal(rig->n_posts, 0);
}

static void test_event_is_followed_by_a_question_at_once(void **state)
{
    static const char k_event[] = "{\"v\":1,\"type\":\"settings\"}\n";
    unsigned n_gets;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events && rig->n_gets);
    n_gets = rig->n_gets;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":1,\"settings\":[" OF_N2("a", "1", "red") "]}";
    assert_int_equal(http_stream_write(rig->events, buf_view_str(k_event)), E_OK);
    TURN_UNTIL(strstr(heard.text, "a=red "));
    assert_int_equal(rig->n_gets, n_gets + 1);
}

static void test_put_is_done_when_the_scheduler_has_it(void **state)
{
    (void)state;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":0}";
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_gets);
    put("a", "red");
    assert_int_equal(heard.n_done, 0);
    TURN_UNTIL(heard.n_done);
    assert_int_equal(heard.done, E_OK);
    assert_int_equal(rig->n_posts, 1);
    assert_non_null(strstr(rig->posted, "\"kind\":\"bans\",\"id\":\"a\""));
    assert_non_null(strstr(rig->posted, "\"origin\":\"n1\",\"item\":{\"colour\":\"red\"}"));
}

static void test_put_is_done_and_brought_later_when_nobody_takes_it(void **state)
{
    (void)state;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":0}";
    put("a", "red"); /* before the first heartbeat */
    TURN_UNTIL(heard.n_done == 1);
    assert_int_equal(rig->n_posts, 0);
    rig->post_status = 503;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_posts >= 2); /* again with each heartbeat */
    put("b", "blue");
    TURN_UNTIL(heard.n_done == 2);
    assert_int_equal(heard.done, E_OK);
    rig->post_status = 0;
    TURN_UNTIL(strstr(rig->posted, "\"id\":\"a\"") && strstr(rig->posted, "\"id\":\"b\""));
}

static void test_scheduler_that_was_started_again_is_told_everything(void **state)
{
    (void)state;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":0}";
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_gets);
    put("a", "red");
    TURN_UNTIL(heard.n_done);
    rig->posted[0] = '\0';
    rig->beat_reply.settings_run = 8;
    rig->settings = "{\"v\":1,\"run\":\"8\",\"seq\":0}";
    TURN_UNTIL(strstr(rig->posted, "\"id\":\"a\""));
    assert_string_equal(rig->asked, "run=7&since=0");
}

static void test_scheduler_of_the_release_before_is_asked_nothing(void **state)
{
    (void)state;
    rig->beat_reply.settings_run = 0;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats > 1);
    put("a", "red");
    TURN_UNTIL(heard.n_done);
    assert_int_equal(heard.done, E_OK);
    assert_int_equal(rig->n_gets + rig->n_posts, 0);
}

static void test_answer_that_is_broken_changes_nothing(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    rig->beat_reply.settings_seq = 1;
    rig->settings = "{\"v\":1,\"run\":\"7\",\"seq\":1,\"settings\":[7]}";
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_gets >= 2); /* with each heartbeat */
    assert_string_equal(heard.text, "");
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_heartbeat_that_says_more_is_followed_by_a_question),
        TEST(test_event_is_followed_by_a_question_at_once),
        TEST(test_put_is_done_when_the_scheduler_has_it),
        TEST(test_put_is_done_and_brought_later_when_nobody_takes_it),
        TEST(test_scheduler_that_was_started_again_is_told_everything),
        TEST(test_scheduler_of_the_release_before_is_asked_nothing),
        TEST(test_answer_that_is_broken_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
