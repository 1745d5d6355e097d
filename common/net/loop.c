/* The only place where libevent's base is turned. A mailbox is a lock-free stack of messages plus
 * one eventfd; libevent's own locks stay off, since nothing else of a base is touched by another
 * thread. */
#include "common/net/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/log.h"
#include "common/net/conn.h"
#include "common/net/loop_turns.h"
#include "common/net/poller.h"
#include "common/net/tick.h"

#define MAX_DELAY_MS (INT64_C(1000) * 3600 * 24 * 365 * 100) /* keeps the sum in range */

/* What a turn may change behind a const struct loop. */
struct loop_clock {
    int64_t now_us; /* 0 = not read in this turn */
    bool in_turn;
};

struct loop {
    struct event_base *base;
    struct evdns_base *dns; /* NULL until the first loop_dns() */
    struct poller *poller;
    struct tick *ticks[1 + LOOP_SLOW_TICKS]; /* NULL until the first loop_tick() */
    struct event wake;                       /* wake_fd is readable */
    struct event alarm;                      /* alarm_fd is readable */
    int wake_fd;
    int alarm_fd; /* timerfd: wakes the loop for the wheel's next list */
    bool has_wake, has_alarm;
    bool alarm_went_off; /* readable until it is set again */
    int64_t alarm_us;    /* what it is set to; INT64_MAX = off */
    struct timer_wheel wheel;
    const char *name;
    unsigned index;
    struct loop_clock *clock;
    struct list hooks;
    struct list exits;
    uint8_t *scratch; /* LOOP_SCRATCH_BYTES, and LOOP_RECORD_BYTES behind them */
    pthread_t thread;
    bool has_thread;

    struct turn_counts turns;

    _Atomic(struct loop_msg *) inbox; /* newest first */
    atomic_bool kicked;               /* wake_fd was written and not yet read */
    atomic_bool stopping;
};

static _Thread_local struct loop *t_current;

/* --- mailbox --- */

void loop_kick(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n;

    if (atomic_exchange_explicit(&loop->kicked, true, memory_order_acq_rel))
        return; /* the wake-up under way comes after what we published before this call */
    do
        n = write(loop->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
    msg->next = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &msg->next, msg,
                                                  memory_order_release, memory_order_relaxed))
        continue;
    loop_kick(loop);
}

/* Everything posted so far, oldest first. */
static struct loop_msg *take_messages(struct loop *loop)
{
    struct loop_msg *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct loop_msg *oldest = NULL;

    while (newest) {
        struct loop_msg *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct loop_msg *msg;
    uint64_t count;
    ssize_t n;

    (void)what;
    do
        n = read(fd, &count, sizeof count);
    while (n < 0 && errno == EINTR);
    /* Cleared before the inbox is taken: who posts after this writes the eventfd again. */
    atomic_exchange_explicit(&loop->kicked, false, memory_order_acq_rel);
    msg = take_messages(loop);
    while (msg) {
        struct loop_msg *next = msg->next; /* run() may free msg */

        msg->run(msg);
        msg = next;
    }
}

static void drop_messages(struct loop *loop)
{
    struct loop_msg *msg;

    while ((msg = take_messages(loop)) != NULL) { /* a drop() may post another one */
        while (msg) {
            struct loop_msg *next = msg->next;

            if (msg->drop)
                msg->drop(msg);
            msg = next;
        }
    }
}

/* --- timers --- */

void timer_init(struct timer *timer, struct loop *loop, void (*run)(struct timer *timer))
{
    *timer = (struct timer){.run = run, .loop = loop};
}

void timer_start_at_us(struct timer *timer, int64_t due_us)
{
    timer_wheel_start(&timer->loop->wheel, &timer->entry, due_us);
}

void timer_start_ms(struct timer *timer, int64_t delay_ms)
{
    if (delay_ms > MAX_DELAY_MS)
        delay_ms = MAX_DELAY_MS;
    timer_start_at_us(timer, delay_ms > 0 ? loop_now_us(timer->loop) + delay_ms * 1000 : 0);
}

bool timer_is_armed(const struct timer *timer)
{
    return timer_wheel_is_armed(&timer->entry);
}

void timer_stop(struct timer *timer)
{
    if (timer_is_armed(timer))
        timer_wheel_stop(&timer->loop->wheel, &timer->entry);
}

static void run_timers(struct loop *loop)
{
    struct wheel_entry *entry;

    timer_wheel_advance(&loop->wheel, loop_now_us(loop));
    while ((entry = timer_wheel_pop(&loop->wheel)) != NULL) {
        struct timer *timer = list_entry(entry, struct timer, entry);

        timer->run(timer); /* timer may be gone after this */
    }
}

/* The timers run in every turn; this only ends the poll. */
static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd, (void)what;
    loop->alarm_went_off = true;
}

