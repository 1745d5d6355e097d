/* Which sentinel is asked, and what it says. */
#include "scheduler/redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/addr.h"

#define SENTINEL_PORT 26379

enum err redis_sentinels_init(struct redis_sentinels *s, const char *const *places, size_t n_places,
                              const char *name, const char **why)
{
    *s = (struct redis_sentinels){.n_places = n_places};
    *why = "expected 1 to 16 sentinels";
    if (n_places == 0 || n_places > REDIS_MAX_SENTINELS)
        return E_INVAL;
    *why = "expected the name that the sentinels know the master by";
    if (!*name || strlen(name) >= sizeof s->name)
        return E_INVAL;
    memcpy(s->name, name, strlen(name) + 1);
    *why = "expected host:port of each sentinel";
    for (size_t i = 0; i < n_places; i++)
        if (addr_split(places[i], s->places[i].host, sizeof s->places[i].host, &s->places[i].port,
                       SENTINEL_PORT) != E_OK)
            return E_INVAL;
    return E_OK;
}

const struct redis_place *redis_sentinels_current(const struct redis_sentinels *s)
{
    return &s->places[s->at];
}

static bool parse_place(struct redis_place *out, const char *host, const char *port)
{
    char *end = NULL;
    unsigned long value = strtoul(port, &end, 10);

    if (!*host || strlen(host) >= sizeof out->host || *port < '0' || *port > '9' || *end ||
        value == 0 || value > 65535)
        return false;
    *out = (struct redis_place){.port = (unsigned)value};
    memcpy(out->host, host, strlen(host) + 1);
    return true;
}

static enum redis_sentinels_said learn(struct redis_sentinels *s, const struct redis_place *master)
{
    bool is_same = s->master.port == master->port && strcmp(s->master.host, master->host) == 0;

    s->master = *master;
    return is_same ? REDIS_SENTINELS_SAME : REDIS_SENTINELS_MOVED;
}

static const char *text_of(const redisReply *reply, size_t i)
{
    return reply->type == REDIS_REPLY_ARRAY && i < reply->elements && reply->element[i]->str
               ? reply->element[i]->str
               : "";
}

enum redis_sentinels_said redis_sentinels_answer(struct redis_sentinels *s, const redisReply *reply)
{
    struct redis_place master;

    if (!parse_place(&master, text_of(reply, 0), text_of(reply, 1)))
        return REDIS_SENTINELS_USELESS;
    if (s->state == REDIS_SENTINELS_TOLD)
        s->n_failures = 0; /* it stays: one that answers once and goes is no better than none */
    s->state = REDIS_SENTINELS_TOLD;
    return learn(s, &master);
}

/* {"message", "+switch-master", "<name> <old ip> <old port> <new ip> <new port>"} */
enum redis_sentinels_said redis_sentinels_message(struct redis_sentinels *s,
                                                  const redisReply *reply)
{
    char words[5][256];
    struct redis_place master;

    if (strcmp(text_of(reply, 0), "message") != 0 ||
        sscanf(text_of(reply, 2), "%255s %255s %255s %255s %255s", words[0], words[1], words[2],
               words[3], words[4]) != 5 ||
        strcmp(words[0], s->name) != 0 || !parse_place(&master, words[3], words[4]))
        return REDIS_SENTINELS_NOTHING;
    return learn(s, &master);
}

static void next_one(struct redis_sentinels *s)
{
    s->at = (s->at + 1) % s->n_places;
    s->state = REDIS_SENTINELS_ASKED;
}

void redis_sentinels_failed(struct redis_sentinels *s)
{
    s->n_failures++;
    next_one(s);
}

bool redis_sentinels_doubted(struct redis_sentinels *s)
{
    if (s->state != REDIS_SENTINELS_TOLD)
        return false;
    next_one(s);
    return true;
}
