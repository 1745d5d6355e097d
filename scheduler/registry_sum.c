/* Whether a node owns what is known here: its reports carry a sum of the streams that it owns and
 * their epochs. Events between schedulers may be lost, with Redis or before it, and so may answers
 * to nodes; deltas do not repeat. So where the sums differ for longer than a change takes to
 * arrive, everything is said again. */
#include <string.h>

#include "scheduler/registry_private.h"

#define DIFFERS_HERE 3   /* reports: a grant is on its way to the node for one or two */
#define DIFFERS_ASK 2    /* of the same sum: the scheduler that it reports to is to repeat it */
#define DIFFERS_FORGET 5 /* it has: what was not repeated is gone */

void registry_count_owned(struct registry_stream *s)
{
    if (s->owner)
        s->owner->owned_sum = cluster_sum_toggle(s->owner->owned_sum, &s->name, s->epoch);
}

void registry_compare_here(struct registry_node *node, const struct cluster_heartbeat *m)
{
    bool differs = m->owned_sum && m->owned_sum != node->owned_sum && !node->is_partial;

    node->n_differs = differs ? node->n_differs + 1 : 0;
    if (node->n_differs < DIFFERS_HERE)
        return;
    node->want_full = true;
    node->n_differs = 0;
}

bool registry_confirm(struct registry_stream *s, const char *id, uint64_t instance, uint64_t epoch,
                      int64_t now_us)
{
    if (!s->owner || s->epoch != epoch || s->owner->instance != instance ||
        strcmp(s->owner->id, id) != 0)
        return false;
    s->said_us = now_us;
    return true;
}

void registry_believe(struct registry_stream *s, const struct registry_node *node)
{
    if (!s->owner && node->n_differs >= DIFFERS_ASK)
        s->epoch = 0;
}

void registry_disown(struct registry *r, struct registry_stream *s)
{
    struct stream_name name = s->name;

    r->is_disowning = true;
    registry_end_stream(r, s);
    r->is_disowning = false;
    s = registry_stream(r, name.text);
    if (s && !s->owner)
        s->epoch = 0;
}

static void forget_unsaid(struct registry *r, struct registry_node *node)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->owned) {
        struct registry_stream *s = list_entry(at, struct registry_stream, of_owner);

        if (s->said_us < node->asked_sum_us)
            registry_disown(r, s);
    }
}

void registry_compare_elsewhere(struct registry *r, struct registry_node *node,
                                const struct cluster_heartbeat *m, int64_t now_us)
{
    bool is_same_word = m->owned_sum == node->said_sum;

    node->said_sum = m->owned_sum;
    if (!m->owned_sum || m->owned_sum == node->owned_sum) {
        node->n_differs = 0;
        return;
    }
    node->n_differs = is_same_word || node->n_differs >= DIFFERS_ASK ? node->n_differs + 1 : 1;
    if (node->n_differs == DIFFERS_FORGET) {
        forget_unsaid(r, node);
        node->n_differs = m->owned_sum != node->owned_sum ? DIFFERS_ASK : 0;
    }
    if (node->n_differs == DIFFERS_ASK) { /* also again: what stood in the way is gone now */
        node->asked_sum_us = now_us;
        if (r->watch.on_differs)
            r->watch.on_differs(r->watch.arg, node);
    }
}
