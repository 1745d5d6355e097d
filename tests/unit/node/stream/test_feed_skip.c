/* Feeds of formats that have no place for every frame: what viewers get, and where they start. */
#include "tests/unit/node/stream/es_test.h"

#define AAC_CONFIG "\xaf\x00\x12\x10"
#define AAC_FRAME "\xaf\x01\x21\x10\x05\x20"
#define AVC_KEY "\x17\x01\0\0\0\0\0\0\4\x65\1\2\3"
#define AVC_INTER "\x27\x01\0\0\0\0\0\0\3\x41\5\6"
#define AVC_BROKEN "\x17\x01\0\0\0\0\0\0\x63\x65"
#define VP6_KEY "\x14\x00vp6 key"
#define VP6_INTER "\x24\x00vp6"
#define PUSH(r, type, dts_ms, text) \
    push_bytes(r, type, dts_ms, buf_view_of((const uint8_t *)(text), sizeof(text) - 1))

static void push_bytes(struct rig *r, uint8_t flv_type, int64_t dts_ms, struct buf_view body)
{
    const char *why = "";

    assert_int_equal(stream_push(&r->source, flv_type, dts_ms * 1000, body, &why), E_OK);
}

static void push_avc_config(struct rig *r, int64_t dts_ms)
{
    uint8_t body[5 + sizeof k_avc_config] = {0x17, 0, 0, 0, 0};

    memcpy(body + 5, k_avc_config, sizeof k_avc_config);
    push_bytes(r, FLV_TAG_VIDEO, dts_ms, buf_view_of(body, sizeof body));
}

/* A second of pictures at 25 a second, and of sound. */
static void push_second(struct rig *r, int64_t start_ms, bool vp6)
{
    for (int i = 0; i < 25; i++) {
        int64_t dts_ms = start_ms + 40 * i;

        if (vp6 && i)
            PUSH(r, FLV_TAG_VIDEO, dts_ms, VP6_INTER);
        else if (vp6)
            PUSH(r, FLV_TAG_VIDEO, dts_ms, VP6_KEY);
        else if (i)
            PUSH(r, FLV_TAG_VIDEO, dts_ms, AVC_INTER);
        else
            PUSH(r, FLV_TAG_VIDEO, dts_ms, AVC_KEY);
        PUSH(r, FLV_TAG_AUDIO, dts_ms + 5, AAC_FRAME);
    }
}

static void join(struct player *p, struct rig *r, enum feed_format_id format)
{
    struct viewer_join how = {.format = format};

    player_open(p, &r->ml[0], 0);
    assert_int_equal(player_join_as(p, r, &r->ml[0], &how), E_OK);
}

/* Behind the FLV header that the test's player is greeted with. */
static struct buf_view drain(struct player *p, struct rig *r, uint8_t *bytes, size_t max_bytes)
{
    size_t n = 0;
    ssize_t got;

    rig_settle(r);
    while ((got = recv(p->fd, bytes + n, max_bytes - n, MSG_DONTWAIT)) > 0) {
        n += (size_t)got;
        rig_settle(r);
    }
    assert_true(n < max_bytes);
    return n < 13 ? buf_view_of(bytes, 0) : buf_view_of(bytes + 13, n - 13);
}

static bool starts_with_pat(struct buf_view ts)
{
    return ts.size_bytes >= 188 && !memcmp(ts.data, "\x47\x40\x00", 3);
}

static uint8_t s_bytes[1 << 20];

