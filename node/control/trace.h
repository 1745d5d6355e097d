/* The way of a stream to one session: which nodes it came through, how late it was at each, and how
 * far behind the session itself is. The session is looked for on all media loops, then its stream
 * on its home; any loop may ask. */
#ifndef HW_NODE_CONTROL_TRACE_H
#define HW_NODE_CONTROL_TRACE_H

#include <jansson.h>

#include "common/net/http_server.h"
#include "node/stream/media_loop.h"
#include "node/stream/stream.h"
#include "node/stream/viewer.h"
#include "proto/flv/flv.h"

struct node;

#define TRACE_ID_SIZE sizeof((struct session_info *)0)->id

struct trace_session { /* a copy of what a session says of itself */
    char id[TRACE_ID_SIZE], trace[TRACE_TEXT_SIZE];
    const char *protocol, *kind; /* static */
    char peer[ADDR_TEXT_SIZE];
    char stream[STREAM_NAME_SIZE]; /* "" = none yet */
    int64_t age_us, lag_us;        /* lag: how long its oldest unsent unit waits */
    uint64_t bytes_in, bytes_out, frames_in, frames_out, n_dropped, n_jumps;
    char left_out[VIEWER_LEFT_OUT_SIZE]; /* tracks that the format has no place for */
};
/* On the session's loop. */
void trace_read_session(struct media_loop *ml, const struct session_info *info,
                        struct trace_session *out);

struct trace_stream {
    struct stream_info info;
    char trail[FLV_TRAIL_SIZE];
};
/* Home loop. */
void trace_read_stream(const struct stream *stream, struct trace_stream *out);
/* [{node, role, epoch, lag_us, uncertainty_us, age_us}, ...] from this node to the one that took
 * the stream in; lag_us and uncertainty_us are null where they are not known, role of others is
 * not. Returns a new reference, or NULL. */
json_t *trace_hops_json(const struct node *node, const struct trace_stream *stream);

struct trace { /* what was found */
    const struct node *node;
    struct trace_session session;
    bool has_stream;
    struct trace_stream stream;
};
/* Takes the exchange. session: an id of this node's, or "<this node>/<id>", NULL = missing; what is
 * wrong with it is answered. render returns a new reference, on the exchange's loop. */
void trace_start(struct http_exchange *x, struct node *node, const char *session,
                 json_t *(*render)(const struct trace *trace));
/* The answer to GET /v1/trace and /api/v1/trace. */
json_t *trace_json(const struct trace *trace);

/* GET /v1/trace?session= on the media port; arg is the struct node_loop. Any loop. */
void trace_handle(struct http_exchange *x, void *arg);

#endif
