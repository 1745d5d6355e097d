/* See trace.h. */
#include "node/control/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control/admin_private.h"
#include "node/node.h"
#include "node/stream/trace_id.h"
#include "node/token.h"
#include "proto/cluster/cluster.h"

/* --- what is read --- */

void trace_read_session(struct media_loop *ml, const struct session_info *info,
                        struct trace_session *out)
{
    struct session_counts counts = {0};

    *out = (struct trace_session){.protocol = info->protocol,
                                  .kind = info->kind,
                                  .age_us = loop_now_us(ml->loop) - info->since_us};
    memcpy(out->id, info->id, sizeof out->id);
    snprintf(out->peer, sizeof out->peer, "%s", info->peer);
    (void)session_trace(info, out->trace);
    snprintf(out->stream, sizeof out->stream, "%s", info->stream);
    if (info->count)
        info->count(info, &counts);
    out->bytes_in = counts.bytes_in;
    out->bytes_out = counts.bytes_out;
    out->lag_us = counts.lag_us;
    out->frames_in = counts.frames_in;
    out->frames_out = counts.frames_out;
    out->n_dropped = counts.n_dropped;
    out->n_jumps = counts.n_jumps;
    if (counts.viewer)
        viewer_left_out(counts.viewer, out->left_out);
}

void trace_read_stream(const struct stream *stream, struct trace_stream *out)
{
    stream_get_info(stream, &out->info);
    snprintf(out->trail, sizeof out->trail, "%s", stream_trail(stream));
}

/* --- the walk: a message that visits the media loops until the session is found, then the home of
 * its stream, then the asker's loop --- */

struct walk {
    struct loop_msg msg;
    struct node *node;
    struct loop *back;       /* where the exchange is */
    struct http_exchange *x; /* that loop's; NULL: the peer has left */
    json_t *(*render)(const struct trace *trace);
    char id[TRACE_ID_SIZE];
    unsigned at; /* the media loop that is visited */
    bool found;
    struct stream *stream; /* owned reference */
    struct trace trace;
};

static void walk_free(struct walk *walk)
{
    stream_unref(&walk->stream);
    free(walk);
}

/* The node stops: all loops have ended, so the exchange may be touched from here. */
static void on_drop(struct loop_msg *msg)
{
    struct walk *walk = list_entry(msg, struct walk, msg);

    if (walk->x)
        http_set_pending(walk->x, NULL, NULL);
    walk_free(walk);
}

static void go(struct walk *walk, struct loop *to, void (*run)(struct loop_msg *msg))
{
    walk->msg.run = run;
    loop_post(to, &walk->msg);
}

static void on_back(struct loop_msg *msg)
{
    struct walk *walk = list_entry(msg, struct walk, msg);

    if (walk->x && walk->found)
        admin_respond_json(walk->x, walk->render(&walk->trace));
    else if (walk->x)
        http_respond_problem(walk->x, 404, "no session of that id on node %s", walk->node->id);
    walk_free(walk);
}

static void on_home(struct loop_msg *msg)
{
    struct walk *walk = list_entry(msg, struct walk, msg);

    walk->trace.has_stream = true;
    trace_read_stream(walk->stream, &walk->trace.stream);
    go(walk, walk->back, on_back);
}

static const struct session_info *find(const struct media_loop *ml, const char *id)
{
    for (const struct list *node = ml->sessions.next; node != &ml->sessions; node = node->next) {
        const struct session_info *info =
            (const struct session_info *)(const void *)((const char *)node -
                                                        offsetof(struct session_info, node));

        if (!strcmp(info->id, id))
            return info;
    }
    return NULL;
}

static void on_visit(struct loop_msg *msg)
{
    struct walk *walk = list_entry(msg, struct walk, msg);
    struct media_loop *ml = &walk->node->loops[walk->at].media;
    const struct session_info *info = find(ml, walk->id);

    if (info) {
        walk->found = true;
        trace_read_session(ml, info, &walk->trace.session);
        walk->stream = registry_find(walk->node->registry, walk->trace.session.stream);
    }
    if (walk->stream)
        go(walk, stream_home(walk->stream)->loop, on_home);
    else if (walk->found || ++walk->at == walk->node->n_loops)
        go(walk, walk->back, on_back);
    else
        go(walk, walk->node->loops[walk->at].media.loop, on_visit);
}

/* --- the question --- */

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct walk *)arg)->x = NULL; /* on_back() frees it */
}

