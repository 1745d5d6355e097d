/* A node that drains asks its RTMP publishers and players to go on over a new connection (Enhanced
 * RTMP v2, "Reconnect Request"). Where to is the scheduler's choice; without one, for publishers at
 * an edge (which has others behind the same name), and when another process of this node takes
 * over, it is where the client came from. Clients that cannot are left until the drain ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/control/node_metrics.h"
#include "node/session/rtmp_session.h"
#include "node/session/session.h"

struct reconnect { /* one question; frees itself */
    struct agent_ask ask;
    struct node_loop *nl;
    char session_id[16]; /* of whom it is about, who may leave meanwhile */
};

static bool is_player(const struct rtmp_session *s)
{
    return s->state == RTMP_SESSION_JOINING || s->state == RTMP_SESSION_PLAYING;
}

static bool is_publisher(const struct rtmp_session *s)
{
    return s->state == RTMP_SESSION_ASKING || s->state == RTMP_SESSION_PUBLISHING;
}

static void ask_client(struct rtmp_session *s, const char *tc_url)
{
    struct buf_writer *out = rtmp_session_out(s);

    if (!rtmp_server_ask_reconnect(s->proto, tc_url, "This server is about to leave.", out))
        return;
    metric_add(is_player(s) ? &m_play_reconnects : &m_publish_reconnects, 1);
    log_info("rtmp", "msg=\"asked to reconnect\" session=%s peer=%s stream=%s to=%s", s->info.id,
             s->info.peer, s->info.stream, tc_url ? LOG_STR(tc_url) : "-");
    if (rtmp_session_send(s, out) != E_OK)
        rtmp_session_close(s, "connection lost");
}

static struct rtmp_session *find(struct node_loop *nl, const char *id)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &nl->media.sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);

        if (strcmp(info->id, id) == 0)
            return rtmp_session_of(info);
    }
    return NULL;
}

/* "rtmp://host:port/app/name" to "rtmp://host:port/app". NULL: no other place is known. */
static const char *tc_url_of(struct cluster_route *route)
{
    char *slash = strrchr(route->redirect_url, '/');

    if (route->decision != CLUSTER_REDIRECT || !slash)
        return NULL;
    *slash = '\0';
    return route->redirect_url;
}

static void on_route(struct agent_ask *ask)
{
    struct reconnect *r = ask->arg;
    struct rtmp_session *s = find(r->nl, r->session_id);

    if (s)
        ask_client(s, tc_url_of(&ask->route_reply));
    free(r);
}

static bool ask_scheduler(struct rtmp_session *s)
{
    struct node *node = s->nl->node;
    bool may_ask = node->agent && (is_player(s) || node->conf.cluster_role != CLUSTER_EDGE);
    struct stream *stream = may_ask ? registry_find(node->registry, s->info.stream) : NULL;
    struct reconnect *r = stream ? calloc(1, sizeof *r) : NULL;

    if (!r) {
        stream_unref(&stream);
        return false;
    }
    r->nl = s->nl;
    memcpy(r->session_id, s->info.id, sizeof r->session_id);
    r->ask.reply_loop = s->nl->media.loop;
    r->ask.arg = r;
    r->ask.done = on_route;
    r->ask.what = AGENT_ASK_ROUTE;
    r->ask.route.intent = is_player(s) ? CLUSTER_INTENT_PLAY : CLUSTER_INTENT_PUBLISH;
    r->ask.route.tls = conn_is_tls(s->conn);
    snprintf(r->ask.route.protocol, sizeof r->ask.route.protocol, "rtmp");
    snprintf(r->ask.route.avoid.id[0], sizeof r->ask.route.avoid.id[0], "%s", node->id);
    r->ask.route.avoid.n = 1;
    r->ask.route.name = *stream_name_of(stream);
    stream_unref(&stream);
    agent_ask(node->agent, &r->ask);
    return true;
}

/* Before the scheduler is asked where to: nearly all players are of the other kind. */
static bool can_reconnect(const struct rtmp_session *s)
{
    struct rtmp_abilities can;

    rtmp_server_abilities(s->proto, &can);
    return can.reconnect && (is_publisher(s) || is_player(s));
}

void rtmp_ask_reconnect(struct node_loop *nl, bool same_place)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &nl->media.sessions) {
        struct rtmp_session *s = rtmp_session_of(list_entry(node, struct session_info, node));

        if (!s || !can_reconnect(s))
            continue;
        if (same_place || !ask_scheduler(s))
            ask_client(s, NULL);
    }
}
