/* POST and DELETE /v1/streams/{app}/{name}/publish and the answer. */
#include "proto/cluster/cluster.h"
#include "proto/cluster/message.h"

static const char *const k_decisions[] = {"granted", "forward", "refused", "standby", NULL};
static const char *const k_rtmp[] = {"rtmp", "rtmps", NULL};
static const char *const k_http[] = {"http", "https", NULL};

#define PUBLISH(key, member, kind, required, choices) \
    MESSAGE_FIELD(struct cluster_publish, key, member, kind, required, choices)
#define REPLY(key, member, kind, required, choices) \
    MESSAGE_FIELD(struct cluster_publish_reply, key, member, kind, required, choices)

/* clang-format off */
static const struct message_field k_publish_fields[] = {
    PUBLISH("node",          node,          MESSAGE_ID,       true,  NULL),
    PUBLISH("instance",      instance,      MESSAGE_U64_TEXT, true,  NULL),
    PUBLISH("role",          role,          MESSAGE_ENUM,     false, k_cluster_roles),
    PUBLISH("highest_epoch", highest_epoch, MESSAGE_U64_TEXT, false, NULL),
    PUBLISH("duplicate",     duplicate,     MESSAGE_ENUM,     false, k_cluster_duplicates),
    PUBLISH("takeover",      takeover,      MESSAGE_BOOL,     false, NULL),
    PUBLISH("run",           run,           MESSAGE_U64_TEXT, false, NULL),
    PUBLISH("avoid",         avoid,         MESSAGE_IDS,      false, NULL),
    PUBLISH("epoch",         epoch,         MESSAGE_U64_TEXT, false, NULL),
    PUBLISH("client",        client,        MESSAGE_TEXT,     false, NULL),
    PUBLISH("tls",           tls,           MESSAGE_BOOL,     false, NULL),
};
static const struct message_field k_reply_fields[] = {
    REPLY("decision",    decision,    MESSAGE_ENUM,     true,  k_decisions),
    REPLY("epoch",       epoch,       MESSAGE_U64_TEXT, false, NULL),
    REPLY("lease_ms",    lease_ms,    MESSAGE_U32,      false, NULL),
    REPLY("origin",      origin,      MESSAGE_ID,       false, NULL),
    REPLY("origin_rtmp", origin_rtmp, MESSAGE_URL,      false, k_rtmp),
    REPLY("origin_http", origin_http, MESSAGE_URL,      false, k_http),
    REPLY("reason",      reason,      MESSAGE_TEXT,     false, NULL),
};
/* clang-format on */

static const struct message_table k_publish = MESSAGE_TABLE(k_publish_fields);
static const struct message_table k_reply = MESSAGE_TABLE(k_reply_fields);

/* One flat message. */
static enum err encode(const struct message_table *table, const void *m, struct buf_writer *out)
{
    message_write_open(out);
    message_write(out, table, m, false);
    buf_write_str(out, "}");
    return buf_writer_status(out);
}

static enum err decode(struct buf_view json, const struct message_table *table, void *m,
                       struct cluster_error *error)
{
    json_t *root = NULL;
    enum err e = message_parse(json, &root, error);

    if (e == E_OK)
        e = message_read(root, table, (struct message_place){0}, m, error);
    json_decref(root);
    return e;
}

enum err cluster_publish_encode(const struct cluster_publish *m, struct buf_writer *out)
{
    struct cluster_publish both = *m;

    both.takeover = m->duplicate == CLUSTER_DUPLICATE_TAKEOVER; /* for those who know only that */
    return encode(&k_publish, &both, out);
}

enum err cluster_publish_decode(struct buf_view json, struct cluster_publish *out,
                                struct cluster_error *error)
{
    struct cluster_publish m = {0};
    enum err e = decode(json, &k_publish, &m, error);

    if (m.takeover && m.duplicate == CLUSTER_DUPLICATE_REFUSE) /* version 1 before "duplicate" */
        m.duplicate = CLUSTER_DUPLICATE_TAKEOVER;
    if (e == E_OK)
        *out = m;
    return e;
}

enum err cluster_publish_reply_encode(const struct cluster_publish_reply *m, struct buf_writer *out)
{
    return encode(&k_reply, m, out);
}

enum err cluster_publish_reply_decode(struct buf_view json, struct cluster_publish_reply *out,
                                      struct cluster_error *error)
{
    struct cluster_publish_reply m = {0};
    enum err e = decode(json, &k_reply, &m, error);

    if (e == E_OK)
        *out = m;
    return e;
}
