/* What publishers and players of one load share. One thread. */
#ifndef HW_TESTS_TOOLS_LOAD_SHARED_H
#define HW_TESTS_TOOLS_LOAD_SHARED_H

#include "proto/rtmp/rtmp.h"
#include "tests/tools/load_clip.h"
#include "tests/tools/load_options.h"
#include "tests/tools/load_stats.h"
#include "tests/tools/load_target.h"

struct load_publishers;

struct load_shared {
    struct loop *loop;
    bool counting;         /* the window is open */
    bool has_video;        /* else a player has its first key frame with the first sound */
    int64_t stall_us;      /* a longer gap is one */
    struct buf_writer out; /* for the bytes of one write; empty between two */
    unsigned n_told;       /* complaints so far */
    char why[160];         /* load_rtmp_why() */
    struct load_publishers *publishers;
};

/* Says on stderr why somebody was lost or refused, the first few times. */
void load_tell(struct load_shared *shared, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns a client of its own whose handshake is on its way through conn, or NULL. */
struct rtmp_client *load_rtmp_open(struct load_shared *shared, struct conn *conn,
                                   const struct load_target *target, unsigned index, bool publish);
/* rtmp_client_feed(), and its answers sent. E_CLOSED or E_IO when they cannot be. */
enum err load_rtmp_feed(struct load_shared *shared, struct conn *conn, struct rtmp_client *client,
                        struct buf_reader *in, struct rtmp_client_event *event);
/* Lends what the server said when it refused or ended the stream, until the next call. */
const char *load_rtmp_why(struct load_shared *shared, const struct rtmp_client_event *event);
/* Sends what is in shared->out and empties it. */
enum err load_flush(struct load_shared *shared, struct conn *conn);

#endif
