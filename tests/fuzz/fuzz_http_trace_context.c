/* links: proto/http
 * traceparent: what is taken is written and read again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), written[TRACEPARENT_SIZE];
    struct trace_id id, again;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (traceparent_parse(text, &id)) {
        assert(trace_id_is_set(&id));
        traceparent_write(&id, 1, written);
        assert(traceparent_parse(written, &again) && memcmp(&id, &again, sizeof id) == 0);
    }
    (void)trace_id_parse(text, &id);
    free(text);
    return 0;
}
