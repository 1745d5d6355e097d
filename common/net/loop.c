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
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/log.h"

/* What a turn may change behind a const struct loop. */
struct loop_clock {
    int64_t now_us; /* 0 = not read in this turn */
    bool in_turn;
};

struct loop {
    struct event_base *base;
    struct evdns_base *dns; /* NULL until the first loop_dns() */
    struct event wake;      /* wake_fd is readable */
    int wake_fd;
    bool has_wake;
    const char *name;
    unsigned index;
    struct loop_clock *clock;
    struct list hooks;
    struct list exits;
    uint8_t *scratch;
    pthread_t thread;
    bool has_thread;

    _Atomic(struct loop_msg *) inbox; /* newest first */
    atomic_bool kicked;               /* wake_fd was written and not yet read */
    atomic_bool stopping;
};

static _Thread_local struct loop *t_current;

/* --- clocks and random bytes --- */

static int64_t clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

void random_bytes(void *out, size_t size_bytes)
{
    size_t got = 0;

    while (got < size_bytes) {
        ssize_t n = getrandom((uint8_t *)out + got, size_bytes - got, 0);

        if (n > 0) {
            got += (size_t)n;
        } else if (errno != EINTR) { /* no kernel source of randomness: nothing safe can go on */
            log_error("loop", "msg=\"getrandom failed\" error=%s", LOG_STR(strerror(errno)));
            abort();
        }
    }
}

uint64_t random_u64(void)
{
    static _Thread_local uint64_t t_pool[32]; /* one system call for 32 numbers */
    static _Thread_local unsigned t_left;
    uint64_t value;

    if (t_left == 0) {
        random_bytes(t_pool, sizeof t_pool);
        t_left = sizeof t_pool / sizeof t_pool[0];
    }
    value = t_pool[--t_left];
    t_pool[t_left] = 0; /* given out once, not kept in memory */
    return value;
}

int64_t jitter_ms(int64_t base_ms, double fraction)
{
    double unit = (double)(random_u64() >> 11) * 0x1p-53; /* [0, 1) */

    return (int64_t)((double)base_ms * (1.0 - fraction + 2.0 * fraction * unit) + 0.5);
}

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

/* --- loop --- */

static struct event_base *base_create(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    event_config_avoid_method(config, "select");
    event_config_avoid_method(config, "poll");
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
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
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->base = base_create();
    loop->clock = calloc(1, sizeof *loop->clock);
    loop->scratch = malloc(LOOP_SCRATCH_BYTES);
    if (loop->wake_fd < 0 || !loop->base || !loop->clock || !loop->scratch)
        goto fail;
    loop->has_wake = event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST,
                                  on_wake, loop) == 0 &&
                     event_add(&loop->wake, NULL) == 0;
    if (loop->has_wake)
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
    if (loop->dns)
        evdns_base_free(loop->dns, 1);
    if (loop->has_wake)
        event_del(&loop->wake);
    if (loop->base) {
        /* What evdns and bufferevents put off to the next turn frees memory of cancelled look-ups.
         */
        for (int i = 0; i < 4; i++)
            event_base_loop(loop->base, EVLOOP_NONBLOCK);
        event_base_free(loop->base);
    }
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
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

void loop_turn(struct loop *loop, bool wait)
{
    struct loop *outer = t_current;

    assert(!loop->clock->in_turn);
    t_current = loop;
    loop->clock->in_turn = true;
    loop->clock->now_us = 0; /* read by the first who asks, thus after the poll */
    event_base_loop(loop->base, EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK));
    run_hooks(loop);
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

/* --- timers --- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *timer = arg;

    (void)fd, (void)what;
    timer->run(timer); /* timer may be gone after this */
}

void timer_init(struct timer *timer, struct loop *loop, void (*run)(struct timer *timer))
{
    *timer = (struct timer){.run = run, .loop = loop};
}

void timer_start_ms(struct timer *timer, int64_t delay_ms)
{
    struct timeval tv = {0, 0};

    if (delay_ms > 0) {
        tv.tv_sec = delay_ms / 1000;
        tv.tv_usec = delay_ms % 1000 * 1000;
    }
    if (!timer->ev)
        timer->ev = evtimer_new(timer->loop->base, on_timer, timer);
    if (!timer->ev || evtimer_add(timer->ev, &tv) != 0) {
        /* Going on without it would leave a peer without its time-out, for ever. */
        log_error("loop", "msg=\"out of memory for a timer\"");
        abort();
    }
}

bool timer_is_armed(const struct timer *timer)
{
    return timer->ev && evtimer_pending(timer->ev, NULL);
}

void timer_stop(struct timer *timer)
{
    if (timer->ev)
        event_free(timer->ev);
    timer->ev = NULL;
}
