/* Bans: a list for the control loop, and out of it a table that media loops look at. The table is
 * replaced as a whole; the one before is freed when all media loops have been visited since, and
 * that visit ends the sessions that the new one meets. */
#include "node/control/bans.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/net/addr_net.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"
#include "node/control/settings.h"

#define REBUILD_MS 100           /* many at a time make one table, and one walk over the sessions */
#define SAY_US INT64_C(10000000) /* a burst of refused connections is one line of the log */

enum scope { SCOPE_PLAY, SCOPE_PUBLISH, SCOPE_ALL };

struct ban { /* as told */
    char *net, *app, *reason;
    int scope; /* enum scope */
    uint64_t expires;
};

static const char *const k_scopes[] = {"play", "publish", "all", NULL};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct ban, net, "net", NULL, 64,
        "The network, 10.0.0.0/8, or one address; IPv4 or IPv6.", false),
    CONF_FIELD_ENUM(struct ban, scope, "scope", "all", k_scopes,
        "What it may not do: play, publish, or (all) either; all without an app: connect.", false),
    CONF_FIELD_STRING(struct ban, app, "app", "", 2 * NAME_PART_MAX + 1,
        "The app that this is about; empty = every one.", false),
    CONF_FIELD_STRING(struct ban, reason, "reason", "", 200,
        "What those are told whom it meets.", false),
    CONF_FIELD_UINT(struct ban, expires, "expires", "0", 0, INT64_MAX, "s",
        "Unix seconds from which on it does not count; 0 = never.", false),
};
/* clang-format on */
static const struct conf_schema k_schema = {"ban", k_fields, sizeof k_fields / sizeof k_fields[0],
                                            sizeof(struct ban)};

/* --- the table --- */

struct rule { /* of one network */
    enum scope scope;
    const char *app, *reason; /* in the table's texts */
};

struct ban_table { /* nothing in it changes that media loops look at */
    struct bans *bans;
    struct list node; /* in bans.retired */
    bool is_for_more; /* retired: the one after it has a rule more, which may meet sessions */
    struct addr_nets *nets;
    size_t n_rules;
    char *texts;
    struct rule rules[];
};

struct bans {
    struct node *node;
    struct map told;                   /* id -> struct told, owned */
    _Atomic(struct ban_table *) table; /* owned */
    struct list retired;               /* tables that a loop may still look at */
    struct timer rebuild;
    bool has_new;
    _Atomic int64_t said_us; /* when a refused connection was logged */
};

struct told {
    struct addr_net net;
    struct ban ban; /* owned */
};

static void table_free(struct ban_table *table)
{
    addr_nets_destroy(&table->nets);
    free(table->texts);
    free(table);
}

struct asking { /* one look */
    const struct ban_table *table;
    enum ban_action action;
    const struct stream_name *name;
    const char *reason;
};

static bool is_met(const struct rule *rule, const struct asking *ask)
{
    static const bool k_met[][3] = {[BAN_CONNECT] = {[SCOPE_ALL] = true},
                                    [BAN_PLAY] = {[SCOPE_PLAY] = true, [SCOPE_ALL] = true},
                                    [BAN_PUBLISH] = {[SCOPE_PUBLISH] = true, [SCOPE_ALL] = true}};

    if (!k_met[ask->action][rule->scope])
        return false;
    return !*rule->app || (ask->name && strlen(rule->app) == ask->name->app_bytes &&
                           !memcmp(rule->app, ask->name->text, ask->name->app_bytes));
}

static bool look(void *arg, size_t index)
{
    struct asking *ask = arg;
    const struct rule *rule = &ask->table->rules[index];

    if (is_met(rule, ask))
        ask->reason = *rule->reason ? rule->reason : "this address is banned";
    return !ask->reason;
}

static const char *ask_table(const struct ban_table *table, const struct addr *addr,
                             enum ban_action action, const struct stream_name *name)
{
    struct asking ask = {.table = table, .action = action, .name = name};

    if (table)
        addr_nets_find(table->nets, addr, look, &ask);
    return ask.reason;
}

const char *bans_check(const struct node *node, const struct addr *addr, enum ban_action action,
                       const struct stream_name *name)
{
    return !node->bans ? NULL
                       : ask_table(atomic_load_explicit(&node->bans->table, memory_order_acquire),
                                   addr, action, name);
}

