/* node/compat: the same streams and sessions in lal's words and in livego's; rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/http_server.h"
#include "node/compat/lal_json.h"
#include "node/compat/livego_json.h"

#define WALL_US 1767312245678000 /* 2026-01-02 00:04:05.678 */

static struct stream_name name_of(const char *app, const char *name)
{
    struct stream_name out;
    const char *why;

    assert_int_equal(stream_name_make(&out, buf_view_str(app), buf_view_str(name), &why), E_OK);
    return out;
}

static struct compat_session session(const char *id, const char *protocol, const char *kind,
                                     const char *stream)
{
    struct compat_session s = {
        .protocol = protocol, .kind = kind, .age_us = 1678000, .bytes_in = 3000, .bytes_out = 700};

    snprintf(s.id, sizeof s.id, "%s", id);
    snprintf(s.stream, sizeof s.stream, "%s", stream);
    snprintf(s.peer, sizeof s.peer, "10.0.0.9:5");
    return s;
}

static struct compat_stream live_stream(void)
{
    struct compat_stream s = {.info = {.name = name_of("live", "x"),
                                       .live = true,
                                       .codecs = {.audio = CODEC_AAC, .video = CODEC_HEVC},
                                       .has_audio = true,
                                       .has_video = true,
                                       .bytes_in = 4000,
                                       .video_bytes_in = 3000},
                              .width = 640,
                              .height = 360};

    snprintf(s.info.session_id, sizeof s.info.session_id, "r-1");
    return s;
}

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    assert_non_null(text);
    return text;
}

static json_int_t number_at(const json_t *json, const char *key)
{
    assert_true(json_is_integer(json_object_get(json, key)));
    return json_integer_value(json_object_get(json, key));
}

static void test_lal_group_says_who_feeds_and_who_takes(void **state)
{
    struct compat_stream stream = live_stream();
    const struct compat_session all[] = {
        session("f-1", "ws-flv", "play", "live/x"), session("h-1", "hls", "play", "live/x"),
        session("r-1", "rtmp", "publish", "live/x"), session("r-2", "rtmp", "publish", "live/x")};
    json_t *group = lal_group_json(&stream, all, 4, NULL, WALL_US), *subs, *pub;

    (void)state;
    assert_string_equal(text_at(group, "stream_name"), "x");
    assert_string_equal(text_at(group, "app_name"), "live");
    assert_string_equal(text_at(group, "audio_codec"), "AAC");
    assert_string_equal(text_at(group, "video_codec"), "H265");
    assert_int_equal(number_at(group, "video_height"), 360);
    pub = json_object_get(group, "pub"); /* the one that is the source */
    assert_string_equal(text_at(pub, "session_id"), "r-1");
    assert_string_equal(text_at(pub, "base_type"), "PUB");
    assert_string_equal(text_at(pub, "start_time"), "2026-01-02 00:04:04.000 +0000 UTC");
    assert_int_equal(number_at(pub, "read_bytes_sum"), 3000);
    assert_string_equal(text_at(json_object_get(group, "pull"), "session_id"), "");
    subs = json_object_get(group, "subs");
    assert_int_equal(json_array_size(subs), 2);
    assert_string_equal(text_at(json_array_get(subs, 0), "protocol"), "FLV");
    assert_string_equal(text_at(json_array_get(subs, 1), "protocol"), "HLS");
    json_decref(group);
}

static void test_lal_group_forgets_codecs_when_nobody_feeds_it(void **state)
{
    struct compat_stream stream = live_stream();
    json_t *group;

    (void)state;
    stream.info.live = false;
    group = lal_group_json(&stream, NULL, 0, NULL, WALL_US);
    assert_string_equal(text_at(group, "video_codec"), "");
    assert_int_equal(number_at(group, "video_width"), 0);
    assert_true(json_is_null(json_object_get(group, "subs")));
    assert_int_equal(json_array_size(json_object_get(group, "in_frame_per_sec")), 0);
    json_decref(group);
}

static void test_lal_session_of_pull_is_called_by_its_stream(void **state)
{
    struct compat_session pull = session("p-9", "http", "pull", "live/x");
    json_t *json = lal_session_json(&pull, NULL, WALL_US);

    (void)state;
    assert_string_equal(text_at(json, "session_id"), "pull/live/x");
    assert_string_equal(text_at(json, "protocol"), "FLV");
    assert_string_equal(text_at(json, "base_type"), "PULL");
    json_decref(json);
}

