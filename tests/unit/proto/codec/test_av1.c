/* AV1 open bitstream units. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/av1.h"

static const uint8_t k_unit[] = {
    0x12, 0x00,                   /* temporal delimiter */
    0x0a, 0x03, 0xaa, 0xbb, 0xcc, /* sequence header */
    0x36, 0x08, 0x81, 0x00, 0x11, /* frame with an extension; size 1 in two bytes */
    0x30, 0x22, 0x33,             /* frame without a size: to the end */
};

static void test_next_obu_gives_units_as_they_stand(void **state)
{
    static const struct {
        uint8_t type, unit_bytes, payload_bytes;
    } k_want[] = {{AV1_OBU_TEMPORAL_DELIMITER, 2, 0},
                  {AV1_OBU_SEQUENCE_HEADER, 5, 3},
                  {AV1_OBU_FRAME, 5, 1},
                  {AV1_OBU_FRAME, 3, 2}};
    struct buf_reader in = buf_reader_from(VIEW(k_unit));
    struct av1_obu obu;
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_want); i++) {
        assert_int_equal(av1_next_obu(&in, &obu, &why), E_OK);
        assert_int_equal(obu.type, k_want[i].type);
        assert_int_equal(obu.unit.size_bytes, k_want[i].unit_bytes);
        assert_int_equal(obu.payload.size_bytes, k_want[i].payload_bytes);
    }
    assert_int_equal(av1_next_obu(&in, &obu, &why), E_END);
}

static void test_next_obu_gives_proto_when_cut(void **state)
{
    static const uint8_t k_whole[] = {0, 2, 7, 12, 13, 14}; /* the last one has no size */

    (void)state;
    for (size_t size = 0; size < sizeof k_unit; size++) {
        struct buf_view cut = heap_copy(k_unit, size);
        struct buf_reader in = buf_reader_from(cut);
        struct av1_obu obu;
        const char *why = NULL;
        enum err e;

        while ((e = av1_next_obu(&in, &obu, &why)) == E_OK)
            ;
        assert_int_equal(e, memchr(k_whole, (int)size, sizeof k_whole) ? E_END : E_PROTO);
        assert_true((e == E_PROTO) == (why != NULL));
        heap_free(cut);
    }
}

static void test_next_obu_gives_proto_for_impossible_headers(void **state)
{
    static const uint8_t k_broken[][11] = {
        {0x8a, 0x00},                                                       /* forbidden bit */
        {0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00}, /* endless leb128 */
        {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00, 0x00}, /* above 32 bits */
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++) {
        struct buf_reader in = buf_reader_from(VIEW(k_broken[i]));
        struct av1_obu obu;
        const char *why = NULL;

        assert_int_equal(av1_next_obu(&in, &obu, &why), E_PROTO);
        assert_non_null(why);
        assert_int_equal(in.left_bytes, sizeof k_broken[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_obu_gives_units_as_they_stand),
        cmocka_unit_test(test_next_obu_gives_proto_when_cut),
        cmocka_unit_test(test_next_obu_gives_proto_for_impossible_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
