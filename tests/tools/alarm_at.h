/* A precise one-shot timer. The loop's own timers go by a clock with steps of 4 ms, which is fine
 * for time-outs, and too coarse for sending frames when they are due. */
#ifndef HW_TESTS_TOOLS_ALARM_AT_H
#define HW_TESTS_TOOLS_ALARM_AT_H

#include "common/net/loop.h"

struct alarm_at { /* embedded in the owner */
    int fd;
    struct event *ev; /* private */
    void (*run)(struct alarm_at *alarm);
};

/* E_IO or E_NOMEM; pair with alarm_at_fini(). */
enum err alarm_at_init(struct alarm_at *alarm, struct loop *loop,
                       void (*run)(struct alarm_at *alarm));
/* Calls run() at this time of clock_mono_us(), or at once when it is past; moves a set one. */
void alarm_at_set(struct alarm_at *alarm, int64_t at_us);
void alarm_at_fini(struct alarm_at *alarm);

#endif
