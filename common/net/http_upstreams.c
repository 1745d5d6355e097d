/* See http_upstreams.h. */
#include "common/net/http_upstreams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

#define SKIP_MS 1500 /* +- a third: 1 to 2 s, so that many nodes do not come back at once */

/* The scheme's part of url, which is moved past it; its default port. 0: neither http nor https. */
static unsigned take_scheme(const char **url)
{
    static const struct {
        const char *text;
        unsigned port;
    } k_schemes[] = {{"http://", 80}, {"https://", 443}};

    for (size_t i = 0; i < sizeof k_schemes / sizeof k_schemes[0]; i++) {
        size_t size = strlen(k_schemes[i].text);

        if (strncmp(*url, k_schemes[i].text, size) != 0)
            continue;
        *url += size;
        return k_schemes[i].port;
    }
    return 0;
}

/* "http://host[:port][/]"; anything more would be silently ignored later, so it is refused. */
static enum err parse_url(struct http_upstream *s, const char *url, struct tls_client *tls,
                          const char **why)
{
    const char *rest = url;
    unsigned port = take_scheme(&rest);
    size_t size = strlen(rest), scheme_size = (size_t)(rest - url);

    if (port == 443 && !tls) {
        *why = "https is not supported here: use http://host:port";
        return E_UNSUPPORTED;
    }
    *why = "not a URL of the form http://host:port";
    if (size > 0 && rest[size - 1] == '/')
        size--;
    if (port == 0 || size == 0 || size >= sizeof s->host_header ||
        strcspn(rest, "/?#@ \t\r\n") < size)
        return E_INVAL;
    memcpy(s->host_header, rest, size);
    s->host_header[size] = '\0';
    snprintf(s->url, sizeof s->url, "%.*s%s", (int)scheme_size, url, s->host_header);
    if (addr_split(s->host_header, s->host, sizeof s->host, &s->target.port, port) != E_OK ||
        s->target.port == 0)
        return E_INVAL;
    s->target.tls = port == 443 ? tls : NULL;
    return E_OK;
}

static char *make_authorization(const char *token)
{
    size_t size = strlen(token) + sizeof "Bearer ";
    char *text = malloc(size);

    if (text)
        snprintf(text, size, "%s%s", token[0] ? "Bearer " : "", token);
    return text;
}

enum err http_upstreams_init(struct http_upstreams *u, const struct http_client_conf *conf,
                             const char **why)
{
    enum err e = E_NOMEM;

    *u = (struct http_upstreams){.log_area = conf->log_area};
    if (conf->n_urls == 0) {
        *why = "no server is given";
        return E_INVAL;
    }
    u->list = calloc(conf->n_urls, sizeof *u->list);
    e = u->list ? http_upstreams_set_token(u, conf->bearer_token ? conf->bearer_token : "")
                : E_NOMEM;
    *why = e == E_INVAL ? "the token holds a line break" : err_text(e);
    if (e != E_OK)
        goto fail;
    for (u->n = 0; u->n < conf->n_urls; u->n++) {
        struct http_upstream *s = &u->list[u->n];

        e = parse_url(s, conf->urls[u->n], conf->tls, why);
        if (e != E_OK)
            goto fail;
        s->target.host = s->host;
        s->target.host_header = s->host_header;
        s->target.authorization = u->authorization;
        s->target.timeout_ms = conf->timeout_ms;
        s->target.max_body_bytes = conf->max_body_bytes;
    }
    *why = NULL;
    return E_OK;
fail:
    http_upstreams_fini(u);
    return e;
}

/* A secret is not left behind in freed memory. */
static void forget(char *authorization)
{
    if (authorization)
        explicit_bzero(authorization, strlen(authorization));
    free(authorization);
}

enum err http_upstreams_set_token(struct http_upstreams *u, const char *token)
{
    char *fresh;

    if (strpbrk(token, "\r\n"))
        return E_INVAL;
    fresh = make_authorization(token);
    if (!fresh)
        return E_NOMEM;
    for (unsigned i = 0; i < u->n; i++)
        u->list[i].target.authorization = fresh;
    forget(u->authorization);
    u->authorization = fresh;
    return E_OK;
}

void http_upstreams_fini(struct http_upstreams *u)
{
    forget(u->authorization);
    free(u->list);
    *u = (struct http_upstreams){.n = 0};
}

int http_upstreams_pick(const struct http_upstreams *u, int64_t now_us, const bool *tried)
{
    for (int pass = 0; pass < 2;
         pass++) { /* when all failed lately, they are better than nothing */
        for (unsigned k = 0; k < u->n; k++) {
            unsigned at = (u->current + k) % u->n;

            if (tried && tried[at])
                continue;
            if (pass == 1 || u->list[at].skip_until_us <= now_us)
                return (int)at;
        }
    }
    return -1;
}

void http_upstreams_prefer(struct http_upstreams *u, const char *url)
{
    for (unsigned i = 0; i < u->n; i++)
        if (strcmp(u->list[i].url, url) == 0)
            u->current = i;
}

void http_upstreams_answered(struct http_upstreams *u, unsigned at)
{
    struct http_upstream *s = &u->list[at];

    if (s->target.failed)
        log_info(u->log_area, "msg=\"server is back\" server=%s", LOG_STR(s->url));
    s->target.failed = false;
    s->skip_until_us = 0;
    u->current = at;
}

void http_upstreams_failed(struct http_upstreams *u, unsigned at, int64_t now_us, enum err e,
                           unsigned status)
{
    struct http_upstream *s = &u->list[at];

    if (!s->target.failed && status)
        log_warn(u->log_area, "msg=\"server failed\" server=%s status=%u", LOG_STR(s->url), status);
    else if (!s->target.failed)
        log_warn(u->log_area, "msg=\"server failed\" server=%s error=%s", LOG_STR(s->url),
                 LOG_STR(err_text(e)));
    s->target.failed = true;
    s->skip_until_us = now_us + jitter_ms(SKIP_MS, 1.0 / 3) * 1000;
    if (u->current == at)
        u->current = (at + 1) % u->n;
}
