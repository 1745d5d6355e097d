/* The node: puts loops, listeners, registry, agent and admin API together, and takes them apart
 * again. */
#include "node/node_private.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/net/notify.h"
#include "node/access/control.h"
#include "node/cluster/agent.h"
#include "node/cluster/clocks.h"
#include "node/compat/compat.h"
#include "node/control/access_log.h"
#include "node/control/admin.h"
#include "node/control/bans.h"
#include "node/control/events_hls.h"
#include "node/control/events_stream.h"
#include "node/control/node_metrics.h"
#include "node/control/settings_sync.h"
#include "node/handover.h"
#include "node/hooks/hooks.h"
#include "node/hooks/source.h"
#include "node/relay/guard.h"
#include "node/record/record.h"
#include "node/record/snapshot.h"
#include "node/relay/pull.h"
#include "node/relay/relays.h"
#include "node/relay/target.h"
#include "node/session/hls_sessions.h"
#include "node/session/session.h"
#include "node/token.h"

#define SCRATCH_MAX_BYTES (1u << 20)

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
    targets_stream_changed(node, stream);
    handover_stream_changed(node, stream);
    hls_on_stream_changed(node->hls, stream);
    record_on_stream_changed(node->record, stream);
    if (node->agent)
        agent_poke(node->agent);
}

/* A gate may know where it is. False: a pull is under way. */
static bool on_stream_not_found(void *arg, struct stream *stream)
{
    if (!events_on_stream_not_found(arg, stream))
        return false;
    source_ask(arg, stream);
    return true;
}

static enum http_cors allows_origin(const void *conf, const char *origin)
{
    return node_conf_cors(conf, origin);
}

static enum err make_loops(struct node *node)
{
    struct stream_hooks hooks = {.need_source = pull_need_source,
                                 .changed = on_stream_changed,
                                 .idle = events_on_stream_idle,
                                 .stalled = events_on_stream_stalled,
                                 .not_found = on_stream_not_found,
                                 .arg = node,
                                 .node_id = node->id};
    struct http_limits limits = k_http_limits_default;

    limits.max_head_bytes = node->conf.limits_http_head_bytes;
    limits.head_timeout_ms = (int64_t)node->conf.limits_http_head_ms;
    limits.idle_timeout_ms = (int64_t)node->conf.limits_http_idle_ms;
    node->http_guard = (struct http_guard){.admit = http_session_admit, .arg = node};
    node->clocks = clocks_create(node);
    node->registry = registry_create(&node->stream_conf, &hooks);
    node->control = loop_create("control", node->n_loops);
    node->loops = calloc(node->n_loops, sizeof node->loops[0]);
    if (!node->clocks || !node->registry || !node->control || !node->loops)
        return E_NOMEM;
    node->snapshots = snapshots_create(node);
    if (!node->snapshots)
        return E_NOMEM;
    node->settings = settings_create(node->control, node->id);
    node->bans = node->settings ? bans_create(node) : NULL;
    if (!node->bans)
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
        list_init(&nl->keepers);
        list_init(&nl->targets);
        buf_writer_init(&nl->out, SCRATCH_MAX_BYTES);
        nl->http = http_server_create(loop, &limits, "http", k_media_routes, nl);
        if (!nl->http)
            return E_NOMEM;
        http_server_charge(nl->http, node->budget);
        http_server_set_guard(nl->http, &node->http_guard);
        http_server_set_trust(nl->http, &node->rules.trust);
        http_server_set_cors(nl->http, allows_origin, &node->conf);
    }
    return E_OK;
}

static enum err make_hls(struct node *node)
{
    const struct node_conf *conf = &node->conf;

    node->hls_conf =
        (struct hls_conf){.on_segment = events_on_hls_segment,
                          .arg = node,
                          .mode = (enum hls_mode)conf->hls_mode,
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
    if (!node->hls || !node->hls_sessions)
        return E_NOMEM;
    hls_own_settings(node->hls, node->settings);
    return E_OK;
}

static enum err make_tls(struct node *node, struct conf_error *error)
{
    struct tls_setup_conf conf = node_tls_conf(&node->conf);
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
        if (*listener)
            listener_set_proxies(*listener, &node->rules.trust);
        else
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
/* Of the admin port, which answers some calls to everybody: however many come, clients of the media
 * ports have descriptors, and other operators have places. */
#define ADMIN_MAX_CONNECTIONS 1024
#define ADMIN_FILES_PART 8 /* one of so many descriptors at most */
#define ADMIN_MAX_PER_IP 256

static enum err read_tokens(struct node *node, struct conf_error *error)
{
    struct node_tokens tokens = {NULL, NULL};
    enum err e = node_tokens_read(node->conf.cluster_token_file, &tokens, error);

    node->token = tokens.sent;
    node->token_also = tokens.also;
    return e;
}

static enum err open_access_log(struct node *node)
{
    const struct node_conf *conf = &node->conf;

