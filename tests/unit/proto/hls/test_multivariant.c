/* Multivariant playlists and what their figures are measured from: bis 4.4.6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hls/hls.h"

static void test_write_multivariant_leaves_out_what_is_not_known(void **state)
{
    static const struct hls_variant k_variants[] = {
        {.uri = {(const uint8_t *)"x_720/index.m3u8", 16},
         .codecs = {"avc1.64001f", "mp4a.40.2"},
         .width = 1280,
         .height = 720,
         .fps_num = 30000,
         .fps_den = 1001,
         .peak_bps = 2500000,
         .average_bps = 2100000,
         .video_range = "SDR"},
        {.uri = {(const uint8_t *)"a b.m3u8", 8}, .codecs = {NULL, "opus"}, .peak_bps = 64000},
        {.uri = {(const uint8_t *)"v.m3u8", 6},
         .codecs = {"hvc1.1.6.L93.B0", NULL},
         .fps_num = 25,
         .fps_den = 1,
         .peak_bps = 1},
        {.uri = {(const uint8_t *)"u.m3u8", 6}, .peak_bps = 2},
    };
    char text[1024];
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, sizeof text - 1);
    hls_write_multivariant(&w, k_variants, 4);
    assert_true(buf_view_to_str(buf_writer_view(&w), text, sizeof text));
    buf_writer_fini(&w);
    assert_string_equal(
        text, "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n"
              "#EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2100000,"
              "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,"
              "VIDEO-RANGE=SDR\n"
              "x_720/index.m3u8\n"
              "#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"opus\"\n"
              "a%20b.m3u8\n"
              "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"hvc1.1.6.L93.B0\",FRAME-RATE=25.000\n"
              "v.m3u8\n"
              "#EXT-X-STREAM-INF:BANDWIDTH=2\n"
              "u.m3u8\n");
}

static void test_measure_gives_the_peak_and_the_average_without_gaps(void **state)
{
    static const struct hls_segment k_segments[] = {
        {.duration_us = 2000000, .size_bytes = 250000},         /* 1 Mb/s */
        {.duration_us = 1000000, .size_bytes = 500000},         /* 4 Mb/s */
        {.duration_us = 9000000, .size_bytes = 1, .gap = true}, /* nothing */
        {.duration_us = 0, .size_bytes = 1000},                 /* likewise */
        {.duration_us = 1000000, .size_bytes = 125001},
    };
    uint64_t peak_bps = 1, average_bps = 1;

    (void)state;
    hls_measure(k_segments, 5, &peak_bps, &average_bps);
    assert_int_equal(peak_bps, 4000000);
    assert_int_equal(average_bps, 1750002);
    hls_measure(k_segments, 0, &peak_bps, &average_bps);
    assert_int_equal(peak_bps, 0);
    assert_int_equal(average_bps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_multivariant_leaves_out_what_is_not_known),
        cmocka_unit_test(test_measure_gives_the_peak_and_the_average_without_gaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
