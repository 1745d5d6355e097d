/* One simulated cluster with its people, and the run: a calm start, faults, the heal, and what must
 * be true then. Everything in it follows from the seed. */
#ifndef HW_TESTS_SIM_SIM_WORLD_H
#define HW_TESTS_SIM_SIM_WORLD_H

#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_people.h"

#define SIM_MAX_SCHEDULERS 3
#define SIM_MAX_NODES 8
#define SIM_MAX_STREAMS 6
#define SIM_MAX_ENCODERS (2 * SIM_MAX_STREAMS)
#define SIM_MAX_VIEWERS (SIM_MAX_STREAMS * SIM_MAX_NODES)

enum sim_scope {              /* what may fail */
                 SIM_CONTROL, /* schedulers, Redis, and the way to them: people must notice nothing
                               */
                 SIM_ALL
};

struct sim_plan {
    enum sim_scope scope;
    bool has_redis;
    unsigned n_schedulers, n_origins, n_edges, n_streams;
    unsigned max_children;
    bool has_rivals; /* second encoders of streams */
    int64_t fault_every_us;
};

struct sim_world {
    struct sim_plan plan;
    struct sim_daemon schedulers[SIM_MAX_SCHEDULERS], nodes[SIM_MAX_NODES];
    unsigned n_schedulers, n_nodes;
    char streams[SIM_MAX_STREAMS][40]; /* "refuse/s1": the app is the duplicate policy */
    struct sim_encoder encoders[SIM_MAX_ENCODERS]; /* of stream i: i, and its rival */
    unsigned n_encoders;
    struct sim_viewer viewers[SIM_MAX_VIEWERS];
    unsigned n_viewers;
    bool is_healed;
};
extern struct sim_world sim_world;

struct sim_result {
    int64_t settled_ms;     /* from the heal until everything was as it should be */
    int64_t registry_ms;    /* from the heal until every scheduler knew the truth */
    int64_t longest_gap_ms; /* of a viewer, while control-plane faults went on */
    uint32_t n_faults;
};

/* The whole run of a seed; true when nothing broke. */
bool sim_world_run(uint64_t seed, struct sim_result *result);

struct sim_daemon *sim_world_node(const char *id); /* NULL: no such */
/* Some encoder of the stream is switched on. */
bool sim_world_is_wanted(const char *stream);

/* --- sim_faults.c --- */
/* The next fault; undone by itself, at the latest by sim_faults_heal(). */
void sim_faults_strike(void);
void sim_faults_heal(void);
uint32_t sim_faults_count(void);

/* --- sim_operator.c --- */
void sim_operator_begin(void);
/* Orders a drain by the API of some scheduler, or takes it back. */
void sim_operator_drain(struct sim_daemon *node, bool wanted);

/* --- sim_check.c --- */
void sim_check_begin(void);
/* What holds at every moment. */
void sim_check_always(void);
/* NULL when every scheduler's registry says what the nodes have; else what is wrong, lent. */
const char *sim_check_registries(const char **stream);
/* NULL when every stream that has an encoder has one owner, and reaches its viewers. */
const char *sim_check_people(const char **stream);

#endif
