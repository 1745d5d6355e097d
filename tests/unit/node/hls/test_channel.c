/* A channel from the frames of a stream to what requests get, on two loops turned by the test. */
#include "tests/unit/node/stream/stream_test.h"

#include <stdio.h>

#include "node/control/node_metrics.h"
#include "node/hls/hls.h"
#include "node/hls/mux.h"
#include "proto/ts/ts.h"

/* 320x180 at 30000/1001 a second, and AAC of 44.1 kHz, stereo. */
static const uint8_t k_avc_config[] = {
    0x17, 0,    0,    0,    0,    0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1b, 0x67,
    0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x6a, 0x02, 0x02, 0x02,
    0x80, 0x00, 0x01, 0xf4, 0x80, 0x00, 0x75, 0x30, 0x07, 0x8a, 0x14, 0xcb, 0x01, 0x00,
    0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00};
static const uint8_t k_aac_config[] = {0xaf, 0x00, 0x12, 0x10};

struct hls_rig {
    struct rig r;
    struct hls_conf conf;
    struct hls *hls;
    struct hls_channel *channel; /* owned reference */
    int64_t at_ms;               /* of the next frame */
    bool is_silent;              /* the next run has no sound */
};

static void send_raw(struct rig *r, uint8_t type, const uint8_t *body, size_t size, int64_t ms)
{
    const char *why = "";

    assert_int_equal(stream_push(&r->source, type, ms * 1000, buf_view_of(body, size), &why), E_OK);
}

static void publish_run(struct hls_rig *h, uint64_t run)
{
    struct rig *r = &h->r;
    struct source_offer offer = {.numbers_gops = true, .run = run};

    if (!r->stream)
        r->stream = registry_get(r->registry, &r->name);
    rig_settle(r);
    r->source = (struct source){.kind = SOURCE_PUBLISHER,
                                .protocol = "test",
                                .session_id = "t-1",
                                .upstream = "",
                                .on_evict = rig_on_evict};
    assert_int_equal(stream_attach(r->stream, &r->source, &offer), E_OK);
    send_raw(r, FLV_TAG_VIDEO, k_avc_config, sizeof k_avc_config, h->at_ms);
    if (!h->is_silent)
        send_raw(r, FLV_TAG_AUDIO, k_aac_config, sizeof k_aac_config, h->at_ms);
}

#define PICTURE_BYTES 64
#define NAL_BYTES (PICTURE_BYTES - 5 - 4) /* behind the FLV header and its length */

/* One NAL unit, as the configuration says: publishers of others are sent away. */
static void send_picture(struct hls_rig *h, bool is_key, int64_t ms)
{
    uint8_t body[PICTURE_BYTES] = {is_key ? 0x17 : 0x27, 1, 0, 0, 0, 0, 0, 0, NAL_BYTES,
                                   is_key ? 0x65 : 0x41};

    send_raw(&h->r, FLV_TAG_VIDEO, body, sizeof body, ms);
}

/* GOPs of one second: 25 pictures, each with 40 ms of sound. */
static void send_gops(struct hls_rig *h, unsigned n_gops)
{
    for (unsigned i = 0; i < n_gops; i++, h->at_ms += 1000) {
        for (unsigned k = 0; k < 25; k++) {
            send_picture(h, k == 0, h->at_ms + 40 * k);
            push(&h->r, BODY_AAC, h->at_ms + 40 * k + 5);
        }
    }
}

static void open_rig_of(struct hls_rig *h, enum hls_container container, enum hls_only only)
{
    struct stream_conf conf = small_conf();

    *h = (struct hls_rig){.conf = {.mode = HLS_ON_DEMAND,
                                   .container = container,
                                   .window_us = 8000000,
                                   .idle_us = 60000000,
                                   .max_bytes = 64u << 20}};
    conf.plan = (struct stream_plan_conf){.segment_us = 2000000, .part_us = 200000};
    rig_init(&h->r, 2, &conf);
    h->hls = hls_create(h->r.registry, 2, &h->conf);
    publish_run(h, 5);
    h->channel = hls_get(h->hls, &h->r.name, (struct hls_form){container, only}, true);
    assert_non_null(h->channel);
    rig_settle(&h->r); /* it comes home */
}

