/* Commands of other threads to a stream, if it is here, carried out on its home loop. */
#ifndef HW_NODE_CLUSTER_HOME_H
#define HW_NODE_CLUSTER_HOME_H

#include "node/node.h"

enum home_command {
    HOME_PUBLISHED, /* its owner is at epoch */
    HOME_FENCE,     /* close a publisher below epoch */
    HOME_KICK,
    HOME_PROMOTE /* this node owns it now, with epoch: its first standby becomes the source */
};
/* Any thread; copies. */
void home_post(struct node *node, enum home_command command, const struct stream_name *name,
               uint64_t epoch, const char *owner);

#endif
