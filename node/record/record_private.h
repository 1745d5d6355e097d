/* Private to node/record: the room and its threads. */
#ifndef HW_NODE_RECORD_RECORD_PRIVATE_H
#define HW_NODE_RECORD_RECORD_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/map.h"
#include "node/control/settings.h"
#include "node/record/finish.h"
#include "node/record/record.h"
#include "node/stream/sink.h"

#define RECORD_MAX_THREADS 8u

struct record_rules { /* under record.lock */
    struct record_ruled {
        char id[SETTING_ID_SIZE]; /* of operators' rules, which are sorted by it */
        struct record_rule rule;
    } * items; /* owned */
    size_t n_items;
};

struct record_limits { /* fixed after start */
    uint64_t min_free_bytes, max_bytes, queue_bytes;
    int64_t max_age_us, queue_us;
};

/* A thread that writes. */
struct record_thread {
    struct loop *loop;
    struct buf_writer out; /* what goes to a file next */
    struct record_place place;
    struct loop_msg stop;
};

struct record {
    struct node *node;
    int dir_fd;
    struct record_limits limits;
    struct record_thread threads[RECORD_MAX_THREADS];
    unsigned n_threads;
    struct loop *upkeep, *reader;
    pthread_mutex_t lock;
    struct record_rules conf_rules, told_rules;
    bool is_looking_at_all, looks_again; /* the control loop's: and once more behind it */
    struct map by_stream;  /* recorders by the address of their stream; under the lock */
    struct list recorders; /* recorder.node; likewise */
    _Atomic size_t queued_bytes;
    _Atomic unsigned n_busy; /* recorders, and files that are not finished */
    /* Free space, as the threads that write saw it last. */
    _Atomic int64_t looked_us;
    _Atomic bool is_full;
    /* The upkeep's own. */
    struct timer sweep_timer;
    struct timer again_timer; /* what could not be finished is looked at again */
    int64_t again_ms;         /* the pause before that; grows */
    bool is_looking;
    bool is_sweep_due;
    int64_t sweep_us, wall_offset_us, no_age_until_us;
};

/* --- recorder.c ---------------------------------------------------------------------- */

struct record_batch;

struct recorder_writer {
    struct record_writer writer;
    struct record_status status; /* under recorder.lock */
    int64_t retry_us;            /* not before, after an error */
};

struct recorder {
    struct stream_sink sink;    /* home loop, as far as the next mark */
    struct stream *stream;      /* owned reference */
    struct record_batch *batch; /* that is filled; or NULL */
    struct stream_name name;
    struct record_plan plan;
    uint64_t run;
    bool is_publisher;       /* of the source that it had last */
    bool is_dropping;        /* until an entry point finds room */
    struct track_set missed; /* headers of what was left out */
    int64_t said_us;
    /* --- any thread */
    struct record *record;
    struct record_thread *thread;
    struct list node; /* of record.recorders */
    char key[24];     /* in record.by_stream */
    atomic_uint n_refs;
    _Atomic unsigned n_queued;  /* batches */
    _Atomic int64_t oldest_us;  /* when the oldest of them was made, about */
    _Atomic uint64_t n_dropped; /* GOPs */
    struct record_owner owner;  /* of its files that are not finished */
    atomic_uint n_unfinished;
    pthread_mutex_t lock;
    /* --- the thread that writes */
    struct track_set tracks;
    uint32_t next_seq;
    unsigned n_writers;
    struct recorder_writer writers[RECORD_N_FORMATS];
};

/* Home loop. NULL: out of memory, or the stream has ended. */
struct recorder *recorder_open(struct record *record, struct stream *stream,
                               const struct record_plan *plan);
/* What was recorded is finished, for that reason. Takes r. Home loop. */
void recorder_close(struct recorder *r, enum record_cut cut);
/* The source has left: what is there is finished. Home loop. */
void recorder_end_files(struct recorder *r);
void recorder_unref(struct recorder *r);

/* --- recorder_write.c: the thread that writes ---------------------------------------- */

#define RECORD_BATCH_FRAMES 256u

enum batch_end {
    BATCH_GOES_ON,
    BATCH_ENDS_FILES, /* behind its frames */
    BATCH_ENDS_RUN,   /* likewise; and the tracks are others */
    BATCH_ENDS_ALL    /* and nothing follows */
};

struct record_batch {
    struct loop_msg msg;
    struct recorder *recorder; /* owned reference */
    enum batch_end end;
    enum record_cut cut;
    uint64_t run;
    int64_t wall_offset_us; /* Unix time - ingest_us */
    int64_t since_us;
    size_t bytes; /* of memory */
    unsigned n_items;
    struct record_item {
        const struct media_frame *frame; /* owned */
        bool entry;
    } items[RECORD_BATCH_FRAMES];
};
/* What tells of tracks, and is no frame of one. */
static inline bool record_is_header(const struct media_frame *frame)
{
    return frame->info.flags & FRAME_HEADERS;
}
/* What to do with it there, and what else to do with it; both take it. */
void recorder_take_batch(struct loop_msg *msg);
void recorder_drop_batch(struct loop_msg *msg);

/* --- room.c -------------------------------------------------------------------------- */

/* Any thread that writes: is there room on the disk? Looks once a second. */
bool record_has_room(struct record *record);

/* What streams there are is looked at again. Control loop. */
void record_look_at_all(struct record *record);

/* --- rules.c ------------------------------------------------------------------------- */

/* Any thread. Without a rule no format is in it. */
struct record_plan record_plan_for(struct record *record, const struct stream_name *stream,
                                   enum publish_record said);
enum err record_rules_parse(const struct conf_list *texts, struct record_rules *out,
                            struct conf_error *error);
void record_rules_fini(struct record_rules *rules);
/* Rules of operators (/api/v1/records/rules) come before those of the configuration; one that names
 * a stream comes before patterns, else the order is that of their ids. */
void record_own_settings(struct record *record, struct settings *settings);

/* --- upkeep.c ------------------------------------------------------------------------ */

enum err record_upkeep_start(struct record *record);
/* What was handed over is done first. */
void record_upkeep_stop(struct record *record);
/* Takes *done. Any thread. */
void record_upkeep_finish(void *record, struct record_done *done);

/* --- sweep.c: upkeep's thread -------------------------------------------------------- */

/* Removes what is too old, or too much. */
void record_sweep(struct record *record);
/* Takes it out of folder and index. E_NOT_FOUND, E_IO. */
enum err record_remove(int folder_fd, const struct record_name *name);

#endif
