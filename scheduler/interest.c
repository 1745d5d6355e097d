/* Which nodes asked for a stream of late. */
#include "scheduler/interest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE (STREAM_NAME_SIZE + CLUSTER_ID_SIZE)

struct interest_stream {
    struct list nodes; /* struct interest.of_stream */
    char name[];
};

static const char *key_of(char key[KEY_SIZE], const char *stream, const char *node)
{
    snprintf(key, KEY_SIZE, "%s %s", stream, node);
    return key;
}

void interests_init(struct interests *all, size_t max, int64_t keep_us)
{
    *all = (struct interests){.max = max, .keep_us = keep_us};
    map_init(&all->streams);
    map_init(&all->pairs);
    list_init(&all->by_age);
}

static void drop_if_empty(struct interests *all, struct interest_stream *stream)
{
    if (!list_is_empty(&stream->nodes))
        return;
    map_remove(&all->streams, stream->name);
    free(stream);
}

static void forget(struct interests *all, struct interest *one)
{
    struct interest_stream *stream = one->stream;
    char key[KEY_SIZE];

    map_remove(&all->pairs, key_of(key, stream->name, one->node));
    list_remove(&one->of_stream);
    list_remove(&one->of_age);
    all->n--;
    free(one);
    drop_if_empty(all, stream);
}

static struct interest *oldest(const struct interests *all)
{
    return list_is_empty(&all->by_age) ? NULL
                                       : list_entry(all->by_age.next, struct interest, of_age);
}

void interests_fini(struct interests *all)
{
    struct interest *one;

    while ((one = oldest(all)))
        forget(all, one);
    map_fini(&all->streams);
    map_fini(&all->pairs);
}

static bool is_over(const struct interests *all, const struct interest *one, int64_t now_us)
{
    return now_us - one->since_us > all->keep_us;
}

static struct interest_stream *need_stream(struct interests *all, const char *name)
{
    struct interest_stream *stream = map_get(&all->streams, name);
    size_t size = strlen(name) + 1;

    if (stream)
        return stream;
    stream = malloc(sizeof *stream + size);
    if (!stream)
        return NULL;
    list_init(&stream->nodes);
    memcpy(stream->name, name, size);
    if (map_set(&all->streams, name, stream) == E_OK)
        return stream;
    free(stream);
    return NULL;
}

static struct interest *add(struct interests *all, const char *key, const char *stream,
                            const char *node)
{
    struct interest_stream *to = need_stream(all, stream);
    struct interest *one = to ? calloc(1, sizeof *one) : NULL;

    if (!one || map_set(&all->pairs, key, one) != E_OK) {
        free(one);
        if (to)
            drop_if_empty(all, to);
        return NULL;
    }
    one->stream = to;
    snprintf(one->node, sizeof one->node, "%s", node);
    list_init(&one->of_age);
    list_push_back(&to->nodes, &one->of_stream);
    all->n++;
    return one;
}

void interests_note(struct interests *all, const char *stream, const char *node, int64_t now_us)
{
    struct interest *one;
    char key[KEY_SIZE];

    while ((one = oldest(all)) && (is_over(all, one, now_us) || all->n >= all->max))
        forget(all, one);
    one = map_get(&all->pairs, key_of(key, stream, node));
    if (!one)
        one = add(all, key, stream, node);
    if (!one)
        return;
    one->since_us = now_us;
    list_remove(&one->of_age);
    list_push_back(&all->by_age, &one->of_age);
}

void interests_tell(const struct interests *all, const char *stream, int64_t now_us,
                    void (*tell)(void *arg, const char *node), void *arg)
{
    const struct interest_stream *asked = map_get(&all->streams, stream);
    struct list *at;

    if (!asked)
        return;
    for (at = asked->nodes.next; at != &asked->nodes; at = at->next) {
        const struct interest *one = list_entry(at, struct interest, of_stream);

        if (!is_over(all, one, now_us))
            tell(arg, one->node);
    }
}
