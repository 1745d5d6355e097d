/* POST /v1/nodes/{id}/heartbeat and its answer. */
#include <stdlib.h>

#include "proto/cluster/cluster.h"
#include "proto/cluster/message.h"

static const char *const k_rtmp[] = {"rtmp", "rtmps", NULL};
static const char *const k_http[] = {"http", NULL};
static const char *const k_rtmps[] = {"rtmps", NULL};
static const char *const k_https[] = {"https", NULL};
static const char *const k_admin[] = {"http", "https", NULL};
static const char *const k_stream_kinds[] = {"owned", "carried", NULL};

#define HEARTBEAT(key, member, kind, required, choices) \
    MESSAGE_FIELD(struct cluster_heartbeat, key, member, kind, required, choices)
#define URLS(key, member, choices) \
    MESSAGE_FIELD(struct cluster_urls, key, member, MESSAGE_URL, false, choices)
#define LOAD(key, member, kind) MESSAGE_FIELD(struct cluster_load, key, member, kind, false, NULL)
#define STREAM(key, member, kind, required, choices) \
    MESSAGE_FIELD(struct cluster_stream, key, member, kind, required, choices)
#define REPLY(key, member, kind, required) \
    MESSAGE_FIELD(struct cluster_heartbeat_reply, key, member, kind, required, NULL)

/* clang-format off */
static const struct message_field k_heartbeat_fields[] = {
    HEARTBEAT("instance",            instance,            MESSAGE_U64_TEXT, true,  NULL),
    HEARTBEAT("replaces",            replaces,            MESSAGE_U64_TEXT, false, NULL),
    HEARTBEAT("seq",                 seq,                 MESSAGE_U64,      true,  NULL),
    HEARTBEAT("full",                full,                MESSAGE_BOOL,     false, NULL),
    HEARTBEAT("part",                part,                MESSAGE_U32,      false, NULL),
    HEARTBEAT("more",                more,                MESSAGE_BOOL,     false, NULL),
    HEARTBEAT("role",                role,                MESSAGE_ENUM,     true,  k_cluster_roles),
    HEARTBEAT("state",               state,               MESSAGE_ENUM,     true,  k_cluster_node_states),
    HEARTBEAT("zone",                zone,                MESSAGE_TEXT,     false, NULL),
    HEARTBEAT("admin",               admin_url,           MESSAGE_URL,      false, k_admin),
    HEARTBEAT("capacity_egress_bps", capacity_egress_bps, MESSAGE_U64,      false, NULL),
    HEARTBEAT("max_viewers",         max_viewers,         MESSAGE_U32,      false, NULL),
    HEARTBEAT("weight",              weight,              MESSAGE_U32,      false, NULL),
    HEARTBEAT("highest_epoch",       highest_epoch,       MESSAGE_U64_TEXT, false, NULL),
    HEARTBEAT("owned_sum",           owned_sum,           MESSAGE_U64_TEXT, false, NULL),
};
static const struct message_field k_urls_fields[] = {
    URLS("rtmp",  rtmp,  k_rtmp),
    URLS("http",  http,  k_http),
    URLS("rtmps", rtmps, k_rtmps),
    URLS("https", https, k_https),
};
static const struct message_field k_load_fields[] = {
    LOAD("publishers",   n_publishers, MESSAGE_U32),
    LOAD("viewers",      n_viewers,    MESSAGE_U32),
    LOAD("relays",       n_relays,     MESSAGE_U32),
    LOAD("streams",      n_streams,    MESSAGE_U32),
    LOAD("in_bps",       in_bps,       MESSAGE_U64),
    LOAD("out_bps",      out_bps,      MESSAGE_U64),
    LOAD("cpu_permille", cpu_permille, MESSAGE_U32),
};
static const struct message_field k_stream_fields[] = {
    STREAM("name",     name,       MESSAGE_NAME,     true,  NULL),
    STREAM("kind",     kind,       MESSAGE_ENUM,     false, k_stream_kinds),
    STREAM("epoch",    epoch,      MESSAGE_U64_TEXT, false, NULL),
    STREAM("viewers",  n_viewers,  MESSAGE_U32,      false, NULL),
    STREAM("children", n_children, MESSAGE_U32,      false, NULL),
    STREAM("depth",    depth,      MESSAGE_U32,      false, NULL),
    STREAM("upstream", upstream,   MESSAGE_ID,       false, NULL),
    STREAM("run",      run,        MESSAGE_U64_TEXT, false, NULL),
    STREAM("removed",  removed,    MESSAGE_BOOL,     false, NULL),
};
static const struct message_field k_standby_fields[] = {
    MESSAGE_FIELD(struct cluster_standby, "name", name, MESSAGE_NAME, true, NULL),
};
static const struct message_field k_reply_fields[] = {
    REPLY("lease_ms",      lease_ms,      MESSAGE_U32,      true),
    REPLY("interval_ms",   interval_ms,   MESSAGE_U32,      true),
    REPLY("want_full",     want_full,     MESSAGE_BOOL,     false),
    REPLY("highest_epoch", highest_epoch, MESSAGE_U64_TEXT, false),
    REPLY("drain",         drain,         MESSAGE_BOOL,     false),
    REPLY("parts",         parts,         MESSAGE_BOOL,     false),
    REPLY("settings_run",  settings_run,  MESSAGE_U64_TEXT, false),
    REPLY("settings_seq",  settings_seq,  MESSAGE_U64,      false),
};
static const struct message_field k_fenced_fields[] = {
    MESSAGE_FIELD(struct cluster_fenced, "name",  name,  MESSAGE_NAME,     true,  NULL),
    MESSAGE_FIELD(struct cluster_fenced, "epoch", epoch, MESSAGE_U64_TEXT, false, NULL),
    MESSAGE_FIELD(struct cluster_fenced, "owner", owner, MESSAGE_ID,       false, NULL),
};
/* clang-format on */

