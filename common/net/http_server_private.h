/* What the files of the HTTP server share. An inbound is one connection that came in; an exchange
 * is one request on it and its answer. How both go over the wire is a struct http_version: that of
 * HTTP/1 (http1*.c) gives only the first exchange of an inbound to a handler, so that answers go
 * out in order; that of HTTP/2 (http2*.c) gives each to its handler as it comes.
 *
 * Handlers may answer from inside a callback of the connection, and that may end it. So whoever
 * works on an inbound does it between http_inbound_enter() and http_inbound_leave(): a dead one is
 * freed when the outermost leaves, and never before. */
#ifndef HW_COMMON_NET_HTTP_SERVER_PRIVATE_H
#define HW_COMMON_NET_HTTP_SERVER_PRIVATE_H

#include "common/base/list.h"
#include "common/net/http_server.h"

#define HTTP_MAX_PATH_ARGS 8
#define HTTP_OUT_KEEP_BYTES 65536 /* the memory of server.out is given back above this */
#define HTTP_DATE_SIZE 30         /* "Sun, 06 Nov 1994 08:49:37 GMT" and zero */

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    const char *log_area;
    const struct http_route *routes;
    void *arg;
    struct conn_budget *budget;     /* NULL = none */
    const struct http_guard *guard; /* NULL = whoever asks is let in */
    const struct trust *trust;      /* NULL = nobody is believed */
    enum http_cors (*cors_allows)(const void *arg, const char *origin); /* NULL = all */
    const void *cors_arg;
    struct tls_server *tls; /* NULL = not for connections with TLS */
    struct list inbounds;
    struct buf_writer out;       /* answers being collected; its memory is used again */
    struct http_inbound *out_of; /* whose they are; only between its enter and leave */
    int64_t date_s;              /* the second that date is for */
    char date[HTTP_DATE_SIZE];
};

struct http_inbound;
struct http_reply;

/* How one version of HTTP carries requests and answers. All but write() are called between enter
 * and leave. */
struct http_version {
    /* Bytes from the socket. No handler runs: they may be the loop's scratch buffer. */
    void (*receive)(struct http_inbound *inbound, struct buf_view got);
    /* Gives requests to handlers, and sends what there is room for. */
    void (*advance)(struct http_inbound *inbound);
    bool (*wants_bytes)(const struct http_inbound *inbound);
    enum http_wait (*wanted_wait)(const struct http_inbound *inbound);
    void (*on_timeout)(struct http_inbound *inbound);
    /* The peer sends no more. */
    void (*on_peer_end)(struct http_inbound *inbound);
    /* The connection is to end: at once, and nothing more is answered; or, with is_gentle, with
     * what the peer has asked by now, and it takes another one for the rest. No handler runs. */
    void (*say_goodbye)(struct http_inbound *inbound, bool is_gentle);
    /* Nothing more is to come but what is queued. */
    bool (*is_over)(const struct http_inbound *inbound);
    void (*fini)(struct http_inbound *inbound);

    /* The head of an answer. */
    void (*begin)(struct http_exchange *x, const struct http_reply *reply);
    /* Copies bytes of its body; those of a stream go out now. E_SLOW, E_CLOSED. */
    enum err (*write)(struct http_exchange *x, struct buf_view bytes);
    /* The body is x->sending. x may be gone after this. */
    void (*send)(struct http_exchange *x);
    /* x->sending has more to send. x may be gone after this. */
    void (*resume)(struct http_exchange *x);
    /* The answer ends here, though it is not complete. x may be gone after this. */
    void (*cut)(struct http_exchange *x);
    /* The body is complete. x may be gone after this. */
    void (*end)(struct http_exchange *x);
    /* Takes the connection out, if it can be; x is gone. */
    struct conn *(*take)(struct http_exchange *x);
};
extern const struct http_version k_http1, k_http2;

/* The head of an answer; texts are NULL when there is none. */
struct http_reply {
    unsigned status;
    const char *content_type;
    const char *etag;
    const char *cache_control;
    bool has_ranges; /* may be asked for in parts */
    bool is_endless; /* the length is not known */
    uint64_t length_bytes;
};

enum http_reading {
    HTTP_READING_HEAD, /* between requests, or inside a head kept in inbound.in */
    HTTP_READING_BODY, /* the body of inbound.receiving */
    HTTP_READING_HELD, /* a body that its handler will take: kept in inbound.in, no more is read */
    HTTP_READING_OFF   /* no further request: the last answer closes */
};

/* What the timer of an inbound waits for. */
enum http_wait {
    HTTP_WAIT_NONE,  /* the handler takes its time; or: restart the timer */
    HTTP_WAIT_FIRST, /* the first byte of a new connection */
    HTTP_WAIT_IDLE,  /* the next request */
    HTTP_WAIT_HEAD,  /* the rest of a head */
    HTTP_WAIT_BODY,  /* the rest of a body */
    HTTP_WAIT_DRAIN, /* the peer to take the answers already queued */
    HTTP_WAIT_CHECK, /* HTTP/2: the next look at all streams */
    HTTP_WAIT_NOW    /* HTTP/2: what could not be done in the caller's call */
};

