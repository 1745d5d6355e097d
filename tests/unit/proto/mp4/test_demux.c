/* Boxes of the file, tables, edit lists: files that are right, in every split, and files that are
 * wrong. Sample entries and files of FFmpeg are in tests/integration/test_read_mp4.py. */
#include "demux_test.h"

static char text[MAX_TEXT], why[192];
static const char *lacks;

static enum err read_plan(const struct file_plan *plan, size_t step, bool can_seek)
{
    struct buf_writer w;
    enum err e;

    buf_writer_init(&w, 1 << 20);
    put_file(&w, plan);
    e = read_in_steps(buf_writer_view(&w), step, can_seek, text, why, &lacks);
    buf_writer_fini(&w);
    return e;
}

static void test_tables_give_both_tracks_by_decode_time_in_every_split(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        plan.is_behind = i & 1;
        plan.is_large = i & 2;
        for (size_t step = 1; step < 1600; step = step < 40 ? step + 1 : step * 2) {
            assert_int_equal(read_plan(&plan, step, true), E_END);
            assert_string_equal(text, PLAN_TEXT);
            assert_null(lacks);
        }
    }
}

static void test_moov_behind_media_is_not_read_where_nothing_can_go_back(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    assert_int_equal(read_plan(&plan, 100, false), E_END);
    assert_string_equal(text, PLAN_TEXT);
    plan.is_behind = true;
    assert_int_equal(read_plan(&plan, 100, false), E_UNSUPPORTED);
    assert_non_null(strstr(why, "mdat at byte 20: moov is behind the media"));
}

static void test_tables_of_each_form_give_the_same(void **state)
{
    static const unsigned k_bits[] = {4, 8, 16};
    struct file_plan plan = k_plan;

    (void)state;
    for (unsigned i = 0; i < N_ELEMENTS(k_bits); i++) {
        plan.tracks[0].size_bits = k_bits[i];
        assert_int_equal(read_plan(&plan, 7, true), E_END);
        assert_string_equal(text, PLAN_TEXT);
    }
    plan.tracks[0].places.type = "co64";
    plan.tracks[0].chunks = (struct rows)ROWS("stsc", 3, 1, 2, 1, 2, 2, 1);
    plan.tracks[0].times = (struct rows)ROWS("stts", 2, 1, 40, 0, 9, 3, 40);
    assert_int_equal(read_plan(&plan, 7, true), E_END);
    assert_string_equal(text, PLAN_TEXT);
}

static void test_pictures_are_all_keys_without_stss_and_offsets_have_a_sign(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    plan.n_tracks = 1;
    plan.tracks[0].keys.type = NULL;
    plan.tracks[0].offsets = (struct rows)ROWS("ctts", 2, 3, 0, 1, (uint32_t)-40);
    assert_int_equal(read_plan(&plan, 9, true), E_END);
    assert_string_equal(
        text, "V config 7\nV key 0+0 v1.\nV key 40+0 v2\nV key 80+0 3\nV key 120+-40 v4\n");
}

static void test_another_sample_entry_gives_its_configuration(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    plan.n_tracks = 1;
    plan.tracks[0].n_entries = 2;
    plan.tracks[0].chunks = (struct rows)ROWS("stsc", 3, 1, 2, 2, 2, 2, 1);
    assert_int_equal(read_plan(&plan, 9, true), E_END);
    assert_string_equal(text, "V config 7\nV key 0+40 v1.\nV 40+80 v2\nV config 7\nV 80+0 3\n"
                              "V key 120+40 v4\n");
}

