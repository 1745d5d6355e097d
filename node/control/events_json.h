/* An event as others read it: hooks, the event stream of the API. Control loop. */
#ifndef HW_NODE_CONTROL_EVENTS_JSON_H
#define HW_NODE_CONTROL_EVENTS_JSON_H

#include <jansson.h>

#include "common/base/buf.h"
#include "node/control/events.h"

#define EVENT_ID_SIZE 48

/* "<instance>-<sequence number>": one of its own for each event of each process. Returns out. */
const char *event_id_format(const struct node *node, uint64_t seq, char out[EVENT_ID_SIZE]);
/* False: it is no such text, or of another process. *seq is written only on true. */
bool event_id_parse(const struct node *node, const char *text, uint64_t *seq);
/* The other way round for names, "on_play": N_EVENTS when there is none. */
enum event_id event_of_name(struct buf_view name);
/* {"id", "event", "time": RFC 3339 with ms, "node", and its fields}. What is not UTF-8 in a text
 * becomes U+FFFD. Returns a new reference; NULL when out of memory. */
json_t *event_json(const struct node *node, const struct event *event);

#endif
