/* /api/v1/sessions */
#include "node/control/admin_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KICKS_A_VISIT 200u

static json_t *session_json(const struct trace_session *session)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "id",
        session->id, "protocol", session->protocol, "kind", session->kind, "peer", session->peer,
        "stream", session->stream, "age_ms", (json_int_t)(session->age_us / 1000), "bytes_in",
        (json_int_t)session->bytes_in, "bytes_out", (json_int_t)session->bytes_out, "lag_ms",
        (json_int_t)(session->lag_us / 1000), "jumps", (json_int_t)session->n_jumps, "frames_in",
        (json_int_t)session->frames_in, "frames_out", (json_int_t)session->frames_out, "dropped",
        (json_int_t)session->n_dropped, "left_out", session->left_out, "trace", session->trace);
}

/* --- which ones --- */

/* Into out, as it was said; absent is "". False: answered. */
static bool read_text(struct http_exchange *x, const char *key, char *out, size_t size)
{
    const char *value = http_query_arg(x, key);

    if (!value || snprintf(out, size, "%s", value) < (int)size)
        return true;
    http_respond_problem(x, 400, "%s: too long", key);
    return false;
}

static bool read_client(struct http_exchange *x, struct session_filter *out)
{
    const char *value = http_query_arg(x, "client");

    out->has_client = value && addr_net_parse(&out->client, value) == E_OK;
    if (!value || out->has_client)
        return true;
    http_respond_problem(x, 400, "client: expected an address or a network: 10.0.0.0/8");
    return false;
}

static bool read_lag(struct http_exchange *x, struct session_filter *out)
{
    const char *value = http_query_arg(x, "min_lag_ms");
    size_t size = value ? strlen(value) : 0;

    out->has_lag = size && size <= 9 && strspn(value, "0123456789") == size;
    if (out->has_lag)
        out->min_lag_us = strtoll(value, NULL, 10) * 1000;
    if (!value || out->has_lag)
        return true;
    http_respond_problem(x, 400, "min_lag_ms: expected a number of up to 9 digits");
    return false;
}

static bool read_filter(struct http_exchange *x, struct session_filter *out)
{
    return read_text(x, "stream", out->stream, sizeof out->stream) &&
           read_text(x, "protocol", out->protocol, sizeof out->protocol) &&
           read_text(x, "kind", out->kind, sizeof out->kind) && read_client(x, out) &&
           read_lag(x, out);
}

static bool is_text(const char *wanted, const char *text)
{
    return !*wanted || !strcmp(wanted, text);
}

static bool is_of_client(const struct session_filter *f, const struct session_info *info)
{
    struct addr peer;

    return !f->has_client ||
           (addr_parse(&peer, info->peer) == E_OK && addr_net_contains(&f->client, &peer));
}

static bool lags(const struct session_filter *f, const struct session_info *info)
{
    struct session_counts counts = {0};

    if (!f->has_lag)
        return true;
    if (info->count)
        info->count(info, &counts);
    return counts.lag_us >= f->min_lag_us;
}

/* But for its kind. */
static bool matches(const struct session_filter *f, const struct session_info *info)
{
    return is_text(f->stream, info->stream) && is_text(f->protocol, info->protocol) &&
           is_of_client(f, info) && lags(f, info);
}

/* --- the list --- */

static void list_session(struct media_loop *ml, const struct session_info *info,
                         struct admin_request *request)
{
    struct trace_session *item;

