/* node/control/settings: what is told, checked, found, listed, heard of, and what expires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/settings.h"

struct lamp {
    char *name, *colour;
    uint64_t watts, expires;
};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct lamp, colour,  "colour",  NULL,  16, "Which.", false),
    CONF_FIELD_UINT  (struct lamp, watts,   "watts",   "60",  1, 100, "W", "How bright.", false),
    CONF_FIELD_UINT  (struct lamp, expires, "expires", "0",   0, INT64_MAX, "s", "Until when.", false),
};
static const struct conf_field k_named_fields[] = {
    CONF_FIELD_STRING(struct lamp, name,    "name",    NULL,  400, "Of what.", false),
    CONF_FIELD_STRING(struct lamp, colour,  "colour",  "red", 16, "Which.", false),
};
/* clang-format on */
static const struct conf_schema k_lamp = {"lamp", k_fields, 3, sizeof(struct lamp)};
static const struct conf_schema k_named_lamp = {"lamp", k_named_fields, 2, sizeof(struct lamp)};

/* The wall clock is this far ahead. */
static int64_t leapt_s;

int clock_gettime(clockid_t id, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, id, out);

    if (id == CLOCK_REALTIME)
        out->tv_sec += leapt_s;
    return (int)result;
}

struct rig {
    struct loop *loop;
    struct settings *settings;
    char heard[512];
    unsigned n_done;
    enum err done;
};

static enum err check(void *arg, const char *id, const void *item, struct conf_error *error)
{
    const struct lamp *lamp = item;

    (void)arg, (void)id;
    if (strcmp(lamp->colour, "black") != 0)
        return E_OK;
    snprintf(error->text, sizeof error->text, "a black lamp is in the way");
    return E_BUSY;
}

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    struct rig *rig = arg;
    const struct lamp *lamp = item;
    size_t used = strlen(rig->heard);

    assert_int_equal(item == NULL, json == NULL);
    snprintf(rig->heard + used, sizeof rig->heard - used, "%s=%s ", id, lamp ? lamp->colour : "-");
}

static void on_done(void *arg, enum err e, const char *why)
{
    struct rig *rig = arg;

    assert_non_null(why);
    rig->n_done++;
    rig->done = e;
}

static struct setting_owner k_owner = {.schema = &k_lamp, .check = check, .on_change = on_change};
static struct setting_owner k_named = {
    .schema = &k_named_lamp, .id_field = "name", .on_change = on_change};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    log_set_level(LOG_ERROR);
    leapt_s = 0;
    rig->loop = loop_create("control", 0);
    rig->settings = settings_create(rig->loop, "n1");
    k_owner.arg = k_named.arg = rig;
    settings_own(rig->settings, SETTING_BAN, &k_owner);
    settings_own(rig->settings, SETTING_HLS_GROUP, &k_named);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    settings_destroy(&rig->settings);
    loop_destroy(&rig->loop);
    free(rig);
    return 0;
}

static enum err put(struct rig *rig, const char *id, const char *text, struct conf_error *error)
{
    json_t *body = json_loads(text, 0, NULL);
    enum err e;

    assert_non_null(body);
    e = settings_put(rig->settings, SETTING_BAN, id, body, on_done, rig, error);
    json_decref(body);
    return e;
}

static void must_put(struct rig *rig, const char *id, const char *text)
{
    struct conf_error error = {""};

    if (put(rig, id, text, &error) != E_OK)
        fail_msg("%s: %s", id, error.text);
}

static void on_nothing(struct timer *timer)
{
    (void)timer;
}

static bool note_id(void *arg, const char *id, const json_t *json)
{
    char *ids = arg;

    assert_true(json_is_object(json));
    strcat(ids, id);
    strcat(ids, " ");
    return strlen(ids) < 12;
}

static void test_put_gives_every_field_and_says_when_it_is_kept(void **state)
{
    struct rig *rig = *state;
    const json_t *item;

    must_put(rig, "a", "{\"colour\":\"blue\"}");
    assert_string_equal(rig->heard, "a=blue ");
    assert_int_equal(rig->n_done, 0); /* never from within */
    loop_turn(rig->loop, true);
    assert_int_equal(rig->n_done, 1);
    assert_int_equal(rig->done, E_OK);
    item = settings_find(rig->settings, SETTING_BAN, "a");
    assert_int_equal(json_integer_value(json_object_get(item, "watts")), 60);
    assert_null(settings_find(rig->settings, SETTING_BAN, "b"));
    assert_null(settings_find(rig->settings, SETTING_PULL, "a"));
}

static void test_put_replaces_what_is_there(void **state)
{
    struct rig *rig = *state;

    must_put(rig, "live/a", "{\"colour\":\"blue\"}");
    must_put(rig, "live/a", "{\"colour\":\"red\"}");
    assert_string_equal(rig->heard, "live/a=blue live/a=red ");
    assert_int_equal(settings_count(rig->settings, SETTING_BAN), 1);
}

