/* The simulated network: connections between processes that behave as TCP does. Messages of one
 * direction arrive in order or not at all; loss is delay (retransmission); across a cut nothing
 * arrives until it heals, and then what was sent does, unless the connection is gone by then, also
 * for one end only. A killed process closes its connections, an unplugged host does not. */
#ifndef HW_TESTS_SIM_SIM_NET_H
#define HW_TESTS_SIM_SIM_NET_H

#include "common/base/buf.h"
#include "tests/sim/sim.h"

/* One end of a connection; opaque. */
struct sim_end;

/* Called on the process that the end belongs to. */
struct sim_end_ops {
    /* sim_connect(): E_OK, or E_IO = refused, and the end is gone. */
    void (*on_open)(void *arg, enum err e);
    /* Lent during the call. */
    void (*on_bytes)(void *arg, struct buf_view bytes);
    /* After sim_want_room(): all that was sent has arrived. NULL: never asked for. */
    void (*on_room)(void *arg);
    /* The other side closed, or is gone; the end is gone. */
    void (*on_closed)(void *arg);
};

typedef void sim_accept(void *arg, struct sim_end *end);

/* Connections to the port of the process's host are given to accept(), which calls sim_end_own().
 * When several listen, one of them by chance. */
struct sim_listening;
struct sim_listening *sim_listen(struct sim_process *process, unsigned port, sim_accept *accept,
                                 void *arg);
/* Takes *listening. */
void sim_unlisten(struct sim_listening **listening);

/* Returns the end at once; on_open() follows, unless nobody answers: the caller has a time-out. */
struct sim_end *sim_connect(struct sim_process *process, const struct sim_host *host, unsigned port,
                            const struct sim_end_ops *ops, void *arg);
void sim_end_own(struct sim_end *end, const struct sim_end_ops *ops, void *arg);
/* Copies. Fine before on_open(). */
void sim_send(struct sim_end *end, struct buf_view bytes);
size_t sim_unsent_bytes(const struct sim_end *end);
/* For how long the oldest message sent from here has not arrived. */
int64_t sim_unsent_us(const struct sim_end *end);
void sim_want_room(struct sim_end *end);
/* SO_LINGER of 0 s, which holds for a killed process too: what has not arrived never does. */
void sim_reset_at_close(struct sim_end *end);
/* What was sent still arrives. Takes *end; a NULL *end is fine. */
void sim_close(struct sim_end **end);
const struct sim_host *sim_peer(const struct sim_end *end);

/* --- faults --- */

/* Nothing goes from one host to the other; counted, so that cuts may overlap. */
void sim_net_cut(const struct sim_host *from, const struct sim_host *to);
void sim_net_mend(const struct sim_host *from, const struct sim_host *to);
bool sim_net_is_cut(const struct sim_host *from, const struct sim_host *to);
/* When a message last could not go that way, or was lost; INT64_MIN = never. */
int64_t sim_net_troubled_us(const struct sim_host *from, const struct sim_host *to);

struct sim_weather {               /* of the whole network */
    unsigned loss_permille;        /* each loss costs a retransmission: 200 ms, then twice that */
    int64_t latency_us, jitter_us; /* one way; jitter is added, most often little of it */
    int64_t since_us;              /* when it became so */
};
extern struct sim_weather sim_weather;

/* sim.c calls these. */
void sim_net_begin(void);
void sim_net_process_died(struct sim_process *process);

#endif
