/* See trust.h. */
#include "common/net/trust.h"

#include <stdlib.h>

const char *const k_trust_headers[] = {"x-forwarded-for", "forwarded", "none", NULL};

enum err trust_init(struct trust *trust, char *const *nets, size_t n_nets, enum trust_header header,
                    size_t *bad)
{
    *bad = 0;
    trust->header = header;
    if (n_nets == 0)
        return E_OK;
    trust->nets = calloc(n_nets, sizeof *trust->nets);
    if (!trust->nets)
        return E_NOMEM;
    trust->n_nets = n_nets;
    for (; *bad < n_nets; ++*bad) {
        if (addr_net_parse(&trust->nets[*bad], nets[*bad]) == E_OK)
            continue;
        trust_fini(trust);
        return E_INVAL;
    }
    return E_OK;
}

void trust_fini(struct trust *trust)
{
    free(trust->nets);
    *trust = (struct trust){.nets = NULL};
}

bool trust_has(const struct trust *trust, const struct addr *peer)
{
    for (size_t i = 0; i < trust->n_nets; i++)
        if (addr_net_contains(&trust->nets[i], peer))
            return true;
    return false;
}
