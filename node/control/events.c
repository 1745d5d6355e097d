/* Events: copied where they happen, heard on the control loop. */
#include "node/control/events.h"

#include <stdlib.h>
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/node.h"
#include "node/stream/trace_id.h"

#define MAX_FIELDS 32u

const char *const k_event_names[N_EVENTS] = {
#define X(id, name) [EVENT_##id] = name,
    EVENT_MAP(X)
#undef X
};

/* One block: the fields' texts lie behind them. */
struct telling {
    struct loop_msg msg;
    struct node *node;
    struct event event;
};

void events_init(struct events *events)
{
    atomic_init(&events->mask, 0);
    events->seq = 0;
    list_init(&events->listeners);
}

void events_listen(struct events *events, struct events_listener *listener, uint32_t mask)
{
    struct list *node, *tmp;
    uint32_t all = 0;

    if (listener->mask)
        list_remove(&listener->node);
    listener->mask = mask;
    if (mask)
        list_push_back(&events->listeners, &listener->node);
    list_for_each_safe(node, tmp, &events->listeners) {
        all |= list_entry(node, struct events_listener, node)->mask;
    }
    atomic_store(&events->mask, all);
}

static void on_drop(struct loop_msg *msg)
{
    free(list_entry(msg, struct telling, msg));
}

static void on_run(struct loop_msg *msg)
{
    struct telling *telling = list_entry(msg, struct telling, msg);
    struct events *events = &telling->node->events;
    struct list *node, *tmp;

    telling->event.seq = ++events->seq;
    list_for_each_safe(node, tmp, &events->listeners) {
        struct events_listener *listener = list_entry(node, struct events_listener, node);

        if (listener->mask & UINT32_C(1) << telling->event.id)
            listener->on_event(listener, &telling->event);
    }
    free(telling);
}

static struct telling *copy(const struct event_field *fields, unsigned n_fields)
{
    size_t size = sizeof(struct telling) + n_fields * sizeof *fields;
    struct telling *telling;
    char *texts;

    for (unsigned i = 0; i < n_fields; i++)
        size += fields[i].text ? strlen(fields[i].text) + 1 : 0;
    telling = malloc(size);
    if (!telling)
        return NULL;
    texts = (char *)&telling->event.fields[n_fields];
    for (unsigned i = 0; i < n_fields; i++) {
        size_t n = fields[i].text ? strlen(fields[i].text) + 1 : 0;

        telling->event.fields[i] = fields[i];
        if (!n)
            continue;
        telling->event.fields[i].text = memcpy(texts, fields[i].text, n);
        texts += n;
    }
    return telling;
}

void events_tell(struct node *node, enum event_id id, const struct event_field *fields,
                 unsigned n_fields)
{
    struct telling *telling;

    if (!events_wanted(&node->events, id))
        return;
    telling = copy(fields, n_fields);
    if (!telling) {
        metric_add(&m_events_lost, 1);
        return;
    }
    telling->msg = (struct loop_msg){.run = on_run, .drop = on_drop};
    telling->node = node;
    telling->event.id = id;
    telling->event.wall_us = clock_wall_us();
    telling->event.n_fields = n_fields;
    loop_post(node->control, &telling->msg);
}

void events_tell_session(struct node *node, enum event_id id, const struct session_info *info,
                         const struct event_field *more, unsigned n_more)
{
    struct session_counts counts = {0};
    struct event_field fields[MAX_FIELDS];
    char trace[TRACE_TEXT_SIZE];
    unsigned n = 0;

    if (!events_wanted(&node->events, id))
        return;
    if (info->count)
        info->count(info, &counts);
    fields[n++] = (struct event_field){"session", info->id, 0};
    fields[n++] = (struct event_field){"trace", session_trace(info, trace), 0};
    fields[n++] = (struct event_field){"protocol", info->protocol, 0};
    fields[n++] = (struct event_field){"kind", info->kind, 0};
    fields[n++] = (struct event_field){"peer", info->peer, 0};
    fields[n++] = (struct event_field){"stream", info->stream, 0};
    fields[n++] =
        (struct event_field){"seconds", NULL, (clock_mono_us() - info->since_us) / 1000000};
    fields[n++] = (struct event_field){"bytes_in", NULL, (int64_t)counts.bytes_in};
    fields[n++] = (struct event_field){"bytes_out", NULL, (int64_t)counts.bytes_out};
    for (unsigned i = 0; i < n_more && n < MAX_FIELDS; i++)
        fields[n++] = more[i];
    events_tell(node, id, fields, n);
}
