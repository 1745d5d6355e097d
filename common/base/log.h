/* Log lines: one line an event, key=value, to stderr or a file. Any thread.
 *
 *   2026-01-02T03:04:05.678Z info rtmp session=a1b2 peer=10.0.0.1:5555 msg="publish accepted"
 * stream=live/x
 *
 * A line is formatted on the caller's stack and written with one write(2), so lines never mix.
 * Values with spaces, quotes or control characters are quoted and escaped: use LOG_STR for anything
 * that came from the wire. Never log a secret. */
#ifndef HW_COMMON_BASE_LOG_H
#define HW_COMMON_BASE_LOG_H

#include <stdbool.h>

#include "common/base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* path "" is stderr. E_IO when the file cannot be opened (errno is set); the old target stays. */
enum err log_open(const char *path);
/* Opens the same path again, for log rotation. */
enum err log_reopen(void);
void log_close(void);
void log_set_level(enum log_level level);
/* Are lines of that level written? */
bool log_is_on(enum log_level level);

/* area is a short static word (rtmp, http, cluster, ...); format gives the rest of the line in
 * key=value form, msg first: log_line(LOG_INFO, "rtmp", "msg=\"publish accepted\" stream=%s", ...).
 */
void log_line(enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Quotes and escapes text into out[size] as a log value, cut at the end if it must be ("..." tail).
 * Returns out. */
const char *log_quote(const char *text, char *out, unsigned size);
/* A quoted copy that lives until the end of the enclosing block. */
#define LOG_STR(text) log_quote((text), (char[160]){0}, 160)

/* What is in a line is made only when the line is written: arguments must have no side effects. */
#define LOG_WHEN_ON(level, ...) (log_is_on(level) ? log_line((level), __VA_ARGS__) : (void)0)
#define log_debug(...) LOG_WHEN_ON(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_WHEN_ON(LOG_INFO, __VA_ARGS__)
#define log_warn(...) LOG_WHEN_ON(LOG_WARN, __VA_ARGS__)
#define log_error(...) LOG_WHEN_ON(LOG_ERROR, __VA_ARGS__)

#endif
