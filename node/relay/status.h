/* How a relay is, for the API: written on the loop where it runs, read on the control loop. Touched
 * when something changes, never for each frame, so a lock is cheap. */
#ifndef HW_NODE_RELAY_STATUS_H
#define HW_NODE_RELAY_STATUS_H

#include <pthread.h>
#include <stdint.h>

#include "node/relay/item.h"

#define RELAY_STATE_MAP(X)                                                     \
    X(IDLE, "idle")             /* nobody wants it, or it is published here */ \
    X(CONNECTING, "connecting") /* one place is being tried */                 \
    X(RUNNING, "running")                                                      \
    X(WAITING, "waiting") /* for the next try */                               \
    X(FAILED, "failed")   /* given up */

enum relay_state {
#define X(id, name) RELAY_##id,
    RELAY_STATE_MAP(X)
#undef X
        RELAY_N_STATES
};
extern const char *const k_relay_states[RELAY_N_STATES];

struct relay_facts {
    enum relay_state state;
    int64_t since_us;           /* Unix time, of the state */
    uint64_t n_tries;           /* since it was told */
    char url[RELAY_SHOWN_SIZE]; /* as it is shown; of the place in use, or tried last */
    char session[16];           /* of the session that runs, or "" */
    char last_error[256];       /* "" = none yet */
    int64_t last_error_us;      /* Unix time */
};

struct relay_status {
    pthread_mutex_t lock;
    struct relay_facts facts;
};

void relay_status_init(struct relay_status *s);
void relay_status_fini(struct relay_status *s);
/* Any thread. url and session: NULL = as they were; they are borrowed. */
void relay_status_set(struct relay_status *s, enum relay_state state, const char *url,
                      const char *session);
/* A try at that place begins. */
void relay_status_try(struct relay_status *s, const char *url);
void relay_status_error(struct relay_status *s, const char *text);
void relay_status_read(struct relay_status *s, struct relay_facts *out);

#endif
