/* See referrers.h. */
#include "node/access/referrers.h"

#include <string.h>
#include <strings.h>

#include "node/control/node_metrics.h"
#include "proto/http/http.h"

struct referrer_rule {
    char *app; /* first: app_items.h */
    struct conf_list allow;
    bool none;
};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct referrer_rule, app,   "app", NULL, 2 * NAME_PART_MAX + 1, "App, or * for all that have no item of their own.", true),
    CONF_FIELD_LIST  (struct referrer_rule, allow, "allow", "", 1000, "Hosts of pages: host, or *.host for all below it.", true),
    CONF_FIELD_BOOL  (struct referrer_rule, none,  "none", "true", "Whether those may play that say no page: players that are no browsers.", true),
};
/* clang-format on */

static const struct conf_schema k_schema = {"access.referrers", k_fields,
                                            sizeof k_fields / sizeof k_fields[0],
                                            sizeof(struct referrer_rule)};

enum err referrers_read(const struct node_conf *conf, struct app_items *out,
                        struct conf_error *error)
{
    return app_items_init(out, &k_schema, "access.referrers", &conf->access_referrers, error);
}

static bool matches(const char *pattern, struct buf_view host)
{
    size_t size = strlen(pattern);

    if (strncmp(pattern, "*.", 2) != 0)
        return buf_view_equals_nocase(host, pattern);
    pattern++; /* ".host" has to be its end, and something before it */
    size--;
    return host.size_bytes > size &&
           strncasecmp((const char *)host.data + host.size_bytes - size, pattern, size) == 0;
}

bool referrers_allow(const struct app_items *rules, const struct stream_name *name,
                     const char *referrer)
{
    const struct referrer_rule *rule = app_items_find(rules, name);
    struct url url;

    if (!rule)
        return true;
    if (!*referrer)
        return rule->none;
    if (url_parse(buf_view_str(referrer), &url) != E_OK)
        return false;
    for (size_t i = 0; i < rule->allow.n_items; i++)
        if (matches(rule->allow.items[i], url.host))
            return true;
    return false;
}

enum access_verdict referrers_check(struct access_question *q)
{
    const struct access_request *r = q->request;

    if (r->action != ACCESS_PLAY ||
        !strcmp(r->protocol, "rtmp") || /* pageUrl is Flash's, and gone */
        referrers_allow(&q->nl->node->rules.referrers, &r->name, r->referrer))
        return ACCESS_NEXT;
    metric_add(&m_access_refused_referrer, 1);
    return access_deny(q, 403, "this page may not show the stream (access.referrers)");
}
