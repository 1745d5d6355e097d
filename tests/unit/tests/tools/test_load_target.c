/* URLs with {i}. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/tools/load_target.h"

static void test_rtmp_gives_app_name_and_tc_url(void **state)
{
    struct load_target target;
    struct load_rtmp_name name;
    const char *why;

    (void)state;
    assert_int_equal(load_target_init(&target, "rtmp://127.0.0.1:1940/live/sub/s{i}?key={i}", &why),
                     E_OK);
    assert_false(target.is_http);
    assert_int_equal(addr_port(&target.addr), 1940);
    assert_int_equal(load_target_rtmp(&target, 42, &name), E_OK);
    assert_string_equal(name.app, "live/sub");
    assert_string_equal(name.stream, "s42?key=42");
    assert_string_equal(name.tc_url, "rtmp://127.0.0.1:1940/live/sub");
}

static void test_http_gives_a_request(void **state)
{
    struct load_target target;
    struct buf_writer out;
    const char *why;

    (void)state;
    assert_int_equal(load_target_init(&target, "http://127.0.0.1/live/s{i}.flv", &why), E_OK);
    assert_true(target.is_http);
    assert_int_equal(addr_port(&target.addr), 80);
    buf_writer_init(&out, 1024);
    assert_int_equal(load_target_http(&target, 7, &out), E_OK);
    assert_true(buf_view_equals(
        buf_writer_view(&out), "GET /live/s7.flv HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"
                               "User-Agent: headwater-tool/" HW_VERSION "\r\nAccept: */*\r\n\r\n"));
    buf_writer_fini(&out);
}

static void test_init_gives_tls_for_its_schemes(void **state)
{
    static const struct {
        const char *url;
        bool is_http, is_tls;
        unsigned port;
    } k_rows[] = {
        {"rtmp://127.0.0.1/live/s", false, false, 1935},
        {"rtmps://127.0.0.1/live/s", false, true, 443},
        {"http://127.0.0.1/live/s.flv", true, false, 80},
        {"https://127.0.0.1/live/s.flv", true, true, 443},
        {"https://127.0.0.1:8443/live/s.flv", true, true, 8443},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct load_target target;
        const char *why;

        assert_int_equal(load_target_init(&target, k_rows[i].url, &why), E_OK);
        assert_int_equal(target.is_http, k_rows[i].is_http);
        assert_int_equal(target.tls != NULL, k_rows[i].is_tls);
        assert_int_equal(addr_port(&target.addr), k_rows[i].port);
        assert_string_equal(target.host, "127.0.0.1");
    }
}

static void test_init_refuses_what_is_no_stream_url(void **state)
{
    static const char *const k_cases[][2] = {
        {"127.0.0.1:1935/live/s", "not a URL of rtmp, rtmps, http or https"},
        {"rtsp://127.0.0.1/live/s", "not a URL of rtmp, rtmps, http or https"},
        {"rtmp://127.0.0.1/live", "no app and name in it"},
        {"rtmp://127.0.0.1/live/", "no app and name in it"},
    };
    struct load_target target;

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        const char *why = "";

        assert_int_equal(load_target_init(&target, k_cases[i][0], &why), E_INVAL);
        assert_string_equal(why, k_cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rtmp_gives_app_name_and_tc_url),
        cmocka_unit_test(test_http_gives_a_request),
        cmocka_unit_test(test_init_gives_tls_for_its_schemes),
        cmocka_unit_test(test_init_refuses_what_is_no_stream_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
