/* Things in the order of a rank. */
#include "scheduler/rank_index.h"

#include <string.h>

/* For each level the link that leads to entry, or, where there is none, to the first one of a
 * higher rank. */
static void find_links(struct rank_index *index, const struct rank_entry *entry,
                       struct rank_entry **links[RANK_INDEX_LEVELS])
{
    struct rank_entry **level = index->first;

    for (int i = RANK_INDEX_LEVELS - 1; i >= 0; i--) {
        while (level[i] && level[i]->rank < entry->rank)
            level = level[i]->next;
        links[i] = &level[i];
    }
    for (int i = 0; i < RANK_INDEX_LEVELS; i++) /* equal ranks are rare: one by one */
        while (*links[i] && *links[i] != entry && (*links[i])->rank == entry->rank)
            links[i] = &(*links[i])->next[i];
}

/* The rank is the coin. Its high bits are the order, so the low ones are used. */
static int height_of(uint64_t rank)
{
    int height = 1;

    while (height < RANK_INDEX_LEVELS && (rank & 7) == 0) {
        rank >>= 3;
        height++;
    }
    return height;
}

void rank_index_insert(struct rank_index *index, struct rank_entry *entry)
{
    struct rank_entry **links[RANK_INDEX_LEVELS];
    int height = height_of(entry->rank);

    memset(entry->next, 0, sizeof entry->next);
    find_links(index, entry, links);
    for (int i = 0; i < height; i++) {
        entry->next[i] = *links[i];
        *links[i] = entry;
    }
}

void rank_index_remove(struct rank_index *index, struct rank_entry *entry)
{
    struct rank_entry **links[RANK_INDEX_LEVELS];

    find_links(index, entry, links);
    for (int i = 0; i < RANK_INDEX_LEVELS; i++)
        if (*links[i] == entry)
            *links[i] = entry->next[i];
}

struct rank_entry *rank_index_at(const struct rank_index *index, uint64_t rank)
{
    struct rank_entry *const *level = index->first;

    for (int i = RANK_INDEX_LEVELS - 1; i >= 0; i--)
        while (level[i] && level[i]->rank < rank)
            level = level[i]->next;
    return level[0];
}
