/* Who may publish, and who follows an owner that failed: the rules as pure functions. publish_job.c
 * carries them out. */
#ifndef HW_SCHEDULER_PUBLISH_H
#define HW_SCHEDULER_PUBLISH_H

#include "scheduler/registry.h"

enum publish_verdict {
    PUBLISH_GRANT,
    PUBLISH_MOVE,      /* granted: the owner's own encoder comes by another way */
    PUBLISH_FORWARD,   /* an edge asks: to the origin that router_pick_origin() gives */
    PUBLISH_STANDBY,   /* a live owner: the asker holds its publisher ready */
    PUBLISH_REFUSE,    /* a live owner */
    PUBLISH_ASK_OWNER, /* the owner is suspect: first it is asked whether it lives */
    PUBLISH_N_VERDICTS
};

/* What is known of the stream's owner. */
struct publish_view {
    const struct registry_node *asker;
    const struct registry_stream *stream; /* NULL: nobody has it */
    bool is_live, is_suspect;             /* the owner: not known to be gone; may be */
    bool is_leaving;                      /* the owner, or the edge that its encoder came to */
};
void publish_look(struct publish_view *view, const struct registry *r, const char *name,
                  const struct registry_node *asker, int64_t now_us);

/* Whatever the policy of the app (request->duplicate) is, an owner that is gone or leaving does not
 * keep a stream, nor does one whose encoder (request->run) is the asker's, or was sent away by the
 * edge that it had come to. */
enum publish_verdict publish_decide(const struct publish_view *view,
                                    const struct cluster_publish *request);

/* Whose turn it is when nobody live owns the stream, or NULL: the standby that waits longest at a
 * node that lives, is not suspect and not leaving; else at one that lives. */
const struct registry_standby *publish_pick_standby(const struct registry *r,
                                                    const struct registry_stream *stream,
                                                    int64_t now_us);

#endif
