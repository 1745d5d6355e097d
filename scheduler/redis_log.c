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

struct redis_log {
    struct redis_link *link;
    const struct store_watch *watch;
    void (*on_positioned)(void *arg);
    void *arg;
    char self[24];      /* tells our own events from those of others */
    char last_id[48];   /* "" until known */
    struct timer pause; /* after an error */
    bool said_error;    /* one log line a series */
};

static void read_on(struct redis_log *log);

/* One event: id and a flat list of fields. */
static void on_entry(struct redis_log *log, const redisReply *fields)
{
    struct store_event event = {0};
    struct cluster_event m = {.type = CLUSTER_EVENT_UNKNOWN};
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
        else if (strcmp(key->str, "event") == 0 &&
                 cluster_event_decode(buf_view_of(value->str, value->len), &m, &error) != E_OK)
            return;
    }
    if (is_own || m.type == CLUSTER_EVENT_UNKNOWN || m.type == CLUSTER_EVENT_PING)
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
            snprintf(log->last_id, sizeof log->last_id, "%s", entry->element[0]->str);
            on_entry(log, entry->element[1]);
        }
    }
    read_on(log);
}

static void read_on(struct redis_log *log)
{
    (void)redis_link_command(log->link, on_entries, log,
                             "XREAD COUNT %d BLOCK %d STREAMS " REDIS_EVENTS " %s", READ_COUNT,
                             BLOCK_MS, log->last_id);
}

static void on_pause_over(struct timer *timer)
{
    read_on(list_entry(timer, struct redis_log, pause));
}

static void start_reading(struct redis_log *log)
{
    log->on_positioned(log->arg);
    read_on(log);
}

static void on_last(void *arg, const redisReply *reply)
{
    struct redis_log *log = arg;

    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->elements == 2 && reply->element[0]->element[0]->str)
        snprintf(log->last_id, sizeof log->last_id, "%s", reply->element[0]->element[0]->str);
    else
        redis_log_rewind(log);
    start_reading(log);
}

static void on_up(void *arg)
{
    struct redis_log *log = arg;

    if (*log->last_id)
        start_reading(log);
    else
        (void)redis_link_command(log->link, on_last, log, "XREVRANGE " REDIS_EVENTS " + - COUNT 1");
}

static void on_down(void *arg)
{
    struct redis_log *log = arg;

    timer_stop(&log->pause); /* reading goes on from last_id after the reconnect */
}

struct redis_log *redis_log_create(const struct redis_link_conf *conf,
                                   const struct store_watch *watch,
                                   void (*on_positioned)(void *arg), void *arg)
{
    struct redis_log *log = calloc(1, sizeof *log);
    struct redis_link_conf own = *conf;

    if (!log)
        return NULL;
    log->watch = watch;
    log->on_positioned = on_positioned;
    log->arg = arg;
    snprintf(log->self, sizeof log->self, "%" PRIx64, random_u64());
    timer_init(&log->pause, conf->loop, on_pause_over);
    own.name = "events";
    own.command_timeout_ms += BLOCK_MS;
    own.on_up = on_up;
    own.on_down = on_down;
    own.arg = log;
    log->link = redis_link_create(&own);
    if (!log->link) {
        free(log);
        return NULL;
    }
    return log;
}

void redis_log_destroy(struct redis_log **log)
{
    if (!*log)
        return;
    redis_link_destroy(&(*log)->link);
    timer_stop(&(*log)->pause);
    free(*log);
    *log = NULL;
}

bool redis_log_is_positioned(const struct redis_log *log)
{
    return log && *log->last_id;
}

void redis_log_rewind(struct redis_log *log)
{
    snprintf(log->last_id, sizeof log->last_id, "0-0");
}

void redis_log_append(struct redis_log *log, struct redis_link *link,
                      const struct store_event *event)
{
    struct cluster_event m = {event->type, event->name, event->owner.epoch, ""};
    struct buf_writer json;
    char instance[24];

    memcpy(m.node, event->owner.node, sizeof m.node);
    snprintf(instance, sizeof instance, "%" PRIu64, event->owner.instance);
    buf_writer_init(&json, 4096);
    if (cluster_event_encode(&m, &json) == E_OK)
        (void)redis_link_command(link, NULL, NULL,
                                 "XADD " REDIS_EVENTS " MAXLEN ~ " REDIS_EVENTS_MAX
                                 " * from %s instance %s event %b",
                                 log->self, instance, json.data, json.used_bytes);
    buf_writer_fini(&json);
}
