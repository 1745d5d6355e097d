/* When streams are sent to foreign servers: while they are published here, again and again with
 * pauses that grow when the server does not take them. */
#include "node/relay/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull.h"
#include "node/relay/push.h"
#include "node/relay/target_private.h"
#include "node/session/session.h"

static int64_t now_us(const struct target *t)
{
    return loop_now_us(t->nl->media.loop);
}

static const char *shown(const struct target *t, char out[RELAY_SHOWN_SIZE])
{
    url_mask(t->link ? t->link->url : t->push->item.url, out, RELAY_SHOWN_SIZE);
    return out;
}

/* --- what others hear of it --- */

static void tell_event(const struct target *t, enum event_id id, const char *reason)
{
    char text[RELAY_SHOWN_SIZE];
    const struct event_field more[] = {{.key = "url", .text = shown(t, text)},
                                       {.key = "reason", .text = reason}};

    events_tell_session(t->nl->node, id, &t->link->info, more, reason ? 2 : 1);
}

/* Once for each time that it was sent to, whoever ends it first. */
static void tell_stop(struct target *t, const char *reason)
{
    if (!t->is_told)
        return;
    t->is_told = false;
    tell_event(t, EVENT_PUSH_STOP, reason);
    session_log(t->nl->node, &t->link->info, reason);
}

/* --- life --- */

static void target_free(struct target *t)
{
    timer_stop(&t->retry);
    tell_stop(t, t->nl->closed ? "this node is shutting down" : "no longer needed");
    target_link_close(&t->link);
    pthread_mutex_lock(&t->push->lock);
    list_remove(&t->run.node);
    pthread_mutex_unlock(&t->push->lock);
    relay_status_fini(&t->run.status);
    list_remove(&t->node);
    stream_unref(&t->stream);
    relay_push_unref(&t->push);
    free(t);
}

/* Streams of encoders at an edge are the origin's to send. */
static bool is_ours(struct stream *stream)
{
    struct stream_info info;

    stream_get_info(stream, &info);
    if (!info.live)
        return false;
    return info.kind == SOURCE_PUBLISHER ? !push_holds(stream_home(stream)->owner, stream)
                                         : pull_is_kept(stream);
}

/* NULL: there is work for it. */
static const char *why_pointless(const struct target *t)
{
    return t->nl->closed                 ? "this node is shutting down"
           : atomic_load(&t->push->gone) ? "changed or removed by an operator"
           : stream_has_ended(t->stream) ? "the stream has ended"
           : stream_has_source(t->stream) && !is_ours(t->stream)
               ? "the stream comes from somewhere else by now"
               : NULL;
}

static void wait_for_next(struct target *t)
{
    bool gave_up = relay_order_gave_up(&t->order);

    relay_status_set(&t->run.status, gave_up ? RELAY_FAILED : RELAY_WAITING, NULL, "");
    if (!gave_up)
        timer_start_at_us(&t->retry, t->order.due_us);
}

static void try_now(struct target *t)
{
    char url[RELAY_URL_SIZE], text[RELAY_SHOWN_SIZE];

    if (push_item_url(&t->push->item, stream_name_of(t->stream), url, sizeof url))
        t->link = target_link_open(t, url);
    else
        relay_status_error(&t->run.status, "an URL of more than 511 bytes");
    relay_status_try(&t->run.status, shown(t, text));
    if (t->link)
        return;
    relay_order_failed(&t->order, now_us(t), random_unit());
    wait_for_next(t);
}

/* --- what links say --- */

/* Last statement: t is gone. */
static void stop(struct target *t, const char *reason)
{
    if (t->link && t->link->state == TARGET_SENDING) {
        metric_add(&m_relay_targets_ended, 1);
        tell_stop(t, reason);
    }
    target_free(t);
}

static void on_retry(struct timer *timer)
{
    struct target *t = list_entry(timer, struct target, retry);

    if (why_pointless(t))
        stop(t, why_pointless(t));
    else if (!t->link && stream_has_source(t->stream))
        try_now(t);
    else if (!t->link)
        relay_status_set(&t->run.status, RELAY_IDLE, NULL, ""); /* its next source begins it */
}

void target_link_sends(struct target_link *link)
{
    struct target *t = link->target;
    char text[RELAY_SHOWN_SIZE];

    t->n_failed = 0;
    relay_order_runs(&t->order, 0, now_us(t));
    relay_status_set(&t->run.status, RELAY_RUNNING, shown(t, text), link->info.id);
    metric_add(&m_relay_targets_connected, 1);
    log_info("relay", "msg=push session=%s stream=%s target=%s", link->info.id, link->info.stream,
             shown(t, text));
    tell_event(t, EVENT_PUSH_START, NULL);
    t->is_told = true;
}

static struct metric *metric_of(const struct target_link *link, enum err e)
{
    static const struct {
        enum err e;
        struct metric *before, *after; /* it was sent to */
    } k_results[] = {
        {E_DENIED, &m_relay_targets_refused, &m_relay_targets_ended},
        {E_UNSUPPORTED, &m_relay_targets_refused, &m_relay_targets_refused},
        {E_END, &m_relay_targets_ended, &m_relay_targets_ended},
        {E_SLOW, &m_relay_targets_slow, &m_relay_targets_slow},
    };

