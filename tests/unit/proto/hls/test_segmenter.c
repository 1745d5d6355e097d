/* Borders of segments and parts, seen from any point of a stream on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hls/segmenter.h"

enum { MAX_FRAMES = 4000, MAX_PIECES = 1000 };

/* A stream as an origin numbers it, and what a segmenter makes of it. */
struct stream {
    struct hls_frame frames[MAX_FRAMES];
    size_t n_frames;
};
struct pieces {
    struct hls_piece segments[MAX_PIECES], parts[MAX_PIECES];
    size_t n_segments, n_parts, n_outside;
    uint64_t inside_bytes;
};

static void push(struct stream *s, enum media_kind kind, bool entry, int64_t dts_us, uint64_t gop)
{
    assert_true(s->n_frames < MAX_FRAMES);
    s->frames[s->n_frames] = (struct hls_frame){
        .kind = kind,
        .entry = entry,
        .dts_us = dts_us,
        .gop = gop,
        .size_bytes = 100 + s->n_frames % 7,
    };
    s->n_frames++;
}

/* Video at fps, a GOP each gop_frames, its times rounded to milliseconds as RTMP has them; sound of
 * 1024 samples at 44100 Hz between. */
static struct stream *make_av(unsigned fps, unsigned gop_frames, unsigned n_video)
{
    struct stream *s = calloc(1, sizeof *s);
    unsigned n_audio = 0;
    uint64_t gop = 0;

    assert_non_null(s);
    for (unsigned i = 0; i < n_video; i++) {
        int64_t dts_us = (int64_t)i * 1000 / fps * 1000;

        for (; (int64_t)n_audio * 1024000 / 44100 * 1000 < dts_us; n_audio++)
            push(s, MEDIA_AUDIO, false, (int64_t)n_audio * 1024000 / 44100 * 1000, gop);
        gop += i % gop_frames == 0;
        push(s, MEDIA_VIDEO, i % gop_frames == 0, dts_us, gop);
    }
    return s;
}

static struct stream *make_audio_only(unsigned n_audio)
{
    struct stream *s = calloc(1, sizeof *s);
    int64_t entry_us = 0;
    uint64_t gop = 0;

    assert_non_null(s);
    for (unsigned i = 0; i < n_audio; i++) {
        int64_t dts_us = (int64_t)i * 1024000 / 48000 * 1000;
        bool entry = i == 0 || dts_us - entry_us >= 1000000;

        if (entry)
            entry_us = dts_us;
        gop += entry;
        push(s, MEDIA_AUDIO, entry, dts_us, gop);
    }
    return s;
}

static void note(struct pieces *p, unsigned bits, const struct hls_cut *cut)
{
    assert_true(p->n_segments < MAX_PIECES && p->n_parts < MAX_PIECES);
    if (bits & HLS_ENDS_PART)
        p->parts[p->n_parts++] = cut->part;
    if (bits & HLS_ENDS_SEGMENT)
        p->segments[p->n_segments++] = cut->segment;
    if (bits & HLS_ENDS_SEGMENT)
        assert_true(!!(bits & HLS_ENDS_PART) == (cut->segment.part > 0));
}

/* Feeds frames from on; those in [lost, lost_end) do not come. */
static struct pieces *run_without(const struct stream *s, const struct hls_segmenter_conf *conf,
                                  size_t from, size_t lost, size_t lost_end)
{
    struct pieces *p = calloc(1, sizeof *p);
    struct hls_segmenter seg;
    struct hls_cut cut;

    assert_non_null(p);
    hls_segmenter_init(&seg, conf);
    for (size_t i = from; i < s->n_frames; i++) {
        unsigned bits;

        if (i >= lost && i < lost_end)
            continue;
        bits = hls_segmenter_feed(&seg, &s->frames[i], &cut);
        note(p, bits, &cut);
        p->n_outside += !!(bits & HLS_OUTSIDE);
        p->inside_bytes += bits & HLS_OUTSIDE ? 0 : s->frames[i].size_bytes;
        if (bits & HLS_BEGINS_SEGMENT)
            assert_int_equal(seg.segment.start_us, s->frames[i].dts_us);
    }
    note(p, hls_segmenter_end(&seg, &cut), &cut);
    assert_int_equal(hls_segmenter_end(&seg, &cut), 0);
    return p;
}

static struct pieces *run(const struct stream *s, const struct hls_segmenter_conf *conf)
{
    return run_without(s, conf, 0, 0, 0);
}

static bool same_piece(const struct hls_piece *a, const struct hls_piece *b)
{
    return a->msn == b->msn && a->part == b->part && a->start_us == b->start_us &&
           a->duration_us == b->duration_us && a->size_bytes == b->size_bytes &&
           a->n_frames == b->n_frames && a->independent == b->independent && a->whole == b->whole;
}

