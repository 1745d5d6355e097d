/* One stream in one format: frames to files. Everything here runs on a thread that writes, so what
 * takes long is allowed; finishing a file (tables, fsync, rename) is the upkeep's. */
#ifndef HW_NODE_RECORD_WRITER_H
#define HW_NODE_RECORD_WRITER_H

#include "node/record/rule.h"
#include "node/record/scan.h"
#include "node/stream/es_tracks.h"
#include "proto/mp4/gather.h"
#include "proto/ts/ts.h"

struct record_writer;

/* Why a file ended. */
#define RECORD_CUT_MAP(X)                                       \
    X(TIME, "time")           /* split_s */                     \
    X(SIZE, "size")           /* split_bytes */                 \
    X(PUBLISHER, "publisher") /* another one, or it has left */ \
    X(CODECS, "codecs")       /* a track came, or is another */ \
    X(STOP, "stop")           /* the rule is gone */            \
    X(END, "end")             /* the stream, or the node */     \
    X(NO_ROOM, "no_room")     /* min_free_bytes */              \
    X(ERROR, "error")         /* of the disk */                 \
    X(RECOVERED, "recovered") /* the node had died */
enum record_cut {
#define X(id, text) RECORD_CUT_##id,
    RECORD_CUT_MAP(X)
#undef X
        RECORD_N_CUTS
};
extern const char *const k_record_cuts[RECORD_N_CUTS];

/* Who counts files that are not finished. */
struct record_owner {
    void (*hold)(struct record_owner *owner);   /* one more */
    void (*let_go)(struct record_owner *owner); /* one less; any thread */
};

/* A file that is written to its end, for the upkeep. */
struct record_done {
    struct record_owner *owner; /* held; NULL = nobody */
    struct stream_name stream;
    struct record_name name; /* of the file as it is to be called */
    int fd;                  /* owned; -1 = closed. RECORD_HLS: of the playlist */
    int64_t start_us;        /* Unix time of its first frame */
    int64_t duration_us;
    uint64_t bytes;
    uint64_t run;
    enum media_codec codecs[2];
    enum record_cut cut;
    struct flv_seek_facts flv; /* RECORD_FLV */
    int64_t *segments_us;      /* RECORD_HLS: durations; owned */
    size_t n_segments;
};
void record_done_free(struct record_done *done);

struct record_format {
    bool (*carries)(enum media_codec codec);
    /* False: out of memory. Pair with close(), which is fine after a file that was given up. */
    bool (*open)(struct record_writer *w);
    void (*close)(struct record_writer *w);
    /* A file begins, its tracks are those of w->known. What goes in front is put into w->out.
     * E_UNSUPPORTED: none of the tracks can be written yet. */
    enum err (*begin)(struct record_writer *w);
    /* dts_us counts from the beginning of the file. */
    void (*add)(struct record_writer *w, const struct media_frame *frame, int64_t dts_us,
                bool entry);
    /* What was held back goes out; NULL = nothing is. */
    void (*end)(struct record_writer *w);
    /* NULL = nothing. */
    void (*describe)(struct record_writer *w, struct record_done *done);
};
extern const struct record_format k_record_flv, k_record_ts, k_record_mp4, k_record_hls;
const struct record_format *record_format_of(enum record_format_id id);

#define RECORD_KINDS 2
struct record_mp4 {
    struct mp4_gather gather;
    int index[RECORD_KINDS]; /* in the init section; -1 = not in it */
};

struct record_hls {
    int segment_fd;
    int64_t *segments_us; /* owned: durations of complete ones */
    size_t n_segments, max_segments;
    int64_t segment_start_us;
    uint64_t segment_bytes;
    uint64_t closed_bytes; /* of complete segments */
};

/* What the writers of a thread share, and where they stand. */
struct record_place {
    int dir_fd;
    struct buf_writer *out; /* bytes on their way to the file: empty between two frames' batches */
    /* Takes *done. */
    void (*finish)(void *arg, struct record_done *done);
    void *arg;
};

struct record_writer {
    const struct record_place *place; /* borrowed */
    const struct stream_name *stream; /* borrowed */
    uint32_t *next_seq;               /* borrowed: of the folder; 0 = not known yet */
    struct record_owner *owner;       /* borrowed; NULL = nobody */
    const struct record_plan *plan;   /* borrowed */
    enum record_format_id id;
    const struct record_format *format;
    struct es_tracks known;                /* what may be written */
    enum media_codec seen[RECORD_KINDS];   /* of codecs without any parameters */
    enum media_codec codecs[RECORD_KINDS]; /* in the file */
    bool is_open, is_changed; /* changed: other tracks than those that the file began with */
    bool opened;              /* format.open() was called */
    enum err error;           /* of the format; reset by a new file */
    int fd;
    int error_number; /* errno of what failed last; 0 = nothing did */
    struct record_name name;
    struct buf_writer *out;         /* = place->out */
    const struct track_set *tracks; /* borrowed: configurations as they are now */
    uint64_t bytes;                 /* written */
    int64_t base_us;                /* dts of the first frame, on the stream's clock */
    int64_t start_us, last_us[RECORD_KINDS], step_us[RECORD_KINDS]; /* relative to base_us */
    uint64_t run;
    struct flv_seek_facts flv; /* the formats' own */
    struct ts_mux *ts;
    struct record_mp4 mp4;
    struct record_hls hls;
};

void record_writer_init(struct record_writer *w, enum record_format_id id);
/* Whatever is open is given up: record_writer_end() first. */
void record_writer_fini(struct record_writer *w);
/* The configurations are these now. */
void record_writer_take_tracks(struct record_writer *w, const struct track_set *tracks);
/* A frame that is to come soon: what only frames say. */
void record_writer_look(struct record_writer *w, const struct media_frame *frame);
/* Would this frame begin a file? */
bool record_writer_waits(const struct record_writer *w);
/* Why the file that is open has to end before this entry point. False: it goes on. */
bool record_writer_is_due(const struct record_writer *w, const struct media_frame *entry,
                          enum record_cut *cut);
/* E_OK; E_UNSUPPORTED: no track that the format carries; E_IO with w->error_number; E_NOMEM. */
enum err record_writer_begin(struct record_writer *w, const struct media_frame *first,
                             int64_t wall_us, uint64_t run);
void record_writer_add(struct record_writer *w, const struct media_frame *frame, bool entry);
/* What lies in w->out goes to the disk. E_IO: the file is as long as it was. */
enum err record_writer_flush(struct record_writer *w);
/* The file that is open, if any, is handed to the upkeep. */
void record_writer_end(struct record_writer *w, enum record_cut cut);
/* Of the file that is open: so much is on the disk of it. */
uint64_t record_writer_bytes(const struct record_writer *w);
int64_t record_writer_duration_us(const struct record_writer *w);

/* --- for formats ------------------------------------------------------------------- */

/* Returns a descriptor of a new file in the stream's folder, or -1 with errno. */
int record_writer_create_file(const struct record_writer *w, const struct record_name *name);
/* All of it, or errno and the file as long as it was. */
int record_write_all(int fd, struct buf_view bytes, uint64_t at);
/* The whole playlist of an HLS record. */
void record_hls_write_list(struct buf_writer *out, const struct record_name *name,
                           const int64_t *segments_us, size_t n_segments, bool is_complete);

#endif