    if (!is_text(request->filter.kind, info->kind) || !matches(&request->filter, info))
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

void admin_list_sessions(struct http_exchange *x, void *arg)
{
    struct admin_request *request = admin_request_create(arg, x);

    if (!request)
        return;
    if (!admin_read_page(request, sizeof(struct trace_session)) ||
        !read_filter(x, &request->filter)) {
        admin_request_drop(request);
        return;
    }
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
    trace_start(x, ((struct admin *)arg)->node, http_path_arg(x, "id"), whole_session_json);
}

void admin_get_trace(struct http_exchange *x, void *arg)
{
    trace_start(x, ((struct admin *)arg)->node, http_query_arg(x, "session"), trace_json);
}

/* --- kick --- */

/* Out of the list before any is ended: one that ends may take others along. Returns how many. */
static unsigned kick(struct media_loop *ml, const struct admin_request *request, unsigned most,
                     bool (*is_meant)(const struct admin_request *request,
                                      const struct session_info *info))
{
    struct list doomed, *node, *tmp;
    unsigned n = 0;

    list_init(&doomed);
    list_for_each_safe(node, tmp, &ml->sessions) {
        const struct session_info *info = list_entry(node, struct session_info, node);

        if (n == most || !info->kick || !is_meant(request, info))
            continue;
        list_remove(node);
        list_push_back(&doomed, node);
        n++;
    }
    while (!list_is_empty(&doomed)) {
        struct session_info *info = list_entry(doomed.next, struct session_info, node);

        session_info_fini(info, ml);
        info->kick(info); /* info may be gone, and others with it */
    }
    return n;
}

/* Requests of one HLS player have its id, too, while they wait. */
static bool has_id(const struct admin_request *request, const struct session_info *info)
{
    return !strcmp(info->id, request->session_id);
}

static void collect_kick(struct media_loop *ml, void *arg)
{
    struct admin_request *request = arg;

    request->n_closed += kick(ml, request, UINT_MAX, has_id);
}

static void answer_kick(struct admin_request *request)
{
    if (request->n_closed)
        http_respond(request->x, 204, NULL, buf_view_of(NULL, 0));
    else
        http_respond_problem(request->x, 404, "no session of that id on this node");
}

void admin_kick_session(struct http_exchange *x, void *arg)
{
    struct admin_request *request = admin_request_create(arg, x);

    if (!request)
        return;
    snprintf(request->session_id, sizeof request->session_id, "%s", http_path_arg(x, "id"));
    request->collect = collect_kick;
    request->answer = answer_kick;
    admin_request_run(request);
}

/* People that want in: who plays or publishes is known to the stream. */
static bool wants_stream(const struct admin_request *request, const struct session_info *info)
{
    return !strcmp(info->stream, stream_name_of(request->stream)->text) &&
           strcmp(info->protocol, "relay") != 0 &&
           (!strcmp(info->kind, "waiting") || !strcmp(info->kind, "publish"));
}

void admin_kick_from_stream(struct media_loop *ml, const struct admin_request *request)
{
    (void)kick(ml, request, UINT_MAX, wants_stream);
}

/* --- kick of all that match --- */

/* Who waits to play is a viewer, too. */
static bool is_of_kind(const struct session_filter *f, const struct session_info *info)
{
    return is_text(f->kind, info->kind) ||
           (!strcmp(f->kind, "play") && !strcmp(info->kind, "waiting"));
}

/* Other nodes are not people: only who says so ends their pulls. */
static bool is_doomed(const struct admin_request *request, const struct session_info *info)
{
    const struct session_filter *f = &request->filter;

    return is_of_kind(f, info) && matches(f, info) &&
           (*f->protocol || strcmp(info->protocol, "relay") != 0);
}

/* A part of them at a time, so that no loop is held up. */
static void collect_kicks(struct media_loop *ml, void *arg)
{
    struct admin_request *request = arg;
    unsigned n = kick(ml, request, KICKS_A_VISIT, is_doomed);

    request->n_closed += n;
    request->goes_on |= n == KICKS_A_VISIT;
}

static void answer_kicks(struct admin_request *request)
{
    admin_respond_json(request->x, json_pack("{s:I}", "closed", (json_int_t)request->n_closed));
}

static bool is_empty(const struct session_filter *f)
{
    return !*f->stream && !*f->protocol && !*f->kind && !f->has_client && !f->has_lag;
}

void admin_kick_sessions(struct http_exchange *x, void *arg)
{
    struct admin_request *request = admin_request_create(arg, x);

    if (!request)
        return;
    if (!read_filter(x, &request->filter)) {
        admin_request_drop(request);
        return;
    }
    if (is_empty(&request->filter)) {
        http_respond_problem(x, 400, "say which: stream, protocol, kind, client or min_lag_ms");
        admin_request_drop(request);
        return;
    }
    request->collect = collect_kicks;
    request->answer = answer_kicks;
    admin_request_run(request);
}
