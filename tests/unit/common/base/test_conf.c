/* common/base/conf: the command line, the order of the sources, the environment, reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/common/base/conf_schema.h"

static struct conf_error error;

/* ---- command line ---- */

enum { ARGS_MAX = 8 };

static enum err parse(struct conf_args *args, const char *const *words)
{
    static char program[] = "headwater-sample";
    char *argv[ARGS_MAX + 2] = {program};
    int argc = 1;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    memset(&error, 0, sizeof error);
    return conf_parse_args(argc, argv, args, &error);
}

static void test_parse_args_gives_each_flag(void **state)
{
    const char *const words[] = {
        "-c",        "a.json",         "--set",  "loops=2", "--set=latency=x",
        "--version", "--check-config", "--help", NULL};
    struct conf_args args;

    (void)state;
    assert_int_equal(parse(&args, words), E_OK);
    assert_string_equal(args.path, "a.json");
    assert_int_equal(args.n_sets, 2);
    assert_string_equal(args.sets[0], "loops=2");
    assert_string_equal(args.sets[1], "latency=x");
    assert_true(args.version && args.check && args.help);
    assert_false(args.help_config);
    conf_args_fini(&args);
    conf_args_fini(&args);
}

static void test_parse_args_gives_short_forms_and_nothing(void **state)
{
    const char *const words[] = {"-h", "-V", "--help-config", NULL};
    const char *const none[] = {NULL};
    struct conf_args args;

    (void)state;
    assert_int_equal(parse(&args, words), E_OK);
    assert_true(args.version && args.help && args.help_config);
    assert_null(args.path);
    conf_args_fini(&args);
    assert_int_equal(parse(&args, none), E_OK);
    assert_false(args.version || args.help || args.help_config || args.check);
    conf_args_fini(&args);
}

static void test_parse_args_gives_invalid_with_the_argument(void **state)
{
    static const struct {
        const char *words[4];
        const char *text;
    } k_bad[] = {
        {{"--loops"}, "--loops: unknown argument; --help lists all of them"},
        {{"a.json"}, "a.json: unknown argument; --help lists all of them"},
        {{""}, ": unknown argument; --help lists all of them"},
        {{"--setloops=1"}, "--setloops=1: unknown argument; --help lists all of them"},
        {{"--set=a=1", "--set"}, "--set: expected key=value"},
        {{"-c"}, "-c: expected a file"},
        {{"-c", "a", "-c"}, "-c: expected a file"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct conf_args args;

        assert_int_equal(parse(&args, k_bad[i].words), E_INVAL);
        assert_string_equal(error.text, k_bad[i].text);
        assert_null(args.sets);
    }
}

static void test_parse_args_gives_invalid_when_two_files_are_given(void **state)
{
    const char *const words[] = {"-c", "a", "-c", "b", NULL};
    struct conf_args args;

    (void)state;
    assert_int_equal(parse(&args, words), E_INVAL);
    assert_string_equal(error.text, "-c: given twice, expected one file");
}

/* ---- sources ---- */

static enum err load_with(struct sample *out, const char *path, const char *set)
{
    struct conf_args args = {.path = path, .sets = &set, .n_sets = set ? 1 : 0};

    memset(out, 0, sizeof *out);
    memset(&error, 0, sizeof error);
    return conf_load(&k_sample, &args, out, &error);
}

static void assert_zero(const struct sample *conf)
{
    static const struct sample k_zero;

    assert_memory_equal(conf, &k_zero, sizeof k_zero);
}

static void assert_set_refused(const char *set, const char *text)
{
    struct sample conf;

    assert_int_equal(load_with(&conf, NULL, set), E_INVAL);
    assert_string_equal(error.text, text);
    assert_zero(&conf);
}

static void assert_env_refused(const char *name, const char *value, const char *text)
{
    struct sample conf;

    setenv(name, value, 1);
    assert_int_equal(load_with(&conf, NULL, NULL), E_INVAL);
    unsetenv(name);
    assert_string_equal(error.text, text);
    assert_zero(&conf);
}

static char folder[] = "/tmp/hw-conf-XXXXXX";
static char file_path[64];

static int make_file(void **state)
{
    FILE *f;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file_path, sizeof file_path, "%s/sample.json", folder);
    f = fopen(file_path, "w");
    if (!f)
        return -1;
    fputs("{\"loops\": 7, \"latency\": \"efficient\", \"cluster\": {\"zone\": \"file\"}}", f);
    return fclose(f);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(file_path);
    return rmdir(folder);
}

