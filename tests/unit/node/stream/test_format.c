/* Muxers: what they write is read back by the decoders of the same format. */
#include "tests/unit/node/stream/stream_test.h"

#include "proto/rtmp/chunk_decoder.h"
#include "proto/rtmp/rtmp.h"

struct buffer_sink {
    struct mux_sink sink;
    struct buf_writer out;
};

static void put(struct mux_sink *sink, struct buf_view bytes)
{
    buf_write_view(&((struct buffer_sink *)sink)->out, bytes);
}

static void put_body(struct mux_sink *sink, const struct media_frame *frame, struct buf_view part)
{
    assert_true(part.data >= frame->body &&
                part.data + part.size_bytes <= frame->body + frame->size_bytes);
    put(sink, part);
}

static void sink_init(struct buffer_sink *s)
{
    s->sink = (struct mux_sink){put, put_body};
    buf_writer_init(&s->out, 1 << 22);
}

/* --- FLV
 * ---------------------------------------------------------------------------------------------- */

/* Decodes tags, which need a file header in front. */
static unsigned read_tags(struct buf_view bytes, struct flv_tag_header *headers, unsigned max,
                          struct buf_writer *bodies)
{
    struct flv_decoder *dec = flv_decoder_create(FLV_MAX_TAG_BYTES);
    struct buf_writer file;
    struct buf_reader in;
    struct flv_tag tag;
    unsigned n = 0;
    enum err e;

    assert_non_null(dec);
    buf_writer_init(&file, 1 << 22);
    flv_write_file_header(&file, true, true);
    buf_write_view(&file, bytes);
    in = buf_reader_from(buf_writer_view(&file));
    while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK) {
        assert_true(n < max);
        headers[n++] = tag.header;
        buf_write_view(bodies, tag.body);
    }
    assert_int_equal(e, E_AGAIN);
    flv_decoder_destroy(&dec);
    buf_writer_fini(&file);
    return n;
}

static void test_flv_unit_is_one_tag_with_the_body_untouched(void **state)
{
    const struct media_frame *frame =
        make_frame(BODY_AVC_KEY, 77, INT64_C(0x123456789) * 1000, 500);
    struct mux_context ctx = {0};
    struct flv_tag_header headers[2];
    struct buf_writer bodies;
    struct buffer_sink s;

    (void)state;
    sink_init(&s);
    buf_writer_init(&bodies, 1 << 20);
    k_formats[FORMAT_FLV]->write_unit(&s.sink, &ctx, frame, true);
    assert_int_equal(read_tags(buf_writer_view(&s.out), headers, 2, &bodies), 1);
    assert_int_equal(headers[0].type_id, FLV_TAG_VIDEO);
    assert_int_equal(headers[0].dts_ms, 0x23456789u); /* wraps as the format does */
    assert_int_equal(bodies.used_bytes, 500);
    assert_memory_equal(bodies.data, frame->body, 500);
    media_frame_unref(&frame);
    buf_writer_fini(&bodies);
    buf_writer_fini(&s.out);
}

static void test_init_is_metadata_then_configs_in_their_order(void **state)
{
    struct media_frame_info info = {.kind = MEDIA_DATA, .flags = FRAME_METADATA};
    const struct media_frame *frames[] = {
        make_frame(BODY_AAC_CONFIG, 1, 0, 20),
        make_frame(BODY_AVC_CONFIG, 2, 0, 40),
        media_frame_create(&info, buf_view_str("metadata")),
    };
    static const uint8_t k_types[] = {FLV_TAG_SCRIPT, FLV_TAG_AUDIO, FLV_TAG_VIDEO};
    struct flv_tag_header headers[4];
    struct buf_writer out, bodies;
    struct mux_context ctx = {0};
    struct track_set set;

    (void)state;
    track_set_init(&set);
    buf_writer_init(&out, 1 << 20);
    buf_writer_init(&bodies, 1 << 20);
    for (unsigned i = 0; i < 3; i++)
        assert_true(track_set_apply(&set, frames[i]));
    k_formats[FORMAT_FLV]->write_init(&out, &ctx, &set, 5000000);
    assert_int_equal(read_tags(buf_writer_view(&out), headers, 4, &bodies), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(headers[i].type_id, k_types[i]);
        assert_int_equal(headers[i].dts_ms, 5000);
        media_frame_unref(&frames[i]);
    }
    track_set_fini(&set);
    buf_writer_fini(&out);
    buf_writer_fini(&bodies);
}

