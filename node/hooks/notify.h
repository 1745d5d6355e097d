/* The queue of a target that is told: in order, one request under way, what came meanwhile goes
 * with the next one. Bounded in events and bytes; the oldest give way. Private to node/hooks. */
#ifndef HW_NODE_HOOKS_NOTIFY_H
#define HW_NODE_HOOKS_NOTIFY_H

#include "common/base/list.h"
#include "common/net/http_client.h"
#include "proto/http/trace_context.h"

struct hook_target;

#define NOTIFY_MAX_BYTES (16u << 20)      /* that wait for one target */
#define NOTIFY_BATCH_MAX_BYTES (1u << 20) /* in one request, unless one event is longer */

/* An event as JSON, shared by the targets that want it. */
struct hook_text {
    unsigned n_refs;
    int64_t told_us; /* clock_mono_us() */
    size_t size_bytes;
    const char *name;      /* static: what {event} in the URL stands for */
    struct trace_id trace; /* zeros = of no session */
    char text[];
};
/* Takes one reference each. */
void hook_text_unref(struct hook_text *text);

struct notify { /* in struct hook_target */
    struct hook_target *target;
    struct list waiting; /* struct entry, oldest first; with those under way */
    size_t n_waiting, waiting_bytes;
    size_t n_sending;       /* the first ones, of the request under way */
    struct http_call *call; /* or NULL */
    struct timer retry;     /* runs while it backs off */
    int64_t backoff_ms;
    bool is_finishing, has_given_up;
};

void notify_init(struct notify *n, struct hook_target *target);
void notify_fini(struct notify *n);
/* Takes a reference of its own. */
void notify_add(struct notify *n, struct hook_text *text);
/* What waits is tried now; after a failure no more. */
void notify_finish(struct notify *n);
bool notify_is_busy(const struct notify *n);

#endif
