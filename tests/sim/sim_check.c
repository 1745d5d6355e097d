/* What must be true: at every moment, and after a heal. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "scheduler/publish.h"
#include "scheduler/scheduler.h"
#include "tests/sim/sim_http.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_world.h"

#define SECOND INT64_C(1000000)
#define MAX_DEPTH 3
#define TANGLE_US                                                                                \
    (3 * SECOND)              /* a relay tree may be wrong for so long: two tags of 500 ms a hop \
                               */
#define FRESH_US (2 * SECOND) /* the newest frame of a viewer */
#define PROBE_US 400000       /* a way that had no trouble for so long lets a question through */
#define MAX_ON_A_NODE 64

struct holder { /* who was given an epoch */
    char node[CLUSTER_ID_SIZE];
    uint64_t instance, run;
};

struct here { /* the streams of one node at this look */
    struct sim_stream streams[MAX_ON_A_NODE];
    unsigned n;
};

static struct {
    struct map given;  /* "app/name epoch" -> struct holder */
    struct map newest; /* "node instance app/name" -> the newest epoch it published, as uint64_t */
    int64_t tangled_us[SIM_MAX_NODES][SIM_MAX_STREAMS]; /* since when; 0 = not */
    struct here here[SIM_MAX_NODES];
    char wrong[300], stream[STREAM_NAME_SIZE];
} g;

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* --- an epoch is given once --- */

static void note_given(const char *stream, uint64_t epoch, const struct holder *who)
{
    char key[STREAM_NAME_SIZE + 24];
    struct holder *before;

    snprintf(key, sizeof key, "%s %" PRIu64, stream, epoch);
    before = map_get(&g.given, key);
    if (!before) {
        before = need(malloc(sizeof *before));
        *before = *who;
        need(map_set(&g.given, key, before) == E_OK ? before : NULL);
    } else if (strcmp(before->node, who->node) != 0 || before->instance != who->instance) {
        sim_fail("an epoch is given once", stream,
                 "stream=%s epoch=%" PRIu64 " to %s (%" PRIu64 ") and to %s (%" PRIu64 ")", stream,
                 epoch, before->node, before->instance, who->node, who->instance);
    } else if (before->run && who->run && before->run != who->run) {
        sim_fail("an epoch is given once", stream,
                 "stream=%s epoch=%" PRIu64 " at %s for two encoder sessions", stream, epoch,
                 who->node);
    }
}

/* Answers to publish requests, as they come in. */
static void on_http_ended(const struct sim_http_call *call)
{
    static const char k_path[] = "/v1/streams/";
    const char *end = strstr(call->path_query, "/publish");
    struct cluster_publish_reply reply;
    struct cluster_publish request;
    struct cluster_error error;
    struct holder who = {0};
    char stream[STREAM_NAME_SIZE];

    if (call->status != 200 || !end || strncmp(call->path_query, k_path, sizeof k_path - 1) != 0 ||
        strcmp(call->method, "POST") != 0 ||
        cluster_publish_decode(call->request, &request, &error) != E_OK ||
        cluster_publish_reply_decode(call->answer, &reply, &error) != E_OK ||
        reply.decision != CLUSTER_PUBLISH_GRANTED)
        return;
    snprintf(stream, sizeof stream, "%.*s", (int)(end - call->path_query - (int)sizeof k_path + 1),
             call->path_query + sizeof k_path - 1);
    snprintf(who.node, sizeof who.node, "%s", request.node);
    who.instance = request.instance;
    who.run = request.run;
    note_given(stream, reply.epoch, &who);
}

/* --- a live owner is not displaced under "refuse" --- */

static bool is_near(const struct sim_host *a, const struct sim_host *b)
{
    int64_t since_us = sim_now_us() - PROBE_US;

    return !sim_net_is_cut(a, b) && !sim_net_is_cut(b, a) && sim_net_troubled_us(a, b) < since_us &&
           sim_net_troubled_us(b, a) < since_us;
}

/* Or believes so: an order whose answer was lost stands until the operator says more. */
static bool leaves(const struct sim_daemon *d)
{
    return d->is_draining || d->is_ordered || sim_node_leaves(d);
}

