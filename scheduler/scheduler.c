/* Wiring: what changes in the registry goes to the store, to the other schedulers and to the nodes;
 * what comes from the store goes into the registry. */
#include "scheduler/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "scheduler/epoch.h"
#include "scheduler/stats.h"

#define SWEEP_MS 1000

int64_t scheduler_now_us(const struct scheduler *s)
{
    return loop_now_us(s->loop);
}

static void ignore_answer(void *arg, enum err e, const struct store_owner *owner)
{
    (void)arg, (void)e, (void)owner; /* the next report says it again */
}

static struct store_owner owner_of(const struct registry_node *node, uint64_t epoch)
{
    struct store_owner owner = {.instance = node->instance, .epoch = epoch};

    memcpy(owner.node, node->id, sizeof owner.node);
    return owner;
}

static void tell_nodes(struct scheduler *s, enum cluster_event_type type,
                       const struct registry_stream *stream, const char *node)
{
    struct cluster_event event = {.type = type, .name = stream->name, .epoch = stream->epoch};

    snprintf(event.node, sizeof event.node, "%s", node);
    events_broadcast(&s->events, &event);
}

static void on_owner(void *arg, const struct registry_stream *stream, const char *old_owner)
{
    struct scheduler *s = arg;
    struct store_event event = {.type = CLUSTER_EVENT_PUBLISHED, .name = stream->name};

    if (*old_owner) {
        struct cluster_event fenced = {CLUSTER_EVENT_FENCED, stream->name, stream->epoch, ""};

        memcpy(fenced.node, stream->owner->id, sizeof fenced.node);
        stats_count(STAT_FENCED);
        log_info("publish", "msg=\"stream moved\" stream=%s from=%s to=%s epoch=%llu",
                 stream->name.text, old_owner, stream->owner->id,
                 (unsigned long long)stream->epoch);
        events_send(&s->events, old_owner, &fenced);
    }
    tell_nodes(s, CLUSTER_EVENT_PUBLISHED, stream, stream->owner->id);
    if (s->quiet)
        return;
    event.owner = owner_of(stream->owner, stream->epoch);
    s->store->ops->refresh(s->store, &stream->name, &event.owner);
    s->store->ops->announce(s->store, &event);
}

static void on_ended(void *arg, const struct registry_stream *stream,
                     const struct registry_node *old_owner)
{
    struct scheduler *s = arg;
    struct store_event event = {.type = CLUSTER_EVENT_ENDED, .name = stream->name};

    tell_nodes(s, CLUSTER_EVENT_ENDED, stream, old_owner->id);
    if (s->quiet)
        return;
    event.owner = owner_of(old_owner, stream->epoch);
    s->store->ops->release(s->store, &stream->name, &event.owner, ignore_answer, NULL);
    s->store->ops->announce(s->store, &event);
}

static void on_dropped(void *arg, const struct registry_stream *stream,
                       const struct registry_node *old_owner)
{
    struct scheduler *s = arg;
    struct store_owner owner = owner_of(old_owner, stream->epoch);

    if (!s->quiet && !s->is_stopping)
        s->store->ops->release(s->store, &stream->name, &owner, ignore_answer, NULL);
}

struct dispute {
    struct scheduler *scheduler;
    struct stream_name name;
};

static void on_looked_up(void *arg, enum err e, const struct store_owner *owner)
{
    struct dispute *dispute = arg;

    if (e == E_OK && !dispute->scheduler->is_stopping)
        scheduler_learn_owner(dispute->scheduler, &dispute->name, owner, true);
    free(dispute);
}

/* Another scheduler may have granted it, and its event is still on the way: the store knows. */
static void on_dispute(void *arg, const struct registry_stream *stream, const char *node)
{
    struct scheduler *s = arg;
    struct dispute *dispute = malloc(sizeof *dispute);

    log_info("publish", "msg=\"two owners, asking the store\" stream=%s owner=%s other=%s",
             stream->name.text, stream->owner->id, node);
    if (!dispute)
        return;
    *dispute = (struct dispute){s, stream->name};
    s->store->ops->lookup(s->store, &stream->name, on_looked_up, dispute);
}

void scheduler_learn_owner(struct scheduler *s, const struct stream_name *name,
                           const struct store_owner *owner, bool is_news)
{
    struct registry_stream *stream = registry_stream(&s->registry, name->text);
    struct registry_node *node = registry_node(&s->registry, owner->node);
    int64_t now_us = scheduler_now_us(s);

    if (!epoch_is_plausible(owner->epoch, clock_wall_us()) ||
        (stream && stream->owner && stream->epoch >= owner->epoch))
        return;
    registry_saw_epoch(&s->registry, owner->epoch, clock_wall_us());
    if (node && node->instance != owner->instance) {
        /* an older or a newer life of the node: its own heartbeats decide, here or in the store */
        if (!is_news || (node->direct_us && registry_is_live(node, now_us)))
            return;
        node = NULL;
    }
    s->quiet++;
    if (!node && is_news &&
        registry_admit(&s->registry, owner->node, owner->instance, now_us, &node) != E_OK)
        node = NULL;
    if (node)
        (void)registry_grant(&s->registry, name, node, owner->epoch, now_us);
    s->quiet--;
}

