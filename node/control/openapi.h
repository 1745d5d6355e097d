/* The description of the API: openapi.json beside this file, which is part of the program, with the
 * schemas of what the configuration table describes put in. It is served, and is the rule for which
 * query arguments a route takes. One thread at a time. */
#ifndef HW_NODE_CONTROL_OPENAPI_H
#define HW_NODE_CONTROL_OPENAPI_H

#include "common/net/http_server.h"

struct conf_schema;
struct openapi; /* opaque */

/* "x-item": name in components.schemas becomes this one; with "x-shown" as it is shown: with more
 * fields. */
struct openapi_schema {
    const char *name;
    const struct conf_schema *schema;
};

/* NULL when out of memory. */
struct openapi *openapi_create(void);
void openapi_destroy(struct openapi **api);
/* Once all are known who have some. Borrows schemas. E_NOMEM: there is no text. */
enum err openapi_set_schemas(struct openapi *api, const struct openapi_schema *schemas, size_t n);
/* Empty before the schemas were set. Lent until destroy. */
struct buf_view openapi_text(const struct openapi *api);
/* False: an argument of the query is not one of this operation, is there twice, or cannot be read,
 * and x was answered with 400. What is not described takes any. */
bool openapi_check_query(const struct openapi *api, struct http_exchange *x,
                         const struct http_route *route);

#endif
