/* FLV (Adobe FLV 10.1 annex E) and the Enhanced RTMP v2 headers (veovera): tags, codec headers
 * enough to find sequence headers and key frames, stream decoder and writer. Sans I/O; payloads
 * pass through untouched. One thread at a time. */
#ifndef HW_PROTO_FLV_FLV_H
#define HW_PROTO_FLV_FLV_H

#include "common/base/buf.h"
#include "common/media/frame.h"

#define FLV_HEADER_BYTES 9      /* E.2, without PreviousTagSize0 */
#define FLV_TAG_HEADER_BYTES 11 /* E.4.1 */
#define FLV_MAX_TAG_BYTES 0xffffffu

enum flv_tag_type { FLV_TAG_AUDIO = 8, FLV_TAG_VIDEO = 9, FLV_TAG_SCRIPT = 18 };

struct flv_tag_header {
    uint8_t type_id;     /* enum flv_tag_type, or another 5-bit value */
    uint32_t data_bytes; /* 24 bits */
    uint32_t dts_ms;     /* wraps at 2^32 */
};

/* Fills kind, codec, flags, track_id, es_offset and cts_us of *info from a tag body (RTMP message
 * types 8, 9, 18 use the same numbers and bodies). Legacy headers: AVC, HEVC id 12, H.263, Screen,
 * VP6; AAC, MP3, Speex, G.711, PCM, ADPCM, Nellymoser. Enhanced headers: hvc1 avc1 av01 vp09 vp08
 * with ModEx and multitrack; Opus fLaC ac-3 ec-3 .mp3 mp4a. A ModEx nanosecond offset is added to
 * cts_us; of several tracks in one body the first is told. Command frames and unknown FourCC give
 * CODEC_UNKNOWN and pass through. E_OK     parsed E_PROTO  type_id is none of the three, or the
 * body is empty or shorter than its own header; *why is a static text and *info is as it was. An
 * empty audio body is a client's "silence message" (E-RTMP v2, AudioPacketType): drop it before, it
 * carries nothing Other fields of *info are left alone. FRAME_CONFIG is never set together with
 * FRAME_KEY. Enhanced Metadata (colorInfo) and MultichannelConfig add to a sequence header:
 * FRAME_EXTRA. A sequence start of a format without configuration (.mp3 ac-3 ec-3) carries no flag.
 */
enum err flv_parse_body(uint8_t type_id, struct buf_view body, struct media_frame_info *info,
                        const char **why);

/* --- bodies as nodes keep them: one.c ---------------------------------------------------- */

/* Takes a body apart so that each part holds one track in today's form:
 *   a multitrack message   one part a track. Track 0, which is the default one, without multitrack
 *                          header; others as OneTrack. ModEx goes with each
 *   HEVC of codec id 12    as hvc1
 *   Opus of sound format 13 as Opus
 *   FLAC with a bare STREAMINFO, as FFmpeg 8 sends it: with marker and block header
 *   onMetaData in @setDataFrame: without that, as FLV files have it
 *   all else               one part, as it is */
struct flv_parts {          /* private */
    struct buf_reader rest; /* of the body */
    struct buf_view prefix; /* first byte and ModEx */
    uint32_t fourcc;
    uint8_t type_id, packet_type, multitrack_type;
    bool is_many, is_over;
    uint64_t seen[4]; /* a bit a track */
};
/* Borrows body until the last flv_parts_next(). A broken one gives E_PROTO there, and so does one
 * that has a track twice: a message of 16 MB would be millions of frames. */
void flv_parts_begin(struct flv_parts *parts, uint8_t type_id, struct buf_view body);
/* *out is lent: by the body, or by scratch, whose content is replaced, until the next call. E_OK;
 * E_END no more; E_PROTO with *why; E_NOMEM, E_TOO_BIG of scratch. */
enum err flv_parts_next(struct flv_parts *parts, struct buf_writer *scratch, struct buf_view *out,
                        const char **why);
/* True when one look shows that the body is one part as it is: it need not be taken apart then.
 * Nearly all are so. */
