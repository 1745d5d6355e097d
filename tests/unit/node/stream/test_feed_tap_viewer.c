/* Feed, tap and viewer together: what a player gets, from where on, and how it ends. */
#include "tests/unit/node/stream/stream_test.h"

/* --- bytes and order
 * ------------------------------------------------------------------------------- */

static void test_viewer_gets_init_then_every_frame_in_order(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 0);
    push_gop(&r, 0, 50, 900);
    player_drain(&p, &r);
    assert_true(p.started && p.has_audio && p.has_video);
    assert_int_equal(p.n_tags, 2 + 100);
    assert_true(p.tags[0].config && p.tags[0].type == FLV_TAG_VIDEO);
    assert_true(p.tags[1].config && p.tags[1].type == FLV_TAG_AUDIO);
    assert_true(p.tags[2].key);
    assert_int_equal(p.tags[2].number, 2);
    assert_no_gap(&p, 2);
    assert_int_equal(p.tags[101].dts_ms, 49 * 40 + 5);
    assert_int_equal(p.viewer.state, VIEWER_LIVE);
    player_close(&p);
    rig_fini(&r);
}

static void test_viewers_of_one_feed_get_the_same_bytes_on_any_loop(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p[6];
    struct rig r;

    (void)state;
    rig_init(&r, 3, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    for (unsigned i = 0; i < 6; i++)
        player_join(&p[i], &r, i % 3, 0);
    push_gop(&r, 0, 30, 5000);
    for (unsigned i = 0; i < 6; i++)
        player_drain(&p[i], &r);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(p[i].n_tags, 62);
        assert_int_equal(p[i].n_bytes, p[0].n_bytes);
        assert_memory_equal(p[i].tags, p[0].tags, 62 * sizeof p[0].tags[0]);
    }
    for (unsigned i = 0; i < 6; i++)
        player_close(&p[i]);
    rig_fini(&r);
}

static void test_viewer_gets_a_frame_larger_than_many_pages_whole(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 4096);
    push_sized(&r, BODY_AVC_KEY, 0, MAX_BODY_BYTES);
    push_sized(&r, BODY_AVC_INTER, 40, MAX_BODY_BYTES);
    player_drain(&p, &r);
    assert_int_equal(p.n_tags, 4);
    assert_int_equal(p.tags[3].size_bytes, MAX_BODY_BYTES);
    assert_no_gap(&p, 2);
    player_close(&p);
    rig_fini(&r);
}

/* --- where a viewer starts
 * --------------------------------------------------------------------------- */

static uint32_t first_number_for(unsigned gop_count, bool after_the_last_key)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;
    uint32_t number;

    conf.gop.max_gops = gop_count;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0); /* 0, 1 */
    for (unsigned i = 0; i < 5; i++)
        push_gop(&r, 400 * i, 10, 500); /* keys: 2, 22, 42, 62, 82 */
    rig_settle(&r);
    player_join(&p, &r, 0, 0);
    player_drain(&p, &r);
    if (gop_count == 0)
        assert_false(p.started);
    if (after_the_last_key) {
        push(&r, BODY_AVC_INTER, 2000); /* 102: nobody may start here */
        push(&r, BODY_AVC_KEY, 2040);   /* 103 */
        player_drain(&p, &r);
    }
    assert_true(p.tags[0].config && p.tags[1].config);
    assert_true(p.tags[2].key);
    assert_int_equal(p.tags[0].dts_ms, p.tags[2].dts_ms);
    assert_no_gap(&p, 2);
    number = p.tags[2].number;
    player_close(&p);
    rig_fini(&r);
    return number;
}

static void test_join_starts_at_the_latest_key_frame_when_one_gop_is_kept(void **state)
{
    (void)state;
    assert_int_equal(first_number_for(1, false), 82);
}

static void test_join_starts_three_gops_back_when_three_are_kept(void **state)
{
    (void)state;
    assert_int_equal(first_number_for(3, false), 42);
}

static void test_join_waits_for_the_next_key_frame_when_none_is_kept(void **state)
{
    (void)state;
    assert_int_equal(first_number_for(0, true), 103);
}

static void test_join_of_a_running_feed_starts_where_a_new_feed_would(void **state)
{
    struct stream_conf conf = small_conf();
    struct player first, second;
    struct rig r;

    (void)state;
    conf.gop.max_gops = 3;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&first, &r, 0, 0);
    for (unsigned i = 0; i < 5; i++)
        push_gop(&r, 400 * i, 10, 500);
    player_drain(&first, &r);
    player_join(&second, &r, 0, 0);
    player_drain(&second, &r);
    assert_int_equal(second.tags[first_media(&second)].number, 42);
    assert_no_gap(&second, first_media(&second));
    assert_no_gap(&first, 2);
    player_close(&first);
    player_close(&second);
    rig_fini(&r);
}

