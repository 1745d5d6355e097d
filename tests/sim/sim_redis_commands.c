/* The commands that schedulers use, and the scripts of scheduler/redis_keys.c, written in C. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/net/loop.h"
#include "scheduler/placement.h"
#include "scheduler/redis_keys.h"
#include "tests/sim/sim_redis.h"

#define OWNER_BYTES 400

/* --- RESP --- */

void sim_resp_bulk(struct buf_writer *out, const char *text)
{
    if (text)
        buf_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
    else
        buf_write_str(out, "$-1\r\n");
}

void sim_resp_array(struct buf_writer *out, size_t n)
{
    buf_printf(out, "*%zu\r\n", n);
}

static const char *word(const redisReply *words, size_t i)
{
    return i < words->elements ? words->element[i]->str : "";
}

static int64_t number(const redisReply *words, size_t i)
{
    return strtoll(word(words, i), NULL, 10);
}

static char *copy(const char *text)
{
    char *out = strdup(text);

    if (!out)
        abort();
    return out;
}

/* --- strings and the set --- */

static void write_value(struct sim_redis *redis, const char *key, const char *text, int64_t ttl_ms)
{
    struct sim_redis_write w = {.kind = SIM_REDIS_SET, .key = copy(key), .text = copy(text)};

    w.expires_us = ttl_ms ? sim_redis_wall_us(redis) + ttl_ms * 1000 : INT64_MAX;
    sim_redis_write(redis, &w);
}

static void delete_key(struct sim_redis *redis, const char *key)
{
    struct sim_redis_write w = {.kind = SIM_REDIS_DEL, .key = copy(key)};

    sim_redis_write(redis, &w);
}

static void cmd_get(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    sim_resp_bulk(out, sim_redis_get(redis, word(words, 1)));
}

/* SET key value [NX] [PX ms] */
static void cmd_set(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    int64_t ttl_ms = 0;
    bool only_new = false;

    for (size_t i = 3; i < words->elements; i++) {
        only_new |= strcmp(word(words, i), "NX") == 0;
        if (strcmp(word(words, i), "PX") == 0)
            ttl_ms = number(words, i + 1);
    }
    if (only_new && sim_redis_get(redis, word(words, 1))) {
        buf_write_str(out, "$-1\r\n");
        return;
    }
    write_value(redis, word(words, 1), word(words, 2), ttl_ms);
    buf_write_str(out, "+OK\r\n");
}

static void cmd_mget(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    sim_resp_array(out, words->elements - 1);
    for (size_t i = 1; i < words->elements; i++)
        sim_resp_bulk(out, sim_redis_get(redis, word(words, i)));
}

static void cmd_del(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    delete_key(redis, word(words, 1));
    buf_write_str(out, ":1\r\n");
}

static void change_set(struct sim_redis *redis, const redisReply *words,
                       enum sim_redis_write_kind kind, struct buf_writer *out)
{
    struct sim_redis_write w = {.kind = kind, .text = copy(word(words, 2))};

    if (strcmp(word(words, 1), REDIS_NODES) != 0)
        sim_fail("simulation", "", "no set %s is simulated", word(words, 1));
    sim_redis_write(redis, &w);
    buf_write_str(out, ":1\r\n");
}

static void cmd_sadd(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    change_set(redis, words, SIM_REDIS_SADD, out);
}

static void cmd_srem(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    change_set(redis, words, SIM_REDIS_SREM, out);
}

static void cmd_smembers(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    struct map_cursor cursor = {0};
    const char *id;
    void *value;

    if (strcmp(word(words, 1), "hw:nodes") != 0) { /* nobody tells settings here */
        sim_resp_array(out, 0);
        return;
    }
    sim_resp_array(out, sim_redis_db(redis)->ids.n_entries);
    while (map_next(&sim_redis_db(redis)->ids, &cursor, &id, &value))
        sim_resp_bulk(out, id);
}

/* SCAN 0 MATCH hw:stream:* COUNT n: everything at once. */
static void cmd_scan(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    size_t prefix_bytes = strlen(word(words, 3)) - 1, n = 0;
    struct map_cursor cursor = {0};
    struct buf_writer keys;
    const char *key;
    void *value;

    buf_writer_init(&keys, SIZE_MAX);
    while (map_next(&sim_redis_db(redis)->keys, &cursor, &key, &value)) {
        if (strncmp(key, word(words, 3), prefix_bytes) != 0 || !sim_redis_get(redis, key))
            continue;
        sim_resp_bulk(&keys, key);
        n++;
    }
    sim_resp_array(out, 2);
    sim_resp_bulk(out, "0");
    sim_resp_array(out, n);
    buf_write_view(out, buf_writer_view(&keys));
    buf_writer_fini(&keys);
}

