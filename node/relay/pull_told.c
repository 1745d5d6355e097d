/* What others hear of a pull: its log lines, metrics, events, and what the API shows. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"
#include "node/session/session.h"

static const char *reason_of(const struct pull_link *l, enum err e)
{
    return l->why ? l->why : err_text(e);
}

static void tell_event(const struct pull_link *l, enum event_id id, const char *reason)
{
    char shown[PULL_SHOWN_SIZE];
    const struct event_field more[] = {{.key = "url", .text = pull_link_shown(l, shown)},
                                       {.key = "reason", .text = reason}};

    events_tell_session(l->nl->node, id, &l->info, more, reason ? 2 : 1);
}

static struct relay_status *status_of(const struct pull *p, bool is_relay)
{
    return p->item && !is_relay ? &p->item->status : NULL;
}

/* Beside one that runs, a better one is tried in silence. */
void pull_tell_try(struct pull *p, const struct pull_candidate *to)
{
    struct relay_status *status = status_of(p, *to->node);
    char shown[PULL_SHOWN_SIZE];

    if (status && !pull_running_link(p))
        relay_status_try(status, pull_candidate_shown(to, shown));
}

void pull_tell_stop(struct pull_link *l, const char *reason)
{
    if (!l->is_told)
        return;
    l->is_told = false;
    tell_event(l, EVENT_PULL_STOP, reason);
    session_log(l->nl->node, &l->info, reason);
}

void pull_tell_runs(struct pull_link *l)
{
    struct relay_status *status = status_of(l->pull, pull_link_is_relay(l));
    char shown[PULL_SHOWN_SIZE];

    metric_add(&m_relay_pulls_connected, 1);
    if (status)
        relay_status_set(status, RELAY_RUNNING, pull_link_shown(l, shown), l->info.id);
    tell_event(l, EVENT_PULL_START, NULL);
    l->is_told = true;
}

static struct metric *result_metric(enum err e, bool was_running)
{
    if (was_running)
        return e == E_TIMEOUT ? &m_relay_pulls_stalled
               : e == E_END   ? &m_relay_pulls_ended
                              : &m_relay_pulls_lost;
    return e == E_NOT_FOUND                ? &m_relay_pulls_not_found
           : e == E_DENIED || e == E_STALE ? &m_relay_pulls_refused
                                           : &m_relay_pulls_unreachable;
}

static void note_error(struct pull *p, const struct pull_link *l, const char *reason)
{
    struct relay_status *status = status_of(p, pull_link_is_relay(l));
    char text[256], shown[PULL_SHOWN_SIZE];

    if (!status)
        return;
    snprintf(text, sizeof text, "%.150s: %.100s", pull_link_shown(l, shown), reason);
    relay_status_error(status, text);
}

/* Failures in a row are said once. */
void pull_tell_over(struct pull *p, struct pull_link *l, enum err e)
{
    bool was_running = l->state == LINK_RUNNING;
    char shown[PULL_SHOWN_SIZE];

    metric_add(result_metric(e, was_running), 1);
    note_error(p, l, reason_of(l, e));
    pull_tell_stop(l, reason_of(l, e));
    log_line(p->n_failed++ ? LOG_DEBUG : LOG_WARN, "relay",
             "msg=\"%s\" stream=%s upstream=%s error=%s reason=%s",
             was_running ? "pull ended" : "pull failed", stream_name_of(p->stream)->text,
             pull_link_shown(l, shown), err_name(e), LOG_STR(reason_of(l, e)));
}

void pull_tell_evicted(struct pull *p, struct pull_link *l, enum err why)
{
    const char *reason = p->attaching    ? "another upstream was found"
                         : why == E_END  ? "nobody watches"
                         : why == E_BUSY ? "published here"
                                         : err_text(why);
    char shown[PULL_SHOWN_SIZE];

    metric_add(p->attaching   ? &m_relay_pulls_switched
               : why == E_END ? &m_relay_pulls_idle
                              : &m_relay_pulls_ended,
               1);
    pull_tell_stop(l, reason);
    log_info("relay", "msg=\"pull stopped\" stream=%s upstream=%s reason=%s",
             stream_name_of(p->stream)->text, pull_link_shown(l, shown), LOG_STR(reason));
}
