/* Fragmented MP4 as browsers and HLS take it: an init section, then fragments (moof and mdat) of
 * one or more frames. ISO 14496-12, ISO 23000-19 (CMAF). Sans I/O; one thread at a time. Only
 * headers are written: frames are long and shared, so their bytes follow from where they are. */
#ifndef HW_PROTO_MP4_MP4_H
#define HW_PROTO_MP4_MP4_H

#include "common/base/buf.h"
#include "proto/codec/codec.h"

#define MP4_MAX_TRACKS 2
#define MP4_MAX_SAMPLES 4096u      /* of a fragment; a GOP of a minute has fewer */
#define MP4_VIDEO_TIMESCALE 90000u /* ticks a second; sound counts its own samples */

/* Has the codec a sample entry here? H.264, HEVC, AV1, VP9, VP8; AAC, MP3, Opus, FLAC, AC-3,
 * E-AC-3. */
bool mp4_carries(enum media_codec codec);
/* Is all known that a sample entry of the track says? What is not is no track for mp4_write_init().
 */
bool mp4_is_complete(const struct codec_params *params);

/* ftyp and moov for 1 or 2 tracks, in the order of their numbers in samples. Borrows tracks.
 *   E_OK           written; buf_writer_status(w) has the last word
 *   E_UNSUPPORTED  *why (static): a codec without a sample entry, or none of these tracks
 *   E_INVAL        *why: size or configuration is not known yet (see codec_params_add_key_frame())
 * Nothing is written unless E_OK. */
enum err mp4_write_init(struct buf_writer *w, const struct codec_params *const *tracks,
                        unsigned n_tracks, const char **why);

/* One muxer makes the fragments of one init section. Plain state. */
struct mp4_mux {
    uint32_t sequence; /* of the last fragment; 0 = none */
    unsigned n_tracks;
    struct mp4_mux_track {
        enum media_kind kind;
        uint32_t timescale;
        uint32_t last_duration; /* ticks; of the last frame whose end was known, or a guess */
    } tracks[MP4_MAX_TRACKS];
};
/* Borrows tracks, those of the init section. */
void mp4_mux_init(struct mp4_mux *mux, const struct codec_params *const *tracks, unsigned n_tracks);

struct mp4_sample {
    unsigned track;      /* index as in the init section */
    int64_t dts_us;      /* of one track: never less than before; the moof has times from 0 on */
    int64_t cts_us;      /* presentation = dts + cts; may be negative */
    uint32_t size_bytes; /* of the elementary stream data as FLV carries it: no FLV header */
    uint32_t n_sound;    /* sound: samples as codec_frame_samples() says; 0 = not said */
    bool key;            /* video: a decoder can start here */
    bool disposable;     /* video: no other frame needs it */
};

struct mp4_fragment {
    const struct mp4_sample *samples; /* in the order in which their bytes follow */
    size_t n_samples;
    /* The dts of the frame that follows the last one of each track, where it is known; a value not
     * above the last dts says that it is not: then the frame lasts as long as n_sound says, or as
     * the one before it. The next fragment has its own time, so a wrong guess never adds up. */
    int64_t next_dts_us[MP4_MAX_TRACKS];
};

/* Writes moof and the header of mdat; the samples' bytes follow, in their order, and end the
 * fragment. Borrows the fragment. Times are rounded to ticks one by one: no drift, and the frame
 * after the next is as right as the first one.
 *   E_OK       written; buf_writer_status(w) has the last word
 *   E_INVAL    no sample, or too many
 *   E_TOO_BIG  above 2 GiB
 * Nothing is written and the muxer is as it was unless E_OK. */
enum err mp4_write_fragment(struct buf_writer *w, struct mp4_mux *mux,
                            const struct mp4_fragment *fragment);

/* styp: may stand before the first fragment of a segment, ISO 14496-12 8.16.2. */
void mp4_write_styp(struct buf_writer *w);

#endif
