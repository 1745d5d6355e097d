/* The check that asks the gate hooks. */
#ifndef HW_NODE_ACCESS_CHECK_HOOKS_H
#define HW_NODE_ACCESS_CHECK_HOOKS_H

#include "node/access/checks.h"

/* The last in the table but for what counts: receivers see who is let in by all others. */
enum access_verdict access_check_hooks(struct access_question *q);
/* Whom a gate lets in is not known before each is asked. */
bool access_hooks_are_personal(const struct node *node, enum access_action action,
                               const struct stream_name *name);

#endif
