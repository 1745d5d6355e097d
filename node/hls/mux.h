/* Frames to the bytes of parts and segments, in one of the containers. Home loop. */
#ifndef HW_NODE_HLS_MUX_H
#define HW_NODE_HLS_MUX_H

#include "node/hls/channel.h"
#include "node/stream/es_tracks.h"
#include "node/stream/format.h"
#include "proto/hls/hls.h"
#include "proto/mp4/mp4.h"

struct hls_mux;

struct hls_mux_ops {
    bool (*carries)(enum media_codec codec);
    bool (*open)(struct hls_mux *m); /* false = out of memory */
    void (*close)(struct hls_mux *m);
    /* changed: kinds whose track is another one, as bits 1 << kind. */
    void (*take_tracks)(struct hls_mux *m, const struct track_set *tracks, unsigned changed);
    /* NULL = always. */
    bool (*is_ready)(const struct hls_mux *m);
    /* A segment begins: with the tracks as they are known now. */
    void (*begin_segment)(struct hls_mux *m);
    /* entry: the first one of the segment. */
    void (*add)(struct hls_mux *m, const struct media_frame *frame, bool entry);
    /* All that was added is in m->data now. next: the frame that follows; NULL = not known. */
    void (*end_part)(struct hls_mux *m, const struct media_frame *next);
};

struct hls_mux {
    const struct hls_mux_ops *ops;
    enum hls_only only;
    struct es_tracks known; /* all of them: pictures say where borders are, wanted or not */
    bool is_entry_due;      /* nothing is in the segment yet */
    struct hls_data *data;  /* owned: of the running part; NULL = none */
    /* HLS_TS */
    struct mux_context ts;
    /* HLS_FMP4 */
    struct hls_data *init; /* owned: init section of the running segment; NULL = none yet */
    uint64_t msn;          /* of the running segment */
    uint64_t map;          /* its name: a number made from its bytes, so equal on all nodes */
    bool is_changed;       /* the next segment has another one */
    struct mp4_mux mp4;
    int index[2]; /* of audio and video in the init section; -1 = not in it */
    struct buf_writer header;
    struct mp4_sample *samples[2]; /* of the running fragment, audio and video */
    const struct media_frame **frames[2];
    size_t n_samples[2], capacity[2];
};

/* E_NOMEM: nothing to close. */
enum err hls_mux_open(struct hls_mux *m, struct hls_form form);
void hls_mux_close(struct hls_mux *m);
/* All is forgotten: another run. E_NOMEM: closed. */
enum err hls_mux_reset(struct hls_mux *m, struct hls_form form);
void hls_mux_take_tracks(struct hls_mux *m, const struct track_set *tracks);
void hls_mux_look(struct hls_mux *m, const struct media_frame *frame);
/* Are frames of this kind muxed? Others only say where borders are. */
bool hls_mux_wants(const struct hls_mux *m, enum media_kind kind);
/* Those that are known and wanted, by kind; else NULL. Borrowed. */
void hls_mux_tracks(const struct hls_mux *m, const struct es_track *out[2]);
/* Can the segment that was begun last be made? */
bool hls_mux_is_ready(const struct hls_mux *m);
/* Does the container have a place for the frame? */
bool hls_mux_has_place(const struct hls_mux *m, const struct media_frame *frame);
void hls_mux_begin_segment(struct hls_mux *m, uint64_t msn);
/* What is not wanted is left out. */
void hls_mux_add(struct hls_mux *m, const struct media_frame *frame);
/* Returns what was added since the last call; NULL when there is nothing, or no memory. */
struct hls_data *hls_mux_end_part(struct hls_mux *m, const struct media_frame *next);

extern const struct hls_mux_ops k_hls_mux_ts, k_hls_mux_fmp4;

#endif
