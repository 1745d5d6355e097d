/* node/conf: the table, the example file, the rules between keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/conf.h"
#include "node/stream/stream.h"
#include "proto/cluster/cluster.h"

#define MAX_SETS 8

/* Loads the defaults with these --set values (up to the first NULL) and checks them. */
static enum err load(struct node_conf *conf, struct conf_error *error, const char *const *sets)
{
    const char *values[MAX_SETS];
    struct conf_args args = {.sets = values};
    enum err e;

    for (; sets[args.n_sets]; args.n_sets++)
        values[args.n_sets] = sets[args.n_sets];
    memset(conf, 0, sizeof *conf);
    memset(error, 0, sizeof *error);
    e = conf_load(&k_node_schema, &args, conf, error);
    return e == E_OK ? node_conf_check(conf, error) : e;
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_load_gives_documented_defaults(void **state)
{
    struct node_conf conf;
    struct conf_error error;

    (void)state;
    assert_int_equal(load(&conf, &error, (const char *const[]){NULL}), E_OK);
    assert_string_equal(conf.rtmp_listen, "0.0.0.0:1935");
    assert_string_equal(conf.http_listen, "0.0.0.0:8080");
    assert_string_equal(conf.admin_listen, "127.0.0.1:8081");
    assert_int_equal(conf.latency, LATENCY_BALANCED);
    assert_int_equal(conf.publish_duplicate, CLUSTER_DUPLICATE_REFUSE);
    assert_int_equal(conf.cluster_role, CLUSTER_BOTH);
    assert_true(conf.publish_open && conf.play_open);
    assert_int_equal(conf.gop_cache_count, 1);
    assert_int_equal(conf.play_wait_ms, 10000);
    assert_int_equal(conf.cluster_schedulers.n_items, 0);
    assert_int_equal(conf.cluster_redirect, 0);
    conf_free(&k_node_schema, &conf);
}

static void test_load_gives_enums_in_the_order_of_the_code(void **state)
{
    struct node_conf conf;
    struct conf_error error;

    (void)state;
    assert_int_equal(load(&conf, &error,
                          SETS("latency=efficient", "cluster.role=edge",
                               "publish.duplicate=takeover", "cluster.redirect=off")),
                     E_OK);
    assert_int_equal(conf.latency, LATENCY_EFFICIENT);
    assert_int_equal(conf.cluster_role, CLUSTER_EDGE);
    assert_int_equal(conf.publish_duplicate, CLUSTER_DUPLICATE_TAKEOVER);
    assert_int_equal(conf.cluster_redirect, 0);
    conf_free(&k_node_schema, &conf);
}

/* conf/node.json is what the table prints; it stands four folders above this file. */
static void test_print_example_gives_the_file_in_conf(void **state)
{
    static const char k_here[] = "tests/unit/node/test_conf.c";
    char path[4096], *text = NULL, in_file[65536];
    size_t size = 0, n;
    FILE *out = open_memstream(&text, &size), *file;

    (void)state;
    snprintf(path, sizeof path, "%.*sconf/node.json", (int)(sizeof __FILE__ - sizeof k_here),
             __FILE__);
    conf_print_example(&k_node_schema, out);
    fclose(out);
    file = fopen(path, "r");
    assert_non_null(file);
    n = fread(in_file, 1, sizeof in_file - 1, file);
    fclose(file);
    in_file[n] = '\0';
    assert_string_equal(in_file, text);
    free(text);
}

static const struct {
    const char *sets[4];
    const char *says; /* in the error */
} k_refused[] = {
    {{"access.rules=live play=maybe"}, "access.rules[0]: play: found \"maybe\""},
    {{"access.rules=live play=sign,x! play=open"}, "access.rules[1]: app: found \"x!\""},
    {{"access.hls_grant_s=5"}, "access.hls_grant_s"},
    {{"rtmp.listen=", "http.listen="}, "rtmp.listen, http.listen"}, /* no certificates: no TLS */
    {{"tls.certificates=a.pem,=b.key"}, "tls.certificates[1]: found \"=b.key\""},
    {{"tls.certificates=a.pem="}, "allowed is cert.pem=key.pem, or one file with both"},
    {{"cluster.advertise.public.rtmps=rtmp://h:1"}, "allowed is rtmps://host:port"},
    {{"cluster.schedulers=https://10.0.0.5:8090",
      "rtmp.listen=", "http.listen=", "tls.certificates=a.pem=a.key"},
     "cluster.advertise.public.rtmps: not set"},
    {{"record.rules=a formats=avi"}, "record.rules[0]: formats"},
    {{"record.rules=a,a*b"}, "record.rules[1]: streams"},
    {{"cluster.node_id=a b"}, "cluster.node_id: found \"a b\""},
    {{"cluster.zone=a\tb"}, "cluster.zone"},
    {{"cluster.schedulers=127.0.0.1:8090"}, "cluster.schedulers: found \"127.0.0.1:8090\""},
    {{"cluster.schedulers=rtmps://127.0.0.1:8090"}, "allowed is http://host:port or https://host"},
    {{"cluster.schedulers=http://a@127.0.0.1:8090"}, "cluster.schedulers"},
    {{"cluster.schedulers=http://127.0.0.1:8090/x"}, "cluster.schedulers"},
    {{"fallback_origins=rtmp://10.0.0.1"}, "fallback_origins"},
    {{"websocket.origins=https://a.example,b.example"}, "websocket.origins: found \"b.example\""},
    {{"websocket.origins=null"}, "websocket.origins"},
    {{"websocket.origins=https://a.example/"}, "websocket.origins"},
    {{"websocket.origins=*"}, "websocket.origins"},
    {{"admin.tls=true"}, "admin.tls: found true, allowed only with tls.certificates"},
    {{"compat=lal,srs"}, "compat[1]: found srs, expected lal or livego"},
    {{"compat_app=live/x"}, "compat_app: found live/x"},
    {{"compat_app=api"}, "compat_app: found api"},
    {{"hooks.targets=http://h/ format=lal"},
     "format=lal needs one event, or in the URL \"{event}\""},
    {{"hooks.targets=http://h/{event}"}, "allowed with format=lal alone: \"{event}\""},
    {{"hooks.targets=http://h/{event} format=lal events=on_idle"}, "lal has none like \"on_idle\""},
    {{"hooks.targets=http://h/{event} format=lal mode=gate events=on_play"}, "told, not asked"},
    {{"pull.sources=live/a"}, "pull.sources[0]: urls: is missing"},
    {{"pull.sources=../a=rtmp://h/live/a"}, "pull.sources[0]: stream: "},
    {{"pull.sources=live/a=rtsp://h/live/a"}, "pull.sources[0]: urls[0]: RTSP is not there yet"},
    {{"pull.sources=live/a=rtmp://h"}, "pull.sources[0]: urls[0]: an URL that is not"},
    {{"pull.sources=live/a=rtmp://h/live/a mode=often"}, "pull.sources[0]: mode: "},
    {{"push.targets=live/a"}, "push.targets[0]: url: is missing"},
    {{"push.targets=live/a url=http://h/live/a"}, "push.targets[0]: url: HTTP is for pulls alone"},
    {{"push.targets=live url=rtmp://h/live/a"}, "push.targets[0]: stream: "},
    {{"relay.allowed_networks=10.0.0.0/8,ten"}, "relay.allowed_networks[1]: found \"ten\""},
    {{"publish.duplicate_apps=live"}, "publish.duplicate_apps[0]: found \"live\": no \"=\""},
    {{"publish.duplicate_apps=live=takeover,live/a=maybe"}, "publish.duplicate_apps[1]"},
    {{"publish.duplicate_apps=live/=refuse"}, "publish.duplicate_apps[0]"},
    {{"publish.duplicate_apps=v1=refuse"}, "publish.duplicate_apps[0]"},
    {{"publish.duplicate_apps=a/b/c=refuse"}, "allowed is app=refuse"},
    {{"cluster.advertise.public.http=http://h:1/path"}, "cluster.advertise.public.http"},
    {{"cluster.advertise.public.rtmp=http://h:1"}, "allowed is rtmp://host:port"},
    {{"cluster.advertise.internal.https=https://h\"x"}, "cluster.advertise.internal.https"},
    {{"cluster.advertise.admin=https://h:1"}, "allowed is http://host:port"},
    {{"cluster.advertise.admin=http://h:1", "admin.tls=true", "tls.certificates=/dev/null"},
     "allowed is https://host:port"},
    {{"cluster.schedulers=http://10.0.0.5:8090"}, "cluster.advertise.public.rtmp: not set"},
    {{"cluster.schedulers=http://10.0.0.5:8090", "rtmp.listen=10.0.0.1:1935"},
     "cluster.advertise.public.http: not set"},
    {{"cluster.schedulers=http://127.0.0.1:8090,http://ten:8090"}, "0.0.0.0:1935"},
    {{"cluster.schedulers=http://10.0.0.5:8090", "rtmp.listen=", "http.listen=[::]:8080"},
     "http.listen [::]:8080"},
};

static void test_check_refuses_each_broken_rule_by_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_refused / sizeof k_refused[0]; i++) {
        struct node_conf conf;
        struct conf_error error;

        assert_int_equal(load(&conf, &error, k_refused[i].sets), E_INVAL);
        if (!strstr(error.text, k_refused[i].says))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, error.text, k_refused[i].says);
        conf_free(&k_node_schema, &conf);
    }
}