/* A pause of 500 ms, then from 40 ms on: the first picture is shown at 500 ms. */
static void test_edit_list_moves_a_track(void **state)
{
    static const uint32_t k_edits[] = {500, UINT32_MAX, 0x10000, 160, 40, 0x10000};
    struct file_plan plan = k_plan;

    (void)state;
    memcpy(plan.tracks[0].edits, k_edits, sizeof k_edits);
    assert_int_equal(read_plan(&plan, 9, true), E_END);
    assert_string_equal(text, "A key 0+0 a1\nA key 32+0 a2\nA key 64+0 a3\nA key 96+0 a4\n"
                              "V config 7\nV key 460+40 v1.\nV 500+80 v2\nV 540+0 3\n"
                              "V key 580+40 v4\n");
    memset(plan.tracks[0].edits, 0, sizeof k_edits);
    memcpy(plan.tracks[0].edits, k_edits + 3, sizeof k_edits / 2);
    assert_int_equal(read_plan(&plan, 9, true), E_END);
    assert_memory_equal(text, "V config 7\nV key -40+40 v1.\nV 0+80 v2\nA key 0+0 a1\n", 51);
}

static void test_edits_that_rearrange_the_media_are_refused(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    memcpy(plan.tracks[0].edits, (uint32_t[]){80, 0, 0x10000, 80, 80, 0x10000}, 24);
    assert_int_equal(read_plan(&plan, 9, true), E_UNSUPPORTED);
    assert_non_null(strstr(why, "track 1: several edits"));
    memcpy(plan.tracks[0].edits, (uint32_t[]){80, 0, 0x8000, 0, 0, 0}, 24);
    assert_int_equal(read_plan(&plan, 9, true), E_UNSUPPORTED);
    assert_non_null(strstr(why, "another rate than 1"));
}

static void test_tracks_that_have_no_place_are_left_out(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    plan.tracks[1].handler = "text";
    assert_int_equal(read_plan(&plan, 9, true), E_END);
    assert_null(strstr(text, "A "));
    plan.tracks[1] = plan.tracks[0]; /* a second one of pictures */
    plan.tracks[1].id = 9;
    assert_int_equal(read_plan(&plan, 9, true), E_END);
    assert_int_equal(strlen(text), strlen("V config 7\nV key 0+40 v1.\nV 40+80 v2\nV 80+0 3\n"
                                          "V key 120+40 v4\n"));
    plan.tracks[0].entry = "mp4v";
    plan.n_tracks = 1;
    assert_int_equal(read_plan(&plan, 9, true), E_UNSUPPORTED);
    assert_non_null(strstr(why, "track 1: sample entry mp4v has no place"));
}

#define BAD(member_, said_, ...)                                 \
    {                                                            \
        offsetof(struct track_plan, member_), __VA_ARGS__, said_ \
    }

static const struct {
    size_t member;
    struct rows rows;
    const char *said;
} k_bad_tables[] = {
    BAD(times, "3 samples, stsz has 4", ROWS("stts", 2, 3, 40)),
    BAD(times, "4294967299 samples", ROWS("stts", 2, UINT32_MAX, 0, 4, 40)),
    BAD(times, "longer than", ROWS("stts", 2, UINT32_MAX, UINT32_MAX, 4, 40)),
    BAD(times, "no stts in it", {.type = NULL}),
    BAD(offsets, "5 samples, stsz has 4", ROWS("ctts", 2, 5, 40)),
    BAD(chunks, "6 samples in 2 chunks", ROWS("stsc", 3, 1, 3, 1)),
    BAD(chunks, "0 samples of sample entry 1 of 1", ROWS("stsc", 3, 1, 0, 1)),
    BAD(chunks, "sample entry 2 of 1", ROWS("stsc", 3, 1, 2, 2)),
    BAD(chunks, "sample entry 0 of 1", ROWS("stsc", 3, 1, 2, 0)),
    BAD(chunks, "chunk 2 after 0, of 2", ROWS("stsc", 3, 2, 2, 1)),
    BAD(chunks, "chunk 1 after 1, of 2", ROWS("stsc", 3, 1, 2, 1, 1, 2, 1)),
    BAD(chunks, "chunk 3 after 1, of 2", ROWS("stsc", 3, 1, 2, 1, 3, 2, 1)),
    BAD(chunks, "in 2 chunks", ROWS("stsc", 3, 1, UINT32_MAX, 1)),
    BAD(places, "2 samples in 1 chunks", ROWS("stco", 1, 0)),
    BAD(keys, "sample 5 after 1, of 4", ROWS("stss", 1, 1, 5)),
    BAD(keys, "sample 1 after 1, of 4", ROWS("stss", 1, 1, 1)),
    BAD(keys, "sample 0 after 0, of 4", ROWS("stss", 1, 0)),
};