static void test_put_refuses_with_the_path_of_what_is_wrong(void **state)
{
    static const struct {
        const char *id, *body, *said;
        enum err e;
    } k_cases[] = {
        {"a", "{}", "body: colour: is missing", E_INVAL},
        {"a", "{\"colour\":1}", "body: colour: found", E_INVAL},
        {"a", "{\"colour\":\"blue\",\"watts\":101}", "body: watts: found", E_INVAL},
        {"a", "{\"colour\":\"blue\",\"wats\":1}", "body: wats:", E_INVAL},
        {"a", "{\"colour\":\"blue\",\"expires\":1}", "body: expires: is in the past", E_INVAL},
        {"a", "[]", "body", E_INVAL},
        {"a", "{\"colour\":\"black\"}", "in the way", E_BUSY},
        {"", "{\"colour\":\"blue\"}", "no such id", E_INVAL},
        {"a/b/c/d", "{\"colour\":\"blue\"}", "no such id", E_INVAL},
        {"../x", "{\"colour\":\"blue\"}", "no such id", E_INVAL},
        {"a b", "{\"colour\":\"blue\"}", "no such id", E_INVAL},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct conf_error error = {""};
        enum err e = put(rig, k_cases[i].id, k_cases[i].body, &error);

        if (e != k_cases[i].e || !strstr(error.text, k_cases[i].said))
            fail_msg("row %zu: %s: %s", i, err_name(e), error.text);
    }
    loop_turn(rig->loop, false);
    assert_int_equal(rig->n_done, 0);
    assert_string_equal(rig->heard, "");
    assert_int_equal(settings_count(rig->settings, SETTING_BAN), 0);
}

static void test_put_refuses_a_kind_that_nobody_owns(void **state)
{
    struct rig *rig = *state;
    json_t *body = json_object();
    struct conf_error error;

    assert_int_equal(settings_put(rig->settings, SETTING_PULL, "a", body, on_done, rig, &error),
                     E_UNSUPPORTED);
    assert_int_equal(settings_remove(rig->settings, SETTING_PULL, "a", NULL, NULL, &error),
                     E_UNSUPPORTED);
    json_decref(body);
}

static void test_remove_gives_not_found_the_second_time(void **state)
{
    struct rig *rig = *state;
    struct conf_error error;

    must_put(rig, "a", "{\"colour\":\"blue\"}");
    assert_int_equal(settings_remove(rig->settings, SETTING_BAN, "a", on_done, rig, &error), E_OK);
    assert_int_equal(settings_remove(rig->settings, SETTING_BAN, "a", on_done, rig, &error),
                     E_NOT_FOUND);
    loop_turn(rig->loop, true);
    assert_int_equal(rig->n_done, 2);
    assert_string_equal(rig->heard, "a=blue a=- ");
    assert_null(settings_find(rig->settings, SETTING_BAN, "a"));
    assert_int_equal(settings_count(rig->settings, SETTING_BAN), 0);
}

static void test_each_gives_ids_in_order_from_any_place(void **state)
{
    struct rig *rig = *state;
    char ids[64] = "";
    struct conf_error error;

    must_put(rig, "c", "{\"colour\":\"blue\"}");
    must_put(rig, "live/a", "{\"colour\":\"blue\"}");
    must_put(rig, "a", "{\"colour\":\"blue\"}");
    must_put(rig, "b", "{\"colour\":\"blue\"}");
    assert_int_equal(settings_remove(rig->settings, SETTING_BAN, "b", NULL, NULL, &error), E_OK);
    settings_each(rig->settings, SETTING_BAN, "", note_id, ids);
    assert_string_equal(ids, "a c live/a ");
    ids[0] = '\0';
    settings_each(rig->settings, SETTING_BAN, "b", note_id, ids);
    assert_string_equal(ids, "c live/a ");
    ids[0] = '\0';
    settings_each(rig->settings, SETTING_BAN, "live/a", note_id, ids);
    assert_string_equal(ids, "");
}

static void test_own_tells_of_what_is_there(void **state)
{
    struct rig *rig = *state;

    must_put(rig, "b", "{\"colour\":\"blue\"}");
    must_put(rig, "a", "{\"colour\":\"red\"}");
    rig->heard[0] = '\0';
    settings_own(rig->settings, SETTING_BAN, &k_owner);
    assert_string_equal(rig->heard, "a=red b=blue ");
}

