/* GET /api/v1/events: what people watch as it changes, as server-sent events, and the last hour.
 * What goes out in one go does not grow with the cluster. Loop thread. */
#ifndef HW_SCHEDULER_FEED_H
#define HW_SCHEDULER_FEED_H

#include "common/base/history.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/net/http_server.h"
#include "proto/cluster/cluster.h"

struct scheduler;
struct registry_stream;

struct feed {
    struct scheduler *scheduler;
    struct list readers; /* struct feed_reader, owned */
    unsigned n_readers;
    struct timer tick, sample;
    struct map changed;          /* names of streams; values mean nothing */
    bool has_more;               /* more streams changed than were kept */
    char place[CLUSTER_ID_SIZE]; /* nodes up to this id were told in this round; "" = none */
    int64_t round_us;            /* when it began */
    struct history history;
};

/* E_NOMEM: nothing was begun. */
enum err feed_begin(struct feed *feed, struct scheduler *scheduler);
/* Ends what is open; before the HTTP server. Fine for one that was not begun. */
void feed_end(struct feed *feed);
/* The stream has another owner, or none: told with the next tick. */
void feed_note_stream(struct feed *feed, const struct registry_stream *stream);

/* Handlers; arg is the scheduler. */
void feed_get_events(struct http_exchange *x, void *arg);
void feed_get_history(struct http_exchange *x, void *arg);

#endif
