/* Between sim_daemon.c and sim_node.c: the node's headers and the scheduler's both have a struct
 * registry, so no file sees both. */
#ifndef HW_TESTS_SIM_SIM_NODE_H
#define HW_TESTS_SIM_SIM_NODE_H

#include "common/base/conf.h"
#include "tests/sim/sim_daemon.h"

/* Fills *conf as main() would from the command line. */
void sim_daemon_load(const struct sim_daemon *daemon, const struct conf_schema *schema, void *conf);

/* on_stop(daemon) is called when the process is about to end. */
struct node *sim_node_create(struct sim_daemon *daemon, void (*on_stop)(void *daemon));
void sim_node_run(struct node *node);
void sim_node_terminate(struct node *node); /* SIGTERM */

#endif