static void open_rig(struct hls_rig *h, enum hls_container container)
{
    open_rig_of(h, container, HLS_ALL_TRACKS);
}

/* All tracks. */
static struct hls_channel *get_again(struct hls_rig *h, enum hls_container container)
{
    return hls_get(h->hls, &h->r.name, (struct hls_form){container, HLS_ALL_TRACKS}, true);
}

static void close_rig(struct hls_rig *h)
{
    hls_channel_unref(&h->channel);
    hls_destroy(&h->hls);
    rig_fini(&h->r);
}

/* The playlist as text, to be freed. */
static char *text_of(struct hls_channel *channel, bool delta)
{
    struct hls_snapshot *s = hls_channel_look(channel);
    const struct hls_data *data = delta ? s->delta : s->full;
    size_t n;
    const struct buf_view *views = hls_data_views(data, &n);
    char *text = calloc(1, hls_data_size(data) + 1);

    assert_int_equal(n, 1);
    memcpy(text, views[0].data, views[0].size_bytes);
    hls_snapshot_unref(&s);
    return text;
}

static void assert_says(struct hls_channel *channel, const char *wanted)
{
    char *text = text_of(channel, false);

    if (!strstr(text, wanted))
        fail_msg("no \"%s\" in\n%s", wanted, text);
    free(text);
}

static enum err find(struct hls_channel *channel, const char *name, size_t *size)
{
    struct hls_data *data = NULL;
    struct hls_name parsed;
    enum err e;

    assert_int_equal(hls_parse_name(buf_view_str(name), &parsed), E_OK);
    e = hls_channel_find(channel, &parsed, &data);
    *size = data ? hls_data_size(data) : 0;
    hls_data_unref(&data);
    return e;
}

static void test_channel_cuts_segments_and_parts_with_numbers_of_the_plan(void **state)
{
    struct hls_rig h;
    size_t size, parts = 0, one;
    char name[64];

    (void)state;
    open_rig(&h, HLS_FMP4);
    send_gops(&h, 5); /* two segments of two GOPs, and one that runs */
    assert_says(h.channel, "#EXTINF:2.000000,\ns5-0.m4s\n");
    assert_says(h.channel, "#EXTINF:2.000000,\ns5-1.m4s\n");
    assert_says(h.channel, "#EXT-X-PART:DURATION=0.200000,URI=\"s5-2.3.m4s\"\n");
    assert_says(h.channel, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s5-2.4.m4s\"\n");
    assert_int_equal(find(h.channel, "s5-1.m4s", &size), E_OK);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "s5-1.%u.m4s", i);
        assert_int_equal(find(h.channel, name, &one), E_OK);
        parts += one;
    }
    assert_int_equal(parts, size);
    close_rig(&h);
}

static void test_find_tells_what_is_to_come_from_what_is_not(void **state)
{
    static const struct {
        const char *name;
        enum err e;
    } k_cases[] = {
        {"s5-2.4.m4s", E_AGAIN},     {"s5-2.m4s", E_AGAIN},     {"s5-3.0.m4s", E_AGAIN},
        {"s5-2.5.m4s", E_NOT_FOUND}, {"s5-3.m4s", E_NOT_FOUND}, {"s5-3.1.m4s", E_NOT_FOUND},
        {"s6-1.m4s", E_NOT_FOUND},   {"s5-1.ts", E_NOT_FOUND},  {"s5-1.10.m4s", E_NOT_FOUND},
        {"i5-1.mp4", E_NOT_FOUND},   {"s5-1.m4s", E_OK},        {"s5-2.3.m4s", E_OK},
    };
    struct hls_rig h;
    size_t size;

    (void)state;
    open_rig(&h, HLS_FMP4);
    assert_int_equal(find(h.channel, "s9-7.m4s", &size), E_AGAIN); /* nothing has come yet */
    send_gops(&h, 5);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        if (find(h.channel, k_cases[i].name, &size) != k_cases[i].e)
            fail_msg("%s", k_cases[i].name);
    close_rig(&h);
}

