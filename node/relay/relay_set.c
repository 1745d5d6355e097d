/* The set of what was told: read on all loops, changed by relays.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/relay/guard.h"
#include "node/relay/relays_private.h"

struct relay_pull *relays_pull(const struct relays *relays, const char *stream)
{
    return relays ? map_get(&relays->pulls, stream) : NULL;
}

struct relay_push *relays_push(const struct relays *relays, size_t index)
{
    return relays && relays->pushes ? relays->pushes[index] : NULL;
}

bool relays_has_pulls(const struct relays *relays)
{
    return relays && relays->pulls.n_entries > 0;
}

void relays_each_pull(struct relays *relays, bool (*each)(void *arg, struct relay_pull *pull),
                      void *arg)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *pull;

    while (map_next(&relays->pulls, &cursor, &key, &pull))
        if (!each(arg, pull))
            return;
}

/* NULL with *error, which is "" when out of memory. */
static struct relay_pull *make_pull(const struct pull_item *item, const char *source,
                                    enum relay_origin origin, struct conf_error *error)
{
    struct relay_pull *pull = calloc(1, sizeof *pull);

    error->text[0] = '\0';
    if (!pull)
        return NULL;
    if (pull_item_check(item, source, &pull->name, error) != E_OK ||
        conf_item_copy(&k_pull_item_schema, item, &pull->item) != E_OK) {
        free(pull);
        return NULL;
    }
    atomic_init(&pull->refs, 1);
    relay_status_init(&pull->status);
    pull->origin = origin;
    return pull;
}

/* What another node, or an older release, has kept may not be as pull_item_check() wants it. */
struct relay_pull *relay_pull_make(const struct pull_item *item, enum relay_origin origin)
{
    struct conf_error error;
    struct relay_pull *pull = make_pull(item, item->stream, origin, &error);

    if (!pull && error.text[0])
        log_error("relay", "msg=\"pull not in force\" reason=%s", LOG_STR(error.text));
    return pull;
}

struct relay_pull *relay_pull_of_url(const struct stream_name *name, const char *url)
{
    char *urls[] = {(char *)(uintptr_t)url}; /* borrowed, as all of the item is */
    struct pull_item item = {.stream = (char *)(uintptr_t)name->text,
                             .urls = {.items = urls, .n_items = 1},
                             .mode = PULL_ON_DEMAND,
                             .node = ""};
    struct conf_error error;

    return make_pull(&item, "hook", RELAY_OF_HOOK, &error);
}

struct relay_push *relay_push_make(const char *id, const struct push_item *item,
                                   enum relay_origin origin)
{
    struct relay_push *push = calloc(1, sizeof *push);
    struct conf_error error;

    if (!push)
        return NULL;
    if (push_item_check(item, id, &error) != E_OK) {
        log_error("relay", "msg=\"push not in force\" reason=%s", LOG_STR(error.text));
        free(push);
        return NULL;
    }
    if (conf_item_copy(&k_push_item_schema, item, &push->item) != E_OK) {
        free(push);
        return NULL;
    }
    atomic_init(&push->refs, 1);
    pthread_mutex_init(&push->lock, NULL);
    list_init(&push->runs);
    push->origin = origin;
    snprintf(push->id, sizeof push->id, "%s", id);
    return push;
}

/* Where it is, or would be. */
static size_t place_of(const struct relays *r, const char *id)
{
    size_t i = 0;

    while (i < r->n_pushes && strcmp(r->pushes[i]->id, id) != 0)
        i++;
    return i;
}

struct relay_push *relays_push_of(const struct relays *r, const char *id)
{
    size_t at = place_of(r, id);

    return at < r->n_pushes ? r->pushes[at] : NULL;
}

struct relay_pull *relays_swap_pull(struct relays *r, const char *stream, struct relay_pull *pull)
{
    struct relay_pull *old = map_get(&r->pulls, stream);

    if (pull && map_set(&r->pulls, stream, pull) != E_OK) {
        log_error("relay", "msg=\"pull not taken\" stream=%s reason=\"out of memory\"", stream);
        return pull;
    }
    if (!pull)
        map_remove(&r->pulls, stream);
    if (old)
        atomic_store(&old->gone, true);
    return old;
}

