/* links: proto/http
 * Range, If-None-Match and If-Range: whatever is asked, the part lies inside the representation. */
#include <stdlib.h>
#include <string.h>

#include "proto/http/http.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t k_sizes[] = {0, 1, 500, 10000, UINT64_MAX};
    uint8_t *copy = malloc(size ? size : 1); /* its end is the block's end */
    struct buf_view value = buf_view_of(copy, size);
    bool strong, weak;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    for (size_t i = 0; i < sizeof k_sizes / sizeof k_sizes[0]; i++) {
        struct http_range range = {0, 0};

        if (http_parse_range(value, k_sizes[i], &range) == HTTP_RANGE_PART)
            check(range.size_bytes > 0 && range.first < k_sizes[i] &&
                  range.size_bytes <= k_sizes[i] - range.first);
    }
    strong = http_etag_is_in(value, "\"hw\"");
    weak = http_etag_is_in(value, "W/\"hw\"");
    check(strong == weak);
    check(!http_if_range_holds(value, "\"hw\"") || strong);
    check(!http_if_range_holds(value, "W/\"hw\""));
    free(copy);
    return 0;
}