static const char *const k_accepted[][6] = {
    {"cluster.schedulers=http://127.0.0.1:8090,http://localhost:8091,http://[::1]:8092"},
    {"cluster.schedulers=http://10.0.0.5:8090", "rtmp.listen=10.0.0.1:1935",
     "http.listen=10.0.0.1:8080"},
    {"cluster.schedulers=http://10.0.0.5:8090", "cluster.advertise.public.rtmp=rtmp://a.example",
     "cluster.advertise.public.http=http://a.example:80",
     "cluster.advertise.internal.rtmp=rtmp://10.0.0.1:1935",
     "cluster.advertise.internal.http=http://10.0.0.1:8080"},
    {"pull.sources=live/a=rtmp://user:pass@h:1936/live/a?x=y,two/parts/b=http://h/live/b.flv"},
    {"pull.sources=live/a=rtmp://h/a/b|https://h/b.flv idle_ms=100,live/b urls=rtmps://h/a/b "
     "mode=always"},
    {"push.targets=live/* url=rtmps://h/{app}/{name}?k=v codecs=all,live/a url=rtmp://h/a/b "
     "retry=3"},
    {"relay.allowed_networks=10.0.0.0/8,::1,fd00::/8"},
    {"cluster.node_id=edge-1.eu_x", "cluster.zone=eu west"},
    {"fallback_origins=http://10.0.0.1:8080,http://[fd00::1]:8080"},
    {"publish.duplicate_apps=live=standby,live/eu=takeover,old=refuse"},
    {"websocket.origins=https://a.example,http://localhost:3000,http://[::1]:3000"},
};

