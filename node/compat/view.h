/* Streams and sessions of this node as other servers list them: all at once, sorted by stream.
 * Private to node/compat. */
#ifndef HW_NODE_COMPAT_VIEW_H
#define HW_NODE_COMPAT_VIEW_H

#include "common/net/addr.h"
#include "node/stream/media_loop.h"
#include "node/stream/stream.h"

/* An answer has to fit into what may wait for one connection (HTTP_ANSWER_QUEUE_BYTES); more is
 * left out, and said. */
#define COMPAT_MAX_STREAMS 1000u
#define COMPAT_MAX_SESSIONS 4000u

struct compat_stream {
    struct stream_info info;
    uint32_t width, height;
};

struct compat_session {
    char stream[STREAM_NAME_SIZE];
    char id[SESSION_ID_SIZE];
    const char *protocol, *kind; /* static */
    char peer[ADDR_TEXT_SIZE];
    int64_t age_us;
    uint64_t bytes_in, bytes_out;
};

struct compat_view {
    struct compat_stream *streams; /* owned, as sessions are */
    struct compat_session *sessions;
    size_t n_streams, n_sessions, max_streams, max_sessions;
    bool is_cut;
    enum err failed;
};

/* On each media loop: adds what is at home there; of that stream alone unless said is "". */
void compat_view_collect(struct compat_view *view, struct media_loop *ml, const char *said);
/* Control loop: sorts. */
void compat_view_finish(struct compat_view *view);
void compat_view_fini(struct compat_view *view);
/* Of a finished one: the sessions of that stream. */
const struct compat_session *compat_view_sessions(const struct compat_view *view,
                                                  const char *stream, size_t *n);

/* Is that the stream which a client means that says app/name, or a name alone, in any app? */
bool compat_is_meant(const struct stream_name *name, const char *said);
/* The same of "app/name", as sessions have it; of "" none is. */
bool compat_is_called(const char *stream, const char *said);
/* Do these servers know of such a session? Neither of those that do nothing, wait or stand by, nor
 * of other nodes that pull from here, nor of pushes. */
bool compat_is_shown(const struct session_info *info);

#endif
