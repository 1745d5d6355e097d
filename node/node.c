/* The node: puts loops, listeners, registry, agent and admin API together, and takes them apart
 * again. */
#include "node/node.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/tls_setup.h"
#include "node/cluster/agent.h"
#include "node/cluster/clocks.h"
#include "node/control/admin.h"
#include "node/control/node_metrics.h"
#include "node/handover.h"
#include "node/relay/pull.h"
#include "node/session/hls_sessions.h"
#include "node/session/session.h"
#include "node/token.h"

#define SCRATCH_MAX_BYTES (1u << 20)

/* The stream core's share of the configuration. */
static void make_stream_conf(const struct node_conf *conf, struct stream_conf *out)
{
    *out = (struct stream_conf){
        .gop = {.max_gops = (unsigned)conf->gop_cache_count,
                .max_bytes = conf->gop_cache_max_bytes,
                .max_us = (int64_t)conf->gop_cache_max_ms * 1000},
        .latency = (enum latency_policy)conf->latency,
        .play_wait_ms = (int64_t)conf->play_wait_ms,
        .tracks_wait_ms = (int64_t)conf->tracks_wait_ms,
        .publish_stall_ms = (int64_t)conf->publish_stall_ms,
        .silent_audio = conf->silent_audio,
        .publisher_grace_ms = (int64_t)conf->publisher_grace_ms,
        .max_lag_ms = (int64_t)conf->max_lag_ms,
        .stall_timeout_ms = (int64_t)conf->stall_timeout_ms,
        .pull_idle_ms = (int64_t)conf->pull_idle_ms,
        .max_pinned_bytes = conf->feed_max_pinned_bytes,
        .plan = {.segment_us = (int64_t)conf->hls_segment_ms * 1000,
                 .part_us = (int64_t)conf->hls_part_ms * 1000},
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

static void on_stream_changed(void *arg, struct stream *stream)
{
    struct node *node = arg;

    pull_stream_changed(stream);
    handover_stream_changed(node, stream);
    hls_on_stream_changed(node->hls, stream);
    if (node->agent)
        agent_poke(node->agent);
}

static enum err make_loops(struct node *node)
{
    struct stream_hooks hooks = {.need_source = pull_need_source,
                                 .changed = on_stream_changed,
                                 .arg = node,
                                 .node_id = node->id};
    struct http_limits limits = k_http_limits_default;

    limits.max_head_bytes = node->conf.limits_http_head_bytes;
    limits.head_timeout_ms = (int64_t)node->conf.limits_http_head_ms;
    limits.idle_timeout_ms = (int64_t)node->conf.limits_http_idle_ms;
    node->clocks = clocks_create(node);
    node->registry = registry_create(&node->stream_conf, &hooks);
    node->control = loop_create("control", node->n_loops);
    node->loops = calloc(node->n_loops, sizeof node->loops[0]);
    if (!node->clocks || !node->registry || !node->control || !node->loops)
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
        list_init(&nl->pushes);
        list_init(&nl->deciding);
        buf_writer_init(&nl->out, SCRATCH_MAX_BYTES);
        nl->http = http_server_create(loop, &limits, "http", k_media_routes, nl);
        if (!nl->http)
            return E_NOMEM;
        http_server_charge(nl->http, node->budget);
    }
    return E_OK;
}

static enum err make_hls(struct node *node)
{
    const struct node_conf *conf = &node->conf;

    node->hls_conf =
        (struct hls_conf){.mode = (enum hls_mode)conf->hls_mode,
                          .container = (enum hls_container)conf->hls_container,
                          .window_us = (int64_t)conf->hls_window_s * 1000000,
                          .idle_us = (int64_t)conf->hls_idle_ms * 1000,
                          .renditions = (const char *const *)conf->hls_renditions.items,
                          .n_renditions = conf->hls_renditions.n_items,
                          .has_audio_variant = conf->hls_audio_variant,
                          .cleanup = (enum hls_cleanup)conf->hls_disk_cleanup,
                          .max_bytes = conf->hls_max_bytes};
    if (node->hls_conf.mode == HLS_OFF)
        return E_OK;
    if (conf->hls_disk_dir[0]) {
        node->hls_conf.disk =
            hls_disk_create(conf->hls_disk_dir, conf->hls_max_bytes, node->n_loops + 1);
        if (!node->hls_conf.disk)
            return E_NOMEM;
    }
    node->hls = hls_create(node->registry, node->n_loops, &node->hls_conf);
    node->hls_sessions = hls_sessions_create(node);
    return node->hls && node->hls_sessions ? E_OK : E_NOMEM;
}

static struct tls_setup_conf tls_conf(const struct node_conf *conf)
{
    return (struct tls_setup_conf){.certificates = &conf->tls_certificates,
                                   .ca_file = conf->tls_ca_file,
                                   .is_unverified = !conf->tls_verify,
                                   .handshake_timeout_ms = (int64_t)conf->limits_tls_handshake_ms};
}

static enum err make_tls(struct node *node, struct conf_error *error)
{
    struct tls_setup_conf conf = tls_conf(&node->conf);
    struct tls_error why;

    node->tls = tls_setup_create(node->control, &conf, &why);
    if (!node->tls) {
        snprintf(error->text, sizeof error->text, "tls: %s", why.text);
        return E_INVAL;
    }
    for (unsigned i = 0; i < node->n_loops; i++)
        http_server_set_tls(node->loops[i].http, tls_setup_server(node->tls, TLS_FOR_HTTP));
    return E_OK;
}

/* --- listeners --- */

/* Of the sockets that another process of this node gave, those that this loop accepts from: all of
 * them are in use by the kernel, so none may be left out. */
static struct listener *adopt_share(struct node_loop *nl, const struct protocol *protocol,
                                    const int *fds, unsigned n_fds, struct listen_error *error)
{
    int mine[HANDOVER_MAX_FDS];
    unsigned n = 0;

    for (unsigned i = nl->media.index; i < n_fds; i += nl->node->n_loops)
        mine[n++] = fds[i];
    return listener_adopt(nl->media.loop, mine, n, protocol->accept, nl, error);
}

static enum err open_protocol(struct node *node, enum protocol_id id, struct listen_error *error)
{
    const struct protocol *protocol = &k_protocols[id];
    const char *text = protocol->listen_text(&node->conf);
    struct addr *bound = &node->bound[id];
    int fds[HANDOVER_MAX_FDS], hold_fd = -1;
    unsigned n_fds = 0;
    enum err e = E_OK;

    if (!text[0])
        return E_OK;
    n_fds = handover_take_fds(node, protocol->name, text, bound, fds);
    if (!n_fds)
        e = listen_reserve(protocol->listen_key, text, bound, &hold_fd, error);
    for (unsigned i = 0; i < node->n_loops && e == E_OK; i++) {
        struct node_loop *nl = &node->loops[i];
        struct listener **listener = &nl->listeners[id];

        *listener = i < n_fds ? adopt_share(nl, protocol, fds, n_fds, error)
                              : listener_open(nl->media.loop, bound, protocol->accept, nl, error);
        if (!*listener)
            e = E_IO;
    }
    if (hold_fd >= 0)
        close(hold_fd);
    return e;
}

static enum err open_admin(struct node *node, struct listen_error *error)
{
    const char *text = node->conf.admin_listen;
    int fds[HANDOVER_MAX_FDS], hold_fd = -1;
    unsigned n_fds;
    enum err e = E_OK;

    if (!text[0])
        return E_OK;
    n_fds = handover_take_fds(node, "admin", text, &node->admin_addr, fds);
    if (!n_fds)
        e = listen_reserve("admin.listen", text, &node->admin_addr, &hold_fd, error);
    if (e == E_OK && !(node->admin = admin_create(node, fds, n_fds, error)))
        e = E_IO;
    if (hold_fd >= 0)
        close(hold_fd);
    return e;
}

static enum err open_listeners(struct node *node, struct conf_error *error)
{
    struct listen_error why = {""};
    enum err e = E_OK;

    for (unsigned i = 0; i < N_PROTOCOLS && e == E_OK; i++)
        e = open_protocol(node, (enum protocol_id)i, &why);
    if (e == E_OK)
        e = open_admin(node, &why);
    if (e != E_OK)
        snprintf(error->text, sizeof error->text, "%s", why.text);
    return e;
}

void node_close_listeners(struct node_loop *nl)
{
    for (unsigned i = 0; i < N_PROTOCOLS; i++)
        listener_close(&nl->listeners[i]);
    listener_close(&nl->relay_listener);
}

/* --- the whole --- */

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

/* Four listeners with a spare each, three of the loop itself, sockets of connections in six sets.
 */
#define FILES_PER_LOOP 20

static uint64_t max_connections(const struct node *node)
{
    uint64_t by_files = node->max_connections > 1 ? (uint64_t)node->max_connections : 1;

    return node->conf.limits_connections && node->conf.limits_connections < by_files
               ? node->conf.limits_connections
               : by_files;
}

static enum err read_tokens(struct node *node, struct conf_error *error)
{
    struct node_tokens tokens = {NULL, NULL};
    enum err e = node_tokens_read(node->conf.cluster_token_file, &tokens, error);

    node->token = tokens.sent;
    node->token_also = tokens.also;
    return e;
}

enum err node_init(struct node *node, struct node_conf *conf, bool replace,
                   struct conf_error *error)
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
    make_stream_conf(&node->conf, &node->stream_conf);
    make_id(node);
    node_metrics_register();
    pthread_barrier_init(&node->reload_barrier, NULL, node->n_loops + 1);
    e = node->budget ? read_tokens(node, error) : E_NOMEM;
    if (e == E_OK)
        e = make_loops(node);
    if (e == E_OK)
        e = make_hls(node);
    if (e == E_OK)
        e = make_tls(node, error);
    if (e == E_OK)
        e = handover_init(node, replace, error);
    if (e == E_OK)
        e = open_listeners(node, error);
    if (e == E_OK)
        e = make_agent(node, error);
    if (e != E_OK)
        node_fini(node);
    return e;
}

