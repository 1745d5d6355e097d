/* Traces under way. */
#include "scheduler/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/http_client.h"
#include "common/net/tls_setup.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define TRACE_N_ASKED 16      /* nodes at a time */
#define TRACE_N_RUNNING 8     /* traces at a time: each may ask every node */
#define TRACE_TIMEOUT_MS 2000 /* of one node: it asks its upstreams in turn */
#define TRACE_DEADLINE_MS 10000
#define TRACE_MAX_BYTES (256u << 10)
#define TRACE_LOOK 1000 /* nodes without viewers that are passed over in one go */

struct trace_ask { /* a place for one node */
    struct trace *trace;
    struct http_client *client; /* NULL: free */
};

struct trace {
    struct traces *traces;
    struct list node;
    struct http_exchange *x;
    struct trace_ask asks[TRACE_N_ASKED];
    unsigned n_asked;
    bool has_failed; /* some node did not answer: it may be the one */
    bool only_one;
    char path[128];
    char after[CLUSTER_ID_SIZE]; /* nodes up to this id were asked */
    struct timer next, deadline;
};

void traces_init(struct traces *traces, struct scheduler *scheduler)
{
    *traces = (struct traces){.scheduler = scheduler};
    list_init(&traces->running);
}

static void free_trace(struct trace *trace)
{
    for (int i = 0; i < TRACE_N_ASKED; i++)
        http_client_destroy(&trace->asks[i].client);
    timer_stop(&trace->next);
    timer_stop(&trace->deadline);
    list_remove(&trace->node);
    trace->traces->n--;
    free(trace);
}

void traces_fini(struct traces *traces)
{
    while (!list_is_empty(&traces->running))
        free_trace(list_entry(traces->running.next, struct trace, node));
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    free_trace(arg);
}

static void found(struct trace *trace, struct buf_view answer)
{
    stats_count(STAT_TRACE_FOUND);
    http_add_header(trace->x, "Cache-Control", "no-store");
    http_respond(trace->x, 200, "application/json", answer);
    free_trace(trace);
}

static void not_found(struct trace *trace)
{
    stats_count(STAT_TRACE_LOST);
    if (trace->has_failed)
        http_respond_problem(trace->x, 504, "no node that answered has the session");
    else
        http_respond_problem(trace->x, 404, "no node has the session");
    free_trace(trace);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct trace_ask *ask = arg;
    struct trace *trace = ask->trace;

    if (reply->e == E_OK && reply->status == 200) {
        found(trace, reply->body);
        return;
    }
    if (reply->e != E_OK || reply->status != 404)
        trace->has_failed = true;
    http_client_destroy(&ask->client);
    trace->n_asked--;
    timer_start_ms(&trace->next, 0);
}

/* False: the node cannot be asked. */
static bool ask_node(struct trace *trace, struct trace_ask *ask, const struct registry_node *node)
{
    const struct scheduler *s = trace->traces->scheduler;
    const char *url = cluster_urls_http(&node->internal_urls, true), *why;
    struct http_client_conf conf = {
        .urls = &url,
        .n_urls = 1,
        .tls = tls_setup_client(s->tls),
        .bearer_token = s->tokens.token[0],
        .timeout_ms = TRACE_TIMEOUT_MS,
        .max_body_bytes = TRACE_MAX_BYTES,
        .log_area = "trace",
    };

    ask->client = *url ? http_client_create(s->loop, &conf, &why) : NULL;
    if (!ask->client)
        return false;
    if (!http_client_call(ask->client, "GET", trace->path, NULL, on_reply, ask)) {
        http_client_destroy(&ask->client);
        return false;
    }
    trace->n_asked++;
    return true;
}

/* The next node that may have the session; NULL: none, or not in this go. */
static struct registry_node *next_node(struct trace *trace, unsigned *n_looks)
{
    struct scheduler *s = trace->traces->scheduler;
    struct registry_node *node = registry_node_after(&s->registry, trace->after);

    for (; node && *n_looks > 0; node = registry_node_next(node), --*n_looks) {
        memcpy(trace->after, node->id, sizeof trace->after);
        if (node->load.n_viewers && registry_is_live(node, scheduler_now_us(s)))
            return node;
    }
    return NULL;
}

static bool has_more(const struct trace *trace)
{
    return !trace->only_one &&
           registry_node_after(&trace->traces->scheduler->registry, trace->after);
}

static void on_next(struct timer *timer)
{
    struct trace *trace = list_entry(timer, struct trace, next);
    unsigned n_looks = TRACE_LOOK;
    struct registry_node *node;

    for (int i = 0; !trace->only_one && i < TRACE_N_ASKED; i++) {
        while (!trace->asks[i].client && (node = next_node(trace, &n_looks)))
            trace->has_failed |= !ask_node(trace, &trace->asks[i], node);
    }
    if (trace->n_asked == 0 && !has_more(trace))
        not_found(trace);
    else if (n_looks == 0)
        timer_start_ms(timer, 0);
}

static void on_deadline(struct timer *timer)
{
    struct trace *trace = list_entry(timer, struct trace, deadline);

    trace->has_failed = true;
    not_found(trace);
}

void traces_start(struct traces *traces, struct http_exchange *x, const char *session,
                  const char *node)
{
    struct scheduler *s = traces->scheduler;
    const struct registry_node *only = *node ? registry_node(&s->registry, node) : NULL;
    struct trace *trace;

    if (*node && !only) {
        http_respond_problem(x, 404, "no such node");
        return;
    }
    trace = traces->n < TRACE_N_RUNNING ? calloc(1, sizeof *trace) : NULL;
    if (!trace) {
        http_add_header(x, "Retry-After", "1");
        http_respond_problem(x, 503, "too many traces at a time");
        return;
    }
    trace->traces = traces;
    trace->x = x;
    trace->only_one = only != NULL;
    snprintf(trace->path, sizeof trace->path, "/v1/trace?session=%s", session);
    for (int i = 0; i < TRACE_N_ASKED; i++)
        trace->asks[i].trace = trace;
    traces->n++;
    list_push_back(&traces->running, &trace->node);
    timer_init(&trace->next, s->loop, on_next);
    timer_init(&trace->deadline, s->loop, on_deadline);
    timer_start_ms(&trace->deadline, TRACE_DEADLINE_MS);
    http_set_pending(x, on_gone, trace);
    if (only)
        trace->has_failed = !ask_node(trace, &trace->asks[0], only);
    timer_start_ms(&trace->next, 0);
}
