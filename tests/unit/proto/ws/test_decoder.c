/* Frames of a client in every split: RFC 6455, section 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws/ws.h"

enum { MAX_MESSAGE_BYTES = 1000 };

/* A frame as a client sends it: masked, its mask changing with the payload's size. */
static void put_frame(struct buf_writer *w, unsigned first, const void *payload, size_t size_bytes)
{
    const uint8_t *bytes = payload;
    uint8_t mask[4] = {0x37, 0xfa, 0x21, (uint8_t)size_bytes};

    buf_write_u8(w, first);
    if (size_bytes < 126) {
        buf_write_u8(w, 0x80 | (unsigned)size_bytes);
    } else {
        buf_write_u8(w, 0x80 | 126);
        buf_write_u16be(w, (unsigned)size_bytes);
    }
    buf_write(w, mask, sizeof mask);
    for (size_t i = 0; i < size_bytes; i++)
        buf_write_u8(w, bytes[i] ^ mask[i % 4]);
}

struct expected {
    enum ws_opcode opcode;
    const char *payload; /* NULL = 900 bytes of k_long */
    unsigned close_code;
};

static const struct expected k_expected[] = {
    {WS_TEXT, "Hello", 0},
    {WS_BINARY, "", 0},
    {WS_PING, "", 0},
    {WS_PING, "between", 0},
    {WS_PONG, "", 0},
    {WS_TEXT, "Gr\xc3\xbc\xc3\x9f dich", 0}, /* a character split between fragments */
    {WS_BINARY, NULL, 0},
    {WS_BINARY, "after", 0},
    {WS_CLOSE, "bye", 1000},
};
#define N_EXPECTED (sizeof k_expected / sizeof k_expected[0])

static uint8_t k_long[900];

static struct buf_writer make_stream(void)
{
    struct buf_writer w;

    for (size_t i = 0; i < sizeof k_long; i++)
        k_long[i] = (uint8_t)(i * 7 + (i >> 8));
    buf_writer_init(&w, 1 << 16);
    put_frame(&w, 0x81, "Hello", 5);
    put_frame(&w, 0x82, "", 0);
    put_frame(&w, 0x89, "", 0);
    put_frame(&w, 0x01, "Gr\xc3", 3);
    put_frame(&w, 0x89, "between", 7);
    put_frame(&w, 0x00, "\xbc\xc3\x9f", 3);
    put_frame(&w, 0x8a, "", 0);
    put_frame(&w, 0x00, "", 0);
    put_frame(&w, 0x80, " dich", 5);
    put_frame(&w, 0x02, k_long, 300);
    put_frame(&w, 0x80, k_long + 300, 600);
    put_frame(&w, 0x82, "after", 5);
    put_frame(&w, 0x88,
              "\x03\xe8"
              "bye",
              5);
    assert_int_equal(buf_writer_status(&w), E_OK);
    return w;
}

static void assert_message(const struct ws_message *m, size_t i)
{
    assert_true(i < N_EXPECTED);
    assert_int_equal(m->opcode, k_expected[i].opcode);
    assert_int_equal(m->close_code, k_expected[i].close_code);
    if (k_expected[i].payload) {
        if (!buf_view_equals(m->payload, k_expected[i].payload))
            fail_msg("message %zu is \"%.*s\"", i, (int)m->payload.size_bytes,
                     (const char *)m->payload.data);
        return;
    }
    assert_int_equal(m->payload.size_bytes, sizeof k_long);
    assert_memory_equal(m->payload.data, k_long, sizeof k_long);
}

/* Feeds one piece from its own heap block. */
static enum err feed_piece(struct ws_decoder *dec, const uint8_t *data, size_t size_bytes,
                           size_t *n_messages)
{
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    struct buf_reader in;
    struct ws_message m;
    enum err e;

    assert_non_null(copy);
    if (size_bytes)
        memcpy(copy, data, size_bytes);
    in = buf_reader_from(buf_view_of(copy, size_bytes));
    while ((e = ws_decoder_feed(dec, &in, &m)) == E_OK)
        assert_message(&m, (*n_messages)++);
    if (e == E_AGAIN)
        assert_int_equal(in.left_bytes, 0);
    free(copy);
    return e;
}

static void test_feed_gives_same_messages_for_every_split(void **state)
{
    struct buf_writer stream = make_stream();

    (void)state;
    for (size_t step = 1; step <= stream.used_bytes; step++) {
        struct ws_decoder dec;
        size_t n_messages = 0;
        enum err e = E_AGAIN;

        ws_decoder_init(&dec, MAX_MESSAGE_BYTES);
        for (size_t at = 0; at < stream.used_bytes; at += step) {
            size_t left = stream.used_bytes - at;

            assert_int_equal(e, E_AGAIN);
            e = feed_piece(&dec, stream.data + at, left < step ? left : step, &n_messages);
        }
        assert_int_equal(e, E_END);
        assert_int_equal(n_messages, N_EXPECTED);
        ws_decoder_fini(&dec);
    }
    buf_writer_fini(&stream);
}

