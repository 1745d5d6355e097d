/* See rules.h. */
#include "node/rules.h"

#include <stdio.h>

#include "node/access/referrers.h"
#include "node/conf.h"
#include "node/session/admission.h"

static enum err read_trust(const struct node_conf *conf, struct trust *out,
                           struct conf_error *error)
{
    const struct conf_list *list = &conf->trusted_proxies;
    size_t bad;
    enum err e = trust_init(out, list->items, list->n_items,
                            (enum trust_header)conf->trusted_proxies_header, &bad);

    if (e == E_INVAL)
        snprintf(error->text, sizeof error->text,
                 "trusted_proxies[%zu]: found \"%.100s\", allowed is a network, 10.0.0.0/8 or "
                 "2001:db8::/32, or an address",
                 bad, list->items[bad]);
    else if (e != E_OK)
        snprintf(error->text, sizeof error->text, "trusted_proxies: %s", err_text(e));
    return e;
}

enum err node_rules_read(const struct node_conf *conf, struct node_rules *out,
                         struct conf_error *error)
{
    enum err e = read_trust(conf, &out->trust, error);

    if (e == E_OK)
        e = admission_read_apps(conf, &out->limits_apps, error);
    if (e == E_OK)
        e = referrers_read(conf, &out->referrers, error);
    if (e != E_OK)
        node_rules_fini(out);
    return e;
}

void node_rules_fini(struct node_rules *rules)
{
    trust_fini(&rules->trust);
    app_items_fini(&rules->limits_apps);
    app_items_fini(&rules->referrers);
}
