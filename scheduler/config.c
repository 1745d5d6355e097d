/* The keys of headwater-scheduler. */
#include "scheduler/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/net/tls_setup.h"
#include "scheduler/autoscale.h"

static const char *const k_stores[] = {"memory", "redis", NULL};
static const char *const k_levels[] = {"debug", "info", "warn", "error", NULL};

#define C struct scheduler_conf

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_ADDR(C, http_listen, "http.listen", "0.0.0.0:8090",
        "Where nodes and people reach the API, the metrics and the viewer entry point; empty = off.", false),
    CONF_FIELD_ADDR(C, https_listen, "https.listen", "0.0.0.0:8490",
        "The same over TLS; empty, or without tls.certificates = off.", false),
    CONF_FIELD_ADDR(C, entry_listen, "entry.listen", "",
        "A second address that serves the viewer entry point and health only; empty = off.", false),
    CONF_FIELD_ADDR(C, entry_https_listen, "entry.https_listen", "",
        "The same over TLS; empty, or without tls.certificates = off.", false),
    CONF_FIELD_LIST(C, tls_certificates, "tls.certificates", "", TLS_SETUP_MAX_CERTIFICATES,
        "PEM files of certificates with their chains, cert.pem=key.pem or one file with both; the first is for clients that name no host, or another one. Renewed files are noticed.", true),
    CONF_FIELD_STRING(C, tls_ca_file, "tls.ca_file", "", 4096,
        "PEM file of the authorities that are believed where nodes are asked over TLS; empty = those of the system. A renewed file is noticed.", true),
    CONF_FIELD_BOOL(C, tls_verify, "tls.verify", "true",
        "Whether certificates of nodes have to be good and theirs; false is for labs.", false),
    CONF_FIELD_ENUM(C, store_type, "store.type", "memory", k_stores,
        "Memory = this scheduler alone; redis = any number of schedulers.", false),
    CONF_FIELD_STRING(C, redis_url, "store.redis.url", "redis://127.0.0.1:6379", 300,
        "Address: redis://[user@]host[:port][/database] or unix:///path.", false),
    CONF_FIELD_LIST(C, redis_sentinels, "store.redis.sentinels", "", 16,
        "Sentinels, host:port each, that say where the master is; host and port of the address are then not used.", false),
    CONF_FIELD_STRING(C, redis_master, "store.redis.master", "mymaster", 127,
        "Name that the sentinels know the master by.", false),
    CONF_FIELD_STRING(C, sentinel_user, "store.redis.sentinel_user", "", 127,
        "User at the sentinels; empty = the default one.", false),
    CONF_FIELD_STRING(C, sentinel_password_file, "store.redis.sentinel_password_file", "", 4096,
        "File that holds the password of the sentinels; empty = none.", false),
    CONF_FIELD_STRING(C, redis_password_file, "store.redis.password_file", "", 4096,
        "File that holds the password of Redis; empty = none.", false),
    CONF_FIELD_STRING(C, token_file, "token_file", "", 4096,
        "File that holds the node token, and on a second line one that is accepted beside it; empty = only requests from this machine are served.", true),
    CONF_FIELD_STRING(C, admin_tokens_file, "admin.tokens_file", "", 4096,
        "File of tokens for people's API, a line each: name, scope (read, operate or admin), secret; its owner's alone (mode 0600, or 0640 if it is root's); read again at SIGHUP; empty = none.", true),
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
    CONF_FIELD_UINT(C, autoscale_edge_min, "autoscale.edge.min", "1", 0, 100000, "",
        "Fewest edges that /v1/autoscale asks for: what comes within autoscale.start_s of a rise has to fit into these.", true),
    CONF_FIELD_UINT(C, autoscale_edge_max, "autoscale.edge.max", "100", 1, 100000, "",
        "Most edges that it asks for.", true),
    CONF_FIELD_UINT(C, autoscale_origin_min, "autoscale.origin.min", "1", 0, 100000, "",
        "Fewest origins that it asks for.", true),
    CONF_FIELD_UINT(C, autoscale_origin_max, "autoscale.origin.max", "100", 1, 100000, "",
        "Most origins that it asks for.", true),
    CONF_FIELD_UINT(C, autoscale_target, "autoscale.target_percent", "60", 1, 100, "%",
        "How much of what nodes can do they should do: of egress, viewers and CPU the one that is used most counts.", true),
    CONF_FIELD_UINT(C, autoscale_hysteresis, "autoscale.hysteresis_percent", "10", 0, 90, "%",
        "How far below the target the load has to be for fewer nodes, of the target.", true),
    CONF_FIELD_UINT(C, autoscale_start_s, "autoscale.start_s", "60", 1, 3600, "s",
        "How long it takes from the moment a node is wanted until it takes work, the interval at which this is asked for included.", true),
    CONF_FIELD_UINT(C, autoscale_delay_s, "autoscale.scale_in_delay_s", "300", 1, AUTOSCALE_MAX_DELAY_S, "s",
        "How long fewer nodes have to be enough before fewer are asked for.", true),
    CONF_FIELD_UINT(C, max_nodes, "limits.nodes", "10000", 1, 1000000, "",
        "Nodes known at a time.", true),
    CONF_FIELD_UINT(C, max_streams, "limits.streams", "1000000", 1, 100000000, "",
        "Streams known at a time.", true),
    CONF_FIELD_UINT(C, max_full_reports, "limits.full_reports", "50", 1, 100000, "",
        "Nodes that are asked for a full report at a time, after a restart or when Redis was emptied.", true),
    CONF_FIELD_UINT(C, connections_per_ip, "limits.connections_per_ip", "1000", 0, 10000000, "",
        "Connections of one address to the API at a time, this machine's own excepted; 0 = no limit.", true),
    CONF_FIELD_UINT(C, entry_connections_per_ip, "limits.entry_connections_per_ip", "0", 0, 10000000, "",
        "The same of the entry point, where a balancer may stand for all viewers.", true),
    CONF_FIELD_UINT(C, tls_handshake_ms, "limits.tls_handshake_ms", "5000", 100, 3600000, "ms",
        "Time for a TLS handshake, in both directions.", false),
    CONF_FIELD_UINT(C, max_body_bytes, "limits.body_bytes", "16777216", 1024, 1073741824, "bytes",
        "Largest request body.", false),
    CONF_FIELD_UINT(C, max_page, "limits.page_items", "1000", 1, 10000, "",
        "Most items in one page of a list.", true),
};
/* clang-format on */

