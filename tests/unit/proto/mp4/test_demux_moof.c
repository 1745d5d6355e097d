/* Fragments: as Headwater writes them, and in each form that other muxers use. */
#include "demux_test.h"

static char text[MAX_TEXT], why[192];
static const char *lacks;

static const struct rows k_none[5] = {
    {.type = "stts"}, {.type = NULL}, {.type = "stsc"}, {.type = "stco"}, {.type = NULL}};

static struct file_plan init_plan(void)
{
    struct file_plan plan = k_plan;

    plan.has_fragments = true;
    plan.media = "";
    for (unsigned i = 0; i < 2; i++) {
        struct track_plan *t = &plan.tracks[i];

        t->times = k_none[0];
        t->offsets = k_none[1];
        t->chunks = k_none[2];
        t->places = k_none[3];
        t->keys = k_none[4];
        t->n_samples = 0;
        t->same_bytes = 0;
    }
    return plan;
}

static void put_init(struct buf_writer *w)
{
    const struct file_plan plan = init_plan();

    put_moov(w, &plan, 0);
}

/* Of a full box: values of 32 bits, which begin with version and flags. */
static void put_words(struct buf_writer *w, const char *type, const uint32_t *words, size_t n)
{
    size_t box = mp4_begin_box(w, type);

    for (size_t i = 0; i < n; i++)
        buf_write_u32be(w, words[i]);
    mp4_end_box(w, box);
}
#define WORDS(w, type, ...) \
    put_words(w, type, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void put_media(struct buf_writer *w, const char *media)
{
    size_t mdat = mp4_begin_box(w, "mdat");

    buf_write_str(w, media);
    mp4_end_box(w, mdat);
}

static enum err read_all(const struct buf_writer *w, size_t step, bool can_seek)
{
    return read_in_steps(buf_writer_view(w), step, can_seek, text, why, &lacks);
}

/* --- as Headwater writes them --- */

static const struct codec_params k_video = {.kind = MEDIA_VIDEO, .codec = CODEC_H264};
static const struct codec_params k_audio = {
    .kind = MEDIA_AUDIO, .codec = CODEC_AC3, .audio = {.sample_rate_hz = 48000}};
static const struct codec_params *const k_params[] = {&k_video, &k_audio};

static void put_own_fragments(struct buf_writer *w)
{
    static const struct mp4_sample k_samples[] = {
        {.track = 0, .dts_us = 0, .cts_us = 40000, .size_bytes = 2, .key = true},
        {.track = 1, .dts_us = 8000, .size_bytes = 2, .n_sound = 1536},
        {.track = 0, .dts_us = 40000, .cts_us = -40000, .size_bytes = 3},
        {.track = 1, .dts_us = 40000, .size_bytes = 1, .n_sound = 1536},
        {.track = 1, .dts_us = 72000, .size_bytes = 4, .n_sound = 1536},
        {.track = 0, .dts_us = 80000, .cts_us = 0, .size_bytes = 5, .key = true}};
    static const char *const k_media[] = {"v1a1v2.", "3a4..v3..."};
    struct file_plan plan = init_plan();
    struct mp4_mux mux;
    size_t moov;

    plan.tracks[0].timescale = MP4_VIDEO_TIMESCALE;
    moov = w->used_bytes;
    put_moov(w, &plan, 0);
    assert_true(w->used_bytes > moov);
    mp4_mux_init(&mux, k_params, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct mp4_fragment f = {
            .samples = &k_samples[3 * i], .n_samples = 3, .next_dts_us = {INT64_MIN, INT64_MIN}};

        mp4_write_styp(w);
        assert_int_equal(mp4_write_fragment(w, &mux, &f), E_OK);
        buf_write_str(w, k_media[i]);
    }
}
#define OWN_TEXT                                                            \
    "V config 7\nV key 0+40 v1\nA key 8+0 a1\nV 40+-40 v2.\nA key 40+0 3\n" \
    "A key 72+0 a4..\nV key 80+0 v3...\n"

static void test_own_fragments_come_back_in_every_split(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_own_fragments(&w);
    for (size_t step = 1; step < 2 * w.used_bytes; step = step < 40 ? step + 1 : step * 2) {
        assert_int_equal(read_all(&w, step, false), E_AGAIN);
        assert_string_equal(text, OWN_TEXT);
        assert_null(lacks);
    }
    buf_writer_fini(&w);
}

static void test_fragments_that_are_cut_off_anywhere_give_what_is_there(void **state)
{
    struct buf_writer w;
    size_t n_whole = 0;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_own_fragments(&w);
    for (size_t size = 0; size < w.used_bytes; size++) {
        enum err e = read_in_steps(buf_view_of(w.data, size), 64, false, text, why, &lacks);

        assert_int_equal(e, E_AGAIN);
        assert_memory_equal(text, OWN_TEXT, strlen(text));
        n_whole += !lacks;
    }
    assert_int_equal(n_whole, 4); /* moov, styp, the first fragment, the next styp */
    buf_writer_fini(&w);
}

static void test_any_byte_of_fragments_may_be_any_other(void **state)
{
    static const uint8_t k_values[] = {0, 1, 0x7f, 0x80, 0xff};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_own_fragments(&w);
    for (size_t at = 0; at < w.used_bytes; at++) {
        uint8_t was = w.data[at];

        for (size_t i = 0; i < N_ELEMENTS(k_values); i++) {
            w.data[at] = k_values[i];
            (void)read_all(&w, 64, true);
            assert_in_range(strlen(text), 0, 600);
        }
        w.data[at] = was;
    }
    buf_writer_fini(&w);
}

/* --- as others do --- */

static void test_defaults_bases_and_times_that_are_not_said(void **state)
{
    struct buf_writer w;
    size_t moof, traf;
    uint32_t moof_at;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_init(&w);
    moof_at = (uint32_t)w.used_bytes;
    moof = mp4_begin_box(&w, "moof");
    traf = mp4_begin_box(&w, "traf");
    WORDS(&w, "tfhd", 0x000001, 1, 0, moof_at); /* a base, else as trex says */
    WORDS(&w, "tfdt", 0, 80);
    WORDS(&w, "trun", 0x000005, 2, 148, 0x2000000); /* offset, flags of the first */
    WORDS(&w, "trun", 0x000200, 1, 3);              /* behind those; a size */
    mp4_end_box(&w, traf);
    traf = mp4_begin_box(&w, "traf");
    WORDS(&w, "tfhd", 0, 2); /* behind the traf before; begins at 0 */
    WORDS(&w, "trun", 0, 2);
    mp4_end_box(&w, traf);
    mp4_end_box(&w, moof);
    assert_int_equal(w.used_bytes - moof_at, 140);
    put_media(&w, "v1v2v3.a1a2");
    moof = mp4_begin_box(&w, "moof");
    for (uint32_t i = 0; i < 2; i++) { /* two of one track; times go on */
        traf = mp4_begin_box(&w, "traf");
        WORDS(&w, "tfhd", 0x020018, 2, 480, 1);
        WORDS(&w, "trun", 0x000001, 1, 120 + i);
        mp4_end_box(&w, traf);
    }
    mp4_end_box(&w, moof);
    put_media(&w, "bc");
    assert_int_equal(read_all(&w, 7, false), E_AGAIN);
    assert_string_equal(why, "");
    assert_string_equal(text, "A key 0+0 a1\nA key 32+0 a2\nV config 7\nV key 80+0 v1\n"
                              "V 120+0 v2\nV 160+0 v3.\nA key 64+0 b\nA key 74+0 c\n");
    buf_writer_fini(&w);
}

/* Another moov between fragments: what follows is described by it. */
static void test_another_moov_begins_anew(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_own_fragments(&w);
    put_own_fragments(&w);
    assert_int_equal(read_all(&w, 99, false), E_AGAIN);
    assert_string_equal(text, OWN_TEXT OWN_TEXT);
    buf_writer_fini(&w);
}

static void test_tables_then_fragments_give_both(void **state)
{
    struct file_plan plan = k_plan;
    struct buf_writer w;
    size_t moof, traf;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    plan.has_fragments = true;
    put_file(&w, &plan);
    moof = mp4_begin_box(&w, "moof");
    traf = mp4_begin_box(&w, "traf");
    WORDS(&w, "tfhd", 0x020000, 2);
    WORDS(&w, "tfdt", 0, 48000);
    WORDS(&w, "trun", 0x000001, 1, 76);
    mp4_end_box(&w, traf);
    mp4_end_box(&w, moof);
    put_media(&w, "zz");
    assert_int_equal(read_all(&w, 11, true), E_AGAIN);
    assert_string_equal(text, PLAN_TEXT "A key 1000+0 zz\n");
    assert_null(lacks);
    buf_writer_fini(&w);
}

/* --- wrong --- */

struct bad {
    uint32_t tfhd[4], tfdt[3], trun[6];
    unsigned n_tfhd, n_tfdt, n_trun;
    enum err e;
    const char *said;
};

static void put_bad(struct buf_writer *w, const struct bad *bad)
{
    size_t moof, traf;

    put_init(w);
    moof = mp4_begin_box(w, "moof");
    traf = mp4_begin_box(w, "traf");
    if (bad->n_tfhd)
        put_words(w, "tfhd", bad->tfhd, bad->n_tfhd);
    if (bad->n_tfdt)
        put_words(w, "tfdt", bad->tfdt, bad->n_tfdt);
    put_words(w, "trun", bad->trun, bad->n_trun);
    mp4_end_box(w, traf);
    mp4_end_box(w, moof);
    put_media(w, "0123456789");
}

static void test_fragments_that_are_wrong_are_refused(void **state)
{
    static const struct bad k_bad[] = {
        {.trun = {0, 1}, .n_trun = 2, .e = E_PROTO, .said = "traf at byte"},
        {{0x020000, 7}, {0}, {0, 1}, 2, 0, 2, E_PROTO, "track 7 is not in moov"},
        {{0x020002, 1, 2}, {0}, {0, 1}, 3, 0, 2, E_PROTO, "sample entry 2 of 1"},
        {{0x020008, 1}, {0}, {0, 1}, 2, 0, 2, E_PROTO, "tfhd at byte"},
        {{0x000001, 1, UINT32_MAX, 0}, {0}, {0, 1}, 4, 0, 2, E_PROTO, "tfhd at byte"},
        {{0x020000, 1}, {1 << 24, 1u << 31, 0}, {0, 1}, 2, 3, 2, E_PROTO, "tfdt at byte"},
        {{0x020000, 1}, {1 << 24, 1u << 28, 0}, {0, 1}, 2, 3, 2, E_PROTO, "tfdt at byte"},
        {{0x020000, 1}, {0}, {0x200, 2, 1}, 2, 0, 3, E_PROTO, "2 samples of 4 bytes in 12"},
        {{0x020000, 1}, {0}, {0xf01, UINT32_MAX, 76}, 2, 0, 3, E_PROTO, "4294967295 samples of 16"},
        {{0x020010, 1, 0}, {0}, {1, 9, 64}, 3, 0, 3, E_PROTO, "9 samples without a size"},
        {{0x020000, 1}, {0}, {1, 1, 1u << 31}, 2, 0, 3, E_PROTO, "trun at byte"},
        {{0x020000, 1}, {0}, {1, 1000001, 76}, 2, 0, 3, E_TOO_BIG, "more than 1000000 samples"},
        {{0x020000, 1}, {0}, {1, 6, 60}, 2, 0, 3, E_PROTO, "are not in the mdat"},
        {{0x020000, 1}, {0}, {1, 1, 59}, 2, 0, 3, E_PROTO, "are not in the mdat"},
        {{0x020000, 1}, {0}, {0x201, 1, 64, 1u << 31}, 2, 0, 4, E_PROTO, "are not in the mdat"},
    };
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    for (size_t i = 0; i < N_ELEMENTS(k_bad); i++) {
        buf_writer_clear(&w);
        put_bad(&w, &k_bad[i]);
        assert_int_equal(read_all(&w, 30, true), k_bad[i].e);
        if (!strstr(why, k_bad[i].said))
            fail_msg("\"%s\", not \"%s\"", why, k_bad[i].said);
        assert_string_equal(text, "");
    }
    buf_writer_fini(&w);
}

/* A run of the same ten bytes a thousand times would make much of little. */
static void test_runs_of_the_same_bytes_are_refused(void **state)
{
    struct buf_writer w;
    size_t moof, traf;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_init(&w);
    moof = mp4_begin_box(&w, "moof");
    traf = mp4_begin_box(&w, "traf");
    WORDS(&w, "tfhd", 0x020000, 1);
    WORDS(&w, "trun", 0x1, 4, 80);
    WORDS(&w, "trun", 0x1, 4, 80);
    mp4_end_box(&w, traf);
    mp4_end_box(&w, moof);
    put_media(&w, "0123456789");
    assert_int_equal(read_all(&w, 30, true), E_PROTO);
    assert_non_null(strstr(why, "or are there twice"));
    buf_writer_fini(&w);
}

static void test_moof_without_mdat_is_refused(void **state)
{
    struct buf_writer w;
    size_t moof, traf;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    put_init(&w);
    for (unsigned i = 0; i < 2; i++) {
        moof = mp4_begin_box(&w, "moof");
        traf = mp4_begin_box(&w, "traf");
        WORDS(&w, "tfhd", 0x020000, 1);
        WORDS(&w, "trun", 0x1, 4, 88);
        mp4_end_box(&w, traf);
        mp4_end_box(&w, moof);
    }
    assert_int_equal(read_all(&w, 30, true), E_PROTO);
    assert_non_null(strstr(why, "no mdat between it and the moof before it"));
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_fragments_come_back_in_every_split),
        cmocka_unit_test(test_fragments_that_are_cut_off_anywhere_give_what_is_there),
        cmocka_unit_test(test_any_byte_of_fragments_may_be_any_other),
        cmocka_unit_test(test_defaults_bases_and_times_that_are_not_said),
        cmocka_unit_test(test_another_moov_begins_anew),
        cmocka_unit_test(test_tables_then_fragments_give_both),
        cmocka_unit_test(test_fragments_that_are_wrong_are_refused),
        cmocka_unit_test(test_runs_of_the_same_bytes_are_refused),
        cmocka_unit_test(test_moof_without_mdat_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
