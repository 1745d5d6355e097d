/* The protocols that clients connect with: one row each. */
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/tls_setup.h"
#include "node/cluster/clocks.h"
#include "node/control/admin.h"
#include "node/control/bans.h"
#include "node/control/node_metrics.h"
#include "node/control/trace.h"
#include "node/session/http_publish.h"
#include "node/session/record_play.h"
#include "node/session/session.h"

static const char *rtmp_listen(const struct node_conf *conf)
{
    return conf->rtmp_listen;
}

static const char *http_listen(const struct node_conf *conf)
{
    return conf->http_listen;
}

static void rtmp_accept(void *arg, int fd, const struct addr *peer)
{
    rtmp_session_accept(arg, fd, peer, NULL);
}

static void rtmps_accept(void *arg, int fd, const struct addr *peer)
{
    struct node_loop *nl = arg;

    rtmp_session_accept(nl, fd, peer, tls_setup_server(nl->node->tls, TLS_FOR_RTMP));
}

void http_session_accept(void *arg, int fd, const struct addr *peer)
{
    struct node_loop *nl = arg;

    if (connection_admit(nl->node, fd, peer, "http"))
        http_server_accept(nl->http, fd, peer);
}

static void https_accept(void *arg, int fd, const struct addr *peer)
{
    struct node_loop *nl = arg;

    if (connection_admit(nl->node, fd, peer, "https"))
        http_server_accept_tls(nl->http, fd, peer);
}

const struct protocol k_protocols[N_PROTOCOLS] = {
    [PROTOCOL_RTMP] = {"rtmp", "rtmp.listen", rtmp_listen, rtmp_accept},
    [PROTOCOL_HTTP] = {"http", "http.listen", http_listen, http_session_accept},
    [PROTOCOL_RTMPS] = {"rtmps", "rtmps.listen", node_conf_rtmps_listen, rtmps_accept},
    [PROTOCOL_HTTPS] = {"https", "https.listen", node_conf_https_listen, https_accept},
};

bool connection_admit(struct node *node, int fd, const struct addr *peer, const char *area)
{
    static const struct budget_words k_words = {
        "too many connections (limits.connections)",
        "too many of one address (limits.connections_per_ip)"};
    enum budget_answer answer;

    if (bans_refuse(node, peer, area)) {
        close(fd);
        return false;
    }
    answer = conn_budget_admit(node->budget, fd, peer, trust_has(&node->rules.trust, peer), area,
                               &k_words);
    if (answer != BUDGET_OK)
        metric_add(answer == BUDGET_TOTAL ? &m_connections_refused_total
                                          : &m_connections_refused_per_ip,
                   1);
    return answer == BUDGET_OK;
}

const char *sessions_kick_reason(const struct node_loop *nl)
{
    if (nl->closed)
        return "this node is shutting down";
    return nl->kick_why ? nl->kick_why : "closed by the operator";
}

void session_kick_for(struct session_info *info, struct node_loop *nl, const char *why)
{
    nl->kick_why = why;
    info->kick(info);
    nl->kick_why = NULL;
}

void sessions_close_all(struct node_loop *nl)
{
    struct list *node;

    while ((node = nl->media.sessions.next) != &nl->media.sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);

        session_info_fini(info, &nl->media);
        info->kick(info); /* last: info may be gone */
    }
}

/* --- the media HTTP port --- */

/* At accept it was a proxy's, or there was no ban yet. */
bool http_session_admit(struct http_exchange *x, const struct http_route *route, void *arg)
{
    (void)route;
    if (!bans_refuse(arg, http_peer_addr(x), "http"))
        return true;
    http_add_header(x, "Cache-Control", "no-store");
    http_respond_problem(x, 403, "%s", "this address is banned");
    return false;
}

static void handle_healthz(struct http_exchange *x, void *arg)
{
    node_handle_healthz(x, ((struct node_loop *)arg)->node);
}

static void handle_readyz(struct http_exchange *x, void *arg)
{
    node_handle_readyz(x, ((struct node_loop *)arg)->node);
}

const struct http_route k_media_routes[] = {
    {"GET", "/healthz", handle_healthz, 0},
    {"GET", "/readyz", handle_readyz, 0},
    {"GET", "/v1/clock", clocks_handle, 0},
    {"GET", "/v1/trace", trace_handle, 0},
    {"GET", "/records/{path...}", http_record_handle, HTTP_ROUTE_CORS},
    {"GET", "/{path...}", http_play_handle, HTTP_ROUTE_CORS},
    {"POST", "/{path...}", http_publish_handle, HTTP_ROUTE_UPLOAD},
    {"PUT", "/{path...}", http_publish_handle, HTTP_ROUTE_UPLOAD},
    {0},
};
