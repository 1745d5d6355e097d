/* Escapes, request targets, query strings, hosts and URLs; and the reason phrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http/http.h"

static void assert_view(struct buf_view view, const char *text)
{
    if (!buf_view_equals(view, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.size_bytes, (const char *)view.data, text);
}

static void test_percent_decode_refuses_bad_escapes_zero_and_lack_of_room(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(http_percent_decode(buf_view_str("a%2Fb%c3+"), out, sizeof out), E_OK);
    assert_string_equal(out, "a/b\xc3+");
    assert_int_equal(http_percent_decode(buf_view_str("1234567"), out, sizeof out), E_OK);
    assert_int_equal(http_percent_decode(buf_view_str("12345678"), out, sizeof out), E_INVAL);
    assert_int_equal(http_percent_decode(buf_view_str("%"), out, sizeof out), E_INVAL);
    assert_int_equal(http_percent_decode(buf_view_str("%4"), out, sizeof out), E_INVAL);
    assert_int_equal(http_percent_decode(buf_view_str("%g0"), out, sizeof out), E_INVAL);
    assert_int_equal(http_percent_decode(buf_view_str("%00"), out, sizeof out), E_INVAL);
    assert_int_equal(http_percent_decode(buf_view_of("a\0b", 3), out, sizeof out), E_INVAL);
    assert_string_equal(out, "");
}

static void test_percent_encode_gives_what_decode_takes_back(void **state)
{
    struct buf_writer w;
    char all[256], back[256];

    (void)state;
    for (unsigned i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    all[255] = '\0';
    buf_writer_init(&w, 1024);
    http_percent_encode(buf_view_str(all), &w);
    assert_int_equal(http_percent_decode(buf_writer_view(&w), back, sizeof back), E_OK);
    assert_string_equal(back, all);
    buf_writer_clear(&w);
    http_percent_encode(buf_view_str("/live/a b~c\xc3\xa9?"), &w);
    assert_view(buf_writer_view(&w), "/live/a%20b~c%C3%A9%3F");
    buf_writer_fini(&w);
}

static const struct {
    const char *target, *path, *query; /* path NULL = refused */
} k_targets[] = {
    {"/", "/", ""},
    {"/live/x.flv?a=1&b=?", "/live/x.flv", "a=1&b=?"},
    {"/live/", "/live/", ""},
    {"/live/%C3%A9%20.x", "/live/\xc3\xa9 .x", ""},
    {"/live/...", "/live/...", ""},
    {"/live/..x", "/live/..x", ""},
    {"/?", "/", ""},
    {"", NULL, NULL},
    {"*", NULL, NULL},
    {"live", NULL, NULL},
    {"?a", NULL, NULL},
    {"//", NULL, NULL},
    {"//evil.example/x", NULL, NULL},
    {"/a//b", NULL, NULL},
    {"/..", NULL, NULL},
    {"/a/../b", NULL, NULL},
    {"/a/.", NULL, NULL},
    {"/./a", NULL, NULL},
    {"/a/%2e%2E/b", NULL, NULL},
    {"/a/.%2e", NULL, NULL},
    {"/a%2fb", NULL, NULL},
    {"/a%2Fb", NULL, NULL},
    {"/a\\b", NULL, NULL},
    {"/a%5cb", NULL, NULL},
    {"/a%00", NULL, NULL},
    {"/a%0d%0aX:1", NULL, NULL},
    {"/a%7f", NULL, NULL},
    {"/a%zz", NULL, NULL},
    {"/a#b", NULL, NULL},
    {"/0123456789012345678901234567890", NULL, NULL}, /* one byte above the room for it */
    {"/012345678901234567890123456789", "/012345678901234567890123456789", ""},
};

static void test_split_target_refuses_each_path_outside_the_tree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_targets / sizeof k_targets[0]; i++) {
        char path[32];
        struct buf_view query;
        const char *why = NULL;
        enum err e =
            http_split_target(buf_view_str(k_targets[i].target), path, sizeof path, &query, &why);

        if (e != (k_targets[i].path ? E_OK : E_INVAL))
            fail_msg("%s gives %s (%s)", k_targets[i].target, err_name(e), why ? why : "");
        assert_true((why == NULL) == (e == E_OK));
        if (e != E_OK)
            continue;
        assert_string_equal(path, k_targets[i].path);
        assert_view(query, k_targets[i].query);
    }
}

