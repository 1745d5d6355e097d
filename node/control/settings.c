/* Settings: what is told, what is there, and what expires. */
#include "node/control/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/settings_private.h"

/* One that is above moves no other item: else it would leave none for them. */
#define MAX_SEEN_VERSION (CLUSTER_MAX_VERSION - ((uint64_t)1 << 40))
#define LOOK_MS 5000 /* at most, while something expires or has: the wall clock may jump */
/* At least, what has expired: the clock may come back. */
#define HELD_US ((int64_t)3600 * 1000000)

const struct setting_kind_row k_setting_kinds[N_SETTING_KINDS] = {
#define X(name, path, max_items) [SETTING_##name] = {path, max_items},
    SETTING_MAP(X)
#undef X
};

static int64_t now_s(void)
{
    return clock_wall_us() / 1000000;
}

static enum err refuse(struct conf_error *error, enum err e, const char *text)
{
    snprintf(error->text, sizeof error->text, "%s", text);
    return e;
}

static bool id_is_valid(const char *id)
{
    char path[SETTING_ID_SIZE + 1];
    struct stream_name name;
    const char *why;
    int size = snprintf(path, sizeof path, "/%s", id);

    if (cluster_id_is_valid(id))
        return true;
    return size < (int)sizeof path &&
           stream_name_from_path(&name, buf_view_str(path), &why) == E_OK && !strcmp(name.text, id);
}

/* --- what the owner hears --- */

/* As strict with what came from elsewhere as with what is told here: another release may have
 * written it, or somebody who means harm. On failure nothing is left in item. */
static enum err read_item(const struct settings_kind *kind, const struct setting *setting,
                          void *item, struct conf_error *error)
{
    const struct setting_owner *owner = &kind->owner;
    const char *name =
        owner->id_field ? json_string_value(json_object_get(setting->item, owner->id_field)) : NULL;
    enum err e;

    if (!id_is_valid(setting->id))
        return refuse(error, E_INVAL, "no such id can be");
    if (owner->id_field && (!name || strcmp(name, setting->id) != 0)) {
        snprintf(error->text, sizeof error->text, "%s: is not its id", owner->id_field);
        return E_INVAL;
    }
    e = conf_item_from_json(owner->schema, kind->name, setting->item, item, error);
    if (e != E_OK || !owner->check)
        return e;
    e = owner->check(owner->arg, setting->id, item, error);
    if (e != E_OK)
        conf_free(owner->schema, item);
    return e;
}

static void tell(struct settings_kind *kind, struct setting *setting)
{
    const struct setting_owner *owner = &kind->owner;
    bool was_refused = setting->is_refused;
    struct conf_error error;
    void *item;

    setting->is_refused = false;
    if (!owner->schema)
        return;
    if (!setting->item) {
        owner->on_change(owner->arg, setting->id, NULL, NULL);
        return;
    }
    item = calloc(1, owner->schema->struct_bytes);
    snprintf(error.text, sizeof error.text, "%s", err_text(E_NOMEM));
    if (item && read_item(kind, setting, item, &error) == E_OK) {
        owner->on_change(owner->arg, setting->id, item, setting->item);
        conf_free(owner->schema, item);
    } else {
        setting->is_refused = kind->has_refused = true;
    }
    free(item);
    if (!setting->is_refused || was_refused)
        return;
    log_error("settings", "msg=\"kept, but not in force\" kind=%s id=%s reason=%s", kind->name,
              LOG_STR(setting->id), LOG_STR(error.text));
    owner->on_change(owner->arg, setting->id, NULL, NULL);
}

/* What stood in the way of others may have gone. */
static void try_refused(struct settings_kind *kind)
{
    bool had_refused = kind->has_refused;

    kind->has_refused = false;
    for (size_t i = 0; had_refused && i < kind->n; i++)
        if (kind->at[i]->is_refused)
            tell(kind, kind->at[i]);
}

