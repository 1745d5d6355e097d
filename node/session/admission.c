/* See admission.h. */
#include "node/session/admission.h"

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/node.h"

#define BURST_US 10000000 /* refusals closer together are one burst */

/* Why nobody is let in, whoever it is; NULL = somebody may be. */
static const char *why_closed(struct node *node)
{
    uint64_t capacity_bps = node->conf.cluster_capacity_egress_bps;

    if (atomic_load(&node->draining))
        return "this node is shutting down";
    if (capacity_bps &&
        atomic_load_explicit(&node->admission.egress_bps, memory_order_relaxed) >= capacity_bps)
        return "this node sends as much as it can (cluster.capacity.egress_bps)";
    return NULL;
}

static const char *refuse(struct node *node, const char *why)
{
    int64_t now_us = clock_mono_us();
    int64_t last_us = atomic_exchange(&node->admission.last_refused_us, now_us);

    metric_add(atomic_load(&node->draining) ? &m_play_refused_draining : &m_play_refused_limit, 1);
    if (last_us == 0 || now_us - last_us > BURST_US)
        log_warn("node", "msg=\"viewers are turned away\" reason=\"%s\" viewers=%llu", why,
                 (unsigned long long)atomic_load(&node->admission.n_viewers));
    return why;
}

const char *admission_take(struct node *node)
{
    uint64_t max_viewers = node->conf.limits_viewers;
    const char *why = why_closed(node);

    if (why)
        return refuse(node, why);
    if (atomic_fetch_add(&node->admission.n_viewers, 1) < max_viewers || !max_viewers)
        return NULL;
    admission_give(node);
    return refuse(node, "this node has as many viewers as it may have (limits.viewers)");
}

void admission_give(struct node *node)
{
    atomic_fetch_sub(&node->admission.n_viewers, 1);
}
