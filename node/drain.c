/* See drain.h. draining: nothing new is taken, everybody is told, and the sessions that are left
 * are looked at several times a second. closing: each loop in turn ends what it has. Two rounds
 * over the loops let the last messages pass; then the scheduler is told of the last streams that
 * left. */
#include "node/drain.h"

#include <string.h>

#include "common/base/log.h"
#include "common/net/notify.h"
#include "node/cluster/agent.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"
#include "node/hooks/hooks.h"
#include "node/node.h"
#include "node/record/record.h"
#include "node/relay/pull.h"
#include "node/relay/relays.h"
#include "node/session/session.h"

#define LOOK_MS 50
#define SAY_US 5000000
#define KNOWN_US 500000 /* how long schedulers may take to hear that the node drains */
#define LATE_US 1000000
#define GOODBYE_MS 500
#define GOODBYE_LOOK_MS 5
#define RECORDS_LATE_US 10000000 /* how long the events of the last records are waited for */
#define HOOKS_LATE_US 1500000    /* how much longer the receivers of hooks are waited for */

/* --- closing --- */

static void close_loop(struct media_loop *ml, void *arg)
{
    struct node_loop *nl = ml->owner;
    struct list *node, *tmp;

    (void)arg;
    nl->closed = true;
    node_close_listeners(nl);
    sessions_close_all(nl);
    relays_stop_loop(nl);
    pull_stop_all(nl);
    http_server_destroy(&nl->http);
    list_for_each_safe(node, tmp, &ml->streams)
        stream_kick(stream_at_home(node));
}

static void let_pass(struct media_loop *ml, void *arg)
{
    (void)ml;
    (void)arg;
}

static bool waits_for_somebody(const struct node *node)
{
    int64_t late_us = loop_now_us(node->control) - node->drain.until_us;

    return (node->agent && agent_is_busy(node->agent) && late_us < 0) ||
           (hooks_is_busy(node->hooks) && late_us < HOOKS_LATE_US);
}

static void begin_goodbye(struct node *node)
{
    node->drain.has_records = true;
    node->drain.until_us = loop_now_us(node->control) + GOODBYE_MS * 1000;
    hooks_finish(node->hooks);
}

/* Once more after the last record was finished: what that has told is heard by then. */
static bool waits_for_records(struct node *node)
{
    struct drain *drain = &node->drain;
    bool is_busy = record_is_busy(node->record) && loop_now_us(node->control) < drain->until_us;
    bool was_busy = drain->is_recording;

    drain->is_recording = is_busy;
    return is_busy || was_busy;
}

/* The scheduler is told of the last streams that left, and hooks of the last events, but they are
 * not waited for without end. */
static void on_goodbye_timer(struct timer *timer)
{
    struct node *node = list_entry(timer, struct node, drain.timer);

    if (!node->drain.has_records && !waits_for_records(node))
        begin_goodbye(node);
    if (!node->drain.has_records || waits_for_somebody(node))
        timer_start_ms(timer, GOODBYE_LOOK_MS);
    else
        loop_stop(node->control);
}

static void on_passed_twice(void *arg)
{
    struct node *node = arg;

    timer_init(&node->drain.timer, node->control, on_goodbye_timer);
    node->drain.until_us = loop_now_us(node->control) + RECORDS_LATE_US;
    node->drain.is_recording = true;
    timer_start_ms(&node->drain.timer, 0);
}

/* Taps and home loops exchange a last pair of messages: two rounds let them pass. */
static void on_passed_once(void *arg)
{
    if (gather(arg, let_pass, on_passed_twice, arg) != E_OK)
        on_passed_twice(arg);
}

static void on_closed(void *arg)
{
    if (gather(arg, let_pass, on_passed_once, arg) != E_OK)
        on_passed_twice(arg);
}

static void stop(struct node *node)
{
    if (node->drain.is_stopping)
        return;
    node->drain.is_stopping = true;
    timer_stop(&node->drain.timer);
    log_info("node", "msg=stopping node=%s", node->id);
    notify_or_warn("node", "STOPPING=1");
    if (gather(node, close_loop, on_closed, node) != E_OK)
        on_passed_twice(node);
}

/* --- draining --- */

static void count_session(struct drain_count *count, const struct session_info *info)
{
    if (!strcmp(info->kind, "publish") || !strcmp(info->kind, "standby"))
        count->n_publishers++;
    else if (!strcmp(info->kind, "play") || !strcmp(info->kind, "waiting"))
        (*(strcmp(info->protocol, "relay") ? &count->n_viewers : &count->n_relays))++;
}

static void count_loop(struct media_loop *ml, void *arg)
{
    struct node *here = arg;
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->sessions)
        count_session(&here->drain.count, list_entry(node, struct session_info, node));
}

static void show(const struct drain_count *count)
{
    metric_set(&m_drain_publishers, count->n_publishers);
    metric_set(&m_drain_viewers, count->n_viewers);
    metric_set(&m_drain_relays, count->n_relays);
}

