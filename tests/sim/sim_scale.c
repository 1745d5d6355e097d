/* Scale on paper. Streams have viewers by Zipf's law; each viewer is placed by the router, each
 * edge that is new to a stream asks where to pull it from and reports it, as edges do. */
#include "tests/sim/sim_scale.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scheduler/route.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_redis.h"

#define EPOCH UINT64_C(1767225600000000)
#define NOW_US 1000000
#define ASK_VIEWERS 20 /* of one stream that come together: one question stands for so many */
#define N_TIMED 200000

struct edge {
    struct cluster_heartbeat beat; /* its description; streams are filled when it reports */
    uint64_t seq;
    uint32_t n_viewers;
};

struct scale {
    struct sim_size size;
    struct registry registry;
    struct router router;
    struct edge *nodes; /* origins first */
    uint32_t *viewers;  /* of each stream */
    uint64_t n_carriers;
    uint32_t max_carriers, max_children, max_depth;
    uint64_t n_denied;
};

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "headwater-sim: out of memory\n");
        exit(2);
    }
    return memory;
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%lu %lu", &ignored, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void stream_name(uint64_t i, struct stream_name *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->text, sizeof out->text, "live/stream-%07" PRIu64, i);
    out->app_bytes = 4;
}

/* --- filling the registry --- */

static void ignore_owner(void *arg, const struct registry_stream *s, const struct registry_node *n)
{
    (void)arg, (void)s, (void)n;
}

static void ignore_dispute(void *arg, const struct registry_stream *s, const char *node)
{
    (void)arg, (void)s, (void)node;
}

/* The registry takes the report. */
static void report(struct scale *s, struct edge *node)
{
    struct cluster_heartbeat_reply reply = {0};
    struct cluster_error error = {""};

    node->beat.seq = ++node->seq;
    node->beat.load.n_viewers = node->n_viewers;
    if (registry_heartbeat(&s->registry, &node->beat, NOW_US, (int64_t)EPOCH, &reply, &error) !=
        E_OK) {
        fprintf(stderr, "headwater-sim: %s: %s\n", node->beat.node, error.text);
        exit(2);
    }
    cluster_heartbeat_reply_fini(&reply);
}

static void add_nodes(struct scale *s)
{
    uint64_t n_origins = sim_size_origins(&s->size);

    s->nodes = need(calloc(s->size.n_nodes, sizeof *s->nodes));
    for (uint64_t i = 0; i < s->size.n_nodes; i++) {
        struct cluster_heartbeat *m = &s->nodes[i].beat;

        snprintf(m->node, sizeof m->node, "node-%" PRIu64, i);
        m->instance = i + 1;
        m->role = i < n_origins ? CLUSTER_ORIGIN : CLUSTER_EDGE;
        m->state = CLUSTER_NODE_ACTIVE;
        m->full = true;
        snprintf(m->zone, sizeof m->zone, "zone-%" PRIu64, i % 5);
        snprintf(m->internal_urls.http, CLUSTER_URL_SIZE, "http://node-%" PRIu64 ":8080", i);
        snprintf(m->internal_urls.rtmp, CLUSTER_URL_SIZE, "rtmp://node-%" PRIu64 ":1935", i);
        m->public_urls = m->internal_urls;
        report(s, &s->nodes[i]);
        m->full = false;
    }
}

static void add_streams(struct scale *s)
{
    uint64_t n_origins = sim_size_origins(&s->size);
    struct cluster_stream *streams =
        need(calloc(s->size.n_streams / n_origins + 1, sizeof *streams));

    for (uint64_t origin = 0; origin < n_origins; origin++) {
        struct cluster_heartbeat *m = &s->nodes[origin].beat;

        m->n_streams = 0;
        for (uint64_t i = origin; i < s->size.n_streams; i += n_origins) {
            struct cluster_stream *stream = &streams[m->n_streams++];

            memset(stream, 0, sizeof *stream);
            stream_name(i, &stream->name);
            stream->epoch = EPOCH + i;
        }
        m->streams = streams;
        report(s, &s->nodes[origin]);
        m->streams = NULL;
        m->n_streams = 0;
    }
    free(streams);
}

/* --- viewers --- */

/* The i-th stream has viewers in proportion to 1 / (i + 1). */
static void share_viewers(struct scale *s)
{
    uint64_t n = s->size.n_streams, given = 0;
    double sum = 0;

    s->viewers = need(calloc(n, sizeof *s->viewers));
    for (uint64_t i = 0; i < n; i++)
        sum += 1.0 / (double)(i + 1);
    for (uint64_t i = 0; i < n; i++) {
        s->viewers[i] = (uint32_t)((double)s->size.n_viewers / sum / (double)(i + 1));
        given += s->viewers[i];
    }
    for (uint64_t i = 0; given < s->size.n_viewers; i = (i + 1) % n, given++)
        s->viewers[i]++;
}

