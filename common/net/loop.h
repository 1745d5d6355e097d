/* Event loops: one libevent base a thread, a mailbox to post work to another loop, coarse timers,
 * and a list of things to do at the end of each turn. A turn is: poll, ready events and messages,
 * timers, hooks. */
#ifndef HW_COMMON_NET_LOOP_H
#define HW_COMMON_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/net/timer_wheel.h"

struct event_base;
struct evdns_base;
struct poller;
struct tick;
struct loop; /* opaque */

/* Returns a loop, or NULL. name (static) appears in logs and as thread name. Pair with
 * loop_destroy(). */
struct loop *loop_create(const char *name, unsigned index);
/* Takes *loop; it must not be running. Undelivered messages are dropped through their drop
 * callback. */
void loop_destroy(struct loop **loop);
/* Runs in the calling thread until loop_stop(). */
void loop_run(struct loop *loop);
/* Starts a thread that runs the loop; loop_join() waits for it to end. */
enum err loop_start_thread(struct loop *loop);
void loop_join(struct loop *loop);
void loop_stop(struct loop *loop); /* any thread; before the run it ends the run at once */
/* One turn in the calling thread: events, messages, timers, hooks. wait = block until something
 * happens. For programs that turn a loop themselves, and for tests. */
void loop_turn(struct loop *loop, bool wait);

/* The loop the calling thread runs, or NULL. */
struct loop *loop_current(void);
unsigned loop_index(const struct loop *loop);
struct event_base *loop_base(struct loop *loop);
/* Made on first use (reads resolv.conf and hosts); NULL when that fails. Loop thread. */
struct evdns_base *loop_dns(struct loop *loop);
/* The sockets that are read once a tick (tick.h), made on first use; NULL when that fails. Index 0:
 * every CONN_TICK_MS; 1 to LOOP_SLOW_TICKS: every CONN_SLOW_TICK_MS, one after the other. Private
 * to common/net. Loop thread. */
#define LOOP_SLOW_TICKS 4u
struct tick *loop_tick(struct loop *loop, unsigned index);
/* The sockets of connections that are told when they are ready (poller.h). Private to common/net.
 * Loop thread, or before the loop runs. */
struct poller *loop_poller(struct loop *loop);
/* Lends the loop's scratch memory of LOOP_SCRATCH_BYTES, for bytes that are used up before the
 * callback returns. conn_read() reads into it. Loop thread. */
#define LOOP_SCRATCH_BYTES 65536
uint8_t *loop_scratch(struct loop *loop);
/* Lends other memory of LOOP_RECORD_BYTES, in which a TLS record is put together. Private to
 * common/net. Loop thread. */
#define LOOP_RECORD_BYTES 16384
uint8_t *loop_record(struct loop *loop);

/* How long turns took from the first look at the clock on, waiting not counted: as long as what
 * came meanwhile had to wait. Counted up from the start of the loop. */
#define LOOP_N_TURN_BOUNDS 14
extern const double k_loop_turn_bounds[LOOP_N_TURN_BOUNDS]; /* seconds */
struct loop_turns {
    uint64_t counts[LOOP_N_TURN_BOUNDS + 1], sum_us;
};
/* Adds those of the loop to *sum. Any thread. */
void loop_turns_add(const struct loop *loop, struct loop_turns *sum);

/* Monotonic time of this turn (read once a turn, after the poll), and the wall clock. */
int64_t loop_now_us(const struct loop *loop);
int64_t clock_mono_us(void); /* read now; any thread */
int64_t clock_wall_us(void); /* any thread */
/* Random bytes from the kernel; never fails after start. Any thread. */
void random_bytes(void *out, size_t size_bytes);
uint64_t random_u64(void);
double random_unit(void); /* from 0 up to 1, without it */
/* base_ms +- fraction (0..1) of it, uniformly: every retry and period uses it. */
int64_t jitter_ms(int64_t base_ms, double fraction);

/* Message to another loop: embedded in the caller's struct, delivered once, in order a sender.
 * run() is called on the target loop and may free the message. drop() instead when the loop is
 * destroyed first (NULL = nothing to free). Posting never fails and never allocates. Any thread. */
struct loop_msg {
    struct loop_msg *next; /* private */
    void (*run)(struct loop_msg *msg);
    void (*drop)(struct loop_msg *msg);
};
void loop_post(struct loop *loop, struct loop_msg *msg);
/* Wakes the loop (one eventfd write, coalesced), so that its turn hooks run. Any thread. */
void loop_kick(struct loop *loop);

/* Called at the end of each turn of the loop: after all ready events and messages were handled.
 * Embedded in the owner; loop thread, or before the loop runs. */
struct loop_hook {
    struct list node; /* private */
    void (*run)(struct loop_hook *hook);
};
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop_hook *hook);

/* Called by loop_destroy(), for what belongs to nobody but the loop. Embedded in the owner, which
 * removes it when it goes earlier; run() must free what it stands for. Loop thread. */
struct loop_exit {
    struct list node; /* private */
    void (*run)(struct loop_exit *entry);
};
void loop_exit_add(struct loop *loop, struct loop_exit *entry);
void loop_exit_remove(struct loop_exit *entry);

/* One-shot timer; restarting an armed one moves it. Starting and stopping are a few instructions
 * and cannot fail. Never early, at most one slot of the wheel (4 ms) late; without delay it runs in
 * the next turn, which does not wait. Loop thread, or before the loop runs. The callback may
 * destroy its owner, and start or stop any timer. Embedded in the owner; timer_stop() before the
 * owner is freed. */
struct timer {
    struct wheel_entry entry; /* private */
    void (*run)(struct timer *timer);
    struct loop *loop;
};
_Static_assert(sizeof(struct timer) <= 48, "struct timer is in every session");
void timer_init(struct timer *timer, struct loop *loop, void (*run)(struct timer *timer));
/* delay_ms counts from loop_now_us(). */
void timer_start_ms(struct timer *timer, int64_t delay_ms);
/* At a moment of loop_now_us()'s clock, for periods that must not drift. In the past = no delay. */
void timer_start_at_us(struct timer *timer, int64_t due_us);
bool timer_is_armed(const struct timer *timer);
/* May be started again after. Fine on a zeroed timer. */
void timer_stop(struct timer *timer);

#endif
