/* Pulls against upstreams made by the test: which are tried, which one wins, and that a viewer gets
 * each picture once whatever becomes of them. */
#include "tests/unit/node/relay/relay_test.h"

/* The viewer is fed by this one, which has given pictures 0 to n - 1. others come behind it in the
 * list of candidates. */
static void play_from(struct upstream *up, struct upstream *other, const char *path, uint32_t n)
{
    play();
    if (other)
        ROUTE(up, other);
    else
        ROUTE(up);
    TURN_UNTIL(up_is_asked(up));
    up_answer(up, EPOCH, path);
    up_headers(up, 0);
    up_pictures(up, EPOCH, 0, n);
    TURN_UNTIL(player_has(n - 1));
}

/* --- the race --- */

static void test_need_source_gives_the_first_choice_its_head_start(void **state)
{
    struct upstream first, second;

    (void)state;
    up_open(&first, "o1", 0);
    up_open(&second, "e1", 1);
    play();
    ROUTE(&first, &second);
    TURN_UNTIL(up_is_asked(&first));
    turn_for_ms(150);
    assert_false(up_is_asked(&second));
    assert_non_null(strstr(first.request, "GET /live/a.flv HTTP/1.1\r\n"));
    assert_non_null(strstr(first.request, "X-Headwater-Hops: me\r\n"));
    assert_null(strstr(first.request, "X-Headwater-Have"));
    up_die(&first);
    up_die(&second);
}

static void test_upstream_that_waits_itself_is_not_raced_at_once(void **state)
{
    struct upstream first, second;

    (void)state;
    rig.node.conf.pull_head_start_ms = 50;
    up_open(&first, "o1", 0);
    up_open(&second, "e1", 1);
    play();
    ROUTE(&first, &second);
    TURN_UNTIL(up_is_asked(&first));
    assert_non_null(strstr(first.request, "X-Headwater-Waits: 1\r\n"));
    up_wait(&first);
    turn_for_ms(400);
    assert_false(up_is_asked(&second));
    up_answer(&first, EPOCH, "o1");
    up_headers(&first, 0);
    up_pictures(&first, EPOCH, 0, 3);
    TURN_UNTIL(player_has(2));
    assert_false(up_is_asked(&second));
    up_die(&first);
    up_die(&second);
}

/* It may wait for us. */
static void test_upstream_that_waits_for_too_long_is_raced(void **state)
{
    struct upstream first, second;

    (void)state;
    rig.node.conf.pull_head_start_ms = 50;
    up_open(&first, "e2", 0);
    up_open(&second, "e1", 1);
    play();
    ROUTE(&first, &second);
    TURN_UNTIL(up_is_asked(&first));
    up_wait(&first);
    TURN_UNTIL(up_is_asked(&second));
    assert_false(up_is_left(&first));
    up_die(&first);
    up_die(&second);
}

static void test_need_source_gives_the_race_to_who_answers_first(void **state)
{
    struct upstream first, second;
    struct stream_info info;

    (void)state;
    rig.node.conf.pull_head_start_ms = 50;
    up_open(&first, "o1", 0);
    up_open(&second, "e1", 1);
    play();
    ROUTE(&first, &second);
    TURN_UNTIL(up_is_asked(&first));
    TURN_UNTIL(up_is_asked(&second)); /* the first one has not answered */
    up_answer(&second, EPOCH, "e1,o1");
    up_headers(&second, 0);
    up_pictures(&second, EPOCH, 0, 3);
    TURN_UNTIL(player_has(2));
    assert_true(up_is_left(&first));
    stream_get_info(the_stream(), &info);
    assert_string_equal(info.upstream, "e1");
    assert_int_equal(info.depth, 2);
    assert_true(info.run == RUN && info.epoch == EPOCH);
    up_die(&first);
    up_die(&second);
}

static void test_need_source_gives_the_next_at_once_when_one_fails(void **state)
{
    struct upstream dead, refusing, good;

    (void)state;
    up_open(&dead, "o1", 0);
    up_die(&dead);
    up_open(&refusing, "o2", 0);
    up_open(&good, "o3", 0);
    play();
    ROUTE(&dead, &refusing, &good); /* their head start is a minute */
    TURN_UNTIL(up_is_asked(&refusing));
    up_refuse(&refusing, 503);
    TURN_UNTIL(up_is_asked(&good));
    up_die(&refusing);
    up_die(&good);
}

