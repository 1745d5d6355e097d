/* The servers of a HTTP client: their URLs, which is asked first, which are skipped for a while.
 * Private to common/net. */
#ifndef HW_COMMON_NET_HTTP_UPSTREAMS_H
#define HW_COMMON_NET_HTTP_UPSTREAMS_H

#include "common/net/http_client.h"
#include "common/net/http_link.h"

struct http_upstream {
    struct http_target target; /* points into this struct */
    char url[300];
    char host[256];
    char host_header[280];
    int64_t skip_until_us;
};

struct http_upstreams {
    struct http_upstream *list; /* owned */
    unsigned n;
    unsigned current;    /* asked first */
    char *authorization; /* owned; "" without a token */
    const char *log_area;
};

/* E_INVAL or E_NOMEM with *why (static text); then nothing is held. Pair with fini. */
enum err http_upstreams_init(struct http_upstreams *u, const struct http_client_conf *conf,
                             const char **why);
void http_upstreams_fini(struct http_upstreams *u);
/* E_NOMEM, E_INVAL: it stays as it was. */
enum err http_upstreams_set_token(struct http_upstreams *u, const char *token);
/* Index of the server to ask: the current one first, those that failed lately last, none that was
 * tried (tried may be NULL). -1 when all were. */
int http_upstreams_pick(const struct http_upstreams *u, int64_t now_us, const bool *tried);
/* The one of this URL is the current one from now on; one that is not in the list changes nothing.
 */
void http_upstreams_prefer(struct http_upstreams *u, const char *url);
void http_upstreams_answered(struct http_upstreams *u, unsigned at);
/* status 0: e says what happened; else the status that counts as failure. */
void http_upstreams_failed(struct http_upstreams *u, unsigned at, int64_t now_us, enum err e,
                           unsigned status);

#endif
