/* Hop lists. */
#include "node/stream/hops.h"

#include <stdio.h>
#include <string.h>

void hops_init(struct hops *h)
{
    pthread_mutex_init(&h->lock, NULL);
    list_init(&h->children);
    memset(h->upstreams, 0, sizeof h->upstreams);
    h->path[0] = '\0';
}

void hops_fini(struct hops *h)
{
    pthread_mutex_destroy(&h->lock);
}

/* The next id of *ids, which moves past it; false at the end. */
static bool next_id(const char **ids, char id[HOPS_ID_SIZE])
{
    size_t size;

    *ids += strspn(*ids, ", ");
    size = strcspn(*ids, ", ");
    if (!size)
        return false;
    snprintf(id, HOPS_ID_SIZE, "%.*s", (int)(size < HOPS_ID_SIZE ? size : HOPS_ID_SIZE - 1), *ids);
    *ids += size;
    return true;
}

bool hops_hold(const char *ids, const char *id, unsigned *n_ids)
{
    char one[HOPS_ID_SIZE];
    bool found = false;
    unsigned n = 0;

    while (next_id(&ids, one)) {
        found |= !strcmp(one, id);
        n++;
    }
    if (n_ids)
        *n_ids = n;
    return found;
}

static bool is_above_us(const struct hops *h, const char *id)
{
    if (hops_hold(h->path, id, NULL))
        return true;
    for (unsigned i = 0; i < HOPS_UPSTREAMS; i++)
        if (!strcmp(h->upstreams[i], id))
            return true;
    return false;
}

static bool any_is_above_us(const struct hops *h, const char *ids)
{
    char id[HOPS_ID_SIZE];

    while (next_id(&ids, id))
        if (is_above_us(h, id))
            return true;
    return false;
}

bool hops_add_child(struct hops *h, struct hops_child *child, const char *ids)
{
    unsigned depth;
    bool ok;

    child->is_fed = false;
    snprintf(child->ids, sizeof child->ids, "%s", ids);
    pthread_mutex_lock(&h->lock);
    (void)hops_hold(h->path, "", &depth);
    ok = depth < HOPS_MAX_DEPTH && !any_is_above_us(h, child->ids);
    if (ok)
        list_push_back(&h->children, &child->node);
    else
        list_init(&child->node);
    pthread_mutex_unlock(&h->lock);
    return ok;
}

void hops_remove_child(struct hops *h, struct hops_child *child)
{
    pthread_mutex_lock(&h->lock);
    list_remove(&child->node);
    pthread_mutex_unlock(&h->lock);
}

void hops_feed_child(struct hops *h, struct hops_child *child)
{
    pthread_mutex_lock(&h->lock);
    child->is_fed = true;
    pthread_mutex_unlock(&h->lock);
}

bool hops_set_upstream(struct hops *h, unsigned slot, const char *id)
{
    struct list *node, *tmp;
    bool ok = true;

    pthread_mutex_lock(&h->lock);
    list_for_each_safe(node, tmp, &h->children) {
        const struct hops_child *child = list_entry(node, struct hops_child, node);

        ok &= !id[0] || !child->is_fed || !hops_hold(child->ids, id, NULL);
    }
    snprintf(h->upstreams[slot], sizeof h->upstreams[slot], "%s", ok ? id : "");
    pthread_mutex_unlock(&h->lock);
    return ok;
}

void hops_write(struct hops *h, const char *own_id, char out[HOPS_SIZE])
{
    struct list *node, *tmp;
    unsigned n_ids = 1;
    size_t used = (size_t)snprintf(out, HOPS_SIZE, "%s", own_id);

    pthread_mutex_lock(&h->lock);
    list_for_each_safe(node, tmp, &h->children) {
        const struct hops_child *child = list_entry(node, struct hops_child, node);
        const char *ids = child->ids;
        char id[HOPS_ID_SIZE];

        while (child->is_fed && n_ids < HOPS_MAX && next_id(&ids, id)) {
            if (hops_hold(out, id, NULL))
                continue;
            used += (size_t)snprintf(out + used, HOPS_SIZE - used, ",%s", id);
            n_ids++;
        }
    }
    pthread_mutex_unlock(&h->lock);
}

bool hops_set_path(struct hops *h, const char *path)
{
    if (!strcmp(h->path, path))
        return false;
    pthread_mutex_lock(&h->lock);
    snprintf(h->path, sizeof h->path, "%s", path);
    pthread_mutex_unlock(&h->lock);
    return true;
}

void hops_ask_trace(struct hops *h, struct trace_id trace)
{
    pthread_mutex_lock(&h->lock);
    h->trace = trace;
    pthread_mutex_unlock(&h->lock);
}

struct trace_id hops_trace(struct hops *h)
{
    struct trace_id trace;

    pthread_mutex_lock(&h->lock);
    trace = h->trace;
    pthread_mutex_unlock(&h->lock);
    return trace;
}

void hops_write_path(struct hops *h, const char *own_id, char out[HOPS_ID_SIZE + HOPS_PATH_SIZE])
{
    pthread_mutex_lock(&h->lock);
    snprintf(out, HOPS_ID_SIZE + HOPS_PATH_SIZE, "%s%s%s", own_id, h->path[0] ? "," : "", h->path);
    pthread_mutex_unlock(&h->lock);
}