/* --- the stream --- */

static void put_entry(const struct sim_redis_entry *entry, struct buf_writer *out)
{
    char id[48];

    snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, entry->ms, entry->number);
    sim_resp_array(out, 2);
    sim_resp_bulk(out, id);
    sim_resp_array(out, entry->words->elements - entry->first_field);
    for (size_t i = entry->first_field; i < entry->words->elements; i++)
        sim_resp_bulk(out, entry->words->element[i]->str);
}

/* XADD hw:events MAXLEN ~ n * field value ... Takes *words. */
static void cmd_xadd(struct sim_redis *redis, redisReply **words, struct buf_writer *out)
{
    struct sim_redis_db *db = sim_redis_db(redis);
    struct sim_redis_write w = {.kind = SIM_REDIS_XADD, .first_field = 2};
    char id[48];

    while (strcmp(word(*words, w.first_field), "*") != 0)
        w.first_field++;
    w.first_field++;
    w.ms = (uint64_t)(sim_redis_wall_us(redis) / 1000);
    if (w.ms <= db->last_ms) {
        w.ms = db->last_ms;
        w.number = db->last_number + 1;
    }
    snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, w.ms, w.number);
    w.words = *words;
    *words = NULL;
    sim_redis_write(redis, &w);
    sim_resp_bulk(out, id);
}

/* XREVRANGE hw:events + - COUNT 1 */
static void cmd_xrevrange(struct sim_redis *redis, redisReply *words, struct buf_writer *out)
{
    struct list *log = &sim_redis_db(redis)->log;

    (void)words;
    if (list_is_empty(log)) {
        sim_resp_array(out, 0);
        return;
    }
    sim_resp_array(out, 1);
    put_entry(list_entry(log->prev, struct sim_redis_entry, node), out);
}

static bool is_after(const struct sim_redis_entry *entry, const struct sim_redis_wait *wait)
{
    return entry->ms != wait->ms ? entry->ms > wait->ms : entry->number > wait->number;
}

bool sim_redis_read(struct sim_redis *redis, const struct sim_redis_wait *wait,
                    struct buf_writer *out)
{
    struct list *log = &sim_redis_db(redis)->log, *node = log->prev;
    size_t n = 0;

    for (; node != log && is_after(list_entry(node, struct sim_redis_entry, node), wait);
         node = node->prev)
        n++; /* from the end: a log of a million entries is read as it grows */
    if (!n)
        return false;
    n = n < wait->count ? n : wait->count;
    sim_resp_array(out, 1);
    sim_resp_array(out, 2);
    sim_resp_bulk(out, REDIS_EVENTS);
    sim_resp_array(out, n);
    for (node = node->next; n; node = node->next, n--)
        put_entry(list_entry(node, struct sim_redis_entry, node), out);
    return true;
}

/* XREAD COUNT n BLOCK ms STREAMS hw:events id */
static bool cmd_xread(struct sim_redis *redis, const redisReply *words, struct buf_writer *out,
                      struct sim_redis_wait *wait)
{
    const char *id = word(words, 7);
    char *end;

    wait->count = (size_t)number(words, 2);
    wait->block_ms = number(words, 4);
    wait->ms = strtoull(id, &end, 10);
    wait->number = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
    return sim_redis_read(redis, wait, out);
}

/* --- scripts --- */

struct owner { /* what a stream key says; "" and 0 = nobody */
    char node[80], instance[24], epoch_text[24], run[24];
    double epoch; /* as in Lua */
};

/* LUA_READ: a value that is no owner counts as absent. *cur is lent. */
static struct owner read_owner(struct sim_redis *redis, const char *key, const char **cur)
{
    struct owner own = {.epoch_text = "0"};
    const char *node, *instance, *epoch, *run;
    json_t *root;

