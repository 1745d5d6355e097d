/* The inside of a channel, for the files of this room.
 *   channel.c          its life: opened at the stream's home loop, given up when nobody asks
 *   channel_frames.c   frames to parts and segments
 *   channel_window.c   the segments that there are
 *   channel_record.c   what goes to disk
 *   channel_publish.c  snapshots, and who waits for them
 *   channel_group.c    the other renditions */
#ifndef HW_NODE_HLS_CHANNEL_PRIVATE_H
#define HW_NODE_HLS_CHANNEL_PRIVATE_H

#include <pthread.h>

#include "node/hls/hls.h"
#include "node/hls/mux.h"
#include "node/stream/media_loop.h"
#include "proto/hls/segmenter.h"

#define HLS_MAX_INITS 8

struct hls_body {            /* what a segment is made of; beside its struct hls_segment */
    struct hls_data *data;   /* owned: whole; NULL while it is open, and of gaps */
    struct hls_data **parts; /* owned, and each of them; NULL = no longer kept apart */
    struct hls_part *infos;  /* owned; hls_segment.parts */
    uint32_t n_parts, capacity;
    uint64_t discontinuities; /* up to it, its own included */
    uint32_t n_lead;          /* frames of the lead */
    int64_t start_us;         /* dts of the first one */
};

struct hls_init_section {
    uint64_t run, map;
    struct hls_data *data; /* owned */
};

struct hls_view { /* one loop's requests that wait */
    struct loop_msg msg;
    struct hls_channel *channel; /* borrowed; a message under way holds a reference */
    struct loop *loop;
    struct list waiters; /* that loop's alone */
    unsigned n_waiting;  /* under the lock: of them */
    bool in_flight;      /* under the lock: the message */
};

struct hls_channel {
    _Atomic uint32_t refs;
    struct hls *hls;
    struct hls_form form;
    struct stream_name name;
    char key[STREAM_NAME_SIZE + 16]; /* in hls->channels */
    struct list all_node;            /* in hls->all, under its lock */
    struct loop_msg open_msg;
    struct stream *stream; /* owned reference; home loop's, but for the first message */
    _Atomic int64_t used_us;

    pthread_mutex_t lock; /* held for moments: no I/O, no rendering */
    /* Under the lock; the home loop alone changes it, and reads without. */
    struct hls_snapshot *snapshot; /* owned */
    struct hls_segment *segments;  /* in order, without holes; the last one may be open */
    struct hls_body *bodies;       /* of them */
    size_t n_segments, capacity;
    size_t n_old; /* no longer in the playlist, but still to be had */
    bool is_open; /* the last one runs */
    bool has_ended;
    struct hls_init_section inits[HLS_MAX_INITS]; /* the newest first */
    struct hls_view *views;                       /* of all loops */

    /* Home loop. */
    bool is_home; /* it has come there, and holds a reference of its own */
    struct stream_sink sink;
    struct timer timer; /* looks whether somebody asks */
    struct hls_mux mux;
    struct track_set tracks; /* as of the last frame that was taken */
    bool is_cutting;         /* the segmenter runs: the plan is known */
    bool is_dirty;           /* the snapshot is older than the segments */
    struct hls_segmenter segmenter;
    struct stream_plan plan;           /* of the run that is cut */
    struct hls_data *whole;            /* owned: of the open segment, so far */
    bool is_recorded, is_record_ended; /* something is in record.m3u8; nothing more comes */
    struct hls_segment recorded;       /* the last one in it */
    size_t kept_bytes;                 /* of all segments */
    bool is_unaligned;                 /* it was said */
};

/* --- channel_frames.c, home loop --- */

void hls_channel_frame(struct hls_channel *c, const struct media_frame *frame, bool entry);
/* Takes what the stream has kept, when all is known that cutting needs. */
void hls_channel_begin(struct hls_channel *c);
/* The run is over: what is open ends. */
void hls_channel_end_run(struct hls_channel *c);

/* --- channel_window.c, home loop --- */

/* A segment begins: segments[n_segments - 1] runs from now on. False: out of memory. */
bool hls_window_begin(struct hls_channel *c, const struct media_frame *first);
/* It has one more part. Takes data. */
void hls_window_add_part(struct hls_channel *c, const struct hls_piece *piece,
                         struct hls_data *data);
/* It ends. Takes whole, which may be NULL: then it is a gap. */
void hls_window_end(struct hls_channel *c, const struct hls_piece *piece, struct hls_data *whole);
/* It ends as a gap; its parts go, too. */
void hls_window_give_up(struct hls_channel *c, const struct hls_piece *piece);
/* What is too old goes. */
void hls_window_trim(struct hls_channel *c);
void hls_window_clear(struct hls_channel *c);
/* The longest segment that is to be expected. */
int64_t hls_window_target_us(const struct hls_channel *c);

/* --- channel_record.c, home loop --- */

/* The segment is complete: it goes to disk (with hls.disk.dir), and who wants to know is told. */
void hls_record_segment(struct hls_channel *c, const struct hls_segment *segment,
                        struct hls_data *data);
/* It is no longer in memory. */
void hls_record_dropped(struct hls_channel *c, const struct hls_segment *segment);
/* The stream has ended. */
void hls_record_end(struct hls_channel *c);
/* The channel is given up. */
void hls_record_close(struct hls_channel *c);

/* --- channel_publish.c --- */

/* Home loop: makes a snapshot of what there is, and wakes who waits. */
void hls_channel_publish(struct hls_channel *c);
bool hls_channel_init_views(struct hls_channel *c);
void hls_channel_fini_views(struct hls_channel *c);

/* --- channel_group.c, home loop --- */

struct hls_reports { /* the live ends of the group's other renditions, bis 4.4.5.4 */
    struct hls_report all[HLS_MAX_RENDITIONS];
    size_t n;
    struct buf_writer uris[HLS_MAX_RENDITIONS];
};

/* Uris are borrowed until hls_reports_drop(). */
void hls_reports_take(struct hls_channel *c, struct hls_reports *r);
void hls_reports_drop(struct hls_reports *r);

/* --- hls.c --- */

struct hls_sibling { /* another rendition of the channel's group */
    struct stream_name name;
    struct hls_edge edge;
    int64_t border_us; /* hls_snapshot */
};
/* Those that have something to show, in the same form; gives how many. Any thread. */
size_t hls_siblings(struct hls_channel *channel, struct hls_sibling out[HLS_MAX_RENDITIONS]);
struct registry *hls_registry(const struct hls *hls);
unsigned hls_n_loops(const struct hls *hls);
/* Takes the channel out of the table unless somebody has asked for it in this time (below 0: even
 * so). True: it is out, and the table's reference gone. */
bool hls_forget(struct hls_channel *channel, int64_t idle_us);

/* Another channel has its name and form by now, and its files. */
bool hls_is_replaced(struct hls_channel *channel);

/* --- groups.c --- */

struct hls_groups; /* those that were told; opaque */
struct hls_groups *hls_groups_create(void);
void hls_groups_destroy(struct hls_groups **groups);
struct hls_groups *hls_groups_of(const struct hls *hls);

/* --- channel.c --- */

/* With one reference; the stream is held. NULL when out of memory. */
struct hls_channel *hls_channel_create(struct hls *hls, const struct stream_name *name,
                                       struct hls_form form, const char *key);
/* Sends it home. */
void hls_channel_open(struct hls_channel *c);
/* Nobody asks any more, or all loops have stopped. It may be gone after. */
void hls_channel_close(struct hls_channel *c);

#endif
