/* Private to proto/hls: decimal-integer of RFC 8216, section 4.2. */
#ifndef HW_PROTO_HLS_NUMBER_H
#define HW_PROTO_HLS_NUMBER_H

#include "common/base/buf.h"

/* 1 to 20 digits and nothing else, at most max. */
static inline bool hls_read_number(struct buf_view text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (text.size_bytes < 1 || text.size_bytes > 20)
        return false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';

        if (digit > 9 || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

#endif
