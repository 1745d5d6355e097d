/* Settings in Redis. */
#include "scheduler/redis_told.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/redis_keys.h"

#define SCAN_BATCH 200
#define AGAIN_RETRIES 50 /* as long as so many attempts to connect: all of it is read for that */
#define MAX_BYTES (CLUSTER_MAX_ITEM_BYTES + 2048) /* of a setting as it is stored */

/* --- writing --- */

static void learn(const struct store_watch *watch, const redisReply *value)
{
    struct cluster_settings m;
    struct cluster_error error;

    if (value->type != REDIS_REPLY_STRING ||
        cluster_settings_decode(buf_view_of(value->str, value->len), &m, &error) != E_OK)
        return;
    watch->on_settings(watch->arg, &m);
    cluster_settings_fini(&m);
}

/* No memory left, say, or a full disk. Settings are told once: nothing else would bring this one
 * again while the link is up. */
static void on_refused(struct redis_told *t, const redisReply *reply)
{
    redis_link_note_refusal(t->link, reply);
    if (!timer_is_armed(&t->refused))
        timer_start_ms(&t->refused, AGAIN_RETRIES * t->retry_ms);
}

static void on_again(struct timer *timer)
{
    struct redis_told *t = list_entry(timer, struct redis_told, refused);

    t->watch->on_settings_refused(t->watch->arg);
    redis_told_read_all(t);
}

/* {0, what is newer there}, {1, ""} */
static void on_put(void *arg, const redisReply *reply)
{
    struct redis_told *t = arg;

    if (reply && reply->type == REDIS_REPLY_ERROR)
        on_refused(t, reply);
    else if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
             reply->element[0]->integer == 0)
        learn(t->watch, reply->element[1]);
}

void redis_told_put(struct redis_told *t, const struct cluster_setting *setting)
{
    struct cluster_settings head = {0};
    struct buf_writer value;
    char version[24];

    snprintf(version, sizeof version, "%" PRIu64, setting->version);
    buf_writer_init(&value, MAX_BYTES);
    cluster_settings_begin(&head, &value);
    cluster_settings_add(setting, true, &value);
    cluster_settings_end(&value);
    if (buf_writer_status(&value) == E_OK) /* while the link is down: it is read again after */
        (void)redis_link_command(
            t->link, on_put, t,
            "EVAL %s 3 " REDIS_SET_PREFIX "%s " REDIS_SETS " " REDIS_EVENTS " %s %s %s %b %s %s",
            k_redis_set, setting->kind, setting->id, version, setting->origin, value.data,
            value.used_bytes, setting->kind, redis_log_self(t->log));
    buf_writer_fini(&value);
}

void redis_told_drop(struct redis_told *t, const struct cluster_setting *setting)
{
    char version[24];

    snprintf(version, sizeof version, "%" PRIu64, setting->version);
    (void)redis_link_command(t->link, NULL, NULL, "EVAL %s 1 " REDIS_SET_PREFIX "%s %s %s",
                             k_redis_unset, setting->kind, setting->id, version);
}

/* --- reading all of them --- */

struct scanning { /* one kind */
    struct redis_told *told;
    char kind[CLUSTER_KIND_SIZE];
};

static void asked(struct redis_told *t, bool is_sent)
{
    t->n_reading += is_sent;
}

static void answered(struct redis_told *t)
{
    if (t->n_reading && --t->n_reading == 0)
        t->watch->on_settings_read(t->watch->arg);
}

static void on_scan(void *arg, const redisReply *reply);

/* Takes scanning. */
static void scan(struct scanning *scanning, const char *cursor)
{
    bool is_sent = redis_link_command(scanning->told->link, on_scan, scanning,
                                      "HSCAN " REDIS_SET_PREFIX "%s %s COUNT %d", scanning->kind,
                                      cursor, SCAN_BATCH);

    asked(scanning->told, is_sent);
    if (!is_sent)
        free(scanning);
}

/* {cursor, {id, value, ...}} */
static void on_scan(void *arg, const redisReply *reply)
{
    struct scanning *scanning = arg;
    struct redis_told *t = scanning->told;
    const redisReply *pairs;

    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !reply->element[0]->str) {
        free(scanning);
        if (reply)
            answered(t);
        return;
    }
    pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2)
        learn(t->watch, pairs->element[i + 1]);
    if (strcmp(reply->element[0]->str, "0") != 0)
        scan(scanning, reply->element[0]->str);
    else
        free(scanning);
    answered(t);
}

static void on_kinds(void *arg, const redisReply *reply)
{
    struct redis_told *t = arg;

    if (!reply)
        return;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const char *kind = reply->element[i]->str;
        struct scanning *scanning =
            kind && cluster_kind_is_valid(kind) ? malloc(sizeof *scanning) : NULL;

        if (!scanning)
            continue;
        scanning->told = t;
        snprintf(scanning->kind, sizeof scanning->kind, "%s", kind);
        scan(scanning, "0");
    }
    answered(t);
}

void redis_told_read_all(struct redis_told *t)
{
    asked(t, redis_link_command(t->link, on_kinds, t, "SMEMBERS " REDIS_SETS));
}

void redis_told_forget(struct redis_told *t)
{
    t->n_reading = 0;
    timer_stop(&t->refused);
}

void redis_told_init(struct redis_told *t, struct loop *loop, int64_t retry_ms,
                     const struct store_watch *watch)
{
    *t = (struct redis_told){.watch = watch, .retry_ms = retry_ms};
    timer_init(&t->refused, loop, on_again);
}
