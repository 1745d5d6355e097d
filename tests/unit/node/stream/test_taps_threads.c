/* Feeds read by taps on loops that run in threads of their own: for the thread sanitizer, and for
 * order and completeness when wake-ups really race. */
#include "tests/unit/node/stream/stream_test.h"

#include <poll.h>
#include <semaphore.h>

#define N_LOOPS 3u
#define N_PLAYERS 9u

/* --- calls onto a loop
 * --------------------------------------------------------------------------------- */

struct call {
    struct loop_msg msg;
    void (*run)(void *arg);
    void *arg;
    sem_t done;
};

static void on_call(struct loop_msg *msg)
{
    struct call *c = list_entry(msg, struct call, msg);

    c->run(c->arg);
    sem_post(&c->done);
}

/* Runs it on the loop's thread and waits. */
static void call_on(struct media_loop *ml, void (*run)(void *arg), void *arg)
{
    struct call c = {.msg = {.run = on_call}, .run = run, .arg = arg};

    sem_init(&c.done, 0, 0);
    loop_post(ml->loop, &c.msg);
    while (sem_wait(&c.done) != 0)
        continue;
    sem_destroy(&c.done);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Messages that loops send each other have arrived. */
static void settle(struct rig *r)
{
    for (unsigned i = 0; i < 4 * r->n_loops; i++)
        call_on(&r->ml[i % r->n_loops], nothing, NULL);
}

/* --- source: a timer on the home loop
 * ------------------------------------------------------------------ */

struct pusher {
    struct rig *rig;
    struct timer timer;
    unsigned n_left; /* frames */
    size_t size_bytes;
    sem_t done;
};

static void on_push_timer(struct timer *timer)
{
    struct pusher *p = list_entry(timer, struct pusher, timer);

    for (unsigned i = 0; i < 5 && p->n_left; i++) {
        uint32_t number = p->rig->next_number;

        push_sized(p->rig, number % 50 == 2 ? BODY_AVC_KEY : BODY_AVC_INTER, (int64_t)number * 10,
                   p->size_bytes + number % 977);
        p->n_left--;
    }
    if (p->n_left)
        timer_start_ms(&p->timer, 1);
    else
        sem_post(&p->done);
}

static void begin_pushing(void *arg)
{
    struct pusher *p = arg;

    timer_init(&p->timer, stream_home(p->rig->stream)->loop, on_push_timer);
    timer_start_ms(&p->timer, 0);
}

static void end_pushing(void *arg)
{
    timer_stop(&((struct pusher *)arg)->timer);
}

static void publish(void *arg)
{
    struct rig *r = arg;
    struct source_offer offer = {.numbers_gops = true};

    r->source = (struct source){.kind = SOURCE_PUBLISHER,
                                .protocol = "test",
                                .session_id = "t",
                                .upstream = "",
                                .on_evict = rig_on_evict};
    assert_int_equal(stream_attach(r->stream, &r->source, &offer), E_OK);
    push_configs(r, 0); /* 0 and 1 */
}

static void unpublish(void *arg)
{
    stream_detach(&((struct rig *)arg)->source);
}

/* --- players
 * ----------------------------------------------------------------------------------------- */

struct seat {
    struct player player;
    struct rig *rig;
    struct media_loop *ml;
    int send_bytes;
    bool taken;
};

static void sit_down(void *arg)
{
    struct seat *s = arg;

    player_join(&s->player, s->rig, s->ml->index, s->send_bytes);
    s->taken = true;
}

static void stand_up(void *arg)
{
    struct seat *s = arg;

    player_close(&s->player);
    s->taken = false;
}

static void threads_init(struct rig *r, const struct stream_conf *conf)
{
    rig_init(r, N_LOOPS, conf);
    r->stream = registry_get(r->registry, &r->name);
    for (unsigned i = 0; i < N_LOOPS; i++)
        assert_int_equal(loop_start_thread(r->ml[i].loop), E_OK);
    settle(r);
    call_on(stream_home(r->stream), publish, r);
}

static void threads_fini(struct rig *r)
{
    call_on(stream_home(r->stream), unpublish, r);
    settle(r);
    for (unsigned i = 0; i < N_LOOPS; i++)
        loop_stop(r->ml[i].loop);
    for (unsigned i = 0; i < N_LOOPS; i++)
        loop_join(r->ml[i].loop);
    rig_fini(r);
}

/* Reads from all seats for as long as anything comes, at most wait_ms without. */
static void read_all(struct seat *seats, unsigned n, size_t max_bytes, int wait_ms)
{
    struct pollfd fds[N_PLAYERS];

    for (unsigned i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = seats[i].taken ? seats[i].player.fd : -1, .events = POLLIN};
    if (poll(fds, n, wait_ms) <= 0)
        return;
    for (unsigned i = 0; i < n; i++)
        if (fds[i].revents)
            player_read(&seats[i].player, max_bytes);
}

static uint32_t last_number(const struct player *p)
{
    return p->n_tags ? p->tags[p->n_tags - 1].number : 0;
}

static bool all_have(const struct seat *seats, unsigned n, uint32_t number)
{
    for (unsigned i = 0; i < n; i++)
        if (last_number(&seats[i].player) != number)
            return false;
    return true;
}

static void test_viewers_on_all_loops_get_every_frame_while_they_race(void **state)
{
    struct stream_conf conf = small_conf();
    struct pusher pusher = {.n_left = 500, .size_bytes = 3000};
    struct seat seats[N_PLAYERS];
    int64_t deadline_us = clock_mono_us() + 60000000;
    struct rig r;

    (void)state;
    conf.tracks_wait_ms = 0;
    threads_init(&r, &conf);
    pusher.rig = &r;
    sem_init(&pusher.done, 0, 0);
    for (unsigned i = 0; i < N_PLAYERS; i++) {
        seats[i] = (struct seat){.rig = &r, .ml = &r.ml[i % N_LOOPS]};
        seats[i].send_bytes = i % 2 ? 4096 : 0; /* half of them fall behind time and again */
        call_on(seats[i].ml, sit_down, &seats[i]);
    }
    call_on(stream_home(r.stream), begin_pushing, &pusher);
    while (!all_have(seats, N_PLAYERS, 501)) {
        read_all(seats, N_PLAYERS, SIZE_MAX, 1000);
        if (clock_mono_us() > deadline_us)
            fail_msg("frames are missing");
    }
    call_on(stream_home(r.stream), end_pushing, &pusher);
    for (unsigned i = 0; i < N_PLAYERS; i++) {
        const struct player *p = &seats[i].player;

        assert_int_equal(p->tags[first_media(p)].number, 2);
        assert_no_gap(p, first_media(p));
        call_on(seats[i].ml, stand_up, &seats[i]);
    }
    sem_destroy(&pusher.done);
    threads_fini(&r);
}

/* Joins, leaves, small lag limits and the end of the stream, all at once. */
static void test_viewers_that_come_and_go_stay_in_sync_and_leave_nothing(void **state)
{
    struct stream_conf conf = small_conf();
    struct pusher pusher = {.n_left = 1200, .size_bytes = 5000};
    struct seat seats[N_PLAYERS];
    uint32_t seed = 99;
    struct rig r;

    (void)state;
    conf.tracks_wait_ms = 0;
    conf.max_lag_ms = 1;
    conf.max_pinned_bytes = 400000;
    conf.latency = LATENCY_BALANCED;
    threads_init(&r, &conf);
    pusher.rig = &r;
    sem_init(&pusher.done, 0, 0);
    for (unsigned i = 0; i < N_PLAYERS; i++)
        seats[i] =
            (struct seat){.rig = &r, .ml = &r.ml[i % N_LOOPS], .send_bytes = i % 3 ? 4096 : 0};
    call_on(stream_home(r.stream), begin_pushing, &pusher);
    while (sem_trywait(&pusher.done) != 0) {
        struct seat *s;

        seed = seed * 1664525u + 1013904223u;
        s = &seats[(seed >> 16) % N_PLAYERS];
        call_on(s->ml, s->taken ? stand_up : sit_down, s);
        read_all(seats, N_PLAYERS, (seed >> 8) % 20000, 1);
    }
    call_on(stream_home(r.stream), end_pushing, &pusher);
    for (unsigned i = 0; i < N_PLAYERS; i++) {
        if (!seats[i].taken)
            continue;
        assert_time_grows(&seats[i].player);
        call_on(seats[i].ml, stand_up, &seats[i]);
    }
    settle(&r);
    assert_true(list_is_empty(&r.stream->feeds));
    sem_destroy(&pusher.done);
    threads_fini(&r);
}

/* Each round's streams end while viewers on other loops join them. */
static void kick_stream(void *arg)
{
    struct rig *r = arg;

    stream_kick(r->stream);
}

static void test_streams_that_end_while_viewers_join_are_all_freed(void **state)
{
    struct stream_conf conf = small_conf();
    struct seat seats[N_PLAYERS];
    struct rig r;

    (void)state;
    conf.tracks_wait_ms = 0;
    threads_init(&r, &conf);
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < N_PLAYERS; i++) {
            seats[i] = (struct seat){.rig = &r, .ml = &r.ml[i % N_LOOPS]};
            call_on(seats[i].ml, sit_down, &seats[i]);
            if (i == round % N_PLAYERS)
                call_on(stream_home(r.stream), kick_stream, &r);
        }
        for (unsigned i = 0; i < N_PLAYERS; i++)
            call_on(seats[i].ml, stand_up, &seats[i]);
        stream_unref(&r.stream);
        r.stream = registry_get(r.registry, &r.name);
        assert_non_null(r.stream);
        call_on(stream_home(r.stream), publish, &r);
    }
    threads_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_viewers_on_all_loops_get_every_frame_while_they_race),
        cmocka_unit_test(test_viewers_that_come_and_go_stay_in_sync_and_leave_nothing),
        cmocka_unit_test(test_streams_that_end_while_viewers_join_are_all_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
