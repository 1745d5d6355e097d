/* See words.h. */
#include "node/session/words.h"

#include <stdlib.h>
#include <string.h>

#include "node/node.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

const char *words_clean_referrer(const char *referrer, char out[WORD_SIZE])
{
    const char *host = strstr(referrer, "://");
    size_t scheme = host ? (size_t)(host + 3 - referrer) : 0;
    size_t authority = scheme + strcspn(referrer + scheme, "/?#");
    size_t end = strcspn(referrer, "?#"), skip = scheme, rest;

    for (size_t i = scheme; i < authority && i < end; i++)
        if (referrer[i] == '@')
            skip = i + 1;
    if (scheme > end) /* "://" is in its query */
        scheme = skip = 0;
    scheme = least(scheme, WORD_SIZE - 1);
    rest = least(end - skip, WORD_SIZE - 1 - scheme);
    memcpy(out, referrer, scheme);
    memcpy(out + scheme, referrer + skip, rest);
    out[scheme + rest] = '\0';
    return out;
}

bool words_are_wanted(const struct node *node)
{
    return node->access_log || node->conf.http_cors_origins.n_items;
}

/* Most clients on most nodes have none. */
static bool are_said(const struct words *words)
{
    return words->referrer || words->agent || words->origin;
}

static size_t word_size(const char *text)
{
    return (text ? strnlen(text, WORD_SIZE - 1) : 0) + 1;
}

/* It is told by few, mostly by relays. */
static size_t trace_size(bool has_trace)
{
    return has_trace ? sizeof(struct trace_id) : 0;
}

size_t words_size(const struct words *words)
{
    size_t size = strlen(words->stream) + 1 + trace_size(trace_id_is_set(&words->trace));
    char clean[WORD_SIZE];

    if (!are_said(words))
        return size;
    words_clean_referrer(words->referrer ? words->referrer : "", clean);
    return size + word_size(clean) + word_size(words->agent) + word_size(words->origin);
}

/* Returns where the next one goes. */
static char *put(char *at, const char *text)
{
    size_t size = word_size(text);

    if (size > 1)
        memcpy(at, text, size - 1);
    at[size - 1] = '\0';
    return at + size;
}

void words_put(const struct words *words, struct session_info *info, char *block)
{
    size_t stream_size = strlen(words->stream) + 1;
    char clean[WORD_SIZE], *at = block + stream_size;

    memcpy(block, words->stream, stream_size);
    info->stream = block;
    info->pass.has_words = are_said(words);
    info->pass.has_trace = trace_id_is_set(&words->trace);
    if (info->pass.has_trace) {
        memcpy(at, &words->trace, sizeof words->trace);
        at += sizeof words->trace;
    }
    if (!info->pass.has_words)
        return;
    at = put(at, words_clean_referrer(words->referrer ? words->referrer : "", clean));
    at = put(at, words->agent);
    (void)put(at, words->origin);
}

char *words_make(const struct words *words, struct session_info *info)
{
    char *block = malloc(words_size(words));

    if (block)
        words_put(words, info, block);
    return block;
}

/* The n-th of what it said. */
static const char *word(const struct session_info *info, unsigned n)
{
    const char *at = info->stream;

    if (!info->pass.has_words)
        return "";
    at += strlen(at) + 1 + trace_size(info->pass.has_trace);
    for (; n > 0; n--)
        at += strlen(at) + 1;
    return at;
}

const char *words_referrer(const struct session_info *info)
{
    return word(info, 0);
}

const char *words_agent(const struct session_info *info)
{
    return word(info, 1);
}

const char *words_origin(const struct session_info *info)
{
    return word(info, 2);
}

struct trace_id words_trace(const struct session_info *info)
{
    struct trace_id trace = {0, 0};

    if (info->pass.has_trace) /* where it is not aligned */
        memcpy(&trace, info->stream + strlen(info->stream) + 1, sizeof trace);
    return trace;
}

char *words_rename(struct session_info *info, const char *stream)
{
    struct words words = {.stream = stream, .trace = words_trace(info)};

    if (info->pass.has_words) {
        words.referrer = words_referrer(info);
        words.agent = words_agent(info);
        words.origin = words_origin(info);
    }
    return words_make(&words, info);
}