static void test_feed_gives_same_messages_for_every_cut_in_two(void **state)
{
    struct buf_writer stream = make_stream();

    (void)state;
    for (size_t cut = 0; cut < stream.used_bytes; cut++) {
        struct ws_decoder dec;
        size_t n_messages = 0;

        ws_decoder_init(&dec, MAX_MESSAGE_BYTES);
        assert_int_equal(feed_piece(&dec, stream.data, cut, &n_messages), E_AGAIN);
        assert_int_equal(feed_piece(&dec, stream.data + cut, stream.used_bytes - cut, &n_messages),
                         E_END);
        assert_int_equal(n_messages, N_EXPECTED);
        ws_decoder_fini(&dec);
    }
    buf_writer_fini(&stream);
}

static const struct {
    const char *name;
    uint8_t size;
    uint8_t bytes[24];
    enum err e;
    unsigned close_code;
} k_faults[] = {
    {"not masked", 2, {0x81, 0x05}, E_PROTO, 1002},
    {"RSV1", 2, {0xc1, 0x80}, E_PROTO, 1002},
    {"RSV2", 2, {0xa1, 0x80}, E_PROTO, 1002},
    {"RSV3 in a control frame", 2, {0x99, 0x80}, E_PROTO, 1002},
    {"opcode 3", 2, {0x83, 0x80}, E_PROTO, 1002},
    {"opcode 7", 2, {0x87, 0x80}, E_PROTO, 1002},
    {"opcode 11", 2, {0x8b, 0x80}, E_PROTO, 1002},
    {"opcode 15", 2, {0x8f, 0x80}, E_PROTO, 1002},
    {"ping in fragments", 2, {0x09, 0x80}, E_PROTO, 1002},
    {"close in fragments", 2, {0x08, 0x80}, E_PROTO, 1002},
    {"ping of 126 bytes", 2, {0x89, 0xfe}, E_PROTO, 1002},
    {"pong with a 64-bit length", 2, {0x8a, 0xff}, E_PROTO, 1002},
    {"continuation of nothing", 2, {0x80, 0x80}, E_PROTO, 1002},
    {"open continuation of nothing", 2, {0x00, 0x80}, E_PROTO, 1002},
    {"text in text", 8, {0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80}, E_PROTO, 1002},
    {"binary in text", 8, {0x01, 0x80, 0, 0, 0, 0, 0x02, 0x80}, E_PROTO, 1002},
    {"125 in 16 bits", 8, {0x82, 0xfe, 0, 125, 0, 0, 0, 0}, E_PROTO, 1002},
    {"125 in 64 bits", 14, {0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 125}, E_PROTO, 1002},
    {"65535 in 64 bits", 14, {0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255}, E_PROTO, 1002},
    {"64-bit length", 14, {0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, E_PROTO, 1002},
    {"length 1001", 8, {0x82, 0xfe, 0x03, 0xe9}, E_TOO_BIG, 1009},
    {"length 65536", 14, {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, E_TOO_BIG, 1009},
    {"length 2^63-1", 14, {0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255}, E_TOO_BIG, 1009},
    {"1 and 1000", 15, {0x02, 0x81, 0, 0, 0, 0, 1, 0x80, 0xfe, 0x03, 0xe8}, E_TOO_BIG, 1009},
    {"close of one byte", 7, {0x88, 0x81, 0, 0, 0, 0, 3}, E_PROTO, 1002},
    {"close 999", 8, {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe7}, E_PROTO, 1002},
    {"close 1004", 8, {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xec}, E_PROTO, 1002},
    {"close 1005", 8, {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed}, E_PROTO, 1002},
    {"close 1006", 8, {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xee}, E_PROTO, 1002},
    {"close 1015", 8, {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf7}, E_PROTO, 1002},
    {"close 2000", 8, {0x88, 0x82, 0, 0, 0, 0, 0x07, 0xd0}, E_PROTO, 1002},
    {"close 5000", 8, {0x88, 0x82, 0, 0, 0, 0, 0x13, 0x88}, E_PROTO, 1002},
    {"reason not UTF-8", 9, {0x88, 0x83, 0, 0, 0, 0, 0x03, 0xe8, 0xff}, E_PROTO, 1007},
    {"reason cut", 10, {0x88, 0x84, 0, 0, 0, 0, 0x03, 0xe8, 0xe2, 0x82}, E_PROTO, 1007},
    {"overlong zero", 8, {0x81, 0x82, 0, 0, 0, 0, 0xc0, 0x80}, E_PROTO, 1007},
    {"surrogate", 9, {0x81, 0x83, 0, 0, 0, 0, 0xed, 0xa0, 0x80}, E_PROTO, 1007},
};

/* The vector's bytes are good but for the last ones: only there the error may come, and it stays.
 */
static void assert_fault(size_t i, size_t step)
{
    struct ws_decoder dec;
    size_t n_messages = 0;
    enum err e = E_AGAIN;

    ws_decoder_init(&dec, MAX_MESSAGE_BYTES);
    for (size_t at = 0; at < k_faults[i].size && e == E_AGAIN; at += step) {
        size_t left = k_faults[i].size - at;

        e = feed_piece(&dec, k_faults[i].bytes + at, left < step ? left : step, &n_messages);
    }
    if (e != k_faults[i].e || dec.fault.close_code != k_faults[i].close_code)
        fail_msg("%s, step %zu: %s, %u", k_faults[i].name, step, err_name(e), dec.fault.close_code);
    assert_non_null(dec.fault.text);
    assert_true(strlen(dec.fault.text) <= WS_MAX_CONTROL_BYTES - 2);
    assert_int_equal(feed_piece(&dec, (const uint8_t *)"\x89\x80\0\0\0\0", 6, &n_messages), e);
    assert_int_equal(n_messages, 0);
    ws_decoder_fini(&dec);
}

static void test_feed_refuses_each_break_of_the_rules_in_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_faults / sizeof k_faults[0]; i++)
        for (size_t step = 1; step <= k_faults[i].size; step++)
            assert_fault(i, step);
}