/* Its encoder was sent away by the edge that it had come to. */
static bool is_sent_away(const char *stream)
{
    struct sim_stream streams[MAX_ON_A_NODE];

    for (unsigned k = 0; k < sim_world.n_nodes; k++) {
        unsigned n = leaves(&sim_world.nodes[k])
                         ? sim_node_streams(&sim_world.nodes[k], streams, MAX_ON_A_NODE)
                         : 0;

        for (unsigned i = 0; i < n; i++)
            if (strcmp(streams[i].name.text, stream) == 0 && streams[i].is_forwarded)
                return true;
    }
    return false;
}

/* The node publishes the stream, runs, and is reached from here: it would answer. */
static bool would_answer(const struct registry_node *owner, const struct registry_stream *stream)
{
    struct sim_daemon *d = sim_world_node(owner->id);
    struct sim_stream streams[MAX_ON_A_NODE];
    unsigned n;

    if (!d || !sim_daemon_runs(d) || leaves(d) ||
        owner->wants_drain || /* an order that is just being taken back */
        is_sent_away(stream->name.text) || sim_node_instance(d) != owner->instance ||
        sim_weather.jitter_us > 50000 ||
        sim_now_us() - sim_weather.since_us < PROBE_US || /* it was asked in bad weather */
        !is_near(sim_current()->host, d->host))
        return false;
    n = sim_node_streams(d, streams, MAX_ON_A_NODE);
    for (unsigned i = 0; i < n; i++)
        if (strcmp(streams[i].name.text, stream->name.text) == 0 && streams[i].is_published &&
            streams[i].epoch == stream->epoch)
            return true;
    return false;
}

__typeof__(publish_decide) __wrap_publish_decide, __real_publish_decide;

enum publish_verdict __wrap_publish_decide(const struct publish_view *view,
                                           const struct cluster_publish *request)
{
    enum publish_verdict verdict = __real_publish_decide(view, request);
    const struct registry_stream *stream = view->stream;

    if (verdict == PUBLISH_GRANT && stream && stream->owner && stream->owner != view->asker &&
        strncmp(stream->name.text, "refuse/", 7) == 0 && would_answer(stream->owner, stream))
        sim_fail("a live owner is not displaced", stream->name.text,
                 "stream=%s epoch=%" PRIu64 " of %s was granted to %s", stream->name.text,
                 stream->epoch, stream->owner->id, view->asker->id);
    return verdict;
}

/* --- what nodes have --- */

static void look_at_nodes(void)
{
    for (unsigned i = 0; i < sim_world.n_nodes; i++)
        g.here[i].n = sim_node_streams(&sim_world.nodes[i], g.here[i].streams, MAX_ON_A_NODE);
}

static const struct sim_stream *find(unsigned node, const char *stream)
{
    for (unsigned i = 0; i < g.here[node].n; i++)
        if (strcmp(g.here[node].streams[i].name.text, stream) == 0)
            return &g.here[node].streams[i];
    return NULL;
}

static unsigned index_of(const char *id)
{
    const struct sim_daemon *d = sim_world_node(id);

    return d ? (unsigned)(d - sim_world.nodes) : SIM_MAX_NODES;
}

/* As a node believes. A relay may go back: while no scheduler answers, an encoder's new origin can
 * only guess what was given last, and its media is better than none. */
static void check_epochs(unsigned node)
{
    const struct sim_daemon *d = &sim_world.nodes[node];
    struct holder who = {.instance = sim_node_instance(d)};
    char key[STREAM_NAME_SIZE + 100];

    snprintf(who.node, sizeof who.node, "%s", d->host->name);
    for (unsigned i = 0; i < g.here[node].n; i++) {
        const struct sim_stream *s = &g.here[node].streams[i];
        uint64_t *newest;

        if (!s->is_published || !s->epoch)
            continue;
        who.run = s->run;
        note_given(s->name.text, s->epoch, &who);
        snprintf(key, sizeof key, "%s %" PRIu64 " %s", who.node, who.instance, s->name.text);
        newest = map_get(&g.newest, key);
        if (!newest) {
            newest = need(calloc(1, sizeof *newest));
            need(map_set(&g.newest, key, newest) == E_OK ? newest : NULL);
        }
        if (s->epoch < *newest)
            sim_fail("epochs only grow", s->name.text,
                     "stream=%s at %s: epoch=%" PRIu64 " after %" PRIu64, s->name.text,
                     d->host->name, s->epoch, *newest);
        *newest = s->epoch;
    }
}

