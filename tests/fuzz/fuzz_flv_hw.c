/* links: proto/flv
 * Any bytes as an @hw script body, its trail, and as metadata. What is understood is written and
 * read again. */
#include <stdlib.h>
#include <string.h>

#include "proto/flv/flv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void read_trail(struct buf_view text)
{
    struct flv_hop hops[FLV_MAX_HOPS], again[FLV_MAX_HOPS];
    char trail[FLV_TRAIL_SIZE] = "";
    unsigned n, n_again;

    if (flv_parse_trail(text, hops, &n) != E_OK)
        return;
    for (unsigned i = 0; i < n; i++)
        require(flv_append_hop(trail, &hops[i]));
    require(flv_parse_trail(buf_view_str(trail), again, &n_again) == E_OK && n_again == n);
    for (unsigned i = 0; i < n; i++)
        require(!strcmp(again[i].id, hops[i].id) && again[i].epoch == hops[i].epoch &&
                again[i].lag_us == hops[i].lag_us && again[i].unc_us == hops[i].unc_us);
}

static void read_again(const struct flv_hw *hw)
{
    struct flv_hw again;
    struct buf_writer w;

    buf_writer_init(&w, 16384);
    flv_write_hw_body(&w, hw);
    if (buf_writer_status(&w) == E_OK) {
        require(flv_parse_hw_body(buf_writer_view(&w), &again) == E_OK);
        require(again.v == hw->v && again.epoch == hw->epoch && again.gop == hw->gop);
        require(again.ingest_us == hw->ingest_us && again.wall_us == hw->wall_us);
        require(again.run == hw->run && !again.path.data == !hw->path.data);
        require(again.has_clock == hw->has_clock && again.clock_us == hw->clock_us);
        require(again.unc_us == hw->unc_us && !again.trail.data == !hw->trail.data);
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
    if (e == E_OK) {
        read_again(&hw);
        read_trail(hw.trail);
    }
    if (flv_is_metadata(body, &inner)) {
        require(e == E_NOT_FOUND);
        require(inner.size_bytes <= size && flv_is_metadata(inner, &inner));
    }
    free(copy);
    return 0;
}
