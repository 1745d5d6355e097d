/* Hooks: receivers over HTTP that are told what happens at this node (notify), or decide it (gate,
 * see gate.h). Everything runs on the control loop. README.md has the forms. */
#ifndef HW_NODE_HOOKS_HOOKS_H
#define HW_NODE_HOOKS_HOOKS_H

#include <jansson.h>

#include "common/base/conf.h"

struct node;
struct hooks; /* opaque */

/* Makes node->hooks, before the loops run. E_INVAL or E_NOMEM with *error. */
enum err hooks_init(struct node *node, struct conf_error *error);
/* The node is about to end: what waits is tried at once, and once more only if that works. */
void hooks_finish(struct hooks *hooks);
/* Something waits that may still get through. NULL is fine. */
bool hooks_is_busy(const struct hooks *hooks);
/* The loops are stopped; NULL is fine. */
void hooks_destroy(struct hooks **hooks);
/* hooks.update_s, and the secrets' files again; what is broken leaves what was. */
void hooks_reload(struct hooks *hooks);
/* Each target's state, for the API; NULL is fine. Returns an array; NULL when out of memory. */
json_t *hooks_json(const struct hooks *hooks);

#endif
