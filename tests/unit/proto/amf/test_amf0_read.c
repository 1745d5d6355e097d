#include "tests/unit/proto/amf/amf_test.h"

/* clang-format off */
static const uint8_t k_all_types[] = {
    0x00, 0x40, 0x59, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,             /* number 100 */
    0x01, 0x01,                                                       /* true */
    0x02, 0x00, 0x02, 'h',  'i',                                      /* "hi" */
    0x03, 0x00, 0x01, 'a',  0x05, 0x00, 0x00, 0x09,                   /* {a: null} */
    0x05,                                                             /* null */
    0x06,                                                             /* undefined */
    0x08, 0x00, 0x00, 0x00, 0x07, 0x00, 0x01, 'k',  0x01, 0x00,       /* ECMA array, says 7, */
    0x00, 0x00, 0x09,                                                 /*   has 1 */
    0x0a, 0x00, 0x00, 0x00, 0x02, 0x05, 0x06,                         /* [null, undefined] */
    0x0b, 0x42, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xc4, /* date, -60 minutes */
    0x0c, 0x00, 0x00, 0x00, 0x01, 'L',                                /* long string */
    0x0d,                                                             /* unsupported */
    0x0f, 0x00, 0x00, 0x00, 0x03, '<',  'x',  '>',                    /* XML */
    0x10, 0x00, 0x01, 'C',  0x00, 0x01, 'b',  0x05, 0x00, 0x00, 0x09, /* C {b: null} */
    0x07, 0x00, 0x00,                                                 /* the object {a: null} */
    0x11, 0x04, 0x05,                                                 /* AMF3 integer 5 */
};
/* clang-format on */

static void test_read_all_gives_every_type(void **state)
{
    static const enum amf_type k_types[] = {
        AMF_NUMBER,      AMF_BOOLEAN,    AMF_STRING,       AMF_OBJECT,    AMF_NULL,
        AMF_UNDEFINED,   AMF_ECMA_ARRAY, AMF_STRICT_ARRAY, AMF_DATE,      AMF_STRING,
        AMF_UNSUPPORTED, AMF_XML,        AMF_OBJECT,       AMF_REFERENCE, AMF_NUMBER};
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;
    unsigned n = 0;

    (void)state;
    assert_int_equal(amf0_read_all(doc, VIEW(k_all_types), &v), E_OK);
    for (const struct amf_value *at = v; at; at = at->next, n++)
        assert_int_equal(at->type, k_types[n]);
    assert_int_equal(n, ARRAY_SIZE(k_types));
    assert_true(amf_number(v, 0) == 100);
    assert_true(amf_boolean(amf_at(v, 1), false));
    assert_true(buf_view_equals(amf_string(amf_at(v, 2)), "hi"));
    assert_int_equal(amf_find(amf_at(v, 3), "a")->type, AMF_NULL);
    assert_int_equal(amf_at(v, 6)->n_members, 1);
    assert_false(amf_boolean(amf_find(amf_at(v, 6), "k"), true));
    assert_int_equal(amf_at(v, 7)->first->next->type, AMF_UNDEFINED);
    assert_true(amf_at(v, 8)->number == 1099511627776.0);
    assert_int_equal(amf_at(v, 8)->time_zone_min, -60);
    assert_true(buf_view_equals(amf_string(amf_at(v, 9)), "L"));
    assert_true(buf_view_equals(amf_at(v, 11)->text, "<x>"));
    assert_true(buf_view_equals(amf_at(v, 12)->class_name, "C"));
    assert_ptr_equal(amf_deref(amf_at(v, 13)), amf_at(v, 3));
    assert_int_equal(amf_find(amf_at(v, 13), "a")->type, AMF_NULL);
    assert_true(amf_number(amf_at(v, 14), 0) == 5);
    assert_null(amf_at(v, 15));
    amf_doc_destroy(&doc);
    assert_null(doc);
}

static void test_read_all_gives_proto_when_cut_inside_a_value(void **state)
{
    static const size_t k_ends[] = {0,  9,  11, 16, 24, 25, 26, 39,
                                    46, 57, 63, 64, 72, 83, 86, sizeof k_all_types};
    size_t n_ok = 0;

    (void)state;
    for (size_t size = 0; size <= sizeof k_all_types; size++) {
        bool is_end = size == k_ends[n_ok];
        /* The ECMA array without its end mark is whole, see below. */
        bool is_cut_array = size == 31 || size == 36;

        assert_int_equal(read_status(buf_view_of(k_all_types, size)),
                         is_end || is_cut_array ? E_OK : E_PROTO);
        n_ok += is_end;
    }
    assert_int_equal(n_ok, ARRAY_SIZE(k_ends));
}

static void test_read_gives_ecma_array_when_its_end_mark_is_missing(void **state)
{
    static const uint8_t k_open[] = {0x08, 0, 0, 0, 1, 0, 1, 'a', 0x01, 0x01};
    static const uint8_t k_open_object[] = {0x03, 0, 1, 'a', 0x01, 0x01};

    (void)state;
    assert_int_equal(read_status(VIEW(k_open)), E_OK);
    assert_int_equal(read_status(VIEW(k_open_object)), E_PROTO);
}

static void test_read_gives_member_with_empty_name(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {0x03, 0, 0, 0x01, 0x01, 0, 0, 9}; /* {"": true} */
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;

    (void)state;
    assert_int_equal(amf0_read_all(doc, VIEW(k_bytes), &v), E_OK);
    assert_true(amf_boolean(amf_find(v, ""), false));
    amf_doc_destroy(&doc);
}

