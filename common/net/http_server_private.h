/* What the files of the HTTP server share. An inbound is one connection that came in; an exchange
 * is one request on it and its answer. Exchanges of an inbound stand in a queue in the order they
 * came; only the first is ever given to a handler, so answers go out in order.
 *
 * Handlers may answer from inside a callback of the connection, and that may end it. So whoever
 * works on an inbound does it between http_inbound_enter() and http_inbound_leave(): a dead one is
 * freed when the outermost leaves, and never before. */
#ifndef HW_COMMON_NET_HTTP_SERVER_PRIVATE_H
#define HW_COMMON_NET_HTTP_SERVER_PRIVATE_H

#include "common/base/list.h"
#include "common/net/http_server.h"

#define HTTP_MAX_PATH_ARGS 8
#define HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and zero */

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    const char *log_area;
    const struct http_route *routes;
    void *arg;
    struct conn_budget *budget; /* NULL = none */
    struct list inbounds;
    struct buf_writer out;       /* answers being collected; its memory is used again */
    struct http_inbound *out_of; /* whose they are; only between its enter and leave */
    int64_t date_s;              /* the second that date is for */
    char date[HTTP_DATE_SIZE];
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
    HTTP_WAIT_DRAIN  /* the peer to take the answers already queued */
};

struct http_inbound {
    struct list node; /* of server.inbounds */
    struct http_server *server;
    struct conn *conn; /* NULL once it was taken out or closed */
    struct list exchanges;
    unsigned n_exchanges;
    size_t body_bytes;    /* of all exchanges */
    struct buf_writer in; /* a head that is not complete, or requests above max_pipelined */
    struct http_exchange *receiving;
    struct http_body body; /* of receiving, or held */
    size_t dropped_bytes;  /* read after the last request */
    struct timer timer;
    enum http_reading reading;
    enum http_wait wait;
    unsigned depth;  /* enters without leave */
    bool dead;       /* to be freed; nothing is sent any more */
    bool advancing;  /* inside http_inbound_advance() */
    bool paused;     /* conn_set_reading(false) was called */
    bool has_served; /* a request was read */
};

enum http_phase {
    HTTP_PHASE_RECEIVING, /* the body is not complete */
    HTTP_PHASE_READY,     /* waits for its turn */
    HTTP_PHASE_RUNNING,   /* a handler has it */
    HTTP_PHASE_STREAMING  /* http_stream_begin() was called */
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
    unsigned refused_status;   /* not 0: answered without a handler */
    const char *refused_text;  /* static */
    unsigned minor_version;
    bool is_head;
    bool close; /* the answer ends the connection */
    bool cors;
    bool expect_continue; /* 100 is still to be sent */
    void (*on_gone)(struct http_exchange *x, void *arg);
    void *on_gone_arg;
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
    HTTP_BAD_SLOW_READER
};
void http_metrics_register(void); /* once is enough, more is fine; any thread */
void http_count_answer(unsigned status);
void http_count_taken(void);
const char *http_count_bad(enum http_bad reason); /* returns the label */
enum http_bad http_bad_from_status(unsigned status);

/* http_server.c */
void http_inbound_enter(struct http_inbound *inbound);
void http_inbound_leave(struct http_inbound *inbound); /* inbound may be gone after this */
/* Handles what is ready: gives the first exchange to its handler, goes on with kept bytes. */
void http_inbound_advance(struct http_inbound *inbound);
/* Lends what collects answers, until another function of an inbound is called. */
struct buf_writer *http_inbound_out(struct http_inbound *inbound);
/* Writes what was collected, or marks the inbound dead. */
enum err http_inbound_flush(struct http_inbound *inbound);
/* Writes bytes behind what was collected, or marks the inbound dead. */
enum err http_inbound_write(struct http_inbound *inbound, struct buf_view bytes);

/* http_receive.c */
/* Counts and logs one bad request; status 0 when it gets no answer. */
void http_inbound_report(struct http_inbound *inbound, enum http_bad reason, unsigned status,
                         const char *detail, uint64_t limit);
/* Queues the error answer, behind the answers to earlier requests; it ends the connection. x is the
 * exchange at fault, or NULL when there is none yet. text is static. */
void http_inbound_refuse(struct http_inbound *inbound, struct http_exchange *x,
                         enum http_bad reason, unsigned status, const char *text);
/* Bytes from the socket; what cannot be used yet is kept. */
void http_inbound_receive(struct http_inbound *inbound, struct buf_view got);
/* Goes on with the bytes kept. True when some were used. */
bool http_inbound_parse_kept(struct http_inbound *inbound);
/* One more request may be read. */
bool http_inbound_has_room(const struct http_inbound *inbound);
/* A request was begun in the bytes kept. */
bool http_inbound_has_begun_head(const struct http_inbound *inbound);

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

/* http_route.c */
/* The first route for method and path, its variables put into x; NULL if none. Sets x->cors. */
const struct http_route *http_route_find(struct http_exchange *x);
/* Answers what no route is for: OPTIONS, 404, 405 or 501. */
void http_route_answer_without(struct http_exchange *x);

#endif
