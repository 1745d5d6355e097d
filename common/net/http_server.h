/* HTTP server on a loop. HTTP/1.1 over the sans-I/O parser of proto/http: keep-alive, pipelining
 * (answers in order), chunked and sized request bodies; HTTP/2 by nghttp2, where TLS agreed on it
 * (conn_alpn()): what is said here of connections holds for its streams. Limits, timeouts, HEAD,
 * OPTIONS and CORS, ranges, 405 with Allow, Expect: 100-continue. One instance a loop. */
#ifndef HW_COMMON_NET_HTTP_SERVER_H
#define HW_COMMON_NET_HTTP_SERVER_H

#include "common/net/conn.h"
#include "common/net/trust.h"
#include "proto/http/http.h"

struct http_server;   /* opaque; one a loop and listener group */
struct http_exchange; /* opaque: one request and its answer */

struct http_limits {
    size_t max_head_bytes;   /* request line + headers; 431 */
    size_t max_body_bytes;   /* 413 */
    int64_t head_timeout_ms; /* whole head from connect or from the first byte; 408 then close */
    int64_t body_timeout_ms; /* whole body */
    int64_t idle_timeout_ms; /* keep-alive without a request */
    unsigned max_pipelined;  /* HTTP/1.1: requests waiting on a connection before reading pauses */
};
extern const struct http_limits k_http_limits_default; /* 16 KiB, 1 MiB, 10 s, 30 s, 60 s, 16 */

/* Bytes that may wait for a slow peer on one connection; more closes it. One answer, or the chunks
 * of a stream, must fit (the next pipelined request is not handled before the queue is empty). Of
 * HTTP/2: on one stream, and more resets it. */
#define HTTP_ANSWER_QUEUE_BYTES (4u << 20)

/* A route matches method and path pattern; the first that matches wins. Segments of a pattern are
 * literal, or {x} for any one segment; {x...} is the rest (at least one byte), but for the literal
 * end that may follow it.
 * HEAD is served by GET routes, OPTIONS is answered from the table (204 with Allow and CORS). */
struct http_route {
    const char *method;
    const char *pattern;
    /* Runs on the loop. Must answer with http_respond*(), now or later on the same loop. */
    void (*handle)(struct http_exchange *x, void *arg);
    unsigned flags; /* HTTP_ROUTE_* */
};
enum {
    HTTP_ROUTE_CORS = 1 << 0,   /* pages of other sites may ask: see http_server_set_cors() */
    HTTP_ROUTE_UPLOAD = 1 << 1, /* the handler runs at the end of the head and takes the body
                                  itself, with http_take_upload(); any other answer ends the
                                  connection */
    HTTP_ROUTE_GUARD = 1 << 8   /* bits from here on are the guard's, see below */
};

/* Stands before the handlers of a server's routes: who may ask is decided in one place. */
struct http_guard {
    /* False: x is answered, or will be; its handler is not called. */
    bool (*admit)(struct http_exchange *x, const struct http_route *route, void *arg);
    /* A request that matched a route, let in or not, is about to be answered; status 0: its peer
     * left before that. NULL = not told. */
    void (*on_answer)(struct http_exchange *x, const struct http_route *route, unsigned status,
                      void *arg);
    void *arg;
};

/* Borrows routes (ends with method NULL) and arg. Returns NULL when out of memory. */
struct http_server *http_server_create(struct loop *loop, const struct http_limits *limits,
                                       const char *log_area, const struct http_route *routes,
                                       void *arg);
/* Borrows guard until the server is destroyed. Before it accepts. */
void http_server_set_guard(struct http_server *server, const struct http_guard *guard);
/* Whose word is taken for whom a request is of: http_peer() and its like are about that client.
 * Borrows trust until the server is destroyed. */
void http_server_set_trust(struct http_server *server, const struct trust *trust);
/* Which sites' pages get the answers of HTTP_ROUTE_CORS routes; origin NULL = none is named.
 * Without: all. */
enum http_cors {
    HTTP_CORS_ALL,  /* Access-Control-Allow-Origin: * */
    HTTP_CORS_ONE,  /* the origin is echoed */
    HTTP_CORS_NONE, /* no such field */
};
void http_server_set_cors(struct http_server *server,
                          enum http_cors (*allows)(const void *arg, const char *origin),
                          const void *arg);
