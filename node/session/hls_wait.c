/* Requests that wait: for a stream, a part, a segment. */
#include <stdlib.h>

#include "node/control/node_metrics.h"
#include "node/session/hls_ask.h"
#include "node/session/http_asked.h"

#define WAIT_TARGETS 3 /* bis 6.2.5.2: a blocked request gets 503 after so many */
#define POLL_MS 250    /* a multivariant playlist of a group that is not ready */

static void park(struct hls_ask *a, bool is_parked)
{
    if (a->is_parked == is_parked)
        return;
    a->is_parked = is_parked;
    a->nl->media.n_parked += is_parked ? 1u : -1u;
}

static void ask_free(struct hls_ask *a)
{
    park(a, false);
    timer_stop(&a->timer);
    hls_waiter_stop(&a->waiter);
    hls_channel_unref(&a->channel);
    free(a);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ask_free(arg);
}

/* Who has waited in vain, or may not wait, has come for nothing: no session says so at its end. */
static void refuse(struct hls_ask *a, unsigned status, const char *why)
{
    if (a->kind->is_playlist && !hls_session_is_known(a->nl, a->x, a->session, &a->name))
        http_log_refused(a->x, a->nl->node, "play", "hls", &a->name, why);
    hls_refuse(a, status, why);
}

/* Several channels: the news of one are not those of the others. */
static bool is_of_group(const struct hls_ask *a)
{
    const struct node *node = a->nl->node;

    return a->kind == &k_hls_multivariant &&
           (node->hls_conf.has_audio_variant || hls_has_renditions(node->hls, &a->name));
}

/* True: answered. Else it waits for news, under the snapshot that it has seen. */
static bool look(struct hls_ask *a, struct hls_snapshot **seen)
{
    for (;;) {
        struct hls_snapshot *s = hls_channel_look(a->channel);

        if (s->edge.ended && !s->is_playable && !is_of_group(a))
            refuse(a, 404, "no such stream");
        if (!a->x || a->kind->answer(a, s)) {
            hls_snapshot_unref(&s);
            return true;
        }
        if (hls_channel_wait(a->channel, &a->nl->media, &a->waiter, s->version)) {
            *seen = s;
            return false;
        }
        hls_snapshot_unref(&s);
    }
}

static void wait_until_late(struct hls_ask *a, int64_t wait_ms)
{
    a->deadline_us = loop_now_us(a->nl->media.loop) + wait_ms * 1000;
    timer_start_ms(&a->timer, is_of_group(a) && wait_ms > POLL_MS ? POLL_MS : wait_ms);
}

/* Time is over. True: over for the request, too. */
static bool answer_late(struct hls_ask *a, const struct hls_snapshot *s)
{
    a->is_late = true;
    if (a->kind->answer(a, s))
        return true;
    if (!s->is_playable && s->version != a->late_version) { /* it comes: GOPs may be long */
        a->late_version = s->version;
        wait_until_late(a, a->nl->node->stream_conf.play_wait_ms);
        return false;
    }
    if (s->is_playable && a->kind->is_playlist) {
        hls_refuse(a, 503, "no news within three target durations");
        return true;
    }
    metric_add(&m_timeout_play_wait, !s->is_playable);
    refuse(a, 404, s->is_playable ? "no such segment" : "no such stream");
    return true;
}

static void on_timer(struct timer *timer)
{
    struct hls_ask *a = list_entry(timer, struct hls_ask, timer);
    struct hls_snapshot *s = hls_channel_look(a->channel);
    bool is_answered;

    if (loop_now_us(a->nl->media.loop) < a->deadline_us) {
        is_answered = a->kind->answer(a, s);
        timer_start_ms(&a->timer, POLL_MS);
    } else {
        is_answered = answer_late(a, s);
    }
    hls_snapshot_unref(&s);
    if (is_answered)
        ask_free(a);
}

static void on_news(struct hls_waiter *waiter)
{
    struct hls_ask *a = list_entry(waiter, struct hls_ask, waiter);
    struct hls_snapshot *seen = NULL;

    if (look(a, &seen)) {
        ask_free(a);
        return;
    }
    if (seen->is_playable)
        park(a, false);
    hls_snapshot_unref(&seen);
}

/* What waits needs memory of its own. */
void hls_wait(const struct hls_ask *asked)
{
    struct stream_conf const *conf = &asked->nl->node->stream_conf;
    struct hls_ask *a = malloc(sizeof *a);
    struct hls_snapshot *seen = NULL;

    if (!a) {
        struct hls_ask lost = *asked;

        refuse(&lost, 503, err_text(E_NOMEM));
        hls_channel_unref(&lost.channel);
        return;
    }
    *a = *asked;
    a->waiter = (struct hls_waiter){.on_news = on_news};
    list_init(&a->waiter.node);
    timer_init(&a->timer, a->nl->media.loop, on_timer);
    if (look(a, &seen)) {
        ask_free(a);
        return;
    }
    http_set_pending(a->x, on_gone, a);
    park(a, !seen->is_playable);
    wait_until_late(a,
                    seen->is_playable ? WAIT_TARGETS * seen->target_us / 1000 : conf->play_wait_ms);
    hls_snapshot_unref(&seen);
    if (a->is_parked && a->nl->media.n_parked > conf->max_parked) {
        metric_add(&m_play_refused_limit, 1);
        refuse(a, 503, "too many viewers are waiting (limits.parked_viewers)");
        ask_free(a);
    }
}
