/* Frames of a client, unmasked and put together to messages. RFC 6455, section 5. */
#include <string.h>

#include "common/base/utf8.h"
#include "proto/ws/frame.h"
#include "proto/ws/ws.h"

#define IS_CONTROL(opcode) (((unsigned)(opcode)&8u) != 0)

void ws_decoder_init(struct ws_decoder *dec, size_t max_message_bytes)
{
    *dec = (struct ws_decoder){.opcode = WS_CONTINUATION};
    buf_writer_init(&dec->message, max_message_bytes);
}

void ws_decoder_fini(struct ws_decoder *dec)
{
    buf_writer_fini(&dec->message);
}

static enum err fail(struct ws_decoder *dec, enum err e, unsigned close_code, const char *text)
{
    dec->fault = (struct ws_fault){close_code, text};
    dec->failed = e;
    return e;
}

static enum err broken(struct ws_decoder *dec, const char *text)
{
    return fail(dec, E_PROTO, WS_CLOSE_PROTOCOL, text);
}

static bool is_utf8(struct buf_view text)
{
    struct buf_reader r = buf_reader_from(text);
    uint32_t code_point;
    enum err e;

    while ((e = utf8_read(&r, &code_point)) == E_OK)
        continue;
    return e == E_END;
}

/* --- header --- */

