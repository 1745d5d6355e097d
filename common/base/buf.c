/* Bytes from and to the wire: the one place where a pointer moves over them. */
#include "common/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct buf_view buf_view_str(const char *text)
{
    return buf_view_of(text, strlen(text));
}

bool buf_view_equals(struct buf_view view, const char *text)
{
    size_t size = strlen(text);

    return view.size_bytes == size && (size == 0 || memcmp(view.data, text, size) == 0);
}

bool buf_view_equals_nocase(struct buf_view view, const char *text)
{
    size_t size = strlen(text);

    return view.size_bytes == size &&
           (size == 0 || strncasecmp((const char *)view.data, text, size) == 0);
}

bool buf_view_to_str(struct buf_view view, char *text, size_t size)
{
    if (view.size_bytes >= size ||
        (view.size_bytes && memchr(view.data, 0, view.size_bytes) != NULL)) {
        if (size)
            text[0] = '\0';
        return false;
    }
    if (view.size_bytes)
        memcpy(text, view.data, view.size_bytes);
    text[view.size_bytes] = '\0';
    return true;
}

double buf_read_f64be(struct buf_reader *r)
{
    uint64_t bits = buf_read_be(r, 8);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

void buf_writer_init(struct buf_writer *w, size_t max_bytes)
{
    *w = (struct buf_writer){.max_bytes = max_bytes};
}

void buf_writer_fini(struct buf_writer *w)
{
    free(w->data);
    *w = (struct buf_writer){.max_bytes = w->max_bytes};
}

void buf_writer_consume(struct buf_writer *w, size_t size_bytes)
{
    if (size_bytes >= w->used_bytes) {
        w->used_bytes = 0;
        return;
    }
    memmove(w->data, w->data + size_bytes, w->used_bytes - size_bytes);
    w->used_bytes -= size_bytes;
}

static enum err grow(struct buf_writer *w, size_t needed_bytes)
{
    size_t capacity = w->capacity_bytes ? w->capacity_bytes : 256;
    uint8_t *data;

    if (needed_bytes > w->max_bytes)
        return E_TOO_BIG;
    while (capacity < needed_bytes)
        capacity = capacity > w->max_bytes / 2 ? w->max_bytes : capacity * 2;
    if (capacity > w->max_bytes) /* room above the ceiling would be written to */
        capacity = w->max_bytes;
    if (capacity == SIZE_MAX)
        return E_NOMEM;
    data = realloc(w->data, capacity + 1); /* one spare byte: the zero of buf_printf() */
    if (!data)
        return E_NOMEM;
    w->data = data;
    w->capacity_bytes = capacity;
    return E_OK;
}

uint8_t *buf_writer_reserve(struct buf_writer *w, size_t size_bytes)
{
    uint8_t *room;

    if (w->failed != E_OK)
        return NULL;
    if (size_bytes > SIZE_MAX - w->used_bytes)
        w->failed = E_TOO_BIG;
    else if (!w->data || w->used_bytes + size_bytes > w->capacity_bytes)
        w->failed = grow(w, w->used_bytes + size_bytes);
    if (w->failed != E_OK)
        return NULL;
    room = w->data + w->used_bytes;
    w->used_bytes += size_bytes;
    return room;
}

void buf_write(struct buf_writer *w, const void *data, size_t size_bytes)
{
    uint8_t *room;

    if (size_bytes == 0)
        return;
    room = buf_writer_reserve(w, size_bytes);
    if (room)
        memcpy(room, data, size_bytes);
}

void buf_write_view(struct buf_writer *w, struct buf_view view)
{
    buf_write(w, view.data, view.size_bytes);
}

void buf_write_str(struct buf_writer *w, const char *text)
{
    buf_write(w, text, strlen(text));
}

static void put_be(uint8_t *room, size_t size_bytes, uint64_t value)
{
    for (size_t i = size_bytes; i-- > 0; value >>= 8)
        room[i] = (uint8_t)value;
}

static void write_be(struct buf_writer *w, size_t size_bytes, uint64_t value)
{
    uint8_t *room = buf_writer_reserve(w, size_bytes);

    if (room)
        put_be(room, size_bytes, value);
}

void buf_write_u8(struct buf_writer *w, unsigned value)
{
    write_be(w, 1, value);
}

void buf_write_u16be(struct buf_writer *w, unsigned value)
{
    write_be(w, 2, value);
}

void buf_write_u24be(struct buf_writer *w, uint32_t value)
{
    write_be(w, 3, value);
}

void buf_write_u32be(struct buf_writer *w, uint32_t value)
{
    write_be(w, 4, value);
}

void buf_write_u64be(struct buf_writer *w, uint64_t value)
{
    write_be(w, 8, value);
}

void buf_write_f64be(struct buf_writer *w, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    write_be(w, 8, bits);
}

void buf_write_decimal(struct buf_writer *w, uint64_t value)
{
    uint8_t digits[20]; /* of 2^64 - 1 */
    size_t at = sizeof digits;

    do
        digits[--at] = (uint8_t)('0' + value % 10);
    while (value /= 10);
    buf_write(w, digits + at, sizeof digits - at);
}

void buf_printf(struct buf_writer *w, const char *format, ...)
{
    size_t left_bytes = w->capacity_bytes - w->used_bytes;
    va_list args, again;
    int size;
    uint8_t *room;

    va_start(args, format);
    va_copy(again, args);
    size = w->data ? vsnprintf((char *)w->data + w->used_bytes, left_bytes + 1, format, args)
                   : vsnprintf(NULL, 0, format, args); /* + 1, the zero: see grow() */
    va_end(args);
    room = size < 0 ? NULL : buf_writer_reserve(w, (size_t)size);
    if (room && (size_t)size > left_bytes)
        vsnprintf((char *)room, (size_t)size + 1, format, again);
    va_end(again);
}

void buf_patch_u32be(struct buf_writer *w, size_t at, uint32_t value)
{
    if (w->failed != E_OK)
        return;
    assert(at + 4 <= w->used_bytes);
    put_be(w->data + at, 4, value);
}