bool bans_refuse(const struct node *node, const struct addr *peer, const char *area)
{
    const char *reason = bans_check(node, peer, BAN_CONNECT, NULL);
    int64_t now_us = clock_mono_us(), said_us;
    char text[ADDR_TEXT_SIZE];

    if (!reason)
        return false;
    metric_add(&m_connections_refused_ban, 1);
    said_us = atomic_load_explicit(&node->bans->said_us, memory_order_relaxed);
    if ((!said_us || now_us - said_us > SAY_US) &&
        atomic_compare_exchange_strong(&node->bans->said_us, &said_us, now_us))
        log_warn(area, "msg=\"connections refused\" peer=%s reason=%s", addr_format(peer, text),
                 LOG_STR(reason));
    return true;
}

/* --- sessions that a new table meets --- */

/* Who waits for a stream, or for his turn to publish it, would not be asked again when it comes.
 * BAN_CONNECT: neither plays nor publishes. */
static enum ban_action action_of(const struct session_info *info)
{
    static const struct {
        const char *kind;
        enum ban_action action;
    } k_kinds[] = {{"publish", BAN_PUBLISH},
                   {"standby", BAN_PUBLISH},
                   {"play", BAN_PLAY},
                   {"waiting", BAN_PLAY}};

    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++)
        if (!strcmp(info->kind, k_kinds[i].kind))
            return k_kinds[i].action;
    return BAN_CONNECT;
}

static bool is_banned(const struct ban_table *table, const struct session_info *info)
{
    enum ban_action action = action_of(info);
    char path[STREAM_NAME_SIZE + 1];
    struct stream_name name;
    const char *why;
    struct addr peer;

    if (addr_parse(&peer, info->peer) != E_OK)
        return false; /* this node's own: a pull, a push */
    if (ask_table(table, &peer, BAN_CONNECT, NULL))
        return true;
    if (action == BAN_CONNECT || !strcmp(info->protocol, "relay"))
        return false;
    snprintf(path, sizeof path, "/%s", info->stream);
    return stream_name_from_path(&name, buf_view_str(path), &why) == E_OK &&
           ask_table(table, &peer, action, &name);
}

/* First all that it meets, then their kicks: what a kick does to the list is not known. */
static void end_sessions(struct media_loop *ml, void *arg)
{
    const struct ban_table *retired = arg;
    const struct ban_table *table; /* of now: the one after it may be retired, too */
    struct list met, *node, *tmp;

    if (!retired->is_for_more)
        return;
    table = atomic_load(&retired->bans->table);
    list_init(&met);
    list_for_each_safe(node, tmp, &ml->sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);

        if (!info->kick || !is_banned(table, info))
            continue;
        media_loop_pass(ml, node);
        list_remove(node);
        list_push_back(&met, node);
    }
    while ((node = list_pop_front(&met))) {
        struct session_info *info = list_entry(node, struct session_info, node);

        list_push_back(&ml->sessions, node);
        log_info("bans", "msg=\"session ended by a ban\" session=%s peer=%s", info->id, info->peer);
        metric_add(&m_bans_sessions_ended, 1);
        info->kick(info); /* info may be gone, and others with it */
    }
}

/* All media loops have been visited: nobody looks at the old table any more. */
static void on_visited(void *arg)
{
    struct ban_table *old = arg;

    list_remove(&old->node);
    table_free(old);
}

/* --- making it --- */

static size_t text_bytes(const struct bans *bans)
{
    struct map_cursor at = {0};
    const char *id;
    size_t size = 1;
    void *value;

    while (map_next(&bans->told, &at, &id, &value)) {
        const struct told *told = value;

        size += strlen(told->ban.app) + strlen(told->ban.reason) + 2;
    }
    return size;
}

static const char *add_text(char **at, const char *text)
{
    char *here = *at;
    size_t size = strlen(text) + 1;

    *at += size;
    return memcpy(here, text, size);
}

static struct ban_table *make_table(struct bans *bans)
{
    size_t n = bans->told.n_entries;
    struct ban_table *table = calloc(1, sizeof *table + n * sizeof table->rules[0]);
    struct addr_net *nets = calloc(n + 1, sizeof *nets);
    struct map_cursor at = {0};
    const char *id;
    void *value;
    char *text;

    if (table) {
        table->bans = bans;
        list_init(&table->node);
        table->texts = text = malloc(text_bytes(bans));
    }
    while (table && nets && table->texts && map_next(&bans->told, &at, &id, &value)) {
        const struct told *told = value;
        size_t i = table->n_rules++;

        nets[i] = told->net;
        table->rules[i] = (struct rule){(enum scope)told->ban.scope, add_text(&text, told->ban.app),
                                        add_text(&text, told->ban.reason)};
    }
    if (table && nets && table->texts)
        table->nets = addr_nets_create(nets, table->n_rules);
    free(nets);
    if (table && !table->nets) {
        table_free(table);
        return NULL;
    }
    return table;
}