static const struct {
    const char *query, *key, *value;
    enum err e;
} k_queries[] = {
    {"a=1&b=2", "b", "2", E_OK},
    {"a=1&a=2", "a", "1", E_OK},
    {"a=x+y%2Bz%3d", "a", "x y+z=", E_OK},
    {"a=b=c", "a", "b=c", E_OK},
    {"&&a", "a", "", E_OK},
    {"a=", "a", "", E_OK},
    {"%61b=1", "ab", "1", E_OK},
    {"ab=1", "a", NULL, E_NOT_FOUND},
    {"a=1", "ab", NULL, E_NOT_FOUND},
    {"", "a", NULL, E_NOT_FOUND},
    {"%zz=1&a=2", "a", "2", E_OK},
    {"a=%zz", "a", NULL, E_INVAL},
    {"a=%00", "a", NULL, E_INVAL},
    {"a=12345678", "a", NULL, E_INVAL},
};

static void test_query_get_gives_the_decoded_value_of_the_first_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_queries / sizeof k_queries[0]; i++) {
        char out[8];
        enum err e =
            http_query_get(buf_view_str(k_queries[i].query), k_queries[i].key, out, sizeof out);

        if (e != k_queries[i].e)
            fail_msg("%s gives %s", k_queries[i].query, err_name(e));
        if (e == E_OK)
            assert_string_equal(out, k_queries[i].value);
    }
}

static void test_query_next_gives_each_key(void **state)
{
    struct buf_reader r = buf_reader_from(buf_view_str("a=1&&b&=x&%63%20d=&toolong=&e=%zz&%zz=1"));
    char key[6];

    (void)state;
    for (const char *const *want = (const char *const[]){"a", "b", "", "c d", NULL}; *want;
         want++) {
        assert_int_equal(http_query_next(&r, key, sizeof key), E_OK);
        assert_string_equal(key, *want);
    }
    assert_int_equal(http_query_next(&r, key, sizeof key), E_INVAL); /* and is left behind */
    assert_int_equal(http_query_next(&r, key, sizeof key), E_OK);
    assert_string_equal(key, "e"); /* values are not looked at */
    assert_int_equal(http_query_next(&r, key, sizeof key), E_INVAL);
    assert_int_equal(http_query_next(&r, key, sizeof key), E_END);
}

static void test_split_host_gives_host_and_port(void **state)
{
    static const char *const k_bad[] = {"a b",  "a/b",     "u@a",  "a:x",    "a:-1", "a:65536",
                                        "[",    "[]",      "[::1", "[::1]x", "[g]",  "a:1:2",
                                        "a\\b", "[::1]:x", "a\"",  "a\x80"};
    struct buf_view host;
    unsigned port;

    (void)state;
    assert_int_equal(http_split_host(buf_view_str("a.example:8080"), &host, &port), E_OK);
    assert_view(host, "a.example");
    assert_int_equal(port, 8080);
    assert_int_equal(http_split_host(buf_view_str("[fe80::1]:1"), &host, &port), E_OK);
    assert_view(host, "fe80::1");
    assert_int_equal(port, 1);
    assert_int_equal(http_split_host(buf_view_str("[::1]"), &host, &port), E_OK);
    assert_view(host, "::1");
    assert_int_equal(port, 0);
    assert_int_equal(http_split_host(buf_view_str(""), &host, &port), E_OK);
    assert_int_equal(host.size_bytes, 0);
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        if (http_split_host(buf_view_str(k_bad[i]), &host, &port) != E_INVAL)
            fail_msg("%s was not refused", k_bad[i]);
}

