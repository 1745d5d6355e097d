/* FLV tags to an FLV file that can be sought in: what its onMetaData says is learnt while it is
 * written. Sans I/O. */
#ifndef HW_TESTS_TOOLS_FLV_OUTPUT_H
#define HW_TESTS_TOOLS_FLV_OUTPUT_H

#include "proto/flv/seek.h"
#include "tests/tools/media_input.h"

struct flv_output { /* zeroed = at the beginning */
    struct flv_seek_facts facts;
    uint64_t at; /* in the file */
};
void flv_output_fini(struct flv_output *o);
/* The file's header, and room for onMetaData. E_NOMEM. */
enum err flv_output_begin(struct flv_output *o, struct buf_writer *out);
/* Appends the tag. onMetaData has its place already: E_UNSUPPORTED. E_NOMEM. */
enum err flv_output_write(struct flv_output *o, const struct media_tag *tag, uint32_t time_ms,
                          struct buf_writer *out);
/* FLV_SEEK_META_BYTES that belong to FLV_SEEK_META_AT. E_NOMEM. */
enum err flv_output_end(struct flv_output *o, struct buf_writer *meta);

#endif
