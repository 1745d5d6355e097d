/* Several tracks, what adds to them, silence in the place of sound, and what each feed picks. */
#include "tests/unit/node/stream/es_test.h"

#define HEVC_CONFIG "\x90hvc1\1"
#define HEVC_KEY "\x93hvc1\x26\1\2"
#define HEVC_COLOUR "\x94hvc1\2\0\1c"
#define SIDE_KEY "\x96\3hvc1\1\x26\1\2"
#define SIDE_CONFIG "\x96\0hvc1\1\7"
#define OTHER_CONFIG "\x96\0hvc1\2\7"
#define VP9_KEY "\x93vp09\1"
#define BOTH_KEYS "\x96\x13hvc1\0\0\0\1\x26\2\0\0\1\x27"
#define AAC_CONFIG "\xaf\0\x12\x10"
#define AAC_FRAME "\xaf\1\x21\x10\5\x20"
#define MP3_FRAME "\x2f\xff\xfb\x90\0"
#define PUSH(r, type, dts_ms, text) \
    push_text(r, type, dts_ms, buf_view_of((const uint8_t *)(text), sizeof(text) - 1))

static enum err push_text(struct rig *r, uint8_t type, int64_t dts_ms, struct buf_view body)
{
    const char *why = "";

    return stream_push(&r->source, type, dts_ms * 1000, body, &why);
}

/* A player and all that it was sent. */
struct seat {
    struct player player;
    uint8_t bytes[1 << 16];
    size_t n_bytes;
};

static void join(struct seat *seat, struct rig *r, enum feed_tracks tracks)
{
    struct viewer_join how = {.format = FORMAT_FLV, .tracks = tracks};

    seat->n_bytes = 0;
    player_open(&seat->player, &r->ml[0], 0);
    assert_int_equal(player_join_as(&seat->player, r, &r->ml[0], &how), E_OK);
}

/* How often text came. */
static unsigned count(struct seat *seat, struct rig *r, const char *text, size_t size)
{
    unsigned found = 0;
    ssize_t got;

    rig_settle(r);
    while ((got = recv(seat->player.fd, seat->bytes + seat->n_bytes,
                       sizeof seat->bytes - seat->n_bytes, MSG_DONTWAIT)) > 0) {
        seat->n_bytes += (size_t)got;
        rig_settle(r);
    }
    for (size_t i = 0; i + size <= seat->n_bytes; i++)
        found += !memcmp(seat->bytes + i, text, size);
    return found;
}
#define COUNT(p, r, text) count(p, r, text, sizeof(text) - 1)

static void test_default_feeds_have_the_default_tracks_and_others_all(void **state)
{
    struct stream_conf conf = small_conf();
    static struct seat one, all, sound;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    join(&one, &r, TRACKS_DEFAULT);
    join(&all, &r, TRACKS_ALL);
    join(&sound, &r, TRACKS_AUDIO);
    rig_settle(&r);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, SIDE_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, OTHER_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 0, AAC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_KEY), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, SIDE_KEY), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 10, AAC_FRAME), E_OK);
    rig_settle(&r); /* who waited begins here */
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 40, BOTH_KEYS), E_OK);
    assert_int_equal(COUNT(&one, &r, "\x96"), 0);
    assert_int_equal(COUNT(&one, &r, "\x93hvc1\x26"), 2);
    assert_int_equal(COUNT(&all, &r, "\x93hvc1\x26"), 2);
    assert_int_equal(COUNT(&all, &r, SIDE_KEY), 1);
    assert_int_equal(COUNT(&all, &r, "\x96\3hvc1\2\x27"), 1); /* taken apart */
    assert_true(COUNT(&all, &r, SIDE_CONFIG) >= 1);
    assert_int_equal(COUNT(&sound, &r, AAC_FRAME), 1);
    assert_int_equal(COUNT(&sound, &r, "hvc1"), 0);
    assert_int_equal(r.stream->codecs.n_more_video, 2);
    assert_int_equal(r.stream->at.n_frames[MEDIA_VIDEO], 2); /* the newest GOP's: both tracks */
    player_close(&one.player);
    player_close(&all.player);
    player_close(&sound.player);
    rig_fini(&r);
}

static void test_late_joiner_gets_what_adds_to_the_configuration(void **state)
{
    struct stream_conf conf = small_conf();
    static struct seat late;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 0, AAC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_COLOUR), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_KEY), E_OK);
    join(&late, &r, TRACKS_DEFAULT);
    assert_int_equal(COUNT(&late, &r, HEVC_CONFIG), 1);
    assert_int_equal(COUNT(&late, &r, HEVC_COLOUR), 1);
    player_close(&late.player);
    rig_fini(&r);
}

