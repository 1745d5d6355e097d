/* W3C Trace Context, version 00: the header field `traceparent`, as OpenTelemetry sends it. Of it
 * the trace id is kept; what is sent on has a span of its own. Sans I/O. */
#ifndef HW_PROTO_HTTP_TRACE_CONTEXT_H
#define HW_PROTO_HTTP_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

struct trace_id { /* zeros = none */
    uint64_t high, low;
};

#define TRACE_TEXT_SIZE 33  /* 32 hexadecimal digits */
#define TRACEPARENT_SIZE 56 /* "00-<trace>-<span>-01" */

static inline bool trace_id_is_set(const struct trace_id *id)
{
    return id->high || id->low;
}

/* section 3.2.2: "00-" 32 digits "-" 16 digits "-" 2 digits, lower case; of a later version there
 * may be more behind it. False: it is something else, or has zeros for an id; *out is as it was.
 * NULL is none. */
bool traceparent_parse(const char *text, struct trace_id *out);
void trace_id_write(const struct trace_id *id, char out[TRACE_TEXT_SIZE]);
/* The digits alone. False as above. */
bool trace_id_parse(const char *text, struct trace_id *out);
/* span is not 0. Sampled: whoever asked is recording, or nobody knows. */
void traceparent_write(const struct trace_id *id, uint64_t span, char out[TRACEPARENT_SIZE]);

#endif
