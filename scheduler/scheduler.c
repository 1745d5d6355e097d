/* Opening and closing, the token, and what is done by time. */
#include "scheduler/scheduler.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/api_access.h"
#include "common/net/budget.h"
#include "scheduler/stats.h"

#define SWEEP_MS 1000
#define PULSE_MS 250     /* how often this process is seen running */
#define SLEPT_US 1250000 /* longer than that between two times: it did not run */

/* What one turn of the loop does of what is long: each below 5 ms. */
#define SWEEP_NODES 1000
#define REAP_STREAMS 500
#define CALL_STANDBYS 100

#define INTEREST_US 15000000 /* longer than a viewer waits for a stream */
#define INTERESTS_MAX 200000

/* --- time --- */

int64_t scheduler_now_us(struct scheduler *s)
{
    int64_t now_us = loop_now_us(s->loop), gap_us = now_us - s->awake_us;

    if (s->awake_us && gap_us > SLEPT_US) {
        stats_count(STAT_SLEPT);
        log_warn("scheduler", "msg=\"did not run, nobody else was late\" gap_ms=%lld",
                 (long long)(gap_us / 1000));
        registry_slept(&s->registry, gap_us);
        scaling_doubt(&s->scaling);
    }
    s->awake_us = now_us;
    return now_us;
}

static void on_pulse(struct timer *timer)
{
    struct scheduler *s = list_entry(timer, struct scheduler, pulse);

    (void)scheduler_now_us(s);
    timer_start_ms(timer, PULSE_MS);
}

static void on_work(struct timer *timer)
{
    struct scheduler *s = list_entry(timer, struct scheduler, work);
    bool is_done = registry_reap(&s->registry, scheduler_now_us(s), REAP_STREAMS);

    if (!scheduler_call_standbys(s, CALL_STANDBYS) || !is_done)
        timer_start_ms(timer, 0);
}

void scheduler_work_soon(struct scheduler *s)
{
    bool has_work = !list_is_empty(&s->orphans) || registry_has_leftovers(&s->registry);

    if (has_work && !timer_is_armed(&s->work))
        timer_start_ms(&s->work, 0);
}

static void show_counts(const struct scheduler *s)
{
    const struct registry *r = &s->registry;

    stats_set(STAT_NODES_STARTING, r->counts.n_by_state[CLUSTER_NODE_STARTING]);
    stats_set(STAT_NODES_ACTIVE, r->counts.n_by_state[CLUSTER_NODE_ACTIVE]);
    stats_set(STAT_NODES_DRAINING, r->counts.n_by_state[CLUSTER_NODE_DRAINING]);
    stats_set(STAT_NODES_LAPSED, r->counts.n_lapsed);
    stats_set(STAT_FULL_WANTED, r->counts.n_wanting);
    stats_set(STAT_FULL_ASKED, (int64_t)r->n_asked_full);
    stats_set(STAT_STREAMS_KNOWN, (int64_t)r->streams.n_entries);
    stats_set(STAT_STREAMS_OWNED, (int64_t)r->n_owned);
    stats_set(STAT_STANDBYS, (int64_t)r->n_standbys);
    stats_set(STAT_EDGES_AT_LIMIT, (int64_t)r->n_edges_at_limit);
    stats_set(STAT_EVENTS_OPEN, (int64_t)events_count(&s->events));
}

static void on_sweep(struct timer *timer)
{
    struct scheduler *s = list_entry(timer, struct scheduler, sweep);
    bool is_round = registry_sweep(&s->registry, scheduler_now_us(s), SWEEP_NODES);

    scheduler_work_soon(s);
    if (is_round) {
        show_counts(s);
        scaling_settle(&s->scaling, scheduler_now_us(s));
        s->said_full = s->said_full && s->registry.streams.n_entries >= s->conf->max_streams;
    }
    timer_start_ms(timer, is_round ? SWEEP_MS : 0);
}

/* --- configuration --- */

static struct tls_setup_conf tls_conf(const struct scheduler_conf *conf)
{
    return (struct tls_setup_conf){.certificates = &conf->tls_certificates,
                                   .ca_file = conf->tls_ca_file,
                                   .is_unverified = !conf->tls_verify,
                                   .handshake_timeout_ms = (int64_t)conf->tls_handshake_ms};
}

