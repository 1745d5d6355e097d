/* The inside of the room. */
#ifndef HW_NODE_COMPAT_COMPAT_PRIVATE_H
#define HW_NODE_COMPAT_COMPAT_PRIVATE_H

#include <jansson.h>

#include "node/compat/compat.h"
#include "node/compat/lal_notify.h"
#include "node/compat/rates.h"
#include "node/compat/view.h"
#include "node/control/settings.h"

struct compat {
    struct node *node;
    int64_t started_wall_us;
    struct compat_rates rates;
    struct lal_notify notify;
    struct list asks;   /* compat_ask.node: those that wait */
    uint8_t random[32]; /* of this process; rooms.c */
};

#define COMPAT_ID_SIZE (STREAM_NAME_SIZE + 8)

/* Something that cannot be answered at once: what the media loops know, or a setting that has to be
 * kept first. */
struct compat_ask {
    struct list node; /* private */
    struct compat *compat;
    struct http_exchange *x; /* NULL: the peer has left, or there is none */
    bool has_exchange;       /* there was one: nothing is answered without */
    struct compat_view view;
    void (*collect)(struct media_loop *ml, struct compat_ask *ask); /* on each media loop in turn */
    /* x is still there, if there was one. True: it goes on, settings have it; else the ask ends. */
    bool (*answer)(struct compat_ask *ask);
    void (*kept)(struct compat_ask *ask, enum err e,
                 const char *why); /* a setting is; x is there */
    /* What the handlers need. */
    char said[STREAM_NAME_SIZE]; /* a stream, as the client says it; "" = all */
    char id[COMPAT_ID_SIZE];     /* of a session */
    json_t *body;                /* owned, or NULL */
    struct stream_name name;
    bool found_stream, found_session;
};

/* x NULL: for nobody at the admin port. NULL (answered with 503) when out of memory. */
struct compat_ask *compat_ask_create(struct compat *compat, struct http_exchange *x);
/* It is not needed. */
void compat_ask_drop(struct compat_ask *ask);
/* Takes it: collect(), then answer(). */
void compat_ask_run(struct compat_ask *ask);
/* For settings_put() and settings_remove(), with the ask as their arg, and back: E_OK hands the ask
 * over to kept(). */
void compat_ask_kept(void *ask, enum err e, const char *why);
/* Within a handler, behind a call that went well: the exchange waits for kept(). */
void compat_ask_wait(struct compat_ask *ask);

/* lal.c, livego.c: end with method NULL. */
extern const struct http_route k_lal_routes[], k_livego_routes[];

#endif