/* All that late has is what all has at its end. */
static void assert_tail(const struct pieces *all, const struct pieces *late)
{
    assert_true(late->n_segments <= all->n_segments && late->n_parts <= all->n_parts);
    for (size_t i = 1; i <= late->n_segments; i++)
        assert_true(
            same_piece(&late->segments[late->n_segments - i], &all->segments[all->n_segments - i]));
    for (size_t i = 1; i <= late->n_parts; i++)
        assert_true(same_piece(&late->parts[late->n_parts - i], &all->parts[all->n_parts - i]));
}

/* Frames from there on that begin a segment of two GOPs. */
static size_t n_starts_from(const struct stream *s, size_t from)
{
    size_t n = 0;

    for (size_t i = from; i < s->n_frames; i++)
        n += s->frames[i].entry && s->frames[i].gop % 2 == 1;
    return n;
}

static void test_feed_gives_the_same_pieces_wherever_it_begins(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 2, 1, 100, 200000, 0};
    struct stream *s = make_av(30, 30, 30 * 9);
    struct pieces *all = run(s, &k_conf);

    (void)state;
    assert_int_equal(all->n_segments, 5);
    for (size_t from = 0; from < s->n_frames; from++) {
        struct pieces *late = run_without(s, &k_conf, from, 0, 0);

        assert_tail(all, late);
        assert_int_equal(late->n_segments, n_starts_from(s, from)); /* only what ran is missed */
        free(late);
    }
    free(all);
    free(s);
}

static void test_feed_gives_the_same_pieces_of_audio_wherever_it_begins(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_AUDIO, 2, 1, 0, 300000, 0};
    struct stream *s = make_audio_only(500);
    struct pieces *all = run(s, &k_conf);

    (void)state;
    assert_true(all->n_segments == 6);
    for (size_t from = 0; from < s->n_frames; from++) {
        struct pieces *late = run_without(s, &k_conf, from, 0, 0);

        assert_tail(all, late);
        assert_int_equal(late->n_segments, n_starts_from(s, from));
        free(late);
    }
    for (size_t i = 0; i < all->n_parts; i++)
        assert_true(all->parts[i].independent);
    free(all);
    free(s);
}

/* Sound alone of a stream that has video: nothing marks the beginning of its GOPs. */
static void test_feed_cuts_audio_where_the_gop_number_changes(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_AUDIO, 1, 1, 0, 0, 0};
    struct stream *s = make_av(25, 50, 300);
    struct pieces *all = run(s, &k_conf);

    (void)state;
    assert_int_equal(all->n_segments, 5); /* the first is not known to be whole */
    for (size_t i = 0; i < all->n_segments; i++) {
        assert_int_equal(all->segments[i].msn, i + 1);
        assert_true(llabs(all->segments[i].start_us - (int64_t)(i + 1) * 2000000) <= 24000);
    }
    free(all);
    free(s);
}

static void test_feed_gives_pieces_that_add_up(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 4, 1, 0, 200000, 0};
    struct stream *s = make_av(25, 12, 1000);
    struct pieces *all = run(s, &k_conf);
    uint64_t bytes = 0;
    size_t part = 0;

    (void)state;
    for (size_t i = 0; i < all->n_segments; i++) {
        const struct hls_piece *segment = &all->segments[i];
        int64_t at_us = segment->start_us;
        uint64_t part_bytes = 0;
        uint32_t n_frames = 0;

        assert_int_equal(segment->msn, i);
        for (uint32_t k = 0; k < segment->part; k++, part++) {
            assert_int_equal(all->parts[part].msn, i);
            assert_int_equal(all->parts[part].part, k);
            assert_int_equal(all->parts[part].start_us, at_us);
            at_us += all->parts[part].duration_us;
            part_bytes += all->parts[part].size_bytes;
            n_frames += all->parts[part].n_frames;
        }
        assert_int_equal(at_us, segment->start_us + segment->duration_us);
        assert_int_equal(part_bytes, segment->size_bytes);
        assert_int_equal(n_frames, segment->n_frames);
        bytes += part_bytes;
        if (i + 1 < all->n_segments)
            assert_int_equal(at_us, all->segments[i + 1].start_us);
    }
    assert_int_equal(part, all->n_parts);
    assert_int_equal(bytes, all->inside_bytes);
    assert_int_equal(all->n_outside, 0);
    free(all);
    free(s);
}

