/* Who watches HLS. A viewer has no connection of its own, so requests belong together by an id: the
 * multivariant playlist gives one to the media playlists it names, as ?session=; who comes without
 * is known by address and user agent. Segments are asked for without it, so that caches keep one
 * copy; their bytes are counted to the session of that address and user agent. */
#ifndef HW_NODE_SESSION_HLS_SESSIONS_H
#define HW_NODE_SESSION_HLS_SESSIONS_H

#include "node/hls/hls.h"
#include "node/node.h"
#include "node/session/admission.h"

#define HLS_SESSION_ID_SIZE 16 /* "h-1a2b3c4d5e6f" and zero */

/* NULL when out of memory. */
struct hls_sessions *hls_sessions_create(struct node *node);
/* After all loops have ended their sessions. */
void hls_sessions_destroy(struct hls_sessions **sessions);

/* The id of who asks: that of the query; fresh: else a new one, not fresh: else the one of its
 * address and user agent. */
void hls_session_id(struct http_exchange *x, bool fresh, char id[HLS_SESSION_ID_SIZE]);

/* There is a session of this id on this node, and it began with this stream, or with one of which
 * this is a rendition. Anybody can make up ids: one of another stream says nothing about this. */
bool hls_session_is_known(struct node_loop *nl, const struct http_exchange *x, const char *id,
                          const struct stream_name *name);

enum hls_welcome {
    HLS_WELCOME,
    HLS_TURNED_AWAY, /* a new viewer, and no room; *no */
    HLS_KICKED       /* an operator has ended this session; no->why */
};
/* A playlist of the channel is asked for under this id: begins the session, or goes on with it. Any
 * media loop: that of x. */
enum hls_welcome hls_session_ask(struct node_loop *nl, struct http_exchange *x, const char *id,
                                 const struct stream_name *name, struct hls_channel *channel,
                                 struct admission_refusal *no);
/* So much is to be sent as answer to x; id NULL: a segment without it. False: an operator has ended
 * the session, nothing is to be sent. */
bool hls_session_count(struct node_loop *nl, struct http_exchange *x, const char *id,
                       const struct stream_name *name, uint64_t bytes);

#endif