static void test_init_of_nothing_is_nothing(void **state)
{
    struct track_set set;
    struct buf_writer out;

    (void)state;
    track_set_init(&set);
    buf_writer_init(&out, 100);
    for (unsigned i = 0; i < FORMAT_COUNT; i++) {
        const struct feed_format *format = k_formats[i];
        struct mux_context ctx = {.inner = format->inner};

        assert_true(!format->open || format->open(&ctx));
        if (format->write_init)
            format->write_init(&out, &ctx, &set, 0);
        if (format->close)
            format->close(&ctx);
    }
    assert_int_equal(out.used_bytes, 0);
    buf_writer_fini(&out);
}

/* --- relay
 * ---------------------------------------------------------------------------------------------- */

static char g_trail[FLV_TRAIL_SIZE]; /* of the last @hw */

/* Number of @hw tags in front of one frame; *hw is the last one, its texts without memory. */
static unsigned relay_unit_as(struct mux_context *ctx, enum body_kind kind, int64_t ingest_us,
                              uint16_t flags, bool entry, struct flv_hw *hw)
{
    struct media_frame_info info = {
        .kind = MEDIA_VIDEO, .flags = flags, .gop = 12, .ingest_us = ingest_us, .dts_us = 40000};
    const struct media_frame *frame;
    struct flv_tag_header headers[4];
    struct buf_writer bodies;
    struct buffer_sink s;
    uint8_t body[64];
    size_t size = make_body(body, kind, 1, sizeof body);
    unsigned n;

    frame = media_frame_create(&info, buf_view_of(body, size));
    sink_init(&s);
    buf_writer_init(&bodies, 1 << 20);
    k_formats[FORMAT_RELAY]->write_unit(&s.sink, ctx, frame, entry);
    n = read_tags(buf_writer_view(&s.out), headers, 4, &bodies);
    assert_true(n >= 1);
    assert_int_equal(headers[n - 1].type_id, FLV_TAG_VIDEO);
    if (n == 2) {
        assert_int_equal(headers[0].type_id, FLV_TAG_SCRIPT);
        assert_int_equal(flv_parse_hw_body(buf_view_of(bodies.data, headers[0].data_bytes), hw),
                         E_OK);
        (void)buf_view_to_str(hw->trail, g_trail, sizeof g_trail);
    }
    media_frame_unref(&frame);
    buf_writer_fini(&bodies);
    buf_writer_fini(&s.out);
    return n - 1;
}

static unsigned relay_unit(struct mux_context *ctx, enum body_kind kind, int64_t ingest_us,
                           bool entry, struct flv_hw *hw)
{
    return relay_unit_as(ctx, kind, ingest_us, 0, entry, hw);
}

static void test_relay_unit_tells_epoch_run_gop_and_clocks_before_an_entry(void **state)
{
    struct mux_context ctx = {.epoch = UINT64_C(1) << 60,
                              .run = UINT64_MAX,
                              .wall_offset_us = 1000,
                              .last_hw_us = INT64_MIN / 2};
    struct flv_hw hw = {0};

    (void)state;
    assert_int_equal(relay_unit(&ctx, BODY_AVC_KEY, 5000000, true, &hw), 1);
    assert_true(hw.epoch == UINT64_C(1) << 60);
    assert_true(hw.run == UINT64_MAX);
    assert_int_equal(hw.gop, 12);
    assert_int_equal(hw.ingest_us, 5000000);
    assert_int_equal(hw.wall_us, 5001000);
}

static void test_relay_unit_tells_twice_a_second_and_not_more(void **state)
{
    struct mux_context ctx = {.last_hw_us = INT64_MIN / 2};
    struct flv_hw hw;

    (void)state;
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5000000, false, &hw), 1); /* the first */
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5499999, false, &hw), 0);
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5500000, false, &hw), 1);
    assert_int_equal(relay_unit(&ctx, BODY_AVC_KEY, 5500001, true, &hw), 1);
}

