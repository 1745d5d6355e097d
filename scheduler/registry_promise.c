/* Promises: where nodes were just sent for a stream. Reports come once an interval, and edges ask
 * for a stream that begins all at once: those who were told already are taken for carriers, so that
 * the next ones are chained under them and no node gets more than max_children. */
#include "scheduler/registry_private.h"

#define SWEEP_AT_A_TIME 2 /* each new one lets so many old ones go: they never add up */

bool registry_is_promised(const struct registry_carrier *c)
{
    return !list_is_empty(&c->promise.of_all);
}

void registry_keep_promise(struct registry_carrier *c)
{
    list_remove(&c->promise.of_all);
}

void registry_sweep_promises(struct registry *r, int64_t now_us, unsigned max_promises)
{
    while (!list_is_empty(&r->promises) && max_promises-- > 0) {
        struct registry_carrier *c =
            list_entry(r->promises.next, struct registry_carrier, promise.of_all);

        if (now_us - c->promise.at_us <= 2 * r->conf.interval_us)
            return;
        list_remove(&c->promise.of_all);
        if (!c->is_reported || c->report != c->node->report)
            registry_drop_carrier(r, c); /* nothing came of it */
    }
}

void registry_promise(struct registry *r, struct registry_stream *s, struct registry_node *node,
                      const struct registry_node *upstream, uint32_t depth, int64_t now_us)
{
    struct registry_carrier *c = registry_need_carrier(s, node);

    if (!c)
        return;
    c->promise.at_us = now_us;
    c->promise.upstream_hash = placement_hash(upstream->id);
    c->promise.depth = depth;
    list_remove(&c->promise.of_all);
    list_push_back(&r->promises, &c->promise.of_all);
    registry_sweep_promises(r, now_us, SWEEP_AT_A_TIME);
}
