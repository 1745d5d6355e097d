#include "tests/unit/proto/amf/amf_test.h"

struct document {
    struct amf_doc *doc;
    const struct amf_value *first;
    enum err e;
};

static struct document read3(struct buf_view bytes)
{
    struct document d = {.doc = amf_doc_create(&k_amf_limits_default)};
    struct buf_reader in = buf_reader_from(bytes);

    d.e = amf3_read_value(d.doc, &in, &d.first);
    if (d.e == E_OK)
        assert_int_equal(in.left_bytes, 0);
    return d;
}

static enum err status3(struct buf_view bytes)
{
    uint8_t *copy = heap_copy(bytes);
    struct document d = read3(buf_view_of(copy, bytes.size_bytes));

    amf_doc_destroy(&d.doc);
    free(copy);
    return d.e;
}

static void test_read_gives_integers_of_every_length(void **state)
{
    static const struct {
        uint8_t bytes[5];
        size_t size;
        double value;
    } k_cases[] = {
        {{0x04, 0x00}, 2, 0},
        {{0x04, 0x7f}, 2, 127},
        {{0x04, 0x81, 0x00}, 3, 128},
        {{0x04, 0xff, 0x7f}, 3, 16383},
        {{0x04, 0x81, 0x80, 0x00}, 4, 16384},
        {{0x04, 0xff, 0xff, 0x7f}, 4, 2097151},
        {{0x04, 0x80, 0xc0, 0x80, 0x00}, 5, 2097152},
        {{0x04, 0xbf, 0xff, 0xff, 0xff}, 5, 268435455}, /* 2^28 - 1 */
        {{0x04, 0xc0, 0x80, 0x80, 0x00}, 5, -268435456},
        {{0x04, 0xff, 0xff, 0xff, 0xff}, 5, -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++) {
        struct document d = read3(buf_view_of(k_cases[i].bytes, k_cases[i].size));

        assert_int_equal(d.e, E_OK);
        assert_true(amf_number(d.first, 0.5) == k_cases[i].value);
        amf_doc_destroy(&d.doc);
        for (size_t cut = 0; cut < k_cases[i].size; cut++)
            assert_int_equal(status3(buf_view_of(k_cases[i].bytes, cut)), E_PROTO);
    }
}

/* What an encoder puts behind 0x11: traits, a string by reference, a nested object by reference. */
/* clang-format off */
static const uint8_t k_object[] = {
    0x0a, 0x2b, 0x07, 'F', 'o', 'o',      /* object, 2 sealed names, dynamic; class Foo */
    0x03, 'a',  0x03, 'b',                /* names a, b */
    0x06, 0x05, 'h',  'i',                /* a: "hi" */
    0x05, 0x40, 0x59, 0,   0,   0,   0, 0, 0, /* b: 100.0 */
    0x03, 'c',  0x06, 0x06,               /* c: string 3 again: Foo a b hi */
    0x05, 'd',  'd',  0x0a, 0x00,         /* dd: this object */
    0x03, 'e',  0x0a, 0x01,               /* e: object with the same traits */
    0x01, 0x02, 0x01,                     /*   a: null, b: false, no dynamic ones */
    0x01,                                 /* end of dynamic members */
};
/* clang-format on */

static void test_read_gives_object_with_references_resolved(void **state)
{
    struct document d = read3(VIEW(k_object));
    const struct amf_value *v = d.first;

    (void)state;
    assert_int_equal(d.e, E_OK);
    assert_true(buf_view_equals(v->class_name, "Foo"));
    assert_true(buf_view_equals(amf_string(amf_find(v, "a")), "hi"));
    assert_true(amf_number(amf_find(v, "b"), 0) == 100);
    assert_true(buf_view_equals(amf_string(amf_find(v, "c")), "hi"));
    assert_ptr_equal(amf_find(v, "dd"), v);
    assert_true(buf_view_equals(amf_find(v, "e")->class_name, "Foo"));
    assert_true(amf_is(amf_find(amf_find(v, "e"), "a"), AMF_NULL));
    assert_false(amf_boolean(amf_find(amf_find(v, "e"), "b"), true));
    amf_doc_destroy(&d.doc);
    for (size_t cut = 0; cut < sizeof k_object; cut++)
        assert_int_equal(status3(buf_view_of(k_object, cut)), E_PROTO);
}

static void test_read_gives_strict_array_when_it_has_no_names(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {0x09, 0x07, 0x01, 0x03, 0x00, 0x01}; /* [true, undefined, null] */
    struct document d = read3(VIEW(k_bytes));

    (void)state;
    assert_int_equal(d.e, E_OK);
    assert_int_equal(d.first->type, AMF_STRICT_ARRAY);
    assert_int_equal(d.first->n_members, 3);
    assert_true(amf_boolean(d.first->first, false));
    amf_doc_destroy(&d.doc);
}

static void test_read_gives_ecma_array_when_it_has_names(void **state)
{
    static const uint8_t k_bytes[] = {0x09, 0x05, 0x03, 'x', 0x03, 0x01, 0x04, 0x07, 0x04, 0x08};
    /* clang-format on */
    struct document d = read3(VIEW(k_bytes));

    (void)state;
    assert_int_equal(d.e, E_OK);
    assert_int_equal(d.first->type, AMF_ECMA_ARRAY);
    assert_true(amf_boolean(amf_find(d.first, "x"), false));
    assert_true(amf_number(amf_find(d.first, "0"), 0) == 7);
    assert_true(amf_number(amf_find(d.first, "1"), 0) == 8);
    amf_doc_destroy(&d.doc);
}

static void test_read_gives_leaves_by_reference_as_copies(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x09, 0x0d, 0x01,                   /* array of 6, object 0 */
        0x08, 0x01, 0x40, 0x59, 0, 0, 0, 0, 0, 0, /* date 100, object 1 */
        0x08, 0x02,                         /* object 1 */
        0x0c, 0x05, 0xaa, 0xbb,             /* 2 bytes, object 2 */
        0x0c, 0x04,                         /* object 2 */
        0x0b, 0x03, 'x',                    /* XML, object 3 */
        0x07, 0x06,                         /* object 3 */
    };
    /* clang-format on */
    struct document d = read3(VIEW(k_bytes));
    const struct amf_value *v = d.first->first;

    (void)state;
    assert_int_equal(d.e, E_OK);
    assert_int_equal(amf_at(v, 1)->type, AMF_DATE);
    assert_true(amf_at(v, 1)->number == 100);
    assert_int_equal(amf_at(v, 3)->type, AMF_BYTES);
    assert_memory_equal(amf_at(v, 3)->text.data, "\xaa\xbb", 2);
    assert_int_equal(amf_at(v, 5)->type, AMF_XML);
    assert_true(buf_view_equals(amf_at(v, 5)->text, "x"));
    amf_doc_destroy(&d.doc);
}

