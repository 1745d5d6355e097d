/* loop.c: mailbox order and hand-over between threads, hooks, timers, clocks. */
#include "common/net/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "net_test.h"

/* --- mailbox --- */

#define N_SENDERS 4
#define N_PER_SENDER 3000

struct numbered {
    struct loop_msg msg;
    struct inbox *inbox;
    unsigned sender, number;
};

struct inbox {
    struct loop *loop;
    unsigned next[N_SENDERS]; /* number expected from each sender */
    unsigned n_total;
    bool out_of_order, wrong_thread, done;
};

static void on_numbered(struct loop_msg *msg)
{
    struct numbered *m = (struct numbered *)msg;
    struct inbox *in = m->inbox;

    if (m->number != in->next[m->sender]++)
        in->out_of_order = true;
    if (loop_current() != in->loop)
        in->wrong_thread = true;
    in->done = ++in->n_total == N_SENDERS * N_PER_SENDER;
    free(m); /* the message may be freed by its own run() */
}

struct sender {
    struct inbox *inbox;
    unsigned id;
    pthread_t thread;
};

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    for (unsigned i = 0; i < N_PER_SENDER; i++) {
        struct numbered *m = calloc(1, sizeof *m);

        *m = (struct numbered){{.run = on_numbered}, s->inbox, s->id, i};
        loop_post(s->inbox->loop, &m->msg);
    }
    return NULL;
}

static void test_post_keeps_order_of_each_sender(void **state)
{
    struct inbox inbox = {.loop = loop_create("test", 0)};
    struct sender senders[N_SENDERS];

    (void)state;
    for (unsigned i = 0; i < N_SENDERS; i++) {
        senders[i] = (struct sender){.inbox = &inbox, .id = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]), 0);
    }
    turn_until(inbox.loop, &inbox.done);
    for (unsigned i = 0; i < N_SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_false(inbox.out_of_order);
    assert_false(inbox.wrong_thread);
    loop_destroy(&inbox.loop);
}

/* A token goes round several loop threads; who has it may write shared, unlocked data. */
#define N_RING 3
#define N_HOPS 3000

struct token {
    struct loop_msg msg;
    struct loop *ring[N_RING];
    unsigned n_hops;
    unsigned n_per_loop[N_RING]; /* plain memory: the mailbox must order it */
    struct loop *home;
    bool done;
};

static void on_token_home(struct loop_msg *msg)
{
    ((struct token *)msg)->done = true;
}

static void on_token(struct loop_msg *msg)
{
    struct token *t = (struct token *)msg;
    unsigned here = loop_index(loop_current());

    t->n_per_loop[here]++;
    if (++t->n_hops == N_HOPS) {
        t->msg.run = on_token_home;
        loop_post(t->home, msg);
    } else {
        loop_post(t->ring[(here + 1) % N_RING], msg);
    }
}

static void test_post_moves_data_between_running_loops(void **state)
{
    struct token tokens[2] = {0};
    struct loop *home = loop_create("home", 9), *ring[N_RING];

    (void)state;
    for (unsigned i = 0; i < N_RING; i++) {
        ring[i] = loop_create("ring", i);
        assert_int_equal(loop_start_thread(ring[i]), E_OK);
    }
    for (unsigned k = 0; k < 2; k++) {
        tokens[k].msg.run = on_token;
        tokens[k].home = home;
        memcpy(tokens[k].ring, ring, sizeof ring);
        loop_post(ring[k], &tokens[k].msg);
    }
    turn_until(home, &tokens[0].done);
    turn_until(home, &tokens[1].done);
    for (unsigned i = 0; i < N_RING; i++) {
        assert_int_equal(tokens[0].n_per_loop[i], N_HOPS / N_RING);
        assert_int_equal(tokens[1].n_per_loop[i], N_HOPS / N_RING);
        loop_stop(ring[i]);
        loop_join(ring[i]);
        loop_destroy(&ring[i]);
    }
    loop_destroy(&home);
}

static void count_drop(struct loop_msg *msg);

struct dropped {
    struct loop_msg msg;
    unsigned n_run, n_dropped;
};

static void count_run(struct loop_msg *msg)
{
    ((struct dropped *)msg)->n_run++;
}

static void count_drop(struct loop_msg *msg)
{
    ((struct dropped *)msg)->n_dropped++;
}

