#include "proto/rtmp/handshake.h"

#include "tests/unit/proto/rtmp/rtmp_test.h"

#define PART RTMP_HANDSHAKE_BYTES

/* C1 or S1 of a rule, with a digest that was computed by other means than the code under test. */
struct digest_case {
    unsigned c1_offset;
    uint8_t c1_digest[32];
    unsigned s1_offset;
    uint8_t s1_digest[32];
    uint8_t s2_tail[32];  /* last bytes of what answers C1: its first 1504 bytes and this HMAC */
    uint8_t c2_tail[32];  /* the same for S1 */
    unsigned made_offset; /* of the digest in the S1 that k_seed makes */
    uint8_t made_digest[32];
};

/* clang-format off */
static const struct digest_case k_cases[] = {
    {
        942, /* schema 0: the place is named at 772 */
        {0x22, 0x47, 0x75, 0xae, 0xc8, 0x58, 0x04, 0x32, 0xde, 0xf0, 0x1c, 0x57, 0x0d, 0x59, 0xe6, 0xeb,
         0x5f, 0xe6, 0xef, 0x24, 0x8f, 0xff, 0x0c, 0xa9, 0xd9, 0x9d, 0xff, 0x14, 0x0d, 0x27, 0x72, 0xd4},
        1074,
        {0xd3, 0x94, 0xb8, 0xcd, 0x40, 0x1b, 0xb2, 0x4d, 0x72, 0x31, 0xe6, 0x28, 0xc4, 0x85, 0x83, 0x35,
         0x12, 0x43, 0x6b, 0x58, 0x05, 0x4d, 0xab, 0xac, 0x07, 0x51, 0x21, 0x63, 0x10, 0x9e, 0x8e, 0x85},
        {0x94, 0x83, 0x8d, 0xa1, 0x96, 0xa5, 0xf0, 0x1b, 0xb4, 0x63, 0x2d, 0xba, 0x1a, 0x8b, 0xbd, 0x22,
         0x08, 0x8f, 0x56, 0xc6, 0x8a, 0x43, 0xac, 0x58, 0x66, 0xcb, 0xba, 0x46, 0xf0, 0x74, 0xfd, 0x9b},
        {0xcc, 0xea, 0xab, 0x3c, 0xd8, 0x86, 0x10, 0x55, 0x14, 0xd0, 0xef, 0x52, 0xab, 0x75, 0x11, 0x09,
         0xb0, 0x49, 0xfe, 0x1f, 0x3c, 0x55, 0x80, 0x4b, 0x34, 0xb5, 0xaa, 0x80, 0xbb, 0x48, 0xc7, 0x30},
        1300, /* and S1 out of k_seed */
        {0xd2, 0xa2, 0xd2, 0xbc, 0x56, 0x22, 0x78, 0xda, 0x7f, 0x58, 0x30, 0x38, 0xad, 0x98, 0x04, 0xa6,
         0xff, 0x7d, 0xeb, 0x50, 0xf7, 0xbd, 0x06, 0x94, 0x4d, 0xbd, 0x39, 0x28, 0x56, 0xd8, 0x11, 0x89},
    },
    {
        278, /* schema 1: the place is named at 8 */
        {0xe7, 0x07, 0xf6, 0xdc, 0xa1, 0x65, 0xb1, 0x0b, 0x93, 0xc8, 0x32, 0x7a, 0xf0, 0x16, 0x6d, 0x14,
         0x1c, 0x05, 0x5c, 0x72, 0x2e, 0xae, 0x47, 0xfb, 0x79, 0x3f, 0xc0, 0xb5, 0x8c, 0x58, 0x26, 0xe4},
        506,
        {0x55, 0xa9, 0x0d, 0xae, 0x14, 0xc9, 0xc7, 0x55, 0x7d, 0x8f, 0x08, 0xac, 0x03, 0x99, 0x53, 0x73,
         0x2f, 0x9b, 0xe5, 0x3a, 0xaa, 0xaf, 0x61, 0x28, 0xa1, 0xe6, 0x39, 0x00, 0xf6, 0xec, 0xc7, 0xf2},
        {0x8f, 0x0c, 0x7e, 0xfb, 0x62, 0xf2, 0x8b, 0x1e, 0x3b, 0x18, 0x3e, 0xe3, 0x57, 0x2d, 0x5e, 0x12,
         0x2c, 0x82, 0x3e, 0x21, 0x30, 0x27, 0xff, 0xb2, 0x86, 0x78, 0x56, 0x98, 0xa1, 0xa9, 0x81, 0x45},
        {0x17, 0x64, 0x02, 0x12, 0x7b, 0xa0, 0xbe, 0xe0, 0xa1, 0xcd, 0xe3, 0xc8, 0x71, 0xcf, 0xb1, 0xfd,
         0xf3, 0xf3, 0x17, 0x42, 0x5d, 0xf0, 0x9f, 0x36, 0x67, 0x8d, 0x4e, 0x2d, 0x8d, 0x83, 0xf7, 0xec},
        481, /* and S1 out of k_seed */
        {0xc5, 0x82, 0x7e, 0x64, 0x5c, 0x53, 0xfd, 0x6c, 0x5e, 0x4a, 0x91, 0x52, 0x17, 0x8c, 0xfd, 0x62,
         0x45, 0x9d, 0xaa, 0x29, 0xf5, 0xe0, 0xdf, 0xec, 0x30, 0x63, 0x1d, 0xfa, 0x21, 0x34, 0xbb, 0x12},
    },
};
/* clang-format on */

