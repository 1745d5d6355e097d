/* What the kernel knows about this process, under the names that Prometheus clients share, and the
 * build. Private to metrics.c. Linux: /proc. Any thread. */
#ifndef HW_COMMON_BASE_PROCESS_METRICS_H
#define HW_COMMON_BASE_PROCESS_METRICS_H

#include <stddef.h>

#include "common/base/buf.h"

enum { PROCESS_N_METRICS = 7 };

struct process_metrics {
    double values[PROCESS_N_METRICS]; /* negative: not known on this machine, not shown */
};

void process_metrics_read(struct process_metrics *out);
/* Names ascend with the index. */
const char *process_metric_name(size_t index);
void process_metric_render(struct buf_writer *out, const struct process_metrics *p, size_t index);

/* Of metrics.c: the HELP and TYPE lines. */
void metrics_render_family(struct buf_writer *out, const char *name, const char *help,
                           const char *type);

#endif
