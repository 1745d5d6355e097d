/* FLV tags to an MP4 file that everybody can seek in. Sans I/O: who writes it appends what comes,
 * and puts the head of it in its place at the end. */
#ifndef HW_TESTS_TOOLS_MP4_OUTPUT_H
#define HW_TESTS_TOOLS_MP4_OUTPUT_H

#include "proto/mp4/gather.h"
#include "proto/mp4/movie.h"
#include "tests/tools/media_input.h"

struct mp4_output_held; /* private */

struct mp4_output {
    struct mp4_gather gather;
    struct mp4_movie *movie; /* owned */
    struct mp4_output_track {
        struct codec_params params; /* its views are into config */
        struct buf_writer config;
        bool is_known;
        int index;                /* in the file; -1 = not in it */
    } tracks[2];                  /* [MEDIA_AUDIO], [MEDIA_VIDEO] */
    struct mp4_output_held *held; /* owned: until it is known what tracks there are */
    size_t n_held, max_held, held_bytes;
    int64_t held_since_us;
    uint64_t at; /* in the file */
    uint32_t ftyp_bytes;
    bool is_begun, has_video; /* video: some was seen */
};

/* E_NOMEM. Pair with fini(), whatever it gives. */
enum err mp4_output_init(struct mp4_output *o);
void mp4_output_fini(struct mp4_output *o);
/* A frame at that time, or a configuration; appends what is ready. E_UNSUPPORTED: there is no place
 * for it; E_PROTO, E_NOMEM. *why is static. */
enum err mp4_output_write(struct mp4_output *o, const struct media_tag *tag, int64_t dts_us,
                          struct buf_writer *out, const char **why);
/* Appends what is left and the tables. *hold_at: where the hold belongs then. E_UNSUPPORTED: there
 * was nothing to write. */
enum err mp4_output_end(struct mp4_output *o, struct buf_writer *out, uint64_t *hold_at,
                        uint8_t hold[MP4_HOLD_BYTES], const char **why);

#endif
