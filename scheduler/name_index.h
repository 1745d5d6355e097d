/* Names in order, for lists that are read page by page: a skip list (Pugh 1990) whose nodes live in
 * the things listed. Insert, remove and the start of a page cost O(log n). One thread at a time. */
#ifndef HW_SCHEDULER_NAME_INDEX_H
#define HW_SCHEDULER_NAME_INDEX_H

#define NAME_INDEX_LEVELS 8 /* one in eight goes a level up: enough for 16 million names */

struct name_index_entry {
    const char *name; /* borrowed from the owner, unchanged while inserted */
    struct name_index_entry *next[NAME_INDEX_LEVELS];
};
struct name_index {
    struct name_index_entry *first[NAME_INDEX_LEVELS];
};

/* The name must not be in the index yet. */
void name_index_insert(struct name_index *index, struct name_index_entry *entry);
void name_index_remove(struct name_index *index, struct name_index_entry *entry);
/* The first entry whose name is greater than after, or NULL; go on with entry->next[0]. */
struct name_index_entry *name_index_after(const struct name_index *index, const char *after);

#endif