static void test_feed_gives_parts_up_to_the_target_at_every_frame_rate(void **state)
{
    static const unsigned k_fps[] = {10, 15, 24, 25, 30, 50, 60, 120};
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 1, 1, 0, 200000, 0};

    (void)state;
    for (size_t i = 0; i < sizeof k_fps / sizeof k_fps[0]; i++) {
        unsigned fps = k_fps[i];
        struct stream *s = make_av(fps, fps * 2, fps * 8);
        struct pieces *all = run(s, &k_conf);
        unsigned n_most = fps / 5; /* as many frames as 200 ms have room for */

        assert_int_equal(all->n_segments, 4);
        for (size_t k = 0; k < all->n_parts; k++) {
            const struct hls_piece *part = &all->parts[k];
            bool last = k + 1 == all->n_parts || all->parts[k + 1].part == 0;

            assert_true(part->duration_us <= 200000 + HLS_PART_SLACK_US);
            if (!last && part->n_frames != n_most)
                fail_msg("%u fps: part %zu has %u frames", fps, k, part->n_frames);
            assert_true(part->independent == (part->part == 0));
        }
        free(all);
        free(s);
    }
}

static void test_feed_starts_a_part_at_each_gop(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 2, 1, 0, 300000, 0};
    struct stream *s = make_av(25, 20, 40); /* GOPs of 800 ms: 280 + 280 + 240 */
    struct pieces *all = run(s, &k_conf);

    (void)state;
    assert_int_equal(all->n_segments, 1);
    assert_int_equal(all->n_parts, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(all->parts[i].independent, i % 3 == 0);
        assert_int_equal(all->parts[i].duration_us, i % 3 == 2 ? 240000 : 280000);
    }
    free(all);
    free(s);
}

static size_t first_of_gop(const struct stream *s, uint64_t gop)
{
    size_t i = 0;

    while (i < s->n_frames && !(s->frames[i].gop == gop && s->frames[i].kind == MEDIA_VIDEO))
        i++;
    return i;
}

static void test_feed_leaves_numbers_out_when_gops_are_missing(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 2, 1, 0, 0, 0};
    static const uint64_t k_msn[] = {0, 1, 4}; /* GOPs 1 2 | 3 . | . . | . 8 | 9 10 */
    struct stream *s = make_av(25, 25, 250);
    struct pieces *p = run_without(s, &k_conf, 0, first_of_gop(s, 4), first_of_gop(s, 8));

    (void)state;
    assert_int_equal(p->n_segments, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(p->segments[i].msn, k_msn[i]);
        assert_int_equal(p->segments[i].whole, i != 1);
    }
    free(p);
    free(s);
}

static void test_feed_waits_for_the_next_segment_when_a_key_frame_is_missing(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 2, 1, 0, 0, 0};
    struct stream *s = make_av(25, 25, 150);
    size_t key = first_of_gop(s, 2);
    struct pieces *p = run_without(s, &k_conf, 0, key, key + 1);

    (void)state;
    assert_int_equal(p->n_segments, 3);
    assert_false(p->segments[0].whole);
    assert_true(p->segments[0].duration_us <= 1040000);
    assert_int_equal(p->segments[1].msn, 1);
    assert_true(p->segments[1].whole);
    assert_true(p->n_outside > 0);
    free(p);
    free(s);
}

static void test_feed_numbers_from_the_given_place_on(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 2, 4, 1000, 0, 0};
    struct stream *s = make_av(25, 25, 200); /* GOPs 1 to 8 */
    struct pieces *p = run(s, &k_conf);

    (void)state;
    assert_int_equal(p->n_segments, 3);
    assert_int_equal(p->segments[0].msn, 1000);
    assert_int_equal(p->segments[0].start_us, 3000000);
    assert_false(p->segments[2].whole); /* GOP 8 alone */
    assert_int_equal(p->segments[2].duration_us, 1000000);
    free(p);
    free(s);
}

static void test_feed_makes_the_first_segment_shorter_by_what_is_skipped(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 4, 1, 10, 200000, 3};
    struct stream *s = make_av(25, 25, 25 * 14);
    struct pieces *all = run(s, &k_conf);

    (void)state;
    assert_int_equal(all->segments[0].msn, 10);
    assert_int_equal(all->segments[0].duration_us, 1000000);
    assert_true(all->segments[0].whole);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(all->segments[i].msn, 10 + i);
        assert_int_equal(all->segments[i].start_us, (4 * i - 3) * 1000000);
        assert_int_equal(all->segments[i].duration_us, 4000000);
        assert_true(all->segments[i].whole);
    }
    for (size_t from = 1; from < s->n_frames; from += 37) {
        struct pieces *late = run_without(s, &k_conf, from, 0, 0);

        assert_tail(all, late);
        free(late);
    }
    free(all);
    free(s);
}