static void test_facts_are_those_of_the_stream(void **state)
{
    struct hls_snapshot *s;
    struct hls_rig h;

    (void)state;
    open_rig(&h, HLS_TS);
    send_gops(&h, 5);
    s = hls_channel_look(h.channel);
    assert_true(s->is_playable);
    assert_string_equal(s->facts.codecs[0], "avc1.64000d");
    assert_string_equal(s->facts.codecs[1], "mp4a.40.2");
    assert_int_equal(s->facts.width, 320);
    assert_int_equal(s->facts.fps_num * 100 / s->facts.fps_den, 2500); /* seen: 25, said: 29.97 */
    assert_true(s->facts.peak_bps >= s->facts.average_bps && s->facts.average_bps > 0);
    hls_snapshot_unref(&s);
    close_rig(&h);
}

static void test_window_drops_what_is_old_and_keeps_it_for_a_while(void **state)
{
    struct hls_rig h;
    size_t size;

    (void)state;
    open_rig(&h, HLS_FMP4);
    send_gops(&h, 13); /* 6 segments; the window holds 4 */
    assert_says(h.channel, "#EXT-X-MEDIA-SEQUENCE:2\n");
    assert_int_equal(find(h.channel, "s5-1.m4s", &size), E_OK);
    send_gops(&h, 20);
    assert_int_equal(find(h.channel, "s5-1.m4s", &size), E_NOT_FOUND);
    close_rig(&h);
}

static void test_segment_without_an_end_becomes_a_gap(void **state)
{
    struct hls_rig h;
    size_t size;

    (void)state;
    open_rig(&h, HLS_FMP4);
    send_gops(&h, 1);
    h.conf.max_bytes = 4000;
    send_gops(&h, 1);
    for (unsigned i = 0; i < 100; i++, h.at_ms += 40) /* no key frame any more */
        send_picture(&h, false, h.at_ms);
    assert_says(h.channel, "#EXT-X-GAP\n#EXTINF:");
    assert_int_equal(find(h.channel, "s5-0.0.m4s", &size), E_NOT_FOUND);
    h.conf.max_bytes = 64u << 20;
    send_gops(&h, 3);
    assert_says(h.channel, "s5-0.m4s\n");
    assert_says(h.channel, "s5-1.m4s\n");
    assert_int_equal(find(h.channel, "s5-1.m4s", &size), E_OK);
    close_rig(&h);
}

static void test_next_run_goes_on_with_a_discontinuity(void **state)
{
    struct hls_rig h;

    (void)state;
    open_rig(&h, HLS_FMP4);
    send_gops(&h, 3); /* segment 1 is cut short */
    stream_detach(&h.r.source);
    publish_run(&h, 6);
    send_gops(&h, 5);
    assert_says(h.channel, "s5-1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i6-");
    assert_says(h.channel, "#EXTINF:1.000000,\ns5-1.m4s\n");
    assert_says(h.channel, "s6-3.m4s\n");
    send_gops(&h, 20);
    assert_says(h.channel, "#EXT-X-DISCONTINUITY-SEQUENCE:1\n");
    close_rig(&h);
}

static void test_another_configuration_begins_a_segment(void **state)
{
    static const uint8_t k_48k[] = {0xaf, 0x00, 0x11, 0x90};
    struct hls_rig h;

    (void)state;
    open_rig(&h, HLS_FMP4);
    send_gops(&h, 3); /* segments of two */
    send_raw(&h.r, FLV_TAG_AUDIO, k_48k, sizeof k_48k, h.at_ms);
    send_gops(&h, 4);
    assert_says(h.channel, "s5-1.m4s\n#EXT-X-MAP:URI=\"i5-");
    assert_says(h.channel, "#EXTINF:1.000000,\ns5-1.m4s\n");
    close_rig(&h);
}

