/* Frames of a server. RFC 6455, sections 5.2 and 5.5. */
#include <assert.h>
#include <string.h>

#include "proto/ws/frame.h"
#include "proto/ws/ws.h"

#define FIN 0x80u
#define LENGTH_16 126 /* the length is in the next 2 bytes */
#define LENGTH_64 127 /* or 8 */

bool ws_is_close_code(unsigned code)
{
    if (code >= 3000)
        return code <= 4999; /* registered ones, and private ones */
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

unsigned ws_put_header(uint8_t out[WS_MAX_HEADER_BYTES], enum ws_opcode opcode, bool fin,
                       uint64_t payload_bytes)
{
    unsigned n_length = payload_bytes < LENGTH_16 ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)((fin ? FIN : 0) | (unsigned)opcode);
    out[1] = (uint8_t)(n_length == 0 ? payload_bytes : n_length == 2 ? LENGTH_16 : LENGTH_64);
    for (unsigned i = 0; i < n_length; i++)
        out[2 + i] = (uint8_t)(payload_bytes >> 8 * (n_length - 1 - i));
    return 2 + n_length;
}

void ws_write_control(struct buf_writer *w, enum ws_opcode opcode, struct buf_view payload)
{
    uint8_t header[WS_MAX_HEADER_BYTES];
    size_t size_bytes =
        payload.size_bytes < WS_MAX_CONTROL_BYTES ? payload.size_bytes : WS_MAX_CONTROL_BYTES;

    assert(opcode & WS_CLOSE);
    buf_write(w, header, ws_put_header(header, opcode, true, size_bytes));
    buf_write(w, payload.data, size_bytes);
}

/* At most max bytes of text, without half a character at the end. */
static size_t cut_utf8(const char *text, size_t max)
{
    size_t size_bytes = strlen(text);

    if (size_bytes <= max)
        return size_bytes;
    for (size_bytes = max; size_bytes && (text[size_bytes] & 0xc0) == 0x80;)
        size_bytes--;
    return size_bytes;
}

void ws_write_close(struct buf_writer *w, unsigned code, const char *reason)
{
    uint8_t payload[WS_MAX_CONTROL_BYTES];
    size_t size_bytes = cut_utf8(reason, sizeof payload - 2);

    if (!ws_is_close_code(code)) {
        ws_write_control(w, WS_CLOSE, buf_view_of(NULL, 0));
        return;
    }
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    memcpy(payload + 2, reason, size_bytes);
    ws_write_control(w, WS_CLOSE, buf_view_of(payload, size_bytes + 2));
}
