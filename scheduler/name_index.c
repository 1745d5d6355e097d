/* Names in order. */
#include "scheduler/name_index.h"

#include <string.h>

#include "common/base/map.h"

/* For each level the link that leads to the first entry whose name is not below name. */
static void find_links(struct name_index *index, const char *name,
                       struct name_index_entry **links[NAME_INDEX_LEVELS])
{
    struct name_index_entry **level = index->first;

    for (int i = NAME_INDEX_LEVELS - 1; i >= 0; i--) {
        while (level[i] && strcmp(level[i]->name, name) < 0)
            level = level[i]->next;
        links[i] = &level[i];
    }
}

/* The keyed hash of the name is the coin: nobody outside can choose names that pile up. */
static int height_of(const char *name)
{
    uint64_t coin = map_hash(name, strlen(name));
    int height = 1;

    while (height < NAME_INDEX_LEVELS && (coin & 7) == 0) {
        coin >>= 3;
        height++;
    }
    return height;
}

void name_index_insert(struct name_index *index, struct name_index_entry *entry)
{
    struct name_index_entry **links[NAME_INDEX_LEVELS];
    int height = height_of(entry->name);

    memset(entry->next, 0, sizeof entry->next);
    find_links(index, entry->name, links);
    for (int i = 0; i < height; i++) {
        entry->next[i] = *links[i];
        *links[i] = entry;
    }
}

void name_index_remove(struct name_index *index, struct name_index_entry *entry)
{
    struct name_index_entry **links[NAME_INDEX_LEVELS];

    find_links(index, entry->name, links);
    for (int i = 0; i < NAME_INDEX_LEVELS; i++)
        if (*links[i] == entry)
            *links[i] = entry->next[i];
}

struct name_index_entry *name_index_after(const struct name_index *index, const char *after)
{
    struct name_index_entry *const *level = index->first;

    for (int i = NAME_INDEX_LEVELS - 1; i >= 0; i--)
        while (level[i] && strcmp(level[i]->name, after) <= 0)
            level = level[i]->next;
    return level[0];
}
