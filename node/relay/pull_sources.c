/* Pulls from places that were told: one is tried at a time, in their order (order.h). While a later
 * one runs, the first one is tried beside it now and then. */
#include <stdlib.h>

#include "node/conf.h"
#include "node/relay/pull_private.h"

static int64_t now_us(const struct pull *p)
{
    return loop_now_us(p->nl->media.loop);
}

static void use(struct pull *p, struct relay_pull *item)
{
    struct relay_memory before;

    relay_pull_unref(&p->item);
    if (!item)
        return;
    p->item = relay_pull_ref(item);
    if (relay_pull_recall(item, now_us(p), &before)) {
        p->order = before.order;
        p->n_failed = before.n_failed;
    } else {
        relay_order_init(&p->order, (unsigned)item->item.urls.n_items, item->item.retry);
    }
}

void pull_sources_leave(struct pull *p)
{
    struct relay_memory memory = {.is_set = !pull_running_link(p),
                                  .order = p->order,
                                  .n_failed = p->n_failed,
                                  .at_us = now_us(p)};

    if (p->item)
        relay_pull_remember(p->item, &memory);
}

void pull_take_item(struct pull *p)
{
    struct relay_pull *told = relays_pull(p->nl->node->relays, stream_name_of(p->stream)->text);
    bool is_hooks = p->item && p->item->origin == RELAY_OF_HOOK;

    if (told == p->item || (is_hooks && !told))
        return;
    use(p, told);
}

int64_t pull_idle_us(const struct pull *p)
{
    return p->item ? (int64_t)p->item->item.idle_ms * 1000 : 0;
}

void pull_sources_add(struct pull *p, const struct pull_link *running)
{
    int at = running ? 0 : relay_order_next(&p->order, now_us(p));
    struct pull_candidate to = {.node = ""};

    if (at < 0 || (running && !running->to.depth))
        return;
    to.depth = (uint32_t)at;
    to.is_guarded = relay_is_guarded(p->item->origin);
    pull_candidates_add(&p->candidates, &to, p->item->item.urls.items[at], NULL, NULL);
}

void pull_source_runs(struct pull *p, const struct pull_link *l)
{
    if (p->item && !pull_link_is_relay(l))
        relay_order_runs(&p->order, l->to.depth, now_us(p));
}

void pull_source_over(struct pull *p, const struct pull_link *l)
{
    if (!p->item)
        return;
    if (l->state == LINK_RUNNING)
        relay_order_lost(&p->order, now_us(p), random_unit());
    else if (!pull_running_link(p))
        relay_order_failed(&p->order, now_us(p), random_unit());
}

void pull_sources_wait(struct pull *p)
{
    bool gave_up = relay_order_gave_up(&p->order) && !atomic_load(&p->item->gone);

    relay_status_set(&p->item->status, gave_up ? RELAY_FAILED : RELAY_WAITING, NULL, "");
    if (!gave_up)
        timer_start_at_us(&p->retry, atomic_load(&p->item->gone) ? 0 : p->order.due_us);
}

/* --- what is told has changed --- */

/* What it comes from is not told any more: it stops, and begins again with what is. */
static void drop_item(struct pull *p)
{
    struct pull_link *running = pull_running_link(p);

    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i] != running)
            pull_link_close(&p->links[i]);
    if (running && !pull_link_is_relay(running)) {
        running->why = "changed or removed by an operator";
        pull_link_over(running, E_END); /* last: the pull may be gone */
    } else if (!running) {
        timer_start_ms(&p->retry, 0);
    }
}

void pull_items_changed(struct node_loop *nl)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &nl->pulls) {
        struct pull *p = list_entry(node, struct pull, node);
        const char *name = stream_name_of(p->stream)->text;

        if (p->item && atomic_load(&p->item->gone))
            drop_item(p);
        else if (!p->item && !pull_running_link(p) && relays_pull(nl->node->relays, name))
            timer_start_ms(&p->retry, 0);
    }
}

bool pull_is_kept(struct stream *stream)
{
    const struct pull *p = stream_puller(stream);
    const struct pull_link *running = !p             ? NULL
                                      : p->attaching ? p->attaching
                                                     : pull_running_link(p);

    return running && !pull_link_is_relay(running) && p->item &&
           relay_pull_is_kept(p->nl->node, p->item);
}

/* --- an answer of a hook --- */

struct answer {
    struct loop_msg msg;
    struct node *node;
    struct stream *stream;   /* owned reference */
    struct relay_pull *pull; /* likewise */
};

static void on_lost(struct loop_msg *msg)
{
    struct answer *a = list_entry(msg, struct answer, msg);

    stream_unref(&a->stream);
    relay_pull_unref(&a->pull);
    free(a);
}

static void on_answer(struct loop_msg *msg)
{
    struct answer *a = list_entry(msg, struct answer, msg);
    struct node_loop *nl = stream_home(a->stream)->owner;
    bool is_wanted = stream_is_wanted(a->stream) && !stream_has_source(a->stream) &&
                     !stream_has_ended(a->stream) && !nl->closed;
    struct pull *p = is_wanted ? pull_of(a->stream) : NULL;

    if (p && !p->item && !pull_running_link(p)) {
        use(p, a->pull);
        timer_start_ms(&p->retry, 0);
    }
    on_lost(msg);
}

enum err pull_from_url(struct node *node, const struct stream_name *name, const char *url)
{
    struct relay_pull *pull = relay_pull_of_url(name, url);
    struct answer *a = pull ? calloc(1, sizeof *a) : NULL;

    if (!a) {
        relay_pull_unref(&pull);
        return E_INVAL;
    }
    a->msg = (struct loop_msg){.run = on_answer, .drop = on_lost};
    a->node = node;
    a->pull = pull;
    a->stream = registry_get(node->registry, name);
    if (!a->stream) {
        on_lost(&a->msg);
        return E_NOMEM;
    }
    loop_post(stream_home(a->stream)->loop, &a->msg);
    return E_OK;
}