static void test_colours_do_not_change_what_a_track_is(void **state)
{
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, "\x17\0\0\0\0\1"), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, SIDE_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, "\x17\1\0\0\0\x65"), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_COLOUR), E_OK); /* means the other track */
    assert_int_equal(r.stream->codecs.video, CODEC_H264);
    assert_int_equal(r.stream->tracks.n_configs, 2);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 40, "\x17\1\0\0\0\x65"), E_OK);
    rig_fini(&r);
}

static void test_push_gives_proto_at_one_track_too_many(void **state)
{
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    for (unsigned i = 1; i <= TRACKS_MAX + 1; i++) {
        uint8_t body[] = {0x95, 0x01, 'O', 'p', 'u', 's', (uint8_t)i, 0xfc};

        assert_int_equal(push_text(&r, FLV_TAG_AUDIO, i, ES(body)),
                         i <= TRACKS_MAX ? E_OK : E_PROTO);
    }
    rig_fini(&r);
}

static void test_push_gives_proto_at_pictures_that_no_sequence_header_describes(void **state)
{
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, "\xa3hvc1\2\1"), E_OK); /* before a key frame */
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_KEY), E_PROTO);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_KEY), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 40, "\x17\1\0\0\0\x65"), E_PROTO); /* AVC */
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 40, VP9_KEY), E_OK);     /* each key frame says it */
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 80, HEVC_KEY), E_PROTO); /* its own was another's */
    rig_fini(&r);
}

static void test_configuration_of_a_codec_that_is_gone_is_forgotten(void **state)
{
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 0, AAC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, VP9_KEY), E_OK);
    assert_int_equal(r.stream->tracks.n_configs, 1);
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 10, MP3_FRAME), E_OK);
    assert_int_equal(r.stream->tracks.n_configs, 0);
    assert_int_equal(r.stream->codecs.audio, CODEC_MP3);
    rig_fini(&r);
}

static void test_silence_keeps_time_with_the_pictures_until_sound_comes(void **state)
{
    struct stream_conf conf = small_conf();
    static struct seat p;
    struct rig r;
    unsigned n;

    (void)state;
    conf.silent_audio = true;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    join(&p, &r, TRACKS_DEFAULT);
    rig_settle(&r);
    stream_expect_tracks(&r.source, false, true);
    assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 0, HEVC_CONFIG), E_OK);
    for (int i = 0; i <= 25; i++) {
        assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 40 * i, HEVC_KEY), E_OK);
        rig_settle(&r);
    }
    n = COUNT(&p, &r, "\xaf\1\x21\x10\4\x60\x8c\x1c");
    assert_in_range(n, 43, 45); /* a second of 44,100 / 1,024 */
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 1010, AAC_CONFIG), E_OK);
    assert_int_equal(PUSH(&r, FLV_TAG_AUDIO, 1010, AAC_FRAME), E_OK);
    for (int i = 26; i <= 50; i++)
        assert_int_equal(PUSH(&r, FLV_TAG_VIDEO, 40 * i, HEVC_KEY), E_OK);
    assert_int_equal(COUNT(&p, &r, "\xaf\1\x21\x10\4\x60\x8c\x1c"), n);
    assert_int_equal(COUNT(&p, &r, AAC_FRAME), 1);
    player_close(&p.player);
    rig_fini(&r);
}

static void test_nobody_makes_silence_of_what_another_node_took_in(void **state)
{
    struct stream_conf conf = small_conf();
    struct source_offer offer = {.run = 3};
    struct rig r;

    (void)state;
    conf.silent_audio = true;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    stream_detach(&r.source);
    assert_int_equal(stream_attach(r.stream, &r.source, &offer), E_OK);
    stream_expect_tracks(&r.source, false, true);
    assert_false(r.stream->silence.is_on);
    assert_false(r.stream->has_audio);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_feeds_have_the_default_tracks_and_others_all),
        cmocka_unit_test(test_late_joiner_gets_what_adds_to_the_configuration),
        cmocka_unit_test(test_colours_do_not_change_what_a_track_is),
        cmocka_unit_test(test_push_gives_proto_at_one_track_too_many),
        cmocka_unit_test(test_push_gives_proto_at_pictures_that_no_sequence_header_describes),
        cmocka_unit_test(test_configuration_of_a_codec_that_is_gone_is_forgotten),
        cmocka_unit_test(test_silence_keeps_time_with_the_pictures_until_sound_comes),
        cmocka_unit_test(test_nobody_makes_silence_of_what_another_node_took_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
