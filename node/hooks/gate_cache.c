/* See gate_cache.h. Most answers just allow: those need no more than their key. */
#include "node/hooks/gate_cache.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct list node;
    int64_t until_us;
    size_t bytes;
    struct gate_answer *answer; /* owned; NULL = allowed, and nothing else */
    char key[];
};

/* It allows, and says nothing more. */
static bool is_plain(const struct gate_answer *answer)
{
    const struct publish_options *o = &answer->options, none = PUBLISH_OPTIONS_NONE;

    return answer->verdict == GATE_ALLOW && o->duplicate == none.duplicate &&
           o->ingress_bps == none.ingress_bps && o->record == none.record;
}

static void drop(struct gate_cache *c, struct entry *entry)
{
    (void)map_remove(&c->map, entry->key);
    list_remove(&entry->node);
    c->bytes -= entry->bytes;
    free(entry->answer);
    free(entry);
}

void gate_cache_init(struct gate_cache *c)
{
    *c = (struct gate_cache){.bytes = 0};
    map_init(&c->map);
    list_init(&c->used);
}

void gate_cache_fini(struct gate_cache *c)
{
    while (!list_is_empty(&c->used))
        drop(c, list_entry(c->used.next, struct entry, node));
    map_fini(&c->map);
}

bool gate_cache_get(struct gate_cache *c, const char *key, int64_t now_us, struct gate_answer *out)
{
    struct entry *entry = map_get(&c->map, key);

    if (!entry)
        return false;
    if (entry->until_us <= now_us) {
        drop(c, entry);
        return false;
    }
    list_remove(&entry->node);
    list_push_back(&c->used, &entry->node);
    *out = entry->answer
               ? *entry->answer
               : (struct gate_answer){.verdict = GATE_ALLOW, .options = PUBLISH_OPTIONS_NONE};
    return true;
}

static struct entry *entry_new(const char *key, const struct gate_answer *answer, int64_t until_us)
{
    size_t key_size = strlen(key) + 1;
    struct entry *entry = malloc(sizeof *entry + key_size);

    if (!entry)
        return NULL;
    *entry = (struct entry){.until_us = until_us, .bytes = sizeof *entry + 2 * key_size};
    list_init(&entry->node);
    memcpy(entry->key, key, key_size);
    if (is_plain(answer))
        return entry;
    entry->bytes += sizeof *answer;
    entry->answer = malloc(sizeof *answer);
    if (!entry->answer) {
        free(entry);
        return NULL;
    }
    *entry->answer = *answer;
    return entry;
}

void gate_cache_put(struct gate_cache *c, const char *key, const struct gate_answer *answer,
                    int64_t until_us)
{
    struct entry *old = map_get(&c->map, key), *entry = entry_new(key, answer, until_us);

    if (old)
        drop(c, old);
    if (!entry || map_set(&c->map, key, entry) != E_OK) {
        if (entry)
            free(entry->answer);
        free(entry);
        return;
    }
    list_push_back(&c->used, &entry->node);
    c->bytes += entry->bytes;
    while (c->map.n_entries > GATE_CACHE_MAX || c->bytes > GATE_CACHE_MAX_BYTES)
        drop(c, list_entry(c->used.next, struct entry, node));
}
