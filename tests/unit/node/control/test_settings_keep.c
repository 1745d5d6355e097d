/* node/control/settings_keep: the state file, and what comes from and goes to a cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/settings_sync.h"

#define PATIENCE_US 20000000
#define LONG_AGO_US ((int64_t)31 * 86400 * 1000000)

/* There is no memory for any more texts. */
static bool is_out_of_memory;

char *json_dumps(const json_t *json, size_t flags)
{
    size_t size = is_out_of_memory ? 0 : json_dumpb(json, NULL, 0, flags);
    char *text = size ? malloc(size + 1) : NULL;

    if (text)
        text[json_dumpb(json, text, size, flags)] = '\0';
    return text;
}

struct lamp {
    char *colour;
    uint64_t expires;
};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct lamp, colour,  "colour",  NULL,  16, "Which.", false),
    CONF_FIELD_UINT  (struct lamp, expires, "expires", "0",   0, INT64_MAX, "s", "Until when.", false),
};
/* clang-format on */
static const struct conf_schema k_lamp = {"lamp", k_fields, 2, sizeof(struct lamp)};

struct rig {
    struct loop *loop;
    struct settings *settings;
    char heard[512], folder[64], path[96];
    bool checks_red;
    char red[64]; /* the id of that lamp */
    unsigned n_done, n_wanted;
    enum err done;
    char why[200];
};

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    struct rig *rig = arg;
    const struct lamp *lamp = item;
    size_t used = strlen(rig->heard);

    (void)json;
    if (lamp && !strcmp(lamp->colour, "red"))
        snprintf(rig->red, sizeof rig->red, "%s", id);
    else if (!strcmp(rig->red, id))
        rig->red[0] = '\0';
    snprintf(rig->heard + used, sizeof rig->heard - used, "%s=%s ", id, lamp ? lamp->colour : "-");
}

/* One red lamp is enough. */
static enum err check(void *arg, const char *id, const void *item, struct conf_error *error)
{
    struct rig *rig = arg;
    const struct lamp *lamp = item;

    if (strcmp(lamp->colour, "black") == 0) {
        snprintf(error->text, sizeof error->text, "body: colour: is none");
        return E_INVAL;
    }
    if (rig->checks_red && !strcmp(lamp->colour, "red") && strcmp(rig->red, id) != 0 && *rig->red)
        return E_BUSY;
    return E_OK;
}

static void on_done(void *arg, enum err e, const char *why)
{
    struct rig *rig = arg;

    rig->n_done++;
    rig->done = e;
    snprintf(rig->why, sizeof rig->why, "%s", why);
}

static void open_settings(struct rig *rig)
{
    struct setting_owner owner = {
        .schema = &k_lamp, .check = check, .on_change = on_change, .arg = rig};

    rig->settings = settings_create(rig->loop, "n1");
    assert_non_null(rig->settings);
    settings_own(rig->settings, SETTING_BAN, &owner);
    rig->heard[0] = '\0';
}

static void keep(struct rig *rig)
{
    struct conf_error error = {""};

    if (settings_keep(rig->settings, rig->path, &error) != E_OK)
        fail_msg("%s", error.text);
}

