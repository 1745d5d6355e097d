/* Stream keys in Redis. */
#include "scheduler/redis_streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "proto/cluster/epoch.h"
#include "scheduler/redis_keys.h"

#define REFRESH_BATCH 200 /* writes a slice: below 2 ms */
#define REFRESH_PAUSE_MS 2
#define SCAN_BATCH 200
#define KEY_SIZE (sizeof REDIS_STREAM_PREFIX + STREAM_NAME_SIZE)
#define NUMBER_SIZE 24

struct refresh { /* waiting for its slice, then for its answer */
    struct list node;
    struct redis_streams *streams;
    struct stream_name name;
    struct store_owner owner;
};

struct asked { /* one call with an answer */
    store_done *done;
    void *arg;
};

static const char *key_of(const struct stream_name *name, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, REDIS_STREAM_PREFIX "%s", name->text);
    return key;
}

static const char *number_of(uint64_t value, char text[NUMBER_SIZE])
{
    snprintf(text, NUMBER_SIZE, "%" PRIu64, value);
    return text;
}

static void say(store_done *done, void *arg, enum err e)
{
    done(arg, e, &(struct store_owner){0});
}

/* Answer of a script: {1 or 0, value}. */
static void on_script(void *arg, const redisReply *reply)
{
    struct asked *asked = arg;
    struct store_owner owner = {0};
    enum err e = E_IO;

    if (!reply) {
        e = E_CLOSED;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        log_warn("redis", "msg=\"script refused\" reason=%s", LOG_STR(reply->str));
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        bool known = redis_owner_parse(reply->element[1], &owner);

        e = !known ? E_NOT_FOUND : reply->element[0]->integer == 1 ? E_OK : E_STALE;
    }
    asked->done(asked->arg, e, &owner);
    free(asked);
}

static void on_get(void *arg, const redisReply *reply)
{
    struct asked *asked = arg;
    struct store_owner owner = {0};
    enum err e = reply ? E_IO : E_CLOSED;

    if (reply && reply->type == REDIS_REPLY_NIL)
        e = E_NOT_FOUND;
    else if (reply && redis_owner_parse(reply, &owner))
        e = E_OK;
    asked->done(asked->arg, e, &owner);
    free(asked);
}

/* NULL, and done() was told, when the call cannot be made. */
static struct asked *ask(const struct redis_streams *s, store_done *done, void *arg)
{
    struct asked *asked = redis_link_is_up(s->link) ? malloc(sizeof *asked) : NULL;

    if (asked)
        *asked = (struct asked){done, arg};
    else
        say(done, arg, E_IO);
    return asked;
}

static void check_sent(struct asked *asked, bool sent)
{
    if (sent)
        return;
    say(asked->done, asked->arg, E_IO);
    free(asked);
}

void redis_streams_claim(struct redis_streams *s, const struct store_claim *claim, store_done *done,
                         void *arg)
{
    struct asked *asked = ask(s, done, arg);
    char key[KEY_SIZE], instance[NUMBER_SIZE], known[NUMBER_SIZE], highest[NUMBER_SIZE],
        leap[NUMBER_SIZE], run[NUMBER_SIZE];

    if (asked)
        check_sent(asked,
                   redis_link_command(
                       s->link, on_script, asked,
                       "EVAL %s 2 %s " REDIS_EPOCH " %s %s %s %s %s %s %s", k_redis_claim,
                       key_of(&claim->name, key), claim->node, number_of(claim->instance, instance),
                       number_of(claim->known_epoch, known),
                       number_of(claim->highest_epoch, highest), REDIS_STREAM_TTL_MS,
                       number_of(epoch_leap(random_u64()), leap), number_of(claim->run, run)));
}

/* What waits to be written for a stream that is given up now must not be written after it. */
static void drop_refreshes_of(struct redis_streams *s, const struct stream_name *name)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &s->refreshes) {
        struct refresh *item = list_entry(at, struct refresh, node);

        if (strcmp(item->name.text, name->text) != 0)
            continue;
        list_remove(at);
        free(item);
    }
}

void redis_streams_release(struct redis_streams *s, const struct stream_name *name,
                           const struct store_owner *owner, store_done *done, void *arg)
{
    struct asked *asked = ask(s, done, arg);
    char key[KEY_SIZE], instance[NUMBER_SIZE], epoch[NUMBER_SIZE];

    if (!asked)
        return;
    drop_refreshes_of(s, name);
    check_sent(asked, redis_link_command(s->link, on_script, asked, "EVAL %s 1 %s %s %s %s",
                                         k_redis_release, key_of(name, key), owner->node,
                                         number_of(owner->instance, instance),
                                         number_of(owner->epoch, epoch)));
}

void redis_streams_lookup(struct redis_streams *s, const struct stream_name *name, store_done *done,
                          void *arg)
{
    struct asked *asked = ask(s, done, arg);

    if (asked)
        check_sent(asked, redis_link_command(s->link, on_get, asked,
                                             "GET " REDIS_STREAM_PREFIX "%s", name->text));
}

static bool is_same(const struct store_owner *a, const struct store_owner *b)
{
    return a->epoch == b->epoch && a->instance == b->instance && strcmp(a->node, b->node) == 0;
}

static void on_refreshed(void *arg, const redisReply *reply)
{
    struct refresh *item = arg;
    struct redis_streams *s = item->streams;
    struct store_event event = {.type = CLUSTER_EVENT_PUBLISHED, .name = item->name};
    bool is_answer = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    bool had_owner = is_answer && redis_owner_parse(reply->element[1], &event.owner);

    if (is_answer && reply->element[0]->integer == 1 && !is_same(&event.owner, &item->owner)) {
        event.owner = item->owner;
        s->announce(s->arg, &event);
    } else if (had_owner && reply->element[0]->integer == 0) {
        event.is_old = true;
        s->watch->on_event(s->watch->arg, &event);
    }
    free(item);
}