static void on_store_state(void *arg, bool is_up)
{
    struct scheduler *s = arg;

    s->registry.trust = is_up ? REGISTRY_SHARED : REGISTRY_DEGRADED;
    stats_set(STAT_STORE_UP, is_up);
    if (is_up)
        log_info("store", "msg=\"store up\"");
    else
        log_warn("store", "msg=\"store away, answering from memory\"");
    if (is_up) /* what was granted meanwhile is written by the reports */
        registry_want_full(&s->registry);
}

static void on_store_emptied(void *arg)
{
    registry_want_full(&((struct scheduler *)arg)->registry);
}

static void on_store_node(void *arg, const struct cluster_heartbeat *m)
{
    struct scheduler *s = arg;

    s->quiet++;
    registry_merge_node(&s->registry, m, scheduler_now_us(s));
    registry_saw_epoch(&s->registry, m->highest_epoch, clock_wall_us());
    s->quiet--;
}

static void on_store_event(void *arg, const struct store_event *event)
{
    struct scheduler *s = arg;
    struct cluster_event kick = {CLUSTER_EVENT_KICK, event->name, event->owner.epoch, ""};

    switch (event->type) {
    case CLUSTER_EVENT_PUBLISHED:
        scheduler_learn_owner(s, &event->name, &event->owner, !event->is_old);
        break;
    case CLUSTER_EVENT_ENDED:
        s->quiet++;
        (void)registry_release(&s->registry, event->name.text, event->owner.node,
                               event->owner.instance, event->owner.epoch);
        s->quiet--;
        break;
    case CLUSTER_EVENT_KICK:
        events_broadcast(&s->events, &kick);
        break;
    default:
        break;
    }
}

/* A node that dies closes its connection at once, long before its lease ends. */
static void on_events_lost(void *arg, const char *id)
{
    struct scheduler *s = arg;
    struct registry_node *node = registry_node(&s->registry, id);

    if (node && !s->is_stopping)
        registry_suspect(node, scheduler_now_us(s));
}

static void on_lapse(void *arg, const struct registry_node *node)
{
    (void)arg;
    log_warn("registry", "msg=\"lease lapsed\" node=%s role=%s", node->id,
             k_cluster_roles[node->place.role]);
}

static void count_nodes(struct scheduler *s)
{
    int64_t n_by_state[3] = {0}, n_lapsed = 0, now_us = scheduler_now_us(s);
    struct registry_node *node;

    for (node = registry_node_after(&s->registry, ""); node; node = registry_node_next(node)) {
        if (registry_is_live(node, now_us))
            n_by_state[node->place.state]++;
        else
            n_lapsed++;
    }
    stats_set(STAT_NODES_STARTING, n_by_state[CLUSTER_NODE_STARTING]);
    stats_set(STAT_NODES_ACTIVE, n_by_state[CLUSTER_NODE_ACTIVE]);
    stats_set(STAT_NODES_DRAINING, n_by_state[CLUSTER_NODE_DRAINING]);
    stats_set(STAT_NODES_LAPSED, n_lapsed);
    stats_set(STAT_STREAMS_KNOWN, (int64_t)s->registry.streams.n_entries);
    stats_set(STAT_STREAMS_OWNED, (int64_t)s->registry.n_owned);
    stats_set(STAT_EVENTS_OPEN, (int64_t)events_count(&s->events));
}

static void on_sweep(struct timer *timer)
{
    struct scheduler *s = list_entry(timer, struct scheduler, sweep);

    registry_sweep(&s->registry, scheduler_now_us(s), on_lapse, s);
    count_nodes(s);
    timer_start_ms(timer, SWEEP_MS);
}

enum err scheduler_apply_conf(struct scheduler *s, struct conf_error *error)
{
    char token[SCHEDULER_TOKEN_SIZE];
    enum err e =
        scheduler_read_secret("token_file", s->conf->token_file, token, sizeof token, error);

    s->router.max_children = (uint32_t)s->conf->max_children;
    s->router.load_factor_percent = (uint32_t)s->conf->load_factor_percent;
    s->router.load_slack = (uint32_t)s->conf->load_slack;
    s->registry.conf.max_nodes = s->conf->max_nodes;
    s->registry.conf.max_streams = s->conf->max_streams;
    if (e == E_OK)
        memcpy(s->token, token, sizeof s->token);
    explicit_bzero(token, sizeof token);
    return e;
}