static void test_other_tracks_begin_a_segment_with_a_discontinuity(void **state)
{
    static const uint8_t k_mp3[] = {0x2f, 0xff, 0xfb, 0x90, 0x00};
    static const char *const k_wanted[] = {
        [HLS_TS] = "#EXTINF:1.000000,\ns5-1.ts\n#EXT-X-DISCONTINUITY\n",
        [HLS_FMP4] = "#EXTINF:1.000000,\ns5-1.m4s\n#EXT-X-DISCONTINUITY\n"};
    struct hls_rig h;

    (void)state;
    for (enum hls_container c = HLS_TS; c <= HLS_FMP4; c++) {
        open_rig(&h, c);
        send_gops(&h, 3); /* segments of two */
        send_raw(&h.r, FLV_TAG_AUDIO, k_aac_config, sizeof k_aac_config, h.at_ms); /* the same */
        send_raw(&h.r, FLV_TAG_AUDIO, k_mp3, sizeof k_mp3, h.at_ms);
        send_raw(&h.r, FLV_TAG_AUDIO, k_aac_config, sizeof k_aac_config, h.at_ms); /* and back */
        send_gops(&h, 4);
        assert_says(h.channel, k_wanted[c]);
        assert_says(h.channel, c == HLS_TS ? "s5-2.ts\n" : "s5-2.m4s\n");
        send_gops(&h, 20);
        assert_says(h.channel, "#EXT-X-DISCONTINUITY-SEQUENCE:1\n");
        close_rig(&h);
    }
}

static void test_mux_carries_what_its_container_does(void **state)
{
    struct hls_mux m;

    (void)state;
    for (enum media_codec codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        assert_int_equal(hls_mux_open(&m, (struct hls_form){.container = HLS_TS}), E_OK);
        assert_int_equal(m.known.carries(codec), ts_carries(codec));
        hls_mux_close(&m);
        assert_int_equal(hls_mux_open(&m, (struct hls_form){.container = HLS_FMP4}), E_OK);
        assert_int_equal(m.known.carries(codec), mp4_carries(codec));
        hls_mux_close(&m);
    }
}

static void test_end_of_the_stream_ends_the_playlist(void **state)
{
    struct hls_channel *again;
    struct hls_rig h;

    (void)state;
    open_rig(&h, HLS_TS);
    send_gops(&h, 3);
    stream_kick(h.r.stream);
    assert_true(hls_channel_has_ended(h.channel));
    assert_says(h.channel, "s5-1.ts\n#EXT-X-ENDLIST\n");
    stream_unref(&h.r.stream);
    again = get_again(&h, HLS_TS); /* nobody has published it again */
    assert_ptr_equal(again, h.channel);
    hls_channel_unref(&again);
    publish_run(&h, 8);
    again = get_again(&h, HLS_TS);
    assert_ptr_not_equal(again, h.channel);
    hls_channel_unref(&again);
    rig_settle(&h.r);
    close_rig(&h);
}

struct test_waiter {
    struct hls_waiter waiter;
    unsigned n_told;
};

static void on_news(struct hls_waiter *waiter)
{
    list_entry(waiter, struct test_waiter, waiter)->n_told++;
}

static void wait_on(struct hls_rig *h, unsigned loop, struct test_waiter *w)
{
    struct hls_snapshot *s = hls_channel_look(h->channel);

    assert_true(hls_channel_wait(h->channel, &h->r.ml[loop], &w->waiter, s->version));
    hls_snapshot_unref(&s);
}

static void test_wait_is_woken_on_each_loop_by_the_next_part(void **state)
{
    struct test_waiter w[3] = {{.n_told = 0}};
    struct hls_snapshot *s;
    struct hls_rig h;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        list_init(&w[i].waiter.node);
        w[i].waiter.on_news = on_news;
    }
    open_rig(&h, HLS_FMP4);
    send_gops(&h, 2);
    s = hls_channel_look(h.channel);
    for (unsigned i = 0; i < 3; i++)
        wait_on(&h, i & 1, &w[i]);
    hls_waiter_stop(&w[2].waiter);
    rig_settle(&h.r);
    assert_int_equal(w[0].n_told + w[1].n_told, 0);
    send_gops(&h, 1);
    rig_settle(&h.r);
    assert_int_equal(w[0].n_told, 1);
    assert_int_equal(w[1].n_told, 1);
    assert_int_equal(w[2].n_told, 0);
    /* who has seen an old one is told at once */
    assert_false(hls_channel_wait(h.channel, &h.r.ml[1], &w[1].waiter, s->version));
    hls_snapshot_unref(&s);
    close_rig(&h);
}