    if (!conf->access_log_file[0])
        return E_OK;
    node->access_log =
        access_log_create(conf->access_log_file, (enum access_log_format)conf->access_log_format);
    return node->access_log ? E_OK : E_NOMEM;
}

enum err node_init(struct node *node, struct node_conf *conf, bool replace,
                   struct conf_error *error)
{
    long n_files = net_raise_nofile(), n_admin = n_files / ADMIN_FILES_PART;
    enum err e;

    memset(node, 0, sizeof *node);
    node->conf = *conf;
    memset(conf, 0, sizeof *conf);
    events_init(&node->events);
    admission_init(node);
    snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
    node->n_loops = node->conf.loops ? (unsigned)node->conf.loops : count_cores();
    n_admin = n_admin < ADMIN_MAX_CONNECTIONS ? n_admin : ADMIN_MAX_CONNECTIONS;
    node->max_connections = n_files - n_admin - (long)(FILES_PER_LOOP * (node->n_loops + 1));
    node->admin_budget = conn_budget_create((uint64_t)n_admin, ADMIN_MAX_PER_IP);
    node->budget =
        conn_budget_create(node_max_connections(node), node->conf.limits_connections_per_ip);
    node_make_stream_conf(&node->conf, &node->stream_conf);
    make_id(node);
    node_metrics_register();
    pthread_barrier_init(&node->reload_barrier, NULL, node->n_loops + 1);
    e = node->budget && node->admin_budget ? read_tokens(node, error) : E_NOMEM;
    if (e == E_OK)
        e = open_access_log(node);
    if (e == E_OK)
        e = node_rules_read(&node->conf, &node->rules, error);
    if (e == E_OK)
        e = make_loops(node);
    if (e == E_OK && !(node->access = access_create(node, error)))
        e = E_INVAL;
    if (e == E_OK)
        access_own_settings(node->access, node->settings);
    if (e == E_OK && *node->conf.state_file)
        e = settings_keep(node->settings, node->conf.state_file, error);
    if (e == E_OK)
        e = make_hls(node);
    if (e == E_OK && !(node->relays = relays_create(node)))
        e = E_NOMEM;
    if (e == E_OK)
        e = record_create(node, &node->record, error);
    if (e == E_OK)
        e = make_tls(node, error);
    if (e == E_OK && compat_is_wanted(&node->conf) && !(node->compat = compat_create(node)))
        e = E_NOMEM;
    if (e == E_OK)
        e = hooks_init(node, error);
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

    access_say_open(node->access);
    log_info("node",
             "msg=ready node=%s role=%s rtmp=%s http=%s rtmps=%s https=%s admin=%s loops=%u "
             "version=%s",
             node->id, k_cluster_roles[node->conf.cluster_role], texts[PROTOCOL_RTMP],
             texts[PROTOCOL_HTTP], texts[PROTOCOL_RTMPS], texts[PROTOCOL_HTTPS],
             bound_text(&node->admin_addr, admin), node->n_loops, LOG_STR(version_text()));
    notify_or_warn("node", "READY=1");
}

static void tell_start(struct node *node)
{
    struct event_field fields[] = {{"version", HW_VERSION, 0},
                                   {"role", k_cluster_roles[node->conf.cluster_role], 0}};

    events_tell(node, EVENT_SERVER_START, fields, sizeof fields / sizeof fields[0]);
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
    relays_start(node->relays);
    admission_start(node);
    say_ready(node);
    tell_start(node);
    loop_run(node->control);
    for (unsigned i = 0; i < node->n_loops; i++)
        loop_stop(node->loops[i].media.loop);
    for (unsigned i = 0; i < node->n_loops; i++)
        loop_join(node->loops[i].media.loop);
}

void node_fini(struct node *node)
{
    timer_stop(&node->drain.timer);
    snapshots_stop(node->snapshots);
    admission_stop(node);
    agent_destroy(&node->agent);
    settings_destroy(&node->settings); /* answers who still waits at the admin port */
    admin_destroy(&node->admin);
    hooks_destroy(&node->hooks);
    compat_destroy(&node->compat);
    handover_fini(node);
    access_destroy(&node->access);
    hls_sessions_destroy(&node->hls_sessions);
    hls_destroy(&node->hls);
    hls_disk_destroy(&node->hls_conf.disk);
    record_destroy(&node->record);
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
    relays_destroy(&node->relays);
    bans_destroy(&node->bans);
    clocks_destroy(&node->clocks);
    tls_setup_destroy(&node->tls);
    if (node->control)
        loop_destroy(&node->control);
    snapshots_destroy(&node->snapshots);
    free(node->loops);
    registry_destroy(&node->registry);
    access_log_destroy(&node->access_log);
    admission_fini(node);
    conn_budget_destroy(&node->budget);
    conn_budget_destroy(&node->admin_budget);
    node_rules_fini(&node->rules);
    node_tokens_free(&(struct node_tokens){node->token, node->token_also});
    pthread_barrier_destroy(&node->reload_barrier);
    conf_free(&k_node_schema, &node->conf);
    memset(node, 0, sizeof *node);
}
