/* See dial.h. */
#include "node/relay/dial.h"

#include <stdio.h>
#include <string.h>

#include "common/net/tls_setup.h"
#include "node/relay/guard.h"

/* For callers that are on the stack. */
static void fail_soon(struct dial *d, enum err e, const char *why)
{
    d->failed = e;
    d->why = why;
    timer_start_ms(&d->timer, 0);
}

static void on_timer(struct timer *timer)
{
    struct dial *d = list_entry(timer, struct dial, timer);

    d->conf->on_failed(d->arg, d->failed, d->why); /* last: d may be gone */
}

/* E_OK: who dials has it. */
static enum err open_conn(struct dial *d, const struct addr *addr)
{
    struct conn *conn = conn_connect(d->nl->media.loop, addr, d->conf->connect_timeout_ms,
                                     d->conf->max_queue_bytes, d->conf->ops, d->arg);

    if (!conn)
        return E_IO;
    if (d->tls &&
        conn_start_tls_client(conn, tls_setup_client(d->nl->node->tls), d->host) != E_OK) {
        conn_close(&conn);
        return E_NOMEM;
    }
    d->conf->on_conn(d->arg, conn);
    return E_OK;
}

/* Where no connection can be made, the next address is as good: IPv6 may lead nowhere from here. */
static enum err open_next(struct dial *d)
{
    enum err e = E_NOT_FOUND;

    while (e != E_OK && d->next < d->n_addrs)
        e = open_conn(d, &d->addrs[d->next++]);
    return e;
}

/* Of these, where it may be connected to. */
static void connect_to(struct dial *d, const struct addr *addrs, unsigned n_addrs)
{
    enum err e;

    for (unsigned i = 0; i < n_addrs && d->n_addrs < DIAL_MAX_ADDRS; i++)
        if (!d->is_guarded || relay_guard_allows(d->nl->node->relay_guard, &addrs[i]))
            d->addrs[d->n_addrs++] = addrs[i];
    if (!d->n_addrs) {
        fail_soon(d, E_DENIED, RELAY_GUARD_WHY);
        return;
    }
    e = open_next(d);
    if (e != E_OK)
        fail_soon(d, e, e == E_IO ? "no socket" : NULL);
}

bool dial_next(struct dial *d, struct conn *failed)
{
    if (*conn_tls_error(failed) || open_next(d) != E_OK)
        return false;
    conn_close(&failed);
    return true;
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs)
{
    struct dial *d = arg;

    d->resolve = NULL;
    if (e == E_OK && n_addrs)
        connect_to(d, addrs, n_addrs);
    else
        fail_soon(d, e != E_OK ? e : E_NOT_FOUND, "its name has no address");
}

void dial_begin(struct dial *d, struct node_loop *nl, const struct dial_conf *conf, void *arg,
                const struct url *url, unsigned default_port, bool tls, bool is_guarded)
{
    char text[sizeof d->host + 16];
    struct addr addr;

    d->nl = nl;
    d->conf = conf;
    d->arg = arg;
    d->tls = tls;
    d->is_guarded = is_guarded;
    d->n_addrs = d->next = 0;
    d->port = url->port ? url->port : default_port;
    timer_init(&d->timer, nl->media.loop, on_timer);
    if (!buf_view_to_str(url->host, d->host, sizeof d->host)) {
        fail_soon(d, E_INVAL, "a host name that is too long");
        return;
    }
    snprintf(text, sizeof text, strchr(d->host, ':') ? "[%s]:%u" : "%s:%u", d->host, d->port);
    if (addr_parse(&addr, text) == E_OK) { /* most peers are numbers: a turn saved */
        connect_to(d, &addr, 1);
        return;
    }
    d->resolve = net_resolve(nl->media.loop, d->host, d->port, on_resolved, d);
    if (!d->resolve)
        fail_soon(d, E_NOMEM, NULL);
}

void dial_stop(struct dial *d)
{
    timer_stop(&d->timer);
    net_resolve_cancel(&d->resolve);
}
