/* Names of records: one thing has one name, and nothing else is one. */
#include "tests/unit/node/record/record_test.h"

static void test_format_and_parse_agree(void **state)
{
    static const char *const k_names[] = {
        "20261122T020600Z-000001.flv",      "20261122T020600Z-000002.ts",
        "20261122T020600Z-123456.mp4",      "20261122T020600Z-1234567.m3u8",
        "20261122T020600Z-000001-00001.ts", "20261122T020600Z-000001-123456.ts",
        "20261122T020600Z-000001.mp4.part", "19700101T000000Z-000009.m3u8.part",
    };
    struct record_name name;
    char text[RECORD_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        assert_int_equal(record_name_parse(k_names[i], &name), E_OK);
        record_name_format(&name, text);
        assert_string_equal(text, k_names[i]);
    }
}

static void test_parse_refuses_what_format_does_not_write(void **state)
{
    static const char *const k_names[] = {
        "",
        ".",
        "..",
        "index.jsonl",
        "20261122T020600Z-000001",
        "20261122T020600Z-000000.flv",
        "20261122T020600Z-00001.flv",
        "20261122T020600Z-0000001.flv",
        "20261122T020600Z-12345678901.flv",
        "20261122T020600Z-000001.avi",
        "20261122T020600Z-000001.flvx",
        "20261122T020600Z-000001.flv.part.part",
        "20261122T020600Z-000001-00001.flv",
        "20261122T020600Z-000001-00000.ts",
        "20261122T020600Z-000001-1.ts",
        "20261122T020600-000001.flv",
        "2026112xT020600Z-000001.flv",
        "../20261122T020600Z-000001.flv",
        "20261122T020600Z-000001.flv/",
    };
    struct record_name name;

    (void)state;
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++)
        assert_int_equal(record_name_parse(k_names[i], &name), E_INVAL);
}

static void test_set_time_gives_utc_and_survives_clocks_that_are_off(void **state)
{
    struct record_name name;

    (void)state;
    record_name_set_time(&name, INT64_C(1795313160000000));
    assert_string_equal(name.time, "20261122T020600Z");
    record_name_set_time(&name, -5);
    assert_int_equal(strlen(name.time), 16);
    record_name_set_time(&name, INT64_MAX);
    assert_int_equal(strlen(name.time), 16);
}

static void assert_taken(const char *path, bool expected)
{
    struct stream_name stream;
    const char *why;

    assert_int_equal(stream_name_from_path(&stream, buf_view_str(path), &why), E_OK);
    assert_int_equal(record_name_is_taken(&stream), expected);
}

static void test_is_taken_when_a_stream_is_called_as_a_file(void **state)
{
    (void)state;
    assert_taken("/live/x", false);
    assert_taken("/live/x/20261122T020600Z-000001.flv", true);
    assert_taken("/live/x/index.jsonl", true);
    assert_taken("/live/index", false);
}

static void test_path_split_gives_stream_and_file_or_says_why(void **state)
{
    struct stream_name stream;
    struct record_name name;
    const char *why;

    (void)state;
    assert_int_equal(record_path_split("a/b/c/20261122T020600Z-000001.flv", &stream, &name, &why),
                     E_OK);
    assert_string_equal(stream.text, "a/b/c");
    assert_int_equal(record_path_split("20261122T020600Z-000001.flv", &stream, &name, &why),
                     E_INVAL);
    assert_int_equal(record_path_split("a/../b/20261122T020600Z-000001.flv", &stream, &name, &why),
                     E_INVAL);
    assert_int_equal(record_path_split("a/b/passwd", &stream, &name, &why), E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_and_parse_agree),
        cmocka_unit_test(test_parse_refuses_what_format_does_not_write),
        cmocka_unit_test(test_set_time_gives_utc_and_survives_clocks_that_are_off),
        cmocka_unit_test(test_is_taken_when_a_stream_is_called_as_a_file),
        cmocka_unit_test(test_path_split_gives_stream_and_file_or_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
