/* A channel: one stream as HLS in one container, all of it or one kind of track. It is made by the
 * stream's home loop, from frames; requests on any loop take what is there by reference, or wait
 * for news. */
#ifndef HW_NODE_HLS_CHANNEL_H
#define HW_NODE_HLS_CHANNEL_H

#include "node/hls/data.h"
#include "node/hls/facts.h"
#include "node/stream/sink.h"
#include "proto/hls/hls.h"

struct hls;         /* the node's channels, hls.h */
struct hls_channel; /* opaque; refcounted */
struct media_loop;

struct hls_form {
    enum hls_container container;
    enum hls_only only; /* borders are those of all tracks */
};

/* What a channel has to show at one moment. Never changes. */
struct hls_snapshot {
    _Atomic uint32_t refs;
    uint64_t version; /* grows */
    bool is_playable; /* there is as much as a player needs to start */
    struct hls_edge edge;
    int64_t target_us;
    int64_t border_us; /* dts at which the newest complete segment begins; INT64_MIN = none */
    struct hls_facts facts;
    struct hls_data *full, *delta; /* owned: the playlist; delta may be full again */
};
void hls_snapshot_unref(struct hls_snapshot **snapshot);

const char *hls_container_name(enum hls_container container);
const char *hls_only_name(enum hls_only only); /* "all", "audio", "video" */

struct hls_channel *hls_channel_ref(struct hls_channel *channel);
void hls_channel_unref(struct hls_channel **channel);

/* --- any loop --- */

/* Returns a reference; never NULL: at first there is nothing in it. */
struct hls_snapshot *hls_channel_look(struct hls_channel *channel);
/* What the name stands for; *data gets a reference on E_OK.
 *   E_AGAIN      it is the next thing to come, or nothing has come yet
 *   E_NOT_FOUND  it is gone, or far away */
enum err hls_channel_find(struct hls_channel *channel, const struct hls_name *name,
                          struct hls_data **data);
/* The stream has ended: the playlist says so. */
bool hls_channel_has_ended(struct hls_channel *channel);
/* Viewers for the stream's counts. */
void hls_channel_count_viewer(struct hls_channel *channel, int by);

struct hls_waiter {        /* embedded in a request */
    struct list node;      /* private; list_init() before the first use */
    struct hls_view *view; /* private: while it waits */
    /* On the loop that waits: look again. The waiter is out of the list. */
    void (*on_news)(struct hls_waiter *waiter);
};
/* Loop of the request. False: there is news already, look again. */
bool hls_channel_wait(struct hls_channel *channel, struct media_loop *ml, struct hls_waiter *waiter,
                      uint64_t seen_version);
/* Fine when it does not wait. */
void hls_waiter_stop(struct hls_waiter *waiter);

#endif
