/* links: proto/flv
 * Any bytes as a tag body; the first one picks the tag type. */
#include <stdlib.h>
#include <string.h>

#include "proto/flv/flv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct media_frame_info info = {.kind = MEDIA_N_KINDS};
    const char *why = NULL;
    uint8_t *body;
    enum err e;

    if (size == 0)
        return 0;
    body = malloc(size > 1 ? size - 1 : 1); /* its own block: one byte past the end is seen */
    if (!body)
        return 0;
    memcpy(body, data + 1, size - 1);
    e = flv_parse_body(data[0], buf_view_of(body, size - 1), &info, &why);
    if (e == E_OK) {
        require(flv_tag_type_of(info.kind) == data[0]);
        require(info.es_offset <= size - 1);
        require(info.codec > CODEC_NONE && info.codec < CODEC_COUNT);
        require((info.flags & (FRAME_KEY | FRAME_CONFIG)) != (FRAME_KEY | FRAME_CONFIG));
        require(info.flags & FRAME_MULTITRACK || info.track_id == 0);
    } else {
        require(e == E_PROTO && why && info.kind == MEDIA_N_KINDS);
    }
    free(body);
    return 0;
}
