/* Chunks to messages. A header is read from a copy of the input and committed when it is whole;
 * what is left of a cut header waits in the stash, at most RTMP_CHUNK_MAX_HEADER_BYTES. Payload
 * goes to a buffer of its chunk stream that grows with the bytes that came, never by the length
 * that a header claims. */
#include "proto/rtmp/chunk_decoder.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/rtmp.h"

#define DEFAULT_CHUNK_SIZE 128u       /* section 5.4.1 */
#define MAX_LENGTH 0xffffffu          /* a message length has 24 bits */
#define MAX_CSID 0x1ffffu             /* section 5.3.1.1: 65599, in bits */
#define NO_TIMESTAMP 0xffffffu        /* section 5.3.1.3: the extended field has it */
#define KEEP_BYTES ((size_t)64 << 10) /* a larger buffer is freed with its message */
#define MAX_TYPE0_AS_DELTA_MS 10000u

struct rtmp_chunk_stream {
    uint32_t csid : 17; /* MAX_CSID fits */
    uint32_t type_id : 8;
    bool has_extended : 1;
    bool open : 1;         /* a message has begun and is not complete */
    uint32_t timestamp_ms; /* of the last message, absolute */
    uint32_t delta_ms;     /* what a type 3 chunk that opens a message adds */
    uint32_t extended;     /* last extended timestamp as sent, if has_extended */
    uint32_t length_bytes;
    uint32_t stream_id;
    struct buf_writer *parts; /* owned; the unfinished message so far, NULL when there is none */
};
_Static_assert(sizeof(struct rtmp_chunk_stream) <= 32, "every RTMP viewer has two or three");

/* A chunk header as it is on the wire. */
struct chunk_header {
    unsigned format; /* 0-3 */
    uint32_t csid;
    uint32_t time; /* absolute for type 0, delta for 1 and 2 */
    uint32_t length_bytes;
    uint32_t stream_id;
    uint8_t type_id;
    bool has_extended;
};

void rtmp_chunk_decoder_init(struct rtmp_chunk_decoder *dec, const struct rtmp_chunk_limits *limits)
{
    *dec = (struct rtmp_chunk_decoder){
        .limits = *limits, .chunk_size = DEFAULT_CHUNK_SIZE, .delivered = -1};
}

static void drop_parts(struct rtmp_chunk_stream *s)
{
    if (s->parts)
        buf_writer_fini(s->parts);
    free(s->parts);
    s->parts = NULL;
}

void rtmp_chunk_decoder_fini(struct rtmp_chunk_decoder *dec)
{
    for (unsigned i = 0; i < dec->n_streams; i++)
        drop_parts(&dec->streams[i]);
    free(dec->streams);
    dec->streams = NULL;
    dec->n_streams = 0;
    rtmp_error_text_fini(&dec->error);
}

void rtmp_chunk_decoder_set_limits(struct rtmp_chunk_decoder *dec, uint32_t max_media_bytes,
                                   uint32_t max_other_bytes)
{
    dec->limits.max_media_bytes = max_media_bytes;
    dec->limits.max_other_bytes = max_other_bytes;
}

const char *rtmp_chunk_decoder_error(const struct rtmp_chunk_decoder *dec)
{
    return rtmp_error_text(&dec->error);
}

__attribute__((format(printf, 3, 4))) static enum err fail(struct rtmp_chunk_decoder *dec,
                                                           enum err e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    rtmp_error_text_set(&dec->error, format, args);
    va_end(args);
    return e;
}

static size_t parts_bytes(const struct rtmp_chunk_stream *s)
{
    return s->parts ? s->parts->used_bytes : 0;
}

static struct rtmp_chunk_stream *find_stream(struct rtmp_chunk_decoder *dec, uint32_t csid)
{
    for (unsigned i = 0; i < dec->n_streams; i++)
        if (dec->streams[i].csid == csid)
            return &dec->streams[i];
    return NULL;
}

/* *out is a new stream; pointers to others are void. */
static enum err add_stream(struct rtmp_chunk_decoder *dec, uint32_t csid,
                           struct rtmp_chunk_stream **out)
{
    struct rtmp_chunk_stream *streams;

    if (dec->n_streams >= dec->limits.max_chunk_streams)
        return fail(dec, E_TOO_BIG, "csid %u: more than %u chunk streams", (unsigned)csid,
                    dec->limits.max_chunk_streams);
    streams = realloc(dec->streams, (dec->n_streams + 1) * sizeof *streams);
    if (!streams)
        return fail(dec, E_NOMEM, "out of memory");
    dec->streams = streams;
    *out = &dec->streams[dec->n_streams++];
    **out = (struct rtmp_chunk_stream){.csid = csid & MAX_CSID};
    return E_OK;
}