struct http_inbound {
    struct list node; /* of server.inbounds */
    struct http_server *server;
    struct conn *conn; /* NULL once it was taken out or closed */
    const struct http_version *version;
    struct list exchanges;
    unsigned n_exchanges;
    size_t body_bytes;   /* of all exchanges */
    size_t copied_bytes; /* answers in memory of exchanges; HTTP/2 */
    struct timer timer;
    enum http_wait wait;
    unsigned depth;  /* enters without leave */
    bool dead;       /* to be freed; nothing is sent any more */
    bool advancing;  /* inside http_inbound_advance() */
    bool paused;     /* conn_set_reading(false) was called */
    bool has_served; /* a request was read */
    /* HTTP/1 */
    struct buf_writer in; /* a head that is not complete, or requests above max_pipelined */
    struct http_exchange *receiving;
    struct http_body body; /* of receiving, or held */
    size_t dropped_bytes;  /* read after the last request */
    bool is_leaving;       /* closed with the next answer that has no request behind it */
    enum http_reading reading;
    /* HTTP/2 */
    struct http2 *h2;
};

enum http_phase {
    HTTP_PHASE_RECEIVING, /* the body is not complete */
    HTTP_PHASE_READY,     /* waits for its turn */
    HTTP_PHASE_RUNNING,   /* a handler has it */
    HTTP_PHASE_STREAMING, /* http_stream_begin() was called */
    HTTP_PHASE_SENDING    /* answered; shared parts are still to be sent, the handler is done */
};

/* The rest of a shared answer. */
struct http_sending {
    const struct buf_view *parts; /* lent until done() */
    size_t skip_bytes;            /* sent of *parts, or not wanted */
    uint64_t left_bytes;
    void (*done)(void *arg); /* NULL: there is nothing, or it was called */
    void *arg;
    /* Of an answer in pieces; else NULL and 0. */
    void (*want)(struct http_exchange *x, void *arg, uint64_t at, uint64_t left_bytes);
    uint64_t later_at, later_bytes; /* behind the parts */
    struct buf_view piece;          /* the parts */
    bool is_asked;
};

struct http_pair { /* borrowed from the exchange's own memory */
    const char *name;
    const char *value;
};

struct http_path_arg {
    struct buf_view key; /* in the pattern */
    const char *value;
};

struct http_text { /* a decoded query argument */
    struct http_text *next;
    char text[];
};

struct http_client_said { /* by a trusted proxy */
    struct addr peer;
    bool is_tls;
    char text[ADDR_TEXT_SIZE];
};

struct http_exchange {
    struct list node; /* of inbound.exchanges */
    struct http_inbound *inbound;
    enum http_phase phase;
    const struct http_route *route; /* NULL: 404, 405, 501 or OPTIONS */
    const char *method;
    const char *path;  /* decoded */
    char *path_parts;  /* a copy in which matched segments end in zeros */
    const char *query; /* raw */
    struct http_path_arg args[HTTP_MAX_PATH_ARGS];
    unsigned n_args;
    struct http_text *texts;
    struct buf_writer body;
    struct buf_writer headers; /* extra ones of the answer */
    struct http_sending sending;
    struct http_client_said *client; /* owned; NULL: it is the connection's peer */
    unsigned refused_status;         /* not 0: answered without a handler */
    const char *refused_text;        /* static */
    unsigned minor_version;
    char who[HTTP_WHO_SIZE];
    bool is_head;
    bool close; /* the answer ends the connection */
    bool cors;
    bool expect_continue; /* 100 is still to be sent */
    void (*on_gone)(struct http_exchange *x, void *arg);
    void *on_gone_arg;
    /* HTTP/2 */
    struct list turn;      /* of http2.ready or http2.gone */
    struct buf_writer out; /* a body that is copied */
    size_t out_sent_bytes; /* of out, from the front */
    size_t dropped_bytes;  /* of a body that nobody wants */
    int64_t moved_us;      /* when bytes of it last went out, or it came */
    int32_t stream_id;     /* 0: the stream is closed */
    bool has_ended;        /* nothing is added to the body any more */
    /* --- */
    unsigned n_fields;
    struct http_pair fields[]; /* the memory of all texts follows */
};

