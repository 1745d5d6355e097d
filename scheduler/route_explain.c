/* Why each candidate of a route question was taken or left, for people. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/route_private.h"

#define EXPLAIN_MAX 500 /* candidates; more would hold the loop up */

struct place { /* in the list: the taken in order, then what could have been, then the rest */
    int group;
    uint64_t rank;
    const char *id;
    int index;
};

static int group_of(enum placement_why why)
{
    static const int k_groups[PLACEMENT_N_WHYS] = {
        [PLACEMENT_TAKEN] = -3, [PLACEMENT_RANKED] = -2, [PLACEMENT_UNSEEN] = -1};

    return k_groups[why];
}

static int compare(const void *a_, const void *b_)
{
    const struct place *a = a_, *b = b_;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return strcmp(a->id, b->id);
}

static const char *state_of(const struct placement_candidate *c)
{
    return c->gone ? "gone" : c->live ? k_cluster_node_states[c->node->state] : "lapsed";
}

static json_t *candidate_json(const struct placement_candidate *c, int order)
{
    return json_pack("{s:s, s:b, s:s, s:i, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "node", c->node->id, "taken", c->why == PLACEMENT_TAKEN, "why",
                     placement_why_text(c->why), "order", order, "role",
                     k_cluster_roles[c->node->role], "zone", c->node->zone, "state", state_of(c),
                     "carries", c->carries, "viewers", (json_int_t)c->node->n_viewers, "publishers",
                     (json_int_t)c->node->n_publishers, "weight", (json_int_t)c->node->weight,
                     "children", (json_int_t)c->n_children, "depth", (json_int_t)c->depth, "epoch",
                     json_sprintf("%llu", (unsigned long long)c->epoch));
}

static enum err write_list(struct router *r, const struct place *places)
{
    json_t *list = json_array();
    char *text = NULL;

    for (int i = 0; i < r->n_candidates; i++)
        (void)json_array_append_new(list, candidate_json(&r->candidates[places[i].index], i + 1));
    text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    buf_writer_clear(&r->told);
    if (text)
        buf_write_str(&r->told, text);
    free(text);
    return text ? buf_writer_status(&r->told) : E_NOMEM;
}

static enum err take_rest(struct router *r, const struct registry_stream *s, int64_t now_us)
{
    struct registry_node *node = registry_node_after(r->registry, "");

    for (; node && r->n_candidates < EXPLAIN_MAX; node = registry_node_next(node))
        if (!router_has(r, node) && router_add(r, s, node, now_us) < 0)
            return E_NOMEM;
    return E_OK;
}

enum err router_explain(struct router *r, const struct placement_request *request,
                        const struct registry_stream *s, int64_t now_us)
{
    struct place *places;
    enum err e;

    r->n_seen = r->n_candidates;
    e = take_rest(r, s, now_us);
    if (e == E_OK && placement_asker_pulls(request))
        e = router_link_parents(r, s, r->n_seen, now_us);
    if (e != E_OK)
        return e;
    placement_judge_unseen(request, r->candidates, r->n_seen, r->n_candidates);
    places = calloc((size_t)r->n_candidates + 1, sizeof *places);
    if (!places)
        return E_NOMEM;
    for (int i = 0; i < r->n_candidates; i++) {
        const struct placement_candidate *c = &r->candidates[i];

        places[i] = (struct place){group_of(c->why), c->rank, c->node->id, i};
    }
    qsort(places, (size_t)r->n_candidates, sizeof *places, compare);
    e = write_list(r, places);
    free(places);
    return e;
}