#define RUN 70

/* A stream of RUN whose last three GOPs, of four, begin at 42, 62 and 82. */
static void publish_run(struct rig *r, const struct stream_conf *conf)
{
    struct source_offer offer = {.epoch = 7, .run = RUN, .numbers_gops = true};

    rig_init(r, 1, conf);
    rig_publish(r);
    stream_detach(&r->source);
    assert_int_equal(stream_attach(r->stream, &r->source, &offer), E_OK);
    push_configs(r, 0);
    for (unsigned i = 0; i < 5; i++)
        push_gop(r, 400 * i, 10, 500);
}

/* Number of the first frame that a relay gets which has the last but one GOP of that run. */
static uint32_t resumed_at(uint64_t have_run)
{
    struct viewer_join how = {.format = FORMAT_RELAY, .relay = true, .have_run = have_run};
    struct stream_conf conf = small_conf();
    uint32_t number;
    struct player p;
    struct rig r;

    conf.gop.max_gops = 3;
    publish_run(&r, &conf);
    how.have_gop = stream_gop(r.stream) - 1;
    player_open(&p, &r.ml[0], 0);
    assert_int_equal(player_join_as(&p, &r, &r.ml[0], &how), E_OK);
    player_drain(&p, &r);
    number = p.tags[first_media(&p)].number;
    assert_int_equal(viewer_epoch(&p.viewer), 7);
    assert_int_equal(viewer_run(&p.viewer), RUN);
    player_close(&p);
    rig_fini(&r);
    return number;
}

static void test_relay_resumes_at_the_gop_that_it_has(void **state)
{
    (void)state;
    assert_int_equal(resumed_at(RUN), 62);
}

static void test_relay_starts_afresh_when_its_gop_is_of_another_run(void **state)
{
    (void)state;
    assert_int_equal(resumed_at(RUN + 1), 42);
    assert_int_equal(resumed_at(0), 42);
}

static void join_relay(struct player *p, struct rig *r, uint64_t have_gop)
{
    struct viewer_join how = {
        .format = FORMAT_RELAY, .relay = true, .have_run = RUN, .have_gop = have_gop};

    player_open(p, &r->ml[0], 0);
    assert_int_equal(player_join_as(p, r, &r->ml[0], &how), E_OK);
    player_drain(p, r);
}

static void test_relay_finds_the_gop_before_the_latest_but_others_do_not_start_there(void **state)
{
    struct stream_conf conf = small_conf();
    struct player first, resumed, fresh;
    struct rig r;

    (void)state;
    publish_run(&r, &conf); /* one GOP is kept: the one at 82 */
    join_relay(&first, &r, 0);
    push_gop(&r, 2000, 10, 500); /* 102 */
    join_relay(&resumed, &r, stream_gop(r.stream) - 1);
    join_relay(&fresh, &r, 0);
    assert_int_equal(resumed.tags[first_media(&resumed)].number, 82);
    assert_int_equal(count_type(&resumed, FLV_TAG_VIDEO, false), 20);
    assert_int_equal(fresh.tags[first_media(&fresh)].number, 102);
    player_close(&first);
    player_close(&resumed);
    player_close(&fresh);
    rig_fini(&r);
}

static void test_relay_gets_nothing_of_the_run_before_the_one_that_has_begun(void **state)
{
    struct viewer_join how = {.format = FORMAT_RELAY, .relay = true};
    struct source_offer offer = {.epoch = 8, .run = RUN + 1, .numbers_gops = true};
    struct stream_conf conf = small_conf();
    struct player first, second;
    struct rig r;

    (void)state;
    publish_run(&r, &conf);
    join_relay(&first, &r, 0);
    stream_detach(&r.source);
    assert_int_equal(stream_attach(r.stream, &r.source, &offer), E_OK);
    rig_settle(&r);
    player_open(&second, &r.ml[0], 0);
    assert_int_equal(player_join_as(&second, &r, &r.ml[0], &how), E_OK);
    rig_settle(&r);
    assert_false(second.started);
    push_configs(&r, 3000);
    push_gop(&r, 3000, 2, 100);
    RIG_UNTIL(&r, second.started);
    assert_int_equal(second.run, RUN + 1);
    assert_int_equal(viewer_epoch(&second.viewer), 8);
    player_close(&first);
    player_close(&second);
    rig_fini(&r);
}

