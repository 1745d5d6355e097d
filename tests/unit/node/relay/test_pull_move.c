/* Pulls from foreign RTMP servers that ask their players to go elsewhere: where that leads, what
 * viewers get meanwhile, and for how long it is followed. */
#include "tests/unit/node/relay/relay_test.h"

#include "node/conf.h"
#include "node/relay/pull_private.h"
#include "node/relay/relays_private.h"

/* --- a foreign server --- */

struct foreign {
    struct upstream at; /* its sockets */
    struct rtmp_server *server;
    struct rtmp_limits limits;
    char app[128], stream[128], tc_url[256]; /* of the play */
    bool asked;
};

static void foreign_open(struct foreign *f)
{
    static const uint8_t k_seed[RTMP_SEED_BYTES];

    *f = (struct foreign){.limits = k_rtmp_limits_default};
    up_open(&f->at, "", 0);
    f->server = rtmp_server_create(&f->limits, k_seed);
    assert_non_null(f->server);
}

static void foreign_die(struct foreign *f)
{
    up_die(&f->at);
    rtmp_server_destroy(&f->server);
}

static void on_event(struct foreign *f, const struct rtmp_event *event, struct buf_writer *out)
{
    if (event->type == RTMP_EVENT_CONNECT)
        assert_true(buf_view_to_str(event->tc_url, f->tc_url, sizeof f->tc_url));
    if (event->type != RTMP_EVENT_PLAY)
        return;
    assert_true(buf_view_to_str(event->app, f->app, sizeof f->app));
    assert_true(buf_view_to_str(event->stream, f->stream, sizeof f->stream));
    f->asked = true;
    rtmp_server_accept(f->server, out);
}

