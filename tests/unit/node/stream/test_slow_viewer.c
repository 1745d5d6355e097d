/* Viewers that do not keep up: lag, jumps, stalls and the memory they pin. */
#include "tests/unit/node/stream/stream_test.h"

#define UNIT_BYTES 3000 /* several a page: what a viewer has had is known at a boundary */

static struct stream_conf slow_conf(void)
{
    struct stream_conf conf = small_conf();

    conf.max_lag_ms = 50;
    return conf;
}

/* The viewer's socket is full and inside a unit. */
static void start_and_clog(struct rig *r, struct player *p, const struct stream_conf *conf)
{
    rig_init(r, 1, conf);
    rig_publish(r);
    push_configs(r, 0);
    player_join(p, r, 0, 4096);
    push_gop(r, 0, 5, UNIT_BYTES);
    rig_settle(r);
    assert_int_equal(p->viewer.state, VIEWER_BEHIND);
}

/* Index of the first tag that does not follow the one before it. */
static unsigned gap_at(const struct player *p)
{
    unsigned i = 3;

    while (i < p->n_tags && p->tags[i].number == p->tags[i - 1].number + 1)
        i++;
    assert_true(i < p->n_tags);
    return i;
}

/* All that the player got, with the headers in front that are no units; and what a jump left out.
 */
static void assert_counted(const struct player *p, uint64_t n_dropped)
{
    struct session_counts counts = {0};

    viewer_count(&p->viewer, &counts);
    assert_int_equal(counts.frames_out, p->n_tags - 2);
    assert_int_equal(counts.n_dropped, n_dropped);
}

static void test_slow_viewer_jumps_to_the_newest_entry_at_a_unit_boundary(void **state)
{
    struct stream_conf conf = slow_conf();
    uint32_t newest;
    struct player p;
    struct rig r;
    unsigned gap;

    (void)state;
    start_and_clog(&r, &p, &conf);
    push_gop(&r, 200, 5, UNIT_BYTES);
    newest = r.next_number;
    push_gop(&r, 400, 5, UNIT_BYTES);
    RIG_UNTIL(&r, p.viewer.jump);
    player_drain(&p, &r);
    assert_int_equal(viewer_jumps(&p.viewer), 1);
    assert_int_equal(p.viewer.state, VIEWER_LIVE);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, true), 1); /* the headers were known */
    assert_int_equal(p.tags[2].number, 2);
    gap = gap_at(&p);
    assert_int_equal(p.tags[gap].number, newest);
    assert_counted(&p, newest - p.tags[gap - 1].number - 1);
    assert_true(p.tags[gap].key);
    assert_no_gap(&p, gap);
    assert_time_grows(&p);
    player_close(&p);
    rig_fini(&r);
}

static void test_jump_sends_init_again_when_the_configuration_changed(void **state)
{
    struct stream_conf conf = slow_conf();
    uint32_t changed;
    struct player p;
    struct rig r;
    unsigned gap;

    (void)state;
    start_and_clog(&r, &p, &conf);
    changed = push(&r, BODY_AVC_CONFIG, 200);
    push_gop(&r, 200, 5, UNIT_BYTES);
    RIG_UNTIL(&r, p.viewer.jump);
    player_drain(&p, &r);
    assert_int_equal(viewer_jumps(&p.viewer), 1);
    gap = gap_at(&p);
    assert_true(p.tags[gap].config && p.tags[gap + 1].config);
    assert_int_equal(p.tags[gap].number, changed);
    assert_true(p.tags[gap + 2].key);
    assert_no_gap(&p, gap + 2);
    assert_time_grows(&p);
    player_close(&p);
    rig_fini(&r);
}

/* The head of the answer alone fills the socket: nothing of the stream was sent before the jump. */
static void test_jump_keeps_init_that_was_never_sent(void **state)
{
    struct viewer_join how = {.format = FORMAT_FLV};
    uint8_t *head = calloc(1, 400000);
    struct stream_conf conf = slow_conf();
    const struct feed_mark *mark;
    struct player quick, p;
    struct feed_pos pos;
    struct rig r;

    (void)state;
    assert_non_null(head);
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&quick, &r, 0, 0);
    rig_settle(&r);
    push_gop(&r, 0, 3, 100);
    push_gop(&r, 120, 3, 100); /* inside a page, after a unit under the same headers */
    player_drain(&quick, &r);
    player_open(&p, &r.ml[0], 4096);
    assert_int_equal(conn_write(p.conn, buf_view_of(head, 400000)), E_OK);
    assert_int_equal(player_join_as(&p, &r, &r.ml[0], &how), E_OK);
    rig_settle(&r);
    assert_true(p.started);
    assert_non_null(p.viewer.init);
    push_gop(&r, 240, 3, 100);
    RIG_UNTIL(&r, p.viewer.jump);
    viewer_on_writable(&p.viewer);
    assert_int_equal(viewer_jumps(&p.viewer), 1);
    assert_non_null(p.viewer.init);
    pos = (struct feed_pos){p.viewer.page, p.viewer.offset};
    mark = pos_mark_at(&pos);
    assert_non_null(mark);
    assert_ptr_equal(mark->init, p.viewer.init);
    free(head);
    player_close(&quick);
    player_close(&p);
    rig_fini(&r);
}

