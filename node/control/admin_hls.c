/* /api/v1/hls/groups: which streams are renditions of which, as it was told. Kept in memory, on
 * this node alone. */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <string.h>

struct group_item {
    char key[LISTING_KEY_SIZE];
    struct hls_group group;
};

/* False: answered. */
static bool has_hls(const struct admin *admin, struct http_exchange *x)
{
    if (!admin->node->hls)
        http_respond_problem(x, 404, "no HLS on this node (hls.mode)");
    return admin->node->hls != NULL;
}

static json_t *group_json(const struct hls_group *group)
{
    json_t *members = json_array();

    for (size_t i = 0; i < group->n_members; i++)
        json_array_append_new(members, json_string(group->members[i].text));
    return json_pack("{s:s, s:o}", "name", group->base.text, "renditions", members);
}

/* --- the list --- */

static void list_group(const struct hls_group *group, void *arg)
{
    struct group_item *item = listing_add(arg, group->base.text);

    if (!item)
        return;
    snprintf(item->key, sizeof item->key, "%s", group->base.text);
    item->group = *group;
}

static void collect_nothing(struct media_loop *ml, void *arg)
{
    (void)ml;
    (void)arg;
}

static void answer_groups(struct admin_request *request)
{
    json_t *items = json_array();

    hls_group_each(request->admin->node->hls, list_group, &request->listing);
    listing_finish(&request->listing);
    for (size_t i = 0; i < request->listing.n_items; i++) {
        const struct group_item *item = listing_at(&request->listing, i);

        json_array_append_new(items, group_json(&item->group));
    }
    admin_respond_page(request, items);
}

void admin_list_hls_groups(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct admin_request *request;

    if (!admin_may_see(admin, x) || !has_hls(admin, x))
        return;
    request = admin_request_create(admin, x);
    if (!request)
        return;
    if (!admin_read_page(request, sizeof(struct group_item))) {
        admin_request_drop(request);
        return;
    }
    request->collect = collect_nothing;
    request->answer = answer_groups;
    admin_request_run(request);
}

/* --- changes --- */

static bool read_name(const json_t *json, struct stream_name *out, const char **why)
{
    char path[STREAM_NAME_SIZE + 1];
    int size =
        snprintf(path, sizeof path, "/%s", json_is_string(json) ? json_string_value(json) : "");

    *why = "names of streams are texts: app/name";
    return size > 1 && size < (int)sizeof path &&
           stream_name_from_path(out, buf_view_str(path), why) == E_OK;
}

static bool read_group(const json_t *json, struct hls_group *out, const char **why)
{
    const json_t *members = json_object_get(json, "renditions");

    memset(out, 0, sizeof *out);
    if (!read_name(json_object_get(json, "name"), &out->base, why))
        return false;
    if (!json_is_array(members) || json_array_size(members) < 1 ||
        json_array_size(members) > HLS_MAX_RENDITIONS) {
        *why = "renditions is a list of 1 to 8 names";
        return false;
    }
    for (; out->n_members < json_array_size(members); out->n_members++)
        if (!read_name(json_array_get(members, out->n_members), &out->members[out->n_members], why))
            return false;
    return true;
}
_Static_assert(HLS_MAX_RENDITIONS == 8, "read_group() says so");

static const struct {
    enum err e;
    unsigned status;
    const char *why;
} k_refusals[] = {
    {E_INVAL, 400, "a rendition is there twice, or is the group itself"},
    {E_BUSY, 409, "a stream belongs to one group, and none to a group of a group"},
    {E_LIMIT, 409, "too many groups (4096)"},
};
_Static_assert(HLS_MAX_GROUPS == 4096, "k_refusals says so");

static void refuse(struct http_exchange *x, enum err e)
{
    for (size_t i = 0; i < sizeof k_refusals / sizeof k_refusals[0]; i++)
        if (k_refusals[i].e == e) {
            http_respond_problem(x, k_refusals[i].status, "%s", k_refusals[i].why);
            return;
        }
    http_respond_problem(x, 503, "%s", err_text(e));
}

void admin_set_hls_group(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct hls_group group;
    struct buf_view body;
    const char *why = "";
    json_t *json;
    bool is_read;
    enum err e;

    if (!admin_may_change(admin, x) || !has_hls(admin, x))
        return;
    body = http_body(x);
    json = json_loadb(body.size_bytes ? (const char *)body.data : "", body.size_bytes, 0, NULL);
    is_read = json && read_group(json, &group, &why);
    if (!is_read)
        http_respond_problem(x, 400, "%s", json ? why : "not JSON");
    json_decref(json);
    if (!is_read)
        return;
    e = hls_group_set(admin->node->hls, &group);
    if (e == E_OK)
        admin_respond_json(x, group_json(&group));
    else
        refuse(x, e);
}

void admin_remove_hls_group(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    if (!admin_may_change(admin, x) || !has_hls(admin, x))
        return;
    if (hls_group_remove(admin->node->hls, http_path_arg(x, "name")))
        http_respond(x, 204, NULL, buf_view_of(NULL, 0));
    else
        http_respond_problem(x, 404, "no group of that name on this node");
}
