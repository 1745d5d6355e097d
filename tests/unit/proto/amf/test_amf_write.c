#include "tests/unit/proto/amf/amf_test.h"

static void assert_written(struct buf_writer *w, struct buf_view expected)
{
    assert_int_equal(buf_writer_status(w), E_OK);
    assert_int_equal(w->used_bytes, expected.size_bytes);
    assert_memory_equal(w->data, expected.data, expected.size_bytes);
    buf_writer_fini(w);
}

static void test_write_gives_the_bytes_of_the_standard(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x00, 0x3f, 0xf0, 0,    0,   0, 0,   0, 0,               /* 1.0 */
        0x01, 0x01,                                              /* true */
        0x02, 0x00, 0x01, 'x',                                   /* "x" */
        0x05, 0x06,                                              /* null, undefined */
        0x0b, 0x40, 0x59, 0,    0,   0, 0,   0, 0,    0, 0,      /* date 100, zone 0 */
        0x03, 0x00, 0x01, 'b',  0x01, 0x00, 0x00, 0x00, 0x09,    /* {b: false} */
        0x08, 0x00, 0x00, 0x00, 0x02,                            /* ECMA array of 2 */
        0x00, 0x01, 'n',  0x00, 0,   0, 0,   0, 0,    0, 0, 0,   /* n: 0 */
        0x00, 0x01, 's',  0x02, 0x00, 0x01, 'y', 0x00, 0x00, 0x09, /* s: "y" */
        0x0a, 0x00, 0x00, 0x00, 0x01, 0x05,                      /* [null] */
    };
    /* clang-format on */
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    amf_write_number(&w, 1);
    amf_write_boolean(&w, true);
    amf_write_cstr(&w, "x");
    amf_write_null(&w);
    amf_write_undefined(&w);
    amf_write_date(&w, 100);
    amf_write_object(&w);
    amf_write_member_boolean(&w, "b", false);
    amf_write_end(&w);
    amf_write_ecma_array(&w, 2);
    amf_write_member_number(&w, "n", 0);
    amf_write_member_cstr(&w, "s", "y");
    amf_write_end(&w);
    amf_write_strict_array(&w, 1);
    amf_write_null(&w);
    assert_written(&w, VIEW(k_bytes));
}

static void test_write_string_gives_long_form_above_65535_bytes(void **state)
{
    char *text = calloc(1, 65536);
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 20);
    amf_write_string(&w, buf_view_of(text, 65535));
    assert_int_equal(w.data[0], 0x02);
    buf_writer_clear(&w);
    amf_write_string(&w, buf_view_of(text, 65536));
    assert_memory_equal(w.data, "\x0c\x00\x01\x00\x00", 5);
    assert_int_equal(w.used_bytes, 5 + 65536);
    buf_writer_fini(&w);
    free(text);
}

/* Reads bytes, writes the document: *w holds what came out. */
static void rewrite(struct buf_view bytes, struct buf_writer *w)
{
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;

    buf_writer_init(w, 2 << 20);
    assert_int_equal(amf0_read_all(doc, bytes, &v), E_OK);
    assert_int_equal(amf_write_doc(w, doc), E_OK);
    amf_doc_destroy(&doc);
}

/* clang-format off */
static const uint8_t k_canonical[] = {
    0x02, 0x00, 0x0a, 'o',  'n',  'M',  'e',  't',  'a', 'D', 'a', 't', 'a',
    0x08, 0x00, 0x00, 0x00, 0x02,                   /* object 0 */
    0x00, 0x01, 'd',  0x0b, 0x40, 0x59, 0,    0,    0,   0,   0,   0,   0xff, 0xc4,
    0x00, 0x01, 'l',  0x0a, 0x00, 0x00, 0x00, 0x03, /* object 1 */
    0x0d, 0x07, 0x00, 0x00,                         /*   unsupported, object 0 */
    0x0f, 0x00, 0x00, 0x00, 0x01, '<',              /*   XML */
    0x00, 0x00, 0x09,
    0x10, 0x00, 0x01, 'T',  0x00, 0x01, 'r',  0x07, 0x00, 0x01, 0x00, 0x00, 0x09,
    0x11, 0x0c, 0x05, 0x01, 0x02,                   /* byte array */
};
/* clang-format on */

