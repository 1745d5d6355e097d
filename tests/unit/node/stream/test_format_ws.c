/* Units of other formats as messages: a WebSocket feed says what the plain one says, one unit a
 * message. */
#include "tests/unit/node/stream/es_test.h"

/* Header of the one message that bytes are; gives its payload. RFC 6455, 5.2. */
static struct buf_view payload_of(struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes);
    uint64_t size_bytes;

    assert_int_equal(buf_read_u8(&in), 0x82); /* FIN, binary */
    size_bytes = buf_read_u8(&in);            /* no mask */
    if (size_bytes == 126) {
        size_bytes = buf_read_u16be(&in);
        assert_true(size_bytes > 125);
    } else if (size_bytes == 127) {
        size_bytes = buf_read_u64be(&in);
        assert_true(size_bytes > 65535);
    }
    assert_int_equal(in.left_bytes, size_bytes);
    return buf_rest(&in);
}

static void assert_same(struct buf_view message, struct buf_view unit)
{
    struct buf_view payload = payload_of(message);

    assert_int_equal(payload.size_bytes, unit.size_bytes);
    assert_memory_equal(payload.data, unit.data, unit.size_bytes);
}

/* The same frame into both. */
static void write_both(struct es_rig *ws, struct es_rig *plain, enum media_codec codec,
                       unsigned flags, int64_t dts_us, struct buf_view es)
{
    bool entry = flags & FRAME_KEY;
    size_t n = es_write(plain, codec, flags, dts_us, es, entry);

    if (!n) {
        assert_int_equal(es_write(ws, codec, flags, dts_us, es, entry), 0);
        return;
    }
    es_write(ws, codec, flags, dts_us, es, entry);
    assert_same(ws->last, plain->last);
    assert_int_equal(ws->init.used_bytes > 0, plain->init.used_bytes > 0);
    if (plain->init.used_bytes)
        assert_same(buf_writer_view(&ws->init), buf_writer_view(&plain->init));
}

static void assert_wraps(enum feed_format_id id, enum feed_format_id inner)
{
    uint8_t large[3000];
    struct es_rig ws, plain;

    memset(large, 7, sizeof large);
    memcpy(large, "\0\0\x0b\xb4\x65", 5);
    es_init(&ws, id);
    es_init(&plain, inner);
    assert_ptr_equal(ws.format->inner, plain.format);
    write_both(&ws, &plain, CODEC_H264, FRAME_CONFIG, 0, ES(k_avc_config));
    write_both(&ws, &plain, CODEC_AAC, FRAME_CONFIG, 0, ES(k_aac_44k));
    for (unsigned i = 0; i < 20; i++) {
        write_both(&ws, &plain, CODEC_H264, i % 5 ? 0 : FRAME_KEY, i * 40000,
                   i % 5 == 0 ? ES(large) : ES(k_slice));
        write_both(&ws, &plain, CODEC_AAC, 0, i * 40000 + 1000, ES(k_sound));
        if (i == 10)
            write_both(&ws, &plain, CODEC_AAC, FRAME_CONFIG, 0, ES(k_aac_48k));
    }
    write_both(&ws, &plain, CODEC_VP6, FRAME_KEY, 900000, ES(k_idr));
    assert_int_equal(ws.ctx.version, plain.ctx.version);
    es_fini(&ws);
    es_fini(&plain);
}

static void test_message_is_one_unit_of_flv(void **state)
{
    (void)state;
    assert_wraps(FORMAT_WS_FLV, FORMAT_FLV);
}

static void test_message_is_one_unit_of_ts(void **state)
{
    (void)state;
    assert_wraps(FORMAT_WS_TS, FORMAT_TS);
}

static void test_message_is_one_unit_of_mp4(void **state)
{
    (void)state;
    assert_wraps(FORMAT_WS_MP4, FORMAT_MP4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_is_one_unit_of_flv),
        cmocka_unit_test(test_message_is_one_unit_of_ts),
        cmocka_unit_test(test_message_is_one_unit_of_mp4),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