static void test_read_gives_error_for_what_it_cannot_read(void **state)
{
    static const struct {
        uint8_t bytes[6];
        size_t size;
        enum err e;
    } k_cases[] = {
        {{0x0a, 0x07, 0x03, 'E'}, 4, E_UNSUPPORTED},        /* externalizable */
        {{0x0d, 0x03, 0x00, 0x01}, 4, E_UNSUPPORTED},       /* vector of int */
        {{0x11, 0x03, 0x00}, 3, E_UNSUPPORTED},             /* dictionary */
        {{0x12}, 1, E_PROTO},                               /* unknown */
        {{0x06, 0x02}, 2, E_PROTO},                         /* string reference 1 of 0 */
        {{0x0a, 0x02}, 2, E_PROTO},                         /* object reference 1 of 0 */
        {{0x0a, 0x05}, 2, E_PROTO},                         /* traits reference 1 of 0 */
        {{0x06, 0xff, 0xff, 0xff, 0xff}, 5, E_PROTO},       /* 268 MB of text that is not there */
        {{0x0a, 0xff, 0xff, 0xff, 0xfb, 0x01}, 6, E_PROTO}, /* 2^25 names that are not there */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++)
        assert_int_equal(status3(buf_view_of(k_cases[i].bytes, k_cases[i].size)), k_cases[i].e);
}

static void test_read_gives_too_big_when_nested_deeper_than_the_limit(void **state)
{
    uint8_t bytes[17 * 3];

    (void)state;
    for (size_t i = 0; i < 17; i++)
        memcpy(bytes + i * 3, i < 16 ? "\x09\x03\x01" : "\x09\x01\x01", 3);
    assert_int_equal(status3(VIEW(bytes)), E_TOO_BIG);
    assert_int_equal(status3(buf_view_of(bytes + 3, sizeof bytes - 3)), E_OK);
}

static void test_read_gives_too_big_when_a_name_does_not_fit_amf0(void **state)
{
    size_t size = 5 + 65536 + 2;
    uint8_t *bytes = calloc(1, size);

    (void)state;
    /* dynamic object without class, a name of 65536 bytes: U29 131073 = 0x88 0x80 0x01 */
    memcpy(bytes, "\x0a\x0b\x01\x88\x80", 5);
    bytes[5] = 0x01;
    assert_int_equal(status3(buf_view_of(bytes, size)), E_TOO_BIG);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_gives_integers_of_every_length),
        cmocka_unit_test(test_read_gives_object_with_references_resolved),
        cmocka_unit_test(test_read_gives_strict_array_when_it_has_no_names),
        cmocka_unit_test(test_read_gives_ecma_array_when_it_has_names),
        cmocka_unit_test(test_read_gives_leaves_by_reference_as_copies),
        cmocka_unit_test(test_read_gives_error_for_what_it_cannot_read),
        cmocka_unit_test(test_read_gives_too_big_when_nested_deeper_than_the_limit),
        cmocka_unit_test(test_read_gives_too_big_when_a_name_does_not_fit_amf0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
