/* What every publisher of a load sends: an FLV file in memory, each frame with room for a stamp,
 * and an endless walk over it. Sans I/O but for load_clip_read(). */
#ifndef HW_TESTS_TOOLS_LOAD_CLIP_H
#define HW_TESTS_TOOLS_LOAD_CLIP_H

#include "common/base/buf.h"

struct load_clip_message {
    uint8_t type_id;     /* enum flv_tag_type, and RTMP's too */
    uint32_t time_ms;    /* from the beginning of the clip */
    size_t at;           /* of its body in clip->bytes */
    uint32_t size_bytes; /* of its body */
    uint32_t stamp_at;   /* of the stamp's time in the body; 0 = no stamp */
};

struct load_clip {
    struct buf_writer bytes; /* all bodies; stamps are written in place */
    struct load_clip_message *messages;
    size_t n_messages;
    size_t n_init;      /* metadata and sequence headers, in front: sent once */
    uint32_t length_ms; /* after which the frames come again */
    uint32_t frame_us;  /* mean distance of two video frames, or audio frames when there are none */
    bool has_video;
    unsigned n_unstamped; /* frames that have no place for a stamp */
};

/* Borrows file, the bytes of an FLV file. stamp = frames get room for stamps. On failure *why is a
 * static text and nothing is kept. Pair with load_clip_fini(). */
enum err load_clip_init(struct load_clip *clip, struct buf_view file, bool stamp, const char **why);
/* The same from a file. */
enum err load_clip_read(struct load_clip *clip, const char *path, bool stamp, const char **why);
void load_clip_fini(struct load_clip *clip);
/* Lends the body; changing it changes the clip. */
uint8_t *load_clip_body(const struct load_clip *clip, const struct load_clip_message *message);

/* Where a publisher is; zeroed = at the beginning. */
struct load_clip_cursor {
    size_t next;       /* message */
    uint32_t begin_ms; /* time at which this round of the clip began */
};
/* Lends the message that comes next and gives its time; load_clip_advance() goes on, at the end
 * with the first frame again, one frame after the last. Time wraps at 2^32 ms. */
const struct load_clip_message *load_clip_peek(const struct load_clip *clip,
                                               const struct load_clip_cursor *cursor,
                                               uint32_t *time_ms);
void load_clip_advance(const struct load_clip *clip, struct load_clip_cursor *cursor);

#endif
