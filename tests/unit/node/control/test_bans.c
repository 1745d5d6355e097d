/* node/control/bans: what is told, whom it meets, and what becomes of sessions that are there. */
#include "tests/unit/node/node_rig.h"

#include "node/control/bans.h"
#include "node/control/node_metrics.h"
#include "node/control/settings.h"

#define N_SESSIONS 5

struct rig {
    struct node_rig node;
    struct session_info sessions[N_SESSIONS];
    unsigned kicked; /* bit of each */
};
static struct rig *rig;

static void no_source(void *arg, struct stream *stream)
{
    (void)arg, (void)stream;
}

static void turn(void)
{
    node_rig_turn(&rig->node, false);
    loop_turn(rig->node.node.control, false);
}

static int setup(void **state)
{
    static const char *const k_sets[] = {NULL};
    struct stream_hooks hooks = {.need_source = no_source, .changed = no_source};

    (void)state;
    rig = calloc(1, sizeof *rig);
    node_rig_open(&rig->node, k_sets, &hooks);
    rig->node.node.control = loop_create("control", NODE_RIG_LOOPS);
    rig->node.node.settings = settings_create(rig->node.node.control, "n1");
    rig->node.node.bans = bans_create(&rig->node.node);
    assert_non_null(rig->node.node.bans);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        turn();
    settings_destroy(&rig->node.node.settings);
    node_rig_close(&rig->node);
    bans_destroy(&rig->node.node.bans);
    loop_destroy(&rig->node.node.control);
    free(rig);
    return 0;
}

static enum err put(const char *id, const char *text, struct conf_error *error)
{
    json_t *body = json_loads(text, 0, NULL);
    enum err e;

    assert_non_null(body);
    e = settings_put(rig->node.node.settings, SETTING_BAN, id, body, NULL, NULL, error);
    json_decref(body);
    return e;
}

static void must_put(const char *id, const char *text)
{
    struct conf_error error = {""};

    if (put(id, text, &error) != E_OK)
        fail_msg("%s", error.text);
}

static const char *check(const char *host, enum ban_action action, const char *app)
{
    struct stream_name name = node_rig_name(app, "x");
    struct addr addr;

    assert_int_equal(addr_parse(&addr, host), E_OK);
    return bans_check(&rig->node.node, &addr, action, action == BAN_CONNECT ? NULL : &name);
}

static void until(const char *host, bool is_banned)
{
    int64_t end_us = clock_mono_us() + NODE_RIG_PATIENCE_US;

    while ((check(host, BAN_CONNECT, "live") != NULL) != is_banned) {
        assert_true(clock_mono_us() < end_us);
        turn();
    }
}

static void test_check_gives_the_reason_of_a_ban_that_meets(void **state)
{
    static const struct {
        const char *host;
        enum ban_action action;
        const char *app, *reason; /* NULL: it may */
    } k_cases[] = {
        {"10.1.2.3:9", BAN_CONNECT, "live", "all of it"},
        {"10.1.2.3:9", BAN_PLAY, "live", "all of it"},
        {"[::ffff:10.1.2.3]:9", BAN_PLAY, "live", "all of it"},
        {"11.1.2.3:9", BAN_CONNECT, "live", NULL},
        {"11.1.2.3:9", BAN_PLAY, "live", NULL},
        {"192.0.2.7:9", BAN_CONNECT, "live", NULL},
        {"192.0.2.7:9", BAN_PLAY, "live", NULL},
        {"192.0.2.7:9", BAN_PUBLISH, "live", "this address is banned"},
        {"192.0.2.8:9", BAN_PUBLISH, "live", NULL},
        {"192.0.2.9:9", BAN_PLAY, "vip", "not for you"},
        {"192.0.2.9:9", BAN_PLAY, "vip2", NULL},
        {"192.0.2.9:9", BAN_PUBLISH, "vip", NULL},
        {"[2001:db8::5]:9", BAN_PLAY, "a/b", "v6"},
        {"[2001:db8::5]:9", BAN_PUBLISH, "a/b", "v6"},
        {"[2001:db8::5]:9", BAN_PUBLISH, "a", NULL},
        {"[2001:db8::5]:9", BAN_CONNECT, "a/b", NULL},
    };

    (void)state;
    must_put("1", "{\"net\":\"10.0.0.0/8\",\"reason\":\"all of it\"}");
    must_put("2", "{\"net\":\"192.0.2.7\",\"scope\":\"publish\"}");
    must_put("3", "{\"net\":\"192.0.2.0/24\",\"scope\":\"play\",\"app\":\"vip\",\"reason\":\"not "
                  "for you\"}");
    must_put("4", "{\"net\":\"2001:db8::/32\",\"app\":\"a/b\",\"reason\":\"v6\"}");
    assert_null(check("10.1.2.3:9", BAN_CONNECT, "live"));
    until("10.1.2.3:9", true);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        const char *reason = check(k_cases[i].host, k_cases[i].action, k_cases[i].app);

        if (!reason != !k_cases[i].reason || (reason && strcmp(reason, k_cases[i].reason) != 0))
            fail_msg("row %zu: %s", i, reason ? reason : "it may");
    }
}

static void test_check_gives_nothing_when_the_ban_is_removed(void **state)
{
    struct conf_error error;

    (void)state;
    must_put("1", "{\"net\":\"10.0.0.0/8\"}");
    until("10.1.2.3:9", true);
    assert_int_equal(settings_remove(rig->node.node.settings, SETTING_BAN, "1", NULL, NULL, &error),
                     E_OK);
    until("10.1.2.3:9", false);
}