/* http_metrics.c: label sets are closed. */
enum http_bad {
    HTTP_BAD_SYNTAX,
    HTTP_BAD_PATH,
    HTTP_BAD_HEAD_SIZE,
    HTTP_BAD_BODY_SIZE,
    HTTP_BAD_TIMEOUT,
    HTTP_BAD_EXPECTATION,
    HTTP_BAD_NOT_IMPLEMENTED,
    HTTP_BAD_VERSION,
    HTTP_BAD_TRUNCATED,
    HTTP_BAD_SLOW_READER,
    HTTP_BAD_RESETS,
    HTTP_BAD_SETTINGS,
    HTTP_BAD_PINGS,
    HTTP_BAD_WINDOWS,
    HTTP_BAD_EMPTY_FRAMES,
    HTTP_BAD_CONTINUATIONS,
    HTTP_BAD_FRAMES
};
void http_metrics_register(void); /* once is enough, more is fine; any thread */
void http_count_answer(unsigned status);
void http_count_taken(void);
const char *http_count_bad(enum http_bad reason); /* returns the label */
enum http_bad http_bad_from_status(unsigned status);

/* http_server.c */
void http_inbound_enter(struct http_inbound *inbound);
void http_inbound_leave(struct http_inbound *inbound); /* inbound may be gone after this */
/* Takes an accepted connection. */
void http_inbound_create(struct http_server *server, struct conn **conn,
                         const struct http_version *version);
/* A request came; the timer begins anew. */
void http_inbound_enqueue(struct http_inbound *inbound, struct http_exchange *x);
/* Its handler answers; or what is to be answered without one. */
void http_inbound_dispatch(struct http_inbound *inbound, struct http_exchange *x);
/* A handler has it. */
bool http_exchange_is_dispatched(const struct http_exchange *x);
/* Counts and logs one bad request; status 0 when it gets no answer. */
void http_inbound_report(struct http_inbound *inbound, enum http_bad reason, unsigned status,
                         const char *detail, uint64_t limit);
/* The limit that a status speaks of; 0 when it speaks of none. */
uint64_t http_inbound_limit_of(const struct http_inbound *inbound, unsigned status);
/* Lends what collects answers, until another function of an inbound is called. */
struct buf_writer *http_inbound_out(struct http_inbound *inbound);
/* Writes what was collected, or marks the inbound dead. */
enum err http_inbound_flush(struct http_inbound *inbound);
/* Writes bytes behind what was collected, or marks the inbound dead. */
enum err http_inbound_write(struct http_inbound *inbound, struct buf_view bytes);

/* http1_receive.c */
/* Queues the error answer, behind the answers to earlier requests; it ends the connection. x is the
 * exchange at fault, or NULL when there is none yet. text is static. */
void http1_refuse(struct http_inbound *inbound, struct http_exchange *x, enum http_bad reason,
                  unsigned status, const char *text);
/* Bytes from the socket; what cannot be used yet is kept. */
void http1_receive(struct http_inbound *inbound, struct buf_view got);
/* Goes on with the bytes kept. True when some were used. */
bool http1_parse_kept(struct http_inbound *inbound);
/* One more request may be read. */
bool http1_has_room(const struct http_inbound *inbound);
/* A request was begun in the bytes kept. */
bool http1_has_begun_head(const struct http_inbound *inbound);

/* http2.c */
/* The connection turned out to speak HTTP/2. False when out of memory. */
bool http2_start(struct http_inbound *inbound);

/* http_exchange.c */
/* Returns an exchange with its own copy of the head; borrows both. E_INVAL with *why for a bad
 * path, then *out can still be answered; E_NOMEM. */
enum err http_exchange_create(struct http_inbound *inbound, const struct http_head *head,
                              struct buf_view head_bytes, struct http_exchange **out,
                              const char **why);
/* One for a request that could not be parsed; NULL when out of memory. */
struct http_exchange *http_exchange_create_bare(struct http_inbound *inbound);
/* Takes *x out of the queue of its inbound and frees it. */
void http_exchange_destroy(struct http_exchange **x);

/* The peer has left: tells the handler that has it, and the guard when it was not answered; then as
 * destroy. */
void http_exchange_abandon(struct http_exchange **x);
/* http_client_said.c: asks the fields of a trusted proxy whose request it is. False when out of
 * memory. */
bool http_learn_client(struct http_exchange *x);

/* http_answer.c */
bool http_has_no_content(unsigned status);
/* Of a route with HTTP_ROUTE_CORS. */
enum http_cors http_cors_of(const struct http_exchange *x);
/* The fields that every version has, "Name: value" lines. Counts the answer. */
void http_write_fields(struct http_exchange *x, const struct http_reply *reply,
                       struct buf_writer *out);

/* http_shared.c */
/* Lends the next bytes that lie in one piece; there are some. */
struct buf_view http_sending_piece(const struct http_sending *s);
/* Drops n_bytes from the front. */
void http_sending_move(struct http_sending *s, uint64_t n_bytes);
/* All parts are sent: asks for the next piece, if there is one. False: there is none. */
bool http_sending_ask(struct http_exchange *x);
/* The parts are not needed any more. */
void http_shared_done(struct http_exchange *x);

/* http_route.c */
/* The first route for method and path, its variables put into x; NULL if none. Sets x->cors. */
const struct http_route *http_route_find(struct http_exchange *x);
/* Answers what no route is for: OPTIONS, 404, 405 or 501. */
void http_route_answer_without(struct http_exchange *x);

#endif
