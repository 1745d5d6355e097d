/* The core of the simulation: simulated time, one stream of random numbers, machines, processes,
 * and the trail of what happened. Everything is decided by the seed: the same seed gives the same
 * run, event by event. One simulation a process of the real machine, one thread.
 *
 * The daemons are the real ones. What they are built on is replaced below the headers of
 * common/net: sim_loop.c (loop.h), sim_conn.c (conn.h, listener.h), sim_http_link.c (http_link.h),
 * and sim_hiredis.c (hiredis/async.h). */
#ifndef HW_TESTS_SIM_SIM_H
#define HW_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/list.h"

#define SIM_MAX_HOSTS 64

struct sim_host { /* a machine: an address, a clock of its own */
    char name[24];
    char address[24]; /* "10.0.0.7" */
    unsigned index;
    int64_t skew_us; /* its wall clock, ahead of the true one */
};

/* Something to do. drop instead of run when its process is gone; NULL = nothing to free. */
struct sim_task {
    void (*run)(void *arg);
    void (*drop)(void *arg);
    void *arg;
};

struct sim_process {
    struct sim_host *host;
    char name[24];
    bool frozen, dead;
    struct sim_task *held; /* owned: what came while it was frozen */
    size_t n_held, held_room;
    struct list ends; /* sim_net.c */
};

/* Once. Nothing is freed at the end: who dies in a simulation frees nothing either. */
void sim_begin(uint64_t seed);

int64_t sim_now_us(void);
/* Runs what is due until then, or until something failed. */
void sim_run_until(int64_t until_us);
/* process NULL: the world itself, which never freezes or dies. */
void sim_at(int64_t at_us, struct sim_process *process, struct sim_task task);
/* Now; held while the process is frozen. */
void sim_run_on(struct sim_process *process, struct sim_task task);

uint64_t sim_random(void);
uint32_t sim_below(uint32_t n);
bool sim_chance(unsigned permille);
int64_t sim_between(int64_t low, int64_t high); /* both included */

struct sim_host *sim_host_add(const char *name);
unsigned sim_n_hosts(void);
struct sim_host *sim_host(unsigned index);
struct sim_host *sim_host_by_address(const char *address, size_t size_bytes); /* or NULL */

struct sim_process *sim_process_start(struct sim_host *host, const char *name);
/* kill -9: nothing of it runs any more, the kernel closes its connections. */
void sim_process_kill(struct sim_process *process);
void sim_process_freeze(struct sim_process *process);
void sim_process_thaw(struct sim_process *process);
/* Whose code runs now; NULL = the world's. */
struct sim_process *sim_current(void);
/* For calls from the world into a process: its clock and its name in the trail. */
struct sim_process *sim_enter(struct sim_process *process);
void sim_leave(struct sim_process *before);

void sim_trail_begin(uint64_t seed); /* sim_begin() does */
/* A line of the trail. Lines that name a stream say stream=app/name, as log lines do. */
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An invariant is broken: ends the run. The first one counts. stream may be "". */
void sim_fail(const char *invariant, const char *stream, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool sim_has_failed(void);
/* Seed, time, what broke, and the trail of the stream concerned. */
void sim_report(FILE *out);
/* Every line of the trail as it is written, and details that are not kept; for --trail. */
void sim_echo_trail(FILE *out);
void sim_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