static void test_need_source_gives_up_whom_a_newer_answer_does_not_name(void **state)
{
    struct upstream gone, owner;

    (void)state;
    up_open(&gone, "o1", 0);
    up_open(&owner, "o2", 0);
    play();
    ROUTE(&gone);
    TURN_UNTIL(up_is_asked(&gone)); /* it has nothing, and waits as well */
    pull_on_published(&rig.node, the_stream(), EPOCH, "o2");
    TURN_UNTIL(rig.asked);
    ROUTE(&owner);
    TURN_UNTIL(up_is_asked(&owner));
    assert_true(up_is_left(&gone));
    up_die(&gone);
    up_die(&owner);
}

static void test_answer_gives_another_question_when_the_stream_moved_meanwhile(void **state)
{
    struct upstream old, owner;

    (void)state;
    up_open(&old, "o1", 0);
    up_open(&owner, "o2", 0);
    play();
    pull_on_published(&rig.node, the_stream(), EPOCH, "o2");
    ROUTE(&old); /* asked before */
    TURN_UNTIL(rig.asked);
    ROUTE(&owner);
    TURN_UNTIL(up_is_asked(&owner));
    assert_false(up_is_asked(&old));
    up_die(&old);
    up_die(&owner);
}

/* --- an upstream fails --- */

static void test_lost_upstream_gives_the_next_without_waiting_for_an_answer(void **state)
{
    struct upstream parent, other;

    (void)state;
    up_open(&parent, "e1", 1);
    up_open(&other, "e2", 1);
    play_from(&parent, &other, "e1,o1", 14);
    up_die(&parent);
    TURN_UNTIL(up_is_asked(&other));
    assert_non_null(strstr(other.request, "X-Headwater-Have: 5,2\r\n"));
    assert_non_null(strstr(other.request, "X-Headwater-Have-Run: 77\r\n"));
    assert_non_null(rig.asked); /* at the same time */
    assert_true(cluster_ids_hold(&rig.avoided, "e1"));
    up_answer(&other, EPOCH, "e2,o1");
    up_headers(&other, 0);
    up_pictures(&other, EPOCH, 10, 25); /* from the GOP that we have */
    TURN_UNTIL(player_has(24));
    assert_whole(25);
    up_die(&other);
}

static void
test_lost_upstream_gives_whom_the_scheduler_names_when_nobody_else_is_known(void **state)
{
    struct upstream parent, other;

    (void)state;
    up_open(&parent, "o1", 0);
    up_open(&other, "o2", 0);
    play_from(&parent, NULL, "o1", 14);
    up_die(&parent);
    TURN_UNTIL(rig.asked);
    ROUTE(&other);
    TURN_UNTIL(up_is_asked(&other));
    up_answer(&other, EPOCH + 1, "o2"); /* another origin, the same encoder session */
    up_headers(&other, 0);
    up_pictures(&other, EPOCH + 1, 10, 25);
    TURN_UNTIL(player_has(24));
    assert_whole(25);
    assert_int_equal(stream_epoch(the_stream()), EPOCH + 1);
    up_die(&other);
}

/* The second one's clock wraps elsewhere, in the GOP that we have. */
static void test_lost_upstream_gives_exact_times_when_clocks_wrap(void **state)
{
    const uint32_t first_ms = 0u - 15 * 40, second_ms = 0u - 12 * 40; /* of picture 15, and 12 */
    struct upstream parent, other;
    unsigned first;

    (void)state;
    up_open(&parent, "e1", 1);
    up_open(&other, "e2", 1);
    play();
    ROUTE(&parent, &other);
    TURN_UNTIL(up_is_asked(&parent));
    up_answer(&parent, EPOCH, "e1,o1");
    up_headers(&parent, 0); /* headers may have any time */
    up_pictures_at(&parent, EPOCH, 0, 17, first_ms);
    TURN_UNTIL(player_has(16));
    up_die(&parent);
    TURN_UNTIL(up_is_asked(&other));
    up_answer(&other, EPOCH, "e2,o1");
    up_headers(&other, second_ms);
    up_pictures_at(&other, EPOCH, 10, 30, second_ms);
    TURN_UNTIL(player_has(29));
    first = first_media(&rig.player);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(rig.player.tags[first + i].number, i);
        assert_int_equal(rig.player.tags[first + i].dts_ms, first_ms + i * 40);
    }
    up_die(&other);
}

