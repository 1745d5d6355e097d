/* The way to a peer that a URL names: its host is looked up, the address is looked at, and a
 * connection begins, under TLS if the scheme says so. Loop thread. */
#ifndef HW_NODE_RELAY_DIAL_H
#define HW_NODE_RELAY_DIAL_H

#include "common/net/conn.h"
#include "node/node.h"
#include "proto/http/http.h"

#define DIAL_MAX_ADDRS 8

struct dial { /* embedded in who connects; zeroed before dial_begin() */
    char host[256];
    unsigned port;
    /* The rest is private. */
    const struct dial_conf *conf;
    struct node_loop *nl;
    void *arg;
    bool tls, is_guarded;
    struct net_resolve *resolve;
    struct timer timer; /* a failure is told from a turn of its own */
    enum err failed;
    const char *why;
    struct addr addrs[DIAL_MAX_ADDRS]; /* where it may be connected to; tried up to next */
    unsigned n_addrs, next;
};

struct dial_conf { /* static */
    int64_t connect_timeout_ms;
    size_t max_queue_bytes;
    const struct conn_ops *ops; /* of the connection: on_connected follows */
    /* The connection was made (and has to be closed by who is told): maybe from within
     * dial_begin(), and again from within dial_next(), in the place of the one before. */
    void (*on_conn)(void *arg, struct conn *conn);
    /* There will be none. why (static) says more. Never from within dial_begin(). */
    void (*on_failed)(void *arg, enum err e, const char *why);
};

/* Borrows url. is_guarded: only where relay_guard_allows() it. */
void dial_begin(struct dial *d, struct node_loop *nl, const struct dial_conf *conf, void *arg,
                const struct url *url, unsigned default_port, bool tls, bool is_guarded);
/* For on_connected with a failure: takes failed, if there is another address to try (then on_conn()
 * was told of that connection). False: nothing has changed. A server that was reached and is not
 * believed (TLS) has no other. */
bool dial_next(struct dial *dial, struct conn *failed);
/* Nothing more is told. Fine at any time, and twice. */
void dial_stop(struct dial *d);

#endif
