/* What the rooms of both servers share: who is on, and questions that are answered later. */
#include "node/compat/compat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/compat/compat_private.h"
#include "node/control/gather.h"
#include "node/hooks/item.h"
#include "node/node.h"

static const struct http_route *const k_routes[N_COMPATS] = {
    [COMPAT_LAL] = k_lal_routes,
    [COMPAT_LIVEGO] = k_livego_routes,
};

bool compat_is_wanted(const struct node_conf *conf)
{
    return conf->compat.n_items || hook_items_want_lal(&conf->hooks_targets);
}

void compat_add_routes(const struct compat *compat, struct http_route *out)
{
    for (unsigned id = 0; compat && id < N_COMPATS; id++)
        if (compat_has(&compat->node->conf, (enum compat_id)id))
            for (const struct http_route *row = k_routes[id]; row->method; row++)
                *out++ = *row;
}

enum err compat_name(const struct node *node, const char *said, struct stream_name *out,
                     const char **why)
{
    char path[STREAM_NAME_SIZE + NAME_PART_MAX + 3];

    if (strlen(said) >= STREAM_NAME_SIZE) {
        *why = "the name is too long";
        return E_INVAL;
    }
    if (strchr(said, '/'))
        snprintf(path, sizeof path, "/%s", said);
    else
        snprintf(path, sizeof path, "/%s/%s", node->conf.compat_app, said);
    return stream_name_from_path(out, buf_view_str(path), why);
}

/* --- asks --- */

struct compat_ask *compat_ask_create(struct compat *compat, struct http_exchange *x)
{
    struct compat_ask *ask = calloc(1, sizeof *ask);

    if (!ask) {
        if (x)
            http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
        return NULL;
    }
    ask->compat = compat;
    ask->x = x;
    ask->has_exchange = x != NULL;
    list_push_back(&compat->asks, &ask->node);
    return ask;
}

void compat_ask_drop(struct compat_ask *ask)
{
    list_remove(&ask->node);
    compat_view_fini(&ask->view);
    json_decref(ask->body);
    free(ask);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct compat_ask *)arg)->x = NULL; /* who has the ask frees it */
}

static void collect(struct media_loop *ml, void *arg)
{
    struct compat_ask *ask = arg;

    ask->collect(ml, ask);
}

static void on_collected(void *arg)
{
    struct compat_ask *ask = arg;
    bool goes_on = false;

    if (ask->view.failed != E_OK) {
        if (ask->x)
            http_respond_problem(ask->x, 503, "%s", err_text(ask->view.failed));
    } else if (ask->x || !ask->has_exchange) {
        compat_view_finish(&ask->view);
        goes_on = ask->answer(ask);
    }
    if (!goes_on)
        compat_ask_drop(ask);
}

void compat_ask_run(struct compat_ask *ask)
{
    if (gather(ask->compat->node, collect, on_collected, ask) == E_OK) {
        if (ask->x)
            http_set_pending(ask->x, on_gone, ask);
        return;
    }
    if (ask->x)
        http_respond_problem(ask->x, 503, "%s", err_text(E_NOMEM));
    compat_ask_drop(ask);
}

void compat_ask_wait(struct compat_ask *ask)
{
    http_set_pending(ask->x, on_gone, ask);
}

void compat_ask_kept(void *arg, enum err e, const char *why)
{
    struct compat_ask *ask = arg;

    if (ask->x)
        ask->kept(ask, e, why);
    compat_ask_drop(ask);
}

/* --- life --- */

struct compat *compat_create(struct node *node)
{
    struct compat *compat = calloc(1, sizeof *compat);

    if (!compat)
        return NULL;
    compat->node = node;
    compat->started_wall_us = clock_wall_us();
    list_init(&compat->asks);
    compat_rates_init(&compat->rates, node);
    lal_notify_init(&compat->notify);
    random_bytes(compat->random, sizeof compat->random);
    return compat;
}

void compat_destroy(struct compat **compat)
{
    struct compat *c = *compat;
    struct list *node, *tmp;

    if (!c)
        return;
    *compat = NULL;
    list_for_each_safe(node, tmp, &c->asks) /* their walk has ended with the loops */
        compat_ask_drop(list_entry(node, struct compat_ask, node));
    compat_rates_fini(&c->rates);
    lal_notify_fini(&c->notify);
    explicit_bzero(c->random, sizeof c->random);
    free(c);
}
