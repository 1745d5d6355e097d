/* GET /v1/nodes/{id}/events: one JSON object a line. */
#include <string.h>

#include "proto/cluster/cluster.h"
#include "proto/cluster/message.h"

#define EVENT(key, member, kind, required) \
    MESSAGE_FIELD(struct cluster_event, key, member, kind, required, NULL)

static const struct message_field k_of_stream_fields[] = {
    EVENT("name", name, MESSAGE_NAME, true),
    EVENT("epoch", epoch, MESSAGE_U64_TEXT, false),
    EVENT("node", node, MESSAGE_ID, false),
};
static const struct message_field k_of_node_fields[] = {
    EVENT("node", node, MESSAGE_ID, true),
};
static const struct message_table k_of_stream = MESSAGE_TABLE(k_of_stream_fields);
static const struct message_table k_of_node = MESSAGE_TABLE(k_of_node_fields);

static const struct {
    const char *word;
    const struct message_table *fields; /* NULL: none */
} k_types[] = {
    [CLUSTER_EVENT_PING] = {"ping", NULL},
    [CLUSTER_EVENT_PUBLISHED] = {"published", &k_of_stream},
    [CLUSTER_EVENT_ENDED] = {"ended", &k_of_stream},
    [CLUSTER_EVENT_FENCED] = {"fenced", &k_of_stream},
    [CLUSTER_EVENT_KICK] = {"kick", &k_of_stream},
    [CLUSTER_EVENT_PROMOTE] = {"promote", &k_of_stream},
    [CLUSTER_EVENT_LEAVING] = {"leaving", &k_of_node},
    [CLUSTER_EVENT_DRAIN] = {"drain", &k_of_node},
    [CLUSTER_EVENT_RESUME] = {"resume", &k_of_node},
    [CLUSTER_EVENT_SUSPECT] = {"suspect", &k_of_node},
    [CLUSTER_EVENT_RECOUNT] = {"recount", &k_of_node},
    [CLUSTER_EVENT_SETTINGS] = {"settings", NULL},
};
#define N_TYPES (sizeof k_types / sizeof k_types[0])

enum err cluster_event_encode(const struct cluster_event *m, struct buf_writer *out)
{
    if (m->type >= CLUSTER_EVENT_UNKNOWN)
        return E_INVAL;
    message_write_open(out);
    buf_printf(out, ",\"type\":\"%s\"", k_types[m->type].word);
    if (k_types[m->type].fields)
        message_write(out, k_types[m->type].fields, m, false);
    buf_write_str(out, "}\n");
    return buf_writer_status(out);
}

static enum err read_event(const json_t *root, struct cluster_event *m, struct cluster_error *error)
{
    const json_t *type = json_object_get(root, "type");
    const char *text = json_string_value(type);
    unsigned i = 0;

    if (!text) {
        memcpy(error->text, "type: expected a string", sizeof "type: expected a string");
        return E_INVAL;
    }
    while (i < N_TYPES && strcmp(k_types[i].word, text) != 0)
        i++;
    m->type = i < N_TYPES ? (enum cluster_event_type)i : CLUSTER_EVENT_UNKNOWN;
    if (m->type == CLUSTER_EVENT_UNKNOWN || !k_types[i].fields)
        return E_OK; /* the fields of a newer type are not ours to judge */
    return message_read(root, k_types[i].fields, (struct message_place){0}, m, error);
}

enum err cluster_event_decode(struct buf_view json, struct cluster_event *out,
                              struct cluster_error *error)
{
    struct cluster_event m = {0};
    json_t *root = NULL;
    enum err e = message_parse(json, &root, error);

    if (e == E_OK)
        e = read_event(root, &m, error);
    json_decref(root);
    if (e == E_OK)
        *out = m;
    return e;
}
