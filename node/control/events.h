/* What happens at this node, for whoever wants to hear it: hooks, the event stream of the API, the
 * notifications of other servers' kind. Told on any loop, heard on the control loop, in the order
 * of telling on each loop; telling costs one load while nobody listens. */
#ifndef HW_NODE_CONTROL_EVENTS_H
#define HW_NODE_CONTROL_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/list.h"
#include "common/net/loop.h"

struct node;
struct session_info;

/* Name, and what it says. */
#define EVENT_MAP(X)                                                                        \
    X(SERVER_START, "on_server_start")         /* ready: listeners are open */              \
    X(SERVER_STOP, "on_server_stop")           /* begins to drain: reason */                \
    X(UPDATE, "on_update")                     /* once a period: how the node is */         \
    X(RTMP_CONNECT, "on_rtmp_connect")         /* app, flash_ver, tc_url */                 \
    X(PUBLISH, "on_publish")                   /* a publisher is live; session fields */    \
    X(PUBLISH_DONE, "on_publish_done")         /* session fields, reason */                 \
    X(PUBLISH_STALL, "on_publish_stall")       /* nothing came for publish_stall_ms */      \
    X(PLAY, "on_play")                         /* a person plays; session fields */         \
    X(PLAY_DONE, "on_play_done")               /* session fields, reason */                 \
    X(IDLE, "on_idle")                         /* a stream lost its last viewer */          \
    X(STREAM_NOT_FOUND, "on_stream_not_found") /* somebody wants it and nobody has it */    \
    X(PULL_START, "on_pull_start")             /* a source answered; session fields, url */ \
    X(PULL_STOP, "on_pull_stop")               /* session fields, url, reason */            \
    X(PUSH_START, "on_push_start")             /* a target takes the stream; likewise */    \
    X(PUSH_STOP, "on_push_stop")                                                            \
    X(RECORD_SEGMENT, "on_record_segment") /* a file is complete: path, url, duration */    \
    X(HLS_SEGMENT, "on_hls_segment")       /* a segment is complete: uri, duration */

enum event_id {
#define X(id, name) EVENT_##id,
    EVENT_MAP(X)
#undef X
        N_EVENTS
};
extern const char *const k_event_names[N_EVENTS]; /* "on_publish" */

#define EVENT_FIELD_JSON 1 /* the number beside a text that is JSON */

/* A text, or a number where text is NULL. */
struct event_field {
    const char *key;  /* static */
    const char *text; /* borrowed by events_tell() */
    int64_t number;
};

struct event {
    enum event_id id;
    uint64_t seq;    /* 1, 2, ...: of all events of this process that were told */
    int64_t wall_us; /* Unix time of the telling */
    unsigned n_fields;
    struct event_field fields[];
};

struct events_listener { /* embedded in who listens */
    struct list node;    /* private */
    uint32_t mask;       /* 1 << id of those it wants; change it by events_listen() alone */
    /* Control loop; event is lent for the call. */
    void (*on_event)(struct events_listener *listener, const struct event *event);
};

struct events { /* in struct node */
    _Atomic uint32_t mask;
    uint64_t seq;
    struct list listeners;
};

void events_init(struct events *events);
/* Control loop. Again with another mask: that one counts. mask 0 = no more; not from on_event. */
void events_listen(struct events *events, struct events_listener *listener, uint32_t mask);

/* For who would have to work for the fields. Any thread. */
static inline bool events_wanted(const struct events *events, enum event_id id)
{
    return atomic_load_explicit(&events->mask, memory_order_relaxed) & UINT32_C(1) << id;
}
/* Copies the fields. What cannot be told for want of memory is counted
 * (headwater_events_lost_total). Any thread. */
void events_tell(struct node *node, enum event_id id, const struct event_field *fields,
                 unsigned n_fields);
/* The same with what every session has before them: session, protocol, kind, peer, stream,
 * seconds, bytes_in, bytes_out. On the session's loop. */
void events_tell_session(struct node *node, enum event_id id, const struct session_info *info,
                         const struct event_field *more, unsigned n_more);

#endif
