/* Sources of one run, one after the other: what viewers get is each frame once, at its time,
 * wherever the next source begins and whatever its clock. */
#include "tests/unit/node/stream/stream_test.h"

#define RUN 77u
#define MAX_FRAMES 400u
#define CONFIG_NUMBER 1000000u /* frames of the run are numbered from 0 */

/* --- a run: what an encoder sent, as every node has it --- */

struct run_frame {
    enum body_kind kind;
    uint64_t gop;
    int64_t dts_ms;
};

struct run {
    struct run_frame frames[MAX_FRAMES];
    uint32_t n;
    bool has_video;
};

static void add(struct run *run, enum body_kind kind, uint64_t gop, int64_t dts_ms)
{
    assert_true(run->n < MAX_FRAMES);
    run->frames[run->n++] = (struct run_frame){kind, gop, dts_ms};
}

/* GOPs from 1 on, of ten pictures at 40 ms, sound between them at 23. Two pictures have one time,
 * as some encoders do, and one sound lags behind a picture. */
static void make_av(struct run *run, unsigned n_gops)
{
    *run = (struct run){.has_video = true};
    for (unsigned g = 0; g < n_gops; g++) {
        int64_t start_ms = 400 * g;

        for (unsigned i = 0; i < 10; i++) {
            add(run, i ? BODY_AVC_INTER : BODY_AVC_KEY, g + 1, start_ms + 40 * (i == 5 ? 4 : i));
            add(run, BODY_AAC, g + 1, start_ms + 40 * i + (i == 7 ? -3 : 5));
            if (i % 2)
                add(run, BODY_AAC, g + 1, start_ms + 40 * i + 28);
        }
    }
}

/* Entry points once a second. */
static void make_audio(struct run *run, unsigned n_gops)
{
    *run = (struct run){.has_video = false};
    for (unsigned i = 0; i < 40 * n_gops; i++)
        add(run, BODY_AAC, i / 40 + 1, 25 * i);
}

static uint32_t start_of(const struct run *run, uint64_t gop)
{
    uint32_t i = 0;

    while (i < run->n && run->frames[i].gop != gop)
        i++;
    return i;
}

/* --- a rig that takes runs --- */

static void push_as(struct rig *r, enum body_kind kind, uint32_t number, int64_t dts_ms)
{
    r->next_number = number;
    push(r, kind, dts_ms);
}

static void say(struct rig *r, uint64_t run, uint64_t gop)
{
    struct stream_upstream said = {.epoch = 7, .run = run, .gop = gop, .ingest_us = 1};

    stream_set_upstream(&r->source, &said);
}

/* Headers, as each connection between nodes begins with. */
static void push_headers(struct rig *r, const struct run *run, int64_t dts_ms)
{
    if (run->has_video)
        push_as(r, BODY_AVC_CONFIG, CONFIG_NUMBER, dts_ms);
    push_as(r, BODY_AAC_CONFIG, CONFIG_NUMBER + 1, dts_ms);
}

/* Frames from one up to another of an upstream whose clock is ahead by that much. */
static void push_run(struct rig *r, const struct run *run, uint32_t from, uint32_t to,
                     int64_t ahead_ms)
{
    for (uint32_t i = from; i < to; i++) {
        if (i == from || run->frames[i].gop != run->frames[i - 1].gop)
            say(r, RUN, run->frames[i].gop);
        push_as(r, run->frames[i].kind, i, run->frames[i].dts_ms + ahead_ms);
        rig_turn(r, false);
    }
}

static void attach_run(struct rig *r, uint64_t run, bool has_video)
{
    struct source_offer offer = {.epoch = 7, .run = run};

    if (!r->stream) {
        r->stream = registry_get(r->registry, &r->name);
        assert_non_null(r->stream);
        rig_settle(r);
    }
    r->source = (struct source){.kind = SOURCE_PULL,
                                .protocol = "test",
                                .session_id = "t-1",
                                .upstream = "up",
                                .on_evict = rig_on_evict};
    assert_int_equal(stream_attach(r->stream, &r->source, &offer), E_OK);
    stream_expect_tracks(&r->source, true, has_video);
}

/* The connection to the first upstream breaks after n frames. */
static void begin(struct rig *r, const struct run *run, uint32_t n)
{
    struct stream_conf conf = small_conf();

    rig_init(r, 1, &conf);
    attach_run(r, RUN, run->has_video);
    push_headers(r, run, 0);
    push_run(r, run, 0, n, 0);
}

