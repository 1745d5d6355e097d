/* LOAS/LATM, bit by bit. FFmpeg's own is in tests/unit/proto/ts/test_ts_demux.c. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/latm.h"

struct bits {
    uint8_t bytes[256];
    unsigned n;
};

static void put(struct bits *b, unsigned n_bits, uint32_t value)
{
    while (n_bits-- > 0) {
        b->bytes[b->n / 8] |= (uint8_t)((value >> n_bits & 1) << (7 - b->n % 8));
        b->n++;
    }
}

/* One frame of size bytes, all of that value; with the configuration LC, 48 kHz, so many channels;
 * 0: the one before. */
static void put_element(struct bits *out, unsigned channels, unsigned size, uint8_t value)
{
    struct bits b = {.n = 0};

    put(&b, 1, channels == 0);
    if (channels) {
        put(&b, 1 + 1, 1);     /* version 0, same framing */
        put(&b, 6 + 4 + 3, 0); /* one frame, one program, one layer */
        put(&b, 5, 2);
        put(&b, 4, 3);
        put(&b, 4, channels);
        put(&b, 3, 0);
        put(&b, 3, 0);     /* frameLengthType */
        put(&b, 8, 0xff);  /* buffer fullness */
        put(&b, 1 + 1, 0); /* no other data, no CRC */
    }
    put(&b, 8, size);
    for (unsigned i = 0; i < size; i++)
        put(&b, 8, value);
    put(out, 11, 0x2b7);
    put(out, 13, (b.n + 7) / 8);
    for (unsigned i = 0; i < (b.n + 7) / 8; i++)
        put(out, 8, b.bytes[i]);
}

static void test_next_gives_frames_once_the_configuration_came(void **state)
{
    struct bits stream = {.n = 0};
    struct latm latm = {.n_sub_frames = 0};
    struct buf_reader in;
    struct buf_writer out;

    (void)state;
    put_element(&stream, 0, 4, 0x11); /* nothing is known yet */
    put_element(&stream, 2, 5, 0x22);
    put_element(&stream, 0, 3, 0x33);
    in = buf_reader_from(buf_view_of(stream.bytes, stream.n / 8));
    buf_writer_init(&out, 1000);
    assert_int_equal(latm_next(&latm, &in, &out), E_OK);
    assert_int_equal(out.used_bytes, 0);
    assert_int_equal(latm_next(&latm, &in, &out), E_OK);
    assert_int_equal(out.used_bytes, 2 + 5);
    assert_int_equal(out.data[1], 5);
    assert_int_equal(out.data[6], 0x22);
    assert_int_equal(latm.config_bytes, 2);
    assert_int_equal(latm.config[0], 0x11); /* LC, 48 kHz, stereo */
    assert_int_equal(latm.config[1], 0x90);
    assert_int_equal(latm_next(&latm, &in, &out), E_OK);
    assert_int_equal(out.used_bytes, 2 + 3);
    assert_int_equal(latm_next(&latm, &in, &out), E_AGAIN);
    buf_writer_fini(&out);
}

static void test_next_waits_for_the_rest_at_every_cut(void **state)
{
    struct bits stream = {.n = 0};

    (void)state;
    put_element(&stream, 1, 20, 0x44);
    for (size_t size = 0; size < stream.n / 8; size++) {
        struct buf_view cut = heap_copy(stream.bytes, size);
        struct buf_reader in = buf_reader_from(cut);
        struct latm latm = {.n_sub_frames = 0};
        struct buf_writer out;

        buf_writer_init(&out, 1000);
        assert_int_equal(latm_next(&latm, &in, &out), E_AGAIN);
        assert_int_equal(in.left_bytes, size);
        buf_writer_fini(&out);
        heap_free(cut);
    }
}

static void test_next_passes_over_noise_and_what_it_does_not_know(void **state)
{
    struct bits stream = {.n = 0};
    struct latm latm = {.n_sub_frames = 0};
    struct buf_reader in;
    struct buf_writer out;

    (void)state;
    put(&stream, 8, 0x55);
    put(&stream, 11, 0x2b7);
    put(&stream, 13, 2);
    put(&stream, 16, 0x6000); /* audioMuxVersionA */
    put_element(&stream, 1, 2, 0x66);
    in = buf_reader_from(buf_view_of(stream.bytes, stream.n / 8));
    buf_writer_init(&out, 1000);
    assert_int_equal(latm_next(&latm, &in, &out), E_PROTO);
    assert_int_equal(latm_next(&latm, &in, &out), E_UNSUPPORTED);
    assert_int_equal(latm_next(&latm, &in, &out), E_OK);
    assert_int_equal(out.used_bytes, 2 + 2);
    buf_writer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_frames_once_the_configuration_came),
        cmocka_unit_test(test_next_waits_for_the_rest_at_every_cut),
        cmocka_unit_test(test_next_passes_over_noise_and_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
