/* The event log that schedulers share. */
#include "scheduler/redis_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "scheduler/redis_keys.h"

#define BLOCK_MS 2000
#define ERROR_PAUSE_MS 1000 /* Redis refuses to read: an ACL, a key of another type */
#define READ_COUNT 500
#define MAX_KEPT 10000
#define REWIND_MS 30000 /* longer than a failover takes */

struct event_id { /* "<ms>-<seq>", the clock of Redis */
    uint64_t ms, seq;
};

struct redis_log {
    struct redis_link *link;
    const struct store_watch *watch;
    void (*on_positioned)(void *arg);
    void (*on_failed)(void *arg, const char *why);
    void *arg;
    char self[24];        /* tells our own events from those of others */
    bool is_positioned;   /* at and news are known */
    struct event_id at;   /* read up to here */
    struct event_id news; /* what lies above is new */
    struct list kept;     /* struct saying, owned */
    unsigned n_kept;
    struct timer pause; /* after an error */
    bool said_error;    /* one log line a series */
};

struct saying { /* one event, until Redis has it */
    struct list node;
    struct redis_log *log;
    struct store_event event;
};

static void read_on(struct redis_log *log);

static struct event_id parse_id(const char *text)
{
    struct event_id id = {0, 0};
    char *end;

    id.ms = strtoull(text, &end, 10);
    if (*end == '-')
        id.seq = strtoull(end + 1, NULL, 10);
    return id;
}

static bool is_above(struct event_id id, struct event_id other)
{
    return id.ms != other.ms ? id.ms > other.ms : id.seq > other.seq;
}

static bool is_about_owner(enum cluster_event_type type)
{
    return type == CLUSTER_EVENT_PUBLISHED || type == CLUSTER_EVENT_ENDED;
}

/* Old or new: its version says what counts. */
static void on_setting(const struct redis_log *log, const redisReply *value)
{
    struct cluster_settings m;
    struct cluster_error error;

    if (cluster_settings_decode(buf_view_of(value->str, value->len), &m, &error) != E_OK)
        return;
    log->watch->on_settings(log->watch->arg, &m);
    cluster_settings_fini(&m);
}

/* One event: a flat list of fields. */
static void on_entry(struct redis_log *log, struct event_id id, const redisReply *fields)
{
    struct store_event event = {.is_old = !is_above(id, log->news)};
    struct cluster_event m = {.type = CLUSTER_EVENT_UNKNOWN};
    const redisReply *setting = NULL;
    struct cluster_error error;
    bool is_own = false;

    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *key = fields->element[i], *value = fields->element[i + 1];

        if (!key->str || !value->str)
            continue;
        if (strcmp(key->str, "from") == 0)
            is_own = strcmp(value->str, log->self) == 0;
        else if (strcmp(key->str, "instance") == 0)
            event.owner.instance = strtoull(value->str, NULL, 10);
        else if (strcmp(key->str, "run") == 0)
            event.owner.run = strtoull(value->str, NULL, 10);
        else if (strcmp(key->str, "setting") == 0)
            setting = value;
        else if (strcmp(key->str, "event") == 0 &&
                 cluster_event_decode(buf_view_of(value->str, value->len), &m, &error) != E_OK)
            return;
    }
    if (setting && !is_own)
        on_setting(log, setting);
    if (setting || is_own || m.type == CLUSTER_EVENT_UNKNOWN || m.type == CLUSTER_EVENT_PING ||
        (event.is_old && !is_about_owner(m.type)))
        return;
    event.type = m.type;
    event.name = m.name;
    event.owner.epoch = m.epoch;
    memcpy(event.owner.node, m.node, sizeof event.owner.node);
    log->watch->on_event(log->watch->arg, &event);
}

/* {{key, {{id, fields}, ...}}} or nil when nothing came. */
static void on_entries(void *arg, const redisReply *reply)
{
    struct redis_log *log = arg;
    const redisReply *entries;

    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ERROR) { /* comes at once, unlike "nothing new" */
        if (!log->said_error)
            log_warn("redis", "msg=\"cannot read events\" reason=%s", LOG_STR(reply->str));
        log->said_error = true;
        timer_start_ms(&log->pause, jitter_ms(ERROR_PAUSE_MS, 0.3));
        return;
    }
    log->said_error = false;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->elements == 2) {
        entries = reply->element[0]->element[1];
        for (size_t i = 0; i < entries->elements; i++) {
            const redisReply *entry = entries->element[i];

            if (entry->elements != 2 || !entry->element[0]->str)
                continue;
            log->at = parse_id(entry->element[0]->str);
            on_entry(log, log->at, entry->element[1]);
            if (is_above(log->at, log->news))
                log->news = log->at;
        }
    }
    read_on(log);
}

static void read_on(struct redis_log *log)
{
    (void)redis_link_command(
        log->link, on_entries, log, "XREAD COUNT %d BLOCK %d STREAMS " REDIS_EVENTS " %llu-%llu",
        READ_COUNT, BLOCK_MS, (unsigned long long)log->at.ms, (unsigned long long)log->at.seq);
}

