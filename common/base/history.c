/* See history.h. */
#include "common/base/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err history_init(struct history *h, const char *const *names)
{
    *h = (struct history){.names = names};
    while (names[h->n_series])
        h->n_series++;
    assert(h->n_series > 0 && h->n_series <= HISTORY_MAX_SERIES);
    h->values = calloc((size_t)HISTORY_SAMPLES * h->n_series, sizeof *h->values);
    if (h->values)
        return E_OK;
    *h = (struct history){0};
    return E_NOMEM;
}

void history_fini(struct history *h)
{
    free(h->values);
    *h = (struct history){0};
}

void history_add(struct history *h, const int64_t *values)
{
    memcpy(&h->values[(size_t)h->next * h->n_series], values, h->n_series * sizeof *values);
    h->next = (h->next + 1) % HISTORY_SAMPLES;
    if (h->n < HISTORY_SAMPLES)
        h->n++;
}

static json_t *series_json(const struct history *h, unsigned series)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < h->n; i++) {
        unsigned row = (h->next + HISTORY_SAMPLES - h->n + i) % HISTORY_SAMPLES;

        (void)json_array_append_new(
            list, json_integer((json_int_t)h->values[(size_t)row * h->n_series + series]));
    }
    return list;
}

json_t *history_json(const struct history *h)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < h->n_series; i++)
        (void)json_object_set_new(all, h->names[i], series_json(h, i));
    return json_pack("{s:i, s:o}", "step_ms", HISTORY_STEP_MS, "series", all);
}
