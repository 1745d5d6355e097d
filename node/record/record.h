/* Recording: which streams are recorded, by whom, and where it goes. README.md has the threads. */
#ifndef HW_NODE_RECORD_RECORD_H
#define HW_NODE_RECORD_RECORD_H

#include "common/base/conf.h"
#include "common/net/loop.h"
#include "node/record/index.h"
#include "node/record/rule.h"

struct node;
struct node_conf;
struct record; /* opaque; NULL where record.dir is "" */
struct stream;

/* Opens record.dir, and starts the threads. *out is NULL without record.dir. E_INVAL, E_NOMEM with
 * *error. */
enum err record_create(struct node *node, struct record **out, struct conf_error *error);
/* All loops have stopped. What is open is finished first. */
void record_destroy(struct record **record);

/* Home loop: the stream has got or lost its source, or has ended. NULL record is fine. */
void record_on_stream_changed(struct record *record, struct stream *stream);

/* --- rules: control loop ------------------------------------------------------------- */

/* record.rules checked: E_INVAL with *error. */
enum err record_rules_check(const struct conf_list *rules, struct conf_error *error);
/* Those of the configuration are these now. What is recorded follows. */
void record_reload(struct record *record, const struct conf_list *rules);
/* --- what is being recorded: any thread ------------------------------------------------ */

enum record_state {
    RECORD_WAITING, /* for a key frame */
    RECORD_WRITING,
    RECORD_NO_ROOM, /* record.min_free_bytes */
    RECORD_FAILED   /* error says why; it is tried again */
};
extern const char *const k_record_states[];

struct record_status {
    struct stream_name stream;
    enum record_format_id format;
    enum record_state state;
    char file[RECORD_NAME_SIZE]; /* that is written; "" = none */
    char error[160];             /* the last one; "" = none yet */
    uint64_t bytes, n_files, n_dropped_gops;
    int64_t duration_us;
};
/* Under a lock: each() looks and copies. */
void record_each_status(struct record *record,
                        void (*each)(const struct record_status *status, void *arg), void *arg);

/* Any thread: is a stream recorded, or a file not finished? NULL record is fine. */
bool record_is_busy(const struct record *record);

/* --- finished records: asked on any loop, answered on that loop -------------------------- */

enum record_ask_kind { RECORD_LIST, RECORD_GET, RECORD_REMOVE };
struct record_found {
    struct stream_name stream;
    struct record_entry entry;
};
struct record_ask {
    struct loop_msg msg;   /* private; drop is the asker's */
    struct record *record; /* private */
    struct loop *loop;     /* that asks */
    enum record_ask_kind kind;
    char stream[STREAM_NAME_SIZE];                   /* RECORD_LIST: of this one; "" = all */
    char after[STREAM_NAME_SIZE + RECORD_NAME_SIZE]; /* RECORD_LIST: "app/name/file" or "" */
    size_t limit;
    struct stream_name of; /* RECORD_GET, RECORD_REMOVE */
    struct record_name name;
    /* The answer. E_OK, E_NOT_FOUND, E_IO, E_NOMEM. */
    enum err result;
    struct record_found *found; /* owned; n_found of them, sorted by stream and number */
    size_t n_found;
    bool has_more;
    void (*done)(struct record_ask *ask);
};
void record_ask(struct record *record, struct record_ask *ask);

/* --- playing them ------------------------------------------------------------------------ */

/* A file that is read piece by piece, on a thread of its own: a page that is not in memory would
 * stop a loop for as long as the disk takes, and so would sendfile(). */
#define RECORD_PIECE_BYTES 262144u
struct record_play {
    struct loop_msg msg;   /* private; drop is the asker's */
    struct record *record; /* private */
    struct loop *loop;     /* that asks */
    struct stream_name stream;
    struct record_name name;
    int fd; /* owned; -1 = to be opened */
    uint64_t size_bytes;
    int64_t mtime_ns;
    uint64_t inode;
    uint64_t at; /* asked for */
    size_t wanted_bytes, got_bytes;
    uint8_t *piece; /* owned; RECORD_PIECE_BYTES */
    enum err result;
    void (*done)(struct record_play *play);
};
/* Opens the file when fd is -1, else reads wanted_bytes from at on. */
void record_play_ask(struct record *record, struct record_play *play);
void record_play_fini(struct record_play *play);

#endif