static void test_relay_unit_tells_a_new_path_at_once_and_once(void **state)
{
    struct mux_context ctx = {.last_hw_us = 5000000};
    struct flv_hw hw;

    (void)state;
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5000000, false, &hw), 0);
    ctx.path = "e1,o1";
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5000001, false, &hw), 1);
    assert_null(ctx.path);
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5000002, false, &hw), 0);
}

static void test_relay_idle_is_one_tag_without_a_frame(void **state)
{
    struct media_frame_info now = {.gop = 4, .dts_us = 77000, .ingest_us = 9000000};
    struct mux_context ctx = {.epoch = 3, .run = 5, .wall_offset_us = 1, .path = ""};
    struct flv_tag_header header;
    struct buf_writer bodies;
    struct buffer_sink s;
    struct flv_hw hw;

    (void)state;
    sink_init(&s);
    buf_writer_init(&bodies, 1 << 20);
    k_formats[FORMAT_RELAY]->write_idle(&s.sink, &ctx, &now);
    assert_int_equal(read_tags(buf_writer_view(&s.out), &header, 1, &bodies), 1);
    assert_int_equal(header.type_id, FLV_TAG_SCRIPT);
    assert_int_equal(header.dts_ms, 77);
    assert_int_equal(flv_parse_hw_body(buf_writer_view(&bodies), &hw), E_OK);
    assert_true(hw.epoch == 3 && hw.run == 5 && hw.gop == 4 && !hw.end);
    assert_true(hw.ingest_us == 9000000 && hw.wall_us == 9000001);
    assert_true(hw.path.data && !hw.path.size_bytes);
    assert_int_equal(ctx.last_hw_us, 9000000);
    buf_writer_fini(&bodies);
    buf_writer_fini(&s.out);
}

static void test_relay_unit_tells_our_clock_and_the_trail_with_us_when_the_frame_is_timed(void **s)
{
    struct stream_lag lag = {.node_id = "e1",
                             .has_clock = true,
                             .clock_us = -5000,
                             .unc_us = 40,
                             .is_measured = true,
                             .lag_us = 2500,
                             .trail = "o1,7,0,0"};
    struct mux_context ctx = {.epoch = 7, .lag = &lag};
    struct flv_hw hw = {0};

    (void)s;
    assert_int_equal(relay_unit_as(&ctx, BODY_AVC_KEY, 5000000, FRAME_TIMED, true, &hw), 1);
    assert_true(hw.has_clock && hw.clock_us == -5000 && hw.unc_us == 40);
    assert_string_equal(g_trail, "o1,7,0,0;e1,7,2500,40");
    lag.is_measured = lag.has_clock = false;
    assert_int_equal(relay_unit_as(&ctx, BODY_AVC_KEY, 5000000, FRAME_TIMED, true, &hw), 1);
    assert_true(hw.has_clock && hw.unc_us == -1);
    assert_string_equal(g_trail, "o1,7,0,0;e1,7,0,-1");
}

static void test_relay_unit_tells_no_clock_when_the_frame_is_not_timed(void **state)
{
    struct stream_lag lag = {.node_id = "e1", .has_clock = true};
    struct mux_context ctx = {.lag = &lag};
    struct flv_hw hw = {.has_clock = true};

    (void)state;
    assert_int_equal(relay_unit(&ctx, BODY_AVC_KEY, 5000000, true, &hw), 1);
    assert_false(hw.has_clock);
    assert_string_equal(g_trail, "");
}

static void test_relay_unit_tells_its_time_when_an_idle_tag_came_before(void **state)
{
    struct media_frame_info now = {.ingest_us = 5400000};
    struct mux_context ctx = {.last_hw_us = 5000000};
    struct buffer_sink s;
    struct flv_hw hw;

    (void)state;
    sink_init(&s);
    k_formats[FORMAT_RELAY]->write_idle(&s.sink, &ctx, &now);
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5410000, false, &hw), 1);
    assert_int_equal(hw.ingest_us, 5410000);
    assert_int_equal(relay_unit(&ctx, BODY_AVC_INTER, 5450000, false, &hw), 0);
    buf_writer_fini(&s.out);
}

/* --- RTMP
 * -------------------------------------------------------------------------------------------------
 */

