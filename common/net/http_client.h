/* HTTP client for control calls (JSON between node and scheduler), over libevent's evhttp and
 * evdns: keep-alive, timeouts, an ordered list of servers with failover. Not for media. Loop
 * thread. */
#ifndef HW_COMMON_NET_HTTP_CLIENT_H
#define HW_COMMON_NET_HTTP_CLIENT_H

#include "common/base/buf.h"
#include "common/net/loop.h"

struct http_client; /* opaque */
struct tls_client;

struct http_client_conf {
    const char *const *urls; /* "http://host:port", "https://..."; borrowed during create */
    unsigned n_urls;
    struct tls_client *tls;   /* for https: the host's name is verified; borrowed for the client's
                                 life; NULL = https is refused */
    const char *bearer_token; /* "" = none; copied; never logged */
    unsigned n_links;         /* connections a server, more calls wait; 0 = 4, at most 16 */
    unsigned max_calls;       /* under way and waiting, more are E_LIMIT; 0 = 256 */
    int64_t timeout_ms;       /* whole call on one server */
    size_t max_body_bytes;    /* of an answer */
    int64_t lines_idle_ms;    /* http_client_lines() without a byte; 0 = 15,000 */
    const char *log_area;     /* static */
};

/* NULL with *why (static text) on a bad URL or out of memory. */
struct http_client *http_client_create(struct loop *loop, const struct http_client_conf *conf,
                                       const char **why);
/* Cancels what is under way without calling back: handles of calls and lines are gone with it. Fine
 * inside their callbacks. */
void http_client_destroy(struct http_client **client);

/* What calls and lines that start from now on send instead; copied. E_NOMEM, E_INVAL (a line
 * break): it stays as it was. */
enum err http_client_set_token(struct http_client *client, const char *bearer_token);

struct http_reply {
    /* E_OK: some server answered with a status. Else how the last one failed: E_TIMEOUT, E_IO,
     * E_NOT_FOUND (its name), E_TOO_BIG, E_PROTO, E_DENIED (its certificate); or E_LIMIT (too many
     * calls under way), E_INVAL (a path that cannot be sent). */
    enum err e;
    unsigned status;      /* 0 unless e is E_OK */
    struct buf_view body; /* lent during the callback */
    const char *server;   /* URL of the server that answered, or of the last one tried */
    int64_t took_us;
};

/* method "GET", "POST", "DELETE"; path_query starts with '/'; body NULL or JSON text. The current
 * server is asked first; on connect failure, timeout or 503 the next of the list, at most once
 * each; if all fail and one said 503, that is the reply. A server that failed is skipped for 1-2 s
 * (jittered). done is called exactly once, never from within this call, unless cancelled. The
 * handle is gone with done. Returns a handle (NULL: out of memory, done is not called). */
struct http_call;
struct http_call *http_client_call(struct http_client *client, const char *method,
                                   const char *path_query, const char *body,
                                   void (*done)(void *arg, const struct http_reply *reply),
                                   void *arg);
/* The same with headers of the caller's. A value that no header can have is E_NOMEM. */
#define HTTP_CLIENT_HEADERS 3
struct http_client_header {
    const char *name; /* static; NULL = none */
    const char *value;
};
struct http_client_request { /* all borrowed */
    const char *method, *path_query;
    const char *body; /* or NULL */
    struct http_client_header headers[HTTP_CLIENT_HEADERS];
};
struct http_call *http_client_send(struct http_client *client,
                                   const struct http_client_request *request,
                                   void (*done)(void *arg, const struct http_reply *reply),
                                   void *arg);
void http_call_cancel(struct http_call **call);

/* Long-lived GET whose answer is lines (the events connection): on_line per line without the
 * newline (at most 64 KiB; empty ones too); on_end when it ends or cannot be made: E_END, E_TIMEOUT
 * (lines_idle_ms without a byte), E_TOO_BIG, E_DENIED (401, 403), E_NOT_FOUND, E_IO. The caller
 * retries with jitter; after a failure that is another server. The handle is gone with on_end;
 * closing it inside either callback is fine. NULL: out of memory, or a path that cannot be sent. */
struct http_lines;
struct http_lines *http_client_lines(struct http_client *client, const char *path_query,
                                     void (*on_line)(void *arg, struct buf_view line),
                                     void (*on_end)(void *arg, enum err e), void *arg);
void http_lines_close(struct http_lines **lines);
/* URL of the server that the next call will ask first; lent until the next call. */
const char *http_client_server(const struct http_client *client);
/* URL of the first of the list; lent as long as the client lives. */
const char *http_client_first(const struct http_client *client);
/* The server of this URL (as in http_reply) is the current one from now on, until it fails. One
 * that is not in the list changes nothing. */
void http_client_prefer(struct http_client *client, const char *url);

#endif
