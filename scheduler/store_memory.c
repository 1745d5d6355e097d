/* The store of a scheduler that is alone: a table of stream owners. It keeps epochs of streams that
 * ended in one number, the last one given. */
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "proto/cluster/epoch.h"
#include "scheduler/store.h"

struct memory {
    struct store store;  /* first */
    struct map owners;   /* "app/name" to struct store_owner, owned */
    uint64_t last_epoch; /* given here; 0 = none yet */
};

static void memory_destroy(struct store *store)
{
    struct memory *m = (struct memory *)store;
    struct map_cursor cursor = {0};
    const char *name;
    void *owner;

    while (map_next(&m->owners, &cursor, &name, &owner))
        free(owner);
    map_fini(&m->owners);
    free(m);
}

static bool memory_is_up(const struct store *store)
{
    (void)store;
    return true;
}

static void memory_put_node(struct store *store, const struct cluster_heartbeat *m,
                            int64_t lease_ms)
{
    (void)store, (void)m, (void)lease_ms; /* the registry has it; nobody else asks */
}

/* Returns the entry of the stream, made when it is new; NULL when out of memory. */
static struct store_owner *need_owner(struct memory *m, const char *name)
{
    struct store_owner *owner = map_get(&m->owners, name);

    if (owner)
        return owner;
    owner = calloc(1, sizeof *owner);
    if (owner && map_set(&m->owners, name, owner) != E_OK) {
        free(owner);
        owner = NULL;
    }
    return owner;
}

/* seen: the highest epoch that the asker knows. One that was not given here was given before this
 * process began. */
static uint64_t next_epoch(struct memory *m, uint64_t seen)
{
    if (m->last_epoch && seen <= m->last_epoch)
        m->last_epoch = epoch_next(clock_wall_us(), m->last_epoch);
    else
        m->last_epoch = epoch_apart(clock_wall_us(), seen, random_u64());
    return m->last_epoch;
}

static void memory_claim(struct store *store, const struct store_claim *claim, store_done *done,
                         void *arg)
{
    struct memory *m = (struct memory *)store;
    struct store_owner *owner = need_owner(m, claim->name.text);
    bool is_same =
        owner && strcmp(owner->node, claim->node) == 0 && owner->instance == claim->instance;

    if (!owner) {
        done(arg, E_NOMEM, &(struct store_owner){0});
        return;
    }
    if (owner->epoch > claim->known_epoch && !is_same) {
        done(arg, E_STALE, owner);
        return;
    }
    memcpy(owner->node, claim->node, sizeof owner->node);
    owner->instance = claim->instance;
    owner->run = claim->run;
    owner->epoch =
        next_epoch(m, owner->epoch > claim->highest_epoch ? owner->epoch : claim->highest_epoch);
    done(arg, E_OK, owner);
}

static void memory_release(struct store *store, const struct stream_name *name,
                           const struct store_owner *owner, store_done *done, void *arg)
{
    struct memory *m = (struct memory *)store;
    struct store_owner *now = map_get(&m->owners, name->text);

    if (!now) {
        done(arg, E_NOT_FOUND, &(struct store_owner){0});
        return;
    }
    if (now->epoch > owner->epoch || now->instance != owner->instance ||
        strcmp(now->node, owner->node) != 0) {
        done(arg, E_STALE, now);
        return;
    }
    map_remove(&m->owners, name->text);
    done(arg, E_OK, now);
    free(now);
}

static void memory_lookup(struct store *store, const struct stream_name *name, store_done *done,
                          void *arg)
{
    struct memory *m = (struct memory *)store;
    struct store_owner *now = map_get(&m->owners, name->text);

    done(arg, now ? E_OK : E_NOT_FOUND, now ? now : &(struct store_owner){0});
}

static void memory_refresh(struct store *store, const struct stream_name *name,
                           const struct store_owner *owner)
{
    struct memory *m = (struct memory *)store;
    struct store_owner *now = need_owner(m, name->text);

    if (now && (now->epoch < owner->epoch || !*now->node))
        *now = *owner;
}

static void memory_announce(struct store *store, const struct store_event *event)
{
    (void)store, (void)event; /* there is nobody else */
}

static void memory_setting(struct store *store, const struct cluster_setting *setting)
{
    (void)store, (void)setting; /* the scheduler has it */
}

static void memory_put_scale(struct store *store, struct buf_view json)
{
    (void)store, (void)json; /* the scheduler has it */
}

static const struct store_ops k_memory_ops = {
    .destroy = memory_destroy,
    .is_up = memory_is_up,
    .put_node = memory_put_node,
    .claim = memory_claim,
    .release = memory_release,
    .lookup = memory_lookup,
    .refresh = memory_refresh,
    .announce = memory_announce,
    .put_setting = memory_setting,
    .drop_setting = memory_setting,
    .put_scale = memory_put_scale,
};

struct store *store_memory_create(const struct store_watch *watch)
{
    struct memory *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->store.ops = &k_memory_ops;
    m->store.watch = *watch;
    map_init(&m->owners);
    return &m->store;
}
