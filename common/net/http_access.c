/* Who may ask without a token, and what a token is compared with. */
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

bool http_is_local(const struct http_exchange *x)
{
    const char *host = http_header(x, "Host");

    if (!addr_is_loopback(http_peer_addr(x)) || !host || !is_local_authority(host))
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

bool http_bearer_is(const struct http_exchange *x, const char *token)
{
    static const char k_scheme[] = "Bearer ";
    const char *value = http_header(x, "Authorization");

    if (!value || !*token || strncasecmp(value, k_scheme, sizeof k_scheme - 1) != 0)
        return false;
    value += sizeof k_scheme - 1;
    return same_secret(value + strspn(value, " "), token);
}
