/* The inside of the settings, for the files settings*.c. */
#ifndef HW_NODE_CONTROL_SETTINGS_PRIVATE_H
#define HW_NODE_CONTROL_SETTINGS_PRIVATE_H

#include "common/base/list.h"
#include "node/control/settings_file.h"
#include "node/control/settings_sync.h"

#define SETTINGS_MAX_KINDS (N_SETTING_KINDS + 16) /* those of newer releases are kept, too */
/* What was removed is remembered for so long, so that a node that was away does not bring it back.
 */
#define SETTINGS_GRAVE_US ((int64_t)30 * 86400 * 1000000)

struct setting {
    json_t *item;     /* NULL: removed, or expired */
    json_t *expired;  /* what it was until it expired: a clock that has leapt may come back */
    int64_t ended_us; /* with expired: when, by the clock that does not leap */
    uint64_t version; /* of two writers, the higher one counts; then the higher origin */
    int64_t expires_s;
    char origin[CLUSTER_ID_SIZE];
    bool is_told;    /* the scheduler has this version */
    bool is_refused; /* kept, but not in force */
    char id[];
};

struct settings_kind {
    char name[CLUSTER_KIND_SIZE];
    size_t max_items;
    struct setting_owner owner; /* schema NULL: nobody */
    struct setting **at;        /* owned, in the order of ids */
    size_t n, capacity, n_live;
    bool has_refused; /* maybe */
};

struct settings_wait { /* somebody waits until it is kept */
    struct list node;
    settings_done *done;
    void *arg;
    bool needs_file, needs_cluster;
    bool in_file, in_cluster; /* it is in what is written, in the round that is under way */
    enum err e;
    char why[160];
};

struct settings {
    struct loop *loop;
    const char *node_id;
    struct settings_kind kinds[SETTINGS_MAX_KINDS];
    size_t n_kinds;
    uint64_t highest; /* version ever seen */
    struct timer expiry;
    struct list waits;          /* struct settings_wait, owned */
    struct timer work;          /* something is to be written, brought, or answered */
    struct settings_file *file; /* NULL: nothing is kept in one */
    bool is_dirty;              /* something has changed since it was written */
    bool is_failing;            /* it could not be written, and this was said */
    void (*wanted)(void *arg);  /* NULL: no cluster */
    void *wanted_arg;
    bool has_untold; /* maybe */
    bool has_news;   /* since what was refused was tried again */
    bool said_not_kept;
};

/* settings.c: tells the owner, and looks at time soon. */
void settings_tell(struct settings *settings, struct settings_kind *kind, struct setting *setting);
/* One that was seen: what is told here from now on is above it. */
void settings_note_version(struct settings *settings, uint64_t version);

/* --- settings_keep.c --- */

void settings_keep_init(struct settings *settings);
void settings_keep_fini(struct settings *settings);
/* Something has changed. Takes wait, which may be NULL. */
void settings_keep_soon(struct settings *settings, struct settings_wait *wait);

/* --- settings_table.c: one kind --- */

/* Where the id is, or would be. */
size_t settings_place(const struct settings_kind *kind, const char *id);
struct setting *settings_get(const struct settings_kind *kind, const char *id);
/* Returns the entry of the id, made (removed, version 0) when it is new; NULL when out of memory.
 */
struct setting *settings_need(struct settings_kind *kind, const char *id);
/* Takes item, which may be NULL. */
void settings_set_item(struct settings_kind *kind, struct setting *setting, json_t *item);
/* Its time is over; and not yet, after all. */
void settings_end_item(struct settings_kind *kind, struct setting *setting);
void settings_revive_item(struct settings_kind *kind, struct setting *setting);
void settings_drop(struct settings_kind *kind, size_t place);
/* Of what was removed, forgets the oldest as far as there are more than max_items. */
void settings_bury(struct settings_kind *kind);
void settings_kind_fini(struct settings_kind *kind);

/* NULL: no room for another kind. */
struct settings_kind *settings_need_kind(struct settings *settings, const char *name);

#endif
