/* Viewers: {connection, position}. A viewer lives on the loop of its connection; a tap is that
 * loop's view of a feed. Everything here runs on that one loop. */
#ifndef HW_NODE_STREAM_VIEWER_H
#define HW_NODE_STREAM_VIEWER_H

#include "common/base/list.h"
#include "common/net/conn.h"
#include "node/stream/stream.h"

struct session_info;
struct viewer;
struct tap;
struct session_counts;

struct viewer_ops {
    /* The stream is there and the first bytes are about to be sent: write the head (HTTP answer,
     * RTMP status) with viewer_write(). Called once, never from within viewer_join(). Anything but
     * E_OK is handed back by on_end. */
    enum err (*on_start)(struct viewer *viewer, bool has_audio, bool has_video);
    /* The viewer has been taken out of the stream: E_NOT_FOUND (waited in vain, on_start was not
     * called), E_END (stream over, all sent), E_SLOW, E_CLOSED / E_IO (connection), E_DENIED
     * (kicked), E_LIMIT (too many waiting), E_UNSUPPORTED (see takes), E_NOMEM. The owner answers
     * and closes. Never from within viewer_join(). */
    void (*on_end)(struct viewer *viewer, enum err why);
    /* The stream is made of these from now on: false = the player cannot take that, and the viewer
     * ends with E_UNSUPPORTED. NULL = it is for the player to see. */
    bool (*takes)(struct viewer *viewer, const struct stream_codecs *codecs);
};

enum viewer_state {
    VIEWER_OUT,     /* not joined */
    VIEWER_WAITING, /* parked: stream, tracks or entry point not there yet */
    VIEWER_BEHIND,  /* has its own position */
    VIEWER_LIVE     /* has all that the tap has: shares its position */
};

#define VIEWER_MAX_PRIVATE_BYTES 65536 /* held back while a unit is in flight */

struct viewer { /* embedded in the session; fields are private to viewer.c and tap.c */
    enum viewer_state state;
    bool relay; /* a node, not a person */
    bool jump;  /* leave for the newest entry point at the next unit */
    uint32_t live_index;
    uint32_t n_jumps;
    struct tap *tap;
    struct conn *conn; /* borrowed */
    const struct viewer_ops *ops;
    struct list node;       /* in the tap's waiting or behind list */
    struct feed_page *page; /* position while BEHIND: borrowed, pinned by the tap */
    uint32_t offset;
    uint32_t init_offset;
    struct feed_init *init;  /* owned; being sent before the position */
    struct buf_writer *priv; /* own bytes held back until the unit in flight is out; NULL if none */
    int64_t joined_us;       /* asked, and from on_start on: started */
    int64_t progress_us;
    union {
        struct { /* while WAITING; relays: where to resume; 0 = newest */
            uint64_t have_run, have_gop;
        };
        struct { /* then: units of the feed before the first one, and left out by jumps */
            uint64_t first_unit, n_dropped;
        };
    };
};
_Static_assert(sizeof(struct viewer) <= 128, "struct viewer is in every session");

struct viewer_join {
    const struct stream_name *name;
    enum feed_format_id format;
    enum feed_tracks tracks;
    enum flv_style style;
    struct conn *conn; /* borrowed until viewer_leave() or on_end */
    const struct viewer_ops *ops;
    bool relay;
    uint64_t have_run, have_gop;
    const struct session_info *session; /* of whose trace a pull for it is; NULL = of none */
};
/* Joins, parked until the stream is there. E_OK: on_start or on_end follow. E_NOMEM, E_LIMIT:
 * nothing follows. */
enum err viewer_join(struct media_loop *ml, struct viewer *viewer, const struct viewer_join *join);
/* Leaves without on_end. Fine when not joined. */
void viewer_leave(struct viewer *viewer);
/* The same for a connection that goes on: what is left of the unit in flight, and private bytes, go
 * into its queue. Not E_OK: only closing is left. */
enum err viewer_leave_whole(struct viewer *viewer);
/* Private bytes to this viewer, sent between units. E_SLOW, E_CLOSED, E_IO. */
enum err viewer_write(struct viewer *viewer, struct buf_view bytes);
/* The owner's conn_ops.on_writable calls this. */
void viewer_on_writable(struct viewer *viewer);
/* Fencing epoch of the stream's publish; from on_start on. */
uint64_t viewer_epoch(const struct viewer *viewer);
/* The encoder's session behind what the viewer gets next, likewise; 0 = unknown. */
uint64_t viewer_run(const struct viewer *viewer);
/* What it was joined with. While joined. */
const struct feed_key *viewer_key(const struct viewer *viewer);
/* What the stream is made of; from on_start on. */
void viewer_codecs(const struct viewer *viewer, struct stream_codecs *codecs);
/* Tracks of the stream that the format has no place for, as text: "video vp9, 2 more audio tracks";
 * "" when there are none, or nothing is played. What was not asked for is not among them. */
#define VIEWER_LEFT_OUT_SIZE 128
void viewer_left_out(const struct viewer *viewer, char text[VIEWER_LEFT_OUT_SIZE]);
uint64_t viewer_jumps(const struct viewer *viewer);
/* How long the oldest unsent unit has waited. */
int64_t viewer_lag_us(const struct viewer *viewer);
/* All but the bytes, which the connection counts. A frame counts as sent when its first byte is. */
void viewer_count(const struct viewer *viewer, struct session_counts *counts);

#endif
