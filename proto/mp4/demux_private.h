/* Private to proto/mp4: what the parts of the demuxer know of a file. */
#ifndef HW_PROTO_MP4_DEMUX_PRIVATE_H
#define HW_PROTO_MP4_DEMUX_PRIVATE_H

#include "proto/mp4/demux.h"
#include "proto/mp4/movie_private.h"

#define MP4_MAX_SECONDS INT64_C(1000000000) /* of a time: products with microseconds fit */
#define MP4_NOT_SYNC 0x10000u               /* sample_flags, 8.8.3.1 */

struct mp4_found { /* a sample in the file */
    uint64_t at;
    uint32_t size_bytes, entry; /* entry: from 1 */
    int64_t dts;                /* ticks */
    int32_t cts;
    bool key;
};

struct mp4_entry { /* 8.5.2, one of stsd */
    enum media_codec codec;
    struct buf_view config; /* of its box, or descriptor; in moov */
};

/* One of stts, ctts or stsc: rows, one of which lasts for a while. */
struct mp4_rows {
    struct buf_view all; /* without count */
    struct buf_reader left;
    uint32_t n_left, value; /* of the row in hand */
};

struct mp4_tables { /* 8.6.1, 8.7; all is in moov */
    struct mp4_rows times, offsets;
    struct buf_view chunk_rows, sizes, places, keys;
    bool has_offsets, has_keys, is_co64;
    unsigned size_bits;  /* of one in sizes; 0 = all are of same_bytes */
    uint32_t same_bytes; /* */
    uint32_t n_samples, n_chunks;
    /* where it is */
    struct buf_reader chunk_rows_left, places_left, keys_left;
    uint32_t sample, chunk;               /* done */
    uint32_t left_in_chunk, in_chunk;     /* samples */
    uint32_t entry, next_first, next_key; /* chunk, sample, from 1; 0 = none */
    uint64_t at;
    int64_t dts;
};

struct mp4_run { /* a trun, 8.8.8 */
    struct buf_view rows;
    uint64_t at;
    int64_t dts;
    uint32_t flags, n, first_flags;
    uint32_t duration, size_bytes, sample_flags, entry; /* of those that do not say their own */
    unsigned track;
};

struct mp4_demux_track {
    uint32_t id, timescale;
    enum media_kind kind;
    bool is_read;
    struct mp4_entry entries[MP4_DEMUX_MAX_ENTRIES];
    uint32_t n_entries, told; /* told: whose configuration was given last; 0 = none */
    int64_t shift_us;         /* by the edit list */
    uint32_t trex_entry, trex_duration, trex_size_bytes, trex_flags;
    struct mp4_tables tables;
    int64_t next_dts; /* of fragments: where the next one without tfdt begins */
    size_t run;       /* the one that is read, or to be looked at next */
    uint32_t run_sample;
    struct buf_reader run_left;
    int64_t run_dts;
    uint64_t run_at;
    struct mp4_found found; /* has_found: not given yet */
    bool has_found;
};

enum mp4_demux_state {
    MP4_AT_BOX,     /* the head of a box of the file is needed */
    MP4_AT_LARGE,   /* its size, which has 64 bits */
    MP4_AT_BODY,    /* that of a moov or moof */
    MP4_AT_SAMPLES, /* of tables, or of a fragment */
    MP4_AT_END
};

struct mp4_demux {
    size_t max_frame_bytes;
    bool can_seek, has_moov;
    bool has_fragments; /* moov says that some follow */
    enum mp4_demux_state state;
    uint64_t at; /* the box that is read, or next */
    uint32_t type, head_bytes;
    uint64_t box_end;   /* UINT64_MAX: the end of the file */
    uint64_t resume_at; /* the box behind the samples */
    uint64_t wants_at, wants_bytes;
    struct buf_writer part;       /* what of that is there, if it came in pieces */
    bool is_moof;                 /* the samples are a fragment's */
    struct buf_writer moov, moof; /* their bodies */
    uint64_t moov_at, moof_at;    /* of the bodies, in the file */
    uint64_t moof_samples;
    uint64_t given_bytes, given_end; /* of samples: all of them, and the last byte */
    uint64_t config_bytes;           /* of configurations: all of them */
    struct mp4_demux_track tracks[MP4_DEMUX_MAX_TRACKS];
    unsigned n_tracks;
    struct mp4_run *runs; /* owned */
    size_t n_runs, max_runs;
    uint32_t movie_timescale;
    struct buf_writer config; /* of an entry, in the form that FLV has */
    char error[192];
};

/* Says what is wrong at that place in moov or moof (or NULL: at the box that is read), and gives e.
 */
enum err mp4_demux_fail(struct mp4_demux *d, enum err e, const char *box, const void *where,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));
int64_t mp4_to_us(int64_t ticks, uint32_t timescale);
/* Is a time one that can be reckoned with? */
bool mp4_is_time(int64_t ticks, uint32_t timescale);

/* --- moov: demux_moov.c --- */
struct mp4_child {
    uint32_t type;
    struct buf_view *body; /* data NULL: not there */
    bool is_needed;
};
/* The first box of each type; E_PROTO: a needed one is not there, or one is cut off. */
enum err mp4_demux_children(struct mp4_demux *d, struct buf_view in, const char *name,
                            const struct mp4_child *children, unsigned n);
/* Version and flags; then a count of rows of row_bytes, which must be there. */
enum err mp4_demux_rows(struct mp4_demux *d, const char *name, struct buf_view body,
                        uint32_t row_bytes, struct buf_view *rows);
enum err mp4_demux_read_moov(struct mp4_demux *d, struct buf_view moov);

/* --- sample entries: demux_entry.c --- */
enum err mp4_demux_read_stsd(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view stsd);
/* What FLV has at the beginning of such a track; E_NOT_FOUND: this codec has nothing there. */
enum err mp4_demux_config(struct mp4_demux *d, const struct mp4_entry *entry,
                          struct buf_view *config);

/* --- tables: demux_tables.c --- */
/* Of stbl, checked against each other. */
enum err mp4_demux_read_tables(struct mp4_demux *d, struct mp4_demux_track *t,
                               struct buf_view stbl);
/* E_END: no more. */
enum err mp4_demux_table_sample(struct mp4_demux *d, struct mp4_demux_track *t,
                                struct mp4_found *out);

/* --- fragments: demux_moof.c --- */
/* Borrows moof until the next one. */
enum err mp4_demux_read_moof(struct mp4_demux *d, struct buf_view moof);
/* All samples of the fragment are in that mdat. */
enum err mp4_demux_check_mdat(struct mp4_demux *d, uint64_t body_at, uint64_t end_at);
/* E_END: no more. */
enum err mp4_demux_run_sample(struct mp4_demux *d, unsigned track, struct mp4_found *out);

#endif