    *cur = sim_redis_get(redis, key);
    root = *cur ? json_loads(*cur, 0, NULL) : NULL;
    node = json_string_value(json_object_get(root, "node"));
    instance = json_string_value(json_object_get(root, "instance"));
    epoch = json_string_value(json_object_get(root, "epoch"));
    run = json_string_value(json_object_get(root, "run"));
    if (node && instance && epoch) {
        snprintf(own.node, sizeof own.node, "%s", node);
        snprintf(own.instance, sizeof own.instance, "%s", instance);
        snprintf(own.epoch_text, sizeof own.epoch_text, "%s", epoch);
        snprintf(own.run, sizeof own.run, "%s", run ? run : "0");
        own.epoch = strtod(epoch, NULL);
    } else {
        *cur = "";
    }
    json_decref(root);
    return own;
}

/* EVAL script n key... argument...: argument i, from 1 on as in Lua. */
static const char *arg(const redisReply *words, size_t i)
{
    return word(words, 2 + (size_t)number(words, 2) + i);
}

static bool is_same(const struct owner *own, const redisReply *words)
{
    return strcmp(own->node, arg(words, 1)) == 0 && strcmp(own->instance, arg(words, 2)) == 0;
}

static void answer(struct buf_writer *out, int ok, const char *value)
{
    sim_resp_array(out, 2);
    buf_printf(out, ":%d\r\n", ok);
    sim_resp_bulk(out, value);
}

/* Lua's write(): value is what it returns. */
static void write_owner(struct sim_redis *redis, const redisReply *words, const struct owner *own,
                        const char *epoch, const char *run, const char *ttl_ms,
                        char value[OWNER_BYTES])
{
    if (strcmp(run, "0") == 0 && is_same(own, words) && *own->run)
        run = own->run;
    snprintf(value, OWNER_BYTES,
             "{\"node\":\"%s\",\"instance\":\"%s\",\"epoch\":\"%s\",\"run\":\"%s\"}", arg(words, 1),
             arg(words, 2), epoch, run);
    write_value(redis, word(words, 3), value, strtoll(ttl_ms, NULL, 10));
}

static double max(double a, double b)
{
    return a > b ? a : b;
}

/* The epoch rule of proto/cluster/epoch.h: hw:epoch has the last one given here, and in which
 * history.
 */
static double next_epoch(struct sim_redis *redis, const redisReply *words, double stored)
{
    const char *record = sim_redis_get(redis, word(words, 4));
    char history[24], text[64], in[24] = "";
    double last = 0, seen = max(stored, strtod(arg(words, 4), NULL)), next;

    snprintf(history, sizeof history, "%" PRIx64, sim_redis_history(redis));
    if (record)
        (void)sscanf(record, "%lf %23s", &last, in);
    next = max((double)sim_redis_wall_us(redis), last + 1);
    if (strcmp(in, history) != 0 || seen > last)
        next = max(next, seen + 1) + strtod(arg(words, 6), NULL);
    snprintf(text, sizeof text, "%.0f %s", next, history);
    write_value(redis, word(words, 4), text, 0);
    return next;
}

/* node instance known_epoch highest_epoch ttl_ms leap run; keys: the stream's, hw:epoch */
static void script_claim(struct sim_redis *redis, const redisReply *words, struct buf_writer *out)
{
    const char *cur;
    struct owner own = read_owner(redis, word(words, 3), &cur);
    char epoch[32], value[OWNER_BYTES];

    if (own.epoch > strtod(arg(words, 3), NULL) && !is_same(&own, words)) {
        answer(out, 0, cur);
        return;
    }
    snprintf(epoch, sizeof epoch, "%.0f", next_epoch(redis, words, own.epoch));
    write_owner(redis, words, &own, epoch, arg(words, 7), arg(words, 5), value);
    answer(out, 1, value);
}

/* node instance epoch */
static void script_release(struct sim_redis *redis, const redisReply *words, struct buf_writer *out)
{
    const char *cur;
    struct owner own = read_owner(redis, word(words, 3), &cur);
    char *was;

    if (!is_same(&own, words) || own.epoch > strtod(arg(words, 3), NULL)) {
        answer(out, 0, cur);
        return;
    }
    was = copy(cur);
    delete_key(redis, word(words, 3));
    answer(out, 1, was);
    free(was);
}

