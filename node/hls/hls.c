/* The node's channels: a map under a lock that is taken once a request, and by channels that go. */
#include "node/hls/hls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hls/channel_private.h"

struct hls {
    pthread_mutex_t lock;
    struct map channels; /* by key_of(); under the lock; owns references */
    struct list all;     /* hls_channel.all_node, likewise: those that were replaced, too */
    struct registry *registry;
    unsigned n_loops;
    const struct hls_conf *conf;
    struct hls_groups *groups; /* owned */
};

struct hls *hls_create(struct registry *registry, unsigned n_loops, const struct hls_conf *conf)
{
    struct hls *hls = calloc(1, sizeof *hls);

    if (!hls)
        return NULL;
    pthread_mutex_init(&hls->lock, NULL);
    map_init(&hls->channels);
    list_init(&hls->all);
    hls->registry = registry;
    hls->n_loops = n_loops;
    hls->conf = conf;
    hls->groups = hls_groups_create();
    if (!hls->groups)
        hls_destroy(&hls);
    return hls;
}

void hls_destroy(struct hls **hls)
{
    struct hls *h = *hls;
    struct list *node;

    *hls = NULL;
    if (!h)
        return;
    while ((node = list_pop_front(&h->all))) {
        struct hls_channel *c = list_entry(node, struct hls_channel, all_node);
        struct hls_channel *in_table = map_get(&h->channels, c->key) == c ? c : NULL;

        if (in_table)
            (void)map_remove(&h->channels, c->key);
        hls_channel_close(c);
        hls_channel_unref(&in_table);
    }
    hls_groups_destroy(&h->groups);
    map_fini(&h->channels);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

const struct hls_conf *hls_conf_of(const struct hls *hls)
{
    return hls->conf;
}

struct hls_groups *hls_groups_of(const struct hls *hls)
{
    return hls->groups;
}

struct registry *hls_registry(const struct hls *hls)
{
    return hls->registry;
}

unsigned hls_n_loops(const struct hls *hls)
{
    return hls->n_loops;
}

/* --- the table: under the lock --- */

/* "fmp4-all/app/name". */
static void key_of(const struct stream_name *name, struct hls_form form,
                   char out[sizeof((struct hls_channel *)0)->key])
{
    snprintf(out, sizeof((struct hls_channel *)0)->key, "%s-%s/%s",
             hls_container_name(form.container), hls_only_name(form.only), name->text);
}

static struct hls_channel *make(struct hls *h, const struct stream_name *name, struct hls_form form,
                                const char *key)
{
    struct hls_channel *c = hls_channel_create(h, name, form, key);

    if (!c)
        return NULL;
    if (map_set(&h->channels, key, c) != E_OK) {
        hls_channel_unref(&c);
        return NULL;
    }
    list_push_back(&h->all, &c->all_node);
    hls_channel_open(c);
    return c;
}

static bool is_there_again(struct hls *h, const struct stream_name *name)
{
    struct stream *stream = registry_find(h->registry, name->text);
    bool found = stream != NULL;

    stream_unref(&stream);
    return found;
}

struct hls_channel *hls_get(struct hls *hls, const struct stream_name *name, struct hls_form form,
                            bool play)
{
    char key[sizeof((struct hls_channel *)0)->key];
    struct hls_channel *c, *old = NULL;

    key_of(name, form, key);
    pthread_mutex_lock(&hls->lock);
    c = map_get(&hls->channels, key);
    if (c && play && hls_channel_has_ended(c) && is_there_again(hls, name)) {
        old = map_remove(&hls->channels, key);
        c = NULL;
    }
    if (!c)
        c = make(hls, name, form, key);
    if (c) {
        atomic_store_explicit(&c->used_us, clock_mono_us(), memory_order_relaxed);
        (void)hls_channel_ref(c);
    }
    pthread_mutex_unlock(&hls->lock);
    hls_channel_unref(&old);
    return c;
}

/* --- siblings --- */

/* Under the lock. */
static bool add_sibling(struct hls *h, const struct hls_channel *channel,
                        const struct stream_name *name, struct hls_sibling *out)
{
    char key[sizeof channel->key];
    struct hls_snapshot *s;
    struct hls_channel *c;
    bool is_playable;

    key_of(name, channel->form, key);
    c = map_get(&h->channels, key);
    if (!c || c == channel)
        return false;
    s = hls_channel_look(c);
    is_playable = s->is_playable && !s->edge.ended;
    *out = (struct hls_sibling){.name = *name, .edge = s->edge, .border_us = s->border_us};
    hls_snapshot_unref(&s);
    return is_playable;
}

size_t hls_siblings(struct hls_channel *channel, struct hls_sibling out[HLS_MAX_RENDITIONS])
{
    struct hls *h = channel->hls;
    struct stream_name base = hls_base_of(h, &channel->name), names[HLS_MAX_RENDITIONS];
    size_t n_names = hls_renditions(h, &base, names), n = 0;

    if (!n_names)
        return 0;
    pthread_mutex_lock(&h->lock);
    n += add_sibling(h, channel, &base, &out[n]);
    for (size_t i = 0; i < n_names && n < HLS_MAX_RENDITIONS; i++)
        n += add_sibling(h, channel, &names[i], &out[n]);
    pthread_mutex_unlock(&h->lock);
    return n;
}

bool hls_forget(struct hls_channel *channel, int64_t idle_us)
{
    struct hls *h = channel->hls;
    struct hls_channel *in_table = NULL;
    bool is_used;

    pthread_mutex_lock(&h->lock);
    is_used =
        idle_us >= 0 &&
        clock_mono_us() - atomic_load_explicit(&channel->used_us, memory_order_relaxed) < idle_us;
    if (!is_used) {
        if (map_get(&h->channels, channel->key) == channel)
            in_table = map_remove(&h->channels, channel->key);
        list_remove(&channel->all_node);
    }
    pthread_mutex_unlock(&h->lock);
    hls_channel_unref(&in_table);
    return !is_used;
}

bool hls_is_replaced(struct hls_channel *channel)
{
    struct hls *h = channel->hls;
    const struct hls_channel *now;

    pthread_mutex_lock(&h->lock);
    now = map_get(&h->channels, channel->key);
    pthread_mutex_unlock(&h->lock);
    return now && now != channel;
}

void hls_on_stream_changed(struct hls *hls, struct stream *stream)
{
    struct hls_channel *c;

    if (!hls || hls->conf->mode != HLS_ALWAYS || !stream_has_source(stream))
        return;
    c = hls_get(hls, stream_name_of(stream),
                (struct hls_form){hls->conf->container, HLS_ALL_TRACKS}, true);
    hls_channel_unref(&c);
}
