/* Settings between nodes and schedulers, and in a node's state file: what they hold is the kind's
 * owner's business, and travels as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"
#include "proto/cluster/message.h"

#define HEAD(key, member, kind) \
    MESSAGE_FIELD(struct cluster_settings, key, member, kind, false, NULL)
#define SETTING(key, member, kind, required) \
    MESSAGE_FIELD(struct cluster_setting, key, member, kind, required, NULL)

static const struct message_field k_head_fields[] = {
    HEAD("run", run, MESSAGE_U64_TEXT),
    HEAD("seq", seq, MESSAGE_U64),
    HEAD("more", more, MESSAGE_BOOL),
};
static const struct message_field k_setting_fields[] = {
    SETTING("kind", kind, MESSAGE_TEXT, true),
    SETTING("id", id, MESSAGE_TEXT, true),
    SETTING("version", version, MESSAGE_U64_TEXT, true),
    SETTING("origin", origin, MESSAGE_ID, true),
};
static const struct message_table k_head = MESSAGE_TABLE(k_head_fields);
static const struct message_table k_setting = MESSAGE_TABLE(k_setting_fields);
static const struct message_array k_settings = {
    "settings", &k_setting, sizeof(struct cluster_setting), CLUSTER_MAX_SETTINGS};

void cluster_settings_begin(const struct cluster_settings *m, struct buf_writer *out)
{
    message_write_open(out);
    message_write(out, &k_head, m, false);
    buf_write_str(out, ",\"settings\":[");
}

void cluster_settings_add(const struct cluster_setting *setting, bool first, struct buf_writer *out)
{
    buf_write_str(out, first ? "\n{" : ",\n{");
    message_write(out, &k_setting, setting, true);
    if (setting->item) {
        buf_write_str(out, ",\"item\":");
        buf_write_str(out, setting->item);
    }
    buf_write_str(out, "}");
}

void cluster_settings_end(struct buf_writer *out)
{
    buf_write_str(out, "]}\n");
}

enum err cluster_settings_encode(const struct cluster_settings *m, struct buf_writer *out)
{
    cluster_settings_begin(m, out);
    for (size_t i = 0; i < m->n_settings; i++)
        cluster_settings_add(&m->settings[i], i == 0, out);
    cluster_settings_end(out);
    return buf_writer_status(out);
}

static enum err refuse(struct cluster_error *error, enum err e, size_t i, const char *why)
{
    snprintf(error->text, sizeof error->text, "settings[%zu].%s", i, why);
    return e;
}

/* As text again: who passes it on need not know what it means. */
static enum err read_item(const json_t *object, struct cluster_setting *out, size_t i,
                          struct cluster_error *error)
{
    const json_t *item = json_object_get(object, "item");

    if (!cluster_kind_is_valid(out->kind))
        return refuse(error, E_INVAL, i, "kind: expected 1-32 of [a-z0-9/-]");
    if (!*out->id)
        return refuse(error, E_INVAL, i, "id: is empty");
    if (out->version > CLUSTER_MAX_VERSION)
        return refuse(error, E_INVAL, i, "version: no clock says that");
    if (!item || json_is_null(item))
        return E_OK;
    if (!json_is_object(item))
        return refuse(error, E_INVAL, i, "item: expected an object");
    out->item = json_dumps(item, JSON_COMPACT);
    if (!out->item)
        return refuse(error, E_NOMEM, i, "item: out of memory");
    if (strlen(out->item) > CLUSTER_MAX_ITEM_BYTES)
        return refuse(error, E_TOO_BIG, i, "item: longer than an item can be");
    return E_OK;
}

enum err cluster_settings_decode(struct buf_view json, struct cluster_settings *out,
                                 struct cluster_error *error)
{
    struct cluster_settings m = {0};
    void *settings = NULL;
    json_t *root = NULL;
    enum err e = message_parse(json, &root, error);

    if (e == E_OK)
        e = message_read(root, &k_head, (struct message_place){0}, &m, error);
    if (e == E_OK)
        e = message_read_array(root, &k_settings, &settings, &m.n_settings, error);
    m.settings = settings;
    for (size_t i = 0; e == E_OK && i < m.n_settings; i++)
        e = read_item(json_array_get(json_object_get(root, "settings"), i), &m.settings[i], i,
                      error);
    json_decref(root);
    if (e == E_OK)
        *out = m;
    else
        cluster_settings_fini(&m);
    return e;
}

void cluster_settings_fini(struct cluster_settings *m)
{
    for (size_t i = 0; m->settings && i < m->n_settings; i++)
        free(m->settings[i].item);
    free(m->settings);
    m->settings = NULL;
    m->n_settings = 0;
}

bool cluster_setting_is_newer(uint64_t version, const char *origin, uint64_t than,
                              const char *than_origin)
{
    return version != than ? version > than : strcmp(origin, than_origin) > 0;
}

bool cluster_kind_is_valid(const char *kind)
{
    size_t size = strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789/-");

    return size > 0 && size < CLUSTER_KIND_SIZE && !kind[size];
}