static struct edge *node_of_url(struct scale *s, const char *url)
{
    uint64_t i = strtoull(url + sizeof "http://node-" - 1, NULL, 10);

    return &s->nodes[i];
}

static void ask(struct scale *s, enum cluster_intent intent, uint64_t stream, const char *node,
                struct cluster_route *route)
{
    struct cluster_route_query query = {.intent = intent, .protocol = "flv"};

    stream_name(stream, &query.name);
    snprintf(query.node, sizeof query.node, "%s", node);
    if (router_ask(&s->router, &query, NOW_US, route) != E_OK)
        exit(2);
}

/* An edge that was sent the first viewer of a stream finds its upstream, and reports the stream. */
static void pull(struct scale *s, struct edge *edge, uint64_t stream)
{
    struct cluster_stream carried = {.kind = CLUSTER_STREAM_CARRIED, .epoch = EPOCH + stream};
    struct cluster_route route;

    ask(s, CLUSTER_INTENT_SOURCE, stream, edge->beat.node, &route);
    if (route.decision != CLUSTER_PULL) {
        s->n_denied++;
        return;
    }
    stream_name(stream, &carried.name);
    carried.depth = route.upstreams[0].depth + 1;
    memcpy(carried.upstream, route.upstreams[0].node, sizeof carried.upstream);
    s->max_depth = carried.depth > s->max_depth ? carried.depth : s->max_depth;
    edge->beat.streams = &carried;
    edge->beat.n_streams = 1;
    report(s, edge);
    edge->beat.streams = NULL;
    edge->beat.n_streams = 0;
    s->n_carriers++;
}

static void place(struct scale *s, uint64_t stream, uint32_t n_viewers)
{
    struct cluster_route route;
    struct registry_node *node;
    struct edge *edge;

    ask(s, CLUSTER_INTENT_PLAY, stream, "", &route);
    if (route.decision != CLUSTER_REDIRECT) {
        s->n_denied += n_viewers;
        return;
    }
    edge = node_of_url(s, route.redirect_url);
    node = registry_node(&s->registry, edge->beat.node);
    for (uint32_t i = 1; i < n_viewers; i++)
        registry_sent_viewer(&s->registry, node);
    edge->n_viewers += n_viewers;
    {
        struct stream_name name;

        stream_name(stream, &name);
        if (!registry_carrier(registry_stream(&s->registry, name.text), node))
            pull(s, edge, stream);
    }
}

/* In random order: streams of all sizes come and go side by side. */
static void place_all(struct scale *s)
{
    uint64_t n_asks = 0, at = 0;
    uint32_t *order;

    for (uint64_t i = 0; i < s->size.n_streams; i++)
        n_asks += (s->viewers[i] + ASK_VIEWERS - 1) / ASK_VIEWERS;
    order = need(malloc(n_asks * sizeof *order));
    for (uint64_t i = 0; i < s->size.n_streams; i++)
        for (uint32_t k = 0; k < s->viewers[i]; k += ASK_VIEWERS)
            order[at++] = (uint32_t)i;
    for (uint64_t i = n_asks; i > 1; i--) {
        uint64_t other = sim_random() % i;
        uint32_t swap = order[i - 1];

        order[i - 1] = order[other];
        order[other] = swap;
    }
    for (uint64_t i = 0; i < n_asks; i++) {
        uint32_t *left = &s->viewers[order[i]];
        uint32_t n = *left < ASK_VIEWERS ? *left : ASK_VIEWERS;

        place(s, order[i], n);
        *left -= n;
    }
    free(order);
}

/* --- figures --- */

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Questions one after the other, each timed: a second of one core. */
static void time_asks(struct scale *s, const char *what, enum cluster_intent intent, bool by_node)
{
    double *took = need(malloc(N_TIMED * sizeof *took)), begin = seconds(), total;
    uint64_t n_origins = sim_size_origins(&s->size);
    struct cluster_route route;

    for (int i = 0; i < N_TIMED; i++) {
        /* popular streams are asked for more often: uniform in the logarithm is 1 / rank */
        double unit = (double)(sim_random() >> 11) * 0x1p-53, before;
        uint64_t stream = (uint64_t)pow((double)s->size.n_streams, unit) - 1;
        uint64_t edge = n_origins + sim_random() % (s->size.n_nodes - n_origins);

        before = seconds();
        ask(s, intent, stream, by_node ? s->nodes[edge].beat.node : "", &route);
        took[i] = seconds() - before;
    }
    total = seconds() - begin;
    qsort(took, N_TIMED, sizeof *took, compare);
    printf("| %s | %.0f/s | %.1f us | %.1f us |\n", what, N_TIMED / total, took[N_TIMED / 2] * 1e6,
           took[N_TIMED * 99 / 100] * 1e6);
    free(took);
}

