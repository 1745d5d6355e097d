/* Registered for the targets that there are. */
#include "node/hooks/metrics.h"

#include <stdbool.h>
#include <stdio.h>

#include "node/hooks/item.h"

#define ANSWER(name, verdict)                                                            \
    struct metric name =                                                                 \
        METRIC(METRIC_COUNTER, "headwater_gate_answers_total", "answer=\"" verdict "\"", \
               "What gates said to whoever waited for it")
ANSWER(m_gate_allow, "allow");
ANSWER(m_gate_deny, "deny");
ANSWER(m_gate_redirect, "redirect");
ANSWER(m_gate_rename, "rename");
ANSWER(m_gate_source, "source");
struct metric m_gate_policy = METRIC(METRIC_COUNTER, "headwater_gate_policy_total", "",
                                     "Questions that fail=open or closed decided");
struct metric m_gate_cached = METRIC(METRIC_COUNTER, "headwater_gate_cached_total", "",
                                     "Questions whose answer was known from before");
struct metric m_gate_shared = METRIC(METRIC_COUNTER, "headwater_gate_shared_total", "",
                                     "Questions that were asked already at that moment");

static const double k_bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                  0.2,   0.5,   1,     2,    5,    10,   30};

static void register_answers(void)
{
    static struct metric *const k_all[] = {&m_gate_allow,  &m_gate_deny,   &m_gate_redirect,
                                           &m_gate_rename, &m_gate_source, &m_gate_policy,
                                           &m_gate_cached, &m_gate_shared};

    for (size_t i = 0; i < sizeof k_all / sizeof k_all[0]; i++)
        metrics_register(k_all[i], 1);
}

static void register_target(struct hook_metrics *m)
{
    m->sent = (struct metric)METRIC(METRIC_COUNTER, "headwater_hook_sent_total", m->labels,
                                    "Events, or questions, that a hook's receiver answered");
    m->failed = (struct metric)METRIC(METRIC_COUNTER, "headwater_hook_failed_total", m->labels,
                                      "Those that were given up, or refused by the receiver");
    m->dropped = (struct metric)METRIC(METRIC_COUNTER, "headwater_hook_dropped_total", m->labels,
                                       "Those that found the queue full");
    m->waiting = (struct metric)METRIC(METRIC_GAUGE, "headwater_hook_waiting", m->labels,
                                       "Those that wait, or are under way");
    m->seconds = (struct metric_histogram){.name = "headwater_hook_request_seconds",
                                           .labels = m->labels,
                                           .help = "How long requests to receivers took",
                                           .bounds = k_bounds,
                                           .n_bounds = sizeof k_bounds / sizeof k_bounds[0]};
    metrics_register(&m->sent, 1);
    metrics_register(&m->failed, 1);
    metrics_register(&m->dropped, 1);
    metrics_register(&m->waiting, 1);
    metrics_register_histogram(&m->seconds);
}

struct hook_metrics *hook_metrics_of(unsigned index)
{
    static struct hook_metrics all[HOOKS_MAX_TARGETS];
    static bool has_answers;
    struct hook_metrics *m = &all[index];

    if (!has_answers)
        register_answers();
    has_answers = true;
    if (!m->labels[0]) {
        snprintf(m->labels, sizeof m->labels, "target=\"%u\"", index);
        register_target(m);
    }
    return m;
}