/* --- running --- */

static const char *bound_text(const struct addr *addr, char text[ADDR_TEXT_SIZE])
{
    return addr->size_bytes ? addr_format(addr, text) : "off";
}

static void say_ready(const struct node *node)
{
    char bound[N_PROTOCOLS][ADDR_TEXT_SIZE], admin[ADDR_TEXT_SIZE];
    const char *texts[N_PROTOCOLS];

    for (unsigned i = 0; i < N_PROTOCOLS; i++)
        texts[i] = bound_text(&node->bound[i], bound[i]);

    if (node->conf.publish_open || node->conf.play_open)
        log_warn("node", "msg=\"open to everybody\" publish=%s play=%s keys=publish.open,play.open",
                 node->conf.publish_open ? "open" : "closed",
                 node->conf.play_open ? "open" : "closed");
    log_info("node",
             "msg=ready node=%s role=%s rtmp=%s http=%s rtmps=%s https=%s admin=%s loops=%u "
             "version=%s",
             node->id, k_cluster_roles[node->conf.cluster_role], texts[PROTOCOL_RTMP],
             texts[PROTOCOL_HTTP], texts[PROTOCOL_RTMPS], texts[PROTOCOL_HTTPS],
             bound_text(&node->admin_addr, admin), node->n_loops, HW_VERSION);
}