/* The array is made anew, so that nothing can fail halfway. */
struct relay_push *relays_swap_push(struct relays *r, const char *id, struct relay_push *push)
{
    struct relay_push **all = calloc(r->n_pushes + 2, sizeof(struct relay_push *));
    size_t at = place_of(r, id), n = r->n_pushes;
    struct relay_push *old = at < n ? r->pushes[at] : NULL;

    if (!all) {
        log_error("relay", "msg=\"push not taken\" id=%s reason=\"out of memory\"", id);
        return push;
    }
    if (n)
        memcpy(all, r->pushes, n * sizeof(struct relay_push *));
    if (push) {
        all[at] = push;
        n += at == n;
    } else if (old) {
        memmove(all + at, all + at + 1, (n - at) * sizeof(struct relay_push *));
        n--;
    }
    free(r->pushes);
    r->pushes = all;
    r->n_pushes = n;
    if (old)
        atomic_store(&old->gone, true);
    return old;
}

/* --- the configuration's --- */

/* Entries of one stream are one pull with the URLs of all. */
static void add_urls(struct pull_item *item, const struct relay_pull *before)
{
    const struct conf_list *old = &before->item.urls;
    char **items = calloc(old->n_items + item->urls.n_items, sizeof items[0]);
    size_t n = 0;

    if (!items)
        return;
    for (size_t i = 0; i < old->n_items && n < RELAY_MAX_URLS; i++)
        if ((items[n] = strdup(old->items[i])))
            n++;
    for (size_t i = 0; i < item->urls.n_items; i++)
        if (n < RELAY_MAX_URLS)
            items[n++] = item->urls.items[i];
        else
            free(item->urls.items[i]);
    free(item->urls.items);
    item->urls = (struct conf_list){.items = items, .n_items = n};
}

static void read_sources(struct relays *r)
{
    const struct conf_list *list = &r->node->conf.pull_sources;

    for (size_t i = 0; i < list->n_items; i++) {
        struct pull_item item = {0};
        struct stream_name name;
        struct conf_error error;
        struct relay_pull *old;

        if (pull_item_from_conf("pull.sources", list->items[i], &item, &name, &error) != E_OK)
            continue; /* node_conf_check() has refused it */
        if (relays_pull(r, name.text))
            add_urls(&item, relays_pull(r, name.text));
        old = relays_swap_pull(r, name.text, relay_pull_make(&item, RELAY_OF_CONF));

        relay_pull_unref(&old);
        conf_free(&k_pull_item_schema, &item);
    }
}

static void read_targets(struct relays *r)
{
    const struct conf_list *list = &r->node->conf.push_targets;

    for (size_t i = 0; i < list->n_items; i++) {
        struct push_item item = {0};
        struct relay_push *old;
        struct conf_error error;
        char id[48];

        snprintf(id, sizeof id, "push.targets.%zu", i);
        if (push_item_from_conf("push.targets", list->items[i], &item, &error) != E_OK)
            continue; /* likewise */
        old = relays_swap_push(r, id, relay_push_make(id, &item, RELAY_OF_CONF));
        relay_push_unref(&old);
        conf_free(&k_push_item_schema, &item);
    }
}

struct relays *relays_of_conf(struct node *node)
{
    struct relays *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->node = node;
    map_init(&r->pulls);
    read_sources(r);
    read_targets(r);
    return r;
}

void relays_destroy(struct relays **relays)
{
    struct relays *r = *relays;
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    *relays = NULL;
    if (!r)
        return;
    relay_guard_destroy(&r->node->relay_guard);
    while (map_next(&r->pulls, &cursor, &key, &value)) {
        struct relay_pull *pull = value;

        relay_pull_unref(&pull);
    }
    map_fini(&r->pulls);
    for (size_t i = 0; i < r->n_pushes; i++)
        relay_push_unref(&r->pushes[i]);
    free(r->pushes);
    free(r);
}
