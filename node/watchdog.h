/* Tells a service manager that this node lives, for as long as every loop turns. Control loop. */
#ifndef HW_NODE_WATCHDOG_H
#define HW_NODE_WATCHDOG_H

#include "common/net/loop.h"

struct node;

struct watchdog { /* in struct node; private */
    struct timer timer;
    int64_t every_ms;
};

/* Does nothing where no service manager waits for it. After node_init(). */
void watchdog_start(struct node *node);
/* Fine without a start. */
void watchdog_stop(struct node *node);

#endif
