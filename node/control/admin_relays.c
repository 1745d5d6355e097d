/* /api/v1/relays: all pulls and pushes that this node knows, those of its configuration, too, and
 * how they are here. They are made and removed as settings. */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <string.h>

#include "node/relay/relays.h"

#define KIND_SIZE sizeof("push/")

struct relay_row {
    char key[KIND_SIZE - 1 + SETTING_ID_SIZE]; /* "pull/" and the stream, "push/" and the id */
    struct relay_pull *pull;                   /* borrowed: nothing changes before the answer */
    struct relay_push *push;
};
_Static_assert(sizeof((struct relay_row *)0)->key <= LISTING_KEY_SIZE, "keys fit into a listing");

static struct relay_row *add(struct listing *listing, const char *kind, const char *id)
{
    char key[sizeof((struct relay_row *)0)->key];
    struct relay_row *row;

    snprintf(key, sizeof key, "%s/%s", kind, id);
    row = listing_add(listing, key);
    if (row)
        memcpy(row->key, key, sizeof key);
    return row;
}

static bool add_pull(void *arg, struct relay_pull *pull)
{
    struct relay_row *row = add(arg, "pull", pull->name.text);

    if (row) {
        row->pull = pull;
        row->push = NULL;
    }
    return true;
}

static void add_pushes(struct listing *listing, const struct relays *relays)
{
    struct relay_push *push;

    for (size_t i = 0; (push = relays_push(relays, i)); i++) {
        struct relay_row *row = add(listing, "push", push->id);

        if (row) {
            row->pull = NULL;
            row->push = push;
        }
    }
}

static json_t *row_json(const struct relay_row *row)
{
    json_t *json = row->pull ? relay_pull_json(row->pull) : relay_push_json(row->push);

    json_object_set_new(json, "kind", json_string(row->pull ? "pull" : "push"));
    return json;
}

void admin_list_relays(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct listing listing;
    const char *why = "";
    json_t *items;

    listing_init(&listing, sizeof(struct relay_row));
    if (listing_set_page(&listing, http_query_arg(x, "limit"), http_query_arg(x, "after"), &why) !=
        E_OK) {
        http_respond_problem(x, 400, "%s", why);
        return;
    }
    relays_each_pull(admin->node->relays, add_pull, &listing);
    add_pushes(&listing, admin->node->relays);
    listing_finish(&listing);
    items = json_array();
    for (size_t i = 0; i < listing.n_items; i++)
        json_array_append_new(items, row_json(listing_at(&listing, i)));
    admin_respond_json(x, json_pack("{s:o, s:o}", "items", items, "next",
                                    listing.has_more
                                        ? json_string(listing_at(&listing, listing.n_items - 1))
                                        : json_null()));
    listing_fini(&listing);
}
