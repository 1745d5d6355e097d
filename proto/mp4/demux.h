/* MP4 read: files with tables (moov with stbl, in front of the media or behind it) and fragments
 * (moof), or both in one file; the first video and the first sound track of a codec that has a
 * place here. ISO 14496-12: boxes 4.2, tables 8.6 and 8.7, edit lists 8.6.6, fragments 8.8. Sample
 * entries: ISO 14496-14 and -15, and the bindings of AV1, VP8, VP9, Opus, FLAC, AC-3 and E-AC-3.
 * Sans I/O; one thread at a time. Who has the bytes gives those that are asked for. */
#ifndef HW_PROTO_MP4_DEMUX_H
#define HW_PROTO_MP4_DEMUX_H

#include "common/base/buf.h"
#include "common/media/frame.h"

#define MP4_DEMUX_MAX_MOOV_BYTES                                                                 \
    ((size_t)256 << 20)                             /* 24 hours of pictures and sound have 60 MB \
                                                     */
#define MP4_DEMUX_MAX_MOOF_BYTES ((size_t)16 << 20) /* 16 bytes a frame */
#define MP4_DEMUX_MAX_TRACKS 32                     /* in a moov; two of them are read */
#define MP4_DEMUX_MAX_ENTRIES 16                    /* sample entries of a track */
#define MP4_DEMUX_MAX_FRAGMENT_SAMPLES 1000000u

struct mp4_demux; /* opaque */

struct mp4_unit {
    enum media_kind kind;
    enum media_codec codec;
    bool config; /* es is the track's configuration, as codec_params_from_config() takes it. Comes
                  * before the first frame, and when another sample entry begins */
    bool key;    /* a decoder can start here; every sound frame is so */
    int64_t dts_us, pts_us; /* edit list applied: the first ones may be below 0 */
    struct buf_view es;     /* lent until the next call. NAL units behind lengths, as the
                             * configuration says; raw AAC; whole frames and packets of the others */
};

/* max_frame_bytes: longest frame that is read. can_seek: bytes before those that were given may be
 * asked for again at any distance, so that moov may be behind the media. NULL when out of memory.
 */
struct mp4_demux *mp4_demux_create(size_t max_frame_bytes, bool can_seek);
void mp4_demux_destroy(struct mp4_demux **demux); /* takes; NULL is fine */

/* Gives at most one unit, of both tracks in the order of decode times. Borrows bytes, which are at
 * `at` in the file; the same may be given again and again, for nothing is used up.
 *   E_OK           one unit in *out; call again with the same bytes
 *   E_AGAIN        those at mp4_demux_wants() are needed
 *   E_END          all is read; what is behind it is not asked for
 *   E_PROTO        a box is broken, or boxes contradict each other: mp4_demux_error()
 *   E_TOO_BIG      a box, a frame or a count above its limit: likewise
 *   E_UNSUPPORTED  moov is behind the media and that is not to be had; no track of a codec that has
 *                  a place here; encrypted; edits that rearrange the media: likewise
 *   E_NOMEM        out of memory. After this and the three above only destroy() is allowed
 * *out is written only on E_OK. Memory grows with the bytes that are there, not with those that a
 * length promises. */
enum err mp4_demux_next(struct mp4_demux *demux, uint64_t at, struct buf_view bytes,
                        struct mp4_unit *out);
/* After E_AGAIN: give bytes from *at on, size_bytes of them if they are to come in one piece. It
 * may be behind what was given last, or before it: by less than media is interleaved if moov is in
 * front, and not at all in most files. */
void mp4_demux_wants(const struct mp4_demux *demux, uint64_t *at, uint64_t *size_bytes);
/* After an error, naming box and place: "stsz at byte 1234: 10 samples, stts has 9". */
const char *mp4_demux_error(const struct mp4_demux *demux);
/* The file ends at end_at, and mp4_demux_next() has said E_AGAIN or E_END: why it is not whole, a
 * static text; NULL: it is. */
const char *mp4_demux_lacks(const struct mp4_demux *demux, uint64_t end_at);
/* Tracks of moov that are not read: a codec without a place here, text, further ones of a kind. */
unsigned mp4_demux_left_out(const struct mp4_demux *demux);

#endif