static enum err open_tls(struct scheduler *s, struct conf_error *error)
{
    struct tls_setup_conf conf = tls_conf(s->conf);
    struct tls_error why;

    s->tls = tls_setup_create(s->loop, &conf, &why);
    if (!s->tls)
        snprintf(error->text, sizeof error->text, "tls: %s", why.text);
    return s->tls ? E_OK : E_INVAL;
}

static enum err read_people_tokens(struct scheduler *s, struct conf_error *error)
{
    return api_access_read_tokens(s->access, "admin.tokens_file", s->conf->admin_tokens_file,
                                  error);
}

static void set_budgets(struct scheduler *s)
{
    uint64_t n_files = (uint64_t)net_raise_nofile(), max = (n_files - n_files / 8) / 2;

    conn_budget_set(s->api_budget, max, s->conf->connections_per_ip);
    conn_budget_set(s->entry_budget, max, s->conf->entry_connections_per_ip);
}

enum err scheduler_apply_conf(struct scheduler *s, struct conf_error *error)
{
    struct tls_setup_conf tls = tls_conf(s->conf);
    struct scheduler_tokens tokens;
    enum err e = scheduler_read_tokens("token_file", s->conf->token_file, &tokens, error);

    s->router.max_children = (uint32_t)s->conf->max_children;
    s->router.load_factor_percent = (uint32_t)s->conf->load_factor_percent;
    s->router.load_slack = (uint32_t)s->conf->load_slack;
    s->registry.conf.max_nodes = s->conf->max_nodes;
    s->registry.conf.max_streams = s->conf->max_streams;
    s->registry.conf.max_full_reports = s->conf->max_full_reports;
    if (s->api_budget)
        set_budgets(s);
    if (e == E_OK)
        s->tokens = tokens;
    explicit_bzero(&tokens, sizeof tokens);
    if (s->tls)
        tls_setup_reload(s->tls, &tls);
    if (s->access && e == E_OK)
        e = read_people_tokens(s, error);
    return e;
}

static enum err open_redis(struct scheduler *s, struct conf_error *error)
{
    const struct scheduler_conf *conf = s->conf;
    struct store_watch watch = k_news_of_store;
    struct store_redis_conf redis = k_store_redis_default;
    char password[SCHEDULER_TOKEN_SIZE], sentinel_password[SCHEDULER_TOKEN_SIZE];
    const char *why = "out of memory";
    enum err e = scheduler_read_secret("store.redis.password_file", conf->redis_password_file,
                                       password, sizeof password, error);

    if (e == E_OK)
        e = scheduler_read_secret("store.redis.sentinel_password_file",
                                  conf->sentinel_password_file, sentinel_password,
                                  sizeof sentinel_password, error);
    if (e != E_OK)
        return e;
    watch.arg = s;
    redis.url = conf->redis_url;
    redis.password = password;
    redis.sentinels = (const char *const *)conf->redis_sentinels.items;
    redis.n_sentinels = conf->redis_sentinels.n_items;
    redis.master = conf->redis_master;
    redis.sentinel_user = conf->sentinel_user;
    redis.sentinel_password = sentinel_password;
    if (redis.poll_ms > (int64_t)conf->heartbeat_ms) /* or nodes elsewhere would seem late */
        redis.poll_ms = (int64_t)conf->heartbeat_ms;
    s->registry.trust = REGISTRY_DEGRADED; /* until it answers */
    s->store = store_redis_create(s->loop, &redis, &watch, &why);
    explicit_bzero(password, sizeof password);
    explicit_bzero(sentinel_password, sizeof sentinel_password);
    if (!s->store)
        snprintf(error->text, sizeof error->text, "store.redis: %s", why);
    return s->store ? E_OK : E_INVAL;
}

static enum err open_store(struct scheduler *s, struct conf_error *error)
{
    struct store_watch watch = k_news_of_store;

    if (s->conf->store_type == STORE_REDIS)
        return open_redis(s, error);
    watch.arg = s;
    s->store = store_memory_create(&watch);
    s->registry.trust = REGISTRY_ALONE;
    stats_set(STAT_STORE_UP, 1);
    if (!s->store)
        snprintf(error->text, sizeof error->text, "out of memory");
    return s->store ? E_OK : E_NOMEM;
}

/* --- where it listens --- */

static const char *http_listen(const struct scheduler_conf *conf)
{
    return conf->http_listen;
}

