/* links: node/record
 * An index that anybody may have edited: what is read of it is read again from what is written of
 * it, and names are names. */
#include <stdlib.h>
#include <string.h>

#include "node/record/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_entries list = {.items = NULL};

    if (record_index_parse(buf_view_of(data, size), &list) != E_OK)
        return 0;
    for (size_t i = 0; i < list.n_items; i++) {
        json_t *json = record_entry_json(&list.items[i]);
        struct record_entry again;

        if (json &&
            (!record_entry_from_json(json, &again) || again.name.seq != list.items[i].name.seq ||
             again.start_us != list.items[i].start_us))
            abort();
        json_decref(json);
        if (i && list.items[i].name.seq <= list.items[i - 1].name.seq)
            abort();
    }
    record_entries_fini(&list);
    return 0;
}
