/* Media from a file or standard input, whatever container it is in: frames as FLV tags have them.
 */
#ifndef HW_TESTS_TOOLS_MEDIA_INPUT_H
#define HW_TESTS_TOOLS_MEDIA_INPUT_H

#include <stdio.h>

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "proto/ts/ts_demux.h"

enum media_container { CONTAINER_UNKNOWN, CONTAINER_FLV, CONTAINER_TS };

struct media_input; /* opaque */

struct media_tag {
    uint8_t type_id;              /* enum flv_tag_type */
    int64_t dts_us;               /* of an FLV file: goes on over the wrap of 2^32 ms */
    struct buf_view body;         /* lent until the next call; has one track */
    struct media_frame_info info; /* what flv_parse_body() says; dts_us as above */
    bool is_broken;               /* it says nothing: why */
    const char *why;              /* static */
};

/* path "-" is standard input. NULL with why[size]. */
struct media_input *media_input_open(const char *path, char *why, size_t size);
void media_input_close(struct media_input **input);
/* E_OK; E_END; else what is wrong is media_input_why(). Broken tags are given as such. */
enum err media_input_next(struct media_input *input, struct media_tag *out);
const char *media_input_why(const struct media_input *input);
/* Known with the first tag. */
enum media_container media_input_container(const struct media_input *input);
uint64_t media_input_bytes(const struct media_input *input); /* read so far */
/* Of a transport stream; zeros else. */
void media_input_ts_counts(const struct media_input *input, struct ts_demux_counts *out);

#endif
