/* What rules there are between the node's keys, and what some of them say. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/net/addr.h"
#include "common/net/addr_net.h"
#include "common/net/tls_setup.h"
#include "node/access/rules.h"
#include "node/compat/compat.h"
#include "node/conf.h"
#include "node/hooks/item.h"
#include "node/record/record.h"
#include "node/relay/item.h"
#include "node/rules.h"
#include "proto/cluster/cluster.h"
#include "proto/http/http.h"

#define URL_BYTES (CLUSTER_URL_SIZE - 1)
/* What browsers say of sandboxed frames, and of pages that another site sent here by a redirect. */
#define NO_ORIGIN "null"

static enum err refuse(struct conf_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum err refuse(struct conf_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return E_INVAL;
}

/* --- URLs --- */

/* Hosts end in Location headers and in what other nodes connect to. */
static bool is_host_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr(".:_-", c));
}

/* "scheme://host[:port]" and nothing more. */
static bool is_base_url(const char *text, const char *scheme)
{
    struct url url;

    if (url_parse(buf_view_str(text), &url) != E_OK || !buf_view_equals(url.scheme, scheme))
        return false;
    if (url.user.size_bytes || url.password.size_bytes || url.path.size_bytes ||
        url.query.size_bytes || strpbrk(text, "?#@"))
        return false;
    for (size_t i = 0; i < url.host.size_bytes; i++)
        if (!is_host_char(url.host.data[i]))
            return false;
    return url.host.size_bytes > 0;
}

static bool is_loopback_host(struct buf_view host)
{
    char text[80], with_port[96];
    struct addr addr;

    if (buf_view_equals_nocase(host, "localhost"))
        return true;
    if (!buf_view_to_str(host, text, sizeof text))
        return false;
    snprintf(with_port, sizeof with_port, strchr(text, ':') ? "[%s]:1" : "%s:1", text);
    return addr_parse(&addr, with_port) == E_OK && addr_is_loopback(&addr);
}

bool node_conf_is_on_one_machine(const struct node_conf *conf)
{
    for (size_t i = 0; i < conf->cluster_schedulers.n_items; i++) {
        struct url url;

        if (url_parse(buf_view_str(conf->cluster_schedulers.items[i]), &url) != E_OK ||
            !is_loopback_host(url.host))
            return false;
    }
    return true;
}

static enum err check_url(const char *key, const char *text, struct conf_error *error)
{
    if (strlen(text) <= URL_BYTES && (is_base_url(text, "http") || is_base_url(text, "https")))
        return E_OK;
    return refuse(error, "%s: found \"%.200s\", allowed is http://host:port or https://host:port",
                  key, text);
}

static enum err check_urls(const struct node_conf *conf, struct conf_error *error)
{
    const struct {
        const char *key;
        const struct conf_list *list;
        const char *word; /* or this; NULL = URLs alone */
    } rows[] = {
        {"cluster.schedulers", &conf->cluster_schedulers, NULL},
        {"fallback_origins", &conf->fallback_origins, NULL},
        {"websocket.origins", &conf->websocket_origins, NULL},
        {"http.cors_origins", &conf->http_cors_origins, NO_ORIGIN},
    };

    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (size_t i = 0; i < rows[row].list->n_items; i++) {
            const char *item = rows[row].list->items[i];

            if (!(rows[row].word && strcmp(item, rows[row].word) == 0) &&
                check_url(rows[row].key, item, error) != E_OK)
                return E_INVAL;
        }
    return E_OK;
}

/* --- TLS --- */

static const char *with_certificates(const struct node_conf *conf, const char *listen)
{
    return conf->tls_certificates.n_items ? listen : "";
}

const char *node_conf_rtmps_listen(const struct node_conf *conf)
{
    return with_certificates(conf, conf->rtmps_listen);
}

const char *node_conf_https_listen(const struct node_conf *conf)
{
    return with_certificates(conf, conf->https_listen);
}

static enum err check_certificates(const struct node_conf *conf, struct conf_error *error)
{
    struct tls_error why;

    if (tls_setup_check(&conf->tls_certificates, &why) != E_OK)
        return refuse(error, "tls.certificates%s", why.text);
    if (conf->admin_tls && !conf->tls_certificates.n_items)
        return refuse(error, "admin.tls: found true, allowed only with tls.certificates");
    return E_OK;
}

/* --- relays --- */

static enum err check_pull_source(const char *source, const char *text, struct conf_error *error)
{
    struct pull_item item = {0};
    struct stream_name name;
    enum err e = pull_item_from_conf(source, text, &item, &name, error);

    conf_free(&k_pull_item_schema, &item);
    return e;
}

static enum err check_push_target(const char *source, const char *text, struct conf_error *error)
{
    struct push_item item = {0};
    enum err e = push_item_from_conf(source, text, &item, error);

    conf_free(&k_push_item_schema, &item);
    return e;
}

static enum err check_network(const char *source, const char *text, struct conf_error *error)
{
    struct addr_net net;

    return addr_net_parse(&net, text) == E_OK
               ? E_OK
               : refuse(error, "%s: found \"%.100s\", allowed are networks: 10.0.0.0/8", source,
                        text);
}