void settings_own(struct settings *settings, enum setting_kind kind,
                  const struct setting_owner *owner)
{
    struct settings_kind *k = &settings->kinds[kind];

    k->owner = *owner;
    for (size_t i = 0; i < k->n; i++)
        if (k->at[i]->item)
            tell(k, k->at[i]);
}

const struct setting_owner *settings_owner(const struct settings *settings, enum setting_kind kind)
{
    const struct setting_owner *owner = &settings->kinds[kind].owner;

    return owner->schema ? owner : NULL;
}

/* --- time --- */

static bool is_forgotten(const struct setting *setting, int64_t wall_us)
{
    int64_t end_us = wall_us - SETTINGS_GRAVE_US;

    if (setting->item || (int64_t)setting->version >= end_us)
        return false;
    return !setting->expired ||
           (setting->expires_s < end_us / 1000000 && clock_mono_us() - setting->ended_us > HELD_US);
}

/* It ends, or goes on because the clock that it ended by was wrong. */
static void turn(struct settings *settings, struct settings_kind *kind, struct setting *setting)
{
    bool is_end = setting->item != NULL;

    if (is_end)
        settings_end_item(kind, setting);
    else
        settings_revive_item(kind, setting);
    log_info("settings", "msg=%s kind=%s id=%s",
             is_end ? "expired" : "\"not expired yet, the clock was set back\"", kind->name,
             LOG_STR(setting->id));
    settings->has_news = true;
    tell(kind, setting);
}

/* Forgets what was removed long ago, ends what is due, and gives when there is to be another look;
 * INT64_MAX = never. */
static int64_t expire(struct settings *settings, struct settings_kind *kind, int64_t wall_us)
{
    int64_t next_s = INT64_MAX, wall_s = wall_us / 1000000, due_s;

    for (size_t i = kind->n; i-- > 0;) {
        struct setting *setting = kind->at[i];

        if (is_forgotten(setting, wall_us)) {
            settings_drop(kind, i);
            continue;
        }
        if (!setting->expires_s || (!setting->item && !setting->expired))
            continue;
        if ((setting->expires_s <= wall_s) == (setting->item != NULL))
            turn(settings, kind, setting);
        due_s = setting->item ? setting->expires_s : wall_s + LOOK_MS / 1000;
        next_s = due_s < next_s ? due_s : next_s;
    }
    settings_bury(kind);
    return next_s;
}

static void look_at_time(struct settings *settings)
{
    int64_t next_s = INT64_MAX, wall_us = clock_wall_us(), wait_ms = LOOK_MS;

    for (size_t i = 0; i < settings->n_kinds; i++) {
        int64_t s = expire(settings, &settings->kinds[i], wall_us);

        next_s = s < next_s ? s : next_s;
    }
    for (size_t i = 0; settings->has_news && i < settings->n_kinds; i++)
        try_refused(&settings->kinds[i]);
    settings->has_news = false;
    timer_stop(&settings->expiry);
    if (next_s == INT64_MAX)
        return;
    if (next_s - wall_us / 1000000 < LOOK_MS / 1000) /* it may be further off than ms can be told */
        wait_ms = next_s * 1000 - wall_us / 1000;
    timer_start_ms(&settings->expiry, wait_ms);
}

static void on_expiry(struct timer *timer)
{
    look_at_time(list_entry(timer, struct settings, expiry));
}

void settings_tell(struct settings *settings, struct settings_kind *kind, struct setting *setting)
{
    tell(kind, setting);
    settings->has_news = true;
    timer_start_ms(&settings->expiry, 0);
}

/* --- told here --- */

static uint64_t next_version(struct settings *settings, const struct setting *setting)
{
    uint64_t version = (uint64_t)clock_wall_us();

    if (version <= settings->highest)
        version = settings->highest + 1;
    if (version <= setting->version)
        version = setting->version + 1;
    settings_note_version(settings, version);
    return version;
}

void settings_note_version(struct settings *settings, uint64_t version)
{
    if (version > settings->highest && version <= MAX_SEEN_VERSION)
        settings->highest = version;
}

