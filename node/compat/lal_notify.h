/* lal's notifications: which of them an event of ours is, and what its body says. Who sends them is
 * node/hooks. Control loop. */
#ifndef HW_NODE_COMPAT_LAL_NOTIFY_H
#define HW_NODE_COMPAT_LAL_NOTIFY_H

#include <jansson.h>

#include "common/base/map.h"
#include "node/control/events.h"

struct compat;

/* Who feeds and who takes each stream, counted from events: "has_in_session" is the state after
 * one.
 */
struct lal_notify {     /* in struct compat */
    struct map streams; /* name -> its counts, owned */
    void (*on_update)(void *arg, json_t *body);
    void *arg;
};

/* Events that lal has a word for, as bits. */
extern const uint32_t k_lal_events;

void lal_notify_init(struct lal_notify *n);
void lal_notify_fini(struct lal_notify *n);
/* The name of a body in lal's words: static; NULL: it has none for the event. */
const char *lal_event_name(enum event_id id);
/* Each event once, in their order, wanted or not: it counts. Returns the body; NULL: there is none
 * (on_update comes by lal_notify_update(); fMP4 segments, which lal does not have), or out of
 * memory. */
json_t *lal_notify_body(struct compat *compat, const struct event *event);
/* Has on_update() (lent body) called for each lal_notify_update(), which has to ask the media loops
 * first; not when out of memory. */
void lal_notify_listen(struct compat *compat, void (*on_update)(void *arg, json_t *body),
                       void *arg);
void lal_notify_update(struct compat *compat);

#endif