static enum err check_relays(const struct node_conf *conf, struct conf_error *error)
{
    const struct {
        const char *key;
        const struct conf_list *list;
        enum err (*check)(const char *source, const char *text, struct conf_error *error);
    } rows[] = {
        {"pull.sources", &conf->pull_sources, check_pull_source},
        {"push.targets", &conf->push_targets, check_push_target},
        {"relay.allowed_networks", &conf->relay_allowed_networks, check_network},
    };
    char source[64];

    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        for (size_t i = 0; i < rows[row].list->n_items; i++) {
            snprintf(source, sizeof source, "%s[%zu]", rows[row].key, i);
            if (rows[row].check(source, rows[row].list->items[i], error) != E_OK)
                return E_INVAL;
        }
    }
    return E_OK;
}

/* --- publish.duplicate_apps --- */

/* Splits an entry, "app=policy". *app is lent: it points into item; *duplicate is an enum
 * cluster_duplicate. E_INVAL with *why (static). */
static enum err split_duplicate_app(const char *item, struct buf_view *app, int *duplicate,
                                    const char **why)
{
    const char *equals = strchr(item, '=');
    struct stream_name name;

    *why = "no \"=\" between app and policy";
    if (!equals)
        return E_INVAL;
    *app = buf_view_of(item, (size_t)(equals - item));
    if (stream_name_make(&name, *app, buf_view_str("x"), why) != E_OK)
        return E_INVAL;
    *why = "not an app as clients name it"; /* a slash at its end, or a query, is not part of it */
    if (name.app_bytes != app->size_bytes || memcmp(name.text, item, name.app_bytes) != 0)
        return E_INVAL;
    *why = "not a policy";
    for (int i = 0; k_cluster_duplicates[i]; i++) {
        if (!strcmp(equals + 1, k_cluster_duplicates[i])) {
            *duplicate = i;
            return E_OK;
        }
    }
    return E_INVAL;
}

int node_conf_duplicate(const struct node_conf *conf, const struct stream_name *name)
{
    const struct conf_list *list = &conf->publish_duplicate_apps;

    for (size_t i = 0; i < list->n_items; i++) {
        struct buf_view app;
        const char *why;
        int duplicate;

        if (split_duplicate_app(list->items[i], &app, &duplicate, &why) == E_OK &&
            app.size_bytes == name->app_bytes && !memcmp(app.data, name->text, name->app_bytes))
            return duplicate;
    }
    return conf->publish_duplicate;
}

static enum err check_duplicate_apps(const struct node_conf *conf, struct conf_error *error)
{
    for (size_t i = 0; i < conf->publish_duplicate_apps.n_items; i++) {
        const char *item = conf->publish_duplicate_apps.items[i], *why;
        struct buf_view app;
        int duplicate;

        if (split_duplicate_app(item, &app, &duplicate, &why) != E_OK)
            return refuse(error,
                          "publish.duplicate_apps[%zu]: found \"%.200s\": %s; allowed is "
                          "app=refuse, app=takeover or app=standby",
                          i, item, why);
    }
    return E_OK;
}

/* --- websocket.origins --- */

static bool is_same_nocase(struct buf_view a, struct buf_view b)
{
    return a.size_bytes == b.size_bytes &&
           strncasecmp((const char *)a.data, (const char *)b.data, a.size_bytes) == 0;
}

/* One that is left out is that of the scheme, http or https. */
static unsigned port_of(const struct url *url)
{
    return url->port ? url->port : buf_view_equals_nocase(url->scheme, "https") ? 443 : 80;
}

/* NO_ORIGIN is no URL: an item of the same word allows it. */
static bool allows_origin(const struct conf_list *list, struct buf_view origin)
{
    struct url asked, allowed;

    if (list->n_items == 0)
        return true;
    for (size_t i = 0; i < list->n_items; i++)
        if (strcmp(list->items[i], NO_ORIGIN) == 0 && buf_view_equals(origin, NO_ORIGIN))
            return true;
    if (url_parse(origin, &asked) != E_OK)
        return false;
    for (size_t i = 0; i < list->n_items; i++)
        if (url_parse(buf_view_str(list->items[i]), &allowed) == E_OK &&
            is_same_nocase(asked.scheme, allowed.scheme) &&
            is_same_nocase(asked.host, allowed.host) && port_of(&asked) == port_of(&allowed))
            return true;
    return false;
}

bool node_conf_allows_origin(const struct node_conf *conf, struct buf_view origin)
{
    return allows_origin(&conf->websocket_origins, origin);
}

enum http_cors node_conf_cors(const struct node_conf *conf, const char *origin)
{
    if (!conf->http_cors_origins.n_items)
        return HTTP_CORS_ALL;
    return origin && allows_origin(&conf->http_cors_origins, buf_view_str(origin)) ? HTTP_CORS_ONE
                                                                                   : HTTP_CORS_NONE;
}

static enum err check_rules(const struct node_conf *conf, struct conf_error *error)
{
    struct node_rules rules = {.trust = {.nets = NULL}};
    enum err e = node_rules_read(conf, &rules, error);

