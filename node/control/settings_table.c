/* The items of one kind: an array in the order of ids, so that pages of a list are slices of it. */
#include <stdlib.h>
#include <string.h>

#include "node/control/settings_private.h"

size_t settings_place(const struct settings_kind *kind, const char *id)
{
    size_t begin = 0, end = kind->n;

    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;

        if (strcmp(kind->at[middle]->id, id) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

struct setting *settings_get(const struct settings_kind *kind, const char *id)
{
    size_t place = settings_place(kind, id);

    return place < kind->n && !strcmp(kind->at[place]->id, id) ? kind->at[place] : NULL;
}

static enum err make_room(struct settings_kind *kind)
{
    size_t capacity = kind->capacity ? 2 * kind->capacity : 16;
    struct setting **grown;

    if (kind->n < kind->capacity)
        return E_OK;
    grown = realloc(kind->at, capacity * sizeof(struct setting *));
    if (!grown)
        return E_NOMEM;
    kind->at = grown;
    kind->capacity = capacity;
    return E_OK;
}

struct setting *settings_need(struct settings_kind *kind, const char *id)
{
    size_t place = settings_place(kind, id), size = strlen(id) + 1;
    struct setting *setting;

    if (place < kind->n && !strcmp(kind->at[place]->id, id))
        return kind->at[place];
    setting = make_room(kind) == E_OK ? calloc(1, sizeof *setting + size) : NULL;
    if (!setting)
        return NULL;
    memcpy(setting->id, id, size);
    memmove(kind->at + place + 1, kind->at + place, (kind->n - place) * sizeof(struct setting *));
    kind->at[place] = setting;
    kind->n++;
    return setting;
}

void settings_set_item(struct settings_kind *kind, struct setting *setting, json_t *item)
{
    json_int_t expires_s = json_integer_value(json_object_get(item, "expires"));

    kind->n_live -= setting->item != NULL;
    json_decref(setting->item);
    json_decref(setting->expired);
    setting->item = item;
    setting->expired = NULL;
    setting->expires_s = expires_s > 0 ? expires_s : 0;
    kind->n_live += item != NULL;
}

void settings_end_item(struct settings_kind *kind, struct setting *setting)
{
    kind->n_live -= setting->item != NULL;
    setting->expired = setting->item;
    setting->item = NULL;
    setting->ended_us = clock_mono_us();
}

void settings_revive_item(struct settings_kind *kind, struct setting *setting)
{
    setting->item = setting->expired;
    setting->expired = NULL;
    kind->n_live += setting->item != NULL;
}

void settings_drop(struct settings_kind *kind, size_t place)
{
    struct setting *setting = kind->at[place];

    settings_set_item(kind, setting, NULL);
    free(setting);
    kind->n--;
    memmove(kind->at + place, kind->at + place + 1, (kind->n - place) * sizeof(struct setting *));
}

void settings_bury(struct settings_kind *kind)
{
    while (kind->n - kind->n_live > kind->max_items) {
        size_t oldest = kind->n;

        for (size_t i = 0; i < kind->n; i++)
            if (!kind->at[i]->item &&
                (oldest == kind->n || kind->at[i]->version < kind->at[oldest]->version))
                oldest = i;
        settings_drop(kind, oldest);
    }
}

void settings_kind_fini(struct settings_kind *kind)
{
    while (kind->n)
        settings_drop(kind, kind->n - 1);
    free(kind->at);
    kind->at = NULL;
}

struct settings_kind *settings_need_kind(struct settings *settings, const char *name)
{
    struct settings_kind *kind;

    for (size_t i = 0; i < settings->n_kinds; i++)
        if (!strcmp(settings->kinds[i].name, name))
            return &settings->kinds[i];
    if (settings->n_kinds == SETTINGS_MAX_KINDS || strlen(name) >= CLUSTER_KIND_SIZE)
        return NULL;
    kind = &settings->kinds[settings->n_kinds++];
    strcpy(kind->name, name);
    kind->max_items = CLUSTER_MAX_SETTINGS;
    return kind;
}
