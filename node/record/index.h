/* The list of the records of a stream: index.jsonl in its folder, one JSON object a line. It is
 * only a list: what is not in it, or is gone, is found by looking at the folder. */
#ifndef HW_NODE_RECORD_INDEX_H
#define HW_NODE_RECORD_INDEX_H

#include <jansson.h>

#include "node/record/writer.h"

struct record_entry {
    struct record_name name;
    int64_t start_us; /* Unix time of the first frame */
    int64_t duration_us;
    uint64_t bytes, run;
    enum media_codec codecs[2]; /* CODEC_NONE = no such track */
    enum record_cut cut;
    uint32_t n_segments; /* of RECORD_HLS */
};

struct record_entries {
    struct record_entry *items; /* owned; by number */
    size_t n_items, max_items;
    bool is_broken; /* there were lines that are none */
};
void record_entries_fini(struct record_entries *list);
/* False: out of memory. */
bool record_entries_add(struct record_entries *list, const struct record_entry *entry);
/* By number; what is there twice is there once, and the list is broken. */
void record_entries_sort(struct record_entries *list);
const struct record_entry *record_entries_find(const struct record_entries *list, uint32_t seq);

/* One line; NULL: not one. */
json_t *record_entry_json(const struct record_entry *entry);
bool record_entry_from_json(json_t *json, struct record_entry *out);
/* Reads lines of text into a zeroed list, sorted. E_NOMEM. */
enum err record_index_parse(struct buf_view text, struct record_entries *out);

/* A list that is not there is empty. E_IO, E_NOMEM. */
enum err record_index_read(int folder_fd, struct record_entries *out);
enum err record_index_append(int folder_fd, const struct record_entry *entry);
/* All of it anew: whole, or as it was. */
enum err record_index_write(int folder_fd, const struct record_entries *list);

#endif