/* One timerfd for all timers. libevent's own time-outs would do, but for their clock: it steps with
 * the kernel's tick (4 ms, on some machines 10 ms), so they come early or a step late. An alarm
 * that became needless is left to go off: a stop or a move to a later time costs no system call. */
static void set_alarm(struct loop *loop, int64_t due_us)
{
    struct itimerspec when = {.it_value = {0}};

    if (!loop->alarm_went_off && due_us >= loop->alarm_us)
        return;
    if (due_us != INT64_MAX) { /* else zero: off */
        when.it_value.tv_sec = due_us / 1000000;
        when.it_value.tv_nsec = due_us % 1000000 * 1000;
    }
    timerfd_settime(loop->alarm_fd, TFD_TIMER_ABSTIME, &when, NULL); /* not readable any more */
    loop->alarm_went_off = false;
    loop->alarm_us = due_us;
}

/* --- loop --- */

static struct event_base *base_create(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    event_config_avoid_method(config, "select");
    event_config_avoid_method(config, "poll");
    /* Hardly anything asks it for the time: not read in each turn. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
                                      EVENT_BASE_FLAG_NO_CACHE_TIME);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool watch(struct loop *loop, struct event *ev, int fd, event_callback_fn callback)
{
    return event_assign(ev, loop->base, fd, EV_READ | EV_PERSIST, callback, loop) == 0 &&
           event_add(ev, NULL) == 0;
}

struct loop *loop_create(const char *name, unsigned index)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return NULL;
    signal(SIGPIPE, SIG_IGN); /* libevent and libraries above it write() to sockets */
    loop->name = name;
    loop->index = index;
    list_init(&loop->hooks);
    list_init(&loop->exits);
    timer_wheel_init(&loop->wheel, clock_mono_us());
    loop->alarm_us = INT64_MAX;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->base = base_create();
    loop->clock = calloc(1, sizeof *loop->clock);
    loop->scratch = malloc(LOOP_SCRATCH_BYTES + LOOP_RECORD_BYTES);
    if (loop->wake_fd < 0 || loop->alarm_fd < 0 || !loop->base || !loop->clock || !loop->scratch)
        goto fail;
    loop->poller = poller_create(loop);
    if (!loop->poller)
        goto fail;
    loop->has_wake = watch(loop, &loop->wake, loop->wake_fd, on_wake);
    loop->has_alarm = watch(loop, &loop->alarm, loop->alarm_fd, on_alarm);
    if (loop->has_wake && loop->has_alarm)
        return loop;
fail:
    loop_destroy(&loop);
    return NULL;
}

void loop_destroy(struct loop **loop_ref)
{
    struct loop *loop = *loop_ref;
    struct list *node;

    *loop_ref = NULL;
    if (!loop)
        return;
    assert(!loop->has_thread);
    drop_messages(loop);
    while ((node = list_pop_front(&loop->exits)) != NULL) {
        struct loop_exit *entry = list_entry(node, struct loop_exit, node);

        entry->run(entry);
    }
    for (unsigned i = 0; i <= LOOP_SLOW_TICKS; i++)
        tick_destroy(&loop->ticks[i]);
    poller_destroy(&loop->poller);
    if (loop->dns)
        evdns_base_free(loop->dns, 1);
    if (loop->has_wake)
        event_del(&loop->wake);
    if (loop->has_alarm)
        event_del(&loop->alarm);
    if (loop->base) {
        /* What evdns and bufferevents put off to the next turn frees memory of cancelled look-ups.
         */
        for (int i = 0; i < 4; i++)
            event_base_loop(loop->base, EVLOOP_NONBLOCK);
        event_base_free(loop->base);
    }
    timer_wheel_fini(&loop->wheel);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->alarm_fd >= 0)
        close(loop->alarm_fd);
    free(loop->clock);
    free(loop->scratch);
    free(loop);
}

/* Runs every hook once. A hook may remove itself or any other; one added meanwhile runs this turn
 * or the next. */
