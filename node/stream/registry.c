/* Registry: names to streams, under one lock that is taken at join and leave only. */
#include <pthread.h>
#include <stdlib.h>

#include "node/stream/stream_private.h"

struct registry {
    pthread_mutex_t lock;
    struct map streams; /* under lock; each entry owns a reference */
    const struct stream_conf *conf;
    struct stream_hooks hooks;
    struct media_loop *loops[MEDIA_LOOPS_MAX];
    unsigned n_loops;
};

struct registry *registry_create(const struct stream_conf *conf, const struct stream_hooks *hooks)
{
    struct registry *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    map_init(&r->streams);
    r->conf = conf;
    r->hooks = *hooks;
    return r;
}

void registry_destroy(struct registry **registry)
{
    struct registry *r = *registry;
    struct map_cursor cursor = {0};
    const char *name;
    void *value;

    *registry = NULL;
    if (!r)
        return;
    while (map_next(&r->streams, &cursor, &name, &value)) {
        struct stream *s = value;

        stream_unref(&s);
    }
    map_fini(&r->streams);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void registry_add_loop(struct registry *registry, struct media_loop *ml)
{
    registry->loops[ml->index] = ml;
    if (ml->index >= registry->n_loops)
        registry->n_loops = ml->index + 1;
}

struct media_loop *registry_loop(const struct registry *registry, unsigned index)
{
    return registry->loops[index];
}

const struct stream_conf *registry_conf(const struct registry *registry)
{
    return registry->conf;
}

const struct stream_hooks *registry_hooks(const struct registry *registry)
{
    return &registry->hooks;
}

struct stream *registry_find(struct registry *registry, const char *name)
{
    struct stream *s;

    pthread_mutex_lock(&registry->lock);
    s = map_get(&registry->streams, name);
    if (s)
        stream_ref(s);
    pthread_mutex_unlock(&registry->lock);
    return s;
}

/* The loop with the fewest streams. */
static struct media_loop *pick_home(const struct registry *r)
{
    struct media_loop *best = r->loops[0];

    for (unsigned i = 1; i < r->n_loops; i++)
        if (atomic_load_explicit(&r->loops[i]->n_streams, memory_order_relaxed) <
            atomic_load_explicit(&best->n_streams, memory_order_relaxed))
            best = r->loops[i];
    return best;
}

struct stream *registry_get(struct registry *registry, const struct stream_name *name)
{
    struct stream *s;

    pthread_mutex_lock(&registry->lock);
    s = map_get(&registry->streams, name->text);
    if (!s) {
        s = stream_create(registry, pick_home(registry), name);
        if (s && map_set(&registry->streams, name->text, s) != E_OK)
            stream_unref(&s);
    }
    if (s)
        stream_ref(s);
    pthread_mutex_unlock(&registry->lock);
    return s;
}

void registry_forget(struct registry *registry, struct stream *stream)
{
    struct stream *gone = NULL;

    pthread_mutex_lock(&registry->lock);
    if (map_get(&registry->streams, stream->name.text) == stream)
        gone = map_remove(&registry->streams, stream->name.text);
    pthread_mutex_unlock(&registry->lock);
    stream_unref(&gone);
}