static void test_check_gives_ok_for_sound_configurations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_accepted / sizeof k_accepted[0]; i++) {
        struct node_conf conf;
        struct conf_error error;

        if (load(&conf, &error, k_accepted[i]) != E_OK)
            fail_msg("row %zu: %s", i, error.text);
        conf_free(&k_node_schema, &conf);
    }
}

static void test_cors_gives_one_for_no_origin_where_the_list_says_null(void **state)
{
    struct node_conf conf;
    struct conf_error error;

    (void)state;
    assert_int_equal(load(&conf, &error, SETS("http.cors_origins=https://a.example")), E_OK);
    assert_int_equal(node_conf_cors(&conf, "null"), HTTP_CORS_NONE);
    conf_free(&k_node_schema, &conf);
    assert_int_equal(load(&conf, &error, SETS("http.cors_origins=https://a.example,null")), E_OK);
    assert_int_equal(node_conf_cors(&conf, "null"), HTTP_CORS_ONE);
    assert_int_equal(node_conf_cors(&conf, "https://a.example"), HTTP_CORS_ONE);
    assert_int_equal(node_conf_cors(&conf, "https://null"), HTTP_CORS_NONE);
    assert_int_equal(node_conf_cors(&conf, NULL), HTTP_CORS_NONE);
    conf_free(&k_node_schema, &conf);
}