static void test_tables_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_bad_tables); i++) {
        struct file_plan plan = k_plan;

        memcpy((char *)&plan.tracks[0] + k_bad_tables[i].member, &k_bad_tables[i].rows,
               sizeof(struct rows));
        assert_int_equal(read_plan(&plan, 50, true), E_PROTO);
        if (!strstr(why, k_bad_tables[i].said))
            fail_msg("\"%s\", not \"%s\"", why, k_bad_tables[i].said);
        assert_non_null(strstr(why, " at byte "));
        assert_string_equal(text, "");
    }
}

/* What is claimed costs nothing: rows and samples that are not there. */
static void test_counts_above_what_is_there_are_refused(void **state)
{
    static const size_t k_members[] = {
        offsetof(struct track_plan, times), offsetof(struct track_plan, offsets),
        offsetof(struct track_plan, chunks), offsetof(struct track_plan, places),
        offsetof(struct track_plan, keys)};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_members); i++) {
        struct file_plan plan = k_plan;
        struct rows *rows = (struct rows *)(void *)((char *)&plan.tracks[0] + k_members[i]);

        rows->claims = UINT32_MAX;
        assert_int_equal(read_plan(&plan, 50, true), E_PROTO);
        assert_non_null(strstr(why, "4294967295 rows of "));
        assert_memory_equal(why, rows->type, 4);
    }
}

/* A million chunks of one place would be an endless file. */
static void test_chunks_that_overlap_are_refused(void **state)
{
    static uint32_t same_place[3000];
    char media[1000] = "";
    struct file_plan plan = k_plan;

    (void)state;
    memset(media, 'x', sizeof media - 1);
    plan.n_tracks = 1;
    plan.tracks[0].same_bytes = 900;
    plan.tracks[0].sizes = NULL;
    plan.tracks[0].n_samples = N_ELEMENTS(same_place);
    plan.tracks[0].times = (struct rows)ROWS("stts", 2, N_ELEMENTS(same_place), 40);
    plan.tracks[0].offsets.type = plan.tracks[0].keys.type = NULL;
    plan.tracks[0].chunks = (struct rows)ROWS("stsc", 3, 1, 1, 1);
    plan.tracks[0].places = (struct rows){
        .type = "stco", .n = 3000, .values = same_place, .n_values = N_ELEMENTS(same_place)};
    plan.media = media;
    assert_int_equal(read_plan(&plan, 5000, true), E_PROTO);
    assert_non_null(strstr(why, "moov at byte 28: samples overlap: "));
}

/* Two sample entries that take turns: of each frame there would be a long configuration. */
static void test_configurations_that_come_again_and_again_are_refused(void **state)
{
    struct file_plan plan = k_plan;

    (void)state;
    plan.n_tracks = 1;
    plan.is_behind = true;
    plan.tracks[0].n_entries = 2;
    plan.tracks[0].padding_bytes = 300000;
    plan.tracks[0].chunks = (struct rows)ROWS("stsc", 3, 1, 1, 1, 2, 1, 2, 3, 1, 1, 4, 1, 2);
    plan.tracks[0].places = (struct rows)ROWS("stco", 1, 0, 3, 13, 14);
    assert_int_equal(read_plan(&plan, 65536, true), E_TOO_BIG);
    assert_string_equal(text, "V config 300007\nV key 0+40 v1.\nV config 300007\nV 40+80 v2\n"
                              "V config 300007\nV 80+0 3\n");
    assert_non_null(strstr(why, "configurations come again and again: 1200028 bytes"));
}

static void test_samples_above_the_limit_are_refused(void **state)
{
    static const uint32_t k_sizes[] = {3, 2, 1, 1001};
    struct file_plan plan = k_plan;

    (void)state;
    plan.tracks[0].sizes = k_sizes;
    assert_int_equal(read_plan(&plan, 50, true), E_TOO_BIG);
    assert_non_null(strstr(why, "1001 bytes > limit 1000"));
}