static void test_destroy_drops_undelivered_messages(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct dropped a = {{.run = count_run, .drop = count_drop}, 0, 0};
    struct dropped b = {{.run = count_run, .drop = NULL}, 0, 0};

    (void)state;
    loop_post(loop, &a.msg);
    loop_post(loop, &b.msg);
    loop_destroy(&loop);
    assert_null(loop);
    assert_int_equal(a.n_run, 0);
    assert_int_equal(a.n_dropped, 1);
    assert_int_equal(b.n_run, 0);
}

static void test_post_from_run_is_delivered_in_a_later_turn(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct token t = {.msg = {.run = on_token}, .home = loop, .n_hops = N_HOPS - 1};

    (void)state;
    loop_post(loop, &t.msg);
    loop_turn(loop, false);
    assert_int_equal(t.n_hops, N_HOPS);
    assert_false(t.done);
    turn_until(loop, &t.done);
    loop_destroy(&loop);
}

/* --- run and stop --- */

static void test_run_returns_at_once_when_stopped_before(void **state)
{
    struct loop *loop = loop_create("test", 0);

    (void)state;
    loop_stop(loop);
    loop_run(loop);
    loop_stop(loop); /* and a second run is possible */
    loop_run(loop);
    loop_destroy(&loop);
}

struct thread_facts {
    struct loop_msg msg;
    struct loop *home;
    struct loop_msg back;
    char name[16];
    bool signals_blocked, pipe_ignored, done;
};

static void on_facts_back(struct loop_msg *msg)
{
    list_entry(msg, struct thread_facts, back)->done = true;
}

static void on_facts(struct loop_msg *msg)
{
    struct thread_facts *f = (struct thread_facts *)msg;
    struct sigaction action;
    sigset_t blocked;

    pthread_getname_np(pthread_self(), f->name, sizeof f->name);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    f->signals_blocked = sigismember(&blocked, SIGTERM) == 1;
    sigaction(SIGPIPE, NULL, &action);
    f->pipe_ignored = action.sa_handler == SIG_IGN;
    f->back.run = on_facts_back;
    loop_post(f->home, &f->back);
}

static void test_start_thread_names_it_and_leaves_signals_to_main(void **state)
{
    struct loop *home = loop_create("home", 0), *loop = loop_create("media", 7);
    struct thread_facts facts = {.msg = {.run = on_facts}, .home = home};

    (void)state;
    assert_null(loop_current());
    assert_int_equal(loop_start_thread(loop), E_OK);
    loop_post(loop, &facts.msg);
    turn_until(home, &facts.done);
    assert_string_equal(facts.name, "media/7");
    assert_true(facts.signals_blocked);
    assert_true(facts.pipe_ignored);
    loop_stop(loop);
    loop_join(loop);
    loop_destroy(&loop);
    loop_destroy(&home);
}

/* --- hooks --- */

struct test_hook {
    struct loop_hook hook;
    struct loop_hook *removes; /* removed when this one runs */
    struct loop_hook *adds;
    struct loop *loop;
    unsigned n_run;
};

static void on_hook(struct loop_hook *hook)
{
    struct test_hook *h = (struct test_hook *)hook;

    h->n_run++;
    if (h->removes)
        loop_hook_remove(h->removes);
    if (h->adds)
        loop_hook_add(h->loop, h->adds);
    h->adds = NULL;
}

static void test_hooks_run_once_a_turn_after_messages(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_hook h = {.hook = {.run = on_hook}};
    struct dropped m = {{.run = count_run, .drop = NULL}, 0, 0};

    (void)state;
    loop_hook_add(loop, &h.hook);
    loop_post(loop, &m.msg);
    loop_turn(loop, true);
    assert_int_equal(m.n_run, 1);
    assert_int_equal(h.n_run, 1);
    loop_kick(loop);
    loop_kick(loop); /* coalesced: one turn */
    loop_turn(loop, true);
    assert_int_equal(h.n_run, 2);
    loop_hook_remove(&h.hook);
    loop_hook_remove(&h.hook); /* fine twice */
    loop_kick(loop);
    loop_turn(loop, true);
    assert_int_equal(h.n_run, 2);
    loop_destroy(&loop);
}

