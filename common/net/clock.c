/* The clocks and random numbers of loop.h, which need no loop. */
#include "common/net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/base/log.h"

static int64_t clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

void random_bytes(void *out, size_t size_bytes)
{
    size_t got = 0;

    while (got < size_bytes) {
        ssize_t n = getrandom((uint8_t *)out + got, size_bytes - got, 0);

        if (n > 0) {
            got += (size_t)n;
        } else if (errno != EINTR) { /* no kernel source of randomness: nothing safe can go on */
            log_error("loop", "msg=\"getrandom failed\" error=%s", LOG_STR(strerror(errno)));
            abort();
        }
    }
}

uint64_t random_u64(void)
{
    static _Thread_local uint64_t t_pool[32]; /* one system call for 32 numbers */
    static _Thread_local unsigned t_left;
    uint64_t value;

    if (t_left == 0) {
        random_bytes(t_pool, sizeof t_pool);
        t_left = sizeof t_pool / sizeof t_pool[0];
    }
    value = t_pool[--t_left];
    t_pool[t_left] = 0; /* given out once, not kept in memory */
    return value;
}

double random_unit(void)
{
    return (double)(random_u64() >> 11) * 0x1p-53;
}

int64_t jitter_ms(int64_t base_ms, double fraction)
{
    return (int64_t)((double)base_ms * (1.0 - fraction + 2.0 * fraction * random_unit()) + 0.5);
}
