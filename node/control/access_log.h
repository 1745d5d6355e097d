/* The access log: one line a session at its end, and one for each that was refused, in a file of
 * its own. Sessions copy what they know into a bounded queue; a thread of its own makes lines of it
 * and writes them, so that a slow disk delays nobody. What does not fit, or cannot be written, is
 * counted (headwater_access_log_lost_total) and said once until it works again. */
#ifndef HW_NODE_CONTROL_ACCESS_LOG_H
#define HW_NODE_CONTROL_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum access_log_format { ACCESS_LOG_JSON, ACCESS_LOG_TEXT };
extern const char *const k_access_log_formats[]; /* NULL-terminated */

struct access_log; /* opaque */

/* Texts are borrowed, and never NULL; of each no more than ACCESS_LOG_TEXT_BYTES are kept. */
#define ACCESS_LOG_TEXT_BYTES 512
struct access_entry {
    const char *node, *session, *client, *protocol, *kind, *stream, *referrer, *agent, *reason;
    int64_t wall_us; /* Unix time of the end */
    int64_t duration_us;
    uint64_t bytes_in, bytes_out;
    uint64_t n_jumps, n_dropped;
    bool is_refused;
};

/* NULL when out of memory. The file is opened by the thread, now and when it is told to. */
struct access_log *access_log_create(const char *path, enum access_log_format format);
/* Writes what is queued, for 5 s at most. NULL is fine. */
void access_log_destroy(struct access_log **log);
/* Opens the file of that name again, behind what is queued now: for log rotation. NULL is fine. */
void access_log_reopen(struct access_log *log);
/* Any thread; blocks for nothing but a copy. NULL is fine. */
void access_log_put(struct access_log *log, const struct access_entry *entry);

#endif
