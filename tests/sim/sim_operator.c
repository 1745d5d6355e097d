/* The operator: orders drains at the schedulers, and takes them back. */
#include <stdlib.h>

#include "common/net/http_client.h"
#include "tests/sim/sim_world.h"

static struct {
    struct http_client *client;
    struct sim_daemon
        *asked; /* whose order is under way: one at a time, so that they arrive in order */
    bool is_told[SIM_MAX_NODES];
} g;

void sim_operator_begin(void)
{
    char urls[SIM_MAX_SCHEDULERS][80];
    const char *list[SIM_MAX_SCHEDULERS], *why = "";
    struct http_client_conf conf = {.urls = list,
                                    .n_urls = sim_world.n_schedulers,
                                    .bearer_token = SIM_TOKEN,
                                    .timeout_ms = 1000,
                                    .max_body_bytes = 65536,
                                    .log_area = "operator"};
    struct sim_process *before = sim_enter(sim_process_start(sim_host_add("operator"), "operator"));

    for (unsigned i = 0; i < sim_world.n_schedulers; i++) {
        snprintf(urls[i], sizeof urls[i], "http://%s:%d", sim_world.schedulers[i].host->address,
                 SIM_SCHEDULER_PORT);
        list[i] = urls[i];
    }
    g.client = http_client_create(loop_create("operator", 0), &conf, &why);
    if (!g.client)
        abort();
    sim_leave(before);
}

static void order_next(void);

static void on_done(void *arg, const struct http_reply *reply)
{
    struct sim_daemon *node = arg;
    unsigned i = (unsigned)(node - sim_world.nodes);

    sim_note("operator: order for %s answered: %s %u", node->host->name, err_name(reply->e),
             reply->status);
    g.asked = NULL;
    if (reply->e != E_OK) /* by the next strike, or by the heal */
        g.is_told[i] = node->is_ordered;
    order_next();
}

/* The first node whose orders have changed. */
static void order_next(void)
{
    char path[80];

    for (unsigned i = 0; i < sim_world.n_nodes && !g.asked; i++) {
        struct sim_daemon *node = &sim_world.nodes[i];

        if (node->is_ordered == g.is_told[i])
            continue;
        g.is_told[i] = node->is_ordered;
        g.asked = node;
        snprintf(path, sizeof path, "/api/v1/nodes/%s/drain", node->host->name);
        (void)http_client_call(g.client, node->is_ordered ? "POST" : "DELETE", path,
                               node->is_ordered ? "{}" : NULL, on_done, node);
    }
}

void sim_operator_drain(struct sim_daemon *node, bool wanted)
{
    node->is_ordered = wanted;
    order_next();
}
