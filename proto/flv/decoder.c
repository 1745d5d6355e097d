/* An FLV byte stream, split anywhere, to tags. FLV 10.1 E.2, E.3, E.4.1.
 *
 * A tag is given as soon as its body is complete; the PreviousTagSize behind it is checked when the
 * next bytes come, so that no frame waits for four bytes that a live sender may send a frame later.
 */
#include "proto/flv/flv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* DataOffset leaves room for a longer file header; nobody uses it. */
#define MAX_FILE_HEADER_BYTES 1024u

enum decoder_state {
    STATE_FILE_HEADER,  /* 9 bytes, E.2 */
    STATE_HEADER_EXTRA, /* what DataOffset skips */
    STATE_TRAILER,      /* PreviousTagSize; at first PreviousTagSize0 */
    STATE_TAG_HEADER,   /* 11 bytes, E.4.1 */
    STATE_BODY,         /* tag.data_bytes */
    STATE_FAILED        /* only destroy() is left */
};

struct flv_decoder {
    enum decoder_state state;
    bool has_audio, has_video, header_read;
    bool kept_is_used; /* kept was lent by the last call, and may go */
    size_t max_tag_bytes;
    size_t needed_bytes;    /* of the piece that state names */
    struct buf_writer kept; /* its beginning, when the input ended inside it */
    struct flv_tag_header tag;
    uint32_t previous_bytes; /* what the next PreviousTagSize has to say */
    char error[96];
};

struct flv_decoder *flv_decoder_create(size_t max_tag_bytes)
{
    struct flv_decoder *dec = calloc(1, sizeof *dec);
    size_t max_kept_bytes = max_tag_bytes;

    if (!dec)
        return NULL;
    if (max_kept_bytes < MAX_FILE_HEADER_BYTES)
        max_kept_bytes = MAX_FILE_HEADER_BYTES;
    buf_writer_init(&dec->kept, max_kept_bytes);
    dec->max_tag_bytes = max_tag_bytes;
    dec->state = STATE_FILE_HEADER;
    dec->needed_bytes = FLV_HEADER_BYTES;
    return dec;
}

void flv_decoder_destroy(struct flv_decoder **dec)
{
    if (!*dec)
        return;
    buf_writer_fini(&(*dec)->kept);
    free(*dec);
    *dec = NULL;
}

__attribute__((format(printf, 3, 4))) static enum err fail(struct flv_decoder *dec, enum err e,
                                                           const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(dec->error, sizeof dec->error, format, args);
    va_end(args);
    dec->state = STATE_FAILED;
    return e;
}

static void enter(struct flv_decoder *dec, enum decoder_state state, size_t needed_bytes)
{
    dec->state = state;
    dec->needed_bytes = needed_bytes;
}

/* Gathers needed_bytes into *piece: lent from *in when they lie there whole, else from kept.
 * E_AGAIN when *in is used up first. Memory grows with the bytes that came, not with what a tag
 * promises. */
static enum err gather(struct flv_decoder *dec, struct buf_reader *in, struct buf_view *piece)
{
    size_t missing_bytes;

    if (dec->kept_is_used)
        buf_writer_clear(&dec->kept);
    dec->kept_is_used = false;
    if (dec->kept.used_bytes == 0 && in->left_bytes >= dec->needed_bytes) {
        *piece = buf_take(in, dec->needed_bytes);
        return E_OK;
    }
    missing_bytes = dec->needed_bytes - dec->kept.used_bytes;
    buf_write_view(&dec->kept,
                   buf_take(in, in->left_bytes < missing_bytes ? in->left_bytes : missing_bytes));
    if (buf_writer_status(&dec->kept) != E_OK)
        return fail(dec, E_NOMEM, "out of memory for %zu bytes", dec->needed_bytes);
    if (dec->kept.used_bytes < dec->needed_bytes)
        return E_AGAIN;
    *piece = buf_writer_view(&dec->kept);
    dec->kept_is_used = true;
    return E_OK;
}

static enum err read_file_header(struct flv_decoder *dec, struct buf_reader *in)
{
    struct buf_view signature = buf_take(in, 3);
    uint8_t version = buf_read_u8(in);
    uint8_t flags = buf_read_u8(in);
    uint32_t data_offset_bytes = buf_read_u32be(in);

