/* Asks a node whether it lives: GET /healthz at its internal HTTP. Any answer is a living process;
 * a refused connection and silence are not. One question a node at a time, however many want to
 * know; the registry learns the answer first. Loop thread. */
#ifndef HW_SCHEDULER_PROBE_H
#define HW_SCHEDULER_PROBE_H

#include "scheduler/registry.h"

struct scheduler;

struct probes {
    struct scheduler *scheduler;
    struct map by_node; /* struct probe, owned; by "id/instance" */
};

struct probe_wait {   /* embedded in who waits for the answer */
    struct list node; /* private; list_init() before the first use */
    void (*done)(struct probe_wait *wait);
};

void probes_init(struct probes *probes, struct scheduler *scheduler);
/* Nobody is called back any more. */
void probes_fini(struct probes *probes);
/* wait may be NULL. Its done() is called once, never from within this call, unless it was taken out
 * of its list before. False, and it is not called: out of memory. */
bool probes_ask(struct probes *probes, const struct registry_node *node, struct probe_wait *wait);

#endif
