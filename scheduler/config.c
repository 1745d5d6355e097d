/* The keys of headwater-scheduler. */
#include "scheduler/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const k_stores[] = {"memory", "redis", NULL};
static const char *const k_levels[] = {"debug", "info", "warn", "error", NULL};

#define C struct scheduler_conf

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_ADDR(C, http_listen, "http.listen", "0.0.0.0:8090",
        "Where nodes and people reach the API, the metrics and the viewer entry point.", false),
    CONF_FIELD_ADDR(C, entry_listen, "entry.listen", "",
        "A second address that serves the viewer entry point and health only; empty = off.", false),
    CONF_FIELD_ENUM(C, store_type, "store.type", "memory", k_stores,
        "Memory = this scheduler alone; redis = any number of schedulers.", false),
    CONF_FIELD_STRING(C, redis_url, "store.redis.url", "redis://127.0.0.1:6379", 300,
        "Address: redis://[user@]host[:port][/database] or unix:///path.", false),
    CONF_FIELD_STRING(C, redis_password_file, "store.redis.password_file", "", 4096,
        "File that holds the password of Redis; empty = none.", false),
    CONF_FIELD_STRING(C, token_file, "token_file", "", 4096,
        "File that holds the node token; empty = only requests from this machine are served.", true),
    CONF_FIELD_ENUM(C, log_level, "log.level", "info", k_levels, "Least severe level written.", true),
    CONF_FIELD_STRING(C, log_file, "log.file", "", 4096, "Where log lines go; empty = standard error.", false),
    CONF_FIELD_UINT(C, lease_ms, "lease_ms", "5000", 500, 600000, "ms",
        "How long a node counts as present after a heartbeat.", false),
    CONF_FIELD_UINT(C, heartbeat_ms, "heartbeat_ms", "1000", 100, 60000, "ms",
        "How often nodes are told to report.", false),
    CONF_FIELD_UINT(C, ask_owner_ms, "ask_owner_ms", "150", 10, 5000, "ms",
        "How long a suspect owner of a stream may take to answer before another may publish it.", true),
    CONF_FIELD_UINT(C, max_children, "max_children", "32", 1, 100000, "",
        "Relays of one stream that a node feeds before others are chained under its children.", true),
    CONF_FIELD_UINT(C, load_factor_percent, "load_factor_percent", "125", 100, 1000, "%",
        "Viewers of an edge, relative to the mean, above which other edges are preferred.", true),
    CONF_FIELD_UINT(C, load_slack, "load_slack", "50", 0, 1000000, "",
        "Viewers that an edge may have whatever the mean is.", true),
    CONF_FIELD_UINT(C, max_nodes, "limits.nodes", "10000", 1, 1000000, "",
        "Nodes known at a time.", true),
    CONF_FIELD_UINT(C, max_streams, "limits.streams", "1000000", 1, 100000000, "",
        "Streams known at a time.", true),
    CONF_FIELD_UINT(C, max_body_bytes, "limits.body_bytes", "16777216", 1024, 1073741824, "bytes",
        "Largest request body.", false),
    CONF_FIELD_UINT(C, max_page, "limits.page_items", "1000", 1, 10000, "",
        "Most items in one page of a list.", true),
};
/* clang-format on */

const struct conf_schema k_scheduler_conf = {"headwater-scheduler", k_fields,
                                             sizeof k_fields / sizeof k_fields[0],
                                             sizeof(struct scheduler_conf)};

enum err scheduler_conf_check(const struct scheduler_conf *conf, struct conf_error *error)
{
    if (!*conf->http_listen) {
        snprintf(error->text, sizeof error->text, "http.listen: empty, expected host:port");
        return E_INVAL;
    }
    if (conf->lease_ms < 2 * conf->heartbeat_ms) {
        snprintf(error->text, sizeof error->text,
                 "lease_ms: found %llu, expected at least twice heartbeat_ms (%llu)",
                 (unsigned long long)conf->lease_ms, (unsigned long long)conf->heartbeat_ms);
        return E_INVAL;
    }
    return E_OK;
}

enum err scheduler_read_secret(const char *key, const char *path, char *out, size_t size,
                               struct conf_error *error)
{
    FILE *f;
    char line[512] = "";
    const char *start;
    size_t length;

    out[0] = '\0';
    if (!*path)
        return E_OK;
    f = fopen(path, "re");
    if (!f) {
        snprintf(error->text, sizeof error->text, "%s: %s: %s", key, path, strerror(errno));
        return E_IO;
    }
    if (!fgets(line, sizeof line, f))
        line[0] = '\0';
    fclose(f);
    start = line + strspn(line, " \t");
    length = strcspn(start, " \t\r\n");
    if (length == 0 || length >= size) {
        snprintf(error->text, sizeof error->text, "%s: %s: expected 1-%zu bytes on the first line",
                 key, path, size - 1);
        return E_INVAL;
    }
    memcpy(out, start, length);
    out[length] = '\0';
    memset(line, 0, sizeof line);
    return E_OK;
}
