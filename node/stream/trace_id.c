/* Trace ids of sessions. */
#include "node/stream/trace_id.h"

#include <pthread.h>

#include "common/net/loop.h"
#include "node/stream/media_loop.h"

static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static uint64_t g_process; /* sessions of other processes may have the same id */

static void make_process(void)
{
    g_process = random_u64() | 1; /* never none */
}

/* FNV-1a with a final mix. */
static uint64_t hash(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; text && *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return h ^ h >> 33;
}

struct trace_id trace_id_of(const struct trace_id *told, const char *session)
{
    if (trace_id_is_set(told))
        return *told;
    pthread_once(&g_once, make_process);
    return (struct trace_id){g_process, hash(session)};
}

struct trace_id session_trace_id(const struct session_info *info)
{
    struct session_counts counts = {0};

    if (info->pass.has_trace) /* few have, and to count takes a while */
        info->count(info, &counts);
    return trace_id_of(&counts.trace, info->id);
}

const char *session_trace(const struct session_info *info, char out[TRACE_TEXT_SIZE])
{
    struct trace_id id = session_trace_id(info);

    trace_id_write(&id, out);
    return out;
}

const char *trace_id_send(const struct trace_id *id, char out[TRACEPARENT_SIZE])
{
    uint64_t span = random_u64();

    traceparent_write(id, span ? span : 1, out);
    return out;
}