/* False: there is no higher version than its own, which is not the doing of any clock. */
static bool can_change(const struct setting *setting, struct conf_error *error)
{
    if (!setting || setting->version < CLUSTER_MAX_VERSION)
        return true;
    (void)refuse(error, E_BUSY, "it has the highest version that there can be: it stays");
    return false;
}

/* Takes item, which is NULL for a removal. */
static void change(struct settings *settings, struct settings_kind *kind, struct setting *setting,
                   json_t *item)
{
    settings_set_item(kind, setting, item);
    setting->version = next_version(settings, setting);
    setting->is_told = false;
    snprintf(setting->origin, sizeof setting->origin, "%s", settings->node_id);
    settings->has_untold = true;
    settings_tell(settings, kind, setting);
}

static enum err make_wait(settings_done *done, void *arg, struct settings_wait **out)
{
    *out = done ? calloc(1, sizeof **out) : NULL;
    if (!done)
        return E_OK;
    if (!*out)
        return E_NOMEM;
    (*out)->done = done;
    (*out)->arg = arg;
    return E_OK;
}

enum err settings_take_id(const struct settings *settings, enum setting_kind kind, json_t *body,
                          char id[SETTING_ID_SIZE], struct conf_error *error)
{
    const struct setting_owner *owner = &settings->kinds[kind].owner;
    const char *key = owner->id_field ? owner->id_field : "id";
    const json_t *value = json_object_get(body, key);
    const char *text = json_string_value(value);

    if (!json_is_object(body))
        return refuse(error, E_INVAL, "body: expected an object");
    if (!value && key == owner->id_field) {
        snprintf(error->text, sizeof error->text, "body: %s: is missing", key);
        return E_INVAL;
    }
    if (!value) {
        snprintf(id, SETTING_ID_SIZE, "%012llx",
                 (unsigned long long)(random_u64() & 0xffffffffffff));
        return E_OK;
    }
    if (!text || !id_is_valid(text)) {
        snprintf(error->text, sizeof error->text,
                 "body: %s: expected app/name, or 1-64 of letters, digits, dot, dash and "
                 "underscore",
                 key);
        return E_INVAL;
    }
    snprintf(id, SETTING_ID_SIZE, "%s", text);
    if (key != owner->id_field)
        (void)json_object_del(body, "id");
    return E_OK;
}

static enum err check_item(const struct settings_kind *kind, const char *id, json_t *json,
                           void *item, struct conf_error *error)
{
    const struct setting_owner *owner = &kind->owner;
    json_int_t expires_s = json_integer_value(json_object_get(json, "expires"));
    const struct setting *old = settings_get(kind, id);

    if (json_dumpb(json, NULL, 0, JSON_COMPACT) > SETTING_MAX_BYTES)
        return refuse(error, E_TOO_BIG, "body: longer than 16384 bytes");
    if (expires_s && expires_s <= now_s())
        return refuse(error, E_INVAL, "body: expires: is in the past (Unix seconds; 0 = never)");
    if ((!old || !old->item) && kind->n_live >= kind->max_items) {
        snprintf(error->text, sizeof error->text, "too many %s (%zu)", kind->name, kind->max_items);
        return E_LIMIT;
    }
    return owner->check ? owner->check(owner->arg, id, item, error) : E_OK;
}
_Static_assert(SETTING_MAX_BYTES == 16384, "check_item() says so");

/* Returns the item with every field in *json. */
static enum err read_body(const struct settings_kind *kind, const char *id, json_t *body,
                          json_t **json, struct conf_error *error)
{
    const struct conf_schema *schema = kind->owner.schema;
    void *item = calloc(1, schema->struct_bytes);
    enum err e = item ? E_OK : refuse(error, E_NOMEM, err_text(E_NOMEM));

    *json = NULL;
    if (e == E_OK)
        e = conf_item_from_json(schema, "body", body, item, error);
    if (e == E_OK) {
        *json = conf_item_to_json(schema, item);
        e = *json ? check_item(kind, id, *json, item, error)
                  : refuse(error, E_NOMEM, err_text(E_NOMEM));
        conf_free(schema, item);
    }
    if (e != E_OK) {
        json_decref(*json);
        *json = NULL;
    }
    free(item);
    return e;
}

