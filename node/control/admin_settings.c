/* The API of settings, the same for all kinds: a list, one, made or replaced, removed. Which kind
 * it is, the path says. */
#include "node/control/admin_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/settings.h"

#define PREFIX "/api/v1/"

/* The routes have rows of the table's paths alone. False: nobody owns the kind here; answered. */
static bool take_kind(const struct admin *admin, struct http_exchange *x, enum setting_kind *out)
{
    const char *path = http_path(x) + strlen(PREFIX);

    for (unsigned i = 0; i < N_SETTING_KINDS; i++) {
        size_t size = strlen(k_setting_kinds[i].path);

        if (strncmp(path, k_setting_kinds[i].path, size) != 0 || (path[size] && path[size] != '/'))
            continue;
        *out = (enum setting_kind)i;
        if (settings_owner(admin->node->settings, *out))
            return true;
    }
    http_respond_problem(x, 404, "nothing of this kind on this node");
    return false;
}

/* As people see it: returns a new reference, or NULL. */
static json_t *show(const struct admin *admin, enum setting_kind kind, const char *id,
                    const json_t *item)
{
    const struct setting_owner *owner = settings_owner(admin->node->settings, kind);
    json_t *json = owner->id_field ? json_object() : json_pack("{s:s}", "id", id);
    json_t *copy = json_deep_copy(item);

    if (json && copy && json_object_update(json, copy) == 0 && owner->describe)
        owner->describe(owner->arg, id, json);
    json_decref(copy);
    return json;
}

/* --- what is there --- */

struct page {
    const struct admin *admin;
    enum setting_kind kind;
    size_t limit;
    json_t *items;
    char last[SETTING_ID_SIZE];
    bool has_more;
};

static bool add_item(void *arg, const char *id, const json_t *item)
{
    struct page *page = arg;

    page->has_more = json_array_size(page->items) == page->limit;
    if (page->has_more)
        return false;
    json_array_append_new(page->items, show(page->admin, page->kind, id, item));
    memcpy(page->last, id, strlen(id) + 1);
    return true;
}

void admin_list_settings(struct http_exchange *x, void *arg)
{
    struct page page = {.admin = arg};
    struct listing listing;
    const char *why = "";

    if (!take_kind(arg, x, &page.kind))
        return;
    listing_init(&listing, 1);
    if (listing_set_page(&listing, http_query_arg(x, "limit"), http_query_arg(x, "after"), &why) !=
        E_OK) {
        http_respond_problem(x, 400, "%s", why);
        return;
    }
    page.limit = listing.limit;
    page.items = json_array();
    settings_each(page.admin->node->settings, page.kind, listing.after, add_item, &page);
    admin_respond_json(x, json_pack("{s:o, s:o}", "items", page.items, "next",
                                    page.has_more ? json_string(page.last) : json_null()));
}

void admin_get_setting(struct http_exchange *x, void *arg)
{
    const struct admin *admin = arg;
    const char *id = http_path_arg(x, "id");
    enum setting_kind kind;
    const json_t *item;

    if (!take_kind(admin, x, &kind))
        return;
    item = settings_find(admin->node->settings, kind, id);
    if (item)
        admin_respond_json(x, show(admin, kind, id, item));
    else
        http_respond_problem(x, 404, "there is none of that id");
}

/* --- changes --- */

struct change { /* until it is kept */
    const struct admin *admin;
    struct http_exchange *x; /* NULL: the peer has left */
    enum setting_kind kind;
    bool is_removal;
    char id[SETTING_ID_SIZE];
    json_t *once; /* owned: fields of this answer alone; or NULL */
};

static const struct {
    enum err e;
    unsigned status;
} k_refusals[] = {
    {E_INVAL, 400}, {E_TOO_BIG, 413},     {E_NOT_FOUND, 404},
    {E_BUSY, 409},  {E_UNSUPPORTED, 404}, {E_LIMIT, 409},
};

static void refuse(struct http_exchange *x, enum err e, const char *why)
{
    unsigned status = 503;

    for (size_t i = 0; i < sizeof k_refusals / sizeof k_refusals[0]; i++)
        if (k_refusals[i].e == e)
            status = k_refusals[i].status;
    http_respond_problem(x, status, "%s", why);
}

static json_t *show_once(const struct change *change, const json_t *item)
{
    json_t *json = show(change->admin, change->kind, change->id, item);

    if (json && change->once)
        (void)json_object_update(json, change->once);
    return json;
}

static void change_free(struct change *change)
{
    json_decref(change->once);
    free(change);
}

static void answer(const struct change *change)
{
    const json_t *item = settings_find(change->admin->node->settings, change->kind, change->id);

    if (change->is_removal)
        http_respond(change->x, 204, NULL, buf_view_of(NULL, 0));
    else if (item)
        admin_respond_json(change->x, show_once(change, item));
    else
        http_respond_problem(change->x, 409, "it was removed again at once");
}

static void on_done(void *arg, enum err e, const char *why)
{
    struct change *change = arg;

    if (change->x && e == E_OK)
        answer(change);
    else if (change->x && e == E_IO)
        http_respond_problem(change->x, 503, "in force, but not kept: %s", why);
    else if (change->x)
        refuse(change->x, e, why);
    change_free(change);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct change *)arg)->x = NULL; /* on_done() frees */
}

static struct change *start(struct admin *admin, struct http_exchange *x)
{
    struct change *change = calloc(1, sizeof *change);

    if (!change) {
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
        return NULL;
    }
    change->admin = admin;
    change->x = x;
    if (take_kind(admin, x, &change->kind))
        return change;
    free(change);
    return NULL;
}

/* Takes change. */
static void finish(struct change *change, enum err e, const struct conf_error *error)
{
    if (e == E_OK) {
        http_set_pending(change->x, on_gone, change);
        return;
    }
    refuse(change->x, e, error->text);
    change_free(change);
}

static json_t *complete(const struct settings *settings, enum setting_kind kind, json_t *body)
{
    const struct setting_owner *owner = settings_owner(settings, kind);

    return owner->complete ? owner->complete(owner->arg, body) : NULL;
}

void admin_put_setting(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct settings *settings = admin->node->settings;
    struct conf_error error = {""};
    json_t *body = admin_read_body(x);
    struct change *change = body ? start(admin, x) : NULL;
    enum err e;

    if (!change) {
        json_decref(body);
        return;
    }
    e = settings_take_id(settings, change->kind, body, change->id, &error);
    if (e == E_OK)
        change->once = complete(settings, change->kind, body);
    if (e == E_OK)
        e = settings_put(settings, change->kind, change->id, body, on_done, change, &error);
    json_decref(body);
    finish(change, e, &error);
}

void admin_remove_setting(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct conf_error error = {""};
    struct change *change = start(admin, x);
    enum err e;

    if (!change)
        return;
    change->is_removal = true;
    e = settings_remove(admin->node->settings, change->kind, http_path_arg(x, "id"), on_done,
                        change, &error);
    finish(change, e, &error);
}
