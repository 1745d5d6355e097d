/* The node's HLS channels by name. */
#ifndef HW_NODE_HLS_HLS_H
#define HW_NODE_HLS_HLS_H

#include "node/hls/channel.h"
#include "node/hls/disk.h"

struct node;

enum hls_mode {
    HLS_OFF,
    HLS_ON_DEMAND, /* a channel is made by its first request */
    HLS_ALWAYS     /* ... and for each stream that comes to this node, in hls_conf.container */
};

#define HLS_MAX_RENDITIONS 8

struct hls_conf { /* fixed after start */
    enum hls_mode mode;
    enum hls_container container;  /* of multivariant playlists that are not asked otherwise */
    int64_t window_us;             /* playlists reach back so far */
    int64_t idle_us;               /* a channel that nobody asks for is given up after this */
    const char *const *renditions; /* suffixes of names; borrowed */
    size_t n_renditions;           /* at most HLS_MAX_RENDITIONS */
    struct hls_disk *disk;         /* borrowed; NULL = nothing is written */
    enum hls_cleanup cleanup;
    size_t max_bytes; /* of one channel; what is oldest goes first */
};

/* Borrows conf. NULL when out of memory. */
struct hls *hls_create(struct registry *registry, unsigned n_loops, const struct hls_conf *conf);
/* All loops have stopped. */
void hls_destroy(struct hls **hls);
const struct hls_conf *hls_conf_of(const struct hls *hls);

/* Returns a reference to the channel, made if need be; NULL when out of memory. play: who asks
 * wants what is live, so a channel that has ended gives way when its stream is there again. Any
 * thread. */
struct hls_channel *hls_get(struct hls *hls, const struct stream_name *name,
                            enum hls_container container, bool play);
/* The name with the suffix of a rendition; false: it gets too long, or is no name. */
bool hls_rendition_name(const struct stream_name *base, const char *suffix,
                        struct stream_name *out);
/* HLS_ALWAYS: a stream has got a source. Home loop. */
void hls_on_stream_changed(struct hls *hls, struct stream *stream);

#endif
