/* The node's HLS channels by name. */
#ifndef HW_NODE_HLS_HLS_H
#define HW_NODE_HLS_HLS_H

#include "node/hls/channel.h"
#include "node/hls/disk.h"

struct node;
struct settings;

enum hls_mode {
    HLS_OFF,
    HLS_ON_DEMAND, /* a channel is made by its first request */
    HLS_ALWAYS     /* ... and for each stream that comes to this node, in hls_conf.container */
};

#define HLS_MAX_RENDITIONS 8

struct hls_told { /* a segment that is complete; lent */
    const struct stream_name *stream;
    struct hls_form form;
    const char *file; /* its name, in URLs and on disk */
    bool is_on_disk;  /* it is on its way there */
    uint64_t msn;
    int64_t duration_us;
    size_t size_bytes;
};

struct hls_conf {                                               /* fixed after start */
    void (*on_segment)(void *arg, const struct hls_told *told); /* home loop; NULL = nobody */
    void *arg;
    enum hls_mode mode;
    enum hls_container container;  /* of multivariant playlists that are not asked otherwise */
    int64_t window_us;             /* playlists reach back so far */
    int64_t idle_us;               /* a channel that nobody asks for is given up after this */
    const char *const *renditions; /* suffixes of names; borrowed */
    size_t n_renditions;           /* at most HLS_MAX_RENDITIONS */
    bool has_audio_variant;        /* multivariant playlists offer the sound alone, too */
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
struct hls_channel *hls_get(struct hls *hls, const struct stream_name *name, struct hls_form form,
                            bool play);

/* --- groups.c: which streams are renditions of which; any thread --- */

#define HLS_MAX_GROUPS 4096

struct hls_group { /* as it is told; it comes before hls_conf.renditions */
    struct stream_name base, members[HLS_MAX_RENDITIONS];
    size_t n_members;
};

/* The renditions that the name has or might have; gives how many. */
size_t hls_renditions(struct hls *hls, const struct stream_name *base,
                      struct stream_name out[HLS_MAX_RENDITIONS]);
bool hls_has_renditions(struct hls *hls, const struct stream_name *base);
/* The name that this one is a rendition of, else the name itself. */
struct stream_name hls_base_of(struct hls *hls, const struct stream_name *name);
/* Borrows group; one of the same base is replaced. Not E_OK: there is no more than before.
 *   E_INVAL  a member is the base, or is in it twice
 *   E_BUSY   one of them is in another group, or a member has a group itself
 *   E_LIMIT  HLS_MAX_GROUPS */
enum err hls_group_set(struct hls *hls, const struct hls_group *group);
/* Whether that would be E_OK. */
enum err hls_group_check(struct hls *hls, const struct hls_group *group);
/* False: there was none. */
bool hls_group_remove(struct hls *hls, const char *base);
/* settings.c: the settings SETTING_HLS_GROUP are these groups from now on. */
void hls_own_settings(struct hls *hls, struct settings *settings);

/* HLS_ALWAYS: a stream has got a source. Home loop. */
void hls_on_stream_changed(struct hls *hls, struct stream *stream);

#endif