static void test_relay_waits_while_there_is_no_source_and_people_do_not(void **state)
{
    struct viewer_join how = {.format = FORMAT_RELAY, .relay = true};
    struct source_offer offer = {.epoch = 7, .run = RUN, .numbers_gops = true};
    struct stream_conf conf = small_conf();
    struct player person, relay;
    struct rig r;

    (void)state;
    publish_run(&r, &conf);
    stream_detach(&r.source);
    player_join(&person, &r, 0, 0);
    player_open(&relay, &r.ml[0], 0);
    assert_int_equal(player_join_as(&relay, &r, &r.ml[0], &how), E_OK);
    rig_settle(&r);
    assert_true(person.started);
    assert_false(relay.started);
    assert_int_equal(stream_attach(r.stream, &r.source, &offer), E_OK);
    push_configs(&r, 2000);
    push_gop(&r, 2000, 2, 100);
    RIG_UNTIL(&r, relay.started);
    player_close(&person);
    player_close(&relay);
    rig_fini(&r);
}

/* --- a feed for relays is never silent
 * ----------------------------------------------------------- */

static void test_relay_hears_twice_a_second_that_a_silent_stream_lives(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;
    unsigned before;
    int64_t begin_us;

    (void)state;
    publish_run(&r, &conf);
    join_relay(&p, &r, 0);
    before = p.n_tags;
    begin_us = clock_mono_us();
    RIG_UNTIL(&r, (player_read(&p, SIZE_MAX), p.n_tags >= before + 3));
    assert_true(clock_mono_us() - begin_us < 2500000);
    assert_int_equal(count_type(&p, FLV_TAG_SCRIPT, false),
                     p.n_tags - 20 - 2); /* @hw all the rest */
    stream_detach(&r.source); /* its publisher may be back: this node is the place to wait */
    before = p.n_tags;
    RIG_UNTIL(&r, (player_read(&p, SIZE_MAX), p.n_tags > before));
    player_close(&p);
    rig_fini(&r);
}

static const struct stream_upstream k_said = {.epoch = 7, .run = RUN, .gop = 1, .ingest_us = 1000};

/* A stream whose publisher is at another node, which speaks through the source, and a relay that
 * has all of it. */
static void relay_forwarded(struct rig *r, struct player *p)
{
    struct stream_conf conf = small_conf();

    publish_run(r, &conf);
    stream_set_upstream(&r->source, &k_said);
    push_gop(r, 2000, 2, 100);
    join_relay(p, r, 0);
}

static void test_relay_hears_nothing_when_the_upstream_says_nothing_either(void **state)
{
    struct stream_upstream said = k_said;
    struct player p;
    struct rig r;
    unsigned before;
    int64_t begin_us;

    (void)state;
    relay_forwarded(&r, &p);
    before = p.n_tags;
    begin_us = clock_mono_us();
    RIG_UNTIL(&r, clock_mono_us() - begin_us > 900000);
    (void)player_read(&p, SIZE_MAX);
    assert_int_equal(p.n_tags, before);
    said.ingest_us += 500000; /* word from the origin */
    stream_set_upstream(&r.source, &said);
    RIG_UNTIL(&r, (player_read(&p, SIZE_MAX), p.n_tags > before));
    player_close(&p);
    rig_fini(&r);
}

static void test_relay_hears_that_a_publisher_is_awaited_whose_edge_is_gone(void **state)
{
    struct player p;
    struct rig r;
    unsigned before;

    (void)state;
    relay_forwarded(&r, &p);
    before = p.n_tags;
    stream_detach(&r.source);
    RIG_UNTIL(&r, (player_read(&p, SIZE_MAX), p.n_tags >= before + 3));
    player_close(&p);
    rig_fini(&r);
}

static void test_people_hear_nothing_of_a_silent_stream(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;
    size_t before;
    int64_t begin_us;

    (void)state;
    publish_run(&r, &conf);
    player_join(&p, &r, 0, 0);
    player_drain(&p, &r);
    before = p.n_bytes;
    begin_us = clock_mono_us();
    RIG_UNTIL(&r, clock_mono_us() - begin_us > 700000);
    (void)player_read(&p, SIZE_MAX);
    assert_int_equal(p.n_bytes, before);
    player_close(&p);
    rig_fini(&r);
}

/* --- tracks
 * --------------------------------------------------------------------------------------------- */