/* The same with a viewer who is there all the time, and frames from one up to another. */
static void begin_watched(struct rig *r, struct player *p, const struct run *run, uint32_t from,
                          uint32_t to)
{
    begin(r, run, 0);
    player_join(p, r, 0, 0);
    rig_settle(r);
    push_run(r, run, from, to, 0);
}

static void end(struct rig *r, struct player *p)
{
    player_close(p);
    rig_fini(r);
}

/* The next upstream has the run from one frame up to another. */
static void go_on(struct rig *r, const struct run *run, uint32_t from, uint32_t to,
                  int64_t ahead_ms)
{
    if (r->source.stream)
        stream_detach(&r->source);
    attach_run(r, RUN, run->has_video);
    push_headers(r, run, run->frames[from].dts_ms + ahead_ms);
    push_run(r, run, from, to, ahead_ms);
}

/* From the given frame on each one once, in order, at its time. */
static void assert_whole(const struct player *p, const struct run *run, uint32_t from, uint32_t to)
{
    unsigned first = first_media(p);

    assert_int_equal(p->n_tags - first, to - from);
    for (unsigned i = 0; i < to - from; i++) {
        const struct got_tag *tag = &p->tags[first + i];

        assert_int_equal(tag->number, from + i);
        assert_int_equal(tag->dts_ms, run->frames[from + i].dts_ms);
    }
    assert_time_grows(p);
}

/* --- going on with a viewer who is there all the time --- */

/* Breaks after n frames, goes on at first, ends with the run. */
static void assert_exact(const struct run *run, uint32_t n, uint32_t first, int64_t ahead_ms)
{
    struct player p;
    struct rig r;

    begin_watched(&r, &p, run, 0, n);
    go_on(&r, run, first, run->n, ahead_ms);
    player_drain(&p, &r);
    assert_whole(&p, run, 0, run->n);
    assert_int_equal(r.stream->timeline.n_rebased, 0);
    end(&r, &p);
}

static void
test_attach_of_the_same_run_loses_and_repeats_nothing_wherever_it_broke_off(void **state)
{
    struct run run;

    (void)state;
    make_av(&run, 3);
    for (uint32_t n = 1; n < run.n; n++)
        assert_exact(&run, n, start_of(&run, run.frames[n - 1].gop), 0);
}

static void test_attach_of_the_same_run_moves_another_clock_to_ours(void **state)
{
    struct run run;

    (void)state;
    make_av(&run, 3);
    assert_exact(&run, start_of(&run, 2) + 7, start_of(&run, 2), 3600000);
    assert_exact(&run, start_of(&run, 2) + 8, start_of(&run, 2), -37);
    assert_exact(&run, start_of(&run, 2) + 1, start_of(&run, 2), 1);
}

static void test_attach_of_the_same_run_waits_for_an_upstream_that_is_behind(void **state)
{
    struct run run;

    (void)state;
    make_av(&run, 4);
    assert_exact(&run, start_of(&run, 3) + 4, 0, 500);
    assert_exact(&run, start_of(&run, 3), 0, 500);
}

static void test_attach_of_the_same_run_goes_on_where_there_is_sound_alone(void **state)
{
    struct run run;

    (void)state;
    make_audio(&run, 3);
    for (uint32_t n = 1; n < run.n; n += 7)
        assert_exact(&run, n, start_of(&run, run.frames[n - 1].gop), 90000);
    assert_exact(&run, start_of(&run, 3) + 2, 0, -10);
}

static void test_attach_of_the_same_run_is_exact_however_often(void **state)
{
    struct player p;
    struct run run;
    struct rig r;
    uint32_t at;

    (void)state;
    make_av(&run, 3);
    at = start_of(&run, 2);
    begin(&r, &run, at + 3);
    player_join(&p, &r, 0, 0); /* starts with GOP 2, from the cache */
    rig_settle(&r);
    go_on(&r, &run, at, at + 2, 100); /* breaks before it reaches what is new */
    go_on(&r, &run, at, at + 9, 200); /* six new frames */
    go_on(&r, &run, 0, at + 5, -300); /* far behind, and breaks again */
    go_on(&r, &run, at, run.n, 50000);
    player_drain(&p, &r);
    assert_whole(&p, &run, at, run.n);
    end(&r, &p);
}