static void test_hook_may_remove_itself_and_others_and_add(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_hook h[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        h[i].hook.run = on_hook;
        h[i].loop = loop;
    }
    for (int i = 0; i < 3; i++)
        loop_hook_add(loop, &h[i].hook);
    h[0].removes = &h[1].hook; /* one that has not run yet */
    h[0].adds = &h[3].hook;
    h[2].removes = &h[2].hook;
    loop_turn(loop, false);
    assert_int_equal(h[0].n_run, 1);
    assert_int_equal(h[1].n_run, 0);
    assert_int_equal(h[2].n_run, 1);
    loop_turn(loop, false);
    loop_turn(loop, false);
    assert_int_equal(h[0].n_run, 3);
    assert_int_equal(h[1].n_run, 0);
    assert_int_equal(h[2].n_run, 1);
    assert_in_range(h[3].n_run, 2, 3);
    loop_destroy(&loop);
}

struct test_exit {
    struct loop_exit entry;
    unsigned n_run;
};

static void on_exit_entry(struct loop_exit *entry)
{
    ((struct test_exit *)entry)->n_run++;
}

static void test_destroy_runs_exits_that_were_not_removed(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_exit kept = {{.run = on_exit_entry}, 0}, removed = {{.run = on_exit_entry}, 0};

    (void)state;
    loop_exit_add(loop, &kept.entry);
    loop_exit_add(loop, &removed.entry);
    loop_exit_remove(&removed.entry);
    loop_destroy(&loop);
    assert_int_equal(kept.n_run, 1);
    assert_int_equal(removed.n_run, 0);
}

/* --- timers --- */

struct test_timer {
    struct timer timer;
    bool fired;
    unsigned n_fired;
};

static void on_test_timer(struct timer *timer)
{
    struct test_timer *t = list_entry(timer, struct test_timer, timer);

    t->fired = true;
    t->n_fired++;
}

static void test_timer_fires_once_and_can_be_started_again(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_timer t = {0};

    (void)state;
    timer_init(&t.timer, loop, on_test_timer);
    assert_false(timer_is_armed(&t.timer));
    timer_start_ms(&t.timer, 1);
    assert_true(timer_is_armed(&t.timer));
    turn_until(loop, &t.fired);
    assert_false(timer_is_armed(&t.timer));
    turn_ready(loop);
    assert_int_equal(t.n_fired, 1);
    t.fired = false;
    timer_start_ms(&t.timer, 0);
    turn_until(loop, &t.fired);
    assert_int_equal(t.n_fired, 2);
    timer_stop(&t.timer);
    loop_destroy(&loop);
}

static void test_timer_is_moved_by_restart_and_silenced_by_stop(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_timer moved = {0}, stopped = {0}, probe = {0}, zeroed = {0};

    (void)state;
    timer_init(&moved.timer, loop, on_test_timer);
    timer_init(&stopped.timer, loop, on_test_timer);
    timer_init(&probe.timer, loop, on_test_timer);
    timer_start_ms(&moved.timer, 1);
    timer_start_ms(&moved.timer, 3600 * 1000);
    timer_start_ms(&stopped.timer, 1);
    timer_stop(&stopped.timer);
    timer_stop(&zeroed.timer);
    timer_start_ms(&probe.timer, 30);
    turn_until(loop, &probe.fired);
    assert_false(moved.fired);
    assert_true(timer_is_armed(&moved.timer));
    assert_false(stopped.fired);
    assert_false(timer_is_armed(&stopped.timer));
    timer_start_ms(&moved.timer, 0);
    timer_start_ms(&stopped.timer, 0);
    turn_until(loop, &moved.fired);
    turn_until(loop, &stopped.fired);
    timer_stop(&moved.timer);
    timer_stop(&stopped.timer);
    timer_stop(&probe.timer);
    loop_destroy(&loop);
}

struct freed_owner {
    struct timer timer;
    bool *freed;
};

static void on_free_owner(struct timer *timer)
{
    struct freed_owner *o = list_entry(timer, struct freed_owner, timer);
    bool *freed = o->freed;

    timer_stop(&o->timer);
    free(o);
    *freed = true;
}

static void test_timer_callback_may_free_its_owner(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct freed_owner *o = calloc(1, sizeof *o);
    bool freed = false;

    (void)state;
    timer_init(&o->timer, loop, on_free_owner);
    o->freed = &freed;
    timer_start_ms(&o->timer, 0);
    turn_until(loop, &freed);
    loop_destroy(&loop);
}