static void test_load_gives_defaults_without_any_source(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load_with(&conf, NULL, NULL), E_OK);
    assert_int_equal(conf.loops, 0);
    assert_int_equal(conf.latency, 1);
    assert_string_equal(conf.rtmp_listen, "0.0.0.0:1935");
    assert_int_equal(conf.gop_bytes, 8388608);
    assert_string_equal(conf.zone, "");
    assert_true(conf.redirect);
    assert_int_equal(conf.schedulers.n_items, 2);
    assert_string_equal(conf.schedulers.items[0], "http://a:1");
    assert_string_equal(conf.schedulers.items[1], "http://b:2");
    assert_string_equal(conf.advertise_http, "");
    conf_free(&k_sample, &conf);
    assert_null(conf.rtmp_listen);
    assert_null(conf.schedulers.items);
    conf_free(&k_sample, &conf);
}

static void test_load_gives_later_sources_over_earlier_ones(void **state)
{
    struct sample conf;

    (void)state;
    setenv("HEADWATER_LOOPS", "8", 1);
    setenv("HEADWATER_LATENCY", "realtime", 1);
    assert_int_equal(load_with(&conf, file_path, "loops=9"), E_OK);
    unsetenv("HEADWATER_LOOPS");
    unsetenv("HEADWATER_LATENCY");
    assert_int_equal(conf.loops, 9);                       /* default, file, environment, --set */
    assert_int_equal(conf.latency, 0);                     /* default, file, environment */
    assert_string_equal(conf.zone, "file");                /* default, file */
    assert_string_equal(conf.rtmp_listen, "0.0.0.0:1935"); /* default */
    conf_free(&k_sample, &conf);
}

static void test_load_ignores_service_links_of_kubernetes(void **state)
{
    static const char *const k_links[][2] = {
        {"HEADWATER_NODE_SERVICE_HOST", "10.0.0.1"},
        {"HEADWATER_NODE_SERVICE_PORT", "1935"},
        {"HEADWATER_NODE_SERVICE_PORT_HTTP", "8080"},
        {"HEADWATER_NODE_PORT", "tcp://10.0.0.1:1935"},
        {"HEADWATER_NODE_PORT_1935_TCP_ADDR", "10.0.0.1"},
    };
    struct sample conf;

    (void)state;
    for (size_t i = 0; i < sizeof k_links / sizeof k_links[0]; i++)
        setenv(k_links[i][0], k_links[i][1], 1);
    assert_int_equal(load_with(&conf, NULL, NULL), E_OK);
    conf_free(&k_sample, &conf);
    for (size_t i = 0; i < sizeof k_links / sizeof k_links[0]; i++)
        unsetenv(k_links[i][0]);
    setenv("HEADWATER_NODE_PORT", "1935", 1); /* what a person would write */
    assert_int_equal(load_with(&conf, NULL, NULL), E_INVAL);
    unsetenv("HEADWATER_NODE_PORT");
}

static void test_load_gives_io_when_file_is_missing(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load_with(&conf, "/nowhere/a.json", NULL), E_IO);
    assert_string_equal(error.text, "/nowhere/a.json: cannot be read: No such file or directory");
    assert_zero(&conf);
    assert_int_equal(load_with(&conf, folder, NULL), E_IO);
    assert_non_null(strstr(error.text, ": cannot be read: Is a directory"));
}

static void test_load_gives_invalid_for_a_bad_set(void **state)
{
    (void)state;
    assert_set_refused("loops=x",
                       "--set loops=x: loops: found \"x\", expected a whole number from 0 to 256");
    assert_set_refused("loops", "--set loops: expected key=value");
    assert_set_refused("=3", "--set =3: expected key=value");
    assert_set_refused("", "--set : expected key=value");
    assert_set_refused(
        "rtmp.listn=x",
        "--set rtmp.listn=x: rtmp.listn: unknown key; did you mean \"rtmp.listen\"?");
    assert_set_refused("rtmp=x",
                       "--set rtmp=x: rtmp: a group of keys such as \"rtmp.listen\", not a "
                       "value");
    assert_set_refused("zzzzzzzzzzzz=1", "--set zzzzzzzzzzzz=1: zzzzzzzzzzzz: unknown key; "
                                         "--help-config lists all of them");
}