static void
test_attach_beside_a_running_pull_of_the_same_run_replaces_it_without_a_trace(void **state)
{
    struct source second = {.kind = SOURCE_PULL,
                            .protocol = "test",
                            .session_id = "t-2",
                            .upstream = "other",
                            .on_evict = rig_on_evict};
    struct source_offer offer = {.epoch = 8, .run = RUN};
    struct player p;
    struct run run;
    struct rig r;
    uint32_t at;

    (void)state;
    make_av(&run, 3);
    at = start_of(&run, 2);
    begin_watched(&r, &p, &run, 0, at + 4);
    assert_int_equal(stream_attach(r.stream, &second, &offer), E_OK);
    assert_true(r.evicted);
    assert_int_equal(r.evicted_why, E_BUSY);
    assert_null(r.source.stream);
    assert_int_equal(stream_epoch(r.stream), 8);
    r.source = second; /* the rig pushes by this one */
    r.stream->source = &r.source;
    push_headers(&r, &run, 0);
    push_run(&r, &run, at, run.n, 0);
    player_drain(&p, &r);
    assert_whole(&p, &run, 0, run.n);
    end(&r, &p);
}

/* --- when something was missed --- */

static void test_attach_of_the_same_run_goes_on_after_a_gap_when_gops_were_missed(void **state)
{
    uint32_t n, first, last_ms;
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 5);
    n = start_of(&run, 2) + 6;
    first = start_of(&run, 4);
    begin_watched(&r, &p, &run, 0, n);
    player_drain(&p, &r);
    last_ms = p.tags[p.n_tags - 2].dts_ms > p.tags[p.n_tags - 1].dts_ms
                  ? p.tags[p.n_tags - 2].dts_ms
                  : p.tags[p.n_tags - 1].dts_ms;
    go_on(&r, &run, first, run.n, 7000000);
    player_drain(&p, &r);
    assert_int_equal(p.n_tags - first_media(&p), n + run.n - first);
    assert_int_equal(p.tags[first_media(&p) + n].number, first);
    assert_true(p.tags[first_media(&p) + n].key);
    assert_int_equal(p.tags[first_media(&p) + n].dts_ms, last_ms + TIMELINE_GAP_US / 1000);
    assert_no_gap(&p, first_media(&p) + n);
    assert_time_grows(&p);
    end(&r, &p);
}

static void
test_attach_of_the_same_run_leaves_out_pictures_when_it_does_not_begin_with_a_key(void **state)
{
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 4);
    begin_watched(&r, &p, &run, 0, 5);
    player_drain(&p, &r);
    go_on(&r, &run, start_of(&run, 3) + 2, run.n, 0); /* the second picture of GOP 3 first */
    player_drain(&p, &r);
    for (unsigned i = first_media(&p) + 5; i < p.n_tags; i++)
        if (p.tags[i].type == FLV_TAG_VIDEO) {
            assert_int_equal(p.tags[i].number, start_of(&run, 4));
            break;
        }
    end(&r, &p);
}

static void test_attach_of_another_run_starts_afresh_at_a_key_frame(void **state)
{
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 2);
    begin_watched(&r, &p, &run, 0, 8);
    stream_detach(&r.source);
    attach_run(&r, RUN + 1, true);
    push_headers(&r, &run, 0);
    say(&r, RUN + 1, 1);
    push_as(&r, BODY_AVC_INTER, 500, 0);
    push_as(&r, BODY_AVC_KEY, 501, 40);
    push_as(&r, BODY_AVC_INTER, 502, 80);
    player_drain(&p, &r);
    assert_int_equal(p.tags[p.n_tags - 2].number, 501);
    assert_int_equal(p.tags[p.n_tags - 1].number, 502);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, true), 2); /* its own headers */
    assert_time_grows(&p);
    assert_int_equal(r.stream->timeline.n_rebased, 1);
    end(&r, &p);
}

/* An encoder that is let in for a moment only: viewers have a GOP of the first run in part, and get
 * the rest of that run from its next GOP on, nothing twice. */
