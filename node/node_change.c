/* What the configuration says to the parts of a node, and its changes while the node runs. */
#include "node/node_private.h"

#include "common/base/log.h"
#include "node/access/control.h"
#include "node/cluster/agent.h"
#include "node/control/admin.h"
#include "node/hooks/hooks.h"
#include "node/record/record.h"
#include "node/token.h"

/* The stream core's share of the configuration. */
void node_make_stream_conf(const struct node_conf *conf, struct stream_conf *out)
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

struct tls_setup_conf node_tls_conf(const struct node_conf *conf)
{
    return (struct tls_setup_conf){.certificates = &conf->tls_certificates,
                                   .ca_file = conf->tls_ca_file,
                                   .is_unverified = !conf->tls_verify,
                                   .handshake_timeout_ms = (int64_t)conf->limits_tls_handshake_ms};
}

uint64_t node_max_connections(const struct node *node)
{
    uint64_t by_files = node->max_connections > 1 ? (uint64_t)node->max_connections : 1;

    return node->conf.limits_connections && node->conf.limits_connections < by_files
               ? node->conf.limits_connections
               : by_files;
}

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

static void use_rules(struct node *node, struct node_rules *fresh)
{
    struct node_rules old = node->rules;

    node->rules = *fresh;
    *fresh = old;
}

static void use_tokens(struct node *node, struct node_tokens *fresh)
{
    struct node_tokens old = {node->token, node->token_also};

    node->token = fresh->sent;
    node->token_also = fresh->also;
    *fresh = old;
}

/* Into *fresh goes what was there. All media loops stand still. */
static void use_conf(struct node *node, const struct conf_schema *schema, struct node_conf *fresh,
                     size_t *n_ignored, char *ignored, size_t size)
{
    conf_apply_reload(schema, &node->conf, fresh, n_ignored, ignored, size);
    node_make_stream_conf(&node->conf, &node->stream_conf);
    conn_budget_set(node->budget, node_max_connections(node), node->conf.limits_connections_per_ip);
}

void node_tune(struct node *node, const struct conf_schema *part, struct node_conf *fresh)
{
    size_t n_ignored;

    node_stand_still(node);
    use_conf(node, part, fresh, &n_ignored, NULL, 0);
    node_go_on(node);
    log_set_level((enum log_level)node->conf.log_level);
}

void node_reload(struct node *node, struct node_conf *fresh)
{
    struct node_tokens tokens = {NULL, NULL};
    struct tls_setup_conf tls;
    struct node_rules rules = {.trust = {.nets = NULL}};
    struct conf_error error;
    char ignored[512];
    size_t n_ignored = 0;
    bool has_tokens;

    if (node->drain.is_stopping)
        return;
    has_tokens = node_tokens_read(node->conf.cluster_token_file, &tokens, &error) == E_OK;
    if (!has_tokens)
        log_error("node", "msg=\"the tokens stay as they were\" reason=%s", LOG_STR(error.text));
    if (node_rules_read(fresh, &rules, &error) != E_OK) { /* checked before: no memory */
        log_error("node", "msg=\"configuration not reloaded\" reason=%s", LOG_STR(error.text));
        node_tokens_free(&tokens);
        return;
    }
    node_stand_still(node);
    use_conf(node, &k_node_schema, fresh, &n_ignored, ignored, sizeof ignored);
    use_rules(node, &rules);
    if (has_tokens)
        use_tokens(node, &tokens);
    node_go_on(node);
    node_rules_fini(&rules);
    node_tokens_free(&tokens);
    access_reload(node->access);
    if (node->agent && has_tokens)
        agent_set_token(node->agent, node->token);
    log_set_level((enum log_level)node->conf.log_level);
    tls = node_tls_conf(&node->conf);
    tls_setup_reload(node->tls, &tls);
    hooks_reload(node->hooks);
    if (node->admin)
        admin_reload(node->admin);
    record_reload(node->record, &node->conf.record_rules);
    log_info("node", "msg=\"configuration reloaded\" need_restart=%s", n_ignored ? ignored : "-");
}