static void test_slow_viewer_stays_in_sync_whatever_it_reads(void **state)
{
    struct stream_conf conf = slow_conf();
    struct player p;
    struct rig r;
    uint32_t seed = 7;

    (void)state;
    conf.max_lag_ms = 1;
    start_and_clog(&r, &p, &conf);
    for (unsigned i = 0; i < 200; i++) { /* each read stops elsewhere in a unit */
        seed = seed * 1664525u + 1013904223u;
        if (i % 25 == 24)
            push(&r, BODY_AVC_CONFIG, 200 + 200 * i);
        push_gop(&r, 200 + 200 * i, 5, 2000 + (seed >> 20));
        rig_turn(&r, i % 8 == 0);
        p.viewer.jump = p.viewer.state == VIEWER_BEHIND;
        player_read(&p, (seed >> 8) % 30000);
    }
    player_drain(&p, &r);
    assert_true(viewer_jumps(&p.viewer) > 3);
    assert_time_grows(&p);
    for (unsigned i = 1; i < p.n_tags; i++) /* after a gap comes a key frame, or the headers */
        if (!p.tags[i].config && !p.tags[i - 1].config &&
            p.tags[i].number != p.tags[i - 1].number + 1)
            assert_true(p.tags[i].key);
    player_close(&p);
    rig_fini(&r);
}

static void test_lag_below_the_limit_loses_nothing(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.max_lag_ms = 60000;
    start_and_clog(&r, &p, &conf);
    for (unsigned i = 1; i < 10; i++)
        push_gop(&r, 200 * i, 5, 30000);
    for (unsigned i = 0; i < 3; i++)
        rig_turn(&r, true); /* housekeeping looks */
    player_drain(&p, &r);
    assert_int_equal(viewer_jumps(&p.viewer), 0);
    assert_int_equal(p.n_tags, 2 + 100);
    assert_counted(&p, 0);
    assert_no_gap(&p, 2);
    player_close(&p);
    rig_fini(&r);
}

static void test_slow_viewer_does_not_delay_another(void **state)
{
    struct stream_conf conf = small_conf();
    struct player slow, quick;
    struct rig r;

    (void)state;
    start_and_clog(&r, &slow, &conf);
    player_join(&quick, &r, 0, 0);
    rig_settle(&r);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t number = push_sized(&r, BODY_AVC_INTER, 200 + 40 * i, 30000);

        rig_turn(&r, false);
        player_read(&quick, SIZE_MAX);
        assert_int_equal(quick.tags[quick.n_tags - 1].number, number);
    }
    assert_int_equal(slow.viewer.state, VIEWER_BEHIND);
    player_close(&slow);
    player_close(&quick);
    rig_fini(&r);
}

static void test_stalled_viewer_is_closed_after_stall_timeout(void **state)
{
    struct stream_conf conf = slow_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.stall_timeout_ms = 150;
    start_and_clog(&r, &p, &conf);
    RIG_UNTIL(&r, p.ended);
    assert_int_equal(p.why, E_SLOW);
    player_close(&p);
    rig_fini(&r);
}

static void test_trickling_viewer_is_not_stalled(void **state)
{
    struct stream_conf conf = small_conf();
    int64_t start_us, read_us;
    struct player p;
    struct rig r;

    (void)state;
    conf.stall_timeout_ms = 1000;
    start_and_clog(&r, &p, &conf);
    push_gop(&r, 200, 60, 30000);
    start_us = read_us = clock_mono_us();
    while (clock_mono_us() - start_us < 1500000) { /* housekeeping ends a turn after 100 ms */
        rig_turn(&r, true);
        if (clock_mono_us() - read_us < 50000)
            continue;
        read_us = clock_mono_us();
        player_read(&p, 9000);
    }
    assert_false(p.ended);
    assert_int_equal(p.viewer.state, VIEWER_BEHIND);
    player_close(&p);
    rig_fini(&r);
}

