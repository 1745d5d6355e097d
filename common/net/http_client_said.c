/* Whose request it is, where a trusted proxy passed it on. */
#include <stdlib.h>

#include "common/net/http_server_private.h"

#define MAX_HOPS 16 /* proxies in a row that are all trusted */

/* False: it names nobody ("unknown", "_hidden"). */
static bool read_hop(const struct http_hop *hop, struct addr *out)
{
    char host[ADDR_TEXT_SIZE];

    if (!buf_view_to_str(hop->host, host, sizeof host) || addr_parse_host(out, host, 0) != E_OK)
        return false;
    addr_unmap(out);
    return true;
}

/* The rightmost that is not a proxy of ours: what is left of it, the client may have written. */
static bool find_client(const struct trust *trust, const struct http_hop *hops, unsigned n_hops,
                        struct addr *out)
{
    bool found = false;

    while (n_hops > 0 && read_hop(&hops[n_hops - 1], out)) {
        found = true;
        n_hops--;
        if (!trust_has(trust, out))
            break;
    }
    return found;
}

bool http_learn_client(struct http_exchange *x)
{
    static const enum http_hops_field k_fields[] = {
        [TRUST_X_FORWARDED_FOR] = HTTP_HOPS_X_FORWARDED_FOR,
        [TRUST_FORWARDED] = HTTP_HOPS_FORWARDED,
    };
    const struct trust *trust = x->inbound->server->trust;
    struct http_hop hops[MAX_HOPS];
    struct http_head head;
    struct addr client;
    unsigned n_hops;

    if (!trust || trust->header == TRUST_NO_HEADER ||
        !trust_has(trust, conn_peer_addr(x->inbound->conn)))
        return true;
    http_request_head(x, &head);
    n_hops = http_forwarded_hops(&head, k_fields[trust->header], hops, MAX_HOPS);
    if (!find_client(trust, hops, n_hops, &client))
        return true;
    x->client = malloc(sizeof *x->client);
    if (!x->client)
        return false;
    x->client->peer = client;
    x->client->is_tls = hops[n_hops - 1].proto.size_bytes
                            ? buf_view_equals_nocase(hops[n_hops - 1].proto, "https")
                            : conn_is_tls(x->inbound->conn);
    addr_format(&client, x->client->text);
    return true;
}