static void test_lal_groups_are_null_when_there_is_none(void **state)
{
    const struct compat_view nothing = {.n_streams = 0};
    json_t *groups = lal_groups_json(&nothing, NULL, WALL_US);

    (void)state;
    assert_true(json_is_null(groups));
    json_decref(groups);
}

static void test_view_sorts_and_finds_sessions_of_a_stream(void **state)
{
    struct compat_session all[] = {session("b", "flv", "play", "live/y"),
                                   session("z", "flv", "play", "live/x"),
                                   session("a", "flv", "play", "live/y")};
    struct compat_view view = {.sessions = all, .n_sessions = 3};
    const struct compat_session *found;
    size_t n;

    (void)state;
    compat_view_finish(&view);
    found = compat_view_sessions(&view, "live/y", &n);
    assert_int_equal(n, 2);
    assert_string_equal(found[0].id, "a");
    (void)compat_view_sessions(&view, "live/z", &n);
    assert_int_equal(n, 0);
}

static void test_livego_stat_shares_bytes_as_the_stream_does(void **state)
{
    struct compat_stream stream = live_stream();
    struct compat_session all[] = {session("f-1", "flv", "play", "live/x"),
                                   session("r-1", "rtmp", "publish", "live/x"),
                                   session("r-2", "rtmp", "publish", "live/x")};
    struct compat_view view = {
        .streams = &stream, .n_streams = 1, .sessions = all, .n_sessions = 3};
    json_t *stat = livego_stat_json(&view, NULL, "127.0.0.1:1935"), *item;

    (void)state;
    assert_int_equal(json_array_size(json_object_get(stat, "publishers")), 1);
    item = json_array_get(json_object_get(stat, "publishers"), 0);
    assert_string_equal(text_at(item, "url"), "rtmp://127.0.0.1:1935/live/x");
    assert_int_equal(number_at(item, "video_total_bytes"), 2250);
    assert_int_equal(number_at(item, "audio_total_bytes"), 750);
    item = json_array_get(json_object_get(stat, "players"), 0);
    assert_int_equal(number_at(item, "video_total_bytes"), 525);
    json_decref(stat);
}

/* --- the longest answers --- */

#define LONG_APP                                                                           \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* All that a view takes: each stream with a publisher, the rest players, with names, addresses and
 * numbers as long as they come. */
static void fill(struct compat_view *view, struct compat_rates *rates)
{
    view->streams = calloc(COMPAT_MAX_STREAMS, sizeof *view->streams);
    view->sessions = calloc(COMPAT_MAX_SESSIONS, sizeof *view->sessions);
    assert_non_null(view->streams);
    assert_non_null(view->sessions);
    view->n_streams = COMPAT_MAX_STREAMS;
    view->n_sessions = COMPAT_MAX_SESSIONS;
    for (unsigned i = 0; i < COMPAT_MAX_SESSIONS; i++) {
        struct compat_session *s = &view->sessions[i];
        unsigned of = i % COMPAT_MAX_STREAMS;
        char name[NAME_PART_MAX + 1];

        snprintf(name, sizeof name, "%0128u", of);
        *s = session("x-000000000000", "ws-flv", i < COMPAT_MAX_STREAMS ? "publish" : "play", "");
        snprintf(s->stream, sizeof s->stream, "%s/%s", LONG_APP "/" LONG_APP, name);
        snprintf(s->peer, sizeof s->peer, "[2001:0db8:1111:2222:3333:4444:5555:6666]:65535");
        s->bytes_in = s->bytes_out = UINT64_C(999999999999999);
        if (i >= COMPAT_MAX_STREAMS)
            continue;
        view->streams[of] = live_stream();
        view->streams[of].info.name = name_of(LONG_APP "/" LONG_APP, name);
        memcpy(view->streams[of].info.session_id, s->id, sizeof s->id);
        for (unsigned k = 0; k <= COMPAT_SECONDS; k++)
            compat_rates_take_stream(rates, s->stream, 100u * k, 1767312245 + k);
    }
    compat_rates_take_session(rates, "x-000000000000", 0, 0, 1);
    compat_rates_take_session(rates, "x-000000000000", 1u << 31, 1u << 31, 5000001);
    compat_view_finish(view);
}