static const char *entry_listen(const struct scheduler_conf *conf)
{
    return conf->entry_listen;
}

static const struct {
    const char *key;
    const char *(*listen)(const struct scheduler_conf *conf); /* "" = off */
    void (*accept)(void *server, int fd, const struct addr *peer);
    bool is_api; /* else the entry point alone */
} k_faces[N_FACES] = {
    [FACE_API] = {"http.listen", http_listen, http_server_accept, true},
    [FACE_API_TLS] = {"https.listen", scheduler_conf_https, http_server_accept_tls, true},
    [FACE_ENTRY] = {"entry.listen", entry_listen, http_server_accept, false},
    [FACE_ENTRY_TLS] = {"entry.https_listen", scheduler_conf_entry_https, http_server_accept_tls,
                        false},
};

static void accept_one(void *arg, int fd, const struct addr *peer)
{
    static const struct budget_words k_api_words = {
        "too many connections", "too many of one address (limits.connections_per_ip)"};
    static const struct budget_words k_entry_words = {
        "too many connections", "too many of one address (limits.entry_connections_per_ip)"};
    const struct scheduler_door *door = arg;
    struct scheduler *s = door->scheduler;
    bool is_api = k_faces[door->face].is_api;
    enum budget_answer answer = conn_budget_admit(
        is_api ? s->api_budget : s->entry_budget, fd, peer, addr_is_loopback(peer),
        is_api ? "api" : "entry", is_api ? &k_api_words : &k_entry_words);

    if (answer == BUDGET_OK)
        k_faces[door->face].accept(is_api ? s->api : s->entry, fd, peer);
    else
        stats_count(answer == BUDGET_TOTAL ? STAT_REFUSED_TOTAL : STAT_REFUSED_PER_IP);
}

static enum err open_face(struct scheduler *s, enum scheduler_face face, struct conf_error *error)
{
    const char *key = k_faces[face].key, *address = k_faces[face].listen(s->conf);
    struct listen_error failed;
    struct addr bound;
    int hold_fd = -1;
    enum err e;

    if (!*address)
        return E_OK;
    e = listen_reserve(key, address, &bound, &hold_fd, &failed);
    if (e == E_OK) {
        s->doors[face] = (struct scheduler_door){s, face};
        s->listeners[face] = listener_open(s->loop, &bound, accept_one, &s->doors[face], &failed);
        close(hold_fd);
        e = s->listeners[face] ? E_OK : E_IO;
    }
    if (e != E_OK) {
        snprintf(error->text, sizeof error->text, "%s", failed.text);
        return e;
    }
    addr_format(&bound, s->addresses[face]);
    s->is_on_loopback &= !k_faces[face].is_api || addr_is_loopback(&bound);
    return E_OK;
}

/* Of the descriptors an eighth is for what it opens itself; API and entry point have half of the
 * others each, so that viewers in any number do not keep nodes out. */
static enum err open_budgets(struct scheduler *s)
{
    s->api_budget = conn_budget_create(0, 0);
    s->entry_budget = conn_budget_create(0, 0);
    if (!s->api_budget || !s->entry_budget)
        return E_NOMEM;
    set_budgets(s);
    http_server_charge(s->api, s->api_budget);
    http_server_charge(s->entry, s->entry_budget);
    return E_OK;
}

static enum err open_faces(struct scheduler *s, struct conf_error *error)
{
    struct http_limits limits = k_http_limits_default;
    enum err e = E_OK;

    limits.max_body_bytes = s->conf->max_body_bytes;
    s->api = http_server_create(s->loop, &limits, "api", k_scheduler_api, s);
    s->entry = http_server_create(s->loop, &k_http_limits_default, "entry", k_scheduler_entry, s);
    if (s->api && s->entry)
        e = open_budgets(s);
    if (!s->api || !s->entry || e != E_OK) {
        snprintf(error->text, sizeof error->text, "out of memory");
        return E_NOMEM;
    }
    http_server_set_tls(s->api, tls_setup_server(s->tls, TLS_FOR_HTTP));
    http_server_set_tls(s->entry, tls_setup_server(s->tls, TLS_FOR_HTTP));
    s->is_on_loopback = true;
    for (unsigned i = 0; i < N_FACES && e == E_OK; i++)
        e = open_face(s, (enum scheduler_face)i, error);
    return e;
}

static void count_refused(void *arg)
{
    (void)arg;
    stats_count(STAT_REQUEST_DENIED);
}