bool flv_is_one_part(uint8_t type_id, struct buf_view body);

/* --- bodies as players take them: style.c ------------------------------------------------- */

enum flv_style {
    FLV_STYLE_WHOLE,    /* as it is */
    FLV_STYLE_ENHANCED, /* without ModEx: E-RTMP v1, and who has not said that it can skip it */
    FLV_STYLE_CLASSIC,  /* as Flash had it: enhanced headers of H.264, AAC and MP3 become those */
    FLV_STYLE_CLASSIC_HEVC /* likewise, and HEVC as codec id 12 */
};
/* Of codecs that this style has no place for nothing is written. */
bool flv_style_carries(enum flv_style style, enum media_codec codec);

#define FLV_SHAPE_HEAD_BYTES 5
struct flv_shape { /* a body: head, then rest */
    uint8_t head[FLV_SHAPE_HEAD_BYTES];
    uint8_t head_bytes;
    struct buf_view rest; /* borrowed from the body */
};
/* info as flv_parse_body() has filled it from body, which has one track. False: the style has no
 * place for it. */
bool flv_shape_body(enum flv_style style, const struct media_frame_info *info, struct buf_view body,
                    struct flv_shape *out);

/* --- writing ---------------------------------------------------------------------- */

/* E.2 with PreviousTagSize0: 13 bytes. */
void flv_write_file_header(struct buf_writer *w, bool has_audio, bool has_video);
/* E.4.1: the 11 bytes before a body; data_bytes <= FLV_MAX_TAG_BYTES. */
void flv_put_tag_header(uint8_t out[FLV_TAG_HEADER_BYTES], uint8_t type_id, uint32_t dts_ms,
                        uint32_t data_bytes);
/* PreviousTagSize after a body of data_bytes. */
void flv_put_tag_trailer(uint8_t out[4], uint32_t data_bytes);
/* Header, body, trailer, or nothing when it does not fit: E_TOO_BIG above FLV_MAX_TAG_BYTES. */
void flv_write_tag(struct buf_writer *w, uint8_t type_id, uint32_t dts_ms, struct buf_view body);
static inline uint8_t flv_tag_type_of(enum media_kind kind)
{
    return kind == MEDIA_AUDIO   ? FLV_TAG_AUDIO
           : kind == MEDIA_VIDEO ? FLV_TAG_VIDEO
                                 : FLV_TAG_SCRIPT;
}

/* A frame, or its track's configuration, that did not come in FLV form. */
struct flv_es {
    enum media_kind kind;
    enum media_codec codec;
    bool config, key;
    int64_t cts_us;     /* presentation after decoding; kept to the millisecond */
    struct buf_view es; /* as enhanced bodies carry it; borrowed */
};
/* The body of its tag: classic header for H.264, AAC and MP3, which every player knows, else
 * enhanced. Codecs that have no configuration, and those without a FourCC, are for the caller to
 * leave out. */
void flv_write_body(struct buf_writer *w, const struct flv_es *es);

/* The @hw script tag between nodes: before every key frame and at least twice a second, also while
 * no frame comes. AMF0 string "@hw" and an ECMA array; numbers that exceed 2^53 travel as decimal
 * strings. Unknown members are ignored, a missing one is 0; a version above ours is accepted
 * (fields only grow). */
