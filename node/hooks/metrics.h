/* What is counted of targets, by their place in hooks.targets. Private to node/hooks. */
#ifndef HW_NODE_HOOKS_METRICS_H
#define HW_NODE_HOOKS_METRICS_H

#include "common/base/metrics.h"

struct hook_metrics { /* of events, or questions */
    struct metric sent, failed, dropped, waiting;
    struct metric_histogram seconds; /* of requests */
    char labels[24];
};

extern struct metric m_gate_allow, m_gate_deny, m_gate_redirect, m_gate_rename, m_gate_source;
extern struct metric m_gate_policy, m_gate_cached, m_gate_shared;

/* Static storage; the first call for an index registers it. Before threads start. */
struct hook_metrics *hook_metrics_of(unsigned index);

#endif