/* What an upstream says that has lost its own, or is in a loop, is no sign of life. */
static void test_upstream_is_left_when_the_origins_clock_stands_still(void **state)
{
    struct upstream parent;
    int64_t begin_us;

    (void)state;
    rig.node.conf.upstream_stall_ms = 400;
    up_open(&parent, "o1", 0);
    play_from(&parent, NULL, "o1", 3);
    begin_us = clock_mono_us();
    while (!rig.asked) {
        up_say(&parent, EPOCH, 1, 80000, NULL);
        turn_for_ms(50);
        assert_true(clock_mono_us() - begin_us < 5000000);
    }
    assert_true(clock_mono_us() - begin_us >= 350000);
    assert_true(up_is_left(&parent));
    up_die(&parent);
}

static void test_upstream_is_kept_when_the_origins_clock_moves(void **state)
{
    struct upstream parent;

    (void)state;
    rig.node.conf.upstream_stall_ms = 400;
    up_open(&parent, "o1", 0);
    play_from(&parent, NULL, "o1", 3);
    for (int i = 1; i < 16; i++) {
        up_say(&parent, EPOCH, 1, 80000 + i, NULL);
        turn_for_ms(80);
    }
    assert_null(rig.asked);
    assert_false(up_is_left(&parent));
    up_die(&parent);
}

static void test_ended_upstream_gives_a_question_and_no_try_of_others(void **state)
{
    struct flv_hw end = {.v = FLV_HW_VERSION, .end = true};
    struct upstream parent, other;
    struct buf_writer body, out;

    (void)state;
    up_open(&parent, "e1", 1);
    up_open(&other, "e2", 1);
    play_from(&parent, &other, "e1,o1", 3);
    buf_writer_init(&body, 1024);
    buf_writer_init(&out, 1024);
    flv_write_hw_body(&body, &end);
    flv_write_tag(&out, FLV_TAG_SCRIPT, 0, buf_writer_view(&body));
    buf_writer_fini(&body);
    up_send(&parent, &out);
    TURN_UNTIL(rig.asked);
    assert_false(up_is_asked(&other));
    assert_false(cluster_ids_hold(&rig.avoided, "e1"));
    up_die(&parent);
    up_die(&other);
}

/* --- make before break --- */

static void test_leaving_gives_another_upstream_before_the_old_one_is_let_go(void **state)
{
    struct upstream leaving, other;

    (void)state;
    up_open(&leaving, "o1", 0);
    up_open(&other, "e1", 1);
    play_from(&leaving, NULL, "o1", 14);
    pull_on_leaving(&rig.node, the_stream(), "o1");
    TURN_UNTIL(rig.asked);
    assert_true(cluster_ids_hold(&rig.avoided, "o1"));
    ROUTE(&other);
    TURN_UNTIL(up_is_asked(&other));
    up_pictures(&leaving, EPOCH, 14, 22); /* it still feeds us, into the next GOP */
    TURN_UNTIL(player_has(21));
    assert_non_null(strstr(other.request, "X-Headwater-Have: 5,2\r\n"));
    up_answer(&other, EPOCH, "e1,o2");
    up_headers(&other, 0);
    up_pictures(&other, EPOCH, 10, 30);
    TURN_UNTIL(player_has(29));
    assert_whole(30);
    assert_true(up_is_left(&leaving));
    up_die(&leaving);
    up_die(&other);
}

static void test_leaving_gives_the_old_upstream_as_long_as_there_is_no_other(void **state)
{
    struct upstream leaving, refusing;

    (void)state;
    up_open(&leaving, "o1", 0);
    up_open(&refusing, "e1", 1);
    play_from(&leaving, NULL, "o1", 5);
    pull_on_leaving(&rig.node, the_stream(), "o1");
    TURN_UNTIL(rig.asked);
    answer_route(NULL, 0);
    TURN_UNTIL(rig.asked); /* again, with back-off */
    ROUTE(&refusing);
    TURN_UNTIL(up_is_asked(&refusing));
    up_refuse(&refusing, 404);
    up_pictures(&leaving, EPOCH, 5, 12);
    TURN_UNTIL(player_has(11));
    TURN_UNTIL(rig.asked);
    assert_whole(12);
    up_die(&leaving);
    up_die(&refusing);
}

