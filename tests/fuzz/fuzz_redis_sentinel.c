/* links: scheduler
 * What sentinels say, one line each: "a" an answer, "m" a message, "e" an answer that is an error,
 * with
 * "|" before each of its texts ("~" is nil); "f" the sentinel failed, "d" its master is doubted. */
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "scheduler/redis_sentinel.h"

#define MAX_TEXTS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* As hiredis makes it: a block for each text, with a zero behind. */
static redisReply *make_text(struct buf_view text)
{
    redisReply *reply = calloc(1, sizeof *reply);

    require(reply != NULL);
    reply->type = buf_view_equals(text, "~") ? REDIS_REPLY_NIL : REDIS_REPLY_STRING;
    if (reply->type == REDIS_REPLY_NIL)
        return reply;
    reply->str = malloc(text.size_bytes + 1);
    require(reply->str != NULL);
    if (text.size_bytes)
        memcpy(reply->str, text.data, text.size_bytes);
    reply->str[text.size_bytes] = '\0';
    reply->len = text.size_bytes;
    return reply;
}

static void free_texts(redisReply *reply)
{
    for (size_t i = 0; i < reply->elements; i++) {
        free(reply->element[i]->str);
        free(reply->element[i]);
    }
    free(reply->element);
}

/* The texts of a line, each after a "|". */
static redisReply make_texts(struct buf_view rest)
{
    redisReply reply = {.type = REDIS_REPLY_ARRAY};
    redisReply *found[MAX_TEXTS];

    while (rest.size_bytes && rest.data[0] == '|' && reply.elements < MAX_TEXTS) {
        const uint8_t *text = rest.data + 1, *end;
        size_t left = rest.size_bytes - 1;

        end = left ? memchr(text, '|', left) : NULL;
        if (!end)
            end = text + left;
        found[reply.elements++] = make_text(buf_view_of(text, (size_t)(end - text)));
        rest = buf_view_of(end, left - (size_t)(end - text));
    }
    reply.element = malloc(reply.elements ? reply.elements * sizeof found[0] : 1);
    require(reply.element != NULL);
    memcpy(reply.element, found, reply.elements * sizeof found[0]);
    return reply;
}

static bool is_same(const struct redis_place *a, const struct redis_place *b)
{
    return a->port == b->port && !strcmp(a->host, b->host);
}

static void hear(struct redis_sentinels *s, char kind, struct buf_view rest)
{
    redisReply reply = make_texts(rest);
    struct redis_place before = s->master;
    enum redis_sentinels_state state = s->state;
    enum redis_sentinels_said said;

    if (kind == 'e') {
        redisReply *text = reply.elements ? reply.element[0] : NULL;
        redisReply error = {.type = REDIS_REPLY_ERROR, .str = text ? text->str : NULL};

        said = redis_sentinels_answer(s, &error);
        require(said == REDIS_SENTINELS_USELESS);
    } else if (kind == 'a') {
        said = redis_sentinels_answer(s, &reply);
        require(said != REDIS_SENTINELS_NOTHING);
    } else {
        said = redis_sentinels_message(s, &reply);
        require(said != REDIS_SENTINELS_USELESS && s->state == state);
    }
    require((said == REDIS_SENTINELS_MOVED) == !is_same(&before, &s->master));
    if (said == REDIS_SENTINELS_SAME || said == REDIS_SENTINELS_MOVED)
        require(s->master.host[0] && s->master.port >= 1 && s->master.port <= 65535);
    free_texts(&reply);
}

static void say_line(struct redis_sentinels *s, struct buf_view line)
{
    char kind = line.size_bytes ? (char)line.data[0] : 'x';
    const struct redis_place *before = redis_sentinels_current(s);
    enum redis_sentinels_state state = s->state;

    if (kind == 'a' || kind == 'm' || kind == 'e') {
        hear(s, kind, buf_view_of(line.data + 1, line.size_bytes - 1));
        require(redis_sentinels_current(s) == before);
    } else if (kind == 'f') {
        redis_sentinels_failed(s);
        require(s->state == REDIS_SENTINELS_ASKED && redis_sentinels_current(s) != before);
    } else if (kind == 'd') {
        require(redis_sentinels_doubted(s) == (state == REDIS_SENTINELS_TOLD));
        require((redis_sentinels_current(s) != before) == (state == REDIS_SENTINELS_TOLD));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const k_places[] = {"10.0.0.1:5001", "sentinel-2", "[::1]:5003"};
    struct redis_sentinels s;
    const char *why;

    require(redis_sentinels_init(&s, k_places, 3, "m1", &why) == E_OK);
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;

        say_line(&s, buf_view_of(data, n));
        n += end != NULL;
        data += n;
        size -= n;
    }
    return 0;
}
