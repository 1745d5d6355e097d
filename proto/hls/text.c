/* Attribute values: URIs, seconds. */
#include "proto/hls/text.h"

#include <inttypes.h>

#define US_PER_S 1000000

void hls_write_uri(struct buf_writer *w, struct buf_view uri)
{
    for (size_t i = 0; i < uri.size_bytes; i++) {
        uint8_t c = uri.data[i];

        if (c <= ' ' || c == '"' || c == 0x7f)
            buf_printf(w, "%%%02X", c);
        else
            buf_write_u8(w, c);
    }
}

void hls_write_seconds(struct buf_writer *w, int64_t us)
{
    int64_t value = us > 0 ? us : 0;

    buf_printf(w, "%" PRId64 ".%06" PRId64, value / US_PER_S, value % US_PER_S);
}