static void test_allows_origin_gives_true_for_the_same_scheme_host_and_port_only(void **state)
{
    static const struct {
        const char *origin;
        bool allowed;
    } rows[] = {
        {"https://a.example", true},
        {"https://a.example:443", true},
        {"HTTPS://A.Example", true},
        {"http://b.example:3000", true},
        {"http://[::1]:3000", true},
        {"http://a.example", false},
        {"https://a.example:8443", false},
        {"https://a.example.evil", false},
        {"https://www.a.example", false},
        {"https://a.example@evil", false},
        {"http://b.example", false},
        {"null", false},
        {"", false},
    };
    struct node_conf conf;
    struct conf_error error;

    (void)state;
    assert_int_equal(load(&conf, &error, SETS(NULL)), E_OK);
    assert_true(node_conf_allows_origin(&conf, buf_view_str("null")));
    conf_free(&k_node_schema, &conf);
    assert_int_equal(
        load(&conf, &error,
             SETS("websocket.origins=https://a.example,http://b.example:3000,http://[::1]:3000")),
        E_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (node_conf_allows_origin(&conf, buf_view_str(rows[i].origin)) != rows[i].allowed)
            fail_msg("row %zu: %s", i, rows[i].origin);
    conf_free(&k_node_schema, &conf);
}

static void test_duplicate_gives_the_policy_of_the_app_or_the_general_one(void **state)
{
    static const struct {
        const char *app;
        int duplicate;
    } k_rows[] = {{"live", CLUSTER_DUPLICATE_STANDBY},
                  {"live/eu", CLUSTER_DUPLICATE_REFUSE},
                  {"live/us", CLUSTER_DUPLICATE_TAKEOVER},
                  {"liv", CLUSTER_DUPLICATE_TAKEOVER}};
    struct node_conf conf;
    struct conf_error error;

    (void)state;
    assert_int_equal(load(&conf, &error,
                          SETS("publish.duplicate=takeover",
                               "publish.duplicate_apps=live=standby,live/eu=refuse")),
                     E_OK);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct stream_name name;
        const char *why;

        assert_int_equal(
            stream_name_make(&name, buf_view_str(k_rows[i].app), buf_view_str("x"), &why), E_OK);
        assert_int_equal(node_conf_duplicate(&conf, &name), k_rows[i].duplicate);
    }
    conf_free(&k_node_schema, &conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_gives_documented_defaults),
        cmocka_unit_test(test_load_gives_enums_in_the_order_of_the_code),
        cmocka_unit_test(test_print_example_gives_the_file_in_conf),
        cmocka_unit_test(test_check_refuses_each_broken_rule_by_its_key),
        cmocka_unit_test(test_check_gives_ok_for_sound_configurations),
        cmocka_unit_test(test_cors_gives_one_for_no_origin_where_the_list_says_null),
        cmocka_unit_test(test_allows_origin_gives_true_for_the_same_scheme_host_and_port_only),
        cmocka_unit_test(test_duplicate_gives_the_policy_of_the_app_or_the_general_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