static void test_viewer_gets_the_audio_header_when_it_came_before_video(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    player_join(&p, &r, 0, 0);
    push(&r, BODY_AAC_CONFIG, 0); /* as OBS does */
    push(&r, BODY_AVC_CONFIG, 0);
    push_gop(&r, 0, 3, 100);
    player_drain(&p, &r);
    assert_true(p.has_audio && p.has_video);
    assert_int_equal(count_type(&p, FLV_TAG_AUDIO, true), 1);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, true), 1);
    assert_no_gap(&p, first_media(&p));
    player_close(&p);
    rig_fini(&r);
}

static void test_audio_only_starts_after_the_wait_with_nothing_lost(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    player_join(&p, &r, 0, 0);
    push(&r, BODY_AAC_CONFIG, 0);
    for (unsigned i = 0; i < 20; i++)
        push(&r, BODY_AAC, 23 * i);
    rig_settle(&r);
    assert_false(p.started); /* video may still come */
    RIG_UNTIL(&r, p.started);
    player_drain(&p, &r);
    assert_true(p.has_audio && !p.has_video);
    assert_int_equal(count_type(&p, FLV_TAG_AUDIO, false), 20);
    assert_no_gap(&p, first_media(&p));
    player_close(&p);
    rig_fini(&r);
}

static void test_audio_only_can_be_joined_once_a_second(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.tracks_wait_ms = 0;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push(&r, BODY_AAC_CONFIG, 0);
    RIG_UNTIL(&r, r.stream->ready);
    for (unsigned i = 0; i < 100; i++) /* entry points at 0, 1000 and 2000 ms */
        push(&r, BODY_AAC, 25 * i);
    player_join(&p, &r, 0, 0);
    player_drain(&p, &r);
    assert_int_equal(p.tags[first_media(&p)].dts_ms, 2000);
    assert_no_gap(&p, first_media(&p));
    player_close(&p);
    rig_fini(&r);
}

static void test_video_only_starts_after_the_wait(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    player_join(&p, &r, 0, 0);
    push(&r, BODY_AVC_CONFIG, 0);
    push(&r, BODY_AVC_KEY, 0);
    push(&r, BODY_AVC_INTER, 40);
    rig_settle(&r);
    assert_false(p.started);
    RIG_UNTIL(&r, p.started);
    player_drain(&p, &r);
    assert_true(p.has_video && !p.has_audio);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, false), 2);
    player_close(&p);
    rig_fini(&r);
}

static void test_expected_tracks_end_the_wait_at_once(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.tracks_wait_ms = 60000;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    player_join(&p, &r, 0, 0);
    stream_expect_tracks(&r.source, false, true);
    push(&r, BODY_AVC_CONFIG, 0);
    push(&r, BODY_AVC_KEY, 0);
    player_drain(&p, &r);
    assert_true(p.started && p.has_video && !p.has_audio);
    player_close(&p);
    rig_fini(&r);
}

static void test_pictures_before_the_first_key_frame_are_left_out(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    player_join(&p, &r, 0, 0);
    push_configs(&r, 0);
    push(&r, BODY_AVC_INTER, 0);
    push(&r, BODY_AVC_INTER, 40);
    push_gop(&r, 80, 2, 100); /* numbers 4 and on */
    player_drain(&p, &r);
    assert_true(p.tags[first_media(&p)].key);
    assert_int_equal(p.tags[first_media(&p)].number, 4);
    player_close(&p);
    rig_fini(&r);
}

static void test_codec_change_reaches_viewers_and_late_joiners(void **state)
{
    struct stream_conf conf = small_conf();
    struct player early, late;
    uint32_t changed;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&early, &r, 0, 0);
    push_gop(&r, 0, 5, 100);
    rig_settle(&r); /* it plays now */
    changed = push(&r, BODY_AVC_CONFIG, 200);
    push_gop(&r, 200, 5, 100);
    player_drain(&early, &r);
    assert_int_equal(count_type(&early, FLV_TAG_VIDEO, true), 2); /* in its place in the stream */
    assert_no_gap(&early, 2);
    player_join(&late, &r, 0, 0);
    player_drain(&late, &r);
    assert_int_equal(count_type(&late, FLV_TAG_VIDEO, true), 1);
    assert_int_equal(late.tags[0].number, changed);
    player_close(&early);
    player_close(&late);
    rig_fini(&r);
}

/* --- private bytes
 * ------------------------------------------------------------------------------------ */

