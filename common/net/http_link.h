/* One connection to one HTTP server, one request at a time, kept alive in between: the part of the
 * HTTP client that knows libevent's evhttp. Every callback comes from a later turn and outside of
 * evhttp, so the owner may stop or end the link inside it. Private to common/net. */
#ifndef HW_COMMON_NET_HTTP_LINK_H
#define HW_COMMON_NET_HTTP_LINK_H

#include "common/base/buf.h"
#include "common/net/addr.h"
#include "common/net/loop.h"

#define HTTP_LINK_ADDRS 8

struct tls_client;
struct http_client_header;

/* Where a link goes; borrowed for the life of the link. */
struct http_target {
    const char *host; /* name or number, without brackets */
    unsigned port;
    const char *host_header;   /* as in the URL */
    const char *authorization; /* "Bearer ...", or "" */
    int64_t timeout_ms;        /* the owner's own limit; evhttp's is set above it */
    size_t max_body_bytes;     /* of an answer; streams have no limit */
    struct tls_client *tls;    /* NULL = plain */
    bool failed;               /* the last answer was none: logged once, and on recovery */
};

struct http_request {
    const char *method;                       /* GET, POST, DELETE */
    const char *path_query;                   /* borrowed until the result */
    const char *body;                         /* JSON text or NULL; borrowed until the result */
    const struct http_client_header *headers; /* borrowed likewise; those without a name are none */
    unsigned n_headers;
    bool is_stream; /* the answer comes through on_bytes as it arrives, not as body */
};

enum http_link_state {
    HTTP_LINK_IDLE,      /* may start a request */
    HTTP_LINK_RESOLVING, /* waits for the addresses of target */
    HTTP_LINK_BUSY,      /* evhttp has the request */
    HTTP_LINK_FINISHED,  /* evhttp is done; the result is told from the next turn */
};

struct http_link {
    struct loop *loop;
    const struct http_target *target;
    enum http_link_state state;
    /* The request ended: read e, status and body. Last thing the link does. */
    void (*on_result)(struct http_link *link);
    /* Streams: bytes of a 200 answer, lent during the call. */
    void (*on_bytes)(struct http_link *link, struct buf_view bytes);
    void *owner; /* the link does not look at it */

    enum err e;             /* E_OK: the server answered with status */
    unsigned status;        /* 0 unless E_OK; of a stream, once its head is there */
    struct buf_writer body; /* of the answer; of a stream, what on_bytes is to get */

    /* private */
    struct http_request request;
    struct net_resolve *resolve;
    struct addr addrs[HTTP_LINK_ADDRS];
    unsigned n_addrs, addr_at; /* which one is tried */
    struct evhttp_connection *ev;
    struct timer later;
    bool closed;     /* evhttp says that the server closed: ev is of no more use */
    bool reused;     /* ev has served a request before this one */
    bool got_bytes;  /* a byte of the answer came */
    bool no_connect; /* it was the connect that failed */
};

/* target is borrowed. Set on_result (and on_bytes) and owner after it. */
void http_link_init(struct http_link *link, struct loop *loop, const struct http_target *target);
/* Closes; nothing is called back. */
void http_link_fini(struct http_link *link);
/* A connection is open and can be used again. */
bool http_link_is_connected(const struct http_link *link);
/* Starts a request on an idle link. What fails is told by on_result, never from within this call. A
 * kept connection that turns out to be closed is replaced once. */
void http_link_start(struct http_link *link, const struct http_request *request);
/* Gives up on a request without a call back, and takes it back: what has not left yet never does.
 * Fine when idle. */
void http_link_stop(struct http_link *link);

#endif
