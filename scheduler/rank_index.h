/* Things in the order of a 64-bit rank, for those who look at the first few of many: a skip list
 * (Pugh 1990) whose nodes live in the things listed. Insert, remove and find cost O(log n). The
 * same ranks give the same order on every machine. One thread at a time. */
#ifndef HW_SCHEDULER_RANK_INDEX_H
#define HW_SCHEDULER_RANK_INDEX_H

#include <stdint.h>

#define RANK_INDEX_LEVELS 4 /* one in eight goes a level up: enough for ten thousand */

struct rank_entry {
    uint64_t rank; /* evenly spread, and unchanged while inserted */
    struct rank_entry *next[RANK_INDEX_LEVELS];
};
struct rank_index {
    struct rank_entry *first[RANK_INDEX_LEVELS];
};

/* Behind those of equal rank. */
void rank_index_insert(struct rank_index *index, struct rank_entry *entry);
void rank_index_remove(struct rank_index *index, struct rank_entry *entry);
/* The first entry at rank or above, or NULL; go on with entry->next[0]. */
struct rank_entry *rank_index_at(const struct rank_index *index, uint64_t rank);

#endif