static void rtmp_decoder_init(struct rtmp_chunk_decoder *dec)
{
    static const uint8_t k_chunk_size_65536[] = {
        0x02, 0,    0,    0,    0, 0, 4, /* csid 2, fmt 0; time 0; length 4 */
        1,    0,    0,    0,    0,       /* Set Chunk Size; stream id 0 */
        0x00, 0x01, 0x00, 0x00,
    };
    struct rtmp_chunk_limits limits = {1 << 24, 1 << 16, 1 << 24, 64};
    struct buf_reader in =
        buf_reader_from(buf_view_of(k_chunk_size_65536, sizeof k_chunk_size_65536));
    struct rtmp_message message;

    rtmp_chunk_decoder_init(dec, &limits);
    while (rtmp_chunk_decoder_feed(dec, &in, &message) == E_OK)
        continue;
}

static void assert_rtmp_unit(enum body_kind kind, size_t size_bytes, int64_t dts_ms)
{
    const struct media_frame *frame = make_frame(kind, 5, dts_ms * 1000, size_bytes);
    struct rtmp_chunk_decoder dec;
    struct mux_context ctx = {0};
    struct rtmp_message message;
    struct buffer_sink s;
    struct buf_reader in;

    rtmp_decoder_init(&dec);
    sink_init(&s);
    k_formats[FORMAT_RTMP]->write_unit(&s.sink, &ctx, frame, false);
    in = buf_reader_from(buf_writer_view(&s.out));
    assert_int_equal(rtmp_chunk_decoder_feed(&dec, &in, &message), E_OK);
    assert_int_equal(message.type_id, k_bodies[kind].flv_type);
    assert_int_equal(message.stream_id, RTMP_MEDIA_STREAM_ID);
    assert_int_equal(message.timestamp_ms, (uint32_t)dts_ms);
    assert_int_equal(message.payload.size_bytes, frame->size_bytes);
    assert_memory_equal(message.payload.data, frame->body, frame->size_bytes);
    assert_int_equal(in.left_bytes, 0);
    rtmp_chunk_decoder_fini(&dec);
    media_frame_unref(&frame);
    buf_writer_fini(&s.out);
}

static void test_rtmp_unit_is_one_message_of_any_size(void **state)
{
    (void)state;
    assert_rtmp_unit(BODY_AAC, 10, 0);
    assert_rtmp_unit(BODY_AVC_KEY, k_rtmp_limits_default.out_chunk_size, 40);
    assert_rtmp_unit(BODY_AVC_KEY, k_rtmp_limits_default.out_chunk_size + 1, 80);
    assert_rtmp_unit(BODY_AVC_INTER, MAX_BODY_BYTES, 120);
}

static void test_rtmp_unit_has_an_extended_time_stamp_where_it_must(void **state)
{
    (void)state;
    assert_rtmp_unit(BODY_AVC_KEY, 200000, 0xfffffe);
    assert_rtmp_unit(BODY_AVC_KEY, 200000, 0xffffff);
    assert_rtmp_unit(BODY_AVC_KEY, 200000, INT64_C(0x1fedcba98));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flv_unit_is_one_tag_with_the_body_untouched),
        cmocka_unit_test(test_init_is_metadata_then_configs_in_their_order),
        cmocka_unit_test(test_init_of_nothing_is_nothing),
        cmocka_unit_test(test_relay_unit_tells_epoch_run_gop_and_clocks_before_an_entry),
        cmocka_unit_test(test_relay_unit_tells_twice_a_second_and_not_more),
        cmocka_unit_test(test_relay_unit_tells_a_new_path_at_once_and_once),
        cmocka_unit_test(test_relay_idle_is_one_tag_without_a_frame),
        cmocka_unit_test(
            test_relay_unit_tells_our_clock_and_the_trail_with_us_when_the_frame_is_timed),
        cmocka_unit_test(test_relay_unit_tells_no_clock_when_the_frame_is_not_timed),
        cmocka_unit_test(test_relay_unit_tells_its_time_when_an_idle_tag_came_before),
        cmocka_unit_test(test_rtmp_unit_is_one_message_of_any_size),
        cmocka_unit_test(test_rtmp_unit_has_an_extended_time_stamp_where_it_must),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