/* Stops its neighbour, which is due at the same time, and starts itself again. */
struct rude_timer {
    struct timer timer;
    struct rude_timer *stops;
    unsigned n_fired;
};

static void on_rude_timer(struct timer *timer)
{
    struct rude_timer *t = list_entry(timer, struct rude_timer, timer);

    t->n_fired++;
    timer_stop(&t->stops->timer);
    timer_start_ms(timer, 0);
}

static void test_timer_callback_may_stop_others_and_start_itself(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct rude_timer a = {0}, b = {0};

    (void)state;
    a.stops = &b;
    b.stops = &a;
    timer_init(&a.timer, loop, on_rude_timer);
    timer_init(&b.timer, loop, on_rude_timer);
    timer_start_at_us(&a.timer, 1); /* long past: the next turn */
    timer_start_at_us(&b.timer, 1);
    for (unsigned i = 1; i <= 3; i++) {
        loop_turn(loop, true); /* does not wait, and runs each timer once at most */
        assert_int_equal(a.n_fired, i);
        assert_int_equal(b.n_fired, 0);
    }
    timer_stop(&a.timer);
    loop_destroy(&loop);
}

#define N_TIMERS 60

struct due_timer {
    struct timer timer;
    int64_t due_us;
    struct due_log *log;
};

struct due_log {
    unsigned n_fired;
    int64_t last_us;
    bool early, out_of_order, all;
};

static void on_due_timer(struct timer *timer)
{
    struct due_timer *t = list_entry(timer, struct due_timer, timer);

    t->log->early |= clock_mono_us() < t->due_us;
    t->log->out_of_order |= t->due_us / TIMER_WHEEL_SLOT_US < t->log->last_us / TIMER_WHEEL_SLOT_US;
    t->log->last_us = t->due_us;
    t->log->all = ++t->log->n_fired == N_TIMERS;
}

static void test_timers_fire_in_order_and_never_early(void **state)
{
    static struct due_timer timers[N_TIMERS];
    struct loop *loop = loop_create("test", 0);
    struct due_log log = {0};
    int64_t now_us = loop_now_us(loop);

    (void)state;
    for (int i = 0; i < N_TIMERS; i++) {
        timers[i].log = &log;
        timers[i].due_us = now_us + (i * 37 % N_TIMERS + 1) * 1700;
        timer_init(&timers[i].timer, loop, on_due_timer);
        timer_start_at_us(&timers[i].timer, timers[i].due_us);
    }
    turn_until(loop, &log.all);
    assert_false(log.early);
    assert_false(log.out_of_order);
    loop_destroy(&loop);
}

static void test_timer_started_earlier_than_an_armed_one_fires_first(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_timer late = {0}, soon = {0};

    (void)state;
    timer_init(&late.timer, loop, on_test_timer);
    timer_init(&soon.timer, loop, on_test_timer);
    timer_start_ms(&late.timer, INT64_MAX); /* cut to something that fits */
    loop_turn(loop, false);
    timer_start_ms(&soon.timer, 5);
    turn_until(loop, &soon.fired);
    assert_false(late.fired);
    timer_stop(&late.timer);
    loop_destroy(&loop);
}

static void test_timer_may_be_stopped_after_its_loop_is_gone(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct test_timer near = {0}, far = {0}, now = {0};

    (void)state;
    timer_init(&near.timer, loop, on_test_timer);
    timer_init(&far.timer, loop, on_test_timer);
    timer_init(&now.timer, loop, on_test_timer);
    timer_start_ms(&near.timer, 1000);
    timer_start_ms(&far.timer, 100000);
    timer_start_ms(&now.timer, 0);
    loop_destroy(&loop);
    assert_false(timer_is_armed(&near.timer));
    timer_stop(&near.timer);
    timer_stop(&far.timer);
    timer_stop(&now.timer);
}

/* --- clocks, random numbers --- */

struct clock_probe {
    struct loop_hook hook;
    struct loop *loop;
    int64_t first_us, second_us, after_us;
};

