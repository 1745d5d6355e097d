/* The node: puts loops, listeners, registry, agent and admin API together, and takes them apart
 * again. */
#include "node/node.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/control/admin.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull.h"
#include "node/session/session.h"

#define DRAIN_LOOK_MS 50
#define GOODBYE_MS 500
#define GOODBYE_LOOK_MS 5
#define TOKEN_MAX_BYTES 512
#define SCRATCH_MAX_BYTES (1u << 20)

void node_stream_conf(const struct node_conf *conf, struct stream_conf *out)
{
    *out = (struct stream_conf){
        .gop = {.max_gops = (unsigned)conf->gop_cache_count,
                .max_bytes = conf->gop_cache_max_bytes,
                .max_us = (int64_t)conf->gop_cache_max_ms * 1000},
        .latency = (enum latency_policy)conf->latency,
        .takeover = conf->publish_duplicate == NODE_DUPLICATE_TAKEOVER,
        .play_wait_ms = (int64_t)conf->play_wait_ms,
        .tracks_wait_ms = (int64_t)conf->tracks_wait_ms,
        .publish_stall_ms = (int64_t)conf->publish_stall_ms,
        .publisher_grace_ms = (int64_t)conf->publisher_grace_ms,
        .max_lag_ms = (int64_t)conf->max_lag_ms,
        .stall_timeout_ms = (int64_t)conf->stall_timeout_ms,
        .pull_idle_ms = (int64_t)conf->pull_idle_ms,
        .max_pinned_bytes = conf->feed_max_pinned_bytes,
        .max_parked = (unsigned)conf->limits_parked_viewers,
    };
}

/* --- making --- */

static unsigned count_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

static enum err read_token(struct node *node, struct conf_error *error)
{
    const char *path = node->conf.cluster_token_file;
    char text[TOKEN_MAX_BYTES + 2] = "";
    FILE *f;

    if (path[0]) {
        f = fopen(path, "re");
        if (!f || !fgets(text, sizeof text, f)) {
            snprintf(error->text, sizeof error->text, "cluster.token_file: cannot read \"%s\": %s",
                     path, f ? "the file is empty" : strerror(errno));
            if (f)
                fclose(f);
            return E_INVAL;
        }
        fclose(f);
        text[strcspn(text, "\r\n")] = '\0';
        if (!text[0] || strlen(text) > TOKEN_MAX_BYTES) {
            snprintf(error->text, sizeof error->text,
                     "cluster.token_file: the first line of \"%s\" must hold 1 to %d bytes", path,
                     TOKEN_MAX_BYTES);
            return E_INVAL;
        }
    }
    node->token = strdup(text);
    return node->token ? E_OK : E_NOMEM;
}

static void make_id(struct node *node)
{
    char host[40] = "node";

    node->instance = random_u64() >> 1 | 1;
    if (node->conf.cluster_node_id[0]) {
        snprintf(node->id, sizeof node->id, "%s", node->conf.cluster_node_id);
        return;
    }
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *c))
            *c = '-';
    snprintf(node->id, sizeof node->id, "%s-%06x", host, (unsigned)(random_u64() & 0xffffff));
}

static enum err make_loops(struct node *node)
{
    struct stream_hooks hooks = {
        .need_source = pull_need_source, .changed = node_on_stream_changed, .arg = node};
    struct http_limits limits = k_http_limits_default;

    limits.max_head_bytes = node->conf.limits_http_head_bytes;
    limits.head_timeout_ms = (int64_t)node->conf.limits_http_head_ms;
    limits.idle_timeout_ms = (int64_t)node->conf.limits_http_idle_ms;
    node->registry = registry_create(&node->stream_conf, &hooks);
    node->control = loop_create("control", node->n_loops);
    node->loops = calloc(node->n_loops, sizeof node->loops[0]);
    if (!node->registry || !node->control || !node->loops)
        return E_NOMEM;
    for (unsigned i = 0; i < node->n_loops; i++) {
        struct node_loop *nl = &node->loops[i];
        struct loop *loop = loop_create("media", i);

        if (!loop)
            return E_NOMEM;
        if (media_loop_init(&nl->media, loop, node->registry) != E_OK) {
            loop_destroy(&loop);
            return E_NOMEM;
        }
        nl->media.owner = nl;
        nl->node = node;
        list_init(&nl->pulls);
        buf_writer_init(&nl->out, SCRATCH_MAX_BYTES);
        nl->http = http_server_create(loop, &limits, "http", k_media_routes, nl);
        if (!nl->http)
            return E_NOMEM;
        http_server_charge(nl->http, node->budget);
    }
    return E_OK;
}

