/* The daemons: real nodes and real schedulers, each a process of the simulation. */
#ifndef HW_TESTS_SIM_SIM_DAEMON_H
#define HW_TESTS_SIM_SIM_DAEMON_H

#include "common/media/name.h"
#include "proto/cluster/cluster.h"
#include "tests/sim/sim.h"

#define SIM_SCHEDULER_PORT 8090
#define SIM_RTMP_PORT 1935
#define SIM_HTTP_PORT 8080
#define SIM_TOKEN "simulated"
#define SIM_MAX_SETS 24

struct scheduler;
struct node;

struct sim_daemon {
    struct sim_host *host;
    struct sim_process *process; /* NULL: not running */
    bool is_draining;            /* SIGTERM was sent */
    bool is_ordered;             /* the operator wants it empty */
    int64_t started_us;
    unsigned n_starts;
    char sets[SIM_MAX_SETS][256]; /* configuration, as --set takes it */
    unsigned n_sets;
    struct scheduler *scheduler; /* one of the two; NULL: not running */
    struct node *node;
};

/* Once, before the first daemon: the node token, in memory. */
void sim_daemon_begin(void);
void sim_daemon_set(struct sim_daemon *daemon, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The sets that every daemon of the kind has. */
void sim_daemon_init_scheduler(struct sim_daemon *daemon, struct sim_host *host);
void sim_daemon_init_node(struct sim_daemon *daemon, struct sim_host *host, enum cluster_role role);

void sim_scheduler_start(struct sim_daemon *daemon);
void sim_node_start(struct sim_daemon *daemon);
void sim_daemon_kill(struct sim_daemon *daemon);
void sim_daemon_freeze(struct sim_daemon *daemon);
void sim_daemon_thaw(struct sim_daemon *daemon);
/* SIGTERM to a node: the process ends by itself. */
void sim_node_drain(struct sim_daemon *daemon);
static inline bool sim_daemon_runs(const struct sim_daemon *daemon)
{
    return daemon->process && !daemon->process->frozen;
}

/* What a node has, truly. */
struct sim_stream {
    struct stream_name name;
    bool is_published; /* an encoder, or an edge for one, feeds it here: the node believes it owns
                          it */
    bool is_forwarded; /* the encoder is here, the stream is owned elsewhere */
    bool is_pulled;
    uint64_t epoch, run;
    uint32_t n_viewers, n_children, n_standbys, depth;
    char upstream[CLUSTER_ID_SIZE];
    int64_t since_frame_us;
};
/* At most max; of a node that does not run, none. */
unsigned sim_node_streams(const struct sim_daemon *daemon, struct sim_stream *out, unsigned max);
bool sim_node_is_connected(const struct sim_daemon *daemon); /* its last heartbeat was answered */
uint64_t sim_node_instance(const struct sim_daemon *daemon);
bool sim_node_leaves(const struct sim_daemon *daemon);

#endif
