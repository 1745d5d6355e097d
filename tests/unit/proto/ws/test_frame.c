/* Frames of a server: RFC 6455, sections 5.2, 5.5, 7.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws/ws.h"

static const struct {
    enum ws_opcode opcode;
    bool fin;
    uint64_t payload_bytes;
    unsigned size;
    uint8_t bytes[WS_MAX_HEADER_BYTES];
} k_headers[] = {
    {WS_TEXT, true, 5, 2, {0x81, 0x05}},
    {WS_TEXT, false, 3, 2, {0x01, 0x03}},
    {WS_CONTINUATION, true, 2, 2, {0x80, 0x02}},
    {WS_PING, true, 0, 2, {0x89, 0x00}},
    {WS_BINARY, true, 125, 2, {0x82, 0x7d}},
    {WS_BINARY, true, 126, 4, {0x82, 0x7e, 0x00, 0x7e}},
    {WS_BINARY, true, 256, 4, {0x82, 0x7e, 0x01, 0x00}}, /* section 5.7 */
    {WS_BINARY, true, 65535, 4, {0x82, 0x7e, 0xff, 0xff}},
    {WS_BINARY, true, 65536, 10, {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}}, /* section 5.7 */
    {WS_BINARY, true, INT64_MAX, 10, {0x82, 0x7f, 0x7f, 255, 255, 255, 255, 255, 255, 255}},
};

static void test_put_header_gives_the_shortest_form_for_each_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_headers / sizeof k_headers[0]; i++) {
        uint8_t out[WS_MAX_HEADER_BYTES];
        unsigned size =
            ws_put_header(out, k_headers[i].opcode, k_headers[i].fin, k_headers[i].payload_bytes);

        assert_int_equal(size, k_headers[i].size);
        assert_memory_equal(out, k_headers[i].bytes, size);
    }
}

static void assert_written(struct buf_writer *w, const void *bytes, size_t size_bytes)
{
    assert_int_equal(buf_writer_status(w), E_OK);
    assert_int_equal(w->used_bytes, size_bytes);
    assert_memory_equal(w->data, bytes, size_bytes);
    buf_writer_clear(w);
}

static void test_write_control_cuts_what_a_control_frame_cannot_hold(void **state)
{
    uint8_t payload[130];
    struct buf_writer w;

    (void)state;
    memset(payload, 'x', sizeof payload);
    buf_writer_init(&w, 1024);
    ws_write_control(&w, WS_PONG, buf_view_str("Hello"));
    assert_written(&w, "\x8a\x05Hello", 7);
    ws_write_control(&w, WS_PING, buf_view_of(NULL, 0));
    assert_written(&w, "\x89\0", 2);
    ws_write_control(&w, WS_PONG, buf_view_of(payload, sizeof payload));
    assert_int_equal(w.used_bytes, 2 + WS_MAX_CONTROL_BYTES);
    assert_int_equal(w.data[1], WS_MAX_CONTROL_BYTES);
    buf_writer_fini(&w);
}

static void test_write_close_leaves_out_codes_that_must_not_be_sent(void **state)
{
    static const unsigned k_bad[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000};
    static const unsigned k_good[] = {1000, 1003, 1007, 1014, 3000, 4999};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1024);
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        ws_write_close(&w, k_bad[i], "gone");
        assert_written(&w, "\x88\0", 2);
    }
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++) {
        uint8_t bytes[] = {0x88, 6,  (uint8_t)(k_good[i] >> 8), (uint8_t)k_good[i], 'g', 'o',
                           'n',  'e'};

        ws_write_close(&w, k_good[i], "gone");
        assert_written(&w, bytes, sizeof bytes);
    }
    buf_writer_fini(&w);
}

static void test_write_close_cuts_a_reason_between_characters(void **state)
{
    char reason[200];
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1024);
    memset(reason, 'x', sizeof reason);
    memcpy(reason + 122, "\xe2\x82\xac", 4); /* a euro sign over the border at 123 */
    ws_write_close(&w, WS_CLOSE_POLICY, reason);
    assert_int_equal(w.data[1], 2 + 122);
    buf_writer_clear(&w);
    memcpy(reason + 120, "\xe2\x82\xac", 4);
    ws_write_close(&w, WS_CLOSE_POLICY, reason);
    assert_int_equal(w.data[1], 2 + 123);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_header_gives_the_shortest_form_for_each_length),
        cmocka_unit_test(test_write_control_cuts_what_a_control_frame_cannot_hold),
        cmocka_unit_test(test_write_close_leaves_out_codes_that_must_not_be_sent),
        cmocka_unit_test(test_write_close_cuts_a_reason_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
