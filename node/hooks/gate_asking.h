/* Questions on their way through the gates. Private to node/hooks; control loop. */
#ifndef HW_NODE_HOOKS_GATE_ASKING_H
#define HW_NODE_HOOKS_GATE_ASKING_H

#include "common/base/map.h"
#include "common/net/loop.h"
#include "node/control/events.h"
#include "node/hooks/gate_cache.h"

struct hooks;
struct node_loop;

#define GATE_MAX_ASKING 4096u   /* questions at a time; who asks the same is not counted */
#define GATE_MAX_WAITING 65536u /* clients at a time, with those who have left: some 250 MB */

struct gate { /* in struct hooks */
    struct hooks *hooks;
    struct map asking; /* key -> struct asking */
    struct gate_cache cache;
    uint64_t seq, n_alone;
    size_t n_waiting; /* struct gate_call */
};

/* Somebody on a media loop who waits for an answer. It travels to the control loop and back. */
struct gate_call {
    struct loop_msg msg;
    struct list node; /* asking->waiters */
    struct node_loop *nl;
    void (*done)(void *arg, const struct gate_answer *answer);
    void (*drop)(void *arg);
    void *arg;
    struct gate_question question;
    struct gate_answer answer;
    char texts[]; /* of the question */
};

/* The event by whose name a gate is asked. */
enum event_id gate_event(enum gate_action action);
void gate_init(struct gate *gate, struct hooks *hooks);
void gate_fini(struct gate *gate);
/* Takes call; gate_call_answered() follows, not from within this call unless it is known. */
void gate_call_begin(struct gate *gate, struct gate_call *call);
/* Takes call, when the loops have ended. */
void gate_call_drop(struct gate_call *call);
/* Sends it back with call->answer. */
void gate_call_answered(struct gate_call *call);

#endif