    node_rules_fini(&rules);
    return e;
}

/* --- cluster --- */

static bool is_wildcard(const char *listen)
{
    struct addr addr;

    return *listen && addr_parse(&addr, listen) == E_OK && addr_is_wildcard(&addr);
}

static enum err check_advertise(const struct node_conf *conf, struct conf_error *error)
{
    const struct {
        const char *key, *scheme, *value, *listen_key, *listen;
    } rows[] = {
        {"cluster.advertise.public.rtmp", "rtmp", conf->cluster_advertise_public_rtmp,
         "rtmp.listen", conf->rtmp_listen},
        {"cluster.advertise.public.http", "http", conf->cluster_advertise_public_http,
         "http.listen", conf->http_listen},
        {"cluster.advertise.public.rtmps", "rtmps", conf->cluster_advertise_public_rtmps,
         "rtmps.listen", node_conf_rtmps_listen(conf)},
        {"cluster.advertise.public.https", "https", conf->cluster_advertise_public_https,
         "https.listen", node_conf_https_listen(conf)},
        {"cluster.advertise.internal.rtmp", "rtmp", conf->cluster_advertise_internal_rtmp,
         "rtmp.listen", conf->rtmp_listen},
        {"cluster.advertise.internal.http", "http", conf->cluster_advertise_internal_http,
         "http.listen", conf->http_listen},
        {"cluster.advertise.internal.https", "https", conf->cluster_advertise_internal_https, "",
         ""},
    };
    const char *admin = conf->admin_tls ? "https" : "http";
    bool needed = conf->cluster_schedulers.n_items > 0 && !node_conf_is_on_one_machine(conf);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (*rows[i].value && !is_base_url(rows[i].value, rows[i].scheme))
            return refuse(error, "%s: found \"%s\", allowed is %s://host:port", rows[i].key,
                          rows[i].value, rows[i].scheme);
        if (needed && !*rows[i].value && is_wildcard(rows[i].listen))
            return refuse(error,
                          "%s: not set, and its default, %s %s, is an address that others "
                          "cannot connect to; set it to %s://host:port",
                          rows[i].key, rows[i].listen_key, rows[i].listen, rows[i].scheme);
    }
    if (*conf->cluster_advertise_admin && !is_base_url(conf->cluster_advertise_admin, admin))
        return refuse(error, "cluster.advertise.admin: found \"%s\", allowed is %s://host:port",
                      conf->cluster_advertise_admin, admin);
    return E_OK;
}

static enum err check_node_id(const struct node_conf *conf, struct conf_error *error)
{
    if (!*conf->cluster_node_id || cluster_id_is_valid(conf->cluster_node_id))
        return E_OK;
    return refuse(error,
                  "cluster.node_id: found \"%s\", allowed are 1 to 64 letters, digits, dots, "
                  "dashes and underscores",
                  conf->cluster_node_id);
}

static enum err check_access_rules(const struct node_conf *conf, struct conf_error *error)
{
    struct access_rules rules = {NULL, 0};
    enum err e = access_rules_make(&conf->access_rules, &rules, error);

    access_rules_free(&rules);
    return e;
}

static enum err check_listen(const struct node_conf *conf, struct conf_error *error)
{
    if (*conf->rtmp_listen || *conf->http_listen || *node_conf_rtmps_listen(conf) ||
        *node_conf_https_listen(conf))
        return E_OK;
    return refuse(error, "rtmp.listen, http.listen: found both empty, one of them is needed");
}

static enum err check_compat(const struct node_conf *conf, struct conf_error *error)
{
    char path[NAME_PART_MAX + 4];
    struct stream_name name;
    const char *why = "";

    for (size_t i = 0; i < conf->compat.n_items; i++)
        if (compat_of_name(conf->compat.items[i]) == N_COMPATS)
            return refuse(error, "compat[%zu]: found %.64s, expected lal or livego", i,
                          conf->compat.items[i]);
    snprintf(path, sizeof path, "/%s/x", conf->compat_app);
    if (strchr(conf->compat_app, '/') ||
        stream_name_from_path(&name, buf_view_str(path), &why) != E_OK)
        return refuse(error, "compat_app: found %.128s, expected one part of a name%s%s",
                      conf->compat_app, *why ? ": " : "", why);
    return E_OK;
}

static enum err check_records(const struct node_conf *conf, struct conf_error *error)
{
    return record_rules_check(&conf->record_rules, error);
}

static enum err check_hooks(const struct node_conf *conf, struct conf_error *error)
{
    return hook_items_check(&conf->hooks_targets, error);
}

enum err node_conf_check(const struct node_conf *conf, struct conf_error *error)
{
    static enum err (*const k_checks[])(const struct node_conf *, struct conf_error *) = {
        check_listen,       check_certificates, check_node_id,        check_urls,
        check_rules,        check_relays,       check_duplicate_apps, check_records,
        check_access_rules, check_advertise,    check_hooks,          check_compat,
    };

    for (size_t i = 0; i < sizeof k_checks / sizeof k_checks[0]; i++)
        if (k_checks[i](conf, error) != E_OK)
            return E_INVAL;
    return E_OK;
}
