/* What the two files of lal's API share. Private to node/compat. */
#ifndef HW_NODE_COMPAT_LAL_H
#define HW_NODE_COMPAT_LAL_H

#include "node/compat/compat_private.h"
#include "node/control/admin_private.h"
#include "node/node.h"

enum lal_code {
    LAL_SUCC = 0,
    LAL_NO_PAGE = 404,
    LAL_NO_GROUP = 1001,
    LAL_NO_PARAM = 1002,
    LAL_NO_SESSION = 1003,
    LAL_NO_PULL = 2001,
    LAL_NO_PORT = 2002,
};

/* Takes data; NULL = none. why NULL or "": what lal says. */
void lal_say(struct http_exchange *x, unsigned status, enum lal_code code, const char *why,
             json_t *data);
/* With 200, which is what its clients know. */
void lal_refuse(struct http_exchange *x, enum lal_code code, const char *why);
/* NULL: it was not said, or too long; answered. */
const char *lal_read_stream(struct http_exchange *x, const char *said);
/* A question about streams that are called so; "" = all. NULL: answered. */
struct compat_ask *lal_ask_about(struct compat *c, struct http_exchange *x, const char *said);

static inline struct compat *lal_compat_of(void *admin)
{
    return ((struct admin *)admin)->node->compat;
}

/* lal_ctrl.c: /api/ctrl */
void lal_start_pull(struct http_exchange *x, void *admin);
void lal_stop_pull(struct http_exchange *x, void *admin);
void lal_kick(struct http_exchange *x, void *admin);
void lal_add_blacklist(struct http_exchange *x, void *admin);
void lal_start_rtp(struct http_exchange *x, void *admin);
void lal_stop_rtp(struct http_exchange *x, void *admin);

#endif
