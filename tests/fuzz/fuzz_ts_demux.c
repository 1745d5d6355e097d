/* links: proto/ts
 * Any bytes, in one piece and in pieces of a size that the first byte says: the same units, and
 * what is said of them holds. */
#include <stdlib.h>
#include <string.h>

#include "proto/ts/ts_demux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FRAME_BYTES 65536u

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A sum over what came out, and how much. */
struct sum {
    uint64_t value, n_units;
};

static void add(struct sum *s, const struct ts_unit *u)
{
    require(u->es.size_bytes > 0 && u->es.data);
    require(u->kind == MEDIA_AUDIO || u->kind == MEDIA_VIDEO);
    require(u->dts_us != INT64_MIN && u->pts_us != INT64_MIN);
    s->n_units++;
    s->value = s->value * 31 + (uint64_t)u->dts_us + (uint64_t)u->pts_us * 3 + u->config + u->key;
    for (size_t i = 0; i < u->es.size_bytes; i++)
        s->value = s->value * 131 + u->es.data[i];
}

static struct sum run(struct buf_view bytes, size_t piece_bytes)
{
    struct ts_demux *demux = ts_demux_create(MAX_FRAME_BYTES);
    struct buf_reader all = buf_reader_from(bytes);
    struct sum sum = {0};
    struct ts_unit unit;
    enum err e = E_AGAIN;

    while (demux && e == E_AGAIN && all.left_bytes) {
        size_t n = all.left_bytes < piece_bytes ? all.left_bytes : piece_bytes;
        struct buf_reader in = buf_reader_from(buf_take(&all, n));

        while ((e = ts_demux_next(demux, &in, &unit)) == E_OK)
            add(&sum, &unit);
        require(e != E_AGAIN || !in.left_bytes);
    }
    while (demux && e == E_AGAIN && ts_demux_end(demux, &unit) == E_OK)
        add(&sum, &unit);
    ts_demux_destroy(&demux);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole, pieces;

    if (size < 2)
        return 0;
    whole = run(buf_view_of(data + 1, size - 1), size);
    pieces = run(buf_view_of(data + 1, size - 1), (size_t)data[0] + 1);
    require(whole.n_units == pieces.n_units && whole.value == pieces.value);
    return 0;
}