void node_run(struct node *node)
{
    for (unsigned i = 0; i < node->n_loops; i++) {
        if (loop_start_thread(node->loops[i].media.loop) != E_OK) {
            log_error("node", "msg=\"cannot start a thread\" loop=%u", i);
            abort(); /* before anything was served */
        }
    }
    handover_start(node);
    if (node->agent)
        agent_start(node->agent);
    say_ready(node);
    loop_run(node->control);
    for (unsigned i = 0; i < node->n_loops; i++)
        loop_stop(node->loops[i].media.loop);
    for (unsigned i = 0; i < node->n_loops; i++)
        loop_join(node->loops[i].media.loop);
}

void node_fini(struct node *node)
{
    timer_stop(&node->drain.timer);
    agent_destroy(&node->agent);
    admin_destroy(&node->admin);
    handover_fini(node);
    hls_sessions_destroy(&node->hls_sessions);
    hls_destroy(&node->hls);
    hls_disk_destroy(&node->hls_conf.disk);
    for (unsigned i = 0; node->loops && i < node->n_loops; i++) {
        struct node_loop *nl = &node->loops[i];

        if (!nl->media.loop)
            continue;
        node_close_listeners(nl);
        http_server_destroy(&nl->http);
        media_loop_fini(&nl->media);
        buf_writer_fini(&nl->out);
        loop_destroy(&nl->media.loop);
    }
    clocks_destroy(&node->clocks);
    tls_setup_destroy(&node->tls);
    if (node->control)
        loop_destroy(&node->control);
    free(node->loops);
    registry_destroy(&node->registry);
    conn_budget_destroy(&node->budget);
    node_tokens_free(&(struct node_tokens){node->token, node->token_also});
    pthread_barrier_destroy(&node->reload_barrier);
    conf_free(&k_node_schema, &node->conf);
    memset(node, 0, sizeof *node);
}

