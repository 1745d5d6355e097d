/* Who may use an API: decided before any handler, by the scope of the route (API_SCOPE() in its
 * flags). A token is asked for, unless the request was sent on this machine to a loopback listener.
 * Wrong tokens are answered late, each later than the one before; others do not wait. Each change
 * is one line of the log, area "audit". On the loop of the server. */
#ifndef HW_COMMON_NET_API_ACCESS_H
#define HW_COMMON_NET_API_ACCESS_H

#include "common/net/api_tokens.h"
#include "common/net/http_server.h"

/* "name scope", from who asks for somebody else, with a token that may do more: it may do no more
 * than that, and the log has the name. */
#define API_ON_BEHALF "X-Headwater-On-Behalf"
#define API_ON_BEHALF_SIZE (HTTP_WHO_SIZE + 8)

/* Who is meant to get the request; another one answers 421. For who asks an address of which it was
 * told that somebody is there. */
#define API_MEANT "X-Headwater-Node"

#define API_SCOPE(scope) ((unsigned)(scope)*HTTP_ROUTE_GUARD)
/* Beside the scope of a GET route that changes something, as older APIs have them: audited as a
 * change, and refused to pages of other sites, which can have a browser send a GET unasked. */
#define API_CHANGES (HTTP_ROUTE_GUARD << 2)
#define API_SCOPE_OF(flags) ((enum api_scope)((flags) / HTTP_ROUTE_GUARD & 3u))

struct api_access; /* opaque */

struct api_access_conf {
    struct loop *loop;
    const char *area;    /* static: of log lines */
    bool is_on_loopback; /* the listener: who asks on this machine needs no token */
    /* The request bears a token that may do everything: what the nodes of a cluster share. */
    bool (*bears_node_token)(const struct http_exchange *x, void *arg);
    /* Asked once a request is let in, e.g. for what it may ask; false: answered. NULL = nothing. */
    bool (*check)(struct http_exchange *x, const struct http_route *route, void *arg);
    /* A request was not let in. NULL = not told. */
    void (*on_refused)(void *arg);
    void *arg;
};

/* Returns NULL when out of memory. Pair with api_access_destroy(). */
struct api_access *api_access_create(const struct api_access_conf *conf);
/* After the server that it guards. */
void api_access_destroy(struct api_access **access);
/* x needs no token, be there one or not: it was sent on this machine to a loopback listener. */
bool api_access_is_open(const struct api_access *access, const struct http_exchange *x);
/* What x may do; API_NONE: nothing but what everybody may. */
enum api_scope api_access_scope(const struct api_access *access, const struct http_exchange *x);
/* For http_server_set_guard(). */
const struct http_guard *api_access_guard(const struct api_access *access);
/* See api_tokens_read(): on failure the tokens stay as they were. */
enum err api_access_read_tokens(struct api_access *access, const char *key, const char *path,
                                struct conf_error *error);

#endif