/* Answers what came. True once the node plays. */
static bool foreign_is_asked(struct foreign *f)
{
    uint8_t bytes[4096];
    ssize_t n;

    if (f->at.fd < 0)
        f->at.fd = accept4(f->at.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (f->at.fd >= 0 && !f->asked && (n = recv(f->at.fd, bytes, sizeof bytes, 0)) > 0) {
        struct buf_reader in = buf_reader_from(buf_view_of(bytes, (size_t)n));
        struct rtmp_event event;
        struct buf_writer out;
        enum err e;

        buf_writer_init(&out, 1 << 16);
        while ((e = rtmp_server_feed(f->server, &in, 0, &event, &out)) == E_OK)
            on_event(f, &event, &out);
        assert_int_equal(e, E_AGAIN);
        up_send(&f->at, &out);
    }
    return f->asked;
}

/* What is left of the play's own words is read, too. */
static bool foreign_is_left(struct foreign *f)
{
    uint8_t bytes[4096];
    ssize_t n;

    while ((n = recv(f->at.fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || errno != EAGAIN;
}

static void foreign_frame(struct foreign *f, enum body_kind kind, uint32_t number, uint32_t dts_ms)
{
    uint8_t body[64], type = k_bodies[kind].flv_type;
    size_t size = make_body(body, kind, number, sizeof body);
    struct buf_writer out;

    buf_writer_init(&out, 1024);
    rtmp_write_message(&out, f->limits.out_chunk_size, type == RTMP_VIDEO ? 6 : 4, dts_ms, type,
                       RTMP_MEDIA_STREAM_ID, buf_view_of(body, size));
    up_send(&f->at, &out);
}

static void foreign_headers(struct foreign *f)
{
    foreign_frame(f, BODY_AVC_CONFIG, 1000000, 0);
    foreign_frame(f, BODY_AAC_CONFIG, 1000001, 0);
}

/* GOPs of ten, at 40 ms; this server's clock is ahead by skew_ms. */
static void foreign_pictures(struct foreign *f, uint32_t from, uint32_t to, uint32_t skew_ms)
{
    for (uint32_t i = from; i < to; i++)
        foreign_frame(f, i % 10 ? BODY_AVC_INTER : BODY_AVC_KEY, i, i * 40 + skew_ms);
}

static void foreign_ask(struct foreign *f, const char *tc_url)
{
    struct buf_writer out;

    buf_writer_init(&out, 1024);
    assert_true(rtmp_server_ask_reconnect(f->server, tc_url, "moving", &out));
    up_send(&f->at, &out);
}

/* --- the node plays it --- */

static char source_text[128];
static char *sources[] = {source_text};

static void play_from(struct foreign *f, const char *name, uint32_t n)
{
    struct viewer_join how = {.format = FORMAT_FLV};

    snprintf(source_text, sizeof source_text, "live/a=rtmp://127.0.0.1:%u/%s", f->at.port, name);
    rig.node.conf.pull_sources = (struct conf_list){.items = sources, .n_items = 1};
    rig.node.relays = relays_of_conf(&rig.node);
    assert_non_null(rig.node.relays);
    assert_int_equal(player_join_as(&rig.player, &rig.names, &rig.nl.media, &how), E_OK);
    TURN_UNTIL(foreign_is_asked(f));
    foreign_headers(f);
    foreign_pictures(f, 0, n, 0);
    TURN_UNTIL(player_has(n - 1));
}

static struct pull *the_pull(void)
{
    return list_entry(rig.nl.pulls.next, struct pull, node);
}

static const char *place(const struct foreign *f, const char *app)
{
    static char text[128];

    snprintf(text, sizeof text, "rtmp://127.0.0.1:%u/%s", f->at.port, app);
    return text;
}

/* --- from one to another --- */

static struct foreign old, new;

static void play_old(const char *name, uint32_t n)
{
    foreign_open(&old);
    foreign_open(&new);
    play_from(&old, name, n);
}

/* The node has connected to the new one, which has sent no picture yet. */
static void move_to_new(const char *tc_url)
{
    foreign_ask(&old, tc_url);
    TURN_UNTIL(foreign_is_asked(&new));
    foreign_headers(&new);
}

static int end_both(void **state)
{
    foreign_die(&old);
    foreign_die(&new);
    return rig_teardown(state);
}

/* --- tests --- */

static void test_request_gives_the_new_place_before_the_old_one_is_let_go(void **state)
{
    (void)state;
    play_old("app/sub/key?token=1", 14);
    assert_string_equal(old.app, "app/sub");
    foreign_ask(&old, place(&new, "other?x=2"));
    TURN_UNTIL(foreign_is_asked(&new));
    assert_string_equal(new.app, "other");
    assert_string_equal(new.stream, "key?token=1");
    assert_string_equal(new.tc_url, place(&new, "other?x=2"));
    foreign_headers(&new);
    foreign_pictures(&old, 14, 17, 0); /* until the first picture of the new one */
    TURN_UNTIL(player_has(16));
    assert_false(foreign_is_left(&old));
    foreign_pictures(&new, 10, 35, 5000); /* from the GOP that is known */
    TURN_UNTIL(player_has(34));
    assert_whole(35);
    assert_true(foreign_is_left(&old));
    assert_string_equal(the_pull()->move.to.url, "");
}

/* It has cached two GOPs. */
static void test_request_gives_each_picture_once_when_the_new_place_begins_earlier(void **state)
{
    (void)state;
    play_old("live/a", 24);
    move_to_new(place(&new, "live"));
    foreign_pictures(&new, 0, 35, 0);
    TURN_UNTIL(player_has(34));
    assert_whole(35);
}

/* GOPs of ten whose first pictures are equal, as of a still image. */
static void foreign_still(struct foreign *f, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        foreign_frame(f, i % 10 ? BODY_AVC_INTER : BODY_AVC_KEY, i % 10 ? i : 7777, i * 40);
}

static void test_request_gives_the_place_by_times_when_pictures_are_equal(void **state)
{
    unsigned first;

    (void)state;
    play_old("live/a", 1);
    foreign_pictures(&old, 1, 10, 0);
    foreign_still(&old, 10, 34);
    TURN_UNTIL(player_has(33));
    move_to_new(place(&new, "live"));
    foreign_still(&new, 20, 45);
    TURN_UNTIL(player_has(44));
    first = first_media(&rig.player);
    assert_int_equal(rig.player.n_tags - first, 45);
    for (uint32_t i = 0; i < 45; i++)
        assert_int_equal(rig.player.tags[first + i].dts_ms, 40 * i);
}

static void test_request_gives_time_that_goes_on_when_pictures_are_others(void **state)
{
    const struct got_tag *tag;

    (void)state;
    play_old("live/a", 14);
    move_to_new(place(&new, "live"));
    foreign_pictures(&new, 500, 505, 0);
    TURN_UNTIL(player_has(504));
    tag = &rig.player.tags[rig.player.n_tags - 5];
    assert_int_equal(tag->number, 500);
    assert_true(tag->dts_ms > 13 * 40 && tag->dts_ms < 13 * 40 + 1000);
}

static void test_request_without_place_gives_another_connection_to_the_same(void **state)
{
    (void)state;
    play_old("live/a", 14);
    close(new.at.listen_fd);
    new.at.listen_fd = old.at.listen_fd;
    foreign_ask(&old, NULL);
    TURN_UNTIL(foreign_is_asked(&new));
    assert_string_equal(new.app, "live");
    foreign_headers(&new);
    foreign_pictures(&new, 10, 25, 0);
    TURN_UNTIL(player_has(24));
    assert_whole(25);
    assert_true(foreign_is_left(&old));
    old.at.listen_fd = -1;
}

static void test_request_gives_the_new_place_first_when_the_old_one_ends_at_once(void **state)
{
    (void)state;
    play_old("live/a", 14);
    foreign_ask(&old, place(&new, "live"));
    TURN_UNTIL(pull_move_is_due(&the_pull()->move));
    up_die(&old.at);
    TURN_UNTIL(foreign_is_asked(&new));
    foreign_headers(&new);
    foreign_pictures(&new, 10, 25, 0);
    TURN_UNTIL(player_has(24));
    assert_whole(25);
}

static void test_place_that_cannot_be_reached_is_given_up_and_the_old_one_kept(void **state)
{
    (void)state;
    play_old("live/a", 14);
    foreign_ask(&old, place(&new, "live"));
    foreign_die(&new);
    TURN_UNTIL(pull_move_is_due(&the_pull()->move));
    the_pull()->look_backoff_ms = 1;
    TURN_UNTIL(!pull_move_is_due(&the_pull()->move));
    foreign_pictures(&old, 14, 25, 0);
    TURN_UNTIL(player_has(24));
    assert_whole(25);
    assert_false(foreign_is_left(&old));
}

static void test_requests_that_are_wrong_or_too_many_give_nothing(void **state)
{
    (void)state;
    play_old("live/a", 14);
    for (unsigned i = 0; i < 5; i++)
        foreign_ask(&old, i % 2 ? "http://127.0.0.1/live" : "rtmp://127.0.0.1");
    TURN_UNTIL(the_pull()->move.n_asked == 5);
    assert_false(pull_move_is_due(&the_pull()->move));
    foreign_ask(&old, place(&new, "live")); /* the sixth within a minute */
    TURN_UNTIL(the_pull()->move.n_asked == 6);
    assert_false(pull_move_is_due(&the_pull()->move));
    the_pull()->move.counted_us -= 61000000;
    foreign_ask(&old, place(&new, "live"));
    TURN_UNTIL(foreign_is_asked(&new));
}

static void test_stop_all_closes_a_connection_that_waits_for_its_first_picture(void **state)
{
    (void)state;
    play_old("live/a", 14);
    move_to_new(place(&new, "live"));
    turn_for_ms(50);
    pull_stop_all(&rig.nl);
    assert_true(foreign_is_left(&old));
    assert_true(foreign_is_left(&new));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, end_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_gives_the_new_place_before_the_old_one_is_let_go),
        TEST(test_request_gives_each_picture_once_when_the_new_place_begins_earlier),
        TEST(test_request_gives_the_place_by_times_when_pictures_are_equal),
        TEST(test_request_gives_time_that_goes_on_when_pictures_are_others),
        TEST(test_request_without_place_gives_another_connection_to_the_same),
        TEST(test_request_gives_the_new_place_first_when_the_old_one_ends_at_once),
        TEST(test_place_that_cannot_be_reached_is_given_up_and_the_old_one_kept),
        TEST(test_requests_that_are_wrong_or_too_many_give_nothing),
        TEST(test_stop_all_closes_a_connection_that_waits_for_its_first_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