static void test_check_gives_nothing_when_the_ban_has_expired(void **state)
{
    char text[80];

    (void)state;
    snprintf(text, sizeof text, "{\"net\":\"10.0.0.0/8\",\"expires\":%lld}",
             (long long)(clock_wall_us() / 1000000 + 2));
    must_put("1", text);
    until("10.1.2.3:9", true);
    until("10.1.2.3:9", false);
}

static void test_put_refuses_what_is_no_ban(void **state)
{
    static const char *const k_cases[] = {
        "{}",
        "{\"net\":\"10.0.0.0/33\"}",
        "{\"net\":\"example.org\"}",
        "{\"net\":\"10.0.0.1:80\"}",
        "{\"net\":\"10.0.0.1\",\"scope\":\"read\"}",
        "{\"net\":\"10.0.0.1\",\"app\":\"a/b/c\"}",
        "{\"net\":\"10.0.0.1\",\"app\":\"../x\"}",
        "{\"net\":\"10.0.0.1\",\"expires\":-1}",
        "{\"net\":\"10.0.0.1\",\"reson\":\"x\"}",
    };
    struct conf_error error;

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        if (put("1", k_cases[i], &error) != E_INVAL || strncmp(error.text, "body: ", 6) != 0)
            fail_msg("row %zu: %s", i, error.text);
    assert_int_equal(settings_count(rig->node.node.settings, SETTING_BAN), 0);
}

static void on_kick(struct session_info *info)
{
    size_t i = (size_t)(info - rig->sessions);

    rig->kicked |= 1u << i;
    session_info_fini(info, &rig->node.loops[i % NODE_RIG_LOOPS].media);
}

static void add_session(unsigned i, const char *peer, const char *protocol, const char *kind,
                        const char *stream)
{
    struct session_info *info = &rig->sessions[i];

    session_info_init(info, &rig->node.loops[i % NODE_RIG_LOOPS].media, 's', protocol, peer);
    info->kind = kind;
    info->stream = stream;
    info->kick = on_kick;
}

static void test_new_ban_ends_the_sessions_that_it_meets(void **state)
{
    static const struct {
        const char *peer, *protocol, *kind, *stream;
    } k_rows[N_SESSIONS] = {
        {"10.0.0.1:5", "rtmp", "publish", "live/a"}, {"10.0.0.1:6", "flv", "play", "live/a"},
        {"10.0.0.1:7", "rtmp", "idle", ""},          {"10.0.0.1:8", "relay", "play", "live/a"},
        {"192.0.2.1:9", "flv", "play", "live/a"},
    };

    (void)state;
    for (unsigned i = 0; i < N_SESSIONS; i++)
        add_session(i, k_rows[i].peer, k_rows[i].protocol, k_rows[i].kind, k_rows[i].stream);
    must_put("1", "{\"net\":\"10.0.0.0/24\",\"scope\":\"play\",\"app\":\"live\"}");
    while (!rig->kicked)
        turn();
    for (int i = 0; i < 8; i++)
        turn();
    assert_int_equal(rig->kicked, 1u << 1); /* a relay is no person */
    must_put("2", "{\"net\":\"10.0.0.0/24\"}");
    until("10.0.0.1:5", true);
    for (int i = 0; i < 8; i++)
        turn();
    assert_int_equal(rig->kicked, 0xf);
    on_kick(&rig->sessions[4]);
}

/* The media loops have much to do: they are not visited before the next table is there. */
static void test_new_ban_ends_sessions_when_another_one_is_removed_behind_it(void **state)
{
    struct conf_error error;

    (void)state;
    add_session(0, "192.0.2.1:5", "flv", "play", "live/a");
    must_put("1", "{\"net\":\"10.0.0.0/8\"}");
    until("10.0.0.1:5", true);
    node_rig_settle(&rig->node);
    must_put("2", "{\"net\":\"192.0.2.0/24\"}");
    while (!check("192.0.2.1:5", BAN_CONNECT, "live"))
        loop_turn(rig->node.node.control, true);
    assert_int_equal(settings_remove(rig->node.node.settings, SETTING_BAN, "1", NULL, NULL, &error),
                     E_OK);
    while (check("10.0.0.1:5", BAN_CONNECT, "live"))
        loop_turn(rig->node.node.control, true);
    assert_int_equal(rig->kicked, 0);
    for (int i = 0; i < 8; i++)
        turn();
    assert_int_equal(rig->kicked, 1);
}

static void test_refuse_gives_true_and_counts(void **state)
{
    struct addr addr;
    int64_t before = atomic_load(&m_connections_refused_ban.value);

    (void)state;
    assert_int_equal(addr_parse(&addr, "10.0.0.1:5"), E_OK);
    assert_false(bans_refuse(&rig->node.node, &addr, "test"));
    must_put("1", "{\"net\":\"10.0.0.0/8\"}");
    until("10.0.0.1:5", true);
    assert_true(bans_refuse(&rig->node.node, &addr, "test"));
    assert_int_equal(atomic_load(&m_connections_refused_ban.value), before + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_check_gives_the_reason_of_a_ban_that_meets),
        TEST(test_check_gives_nothing_when_the_ban_is_removed),
        TEST(test_check_gives_nothing_when_the_ban_has_expired),
        TEST(test_put_refuses_what_is_no_ban),
        TEST(test_new_ban_ends_the_sessions_that_it_meets),
        TEST(test_new_ban_ends_sessions_when_another_one_is_removed_behind_it),
        TEST(test_refuse_gives_true_and_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
