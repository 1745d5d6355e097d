/* Media playlists, byte for byte: RFC 8216, bis 4.4.3 to 4.4.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hls/hls.h"

static const char *written(const struct hls_playlist *p)
{
    static char text[8192];
    struct buf_writer w;

    buf_writer_init(&w, sizeof text - 1);
    hls_write_media(&w, p);
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_true(buf_view_to_str(buf_writer_view(&w), text, sizeof text));
    buf_writer_fini(&w);
    return text;
}

static void test_write_media_gives_a_plain_list_for_ts(void **state)
{
    static const struct hls_segment k_segments[] = {
        {.run = 5, .msn = 41, .duration_us = 2000000},
        {.run = 5, .msn = 42, .duration_us = 2002000, .wall_us = 1709251199999999},
        {.run = 6, .msn = 43, .duration_us = 1960000, .discontinuity = true},
    };
    struct hls_playlist p = {.container = HLS_TS,
                             .target_us = 2000000,
                             .segments = k_segments,
                             .n_segments = 3,
                             .base = buf_view_str("x/"),
                             .query = buf_view_str("t=\"a\"")};

    (void)state;
    assert_string_equal(written(&p), "#EXTM3U\n"
                                     "#EXT-X-VERSION:3\n"
                                     "#EXT-X-TARGETDURATION:2\n"
                                     "#EXT-X-MEDIA-SEQUENCE:41\n"
                                     "#EXT-X-INDEPENDENT-SEGMENTS\n"
                                     "#EXTINF:2.000000,\n"
                                     "x/s5-41.ts?t=%22a%22\n"
                                     "#EXT-X-PROGRAM-DATE-TIME:2024-02-29T23:59:59.999Z\n"
                                     "#EXTINF:2.002000,\n"
                                     "x/s5-42.ts?t=%22a%22\n"
                                     "#EXT-X-DISCONTINUITY\n"
                                     "#EXTINF:1.960000,\n"
                                     "x/s6-43.ts?t=%22a%22\n");
}

static void test_write_media_names_the_init_section_where_it_changes(void **state)
{
    static const struct hls_segment k_segments[] = {
        {.run = 5, .msn = 1, .map = 1, .duration_us = 1000000},
        {.run = 5, .msn = 2, .map = 1, .duration_us = 1000000},
        {.run = 5, .msn = 3, .map = 2, .duration_us = 1000000, .gap = true},
        {.run = 6, .msn = 4, .map = 2, .duration_us = 2600000, .discontinuity = true},
    };
    struct hls_playlist p = {.container = HLS_FMP4,
                             .type = HLS_EVENT,
                             .target_us = 1000000,
                             .discontinuity_sequence = 9,
                             .segments = k_segments,
                             .n_segments = 4,
                             .ended = true};

    (void)state;
    assert_string_equal(written(&p), "#EXTM3U\n"
                                     "#EXT-X-VERSION:8\n"
                                     "#EXT-X-TARGETDURATION:3\n" /* the longest, rounded */
                                     "#EXT-X-PLAYLIST-TYPE:EVENT\n"
                                     "#EXT-X-MEDIA-SEQUENCE:1\n"
                                     "#EXT-X-DISCONTINUITY-SEQUENCE:9\n"
                                     "#EXT-X-INDEPENDENT-SEGMENTS\n"
                                     "#EXT-X-MAP:URI=\"i5-1.mp4\"\n"
                                     "#EXTINF:1.000000,\n"
                                     "s5-1.m4s\n"
                                     "#EXTINF:1.000000,\n"
                                     "s5-2.m4s\n"
                                     "#EXT-X-MAP:URI=\"i5-2.mp4\"\n"
                                     "#EXT-X-GAP\n"
                                     "#EXTINF:1.000000,\n"
                                     "s5-3.m4s\n"
                                     "#EXT-X-DISCONTINUITY\n"
                                     "#EXT-X-MAP:URI=\"i6-2.mp4\"\n"
                                     "#EXTINF:2.600000,\n"
                                     "s6-4.m4s\n"
                                     "#EXT-X-ENDLIST\n");
}

static const struct hls_part k_two_parts[] = {{500000, true, false}, {500000, false, true}};

/* Segments of 1 s from msn 10 on, each of two parts. */
static void make_segments(struct hls_segment *segments, size_t n)
{
    for (size_t i = 0; i < n; i++)
        segments[i] = (struct hls_segment){.run = 5,
                                           .msn = 10 + i,
                                           .map = 1,
                                           .duration_us = 1000000,
                                           .parts = k_two_parts,
                                           .n_parts = 2};
}

