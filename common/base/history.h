/* Figures of the last hour, a sample every HISTORY_STEP_MS: what charts are drawn from. Memory does
 * not grow. One thread at a time. */
#ifndef HW_COMMON_BASE_HISTORY_H
#define HW_COMMON_BASE_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/base/err.h"

#define HISTORY_STEP_MS 5000
#define HISTORY_SAMPLES 720
#define HISTORY_MAX_SERIES 16

struct history { /* zeroed = none */
    const char *const *names;
    unsigned n_series;
    unsigned n, next; /* samples that there are; where the next one goes */
    int64_t *values;  /* owned: HISTORY_SAMPLES rows */
};

/* names: static, ends with NULL, HISTORY_MAX_SERIES at most. E_NOMEM: *h is zeroed. */
enum err history_init(struct history *h, const char *const *names);
void history_fini(struct history *h);
/* One value a name. */
void history_add(struct history *h, const int64_t *values);
/* {"step_ms": 5000, "series": {"viewers": [oldest, ..., newest]}}: a new reference, or NULL. */
json_t *history_json(const struct history *h);

#endif
