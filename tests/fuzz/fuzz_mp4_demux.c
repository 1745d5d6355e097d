/* links: proto/mp4
 * A file that is given as it is asked for, in pieces: reading ends, units are within the limits and
 * no more than the file has bytes for, and a second reading in other pieces gives the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/mp4/demux.h"

enum { MAX_FRAME_BYTES = 4096 };

struct outcome {
    enum err e;
    uint64_t n_units, n_bytes, sum;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void take(struct outcome *o, const struct mp4_unit *unit, size_t file_bytes)
{
    check(unit->es.size_bytes > 0 && unit->codec != CODEC_NONE && unit->codec < CODEC_COUNT);
    if (!unit->config) {
        check(unit->es.size_bytes <= MAX_FRAME_BYTES);
        o->n_bytes += unit->es.size_bytes;
        check(o->n_bytes <= file_bytes);
    }
    for (size_t i = 0; i < unit->es.size_bytes; i++)
        o->sum = o->sum * 31 + unit->es.data[i];
    o->sum = o->sum * 31 + (uint64_t)unit->dts_us;
    o->sum = o->sum * 31 + (uint64_t)unit->pts_us + unit->key;
    o->n_units++;
}

/* Each piece has a heap block of its own. */
static struct outcome read_in_steps(const uint8_t *data, size_t size, size_t step, bool can_seek)
{
    struct mp4_demux *demux = mp4_demux_create(MAX_FRAME_BYTES, can_seek);
    struct outcome o = {.e = E_AGAIN};
    uint64_t at = 0, wanted_bytes;
    bool has_more = true;
    struct mp4_unit unit;

    check(demux != NULL);
    while (o.e == E_AGAIN && has_more) {
        size_t n = at < size ? size - (size_t)at : 0;
        uint8_t *block;

        n = n < step ? n : step;
        has_more = n > 0;
        block = malloc(n ? n : 1);
        check(block != NULL);
        if (n)
            memcpy(block, data + at, n);
        while ((o.e = mp4_demux_next(demux, at, buf_view_of(block, n), &unit)) == E_OK)
            take(&o, &unit, size);
        free(block);
        mp4_demux_wants(demux, &at, &wanted_bytes);
        check(o.e != E_AGAIN || wanted_bytes > 0);
    }
    check(o.e == E_AGAIN || o.e == E_END || mp4_demux_error(demux)[0]);
    (void)mp4_demux_lacks(demux, size);
    mp4_demux_destroy(&demux);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? data[0] / 2 + 1u : 1;
    bool can_seek = size && data[0] & 1;
    struct outcome pieces, whole;

    if (!size)
        return 0;
    pieces = read_in_steps(data + 1, size - 1, step, can_seek);
    whole = read_in_steps(data + 1, size - 1, size, can_seek);
    check(pieces.e == whole.e && pieces.sum == whole.sum && pieces.n_units == whole.n_units);
    return 0;
}