static void print_balance(const struct scale *s)
{
    uint64_t n_origins = sim_size_origins(&s->size), sum = 0;
    uint32_t most = 0, least = UINT32_MAX;
    double mean;

    for (uint64_t i = n_origins; i < s->size.n_nodes; i++) {
        uint32_t n = s->nodes[i].n_viewers;

        sum += n;
        most = n > most ? n : most;
        least = n < least ? n : least;
    }
    mean = (double)sum / (double)(s->size.n_nodes - n_origins);
    printf("| viewers of an edge: mean, least, most | %.0f, %u, %u |\n", mean, least, most);
    printf("| balance, most / mean | %.3f |\n", (double)most / mean);
}

/* Before anything else is asked: each question counts as a relay that may come. */
static void measure_trees(struct scale *s)
{
    struct registry_stream *at;

    for (at = registry_stream_after(&s->registry, ""); at; at = registry_stream_next(at)) {
        uint32_t children = registry_recent_count(&s->registry, &at->recent, NOW_US);

        if (at->n_carriers > s->max_carriers)
            s->max_carriers = (uint32_t)at->n_carriers;
        s->max_children = children > s->max_children ? children : s->max_children;
    }
}

static void print_trees(const struct scale *s)
{
    printf("| upstream pulls of a stream: mean, most | %.2f, %u |\n",
           (double)s->n_carriers / (double)s->size.n_streams, s->max_carriers);
    printf("| relays of one stream at its origin, most | %u (max_children %u) |\n", s->max_children,
           s->router.max_children);
    printf("| deepest relay | %u |\n", s->max_depth);
    printf("| viewers or pulls that found no place | %" PRIu64 " |\n", s->n_denied);
}

/* What an edge says each second: the streams whose number of viewers has changed. A stream with n
 * viewers changes when one comes or goes: 2 n / view_s a second. */
static void fill_delta(const struct scale *s, const struct registry_node *known,
                       struct cluster_heartbeat *m)
{
    struct list *node, *tmp;

    m->n_streams = 0;
    list_for_each_safe(node, tmp, &known->carried) {
        const struct registry_carrier *c = list_entry(node, struct registry_carrier, of_node);
        double n_viewers = (double)s->size.n_viewers / (double)s->n_carriers;
        double chance = 1 - exp(-2 * n_viewers / (double)s->size.view_s);
        struct cluster_stream *stream;

        if (!sim_chance((unsigned)(chance * 1000)))
            continue;
        stream = &m->streams[m->n_streams++];
        *stream = (struct cluster_stream){.name = c->stream->name,
                                          .kind = CLUSTER_STREAM_CARRIED,
                                          .epoch = c->epoch,
                                          .n_viewers = (uint32_t)n_viewers + 1,
                                          .depth = c->depth};
        memcpy(stream->upstream, c->upstream, sizeof stream->upstream);
    }
}

static void print_heartbeats(struct scale *s)
{
    uint64_t bytes = 0, n_entries = 0, most = 0;
    struct buf_writer out;

    buf_writer_init(&out, SIZE_MAX);
    for (uint64_t i = 0; i < s->size.n_nodes; i++) {
        const struct registry_node *known = registry_node(&s->registry, s->nodes[i].beat.node);
        struct cluster_heartbeat m = s->nodes[i].beat;
        size_t room = 0;
        struct list *node, *tmp;

        list_for_each_safe(node, tmp, &known->carried) {
            room++;
        }
        m.load.n_viewers = s->nodes[i].n_viewers;
        m.highest_epoch = EPOCH;
        m.streams = need(calloc(room + 1, sizeof *m.streams));
        fill_delta(s, known, &m);
        buf_writer_clear(&out);
        if (cluster_heartbeat_encode(&m, &out) != E_OK)
            exit(2);
        bytes += out.used_bytes;
        most = out.used_bytes > most ? out.used_bytes : most;
        n_entries += m.n_streams;
        free(m.streams);
    }
    buf_writer_fini(&out);
    printf("| heartbeats | %" PRIu64 "/s, %.1f MB/s, mean %.0f bytes, largest %" PRIu64
           " bytes, %.0f streams each |\n",
           s->size.n_nodes, (double)bytes / 1e6, (double)bytes / (double)s->size.n_nodes, most,
           (double)n_entries / (double)s->size.n_nodes);
}