static void test_channel_goes_when_nobody_asks(void **state)
{
    int64_t n_before = atomic_load(&m_hls_channels.value);
    struct hls_channel *again;
    struct hls_rig h;

    (void)state;
    open_rig(&h, HLS_FMP4);
    h.conf.idle_us = 100000;
    send_gops(&h, 3);
    assert_int_equal(atomic_load(&m_hls_channels.value), n_before + 1);
    RIG_UNTIL(&h.r, atomic_load(&m_hls_channels.value) == n_before);
    again = get_again(&h, HLS_FMP4);
    assert_ptr_not_equal(again, h.channel);
    hls_channel_unref(&again);
    rig_settle(&h.r);
    close_rig(&h);
}

static void test_channel_that_was_replaced_leaves_the_files_of_the_next_one(void **state)
{
    int64_t n_before = atomic_load(&m_hls_channels.value);
    char dir[] = "/tmp/hls_channel_XXXXXX", command[1024];
    struct hls_channel *next;
    struct hls_rig h;

    (void)state;
    open_rig(&h, HLS_TS);
    assert_non_null(mkdtemp(dir));
    h.conf.disk = hls_disk_create(dir, 1u << 20, 0);
    h.conf.cleanup = HLS_CLEAN_END;
    send_gops(&h, 3);
    stream_kick(h.r.stream);
    stream_unref(&h.r.stream);
    publish_run(&h, 8);
    h.conf.mode = HLS_ALWAYS; /* the next one stays */
    next = get_again(&h, HLS_TS);
    assert_ptr_not_equal(next, h.channel);
    rig_settle(&h.r);
    send_gops(&h, 5);
    assert_int_equal(atomic_load(&m_hls_channels.value), n_before + 2);
    h.conf.idle_us = 100000;
    RIG_UNTIL(&h.r, atomic_load(&m_hls_channels.value) == n_before + 1);
    hls_disk_destroy(&h.conf.disk); /* what was asked is done */
    snprintf(command, sizeof command, "test -s %s/%s/record.m3u8 && ls %s/%s/s8-*.ts >/dev/null",
             dir, h.r.name.text, dir, h.r.name.text);
    assert_int_equal(system(command), 0);
    hls_channel_unref(&next);
    close_rig(&h);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void test_only_audio_has_the_borders_of_all_and_other_names(void **state)
{
    size_t all = 0, sound = 0, pictures = 0;
    struct hls_channel *full, *video;
    struct hls_snapshot *s;
    struct hls_rig h;

    (void)state;
    open_rig_of(&h, HLS_FMP4, HLS_ONLY_AUDIO);
    full = get_again(&h, HLS_FMP4);
    video = hls_get(h.hls, &h.r.name, (struct hls_form){HLS_FMP4, HLS_ONLY_VIDEO}, true);
    rig_settle(&h.r);
    send_gops(&h, 5);
    assert_says(full, "#EXTINF:2.000000,\ns5-1.m4s\n");
    assert_says(h.channel, "#EXT-X-MAP:URI=\"ia5-");
    assert_says(h.channel, "#EXTINF:2.000000,\nsa5-1.m4s\n");
    assert_says(h.channel, "#EXT-X-PART:DURATION=0.200000,URI=\"sa5-2.3.m4s\",INDEPENDENT=YES\n");
    assert_says(video, "#EXT-X-MAP:URI=\"iv5-");
    assert_says(video, "#EXTINF:2.000000,\nsv5-1.m4s\n");
    assert_int_equal(find(full, "s5-1.m4s", &all), E_OK);
    assert_int_equal(find(h.channel, "sa5-1.m4s", &sound), E_OK);
    assert_int_equal(find(video, "sv5-1.m4s", &pictures), E_OK);
    assert_true(sound < pictures && pictures < all);
    assert_int_equal(find(h.channel, "s5-1.m4s", &all), E_NOT_FOUND);
    s = hls_channel_look(h.channel);
    assert_string_equal(s->facts.codecs[0], "");
    assert_string_equal(s->facts.codecs[1], "mp4a.40.2");
    assert_int_equal(s->facts.width, 0);
    hls_snapshot_unref(&s);
    hls_channel_unref(&full);
    hls_channel_unref(&video);
    close_rig(&h);
}

/* The pid of the packet at that index; 8191 = none. */
static unsigned pid_of(struct hls_channel *channel, const char *name, size_t index)
{
    struct hls_data *data = NULL;
    struct hls_name parsed;
    const struct buf_view *views;
    unsigned pid = 8191;
    size_t n;

    assert_int_equal(hls_parse_name(buf_view_str(name), &parsed), E_OK);
    assert_int_equal(hls_channel_find(channel, &parsed, &data), E_OK);
    views = hls_data_views(data, &n);
    if (n && views[0].size_bytes >= (index + 1) * 188)
        pid =
            (unsigned)(views[0].data[index * 188 + 1] & 0x1f) << 8 | views[0].data[index * 188 + 2];
    hls_data_unref(&data);
    return pid;
}

static void test_only_audio_begins_each_ts_segment_with_tables(void **state)
{
    struct hls_rig h;
    char name[64];

    (void)state;
    open_rig_of(&h, HLS_TS, HLS_ONLY_AUDIO);
    send_gops(&h, 7);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "sa5-%u.ts", i);
        assert_int_equal(pid_of(h.channel, name, 0), 0); /* PAT */
    }
    assert_says(h.channel, "#EXTINF:2.000000,\nsa5-1.ts\n");
    close_rig(&h);
}

