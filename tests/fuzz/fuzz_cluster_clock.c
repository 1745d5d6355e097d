/* links: node/cluster
 * Answers to questions for another node's clock. The first two bytes are the time that each takes
 * and the pause before the next, in ms; then one body a line. */
#include <stdlib.h>
#include <string.h>

#include "node/cluster/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum err read_copy(const uint8_t *data, size_t size, int64_t *theirs_us)
{
    uint8_t *copy = malloc(size ? size : 1);
    enum err e;

    require(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    e = clock_answer_read(buf_view_of(copy, size), theirs_us);
    free(copy);
    return e;
}

/* One answer; what is known of the clock after it is as good as this answer at least. */
static void take(struct clock_offset *c, int64_t sent_us, int64_t trip_us, int64_t theirs_us)
{
    int64_t offset_us, unc_us, received_us = sent_us + trip_us;

    require(clock_offset_add(c, sent_us, theirs_us, received_us));
    require(clock_offset_read(c, received_us, &offset_us, &unc_us));
    require(unc_us > 0 && unc_us <= trip_us / 2 + trip_us * CLOCK_DRIFT_PPM / 1000000 + 3);
    require(offset_us >= -CLOCK_MAX_US && offset_us <= CLOCK_MAX_US);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clock_offset c = {0};
    int64_t sent_us = 1000000, trip_us, pause_us;

    if (size < 2)
        return 0;
    trip_us = data[0] * 1000;
    pause_us = data[1] * 1000;
    data += 2;
    size -= 2;
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;
        int64_t theirs_us = -77;
        enum err e = read_copy(data, n, &theirs_us);

        require(e == E_OK || (e == E_PROTO && theirs_us == -77));
        if (e == E_OK)
            take(&c, sent_us, trip_us, theirs_us);
        sent_us += trip_us + pause_us;
        n += end != NULL;
        data += n;
        size -= n;
    }
    return 0;
}
