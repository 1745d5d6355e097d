/* /api/v1/sessions */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <string.h>

static json_t *session_json(const struct trace_session *session)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "id", session->id,
        "protocol", session->protocol, "kind", session->kind, "peer", session->peer, "stream",
        session->stream, "age_ms", (json_int_t)(session->age_us / 1000), "bytes_in",
        (json_int_t)session->bytes_in, "bytes_out", (json_int_t)session->bytes_out, "lag_ms",
        (json_int_t)(session->lag_us / 1000), "jumps", (json_int_t)session->n_jumps, "frames_in",
        (json_int_t)session->frames_in, "frames_out", (json_int_t)session->frames_out, "dropped",
        (json_int_t)session->n_dropped, "left_out", session->left_out);
}

/* --- the list --- */

static bool is_wanted(const struct admin_request *request, const struct session_info *info)
{
    if (*request->filter_stream && strcmp(request->filter_stream, info->stream) != 0)
        return false;
    return !*request->filter_protocol || strcmp(request->filter_protocol, info->protocol) == 0;
}

static void list_session(struct media_loop *ml, const struct session_info *info,
                         struct admin_request *request)
{
    struct trace_session *item;

    if (!is_wanted(request, info))
        return;
    item = listing_add(&request->listing, info->id);
    if (item)
        trace_read_session(ml, info, item);
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
    if (!admin_read_page(request, sizeof(struct trace_session))) {
        admin_request_drop(request);
        return;
    }
    read_filter(x, "stream", request->filter_stream, sizeof request->filter_stream);
    read_filter(x, "protocol", request->filter_protocol, sizeof request->filter_protocol);
    request->collect = collect_sessions;
    request->answer = answer_sessions;
    admin_request_run(request);
}

/* --- one session, with the way of its stream --- */

static json_t *whole_session_json(const struct trace *trace)
{
    json_t *json = session_json(&trace->session);
    const struct trace_stream *stream = &trace->stream;

    if (!trace->has_stream)
        return json;
    admin_add_lag(json, &stream->info);
    json_object_set_new(json, "hops", trace_hops_json(trace->node, stream));
    return json;
}

void admin_get_session(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    if (admin_may_see(admin, x))
        trace_start(x, admin->node, http_path_arg(x, "id"), whole_session_json);
}

void admin_get_trace(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    if (admin_may_see(admin, x))
        trace_start(x, admin->node, http_query_arg(x, "session"), trace_json);
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