/* The event comes while its answer is awaited, and is not told again. */
static void test_leaving_of_one_that_is_tried_gives_another_once_it_has_won(void **state)
{
    struct upstream leaving, other;

    (void)state;
    up_open(&leaving, "o1", 0);
    up_open(&other, "e1", 1);
    play();
    ROUTE(&leaving);
    TURN_UNTIL(up_is_asked(&leaving));
    pull_on_leaving(&rig.node, the_stream(), "o1");
    up_answer(&leaving, EPOCH, "o1");
    up_headers(&leaving, 0);
    up_pictures(&leaving, EPOCH, 0, 5);
    TURN_UNTIL(player_has(4));
    TURN_UNTIL(rig.asked);
    assert_true(cluster_ids_hold(&rig.avoided, "o1"));
    ROUTE(&other);
    TURN_UNTIL(up_is_asked(&other));
    up_answer(&other, EPOCH, "e1,o2");
    up_headers(&other, 0);
    up_pictures(&other, EPOCH, 0, 12);
    TURN_UNTIL(player_has(11));
    assert_whole(12);
    assert_true(up_is_left(&leaving));
    up_die(&leaving);
    up_die(&other);
}

static void test_leaving_of_another_node_gives_nothing(void **state)
{
    struct upstream parent;

    (void)state;
    up_open(&parent, "o1", 0);
    play_from(&parent, NULL, "o1", 3);
    pull_on_leaving(&rig.node, the_stream(), "o2");
    pull_on_leaving(&rig.node, the_stream(), "me");
    turn_for_ms(500);
    assert_null(rig.asked);
    up_die(&parent);
}

static void test_published_elsewhere_gives_the_new_owner_beside_the_old_one(void **state)
{
    struct upstream old, owner;

    (void)state;
    up_open(&old, "o1", 0);
    up_open(&owner, "o2", 0);
    play_from(&old, NULL, "o1", 14);
    pull_on_published(&rig.node, the_stream(), EPOCH, "o2"); /* no higher epoch: old news */
    turn_for_ms(150);
    assert_null(rig.asked);
    pull_on_published(&rig.node, the_stream(), EPOCH + 1, "o2");
    TURN_UNTIL(rig.asked);
    ROUTE(&owner);
    TURN_UNTIL(up_is_asked(&owner));
    assert_false(up_is_left(&old));
    up_answer(&owner, EPOCH + 1, "o2");
    up_headers(&owner, 0);
    up_pictures(&owner, EPOCH + 1, 10, 20);
    TURN_UNTIL(player_has(19));
    assert_whole(20);
    assert_true(up_is_left(&old));
    up_die(&old);
    up_die(&owner);
}

static void test_published_elsewhere_gives_a_parent_that_is_no_origin_time_to_follow(void **state)
{
    struct upstream parent;
    int64_t begin_us;

    (void)state;
    up_open(&parent, "e1", 1);
    play_from(&parent, NULL, "e1,o1", 3);
    pull_on_published(&rig.node, the_stream(), EPOCH + 1, "o2");
    begin_us = clock_mono_us();
    up_say(&parent, EPOCH + 1, 1, 90000, "o2"); /* it has */
    TURN_UNTIL(rig.asked);
    assert_true(clock_mono_us() - begin_us > 500000);
    ROUTE(&parent);
    turn_for_ms(150);
    assert_false(up_is_left(&parent));
    assert_int_equal(stream_epoch(the_stream()), EPOCH + 1);
    up_die(&parent);
}

/* --- going back to what is better --- */

static void test_failback_gives_an_upstream_that_is_nearer_to_the_origin(void **state)
{
    struct upstream parent, origin;

    (void)state;
    rig.node.conf.pull_failback_ms = 100;
    up_open(&parent, "e1", 1);
    up_open(&origin, "o1", 0);
    play_from(&parent, NULL, "e1,o1", 14);
    TURN_UNTIL(rig.asked);
    assert_int_equal(rig.avoided.n, 0);
    ROUTE(&origin, &parent);
    TURN_UNTIL(up_is_asked(&origin));
    up_answer(&origin, EPOCH, "o1");
    up_headers(&origin, 0);
    up_pictures(&origin, EPOCH, 10, 20);
    TURN_UNTIL(player_has(19));
    assert_whole(20);
    assert_true(up_is_left(&parent));
    turn_for_ms(400);
    assert_null(rig.asked); /* nothing is better than the origin */
    up_die(&parent);
    up_die(&origin);
}

