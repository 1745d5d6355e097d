/* links: proto/flv
 * Any bytes as a tag body, taken apart; the first one picks the tag type. Each part is a body of
 * one track that gives itself when it is taken apart again, and every style can be asked for it. */
#include <stdlib.h>
#include <string.h>

#include "proto/flv/flv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_styles(uint8_t type_id, struct buf_view part)
{
    struct media_frame_info info = {0};
    const char *why = NULL;

    if (flv_parse_body(type_id, part, &info, &why) != E_OK)
        return;
    for (int style = FLV_STYLE_WHOLE; style <= FLV_STYLE_CLASSIC_HEVC; style++) {
        struct flv_shape shape;

        if (!flv_shape_body((enum flv_style)style, &info, part, &shape))
            continue;
        require(shape.head_bytes <= FLV_SHAPE_HEAD_BYTES);
        require(shape.rest.size_bytes <= part.size_bytes);
    }
}

static void check_part(uint8_t type_id, struct buf_view part)
{
    struct buf_writer scratch;
    struct flv_parts again;
    struct buf_view same;
    const char *why = NULL;

    check_styles(type_id, part);
    buf_writer_init(&scratch, 1 << 24);
    flv_parts_begin(&again, type_id, part);
    require(flv_parts_next(&again, &scratch, &same, &why) == E_OK);
    require(same.size_bytes == part.size_bytes);
    require(!part.size_bytes || memcmp(same.data, part.data, part.size_bytes) == 0);
    require(flv_parts_next(&again, &scratch, &same, &why) == E_END);
    buf_writer_fini(&scratch);
}

/* Who does not take apart what is one part misses nothing. */
static void check_one_part(uint8_t type_id, struct buf_view body, struct buf_writer *scratch)
{
    struct flv_parts parts;
    struct buf_view part;
    const char *why = NULL;

    if (!flv_is_one_part(type_id, body))
        return;
    flv_parts_begin(&parts, type_id, body);
    require(flv_parts_next(&parts, scratch, &part, &why) == E_OK);
    require(part.data == body.data && part.size_bytes == body.size_bytes);
    require(flv_parts_next(&parts, scratch, &part, &why) == E_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf_writer scratch;
    struct flv_parts parts;
    struct buf_view part;
    const char *why = NULL;
    uint8_t *body;

    if (size == 0)
        return 0;
    body = malloc(size > 1 ? size - 1 : 1); /* its own block: one byte past the end is seen */
    if (!body)
        return 0;
    memcpy(body, data + 1, size - 1);
    buf_writer_init(&scratch, 1 << 24);
    check_one_part(data[0], buf_view_of(body, size - 1), &scratch);
    flv_parts_begin(&parts, data[0], buf_view_of(body, size - 1));
    for (;;) {
        enum err e = flv_parts_next(&parts, &scratch, &part, &why);

        if (e != E_OK) {
            require(e == E_END || (e == E_PROTO && why));
            break;
        }
        check_part(data[0], part);
    }
    buf_writer_fini(&scratch);
    free(body);
    return 0;
}