static void test_feed_gives_no_code_for_an_empty_close(void **state)
{
    static const uint8_t k_close[] = {0x88, 0x80, 1, 2, 3, 4};
    struct buf_reader in = buf_reader_from(buf_view_of(k_close, sizeof k_close));
    struct ws_decoder dec;
    struct ws_message m;

    (void)state;
    ws_decoder_init(&dec, MAX_MESSAGE_BYTES);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_OK);
    assert_int_equal(m.opcode, WS_CLOSE);
    assert_int_equal(m.close_code, WS_CLOSE_NONE);
    assert_int_equal(m.payload.size_bytes, 0);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_END);
    ws_decoder_fini(&dec);
}

static void test_feed_takes_messages_up_to_the_limit_again_and_again(void **state)
{
    uint8_t payload[MAX_MESSAGE_BYTES] = {0};
    struct buf_writer w;
    struct buf_reader in;
    struct ws_decoder dec;
    struct ws_message m;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_frame(&w, 0x82, payload, 1);
    put_frame(&w, 0x02, payload, MAX_MESSAGE_BYTES - 1);
    put_frame(&w, 0x80, payload, 1);
    put_frame(&w, 0x82, payload, MAX_MESSAGE_BYTES);
    in = buf_reader_from(buf_writer_view(&w));
    ws_decoder_init(&dec, MAX_MESSAGE_BYTES);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_OK);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_OK);
    assert_int_equal(m.payload.size_bytes, MAX_MESSAGE_BYTES);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_OK);
    assert_int_equal(m.payload.size_bytes, MAX_MESSAGE_BYTES);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_AGAIN);
    ws_decoder_fini(&dec);
    buf_writer_fini(&w);
}

static void test_feed_takes_memory_for_what_came_not_for_what_was_promised(void **state)
{
    static const uint8_t k_start[] = {0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4, 5};
    struct buf_reader in = buf_reader_from(buf_view_of(k_start, sizeof k_start));
    struct ws_decoder dec;
    struct ws_message m;

    (void)state;
    ws_decoder_init(&dec, SIZE_MAX / 2);
    assert_int_equal(ws_decoder_feed(&dec, &in, &m), E_AGAIN); /* one byte of 1 GiB */
    assert_true(dec.message.capacity_bytes <= 4096);
    ws_decoder_fini(&dec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_same_messages_for_every_split),
        cmocka_unit_test(test_feed_gives_same_messages_for_every_cut_in_two),
        cmocka_unit_test(test_feed_refuses_each_break_of_the_rules_in_every_split),
        cmocka_unit_test(test_feed_gives_no_code_for_an_empty_close),
        cmocka_unit_test(test_feed_takes_messages_up_to_the_limit_again_and_again),
        cmocka_unit_test(test_feed_takes_memory_for_what_came_not_for_what_was_promised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