static enum err write_marker(struct player *p, const char *text)
{
    struct buf_writer out;
    enum err e;

    buf_writer_init(&out, 65536);
    flv_write_tag(&out, FLV_TAG_SCRIPT, 0, buf_view_str(text));
    e = viewer_write(&p->viewer, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

static void test_private_bytes_land_between_units_at_any_moment(void **state)
{
    struct stream_conf conf = small_conf();
    unsigned n_written = 0;
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 4096);
    push_gop(&r, 0, 20, 20000);
    rig_settle(&r);
    for (unsigned i = 0; i < 400; i++) { /* a little is read, so that units are cut anywhere */
        player_read(&p, 997);
        rig_turn(&r, false);
        assert_int_equal(write_marker(&p, "marker"), E_OK);
        n_written++;
    }
    player_drain(&p, &r);
    assert_int_equal(count_type(&p, FLV_TAG_SCRIPT, false), n_written);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, false), 20);
    assert_int_equal(p.viewer.state, VIEWER_LIVE);
    assert_int_equal(write_marker(&p, "live"), E_OK);
    player_drain(&p, &r);
    assert_int_equal(count_type(&p, FLV_TAG_SCRIPT, false), n_written + 1);
    player_close(&p);
    rig_fini(&r);
}

static void test_write_gives_slow_when_too_much_is_held_back(void **state)
{
    struct stream_conf conf = small_conf();
    enum err e = E_OK;
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 4096);
    push_sized(&r, BODY_AVC_KEY, 0, MAX_BODY_BYTES);
    rig_settle(&r); /* inside the key frame now */
    assert_int_equal(p.viewer.state, VIEWER_BEHIND);
    for (unsigned i = 0; e == E_OK && i < VIEWER_MAX_PRIVATE_BYTES; i++)
        e = write_marker(&p, "held back");
    assert_int_equal(e, E_SLOW);
    player_close(&p);
    rig_fini(&r);
}

static void test_leave_whole_ends_the_unit_in_flight(void **state)
{
    struct stream_conf conf = small_conf();
    struct buf_writer out;
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 4096);
    push_sized(&r, BODY_AVC_KEY, 0, 100000);
    push_sized(&r, BODY_AVC_INTER, 40, 100000);
    rig_settle(&r);
    assert_int_equal(write_marker(&p, "held"), E_OK);
    assert_int_equal(viewer_leave_whole(&p.viewer), E_OK);
    assert_int_equal(p.viewer.state, VIEWER_OUT);
    buf_writer_init(&out, 100);
    flv_write_tag(&out, FLV_TAG_SCRIPT, 0, buf_view_str("after"));
    assert_int_equal(conn_write(p.conn, buf_writer_view(&out)), E_OK); /* the connection goes on */
    buf_writer_fini(&out);
    player_drain(&p, &r);
    assert_int_equal(p.n_tags, 5); /* two headers, the key frame, what was held, what came after */
    assert_int_equal(p.tags[2].size_bytes, 100000);
    assert_int_equal(p.tags[4].type, FLV_TAG_SCRIPT);
    player_close(&p);
    rig_fini(&r);
}

/* --- memory
 * ---------------------------------------------------------------------------------------------- */

/* Pages and frames. */
static size_t memory_in_use(struct rig *r)
{
    struct pool_stats stats;
    size_t n_bytes = 0;

    for (unsigned i = 0; i < r->n_loops; i++) {
        pool_get_stats(r->ml[i].pool, &stats);
        n_bytes += stats.taken_bytes;
    }
    return n_bytes;
}

static void test_memory_goes_back_to_the_window_when_viewers_have_left(void **state)
{
    struct stream_conf conf = small_conf();
    struct player keep, slow;
    struct rig r;

    (void)state;
    rig_init(&r, 2, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&keep, &r, 0, 0);
    player_join(&slow, &r, 1, 4096);
    push_gop(&r, 0, 50, 20000);
    player_drain(&keep, &r);
    push_gop(&r, 2000, 5, 20000);
    player_drain(&keep, &r);
    assert_true(memory_in_use(&r) > 1000000); /* the slow one holds the first GOP */
    player_close(&slow);
    /* five frames, in blocks of the stream's rate */
    RIG_UNTIL(&r, memory_in_use(&r) < 600000);
    push_gop(&r, 2200, 1, 100);
    rig_settle(&r);
    push_gop(&r, 2240, 1, 100);
    RIG_UNTIL(&r, memory_in_use(&r) < 600000);
    player_close(&keep);
    rig_settle(&r);
    assert_null(flv_feed(r.stream)); /* nobody wants the format any more */
    rig_fini(&r);
}

