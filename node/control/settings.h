/* Settings: what operators tell by API and what outlives a restart. One mechanism for all kinds:
 * (kind, id) -> an item of the kind's schema (common/base/conf_item.h). With a cluster they are the
 * same at every node within a second; state.file keeps them at this one.
 *
 * Who owns a kind (bans, pulls, ...) registers its schema and hears of every change, whoever told
 * it: an operator here, another node's, the file at start, time (`expires`). The API is the same
 * for all kinds: node/control/README.md. Control loop, or before it runs. */
#ifndef HW_NODE_CONTROL_SETTINGS_H
#define HW_NODE_CONTROL_SETTINGS_H

#include <jansson.h>

#include "common/base/conf_item.h"
#include "common/media/name.h"
#include "common/net/loop.h"

/* Path below /api/v1/, which is also what the kind is called in files and messages; most items. */
#define SETTING_MAP(X)                  \
    X(BAN, "bans", 20000)               \
    X(STREAM_KEY, "stream-keys", 50000) \
    X(PULL, "relays/pulls", 1000)       \
    X(PUSH, "relays/pushes", 1000)      \
    X(RECORD, "records/rules", 1000)    \
    X(HLS_GROUP, "hls/groups", 4096)

enum setting_kind {
#define X(name, path, max_items) SETTING_##name,
    SETTING_MAP(X)
#undef X
        N_SETTING_KINDS
};

struct setting_kind_row {
    const char *path;
    size_t max_items;
};
extern const struct setting_kind_row k_setting_kinds[N_SETTING_KINDS];

/* "app/name", or 1-64 of [A-Za-z0-9._-]. */
#define SETTING_ID_SIZE STREAM_NAME_SIZE
#define SETTING_MAX_BYTES 16384 /* of an item as JSON */

struct settings; /* opaque */

/* Of a kind. arg goes to all of them. */
struct setting_owner {
    /* At most 32 fields. A CONF_UINT "expires" (Unix seconds, default "0" = never) makes items end
     * by themselves. */
    const struct conf_schema *schema;
    /* This text field is the id of the item. NULL: the id stands beside the fields as "id", or is
     * made up. */
    const char *id_field;
    /* What the schema cannot say, before an operator's item is taken: E_INVAL (400), E_BUSY or
     * E_LIMIT (409) with *error. What is there under this id is going to be replaced. May be NULL.
     */
    enum err (*check)(void *arg, const char *id, const void *item, struct conf_error *error);
    /* Adds to an operator's body what it does not say, and is made here (a secret's hash). Returns
     * fields that this answer alone shows, or NULL. May be NULL. */
    json_t *(*complete)(void *arg, json_t *body);
    /* item (of the schema's struct) and json are lent for the call; both NULL: it is gone, and may
     * never have been told. It may not put or remove from within. */
    void (*on_change)(void *arg, const char *id, const void *item, const json_t *json);
    /* Adds to, or takes from, what the API shows of it: "state", "last_error". May be NULL. */
    void (*describe)(void *arg, const char *id, json_t *json);
    void *arg;
};

/* NULL when out of memory. node_id (borrowed) names this node beside what is told here. */
struct settings *settings_create(struct loop *control, const char *node_id);
/* Loops are stopped. done() that is due comes with E_CLOSED. */
void settings_destroy(struct settings **settings);

/* Copies owner, and tells it at once of all items that are there. */
void settings_own(struct settings *settings, enum setting_kind kind,
                  const struct setting_owner *owner);
/* NULL: nobody does here. */
const struct setting_owner *settings_owner(const struct settings *settings, enum setting_kind kind);

/* e: E_OK, or E_IO: it is in force, but could not be written to state.file; why (lent) has the
 * reason. E_CLOSED: this node ends. */
typedef void settings_done(void *arg, enum err e, const char *why);

/* The id that a body says, or one that is made up; takes it out of the body where it is no field.
 * E_INVAL with *error. */
enum err settings_take_id(const struct settings *settings, enum setting_kind kind, json_t *body,
                          char id[SETTING_ID_SIZE], struct conf_error *error);
/* Makes or replaces. Borrows body, which has the fields of the schema. E_OK: it is in force here,
 * and done() follows once it is kept, never from within the call; with a cluster, once a scheduler
 * has it (or none answers: then it is brought there later). Else done() is not called, and *error
 * says why: E_INVAL (the path of what is wrong), E_TOO_BIG, E_BUSY, E_LIMIT, E_NOMEM, E_UNSUPPORTED
 * (nobody owns the kind). done may be NULL. */
enum err settings_put(struct settings *settings, enum setting_kind kind, const char *id,
                      json_t *body, settings_done *done, void *arg, struct conf_error *error);
/* The same; E_NOT_FOUND. */
enum err settings_remove(struct settings *settings, enum setting_kind kind, const char *id,
                         settings_done *done, void *arg, struct conf_error *error);

/* Every field of the item; lent until the next change. NULL: there is none. */
const json_t *settings_find(const struct settings *settings, enum setting_kind kind,
                            const char *id);
size_t settings_count(const struct settings *settings, enum setting_kind kind);
/* In the order of ids (by bytes), from the one behind after ("" = all), until each() gives false.
 * each() changes nothing. */
void settings_each(const struct settings *settings, enum setting_kind kind, const char *after,
                   bool (*each)(void *arg, const char *id, const json_t *json), void *arg);

#endif