static enum err open_protocol(struct node *node, const struct protocol *protocol,
                              struct listen_error *error)
{
    const char *text = protocol->listen_text(&node->conf);
    int hold_fd = -1;
    enum err e;

    if (!text[0])
        return E_OK;
    e = listen_reserve(protocol->listen_key, text, protocol->bound(node), &hold_fd, error);
    for (unsigned i = 0; i < node->n_loops && e == E_OK; i++) {
        struct node_loop *nl = &node->loops[i];

        *protocol->listener(nl) =
            listener_open(nl->media.loop, protocol->bound(node), protocol->accept, nl, error);
        if (!*protocol->listener(nl))
            e = E_IO;
    }
    if (hold_fd >= 0)
        close(hold_fd);
    return e;
}

static enum err open_listeners(struct node *node, struct conf_error *error)
{
    struct listen_error why = {""};
    int hold_fd = -1;
    enum err e = E_OK;

    for (unsigned i = 0; i < k_n_protocols && e == E_OK; i++)
        e = open_protocol(node, &k_protocols[i], &why);
    if (e == E_OK && node->conf.admin_listen[0]) {
        e = listen_reserve("admin.listen", node->conf.admin_listen, &node->admin_addr, &hold_fd,
                           &why);
        if (e == E_OK && !(node->admin = admin_create(node, &why)))
            e = E_IO;
        if (hold_fd >= 0)
            close(hold_fd);
    }
    if (e != E_OK)
        snprintf(error->text, sizeof error->text, "%s", why.text);
    return e;
}

static enum err make_agent(struct node *node, struct conf_error *error)
{
    const char *why = "";

    if (!node->conf.cluster_schedulers.n_items)
        return E_OK;
    node->agent = agent_create(node, &why);
    if (!node->agent)
        snprintf(error->text, sizeof error->text, "cluster: %s", why);
    return node->agent ? E_OK : E_INVAL;
}

/* Two listeners with a spare each, three of the loop itself, sockets of connections in six sets. */
#define FILES_PER_LOOP 16

static uint64_t max_connections(const struct node *node)
{
    uint64_t by_files = node->max_connections > 1 ? (uint64_t)node->max_connections : 1;

    return node->conf.limits_connections && node->conf.limits_connections < by_files
               ? node->conf.limits_connections
               : by_files;
}

enum err node_init(struct node *node, struct node_conf *conf, struct conf_error *error)
{
    long n_files = net_raise_nofile();
    enum err e;

    memset(node, 0, sizeof *node);
    node->conf = *conf;
    memset(conf, 0, sizeof *conf);
    snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
    node->n_loops = node->conf.loops ? (unsigned)node->conf.loops : count_cores();
    node->max_connections = n_files - (long)(FILES_PER_LOOP * (node->n_loops + 1));
    node->budget = conn_budget_create(max_connections(node), node->conf.limits_connections_per_ip);
    node_stream_conf(&node->conf, &node->stream_conf);
    make_id(node);
    node_metrics_register();
    pthread_barrier_init(&node->reload_barrier, NULL, node->n_loops + 1);
    e = node->budget ? read_token(node, error) : E_NOMEM;
    if (e == E_OK)
        e = make_loops(node);
    if (e == E_OK)
        e = open_listeners(node, error);
    if (e == E_OK)
        e = make_agent(node, error);
    if (e != E_OK)
        node_fini(node);
    return e;
}

