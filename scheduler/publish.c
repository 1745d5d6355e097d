/* Who may publish. `refuse`, the default policy of nodes, protects live owners only. */
#include "scheduler/publish.h"

/* An edge that forwards the stream leaves: it says that it carries it, one step from the owner, but
 * from nowhere. */
static bool is_edge_leaving(const struct registry_stream *stream)
{
    const struct registry_carrier *c = registry_carrier_at(stream, 0);

    for (; c; c = registry_carrier_next(c))
        if (c->depth == 1 && !*c->upstream && c->epoch == stream->epoch &&
            c->node->place.state == CLUSTER_NODE_DRAINING)
            return true;
    return false;
}

/* Silence counts for a moment, in which who asks again profits from the answer: then it is asked
 * again. What was replaced is gone for good. */
static bool is_known_gone(const struct registry *r, const struct registry_node *node,
                          int64_t now_us)
{
    bool is_old = node->asked_us && now_us - node->asked_us > r->conf.interval_us / 4;

    return node->is_gone && (!is_old || !list_is_empty(&node->of_dying));
}

void publish_look(struct publish_view *view, const struct registry *r, const char *name,
                  const struct registry_node *asker, int64_t now_us)
{
    const struct registry_node *owner;

    *view = (struct publish_view){.asker = asker, .stream = registry_stream(r, name)};
    owner = view->stream ? view->stream->owner : NULL;
    /* A lease that ended proves nothing, above all while Redis is away: whose heartbeats go to
     * another scheduler is suspect then, and is asked. */
    view->is_live = owner && !is_known_gone(r, owner, now_us);
    view->is_suspect = owner && (owner->is_gone || registry_is_suspect(r, owner, now_us));
    view->is_leaving =
        owner && owner != asker &&
        (owner->place.state == CLUSTER_NODE_DRAINING || is_edge_leaving(view->stream));
}

enum publish_verdict publish_decide(const struct publish_view *view,
                                    const struct cluster_publish *request)
{
    const struct registry_node *owner = view->stream ? view->stream->owner : NULL;

    if (view->asker->place.role == CLUSTER_EDGE || request->role == CLUSTER_EDGE ||
        request->avoid.n)
        return PUBLISH_FORWARD;
    if (!owner || owner == view->asker || !view->is_live)
        return PUBLISH_GRANT;
    if (request->run && request->run == view->stream->run)
        return PUBLISH_MOVE;
    if (view->is_leaving)
        return PUBLISH_GRANT; /* its publishers were told to go elsewhere */
    if (request->duplicate == CLUSTER_DUPLICATE_TAKEOVER)
        return PUBLISH_GRANT;
    if (view->is_suspect)
        return PUBLISH_ASK_OWNER;
    return request->duplicate == CLUSTER_DUPLICATE_STANDBY ? PUBLISH_STANDBY : PUBLISH_REFUSE;
}

const struct registry_standby *
publish_pick_standby(const struct registry *r, const struct registry_stream *stream, int64_t now_us)
{
    const struct registry_standby *second = NULL;
    struct list *at;

    for (at = stream->standbys.next; at != &stream->standbys; at = at->next) {
        const struct registry_standby *standby = list_entry(at, struct registry_standby, of_stream);
        const struct registry_node *node = standby->node;

        if (node == stream->owner || !registry_is_live(node, now_us))
            continue;
        if (node->place.state == CLUSTER_NODE_ACTIVE && !registry_is_suspect(r, node, now_us))
            return standby;
        if (!second)
            second = standby;
    }
    return second;
}
