/* MP4 of a feed, as who joins at an entry point gets it, read by a reader of its own. */
#include "tests/unit/node/stream/es_test.h"
#include "tests/unit/proto/mp4/mp4_test.h"

/* The init section of the last entry point, then the units from there on. */
static struct read_movie *read_from(const struct es_rig *r, size_t at, struct buf_writer *file)
{
    buf_writer_init(file, 1 << 22);
    buf_write_view(file, buf_writer_view(&r->init));
    buf_write(file, r->out.data + at, r->out.used_bytes - at);
    return read_movie(buf_writer_view(file));
}

static bool is_moov(struct buf_view bytes)
{
    return bytes.size_bytes > 8 && !memcmp(bytes.data + 4, "ftyp", 4);
}

static void begin(struct es_rig *r)
{
    es_init(r, FORMAT_MP4);
    assert_int_equal(es_config(r, CODEC_H264, ES(k_avc_config)), 0);
    assert_int_equal(es_config(r, CODEC_AAC, ES(k_aac_44k)), 0);
}

static void test_unit_is_one_fragment_and_init_names_the_tracks(void **state)
{
    struct read_movie *m;
    struct buf_writer file;
    struct es_rig r;

    (void)state;
    begin(&r);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(es_video(&r, i % 10 == 0, i * 40000) > 0);
        assert_false(is_moov(r.last)); /* who starts has it as init data */
        assert_true(es_audio(&r, i * 40000 + 5000, false) > 0);
    }
    m = read_from(&r, 0, &file);
    assert_int_equal(m->n_tracks, 2);
    assert_int_equal(m->n_fragments, 40);
    for (unsigned i = 0; i < 40; i++) {
        const struct read_sample *s = &m->samples[i];

        assert_int_equal(s->track, i % 2);
        assert_int_equal(s->dts, i % 2 ? ((i / 2 * 40000 + 5000) * 441ull + 5000) / 10000
                                       : i / 2 * 3600ull);
        assert_int_equal(s->data.size_bytes, i % 2 ? 4 : i % 20 ? 7 : 8);
    }
    free(m);
    buf_writer_fini(&file);
    es_fini(&r);
}

static void test_track_that_lies_ahead_is_in_the_first_init_section(void **state)
{
    const struct media_frame *config = es_frame(CODEC_AAC, FRAME_CONFIG, 600000, ES(k_aac_44k));
    struct read_movie *m;
    struct buf_writer file;
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_MP4);
    assert_int_equal(es_config(&r, CODEC_H264, ES(k_avc_config)), 0);
    r.format->look(&r.ctx, config); /* in the cache, behind the key frame */
    for (unsigned i = 0; i < 20; i++) {
        assert_true(es_video(&r, i == 0, i * 40000) > 0);
        if (i == 15)
            assert_int_equal(es_config(&r, CODEC_AAC, ES(k_aac_44k)), 0);
    }
    m = read_from(&r, 0, &file);
    assert_int_equal(m->n_tracks, 2);
    free(m);
    buf_writer_fini(&file);
    media_frame_unref(&config);
    es_fini(&r);
}

static void test_changed_track_waits_for_the_entry_point_that_tells_it(void **state)
{
    struct read_movie *m;
    struct buf_writer file;
    struct es_rig r;
    uint32_t version;
    size_t at;

    (void)state;
    begin(&r);
    es_video(&r, true, 0);
    es_audio(&r, 5000, false);
    version = r.ctx.version;
    es_config(&r, CODEC_AAC, ES(k_aac_48k));
    assert_int_equal(r.ctx.version, version); /* nobody has been told */
    assert_int_equal(es_audio(&r, 45000, false), 0);
    assert_true(es_video(&r, false, 40000) > 0);
    at = r.out.used_bytes;
    assert_true(es_video(&r, true, 80000) > 0);
    assert_true(is_moov(r.last));
    assert_true(r.ctx.version > version);
    assert_true(es_audio(&r, 85000, false) > 0);
    version = r.ctx.version;
    assert_true(es_video(&r, true, 120000) > 0);
    assert_false(is_moov(r.last)); /* told once */
    assert_int_equal(r.ctx.version, version);
    buf_writer_clear(&r.init); /* who was there before has it from the stream */
    m = read_from(&r, at, &file);
    assert_int_equal(m->timescale[1], 48000);
    free(m);
    buf_writer_fini(&file);
    es_fini(&r);
}

