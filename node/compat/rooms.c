/* See rooms.h. A key is a MAC over the room and a salt, which stands in the id of the setting:
 *   livego.<16 digits: hash of the stream's name>.<16 digits: salt>
 * Its key is made from the node token, so all nodes of a cluster tell the same; a node without one
 * has a random one, which ends with the process: then the room gets another key. */
#include "node/compat/rooms.h"

#include <stdio.h>
#include <string.h>

#include "common/net/loop.h"
#include "node/node.h"

#define LABEL "headwater-livego-room-v1"
#define PREFIX_SIZE (sizeof "livego.." + 16)
#define ID_SIZE (PREFIX_SIZE + 16)

static bool make_prefix(const struct stream_name *room, char out[PREFIX_SIZE])
{
    uint8_t hash[SHA256_BYTES];
    char hex[17];

    if (!digest_sha256(buf_view_str(room->text), hash))
        return false;
    hex_write(hash, 8, hex);
    snprintf(out, PREFIX_SIZE, "livego.%s.", hex);
    return true;
}

/* false: there is no such secret, or no memory. */
static bool derive(struct buf_view secret, const struct stream_name *room, const char *id,
                   char key[ROOM_KEY_SIZE])
{
    uint8_t own[SHA256_BYTES], mac[SHA256_BYTES];
    char text[STREAM_NAME_SIZE + ID_SIZE + 2];
    bool ok;

    snprintf(text, sizeof text, "%s\n%s", room->text, id);
    ok = secret.size_bytes && digest_hmac_sha256(secret, buf_view_str(LABEL), own) &&
         digest_hmac_sha256(buf_view_of(own, sizeof own), buf_view_str(text), mac);
    if (ok)
        hex_write(mac, STREAM_ROOM_KEY_BYTES / 2, key);
    explicit_bzero(own, sizeof own);
    explicit_bzero(mac, sizeof mac);
    return ok;
}

/* What keys are made from, the first; and may have been made from. */
static struct buf_view secret_of(const struct compat *c, unsigned i)
{
    const char *tokens[] = {c->node->token, c->node->token_also};

    if (!tokens[0] || !*tokens[0])
        return i ? buf_view_of(NULL, 0) : buf_view_of(c->random, sizeof c->random);
    return buf_view_str(tokens[i] ? tokens[i] : "");
}

struct search {
    const struct compat *compat;
    const struct stream_name *room;
    char prefix[PREFIX_SIZE], id[ID_SIZE];
    char *key; /* NULL: whatever its key is */
    bool found;
};

static bool is_made_here(struct search *s, const char *id, const char *hash)
{
    for (unsigned i = 0; i < 2; i++)
        if (derive(secret_of(s->compat, i), s->room, id, s->key) && stream_key_is(s->key, hash))
            return true;
    return false;
}

static bool look(void *arg, const char *id, const json_t *json)
{
    struct search *s = arg;
    const char *stream = json_string_value(json_object_get(json, "stream"));
    const char *hash = json_string_value(json_object_get(json, "hash"));

    if (strncmp(id, s->prefix, strlen(s->prefix)) != 0)
        return false;
    if (!stream || !hash || strlen(id) >= ID_SIZE || strcmp(stream, s->room->text) != 0)
        return true;
    if (s->key && (strlen(hash) != SHA256_HEX_SIZE - 1 || !is_made_here(s, id, hash)))
        return true;
    snprintf(s->id, sizeof s->id, "%s", id);
    s->found = true;
    return false;
}

/* The first key of the room, from the id behind after on. */
static bool find(struct search *s, const char *after)
{
    s->found = false;
    settings_each(s->compat->node->settings, SETTING_STREAM_KEY, after, look, s);
    return s->found;
}

bool rooms_find(const struct compat *compat, const struct stream_name *room,
                char key[ROOM_KEY_SIZE])
{
    struct search s = {.compat = compat, .room = room, .key = key};

    return make_prefix(room, s.prefix) && find(&s, s.prefix);
}

/* But for the one with that id. */
static bool remove_others(struct compat *compat, const struct stream_name *room, const char *but)
{
    struct search s = {.compat = compat, .room = room};
    struct conf_error error;
    char after[ID_SIZE];
    bool any = false;

    if (!make_prefix(room, s.prefix))
        return false;
    snprintf(after, sizeof after, "%s", s.prefix);
    while (find(&s, after)) {
        snprintf(after, sizeof after, "%s", s.id);
        if (!strcmp(s.id, but))
            continue;
        any |= settings_remove(compat->node->settings, SETTING_STREAM_KEY, s.id, NULL, NULL,
                               &error) == E_OK;
    }
    return any;
}

enum err rooms_make(struct compat *compat, const struct stream_name *room, char key[ROOM_KEY_SIZE],
                    settings_done *done, void *arg, struct conf_error *error)
{
    char prefix[PREFIX_SIZE], id[ID_SIZE], hash[SHA256_HEX_SIZE];
    json_t *item;
    enum err e;

    snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
    if (!make_prefix(room, prefix))
        return E_NOMEM;
    snprintf(id, sizeof id, "%s%016llx", prefix, (unsigned long long)random_u64());
    if (!derive(secret_of(compat, 0), room, id, key) || !stream_key_hash(key, hash))
        return E_NOMEM;
    item = json_pack("{s:s, s:[s], s:s}", "stream", room->text, "actions", "publish", "hash", hash);
    e = settings_put(compat->node->settings, SETTING_STREAM_KEY, id, item, done, arg, error);
    json_decref(item);
    if (e == E_OK)
        (void)remove_others(compat, room, id);
    return e;
}

enum err rooms_remove(struct compat *compat, const struct stream_name *room, settings_done *done,
                      void *arg, struct conf_error *error)
{
    struct search s = {.compat = compat, .room = room};

    snprintf(error->text, sizeof error->text, "room not found");
    if (!make_prefix(room, s.prefix) || !find(&s, s.prefix))
        return E_NOT_FOUND;
    (void)remove_others(compat, room, s.id);
    return settings_remove(compat->node->settings, SETTING_STREAM_KEY, s.id, done, arg, error);
}
