/* What operators told: a list in the order of changes. */
#include "scheduler/told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/base/log.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define TELL_MS 2
#define SWEEP_MS 30000
#define STORE_BATCH 100       /* a slice */
#define PART_BYTES (1u << 20) /* of an answer; one item more may follow */
#define MAX_ANSWER_BYTES (3u << 20)
#define GRAVE_US ((int64_t)30 * 86400 * 1000000) /* nodes forget what was removed then, too */
#define FULL_GRAVE_US ((int64_t)3600 * 1000000)  /* where there is no room for more */
#define KEY_SIZE (CLUSTER_KIND_SIZE + STREAM_NAME_SIZE)

struct told_entry {
    struct list node; /* in told.order */
    uint64_t seq;
    int64_t expires_s; /* 0 = never */
    bool is_stored;
    struct cluster_setting setting;
};

static const char *key_of(const struct cluster_setting *setting, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "%s %s", setting->kind, setting->id);
    return key;
}

static void drop(struct told *told, struct told_entry *entry)
{
    char key[KEY_SIZE];

    if (told->store_at == &entry->node)
        told->store_at = entry->node.next;
    map_remove(&told->by_id, key_of(&entry->setting, key));
    list_remove(&entry->node);
    free(entry->setting.item);
    free(entry);
}

/* --- what comes --- */

static int64_t expires_of(const char *item)
{
    json_t *json = item ? json_loads(item, 0, NULL) : NULL;
    json_int_t expires_s = json_integer_value(json_object_get(json, "expires"));

    json_decref(json);
    return expires_s > 0 ? expires_s : 0;
}

/* What was removed or has expired is held for a while: else a node that was away would bring back
 * what it knows, an older version. */
static bool has_ended(const struct cluster_setting *setting, int64_t expires_s, int64_t grave_us)
{
    int64_t wall_s = clock_wall_us() / 1000000, end_s = (int64_t)(setting->version / 1000000);

    if (setting->item && (!expires_s || expires_s > wall_s))
        return false;
    if (setting->item && expires_s > end_s)
        end_s = expires_s;
    return end_s < wall_s - grave_us / 1000000;
}

/* From the store, too. */
static void drop_ended(struct told *told, int64_t grave_us)
{
    struct store *store = told->scheduler->store;
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &told->order) {
        struct told_entry *entry = list_entry(node, struct told_entry, node);

        if (!has_ended(&entry->setting, entry->expires_s, grave_us))
            continue;
        store->ops->drop_setting(store, &entry->setting);
        drop(told, entry);
    }
}

static struct told_entry *add(struct told *told, const struct cluster_setting *setting)
{
    struct told_entry *entry;
    char key[KEY_SIZE];

    if (told->by_id.n_entries >= CLUSTER_MAX_SETTINGS && !told->said_full)
        drop_ended(told, FULL_GRAVE_US);
    if (told->by_id.n_entries >= CLUSTER_MAX_SETTINGS) {
        if (!told->said_full)
            log_error("settings", "msg=\"no room: what is told now stays at its node\" limit=%d",
                      CLUSTER_MAX_SETTINGS);
        told->said_full = true;
        return NULL;
    }
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    list_init(&entry->node);
    memcpy(entry->setting.kind, setting->kind, sizeof entry->setting.kind);
    memcpy(entry->setting.id, setting->id, sizeof entry->setting.id);
    if (map_set(&told->by_id, key_of(setting, key), entry) == E_OK)
        return entry;
    free(entry);
    return NULL;
}

static void store_one(struct told *told, struct told_entry *entry)
{
    struct store *store = told->scheduler->store;

    entry->is_stored = true; /* if that is lost, the next time that the store is up tells */
    store->ops->put_setting(store, &entry->setting);
}

/* True: it was news. */
static bool merge_one(struct told *told, struct cluster_setting *setting, bool is_stored)
{
    char key[KEY_SIZE];
    struct told_entry *entry = map_get(&told->by_id, key_of(setting, key));
    int64_t expires_s = expires_of(setting->item);

    if (entry && !cluster_setting_is_newer(setting->version, setting->origin,
                                           entry->setting.version, entry->setting.origin)) {
        bool is_same = setting->version == entry->setting.version &&
                       !strcmp(setting->origin, entry->setting.origin);

        entry->is_stored = entry->is_stored || (is_same && is_stored);
        return false;
    }
    if (!entry && has_ended(setting, expires_s, GRAVE_US))
        return false; /* what it ends is not there */
    if (!entry)
        entry = add(told, setting);
    if (!entry)
        return false;
    entry->setting.version = setting->version;
    memcpy(entry->setting.origin, setting->origin, sizeof entry->setting.origin);
    free(entry->setting.item);
    entry->setting.item = setting->item;
    setting->item = NULL;
    entry->expires_s = expires_s;
    entry->seq = ++told->seq;
    if (told->store_at == &entry->node)
        told->store_at = entry->node.next;
    list_remove(&entry->node);
    list_push_back(&told->order, &entry->node);
    entry->is_stored = is_stored;
    if (!is_stored)
        store_one(told, entry);
    return true;
}

