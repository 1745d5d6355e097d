/* A small program's configuration with a field of every type, for the tests of conf_*.c. */
#ifndef HW_TESTS_UNIT_COMMON_BASE_CONF_SCHEMA_H
#define HW_TESTS_UNIT_COMMON_BASE_CONF_SCHEMA_H

#include "common/base/conf.h"

struct sample {
    int not_a_field; /* offsets do not begin at 0 */
    uint64_t loops;
    int latency;
    char *rtmp_listen;
    uint64_t gop_count, gop_bytes;
    char *zone;
    bool redirect;
    struct conf_list schedulers;
    char *advertise_http;
};

static const char *const k_latencies[] = {"realtime", "balanced", "efficient", NULL};

/* clang-format off */
static const struct conf_field k_sample_fields[] = {
    CONF_FIELD_UINT(struct sample, loops, "loops", "0", 0, 256, "", "Event loops; 0 = one a core.", false),
    CONF_FIELD_ENUM(struct sample, latency, "latency", "balanced", k_latencies, "When frames are sent.", true),
    CONF_FIELD_ADDR(struct sample, rtmp_listen, "rtmp.listen", "0.0.0.0:1935", "Where RTMP is accepted.", false),
    CONF_FIELD_UINT(struct sample, gop_count, "gop_cache.count", "1", 0, 16, "", "GOPs kept.", true),
    CONF_FIELD_STRING(struct sample, zone, "cluster.zone", "", 8, "Where the machine stands.", true),
    CONF_FIELD_BOOL(struct sample, redirect, "cluster.redirect", "true", "Whether viewers are redirected.", true),
    CONF_FIELD_LIST(struct sample, schedulers, "cluster.schedulers", "http://a:1, http://b:2", 3, "URLs.", false),
    CONF_FIELD_ADDR(struct sample, advertise_http, "cluster.advertise.public.http", "", "Address for viewers.", false),
    CONF_FIELD_UINT(struct sample, gop_bytes, "gop_cache.max_bytes", "8388608", 10, 1 << 30, "bytes",
                    "Memory for the cached GOPs of one stream, counted as the bytes of all pages that it keeps alive.", false),
};
/* clang-format on */

static const struct conf_schema k_sample = {
    "headwater-sample",
    k_sample_fields,
    sizeof k_sample_fields / sizeof k_sample_fields[0],
    sizeof(struct sample),
};

#endif