static const struct message_table k_heartbeat = MESSAGE_TABLE(k_heartbeat_fields);
static const struct message_table k_urls = MESSAGE_TABLE(k_urls_fields);
static const struct message_table k_load = MESSAGE_TABLE(k_load_fields);
static const struct message_table k_stream = MESSAGE_TABLE(k_stream_fields);
static const struct message_table k_standby = MESSAGE_TABLE(k_standby_fields);
static const struct message_table k_reply = MESSAGE_TABLE(k_reply_fields);
static const struct message_table k_fenced = MESSAGE_TABLE(k_fenced_fields);
static const struct message_array k_streams = {"streams", &k_stream, sizeof(struct cluster_stream),
                                               CLUSTER_MAX_STREAMS};
static const struct message_array k_standbys = {
    "standbys", &k_standby, sizeof(struct cluster_standby), CLUSTER_MAX_STREAMS};
static const struct message_array k_fences = {"fenced", &k_fenced, sizeof(struct cluster_fenced),
                                              CLUSTER_MAX_STREAMS};
static const struct message_array k_moves = {"moved", &k_fenced, sizeof(struct cluster_fenced),
                                             CLUSTER_MAX_STREAMS};

enum err cluster_heartbeat_encode(const struct cluster_heartbeat *m, struct buf_writer *out)
{
    message_write_open(out);
    message_write(out, &k_heartbeat, m, false);
    message_write_object(out, "public", &k_urls, &m->public_urls);
    message_write_object(out, "internal", &k_urls, &m->internal_urls);
    message_write_object(out, "load", &k_load, &m->load);
    message_write_array(out, &k_streams, m->streams, m->n_streams);
    message_write_array(out, &k_standbys, m->standbys, m->n_standbys);
    buf_write_str(out, "}");
    return buf_writer_status(out);
}

static enum err read_heartbeat(const json_t *root, struct cluster_heartbeat *m,
                               struct cluster_error *error)
{
    enum err e = message_read(root, &k_heartbeat, (struct message_place){0}, m, error);
    void *streams = NULL, *standbys = NULL;

    if (e == E_OK)
        e = message_read_object(root, "public", &k_urls, &m->public_urls, error);
    if (e == E_OK)
        e = message_read_object(root, "internal", &k_urls, &m->internal_urls, error);
    if (e == E_OK)
        e = message_read_object(root, "load", &k_load, &m->load, error);
    if (e == E_OK)
        e = message_read_array(root, &k_streams, &streams, &m->n_streams, error);
    if (e == E_OK)
        e = message_read_array(root, &k_standbys, &standbys, &m->n_standbys, error);
    m->streams = streams;
    m->standbys = standbys;
    return e;
}

enum err cluster_heartbeat_decode(struct buf_view json, struct cluster_heartbeat *out,
                                  struct cluster_error *error)
{
    struct cluster_heartbeat m = {0};
    json_t *root = NULL;
    enum err e = message_parse(json, &root, error);

    if (e == E_OK)
        e = read_heartbeat(root, &m, error);
    json_decref(root);
    if (e == E_OK)
        *out = m;
    else
        cluster_heartbeat_fini(&m);
    return e;
}

void cluster_heartbeat_fini(struct cluster_heartbeat *m)
{
    free(m->streams);
    free(m->standbys);
    m->streams = NULL;
    m->standbys = NULL;
    m->n_streams = m->n_standbys = 0;
}

enum err cluster_heartbeat_reply_encode(const struct cluster_heartbeat_reply *m,
                                        struct buf_writer *out)
{
    message_write_open(out);
    message_write(out, &k_reply, m, false);
    message_write_array(out, &k_fences, m->fenced, m->n_fenced);
    message_write_array(out, &k_moves, m->moved, m->n_moved);
    buf_write_str(out, "}");
    return buf_writer_status(out);
}

enum err cluster_heartbeat_reply_decode(struct buf_view json, struct cluster_heartbeat_reply *out,
                                        struct cluster_error *error)
{
    struct cluster_heartbeat_reply m = {0};
    void *fenced = NULL, *moved = NULL;
    json_t *root = NULL;
    enum err e = message_parse(json, &root, error);

    if (e == E_OK)
        e = message_read(root, &k_reply, (struct message_place){0}, &m, error);
    if (e == E_OK)
        e = message_read_array(root, &k_fences, &fenced, &m.n_fenced, error);
    if (e == E_OK)
        e = message_read_array(root, &k_moves, &moved, &m.n_moved, error);
    m.fenced = fenced;
    m.moved = moved;
    json_decref(root);
    if (e == E_OK)
        *out = m;
    else
        cluster_heartbeat_reply_fini(&m);
    return e;
}

void cluster_heartbeat_reply_fini(struct cluster_heartbeat_reply *m)
{
    free(m->fenced);
    free(m->moved);
    m->fenced = m->moved = NULL;
    m->n_fenced = m->n_moved = 0;
}