/* Two nodes that publish one stream: never with one epoch. */
static void check_believers(unsigned a, unsigned b)
{
    for (unsigned i = 0; i < g.here[a].n; i++) {
        const struct sim_stream *mine = &g.here[a].streams[i];
        const struct sim_stream *other = find(b, mine->name.text);

        if (other && mine->is_published && other->is_published && mine->epoch == other->epoch)
            sim_fail("one believes in an epoch", mine->name.text,
                     "stream=%s epoch=%" PRIu64 " is published at %s and %s", mine->name.text,
                     mine->epoch, sim_world.nodes[a].host->name, sim_world.nodes[b].host->name);
    }
}

/* Steps up the tree to whoever feeds it; above MAX_DEPTH it is too deep, or a cycle. */
static unsigned depth_of(unsigned node, const char *stream)
{
    unsigned depth = 0;

    while (depth <= SIM_MAX_NODES) {
        const struct sim_stream *s = node < SIM_MAX_NODES ? find(node, stream) : NULL;

        if (!s || !s->is_pulled)
            break;
        depth++;
        node = index_of(s->upstream);
    }
    return depth;
}

/* The node that publishes the stream with the highest epoch; SIM_MAX_NODES: none. *n: how many. */
static unsigned owner_of(const char *name, unsigned *n)
{
    unsigned owner = SIM_MAX_NODES;
    uint64_t epoch = 0;

    *n = 0;
    for (unsigned i = 0; i < sim_world.n_nodes; i++) {
        const struct sim_stream *s = find(i, name);

        if (!s || !s->is_published)
            continue;
        ++*n;
        if (s->epoch >= epoch) {
            owner = i;
            epoch = s->epoch;
        }
    }
    return owner;
}

/* Nodes that cannot speak to each other cannot put it right, nor those of a stream that nobody
 * publishes any more: what is left of it goes when its time is over. */
static void check_trees(unsigned node)
{
    for (unsigned i = 0; i < sim_world.plan.n_streams; i++) {
        const char *stream = sim_world.streams[i];
        unsigned depth = depth_of(node, stream);
        int64_t *since_us = &g.tangled_us[node][i];
        bool is_cycle = depth > SIM_MAX_NODES;
        unsigned n_owners;

        (void)owner_of(stream, &n_owners);
        if (depth <= MAX_DEPTH || !sim_world.is_healed || (!n_owners && !is_cycle))
            *since_us = 0;
        else if (!*since_us)
            *since_us = sim_now_us();
        else if (sim_now_us() - *since_us > TANGLE_US)
            sim_fail("relays make trees", stream, "stream=%s at %s: %s", stream,
                     sim_world.nodes[node].host->name, is_cycle ? "in a cycle" : "too deep");
    }
}

void sim_check_always(void)
{
    look_at_nodes();
    for (unsigned a = 0; a < sim_world.n_nodes; a++) {
        check_epochs(a);
        check_trees(a);
        for (unsigned b = a + 1; b < sim_world.n_nodes; b++)
            check_believers(a, b);
    }
}

void sim_check_begin(void)
{
    map_init(&g.given);
    map_init(&g.newest);
    sim_http_watch.on_ended = on_http_ended;
}

/* --- after a heal --- */

