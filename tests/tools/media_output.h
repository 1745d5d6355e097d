/* Frames, as media_input.h gives them, into a file or standard output: FLV, a transport stream,
 * MP4, or the elementary streams alone. FLV and MP4 files can be sought in. */
#ifndef HW_TESTS_TOOLS_MEDIA_OUTPUT_H
#define HW_TESTS_TOOLS_MEDIA_OUTPUT_H

#include "tests/tools/media_input.h"

struct media_output; /* opaque */

/* What a file of this name is to be: by its ending, .flv .ts .mp4 .h264 .hevc .aac and so on; NULL:
 * none that can be written. "-" is flv. */
struct media_output_form;
const struct media_output_form *media_output_form_of(const char *path);

/* Borrows path. NULL with why[size]. */
struct media_output *media_output_open(const char *path, const struct media_output_form *form,
                                       char *why, size_t size);
/* E_OK, also for a frame that has no place there, which is counted; else media_output_why(). */
enum err media_output_write(struct media_output *output, const struct media_tag *tag);
/* Takes *output. Else than E_OK: what was written may not be there, and why[size]. */
enum err media_output_close(struct media_output **output, uint64_t *n_written, uint64_t *n_left_out,
                            char *why, size_t size);
const char *media_output_why(const struct media_output *output);

#endif
