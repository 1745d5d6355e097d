/* Which scheduler this node belongs to: the one that answers its heartbeats, since that one knows
 * best what it has, and what others have that report there. After a failover the way back to the
 * first of the list is looked for by questions of its own: a heartbeat that waits for a dead
 * scheduler would be late. */
#include <stdio.h>
#include <string.h>

#include "node/cluster/agent_private.h"

#define LOOK_MS 5000 /* +- half, so that the nodes of a scheduler do not come back at once */

static bool is_first_choice(const struct agent *agent)
{
    return strcmp(agent->server, http_client_first(agent->look_client)) == 0;
}

static void on_looked(void *arg, const struct http_reply *reply)
{
    struct agent *agent = arg;

    agent->look = NULL;
    if (reply->e == E_OK && reply->status == 200)
        http_client_prefer(agent->beat_client, reply->server);
    if (!is_first_choice(agent))
        timer_start_ms(&agent->look_timer, jitter_ms(LOOK_MS, 0.5));
}

static void on_look(struct timer *timer)
{
    struct agent *agent = list_entry(timer, struct agent, look_timer);

    http_client_prefer(agent->look_client, http_client_first(agent->look_client));
    agent->look = http_client_call(agent->look_client, "GET", "/readyz", NULL, on_looked, agent);
    if (!agent->look)
        timer_start_ms(timer, jitter_ms(LOOK_MS, 0.5));
}

void agent_return_init(struct agent *agent)
{
    timer_init(&agent->look_timer, agent->node->control, on_look);
}

void agent_return_fini(struct agent *agent)
{
    http_call_cancel(&agent->look);
    timer_stop(&agent->look_timer);
}

void agent_return_on_beat(struct agent *agent, const char *server)
{
    bool has_moved = strcmp(agent->server, server) != 0;

    http_client_prefer(agent->ask_client, server);
    http_client_prefer(agent->publish_client, server);
    if (!has_moved)
        return;
    snprintf(agent->server, sizeof agent->server, "%s", server);
    agent_events_move(agent);
    if (!is_first_choice(agent) && !agent->look && !timer_is_armed(&agent->look_timer))
        timer_start_ms(&agent->look_timer, jitter_ms(LOOK_MS, 0.5));
}