/* What a new process finds. */
static void restart(struct rig *rig)
{
    settings_destroy(&rig->settings);
    open_settings(rig);
    keep(rig);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    log_set_level(LOG_ERROR);
    strcpy(rig->folder, "/tmp/hw-settings-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof rig->path, "%s/state.json", rig->folder);
    rig->loop = loop_create("control", 0);
    open_settings(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    char command[128];

    settings_destroy(&rig->settings);
    loop_destroy(&rig->loop);
    snprintf(command, sizeof command, "rm -rf %s", rig->folder);
    assert_int_equal(system(command), 0);
    free(rig);
    return 0;
}

static void put(struct rig *rig, const char *id, const char *colour)
{
    json_t *body = json_pack("{s:s}", "colour", colour);
    struct conf_error error = {""};

    if (settings_put(rig->settings, SETTING_BAN, id, body, on_done, rig, &error) != E_OK)
        fail_msg("%s", error.text);
    json_decref(body);
}

static void take(struct rig *rig, const char *id)
{
    struct conf_error error;

    assert_int_equal(settings_remove(rig->settings, SETTING_BAN, id, on_done, rig, &error), E_OK);
}

static void until_done(struct rig *rig, unsigned n)
{
    int64_t end_us = clock_mono_us() + PATIENCE_US;

    while (rig->n_done < n) {
        assert_true(clock_mono_us() < end_us);
        loop_turn(rig->loop, true);
    }
}

static const char *colour(struct rig *rig, const char *id)
{
    const json_t *item = settings_find(rig->settings, SETTING_BAN, id);

    return item ? json_string_value(json_object_get(item, "colour")) : "";
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* --- the file --- */

static void test_done_comes_when_the_file_has_it(void **state)
{
    struct rig *rig = *state;
    struct stat st;

    keep(rig);
    assert_int_equal(access(rig->path, F_OK), -1);
    put(rig, "a", "blue");
    until_done(rig, 1);
    assert_int_equal(rig->done, E_OK);
    assert_int_equal(stat(rig->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_restart_gives_what_was_told(void **state)
{
    struct rig *rig = *state;

    keep(rig);
    put(rig, "a", "blue");
    put(rig, "live/b", "red");
    put(rig, "c", "green");
    take(rig, "c");
    until_done(rig, 4);
    restart(rig);
    assert_string_equal(rig->heard, "a=blue live/b=red ");
    assert_string_equal(colour(rig, "a"), "blue");
    assert_int_equal(settings_count(rig->settings, SETTING_BAN), 2);
}

static void test_destroy_writes_what_is_not_written(void **state)
{
    struct rig *rig = *state;

    keep(rig);
    put(rig, "a", "blue");
    restart(rig); /* without a turn of the loop */
    assert_int_equal(rig->done, E_CLOSED);
    assert_string_equal(colour(rig, "a"), "blue");
}

static void test_destroy_leaves_the_file_when_out_of_memory(void **state)
{
    struct rig *rig = *state;

    keep(rig);
    put(rig, "a", "blue");
    until_done(rig, 1);
    put(rig, "b", "red");
    is_out_of_memory = true;
    settings_destroy(&rig->settings);
    is_out_of_memory = false;
    open_settings(rig);
    keep(rig);
    assert_string_equal(colour(rig, "a"), "blue");
    assert_string_equal(colour(rig, "b"), "");
}

static void test_kinds_and_fields_of_a_newer_release_are_kept(void **state)
{
    struct rig *rig = *state;
    char text[4096];
    size_t n;
    FILE *f;

    write_file(rig->path,
               "{\"v\":2,\"colour\":1,\"settings\":[{\"kind\":\"moon/phases\",\"id\":\"x\","
               "\"version\":\"7000000000000000\",\"origin\":\"n9\",\"item\":{\"a\":[1]}},"
               "{\"kind\":\"bans\",\"id\":\"y\",\"version\":\"7000000000000000\",\"origin\":\"n9\","
               "\"item\":{\"hue\":7}}]}");
    keep(rig);
    assert_string_equal(rig->heard, "y=- "); /* kept, not in force */
    put(rig, "a", "blue");
    until_done(rig, 1);
    f = fopen(rig->path, "r");
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    assert_non_null(strstr(text, "{\"kind\":\"moon/phases\",\"id\":\"x\",\"version\":"
                                 "\"7000000000000000\",\"origin\":\"n9\",\"item\":{\"a\":[1]}}"));
    assert_non_null(strstr(text, "{\"hue\":7}"));
}

static void test_broken_file_is_put_aside_and_not_overwritten(void **state)
{
    static const char *const k_broken[] = {
        "{\"v\":1,\"settings\":[", "", "[]", "{\"v\":1,\"settings\":{}}",
        "{\"v\":1,\"settings\":[{\"kind\":\"bans\",\"id\":\"y\",\"version\":7,\"origin\":\"n\"}]}"};
    struct rig *rig = *state;
    char aside[128], command[192];

    log_set_level(LOG_ERROR);
    for (size_t i = 0; i < sizeof k_broken / sizeof k_broken[0]; i++) {
        write_file(rig->path, k_broken[i]);
        restart(rig);
        assert_int_equal(access(rig->path, F_OK), -1);
        snprintf(aside, sizeof aside, "%s.broken", rig->path);
        assert_int_equal(access(aside, F_OK), 0);
        put(rig, "a", "blue");
        restart(rig);
        write_file(rig->path, "broken again");
        settings_destroy(&rig->settings);
        write_file(rig->path, "broken again");
        open_settings(rig);
        keep(rig);
        snprintf(command, sizeof command, "test $(ls %s | grep -c broken) = 2 && rm %s/*broken*",
                 rig->folder, rig->folder);
        assert_int_equal(system(command), 0);
    }
}

static void test_failed_write_is_said_and_made_up_for(void **state)
{
    struct rig *rig = *state;
    char command[192];

    log_set_level(LOG_ERROR + 1);
    keep(rig);
    snprintf(command, sizeof command, "mv %s %s.away", rig->folder, rig->folder);
    assert_int_equal(system(command), 0);
    put(rig, "a", "blue");
    until_done(rig, 1);
    assert_int_equal(rig->done, E_IO);
    assert_non_null(strstr(rig->why, "No such file"));
    assert_string_equal(colour(rig, "a"), "blue"); /* in force */
    snprintf(command, sizeof command, "mv %s.away %s", rig->folder, rig->folder);
    assert_int_equal(system(command), 0);
    put(rig, "b", "red");
    until_done(rig, 2);
    assert_int_equal(rig->done, E_OK);
    restart(rig);
    assert_string_equal(rig->heard, "a=blue b=red ");
}

static void test_keep_refuses_a_folder_that_is_not_there(void **state)
{
    struct rig *rig = *state;
    struct conf_error error = {""};

    assert_int_equal(settings_keep(rig->settings, "/nowhere/at/all/state.json", &error), E_INVAL);
    assert_non_null(strstr(error.text, "state.file: cannot write in /nowhere/at/all"));
}

static void test_keep_no_more_leaves_the_file_to_another_process(void **state)
{
    struct rig *rig = *state;

    keep(rig);
    put(rig, "a", "blue");
    loop_turn(rig->loop, true); /* it is being written */
    put(rig, "b", "red");
    settings_keep_no_more(rig->settings);
    until_done(rig, 2);
    assert_int_equal(rig->done, E_OK);
    put(rig, "c", "green");
    until_done(rig, 3);
    restart(rig);
    assert_string_equal(rig->heard, "a=blue b=red ");
}

/* --- the cluster --- */

static void merge(struct rig *rig, const char *id, int64_t version, const char *origin,
                  const char *item)
{
    struct cluster_settings m;
    struct cluster_error error = {""};
    char text[512];

    snprintf(text, sizeof text,
             "{\"v\":1,\"settings\":[{\"kind\":\"bans\",\"id\":\"%s\",\"version\":\"%lld\","
             "\"origin\":\"%s\"%s%s}]}",
             id, (long long)version, origin, item ? ",\"item\":" : "", item ? item : "");
    if (cluster_settings_decode(buf_view_str(text), &m, &error) != E_OK)
        fail_msg("%s", error.text);
    settings_merge(rig->settings, &m);
    cluster_settings_fini(&m);
}

static void test_merge_gives_the_newest_whatever_the_order(void **state)
{
    struct rig *rig = *state;
    int64_t now = clock_wall_us();

    merge(rig, "a", now + 2, "n2", "{\"colour\":\"red\"}");
    merge(rig, "a", now + 1, "n9", "{\"colour\":\"old\"}");
    assert_string_equal(colour(rig, "a"), "red");
    merge(rig, "a", now + 2, "n1", "{\"colour\":\"less\"}");
    assert_string_equal(colour(rig, "a"), "red");
    merge(rig, "a", now + 2, "n3", "{\"colour\":\"more\"}");
    assert_string_equal(colour(rig, "a"), "more");
    merge(rig, "a", now + 3, "n1", NULL);
    assert_string_equal(colour(rig, "a"), "");
    merge(rig, "a", now + 2, "n3", "{\"colour\":\"more\"}"); /* it does not come back */
    assert_string_equal(colour(rig, "a"), "");
    assert_string_equal(rig->heard, "a=red a=more a=- ");
}

static void test_put_is_newer_than_all_that_was_seen(void **state)
{
    struct rig *rig = *state;
    int64_t ahead = clock_wall_us() + INT64_C(3600000000); /* another clock is an hour ahead */

    merge(rig, "a", ahead, "n2", "{\"colour\":\"red\"}");
    put(rig, "a", "blue");
    merge(rig, "a", ahead, "n2", "{\"colour\":\"red\"}");
    assert_string_equal(colour(rig, "a"), "blue");
}

static void test_merge_keeps_out_of_force_what_the_owner_would_refuse(void **state)
{
    static const struct {
        const char *id, *item;
    } k_bad[] = {
        {"a", "{\"colour\":\"black\"}"},
        {"a", "{\"colour\":7}"},
        {"a", "{}"},
        {"a", "{\"colour\":\"blue\",\"x\":1}"},
        {"../a", "{\"colour\":\"blue\"}"},
        {"a b", "{\"colour\":\"blue\"}"},
        {"live/a/b/c", "{\"colour\":\"blue\"}"},
        {"a", "{\"colour\":\"blue\",\"expires\":-1}"},
    };
    struct rig *rig = *state;
    int64_t now = clock_wall_us();

    log_set_level(LOG_ERROR + 1);
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        merge(rig, "a", ++now, "n2", "{\"colour\":\"blue\"}");
        rig->heard[0] = '\0';
        merge(rig, k_bad[i].id, ++now, "n2", k_bad[i].item);
        if (strchr(rig->heard, '=') != rig->heard + strlen(rig->heard) - 3)
            fail_msg("row %zu: %s", i, rig->heard); /* "...=- ": what was there is not half there */
    }
    keep(rig);
    settings_destroy(&rig->settings);
    open_settings(rig);
    keep(rig); /* what was kept is no better for that */
    assert_null(strstr(rig->heard, "blue"));
}

static void test_what_was_refused_is_in_force_when_nothing_is_in_its_way(void **state)
{
    struct rig *rig = *state;
    int64_t now = clock_wall_us();

    log_set_level(LOG_ERROR + 1);
    rig->checks_red = true;
    merge(rig, "a", now, "n2", "{\"colour\":\"red\"}");
    merge(rig, "b", now, "n2", "{\"colour\":\"red\"}");
    assert_string_equal(rig->heard, "a=red b=- ");
    loop_turn(rig->loop, true);
    merge(rig, "a", now + 1, "n2", "{\"colour\":\"blue\"}");
    loop_turn(rig->loop, true);
    assert_string_equal(rig->heard, "a=red b=- a=blue b=red ");
    log_set_level(LOG_ERROR);
}

static void test_the_highest_version_leaves_room_for_other_items(void **state)
{
    struct rig *rig = *state;
    struct conf_error error = {""};
    json_t *body = json_loads("{\"colour\":\"blue\"}", 0, NULL);

    merge(rig, "a", (int64_t)CLUSTER_MAX_VERSION, "n2", "{\"colour\":\"green\"}");
    assert_int_equal(settings_put(rig->settings, SETTING_BAN, "a", body, NULL, NULL, &error),
                     E_BUSY);
    assert_int_equal(settings_remove(rig->settings, SETTING_BAN, "a", NULL, NULL, &error), E_BUSY);
    json_decref(body);
    keep(rig);
    put(rig, "b", "blue");
    put(rig, "b", "red");
    restart(rig); /* a file that cannot be read again would be put aside */
    assert_string_equal(rig->heard, "a=green b=red ");
}

static void test_a_state_file_that_is_none_stops_the_start(void **state)
{
    struct rig *rig = *state;
    struct conf_error error = {""};

    assert_int_equal(mkfifo(rig->path, 0600), 0);
    assert_int_equal(settings_keep(rig->settings, rig->path, &error), E_IO);
    assert_non_null(strstr(error.text, "is not a file"));
    assert_int_equal(remove(rig->path), 0);
    assert_int_equal(mkdir(rig->path, 0700), 0);
    assert_int_equal(settings_keep(rig->settings, rig->path, &error), E_IO);
    assert_non_null(strstr(error.text, "is not a file"));
}

static void test_merge_takes_nothing_that_has_ended_long_ago(void **state)
{
    struct rig *rig = *state;
    struct cluster_settings m;

    merge(rig, "a", clock_wall_us(), "n2", "{\"colour\":\"red\",\"expires\":7}");
    assert_string_equal(rig->heard, "");
    assert_int_equal(settings_count(rig->settings, SETTING_BAN), 0);
    merge(rig, "b", clock_wall_us() - LONG_AGO_US, "n2", NULL);
    settings_forget_told(rig->settings);
    assert_int_equal(settings_untold(rig->settings, 10, &m), E_OK);
    assert_int_equal(m.n_settings, 1); /* not b */
    cluster_settings_fini(&m);
}

static void test_untold_gives_what_the_scheduler_does_not_have(void **state)
{
    struct rig *rig = *state;
    struct cluster_settings m;

    put(rig, "a", "blue");
    put(rig, "b", "red");
    merge(rig, "c", clock_wall_us(), "n2", "{\"colour\":\"red\"}");
    assert_int_equal(settings_untold(rig->settings, 1, &m), E_OK);
    assert_int_equal(m.n_settings, 1);
    assert_string_equal(m.settings[0].id, "a");
    assert_string_equal(m.settings[0].origin, "n1");
    assert_string_equal(m.settings[0].item, "{\"colour\":\"blue\",\"expires\":0}");
    put(rig, "a", "green"); /* meanwhile */
    settings_told(rig->settings, &m);
    cluster_settings_fini(&m);
    assert_int_equal(settings_untold(rig->settings, 10, &m), E_OK);
    assert_int_equal(m.n_settings, 2);
    settings_told(rig->settings, &m);
    cluster_settings_fini(&m);
    assert_int_equal(settings_untold(rig->settings, 10, &m), E_OK);
    assert_int_equal(m.n_settings, 0);
    cluster_settings_fini(&m);
    settings_forget_told(rig->settings);
    assert_int_equal(settings_untold(rig->settings, 10, &m), E_OK);
    assert_int_equal(m.n_settings, 3);
    cluster_settings_fini(&m);
}

static void test_graves_are_as_many_as_items_may_be_at_most(void **state)
{
    struct rig *rig = *state;
    size_t most = k_setting_kinds[SETTING_PULL].max_items;
    struct setting_owner owner = {.schema = &k_lamp, .on_change = on_change, .arg = rig};
    json_t *body = json_pack("{s:s}", "colour", "red");
    struct cluster_settings m;
    struct conf_error error;
    char id[24];

    settings_own(rig->settings, SETTING_PULL, &owner);
    for (size_t i = 0; i < most + 50; i++) {
        snprintf(id, sizeof id, "%06zu", i);
        rig->heard[0] = '\0';
        assert_int_equal(settings_put(rig->settings, SETTING_PULL, id, body, NULL, NULL, &error),
                         E_OK);
        assert_int_equal(settings_remove(rig->settings, SETTING_PULL, id, NULL, NULL, &error),
                         E_OK);
    }
    json_decref(body);
    loop_turn(rig->loop, true);
    assert_int_equal(settings_untold(rig->settings, 2 * most, &m), E_OK);
    assert_int_equal(m.n_settings, most);
    assert_string_equal(m.settings[0].id, "000050"); /* the oldest are gone */
    cluster_settings_fini(&m);
}

static void on_wanted(void *arg)
{
    ((struct rig *)arg)->n_wanted++;
}

static void test_done_comes_at_the_end_of_a_round_that_has_it(void **state)
{
    struct rig *rig = *state;

    settings_set_cluster(rig->settings, on_wanted, rig);
    put(rig, "a", "blue");
    loop_turn(rig->loop, true);
    assert_int_equal(rig->n_wanted, 1);
    settings_round_begin(rig->settings);
    put(rig, "b", "red"); /* not in this one */
    settings_round_end(rig->settings);
    assert_int_equal(rig->n_done, 1);
    loop_turn(rig->loop, true);
    assert_int_equal(rig->n_wanted, 2);
    settings_round_begin(rig->settings);
    settings_round_end(rig->settings);
    assert_int_equal(rig->n_done, 2);
    loop_turn(rig->loop, false);
    assert_int_equal(rig->n_wanted, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_done_comes_when_the_file_has_it),
        TEST(test_restart_gives_what_was_told),
        TEST(test_destroy_writes_what_is_not_written),
        TEST(test_destroy_leaves_the_file_when_out_of_memory),
        TEST(test_kinds_and_fields_of_a_newer_release_are_kept),
        TEST(test_broken_file_is_put_aside_and_not_overwritten),
        TEST(test_failed_write_is_said_and_made_up_for),
        TEST(test_keep_refuses_a_folder_that_is_not_there),
        TEST(test_keep_no_more_leaves_the_file_to_another_process),
        TEST(test_merge_gives_the_newest_whatever_the_order),
        TEST(test_put_is_newer_than_all_that_was_seen),
        TEST(test_merge_keeps_out_of_force_what_the_owner_would_refuse),
        TEST(test_what_was_refused_is_in_force_when_nothing_is_in_its_way),
        TEST(test_the_highest_version_leaves_room_for_other_items),
        TEST(test_a_state_file_that_is_none_stops_the_start),
        TEST(test_merge_takes_nothing_that_has_ended_long_ago),
        TEST(test_untold_gives_what_the_scheduler_does_not_have),
        TEST(test_graves_are_as_many_as_items_may_be_at_most),
        TEST(test_done_comes_at_the_end_of_a_round_that_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