/* node instance epoch ttl_ms run; the answer has the value before */
static void script_refresh(struct sim_redis *redis, const redisReply *words, struct buf_writer *out)
{
    const char *cur;
    struct owner own = read_owner(redis, word(words, 3), &cur);
    double mine = strtod(arg(words, 3), NULL);
    char value[OWNER_BYTES], *was;

    if (own.epoch > mine || (own.epoch == mine && strcmp(own.node, arg(words, 1)) > 0)) {
        answer(out, 0, cur);
        return;
    }
    was = copy(cur);
    write_owner(redis, words, &own, arg(words, 3), arg(words, 5), arg(words, 4), value);
    answer(out, 1, was);
    free(was);
}

/* Keys: of a node, hw:nodes. */
static void script_unlist(struct sim_redis *redis, const redisReply *words, struct buf_writer *out)
{
    struct sim_redis_write w = {.kind = SIM_REDIS_SREM};
    bool is_there = sim_redis_get(redis, word(words, 3)) != NULL;

    if (!is_there) {
        w.text = copy(arg(words, 1));
        sim_redis_write(redis, &w);
    }
    buf_printf(out, ":%d\r\n", !is_there);
}

/* The Lua text that each function was written from: another text is another function. */
static const struct {
    const char *text;
    uint64_t hash; /* placement_hash() of text */
    void (*run)(struct sim_redis *redis, const redisReply *words, struct buf_writer *out);
} k_scripts[] = {
    {k_redis_claim, 0x9183b3492b6dee88, script_claim},
    {k_redis_release, 0xe703a2b5ae7e7559, script_release},
    {k_redis_refresh, 0xbdeaa2383da73a05, script_refresh},
    {k_redis_unlist, 0x3b894d5289e2e52f, script_unlist},
};

void sim_redis_eval(struct sim_redis *redis, const redisReply *words, struct buf_writer *out)
{
    for (size_t i = 0; i < sizeof k_scripts / sizeof k_scripts[0]; i++) {
        if (strcmp(word(words, 1), k_scripts[i].text) != 0)
            continue;
        if (placement_hash(k_scripts[i].text) != k_scripts[i].hash)
            sim_fail("simulation", "",
                     "script %zu of scheduler/redis_keys.c has changed (hash 0x%016" PRIx64
                     "): bring tests/sim/sim_redis_commands.c up to date",
                     i, placement_hash(k_scripts[i].text));
        k_scripts[i].run(redis, words, out);
        return;
    }
    sim_fail("simulation", "", "an unknown script: %.60s", word(words, 1));
}

/* --- the table --- */

static const struct {
    const char *name;
    void (*run)(struct sim_redis *redis, redisReply *words, struct buf_writer *out);
} k_commands[] = {
    {"GET", cmd_get},
    {"SET", cmd_set},
    {"MGET", cmd_mget},
    {"DEL", cmd_del},
    {"SADD", cmd_sadd},
    {"SREM", cmd_srem},
    {"SMEMBERS", cmd_smembers},
    {"SCAN", cmd_scan},
    {"XREVRANGE", cmd_xrevrange},
    {"EVAL", NULL},
    {"XADD", NULL},
    {"XREAD", NULL},
};
#define N_COMMANDS (sizeof k_commands / sizeof k_commands[0])
_Static_assert(N_COMMANDS <= sizeof((struct sim_redis_count *)0)->n_by_kind / sizeof(uint64_t),
               "a counter for each command");

const char *sim_redis_kind(unsigned i)
{
    return i < N_COMMANDS ? k_commands[i].name : NULL;
}

bool sim_redis_command(struct sim_redis *redis, redisReply **words, struct buf_writer *out,
                       struct sim_redis_wait *wait)
{
    size_t i = 0;

    while (i < N_COMMANDS && strcmp(k_commands[i].name, word(*words, 0)) != 0)
        i++;
    if (i == N_COMMANDS) {
        sim_fail("simulation", "", "no command %s is simulated", word(*words, 0));
        buf_write_str(out, "-ERR unknown command\r\n");
        return true;
    }
    sim_redis_count.n_by_kind[i]++;
    if (k_commands[i].run)
        k_commands[i].run(redis, *words, out);
    else if (strcmp(k_commands[i].name, "EVAL") == 0)
        sim_redis_eval(redis, *words, out);
    else if (strcmp(k_commands[i].name, "XADD") == 0)
        cmd_xadd(redis, words, out);
    else
        return cmd_xread(redis, *words, out, wait);
    return true;
}