static const char *wrong(const char **stream, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static const char *wrong(const char **stream, const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(g.wrong, sizeof g.wrong, format, args);
    va_end(args);
    snprintf(g.stream, sizeof g.stream, "%s", name);
    *stream = g.stream;
    return g.wrong;
}

static const char *check_owner(const struct sim_daemon *scheduler, const char *name,
                               const char **stream)
{
    const struct registry_stream *known = registry_stream(&scheduler->scheduler->registry, name);
    const char *known_owner = known && known->owner ? known->owner->id : "nobody";
    unsigned n, owner = owner_of(name, &n);
    const struct sim_stream *s = owner < SIM_MAX_NODES ? find(owner, name) : NULL;
    const char *true_owner = s ? sim_world.nodes[owner].host->name : "nobody";

    if (n > 1)
        return wrong(stream, name, "stream=%s has %u owners", name, n);
    if (strcmp(known_owner, true_owner) != 0)
        return wrong(stream, name, "stream=%s is owned by %s, %s says %s", name, true_owner,
                     scheduler->host->name, known_owner);
    if (s && known->epoch != s->epoch)
        return wrong(stream, name, "stream=%s has epoch=%" PRIu64 " at %s, %s says %" PRIu64, name,
                     s->epoch, true_owner, scheduler->host->name, known->epoch);
    return NULL;
}

/* A scheduler follows what the nodes carry that report to it. */
static const char *check_carrier(const struct sim_daemon *scheduler, unsigned node,
                                 const char *name, const char **stream)
{
    const struct registry *r = &scheduler->scheduler->registry;
    const struct sim_daemon *d = &sim_world.nodes[node];
    const struct registry_node *known = registry_node(r, d->host->name);
    const struct registry_stream *known_stream = registry_stream(r, name);
    const struct registry_carrier *carrier;
    const struct sim_stream *s = find(node, name);
    bool carries = s && (s->is_pulled || s->is_forwarded);

    if (!known || known->instance != sim_node_instance(d))
        return wrong(stream, name, "%s does not know %s", scheduler->host->name, d->host->name);
    if (sim_now_us() - known->direct_us > 3 * SECOND / 2)
        return NULL; /* it reports elsewhere */
    carrier = known_stream ? registry_carrier(known_stream, known) : NULL;
    if (carrier && !carrier->is_reported)
        carrier = NULL; /* it was told to pull, and is not asked here what became of it */
    if (carries != (carrier != NULL))
        return wrong(stream, name, "stream=%s: %s says that %s %s it", name, scheduler->host->name,
                     d->host->name, carrier ? "carries" : "does not carry");
    if (carrier && carrier->epoch != s->epoch)
        return wrong(stream, name,
                     "stream=%s: %s says that %s carries epoch=%" PRIu64 ", not %" PRIu64, name,
                     scheduler->host->name, d->host->name, carrier->epoch, s->epoch);
    return NULL;
}

const char *sim_check_registries(const char **stream)
{
    const char *bad = NULL;

    look_at_nodes();
    for (unsigned i = 0; i < sim_world.n_nodes && !bad; i++)
        if (!sim_node_is_connected(&sim_world.nodes[i]))
            bad = wrong(stream, "", "%s is not connected", sim_world.nodes[i].host->name);
    for (unsigned k = 0; k < sim_world.n_schedulers && !bad; k++) {
        const struct sim_daemon *scheduler = &sim_world.schedulers[k];

        for (unsigned i = 0; i < sim_world.plan.n_streams && !bad; i++) {
            bad = check_owner(scheduler, sim_world.streams[i], stream);
            for (unsigned node = 0; node < sim_world.n_nodes && !bad; node++)
                bad = check_carrier(scheduler, node, sim_world.streams[i], stream);
        }
    }
    return bad;
}

/* Who carries the stream does so at its owner's epoch. */
static const char *check_carriers(const char *name, const char **stream)
{
    unsigned n, owner = owner_of(name, &n);
    const struct sim_stream *at_owner = owner < SIM_MAX_NODES ? find(owner, name) : NULL;

    for (unsigned i = 0; at_owner && i < sim_world.n_nodes; i++) {
        const struct sim_stream *s = find(i, name);

        if (s && (s->is_pulled || s->is_forwarded) && s->epoch != at_owner->epoch)
            return wrong(stream, name,
                         "stream=%s is at epoch=%" PRIu64 " at %s, its owner %s at %" PRIu64, name,
                         s->epoch, sim_world.nodes[i].host->name, sim_world.nodes[owner].host->name,
                         at_owner->epoch);
    }
    return NULL;
}

static const char *check_viewer(const struct sim_viewer *v, const char **stream)
{
    if (!v->wanted || !sim_world_is_wanted(v->stream))
        return NULL;
    if (!v->has_frame)
        return wrong(stream, v->stream, "stream=%s: the viewer at %s has nothing", v->stream,
                     v->edge->name);
    if (sim_now_us() - v->frame_us > FRESH_US)
        return wrong(stream, v->stream, "stream=%s: the viewer at %s has nothing since %lld ms",
                     v->stream, v->edge->name, (long long)((sim_now_us() - v->frame_us) / 1000));
    return NULL;
}

const char *sim_check_people(const char **stream)
{
    const char *bad = NULL;

    for (unsigned i = 0; i < sim_world.plan.n_streams && !bad; i++) {
        const char *name = sim_world.streams[i];
        bool is_wanted = sim_world_is_wanted(name);
        unsigned n;

        (void)owner_of(name, &n);
        if (n != is_wanted)
            bad = wrong(stream, name, "stream=%s has %u owners", name, n);
        if (!bad)
            bad = check_carriers(name, stream);
    }
    for (unsigned i = 0; i < sim_world.n_viewers && !bad; i++)
        bad = check_viewer(&sim_world.viewers[i], stream);
    return bad;
}
