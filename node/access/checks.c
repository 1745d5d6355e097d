/* The checks, in the order in which they have a say. */
#include "node/access/checks.h"

#include "node/access/check_hooks.h"
#include "node/access/methods.h"
#include "node/access/referrers.h"
#include "node/control/bans.h"

/* A ban ends who is in, too. */
static enum access_verdict check_bans(struct access_question *q)
{
    const struct access_request *r = q->request;
    const char *why = bans_check(q->nl->node, &r->addr,
                                 r->action == ACCESS_PLAY ? BAN_PLAY : BAN_PUBLISH, &r->name);

    return why ? access_deny(q, 403, "%s", why) : ACCESS_NEXT;
}

const struct access_check k_access_checks[] = {
    {"bans", true, check_bans, NULL},
    {"referrer", true, referrers_check, NULL},
    {"rules", false, access_check_rules, access_rules_are_personal},
    {"hooks", false, access_check_hooks, access_hooks_are_personal},
};
const unsigned k_n_access_checks = sizeof k_access_checks / sizeof k_access_checks[0];
