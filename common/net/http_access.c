/* Who may ask without a token, and what a token is compared with. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/net/http_server_private.h"

static bool is_local_host(struct buf_view host)
{
    return buf_view_equals(host, "127.0.0.1") || buf_view_equals(host, "::1") ||
           buf_view_equals_nocase(host, "localhost");
}

static bool is_local_authority(const char *host_port)
{
    struct buf_view host;
    unsigned port;

    return http_split_host(buf_view_str(host_port), &host, &port) == E_OK && is_local_host(host);
}

/* "null" (sandboxed frames, files) is no URL and thus foreign. */
static bool is_local_origin(const char *origin)
{
    struct url url;

    return url_parse(buf_view_str(origin), &url) == E_OK && is_local_host(url.host);
}

/* Whatever they say: who looks local because a proxy on this machine passed him on is not. */
static const char *const k_passed_on[] = {"X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"};

bool http_is_from_here(const struct http_exchange *x)
{
    for (size_t i = 0; i < sizeof k_passed_on / sizeof k_passed_on[0]; i++)
        if (http_header(x, k_passed_on[i]))
            return false;
    return addr_is_loopback(http_peer_addr(x));
}

bool http_is_local(const struct http_exchange *x)
{
    const char *host = http_header(x, "Host");

    if (!http_is_from_here(x) || !host || !is_local_authority(host))
        return false;
    for (unsigned i = 0; i < x->n_fields; i++) /* each of them, should there be several */
        if (strcasecmp(x->fields[i].name, "Origin") == 0 && !is_local_origin(x->fields[i].value))
            return false;
    return true;
}

/* Takes as long for any given of the same length, whatever the token is. */
static bool same_secret(const char *given, const char *token)
{
    size_t given_bytes = strlen(given), token_bytes = strlen(token);
    volatile unsigned char differs = given_bytes != token_bytes;

    for (size_t i = 0; i < given_bytes; i++)
        differs |= (unsigned char)(given[i] ^ token[token_bytes ? i % token_bytes : 0]);
    return !differs;
}

const char *http_bearer(const struct http_exchange *x)
{
    static const char k_scheme[] = "Bearer ";
    const char *value = http_header(x, "Authorization");

    if (!value || strncasecmp(value, k_scheme, sizeof k_scheme - 1) != 0)
        return NULL;
    value += sizeof k_scheme - 1;
    return value + strspn(value, " ");
}

bool http_bearer_is(const struct http_exchange *x, const char *token)
{
    const char *bearer = http_bearer(x);

    return bearer && *token && same_secret(bearer, token);
}

void http_set_who(struct http_exchange *x, const char *who)
{
    (void)snprintf(x->who, sizeof x->who, "%s", who);
}

const char *http_who(const struct http_exchange *x)
{
    return x->who;
}
