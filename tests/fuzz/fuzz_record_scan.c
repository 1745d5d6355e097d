/* links: node/record
 * A file that a crash left, or somebody put there: what is said to be good lies within it, is found
 * again in that part alone, and tables made of it can be written. The first byte picks the format.
 */
#include <stdlib.h>
#include <string.h>

#include "node/record/scan.h"

struct memory {
    struct record_source source;
    const uint8_t *data;
};

static bool read_memory(const struct record_source *source, uint64_t at, void *out, size_t n)
{
    if (at > source->size_bytes || n > source->size_bytes - at)
        return false;
    memcpy(out, ((const struct memory *)(const void *)source)->data + at, n);
    return true;
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void scan(enum record_format_id format, const uint8_t *data, size_t size)
{
    struct memory file = {{read_memory, size}, data}, good;
    struct record_scan found, again;
    struct buf_writer moov;

    if (record_scan(format, &file.source, &found) != E_OK)
        return;
    check(found.good_bytes > 0 && found.good_bytes <= size && found.duration_us >= 0);
    good = (struct memory){{read_memory, found.good_bytes}, data};
    check(record_scan(format, &good.source, &again) == E_OK);
    check(again.good_bytes == found.good_bytes && again.duration_us == found.duration_us);
    buf_writer_init(&moov, 64u << 20);
    if (found.movie)
        mp4_movie_write(found.movie, &moov);
    if (format == RECORD_FLV)
        check(flv_seek_write_meta(&moov, &found.flv, found.good_bytes) == E_OK);
    buf_writer_fini(&moov);
    record_scan_fini(&again);
    record_scan_fini(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file;

    if (!size)
        return 0;
    file = malloc(size);
    if (!file)
        return 0;
    memcpy(file, data + 1, size - 1);
    scan((enum record_format_id)(data[0] % RECORD_N_FORMATS), file, size - 1);
    free(file);
    return 0;
}
