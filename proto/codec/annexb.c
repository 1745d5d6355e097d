/* NAL units behind start codes. */
#include "proto/codec/annexb.h"

#include <string.h>

enum { START_CODE_BYTES = 3 };

/* Where the next 00 00 01 begins, or the end. memchr() looks for its last byte, which is rarer in
 * coded data than zeros are where padding is. */
static size_t find_start(struct buf_view bytes)
{
    size_t at = 2;

    while (at < bytes.size_bytes) {
        const uint8_t *one = memchr(bytes.data + at, 1, bytes.size_bytes - at);

        if (!one)
            break;
        at = (size_t)(one - bytes.data);
        if (bytes.data[at - 1] == 0 && bytes.data[at - 2] == 0)
            return at - 2;
        at++;
    }
    return bytes.size_bytes;
}

bool annexb_next(struct buf_reader *in, struct buf_view *nal)
{
    for (;;) {
        struct buf_view rest = buf_rest(in);
        size_t start = find_start(rest), end, used;

        if (start == rest.size_bytes) {
            (void)buf_take(in, in->left_bytes);
            return false;
        }
        (void)buf_take(in, start + START_CODE_BYTES);
        rest = buf_rest(in);
        end = used = find_start(rest);
        while (used && rest.data[used - 1] == 0) /* trailing_zero_8bits, or a longer start code */
            used--;
        *nal = buf_view_of(rest.data, used);
        (void)buf_take(in, end);
        if (used)
            return true;
    }
}
