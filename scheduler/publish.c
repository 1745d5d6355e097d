/* Who may publish. `refuse`, the default policy of nodes, protects live owners only. */
#include "scheduler/publish.h"

enum publish_verdict publish_decide(const struct publish_view *view, bool takeover)
{
    const struct registry_node *owner = view->stream ? view->stream->owner : NULL;

    if (view->asker->place.role == CLUSTER_EDGE)
        return PUBLISH_FORWARD;
    if (!owner || owner == view->asker || takeover)
        return PUBLISH_GRANT;
    if (!view->is_live || view->owner_is_gone)
        return PUBLISH_GRANT;
    if (view->is_suspect && !view->owner_answered)
        return PUBLISH_ASK_OWNER;
    return PUBLISH_REFUSE;
}