static enum err open_store(struct scheduler *s, struct conf_error *error)
{
    struct store_watch watch = {on_store_state, on_store_emptied, on_store_node, on_store_event, s};
    struct store_redis_conf redis = k_store_redis_default;
    char password[SCHEDULER_TOKEN_SIZE];
    const char *why = "out of memory";
    enum err e;

    if (s->conf->store_type == STORE_MEMORY) {
        s->store = store_memory_create(&watch);
        s->registry.trust = REGISTRY_ALONE;
        stats_set(STAT_STORE_UP, 1);
    } else {
        e = scheduler_read_secret("store.redis.password_file", s->conf->redis_password_file,
                                  password, sizeof password, error);
        if (e != E_OK)
            return e;
        redis.url = s->conf->redis_url;
        redis.password = password;
        s->store = store_redis_create(s->loop, &redis, &watch, &why);
        s->registry.trust = REGISTRY_DEGRADED; /* until it answers */
        explicit_bzero(password, sizeof password);
    }
    if (!s->store)
        snprintf(error->text, sizeof error->text, "store.redis.url: %s", why);
    return s->store ? E_OK : E_INVAL;
}

/* Opens one address; *bound is what it is bound to. */
static enum err listen_on(struct scheduler *s, const char *key, const char *address,
                          struct http_server *server, struct listener **out, struct addr *bound,
                          struct conf_error *error)
{
    struct listen_error failed;
    int hold_fd = -1;
    enum err e = listen_reserve(key, address, bound, &hold_fd, &failed);

    if (e == E_OK) {
        *out = listener_open(s->loop, bound, http_server_accept, server, &failed);
        close(hold_fd);
        e = *out ? E_OK : E_IO;
    }
    if (e != E_OK)
        snprintf(error->text, sizeof error->text, "%s", failed.text);
    return e;
}

static enum err open_faces(struct scheduler *s, struct conf_error *error)
{
    struct http_limits limits = k_http_limits_default;
    struct addr bound;
    enum err e = E_NOMEM;

    limits.max_body_bytes = s->conf->max_body_bytes;
    s->api = http_server_create(s->loop, &limits, "api", k_scheduler_api, s);
    snprintf(error->text, sizeof error->text, "out of memory");
    if (s->api)
        e = listen_on(s, "http.listen", s->conf->http_listen, s->api, &s->api_listener, &bound,
                      error);
    if (e != E_OK)
        return e;
    s->is_on_loopback = addr_is_loopback(&bound);
    addr_format(&bound, s->api_address);
    if (!*s->conf->entry_listen)
        return E_OK;
    s->entry = http_server_create(s->loop, &k_http_limits_default, "entry", k_scheduler_entry, s);
    e = s->entry ? listen_on(s, "entry.listen", s->conf->entry_listen, s->entry, &s->entry_listener,
                             &bound, error)
                 : E_NOMEM;
    if (e == E_OK)
        addr_format(&bound, s->entry_address);
    return e;
}

enum err scheduler_open(struct scheduler *s, struct loop *loop, const struct scheduler_conf *conf,
                        struct conf_error *error)
{
    struct registry_conf registry = {(int64_t)conf->lease_ms * 1000,
                                     (int64_t)conf->heartbeat_ms * 1000, conf->max_nodes,
                                     conf->max_streams};
    struct registry_watch watch = {on_owner, on_ended, on_dropped, on_dispute, s};
    enum err e;

    *s = (struct scheduler){.loop = loop, .conf = conf};
    registry_init(&s->registry, &registry, &watch);
    router_init(&s->router, &s->registry);
    publish_jobs_init(&s->jobs, s);
    events_init(&s->events, loop, on_events_lost, s);
    timer_init(&s->sweep, loop, on_sweep);
    timer_start_ms(&s->sweep, SWEEP_MS);
    e = scheduler_apply_conf(s, error);
    if (e == E_OK)
        e = open_store(s, error);
    if (e == E_OK)
        e = open_faces(s, error);
    if (e != E_OK)
        scheduler_close(s);
    else if (!*s->token && !s->is_on_loopback)
        log_warn("api",
                 "msg=\"no token_file and http.listen is not on loopback: "
                 "nodes will be refused\" http=%s",
                 s->api_address);
    return e;
}

void scheduler_close(struct scheduler *s)
{
    s->is_stopping = true;
    listener_close(&s->api_listener);
    listener_close(&s->entry_listener);
    events_fini(&s->events);
    http_server_destroy(&s->api);
    http_server_destroy(&s->entry);
    store_destroy(&s->store);
    publish_jobs_fini(&s->jobs);
    timer_stop(&s->sweep);
    router_fini(&s->router);
    registry_fini(&s->registry);
    explicit_bzero(s->token, sizeof s->token);
}
