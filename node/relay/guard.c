/* See guard.h. */
#include "node/relay/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/addr_net.h"
#include "proto/http/http.h"

/* RFC 6890 and what IANA's special purpose registries got since; of IPv6 only 2000::/3 is given
 * out. Translators' addresses (64:ff9b::/96) lead to any IPv4 address, so they are among them. */
static const char *const k_special[] = {
    "0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",   "127.0.0.0/8",
    "169.254.0.0/16", /* link; clouds tell secrets there */
    "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",    "192.88.99.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3",    "::/3",          "4000::/2",        "8000::/1",
    "2001::/23",      "2001:db8::/32", "2002::/16", /* 6to4 leads to any IPv4 address, too */
    "3fff::/20",
};
#define N_SPECIAL (sizeof k_special / sizeof k_special[0])

struct relay_guard {
    struct addr_nets *special, *allowed;
    bool allow_private;
};

static struct addr_nets *nets_of(const char *const *texts, size_t n)
{
    struct addr_net *nets = calloc(n ? n : 1, sizeof *nets);
    struct addr_nets *set;
    size_t n_good = 0;

    if (!nets)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (addr_net_parse(&nets[n_good], texts[i]) == E_OK)
            n_good++;
    set = addr_nets_create(nets, n_good);
    free(nets);
    return set;
}

struct relay_guard *relay_guard_create(const struct conf_list *allowed, bool allow_private)
{
    struct relay_guard *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->allow_private = allow_private;
    g->special = nets_of(k_special, N_SPECIAL);
    g->allowed = nets_of((const char *const *)allowed->items, allowed->n_items);
    if (!g->special || !g->allowed)
        relay_guard_destroy(&g);
    return g;
}

void relay_guard_destroy(struct relay_guard **guard)
{
    struct relay_guard *g = *guard;

    *guard = NULL;
    if (!g)
        return;
    addr_nets_destroy(&g->special);
    addr_nets_destroy(&g->allowed);
    free(g);
}

static bool note(void *arg, size_t index)
{
    (void)index;
    *(bool *)arg = true;
    return false;
}

static bool is_in(const struct addr_nets *nets, const struct addr *addr)
{
    bool found = false;

    addr_nets_find(nets, addr, note, &found);
    return found;
}

bool relay_guard_allows(const struct relay_guard *g, const struct addr *addr)
{
    return g->allow_private || !is_in(g->special, addr) || is_in(g->allowed, addr);
}

bool relay_guard_holds_from(const struct relay_guard *g, bool is_guarded, const struct addr *from)
{
    return is_guarded || !is_in(g->special, from);
}

bool relay_guard_allows_url(const struct relay_guard *g, const char *text)
{
    char host[256], with_port[272];
    struct addr addr;
    struct url url;

    if (url_parse(buf_view_str(text), &url) != E_OK ||
        !buf_view_to_str(url.host, host, sizeof host))
        return true;
    snprintf(with_port, sizeof with_port, strchr(host, ':') ? "[%s]:1" : "%s:1", host);
    return addr_parse(&addr, with_port) != E_OK || relay_guard_allows(g, &addr);
}
