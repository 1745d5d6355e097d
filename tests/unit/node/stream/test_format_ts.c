/* Transport streams of a feed, read by a reader of their own. */
#include "tests/unit/node/stream/es_test.h"
#include "tests/unit/proto/ts/ts_test.h"

/* All that was written so far. */
static struct ts_reading *read_all(const struct es_rig *r)
{
    struct ts_reading *reading = malloc(sizeof *reading);

    assert_non_null(reading);
    reading_init(reading);
    read_ts(reading, buf_writer_view(&r->out));
    read_end(reading);
    return reading;
}

static void reading_free(struct ts_reading *reading)
{
    reading_fini(reading);
    free(reading);
}

static void test_unit_is_one_pes_packet_and_an_entry_begins_with_tables(void **state)
{
    struct ts_reading *reading;
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_TS);
    assert_null(r.format->write_init);
    assert_int_equal(es_config(&r, CODEC_H264, ES(k_avc_config)), 0);
    assert_int_equal(es_config(&r, CODEC_AAC, ES(k_aac_44k)), 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(es_video(&r, i % 10 == 0, i * 40000) > 0);
        if (i % 10 == 0) {
            assert_memory_equal(r.last.data, "\x47\x40\x00", 3);                   /* PAT */
            assert_memory_equal(r.last.data + TS_PACKET_BYTES, "\x47\x50\x00", 3); /* PMT */
        }
        assert_true(es_audio(&r, i * 40000 + 5000, false) > 0);
    }
    reading = read_all(&r);
    assert_int_equal(reading->n_pes, 40);
    assert_int_equal(reading->n_streams, 2);
    assert_int_equal(reading->n_versions, 1);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(reading->pes[i].dts, (i / 2 * 40000 + (i % 2 ? 5000 : 0)) * 90 / 1000);
        assert_int_equal(reading->pes[i].random_access, i % 20 == 0);
    }
    reading_free(reading);
    es_fini(&r);
}

static void test_nothing_is_written_of_what_has_no_place(void **state)
{
    static const uint8_t k_broken[] = {0, 0, 0, 99, 0x65};
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_TS);
    assert_int_equal(es_video(&r, true, 0), 0); /* no configuration yet */
    es_config(&r, CODEC_H264, ES(k_avc_config));
    assert_int_equal(es_write(&r, CODEC_VP6, FRAME_KEY, 0, ES(k_idr), true), 0);
    assert_int_equal(es_write(&r, CODEC_H264, FRAME_KEY, 0, ES(k_broken), true), 0);
    assert_int_equal(es_write(&r, CODEC_H264, FRAME_KEY, 0, buf_view_of(k_idr, 0), true), 0);
    assert_int_equal(es_write(&r, CODEC_H264, FRAME_SEQ_END, 0, ES(k_idr), false), 0);
    assert_int_equal(es_write(&r, CODEC_H264, FRAME_KEY | FRAME_MULTITRACK, 0, ES(k_idr), true), 0);
    assert_int_equal(es_audio(&r, 0, false), 0);
    assert_true(es_video(&r, true, 0) > 0);
    es_fini(&r);
}

static void test_sound_without_configuration_is_learned_from_its_frames(void **state)
{
    struct ts_reading *reading;
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_TS);
    es_config(&r, CODEC_H264, ES(k_avc_config));
    es_video(&r, true, 0);
    assert_true(es_write(&r, CODEC_MP3, 0, 0, ES(k_mp3), false) > 0);
    reading = read_all(&r);
    assert_int_equal(reading->n_streams, 2);
    assert_int_equal(reading->streams[1].type, 0x03);
    reading_free(reading);
    es_fini(&r);
}

static void test_another_codec_makes_a_new_pmt_at_its_first_frame(void **state)
{
    struct ts_reading *reading;
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_TS);
    es_config(&r, CODEC_H264, ES(k_avc_config));
    es_config(&r, CODEC_AAC, ES(k_aac_44k));
    es_video(&r, true, 0);
    es_audio(&r, 10000, false);
    es_write(&r, CODEC_MP3, 0, 30000, ES(k_mp3), false);
    es_video(&r, false, 40000);
    reading = read_all(&r);
    assert_int_equal(reading->n_versions, 2);
    assert_int_equal(reading->n_pmt, 2);
    assert_int_equal(reading->pes[2].psi_packets, 4);
    assert_int_equal(reading->n_pes, 4);
    reading_free(reading);
    es_fini(&r);
}

static void test_tracks_of_a_source_that_is_gone_are_gone(void **state)
{
    struct es_rig r;

    (void)state;
    es_init(&r, FORMAT_TS);
    es_config(&r, CODEC_H264, ES(k_avc_config));
    assert_true(es_video(&r, true, 0) > 0);
    track_set_clear(&r.tracks);
    r.format->take_tracks(&r.ctx, &r.tracks);
    assert_int_equal(es_video(&r, true, 40000), 0);
    es_config(&r, CODEC_AAC, ES(k_aac_44k));
    assert_true(es_audio(&r, 80000, true) > 0);
    es_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit_is_one_pes_packet_and_an_entry_begins_with_tables),
        cmocka_unit_test(test_nothing_is_written_of_what_has_no_place),
        cmocka_unit_test(test_sound_without_configuration_is_learned_from_its_frames),
        cmocka_unit_test(test_another_codec_makes_a_new_pmt_at_its_first_frame),
        cmocka_unit_test(test_tracks_of_a_source_that_is_gone_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
