/* Stream keys as operators tell them: the settings of /api/v1/stream-keys. The secret is made here,
 * said in the answer that made it, and kept as a hash; one that was made elsewhere is told as its
 * hash. Made again under its id a key has another secret; for a time in which both count, make a
 * second one and remove the first. */
#include "node/access/control.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/settings.h"
#include "node/node.h"

struct told {
    char *stream, *hash;
    struct conf_list actions;
    uint64_t expires;
};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct told, stream, "stream", NULL, STREAM_NAME_SIZE + 1,
        "The stream, app/name, or app/* for all streams of the app.", false),
    CONF_FIELD_LIST(struct told, actions, "actions", "publish", ACCESS_N_ACTIONS,
        "What it is good for: publish, play.", false),
    CONF_FIELD_UINT(struct told, expires, "expires", "0", 0, INT64_MAX, "s",
        "Unix seconds from which on it does not count; 0 = never.", false),
    CONF_FIELD_STRING(struct told, hash, "hash", NULL, SHA256_HEX_SIZE - 1,
        "SHA-256 of the secret as hexadecimal digits; made with a secret when it is not said.", false),
};
/* clang-format on */
static const struct conf_schema k_schema = {
    "stream key", k_fields, sizeof k_fields / sizeof k_fields[0], sizeof(struct told)};

static enum err refuse(struct conf_error *error, const char *key, const char *found,
                       const char *expected)
{
    snprintf(error->text, sizeof error->text, "body: %s: found \"%.100s\", expected %s", key, found,
             expected);
    return E_INVAL;
}

static bool is_pattern(const char *text)
{
    char path[STREAM_NAME_SIZE + 3];
    size_t size = strlen(text);
    struct stream_name name;
    const char *why;

    if (size > 2 && !strcmp(text + size - 2, "/*"))
        snprintf(path, sizeof path, "/%.*sx", (int)size - 1, text);
    else
        snprintf(path, sizeof path, "/%s", text);
    return size < STREAM_NAME_SIZE + 1 &&
           stream_name_from_path(&name, buf_view_str(path), &why) == E_OK;
}

static bool read_actions(const struct conf_list *texts, unsigned *actions, const char **found)
{
    *actions = 0;
    *found = "nothing";
    for (size_t i = 0; i < texts->n_items; i++) {
        unsigned before = *actions;

        for (unsigned a = 0; a < ACCESS_N_ACTIONS; a++)
            if (!strcmp(texts->items[i], k_access_actions[a]))
                *actions |= 1u << a;
        *found = texts->items[i];
        if (*actions == before)
            return false;
    }
    return *actions != 0;
}

static enum err check(void *arg, const char *id, const void *item, struct conf_error *error)
{
    const struct told *told = item;
    uint8_t hash[SHA256_BYTES];
    const char *found = "";
    unsigned actions;

    (void)arg;
    (void)id;
    if (!is_pattern(told->stream))
        return refuse(error, "stream", told->stream, "app/name or app/*");
    if (!read_actions(&told->actions, &actions, &found))
        return refuse(error, "actions", found, "publish, play or both");
    if (!hex_read(buf_view_str(told->hash), hash, sizeof hash) ||
        strpbrk(told->hash, "ABCDEF")) /* it is compared as text */
        return refuse(error, "hash", told->hash, "64 hexadecimal digits in lower case");
    return E_OK;
}

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    struct access *a = arg;
    const struct told *told = item;
    struct stream_key key = {.id = id};
    const char *found;

    (void)json;
    if (!told) {
        stream_keys_remove(a->stream_keys, id);
        return;
    }
    key.stream = told->stream;
    key.hash = told->hash;
    key.expires_s = (int64_t)told->expires;
    if (!read_actions(&told->actions, &key.actions, &found) ||
        stream_keys_set(a->stream_keys, &key) != E_OK)
        log_warn("access", "msg=\"stream key not in force\" id=%s", LOG_STR(id));
}

static json_t *complete(void *arg, json_t *body)
{
    uint8_t random[STREAM_KEY_BYTES];
    char secret[STREAM_KEY_SIZE], hash[SHA256_HEX_SIZE];
    json_t *once;

    (void)arg;
    if (!json_is_object(body) || json_object_get(body, "hash"))
        return NULL;
    random_bytes(random, sizeof random);
    stream_key_format(random, secret);
    if (!stream_key_hash(secret, hash) || json_object_set_new(body, "hash", json_string(hash)) != 0)
        return NULL;
    once = json_pack("{s:s}", "key", secret);
    explicit_bzero(random, sizeof random);
    explicit_bzero(secret, sizeof secret);
    return once;
}

static void describe(void *arg, const char *id, json_t *json)
{
    (void)arg;
    (void)id;
    (void)json_object_del(json, "hash");
}

void access_own_settings(struct access *access, struct settings *settings)
{
    struct setting_owner owner = {.schema = &k_schema,
                                  .check = check,
                                  .complete = complete,
                                  .on_change = on_change,
                                  .describe = describe,
                                  .arg = access};

    settings_own(settings, SETTING_STREAM_KEY, &owner);
}