static void run_hooks(struct loop *loop)
{
    struct list todo, *node;

    if (list_is_empty(&loop->hooks))
        return;
    todo = loop->hooks; /* moves the whole ring to another head */
    todo.next->prev = &todo;
    todo.prev->next = &todo;
    list_init(&loop->hooks);
    while ((node = list_pop_front(&todo)) != NULL) {
        struct loop_hook *hook = list_entry(node, struct loop_hook, node);

        list_push_back(&loop->hooks, node); /* before it runs: it may free itself */
        hook->run(hook);
    }
}

/* A turn in which nobody asked for the time did next to nothing. */
static void count_turn(struct loop *loop)
{
    if (loop->clock->now_us)
        turn_counts_take(&loop->turns, (uint64_t)(clock_mono_us() - loop->clock->now_us));
}

void loop_turns_add(const struct loop *loop, struct loop_turns *sum)
{
    turn_counts_add(&loop->turns, sum);
}

void loop_turn(struct loop *loop, bool wait)
{
    struct loop *outer = t_current;
    int64_t next_us;

    assert(!loop->clock->in_turn);
    t_current = loop;
    loop->clock->in_turn = true;
    loop->clock->now_us = 0; /* read by the first who asks, thus after the poll */
    timer_wheel_begin_turn(&loop->wheel);
    next_us = timer_wheel_next_us(&loop->wheel);
    if (next_us == 0)
        wait = false;
    else
        set_alarm(loop, next_us);
    event_base_loop(loop->base, EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK));
    run_timers(loop);
    run_hooks(loop);
    count_turn(loop);
    loop->clock->in_turn = false;
    t_current = outer;
}

void loop_run(struct loop *loop)
{
    /* The flag is taken back on the way out, so that a stop from before the run counts too. */
    while (!atomic_exchange_explicit(&loop->stopping, false, memory_order_acq_rel))
        loop_turn(loop, true);
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    loop_kick(loop);
}

static void *thread_main(void *arg)
{
    struct loop *loop = arg;
    char name[16];

    snprintf(name, sizeof name, "%.10s/%u", loop->name, loop->index % 10000);
    pthread_setname_np(pthread_self(), name);
    loop_run(loop);
    return NULL;
}

enum err loop_start_thread(struct loop *loop)
{
    sigset_t all, before;
    int rc;

    assert(!loop->has_thread);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&loop->thread, NULL, thread_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return E_NOMEM;
    loop->has_thread = true;
    return E_OK;
}

void loop_join(struct loop *loop)
{
    if (loop->has_thread)
        pthread_join(loop->thread, NULL);
    loop->has_thread = false;
}

struct loop *loop_current(void)
{
    return t_current;
}

unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

uint8_t *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

uint8_t *loop_record(struct loop *loop)
{
    return loop->scratch + LOOP_SCRATCH_BYTES;
}

struct evdns_base *loop_dns(struct loop *loop)
{
    if (loop->dns)
        return loop->dns;
    loop->dns = evdns_base_new(loop->base, 0);
    if (!loop->dns)
        return NULL;
    /* A machine without resolv.conf still has /etc/hosts, so the result is not looked at. */
    evdns_base_resolv_conf_parse(loop->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    evdns_base_set_option(loop->dns, "timeout:", "2");
    evdns_base_set_option(loop->dns, "attempts:", "2");
    evdns_base_set_option(loop->dns, "randomize-case:", "0"); /* some resolvers answer lower case */
    return loop->dns;
}

struct poller *loop_poller(struct loop *loop)
{
    return loop->poller;
}

struct tick *loop_tick(struct loop *loop, unsigned index)
{
    struct tick **tick = &loop->ticks[index];

    if (!*tick && index == 0)
        *tick = tick_create(loop, CONN_TICK_MS, 0);
    else if (!*tick)
        *tick = tick_create(loop, CONN_SLOW_TICK_MS, (index - 1) * CONN_TICK_MS);
    return *tick;
}

int64_t loop_now_us(const struct loop *loop)
{
    struct loop_clock *clock = loop->clock;

    if (!clock->in_turn)
        return clock_mono_us();
    if (clock->now_us == 0)
        clock->now_us = clock_mono_us();
    return clock->now_us;
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    list_push_back(&loop->hooks, &hook->node);
}

void loop_hook_remove(struct loop_hook *hook)
{
    if (hook->node.next) /* never added: still zeroed */
        list_remove(&hook->node);
}

void loop_exit_add(struct loop *loop, struct loop_exit *entry)
{
    list_push_back(&loop->exits, &entry->node);
}

void loop_exit_remove(struct loop_exit *entry)
{
    if (entry->node.next)
        list_remove(&entry->node);
}