static void test_load_gives_short_error_when_the_set_is_long(void **state)
{
    static char longer[2000];
    struct sample conf;

    (void)state;
    memset(longer, 'k', sizeof longer - 1);
    longer[1500] = '=';
    assert_int_equal(load_with(&conf, NULL, longer), E_INVAL);
    assert_true(strlen(error.text) < 400);
    memcpy(longer, "cluster.zone=", 13);
    assert_int_equal(load_with(&conf, NULL, longer), E_INVAL);
    assert_non_null(strstr(error.text, "kkk...\", expected printable text of at most 8 bytes"));
}

static void test_load_gives_value_of_set_with_equals_signs_in_it(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load_with(&conf, NULL, "cluster.schedulers=http://a/?b=c,d"), E_OK);
    assert_int_equal(conf.schedulers.n_items, 2);
    assert_string_equal(conf.schedulers.items[0], "http://a/?b=c");
    conf_free(&k_sample, &conf);
}

static void test_load_gives_environment_for_keys_with_groups_and_underscores(void **state)
{
    struct sample conf;

    (void)state;
    setenv("HEADWATER_GOP_CACHE__COUNT", "5", 1);
    setenv("HEADWATER_CLUSTER__ADVERTISE__PUBLIC__HTTP", "[::1]:80", 1);
    setenv("HEADWATER_CLUSTER__SCHEDULERS", "", 1);
    setenv("HEADWATERS", "not ours", 1);
    assert_int_equal(load_with(&conf, NULL, NULL), E_OK);
    unsetenv("HEADWATER_GOP_CACHE__COUNT");
    unsetenv("HEADWATER_CLUSTER__ADVERTISE__PUBLIC__HTTP");
    unsetenv("HEADWATER_CLUSTER__SCHEDULERS");
    unsetenv("HEADWATERS");
    assert_int_equal(conf.gop_count, 5);
    assert_string_equal(conf.advertise_http, "[::1]:80");
    assert_int_equal(conf.schedulers.n_items, 0);
    conf_free(&k_sample, &conf);
}

static void test_load_gives_invalid_for_bad_environment(void **state)
{
    (void)state;
    assert_env_refused(
        "HEADWATER_LOOPS", "257",
        "HEADWATER_LOOPS: loops: found \"257\", expected a whole number from 0 to 256");
    assert_env_refused("HEADWATER_RTMP__LISTN", "x",
                       "HEADWATER_RTMP__LISTN: unknown key; did you mean HEADWATER_RTMP__LISTEN?");
    assert_env_refused("HEADWATER_GOP__CACHE__COUNT", "1",
                       "HEADWATER_GOP__CACHE__COUNT: unknown key; did you mean "
                       "HEADWATER_GOP_CACHE__COUNT?");
    assert_env_refused("HEADWATER_CLUSTER", "x",
                       "HEADWATER_CLUSTER: a group of keys such as HEADWATER_CLUSTER__ZONE, not a "
                       "value");
    assert_env_refused("HEADWATER_loops", "1",
                       "HEADWATER_loops: unknown key; did you mean HEADWATER_LOOPS?");
    assert_env_refused("HEADWATER_", "1",
                       "HEADWATER_: unknown key; --help-config lists all of them");
}

static void test_load_gives_invalid_for_a_bad_default(void **state)
{
    static const struct conf_field k_fields[] = {
        CONF_FIELD_ADDR(struct sample, rtmp_listen, "a.listen", ":1", "", false),
    };
    const struct conf_schema schema = {"x", k_fields, 1, sizeof(struct sample)};
    const struct conf_args args = {0};
    struct sample conf = {0};

    (void)state;
    assert_int_equal(conf_load(&schema, &args, &conf, &error), E_INVAL);
    assert_string_equal(error.text, "default: a.listen: found \":1\", expected \"host:port\", "
                                    "\"[v6]:port\" or \"\" for off");
}

/* ---- reload ---- */