    for (size_t i = 0; i < sizeof k_results / sizeof k_results[0]; i++)
        if (k_results[i].e == e)
            return link->state == TARGET_SENDING ? k_results[i].after : k_results[i].before;
    return link->state == TARGET_SENDING ? &m_relay_targets_lost : &m_relay_targets_unreachable;
}

static void tell_over(struct target *t, enum err e)
{
    const char *reason = *t->link->why ? t->link->why : err_text(e);
    bool was_sending = t->link->state == TARGET_SENDING;
    char text[RELAY_SHOWN_SIZE], error[RELAY_SHOWN_SIZE + sizeof t->link->why + 2];

    metric_add(metric_of(t->link, e), 1);
    log_line(e == E_END      ? LOG_INFO
             : t->n_failed++ ? LOG_DEBUG
                             : LOG_WARN,
             "relay", "msg=\"%s\" session=%s stream=%s target=%s error=%s reason=%s",
             was_sending ? "push ended" : "push failed", t->link->info.id, t->link->info.stream,
             shown(t, text), err_name(e), LOG_STR(reason));
    tell_stop(t, reason);
    if (e == E_END) /* the stream's */
        return;
    snprintf(error, sizeof error, "%s: %s", shown(t, text), reason);
    relay_status_error(&t->run.status, error);
}

void target_link_over(struct target_link *link, enum err e)
{
    struct target *t = link->target;

    tell_over(t, e);
    if (link->state == TARGET_SENDING)
        relay_order_lost(&t->order, now_us(t), random_unit());
    else
        relay_order_failed(&t->order, now_us(t), random_unit());
    target_link_close(&t->link);
    if (why_pointless(t))
        target_free(t);
    else
        wait_for_next(t);
}

/* --- which streams --- */

static struct target *target_of(struct node_loop *nl, const struct stream *stream,
                                const struct relay_push *push)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &nl->targets) {
        struct target *t = list_entry(at, struct target, node);

        if (t->stream == stream && t->push == push)
            return t;
    }
    return NULL;
}

static void begin(struct node_loop *nl, struct stream *stream, struct relay_push *push)
{
    struct target *t = target_of(nl, stream, push);

    if (t) { /* the stream has a source again */
        if (!t->link && !relay_order_gave_up(&t->order) && !timer_is_armed(&t->retry))
            timer_start_ms(&t->retry, 0);
        return;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return;
    t->nl = nl;
    t->stream = stream_ref(stream);
    t->push = relay_push_ref(push);
    t->run.name = *stream_name_of(stream);
    relay_status_init(&t->run.status);
    relay_order_init(&t->order, 1, push->item.retry);
    timer_init(&t->retry, nl->media.loop, on_retry);
    list_push_back(&nl->targets, &t->node);
    pthread_mutex_lock(&push->lock);
    list_push_back(&push->runs, &t->run.node);
    pthread_mutex_unlock(&push->lock);
    timer_start_ms(&t->retry, 0); /* not from within what the stream is just told */
}

static void begin_all(struct node *node, struct stream *stream)
{
    struct node_loop *nl = stream_home(stream)->owner;
    const struct stream_name *name = stream_name_of(stream);
    struct relay_push *push;

    if (nl->closed || !is_ours(stream))
        return;
    for (size_t i = 0; (push = relays_push(node->relays, i)); i++)
        if (push_item_matches(&push->item, name))
            begin(nl, stream, push);
}

/* Whether there is work for them is looked at in a turn of its own. When the stream has ended, who
 * sends is told by its viewer: what is left goes out first. */
static void look_at_all(struct node_loop *nl, const struct stream *stream)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &nl->targets) {
        struct target *t = list_entry(at, struct target, node);

        if (t->stream != stream || (t->link && stream_has_ended(stream)))
            continue;
        if (why_pointless(t))
            timer_start_ms(&t->retry, 0);
    }
}

/* Of a stream that has ended, those that send are told by their viewer, too: what is left is sent.
 */
void targets_stream_changed(struct node *node, struct stream *stream)
{
    struct node_loop *nl = stream_home(stream)->owner;

    if (!list_is_empty(&nl->targets))
        look_at_all(nl, stream);
    if (relays_push(node->relays, 0) && stream_has_source(stream))
        begin_all(node, stream);
}

void targets_items_changed(struct node_loop *nl)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &nl->targets) {
        struct target *t = list_entry(at, struct target, node);

        if (atomic_load(&t->push->gone))
            stop(t, why_pointless(t));
        else if (why_pointless(t) && !(t->link && stream_has_ended(t->stream)))
            timer_start_ms(&t->retry, 0);
    }
    if (!relays_push(nl->node->relays, 0))
        return;
    list_for_each_safe(at, tmp, &nl->media.streams)
        begin_all(nl->node, stream_at_home(at));
}

void targets_stop_all(struct node_loop *nl)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &nl->targets)
        target_free(list_entry(at, struct target, node));
}