const struct conf_schema k_scheduler_conf = {"headwater-scheduler", k_fields,
                                             sizeof k_fields / sizeof k_fields[0],
                                             sizeof(struct scheduler_conf)};

static const char *with_certificates(const struct scheduler_conf *conf, const char *listen)
{
    return conf->tls_certificates.n_items ? listen : "";
}

const char *scheduler_conf_https(const struct scheduler_conf *conf)
{
    return with_certificates(conf, conf->https_listen);
}

const char *scheduler_conf_entry_https(const struct scheduler_conf *conf)
{
    return with_certificates(conf, conf->entry_https_listen);
}

enum err scheduler_conf_check(const struct scheduler_conf *conf, struct conf_error *error)
{
    struct tls_error why;

    if (!*conf->http_listen && !*scheduler_conf_https(conf)) {
        snprintf(error->text, sizeof error->text, "http.listen: empty, expected host:port");
        return E_INVAL;
    }
    if (tls_setup_check(&conf->tls_certificates, &why) != E_OK) {
        snprintf(error->text, sizeof error->text, "tls.certificates%s", why.text);
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

/* One line without white space around it; false when that is empty or too long. */
static bool take_word(const char *line, char *out, size_t size)
{
    const char *start = line + strspn(line, " \t");
    size_t length = strcspn(start, " \t\r\n");

    if (length == 0 || length >= size)
        return false;
    memcpy(out, start, length);
    out[length] = '\0';
    return true;
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r\n")] == '\0';
}

static enum err read_words(const char *key, const char *path, char (*out)[SCHEDULER_TOKEN_SIZE],
                           unsigned n_max, struct conf_error *error)
{
    FILE *f = fopen(path, "re");
    char line[2 * SCHEDULER_TOKEN_SIZE] = "";
    unsigned n = 0;
    bool is_good = true;

    if (!f) {
        snprintf(error->text, sizeof error->text, "%s: %s: %s", key, path, strerror(errno));
        return E_IO;
    }
    while (is_good && fgets(line, sizeof line, f)) {
        if (n > 0 && is_blank(line))
            continue;
        is_good = n < n_max && take_word(line, out[n], SCHEDULER_TOKEN_SIZE);
        n++;
    }
    fclose(f);
    explicit_bzero(line, sizeof line);
    if (is_good && n > 0)
        return E_OK;
    snprintf(error->text, sizeof error->text, "%s: %s: expected 1-%u lines of 1-%d bytes", key,
             path, n_max, SCHEDULER_TOKEN_SIZE - 1);
    return E_INVAL;
}

enum err scheduler_read_tokens(const char *key, const char *path, struct scheduler_tokens *out,
                               struct conf_error *error)
{
    struct scheduler_tokens tokens = {0};
    enum err e = E_OK;

    *out = tokens;
    if (*path)
        e = read_words(key, path, tokens.token, SCHEDULER_N_TOKENS, error);
    if (e == E_OK)
        *out = tokens;
    explicit_bzero(&tokens, sizeof tokens);
    return e;
}
enum err scheduler_read_secret(const char *key, const char *path, char *out, size_t size,
                               struct conf_error *error)
{
    FILE *f;
    char line[512] = "";
    bool is_good;

    out[0] = '\0';
    if (!*path)
        return E_OK;
    f = fopen(path, "re");
    if (!f) {
        snprintf(error->text, sizeof error->text, "%s: %s: %s", key, path, strerror(errno));
        return E_IO;
    }
    is_good = fgets(line, sizeof line, f) && take_word(line, out, size);
    fclose(f);
    explicit_bzero(line, sizeof line);
    if (is_good)
        return E_OK;
    snprintf(error->text, sizeof error->text, "%s: %s: expected 1-%zu bytes on the first line", key,
             path, size - 1);
    return E_INVAL;
}