/* The fields of it, for who took the connection and writes the head itself. */
void http_write_cors(struct buf_writer *out, enum http_cors cors, const char *origin);
/* Accepted connections were taken of this budget and give it back. */
void http_server_charge(struct http_server *server, struct conn_budget *budget);
/* Has the peers of now take other connections for what they ask next: HTTP/2 by GOAWAY, HTTP/1 by
 * "Connection: close" in the next answer. What is under way is answered, endless answers go on, and
 * connections that come later are as ever. Not from within a handler. */
void http_server_drain(struct http_server *server);
/* Closes all its connections, those of HTTP/2 with GOAWAY; pending exchanges get their on_gone. Not
 * from within a handler. */
void http_server_destroy(struct http_server **server);
/* For listener_open(): arg is the server. Takes fd. */
void http_server_accept(void *server, int fd, const struct addr *peer);
/* The same for connections that begin with TLS; http_server_set_tls() first. Borrows tls until the
 * server is destroyed. */
void http_server_set_tls(struct http_server *server, struct tls_server *tls);
void http_server_accept_tls(void *server, int fd, const struct addr *peer);
/* What this server speaks under TLS, by the names of ALPN, the best first. What was agreed on is
 * conn_alpn() of the connection that http_server_accept_conn() got, once its handshake is done. */
extern const char *const k_http_alpn[];
extern const unsigned k_n_http_alpn;
/* Takes an accepted connection on the server's loop, its budget charged already: one under TLS
 * (conn_start_tls(); its handshake may still be under way and then counts into head_timeout_ms). */
void http_server_accept_conn(struct http_server *server, struct conn **conn);

/* The request; everything is lent until the answer. The path is percent-decoded and has no dot
 * segments: those, control characters and all else that leaves the tree got 400 before any handler.
 */
const char *http_method(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x);
const char *http_query(const struct http_exchange *x); /* raw, "" if none */
/* Percent-decoded value of a query argument or NULL; lent until the answer. */
const char *http_query_arg(struct http_exchange *x, const char *key);
/* Pattern variable as matched; NULL if the pattern has none of that name. */
const char *http_path_arg(struct http_exchange *x, const char *key);
const char *http_header(const struct http_exchange *x, const char *name); /* NULL if absent */
/* The head as proto/http describes it, for checks of its fields; its views are lent until the
 * answer. Lengths and codings are left out. */
void http_request_head(const struct http_exchange *x, struct http_head *out);
struct buf_view http_body(const struct http_exchange *x);
/* Who asks: the connection's peer, or the client that a trusted proxy names ("10.0.0.1:0": what
 * proxies say seldom has a port). Lent until the answer. */
const char *http_peer(const struct http_exchange *x);
const struct addr *http_peer_addr(const struct http_exchange *x);
/* True when the peer has ended its side by now, be it behind requests that are not read yet: for
 * what should not be done for nobody, by a process that was stopped for a while. */
bool http_peer_has_left(const struct http_exchange *x);
struct loop *http_loop(const struct http_exchange *x);
bool http_is_tls(const struct http_exchange *x); /* the client sent it over https */
/* A trusted proxy said whose request it is. */
bool http_is_forwarded(const struct http_exchange *x);
bool http_is_head(const struct http_exchange *x);

/* The value behind "Authorization: Bearer"; NULL when there is none. */
const char *http_bearer(const struct http_exchange *x);
/* Under which name it was let in, for the guard: copied. "" = none. */
#define HTTP_WHO_SIZE 40
void http_set_who(struct http_exchange *x, const char *who);
const char *http_who(const struct http_exchange *x);
/* True when it was sent on this machine: the peer is on loopback, and no proxy has passed it on. */
bool http_is_from_here(const struct http_exchange *x);
/* True for a request that needs no token: it is from here, Host "127.0.0.1", "[::1]" or
 * "localhost" (any port), and no Origin or one of these. Against DNS rebinding and foreign web
 * pages. */
bool http_is_local(const struct http_exchange *x);
/* True when "Authorization: Bearer" holds token (not empty), compared in constant time. */
bool http_bearer_is(const struct http_exchange *x, const char *token);

/* For answers that come later: arg kept with the exchange; on_gone (may be NULL) is called when the
 * peer leaves first (also by closing only its sending side), after which x must not be used. While
 * max_pipelined further requests wait behind this one, a peer that leaves is seen only by the
 * answer. */
void http_set_pending(struct http_exchange *x, void (*on_gone)(struct http_exchange *x, void *arg),
                      void *arg);

