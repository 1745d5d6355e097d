/* Media from a file, from standard input or piece by piece from a network, whatever container it is
 * in: frames as FLV tags have them. */
#ifndef HW_TESTS_TOOLS_MEDIA_INPUT_H
#define HW_TESTS_TOOLS_MEDIA_INPUT_H

#include <stdio.h>

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "proto/ts/ts_demux.h"

/* RTMP: messages that are given, or the bytes of one direction of a connection. */
enum media_container {
    CONTAINER_UNKNOWN,
    CONTAINER_FLV,
    CONTAINER_TS,
    CONTAINER_RTMP,
    CONTAINER_MP4
};

struct media_input; /* opaque */

struct media_tag {
    uint8_t type_id;              /* enum flv_tag_type */
    int64_t dts_us;               /* of an FLV file: goes on over the wrap of 2^32 ms; of MP4: the
                                   * first ones may be below 0 */
    struct buf_view body;         /* lent until the next call; has one track */
    struct media_frame_info info; /* what flv_parse_body() says; dts_us as above */
    bool is_broken;               /* it says nothing: why */
    const char *why;              /* static */
};

/* path "-" is standard input. What is a file can be sought in, and so its MP4 may have moov behind
 * the media. NULL with why[size]. */
struct media_input *media_input_open(const char *path, char *why, size_t size);
/* What is given by its owner, piece after piece: name (borrowed) is for complaints. MP4 then has
 * moov in front, or fragments. NULL: out of memory. */
struct media_input *media_input_create(const char *name, enum media_container container);
void media_input_close(struct media_input **input);
/* Never waits for a pipe: E_AGAIN when it has nothing. */
void media_input_set_patient(struct media_input *input);
/* To one of media_input_create(), when media_input_next() has said E_AGAIN; lent until it says so
 * again. A message is for CONTAINER_RTMP. */
void media_input_give(struct media_input *input, struct buf_view bytes);
void media_input_give_message(struct media_input *input, uint8_t type_id, uint32_t time_ms,
                              struct buf_view body);
/* Nothing is given any more: what is left comes, then E_END. */
void media_input_end(struct media_input *input);
/* E_OK; E_END; E_AGAIN as above; else what is wrong is media_input_why(). Broken tags are given as
 * such. */
enum err media_input_next(struct media_input *input, struct media_tag *out);
const char *media_input_why(const struct media_input *input);
/* After E_END: why what was there is no whole recording, though each frame of it is: it was cut
 * off, or empty. NULL: it is whole. */
const char *media_input_lacks(const struct media_input *input);
/* Known with the first tag. */
enum media_container media_input_container(const struct media_input *input);
uint64_t media_input_bytes(const struct media_input *input); /* read so far */
/* Of RTMP, as one side has sent it: messages by their type. Lent. */
#define MEDIA_INPUT_MESSAGE_TYPES 32
const uint64_t *media_input_messages(const struct media_input *input);
/* Of MP4: tracks that are not read; 0 else. */
unsigned media_input_left_out(const struct media_input *input);
/* Of a transport stream; zeros else. */
void media_input_ts_counts(const struct media_input *input, struct ts_demux_counts *out);

#endif