/* --- running --- */

void node_on_stream_changed(void *arg, struct stream *stream)
{
    struct node *node = arg;

    pull_stream_changed(stream);
    if (node->agent)
        agent_poke(node->agent);
}

static const char *bound_text(const struct addr *addr, char text[ADDR_TEXT_SIZE])
{
    return addr->size_bytes ? addr_format(addr, text) : "off";
}

static void say_ready(const struct node *node)
{
    char rtmp[ADDR_TEXT_SIZE], http[ADDR_TEXT_SIZE], admin[ADDR_TEXT_SIZE];

    if (node->conf.publish_open || node->conf.play_open)
        log_warn("node", "msg=\"open to everybody\" publish=%s play=%s keys=publish.open,play.open",
                 node->conf.publish_open ? "open" : "closed",
                 node->conf.play_open ? "open" : "closed");
    log_info("node", "msg=ready node=%s role=%s rtmp=%s http=%s admin=%s loops=%u version=%s",
             node->id, k_cluster_roles[node->conf.cluster_role], bound_text(&node->rtmp_addr, rtmp),
             bound_text(&node->http_addr, http), bound_text(&node->admin_addr, admin),
             node->n_loops, HW_VERSION);
}

void node_run(struct node *node)
{
    for (unsigned i = 0; i < node->n_loops; i++) {
        if (loop_start_thread(node->loops[i].media.loop) != E_OK) {
            log_error("node", "msg=\"cannot start a thread\" loop=%u", i);
            abort(); /* before anything was served */
        }
    }
    if (node->agent)
        agent_start(node->agent);
    say_ready(node);
    loop_run(node->control);
    for (unsigned i = 0; i < node->n_loops; i++)
        loop_stop(node->loops[i].media.loop);
    for (unsigned i = 0; i < node->n_loops; i++)
        loop_join(node->loops[i].media.loop);
}

/* --- draining and stopping --- */

struct drain_look {
    struct node *node;
    unsigned n_sessions;
};

static void close_listeners(struct media_loop *ml, void *arg)
{
    struct node_loop *nl = ml->owner;

    (void)arg;
    for (unsigned i = 0; i < k_n_protocols; i++)
        listener_close(k_protocols[i].listener(nl));
}

static void nothing(void *arg)
{
    (void)arg;
}

static void close_loop(struct media_loop *ml, void *arg)
{
    struct node_loop *nl = ml->owner;
    struct list *node, *tmp;

    (void)arg;
    nl->closed = true;
    sessions_close_all(nl);
    pull_stop_all(nl);
    http_server_destroy(&nl->http);
    list_for_each_safe(node, tmp, &ml->streams)
        stream_kick(stream_at_home(node));
}

static void let_pass(struct media_loop *ml, void *arg)
{
    (void)ml;
    (void)arg;
}

/* The scheduler is told of the last streams that left, but not waited for without end. */
static void on_goodbye_timer(struct timer *timer)
{
    struct node *node = list_entry(timer, struct node, drain_timer);

    if (node->agent && agent_is_busy(node->agent) &&
        loop_now_us(node->control) < node->drain_until_us)
        timer_start_ms(&node->drain_timer, GOODBYE_LOOK_MS);
    else
        loop_stop(node->control);
}

static void on_passed_twice(void *arg)
{
    struct node *node = arg;

    timer_init(&node->drain_timer, node->control, on_goodbye_timer);
    node->drain_until_us = loop_now_us(node->control) + GOODBYE_MS * 1000;
    timer_start_ms(&node->drain_timer, 0);
}

/* Taps and home loops exchange a last pair of messages: two rounds let them pass. */
static void on_passed_once(void *arg)
{
    if (gather(arg, let_pass, on_passed_twice, arg) != E_OK)
        on_passed_twice(arg);
}

static void on_closed(void *arg)
{
    if (gather(arg, let_pass, on_passed_once, arg) != E_OK)
        on_passed_twice(arg);
}