/* Section 5.3.1.1: ids 2-63 in one byte, 64-319 in two, 64-65599 in three (little endian). */
static void read_basic_header(struct buf_reader *in, struct chunk_header *h)
{
    unsigned byte = buf_read_u8(in);

    h->format = byte >> 6;
    h->csid = byte & 0x3f;
    if (h->csid == 0) {
        h->csid = 64u + buf_read_u8(in);
    } else if (h->csid == 1) {
        h->csid = 64u + buf_read_u8(in);
        h->csid += (uint32_t)buf_read_u8(in) << 8;
    }
}

/* Types 0-2, section 5.3.1.2: each leaves out what the one before it has. */
static void read_message_header(struct buf_reader *in, struct chunk_header *h)
{
    h->time = buf_read_u24be(in);
    if (h->format <= 1) {
        h->length_bytes = buf_read_u24be(in);
        h->type_id = buf_read_u8(in);
    }
    if (h->format == 0)
        h->stream_id = buf_read_u32le(in);
    h->has_extended = h->time == NO_TIMESTAMP;
    if (h->has_extended)
        h->time = buf_read_u32be(in);
}

/* Type 3 of a stream with an extended timestamp: the standard is read both ways. librtmp, ffmpeg
 * and Flash repeat it, some encoders (old FMLE plug-ins, cameras) do not. So it is there if the
 * next four bytes are what it would be; the first other byte decides that they are payload. */
static enum err skip_repeated_extended(const struct rtmp_chunk_stream *s, struct buf_reader *in)
{
    struct buf_reader peek = *in;

    for (unsigned shift = 32; shift > 0; shift -= 8) {
        uint8_t byte = buf_read_u8(&peek);

        if (peek.overrun)
            return E_AGAIN;
        if (byte != (uint8_t)(s->extended >> (shift - 8)))
            return E_OK;
    }
    *in = peek;
    return E_OK;
}

/* Reads a whole header from *in or leaves it alone. */
static enum err read_header(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                            struct chunk_header *out)
{
    struct buf_reader r = *in;
    struct chunk_header h = {0};
    const struct rtmp_chunk_stream *s;
    enum err e;

    read_basic_header(&r, &h);
    if (r.overrun)
        return E_AGAIN;
    if (h.format < 3) {
        read_message_header(&r, &h);
    } else if ((s = find_stream(dec, h.csid)) && s->has_extended) {
        e = skip_repeated_extended(s, &r);
        if (e != E_OK)
            return e;
    }
    if (r.overrun)
        return E_AGAIN;
    *in = r;
    *out = h;
    return E_OK;
}

/* Type 3 as the first chunk of a message repeats the delta. After type 0 that is the time stamp of
 * type 0 itself (section 5.3.1.2.4), and ffmpeg counts on it: 23, then 46. librtmp (OBS) sends the
 * same bytes when it means "same time as before". So a time stamp that cannot be the distance of
 * two frames is not taken as one. */
static uint32_t delta_after_type0(uint32_t timestamp_ms)
{
    return timestamp_ms <= MAX_TYPE0_AS_DELTA_MS ? timestamp_ms : 0;
}

static bool is_media(uint8_t type_id)
{
    return type_id == RTMP_AUDIO || type_id == RTMP_VIDEO || type_id == RTMP_DATA_AMF3 ||
           type_id == RTMP_DATA_AMF0 || type_id == RTMP_AGGREGATE;
}

static enum err begin_message(struct rtmp_chunk_decoder *dec, struct rtmp_chunk_stream *s,
                              const struct chunk_header *h)
{
    size_t limit;

    if (h->format == 0) {
        s->timestamp_ms = h->time;
        s->delta_ms = delta_after_type0(h->time);
        s->stream_id = h->stream_id;
    } else {
        if (h->format < 3)
            s->delta_ms = h->time;
        s->timestamp_ms += s->delta_ms;
    }
    if (h->format < 3) {
        s->has_extended = h->has_extended;
        s->extended = h->time;
    }
    if (h->format <= 1) {
        s->length_bytes = h->length_bytes;
        s->type_id = h->type_id;
    }
    limit =
        is_media((uint8_t)s->type_id) ? dec->limits.max_media_bytes : dec->limits.max_other_bytes;
    if (s->length_bytes > limit)
        return fail(dec, E_TOO_BIG, "csid %u: message type %u length %u > limit %zu",
                    (unsigned)s->csid, s->type_id, (unsigned)s->length_bytes, limit);
    s->open = true;
    return E_OK;
}

