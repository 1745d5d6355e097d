/* Events of sessions, and their lines in the access log, whatever the protocol. */
#include "node/control/access_log.h"
#include "node/session/session.h"
#include "node/session/words.h"

static void put(struct node *node, const struct session_info *info, const char *kind,
                const char *reason, bool is_refused)
{
    struct session_counts counts = {0};

    if (!node->access_log)
        return;
    if (info->count)
        info->count(info, &counts);
    access_log_put(node->access_log,
                   &(struct access_entry){.node = node->id,
                                          .session = info->id,
                                          .client = info->peer,
                                          .protocol = info->protocol,
                                          .kind = kind,
                                          .stream = info->stream,
                                          .referrer = words_referrer(info),
                                          .agent = words_agent(info),
                                          .reason = reason,
                                          .wall_us = clock_wall_us(),
                                          .duration_us = clock_mono_us() - info->since_us,
                                          .bytes_in = counts.bytes_in,
                                          .bytes_out = counts.bytes_out,
                                          .n_jumps = counts.n_jumps,
                                          .n_dropped = counts.n_dropped,
                                          .is_refused = is_refused});
}

void session_log(struct node *node, const struct session_info *info, const char *reason)
{
    put(node, info, info->kind, reason, false);
}

void session_log_refused(struct node *node, const struct session_info *info, const char *kind,
                         const char *reason)
{
    put(node, info, kind, reason, true);
}

void session_tell(struct node *node, enum event_id id, const struct session_info *info,
                  const char *reason)
{
    struct event_field why = {"reason", reason, 0};

    events_tell_session(node, id, info, &why, reason ? 1 : 0);
    if (reason)
        session_log(node, info, reason);
}