static void test_viewer_starts_with_the_sound_when_the_pictures_have_no_place(void **state)
{
    static const enum feed_format_id k_ids[] = {FORMAT_TS, FORMAT_MP4, FORMAT_WS_TS, FORMAT_WS_MP4};

    (void)state;
    for (unsigned i = 0; i < sizeof k_ids / sizeof k_ids[0]; i++) {
        struct stream_conf conf = small_conf();
        struct player early, late;
        struct rig r;
        size_t n;

        rig_init(&r, 1, &conf);
        rig_publish(&r);
        join(&early, &r, k_ids[i]);
        rig_settle(&r);
        PUSH(&r, FLV_TAG_AUDIO, 0, AAC_CONFIG);
        push_second(&r, 0, true);
        n = drain(&early, &r, s_bytes, sizeof s_bytes).size_bytes;
        assert_true(early.started && n > 1000);
        push_second(&r, 1000, true);
        rig_settle(&r);
        join(&late, &r, k_ids[i]);
        n = drain(&late, &r, s_bytes, sizeof s_bytes).size_bytes;
        assert_true(late.started && n > 1000);
        player_close(&early);
        player_close(&late);
        rig_fini(&r);
    }
}

static void test_viewer_waits_when_nothing_of_the_stream_has_a_place(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.play_wait_ms = 300;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    join(&p, &r, FORMAT_TS);
    for (int i = 0; i < 20; i++) {
        PUSH(&r, FLV_TAG_VIDEO, i * 40, VP6_KEY);
        rig_settle(&r);
    }
    assert_false(p.started);
    RIG_UNTIL(&r, p.ended);
    assert_int_equal(p.why, E_NOT_FOUND);
    player_close(&p);
    rig_fini(&r);
}

static void test_broken_key_frame_is_no_entry_point_and_neither_is_sound_behind_it(void **state)
{
    struct stream_conf conf = small_conf();
    struct player early, late;
    struct buf_view got;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    join(&early, &r, FORMAT_TS);
    rig_settle(&r);
    push_avc_config(&r, 0);
    PUSH(&r, FLV_TAG_AUDIO, 0, AAC_CONFIG);
    push_second(&r, 0, false);
    assert_true(drain(&early, &r, s_bytes, sizeof s_bytes).size_bytes > 0);
    r.stream->notes[0].nal_length_bytes = 0; /* where it comes in it would be refused */
    PUSH(&r, FLV_TAG_VIDEO, 1000, AVC_BROKEN);
    for (int i = 1; i < 10; i++) {
        PUSH(&r, FLV_TAG_AUDIO, 1000 + 40 * i, AAC_FRAME);
        PUSH(&r, FLV_TAG_VIDEO, 1000 + 40 * i, AVC_INTER);
    }
    join(&late, &r, FORMAT_TS);
    got = drain(&late, &r, s_bytes, sizeof s_bytes);
    assert_true(starts_with_pat(got));
    assert_true(got.size_bytes > 50 * 188); /* from the good one on */
    player_close(&early);
    player_close(&late);
    rig_fini(&r);
}

static void test_every_viewer_of_a_transport_stream_begins_with_its_tables(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p[3];
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_avc_config(&r, 0);
    PUSH(&r, FLV_TAG_AUDIO, 0, AAC_CONFIG);
    for (unsigned i = 0; i < 3; i++) {
        struct buf_view got;

        join(&p[i], &r, FORMAT_TS);
        push_second(&r, i * 1000, false);
        got = drain(&p[i], &r, s_bytes, sizeof s_bytes);
        assert_true(starts_with_pat(got));
        assert_int_equal(got.size_bytes % 188, 0);
    }
    for (unsigned i = 0; i < 3; i++)
        player_close(&p[i]);
    rig_fini(&r);
}

static void push_mp3(struct rig *r, int64_t dts_ms)
{
    uint8_t body[1 + sizeof k_mp3] = {0x2f};

    memcpy(body + 1, k_mp3, sizeof k_mp3);
    push_bytes(r, FLV_TAG_AUDIO, dts_ms, buf_view_of(body, sizeof body));
}

static bool init_has(struct buf_view mp4, const char *entry)
{
    for (size_t i = 0; i + 4 <= mp4.size_bytes && memcmp(mp4.data + i, "moof", 4) != 0; i++)
        if (!memcmp(mp4.data + i, entry, 4))
            return true;
    return false;
}