/* What people ask; scheduler_admits() looks at what nodes ask. */
static enum err open_access(struct scheduler *s, struct conf_error *error)
{
    struct api_access_conf conf = {.loop = s->loop,
                                   .area = "api",
                                   .is_on_loopback = s->is_on_loopback,
                                   .bears_node_token = scheduler_knows_token,
                                   .on_refused = count_refused,
                                   .arg = s};

    s->access = api_access_create(&conf);
    if (!s->access) {
        snprintf(error->text, sizeof error->text, "out of memory");
        return E_NOMEM;
    }
    http_server_set_guard(s->api, api_access_guard(s->access));
    return read_people_tokens(s, error);
}

/* --- life --- */

static void on_events_lost(void *arg, const char *id, uint64_t instance)
{
    struct scheduler *s = arg;
    struct registry_node *node =
        instance ? registry_instance(&s->registry, id, instance) : registry_node(&s->registry, id);

    if (node &&
        !s->is_stopping) /* a node that dies closes it at once, long before its lease ends */
        scheduler_suspect(s, node);
}

static void init(struct scheduler *s, struct loop *loop, const struct scheduler_conf *conf)
{
    struct registry_conf registry = {.lease_us = (int64_t)conf->lease_ms * 1000,
                                     .interval_us = (int64_t)conf->heartbeat_ms * 1000};
    struct registry_watch watch = k_news_of_registry;

    *s = (struct scheduler){.loop = loop, .conf = conf};
    watch.arg = s;
    list_init(&s->orphans);
    registry_init(&s->registry, &registry, &watch);
    router_init(&s->router, &s->registry);
    interests_init(&s->interests, INTERESTS_MAX, INTEREST_US);
    probes_init(&s->probes, s);
    publish_jobs_init(&s->jobs, s);
    traces_init(&s->traces, s);
    told_init(&s->told, s);
    at_node_init(&s->at_node);
    scaling_init(&s->scaling, s);
    events_begin(&s->events, loop, on_events_lost, s);
    timer_init(&s->sweep, loop, on_sweep);
    timer_init(&s->work, loop, on_work);
    timer_init(&s->pulse, loop, on_pulse);
    timer_start_ms(&s->sweep, SWEEP_MS);
    timer_start_ms(&s->pulse, PULSE_MS);
}

enum err scheduler_open(struct scheduler *s, struct loop *loop, const struct scheduler_conf *conf,
                        struct conf_error *error)
{
    enum err e;

    init(s, loop, conf);
    e = scheduler_apply_conf(s, error);
    if (e == E_OK && (e = feed_begin(&s->feed, s)) != E_OK)
        snprintf(error->text, sizeof error->text, "%s", err_text(e));
    if (e == E_OK)
        e = open_tls(s, error);
    if (e == E_OK)
        e = open_store(s, error);
    if (e == E_OK)
        e = open_faces(s, error);
    if (e == E_OK)
        e = open_access(s, error);
    if (e != E_OK)
        scheduler_close(s);
    else if (!*s->tokens.token[0] && !s->is_on_loopback)
        log_warn("api",
                 "msg=\"no token_file and http.listen is not on loopback: "
                 "nodes will be refused\" http=%s",
                 s->addresses[FACE_API]);
    return e;
}

void scheduler_close(struct scheduler *s)
{
    s->is_stopping = true;
    for (unsigned i = 0; i < N_FACES; i++)
        listener_close(&s->listeners[i]);
    events_end(&s->events);
    feed_end(&s->feed);
    http_server_destroy(&s->api);
    http_server_destroy(&s->entry);
    conn_budget_destroy(&s->api_budget);
    conn_budget_destroy(&s->entry_budget);
    api_access_destroy(&s->access);
    traces_fini(&s->traces);
    at_node_fini(&s->at_node);
    probes_fini(&s->probes);
    store_destroy(&s->store);
    publish_jobs_fini(&s->jobs);
    told_fini(&s->told);
    timer_stop(&s->sweep);
    timer_stop(&s->work);
    timer_stop(&s->pulse);
    scheduler_forget_orphans(s);
    interests_fini(&s->interests);
    router_fini(&s->router);
    registry_fini(&s->registry);
    tls_setup_destroy(&s->tls);
    explicit_bzero(&s->tokens, sizeof s->tokens);
}
