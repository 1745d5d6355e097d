/* Bytes: a view (borrowed memory), a reader (moves through a view) and a writer (growing memory).
 * Only this header and buf.c do pointer arithmetic on bytes from the wire. */
#ifndef HW_COMMON_BASE_BUF_H
#define HW_COMMON_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct buf_view {
    const uint8_t *data; /* borrowed; may be NULL when size_bytes is 0 */
    size_t size_bytes;
};

static inline struct buf_view buf_view_of(const void *data, size_t size_bytes)
{
    return (struct buf_view){data, size_bytes};
}
/* Borrows a C string; the terminating zero is not part of the view. */
struct buf_view buf_view_str(const char *text);
/* True when the view holds exactly the bytes of text. */
bool buf_view_equals(struct buf_view view, const char *text);
/* ASCII case-insensitive form of buf_view_equals(). */
bool buf_view_equals_nocase(struct buf_view view, const char *text);
/* Copies into text[size] with a terminating zero; false (and text is "") when it does not fit or
 * holds a zero byte. */
bool buf_view_to_str(struct buf_view view, char *text, size_t size);

/* A reader is a value: read from a copy, assign it back to commit. A short read gives 0 and sets
 * overrun for good, so that one check ends a run of reads. */
struct buf_reader {
    const uint8_t *at;
    size_t left_bytes;
    bool overrun;
};

static inline struct buf_reader buf_reader_from(struct buf_view view)
{
    return (struct buf_reader){view.data, view.size_bytes, false};
}
/* Lends the next size_bytes and moves past them; an empty view and overrun when there are fewer. */
static inline struct buf_view buf_take(struct buf_reader *r, size_t size_bytes)
{
    struct buf_view view = {r->at, size_bytes};

    if (r->overrun || size_bytes > r->left_bytes) {
        r->overrun = true;
        return (struct buf_view){NULL, 0};
    }
    if (size_bytes) {
        r->at += size_bytes;
        r->left_bytes -= size_bytes;
    }
    return view;
}
/* Lends what is left without moving. */
static inline struct buf_view buf_rest(const struct buf_reader *r)
{
    return (struct buf_view){r->at, r->left_bytes};
}
/* Big-endian number of size_bytes, at most 8; 0 on overrun. Inline, as buf_take() is: each frame's
 * headers are read with it. */
static inline uint64_t buf_read_be(struct buf_reader *r, size_t size_bytes)
{
    struct buf_view view = buf_take(r, size_bytes);
    uint64_t value = 0;

    for (size_t i = 0; i < view.size_bytes; i++)
        value = value << 8 | view.data[i];
    return value;
}
static inline uint8_t buf_read_u8(struct buf_reader *r)
{
    return (uint8_t)buf_read_be(r, 1);
}
static inline uint16_t buf_read_u16be(struct buf_reader *r)
{
    return (uint16_t)buf_read_be(r, 2);
}
static inline uint32_t buf_read_u24be(struct buf_reader *r)
{
    return (uint32_t)buf_read_be(r, 3);
}
static inline uint32_t buf_read_u32be(struct buf_reader *r)
{
    return (uint32_t)buf_read_be(r, 4);
}
static inline uint32_t buf_read_u32le(struct buf_reader *r)
{
    return __builtin_bswap32((uint32_t)buf_read_be(r, 4));
}
static inline uint64_t buf_read_u64be(struct buf_reader *r)
{
    return buf_read_be(r, 8);
}
double buf_read_f64be(struct buf_reader *r); /* IEEE 754 */

/* Growing memory with a ceiling. A failed write (no memory, or above max_bytes) leaves the content
 * as it was and sets failed until cleared: one check at the end is enough. */
struct buf_writer {
    uint8_t *data; /* owned; NULL until the first write */
    size_t used_bytes;
    size_t capacity_bytes;
    size_t max_bytes;
    enum err failed; /* E_OK, E_NOMEM or E_TOO_BIG */
};

/* No allocation; pair with buf_writer_fini(). max_bytes is a hard ceiling. */
void buf_writer_init(struct buf_writer *w, size_t max_bytes);
void buf_writer_fini(struct buf_writer *w);
/* Forgets the content and failed; keeps the memory. */
static inline void buf_writer_clear(struct buf_writer *w)
{
    w->used_bytes = 0;
    w->failed = E_OK;
}
/* Drops the first size_bytes (all, if there are fewer) and moves the rest to the front. */
void buf_writer_consume(struct buf_writer *w, size_t size_bytes);
/* Lent until the next write. */
static inline struct buf_view buf_writer_view(const struct buf_writer *w)
{
    return (struct buf_view){w->data, w->used_bytes};
}
/* E_OK, or E_NOMEM / E_TOO_BIG when some write failed. */
static inline enum err buf_writer_status(const struct buf_writer *w)
{
    return w->failed;
}
/* Lends size_bytes of uninitialised room at the end, counted as written; NULL on failure. */
uint8_t *buf_writer_reserve(struct buf_writer *w, size_t size_bytes);
void buf_write(struct buf_writer *w, const void *data, size_t size_bytes);
void buf_write_view(struct buf_writer *w, struct buf_view view);
void buf_write_str(struct buf_writer *w, const char *text); /* without the zero */
void buf_write_u8(struct buf_writer *w, unsigned value);
void buf_write_u16be(struct buf_writer *w, unsigned value);
void buf_write_u24be(struct buf_writer *w, uint32_t value);
void buf_write_u32be(struct buf_writer *w, uint32_t value);
void buf_write_u64be(struct buf_writer *w, uint64_t value);
void buf_write_f64be(struct buf_writer *w, double value);
void buf_write_decimal(struct buf_writer *w, uint64_t value);
/* printf into the writer, without the zero. */
void buf_printf(struct buf_writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Overwrites bytes already written, for lengths known late; asserts that they exist. */
void buf_patch_u32be(struct buf_writer *w, size_t at, uint32_t value);

#endif