#define FLV_HW_VERSION 1
struct flv_hw {
    uint32_t v;
    uint64_t epoch;    /* fencing epoch of the publish */
    uint64_t gop;      /* number of the GOP that follows, or runs */
    int64_t ingest_us; /* origin's monotonic clock for the next frame */
    int64_t wall_us;   /* the same moment on its wall clock, Unix time */
    bool end;          /* nothing follows: the stream has ended, not the connection failed */
    uint64_t run; /* of the encoder's session: time and GOP numbers go on across epochs while it
                   * stays the same; 0 = unknown */
    struct buf_view path;  /* ids of the nodes from the sender's upstream to the origin, the nearest
                            * first, comma-separated: said when it changes. Lent by the body that
                            * was read; data NULL = not said */
    bool has_clock;        /* the two below are said, and ingest_us is that of the next frame */
    int64_t clock_us;      /* sender's monotonic clock minus that of ingest_us, as it estimates */
    int64_t unc_us;        /* how wrong that may be, either way; -1 = the sender does not know */
    struct buf_view plan;  /* how the run is cut into segments, as its origin decided: text that
                            * the nodes alone understand; likewise lent, NULL = not said */
    struct buf_view trail; /* struct flv_hop of each node from the one that took the stream in to
                            * the sender, as text; likewise lent, NULL = not said */
};
void flv_write_hw_body(struct buf_writer *w, const struct flv_hw *hw);
/* E_NOT_FOUND when the script tag is not @hw; E_PROTO when it is broken, or a time is above
 * FLV_HW_MAX_US; E_NOMEM. *out is written only on E_OK. */
enum err flv_parse_hw_body(struct buf_view body, struct flv_hw *out);
#define FLV_HW_MAX_US (INT64_C(1) << 53) /* and not below minus that: sums of a few fit */

/* One node that a stream came through. In a trail: "id,epoch,lag_us,unc_us", with ";" between. */
#define FLV_MAX_HOPS 4     /* in a trail: as deep as trees get */
#define FLV_HOP_ID_SIZE 65 /* 1-64 of [A-Za-z0-9._-] */
#define FLV_TRAIL_SIZE 520 /* text of so many, and zero */
struct flv_hop {
    char id[FLV_HOP_ID_SIZE];
    uint64_t epoch; /* as that node knew it */
    int64_t lag_us; /* from ingest to its arrival there; may be below 0 by unc_us */
    int64_t unc_us; /* how wrong that may be, either way; -1 = lag_us is not known */
};
/* E_PROTO: anything else than 0 to FLV_MAX_HOPS of these. *hops and *n are written only on E_OK. */
enum err flv_parse_trail(struct buf_view text, struct flv_hop hops[FLV_MAX_HOPS], unsigned *n);
/* Appends one to a trail, "" or as parsed before. False: there is no room; nothing is changed. */
bool flv_append_hop(char trail[FLV_TRAIL_SIZE], const struct flv_hop *hop);
/* True for an onMetaData script body, also one wrapped in @setDataFrame; *inner is the body without
 * the wrapper (what FLV files and players expect), written only on true. flv_parse_body() gives the
 * size of the wrapper as es_offset. */
bool flv_is_metadata(struct buf_view body, struct buf_view *inner);

/* --- reading a stream ---------------------------------------------------------------------- */

struct flv_decoder; /* opaque */

struct flv_tag {
    struct flv_tag_header header;
    struct buf_view body; /* lent: valid until the next call on the decoder */
};
/* max_tag_bytes bounds one body. NULL when out of memory. */
struct flv_decoder *flv_decoder_create(size_t max_tag_bytes);
void flv_decoder_destroy(struct flv_decoder **dec);
/* Feeds bytes split anywhere; gives at most one tag. Bodies that lie whole in *in are lent from
 * there without a copy. E_OK one tag; E_AGAIN all of *in is used; E_PROTO not FLV, or a
 * PreviousTagSize that does not fit (0 is tolerated: some senders); E_TOO_BIG; E_NOMEM. After an
 * error only destroy(). */
enum err flv_decoder_feed(struct flv_decoder *dec, struct buf_reader *in, struct flv_tag *out);
/* After the first tag or E_AGAIN past the header: what the file header promises; false if not read
 * yet. */
bool flv_decoder_header(const struct flv_decoder *dec, bool *has_audio, bool *has_video);
/* Detail for the log after an error: "tag type 9: 20000000 bytes > limit 16777215". */
const char *flv_decoder_error(const struct flv_decoder *dec);
/* What was fed so far ends in the middle of the header or of a tag; a trailer may be missing. */
bool flv_decoder_is_amid(const struct flv_decoder *dec);

#endif
