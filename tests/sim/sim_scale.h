/* A cluster that no test machine holds, on paper: the real registry and placement filled with it.
 */
#ifndef HW_TESTS_SIM_SIM_SCALE_H
#define HW_TESTS_SIM_SIM_SCALE_H

#include <stdint.h>

#define SIM_MAX_FLEET_SCHEDULERS 8

struct sim_size {
    uint64_t n_nodes, n_streams, n_viewers;
    uint64_t n_schedulers;
    uint64_t view_s, publish_s; /* how long people watch, and encoders send, on average */
};

/* "scale [--nodes N] ...": prints Markdown. Returns an exit code. */
int sim_scale_main(int argc, char **argv);

/* One node in ten is an origin, as a rule. */
static inline uint64_t sim_size_origins(const struct sim_size *size)
{
    return size->n_nodes >= 10 ? size->n_nodes / 10 : 1;
}

/* sim_fleet.c: real schedulers over simulated Redis, and n_nodes that only report. */
struct sim_fleet_figures {
    uint64_t n_seconds, n_commands, n_by_kind[16]; /* of the steady state */
    uint64_t n_heartbeats;
    double fill_s; /* from the start until the schedulers knew every stream */
};
void sim_fleet_run(const struct sim_size *size, struct sim_fleet_figures *out);

#endif
