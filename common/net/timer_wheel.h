/* Hierarchical timing wheel: thousands of deadlines, each started, moved and stopped in a few
 * instructions, without memory of its own. Sans I/O: the time comes in as an argument. One thread
 * at a time. Private to common/net; everybody else uses struct timer of loop.h.
 *
 * Time is counted in slots of 4 ms. A deadline is rounded up to a slot, so it is never early and
 * less than one slot late. Level 0 has one list for each of the next 64 slots, level 1 one for each
 * run of 64 slots, and so on. A deadline lies on the level of the highest digit (base 64) in which
 * it differs from now; when now reaches its list, the list is spread over the levels below. Hence
 * the first occupied list of the lowest occupied level is always the next one to look at. */
#ifndef HW_COMMON_NET_TIMER_WHEEL_H
#define HW_COMMON_NET_TIMER_WHEEL_H

#include <stdint.h>

#include "common/base/list.h"

#define TIMER_WHEEL_SLOT_US 4000
#define TIMER_WHEEL_DIGIT_BITS 6
#define TIMER_WHEEL_LISTS (1u << TIMER_WHEEL_DIGIT_BITS)
#define TIMER_WHEEL_LEVELS 7 /* 2^42 slots: 557 years from the clock's zero */

/* Embedded in what has the deadline; zeroed = not armed. */
struct wheel_entry {
    struct list node;
    uint64_t due_slot;
};

struct timer_wheel {
    uint64_t now_slot;
    uint64_t occupied[TIMER_WHEEL_LEVELS]; /* a bit for each list that is not empty */
    struct list lists[TIMER_WHEEL_LEVELS][TIMER_WHEEL_LISTS];
    struct list soon;  /* started when already due: for the next turn */
    struct list ready; /* due in this turn */
};

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_us);
/* Stops all that is armed; stopping one of them later is still fine. */
void timer_wheel_fini(struct timer_wheel *wheel);

/* Borrows entry until it is stopped or popped; an armed one is moved. */
void timer_wheel_start(struct timer_wheel *wheel, struct wheel_entry *entry, int64_t due_us);
/* Fine on one that is not armed. */
void timer_wheel_stop(struct timer_wheel *wheel, struct wheel_entry *entry);
bool timer_wheel_is_armed(const struct wheel_entry *entry);

/* Begins a turn: what was due when it was started becomes ready. Not in advance(), so that an entry
 * that starts itself again without delay waits for the next turn. */
void timer_wheel_begin_turn(struct timer_wheel *wheel);
/* When advance() has something to do next: 0 when entries are ready or soon will be, INT64_MAX when
 * none is armed. May be before the first deadline, when only a list has to be spread. */
int64_t timer_wheel_next_us(const struct timer_wheel *wheel);
/* Makes ready what is due at now_us; time that goes backwards is ignored. */
void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_us);
/* Lends the next ready entry, not armed any more, or NULL. What it stands for may be freed, and
 * entries may be started and stopped between two calls. */
struct wheel_entry *timer_wheel_pop(struct timer_wheel *wheel);

#endif