/* Takes item. */
static void send_refresh(struct refresh *item)
{
    struct redis_streams *s = item->streams;
    const struct store_owner *owner = &item->owner;
    char key[KEY_SIZE], instance[NUMBER_SIZE], epoch[NUMBER_SIZE], run[NUMBER_SIZE];

    s->n_slice++;
    if (!redis_link_command(s->link, on_refreshed, item, "EVAL %s 1 %s %s %s %s %s %s",
                            k_redis_refresh, key_of(&item->name, key), owner->node,
                            number_of(owner->instance, instance), number_of(owner->epoch, epoch),
                            REDIS_STREAM_TTL_MS, number_of(owner->run, run)))
        free(item);
}

/* A few are sent at once, in order with the calls around them; the rest of a long report waits for
 * its slices. */
void redis_streams_refresh(struct redis_streams *s, const struct stream_name *name,
                           const struct store_owner *owner)
{
    /* while the link is down: a later full report brings it again */
    struct refresh *item = redis_link_is_up(s->link) ? malloc(sizeof *item) : NULL;

    if (!item)
        return;
    *item = (struct refresh){.streams = s, .name = *name, .owner = *owner};
    if (!timer_is_armed(&s->drain)) {
        s->n_slice = 0;
        timer_start_ms(&s->drain, REFRESH_PAUSE_MS);
    }
    if (s->n_slice < REFRESH_BATCH && list_is_empty(&s->refreshes))
        send_refresh(item);
    else
        list_push_back(&s->refreshes, &item->node);
}

static void on_drain(struct timer *timer)
{
    struct redis_streams *s = list_entry(timer, struct redis_streams, drain);
    struct list *at;

    s->n_slice = 0;
    while (s->n_slice < REFRESH_BATCH && (at = list_pop_front(&s->refreshes)))
        send_refresh(list_entry(at, struct refresh, node));
    if (!list_is_empty(&s->refreshes))
        timer_start_ms(timer, REFRESH_PAUSE_MS);
}

/* --- reading all of them --- */

struct reading { /* one MGET of a SCAN */
    struct redis_streams *streams;
    size_t n_names;
    struct stream_name names[];
};

static void on_values(void *arg, const redisReply *reply)
{
    struct reading *batch = arg;
    const struct store_watch *watch = batch->streams->watch;

    for (size_t i = 0;
         reply && reply->type == REDIS_REPLY_ARRAY && i < batch->n_names && i < reply->elements;
         i++) {
        struct store_event event = {
            .type = CLUSTER_EVENT_PUBLISHED, .name = batch->names[i], .is_old = true};

        if (redis_owner_parse(reply->element[i], &event.owner))
            watch->on_event(watch->arg, &event);
    }
    free(batch);
}

/* True when the key names a stream. */
static bool name_of_key(const redisReply *key, struct stream_name *out)
{
    const size_t prefix_bytes = sizeof REDIS_STREAM_PREFIX - 1;
    char path[STREAM_NAME_SIZE + 1];
    const char *why;

    if (!key->str || key->len <= prefix_bytes || key->len - prefix_bytes >= STREAM_NAME_SIZE)
        return false;
    snprintf(path, sizeof path, "/%s", key->str + prefix_bytes);
    return stream_name_from_path(out, buf_view_str(path), &why) == E_OK;
}

static void read_values(struct redis_streams *s, const redisReply *keys)
{
    struct reading *batch = calloc(1, sizeof *batch + keys->elements * sizeof batch->names[0]);
    const char **words = calloc(keys->elements + 1, sizeof *words);
    bool sent = false;

    for (size_t i = 0; batch && words && i < keys->elements; i++)
        if (name_of_key(keys->element[i], &batch->names[batch->n_names]))
            words[++batch->n_names] = keys->element[i]->str;
    if (batch && words && batch->n_names) {
        batch->streams = s;
        words[0] = "MGET";
        sent = redis_link_command_argv(s->link, on_values, batch, (int)batch->n_names + 1, words);
    }
    free(words);
    if (!sent)
        free(batch);
}

static void on_scan(void *arg, const redisReply *reply);

static void scan(struct redis_streams *s, const char *cursor)
{
    s->is_scanning = redis_link_command(
        s->link, on_scan, s, "SCAN %s MATCH " REDIS_STREAM_PREFIX "* COUNT %d", cursor, SCAN_BATCH);
}

static void on_scan(void *arg, const redisReply *reply)
{
    struct redis_streams *s = arg;

    s->is_scanning = false;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !reply->element[0]->str)
        return;
    if (reply->element[1]->elements)
        read_values(s, reply->element[1]);
    if (strcmp(reply->element[0]->str, "0") != 0)
        scan(s, reply->element[0]->str);
}

void redis_streams_read_all(struct redis_streams *s)
{
    if (!s->is_scanning)
        scan(s, "0");
}

void redis_streams_init(struct redis_streams *s, struct loop *loop, const struct store_watch *watch,
                        void (*announce)(void *arg, const struct store_event *event), void *arg)
{
    *s = (struct redis_streams){.watch = watch, .announce = announce, .arg = arg};
    list_init(&s->refreshes);
    timer_init(&s->drain, loop, on_drain);
}

void redis_streams_forget(struct redis_streams *s)
{
    struct list *at;

    while ((at = list_pop_front(&s->refreshes)))
        free(list_entry(at, struct refresh, node));
    s->is_scanning = false;
}

void redis_streams_fini(struct redis_streams *s)
{
    timer_stop(&s->drain);
    redis_streams_forget(s);
}