/* The part behind "<this node>/", if there is one. NULL: answered. */
static const char *read_id(struct http_exchange *x, const struct node *node, const char *session)
{
    const char *slash = session ? strrchr(session, '/') : NULL;
    const char *id = slash ? slash + 1 : session;
    size_t node_size = slash ? (size_t)(slash - session) : 0;

    if (!id || !*id || strlen(id) >= TRACE_ID_SIZE) {
        http_respond_problem(x, 400,
                             "session: expected an id as /api/v1/sessions lists them, or "
                             "<node>/<id>");
        return NULL;
    }
    if (slash && (strlen(node->id) != node_size || memcmp(node->id, session, node_size) != 0)) {
        http_respond_problem(x, 404, "the session is another node's: this is node %s", node->id);
        return NULL;
    }
    return id;
}

void trace_start(struct http_exchange *x, struct node *node, const char *session,
                 json_t *(*render)(const struct trace *trace))
{
    const char *id = read_id(x, node, session);
    struct walk *walk;

    if (!id)
        return;
    walk = calloc(1, sizeof *walk);
    if (!walk) {
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    walk->msg.drop = on_drop;
    walk->node = node;
    walk->trace.node = node;
    walk->back = http_loop(x);
    walk->x = x;
    walk->render = render;
    snprintf(walk->id, sizeof walk->id, "%s", id);
    http_set_pending(x, on_gone, walk);
    go(walk, node->loops[0].media.loop, on_visit);
}

void trace_handle(struct http_exchange *x, void *arg)
{
    struct node *node = ((struct node_loop *)arg)->node;

    if (node_trusts(node, x))
        trace_start(x, node, http_query_arg(x, "session"), trace_json);
    else
        http_respond_problem(x, 401, "needs the node token (cluster.token_file)");
}

/* --- the answer --- */

/* Epochs are strings: above 2^53 a number loses digits. */
static json_t *hop_json(const struct flv_hop *hop, const char *role, int64_t age_us)
{
    bool is_known = hop->unc_us >= 0;
    char epoch[24];

    snprintf(epoch, sizeof epoch, "%" PRIu64, hop->epoch);
    return json_pack("{s:s, s:s*, s:s, s:o, s:o, s:o}", "node", hop->id, "role", role, "epoch",
                     epoch, "lag_us", is_known ? json_integer(hop->lag_us) : json_null(),
                     "uncertainty_us", is_known ? json_integer(hop->unc_us) : json_null(), "age_us",
                     age_us >= 0 ? json_integer(age_us) : json_null());
}

/* How long ago the newest frame that is here was at that hop; -1 = not known. */
static int64_t age_at(const struct stream_info *info, const struct flv_hop *hop)
{
    int64_t on_the_way_us = info->lag_us - hop->lag_us;

    if (info->since_frame_us < 0 || info->lag_unc_us < 0 || hop->unc_us < 0)
        return -1;
    return info->since_frame_us + (on_the_way_us > 0 ? on_the_way_us : 0);
}

json_t *trace_hops_json(const struct node *node, const struct trace_stream *stream)
{
    const struct stream_info *info = &stream->info;
    struct flv_hop here = {
        .epoch = info->epoch, .lag_us = info->lag_us, .unc_us = info->lag_unc_us};
    const char *role = node->agent ? k_cluster_roles[node->conf.cluster_role] : NULL;
    struct flv_hop above[FLV_MAX_HOPS];
    json_t *hops = json_array();
    unsigned n_above = 0;

    if (!info->live)
        return hops;
    snprintf(here.id, sizeof here.id, "%s", node->id);
    json_array_append_new(hops, hop_json(&here, role, info->since_frame_us));
    (void)flv_parse_trail(buf_view_str(stream->trail), above, &n_above);
    while (n_above--)
        json_array_append_new(hops, hop_json(&above[n_above], NULL, age_at(info, &above[n_above])));
    return hops;
}

static json_t *encoder_json(const struct trace *trace)
{
    char run[24];

    if (!trace->has_stream || !trace->stream.info.live)
        return json_null();
    snprintf(run, sizeof run, "%" PRIu64, trace->stream.info.run);
    return json_pack("{s:s}", "run", run);
}

json_t *trace_json(const struct trace *trace)
{
    const struct trace_session *session = &trace->session;
    json_t *hops = trace->has_stream ? trace_hops_json(trace->node, &trace->stream) : json_array();

    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:o}", "v", 1, "session",
                     session->id, "kind", session->kind, "stream", session->stream, "protocol",
                     session->protocol, "peer", session->peer, "node", trace->node->id, "hops",
                     hops, "viewer_lag_us", (json_int_t)session->lag_us, "encoder",
                     encoder_json(trace));
}
