/* Configuration of headwater-scheduler: the struct and its one table. */
#ifndef HW_SCHEDULER_CONFIG_H
#define HW_SCHEDULER_CONFIG_H

#include "common/base/conf.h"

enum store_type { STORE_MEMORY, STORE_REDIS };

struct scheduler_conf {
    char *http_listen, *entry_listen;
    int store_type; /* enum store_type */
    char *redis_url, *redis_password_file, *token_file;
    int log_level; /* enum log_level */
    char *log_file;
    uint64_t lease_ms, heartbeat_ms, ask_owner_ms;
    uint64_t max_children, load_factor_percent, load_slack;
    uint64_t max_nodes, max_streams, max_body_bytes, max_page;
};

extern const struct conf_schema k_scheduler_conf;

/* Rules between keys that one row cannot hold. E_INVAL with the text in *error. */
enum err scheduler_conf_check(const struct scheduler_conf *conf, struct conf_error *error);

/* Reads a secret: the first line of the file, without white space around it, into out[size]. path
 * "" gives "". E_IO or E_INVAL with the text in *error; the secret is never part of it. */
enum err scheduler_read_secret(const char *key, const char *path, char *out, size_t size,
                               struct conf_error *error);

#endif
