/* Words of other servers for what this node does: their API on the admin port, and their kind of
 * notifications, so that programs which were written for them go on. A translation, nothing else:
 * README.md. Off unless the configuration says otherwise. Control loop. */
#ifndef HW_NODE_COMPAT_COMPAT_H
#define HW_NODE_COMPAT_COMPAT_H

#include <stdbool.h>

#include "common/media/name.h"
#include "common/net/http_server.h"

struct node;
struct node_conf;
struct compat; /* opaque */

enum compat_id { COMPAT_LAL, COMPAT_LIVEGO, N_COMPATS };
#define COMPAT_MAX_ROUTES 24u

/* N_COMPATS: there is none of that name. */
enum compat_id compat_of_name(const char *text);
/* Of the list "compat". */
bool compat_has(const struct node_conf *conf, enum compat_id id);
/* Some API, or a receiver of notifications in lal's form. */
bool compat_is_wanted(const struct node_conf *conf);

/* Before the loops run. NULL when out of memory. */
struct compat *compat_create(struct node *node);
/* The loops are stopped, settings and the admin port are gone; NULL is fine. */
void compat_destroy(struct compat **compat);
/* Writes at most COMPAT_MAX_ROUTES rows (arg: struct admin), none when compat is NULL. */
void compat_add_routes(const struct compat *compat, struct http_route *out);

/* A stream as such a client says it: "app/name", or a name alone, which is one of compat_app.
 * E_INVAL with *why (static). */
enum err compat_name(const struct node *node, const char *said, struct stream_name *out,
                     const char **why);

#endif
