/* A live stream over the network, one way or the other, as FLV tags: pulled by RTMP, HTTP-FLV or
 * HTTP-TS, or pushed by RTMP; each also under TLS. One loop. None of the callbacks may close the
 * link. */
#ifndef HW_TESTS_TOOLS_MEDIA_LINK_H
#define HW_TESTS_TOOLS_MEDIA_LINK_H

#include "tests/tools/load_target.h"
#include "tests/tools/media_input.h"

struct media_link_ops {
    /* The server has accepted it. NULL = not wanted. */
    void (*on_started)(void *arg);
    /* A pull's next tag, in order; lent. */
    void (*on_tag)(void *arg, const struct media_tag *tag);
    /* Once, at the end, and nothing after it. E_END: the server ended the stream, or, of a push,
     * all has been sent. Else why it broke or was refused: peer and reason. */
    void (*on_end)(void *arg, enum err e, const char *why);
};

struct media_link_conf { /* borrowed while it lasts */
    struct loop *loop;
    const struct load_target *target; /* of a push: RTMP */
    int64_t timeout_ms;               /* of a server that does not say or take anything */
    FILE *dump;                       /* every byte that came, besides; NULL = none */
    const struct media_link_ops *ops;
    void *arg;
};

/* --- pull ---------------------------------------------------------------------------- */

struct media_pull; /* opaque */

/* Connects. NULL: out of memory. Whatever else fails comes by on_end. Redirects of HTTP are
 * followed. */
struct media_pull *media_pull_open(const struct media_link_conf *conf);
void media_pull_close(struct media_pull **pull);
/* What it is read with: counts, and what container it is. */
const struct media_input *media_pull_input(const struct media_pull *pull);

/* --- push ---------------------------------------------------------------------------- */

struct media_push; /* opaque */

struct media_push *media_push_open(const struct media_link_conf *conf);
void media_push_close(struct media_push **push);
/* After on_started. E_SLOW, E_CLOSED, E_IO: it is over, on_end will not come. */
enum err media_push_write(struct media_push *push, uint8_t type_id, uint32_t time_ms,
                          struct buf_view body);
/* Not taken by the peer yet. */
size_t media_push_queued_bytes(const struct media_push *push);
/* Says goodbye; on_end comes when all has been taken. */
void media_push_finish(struct media_push *push);

#endif
