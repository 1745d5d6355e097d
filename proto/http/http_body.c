/* Message bodies. RFC 9112, sections 6 and 7. Content is lent from the input, never copied. */
#include "proto/http/http_private.h"

#define MAX_CHUNK_LINE_BYTES 256 /* size and extensions */
#define MAX_TRAILER_BYTES 8192   /* all trailer fields; they are dropped */

enum chunk_state {
    CHUNK_SIZE_FIRST, /* the first digit of a size */
    CHUNK_SIZE,       /* more digits */
    CHUNK_PAD,        /* blanks after the size; older servers pad it to a fixed width */
    CHUNK_EXTENSION,  /* after ";", dropped */
    CHUNK_SIZE_LF,    /* LF of the size line */
    CHUNK_DATA,       /* left_bytes of content */
    CHUNK_DATA_CR,    /* CR after the content */
    CHUNK_DATA_LF,    /* LF after the content */
    CHUNK_LINE_FIRST, /* first byte of a trailer line, or CR of the last line */
    CHUNK_LINE,       /* inside a trailer line */
    CHUNK_LINE_LF,    /* LF of a trailer line */
    CHUNK_END_LF,     /* LF of the last line */
    CHUNK_BROKEN      /* for good */
};

void http_body_init(struct http_body *b, const struct http_head *head, bool no_body)
{
    bool never =
        head->is_response && (head->status < 200 || head->status == 204 || head->status == 304);

    *b = (struct http_body){.kind = HTTP_BODY_NONE};
    if (no_body || never)
        b->done = true;
    else if (head->chunked)
        b->kind = HTTP_BODY_CHUNKED;
    else if (head->has_length) {
        b->kind = HTTP_BODY_SIZED;
        b->left_bytes = head->length_bytes;
        b->done = b->left_bytes == 0;
    } else if (head->is_response)
        b->kind = HTTP_BODY_UNTIL_CLOSE;
    else
        b->done = true;
}

static enum chunk_state add_size_digit(struct http_body *b, uint8_t c)
{
    int digit = http_hex_value(c);

    if (digit < 0 || b->left_bytes > INT64_MAX >> 4)
        return CHUNK_BROKEN;
    b->left_bytes = b->left_bytes << 4 | (uint64_t)digit;
    return CHUNK_SIZE;
}

/* After the digits: blanks, an extension or the end of the line. */
static enum chunk_state after_size(struct http_body *b, uint8_t c)
{
    if (c == '\r')
        return CHUNK_SIZE_LF;
    if (c == ';')
        return CHUNK_EXTENSION;
    if (c == ' ' || c == '\t')
        return CHUNK_PAD;
    return b->state == CHUNK_SIZE ? add_size_digit(b, c) : CHUNK_BROKEN;
}

static enum chunk_state inside_line(uint8_t c, enum chunk_state same, enum chunk_state at_cr)
{
    if (c == '\r')
        return at_cr;
    return http_is_value_char(c) ? same : CHUNK_BROKEN;
}

/* The state after c; CHUNK_BROKEN when c is not allowed here. */
static enum chunk_state after_byte(struct http_body *b, uint8_t c)
{
    switch ((enum chunk_state)b->state) {
    case CHUNK_SIZE_FIRST:
        return add_size_digit(b, c);
    case CHUNK_SIZE:
    case CHUNK_PAD:
        return after_size(b, c);
    case CHUNK_EXTENSION:
        return inside_line(c, CHUNK_EXTENSION, CHUNK_SIZE_LF);
    case CHUNK_SIZE_LF:
        if (c != '\n')
            return CHUNK_BROKEN;
        return b->left_bytes ? CHUNK_DATA : CHUNK_LINE_FIRST;
    case CHUNK_DATA_CR:
        return c == '\r' ? CHUNK_DATA_LF : CHUNK_BROKEN;
    case CHUNK_DATA_LF:
        return c == '\n' ? CHUNK_SIZE_FIRST : CHUNK_BROKEN;
    case CHUNK_LINE_FIRST:
        return c == '\r' ? CHUNK_END_LF : inside_line(c, CHUNK_LINE, CHUNK_BROKEN);
    case CHUNK_LINE:
        return inside_line(c, CHUNK_LINE, CHUNK_LINE_LF);
    case CHUNK_LINE_LF:
        return c == '\n' ? CHUNK_LINE_FIRST : CHUNK_BROKEN;
    case CHUNK_END_LF:
        b->done = c == '\n';
        return b->done ? CHUNK_END_LF : CHUNK_BROKEN;
    case CHUNK_DATA:
    case CHUNK_BROKEN:
        break;
    }
    return CHUNK_BROKEN;
}

static void frame_byte(struct http_body *b, uint8_t c)
{
    bool in_trailer = b->state >= CHUNK_LINE_FIRST;

    b->state = after_byte(b, c);
    b->line_bytes++;
    if (b->line_bytes > (in_trailer ? MAX_TRAILER_BYTES : MAX_CHUNK_LINE_BYTES))
        b->state = CHUNK_BROKEN;
    if (b->state == CHUNK_DATA || (b->state == CHUNK_LINE_FIRST && !in_trailer))
        b->line_bytes = 0;
}

static enum err take_content(struct http_body *b, struct buf_reader *in, struct buf_view *piece)
{
    uint64_t size_bytes = b->left_bytes < in->left_bytes ? b->left_bytes : in->left_bytes;

    if (size_bytes == 0)
        return E_AGAIN;
    *piece = buf_take(in, (size_t)size_bytes);
    b->left_bytes -= size_bytes;
    return E_OK;
}

static enum err next_chunked(struct http_body *b, struct buf_reader *in, struct buf_view *piece)
{
    while (b->state != CHUNK_DATA) {
        if (b->done)
            return E_END;
        if (b->state == CHUNK_BROKEN)
            return E_PROTO;
        if (in->left_bytes == 0)
            return E_AGAIN;
        frame_byte(b, buf_read_u8(in));
    }
    if (take_content(b, in, piece) != E_OK)
        return E_AGAIN;
    if (b->left_bytes == 0)
        b->state = CHUNK_DATA_CR;
    return E_OK;
}

enum err http_body_next(struct http_body *b, struct buf_reader *in, struct buf_view *piece)
{
    enum err e;

    switch (b->kind) {
    case HTTP_BODY_CHUNKED:
        return next_chunked(b, in, piece);
    case HTTP_BODY_SIZED:
        if (b->done)
            return E_END;
        e = take_content(b, in, piece);
        b->done = b->left_bytes == 0;
        return e;
    case HTTP_BODY_UNTIL_CLOSE:
        if (in->left_bytes == 0)
            return E_AGAIN;
        *piece = buf_take(in, in->left_bytes);
        return E_OK;
    case HTTP_BODY_NONE:
        break;
    }
    return E_END;
}