/* The header's place in its stream: opens a message, or goes on with one. A type 1 or 2 header
 * inside a message is taken as type 3 when it changes nothing. */
static enum err apply_header(struct rtmp_chunk_decoder *dec, const struct chunk_header *h)
{
    struct rtmp_chunk_stream *s = find_stream(dec, h->csid);
    enum err e = E_OK;

    if (!s) {
        /* Type 1 has all but the stream id: librtmp opens csid 2 with it, for its set buffer
         * length. */
        if (h->format > 1)
            return fail(dec, E_PROTO, "csid %u: type %u opens the chunk stream", (unsigned)h->csid,
                        h->format);
        e = add_stream(dec, h->csid, &s);
        if (e != E_OK)
            return e;
    }
    if (!s->open)
        e = begin_message(dec, s, h);
    else if (h->format == 0 ||
             (h->format == 1 && (h->length_bytes != s->length_bytes || h->type_id != s->type_id)))
        e = fail(dec, E_PROTO, "csid %u: type %u inside a message of %u bytes, %zu came",
                 (unsigned)h->csid, h->format, (unsigned)s->length_bytes, parts_bytes(s));
    if (e != E_OK)
        return e;
    dec->current = (uint16_t)(s - dec->streams);
    dec->chunk_left = s->length_bytes - (uint32_t)parts_bytes(s);
    if (dec->chunk_left > dec->chunk_size)
        dec->chunk_left = dec->chunk_size;
    return E_OK;
}

/* Tries to read a header that begins in the stash, with as little of *in as it takes. Bytes behind
 * the header (payload seen while looking for an extended timestamp) stay in the stash. */
static enum err read_header_from_stash(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                                       struct chunk_header *h)
{
    for (;;) {
        struct buf_reader r = buf_reader_from(buf_view_of(dec->stash, dec->stash_bytes));

        if (read_header(dec, &r, h) == E_OK) {
            memmove(dec->stash, dec->stash + dec->stash_bytes - r.left_bytes, r.left_bytes);
            dec->stash_bytes = (uint8_t)r.left_bytes;
            return E_OK;
        }
        if (in->left_bytes == 0)
            return E_AGAIN;
        dec->stash[dec->stash_bytes++] = buf_read_u8(in);
    }
}

static enum err next_header(struct rtmp_chunk_decoder *dec, struct buf_reader *in)
{
    struct chunk_header h;
    enum err e = E_AGAIN;

    if (dec->stash_bytes == 0)
        e = read_header(dec, in, &h);
    if (e != E_OK)
        e = read_header_from_stash(dec, in, &h);
    return e == E_OK ? apply_header(dec, &h) : e;
}

static enum err append_part(struct rtmp_chunk_decoder *dec, struct rtmp_chunk_stream *s,
                            struct buf_view part)
{
    size_t limit = dec->limits.max_media_bytes > dec->limits.max_other_bytes
                       ? dec->limits.max_media_bytes
                       : dec->limits.max_other_bytes;

    if (part.size_bytes == 0)
        return E_OK;
    if (dec->open_bytes + part.size_bytes > limit * RTMP_CHUNK_MAX_OPEN_MESSAGES)
        return fail(dec, E_TOO_BIG, "csid %u: unfinished messages hold more than %zu bytes",
                    (unsigned)s->csid, limit * RTMP_CHUNK_MAX_OPEN_MESSAGES);
    if (!s->parts)
        s->parts = calloc(1, sizeof *s->parts);
    if (s->parts) {
        s->parts->max_bytes = s->length_bytes;
        buf_write_view(s->parts, part);
    }
    if (!s->parts || buf_writer_status(s->parts) != E_OK)
        return fail(dec, E_NOMEM, "csid %u: no memory for a message of %u", (unsigned)s->csid,
                    (unsigned)s->length_bytes);
    dec->open_bytes += (uint32_t)part.size_bytes;
    dec->chunk_left -= (uint32_t)part.size_bytes;
    return E_OK;
}

/* Payload that was taken into the stash while looking for an extended timestamp. */
static enum err payload_from_stash(struct rtmp_chunk_decoder *dec, struct rtmp_chunk_stream *s)
{
    unsigned n = dec->stash_bytes < dec->chunk_left ? dec->stash_bytes : dec->chunk_left;
    enum err e = append_part(dec, s, buf_view_of(dec->stash, n));

