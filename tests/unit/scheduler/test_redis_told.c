/* Settings in Redis: the newest counts, whoever writes last; everybody hears of it; all of it is
 * read at start. */
#include "tests/unit/scheduler/store_test.h"

static struct world g_other; /* the second scheduler */

static bool has_setting(const struct world *w)
{
    return w->n_settings > 0;
}

static bool has_read(const struct world *w)
{
    return w->n_settings_read > 0;
}

static void put(struct world *w, const char *id, uint64_t version, const char *origin,
                const char *item)
{
    struct cluster_setting setting = {.kind = "relays/pulls", .version = version};
    char text[64];

    snprintf(setting.id, sizeof setting.id, "%s", id);
    snprintf(setting.origin, sizeof setting.origin, "%s", origin);
    snprintf(text, sizeof text, "%s", item ? item : "");
    setting.item = item ? text : NULL;
    w->store->ops->put_setting(w->store, &setting);
    assert_int_equal(lookup(w), E_NOT_FOUND); /* sent and answered by now */
}

static void drop(struct world *w, const char *id, uint64_t version)
{
    struct cluster_setting setting = {.kind = "relays/pulls", .version = version};

    snprintf(setting.id, sizeof setting.id, "%s", id);
    w->store->ops->drop_setting(w->store, &setting);
    assert_int_equal(lookup(w), E_NOT_FOUND);
}

static void test_put_reaches_the_other_scheduler_only(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    put(w, "live/a", 7, "n1", "{\"url\":\"x y\"}");
    wait_until(&g_other, has_setting);
    assert_string_equal(g_other.setting, "relays/pulls live/a 7 n1 {\"url\":\"x y\"}");
    put(w, "live/a", 8, "n1", NULL);
    g_other.n_settings = 0;
    wait_until(&g_other, has_setting);
    assert_string_equal(g_other.setting, "relays/pulls live/a 8 n1 -");
    assert_int_equal(w->n_settings, 0);
    close_world(&g_other);
}

static void test_put_of_something_older_gives_what_is_there(void **state)
{
    static const struct {
        uint64_t version;
        const char *origin;
        bool is_taken;
    } k_cases[] = {
        {UINT64_C(1763743321000001), "n1", false}, {UINT64_C(1763743321000002), "n1", false},
        {UINT64_C(1763743321000002), "n2", false}, {UINT64_C(1763743321000002), "n3", true},
        {UINT64_C(1763743321000003), "n0", true},
    };
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    put(w, "live/a", UINT64_C(1763743321000002), "n2", "{\"url\":\"first\"}");
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        w->n_settings = 0;
        put(w, "live/a", k_cases[i].version, k_cases[i].origin, "{\"url\":\"second\"}");
        if ((w->n_settings == 0) != k_cases[i].is_taken)
            fail_msg("row %zu: %s", i, w->setting);
        if (!k_cases[i].is_taken)
            assert_string_equal(w->setting,
                                "relays/pulls live/a 1763743321000002 n2 {\"url\":\"first\"}");
    }
}

static void test_all_is_read_by_a_scheduler_that_starts_later(void **state)
{
    struct world *w = *state;
    char id[32];

    SKIP_WITHOUT_REDIS(w);
    for (int i = 0; i < 700; i++) { /* more than a step of a scan */
        snprintf(id, sizeof id, "live/%d", i);
        put(w, id, 7, "n1", "{}");
    }
    drop(w, "live/0", 6); /* not that one */
    drop(w, "live/1", 7);
    open_world(&g_other, true);
    wait_until(&g_other, has_read);
    assert_true(g_other.n_settings >= 699);
    close_world(&g_other);
}

static bool has_emptied_and_read(const struct world *w)
{
    return w->n_emptied > 0 && w->n_settings_read > 0;
}

static void test_flush_asks_for_everything_again(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    wait_until(w, has_read);
    w->n_settings_read = 0;
    tell_redis("FLUSHALL");
    wait_until(w, has_emptied_and_read);
}

static void test_what_is_no_setting_counts_as_absent(void **state)
{
    static const char *const k_values[] = {"x", "{}", "{\"v\":1,\"settings\":[]}",
                                           "{\"v\":1,\"settings\":[7]}",
                                           "{\"v\":1,\"settings\":[{\"version\":{}}]}"};
    struct world *w = *state;
    char command[128];

    SKIP_WITHOUT_REDIS(w);
    for (size_t i = 0; i < sizeof k_values / sizeof k_values[0]; i++) {
        snprintf(command, sizeof command, "HSET hw:set:relays/pulls live/%zu %s", i, k_values[i]);
        tell_redis(command);
        snprintf(command, sizeof command, "live/%zu", i);
        put(w, command, 7, "n1", "{}");
        snprintf(command, sizeof command, "HSTRLEN hw:set:relays/pulls live/%zu", i);
        assert_true(tell_redis(command) > 60);
    }
    tell_redis("SADD hw:sets Not_A_Kind bans");
    tell_redis("SET hw:set:bans text"); /* of another type: an error, not an end */
    open_world(&g_other, true);
    wait_until(&g_other, has_read);
    assert_int_equal(g_other.n_settings, sizeof k_values / sizeof k_values[0]);
    close_world(&g_other);
}

static bool has_refused(const struct world *w)
{
    return w->n_settings_refused > 0;
}

static void test_put_that_is_refused_is_asked_for_again(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    wait_until(w, has_read);
    w->n_settings_read = 0;
    tell_redis("CONFIG SET maxmemory 1"); /* nothing is written any more */
    put(w, "live/a", 7, "n1", "{}");
    wait_until(w, has_refused);
    wait_until(w, has_read); /* what is not there is put again by whoever listens */
    tell_redis("CONFIG SET maxmemory 0");
    put(w, "live/a", 7, "n1", "{}");
    assert_int_equal(tell_redis("HLEN hw:set:relays/pulls"), 1);
    assert_int_equal(w->n_settings_refused, 1);
}

#define REDIS(test) cmocka_unit_test_setup_teardown(test, set_up_redis, tear_down)

static int run(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_put_reaches_the_other_scheduler_only),
        REDIS(test_put_of_something_older_gives_what_is_there),
        REDIS(test_all_is_read_by_a_scheduler_that_starts_later),
        REDIS(test_flush_asks_for_everything_again),
        REDIS(test_what_is_no_setting_counts_as_absent),
        REDIS(test_put_that_is_refused_is_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_store_tests(run);
}