static void test_take_id_gives_field_id_or_one_made_up(void **state)
{
    static const struct {
        enum setting_kind kind;
        const char *body, *id; /* NULL: made up */
        const char *said;      /* "": it is taken */
    } k_cases[] = {
        {SETTING_BAN, "{\"id\":\"a\"}", "a", ""},
        {SETTING_BAN, "{}", NULL, ""},
        {SETTING_BAN, "{\"id\":7}", "", "body: id:"},
        {SETTING_BAN, "{\"id\":\"a b\"}", "", "body: id:"},
        {SETTING_BAN, "[]", "", "body: expected an object"},
        {SETTING_HLS_GROUP, "{\"name\":\"live/a\"}", "live/a", ""},
        {SETTING_HLS_GROUP, "{\"id\":\"a\"}", "", "body: name: is missing"},
        {SETTING_HLS_GROUP, "{\"name\":\"/a\"}", "", "body: name:"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        json_t *body = json_loads(k_cases[i].body, 0, NULL);
        struct conf_error error = {""};
        char id[SETTING_ID_SIZE] = "";
        enum err e = settings_take_id(rig->settings, k_cases[i].kind, body, id, &error);

        if ((e != E_OK) != (*k_cases[i].said != '\0') || !strstr(error.text, k_cases[i].said))
            fail_msg("row %zu: %s", i, error.text);
        if (!k_cases[i].id)
            assert_int_equal(strlen(id), 12);
        else
            assert_string_equal(id, k_cases[i].id);
        assert_true(e != E_OK || !json_object_get(body, "id"));
        json_decref(body);
    }
}

static void test_item_ends_when_it_expires(void **state)
{
    struct rig *rig = *state;
    int64_t at_s = clock_wall_us() / 1000000 + 1;
    char body[80];

    snprintf(body, sizeof body, "{\"colour\":\"blue\",\"expires\":%lld}", (long long)at_s);
    must_put(rig, "a", body);
    must_put(rig, "b", "{\"colour\":\"red\"}");
    while (settings_find(rig->settings, SETTING_BAN, "a")) {
        assert_true(clock_wall_us() / 1000000 < at_s + 5);
        loop_turn(rig->loop, true);
    }
    assert_true(clock_wall_us() / 1000000 >= at_s);
    assert_string_equal(rig->heard, "a=blue b=red a=- ");
    assert_int_equal(settings_count(rig->settings, SETTING_BAN), 1);
}

/* Seconds that are more milliseconds than a number can hold: nanoseconds that somebody told, say.
 */
static void test_item_that_ends_in_the_far_future_is_not_looked_at_all_the_time(void **state)
{
    static const char *const k_bodies[] = {
        "{\"colour\":\"blue\",\"expires\":1900000000000000000}",
        "{\"colour\":\"blue\",\"expires\":9223372036854775806}",
        "{\"colour\":\"blue\",\"expires\":9223372036854775807}",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof k_bodies / sizeof k_bodies[0]; i++) {
        struct timer timer;
        unsigned n_turns = 0;

        timer_init(&timer, rig->loop, on_nothing);
        must_put(rig, "a", k_bodies[i]);
        loop_turn(rig->loop, true);
        timer_start_ms(&timer, 100);
        for (; timer_is_armed(&timer); n_turns++)
            loop_turn(rig->loop, true);
        assert_in_range(n_turns, 1, 20);
        assert_non_null(settings_find(rig->settings, SETTING_BAN, "a"));
    }
}

static void test_item_that_a_leap_of_the_clock_ended_is_back_with_it(void **state)
{
    struct rig *rig = *state;
    const int64_t leap_s = INT64_C(400) * 86400;
    char body[80];

    snprintf(body, sizeof body, "{\"colour\":\"blue\",\"expires\":%lld}",
             (long long)(clock_wall_us() / 1000000 + 3600));
    must_put(rig, "a", body);
    must_put(rig, "b", body);
    leapt_s = leap_s;
    must_put(rig, "c", "{\"colour\":\"red\"}"); /* has it look at the time at once */
    while (settings_count(rig->settings, SETTING_BAN) != 1)
        loop_turn(rig->loop, true);
    assert_null(settings_find(rig->settings, SETTING_BAN, "a"));
    must_put(rig, "b", "{\"colour\":\"green\"}"); /* told anew: that counts */
    leapt_s = 0;
    must_put(rig, "c", "{\"colour\":\"white\"}");
    while (settings_count(rig->settings, SETTING_BAN) != 3)
        loop_turn(rig->loop, true);
    assert_non_null(settings_find(rig->settings, SETTING_BAN, "a"));
    assert_string_equal(rig->heard, "a=blue b=blue c=red b=- a=- b=green c=white a=blue ");
}

static void test_destroy_answers_who_waits(void **state)
{
    struct rig *rig = *state;

    must_put(rig, "a", "{\"colour\":\"blue\"}");
    must_put(rig, "b", "{\"colour\":\"blue\"}");
    settings_destroy(&rig->settings);
    assert_int_equal(rig->n_done, 2);
    assert_int_equal(rig->done, E_CLOSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_put_gives_every_field_and_says_when_it_is_kept),
        TEST(test_put_replaces_what_is_there),
        TEST(test_put_refuses_with_the_path_of_what_is_wrong),
        TEST(test_put_refuses_a_kind_that_nobody_owns),
        TEST(test_remove_gives_not_found_the_second_time),
        TEST(test_each_gives_ids_in_order_from_any_place),
        TEST(test_own_tells_of_what_is_there),
        TEST(test_take_id_gives_field_id_or_one_made_up),
        TEST(test_item_ends_when_it_expires),
        TEST(test_item_that_ends_in_the_far_future_is_not_looked_at_all_the_time),
        TEST(test_item_that_a_leap_of_the_clock_ended_is_back_with_it),
        TEST(test_destroy_answers_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
