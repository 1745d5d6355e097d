/* What needs the headers of node/: making a node, and looking at what it has. */
#include "tests/sim/sim_node.h"

#include <stdlib.h>
#include <string.h>

#include "node/cluster/agent.h"
#include "node/conf.h"
#include "node/drain.h"
#include "node/node.h"
#include "tests/sim/sim_loop.h"

struct node *sim_node_create(struct sim_daemon *daemon, void (*on_stop)(void *daemon))
{
    struct node *node = calloc(1, sizeof *node);
    struct node_conf conf = {0};
    struct conf_error error;

    if (!node)
        abort();
    sim_daemon_load(daemon, &k_node_schema, &conf);
    if (node_init(node, &conf, false, &error) != E_OK) {
        fprintf(stderr, "headwater-sim: %s: %s\n", daemon->host->name, error.text);
        abort();
    }
    sim_loop_on_stop(node->control, on_stop, daemon);
    return node;
}

void sim_node_run(struct node *node)
{
    node_run(node);
}

void sim_node_terminate(struct node *node)
{
    node_drain(node, DRAIN_SIGNAL);
}

/* As node/cluster/report.c says it: an edge owns nothing. */
static void describe(const struct node *node, struct stream *stream, struct sim_stream *out)
{
    bool is_edge = node->conf.cluster_role == CLUSTER_EDGE;

    struct stream_info info;

    stream_get_info(stream, &info);
    *out = (struct sim_stream){.name = info.name};
    out->epoch = info.epoch;
    out->run = info.run;
    out->n_viewers = info.n_viewers;
    out->n_children = info.n_children;
    out->n_standbys = info.n_standbys;
    out->depth = info.depth;
    out->since_frame_us = info.since_frame_us;
    if (!info.live)
        return;
    out->is_pulled = info.kind == SOURCE_PULL;
    out->is_published = info.kind == SOURCE_PUBLISHER && !is_edge;
    out->is_forwarded = info.kind == SOURCE_PUBLISHER && is_edge;
    snprintf(out->upstream, sizeof out->upstream, "%.*s", CLUSTER_ID_SIZE - 1, info.upstream);
}

unsigned sim_node_streams(const struct sim_daemon *daemon, struct sim_stream *out, unsigned max)
{
    struct node *node = daemon->node;
    unsigned n = 0;

    for (unsigned i = 0; node && i < node->n_loops; i++) {
        struct list *at, *tmp;

        list_for_each_safe(at, tmp, &node->loops[i].media.streams) {
            if (n < max)
                describe(node, stream_at_home(at), &out[n++]);
        }
    }
    return n;
}

bool sim_node_is_connected(const struct sim_daemon *daemon)
{
    return daemon->node && agent_is_connected(daemon->node->agent);
}

bool sim_node_leaves(const struct sim_daemon *daemon)
{
    return daemon->node && daemon->node->drain.has_begun;
}

uint64_t sim_node_instance(const struct sim_daemon *daemon)
{
    return daemon->node ? daemon->node->instance : 0;
}
