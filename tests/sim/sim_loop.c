/* Stands in for common/net/loop.c and clock.c: loops of simulated processes. A loop has no thread;
 * what happens to it (a timer, a message, bytes) is an event of the simulation, and the hooks of
 * its turn run a moment later. Timers are the real wheel's. */
#include "tests/sim/sim_loop.h"

#include <stdlib.h>

#include <event2/event.h>

#include "tests/sim/sim.h"

/* True time at the start of every run: 2026-01-01, so that epochs look as they do outside. */
#define START_WALL_US INT64_C(1767225600000000)
#define TURN_US 20 /* a turn of a loop takes a moment; a timer without delay cannot stop time */

struct loop {
    struct sim_process *process;
    unsigned index;
    struct timer_wheel wheel;
    int64_t wake_us; /* when the wheel is looked at next; INT64_MAX = never */
    struct list hooks;
    bool is_turning; /* the hooks will run */
    void (*on_stop)(void *arg);
    void *on_stop_arg;
    uint8_t scratch[LOOP_SCRATCH_BYTES];
};

/* --- clocks and random numbers --- */

int64_t clock_mono_us(void)
{
    return sim_now_us();
}

int64_t clock_wall_us(void)
{
    const struct sim_process *process = sim_current();

    return START_WALL_US + sim_now_us() + (process ? process->host->skew_us : 0);
}

int64_t loop_now_us(const struct loop *loop)
{
    (void)loop;
    return sim_now_us();
}

uint64_t random_u64(void)
{
    return sim_random();
}

void random_bytes(void *out, size_t size_bytes)
{
    uint8_t *to = out;

    for (size_t i = 0; i < size_bytes; i++)
        to[i] = (uint8_t)sim_random();
}

double random_unit(void)
{
    return (double)(sim_random() >> 11) * 0x1p-53;
}

int64_t jitter_ms(int64_t base_ms, double fraction)
{
    return (int64_t)((double)base_ms * (1.0 - fraction + 2.0 * fraction * random_unit()) + 0.5);
}

/* --- turns --- */

static void end_turn(void *arg)
{
    struct loop *loop = arg;
    struct list *node, *tmp;

    loop->is_turning = false;
    list_for_each_safe(node, tmp, &loop->hooks) {
        struct loop_hook *hook = list_entry(node, struct loop_hook, node);

        hook->run(hook);
    }
}

void loop_kick(struct loop *loop)
{
    if (loop->is_turning || list_is_empty(&loop->hooks))
        return;
    loop->is_turning = true;
    sim_at(sim_now_us() + TURN_US, loop->process, (struct sim_task){.run = end_turn, .arg = loop});
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    list_push_back(&loop->hooks, &hook->node);
}

void loop_hook_remove(struct loop_hook *hook)
{
    list_remove(&hook->node);
}

/* --- life --- */

struct loop *loop_create(const char *name, unsigned index)
{
    struct loop *loop = calloc(1, sizeof *loop);

    (void)name;
    if (!loop)
        return NULL;
    loop->process = sim_current();
    loop->index = index;
    loop->wake_us = INT64_MAX;
    timer_wheel_init(&loop->wheel, sim_now_us());
    list_init(&loop->hooks);
    return loop;
}

void loop_destroy(struct loop **loop)
{
    *loop = NULL; /* events may still name it: its memory goes with the process */
}

enum err loop_start_thread(struct loop *loop)
{
    (void)loop;
    return E_OK; /* it runs whenever something happens to it */
}

void loop_join(struct loop *loop)
{
    (void)loop;
}

void loop_run(struct loop *loop)
{
    (void)loop;
    sim_loop_run();
}

void loop_stop(struct loop *loop)
{
    if (loop->on_stop)
        loop->on_stop(loop->on_stop_arg);
}

void sim_loop_on_stop(struct loop *loop, void (*on_stop)(void *arg), void *arg)
{
    loop->on_stop = on_stop;
    loop->on_stop_arg = arg;
}

struct sim_process *sim_loop_process(const struct loop *loop)
{
    return loop->process;
}

struct loop *loop_current(void)
{
    return NULL;
}

/* Turns take no time here. */
void loop_turns_add(const struct loop *loop, struct loop_turns *sum)
{
    (void)loop, (void)sum;
}

unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}

uint8_t *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

/* The libevent adapter of hiredis makes events on it. Nothing ever waits for them. */
struct event_base *loop_base(struct loop *loop)
{
    static struct event_base *base;

    (void)loop;
    if (!base)
        base = event_base_new();
    return base;
}

/* addr.c looks names up with it; addresses here are numbers. */
struct evdns_base *loop_dns(struct loop *loop)
{
    (void)loop;
    return NULL;
}

void loop_turn(struct loop *loop, bool wait)
{
    (void)loop, (void)wait;
    abort(); /* a process that replaces another one turns its loop by hand: not simulated */
}

/* --- timers --- */

static void wake_at(struct loop *loop, int64_t at_us);

static void on_wake(void *arg)
{
    struct loop *loop = arg;
    struct wheel_entry *entry;

    if (sim_now_us() < loop->wake_us) /* of a wake-up that was moved */
        return;
    loop->wake_us = INT64_MAX;
    timer_wheel_begin_turn(&loop->wheel);
    timer_wheel_advance(&loop->wheel, sim_now_us());
    while (!loop->process->dead && (entry = timer_wheel_pop(&loop->wheel))) {
        struct timer *timer = list_entry(entry, struct timer, entry);

        timer->run(timer);
    }
    wake_at(loop, timer_wheel_next_us(&loop->wheel));
    loop_kick(loop);
}

static void wake_at(struct loop *loop, int64_t at_us)
{
    if (at_us == INT64_MAX || at_us >= loop->wake_us)
        return;
    if (at_us < sim_now_us() + TURN_US)
        at_us = sim_now_us() + TURN_US;
    loop->wake_us = at_us;
    sim_at(at_us, loop->process, (struct sim_task){.run = on_wake, .arg = loop});
}

void timer_init(struct timer *timer, struct loop *loop, void (*run)(struct timer *timer))
{
    *timer = (struct timer){.loop = loop, .run = run};
}

void timer_start_at_us(struct timer *timer, int64_t due_us)
{
    timer_wheel_start(&timer->loop->wheel, &timer->entry, due_us);
    wake_at(timer->loop, timer_wheel_next_us(&timer->loop->wheel));
}

void timer_start_ms(struct timer *timer, int64_t delay_ms)
{
    timer_start_at_us(timer, sim_now_us() + delay_ms * 1000);
}

bool timer_is_armed(const struct timer *timer)
{
    return timer_wheel_is_armed(&timer->entry);
}

void timer_stop(struct timer *timer)
{
    if (timer->loop)
        timer_wheel_stop(&timer->loop->wheel, &timer->entry);
}

/* --- messages --- */

struct post {
    struct loop *loop;
    struct loop_msg *msg;
};

static void run_post(void *arg)
{
    struct post post = *(struct post *)arg;

    free(arg);
    post.msg->run(post.msg);
    loop_kick(post.loop);
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
    struct post *post = malloc(sizeof *post);

    if (!post)
        abort();
    *post = (struct post){loop, msg};
    sim_at(sim_now_us() + TURN_US, loop->process, (struct sim_task){run_post, free, post});
}