static void test_read_gives_cycle_as_reference(void **state)
{
    static const uint8_t k_bytes[] = {0x03, 0, 1, 'm', 0x07, 0, 0, 0, 0, 9}; /* o = {m: o} */
    static const uint8_t k_nothing[] = {0x03, 0, 1, 'm', 0x07, 0, 1, 0, 0, 9};
    /* clang-format on */
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;

    (void)state;
    assert_int_equal(amf0_read_all(doc, VIEW(k_bytes), &v), E_OK);
    assert_ptr_equal(amf_find(v, "m"), v);
    amf_doc_destroy(&doc);
    assert_int_equal(read_status(VIEW(k_nothing)), E_PROTO);
}

static void test_read_gives_too_big_when_nested_deeper_than_the_limit(void **state)
{
    uint8_t bytes[64 * 4 + 1];
    struct amf_limits limits = k_amf_limits_default;
    struct amf_doc *doc;
    const struct amf_value *v;

    (void)state;
    for (size_t i = 0; i < 64; i++)
        memcpy(bytes + i * 4, "\x03\x00\x01n", 4);
    bytes[sizeof bytes - 1] = 0x05;
    assert_int_equal(read_status(VIEW(bytes)), E_TOO_BIG);
    limits.max_depth = 64; /* all levels are entered, then the end marks are missing */
    doc = amf_doc_create(&limits);
    assert_int_equal(amf0_read_all(doc, VIEW(bytes), &v), E_PROTO);
    assert_string_equal(amf_doc_error(doc), "cut short in a string");
    amf_doc_destroy(&doc);
}

static void test_read_gives_ok_when_nested_up_to_the_limit(void **state)
{
    uint8_t bytes[16 * 5];

    (void)state;
    for (size_t i = 0; i < 16; i++)
        memcpy(bytes + i * 5, i < 15 ? "\x0a\x00\x00\x00\x01" : "\x0a\x00\x00\x00\x00", 5);
    assert_int_equal(read_status(VIEW(bytes)), E_OK);
}

static void test_read_gives_error_when_an_array_claims_more_than_there_is(void **state)
{
    static const uint8_t k_bytes[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x05, 0x05};
    uint8_t many[5 + 5000];

    (void)state;
    assert_int_equal(read_status(VIEW(k_bytes)), E_PROTO);
    memset(many, 0x05, sizeof many);
    memcpy(many, "\x0a\x00\x00\x13\x88", 5);
    assert_int_equal(read_status(VIEW(many)), E_TOO_BIG); /* 5000 values > 4096 */
}

static void test_read_gives_too_big_when_a_string_is_longer_than_the_limit(void **state)
{
    static const uint8_t k_bytes[] = {0x02, 0, 3, 'a', 'b', 'c'};
    struct amf_limits limits = {.max_depth = 1, .max_values = 1, .max_string_bytes = 2};
    struct amf_doc *doc = amf_doc_create(&limits);
    const struct amf_value *v;

    (void)state;
    assert_int_equal(amf0_read_all(doc, VIEW(k_bytes), &v), E_TOO_BIG);
    assert_string_equal(amf_doc_error(doc), "string longer than the limit");
    amf_doc_destroy(&doc);
}

static void test_read_gives_error_when_the_marker_is_no_type(void **state)
{
    static const uint8_t k_movie_clip[] = {0x04}, k_record_set[] = {0x0e};
    static const uint8_t k_end[] = {0x09}, k_unknown[] = {0x12};

    (void)state;
    assert_int_equal(read_status(VIEW(k_movie_clip)), E_UNSUPPORTED);
    assert_int_equal(read_status(VIEW(k_record_set)), E_UNSUPPORTED);
    assert_int_equal(read_status(VIEW(k_end)), E_PROTO);
    assert_int_equal(read_status(VIEW(k_unknown)), E_PROTO);
}

static void test_find_gives_null_when_there_is_nothing(void **state)
{
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;

    (void)state;
    assert_int_equal(amf0_read_all(doc, VIEW(k_all_types), &v), E_OK);
    assert_null(amf_find(NULL, "a"));
    assert_null(amf_find(v, "a"));
    assert_null(amf_find(amf_at(v, 3), "b"));
    assert_null(amf_find(amf_at(v, 7), ""));
    assert_true(amf_number(NULL, -1) == -1);
    assert_int_equal(amf_string(amf_at(v, 3)).size_bytes, 0);
    amf_doc_clear(doc);
    assert_int_equal(amf0_read_all(doc, buf_view_of(NULL, 0), &v), E_OK);
    assert_null(v);
    amf_doc_destroy(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_all_gives_every_type),
        cmocka_unit_test(test_read_all_gives_proto_when_cut_inside_a_value),
        cmocka_unit_test(test_read_gives_ecma_array_when_its_end_mark_is_missing),
        cmocka_unit_test(test_read_gives_member_with_empty_name),
        cmocka_unit_test(test_read_gives_cycle_as_reference),
        cmocka_unit_test(test_read_gives_too_big_when_nested_deeper_than_the_limit),
        cmocka_unit_test(test_read_gives_ok_when_nested_up_to_the_limit),
        cmocka_unit_test(test_read_gives_error_when_an_array_claims_more_than_there_is),
        cmocka_unit_test(test_read_gives_too_big_when_a_string_is_longer_than_the_limit),
        cmocka_unit_test(test_read_gives_error_when_the_marker_is_no_type),
        cmocka_unit_test(test_find_gives_null_when_there_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
