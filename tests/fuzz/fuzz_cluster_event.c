/* Lines of the events connection.
 * links: proto/cluster */
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct cluster_event first, second;
    struct cluster_error error;
    struct buf_writer w;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    buf_writer_init(&w, 1 << 20);
    if (cluster_event_decode(buf_view_of(copy, size), &first, &error) == E_OK &&
        first.type != CLUSTER_EVENT_UNKNOWN) {
        if (cluster_event_encode(&first, &w) != E_OK ||
            cluster_event_decode(buf_writer_view(&w), &second, &error) != E_OK ||
            first.type != second.type || first.epoch != second.epoch ||
            strcmp(first.name.text, second.name.text) != 0 || strcmp(first.node, second.node) != 0)
            abort();
    }
    buf_writer_fini(&w);
    free(copy);
    return 0;
}