static void test_attach_of_the_run_before_leaves_out_what_viewers_have_of_it(void **state)
{
    struct player p;
    struct run run;
    struct rig r;
    uint32_t next;

    (void)state;
    make_av(&run, 4);
    next = start_of(&run, 3);
    begin(&r, &run, 0);
    player_join(&p, &r, 0, 0);
    rig_settle(&r);
    push_run(&r, &run, 0, start_of(&run, 2) + 4, 0);
    stream_detach(&r.source);
    attach_run(&r, RUN + 1, true);
    push_headers(&r, &run, 0);
    say(&r, RUN + 1, 1);
    push_as(&r, BODY_AVC_KEY, 501, 40);
    push_as(&r, BODY_AVC_INTER, 502, 80);
    stream_detach(&r.source);
    attach_run(&r, RUN + 2, true); /* and one that is gone before its first frame */
    stream_detach(&r.source);
    attach_run(&r, RUN + 1, true);
    stream_detach(&r.source);
    player_drain(&p, &r);
    assert_int_equal(p.tags[p.n_tags - 1].number, 502);
    attach_run(&r, RUN, true);
    push_headers(&r, &run, 0);
    push_run(&r, &run, 0, run.n, 0);
    player_drain(&p, &r);
    for (uint32_t i = 0; i < run.n - next; i++)
        assert_int_equal(p.tags[p.n_tags - 1 - i].number, run.n - 1 - i);
    assert_true(p.tags[p.n_tags - 1 - (run.n - next)].config);
    assert_time_grows(&p);
    player_close(&p);
    rig_fini(&r);
}

/* --- headers --- */

static void test_attach_of_the_same_run_gives_headers_when_they_are_new_only(void **state)
{
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 3);
    begin_watched(&r, &p, &run, 0, 8);
    stream_detach(&r.source);
    attach_run(&r, RUN, true);
    push_as(&r, BODY_AVC_CONFIG, CONFIG_NUMBER + 5, 0); /* changed while we were away */
    push_as(&r, BODY_AAC_CONFIG, CONFIG_NUMBER + 1, 0);
    push_run(&r, &run, start_of(&run, 3), run.n, 0);
    player_drain(&p, &r);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, true), 2);
    assert_int_equal(count_type(&p, FLV_TAG_AUDIO, true), 1);
    end(&r, &p);
}

static void test_attach_of_the_same_run_counts_headers_inside_a_gop_for_nothing(void **state)
{
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 2);
    begin_watched(&r, &p, &run, 0, 4);
    push_headers(&r, &run, 100); /* some encoders repeat them */
    push_run(&r, &run, 4, 8, 0);
    go_on(&r, &run, 0, run.n, 0);
    player_drain(&p, &r);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, false) + count_type(&p, FLV_TAG_AUDIO, false),
                     run.n);
    assert_int_equal(p.tags[p.n_tags - 1].number, run.n - 1);
    end(&r, &p);
}

/* The tracks change with the third GOP of four. An upstream that is behind begins with what they
 * were before. */
static void push_changing(struct rig *r, const struct run *run, uint32_t from, uint32_t to)
{
    uint32_t change = start_of(run, 3);

    if (from < change) {
        push_run(r, run, from, to < change ? to : change, 0);
        from = change;
    }
    if (from > to || to <= change)
        return;
    push_as(r, BODY_AVC_CONFIG, CONFIG_NUMBER + 5, run->frames[change].dts_ms);
    push_run(r, run, from, to, 0);
}

/* Of the video, by their numbers, in order. */
static unsigned config_numbers(const struct player *p, uint32_t *numbers, uint32_t *before)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_tags; i++)
        if (p->tags[i].type == FLV_TAG_VIDEO && p->tags[i].config) {
            assert_true(n < 4 && i + 1 < p->n_tags);
            before[n] = p->tags[i + 1].number;
            numbers[n++] = p->tags[i].number;
        }
    return n;
}

static void
test_attach_of_the_same_run_gives_each_change_of_tracks_once_wherever_it_broke_off(void **state)
{
    uint32_t numbers[4], before[4];
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 4);
    for (uint32_t n = start_of(&run, 2) + 3; n < run.n; n += 5) {
        begin_watched(&r, &p, &run, 0, 0);
        push_changing(&r, &run, 0, n);
        stream_detach(&r.source);
        attach_run(&r, RUN, true);
        push_headers(&r, &run, 0);
        push_changing(&r, &run, 0, run.n);
        player_drain(&p, &r);
        assert_int_equal(config_numbers(&p, numbers, before), 2);
        assert_int_equal(numbers[0], CONFIG_NUMBER);
        assert_int_equal(numbers[1], CONFIG_NUMBER + 5);
        assert_int_equal(before[1], start_of(&run, 3)); /* in front of the key frame it is for */
        assert_int_equal(count_type(&p, FLV_TAG_AUDIO, true), 1);
        assert_int_equal(p.tags[p.n_tags - 1].number, run.n - 1);
        end(&r, &p);
    }
}

/* --- nobody watches --- */

