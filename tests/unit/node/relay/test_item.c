/* What operators tell of pulls and pushes: text forms, patterns, and where an RTMP URL leads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "node/relay/item.h"
#include "node/relay/rtmp_place.h"

static void read_pull(const char *text, struct pull_item *out)
{
    struct stream_name name;
    struct conf_error error;

    memset(out, 0, sizeof *out);
    if (pull_item_from_conf("test", text, out, &name, &error) != E_OK)
        fail_msg("%s: %s", text, error.text);
    assert_string_equal(name.text, out->stream);
}

static void test_pull_item_from_conf_gives_the_same_for_old_and_new_text(void **state)
{
    static const char *const k_texts[] = {"live/a=rtmp://h/x/y?k=v", "live/a urls=rtmp://h/x/y?k=v",
                                          "live/a=rtmp://h/x/y?k=v mode=on_demand",
                                          "live/a mode=on_demand urls=rtmp://h/x/y?k=v"};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        struct pull_item item;

        read_pull(k_texts[i], &item);
        assert_string_equal(item.stream, "live/a");
        assert_int_equal(item.urls.n_items, 1);
        assert_string_equal(item.urls.items[0], "rtmp://h/x/y?k=v");
        assert_int_equal(item.mode, PULL_ON_DEMAND);
        conf_free(&k_pull_item_schema, &item);
    }
}

static void test_pull_item_from_conf_gives_places_in_order_and_options(void **state)
{
    struct pull_item item;

    (void)state;
    read_pull("live/a=rtmp://h/x/y|https://h/y.flv mode=always idle_ms=5 retry=3 node=n1", &item);
    assert_int_equal(item.urls.n_items, 2);
    assert_string_equal(item.urls.items[1], "https://h/y.flv");
    assert_int_equal(item.mode, PULL_ALWAYS);
    assert_int_equal(item.idle_ms, 5);
    assert_int_equal(item.retry, 3);
    assert_string_equal(item.node, "n1");
    conf_free(&k_pull_item_schema, &item);
}

static void test_pull_item_from_conf_never_repeats_an_url(void **state)
{
    static const char *const k_texts[] = {"live/a=ftp://user:s3cret@h/x", "live/a=rtmp://h?s3cret",
                                          "../a=rtmp://h/x/s3cret", "live/a=s3cret",
                                          "live/a=rtmp://h/a/b|s3cret"};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        struct pull_item item = {0};
        struct stream_name name;
        struct conf_error error;

        assert_int_equal(pull_item_from_conf("test", k_texts[i], &item, &name, &error), E_INVAL);
        assert_null(strstr(error.text, "s3cret"));
        assert_null(item.stream);
    }
}

static struct push_item read_push(const char *text)
{
    struct push_item item = {0};
    struct conf_error error;

    if (push_item_from_conf("test", text, &item, &error) != E_OK)
        fail_msg("%s: %s", text, error.text);
    return item;
}

static struct stream_name name_of(const char *app, const char *part)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_make(&name, buf_view_str(app), buf_view_str(part), &why), E_OK);
    return name;
}

static void test_push_item_matches_a_stream_or_a_whole_app(void **state)
{
    struct push_item app = read_push("live/* url=rtmp://h/x/{name}");
    struct push_item one = read_push("live/eu/a url=rtmp://h/x/y");
    struct stream_name a = name_of("live", "a"), eu = name_of("live/eu", "a");
    struct stream_name other = name_of("lively", "a");

    (void)state;
    assert_true(push_item_matches(&app, &a));
    assert_false(push_item_matches(&app, &eu));
    assert_false(push_item_matches(&app, &other));
    assert_true(push_item_matches(&one, &eu));
    assert_false(push_item_matches(&one, &a));
    conf_free(&k_push_item_schema, &app);
    conf_free(&k_push_item_schema, &one);
}

static void test_push_item_url_puts_app_and_name_in(void **state)
{
    struct push_item item = read_push("live/eu/* url=rtmp://h/{app}/x-{name}?a={name}&b={other}");
    struct stream_name name = name_of("live/eu", "cam");
    char url[RELAY_URL_SIZE];

    (void)state;
    assert_true(push_item_url(&item, &name, url, sizeof url));
    assert_string_equal(url, "rtmp://h/live/eu/x-cam?a=cam&b={other}");
    assert_false(push_item_url(&item, &name, url, strlen(url)));
    conf_free(&k_push_item_schema, &item);
}

static void test_rtmp_place_of_splits_app_and_stream(void **state)
{
    static const struct {
        const char *url, *stream, *app, *name, *tc_url;
    } k_rows[] = {
        {"rtmp://h/app/key", "", "app", "key", "rtmp://h:1935/app"},
        {"rtmp://u:p@h:19/app/sub/key?a=b", "", "app/sub", "key?a=b", "rtmp://h:19/app/sub"},
        {"rtmp://[::1]/app/key", "", "app", "key", "rtmp://[::1]:1935/app"},
        {"rtmp://h/app?x=1", "key", "app?x=1", "key", "rtmp://h:1935/app?x=1"},
    };
    struct rtmp_place place;

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        assert_int_equal(rtmp_place_of(k_rows[i].url, k_rows[i].stream, 1935, &place), E_OK);
        assert_string_equal(place.app, k_rows[i].app);
        assert_string_equal(place.stream, k_rows[i].name);
        assert_string_equal(place.tc_url, k_rows[i].tc_url);
    }
    assert_int_equal(rtmp_place_of("rtmp://h/app", "", 1935, &place), E_INVAL);
    assert_int_equal(rtmp_place_of("rtmp://h/app/", "", 1935, &place), E_INVAL);
    assert_int_equal(rtmp_place_of("rtmp://h", "key", 1935, &place), E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull_item_from_conf_gives_the_same_for_old_and_new_text),
        cmocka_unit_test(test_pull_item_from_conf_gives_places_in_order_and_options),
        cmocka_unit_test(test_pull_item_from_conf_never_repeats_an_url),
        cmocka_unit_test(test_push_item_matches_a_stream_or_a_whole_app),
        cmocka_unit_test(test_push_item_url_puts_app_and_name_in),
        cmocka_unit_test(test_rtmp_place_of_splits_app_and_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