static void print_redis(const struct sim_size *size)
{
    struct sim_fleet_figures f;
    uint64_t per_s;

    sim_fleet_run(size, &f);
    per_s = f.n_commands / f.n_seconds;
    printf("| Redis commands, %" PRIu64 " schedulers | %" PRIu64 "/s |\n", size->n_schedulers,
           per_s);
    for (unsigned i = 0; sim_redis_kind(i); i++)
        if (f.n_by_kind[i] >= f.n_seconds)
            printf("| ... %s | %" PRIu64 "/s |\n", sim_redis_kind(i), f.n_by_kind[i] / f.n_seconds);
    printf("| schedulers that start empty know every stream after | %.1f s |\n", f.fill_s);
}

static void run(struct scale *s)
{
    struct registry_conf conf = {.lease_us = 5000000,
                                 .interval_us = 1000000,
                                 .max_nodes = s->size.n_nodes,
                                 .max_streams = s->size.n_streams,
                                 .max_full_reports = 0};
    struct registry_watch watch = {.on_owner = ignore_owner,
                                   .on_ended = ignore_owner,
                                   .on_dropped = ignore_owner,
                                   .on_dispute = ignore_dispute};
    size_t empty = resident_bytes(), with_nodes, with_streams, with_viewers;
    double begin = seconds();

    registry_init(&s->registry, &conf, &watch);
    router_init(&s->router, &s->registry);
    add_nodes(s);
    with_nodes = resident_bytes();
    add_streams(s);
    with_streams = resident_bytes();
    share_viewers(s);
    with_viewers = resident_bytes(); /* the shares are ours, not the scheduler's */
    place_all(s);
    measure_trees(s);
    printf("# %" PRIu64 " nodes, %" PRIu64 " streams, %" PRIu64 " viewers\n\n", s->size.n_nodes,
           s->size.n_streams, s->size.n_viewers);
    printf("One scheduler, one core; filled in %.0f s.\n\n", seconds() - begin);
    printf("| decisions | rate | p50 | p99 |\n| --- | --- | --- | --- |\n");
    time_asks(s, "a viewer at the entry point", CLUSTER_INTENT_PLAY, false);
    time_asks(s, "an edge for an upstream", CLUSTER_INTENT_SOURCE, true);
    time_asks(s, "an edge for an origin", CLUSTER_INTENT_PUBLISH, true);
    printf("\n| figure | value |\n| --- | --- |\n");
    printf("| memory of a node | %zu bytes |\n", (with_nodes - empty) / s->size.n_nodes);
    printf("| memory of a stream | %zu bytes |\n", (with_streams - with_nodes) / s->size.n_streams);
    printf("| memory of a stream at an edge | %zu bytes |\n",
           s->n_carriers ? (resident_bytes() - with_viewers) / s->n_carriers : 0);
    printf("| memory of the registry | %zu MB |\n", (resident_bytes() - empty) / 1000000);
    print_balance(s);
    print_trees(s);
    print_heartbeats(s);
}

static bool take(int argc, char **argv, int *i, uint64_t *out)
{
    char *end = NULL;

    if (*i + 1 >= argc)
        return false;
    *out = strtoull(argv[++*i], &end, 10);
    return *out > 0 && !*end;
}

int sim_scale_main(int argc, char **argv)
{
    struct scale s = {.size = {.n_nodes = 5000,
                               .n_streams = 1000000,
                               .n_viewers = 20000000,
                               .n_schedulers = 3,
                               .view_s = 600,
                               .publish_s = 3600}};
    struct {
        const char *name;
        uint64_t *value;
    } options[] = {
        {"--nodes", &s.size.n_nodes},       {"--streams", &s.size.n_streams},
        {"--viewers", &s.size.n_viewers},   {"--schedulers", &s.size.n_schedulers},
        {"--view-seconds", &s.size.view_s}, {"--publish-seconds", &s.size.publish_s},
    };

    for (int i = 1; i < argc; i++) {
        size_t k = 0;

        while (k < sizeof options / sizeof options[0] && strcmp(options[k].name, argv[i]) != 0)
            k++;
        if (k == sizeof options / sizeof options[0] || !take(argc, argv, &i, options[k].value)) {
            fprintf(stderr, "headwater-sim scale: bad option %s\n", argv[i < argc ? i : argc - 1]);
            return 2;
        }
    }
    if (s.size.n_schedulers > SIM_MAX_FLEET_SCHEDULERS || s.size.n_nodes < 2) {
        fprintf(stderr, "headwater-sim scale: at most %d schedulers, at least 2 nodes\n",
                SIM_MAX_FLEET_SCHEDULERS);
        return 2;
    }
    sim_begin(1);
    run(&s);
    print_redis(&s.size);
    return 0;
}