static void test_viewer_furthest_behind_goes_when_too_much_is_pinned(void **state)
{
    struct stream_conf conf = small_conf();
    struct player far, near, quick;
    struct rig r;

    (void)state;
    conf.max_pinned_bytes = 700000;
    start_and_clog(&r, &far, &conf);
    player_join(&quick, &r, 0, 0);
    push_gop(&r, 200, 20, 30000);
    push_gop(&r, 1000, 10, 30000);
    player_drain(&quick, &r);
    player_join(&near, &r, 0, 4096); /* clogged too, but later */
    rig_settle(&r);
    push_gop(&r, 2000, 1, 100); /* a new entry: what is before is held by the slow ones alone */
    player_drain(&quick, &r);
    RIG_UNTIL(&r, far.ended);
    assert_int_equal(far.why, E_SLOW);
    assert_false(quick.ended || near.ended);
    assert_true(feed_pinned_bytes(flv_feed(r.stream), near.viewer.tap->oldest) <=
                conf.max_pinned_bytes);
    assert_no_gap(&quick, first_media(&quick));
    player_close(&far);
    player_close(&near);
    player_close(&quick);
    rig_fini(&r);
}

/* What is limited is memory: a page full of marks is a page, however few bytes it has. */
static void test_pinned_bytes_count_pages_of_tiny_units_whole(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    start_and_clog(&r, &p, &conf);
    for (unsigned i = 0; i < 2000; i++) /* 21 bytes each */
        push_sized(&r, BODY_AAC, 200, 6);
    rig_settle(&r);
    push_gop(&r, 400, 1, 100);
    rig_settle(&r);
    assert_in_range(feed_pinned_bytes(flv_feed(r.stream), p.viewer.tap->oldest), 200000, 500000);
    player_close(&p);
    rig_fini(&r);
}

static void test_viewer_behind_gets_all_bytes_before_the_end(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.latency = LATENCY_EFFICIENT; /* the last frames are not published when the stream ends */
    start_and_clog(&r, &p, &conf);
    push_gop(&r, 200, 5, 30000);
    stream_end(r.stream, 0);
    while (!p.ended) {
        player_read(&p, 3000); /* a little, then its loop looks at it with the end known */
        rig_turn(&r, false);
    }
    while (player_read(&p, SIZE_MAX))
        continue;
    assert_int_equal(p.why, E_END);
    assert_int_equal(p.n_tags, 2 + 20);
    assert_no_gap(&p, 2);
    player_close(&p);
    rig_fini(&r);
}

/* The home loop has published the end; the viewer's loop hears first that the socket has room. */
static void test_end_is_not_told_before_the_last_bytes_on_another_loop(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 2, &conf);
    rig_publish(&r);
    assert_ptr_equal(stream_home(r.stream), &r.ml[0]);
    push_configs(&r, 0);
    player_join(&p, &r, 1, 0);
    push_sized(&r, BODY_AVC_KEY, 0, MAX_BODY_BYTES);
    rig_settle(&r);
    assert_int_equal(p.viewer.state, VIEWER_BEHIND);
    while (player_read(&p, SIZE_MAX))
        continue;
    push(&r, BODY_AVC_INTER, 40);
    stream_end(r.stream, 0);
    loop_turn(r.ml[0].loop, false);
    RIG_UNTIL(&r, (player_read(&p, SIZE_MAX), p.ended));
    player_drain(&p, &r);
    assert_int_equal(p.why, E_END);
    assert_int_equal(p.n_tags, 4);
    player_close(&p);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_viewer_jumps_to_the_newest_entry_at_a_unit_boundary),
        cmocka_unit_test(test_jump_sends_init_again_when_the_configuration_changed),
        cmocka_unit_test(test_jump_keeps_init_that_was_never_sent),
        cmocka_unit_test(test_slow_viewer_stays_in_sync_whatever_it_reads),
        cmocka_unit_test(test_lag_below_the_limit_loses_nothing),
        cmocka_unit_test(test_slow_viewer_does_not_delay_another),
        cmocka_unit_test(test_stalled_viewer_is_closed_after_stall_timeout),
        cmocka_unit_test(test_trickling_viewer_is_not_stalled),
        cmocka_unit_test(test_viewer_furthest_behind_goes_when_too_much_is_pinned),
        cmocka_unit_test(test_pinned_bytes_count_pages_of_tiny_units_whole),
        cmocka_unit_test(test_viewer_behind_gets_all_bytes_before_the_end),
        cmocka_unit_test(test_end_is_not_told_before_the_last_bytes_on_another_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