static void test_failback_gives_no_change_for_what_is_equal_or_not_the_first_choice(void **state)
{
    struct upstream parent, equal, origin;

    (void)state;
    rig.node.conf.pull_failback_ms = 100;
    up_open(&parent, "e1", 1);
    up_open(&equal, "e2", 1);
    up_open(&origin, "o1", 0);
    play_from(&parent, NULL, "e1,o1", 3);
    TURN_UNTIL(rig.asked);
    ROUTE(&equal, &origin); /* the origin is full */
    TURN_UNTIL(rig.asked);
    ROUTE(&parent, &origin);
    TURN_UNTIL(rig.asked);
    assert_false(up_is_asked(&equal));
    assert_false(up_is_asked(&origin));
    assert_false(up_is_left(&parent));
    up_die(&parent);
    up_die(&equal);
    up_die(&origin);
}

/* --- loops --- */

static void test_answer_that_names_us_above_it_is_refused(void **state)
{
    struct upstream below, good;

    (void)state;
    up_open(&below, "e1", 1);
    up_open(&good, "o1", 0);
    play();
    ROUTE(&below, &good);
    TURN_UNTIL(up_is_asked(&below));
    up_answer(&below, EPOCH, "e1,me,o1");
    TURN_UNTIL(up_is_asked(&good));
    assert_true(up_is_left(&below));
    assert_false(stream_has_source(the_stream()));
    up_die(&below);
    up_die(&good);
}

static void test_answer_with_too_many_nodes_above_is_refused(void **state)
{
    struct upstream deep, good;

    (void)state;
    up_open(&deep, "e3", 3);
    up_open(&good, "o1", 0);
    play();
    ROUTE(&deep, &good);
    TURN_UNTIL(up_is_asked(&deep));
    up_answer(&deep, EPOCH, "e3,e2,e1,o1");
    TURN_UNTIL(up_is_asked(&good));
    up_die(&deep);
    up_die(&good);
}

static void test_upstream_is_left_when_its_path_comes_to_name_us(void **state)
{
    struct upstream parent;
    struct stream_info info;

    (void)state;
    up_open(&parent, "e1", 1);
    play_from(&parent, NULL, "e1,o1", 3);
    up_say(&parent, EPOCH, 1, 80001, "e2,o1");
    TURN_UNTIL((stream_get_info(the_stream(), &info), info.depth == 3));
    up_say(&parent, EPOCH, 1, 80002, "e2,me,o1");
    TURN_UNTIL(up_is_left(&parent));
    up_die(&parent);
}

static void test_upstream_that_has_come_to_lie_too_deep_gives_another_one(void **state)
{
    struct upstream parent, other;

    (void)state;
    up_open(&parent, "e1", 1);
    up_open(&other, "e2", 1);
    play_from(&parent, NULL, "e1,o1", 14);
    up_say(&parent, EPOCH, 2, 600001, "e3,o1");
    turn_for_ms(450);
    assert_null(rig.asked); /* three nodes above us are not too many */
    up_say(&parent, EPOCH, 2, 600002, "e4,e3,o1");
    TURN_UNTIL(rig.asked);
    ROUTE(&other);
    TURN_UNTIL(up_is_asked(&other));
    assert_false(up_is_left(&parent));
    up_answer(&other, EPOCH, "e2,o1");
    up_headers(&other, 0);
    up_pictures(&other, EPOCH, 10, 25);
    TURN_UNTIL(player_has(24));
    assert_whole(25);
    assert_true(up_is_left(&parent));
    up_die(&parent);
    up_die(&other);
}

static void test_path_with_other_bytes_than_ids_is_refused(void **state)
{
    struct upstream parent;

    (void)state;
    up_open(&parent, "e1", 1);
    play_from(&parent, NULL, "e1,o1", 3);
    up_say(&parent, EPOCH, 1, 80001, "o1\r\nX-Bad: 1");
    TURN_UNTIL(up_is_left(&parent));
    up_die(&parent);
}

static void test_child_of_ours_is_not_tried(void **state)
{
    struct upstream child, good;
    struct hops_child hop;
    struct stream *stream;

    (void)state;
    up_open(&child, "e1", 1);
    up_open(&good, "o1", 0);
    play();
    stream = registry_find(rig.node.registry, rig.names.name.text);
    assert_true(hops_add_child(stream_hops(stream), &hop, "e1"));
    hops_feed_child(stream_hops(stream), &hop);
    ROUTE(&child, &good);
    TURN_UNTIL(up_is_asked(&good));
    assert_false(up_is_asked(&child));
    hops_remove_child(stream_hops(stream), &hop);
    stream_unref(&stream);
    up_die(&child);
    up_die(&good);
}

/* --- the end --- */