/* Extra header for the answer; copied. Refuses CR and LF by assert (dropped in a release build). */
void http_add_header(struct http_exchange *x, const char *name, const char *value);
/* Whole answer with Content-Length. content_type NULL = none. Ends the exchange: x is gone. */
void http_respond(struct http_exchange *x, unsigned status, const char *content_type,
                  struct buf_view body);
/* An answer of memory that others use, too: a segment, a playlist. */
struct http_shared {
    unsigned status;
    const char *content_type;  /* NULL = none; this and the two below are borrowed for the call */
    const char *etag;          /* with its quotes; NULL = none */
    const char *cache_control; /* NULL = none */
    /* The list and the bytes stay valid and unchanged until done(arg). That comes exactly once, on
     * the exchange's loop, maybe from within the call: the kernel (or TLS) has the last byte that
     * is wanted, or the peer is gone. */
    const struct buf_view *parts;
    size_t n_parts;
    void (*done)(void *arg);
    void *arg;
};
/* Sends it from where it lies, however big; only what is no more than 4 KiB is copied, to go out
 * with other answers. Of a 200 that is asked for by GET, what the peer has already (If-None-Match)
 * becomes 304, one range (Range, If-Range) 206 or 416, several ranges the whole. A peer that takes
 * nothing for idle_timeout_ms is cut off. Ends the exchange: x is gone. */
void http_respond_shared(struct http_exchange *x, const struct http_shared *answer);
/* How many bytes of it that is going to send: 0 for HEAD, 304 and 416. */
uint64_t http_shared_bytes(const struct http_exchange *x, const struct http_shared *answer);
/* An answer whose bytes come piece by piece, as the peer takes them: a file. */
struct http_pieces {
    const char *content_type;  /* NULL = none; this and the two below are borrowed for the call */
    const char *etag;          /* with its quotes; NULL = none */
    const char *cache_control; /* NULL = none */
    uint64_t whole_bytes;
    /* Bytes from at on are wanted, left_bytes at most: http_give_piece() or http_fail_pieces(), but
     * from a later call. What was given before is not needed any more. */
    void (*want)(struct http_exchange *x, void *arg, uint64_t at, uint64_t left_bytes);
    void (*done)(void *arg); /* as of struct http_shared */
    void *arg;
};
/* Status 200, or 206, 304 and 416 as http_respond_shared() has them. x stays until done(). */
void http_respond_pieces(struct http_exchange *x, const struct http_pieces *answer);
/* Not empty, and no more than was wanted; lent until the next want(), or done(). x may be gone
 * after this. */
void http_give_piece(struct http_exchange *x, struct buf_view piece);
/* There is no more of it: the answer is cut off, so that the peer sees that. x may be gone. */
void http_fail_pieces(struct http_exchange *x);
/* {"status":404,"title":"Not Found","detail":"..."} as application/problem+json. */
void http_respond_problem(struct http_exchange *x, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Endless chunked answer (events): head goes out now; http_stream_write() sends one chunk;
 * E_SLOW / E_CLOSED when the peer does not keep up or is gone (on_gone follows, never from within
 * the call; http_stream_end() instead is fine). To a HEAD nothing but the head is sent; to HTTP/1.0
 * the bytes go out as they are, up to the end of the connection. http_stream_end() ends it: x is
 * gone. */
void http_stream_begin(struct http_exchange *x, unsigned status, const char *content_type);
enum err http_stream_write(struct http_exchange *x, struct buf_view bytes);
void http_stream_end(struct http_exchange *x);

/* Takes the connection out of the server, for answers that are media: the caller owns the returned
 * conn (its ops must be set at once; its peer is who http_peer() was), writes the head itself, and
 * x is gone. Later requests on the connection are not answered: what was read of them is dropped,
 * the rest stays in the socket. NULL when the peer is already gone, or came over HTTP/2 and was
 * told to ask over HTTP/1.1 (x is gone too). */
struct conn *http_take_conn(struct http_exchange *x);
/* The same for bodies without end, of HTTP_ROUTE_UPLOAD routes (whose handlers HTTP/2 never calls):
 * *body goes on where the server was, and what was read behind the head is put to rest (initialised
 * by the caller; its failure is seen by buf_writer_status()). A peer that waits for "100 Continue"
 * (http_expects_continue()) gets it from the caller. */
struct conn *http_take_upload(struct http_exchange *x, struct http_body *body,
                              struct buf_writer *rest);
bool http_expects_continue(const struct http_exchange *x);
/* The body of http_respond_problem(), for who took the connection and writes the head itself. */
void http_write_problem(struct buf_writer *out, unsigned status, const char *detail);

#endif
