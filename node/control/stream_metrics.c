/* The streams with most viewers, as metrics. */
#include "node/control/stream_metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum err stream_metrics_init(struct stream_metrics *m, size_t limit)
{
    *m = (struct stream_metrics){.limit = limit};
    if (limit == 0)
        return E_OK;
    m->items = calloc(limit, sizeof *m->items);
    if (!m->items)
        m->limit = 0;
    return m->items ? E_OK : E_NOMEM;
}

void stream_metrics_fini(struct stream_metrics *m)
{
    free(m->items);
    *m = (struct stream_metrics){0};
}

/* --- the heap --- */

/* Of equals the lower name stays, so that the choice does not change from one time to the next. */
static bool is_below(const struct stream_metric *a, const struct stream_metric *b)
{
    uint64_t of_a = (uint64_t)a->n_viewers + a->n_relays;
    uint64_t of_b = (uint64_t)b->n_viewers + b->n_relays;

    return of_a != of_b ? of_a < of_b : strcmp(a->name.text, b->name.text) > 0;
}

static void swap(struct stream_metrics *m, size_t a, size_t b)
{
    struct stream_metric kept = m->items[a];

    m->items[a] = m->items[b];
    m->items[b] = kept;
}

static void rise(struct stream_metrics *m, size_t at)
{
    for (; at > 0 && is_below(&m->items[at], &m->items[(at - 1) / 2]); at = (at - 1) / 2)
        swap(m, at, (at - 1) / 2);
}

static void sink(struct stream_metrics *m)
{
    size_t at = 0, least;

    for (;; at = least) {
        least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < m->n; child++)
            if (is_below(&m->items[child], &m->items[least]))
                least = child;
        if (least == at)
            return;
        swap(m, at, least);
    }
}

void stream_metrics_add(struct stream_metrics *m, const struct stream_info *info)
{
    struct stream_metric item = {.name = info->name,
                                 .n_viewers = info->n_viewers,
                                 .n_relays = info->n_children,
                                 .bytes_in = info->bytes_in,
                                 .lag_us = info->lag_unc_us < 0 ? -1 : info->lag_us,
                                 .is_live = info->live};

    for (int i = 0; i < MEDIA_N_KINDS; i++)
        item.n_frames += info->n_frames[i];
    if (m->n < m->limit) {
        m->items[m->n++] = item;
        rise(m, m->n - 1);
    } else if (m->limit > 0 && is_below(&m->items[0], &item)) {
        m->items[0] = item;
        sink(m);
    }
}

/* --- text --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct stream_metric *)a)->name.text,
                  ((const struct stream_metric *)b)->name.text);
}

static bool write_viewers(const struct stream_metric *item, struct buf_writer *out)
{
    if (out)
        buf_printf(out, "%" PRIu32, item->n_viewers);
    return true;
}

static bool write_relays(const struct stream_metric *item, struct buf_writer *out)
{
    if (out)
        buf_printf(out, "%" PRIu32, item->n_relays);
    return true;
}

static bool write_bytes(const struct stream_metric *item, struct buf_writer *out)
{
    if (out)
        buf_printf(out, "%" PRIu64, item->bytes_in);
    return true;
}

static bool write_frames(const struct stream_metric *item, struct buf_writer *out)
{
    if (out)
        buf_printf(out, "%" PRIu64, item->n_frames);
    return true;
}

static bool write_live(const struct stream_metric *item, struct buf_writer *out)
{
    if (out)
        buf_write_str(out, item->is_live ? "1" : "0");
    return true;
}

static bool write_lag(const struct stream_metric *item, struct buf_writer *out)
{
    if (out && item->lag_us >= 0)
        buf_printf(out, "%" PRId64 ".%06" PRId64, item->lag_us / 1000000, item->lag_us % 1000000);
    return item->lag_us >= 0;
}

static const struct {
    const char *name, *type, *help;
    bool (*write)(const struct stream_metric *item,
                  struct buf_writer *out); /* NULL: asks whether */
} k_families[] = {
    {"headwater_top_stream_bytes_in_total", "counter", "Bytes of media received", write_bytes},
    {"headwater_top_stream_frames_total", "counter", "Frames received", write_frames},
    {"headwater_top_stream_lag_seconds", "gauge", "From where it was taken in to here", write_lag},
    {"headwater_top_stream_live", "gauge", "1 while it has a source", write_live},
    {"headwater_top_stream_relays", "gauge", "Nodes that pull it from here", write_relays},
    {"headwater_top_stream_viewers", "gauge", "People who watch it here", write_viewers},
};

/* Names have no quotes, backslashes or control characters (common/media/name.h). */
static void write_series(const struct stream_metric *item, size_t family, struct buf_writer *out)
{
    if (!k_families[family].write(item, NULL))
        return;
    buf_printf(out, "%s{stream=\"%s\"} ", k_families[family].name, item->name.text);
    (void)k_families[family].write(item, out);
    buf_write_u8(out, '\n');
}

void stream_metrics_render(struct stream_metrics *m, struct buf_writer *out)
{
    if (m->limit == 0)
        return;
    qsort(m->items, m->n, sizeof *m->items, by_name);
    for (size_t family = 0; family < sizeof k_families / sizeof k_families[0]; family++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", k_families[family].name,
                   k_families[family].help, k_families[family].name, k_families[family].type);
        for (size_t i = 0; i < m->n; i++)
            write_series(&m->items[i], family, out);
    }
}
