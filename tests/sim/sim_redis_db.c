/* What a Redis instance keeps, and how a write changes it. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_redis.h"

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

void sim_redis_db_init(struct sim_redis_db *db)
{
    *db = (struct sim_redis_db){0};
    map_init(&db->keys);
    map_init(&db->ids);
    list_init(&db->log);
}

static void free_value(struct sim_redis_value *value)
{
    if (value)
        free(value->text);
    free(value);
}

void sim_redis_db_clear(struct sim_redis_db *db)
{
    struct map_cursor cursor = {0};
    struct list *node;
    const char *key;
    void *value;

    while (map_next(&db->keys, &cursor, &key, &value))
        free_value(value);
    map_fini(&db->keys);
    map_fini(&db->ids);
    while ((node = list_pop_front(&db->log))) {
        struct sim_redis_entry *entry = list_entry(node, struct sim_redis_entry, node);

        freeReplyObject(entry->words);
        free(entry);
    }
    sim_redis_db_init(db);
}

static void set_value(struct sim_redis_db *db, const struct sim_redis_write *w)
{
    struct sim_redis_value *value = need(malloc(sizeof *value));

    free_value(map_remove(&db->keys, w->key));
    *value = (struct sim_redis_value){need(strdup(w->text)), w->expires_us};
    if (map_set(&db->keys, w->key, value) != E_OK)
        abort();
}

/* Takes w->words. */
static void add_entry(struct sim_redis_db *db, struct sim_redis_write *w)
{
    struct sim_redis_entry *entry = need(calloc(1, sizeof *entry));

    entry->ms = db->last_ms = w->ms;
    entry->number = db->last_number = w->number;
    entry->words = w->words;
    entry->first_field = w->first_field;
    w->words = NULL;
    list_push_back(&db->log, &entry->node);
}

void sim_redis_apply(struct sim_redis_db *db, struct sim_redis_write *w)
{
    switch (w->kind) {
    case SIM_REDIS_SET:
        set_value(db, w);
        break;
    case SIM_REDIS_DEL:
        free_value(map_remove(&db->keys, w->key));
        break;
    case SIM_REDIS_SADD:
        (void)map_set(&db->ids, w->text, &db->ids);
        break;
    case SIM_REDIS_SREM:
        (void)map_remove(&db->ids, w->text);
        break;
    case SIM_REDIS_XADD:
        add_entry(db, w);
        break;
    case SIM_REDIS_FLUSH:
        sim_redis_db_clear(db);
        break;
    }
}

void sim_redis_write_free(struct sim_redis_write *w)
{
    free(w->key);
    free(w->text);
    if (w->words)
        freeReplyObject(w->words);
    free(w);
}

redisReply *sim_redis_copy_words(const redisReply *words)
{
    redisReader *reader = need(redisReaderCreate());
    struct buf_writer text;
    void *copy = NULL;

    buf_writer_init(&text, SIZE_MAX);
    sim_resp_array(&text, words->elements);
    for (size_t i = 0; i < words->elements; i++)
        sim_resp_bulk(&text, words->element[i]->str);
    redisReaderFeed(reader, (const char *)text.data, text.used_bytes);
    redisReaderGetReply(reader, &copy);
    redisReaderFree(reader);
    buf_writer_fini(&text);
    return need(copy);
}

void sim_redis_db_copy(struct sim_redis_db *to, const struct sim_redis_db *from)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    sim_redis_db_clear(to);
    while (map_next(&from->keys, &cursor, &key, &value)) {
        const struct sim_redis_value *v = value;
        struct sim_redis_write w = {.key = need(strdup(key)), .text = v->text};

        w.expires_us = v->expires_us;
        set_value(to, &w);
        free(w.key);
    }
    cursor = (struct map_cursor){0};
    while (map_next(&from->ids, &cursor, &key, &value))
        (void)map_set(&to->ids, key, &to->ids);
    to->last_ms =
        from->last_ms; /* entries of the stream that are gone are missed by nobody here: */
    to->last_number = from->last_number; /* readers start from what they have, or from now */
}
