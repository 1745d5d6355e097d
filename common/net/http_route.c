/* Method and path to handler; and what the table alone can answer: OPTIONS, 404, 405, 501. */
#include <string.h>

#include "common/net/http_server_private.h"

#define MAX_ECHOED_HEADERS_BYTES 1024

/* Methods that are known here though a table may not use them: 405 instead of 501. */
static const char *const k_methods[] = {"GET",     "HEAD",  "POST",   "PUT",
                                        "OPTIONS", "PATCH", "DELETE", "TRACE"};

static bool is_variable(struct buf_view part)
{
    return part.size_bytes > 2 && part.data[0] == '{' && part.data[part.size_bytes - 1] == '}';
}

/* "{x}" to "x"; *is_rest for "{x...}". */
static struct buf_view variable_key(struct buf_view part, bool *is_rest)
{
    struct buf_view key = buf_view_of(part.data + 1, part.size_bytes - 2);

    *is_rest = key.size_bytes > 3 && memcmp(key.data + key.size_bytes - 3, "...", 3) == 0;
    if (*is_rest)
        key.size_bytes -= 3;
    return key;
}

/* The part after the slash at *at, which is advanced to the next slash or the end. */
static struct buf_view next_part(const char **at)
{
    const char *start = *at + 1;

    *at = strchrnul(start, '/');
    return buf_view_of(start, (size_t)(*at - start));
}

/* What follows "{x...}" in a pattern ends the path. */
static bool cut_end(struct buf_view *rest, const char *end)
{
    size_t size = strlen(end);

    if (rest->size_bytes <= size || memcmp(rest->data + rest->size_bytes - size, end, size) != 0)
        return false;
    rest->size_bytes -= size;
    return true;
}

/* Fills args (HTTP_MAX_PATH_ARGS of them) with parts of path. */
static bool match_pattern(const char *pattern, const char *path, struct http_path_arg *args,
                          struct buf_view *values, unsigned *n_args)
{
    *n_args = 0;
    while (*pattern == '/' && *path == '/') {
        struct buf_view rest = buf_view_str(path + 1);
        struct buf_view want = next_part(&pattern);
        struct buf_view got = next_part(&path);
        bool is_rest = false;

        if (is_variable(want) && *n_args < HTTP_MAX_PATH_ARGS) {
            args[*n_args].key = variable_key(want, &is_rest);
            values[*n_args] = is_rest ? rest : got;
            if (values[(*n_args)++].size_bytes == 0)
                return false;
            if (is_rest)
                return cut_end(&values[*n_args - 1], pattern);
        } else if (want.size_bytes != got.size_bytes ||
                   memcmp(want.data, got.data, got.size_bytes) != 0) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

static bool path_matches(const struct http_route *route, const struct http_exchange *x)
{
    struct http_path_arg args[HTTP_MAX_PATH_ARGS];
    struct buf_view values[HTTP_MAX_PATH_ARGS];
    unsigned n_args;

    return strcmp(x->path, "*") == 0 ||
           match_pattern(route->pattern, x->path, args, values, &n_args);
}

/* Matches for good: the values become texts of the exchange. */
static void set_args(const struct http_route *route, struct http_exchange *x)
{
    struct buf_view values[HTTP_MAX_PATH_ARGS];

    match_pattern(route->pattern, x->path, x->args, values, &x->n_args);
    for (unsigned i = 0; i < x->n_args; i++) {
        char *text = x->path_parts + ((const char *)values[i].data - x->path);

        text[values[i].size_bytes] = '\0';
        x->args[i].value = text;
    }
}

const struct http_route *http_route_find(struct http_exchange *x)
{
    const char *method = x->is_head ? "GET" : x->method;
    const struct http_route *found = NULL;

    for (const struct http_route *r = x->inbound->server->routes; r->method && !found; r++) {
        if (!path_matches(r, x))
            continue;
        x->cors |= (r->flags & HTTP_ROUTE_CORS) != 0;
        if (strcmp(r->method, method) == 0 || strcmp(r->method, x->method) == 0)
            found = r;
    }
    if (!found || strcmp(x->path, "*") == 0)
        return NULL;
    x->cors = (found->flags & HTTP_ROUTE_CORS) != 0;
    set_args(found, x);
    return found;
}

static void add_method(struct buf_writer *list, const char *method)
{
    if (list->used_bytes)
        buf_write_str(list, ", ");
    buf_write_str(list, method);
}

/* "GET, HEAD, OPTIONS" for the path of x, in the order of k_methods; "" when nothing matches. */
static void list_methods(const struct http_exchange *x, struct buf_writer *list)
{
    for (size_t i = 0; i < sizeof k_methods / sizeof k_methods[0]; i++) {
        const char *as = strcmp(k_methods[i], "HEAD") == 0 ? "GET" : k_methods[i];
        const struct http_route *r = x->inbound->server->routes;
        bool is_options = strcmp(as, "OPTIONS") == 0;

        while (r->method && !(path_matches(r, x) && (is_options || strcmp(r->method, as) == 0)))
            r++;
        if (r->method)
            add_method(list, k_methods[i]);
    }
    if (list->used_bytes)
        buf_write_u8(list, 0);
}

/* Only names that are tokens go back, each written anew. */
static void add_requested_headers(struct http_exchange *x)
{
    const char *asked = http_header(x, "Access-Control-Request-Headers");
    struct buf_reader list = buf_reader_from(buf_view_str(asked ? asked : ""));
    struct buf_writer names;
    struct buf_view name;

    buf_writer_init(&names, MAX_ECHOED_HEADERS_BYTES);
    while (http_list_next(&list, &name)) {
        if (!http_is_token(name))
            continue;
        if (names.used_bytes)
            buf_write_str(&names, ", ");
        buf_write_view(&names, name);
    }
    if (names.used_bytes)
        buf_write_u8(&names, 0);
    if (names.used_bytes && buf_writer_status(&names) == E_OK)
        http_add_header(x, "Access-Control-Allow-Headers", (const char *)names.data);
    buf_writer_fini(&names);
}

static void answer_options(struct http_exchange *x, const char *methods)
{
    http_add_header(x, "Allow", methods);
    if (x->cors && http_cors_of(x) != HTTP_CORS_NONE) {
        http_add_header(x, "Access-Control-Allow-Methods", methods);
        add_requested_headers(x);
        http_add_header(x, "Access-Control-Max-Age", "86400");
    }
    http_respond(x, 204, NULL, buf_view_str(""));
}

static bool is_known_method(const char *method)
{
    for (size_t i = 0; i < sizeof k_methods / sizeof k_methods[0]; i++)
        if (strcmp(k_methods[i], method) == 0)
            return true;
    return false;
}

void http_route_answer_without(struct http_exchange *x)
{
    struct buf_writer methods;

    buf_writer_init(&methods, 256);
    list_methods(x, &methods);
    if (!is_known_method(x->method)) {
        http_respond_problem(x, 501, "method %s is not known here", x->method);
    } else if (!methods.used_bytes || buf_writer_status(&methods) != E_OK) {
        http_respond_problem(x, 404, "nothing at %s", x->path);
    } else if (strcmp(x->method, "OPTIONS") == 0) {
        answer_options(x, (const char *)methods.data);
    } else {
        http_add_header(x, "Allow", (const char *)methods.data);
        http_respond_problem(x, 405, "%s is not allowed at %s", x->method, x->path);
    }
    buf_writer_fini(&methods);
}
