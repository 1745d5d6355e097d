/* What a session shows of its client: the name of its stream, and behind it, in the same block, its
 * trace, and what the client said of itself, where the node has use for it (an access log, a list
 * of CORS origins). Viewers are many: nothing is kept for nobody. */
#ifndef HW_NODE_SESSION_WORDS_H
#define HW_NODE_SESSION_WORDS_H

#include "node/stream/media_loop.h"

struct node;

#define WORD_SIZE 256 /* what is longer is cut */

struct words { /* borrowed */
    const char *stream;
    const char *referrer, *agent, *origin; /* NULL = it said nothing, or nobody wants to know */
    struct trace_id trace;                 /* zeros = it told none */
};

/* The node has use for the referrer, the agent and the origin. */
bool words_are_wanted(const struct node *node);
/* What words_put() needs. */
size_t words_size(const struct words *words);
/* Fills the block and lends it to info. Of the referrer the query is left out, as it may hold
 * secrets, and so are user and password. */
void words_put(const struct words *words, struct session_info *info, char *block);
/* Returns a block that was filled, or NULL when out of memory; pair with free(). */
char *words_make(const struct words *words, struct session_info *info);
/* The same for another name, of a session that has a stream: what info->stream was stays the
 * caller's. */
char *words_rename(struct session_info *info, const char *stream);
/* Lent as long as info->stream; "" when nothing was said, or it was not kept. */
const char *words_referrer(const struct session_info *info);
const char *words_agent(const struct session_info *info);
const char *words_origin(const struct session_info *info);
/* Zeros when none was told. */
struct trace_id words_trace(const struct session_info *info);
/* The part of a referrer that may be kept, cut; returns out. */
const char *words_clean_referrer(const char *referrer, char out[WORD_SIZE]);

#endif