static void test_attach_of_the_same_run_keeps_the_cache_whole_when_nobody_watches(void **state)
{
    struct player p;
    struct run run;
    struct rig r;
    uint32_t at;

    (void)state;
    make_av(&run, 3);
    at = start_of(&run, 3);
    begin(&r, &run, at + 5);
    go_on(&r, &run, at, at + 12, 1234);
    player_join(&p, &r, 0, 0);
    player_drain(&p, &r);
    assert_whole(&p, &run, at, at + 12);
    end(&r, &p);
}

/* --- the run changes in mid-connection --- */

static void test_set_upstream_follows_another_run_whose_numbers_begin_again(void **state)
{
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 3);
    begin_watched(&r, &p, &run, start_of(&run, 3), run.n); /* GOP 3 of the old run */
    say(&r, RUN + 1, 3); /* before the new one's first key frame */
    push_headers(&r, &run, 1300);
    assert_int_equal(stream_run(r.stream), RUN + 1);
    say(&r, RUN + 1, 1);
    push_as(&r, BODY_AVC_KEY, run.n, 1300);
    push_as(&r, BODY_AVC_INTER, run.n + 1, 1340);
    stream_detach(&r.source);
    attach_run(&r, RUN + 1, true); /* and this one is gone on with, by its own numbers */
    say(&r, RUN + 1, 1);
    push_as(&r, BODY_AVC_KEY, run.n, 0);
    push_as(&r, BODY_AVC_INTER, run.n + 1, 40);
    push_as(&r, BODY_AVC_INTER, run.n + 2, 80);
    player_drain(&p, &r);
    assert_int_equal(p.tags[p.n_tags - 1].number, run.n + 2);
    assert_int_equal(p.tags[p.n_tags - 1].dts_ms, 1380);
    assert_int_equal(p.tags[p.n_tags - 2].number, run.n + 1);
    assert_int_equal(p.tags[p.n_tags - 3].number, run.n);
    end(&r, &p);
}

static void test_attach_goes_on_with_any_gop_when_the_run_changed_and_none_of_it_began(void **state)
{
    struct player p;
    struct run run;
    struct rig r;

    (void)state;
    make_av(&run, 3);
    begin_watched(&r, &p, &run, start_of(&run, 3), run.n);
    say(&r, RUN + 1, 3);
    stream_detach(&r.source);
    attach_run(&r, RUN + 1, true);
    say(&r, RUN + 1, 1); /* below the old run's number: must not be taken for what we have */
    push_as(&r, BODY_AVC_KEY, 700, 0);
    player_drain(&p, &r);
    assert_int_equal(p.tags[p.n_tags - 1].number, 700);
    assert_time_grows(&p);
    end(&r, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_attach_of_the_same_run_loses_and_repeats_nothing_wherever_it_broke_off),
        cmocka_unit_test(test_attach_of_the_same_run_moves_another_clock_to_ours),
        cmocka_unit_test(test_attach_of_the_same_run_waits_for_an_upstream_that_is_behind),
        cmocka_unit_test(test_attach_of_the_same_run_goes_on_where_there_is_sound_alone),
        cmocka_unit_test(test_attach_of_the_same_run_is_exact_however_often),
        cmocka_unit_test(
            test_attach_beside_a_running_pull_of_the_same_run_replaces_it_without_a_trace),
        cmocka_unit_test(test_attach_of_the_same_run_goes_on_after_a_gap_when_gops_were_missed),
        cmocka_unit_test(
            test_attach_of_the_same_run_leaves_out_pictures_when_it_does_not_begin_with_a_key),
        cmocka_unit_test(test_attach_of_another_run_starts_afresh_at_a_key_frame),
        cmocka_unit_test(test_attach_of_the_run_before_leaves_out_what_viewers_have_of_it),
        cmocka_unit_test(test_attach_of_the_same_run_gives_headers_when_they_are_new_only),
        cmocka_unit_test(test_attach_of_the_same_run_counts_headers_inside_a_gop_for_nothing),
        cmocka_unit_test(
            test_attach_of_the_same_run_gives_each_change_of_tracks_once_wherever_it_broke_off),
        cmocka_unit_test(test_attach_of_the_same_run_keeps_the_cache_whole_when_nobody_watches),
        cmocka_unit_test(test_set_upstream_follows_another_run_whose_numbers_begin_again),
        cmocka_unit_test(
            test_attach_goes_on_with_any_gop_when_the_run_changed_and_none_of_it_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
