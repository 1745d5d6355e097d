/* An FLV file in memory, sorted for sending in a loop: FLV 10.1, annex E. */
#ifndef HW_TESTS_BENCH_FLOOR_FLV_FILE_H
#define HW_TESTS_BENCH_FLOOR_FLV_FILE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/bench/floor/floor.h"

#define FLV_HEADER_BYTES 13 /* with the first PreviousTagSize */
#define TAG_HEADER_BYTES 11 /* E.4.1 */
#define TAG_AUDIO 8
#define TAG_VIDEO 9

struct flv_tag {
    uint8_t *bytes; /* borrowed from the file: header, body, PreviousTagSize */
    uint32_t size_bytes;
    uint32_t ts_ms; /* from the first tag on */
    bool is_entry;  /* a viewer may start here */
};

struct flv_file {  /* all of it is never freed */
    uint8_t *head; /* FLV header and the tags that describe: metadata, sequence headers */
    size_t head_bytes;
    struct flv_tag *tags; /* the others */
    size_t n_tags;
    uint32_t length_ms;
};

static inline uint32_t flv_read_u24(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static inline void flv_write_ts(uint8_t *tag, uint32_t ts_ms)
{
    tag[4] = (uint8_t)(ts_ms >> 16);
    tag[5] = (uint8_t)(ts_ms >> 8);
    tag[6] = (uint8_t)ts_ms;
    tag[7] = (uint8_t)(ts_ms >> 24);
}

/* Metadata, AVC and AAC sequence headers. */
static inline bool flv_is_init(const uint8_t *tag)
{
    const uint8_t *body = tag + TAG_HEADER_BYTES;

    if (tag[0] == TAG_VIDEO)
        return (body[0] & 0x0f) == 7 && body[1] == 0;
    return tag[0] != TAG_AUDIO || (body[0] >> 4 == 10 && body[1] == 0);
}

/* Returns the whole file in memory of our own, to be changed at will. */
static inline uint8_t *flv_map_file(const char *path, size_t *size_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    uint8_t *bytes;

    if (fd < 0 || fstat(fd, &about) != 0)
        floor_die(path);
    *size_bytes = (size_t)about.st_size;
    bytes = mmap(NULL, *size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        floor_die(path);
    close(fd);
    return bytes;
}

static inline void flv_add_to_head(struct flv_file *flv, const uint8_t *bytes, size_t n)
{
    memcpy(flv->head + flv->head_bytes, bytes, n);
    flv->head_bytes += n;
}

/* Left out: what comes before the first key frame, and the end of sequence of a file that loops. */
static inline void flv_add_tag(struct flv_file *flv, uint8_t *tag, uint32_t size_bytes)
{
    struct flv_tag *added = &flv->tags[flv->n_tags];
    const uint8_t *body = tag + TAG_HEADER_BYTES;

    added->bytes = tag;
    added->size_bytes = size_bytes;
    added->ts_ms = flv_read_u24(tag + 4) | (uint32_t)tag[7] << 24;
    added->is_entry = tag[0] == TAG_VIDEO && body[0] >> 4 == 1 && body[1] == 1; /* a key picture */
    if (tag[0] == TAG_VIDEO && body[1] == 2)
        return;
    if (flv->n_tags > 0 || added->is_entry)
        flv->n_tags++;
}

/* Ends the program when the file is no FLV with key frames. */
static inline void flv_load(struct flv_file *flv, const char *path)
{
    size_t size, at = FLV_HEADER_BYTES;
    uint8_t *file = flv_map_file(path, &size);

    flv->head = malloc(size);
    flv->tags = calloc(size / TAG_HEADER_BYTES + 1, sizeof *flv->tags);
    if (!flv->head || !flv->tags)
        floor_die("malloc");
    flv_add_to_head(flv, file, FLV_HEADER_BYTES);
    while (at + TAG_HEADER_BYTES + 4 < size) {
        uint8_t *tag = file + at;
        uint32_t size_bytes = TAG_HEADER_BYTES + flv_read_u24(tag + 1) + 4;

        if ((at += size_bytes) > size)
            break;
        if (flv_is_init(tag)) {
            flv_write_ts(tag, 0);
            flv_add_to_head(flv, tag, size_bytes);
        } else {
            flv_add_tag(flv, tag, size_bytes);
        }
    }
    if (flv->n_tags < 2) {
        fprintf(stderr, "%s: not an FLV file with key frames\n", path);
        exit(2);
    }
    for (size_t i = flv->n_tags; i-- > 0;)
        flv->tags[i].ts_ms -= flv->tags[0].ts_ms;
    flv->length_ms = flv->tags[flv->n_tags - 1].ts_ms;
    flv->length_ms += flv->length_ms / (uint32_t)(flv->n_tags - 1); /* the last tag lasts, too */
}

#endif
