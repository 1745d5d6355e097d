/* Where a stream may be pulled from, the best place first, and which nodes just failed. */
#include <stdio.h>
#include <string.h>

#include "node/conf.h"
#include "node/handover.h"
#include "node/relay/pull_private.h"

#define FRESH_US 60000000 /* an older list is not tried without asking */

void pull_candidates_clear(struct pull_candidates *c, int64_t now_us)
{
    c->n = c->next = c->end = 0;
    c->known_us = now_us;
}

void pull_candidates_add(struct pull_candidates *c, const struct pull_candidate *like,
                         const char *url_base, const char *name, const char *suffix)
{
    struct pull_candidate *to = &c->all[c->n];
    int size;

    if (c->n == PULL_MAX_CANDIDATES)
        return;
    *to = *like;
    size = suffix ? snprintf(to->url, sizeof to->url, "%s/%s%s", url_base, name, suffix)
                  : snprintf(to->url, sizeof to->url, "%s", url_base);
    if (size >= 0 && (size_t)size < sizeof to->url)
        c->n++;
}

/* --- where a stream is --- */

static void add(struct pull_candidates *c, const char *node_id, uint32_t depth, const char *base,
                const struct stream_name *name)
{
    struct pull_candidate like = {.depth = depth};

    snprintf(like.node, sizeof like.node, "%s", node_id);
    pull_candidates_add(c, &like, base, name->text, ".flv");
}

/* The other process of this node, while one replaces the other. */
static void add_other_process(struct pull_candidates *c, struct node *node,
                              const struct stream_name *name)
{
    char url[CLUSTER_URL_SIZE], id[CLUSTER_ID_SIZE];

    if (handover_upstream(node, name->text, url, id))
        add(c, id, 0, url, name);
}

void pull_candidates_add_own(struct pull_candidates *c, struct node *node,
                             const struct stream_name *name, bool is_told)
{
    const struct conf_list *fallback = &node->conf.fallback_origins;

    add_other_process(c, node, name);
    if (c->n || node->agent || is_told)
        return;
    for (size_t i = 0; i < fallback->n_items; i++)
        add(c, PULL_UNKNOWN_NODE, HOPS_MAX_DEPTH, fallback->items[i], name);
}

void pull_candidates_add_route(struct pull_candidates *c, const struct node *node,
                               const struct stream_name *name, const struct cluster_route *r)
{
    for (unsigned i = 0; r->decision == CLUSTER_PULL && i < r->n_upstreams; i++) {
        const struct cluster_upstream *up = &r->upstreams[i];

        if (!*up->node) /* the agent's, from fallback_origins */
            add(c, PULL_UNKNOWN_NODE, HOPS_MAX_DEPTH, up->url, name);
        else if (strcmp(up->node, node->id) != 0)
            add(c, up->node, up->depth, up->url, name);
    }
}

/* --- trying them --- */

void pull_candidates_begin(struct pull_candidates *c, unsigned n_max)
{
    c->next = 0;
    c->end = c->n < n_max ? c->n : n_max;
}

static bool is_avoided(const struct pull_candidates *c, const char *node, int64_t now_us)
{
    for (unsigned i = 0; *node && i < CLUSTER_MAX_UPSTREAMS; i++)
        if (c->avoid[i].until_us > now_us && !strcmp(c->avoid[i].node, node))
            return true;
    return false;
}

/* Those that are as deep as the first one that can be tried: where they lie, and how many. */
static unsigned equally_good(const struct pull_candidates *c, int64_t now_us, unsigned *first)
{
    unsigned n = 0;

    while (*first < c->n && is_avoided(c, c->all[*first].node, now_us))
        ++*first;
    while (*first + n < c->n && c->all[*first + n].depth == c->all[*first].depth)
        n++;
    return n;
}

void pull_candidates_begin_again(struct pull_candidates *c, int64_t now_us)
{
    unsigned first = 0, n = equally_good(c, now_us, &first);

    if (now_us - c->known_us > FRESH_US)
        return;
    pull_candidates_begin(c, c->n);
    if (n > 1) {
        unsigned other = first + (unsigned)(random_u64() % n);
        struct pull_candidate swapped = c->all[first];

        c->all[first] = c->all[other];
        c->all[other] = swapped;
    }
}

const struct pull_candidate *pull_candidates_next(struct pull_candidates *c, int64_t now_us)
{
    while (c->next < c->end) {
        const struct pull_candidate *to = &c->all[c->next++];

        if (!is_avoided(c, to->node, now_us))
            return to;
    }
    return NULL;
}

bool pull_candidates_hold(const struct pull_candidates *c, const char *url)
{
    for (unsigned i = 0; i < c->n; i++)
        if (!strcmp(c->all[i].url, url))
            return true;
    return false;
}

void pull_candidates_avoid(struct pull_candidates *c, const char *node, int64_t until_us)
{
    unsigned at = 0;

    if (!*node || !strcmp(node, PULL_UNKNOWN_NODE))
        return;
    while (at < CLUSTER_MAX_UPSTREAMS && strcmp(c->avoid[at].node, node) != 0)
        at++;
    if (at == CLUSTER_MAX_UPSTREAMS) {
        at = c->next_avoid;
        c->next_avoid = (c->next_avoid + 1) % CLUSTER_MAX_UPSTREAMS;
        snprintf(c->avoid[at].node, sizeof c->avoid[at].node, "%s", node);
        c->avoid[at].until_us = 0;
    }
    if (c->avoid[at].until_us < until_us)
        c->avoid[at].until_us = until_us;
}

void pull_candidates_avoided(const struct pull_candidates *c, int64_t now_us,
                             struct cluster_ids *out)
{
    out->n = 0;
    for (unsigned i = 0; i < CLUSTER_MAX_UPSTREAMS; i++)
        if (c->avoid[i].until_us > now_us)
            memcpy(out->id[out->n++], c->avoid[i].node, sizeof c->avoid[i].node);
}
