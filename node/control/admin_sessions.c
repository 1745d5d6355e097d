/* /api/v1/sessions */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <string.h>

struct session_item {
    char id[sizeof((struct session_info *)0)->id]; /* the key */
    const char *protocol, *kind;                   /* static */
    char peer[ADDR_TEXT_SIZE];
    char stream[STREAM_NAME_SIZE];
    int64_t age_us, lag_us;
    uint64_t bytes_in, bytes_out, n_jumps;
};

static json_t *session_json(const struct session_item *item)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "id", item->id,
                     "protocol", item->protocol, "kind", item->kind, "peer", item->peer, "stream",
                     item->stream, "age_ms", (json_int_t)(item->age_us / 1000), "bytes_in",
                     (json_int_t)item->bytes_in, "bytes_out", (json_int_t)item->bytes_out, "lag_ms",
                     (json_int_t)(item->lag_us / 1000), "jumps", (json_int_t)item->n_jumps);
}

static bool is_wanted(const struct admin_request *request, const struct session_info *info)
{
    if (*request->filter_stream && strcmp(request->filter_stream, info->stream) != 0)
        return false;
    return !*request->filter_protocol || strcmp(request->filter_protocol, info->protocol) == 0;
}

static void list_session(struct media_loop *ml, const struct session_info *info,
                         struct admin_request *request)
{
    struct session_item *item;

    if (!is_wanted(request, info))
        return;
    item = listing_add(&request->listing, info->id);
    if (!item)
        return;
    memcpy(item->id, info->id, sizeof item->id);
    snprintf(item->peer, sizeof item->peer, "%s", info->peer);
    snprintf(item->stream, sizeof item->stream, "%s", info->stream);
    item->protocol = info->protocol;
    item->kind = info->kind;
    item->age_us = loop_now_us(ml->loop) - info->since_us;
    if (info->count)
        info->count(info, &item->bytes_in, &item->bytes_out, &item->lag_us, &item->n_jumps);
}

static void collect_sessions(struct media_loop *ml, void *arg)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->sessions)
        list_session(ml, list_entry(node, struct session_info, node), arg);
}

static void answer_sessions(struct admin_request *request)
{
    json_t *items = json_array();

    listing_finish(&request->listing);
    for (size_t i = 0; i < request->listing.n_items; i++)
        json_array_append_new(items, session_json(listing_at(&request->listing, i)));
    admin_respond_page(request, items);
}

static void read_filter(struct http_exchange *x, const char *key, char *out, size_t size)
{
    const char *value = http_query_arg(x, key);

    snprintf(out, size, "%s", value ? value : "");
}

void admin_list_sessions(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct admin_request *request;

    if (!admin_may_see(admin, x))
        return;
    request = admin_request_create(admin, x);
    if (!request)
        return;
    if (!admin_read_page(request, sizeof(struct session_item))) {
        admin_request_drop(request);
        return;
    }
    read_filter(x, "stream", request->filter_stream, sizeof request->filter_stream);
    read_filter(x, "protocol", request->filter_protocol, sizeof request->filter_protocol);
    request->collect = collect_sessions;
    request->answer = answer_sessions;
    admin_request_run(request);
}

/* --- kick --- */

static void collect_kick(struct media_loop *ml, void *arg)
{
    struct admin_request *request = arg;
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);

        if (strcmp(info->id, request->session_id) != 0)
            continue;
        request->found = true;
        if (info->kick)
            info->kick(info); /* info may be gone, and others with it */
        return;
    }
}

static void answer_kick(struct admin_request *request)
{
    if (request->found)
        http_respond(request->x, 204, NULL, buf_view_of(NULL, 0));
    else
        http_respond_problem(request->x, 404, "no session of that id on this node");
}

void admin_kick_session(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct admin_request *request;

    if (!admin_may_change(admin, x))
        return;
    request = admin_request_create(admin, x);
    if (!request)
        return;
    snprintf(request->session_id, sizeof request->session_id, "%s", http_path_arg(x, "id"));
    request->collect = collect_kick;
    request->answer = answer_kick;
    admin_request_run(request);
}