static void test_skipped_gops_gives_the_place_in_a_segment_of_the_source(void **state)
{
    static const struct {
        int64_t start_us, gop_us;
        unsigned n_gops, skipped;
    } k_cases[] = {
        {0, 1000000, 2, 0},       {3000000, 1000000, 2, 1},        {2920000, 1000000, 2, 1},
        {3080000, 1000000, 2, 1}, {1001 * 1001000, 1001000, 2, 1}, {5500000, 500000, 4, 3},
        {5500000, 2000000, 1, 0}, {-1000, 1000000, 2, 0},          {5000000, 0, 2, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        assert_int_equal(
            hls_skipped_gops(k_cases[i].start_us, k_cases[i].gop_us, k_cases[i].n_gops),
            k_cases[i].skipped);
}

static void test_feed_survives_times_that_stand_still_or_go_back(void **state)
{
    static const struct hls_segmenter_conf k_conf = {MEDIA_VIDEO, 1, 1, 0, 200000, 0};
    static const int64_t k_dts_us[] = {0, 0, INT64_MAX / 4, 5, 5, 400000, 100, 100};
    struct hls_segmenter seg;
    struct hls_cut cut;

    (void)state;
    hls_segmenter_init(&seg, &k_conf);
    for (size_t i = 0; i < sizeof k_dts_us / sizeof k_dts_us[0]; i++) {
        struct hls_frame frame = {MEDIA_VIDEO, i % 3 == 0, k_dts_us[i], 1 + i / 3, 10};
        unsigned bits = hls_segmenter_feed(&seg, &frame, &cut);

        if (bits & HLS_ENDS_PART)
            assert_true(cut.part.duration_us >= 0);
        if (bits & HLS_ENDS_SEGMENT)
            assert_true(cut.segment.duration_us >= 0);
    }
}

static const struct {
    int64_t gop_ms, target_ms;
    unsigned n_gops;
} k_counts[] = {
    {2000, 2000, 1}, {1000, 2000, 2}, {10000, 2000, 1}, {1001, 2000, 2},    {999, 2000, 2},
    {500, 2000, 4},  {40, 2000, 64},  {1500, 2000, 1},  {1400, 2000, 2},    {1420, 2000, 1},
    {3000, 6000, 2}, {4000, 6000, 2}, {4300, 6000, 1},  {1, 6000000, 1024}, {0, 2000, 1},
    {-1, 2000, 1},   {1000, 0, 1},
};

static void test_gops_per_segment_gives_the_nearest_power_of_two(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_counts / sizeof k_counts[0]; i++) {
        unsigned n = hls_gops_per_segment(k_counts[i].gop_ms * 1000, k_counts[i].target_ms * 1000);

        if (n != k_counts[i].n_gops)
            fail_msg("row %zu: %u", i, n);
    }
}

static void test_end_takes_the_last_frame_to_be_as_long_as_those_of_the_gop_before(void **state)
{
    struct hls_segmenter_conf conf = {.lead = MEDIA_VIDEO, .gops_per_segment = 1, .first_gop = 1};
    struct hls_frame frame = {.kind = MEDIA_VIDEO, .size_bytes = 1};
    struct hls_segmenter s;
    struct hls_cut cut;

    (void)state;
    hls_segmenter_init(&s, &conf);
    for (unsigned i = 0; i <= 25; i++) { /* the last one is the first one of its GOP */
        frame.entry = i % 25 == 0;
        frame.gop = 1 + i / 25;
        frame.dts_us = 40000 * i;
        (void)hls_segmenter_feed(&s, &frame, &cut);
    }
    assert_true(hls_segmenter_end(&s, &cut) & HLS_ENDS_SEGMENT);
    assert_int_equal(cut.segment.duration_us, 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_the_same_pieces_wherever_it_begins),
        cmocka_unit_test(test_feed_gives_the_same_pieces_of_audio_wherever_it_begins),
        cmocka_unit_test(test_feed_cuts_audio_where_the_gop_number_changes),
        cmocka_unit_test(test_feed_gives_pieces_that_add_up),
        cmocka_unit_test(test_feed_gives_parts_up_to_the_target_at_every_frame_rate),
        cmocka_unit_test(test_feed_starts_a_part_at_each_gop),
        cmocka_unit_test(test_feed_leaves_numbers_out_when_gops_are_missing),
        cmocka_unit_test(test_feed_waits_for_the_next_segment_when_a_key_frame_is_missing),
        cmocka_unit_test(test_feed_numbers_from_the_given_place_on),
        cmocka_unit_test(test_feed_makes_the_first_segment_shorter_by_what_is_skipped),
        cmocka_unit_test(test_skipped_gops_gives_the_place_in_a_segment_of_the_source),
        cmocka_unit_test(test_feed_survives_times_that_stand_still_or_go_back),
        cmocka_unit_test(test_gops_per_segment_gives_the_nearest_power_of_two),
        cmocka_unit_test(test_end_takes_the_last_frame_to_be_as_long_as_those_of_the_gop_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
