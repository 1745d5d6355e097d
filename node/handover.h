/* One process of a node takes the place of another without losing a connection. headwater-node
 * --replace connects to handover.socket of the process that runs, gets its listening sockets,
 * serves, and then that one drains; what is published there is pulled from there until it is gone.
 * README.md "Replacing a process". Control loop unless said otherwise. */
#ifndef HW_NODE_HANDOVER_H
#define HW_NODE_HANDOVER_H

#include "common/base/conf.h"
#include "common/media/name.h"
#include "node/node.h"
#include "proto/cluster/cluster.h"

#define HANDOVER_MAX_FDS (MEDIA_LOOPS_MAX + 1)

/* Makes node->handover where handover.socket is set, before the listeners are opened. replace: the
 * control loop is turned until the running process has given its sockets; node->id and
 * node->replaces are then its. E_OK, or E_INVAL with *error. Main thread. */
enum err handover_init(struct node *node, bool replace, struct conf_error *error);
/* Loops are stopped. Takes the socket file away when no other process listens there. */
void handover_fini(struct node *node);

/* The sockets of that name which the other process gave: the caller owns them. Room for
 * HANDOVER_MAX_FDS. Returns how many; 0 also when they listen elsewhere than at text, a
 * configuration's host:port (then they are closed: the address was changed). *bound is theirs. */
unsigned handover_take_fds(struct node *node, const char *name, const char *text,
                           struct addr *bound, int *fds);

/* The loops run: the other process may go, and the next one may come. */
void handover_start(struct node *node);

/* The other process of this node, when it has (or may have) a publisher of the stream: base of its
 * HTTP, and the id that it has in hop lists. Any thread. */
bool handover_upstream(struct node *node, const char *name, char url[CLUSTER_URL_SIZE],
                       char id[CLUSTER_ID_SIZE]);
/* Is this what the process before this one is called in hop lists? Schedulers do not know that
 * name. Any thread. */
bool handover_is_old(const struct node *node, const char *id);
/* stream_hooks.changed: home loop. */
void handover_stream_changed(struct node *node, struct stream *stream);

#endif