/* Bytes of a header whose first two are known: 2, the long length, the mask. */
static unsigned header_size(const uint8_t header[2])
{
    unsigned length = header[1] & 0x7f;

    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

/* The first two bytes are enough for most of what can be wrong. */
static enum err check_start(struct ws_decoder *dec)
{
    unsigned opcode = dec->header[0] & 0x0f;
    bool fin = dec->header[0] & 0x80;

    if (dec->header[0] & 0x70)
        return broken(dec, "reserved bit set");
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
        return broken(dec, "reserved opcode");
    if (!(dec->header[1] & 0x80))
        return broken(dec, "frame is not masked");
    if (IS_CONTROL(opcode)) {
        if (!fin)
            return broken(dec, "fragmented control frame");
        if ((dec->header[1] & 0x7f) > WS_MAX_CONTROL_BYTES)
            return broken(dec, "control frame above 125 bytes");
        return E_OK;
    }
    if (opcode == WS_CONTINUATION && dec->opcode == WS_CONTINUATION)
        return broken(dec, "continuation without a message");
    if (opcode != WS_CONTINUATION && dec->opcode != WS_CONTINUATION)
        return broken(dec, "new message inside a fragmented one");
    return E_OK;
}

static enum err begin_frame(struct ws_decoder *dec)
{
    struct buf_reader r = buf_reader_from(buf_view_of(dec->header, dec->header_bytes));
    unsigned first = buf_read_u8(&r);
    unsigned length = buf_read_u8(&r) & 0x7f;
    uint64_t payload_bytes = length;

    if (length >= 126) {
        payload_bytes = buf_read_be(&r, length == 126 ? 2 : 8);
        if (payload_bytes < 126 || (length == 127 && payload_bytes <= UINT16_MAX))
            return broken(dec, "length not in its shortest form");
        if (payload_bytes >> 63)
            return broken(dec, "length above 63 bits");
    }
    memcpy(dec->mask, buf_take(&r, sizeof dec->mask).data, sizeof dec->mask);
    dec->mask_at = 0;
    dec->fin = first & 0x80;
    dec->frame_opcode = (enum ws_opcode)(first & 0x0f);
    dec->left_bytes = payload_bytes;
    dec->control_bytes = 0;
    if (IS_CONTROL(dec->frame_opcode))
        return E_OK;
    if (payload_bytes > dec->message.max_bytes - dec->message.used_bytes)
        return fail(dec, E_TOO_BIG, WS_CLOSE_TOO_BIG, "message too big");
    if (dec->frame_opcode != WS_CONTINUATION)
        dec->opcode = dec->frame_opcode;
    return E_OK;
}

/* Collects the header byte by byte: its size is in its second one. */
static enum err read_header(struct ws_decoder *dec, struct buf_reader *in)
{
    enum err e;

    while (in->left_bytes) {
        dec->header[dec->header_bytes++] = buf_read_u8(in);
        if (dec->header_bytes == 2 && (e = check_start(dec)) != E_OK)
            return e;
        if (dec->header_bytes < 2 || dec->header_bytes < header_size(dec->header))
            continue;
        e = begin_frame(dec);
        dec->header_bytes = 0;
        dec->in_payload = true;
        return e;
    }
    return E_AGAIN;
}

/* --- payload --- */

/* Section 5.3: byte i is masked with byte i mod 4. */
static void unmask(struct ws_decoder *dec, uint8_t *to, struct buf_view from)
{
    uint8_t mask[4];

    for (unsigned i = 0; i < 4; i++)
        mask[i] = dec->mask[(dec->mask_at + i) % 4];
    for (size_t i = 0; i < from.size_bytes; i++)
        to[i] = from.data[i] ^ mask[i % 4];
    dec->mask_at = (dec->mask_at + (unsigned)(from.size_bytes % 4)) % 4;
}

static enum err read_payload(struct ws_decoder *dec, struct buf_reader *in)
{
    size_t n = in->left_bytes < dec->left_bytes ? in->left_bytes : (size_t)dec->left_bytes;
    uint8_t *room = dec->control + dec->control_bytes;

    if (IS_CONTROL(dec->frame_opcode))
        dec->control_bytes += (unsigned)n; /* begin_frame() saw that it fits */
    else if (n && !(room = buf_writer_reserve(&dec->message, n)))
        return fail(dec, E_NOMEM, WS_CLOSE_INTERNAL, "out of memory");
    if (n)
        unmask(dec, room, buf_take(in, n));
    dec->left_bytes -= n;
    return dec->left_bytes ? E_AGAIN : E_OK;
}

/* Section 5.5.1: nothing, or a code and a reason. */
static enum err end_close(struct ws_decoder *dec, struct ws_message *out)
{
    struct buf_reader r = buf_reader_from(buf_view_of(dec->control, dec->control_bytes));
    unsigned code = WS_CLOSE_NONE;

    if (r.left_bytes) {
        code = buf_read_u16be(&r);
        if (r.overrun)
            return broken(dec, "close frame of one byte");
        if (!ws_is_close_code(code))
            return broken(dec, "close code not allowed");
        if (!is_utf8(buf_rest(&r)))
            return fail(dec, E_PROTO, WS_CLOSE_INVALID_DATA, "close reason is not UTF-8");
    }
    dec->closed = true;
    *out = (struct ws_message){WS_CLOSE, buf_rest(&r), code};
    return E_OK;
}

/* The frame is complete. E_AGAIN: but the message is not. */
static enum err end_frame(struct ws_decoder *dec, struct ws_message *out)
{
    dec->in_payload = false;
    if (dec->frame_opcode == WS_CLOSE)
        return end_close(dec, out);
    if (IS_CONTROL(dec->frame_opcode)) {
        *out = (struct ws_message){dec->frame_opcode, buf_view_of(dec->control, dec->control_bytes),
                                   WS_CLOSE_NONE};
        return E_OK;
    }
    if (!dec->fin)
        return E_AGAIN;
    if (dec->opcode == WS_TEXT && !is_utf8(buf_writer_view(&dec->message)))
        return fail(dec, E_PROTO, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
    *out = (struct ws_message){dec->opcode, buf_writer_view(&dec->message), WS_CLOSE_NONE};
    dec->opcode = WS_CONTINUATION;
    dec->shown = true;
    return E_OK;
}

/* One header or one piece of payload. E_AGAIN: no message yet. */
static enum err step(struct ws_decoder *dec, struct buf_reader *in, struct ws_message *out)
{
    enum err e = E_OK;

    if (!dec->in_payload)
        e = read_header(dec, in);
    if (e == E_OK)
        e = read_payload(dec, in);
    if (e == E_OK)
        e = end_frame(dec, out);
    return e;
}

enum err ws_decoder_feed(struct ws_decoder *dec, struct buf_reader *in, struct ws_message *out)
{
    enum err e = E_AGAIN;

    if (dec->failed != E_OK)
        return dec->failed;
    if (dec->closed)
        return E_END;
    if (dec->shown) {
        buf_writer_clear(&dec->message);
        dec->shown = false;
    }
    while (e == E_AGAIN && in->left_bytes)
        e = step(dec, in, out);
    return e;
}
