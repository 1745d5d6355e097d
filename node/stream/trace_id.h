/* Which trace a session belongs to: what its client said in `traceparent`, else one made of the
 * session's id, so that everything that knows the id says the same. Any thread. */
#ifndef HW_NODE_STREAM_TRACE_ID_H
#define HW_NODE_STREAM_TRACE_ID_H

#include "proto/http/trace_context.h"

struct session_info;

/* told: zeros = the client said nothing. */
struct trace_id trace_id_of(const struct trace_id *told, const char *session);
struct trace_id session_trace_id(const struct session_info *info);
const char *session_trace(const struct session_info *info, char out[TRACE_TEXT_SIZE]);
/* For log lines (those of a level that is not written do not ask for it): lives until the end of
 * the enclosing block. */
#define SESSION_TRACE(info) session_trace((info), (char[TRACE_TEXT_SIZE]){0})
/* The field's value for a request of ours: a new span of that trace. Returns out. */
const char *trace_id_send(const struct trace_id *id, char out[TRACEPARENT_SIZE]);

#endif