static void on_rebuild(struct timer *timer)
{
    struct bans *bans = list_entry(timer, struct bans, rebuild);
    struct ban_table *table = make_table(bans), *old;

    if (!table) {
        log_error("bans", "msg=\"out of memory: the bans stay as they were\"");
        timer_start_ms(timer, 1000);
        return;
    }
    old = atomic_exchange_explicit(&bans->table, table, memory_order_acq_rel);
    old->is_for_more = bans->has_new;
    bans->has_new = false;
    metric_set(&m_bans, (int64_t)table->n_rules);
    list_push_back(&bans->retired, &old->node);
    if (gather(bans->node, end_sessions, on_visited, old) != E_OK) {
        bans->has_new = true; /* again; the old one stays until the node ends */
        timer_start_ms(timer, 1000);
    }
}

/* --- the settings --- */

static enum err check(void *arg, const char *id, const void *item, struct conf_error *error)
{
    const struct ban *ban = item;
    struct stream_name name;
    struct addr_net net;
    const char *why;

    (void)arg, (void)id;
    if (addr_net_parse(&net, ban->net) != E_OK) {
        snprintf(error->text, sizeof error->text,
                 "body: net: found \"%.64s\", expected an address or a network: 192.0.2.7, "
                 "10.0.0.0/8, 2001:db8::/32",
                 ban->net);
        return E_INVAL;
    }
    if (*ban->app && (stream_name_make(&name, buf_view_str(ban->app), buf_view_str("x"), &why) ||
                      name.app_bytes != strlen(ban->app))) {
        snprintf(error->text, sizeof error->text,
                 "body: app: found \"%.64s\", expected the name of an app", ban->app);
        return E_INVAL;
    }
    return E_OK;
}

static void forget(struct bans *bans, const char *id)
{
    struct told *told = map_remove(&bans->told, id);

    if (told)
        conf_free(&k_schema, &told->ban);
    free(told);
}

static enum err keep(struct bans *bans, const char *id, const struct ban *ban)
{
    struct told *told = calloc(1, sizeof *told);
    enum err e = told ? addr_net_parse(&told->net, ban->net) : E_NOMEM;

    if (e == E_OK)
        e = conf_item_copy(&k_schema, ban, &told->ban);
    if (e == E_OK) {
        e = map_set(&bans->told, id, told);
        if (e != E_OK)
            conf_free(&k_schema, &told->ban);
    }
    if (e != E_OK)
        free(told);
    return e;
}

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    struct bans *bans = arg;
    enum err e = E_OK;

    (void)json;
    forget(bans, id);
    if (item)
        e = keep(bans, id, item);
    bans->has_new = bans->has_new || item;
    if (e != E_OK)
        log_error("bans", "msg=\"ban not in force\" id=%s reason=\"%s\"", LOG_STR(id), err_text(e));
    if (!timer_is_armed(&bans->rebuild))
        timer_start_ms(&bans->rebuild, REBUILD_MS);
}

/* --- life --- */

struct bans *bans_create(struct node *node)
{
    struct bans *bans = calloc(1, sizeof *bans);
    struct setting_owner owner = {
        .schema = &k_schema, .check = check, .on_change = on_change, .arg = bans};
    struct ban_table *table;

    if (!bans)
        return NULL;
    bans->node = node;
    map_init(&bans->told);
    list_init(&bans->retired);
    timer_init(&bans->rebuild, node->control, on_rebuild);
    table = make_table(bans);
    if (!table) {
        free(bans);
        return NULL;
    }
    atomic_init(&bans->table, table);
    settings_own(node->settings, SETTING_BAN, &owner);
    return bans;
}

void bans_destroy(struct bans **bans)
{
    struct bans *b = *bans;
    struct map_cursor at = {0};
    struct list *node;
    const char *id;
    void *value;

    if (!b)
        return;
    timer_stop(&b->rebuild);
    while (map_next(&b->told, &at, &id, &value))
        forget(b, id);
    map_fini(&b->told);
    while ((node = list_pop_front(&b->retired)))
        table_free(list_entry(node, struct ban_table, node));
    table_free(atomic_load(&b->table));
    free(b);
    *bans = NULL;
}