static void test_boxes_of_impossible_size_are_refused(void **state)
{
    static const struct {
        uint8_t bytes[24];
        size_t n;
        enum err e;
        const char *said;
    } k_bad[] = {
        {"\0\0\0\7free", 8, E_PROTO, "free at byte 0: impossible size 7"},
        {"\0\0\0\1free\0\0\0\0\0\0\0\17", 16, E_PROTO, "impossible size 15"},
        {"\0\0\0\1free\0\0\0\0\0\0\0\0", 16, E_PROTO, "impossible size 1"},
        {"\0\0\0\1free\xff\xff\xff\xff\xff\xff\xff\xff", 16, E_PROTO, "impossible size 184467"},
        {"\0\0\0\10free\0\0\0\1free\x7f\xff\xff\xff\xff\xff\xff\xff", 24, E_PROTO, "at byte 8"},
        {"\0\0\0\0moov", 8, E_PROTO, "does not say its size"},
        {"\xff\xff\xff\xffmoov", 8, E_TOO_BIG, "4294967295 bytes > limit 268435456"},
        {"\0\0\0\10moov", 8, E_PROTO, "moov at byte 0: no mvhd in it"},
        {"\0\0\0\10moof", 8, E_PROTO, "moof at byte 0: no moov before it"},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_bad); i++) {
        enum err e =
            read_in_steps(buf_view_of(k_bad[i].bytes, k_bad[i].n), 3, true, text, why, &lacks);

        assert_int_equal(e, k_bad[i].e);
        if (!strstr(why, k_bad[i].said))
            fail_msg("\"%s\", not \"%s\"", why, k_bad[i].said);
    }
}

static void test_file_that_is_cut_off_anywhere_gives_what_is_there(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_file(&w, &k_plan);
    for (size_t size = 0; size < w.used_bytes; size++) {
        enum err e = read_in_steps(buf_view_of(w.data, size), 40, true, text, why, &lacks);

        assert_int_equal(e, E_AGAIN);
        assert_non_null(lacks);
        assert_memory_equal(text, PLAN_TEXT, strlen(text));
    }
    buf_writer_fini(&w);
}

/* Whatever a byte is, reading ends, and gives no more than a file of this size can have. */
static void test_any_byte_may_be_any_other(void **state)
{
    static const uint8_t k_values[] = {0, 1, 0x7f, 0x80, 0xff};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_file(&w, &k_plan);
    for (size_t at = 0; at < w.used_bytes; at++) {
        uint8_t was = w.data[at];

        for (size_t i = 0; i < N_ELEMENTS(k_values); i++) {
            w.data[at] = k_values[i];
            (void)read_in_steps(buf_writer_view(&w), 64, true, text, why, &lacks);
            assert_in_range(strlen(text), 0, 600);
        }
        w.data[at] = was;
    }
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_give_both_tracks_by_decode_time_in_every_split),
        cmocka_unit_test(test_moov_behind_media_is_not_read_where_nothing_can_go_back),
        cmocka_unit_test(test_tables_of_each_form_give_the_same),
        cmocka_unit_test(test_pictures_are_all_keys_without_stss_and_offsets_have_a_sign),
        cmocka_unit_test(test_another_sample_entry_gives_its_configuration),
        cmocka_unit_test(test_edit_list_moves_a_track),
        cmocka_unit_test(test_edits_that_rearrange_the_media_are_refused),
        cmocka_unit_test(test_tracks_that_have_no_place_are_left_out),
        cmocka_unit_test(test_tables_that_contradict_each_other_are_refused),
        cmocka_unit_test(test_counts_above_what_is_there_are_refused),
        cmocka_unit_test(test_chunks_that_overlap_are_refused),
        cmocka_unit_test(test_configurations_that_come_again_and_again_are_refused),
        cmocka_unit_test(test_samples_above_the_limit_are_refused),
        cmocka_unit_test(test_boxes_of_impossible_size_are_refused),
        cmocka_unit_test(test_file_that_is_cut_off_anywhere_gives_what_is_there),
        cmocka_unit_test(test_any_byte_may_be_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
