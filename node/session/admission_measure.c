/* What sessions get and send, once a second, for the limits that need it: each loop adds up what is
 * new of its own sessions. Nothing is counted a frame. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"
#include "node/node.h"
#include "node/session/admission_private.h"
#include "node/session/session.h"

#define MEASURE_MS 1000

static uint64_t rate_bps(uint64_t bytes, int64_t elapsed_us)
{
    return (uint64_t)((double)bytes * 8e6 / (double)elapsed_us);
}

static void add_sent(const struct pass *pass, uint64_t bytes)
{
    atomic_fetch_add_explicit(&pass->ip->sent_bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&pass->stream->sent_bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&pass->stream->app->sent_bytes, bytes, memory_order_relaxed);
}

static uint64_t ingress_limit(const struct node *node, const struct session_info *info,
                              const struct session_counts *counts)
{
    struct stream_name name;
    size_t size = strlen(info->stream);
    const char *slash = strrchr(info->stream, '/');

    if (counts->max_in_bps)
        return counts->max_in_bps;
    if (!slash || size >= sizeof name.text)
        return 0;
    memcpy(name.text, info->stream, size + 1);
    name.app_bytes = (uint16_t)(slash - info->stream);
    return admission_ingress_limit(node, &name);
}

static void look_at(const struct node *node, struct session_info *info, int64_t elapsed_us)
{
    struct pass *pass = &info->pass;
    struct session_counts counts = {0};
    uint64_t total, limit;
    uint32_t fresh; /* less than 4 GiB in a measure */

    if (!pass->ip || !info->count)
        return;
    info->count(info, &counts);
    total = pass->kind == ADMISSION_PUBLISHER ? counts.bytes_in : counts.bytes_out;
    fresh = (uint32_t)total - pass->seen_bytes;
    pass->seen_bytes = (uint32_t)total;
    if (pass->kind != ADMISSION_PUBLISHER) {
        add_sent(pass, fresh);
        return;
    }
    limit = ingress_limit(node, info, &counts);
    if (!limit || elapsed_us <= 0 || rate_bps(fresh, elapsed_us) <= limit)
        pass->n_over = 0;
    else if (pass->n_over < UINT8_MAX)
        pass->n_over++;
}

/* A publisher that has sent too much for too long; NULL: there is none. */
static struct session_info *find_over(const struct media_loop *ml, uint64_t max_s)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);

        if (info->pass.n_over >= max_s)
            return info;
    }
    return NULL;
}

static void close_over(struct node *node, struct media_loop *ml)
{
    struct session_info *info;

    while ((info = find_over(ml, node->conf.limits_ingress_s))) {
        struct session_counts counts = {0};

        info->count(info, &counts);
        info->pass.n_over = 0;
        metric_add(&m_limit_ingress, 1);
        log_warn("node", "msg=\"publisher sends too much\" session=%s peer=%s stream=%s limit=%llu",
                 info->id, info->peer, info->stream,
                 (unsigned long long)ingress_limit(node, info, &counts));
        session_kick_for(info, ml->owner, "it sends more than it may (limits.ingress_bps)");
    }
}

struct measuring {
    struct node *node;
    struct node_totals totals;
    int64_t elapsed_us;
};

static void collect(struct media_loop *ml, void *arg)
{
    struct measuring *m = arg;
    struct list *node, *tmp;

    node_totals_add_loop(&m->totals, ml);
    list_for_each_safe(node, tmp, &ml->sessions)
        look_at(m->node, list_entry(node, struct session_info, node), m->elapsed_us);
    close_over(m->node, ml);
}

static void publish_egress(struct node *node, const struct node_totals *totals, int64_t elapsed_us)
{
    struct admission *a = &node->admission;
    uint64_t sent_bytes = 0;

    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++)
        sent_bytes += (uint64_t)totals->out_bytes[i];
    if (elapsed_us > 0 && sent_bytes >= a->sent_bytes && a->sent_bytes)
        atomic_store_explicit(&a->egress_bps, rate_bps(sent_bytes - a->sent_bytes, elapsed_us),
                              memory_order_relaxed);
    a->sent_bytes = sent_bytes;
}

static void on_collected(void *arg)
{
    struct measuring *m = arg;
    struct node *node = m->node;

    admission_counts_measure(&node->admission.counts, m->elapsed_us);
    if (!node->agent) /* else heartbeats measure it, twice as often */
        publish_egress(node, &m->totals, m->elapsed_us);
    node->admission.measuring = NULL;
    free(m);
}

static void measure(struct node *node)
{
    struct measuring *m = calloc(1, sizeof *m);
    int64_t now_us = clock_mono_us();

    if (!m)
        return;
    m->node = node;
    m->elapsed_us = node->admission.measured_us ? now_us - node->admission.measured_us : 0;
    node_totals_begin(&m->totals);
    if (gather(node, collect, on_collected, m) != E_OK) {
        free(m);
        return;
    }
    node->admission.measured_us = now_us;
    node->admission.measuring = m;
}

static void on_timer(struct timer *timer)
{
    struct node *node = list_entry(timer, struct node, admission.timer);

    timer_start_ms(timer, MEASURE_MS);
    if (!node->admission.measuring && admission_wants_rates(node))
        measure(node);
}

void admission_start(struct node *node)
{
    timer_init(&node->admission.timer, node->control, on_timer);
    timer_start_ms(&node->admission.timer, MEASURE_MS);
}

void admission_stop(struct node *node)
{
    timer_stop(&node->admission.timer);
}