static const uint8_t k_seed[RTMP_SEED_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t k_client_version[4] = {9, 0, 124, 2};
static const uint8_t k_server_version[4] = {4, 5, 0, 1};

/* Byte i is i * factor + i / 256, then time 0 and the version. */
static void fill_first(uint8_t first[PART], unsigned factor, const uint8_t version[4])
{
    for (unsigned i = 0; i < PART; i++)
        first[i] = (uint8_t)(i * factor + (i >> 8));
    memset(first, 0, 4);
    memcpy(first + 4, version, 4);
}

/* Feeds bytes in steps: the result of the last call, with what was written in *out. */
static enum err feed(struct rtmp_handshake *hs, struct buf_view bytes, size_t step,
                     struct buf_writer *out)
{
    enum err e = E_AGAIN;

    for (size_t at = 0; at < bytes.size_bytes && e == E_AGAIN; at += step) {
        size_t n = bytes.size_bytes - at < step ? bytes.size_bytes - at : step;
        uint8_t *piece = heap_copy(buf_view_of(bytes.data + at, n));
        struct buf_reader in = buf_reader_from(buf_view_of(piece, n));

        e = rtmp_handshake_feed(hs, &in, out);
        free(piece);
    }
    return e;
}

static void test_feed_gives_echo_when_the_client_is_simple(void **state)
{
    static const size_t k_steps[] = {1, 7, 1536, 1537, 4000};
    static const uint8_t k_random[] = {0x32, 0xaf, 0x1c, 0xd8, 0x4b, 0xb2, 0xb9, 0x02,
                                       0x17, 0x30, 0xd3, 0x4c, 0xcd, 0xc6, 0x20, 0xcb};
    uint8_t bytes[1 + 2 * PART];

    (void)state;
    fill_random(bytes, sizeof bytes, 2);
    bytes[0] = 3;
    memset(bytes + 5, 0, 4);
    for (size_t i = 0; i < ARRAY_SIZE(k_steps); i++) {
        struct rtmp_handshake *hs = rtmp_handshake_create_server(k_seed);
        struct buf_writer out;

        buf_writer_init(&out, 1 << 16);
        assert_int_equal(feed(hs, VIEW(bytes), k_steps[i], &out), E_OK);
        assert_int_equal(out.used_bytes, 1 + 2 * PART);
        assert_int_equal(out.data[0], 3);
        assert_memory_equal(out.data + 1, "\0\0\0\0\0\0\0\0", 8);
        assert_memory_equal(out.data + 9, k_random, sizeof k_random); /* splitmix64 of k_seed */
        assert_memory_equal(out.data + 1 + PART, bytes + 1, PART);
        assert_false(rtmp_handshake_is_digest(hs));
        buf_writer_fini(&out);
        rtmp_handshake_destroy(&hs);
    }
}

static void test_feed_gives_digest_when_the_client_has_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++) {
        const struct digest_case *c = &k_cases[i];
        uint8_t bytes[1 + PART] = {3};
        struct rtmp_handshake *hs;
        struct buf_writer out;

        fill_first(bytes + 1, 7, k_client_version);
        memcpy(bytes + 1 + c->c1_offset, c->c1_digest, 32);
        hs = rtmp_handshake_create_server(k_seed);
        buf_writer_init(&out, 1 << 16);
        assert_int_equal(feed(hs, VIEW(bytes), 100, &out), E_AGAIN);
        assert_true(rtmp_handshake_is_digest(hs));
        assert_int_equal(out.used_bytes, 1 + 2 * PART);
        assert_memory_equal(out.data + 5, k_server_version, 4);
        assert_memory_equal(out.data + 1 + c->made_offset, c->made_digest, 32); /* of all else */
        assert_memory_equal(out.data + 1 + 2 * PART - 32, c->s2_tail, 32);
        buf_writer_fini(&out);
        rtmp_handshake_destroy(&hs);
    }
}

