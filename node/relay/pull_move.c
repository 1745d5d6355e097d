/* A foreign server asks its players to go on over a new connection (Enhanced RTMP v2), as one that
 * is about to leave does. The place is tried beside the connection that there is, which is let go
 * when the new one runs, and first should the old one end before that. Servers that send each
 * other's players to and fro are not followed for long. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"

#define SPREAD_MS 200 /* not all streams of a server, nor all nodes, in the same moment */
#define MAX_TRIES 5
#define MAX_ASKED \
    5 /* within COUNTED_US; a rolling restart of that many servers is quicker than none */
#define COUNTED_US 60000000

static bool is_too_often(struct pull *p, int64_t now_us)
{
    struct pull_move *m = &p->move;

    if (!m->n_asked || now_us - m->counted_us > COUNTED_US) {
        m->counted_us = now_us;
        m->n_asked = 0;
    }
    return m->n_asked++ >= MAX_ASKED;
}

static void refuse(const struct pull_link *l, enum err e, const char *why)
{
    char shown[PULL_SHOWN_SIZE];

    metric_add(&m_relay_reconnects_refused, 1);
    log_line(l->pull->move.n_asked <= MAX_ASKED + 1 ? LOG_WARN : LOG_DEBUG, "relay",
             "msg=\"asked to reconnect, but stays\" stream=%s upstream=%s error=%s reason=%s",
             stream_name_of(l->stream)->text, pull_link_shown(l, shown), err_name(e), LOG_STR(why));
}

static void follow(struct pull_link *l, const struct pull_candidate *to, struct buf_view why)
{
    struct pull *p = l->pull;
    char from[PULL_SHOWN_SIZE], shown[PULL_SHOWN_SIZE], said[128] = "";

    (void)buf_view_to_str(buf_view_of(why.data, why.size_bytes < 127 ? why.size_bytes : 127), said,
                          sizeof said);
    metric_add(&m_relay_reconnects_followed, 1);
    log_info("relay", "msg=\"asked to reconnect\" stream=%s upstream=%s to=%s reason=%s",
             stream_name_of(l->stream)->text, pull_link_shown(l, from),
             pull_candidate_shown(to, shown), LOG_STR(said));
    l->is_left = true;
    p->move.to = *to;
    p->move.n_tries = 0;
    timer_start_ms(&p->look, jitter_ms(SPREAD_MS, 1.0));
}

void pull_asked_to_move(struct pull_link *l, const char *base, const char *stream,
                        const struct rtmp_client_event *asked)
{
    struct pull_candidate to = {.node = "", .is_guarded = pull_link_is_guarded_from(l)};
    enum err e;

    if (is_too_often(l->pull, loop_now_us(l->nl->media.loop))) {
        refuse(l, E_BUSY, "more than 5 requests within 60 s");
        return;
    }
    e = rtmp_resolve_tc_url(buf_view_str(base), asked->tc_url, to.url, sizeof to.url);
    if (e != E_OK)
        refuse(l, e, "tcUrl is not one of rtmp or rtmps that can be gone to");
    else if ((size_t)snprintf(to.stream, sizeof to.stream, "%s", stream) >= sizeof to.stream)
        refuse(l, E_TOO_BIG, "the stream's name is too long");
    else
        follow(l, &to, asked->description);
}

void pull_move_add(struct pull *p, struct pull_candidates *c)
{
    char shown[PULL_SHOWN_SIZE];

    if (!pull_move_is_due(&p->move))
        return;
    if (p->move.n_tries++ < MAX_TRIES) {
        pull_candidates_add(c, &p->move.to, p->move.to.url, NULL, NULL);
        return;
    }
    log_warn("relay", "msg=\"place to reconnect to given up\" stream=%s upstream=%s tries=%u",
             stream_name_of(p->stream)->text, pull_candidate_shown(&p->move.to, shown), MAX_TRIES);
    p->move.to.url[0] = '\0';
}
