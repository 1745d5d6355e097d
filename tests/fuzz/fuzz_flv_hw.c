/* links: proto/flv
 * Any bytes as an @hw script body and as metadata. What is understood is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "proto/flv/flv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void read_again(const struct flv_hw *hw)
{
    struct flv_hw again;
    struct buf_writer w;

    buf_writer_init(&w, 1024);
    flv_write_hw_body(&w, hw);
    if (buf_writer_status(&w) == E_OK) {
        require(flv_parse_hw_body(buf_writer_view(&w), &again) == E_OK);
        require(again.v == hw->v && again.epoch == hw->epoch && again.gop == hw->gop);
        require(again.ingest_us == hw->ingest_us && again.wall_us == hw->wall_us);
    }
    buf_writer_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_view body, inner;
    struct flv_hw hw;
    enum err e;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    body = buf_view_of(copy, size);
    e = flv_parse_hw_body(body, &hw);
    require(e == E_OK || e == E_PROTO || e == E_NOT_FOUND || e == E_NOMEM);
    if (e == E_OK)
        read_again(&hw);
    if (flv_is_metadata(body, &inner)) {
        require(e == E_NOT_FOUND);
        require(inner.size_bytes <= size && flv_is_metadata(inner, &inner));
    }
    free(copy);
    return 0;
}