static void test_feed_gives_echo_when_the_digest_is_wrong(void **state)
{
    uint8_t bytes[1 + PART] = {3};
    struct rtmp_handshake *hs = rtmp_handshake_create_server(k_seed);
    struct buf_writer out;

    (void)state;
    fill_first(bytes + 1, 7, k_client_version);
    memcpy(bytes + 1 + k_cases[0].c1_offset, k_cases[0].c1_digest, 32);
    bytes[PART]++; /* any byte counts */
    buf_writer_init(&out, 1 << 16);
    assert_int_equal(feed(hs, VIEW(bytes), sizeof bytes, &out), E_AGAIN);
    assert_false(rtmp_handshake_is_digest(hs));
    assert_memory_equal(out.data + 1 + PART, bytes + 1, PART);
    buf_writer_fini(&out);
    rtmp_handshake_destroy(&hs);
}

static void test_feed_gives_signed_c2_when_the_server_has_a_digest(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++) {
        const struct digest_case *c = &k_cases[i];
        uint8_t bytes[1 + 2 * PART] = {3};
        struct rtmp_handshake *hs = rtmp_handshake_create_client(k_seed);
        struct buf_writer out;

        fill_first(bytes + 1, 13, k_server_version);
        memcpy(bytes + 1 + c->s1_offset, c->s1_digest, 32);
        buf_writer_init(&out, 1 << 16);
        assert_int_equal(feed(hs, VIEW(bytes), 1000, &out), E_OK);
        assert_true(rtmp_handshake_is_digest(hs));
        assert_int_equal(out.used_bytes, PART);
        assert_memory_equal(out.data + PART - 32, c->c2_tail, 32);
        buf_writer_fini(&out);
        rtmp_handshake_destroy(&hs);
    }
}

static void test_feed_gives_echo_when_the_server_is_simple(void **state)
{
    uint8_t bytes[1 + 2 * PART];
    struct rtmp_handshake *hs = rtmp_handshake_create_client(k_seed);
    struct buf_writer out;

    (void)state;
    fill_random(bytes, sizeof bytes, 3);
    bytes[0] = 3;
    buf_writer_init(&out, 1 << 16);
    assert_int_equal(feed(hs, VIEW(bytes), 1, &out), E_OK);
    assert_false(rtmp_handshake_is_digest(hs));
    assert_int_equal(out.used_bytes, PART);
    assert_memory_equal(out.data, bytes + 1, PART);
    buf_writer_fini(&out);
    rtmp_handshake_destroy(&hs);
}

