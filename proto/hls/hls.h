/* HLS: playlists out, names of segments both ways, delivery directives in. RFC 8216 and its second
 * edition (draft-pantos-hls-rfc8216bis, "bis" below). Sans I/O; one thread at a time. */
#ifndef HW_PROTO_HLS_HLS_H
#define HW_PROTO_HLS_HLS_H

#include "common/base/buf.h"

enum hls_container { HLS_TS, HLS_FMP4 };
/* Which tracks: all, or those of one kind. Borders are the same in each. */
enum hls_only { HLS_ALL_TRACKS, HLS_ONLY_AUDIO, HLS_ONLY_VIDEO };

/* --- names --------------------------------------------------------------------------- */

/* What belongs to a stream has the same name on every node: the run (the encoder's session, 64
 * random bits) and numbers. segment  s<run>-<msn>.ts          s<run>-<msn>.m4s part
 * s<run>-<msn>.<part>.ts   s<run>-<msn>.<part>.m4s init     i<run>-<map>.mp4. Of sound alone they
 * begin with sa and ia, of pictures alone with sv and iv. */
enum hls_name_kind { HLS_SEGMENT, HLS_PART, HLS_INIT };
#define HLS_NAME_SIZE 64 /* any name and zero */
struct hls_name {
    enum hls_name_kind kind;
    enum hls_container container; /* HLS_INIT: always HLS_FMP4 */
    uint64_t run;
    uint64_t number; /* msn, or map */
    uint32_t part;   /* of HLS_PART */
    enum hls_only only;
};
void hls_format_name(const struct hls_name *name, char out[HLS_NAME_SIZE]);
/* E_INVAL: not a name as hls_format_name() writes it (also with leading zeros: one thing has one
 * name, or caches keep it twice). *out is written only on E_OK. */
enum err hls_parse_name(struct buf_view text, struct hls_name *out);

/* --- delivery directives, bis 6.2.5 -------------------------------------------------- */

struct hls_directives {
    bool has_msn, has_part, skip;
    uint64_t msn;
    uint32_t part;
};
/* Reads _HLS_msn, _HLS_part and _HLS_skip (YES or v2) from a query string; others are ignored.
 * E_INVAL with *why (static; answer 400): not a decimal number, too large, or a part without msn.
 * *out is written only on E_OK. */
enum err hls_parse_directives(struct buf_view query, struct hls_directives *out, const char **why);

/* The live end of a media playlist. */
struct hls_edge {
    uint64_t next_msn;       /* of the segment that is not complete yet */
    uint32_t n_parts;        /* complete ones of it */
    uint32_t n_parts_before; /* of the segment before it */
    int64_t part_target_us;  /* 0 = the playlist has no parts */
    bool ended;
};
enum hls_answer {
    HLS_ANSWER_NOW,
    HLS_ANSWER_LATER, /* ask again when the edge has moved; bis: after 3 target durations, 503 */
    HLS_ANSWER_REFUSE /* 400: too far in the future */
};
/* What a blocking playlist request gets, bis 6.2.5.2. */
enum hls_answer hls_judge(const struct hls_directives *want, const struct hls_edge *edge);

/* --- media playlist, bis 4.4.3 and 4.4.4 --------------------------------------------- */

struct hls_part {
    int64_t duration_us;
    bool independent, gap;
};

struct hls_segment {
    uint64_t run, msn;            /* msn: that of the segment before it and 1 */
    uint64_t map;                 /* HLS_FMP4: which init section of the run it needs */
    int64_t duration_us;          /* of the open segment: not used */
    int64_t wall_us;              /* Unix time of its first frame; 0 = not known */
    uint64_t size_bytes;          /* for hls_measure() */
    bool discontinuity;           /* before it: time stamps or coding change */
    bool gap;                     /* not to be had: listed, never loaded */
    const struct hls_part *parts; /* borrowed; may be NULL */
    uint32_t n_parts;
};

struct hls_report { /* another rendition's live end, bis 4.4.5.4 */
    struct buf_view uri;
    uint64_t last_msn;
    int64_t last_part; /* -1 = none */
};

enum hls_playlist_type { HLS_LIVE, HLS_EVENT, HLS_VOD };

/* All borrowed while the playlist is written. */
struct hls_playlist {
    enum hls_container container;
    enum hls_only only;
    enum hls_playlist_type type; /* HLS_EVENT, HLS_VOD: nothing is ever taken off its front */
    struct buf_view base;        /* in front of each name: "" or "x/" */
    struct buf_view query;       /* behind each name and "?": a token; empty = none */
    int64_t target_us;           /* rounded to seconds; a longer segment in the window raises it */
    int64_t part_target_us;      /* 0 = no low-latency tags at all */
    uint64_t discontinuity_sequence;    /* of the first segment */
    const struct hls_segment *segments; /* complete ones, in order */
    size_t n_segments;
    const struct hls_segment *open; /* the running one with its parts so far; NULL = none known */
    const struct hls_report *reports;
    size_t n_reports;
    bool ended;
    bool skip; /* the client asked for a delta update; given when something can be skipped */
};
/* Text goes to the end of w; its status tells. Parts are listed for the last 3 target durations. */
void hls_write_media(struct buf_writer *w, const struct hls_playlist *p);

/* A list that only grows, bit by bit: its head once, with a target that will hold, and what each
 * complete segment adds. before: the one added last; NULL = none. No low-latency tags. */
void hls_write_head(struct buf_writer *w, const struct hls_playlist *p);
void hls_write_next(struct buf_writer *w, const struct hls_playlist *p,
                    const struct hls_segment *segment, const struct hls_segment *before);

/* --- multivariant playlist, bis 4.4.6 ------------------------------------------------ */

struct hls_variant {
    struct buf_view uri;
    const char *codecs[2];          /* RFC 6381 texts, video first; NULL = no such track */
    uint32_t width, height;         /* 0 = not known */
    uint32_t fps_num, fps_den;      /* 0 = not known */
    uint64_t peak_bps, average_bps; /* BANDWIDTH, which must be there, and AVERAGE-BANDWIDTH */
    const char *video_range;        /* "SDR", "HLG", "PQ"; NULL = not said */
};
void hls_write_multivariant(struct buf_writer *w, const struct hls_variant *variants,
                            size_t n_variants);
/* Bits a second of the segment with the most, and of all together; 0 when there is nothing to
 * measure. Gaps are left out. */
void hls_measure(const struct hls_segment *segments, size_t n_segments, uint64_t *peak_bps,
                 uint64_t *average_bps);

/* --- for one viewer ------------------------------------------------------------------- */

/* A media playlist as it is for all, with args ("a=b&c=d") behind the address of each segment,
 * part, init section and hint. */
void hls_write_private(struct buf_writer *out, struct buf_view playlist, const char *args);

#endif
