/* MPEG-2 transport stream demuxer (ISO 13818-1): the first program, its first video and its first
 * audio stream, as frames in the form that MP4 and FLV carry. Sans I/O; one thread at a time.
 * Packets may come split anywhere, and begin anywhere. */
#ifndef HW_PROTO_TS_TS_DEMUX_H
#define HW_PROTO_TS_TS_DEMUX_H

#include "common/base/buf.h"
#include "common/media/frame.h"

struct ts_demux; /* opaque */

struct ts_unit {
    enum media_kind kind;
    enum media_codec codec;
    bool config; /* es is the track's configuration: the body of avcC or hvcC, AudioSpecificConfig,
                  * OpusHead. Comes before the first frame, and when it changes */
    bool key;    /* a decoder can start here; every audio frame is so */
    int64_t dts_us, pts_us; /* on a clock that goes on over the 33-bit wrap */
    struct buf_view es;     /* lent until the next call. NAL units behind lengths of 4 bytes; raw
                             * AAC; MP3, AC-3 frames; Opus packets */
};

struct ts_demux_counts {
    uint64_t n_resyncs;     /* bytes that were no packets had to be passed over */
    uint64_t n_lost;        /* gaps in continuity counters */
    uint64_t n_broken;      /* PES packets, tables and frames left out */
    uint64_t n_unsupported; /* elementary streams without a place here */
};

/* max_frame_bytes: longest PES packet that is kept. NULL when out of memory. */
struct ts_demux *ts_demux_create(size_t max_frame_bytes);
void ts_demux_destroy(struct ts_demux **demux); /* NULL is fine */

/* Feeds bytes; gives at most one unit. *in moves past what was used.
 *   E_OK      one unit in *out; call again, more may be ready
 *   E_AGAIN   all of *in is used
 *   E_PROTO   no transport stream: no packets within TS_DEMUX_MAX_NOISE_BYTES
 *   E_NOMEM   after this or E_PROTO only destroy() */
#define TS_DEMUX_MAX_NOISE_BYTES 65536u
enum err ts_demux_next(struct ts_demux *demux, struct buf_reader *in, struct ts_unit *out);
/* The end of the bytes: what was open is complete now. E_OK, or E_AGAIN when there is no more. */
enum err ts_demux_end(struct ts_demux *demux, struct ts_unit *out);
/* What was given so far ends in the middle of a packet. */
bool ts_demux_is_amid(const struct ts_demux *demux);
void ts_demux_get_counts(const struct ts_demux *demux, struct ts_demux_counts *out);

#endif
