/* What is made of lists in the configuration, to be looked at often: networks, rules of apps. Read
 * anew at a reload, and swapped while all loops stand still. */
#ifndef HW_NODE_RULES_H
#define HW_NODE_RULES_H

#include "common/net/trust.h"
#include "node/access/app_items.h"

struct node_conf;

struct node_rules {
    struct trust trust;           /* trusted_proxies */
    struct app_items limits_apps; /* admission.h */
    struct app_items referrers;   /* access/referrers.h */
};

/* Into a zeroed struct. E_INVAL, E_NOMEM with *error: it is back to zero. */
enum err node_rules_read(const struct node_conf *conf, struct node_rules *out,
                         struct conf_error *error);
void node_rules_fini(struct node_rules *rules);

#endif