/* Takes json. */
static void assert_fits(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    assert_non_null(text);
    assert_in_range(strlen(text), HTTP_ANSWER_QUEUE_BYTES / 2, HTTP_ANSWER_QUEUE_BYTES - 4096);
    free(text);
    json_decref(json);
}

static void test_the_longest_answers_fit_into_what_a_connection_may_queue(void **state)
{
    struct compat_rates rates = {.node = NULL};
    struct compat_view view = {0};

    (void)state;
    map_init(&rates.sessions);
    map_init(&rates.streams);
    fill(&view, &rates);
    assert_fits(lal_groups_json(&view, &rates, WALL_US));
    assert_fits(livego_stat_json(&view, &rates, "[2001:db8::1]:1935"));
    compat_view_fini(&view);
    rates.n_ticks++;
    compat_rates_forget_streams(&rates);
    compat_rates_forget_sessions(&rates);
    map_fini(&rates.sessions);
    map_fini(&rates.streams);
}

/* --- rates --- */

static void test_rates_are_bits_of_the_time_between(void **state)
{
    struct compat_rates rates = {.node = NULL};
    const struct compat_rate *rate;

    (void)state;
    map_init(&rates.sessions);
    map_init(&rates.streams);
    compat_rates_take_session(&rates, "r-1", 1000, 0, 1000000);
    assert_int_equal(compat_rate_of(&rates, "r-1")->in_kbits, 0); /* nothing to compare with */
    compat_rates_take_session(&rates, "r-1", 641000, 1280, 6000000);
    rate = compat_rate_of(&rates, "r-1");
    assert_int_equal(rate->in_kbits, 1000);
    assert_int_equal(rate->out_kbits, 2);
    compat_rates_take_session(&rates, "r-1", 5, 5, 7000000); /* less than before: another one */
    assert_int_equal(compat_rate_of(&rates, "r-1")->in_kbits, 0);
    rates.n_ticks++;
    compat_rates_forget_sessions(&rates);
    assert_null(compat_rate_of(&rates, "r-1"));
    map_fini(&rates.sessions);
    map_fini(&rates.streams);
}

static void test_pictures_are_kept_for_32_seconds_newest_first(void **state)
{
    struct compat_rates rates = {.node = NULL};
    const struct compat_pictures *p;

    (void)state;
    map_init(&rates.sessions);
    map_init(&rates.streams);
    for (unsigned i = 0; i <= 40; i++)
        compat_rates_take_stream(&rates, "live/x", 25u * i, 100 + i);
    compat_rates_take_stream(&rates, "live/x", 2000, 140); /* a second is said once */
    p = compat_pictures_of(&rates, "live/x");
    assert_int_equal(p->n, COMPAT_SECONDS);
    assert_int_equal(p->seconds[0].unix_s, 140);
    assert_int_equal(p->seconds[31].unix_s, 109);
    assert_int_equal(p->seconds[0].n_pictures, 25);
    compat_rates_take_stream(&rates, "live/x", 2030, 20); /* the clock was set back */
    compat_rates_take_stream(&rates, "live/x", 2055, 21);
    assert_int_equal(p->n, 2);
    assert_int_equal(p->seconds[0].unix_s, 21);
    assert_int_equal(p->seconds[0].n_pictures, 25);
    assert_int_equal(p->seconds[1].n_pictures, 30);
    rates.n_ticks++;
    compat_rates_forget_streams(&rates);
    assert_null(compat_pictures_of(&rates, "live/x"));
    map_fini(&rates.sessions);
    map_fini(&rates.streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lal_group_says_who_feeds_and_who_takes),
        cmocka_unit_test(test_lal_group_forgets_codecs_when_nobody_feeds_it),
        cmocka_unit_test(test_lal_session_of_pull_is_called_by_its_stream),
        cmocka_unit_test(test_lal_groups_are_null_when_there_is_none),
        cmocka_unit_test(test_view_sorts_and_finds_sessions_of_a_stream),
        cmocka_unit_test(test_livego_stat_shares_bytes_as_the_stream_does),
        cmocka_unit_test(test_the_longest_answers_fit_into_what_a_connection_may_queue),
        cmocka_unit_test(test_rates_are_bits_of_the_time_between),
        cmocka_unit_test(test_pictures_are_kept_for_32_seconds_newest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