/* --- changes while it runs --- */

static void stand_still(struct loop_msg *msg)
{
    struct node_loop *nl = list_entry(msg, struct node_loop, reload_msg);

    pthread_barrier_wait(&nl->node->reload_barrier);
    pthread_barrier_wait(&nl->node->reload_barrier);
}

void node_stand_still(struct node *node)
{
    for (unsigned i = 0; i < node->n_loops; i++) {
        node->loops[i].reload_msg = (struct loop_msg){.run = stand_still};
        loop_post(node->loops[i].media.loop, &node->loops[i].reload_msg);
    }
    pthread_barrier_wait(&node->reload_barrier);
}

void node_go_on(struct node *node)
{
    pthread_barrier_wait(&node->reload_barrier);
}

static void use_tokens(struct node *node, struct node_tokens *fresh)
{
    struct node_tokens old = {node->token, node->token_also};

    node->token = fresh->sent;
    node->token_also = fresh->also;
    *fresh = old;
}

void node_reload(struct node *node, struct node_conf *fresh)
{
    struct node_tokens tokens = {NULL, NULL};
    struct tls_setup_conf tls;
    struct conf_error error;
    char ignored[512];
    size_t n_ignored = 0;
    bool has_tokens;

    if (node->drain.is_stopping)
        return;
    has_tokens = node_tokens_read(node->conf.cluster_token_file, &tokens, &error) == E_OK;
    if (!has_tokens)
        log_error("node", "msg=\"the tokens stay as they were\" reason=%s", LOG_STR(error.text));
    node_stand_still(node);
    conf_apply_reload(&k_node_schema, &node->conf, fresh, &n_ignored, ignored, sizeof ignored);
    make_stream_conf(&node->conf, &node->stream_conf);
    conn_budget_set(node->budget, max_connections(node), node->conf.limits_connections_per_ip);
    if (has_tokens)
        use_tokens(node, &tokens);
    node_go_on(node);
    node_tokens_free(&tokens);
    if (node->agent && has_tokens)
        agent_set_token(node->agent, node->token);
    log_set_level((enum log_level)node->conf.log_level);
    tls = tls_conf(&node->conf);
    tls_setup_reload(node->tls, &tls);
    log_info("node", "msg=\"configuration reloaded\" need_restart=%s", n_ignored ? ignored : "-");
}