static void test_only_audio_of_pictures_alone_has_nothing(void **state)
{
    struct hls_snapshot *s;
    struct hls_rig h;

    (void)state;
    for (enum hls_container c = HLS_TS; c <= HLS_FMP4; c++) {
        open_rig_of(&h, c, HLS_ONLY_AUDIO);
        stream_detach(&h.r.source);
        h.is_silent = true;
        publish_run(&h, 6);
        for (unsigned i = 0; i < 400; i++, h.at_ms += 40)
            send_picture(&h, i % 25 == 0, h.at_ms);
        s = hls_channel_look(h.channel);
        assert_false(s->is_playable);
        assert_int_equal(s->version, 0);
        hls_snapshot_unref(&s);
        close_rig(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_cuts_segments_and_parts_with_numbers_of_the_plan),
        cmocka_unit_test(test_find_tells_what_is_to_come_from_what_is_not),
        cmocka_unit_test(test_facts_are_those_of_the_stream),
        cmocka_unit_test(test_window_drops_what_is_old_and_keeps_it_for_a_while),
        cmocka_unit_test(test_segment_without_an_end_becomes_a_gap),
        cmocka_unit_test(test_next_run_goes_on_with_a_discontinuity),
        cmocka_unit_test(test_another_configuration_begins_a_segment),
        cmocka_unit_test(test_other_tracks_begin_a_segment_with_a_discontinuity),
        cmocka_unit_test(test_mux_carries_what_its_container_does),
        cmocka_unit_test(test_end_of_the_stream_ends_the_playlist),
        cmocka_unit_test(test_wait_is_woken_on_each_loop_by_the_next_part),
        cmocka_unit_test(test_channel_goes_when_nobody_asks),
        cmocka_unit_test(test_channel_that_was_replaced_leaves_the_files_of_the_next_one),
        cmocka_unit_test(test_only_audio_has_the_borders_of_all_and_other_names),
        cmocka_unit_test(test_only_audio_begins_each_ts_segment_with_tables),
        cmocka_unit_test(test_only_audio_of_pictures_alone_has_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
