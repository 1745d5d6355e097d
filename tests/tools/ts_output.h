/* FLV tags to a transport stream. Sans I/O. */
#ifndef HW_TESTS_TOOLS_TS_OUTPUT_H
#define HW_TESTS_TOOLS_TS_OUTPUT_H

#include "proto/ts/ts.h"
#include "tests/tools/media_input.h"

/* Appends a frame's packets, if it is one, at that time; a configuration is kept. entry: players
 * may begin with it. E_UNSUPPORTED: there is no place for it; others as ts.h has them. *why is
 * static. */
enum err ts_output_write(struct ts_mux *mux, const struct media_tag *tag, int64_t dts_us,
                         bool entry, struct buf_writer *out, const char **why);

#endif
