/* Requests to publish over HTTP, up to the session. */
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/session/admission.h"
#include "node/session/http_asked.h"
#include "node/session/http_publish_private.h"

#define SUFFIX ".flv"

/* Forwards: who is it? False: answered. */
static bool check_edge(struct http_exchange *x, struct node *node, const struct stream_name *name,
                       struct push_request *from)
{
    const char *forward = http_header(x, PUSH_FORWARD_HEADER);

    *from = (struct push_request){.edge = ""};
    if (!forward)
        return true;
    if (!http_is_node(x, node, ACCESS_PUBLISH, name)) {
        metric_add(&m_publish_refused_closed, 1);
        http_respond_problem(x, 401, "a node needs the node token (cluster.token_file)");
        return false;
    }
    if (push_read_request(forward, http_header(x, PUSH_RUN_HEADER), from) != E_OK) {
        http_respond_problem(x, 400, PUSH_FORWARD_HEADER " is not \"<node>,<address>\"");
        return false;
    }
    if (strcmp(from->edge, node->id) != 0)
        return true;
    metric_add(&m_relay_loops_refused, 1);
    http_respond_problem(x, 508, "node %s forwards to itself", node->id);
    return false;
}

static bool parse_path(struct http_exchange *x, struct stream_name *name)
{
    const char *path = http_path(x), *why = NULL;
    size_t size = strlen(path), suffix = strlen(SUFFIX);

    if (size <= suffix || strcmp(path + size - suffix, SUFFIX)) {
        http_respond_problem(x, 404, "nothing is here: publish at /{app}/{name}.flv");
        return false;
    }
    if (stream_name_from_path(name, buf_view_of(path, size - suffix), &why) == E_OK)
        return true;
    metric_add(&m_publish_refused_name, 1);
    http_respond_problem(x, 404, "%s", why);
    return false;
}

/* The request is gone when the connection was taken: what is asked about it is a copy. */
static struct access_request *make_access(struct http_exchange *x, const struct stream_name *name)
{
    struct access_request request;

    http_access_request(x, ACCESS_PUBLISH, name, "flv", &request);
    (void)traceparent_parse(http_header(x, "traceparent"), &request.trace);
    return access_request_copy(&request);
}

void http_publish_handle(struct http_exchange *x, void *arg)
{
    struct node_loop *nl = arg;
    struct access_request *access = NULL;
    struct push_request from;
    struct stream_name name, shown;
    struct http_publish *s;

    if (!parse_path(x, &name) || !check_edge(x, nl->node, &name, &from))
        return;
    if (!from.edge[0] && !http_may_take_conn(x, nl, ADMISSION_PUBLISHER, "flv", &name))
        return;
    access_shown_name(nl, ACCESS_PUBLISH, &name, &shown);
    s = http_publish_create(nl, from.edge[0] ? &name : &shown, &from);
    if (s && !from.edge[0])
        access = make_access(x, &name);
    if (!s || (!from.edge[0] && !access)) {
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
        if (s)
            http_publish_discard(s);
        return;
    }
    http_publish_take(s, x, &name, access);
    access_request_free(&access);
}
