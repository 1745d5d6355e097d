/* Configuration of headwater-scheduler: the struct and its one table. */
#ifndef HW_SCHEDULER_CONFIG_H
#define HW_SCHEDULER_CONFIG_H

#include "common/base/conf.h"

enum store_type { STORE_MEMORY, STORE_REDIS };

struct scheduler_conf {
    char *http_listen, *entry_listen;
    char *https_listen, *entry_https_listen; /* off without certificates */
    struct conf_list tls_certificates;
    char *tls_ca_file;
    bool tls_verify;
    uint64_t tls_handshake_ms;
    int store_type; /* enum store_type */
    char *redis_url, *redis_password_file, *token_file, *admin_tokens_file;
    struct conf_list redis_sentinels;
    char *redis_master, *sentinel_user, *sentinel_password_file;
    int log_level; /* enum log_level */
    char *log_file;
    uint64_t lease_ms, heartbeat_ms, ask_owner_ms;
    uint64_t max_children, load_factor_percent, load_slack;
    uint64_t autoscale_edge_min, autoscale_edge_max, autoscale_origin_min, autoscale_origin_max;
    uint64_t autoscale_target, autoscale_hysteresis; /* percent */
    uint64_t autoscale_start_s, autoscale_delay_s;
    uint64_t max_nodes, max_streams, max_full_reports, max_body_bytes, max_page;
    uint64_t connections_per_ip, entry_connections_per_ip;
};

#define SCHEDULER_TOKEN_SIZE 256
#define SCHEDULER_N_TOKENS 2
struct scheduler_tokens {                                 /* "" = none */
    char token[SCHEDULER_N_TOKENS][SCHEDULER_TOKEN_SIZE]; /* the first is sent, each is accepted */
};

extern const struct conf_schema k_scheduler_conf;

/* Where TLS is accepted: "" without certificates. */
const char *scheduler_conf_https(const struct scheduler_conf *conf);
const char *scheduler_conf_entry_https(const struct scheduler_conf *conf);

/* Rules between keys that one row cannot hold. E_INVAL with the text in *error. */
enum err scheduler_conf_check(const struct scheduler_conf *conf, struct conf_error *error);

/* Reads a secret: the first line of the file, without white space around it, into out[size]. path
 * "" gives "". E_IO or E_INVAL with the text in *error; the secret is never part of it. */
enum err scheduler_read_secret(const char *key, const char *path, char *out, size_t size,
                               struct conf_error *error);

/* Reads the node tokens: the first line is the one in use, a second one is accepted beside it while
 * nodes change from one to the other. As scheduler_read_secret(); E_INVAL also for a third line. */
enum err scheduler_read_tokens(const char *key, const char *path, struct scheduler_tokens *out,
                               struct conf_error *error);

#endif