static void test_pull_ends_when_somebody_publishes_here(void **state)
{
    struct source publisher = {
        .kind = SOURCE_PUBLISHER, .protocol = "test", .session_id = "t", .upstream = ""};
    struct source_offer offer = {.epoch = EPOCH + 1, .run = RUN + 1, .numbers_gops = true};
    struct upstream parent;

    (void)state;
    up_open(&parent, "o1", 0);
    play_from(&parent, NULL, "o1", 3);
    assert_int_equal(stream_attach(the_stream(), &publisher, &offer), E_OK);
    TURN_UNTIL(up_is_left(&parent));
    assert_true(list_is_empty(&rig.nl.pulls));
    assert_false(rig.player.ended);
    stream_detach(&publisher);
    up_die(&parent);
}

static void test_pull_ends_with_its_question_when_the_viewer_leaves(void **state)
{
    struct upstream late;

    (void)state;
    up_open(&late, "o1", 0);
    play();
    viewer_leave(&rig.player.viewer);
    turn_for_ms(50);
    ROUTE(&late);
    assert_true(list_is_empty(&rig.nl.pulls));
    turn_for_ms(50);
    assert_false(up_is_asked(&late));
    up_die(&late);
}

static void test_stop_all_closes_running_and_tried_links_and_forgets_the_question(void **state)
{
    struct upstream parent, other;

    (void)state;
    up_open(&parent, "o1", 0);
    up_open(&other, "o2", 0);
    play_from(&parent, NULL, "o1", 3);
    pull_on_leaving(&rig.node, the_stream(), "o1");
    TURN_UNTIL(rig.asked);
    ROUTE(&other);
    TURN_UNTIL(up_is_asked(&other));
    pull_on_published(&rig.node, the_stream(), EPOCH + 1, "o3");
    TURN_UNTIL(rig.asked);
    pull_stop_all(&rig.nl);
    assert_true(up_is_left(&parent));
    assert_true(up_is_left(&other));
    answer_route(NULL, 0); /* nobody is there any more */
    up_die(&parent);
    up_die(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_need_source_gives_the_first_choice_its_head_start),
        TEST(test_upstream_that_waits_itself_is_not_raced_at_once),
        TEST(test_upstream_that_waits_for_too_long_is_raced),
        TEST(test_need_source_gives_the_race_to_who_answers_first),
        TEST(test_need_source_gives_the_next_at_once_when_one_fails),
        TEST(test_need_source_gives_up_whom_a_newer_answer_does_not_name),
        TEST(test_answer_gives_another_question_when_the_stream_moved_meanwhile),
        TEST(test_lost_upstream_gives_the_next_without_waiting_for_an_answer),
        TEST(test_lost_upstream_gives_whom_the_scheduler_names_when_nobody_else_is_known),
        TEST(test_lost_upstream_gives_exact_times_when_clocks_wrap),
        TEST(test_upstream_is_left_when_the_origins_clock_stands_still),
        TEST(test_upstream_is_kept_when_the_origins_clock_moves),
        TEST(test_ended_upstream_gives_a_question_and_no_try_of_others),
        TEST(test_leaving_gives_another_upstream_before_the_old_one_is_let_go),
        TEST(test_leaving_gives_the_old_upstream_as_long_as_there_is_no_other),
        TEST(test_leaving_of_one_that_is_tried_gives_another_once_it_has_won),
        TEST(test_leaving_of_another_node_gives_nothing),
        TEST(test_published_elsewhere_gives_the_new_owner_beside_the_old_one),
        TEST(test_published_elsewhere_gives_a_parent_that_is_no_origin_time_to_follow),
        TEST(test_failback_gives_an_upstream_that_is_nearer_to_the_origin),
        TEST(test_failback_gives_no_change_for_what_is_equal_or_not_the_first_choice),
        TEST(test_answer_that_names_us_above_it_is_refused),
        TEST(test_answer_with_too_many_nodes_above_is_refused),
        TEST(test_upstream_is_left_when_its_path_comes_to_name_us),
        TEST(test_upstream_that_has_come_to_lie_too_deep_gives_another_one),
        TEST(test_path_with_other_bytes_than_ids_is_refused),
        TEST(test_child_of_ours_is_not_tried),
        TEST(test_pull_ends_when_somebody_publishes_here),
        TEST(test_pull_ends_with_its_question_when_the_viewer_leaves),
        TEST(test_stop_all_closes_running_and_tried_links_and_forgets_the_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