static void test_feed_gives_digest_between_our_two_sides(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 20; seed++) {
        uint8_t random[RTMP_SEED_BYTES];
        struct rtmp_handshake *client, *server;
        struct buf_writer up, down;
        enum err e;

        fill_random(random, sizeof random, seed);
        client = rtmp_handshake_create_client(random);
        server = rtmp_handshake_create_server(random);
        buf_writer_init(&up, 1 << 16);
        buf_writer_init(&down, 1 << 16);
        rtmp_handshake_start(client, &up);
        assert_int_equal(feed(server, buf_writer_view(&up), 500, &down), E_AGAIN);
        buf_writer_clear(&up);
        e = feed(client, buf_writer_view(&down), 500, &up);
        assert_int_equal(e, E_OK);
        assert_int_equal(feed(server, buf_writer_view(&up), 500, &down), E_OK);
        assert_true(rtmp_handshake_is_digest(client));
        assert_true(rtmp_handshake_is_digest(server));
        buf_writer_fini(&up);
        buf_writer_fini(&down);
        rtmp_handshake_destroy(&client);
        rtmp_handshake_destroy(&server);
    }
}

static void test_feed_leaves_what_follows_the_handshake(void **state)
{
    uint8_t bytes[1 + 2 * PART + 5];
    struct rtmp_handshake *hs = rtmp_handshake_create_server(k_seed);
    struct buf_reader in = buf_reader_from(VIEW(bytes));
    struct buf_writer out;

    (void)state;
    fill_random(bytes, sizeof bytes, 4);
    bytes[0] = 3;
    buf_writer_init(&out, 1 << 16);
    assert_int_equal(rtmp_handshake_feed(hs, &in, &out), E_OK);
    assert_int_equal(in.left_bytes, 5);
    buf_writer_fini(&out);
    rtmp_handshake_destroy(&hs);
}

static void test_feed_gives_proto_at_the_first_byte_when_it_is_not_version_3(void **state)
{
    static const struct {
        uint8_t version;
        const char *error;
    } k_versions[] = {
        {6, "handshake: encrypted RTMP (RTMPE) is not supported"},
        {8, "handshake: encrypted RTMP (RTMPE) is not supported"},
        {0, "handshake: not version 3"},
        {31, "handshake: not version 3"},
        {'G', "handshake: not RTMP"},
        {0x16, "handshake: not version 3"}, /* a TLS client hello */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_versions); i++) {
        struct rtmp_handshake *hs = rtmp_handshake_create_server(k_seed);
        struct buf_writer out;

        buf_writer_init(&out, 1 << 16);
        assert_int_equal(feed(hs, buf_view_of(&k_versions[i].version, 1), 1, &out), E_PROTO);
        assert_string_equal(rtmp_handshake_error(hs), k_versions[i].error);
        assert_int_equal(out.used_bytes, 0);
        buf_writer_fini(&out);
        rtmp_handshake_destroy(&hs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_echo_when_the_client_is_simple),
        cmocka_unit_test(test_feed_gives_digest_when_the_client_has_one),
        cmocka_unit_test(test_feed_gives_echo_when_the_digest_is_wrong),
        cmocka_unit_test(test_feed_gives_signed_c2_when_the_server_has_a_digest),
        cmocka_unit_test(test_feed_gives_echo_when_the_server_is_simple),
        cmocka_unit_test(test_feed_gives_digest_between_our_two_sides),
        cmocka_unit_test(test_feed_leaves_what_follows_the_handshake),
        cmocka_unit_test(test_feed_gives_proto_at_the_first_byte_when_it_is_not_version_3),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