enum err settings_put(struct settings *settings, enum setting_kind kind, const char *id,
                      json_t *body, settings_done *done, void *arg, struct conf_error *error)
{
    struct settings_kind *k = &settings->kinds[kind];
    struct settings_wait *wait;
    struct setting *setting;
    json_t *json;
    enum err e;

    if (!k->owner.schema)
        return refuse(error, E_UNSUPPORTED, "nothing of this kind on this node");
    if (!id_is_valid(id))
        return refuse(error, E_INVAL, "no such id can be");
    if (!can_change(settings_get(k, id), error))
        return E_BUSY;
    e = read_body(k, id, body, &json, error);
    if (e != E_OK)
        return e;
    setting = make_wait(done, arg, &wait) == E_OK ? settings_need(k, id) : NULL;
    if (!setting) {
        json_decref(json);
        free(wait);
        return refuse(error, E_NOMEM, err_text(E_NOMEM));
    }
    change(settings, k, setting, json);
    settings_keep_soon(settings, wait);
    return E_OK;
}

enum err settings_remove(struct settings *settings, enum setting_kind kind, const char *id,
                         settings_done *done, void *arg, struct conf_error *error)
{
    struct settings_kind *k = &settings->kinds[kind];
    struct setting *setting = settings_get(k, id);
    struct settings_wait *wait;

    if (!k->owner.schema)
        return refuse(error, E_UNSUPPORTED, "nothing of this kind on this node");
    if (!setting || !setting->item)
        return refuse(error, E_NOT_FOUND, "there is none of that id");
    if (!can_change(setting, error))
        return E_BUSY;
    if (make_wait(done, arg, &wait) != E_OK)
        return refuse(error, E_NOMEM, err_text(E_NOMEM));
    change(settings, k, setting, NULL);
    settings_keep_soon(settings, wait);
    return E_OK;
}

/* --- what is there --- */

const json_t *settings_find(const struct settings *settings, enum setting_kind kind, const char *id)
{
    const struct setting *setting = settings_get(&settings->kinds[kind], id);

    return setting ? setting->item : NULL;
}

size_t settings_count(const struct settings *settings, enum setting_kind kind)
{
    return settings->kinds[kind].n_live;
}

void settings_each(const struct settings *settings, enum setting_kind kind, const char *after,
                   bool (*each)(void *arg, const char *id, const json_t *json), void *arg)
{
    const struct settings_kind *k = &settings->kinds[kind];

    for (size_t i = settings_place(k, after); i < k->n; i++) {
        const struct setting *setting = k->at[i];

        if (setting->item && strcmp(setting->id, after) > 0 &&
            !each(arg, setting->id, setting->item))
            return;
    }
}

/* --- life --- */

struct settings *settings_create(struct loop *control, const char *node_id)
{
    struct settings *settings = calloc(1, sizeof *settings);

    if (!settings)
        return NULL;
    settings->loop = control;
    settings->node_id = node_id;
    settings_keep_init(settings);
    timer_init(&settings->expiry, control, on_expiry);
    for (size_t i = 0; i < N_SETTING_KINDS; i++)
        settings_need_kind(settings, k_setting_kinds[i].path)->max_items =
            k_setting_kinds[i].max_items;
    return settings;
}

void settings_destroy(struct settings **settings)
{
    struct settings *s = *settings;

    if (!s)
        return;
    timer_stop(&s->expiry);
    settings_keep_fini(s);
    for (size_t i = 0; i < s->n_kinds; i++)
        settings_kind_fini(&s->kinds[i]);
    free(s);
    *settings = NULL;
}
