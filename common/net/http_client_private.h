/* What http_client.c and http_lines.c share. */
#ifndef HW_COMMON_NET_HTTP_CLIENT_PRIVATE_H
#define HW_COMMON_NET_HTTP_CLIENT_PRIVATE_H

#include "common/net/http_upstreams.h"

#define HTTP_CLIENT_LINKS 4 /* connections a server, unless told */
#define HTTP_CLIENT_MAX_LINKS 16

struct http_pool {
    struct http_link links[HTTP_CLIENT_MAX_LINKS]; /* owner: the call, or NULL */
    struct list waiting;                           /* struct http_call, first come first served */
};

struct http_client {
    struct loop *loop;
    struct http_upstreams servers;
    struct http_pool *pools; /* one a server */
    struct list calls;
    struct list lines;
    unsigned n_calls, max_calls, n_links;
    int64_t lines_idle_ms;
};

/* A path and query that can stand in a request line. */
bool http_client_path_is_valid(const char *path_query);
/* Closes lines for http_client_destroy(). */
void http_lines_drop(struct list *node);

#endif