static void say(struct drain *drain, int64_t now_us)
{
    if (now_us - drain->said_us < SAY_US)
        return;
    drain->said_us = now_us;
    log_info("node", "msg=\"still here\" publishers=%u viewers=%u relays=%u left_s=%lld",
             drain->count.n_publishers, drain->count.n_viewers, drain->count.n_relays,
             (long long)((drain->until_us - now_us) / 1000000));
}

/* Who connected to a process just before it was replaced has not said yet what for. */
static bool is_empty(const struct drain *drain, int64_t now_us)
{
    if (drain->why == DRAIN_REPLACED && now_us < drain->begun_us + LATE_US)
        return false;
    return drain->count.n_publishers + drain->count.n_viewers + drain->count.n_relays == 0;
}

static void on_counted(void *arg)
{
    struct node *node = arg;
    struct drain *drain = &node->drain;
    int64_t now_us = loop_now_us(node->control);

    drain->is_counting = false;
    if (!drain->has_begun)
        return; /* taken back meanwhile */
    show(&drain->count);
    if (is_empty(drain, now_us) || now_us >= drain->until_us) {
        stop(node);
        return;
    }
    say(drain, now_us);
    timer_start_ms(&drain->timer, LOOK_MS);
}

static void tell_to_reconnect(struct node_loop *nl, bool is_here)
{
    rtmp_ask_reconnect(nl, is_here);
    if (nl->http)
        http_server_drain(nl->http);
}

static void tell_to_come_again(struct media_loop *ml, void *arg)
{
    (void)arg;
    tell_to_reconnect(ml->owner, true);
}

static void tell_to_go_elsewhere(struct media_loop *ml, void *arg)
{
    (void)arg;
    tell_to_reconnect(ml->owner, false);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Once, and not before the schedulers know that the node drains: they would refuse a publish that
 * comes back quicker than that, since this one is still live. */
static void ask_to_reconnect(struct node *node)
{
    struct drain *drain = &node->drain;
    bool is_replaced = drain->why == DRAIN_REPLACED;
    int64_t now_us = clock_mono_us();

    if (drain->has_asked || (is_replaced && !drain->has_left) ||
        (node->agent && !is_replaced && !agent_drain_is_known(node->agent) &&
         now_us < drain->begun_us + KNOWN_US && now_us < drain->until_us))
        return;
    drain->has_asked = true;
    (void)gather(node, is_replaced ? tell_to_come_again : tell_to_go_elsewhere, nothing, NULL);
}

void node_drain_left(struct node *node)
{
    node->drain.has_left = true;
    ask_to_reconnect(node);
}

static void on_timer(struct timer *timer)
{
    struct node *node = list_entry(timer, struct node, drain.timer);

    if (node->drain.is_counting) { /* of a drain that was taken back */
        timer_start_ms(timer, LOOK_MS);
        return;
    }
    ask_to_reconnect(node);
    node->drain.count = (struct drain_count){0};
    node->drain.is_counting = true;
    if (gather(node, count_loop, on_counted, node) != E_OK)
        stop(node);
}

static void tell_stop(struct node *node, enum drain_why why)
{
    static const char *const k_whys[] = {[DRAIN_ORDER] = "ordered to drain",
                                         [DRAIN_SIGNAL] = "signal",
                                         [DRAIN_REPLACED] = "replaced by another process"};
    struct event_field reason = {"reason", k_whys[why], 0};

    events_tell(node, EVENT_SERVER_STOP, &reason, 1);
}

void node_drain(struct node *node, enum drain_why why)
{
    if (node->drain.has_begun) {
        if (why > node->drain.why)
            node->drain.why = why;
        return;
    }
    node->drain.has_begun = true;
    node->drain.why = why;
    atomic_store(&node->draining, why != DRAIN_REPLACED);
    if (why == DRAIN_REPLACED)
        relays_hand_over(node->relays);
    log_info("node", "msg=draining node=%s drain_timeout_s=%llu", node->id,
             (unsigned long long)node->conf.drain_timeout_s);
    tell_stop(node, why);
    metric_set(&m_draining, 1);
    node->drain.begun_us = node->drain.said_us = clock_mono_us();
    node->drain.until_us = node->drain.begun_us + (int64_t)node->conf.drain_timeout_s * 1000000;
    node->drain.has_asked = false;
    if (node->agent)
        agent_drain(node->agent);
    ask_to_reconnect(node);
    timer_init(&node->drain.timer, node->control, on_timer);
    timer_start_ms(&node->drain.timer, LOOK_MS);
}

void node_resume(struct node *node)
{
    if (!node->drain.has_begun || node->drain.why != DRAIN_ORDER || node->drain.is_stopping)
        return;
    node->drain.has_begun = false;
    atomic_store(&node->draining, false);
    timer_stop(&node->drain.timer);
    metric_set(&m_draining, 0);
    show(&(struct drain_count){0});
    log_info("node", "msg=\"the order to drain was taken back\" node=%s", node->id);
    if (node->agent)
        agent_drain(node->agent); /* the next heartbeat says so at once */
}
