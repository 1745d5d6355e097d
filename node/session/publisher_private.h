/* A publisher between publisher.c (life, media) and publisher_decide.c. */
#ifndef HW_NODE_SESSION_PUBLISHER_PRIVATE_H
#define HW_NODE_SESSION_PUBLISHER_PRIVATE_H

#include "node/session/publisher.h"

static inline struct node *publisher_node(const struct publisher *p)
{
    return (*p->nl)->node;
}

/* Around what comes from outside: p may be gone in between, its session is not. */
struct publisher_guard {
    const struct publisher_ops *ops;
    void *session;
};
static inline struct publisher_guard publisher_enter(const struct publisher *p)
{
    struct publisher_guard guard = {p->ops, p->session};

    guard.ops->enter(guard.session);
    return guard;
}
static inline void publisher_leave(struct publisher_guard guard)
{
    guard.ops->leave(guard.session);
}

/* publisher.c: refused, or ended. Last statement of its callers: p may be gone. text NULL or "": as
 * the fault is usually said. */
void publisher_over(struct publisher *p, enum publisher_fault fault, const char *text);
/* publisher.c: it is live. */
void publisher_tell_live(struct publisher *p);
/* publisher.c: when a standby that says nothing more has been silent for too long. */
int64_t publisher_silent_at_us(const struct publisher *p);

/* publisher_decide.c: no reading while it is pending, until leave(). */
void publisher_pause(struct publisher *p);
/* publisher_decide.c: wherever its home is, and there. p may be gone after. */
void publisher_look(struct publisher *p);
void publisher_decide(struct publisher *p);
/* The decision on p has fallen, or p leaves: the next one of its stream has its turn. */
void publisher_settle(struct publisher *p);
/* struct standby's. */
void publisher_on_turn(struct standby *standby, uint64_t epoch);

#endif