static void on_pause_over(struct timer *timer)
{
    read_on(list_entry(timer, struct redis_log, pause));
}

/* What the log ends with now decides where reading starts: at the end when nothing was read yet;
 * where it stopped, as a rule; before the end, when that is below. */
static void on_last(void *arg, const redisReply *reply)
{
    struct redis_log *log = arg;
    struct event_id end = {0, 0};

    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->elements == 2 && reply->element[0]->element[0]->str)
        end = parse_id(reply->element[0]->element[0]->str);
    if (!log->is_positioned || is_above(log->at, end)) {
        log->news = end;
        if (log->is_positioned)
            end.ms -= end.ms < REWIND_MS ? end.ms : REWIND_MS;
        log->at = end;
    }
    log->is_positioned = true;
    log->on_positioned(log->arg);
    read_on(log);
}

static void on_up(void *arg)
{
    struct redis_log *log = arg;

    (void)redis_link_command(log->link, on_last, log, "XREVRANGE " REDIS_EVENTS " + - COUNT 1");
}

static void on_down(void *arg)
{
    struct redis_log *log = arg;

    timer_stop(&log->pause); /* reading goes on after the reconnect */
}

static void on_failed(void *arg, const char *why)
{
    struct redis_log *log = arg;

    if (log->on_failed)
        log->on_failed(log->arg, why);
}

struct redis_log *redis_log_create(const struct redis_link_conf *conf,
                                   const struct store_watch *watch,
                                   void (*on_positioned)(void *arg))
{
    struct redis_log *log = calloc(1, sizeof *log);
    struct redis_link_conf own = *conf;

    if (!log)
        return NULL;
    log->watch = watch;
    log->on_positioned = on_positioned;
    log->on_failed = conf->on_failed;
    log->arg = conf->arg;
    snprintf(log->self, sizeof log->self, "%" PRIx64, random_u64());
    list_init(&log->kept);
    timer_init(&log->pause, conf->loop, on_pause_over);
    own.name = "events";
    own.command_timeout_ms += BLOCK_MS;
    own.on_up = on_up;
    own.on_down = on_down;
    own.on_failed = on_failed;
    own.arg = log;
    log->link = redis_link_create(&own);
    if (!log->link) {
        free(log);
        return NULL;
    }
    return log;
}

const char *redis_log_self(const struct redis_log *log)
{
    return log->self;
}

void redis_log_destroy(struct redis_log **log)
{
    struct redis_log *l = *log;
    struct list *at;

    if (!l)
        return;
    redis_link_destroy(&l->link);
    timer_stop(&l->pause);
    while ((at = list_pop_front(&l->kept)))
        free(list_entry(at, struct saying, node));
    free(l);
    *log = NULL;
}

void redis_log_restart(struct redis_log *log)
{
    redis_link_restart(log->link);
}

bool redis_log_is_positioned(const struct redis_log *log)
{
    return log && log->is_positioned;
}

/* Takes item. */
static void keep(struct saying *item)
{
    struct redis_log *log = item->log;
    enum cluster_event_type type = item->event.type;

    if (type == CLUSTER_EVENT_PUBLISHED || type == CLUSTER_EVENT_KICK || log->n_kept == MAX_KEPT) {
        free(item);
        return;
    }
    list_push_back(&log->kept, &item->node);
    log->n_kept++;
}

static void on_appended(void *arg, const redisReply *reply)
{
    if (reply)
        free(arg);
    else
        keep(arg);
}

/* Takes item. */
static void append(struct saying *item, struct redis_link *link)
{
    struct redis_log *log = item->log;
    const struct store_owner *owner = &item->event.owner;
    struct cluster_event m = {item->event.type, item->event.name, owner->epoch, ""};
    struct buf_writer json;
    char instance[24], run[24];

    memcpy(m.node, owner->node, sizeof m.node);
    snprintf(instance, sizeof instance, "%" PRIu64, owner->instance);
    snprintf(run, sizeof run, "%" PRIu64, owner->run);
    buf_writer_init(&json, 4096);
    if (cluster_event_encode(&m, &json) != E_OK)
        free(item);
    else if (!redis_link_command(link, on_appended, item,
                                 "XADD " REDIS_EVENTS " MAXLEN ~ " REDIS_EVENTS_MAX
                                 " * from %s instance %s run %s event %b",
                                 log->self, instance, run, json.data, json.used_bytes))
        keep(item);
    buf_writer_fini(&json);
}

void redis_log_append(struct redis_log *log, struct redis_link *link,
                      const struct store_event *event)
{
    struct saying *item = malloc(sizeof *item);

    if (!item)
        return;
    *item = (struct saying){.log = log, .event = *event};
    append(item, link);
}

void redis_log_append_kept(struct redis_log *log, struct redis_link *link)
{
    for (unsigned n = log->n_kept; n; n--) { /* what fails is kept again, behind */
        log->n_kept--;
        append(list_entry(list_pop_front(&log->kept), struct saying, node), link);
    }
}
