/* Private to HLS over HTTP: what its files share.
 *   hls_ask.c           requests: which playlist or piece of which stream
 *   hls_answer.c        media playlists and pieces
 *   hls_stored.c        what only the disk has
 *   hls_multivariant.c  multivariant playlists
 *   hls_wait.c          requests that wait for what they ask for
 *   hls_grant.c         what only streams that not everybody may play have */
#ifndef HW_NODE_SESSION_HLS_ASK_H
#define HW_NODE_SESSION_HLS_ASK_H

#include "node/session/hls_sessions.h"

#define HLS_PLAYLIST_TYPE "application/vnd.apple.mpegurl"
#define HLS_SUFFIX ".m3u8"

struct hls_ask;

struct hls_kind { /* what can be asked for */
    /* Answers if it can be; false = later. */
    bool (*answer)(struct hls_ask *a, const struct hls_snapshot *s);
    bool is_playlist;
};

struct hls_ask {
    struct hls_waiter waiter;
    struct timer timer;
    struct http_exchange *x; /* NULL: answered, or gone */
    struct node_loop *nl;
    const struct hls_kind *kind;
    struct stream_name name;
    struct hls_form form;
    bool is_inside;   /* the path is /{app}/{name}/... */
    bool is_personal; /* not everybody may play it */
    struct hls_name piece;
    struct hls_directives want;
    struct hls_channel *channel; /* owned reference */
    char session[HLS_SESSION_ID_SIZE];
    int64_t deadline_us;
    uint64_t late_version; /* of the snapshot when time was over last */
    bool is_late;          /* what is there has to do */
    bool is_parked;        /* counted in media_loop.n_parked */
};

extern const struct hls_kind k_hls_multivariant, k_hls_media, k_hls_piece, k_hls_record;

/* A playlist is about to be given: its session begins, or goes on. False: answered otherwise. */
bool hls_let_in(struct hls_ask *a);
/* Both end the exchange: a->x is NULL then. */
/* Takes data. */
void hls_respond_data(struct hls_ask *a, struct hls_data *data, const char *type,
                      const char *cache_control);
void hls_refuse(struct hls_ask *a, unsigned status, const char *why);

/* hls_stored.c: later, from disk; 404 when it is not there. False: nothing is on disk, nothing was
 * done. */
bool hls_respond_stored(struct hls_ask *a, const char *file, const char *type,
                        const char *cache_control);

#define HLS_PRIVATE_MAX_BYTES (16u << 20)
/* hls_grant.c: its address says that it was let in. */
bool hls_grant_holds(struct hls_ask *a);
/* "&hw_grant=..." for a playlist of name, in the address that follows; nothing when everybody may
 * play it. */
void hls_grant_write(const struct hls_ask *a, const struct stream_name *name,
                     struct buf_writer *out);
/* Returns the playlist for who asks; NULL when out of memory. */
struct hls_data *hls_grant_playlist(const struct hls_ask *a, struct hls_data *shared);

/* It could not be answered: waits. Takes the channel of *asked. */
void hls_wait(const struct hls_ask *asked);

#endif
