/* What operators told about pulls and pushes: in the configuration, or by API. The set is changed
 * on the control loop while media loops stand still, so they read it without a lock; they are told
 * afterwards. Pulls of mode "always" are kept here, too. */
#ifndef HW_NODE_RELAY_RELAYS_H
#define HW_NODE_RELAY_RELAYS_H

#include <stdatomic.h>

#include "node/control/settings.h"
#include "node/node.h"
#include "node/relay/item.h"
#include "node/relay/order.h"
#include "node/relay/status.h"

enum relay_origin { RELAY_OF_CONF, RELAY_OF_API, RELAY_OF_HOOK };

/* Where a pull was when it ended between two tries: the stream goes when nothing feeds it for a
 * while, and who pulls it next does not begin anew. */
struct relay_memory {
    bool is_set;
    struct relay_order order;
    unsigned n_failed;
    int64_t at_us;
};

struct relay_pull { /* fixed, but for what says otherwise */
    _Atomic uint32_t refs;
    _Atomic bool gone; /* not told any more: who uses it stops */
    enum relay_origin origin;
    struct stream_name name;
    struct pull_item item;
    struct relay_status status;
    struct relay_memory memory; /* under the lock of status */
};

struct relay_push {
    _Atomic uint32_t refs;
    _Atomic bool gone;
    enum relay_origin origin;
    char id[SETTING_ID_SIZE];
    struct push_item item;
    pthread_mutex_t lock;
    struct list runs; /* relay_run.node, under the lock: streams that it sends */
};

struct relay_run { /* embedded in who sends */
    struct list node;
    struct stream_name name;
    struct relay_status status;
};

struct relays; /* opaque */

/* Reads the configuration, which node_conf_check() has seen, makes node.relay_guard, and owns the
 * kinds of settings. Before loops run; NULL when out of memory. */
struct relays *relays_create(struct node *node);
void relays_destroy(struct relays **relays); /* loops are stopped */
/* The media loops run. Control loop. */
void relays_start(struct relays *relays);
/* Another process of this node has taken its place: pulls of mode always, and pushes of what they
 * bring, are that one's. Control loop. */
void relays_hand_over(struct relays *relays);
/* Ends what is kept on the loop; at shutdown, its thread. */
void relays_stop_loop(struct node_loop *nl);

/* Lent until the loop's next turn; NULL: none. relays may be NULL. Media loops and control loop. */
struct relay_pull *relays_pull(const struct relays *relays, const char *stream);
/* Lent likewise; NULL behind the last one. */
struct relay_push *relays_push(const struct relays *relays, size_t index);
bool relays_has_pulls(const struct relays *relays);

/* Any thread. unref() takes *x; NULL is fine. */
struct relay_pull *relay_pull_ref(struct relay_pull *pull);
void relay_pull_unref(struct relay_pull **pull);
struct relay_push *relay_push_ref(struct relay_push *push);
void relay_push_unref(struct relay_push **push);
/* Any thread. recall(): false when there is nothing, or it is so long ago that it says nothing of
 * the next viewer's chances; mode always never forgets. */
void relay_pull_remember(struct relay_pull *pull, const struct relay_memory *memory);
bool relay_pull_recall(struct relay_pull *pull, int64_t now_us, struct relay_memory *out);
/* Returns an on-demand pull that nobody told but a hook; NULL: the URL cannot be pulled from, or
 * out of memory. */
struct relay_pull *relay_pull_of_url(const struct stream_name *name, const char *url);
/* Must what it connects to be looked at? */
static inline bool relay_is_guarded(enum relay_origin origin)
{
    return origin != RELAY_OF_CONF;
}
/* Is it to run here though nobody watches? */
bool relay_pull_is_kept(const struct node *node, const struct relay_pull *pull);

/* For the API: what is told and how it is, URLs masked. Returns a new reference, or NULL. Control
 * loop. */
json_t *relay_pull_json(struct relay_pull *pull);
json_t *relay_push_json(struct relay_push *push);
/* each() until it gives false, in no order. */
void relays_each_pull(struct relays *relays, bool (*each)(void *arg, struct relay_pull *pull),
                      void *arg);

#endif