static void stop(struct node *node)
{
    if (node->stopping)
        return;
    node->stopping = true;
    timer_stop(&node->drain_timer);
    log_info("node", "msg=stopping node=%s", node->id);
    if (gather(node, close_loop, on_closed, node) != E_OK)
        on_passed_twice(node);
}

static void count_sessions(struct media_loop *ml, void *arg)
{
    struct drain_look *look = arg;

    look->n_sessions += ml->n_sessions;
}

static void on_counted(void *arg)
{
    struct drain_look look = *(struct drain_look *)arg;
    struct node *node = look.node;

    free(arg);
    if (!look.n_sessions || loop_now_us(node->control) >= node->drain_until_us)
        stop(node);
    else
        timer_start_ms(&node->drain_timer, DRAIN_LOOK_MS);
}

static void on_drain_timer(struct timer *timer)
{
    struct node *node = list_entry(timer, struct node, drain_timer);
    struct drain_look *look = calloc(1, sizeof *look);

    if (look)
        look->node = node;
    if (look && gather(node, count_sessions, on_counted, look) == E_OK)
        return;
    free(look);
    stop(node);
}

void node_drain(struct node *node)
{
    if (atomic_exchange(&node->draining, true))
        return;
    log_info("node", "msg=draining node=%s drain_timeout_s=%llu", node->id,
             (unsigned long long)node->conf.drain_timeout_s);
    node->drain_until_us = clock_mono_us() + (int64_t)node->conf.drain_timeout_s * 1000000;
    if (node->agent)
        agent_drain(node->agent);
    (void)gather(node, close_listeners, nothing, NULL);
    timer_init(&node->drain_timer, node->control, on_drain_timer);
    timer_start_ms(&node->drain_timer, DRAIN_LOOK_MS);
}

void node_fini(struct node *node)
{
    timer_stop(&node->drain_timer);
    agent_destroy(&node->agent);
    admin_destroy(&node->admin);
    for (unsigned i = 0; node->loops && i < node->n_loops; i++) {
        struct node_loop *nl = &node->loops[i];

        if (!nl->media.loop)
            continue;
        close_listeners(&nl->media, NULL);
        http_server_destroy(&nl->http);
        media_loop_fini(&nl->media);
        buf_writer_fini(&nl->out);
        loop_destroy(&nl->media.loop);
    }
    if (node->control)
        loop_destroy(&node->control);
    free(node->loops);
    registry_destroy(&node->registry);
    conn_budget_destroy(&node->budget);
    free(node->token);
    pthread_barrier_destroy(&node->reload_barrier);
    conf_free(&k_node_schema, &node->conf);
    memset(node, 0, sizeof *node);
}

/* --- reload --- */

/* All media loops stand still for the few microseconds that it takes to swap values: nobody needs a
 * lock to read the configuration. */
static void stand_still(struct loop_msg *msg)
{
    struct node_loop *nl = list_entry(msg, struct node_loop, reload_msg);

    pthread_barrier_wait(&nl->node->reload_barrier);
    pthread_barrier_wait(&nl->node->reload_barrier);
}

void node_reload(struct node *node, struct node_conf *fresh)
{
    char ignored[512];
    size_t n_ignored = 0;

    if (node->stopping)
        return;
    for (unsigned i = 0; i < node->n_loops; i++) {
        node->loops[i].reload_msg = (struct loop_msg){.run = stand_still};
        loop_post(node->loops[i].media.loop, &node->loops[i].reload_msg);
    }
    pthread_barrier_wait(&node->reload_barrier);
    conf_apply_reload(&k_node_schema, &node->conf, fresh, &n_ignored, ignored, sizeof ignored);
    node_stream_conf(&node->conf, &node->stream_conf);
    conn_budget_set(node->budget, max_connections(node), node->conf.limits_connections_per_ip);
    pthread_barrier_wait(&node->reload_barrier);
    log_set_level((enum log_level)node->conf.log_level);
    log_info("node", "msg=\"configuration reloaded\" need_restart=%s", n_ignored ? ignored : "-");
}