static void test_sound_of_another_codec_is_never_said_to_be_the_old_one(void **state)
{
    struct es_rig r;

    (void)state;
    begin(&r);
    es_video(&r, true, 0);
    assert_true(es_audio(&r, 5000, false) > 0);
    assert_int_equal(es_write(&r, CODEC_MP3, 0, 30000, ES(k_mp3), false), 0);
    assert_true(es_video(&r, true, 40000) > 0);
    assert_true(is_moov(r.last));
    assert_true(es_write(&r, CODEC_MP3, 0, 50000, ES(k_mp3), false) > 0);
    es_fini(&r);
}

static void test_entry_of_which_nothing_is_written_changes_nothing(void **state)
{
    struct es_rig r;

    (void)state;
    begin(&r);
    es_video(&r, true, 0);
    es_config(&r, CODEC_AAC, ES(k_aac_48k));
    assert_int_equal(es_write(&r, CODEC_H264, FRAME_KEY | FRAME_MULTITRACK, 0, ES(k_idr), true), 0);
    assert_true(r.init.used_bytes > 0);
    assert_int_equal(es_audio(&r, 20000, false), 0); /* still not told */
    assert_true(es_video(&r, true, 40000) > 0);
    assert_true(is_moov(r.last));
    es_fini(&r);
}

static void test_track_of_which_too_little_is_known_leaves_the_other_alone(void **state)
{
    static const uint8_t k_no_sps[] = {1, 0x64, 0, 0x1f, 0xff, 0xe0, 0};
    struct read_movie *m;
    struct buf_writer file;
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_MP4);
    es_config(&r, CODEC_H264, ES(k_no_sps));
    es_config(&r, CODEC_AAC, ES(k_aac_44k));
    assert_int_equal(es_video(&r, true, 0), 0);
    assert_true(es_audio(&r, 5000, true) > 0);
    m = read_from(&r, 0, &file);
    assert_int_equal(m->n_tracks, 1);
    assert_int_equal(m->n_samples, 1);
    assert_memory_equal(m->entry[0].data + 4, "mp4a", 4);
    free(m);
    buf_writer_fini(&file);
    es_fini(&r);
}

static void test_picture_lasts_as_long_as_the_one_before_it(void **state)
{
    struct read_movie *m;
    struct buf_writer file;
    struct es_rig r;

    (void)state;
    begin(&r);
    for (unsigned i = 0; i < 4; i++)
        es_video(&r, i == 0, i * 200000); /* 5 a second, whatever the SPS promises */
    es_video(&r, false, 60000000);        /* a pause says nothing */
    m = read_from(&r, 0, &file);
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(m->samples[i].duration, 18000);
    free(m);
    buf_writer_fini(&file);
    es_fini(&r);
}

static void test_metadata_and_other_tracks_are_not_written(void **state)
{
    struct media_frame_info info = {.kind = MEDIA_DATA, .flags = FRAME_METADATA};
    const struct media_frame *data = media_frame_create(&info, buf_view_str("metadata"));
    struct es_rig r;

    (void)state;
    begin(&r);
    es_video(&r, true, 0);
    r.f = data;
    r.out.used_bytes = 0;
    r.format->look(&r.ctx, data);
    r.format->write_unit(&r.sink, &r.ctx, data, false);
    assert_int_equal(r.out.used_bytes, 0);
    media_frame_unref(&data);
    es_fini(&r);
}

static void test_tracks_of_a_source_that_is_gone_are_gone(void **state)
{
    struct es_rig r;

    (void)state;
    begin(&r);
    es_video(&r, true, 0);
    track_set_clear(&r.tracks);
    r.format->take_tracks(&r.ctx, &r.tracks);
    assert_int_equal(es_video(&r, true, 40000), 0);
    assert_int_equal(r.init.used_bytes, 0);
    es_config(&r, CODEC_H264, ES(k_avc_config));
    assert_true(es_video(&r, true, 80000) > 0);
    assert_true(is_moov(r.last));
    es_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit_is_one_fragment_and_init_names_the_tracks),
        cmocka_unit_test(test_track_that_lies_ahead_is_in_the_first_init_section),
        cmocka_unit_test(test_changed_track_waits_for_the_entry_point_that_tells_it),
        cmocka_unit_test(test_sound_of_another_codec_is_never_said_to_be_the_old_one),
        cmocka_unit_test(test_entry_of_which_nothing_is_written_changes_nothing),
        cmocka_unit_test(test_track_of_which_too_little_is_known_leaves_the_other_alone),
        cmocka_unit_test(test_picture_lasts_as_long_as_the_one_before_it),
        cmocka_unit_test(test_metadata_and_other_tracks_are_not_written),
        cmocka_unit_test(test_tracks_of_a_source_that_is_gone_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
