/* See update.h. */
#include "node/hooks/update.h"

#include <stdlib.h>

#include "node/control/admin_private.h"
#include "node/node.h"

static void look_at_stream(struct stream *stream, void *arg)
{
    struct update *u = arg;
    struct stream_info info;

    stream_get_info(stream, &info);
    node_totals_add_stream(&u->totals, &info);
    if (u->n_streams < UPDATE_MAX_STREAMS && info.live)
        u->streams[u->n_streams++] = info;
}

static void collect(struct media_loop *ml, void *arg)
{
    struct update *u = arg;

    gather_each_stream(ml, look_at_stream, u);
    node_totals_add_loop(&u->totals, ml);
}

static int64_t sum(const int64_t bytes[NODE_N_BYTE_ROWS])
{
    int64_t all = 0;

    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++)
        all += bytes[i];
    return all;
}

/* Returns JSON text, or NULL. */
static char *streams_text(const struct update *u)
{
    json_t *items = json_array();
    char *text;

    for (unsigned i = 0; items && i < u->n_streams; i++)
        (void)json_array_append_new(items, admin_stream_json(&u->streams[i]));
    text = items ? json_dumps(items, JSON_COMPACT) : NULL;
    json_decref(items);
    return text;
}

static void on_collected(void *arg)
{
    struct update *u = arg;
    const struct node_totals *t = &u->totals;
    char *streams = streams_text(u);
    struct event_field fields[] = {
        {.key = "uptime_s", .number = (clock_mono_us() - u->started_us) / 1000000},
        {.key = "published", .number = t->n_published},
        {.key = "pulled", .number = t->n_pulled},
        {.key = "waiting", .number = t->n_waiting},
        {.key = "viewers", .number = t->n_people},
        {.key = "relays", .number = t->n_relays},
        {.key = "connections", .number = (int64_t)conn_budget_used(u->node->budget)},
        {.key = "bytes_in", .number = sum(t->in_bytes)},
        {.key = "bytes_out", .number = sum(t->out_bytes)},
        {.key = "streams", .text = streams ? streams : "[]", .number = EVENT_FIELD_JSON},
    };

    u->is_gathering = false;
    events_tell(u->node, EVENT_UPDATE, fields, sizeof fields / sizeof fields[0]);
    free(streams);
}

void update_plan(struct update *u)
{
    timer_stop(&u->timer);
    if (u->node->conf.hooks_update_s)
        timer_start_ms(&u->timer, (int64_t)u->node->conf.hooks_update_s * 1000);
}

static void on_timer(struct timer *timer)
{
    struct update *u = list_entry(timer, struct update, timer);

    update_plan(u);
    if (u->is_gathering || !events_wanted(&u->node->events, EVENT_UPDATE))
        return;
    node_totals_begin(&u->totals);
    u->n_streams = 0;
    u->is_gathering = gather(u->node, collect, on_collected, u) == E_OK;
}

void update_init(struct update *u, struct node *node)
{
    u->node = node;
    u->started_us = clock_mono_us();
    timer_init(&u->timer, node->control, on_timer);
    update_plan(u);
}

void update_stop(struct update *u)
{
    timer_stop(&u->timer);
}
