/* What operators tell: checked, put into the set while media loops stand still, and told to them.
 */
#include "node/relay/relays_private.h"

#include <stdio.h>
#include <string.h>

#include "node/relay/guard.h"
#include "node/relay/pull.h"
#include "node/relay/target.h"

/* --- telling the media loops --- */

static void on_changed(struct loop_msg *msg)
{
    struct node_loop *nl = list_entry(msg, struct node_loop, relays_msg);

    atomic_store(&nl->relays_told, false);
    if (nl->closed)
        return;
    keeper_check(nl, atomic_load(&nl->node->is_replaced));
    pull_items_changed(nl);
    targets_items_changed(nl);
}

static void tell_loops(struct relays *r)
{
    for (unsigned i = 0; r->running && i < r->node->n_loops; i++) {
        struct node_loop *nl = &r->node->loops[i];

        if (atomic_exchange(&nl->relays_told, true))
            continue; /* under way */
        nl->relays_msg = (struct loop_msg){.run = on_changed};
        loop_post(nl->media.loop, &nl->relays_msg);
    }
}

static void stand_still(struct relays *r)
{
    if (r->running)
        node_stand_still(r->node);
}

static void go_on(struct relays *r)
{
    if (r->running)
        node_go_on(r->node);
    tell_loops(r);
}

/* What runs is left alone when the same is told again. */
static bool is_same(const struct conf_schema *schema, const void *a, const void *b)
{
    json_t *one = conf_item_to_json(schema, a), *other = conf_item_to_json(schema, b);
    bool same = one && other && json_equal(one, other);

    json_decref(one);
    json_decref(other);
    return same;
}

/* --- pulls --- */

/* Takes pull; NULL: none from now on. */
static void set_pull(struct relays *r, const char *stream, struct relay_pull *pull)
{
    bool is_kept = pull && relay_pull_is_kept(r->node, pull);
    struct relay_pull *old;

    stand_still(r);
    old = relays_swap_pull(r, stream, pull);
    go_on(r);
    relay_pull_unref(&old);
    if (r->running && is_kept && relays_pull(r, stream) == pull)
        keeper_begin(r->node, pull);
}

static enum err check_guard(const struct relays *r, const char *url, const char *key,
                            struct conf_error *error)
{
    if (relay_guard_allows_url(r->node->relay_guard, url))
        return E_OK;
    snprintf(error->text, sizeof error->text, "body: %s: %s", key, RELAY_GUARD_WHY);
    return E_INVAL;
}

static enum err check_pull(void *arg, const char *id, const void *data, struct conf_error *error)
{
    const struct relays *r = arg;
    const struct pull_item *item = data;
    const struct relay_pull *other = relays_pull(r, id);
    struct stream_name name;
    enum err e = pull_item_check(item, "body", &name, error);

    for (size_t i = 0; e == E_OK && i < item->urls.n_items; i++)
        e = check_guard(r, item->urls.items[i], "urls", error);
    if (e != E_OK)
        return e;
    if (item->mode == PULL_ALWAYS && r->node->agent && !*item->node) {
        snprintf(error->text, sizeof error->text,
                 "body: node: is missing: in a cluster mode always is for one node");
        return E_INVAL;
    }
    if (other && other->origin == RELAY_OF_CONF) {
        snprintf(error->text, sizeof error->text,
                 "body: stream: the configuration of this node has a pull of it (pull.sources)");
        return E_BUSY;
    }
    return E_OK;
}

static void on_pull(void *arg, const char *id, const void *item, const json_t *json)
{
    struct relays *r = arg;
    struct relay_pull *other = relays_pull(r, id), *pull;

    (void)json;
    if (other && other->origin == RELAY_OF_CONF)
        return; /* told at another node: what this one was configured with counts */
    if (item && other && is_same(&k_pull_item_schema, item, &other->item) &&
        !relay_pull_has_failed(other))
        return;
    pull = item ? relay_pull_make(item, RELAY_OF_API) : NULL;
    if (pull || other)
        set_pull(r, id, pull);
}

static void describe_pull(void *arg, const char *id, json_t *json)
{
    struct relay_pull *pull = relays_pull(arg, id);
    json_t *ours = pull ? relay_pull_json(pull) : NULL;

    json_object_update(json, ours);
    json_decref(ours);
}

/* --- pushes --- */

/* Takes push; NULL: none from now on. */
static void set_push(struct relays *r, const char *id, struct relay_push *push)
{
    struct relay_push *old;

    stand_still(r);
    old = relays_swap_push(r, id, push);
    go_on(r);
    relay_push_unref(&old);
}

static enum err check_push(void *arg, const char *id, const void *item, struct conf_error *error)
{
    const struct relays *r = arg;
    const struct relay_push *other = relays_push_of(r, id);
    enum err e = push_item_check(item, "body", error);

    if (e == E_OK)
        e = check_guard(r, ((const struct push_item *)item)->url, "url", error);
    if (e == E_OK && other && other->origin == RELAY_OF_CONF) {
        snprintf(error->text, sizeof error->text,
                 "body: id: the configuration of this node has a push of it (push.targets)");
        e = E_BUSY;
    }
    return e;
}

static void on_push(void *arg, const char *id, const void *item, const json_t *json)
{
    struct relays *r = arg;
    struct relay_push *other = relays_push_of(r, id), *push;

    (void)json;
    if (other && other->origin == RELAY_OF_CONF)
        return;
    if (item && other && is_same(&k_push_item_schema, item, &other->item) &&
        !relay_push_has_failed(other))
        return;
    push = item ? relay_push_make(id, item, RELAY_OF_API) : NULL;
    if (push || other)
        set_push(r, id, push);
}

static void describe_push(void *arg, const char *id, json_t *json)
{
    struct relay_push *push = relays_push_of(arg, id);
    json_t *ours = push ? relay_push_json(push) : NULL;

    json_object_update(json, ours);
    json_decref(ours);
}

/* --- life --- */

struct relays *relays_create(struct node *node)
{
    struct setting_owner pulls = {.schema = &k_pull_item_schema,
                                  .id_field = "stream",
                                  .check = check_pull,
                                  .on_change = on_pull,
                                  .describe = describe_pull};
    struct setting_owner pushes = {.schema = &k_push_item_schema,
                                   .check = check_push,
                                   .on_change = on_push,
                                   .describe = describe_push};
    const struct node_conf *conf = &node->conf;
    struct relays *r = relays_of_conf(node);

    if (!r)
        return NULL;
    node->relay_guard =
        relay_guard_create(&conf->relay_allowed_networks, conf->relay_allow_private_targets);
    if (!node->relay_guard) {
        relays_destroy(&r);
        return NULL;
    }
    pulls.arg = pushes.arg = r;
    if (node->settings) {
        settings_own(node->settings, SETTING_PULL, &pulls);
        settings_own(node->settings, SETTING_PUSH, &pushes);
    }
    return r;
}

void relays_start(struct relays *r)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *pull;

    r->running = true;
    while (map_next(&r->pulls, &cursor, &key, &pull))
        if (relay_pull_is_kept(r->node, pull))
            keeper_begin(r->node, pull);
}

void relays_hand_over(struct relays *r)
{
    atomic_store(&r->node->is_replaced, true);
    tell_loops(r);
}

void relays_stop_loop(struct node_loop *nl)
{
    keeper_check(nl, true);
    targets_stop_all(nl);
}
