/* The inside of the room. */
#ifndef HW_NODE_HOOKS_HOOKS_PRIVATE_H
#define HW_NODE_HOOKS_HOOKS_PRIVATE_H

#include "node/hooks/gate_asking.h"
#include "node/hooks/hooks.h"
#include "node/hooks/target.h"
#include "node/hooks/update.h"

struct hooks {
    struct node *node;
    struct hook_target targets[HOOKS_MAX_TARGETS];
    unsigned n_targets;
    bool has_lal; /* some are told in lal's words: node.compat is there */
    struct events_listener listener;
    uint32_t gate_events; /* bits of the events that some gate is asked of; fixed */
    struct gate gate;
    struct update update;
};

#endif
