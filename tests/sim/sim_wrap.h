/* What the linker puts in the place of functions that would make a run unlike the one before, or
 * write where tests do not look (ld --wrap; tests.cmake has the list). */
#ifndef HW_TESTS_SIM_SIM_WRAP_H
#define HW_TESTS_SIM_SIM_WRAP_H

#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/base/log.h"
#include "common/base/metrics.h"

void __wrap_log_line(enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_metrics_register(struct metric *table, size_t n);
void __wrap_metrics_register_histogram(struct metric_histogram *h);
int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_getrusage(int who, struct rusage *usage);
ssize_t __wrap_getrandom(void *out, size_t size_bytes, unsigned flags);

#endif
