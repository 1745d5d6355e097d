/* Who may publish: the rule as a pure function. publish_job.c carries it out. */
#ifndef HW_SCHEDULER_PUBLISH_H
#define HW_SCHEDULER_PUBLISH_H

#include "scheduler/registry.h"

enum publish_verdict {
    PUBLISH_GRANT,
    PUBLISH_FORWARD,  /* an edge asks: to the origin that router_pick_origin() gives */
    PUBLISH_REFUSE,   /* a live owner, and no takeover */
    PUBLISH_ASK_OWNER /* the owner is suspect: alive refuses, silent grants */
};

struct publish_view {
    const struct registry_node *asker;
    const struct registry_stream *stream; /* NULL: nobody owns or carries it */
    bool owner_is_gone;                   /* it was asked and did not answer */
    bool owner_answered;
    bool is_suspect, is_live; /* the owner */
};

enum publish_verdict publish_decide(const struct publish_view *view, bool takeover);

#endif
