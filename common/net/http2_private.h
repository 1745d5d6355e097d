/* What the files of HTTP/2 share: http2.c (life of a connection), http2_receive.c (frames to
 * exchanges), http2_answer.c (answers to frames), http2_guard.c (what is too much). Frames, HPACK
 * and flow control are nghttp2's. Its callbacks run no handler: exchanges are put into lists, and
 * advance() works on these. */
#ifndef HW_COMMON_NET_HTTP2_PRIVATE_H
#define HW_COMMON_NET_HTTP2_PRIVATE_H

#include <nghttp2/nghttp2.h>

#include "common/net/http_server_private.h"

#define HTTP2_MAX_STREAMS 100 /* RFC 9113, section 6.5.2, recommends no fewer */

/* Answers in memory that wait for the peer: above it, no further handler is called. */
#define HTTP2_PAUSE_BYTES (1u << 20)

/* What a peer may send only so often: k_guards. */
enum http2_guard {
    HTTP2_GUARD_RESET,
    HTTP2_GUARD_SETTINGS,
    HTTP2_GUARD_PING,
    HTTP2_GUARD_WINDOW,
    HTTP2_GUARD_EMPTY,
    HTTP2_GUARD_BAD,
    HTTP2_N_GUARDS
};

struct http2 {
    nghttp2_session *session;
    struct list ready;       /* exchanges whose handlers are to be called */
    struct list gone;        /* exchanges whose streams are closed */
    struct buf_writer block; /* of fields, while it comes in: name, 0, value, 0, ... */
    size_t block_bytes;      /* as RFC 9113, section 6.5.2, counts them */
    unsigned n_block_fields;
    int32_t block_stream; /* 0: no block of a request is coming in */
    bool is_ending;       /* GOAWAY is under way; nothing is read any more */
    int64_t moved_us;     /* when the socket last took something */
    int64_t guarded_us;   /* tokens are counted up to here */
    uint32_t tokens[HTTP2_N_GUARDS];
};

/* http2.c */
/* Sends what there is room for; no handler runs. */
void http2_send_frames(struct http_inbound *inbound);
/* The exchange is ready for its handler. */
void http2_set_ready(struct http_exchange *x);
/* Resets the stream; the exchange has none any more. code is NGHTTP2_*. */
void http2_reset(struct http_exchange *x, uint32_t code);
/* Ends the connection for what the peer did: counts, logs, GOAWAY with ENHANCE_YOUR_CALM. detail is
 * static. */
void http2_offend(struct http_inbound *inbound, enum http_bad reason, const char *detail,
                  uint64_t limit);

/* http2_receive.c */
void http2_receive(struct http_inbound *inbound, struct buf_view got);
void http2_receive_callbacks(nghttp2_session_callbacks *callbacks);
/* Answers with an error; the handler is not called. text is static. */
void http2_refuse(struct http_exchange *x, enum http_bad reason, unsigned status, const char *text);

/* http2_answer.c: members of k_http2 */
void http2_begin(struct http_exchange *x, const struct http_reply *reply);
enum err http2_write(struct http_exchange *x, struct buf_view bytes);
void http2_send(struct http_exchange *x);
void http2_resume(struct http_exchange *x);
void http2_cut(struct http_exchange *x);
void http2_end(struct http_exchange *x);
struct conn *http2_take(struct http_exchange *x);
/* The whole answer went out. */
bool http2_is_all_sent(const struct http_exchange *x);
void http2_send_callbacks(nghttp2_session_callbacks *callbacks);

/* http2_guard.c */
void http2_guard_init(struct http2 *h2, int64_t now_us);
/* One more of these came. When it is one too many, the connection is ended. */
void http2_guard_charge(struct http_inbound *inbound, enum http2_guard guard);
/* A frame of data was sent: the peer may give its room back in two frames. */
void http2_guard_allow_windows(struct http2 *h2);
/* NGHTTP2_ERR_* that ended nghttp2_session_mem_recv(). */
void http2_guard_session_error(struct http_inbound *inbound, int error);

#endif