#define LOW_LATENCY_HEAD                                                                           \
    "#EXTM3U\n"                                                                                    \
    "#EXT-X-VERSION:9\n"                                                                           \
    "#EXT-X-TARGETDURATION:1\n"                                                                    \
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.506000,CAN-SKIP-UNTIL=6.000000\n" \
    "#EXT-X-PART-INF:PART-TARGET=0.502000\n"                                                       \
    "#EXT-X-MEDIA-SEQUENCE:10\n"                                                                   \
    "#EXT-X-INDEPENDENT-SEGMENTS\n"

#define PLAIN(msn) "#EXTINF:1.000000,\ns5-" msn ".m4s\n"
#define WITH_PARTS(msn)                                                        \
    "#EXT-X-PART:DURATION=0.500000,URI=\"s5-" msn ".0.m4s\",INDEPENDENT=YES\n" \
    "#EXT-X-PART:DURATION=0.500000,URI=\"s5-" msn ".1.m4s\",GAP=YES\n" PLAIN(msn)

static void test_write_media_lists_parts_near_the_live_edge_only(void **state)
{
    static const struct hls_part k_open_part[] = {{500000, true, false}};
    static const struct hls_report k_reports[] = {{{(const uint8_t *)"../x_480.m3u8", 13}, 14, 0},
                                                  {{(const uint8_t *)"a", 1}, 14, -1}};
    struct hls_segment segments[5], open = {.run = 5, .msn = 15, .map = 1};
    struct hls_playlist p = {.container = HLS_FMP4,
                             .target_us = 1000000,
                             .part_target_us = 502000,
                             .segments = segments,
                             .n_segments = 5,
                             .open = &open,
                             .reports = k_reports,
                             .n_reports = 2};

    (void)state;
    make_segments(segments, 5);
    open.parts = k_open_part;
    open.n_parts = 1;
    open.wall_us = 1;
    assert_string_equal(
        written(&p), /* from the end of segment 12 to the end of the list: 2.5 s */
        LOW_LATENCY_HEAD "#EXT-X-MAP:URI=\"i5-1.mp4\"\n" PLAIN("10") PLAIN("11") WITH_PARTS("12")
            WITH_PARTS("13") WITH_PARTS(
                "14") "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.000Z\n"
                      "#EXT-X-PART:DURATION=0.500000,URI=\"s5-15.0.m4s\",INDEPENDENT=YES\n"
                      "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s5-15.1.m4s\"\n"
                      "#EXT-X-RENDITION-REPORT:URI=\"../x_480.m3u8\",LAST-MSN=14,LAST-PART=0\n"
                      "#EXT-X-RENDITION-REPORT:URI=\"a\",LAST-MSN=14\n");
}

static void test_write_media_skips_what_lies_before_the_skip_boundary(void **state)
{
    struct hls_segment segments[9], open = {.run = 5, .msn = 19, .map = 1};
    struct hls_playlist p = {.container = HLS_FMP4,
                             .target_us = 1000000,
                             .part_target_us = 502000,
                             .segments = segments,
                             .n_segments = 9,
                             .open = &open,
                             .skip = true};

    (void)state;
    make_segments(segments, 9); /* 10 to 18: of 10, 11 and 12 the end is 6 s or more away */
    assert_string_equal(written(&p), LOW_LATENCY_HEAD
                        "#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n"
                        "#EXT-X-MAP:URI=\"i5-1.mp4\"\n" PLAIN("13") PLAIN("14") PLAIN("15")
                            WITH_PARTS("16") WITH_PARTS("17") WITH_PARTS(
                                "18") "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s5-19.0.m4s\"\n");
}

static void test_write_media_gives_the_full_list_when_nothing_can_be_skipped(void **state)
{
    struct hls_segment segments[6];
    struct hls_playlist p = {.container = HLS_FMP4,
                             .target_us = 1000000,
                             .part_target_us = 502000,
                             .segments = segments,
                             .n_segments = 6,
                             .skip = true};

    (void)state;
    make_segments(segments, 6);
    assert_null(strstr(written(&p), "SKIPPED"));
    assert_non_null(strstr(written(&p), "s5-10.m4s"));
}

