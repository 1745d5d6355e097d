/* The console: a page of files that are part of the program. The page asks the API of whoever
 * serves it; GET /api/v1/console/me says whose that is. */
#ifndef HW_COMMON_CONSOLE_CONSOLE_H
#define HW_COMMON_CONSOLE_CONSOLE_H

#include "common/net/api_access.h"
#include "common/net/http_server.h"

/* Handlers of "/" and "/console/{file...}": no token, since there is nothing secret in them. arg is
 * not used. */
void console_serve(struct http_exchange *x, void *arg);

/* The answer of GET /api/v1/console, for which no token is needed: whether one is for the rest, so
 * that the page asks for it before anything is refused. */
void console_say_door(struct http_exchange *x, const struct api_access *access);

/* The answer of GET /api/v1/console/me: {"kind", "id", "version", "who", "scope"}. */
struct console_who {
    const char *kind; /* "node" or "scheduler" */
    const char *id;
    enum api_scope scope; /* of who asks */
};
void console_say_who(struct http_exchange *x, const struct console_who *who);

#endif
