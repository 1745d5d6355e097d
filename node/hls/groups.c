/* Which streams are renditions of which: by the suffixes of hls_conf.renditions, or as it was told
 * over the API. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hls/channel_private.h"

struct hls_groups {
    pthread_mutex_t lock;
    struct map by_base;   /* under the lock; owns the groups */
    struct map by_member; /* likewise; borrows them */
};

struct hls_groups *hls_groups_create(void)
{
    struct hls_groups *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    map_init(&g->by_base);
    map_init(&g->by_member);
    return g;
}

void hls_groups_destroy(struct hls_groups **groups)
{
    struct hls_groups *g = *groups;
    struct map_cursor at = {0};
    const char *key;
    void *group;

    *groups = NULL;
    if (!g)
        return;
    while (map_next(&g->by_base, &at, &key, &group))
        free(group);
    map_fini(&g->by_member);
    map_fini(&g->by_base);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

/* --- by suffixes --- */

/* False: it gets too long, or is no name. */
static bool add_suffix(const struct stream_name *base, const char *suffix, struct stream_name *out)
{
    char part[NAME_PART_MAX + 1];
    const char *why;
    int n = snprintf(part, sizeof part, "%s%s", stream_name_part(base), suffix);

    return n < (int)sizeof part && stream_name_make(out, buf_view_of(base->text, base->app_bytes),
                                                    buf_view_str(part), &why) == E_OK;
}

/* The name without the suffix that makes it a rendition, if it has one. */
static struct stream_name cut_suffix(const struct hls_conf *conf, const struct stream_name *name)
{
    size_t size = strlen(name->text);
    struct stream_name base = *name;

    for (size_t i = 0; i < conf->n_renditions; i++) {
        size_t suffix = strlen(conf->renditions[i]);

        if (size > name->app_bytes + 1u + suffix &&
            !strcmp(name->text + size - suffix, conf->renditions[i])) {
            base.text[size - suffix] = '\0';
            break;
        }
    }
    return base;
}

/* --- any thread --- */

size_t hls_renditions(struct hls *hls, const struct stream_name *base,
                      struct stream_name out[HLS_MAX_RENDITIONS])
{
    const struct hls_conf *conf = hls_conf_of(hls);
    struct hls_groups *g = hls_groups_of(hls);
    const struct hls_group *group;
    size_t n = 0;

    pthread_mutex_lock(&g->lock);
    group = map_get(&g->by_base, base->text);
    if (group) {
        n = group->n_members;
        memcpy(out, group->members, n * sizeof *out);
    }
    pthread_mutex_unlock(&g->lock);
    for (size_t i = 0; !group && i < conf->n_renditions; i++)
        n += add_suffix(base, conf->renditions[i], &out[n]);
    return n;
}

bool hls_has_renditions(struct hls *hls, const struct stream_name *base)
{
    struct stream_name names[HLS_MAX_RENDITIONS];

    return hls_renditions(hls, base, names) > 0;
}

struct stream_name hls_base_of(struct hls *hls, const struct stream_name *name)
{
    struct hls_groups *g = hls_groups_of(hls);
    const struct hls_group *group;
    struct stream_name base = *name;

    pthread_mutex_lock(&g->lock);
    group = map_get(&g->by_member, name->text);
    if (group)
        base = group->base;
    else if (!map_get(&g->by_base, name->text))
        base = cut_suffix(hls_conf_of(hls), name);
    pthread_mutex_unlock(&g->lock);
    return base;
}

/* --- as told: under the lock --- */

static bool is_twice(const struct hls_group *group, size_t at)
{
    const char *name = group->members[at].text;

    for (size_t i = 0; i < at; i++)
        if (!strcmp(group->members[i].text, name))
            return true;
    return !strcmp(group->base.text, name);
}

/* Rules and keys are an app's: whoever may play a stream may play its renditions. */
static enum err check(const struct hls_groups *g, const struct hls_group *group)
{
    const struct hls_group *old = map_get(&g->by_base, group->base.text);

    for (size_t i = 0; i < group->n_members; i++) {
        const struct hls_group *other = map_get(&g->by_member, group->members[i].text);

        if (is_twice(group, i) || !stream_name_is_of_app(&group->members[i], &group->base))
            return E_INVAL;
        if ((other && other != old) || map_get(&g->by_base, group->members[i].text))
            return E_BUSY;
    }
    if (map_get(&g->by_member, group->base.text))
        return E_BUSY;
    return !old && g->by_base.n_entries >= HLS_MAX_GROUPS ? E_LIMIT : E_OK;
}

static bool take_out(struct hls_groups *g, const char *base)
{
    struct hls_group *group = map_remove(&g->by_base, base);

    for (size_t i = 0; group && i < group->n_members; i++)
        (void)map_remove(&g->by_member, group->members[i].text);
    free(group);
    return group != NULL;
}

/* Takes group. */
static enum err put_in(struct hls_groups *g, struct hls_group *group)
{
    enum err e = map_set(&g->by_base, group->base.text, group);

    if (e != E_OK) {
        free(group);
        return e;
    }
    for (size_t i = 0; e == E_OK && i < group->n_members; i++)
        e = map_set(&g->by_member, group->members[i].text, group);
    if (e != E_OK)
        (void)take_out(g, group->base.text);
    return e;
}

enum err hls_group_check(struct hls *hls, const struct hls_group *group)
{
    struct hls_groups *g = hls_groups_of(hls);
    enum err e;

    pthread_mutex_lock(&g->lock);
    e = check(g, group);
    pthread_mutex_unlock(&g->lock);
    return e;
}

enum err hls_group_set(struct hls *hls, const struct hls_group *group)
{
    struct hls_groups *g = hls_groups_of(hls);
    struct hls_group *copy = malloc(sizeof *copy);
    enum err e;

    if (!copy)
        return E_NOMEM;
    *copy = *group;
    pthread_mutex_lock(&g->lock);
    e = check(g, group);
    if (e == E_OK) {
        (void)take_out(g, group->base.text);
        e = put_in(g, copy);
        copy = NULL;
    }
    pthread_mutex_unlock(&g->lock);
    free(copy);
    return e;
}

bool hls_group_remove(struct hls *hls, const char *base)
{
    struct hls_groups *g = hls_groups_of(hls);
    bool found;

    pthread_mutex_lock(&g->lock);
    found = take_out(g, base);
    pthread_mutex_unlock(&g->lock);
    return found;
}