/* Tiny key frames under a large header: what entry points carry is bounded a page. */
static void test_init_data_of_many_entry_points_is_bounded(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_sized(&r, BODY_AVC_CONFIG, 0, 30000);
    push(&r, BODY_AAC_CONFIG, 0);
    player_join(&p, &r, 0, 0);
    rig_settle(&r);
    for (unsigned i = 0; i < 300; i++) {
        push_sized(&r, BODY_AVC_KEY, i, 10);
        rig_settle(&r);
        assert_true(flv_feed(r.stream)->tail->init_bytes <= 3 * 31000);
        player_read(&p, SIZE_MAX);
    }
    assert_true(memory_in_use(&r) < 100000);
    player_close(&p);
    rig_fini(&r);
}

/* All in one turn, thus before the window is trimmed. */
static void test_init_data_of_a_burst_of_key_frames_is_bounded(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_sized(&r, BODY_AVC_CONFIG, 0, 60000);
    push(&r, BODY_AAC_CONFIG, 0);
    player_join(&p, &r, 0, 0);
    rig_settle(&r);
    for (unsigned i = 0; i < 2000; i++)
        push_sized(&r, BODY_AVC_KEY, i, 10);
    assert_true(flv_feed(r.stream)->fresh_init_bytes < 3000000);
    player_drain(&p, &r);
    /* it starts at the last frame that could be joined, and gets all from there */
    assert_in_range(count_type(&p, FLV_TAG_VIDEO, false), 1900, 2000);
    assert_no_gap(&p, first_media(&p));
    push_sized(&r, BODY_AVC_KEY, 2000, 10);
    assert_true(flv_feed(r.stream)->fresh_init_bytes > 0); /* and the next may be joined */
    player_close(&p);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_viewer_gets_init_then_every_frame_in_order),
        cmocka_unit_test(test_viewers_of_one_feed_get_the_same_bytes_on_any_loop),
        cmocka_unit_test(test_viewer_gets_a_frame_larger_than_many_pages_whole),
        cmocka_unit_test(test_join_starts_at_the_latest_key_frame_when_one_gop_is_kept),
        cmocka_unit_test(test_join_starts_three_gops_back_when_three_are_kept),
        cmocka_unit_test(test_join_waits_for_the_next_key_frame_when_none_is_kept),
        cmocka_unit_test(test_join_of_a_running_feed_starts_where_a_new_feed_would),
        cmocka_unit_test(test_relay_resumes_at_the_gop_that_it_has),
        cmocka_unit_test(test_relay_starts_afresh_when_its_gop_is_of_another_run),
        cmocka_unit_test(test_relay_finds_the_gop_before_the_latest_but_others_do_not_start_there),
        cmocka_unit_test(test_relay_gets_nothing_of_the_run_before_the_one_that_has_begun),
        cmocka_unit_test(test_relay_waits_while_there_is_no_source_and_people_do_not),
        cmocka_unit_test(test_relay_hears_twice_a_second_that_a_silent_stream_lives),
        cmocka_unit_test(test_relay_hears_nothing_when_the_upstream_says_nothing_either),
        cmocka_unit_test(test_relay_hears_that_a_publisher_is_awaited_whose_edge_is_gone),
        cmocka_unit_test(test_people_hear_nothing_of_a_silent_stream),
        cmocka_unit_test(test_viewer_gets_the_audio_header_when_it_came_before_video),
        cmocka_unit_test(test_audio_only_starts_after_the_wait_with_nothing_lost),
        cmocka_unit_test(test_audio_only_can_be_joined_once_a_second),
        cmocka_unit_test(test_video_only_starts_after_the_wait),
        cmocka_unit_test(test_expected_tracks_end_the_wait_at_once),
        cmocka_unit_test(test_pictures_before_the_first_key_frame_are_left_out),
        cmocka_unit_test(test_codec_change_reaches_viewers_and_late_joiners),
        cmocka_unit_test(test_private_bytes_land_between_units_at_any_moment),
        cmocka_unit_test(test_write_gives_slow_when_too_much_is_held_back),
        cmocka_unit_test(test_leave_whole_ends_the_unit_in_flight),
        cmocka_unit_test(test_memory_goes_back_to_the_window_when_viewers_have_left),
        cmocka_unit_test(test_init_data_of_many_entry_points_is_bounded),
        cmocka_unit_test(test_init_data_of_a_burst_of_key_frames_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