static void test_write_media_has_nothing_to_come_when_ended(void **state)
{
    struct hls_segment segments[1], open = {.run = 5, .msn = 11, .map = 1};
    struct hls_playlist p = {.container = HLS_FMP4,
                             .target_us = 1000000,
                             .part_target_us = 502000,
                             .segments = segments,
                             .n_segments = 1,
                             .open = &open,
                             .ended = true};

    (void)state;
    make_segments(segments, 1);
    assert_null(strstr(written(&p), "PRELOAD"));
    assert_non_null(strstr(written(&p), "#EXT-X-ENDLIST\n"));
}

static void test_write_media_starts_with_the_open_segment_when_it_is_the_first(void **state)
{
    struct hls_segment open = {.run = 5, .msn = 77, .parts = k_two_parts, .n_parts = 2};
    struct hls_playlist p = {
        .container = HLS_TS, .target_us = 400000, .part_target_us = 502000, .open = &open};

    (void)state;
    assert_string_equal(written(&p),
                        "#EXTM3U\n"
                        "#EXT-X-VERSION:9\n"
                        "#EXT-X-TARGETDURATION:1\n"
                        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.506000,"
                        "CAN-SKIP-UNTIL=6.000000\n"
                        "#EXT-X-PART-INF:PART-TARGET=0.502000\n"
                        "#EXT-X-MEDIA-SEQUENCE:77\n"
                        "#EXT-X-INDEPENDENT-SEGMENTS\n"
                        "#EXT-X-PART:DURATION=0.500000,URI=\"s5-77.0.ts\",INDEPENDENT=YES\n"
                        "#EXT-X-PART:DURATION=0.500000,URI=\"s5-77.1.ts\",GAP=YES\n"
                        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s5-77.2.ts\"\n");
}

static const struct {
    int64_t wall_s;
    const char *date;
} k_dates[] = {
    {1, "1970-01-01T00:00:01.000Z"},          {951782399, "2000-02-28T23:59:59.000Z"},
    {951782400, "2000-02-29T00:00:00.000Z"},  {951868800, "2000-03-01T00:00:00.000Z"},
    {1704067199, "2023-12-31T23:59:59.000Z"}, {1704067200, "2024-01-01T00:00:00.000Z"},
    {4107542399, "2100-02-28T23:59:59.000Z"}, {4107542400, "2100-03-01T00:00:00.000Z"},
};

static void test_write_media_dates_follow_the_calendar(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_dates / sizeof k_dates[0]; i++) {
        struct hls_segment s = {.duration_us = 1, .wall_us = k_dates[i].wall_s * 1000000};
        struct hls_playlist p = {.segments = &s, .n_segments = 1};

        if (!strstr(written(&p), k_dates[i].date))
            fail_msg("%s is not in %s", k_dates[i].date, written(&p));
    }
}

/* A list that grows is, with its head, what it would be written at once. */
static void test_write_next_adds_what_the_whole_list_has(void **state)
{
    static const struct hls_segment k_segments[] = {
        {.run = 5, .msn = 1, .map = 1, .duration_us = 1000000},
        {.run = 5, .msn = 2, .map = 1, .duration_us = 1500000, .wall_us = 1709251199999999},
        {.run = 5, .msn = 3, .map = 2, .duration_us = 2000000},
        {.run = 6, .msn = 4, .map = 2, .duration_us = 2000000, .discontinuity = true},
    };
    struct hls_playlist p = {.container = HLS_FMP4,
                             .type = HLS_EVENT,
                             .target_us = 2000000,
                             .segments = k_segments,
                             .n_segments = 4};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 4096);
    hls_write_head(&w, &p);
    for (size_t i = 0; i < 4; i++)
        hls_write_next(&w, &p, &k_segments[i], i ? &k_segments[i - 1] : NULL);
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_true(buf_view_equals(buf_writer_view(&w), written(&p)));
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_media_gives_a_plain_list_for_ts),
        cmocka_unit_test(test_write_media_names_the_init_section_where_it_changes),
        cmocka_unit_test(test_write_media_lists_parts_near_the_live_edge_only),
        cmocka_unit_test(test_write_media_skips_what_lies_before_the_skip_boundary),
        cmocka_unit_test(test_write_media_gives_the_full_list_when_nothing_can_be_skipped),
        cmocka_unit_test(test_write_media_has_nothing_to_come_when_ended),
        cmocka_unit_test(test_write_media_starts_with_the_open_segment_when_it_is_the_first),
        cmocka_unit_test(test_write_media_dates_follow_the_calendar),
        cmocka_unit_test(test_write_next_adds_what_the_whole_list_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