    if (!buf_view_equals(signature, "FLV") || version != 1)
        return fail(dec, E_PROTO, "not FLV version 1");
    if (data_offset_bytes < FLV_HEADER_BYTES)
        return fail(dec, E_PROTO, "DataOffset %u below 9", data_offset_bytes);
    if (data_offset_bytes > MAX_FILE_HEADER_BYTES)
        return fail(dec, E_TOO_BIG, "DataOffset %u > limit %u", data_offset_bytes,
                    MAX_FILE_HEADER_BYTES);
    dec->has_audio = flags & 0x04;
    dec->has_video = flags & 0x01;
    dec->header_read = true;
    enter(dec, STATE_HEADER_EXTRA, data_offset_bytes - FLV_HEADER_BYTES);
    return E_OK;
}

static enum err skip_header_extra(struct flv_decoder *dec, struct buf_reader *in)
{
    (void)in;
    enter(dec, STATE_TRAILER, 4);
    return E_OK;
}

static enum err read_trailer(struct flv_decoder *dec, struct buf_reader *in)
{
    uint32_t previous_bytes = buf_read_u32be(in);

    if (previous_bytes != 0 && previous_bytes != dec->previous_bytes)
        return fail(dec, E_PROTO, "PreviousTagSize %u behind a tag of %u bytes", previous_bytes,
                    dec->previous_bytes);
    enter(dec, STATE_TAG_HEADER, FLV_TAG_HEADER_BYTES);
    return E_OK;
}

static enum err read_tag_header(struct flv_decoder *dec, struct buf_reader *in)
{
    uint8_t first = buf_read_u8(in); /* reserved:2 filter:1 type:5 */
    struct flv_tag_header tag;

    tag.type_id = first & 0x1f;
    tag.data_bytes = buf_read_u24be(in);
    tag.dts_ms = buf_read_u24be(in);
    tag.dts_ms |= (uint32_t)buf_read_u8(in) << 24; /* TimestampExtended is the top byte */
    (void)buf_read_u24be(in);                      /* StreamID, always 0 */
    if (first & 0x20)
        return fail(dec, E_PROTO, "tag type %u is encrypted", tag.type_id);
    if (tag.data_bytes > dec->max_tag_bytes)
        return fail(dec, E_TOO_BIG, "tag type %u: %u bytes > limit %zu", tag.type_id,
                    tag.data_bytes, dec->max_tag_bytes);
    dec->tag = tag;
    dec->previous_bytes = tag.data_bytes + FLV_TAG_HEADER_BYTES;
    enter(dec, STATE_BODY, tag.data_bytes);
    return E_OK;
}

static enum err (*const k_readers[])(struct flv_decoder *dec, struct buf_reader *in) = {
    [STATE_FILE_HEADER] = read_file_header,
    [STATE_HEADER_EXTRA] = skip_header_extra,
    [STATE_TRAILER] = read_trailer,
    [STATE_TAG_HEADER] = read_tag_header,
};

enum err flv_decoder_feed(struct flv_decoder *dec, struct buf_reader *in, struct flv_tag *out)
{
    struct buf_view piece;
    struct buf_reader reader;
    enum err e;

    assert(dec->state != STATE_FAILED);
    while ((e = gather(dec, in, &piece)) == E_OK) {
        if (dec->state == STATE_BODY) {
            out->header = dec->tag;
            out->body = piece;
            enter(dec, STATE_TRAILER, 4);
            return E_OK;
        }
        reader = buf_reader_from(piece);
        if ((e = k_readers[dec->state](dec, &reader)) != E_OK)
            return e;
    }
    return e;
}

bool flv_decoder_header(const struct flv_decoder *dec, bool *has_audio, bool *has_video)
{
    if (!dec->header_read)
        return false;
    *has_audio = dec->has_audio;
    *has_video = dec->has_video;
    return true;
}

const char *flv_decoder_error(const struct flv_decoder *dec)
{
    return dec->error;
}

bool flv_decoder_is_amid(const struct flv_decoder *dec)
{
    bool has_part = dec->kept.used_bytes && !dec->kept_is_used;

    return dec->state == STATE_BODY || dec->state == STATE_FILE_HEADER ||
           (dec->state == STATE_TAG_HEADER && has_part);
}