static void push_gop_with_mp3(struct rig *r, int64_t start_ms)
{
    PUSH(r, FLV_TAG_VIDEO, start_ms, AVC_KEY);
    for (int i = 1; i < 20; i++) {
        PUSH(r, FLV_TAG_VIDEO, start_ms + 40 * i, AVC_INTER);
        push_mp3(r, start_ms + 40 * i);
    }
}

static void test_init_section_has_the_sound_that_only_frames_describe(void **state)
{
    static const enum feed_format_id k_ids[] = {FORMAT_MP4, FORMAT_WS_MP4};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct stream_conf conf = small_conf();
        bool late = i & 1;
        struct player p;
        struct buf_view got;
        struct rig r;

        rig_init(&r, 1, &conf);
        rig_publish(&r);
        if (!late)
            join(&p, &r, k_ids[i / 2]);
        rig_settle(&r);
        push_avc_config(&r, 0);
        push_gop_with_mp3(&r, 0);
        rig_settle(&r);
        if (late)
            join(&p, &r, k_ids[i / 2]);
        got = drain(&p, &r, s_bytes, sizeof s_bytes);
        assert_true(init_has(got, "avc1") && init_has(got, "mp4a"));
        player_close(&p);
        rig_fini(&r);
    }
}

static void test_track_that_is_promised_and_silent_delays_nobody_for_long(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    stream_expect_tracks(&r.source, true, true);
    join(&p, &r, FORMAT_MP4);
    rig_settle(&r);
    push_avc_config(&r, 0);
    PUSH(&r, FLV_TAG_VIDEO, 0, AVC_KEY);
    for (int i = 1; i < 15; i++)
        PUSH(&r, FLV_TAG_VIDEO, 40 * i, AVC_INTER);
    rig_settle(&r);
    assert_false(p.started);
    for (int i = 15; i < 20; i++)
        PUSH(&r, FLV_TAG_VIDEO, 40 * i, AVC_INTER);
    assert_true(init_has(drain(&p, &r, s_bytes, sizeof s_bytes), "avc1"));
    player_close(&p);
    rig_fini(&r);
}

/* As a relay pulls it: each frame comes by itself, and the header has said what comes. */
static void test_init_section_waits_for_the_sound_that_is_promised(void **state)
{
    static const enum feed_format_id k_ids[] = {FORMAT_MP4, FORMAT_WS_MP4};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct stream_conf conf = small_conf();
        struct player p;
        struct buf_view got;
        struct rig r;

        rig_init(&r, 1, &conf);
        rig_publish(&r);
        stream_expect_tracks(&r.source, true, true);
        push_avc_config(&r, 0);
        PUSH(&r, FLV_TAG_VIDEO, 0, AVC_KEY);
        join(&p, &r, k_ids[i]); /* the cache has a picture by now, and no sound */
        rig_settle(&r);
        PUSH(&r, FLV_TAG_VIDEO, 40, AVC_INTER);
        rig_settle(&r);
        push_mp3(&r, 55);
        rig_settle(&r);
        got = drain(&p, &r, s_bytes, sizeof s_bytes);
        assert_true(init_has(got, "avc1") && init_has(got, "mp4a"));
        player_close(&p);
        rig_fini(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_viewer_starts_with_the_sound_when_the_pictures_have_no_place),
        cmocka_unit_test(test_viewer_waits_when_nothing_of_the_stream_has_a_place),
        cmocka_unit_test(test_broken_key_frame_is_no_entry_point_and_neither_is_sound_behind_it),
        cmocka_unit_test(test_init_section_has_the_sound_that_only_frames_describe),
        cmocka_unit_test(test_init_section_waits_for_the_sound_that_is_promised),
        cmocka_unit_test(test_track_that_is_promised_and_silent_delays_nobody_for_long),
        cmocka_unit_test(test_every_viewer_of_a_transport_stream_begins_with_its_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
