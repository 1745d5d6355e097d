/* links: scheduler
 * What the store says was needed: read, written and read again it is the same; what was merged once
 * is no news, whatever was known before. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/autoscale.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct autoscale_past past[AUTOSCALE_N_ROLES], again[AUTOSCALE_N_ROLES];
    static struct autoscale_past merged;
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_writer json;

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    if (autoscale_past_read(buf_view_of(copy, size), past) == E_OK) {
        buf_writer_init(&json, 65536);
        autoscale_past_write(past, &json);
        assert(buf_writer_status(&json) == E_OK);
        assert(autoscale_past_read(buf_writer_view(&json), again) == E_OK);
        for (int i = 0; i < AUTOSCALE_N_ROLES; i++) {
            merged = again[AUTOSCALE_N_ROLES - 1 - i];
            (void)autoscale_past_merge(&merged, &again[i], again[i].newest * AUTOSCALE_SLOT_US);
            assert(!autoscale_past_merge(&merged, &again[i], again[i].newest * AUTOSCALE_SLOT_US));
        }
        buf_writer_fini(&json);
    }
    free(copy);
    return 0;
}
