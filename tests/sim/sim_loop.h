/* What the simulation knows of loops beyond loop.h. */
#ifndef HW_TESTS_SIM_SIM_LOOP_H
#define HW_TESTS_SIM_SIM_LOOP_H

#include "common/net/loop.h"

struct sim_process;

struct sim_process *sim_loop_process(const struct loop *loop);
/* Called by loop_stop(). */
void sim_loop_on_stop(struct loop *loop, void (*on_stop)(void *arg), void *arg);

/* sim_daemon.c: loop_run() is called by a daemon that has started. Never returns. */
void sim_loop_run(void);

#endif