static void on_clock_hook(struct loop_hook *hook)
{
    struct clock_probe *p = (struct clock_probe *)hook;

    p->first_us = loop_now_us(p->loop);
    p->after_us = clock_mono_us();
    while (clock_mono_us() == p->after_us) /* a microsecond */
        continue;
    p->after_us = clock_mono_us();
    p->second_us = loop_now_us(p->loop);
}

static void test_now_stands_still_within_a_turn_and_moves_between(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct clock_probe p = {.hook = {.run = on_clock_hook}, .loop = loop};

    (void)state;
    loop_hook_add(loop, &p.hook);
    for (int i = 0; i < 2; i++) {
        int64_t before_us = clock_mono_us();

        loop_turn(loop, false);
        assert_int_equal(p.first_us, p.second_us);
        assert_true(p.first_us >= before_us && p.first_us <= p.after_us);
    }
    loop_destroy(&loop);
}

static void on_busy(struct loop_msg *msg)
{
    int64_t until_us = loop_now_us(loop_current()) + 6000;

    (void)msg;
    while (clock_mono_us() < until_us)
        ;
}

/* A turn that waits is none that others wait for. */
static void test_turns_are_counted_by_how_long_they_were_busy(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct loop_msg msg = {.run = on_busy};
    struct loop_turns turns = {.sum_us = 0}, again = {.sum_us = 0};
    uint64_t n_long = 0;

    (void)state;
    loop_turns_add(loop, &turns);
    assert_int_equal(turns.sum_us, 0);
    loop_turn(loop, false); /* nobody asked for the time */
    loop_post(loop, &msg);
    loop_turn(loop, true);
    loop_turns_add(loop, &turns);
    for (unsigned i = 0; i <= LOOP_N_TURN_BOUNDS; i++)
        n_long += i && k_loop_turn_bounds[i - 1] >= 0.005 ? turns.counts[i] : 0;
    assert_int_equal(n_long, 1);
    assert_true(turns.sum_us >= 6000);
    loop_turns_add(loop, &again);
    loop_turns_add(loop, &again); /* of two loops the sum */
    assert_int_equal(again.sum_us, 2 * turns.sum_us);
    loop_destroy(&loop);
}

static void test_jitter_stays_in_range_and_spreads(void **state)
{
    int64_t low = INT64_MAX, high = INT64_MIN;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        int64_t ms = jitter_ms(1000, 0.25);

        assert_in_range(ms, 750, 1250);
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
    }
    assert_true(low < 800 && high > 1200);
    assert_int_equal(jitter_ms(1000, 0), 1000);
    assert_int_equal(jitter_ms(0, 0.5), 0);
}

static void test_random_u64_does_not_repeat(void **state)
{
    uint64_t seen[256];

    (void)state;
    for (size_t i = 0; i < 256; i++) { /* several refills of the pool */
        seen[i] = random_u64();
        for (size_t k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_post_keeps_order_of_each_sender),
        cmocka_unit_test(test_post_moves_data_between_running_loops),
        cmocka_unit_test(test_post_from_run_is_delivered_in_a_later_turn),
        cmocka_unit_test(test_destroy_drops_undelivered_messages),
        cmocka_unit_test(test_run_returns_at_once_when_stopped_before),
        cmocka_unit_test(test_start_thread_names_it_and_leaves_signals_to_main),
        cmocka_unit_test(test_hooks_run_once_a_turn_after_messages),
        cmocka_unit_test(test_hook_may_remove_itself_and_others_and_add),
        cmocka_unit_test(test_destroy_runs_exits_that_were_not_removed),
        cmocka_unit_test(test_timer_fires_once_and_can_be_started_again),
        cmocka_unit_test(test_timer_is_moved_by_restart_and_silenced_by_stop),
        cmocka_unit_test(test_timer_callback_may_free_its_owner),
        cmocka_unit_test(test_timer_callback_may_stop_others_and_start_itself),
        cmocka_unit_test(test_timers_fire_in_order_and_never_early),
        cmocka_unit_test(test_timer_started_earlier_than_an_armed_one_fires_first),
        cmocka_unit_test(test_timer_may_be_stopped_after_its_loop_is_gone),
        cmocka_unit_test(test_now_stands_still_within_a_turn_and_moves_between),
        cmocka_unit_test(test_turns_are_counted_by_how_long_they_were_busy),
        cmocka_unit_test(test_jitter_stays_in_range_and_spreads),
        cmocka_unit_test(test_random_u64_does_not_repeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