static const struct {
    const char *text, *scheme, *user, *password, *host, *path, *query;
    unsigned port;
} k_urls[] = {
    {"rtmp://h/live/x", "rtmp", "", "", "h", "/live/x", "", 0},
    {"http://h:8080/a/b.flv?x=1?y", "http", "", "", "h", "/a/b.flv", "x=1?y", 8080},
    {"http://h", "http", "", "", "h", "", "", 0},
    {"http://h?q", "http", "", "", "h", "", "q", 0},
    {"redis://:secret@h:6379", "redis", "", "secret", "h", "", "", 6379},
    {"rtmp://me:p@ss:w@[::1]:1935/a", "rtmp", "me", "p@ss:w", "::1", "/a", "", 1935},
    {"svn+ssh://me@h/", "svn+ssh", "me", "", "h", "/", "", 0},
    {"http://h/caf\xc3\xa9", "http", "", "", "h", "/caf\xc3\xa9", "", 0},
    {"http://h/a@b", "http", "", "", "h", "/a@b", "", 0},
};

static void test_url_parse_gives_each_part(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_urls / sizeof k_urls[0]; i++) {
        struct url url;

        if (url_parse(buf_view_str(k_urls[i].text), &url) != E_OK)
            fail_msg("%s was refused", k_urls[i].text);
        assert_view(url.scheme, k_urls[i].scheme);
        assert_view(url.user, k_urls[i].user);
        assert_view(url.password, k_urls[i].password);
        assert_view(url.host, k_urls[i].host);
        assert_view(url.path, k_urls[i].path);
        assert_view(url.query, k_urls[i].query);
        assert_int_equal(url.port, k_urls[i].port);
    }
}

static void test_url_parse_refuses_each_malformed_text(void **state)
{
    static const char *const k_bad[] = {"",
                                        "h",
                                        "h:80",
                                        "//h/x",
                                        "http:",
                                        "http:/h",
                                        "http://",
                                        "http:///x",
                                        "http://:80",
                                        "1http://h",
                                        "ht tp://h",
                                        "http://h h",
                                        "http://h:x",
                                        "http://h:99999",
                                        "http://[::1",
                                        "http://u@",
                                        "http://h/a b",
                                        "http://h/#f",
                                        "http://h\r\nX: 1"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct url url;

        if (url_parse(buf_view_str(k_bad[i]), &url) != E_INVAL)
            fail_msg("%s was not refused", k_bad[i]);
    }
}

static void test_status_text_gives_empty_text_when_unknown(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(599), "");
}

static void test_mask_leaves_scheme_host_and_port_of_each_url(void **state)
{
    static const struct {
        const char *text, *shown;
    } k_rows[] = {
        {"rtmp://h/app/key", "rtmp://h/***"},
        {"rtmp://user:pass@h:1935/app/key?token=t", "rtmp://***@h:1935/***"},
        {"rtmp://user:p@ss@h/app", "rtmp://***@h/***"},
        {"http://plain", "http://plain"},
        {"https://[::1]:8443?key", "https://[::1]:8443/***"},
        {"live/a=rtmp://u:p@h/k", "live/a=rtmp://***@h/***"},
        {"live/a urls=rtmp://a/k1|http://u@b/k2 mode=always",
         "live/a urls=rtmp://a/***|http://***@b/*** mode=always"},
        {"no url", "no url"},
        {"", ""},
        {"://", "://"},
    };
    char shown[128];

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        url_mask(k_rows[i].text, shown, sizeof shown);
        assert_string_equal(shown, k_rows[i].shown);
    }
    url_mask("rtmp://host/key", shown, 8);
    assert_string_equal(shown, "rtmp://");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent_decode_refuses_bad_escapes_zero_and_lack_of_room),
        cmocka_unit_test(test_percent_encode_gives_what_decode_takes_back),
        cmocka_unit_test(test_split_target_refuses_each_path_outside_the_tree),
        cmocka_unit_test(test_query_get_gives_the_decoded_value_of_the_first_match),
        cmocka_unit_test(test_query_next_gives_each_key),
        cmocka_unit_test(test_split_host_gives_host_and_port),
        cmocka_unit_test(test_url_parse_gives_each_part),
        cmocka_unit_test(test_url_parse_refuses_each_malformed_text),
        cmocka_unit_test(test_status_text_gives_empty_text_when_unknown),
        cmocka_unit_test(test_mask_leaves_scheme_host_and_port_of_each_url),
    };

    return cmocka_run_group_tests_name("http_url", tests, NULL, NULL);
}