void told_merge(struct told *told, struct cluster_settings *m, bool is_stored)
{
    bool is_news = false;

    for (size_t i = 0; i < m->n_settings; i++)
        is_news |= merge_one(told, &m->settings[i], is_stored);
    if (!is_news)
        return;
    stats_set(STAT_SETTINGS, (int64_t)told->by_id.n_entries);
    if (!timer_is_armed(&told->tell))
        timer_start_ms(&told->tell, TELL_MS);
}

static void on_tell(struct timer *timer)
{
    struct told *told = list_entry(timer, struct told, tell);

    events_broadcast(&told->scheduler->events,
                     &(struct cluster_event){.type = CLUSTER_EVENT_SETTINGS});
}

/* --- the store --- */

void told_doubt_store(struct told *told)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &told->order) {
        list_entry(node, struct told_entry, node)->is_stored = false;
    }
}

void told_store_rest(struct told *told)
{
    told->store_at = told->order.next;
    timer_start_ms(&told->store, 0);
}

static void on_store(struct timer *timer)
{
    struct told *told = list_entry(timer, struct told, store);

    for (unsigned n = 0; told->store_at != &told->order && n < STORE_BATCH; n++) {
        struct told_entry *entry = list_entry(told->store_at, struct told_entry, node);

        told->store_at = told->store_at->next;
        if (!entry->is_stored)
            store_one(told, entry);
    }
    if (told->store_at != &told->order)
        timer_start_ms(timer, 1);
    else
        told->store_at = NULL;
}

static void on_sweep(struct timer *timer)
{
    struct told *told = list_entry(timer, struct told, sweep);

    drop_ended(told, GRAVE_US);
    told->said_full = false;
    stats_set(STAT_SETTINGS, (int64_t)told->by_id.n_entries);
    timer_start_ms(timer, SWEEP_MS);
}

/* --- the nodes --- */

static uint64_t number_of(struct http_exchange *x, const char *key)
{
    const char *text = http_query_arg(x, key);

    return text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

/* The last change that the asker has; from there on it has none. */
static struct list *place_of(struct told *told, uint64_t since)
{
    struct list *node = told->order.prev;

    while (node != &told->order && list_entry(node, struct told_entry, node)->seq > since)
        node = node->prev;
    return node;
}

static void respond(struct http_exchange *x, struct buf_writer *json)
{
    if (buf_writer_status(json) == E_OK)
        http_respond(x, 200, "application/json", buf_writer_view(json));
    else
        http_respond_problem(x, 503, "%s", err_text(buf_writer_status(json)));
    buf_writer_fini(json);
}

/* run=, since=: another run, or none, is told everything. */
void api_get_settings(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct told *told = &s->told;
    struct cluster_settings head = {.run = told->run};
    struct buf_writer items, json;
    struct list *node;
    size_t n = 0;

    if (!scheduler_admits(s, x))
        return;
    buf_writer_init(&items, 2 * PART_BYTES);
    node = place_of(told, number_of(x, "run") == told->run ? number_of(x, "since") : 0)->next;
    for (; node != &told->order; node = node->next) {
        const struct told_entry *entry = list_entry(node, struct told_entry, node);

        if (n == CLUSTER_PART_SETTINGS || items.used_bytes > PART_BYTES) {
            head.more = true;
            break;
        }
        head.seq = entry->seq;
        cluster_settings_add(&entry->setting, n++ == 0, &items);
    }
    if (!head.more)
        head.seq = told->seq;
    buf_writer_init(&json, MAX_ANSWER_BYTES);
    cluster_settings_begin(&head, &json);
    buf_write_view(&json, buf_writer_view(&items));
    cluster_settings_end(&json);
    buf_writer_fini(&items); /* too much for it was too much for json, too */
    respond(x, &json);
}

void api_post_settings(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct cluster_settings m, head = {.run = s->told.run};
    struct cluster_error error = {""};
    struct buf_writer json;
    enum err e;

    if (!scheduler_admits(s, x) || !scheduler_takes_json(x))
        return;
    e = cluster_settings_decode(http_body(x), &m, &error);
    if (e != E_OK) {
        stats_count(STAT_REQUEST_INVALID);
        http_respond_problem(x, e == E_TOO_BIG ? 413 : e == E_NOMEM ? 503 : 400, "%s", error.text);
        return;
    }
    told_merge(&s->told, &m, false);
    cluster_settings_fini(&m);
    head.seq = s->told.seq;
    buf_writer_init(&json, MAX_ANSWER_BYTES);
    (void)cluster_settings_encode(&head, &json);
    respond(x, &json);
}

/* --- life --- */

void told_init(struct told *told, struct scheduler *s)
{
    *told = (struct told){.scheduler = s, .run = random_u64() | 1};
    map_init(&told->by_id);
    list_init(&told->order);
    timer_init(&told->tell, s->loop, on_tell);
    timer_init(&told->sweep, s->loop, on_sweep);
    timer_init(&told->store, s->loop, on_store);
    timer_start_ms(&told->sweep, SWEEP_MS);
}

void told_fini(struct told *told)
{
    timer_stop(&told->tell);
    timer_stop(&told->sweep);
    timer_stop(&told->store);
    while (!list_is_empty(&told->order))
        drop(told, list_entry(told->order.next, struct told_entry, node));
    map_fini(&told->by_id);
}