static void test_apply_reload_swaps_reloadable_fields_and_names_the_others(void **state)
{
    struct sample live, fresh;
    char ignored[64];
    size_t n_ignored = 77;

    (void)state;
    assert_int_equal(load_with(&live, NULL, NULL), E_OK);
    assert_int_equal(load_with(&fresh, file_path, "cluster.redirect=false"), E_OK);
    conf_apply_reload(&k_sample, &live, &fresh, &n_ignored, ignored, sizeof ignored);
    assert_int_equal(live.latency, 2);
    assert_string_equal(live.zone, "file");
    assert_string_equal(fresh.zone, "");
    assert_false(live.redirect);
    assert_int_equal(live.loops, 0); /* needs a restart */
    assert_int_equal(n_ignored, 1);
    assert_string_equal(ignored, "loops");
    conf_free(&k_sample, &live);
    conf_free(&k_sample, &fresh);
}

static void test_apply_reload_gives_none_when_nothing_changed(void **state)
{
    struct sample live, fresh;
    char ignored[64] = "x";
    size_t n_ignored = 77;

    (void)state;
    assert_int_equal(load_with(&live, NULL, NULL), E_OK);
    assert_int_equal(load_with(&fresh, NULL, NULL), E_OK);
    conf_apply_reload(&k_sample, &live, &fresh, &n_ignored, ignored, sizeof ignored);
    assert_int_equal(n_ignored, 0);
    assert_string_equal(ignored, "");
    conf_free(&k_sample, &live);
    conf_free(&k_sample, &fresh);
}

static void change_four(struct sample *conf)
{
    conf->loops = 3;
    conf->gop_bytes = 11;
    free(conf->rtmp_listen);
    conf->rtmp_listen = strdup("");
    free(conf->schedulers.items[1]);
    conf->schedulers.items[1] = strdup("c");
}

static void test_apply_reload_gives_shortened_list_when_room_is_short(void **state)
{
    static const char k_full[] = "loops, rtmp.listen, cluster.schedulers, gop_cache.max_bytes";

    (void)state;
    for (size_t size = 0; size < sizeof k_full + 10; size++) {
        struct sample live, fresh;
        char *ignored = malloc(size ? size : 1);
        size_t n_ignored;

        assert_int_equal(load_with(&live, NULL, NULL), E_OK);
        assert_int_equal(load_with(&fresh, NULL, NULL), E_OK);
        change_four(&fresh);
        conf_apply_reload(&k_sample, &live, &fresh, &n_ignored, ignored, size);
        assert_int_equal(n_ignored, 4);
        assert_true(size == 0 || strlen(ignored) < size);
        if (size > sizeof k_full + 5)
            assert_string_equal(ignored, k_full);
        else if (size == 30)
            assert_string_equal(ignored, "loops, rtmp.listen, ...");
        free(ignored);
        conf_free(&k_sample, &live);
        conf_free(&k_sample, &fresh);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_args_gives_each_flag),
        cmocka_unit_test(test_parse_args_gives_short_forms_and_nothing),
        cmocka_unit_test(test_parse_args_gives_invalid_with_the_argument),
        cmocka_unit_test(test_parse_args_gives_invalid_when_two_files_are_given),
        cmocka_unit_test(test_load_gives_defaults_without_any_source),
        cmocka_unit_test(test_load_gives_later_sources_over_earlier_ones),
        cmocka_unit_test(test_load_ignores_service_links_of_kubernetes),
        cmocka_unit_test(test_load_gives_io_when_file_is_missing),
        cmocka_unit_test(test_load_gives_invalid_for_a_bad_set),
        cmocka_unit_test(test_load_gives_short_error_when_the_set_is_long),
        cmocka_unit_test(test_load_gives_value_of_set_with_equals_signs_in_it),
        cmocka_unit_test(test_load_gives_environment_for_keys_with_groups_and_underscores),
        cmocka_unit_test(test_load_gives_invalid_for_bad_environment),
        cmocka_unit_test(test_load_gives_invalid_for_a_bad_default),
        cmocka_unit_test(test_apply_reload_swaps_reloadable_fields_and_names_the_others),
        cmocka_unit_test(test_apply_reload_gives_none_when_nothing_changed),
        cmocka_unit_test(test_apply_reload_gives_shortened_list_when_room_is_short),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
