/* Frames of a transport stream: as much of ISO 13818-1 as it takes to count, time and tell them
 * apart. Sans I/O; one thread at a time. */
#ifndef HW_TESTS_TOOLS_TS_FRAMES_H
#define HW_TESTS_TOOLS_TS_FRAMES_H

#include "common/base/buf.h"
#include "common/media/frame.h"

#define TS_FRAMES_PACKET_BYTES 188

struct ts_frame_seen {
    enum media_kind kind;
    bool is_key;     /* random_access_indicator */
    uint32_t dts_ms; /* goes back to 0 after 2^33 ticks, 26 hours */
    bool has_sent;   /* it has a stamp (stamp.h) */
    int64_t sent_us; /* of it */
    int64_t read_us; /* of its last packet */
};

struct ts_frames { /* private */
    uint8_t part[TS_FRAMES_PACKET_BYTES];
    size_t part_bytes;
    struct {
        struct ts_frame_seen frame;
        bool is_open;
        unsigned pid;
    } tracks[2]; /* the last frame of each kind, which may go on */
};

/* Zeroed = at the begin of a packet. Advances *in past what it kept; read_us is when that came.
 *   E_OK     the frame before the one that begins here, in *out; call again
 *   E_AGAIN  all of *in is used
 *   E_PROTO  no transport stream, or no time in a PES packet */
enum err ts_frames_feed(struct ts_frames *t, struct buf_reader *in, int64_t read_us,
                        struct ts_frame_seen *out);

#endif