    if (e != E_OK)
        return e;
    memmove(dec->stash, dec->stash + n, dec->stash_bytes - n);
    dec->stash_bytes = (uint8_t)(dec->stash_bytes - n);
    return E_OK;
}

/* Empties the buffer of a message that was lent, finished inside, or aborted. Media goes on, and so
 * keeps its memory; a command may be the last one for hours. */
static void reset_parts(struct rtmp_chunk_decoder *dec, struct rtmp_chunk_stream *s)
{
    if (!s->parts)
        return;
    dec->open_bytes -= (uint32_t)s->parts->used_bytes;
    if (!is_media((uint8_t)s->type_id) || s->parts->capacity_bytes > KEEP_BYTES)
        drop_parts(s);
    else
        buf_writer_clear(s->parts);
}

/* Gives the message, or E_AGAIN when it is not complete. */
static enum err read_payload(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                             struct rtmp_message *out)
{
    struct rtmp_chunk_stream *s = &dec->streams[dec->current];
    enum err e = payload_from_stash(dec, s);
    size_t n;

    if (e != E_OK)
        return e;
    out->timestamp_ms = s->timestamp_ms;
    out->stream_id = s->stream_id;
    out->type_id = (uint8_t)s->type_id;
    if (parts_bytes(s) == 0 && dec->chunk_left == s->length_bytes &&
        in->left_bytes >= dec->chunk_left) {
        out->payload = buf_take(in, dec->chunk_left);
        dec->chunk_left = 0;
        s->open = false;
        return E_OK;
    }
    n = in->left_bytes < dec->chunk_left ? in->left_bytes : dec->chunk_left;
    e = append_part(dec, s, buf_take(in, n));
    if (e != E_OK)
        return e;
    if (parts_bytes(s) < s->length_bytes)
        return E_AGAIN;
    out->payload = buf_writer_view(s->parts);
    s->open = false;
    dec->delivered = (int)dec->current;
    return E_OK;
}

/* Section 5.4.1. Sizes above 0xffffff mean the same as that, since no message is longer. */
static enum err on_set_chunk_size(struct rtmp_chunk_decoder *dec, struct buf_view payload)
{
    struct buf_reader r = buf_reader_from(payload);
    uint32_t size = buf_read_u32be(&r);

    if (r.overrun || size == 0 || size > INT32_MAX)
        return fail(dec, E_PROTO, "chunk size %u", (unsigned)size);
    if (size > MAX_LENGTH)
        size = MAX_LENGTH;
    if (size > dec->limits.max_chunk_size)
        return fail(dec, E_TOO_BIG, "chunk size %u > limit %u", (unsigned)size,
                    (unsigned)dec->limits.max_chunk_size);
    dec->chunk_size = size;
    return E_OK;
}

/* Section 5.4.2 */
static enum err on_abort(struct rtmp_chunk_decoder *dec, struct buf_view payload)
{
    struct buf_reader r = buf_reader_from(payload);
    struct rtmp_chunk_stream *s = find_stream(dec, buf_read_u32be(&r));

    if (r.overrun)
        return fail(dec, E_PROTO, "abort message of %zu bytes", payload.size_bytes);
    if (s && s->open) {
        s->open = false;
        reset_parts(dec, s);
    }
    return E_OK;
}

void rtmp_chunk_decoder_release(struct rtmp_chunk_decoder *dec)
{
    if (dec->delivered >= 0)
        reset_parts(dec, &dec->streams[dec->delivered]);
    dec->delivered = -1;
}

/* Goes on until a message is complete, or E_AGAIN: all of *in is used and the stash ends in a
 * header. */
static enum err next_message(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                             struct rtmp_message *out)
{
    enum err e;

    do {
        if (dec->chunk_left == 0) {
            e = next_header(dec, in);
            if (e != E_OK)
                return e;
        }
        e = read_payload(dec, in, out);
    } while (e == E_AGAIN && dec->chunk_left == 0);
    return e;
}

enum err rtmp_chunk_decoder_feed(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                                 struct rtmp_message *out)
{
    struct rtmp_message message;
    enum err e;

    for (;;) {
        rtmp_chunk_decoder_release(dec);
        e = next_message(dec, in, &message);
        if (e != E_OK)
            return e;
        if (message.type_id == RTMP_SET_CHUNK_SIZE)
            e = on_set_chunk_size(dec, message.payload);
        else if (message.type_id == RTMP_ABORT)
            e = on_abort(dec, message.payload);
        else
            break;
        if (e != E_OK)
            return e;
    }
    *out = message;
    return E_OK;
}
