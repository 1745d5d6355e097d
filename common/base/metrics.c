/* The metrics registry. Registration keeps the lists sorted by family, so that rendering only
 * merges three of them (series, histograms, facts about the process) and allocates nothing of its
 * own. */
#include "common/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/process_metrics.h"

static struct metric *series_head;
static struct metric_histogram *histogram_head;

static const char *const k_type_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_RATIO] = "gauge"};

static void insert_series(struct metric *m)
{
    struct metric **link = &series_head;

    /* behind its equals: the series of a family keep the order of registration */
    while (*link && strcmp((*link)->name, m->name) <= 0) {
        assert(*link != m);
        assert(strcmp((*link)->name, m->name) != 0 || (*link)->type == m->type);
        assert(strcmp((*link)->name, m->name) != 0 || strcmp((*link)->labels, m->labels) != 0);
        link = &(*link)->next;
    }
    m->next = *link;
    *link = m;
}

void metrics_register(struct metric *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        insert_series(&table[i]);
}

void metrics_register_histogram(struct metric_histogram *h)
{
    struct metric_histogram **link = &histogram_head;

    assert(h->n_bounds < sizeof h->counts / sizeof h->counts[0]);
    while (*link && strcmp((*link)->name, h->name) <= 0) {
        assert(*link != h);
        link = &(*link)->next;
    }
    h->next = *link;
    *link = h;
}

void metric_observe_us(struct metric_histogram *h, int64_t value_us)
{
    uint64_t value = value_us > 0 ? (uint64_t)value_us : 0; /* clocks may step; a sum may not */
    unsigned i = 0;

    while (i < h->n_bounds && (double)value / 1e6 > h->bounds[i])
        i++;
    atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, value, memory_order_relaxed);
}

void metric_set_histogram(struct metric_histogram *h, const uint64_t *counts, uint64_t sum_us)
{
    for (unsigned i = 0; i <= h->n_bounds; i++)
        atomic_store_explicit(&h->counts[i], counts[i], memory_order_relaxed);
    atomic_store_explicit(&h->sum_us, sum_us, memory_order_relaxed);
}

void metrics_render_family(struct buf_writer *out, const char *name, const char *help,
                           const char *type)
{
    buf_printf(out, "# HELP %s ", name);
    for (const char *at = help; *at; at++) {
        if (*at == '\\')
            buf_write_str(out, "\\\\");
        else if (*at == '\n')
            buf_write_str(out, "\\n");
        else
            buf_write_u8(out, (unsigned char)*at);
    }
    buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

/* "name{labels} " or "name " */
static void render_key(struct buf_writer *out, const char *name, const char *labels)
{
    if (labels[0])
        buf_printf(out, "%s{%s} ", name, labels);
    else
        buf_printf(out, "%s ", name);
}

static void render_value(struct buf_writer *out, enum metric_type type, int64_t value)
{
    if (type != METRIC_RATIO) {
        buf_printf(out, "%" PRId64 "\n", value);
        return;
    }
    buf_printf(out, "%s%" PRId64 ".%06" PRId64 "\n", value < 0 ? "-" : "",
               (value < 0 ? -value : value) / METRIC_RATIO_ONE,
               (value < 0 ? -value : value) % METRIC_RATIO_ONE);
}

/* A family of series; the first one behind it. */
static struct metric *render_series(struct buf_writer *out, struct metric *m)
{
    const char *family = m->name;

    metrics_render_family(out, family, m->help, k_type_names[m->type]);
    for (; m && strcmp(m->name, family) == 0; m = m->next) {
        int64_t value = atomic_load_explicit(&m->value, memory_order_relaxed);

        if (value == METRIC_ABSENT)
            continue;
        render_key(out, m->name, m->labels);
        render_value(out, m->type, value);
    }
    return m;
}

static void render_one_histogram(struct buf_writer *out, struct metric_histogram *h)
{
    const char *comma = h->labels[0] ? "," : "";
    uint64_t total = 0; /* each count is read once, so the buckets agree with _count */
    uint64_t sum_us;

    for (unsigned i = 0; i <= h->n_bounds; i++) {
        total += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        if (i < h->n_bounds)
            buf_printf(out, "%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", h->name, h->labels, comma,
                       h->bounds[i], total);
        else
            buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", h->name, h->labels, comma,
                       total);
    }
    sum_us = atomic_load_explicit(&h->sum_us, memory_order_relaxed);
    buf_printf(out, "%s_sum", h->name);
    render_key(out, "", h->labels);
    buf_printf(out, "%" PRIu64 ".%06" PRIu64 "\n", sum_us / 1000000, sum_us % 1000000);
    buf_printf(out, "%s_count", h->name);
    render_key(out, "", h->labels);
    buf_printf(out, "%" PRIu64 "\n", total);
}

static struct metric_histogram *render_histograms(struct buf_writer *out,
                                                  struct metric_histogram *h)
{
    const char *family = h->name;

    metrics_render_family(out, family, h->help, "histogram");
    for (; h && strcmp(h->name, family) == 0; h = h->next)
        render_one_histogram(out, h);
    return h;
}

/* True when `name` is there and sorts before both others (each may be NULL). */
static bool is_first(const char *name, const char *b, const char *c)
{
    return name && (!b || strcmp(name, b) <= 0) && (!c || strcmp(name, c) <= 0);
}

void metrics_render(struct buf_writer *out)
{
    struct process_metrics process;
    struct metric *m = series_head;
    struct metric_histogram *h = histogram_head;
    size_t i = 0;

    process_metrics_read(&process);
    while (m || h || i < PROCESS_N_METRICS) {
        const char *series = m ? m->name : NULL;
        const char *histogram = h ? h->name : NULL;
        const char *fact = i < PROCESS_N_METRICS ? process_metric_name(i) : NULL;

        if (is_first(series, histogram, fact))
            m = render_series(out, m);
        else if (is_first(histogram, series, fact))
            h = render_histograms(out, h);
        else
            process_metric_render(out, &process, i++);
    }
}