static void test_write_doc_gives_the_bytes_that_were_read(void **state)
{
    struct buf_writer w;

    (void)state;
    rewrite(VIEW(k_canonical), &w);
    assert_written(&w, VIEW(k_canonical));
}

static void test_write_doc_gives_amf0_when_amf3_was_read(void **state)
{
    /* clang-format off */
    static const uint8_t k_amf3[] = {
        0x11, 0x09, 0x03, 0x03, 'x', 0x04, 0x01, 0x01, 0x0a, 0x00, /* [x: 1, itself] */
    };
    /* clang-format on */
    /* clang-format off */
    static const uint8_t k_amf0[] = {
        0x08, 0,    0, 0, 2, 0,    1, 'x', 0x00, 0x3f, 0xf0, 0, 0, 0, 0,
        0,    0,    0, 1, '0', 0x07, 0, 0,   0,    0,    9,
    };
    /* clang-format on */
    struct buf_writer w;

    (void)state;
    rewrite(VIEW(k_amf3), &w);
    assert_written(&w, VIEW(k_amf0));
}

static void test_write_doc_gives_byte_arrays_of_every_length_form(void **state)
{
    static const size_t k_sizes[] = {0, 63, 64, 8191, 8192, 1 << 20};
    /* clang-format off */
    static const uint8_t k_heads[][4] = {
        {0x01}, {0x7f}, {0x81, 0x01}, {0xff, 0x7f}, {0x81, 0x80, 0x01}, {0x80, 0xc0, 0x80, 0x01}};
    /* clang-format on */
    static const size_t k_head_bytes[] = {1, 1, 2, 2, 3, 4};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_sizes); i++) {
        size_t size = 2 + k_head_bytes[i] + k_sizes[i];
        uint8_t *bytes = calloc(1, size);
        struct buf_writer w;

        bytes[0] = 0x11;
        bytes[1] = 0x0c;
        memcpy(bytes + 2, k_heads[i], k_head_bytes[i]);
        rewrite(buf_view_of(bytes, size), &w);
        assert_written(&w, buf_view_of(bytes, size));
        free(bytes);
    }
}

static void test_write_value_numbers_references_from_the_value(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x03, 0, 0, 9,                      /* object 0, {} */
        0x03, 0, 1, 'm', 0x07, 0, 1, 0, 0, 9, /* object 1, o = {m: o} */
        0x03, 0, 1, 'm', 0x07, 0, 0, 0, 0, 9, /* object 2, {m: object 0} */
    };
    /* clang-format on */
    static const uint8_t k_alone[] = {0x03, 0, 1, 'm', 0x07, 0, 0, 0, 0, 9};
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    assert_int_equal(amf0_read_all(doc, VIEW(k_bytes), &v), E_OK);
    assert_int_equal(amf_write_value(&w, amf_at(v, 1)), E_OK);
    assert_written(&w, VIEW(k_alone));
    assert_int_equal(amf_write_value(&w, amf_at(v, 2)), E_INVAL);
    buf_writer_fini(&w);
    amf_doc_destroy(&doc);
}

static void test_write_doc_gives_too_big_when_the_writer_is_full(void **state)
{
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v;

    (void)state;
    assert_int_equal(amf0_read_all(doc, VIEW(k_canonical), &v), E_OK);
    for (size_t max = 0; max < sizeof k_canonical; max++) {
        struct buf_writer w;

        buf_writer_init(&w, max);
        assert_int_equal(amf_write_doc(&w, doc), E_TOO_BIG);
        buf_writer_fini(&w);
    }
    amf_doc_destroy(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_gives_the_bytes_of_the_standard),
        cmocka_unit_test(test_write_string_gives_long_form_above_65535_bytes),
        cmocka_unit_test(test_write_doc_gives_the_bytes_that_were_read),
        cmocka_unit_test(test_write_doc_gives_amf0_when_amf3_was_read),
        cmocka_unit_test(test_write_doc_gives_byte_arrays_of_every_length_form),
        cmocka_unit_test(test_write_value_numbers_references_from_the_value),
        cmocka_unit_test(test_write_doc_gives_too_big_when_the_writer_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
