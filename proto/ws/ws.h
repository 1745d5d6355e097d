/* WebSocket, the server's side: opening handshake, frames out, messages in. RFC 6455. Sans I/O; one
 * thread at a time. No extensions are negotiated. */
#ifndef HW_PROTO_WS_WS_H
#define HW_PROTO_WS_WS_H

#include "common/base/buf.h"
#include "proto/http/http.h"

enum ws_opcode { /* section 5.2 */
                 WS_CONTINUATION = 0,
                 WS_TEXT = 1,
                 WS_BINARY = 2,
                 WS_CLOSE = 8,
                 WS_PING = 9,
                 WS_PONG = 10
};

enum ws_close_code {                    /* section 7.4.1, and the registry of section 11.7 */
                     WS_CLOSE_NONE = 0, /* with no code at all in the frame */
                     WS_CLOSE_NORMAL = 1000,
                     WS_CLOSE_GOING_AWAY = 1001,
                     WS_CLOSE_PROTOCOL = 1002,
                     WS_CLOSE_UNSUPPORTED = 1003,
                     WS_CLOSE_INVALID_DATA = 1007,
                     WS_CLOSE_POLICY = 1008,
                     WS_CLOSE_TOO_BIG = 1009,
                     WS_CLOSE_INTERNAL = 1011,
                     WS_CLOSE_RESTART = 1012,
                     WS_CLOSE_TRY_LATER = 1013
};

/* --- opening handshake, section 4.2 -------------------------------------------------- */

#define WS_ACCEPT_SIZE 29 /* 28 characters and zero */

/* Checks a request head as section 4.2.1 asks and makes the Sec-WebSocket-Accept value of the
 * answer (status 101, with "Upgrade: websocket" and "Connection: Upgrade"). Origin and
 * subprotocols are the caller's to judge; see ws_pick_protocol().
 *   E_OK     accept holds the text
 *   E_PROTO  *error says why: 400, or 426 for another version, whose answer must have the field
 *            "Sec-WebSocket-Version: 13"
 *   E_NOMEM  no SHA-1 to be had */
enum err ws_accept(const struct http_head *head, char accept[WS_ACCEPT_SIZE],
                   struct http_error *error);
/* Is it a request to open a WebSocket at all (Upgrade and Connection say so)? */
bool ws_is_upgrade(const struct http_head *head);
/* The first of the client's subprotocols that is in known (ends with NULL): for the answer's
 * Sec-WebSocket-Protocol. NULL = none, and then the field is left out. The text is known's. */
const char *ws_pick_protocol(const struct http_head *head, const char *const *known);

/* --- frames out ---------------------------------------------------------------------- */

#define WS_MAX_HEADER_BYTES 10
#define WS_MAX_CONTROL_BYTES 125

/* Header of an unmasked frame; the payload follows. Gives its size: 2, 4 or 10. fin: the message
 * ends with this frame. The bytes are the same for every viewer. */
unsigned ws_put_header(uint8_t out[WS_MAX_HEADER_BYTES], enum ws_opcode opcode, bool fin,
                       uint64_t payload_bytes);
/* A control frame: ping, or pong with the ping's payload; above WS_MAX_CONTROL_BYTES cut off. */
void ws_write_control(struct buf_writer *w, enum ws_opcode opcode, struct buf_view payload);
/* Close frame. WS_CLOSE_NONE, or a code that must not be sent (1005, 1006, 1015, unknown ones), is
 * an empty frame; the reason is cut at a character's border to what fits. */
void ws_write_close(struct buf_writer *w, unsigned code, const char *reason);

/* --- messages in --------------------------------------------------------------------- */

struct ws_message {
    enum ws_opcode opcode;   /* any but WS_CONTINUATION */
    struct buf_view payload; /* unmasked; lent until the next call on the decoder. Of WS_CLOSE: the
                              * reason, UTF-8 */
    unsigned close_code;     /* of WS_CLOSE; WS_CLOSE_NONE when the peer gave none */
};

/* How to close on a peer that broke the protocol. */
struct ws_fault {
    unsigned close_code; /* 1002, 1007, 1009 or 1011 */
    const char *text;    /* static: which rule was broken; fits a close frame */
};

/* Caller's memory; only fault is for reading. */
struct ws_decoder {
    struct ws_fault fault;     /* after an error: how to close */
    enum err failed;           /* that error, for good */
    struct buf_writer message; /* owned: what has come of the data message, unmasked */
    enum ws_opcode opcode;     /* of that message; WS_CONTINUATION between messages */
    bool shown;                /* the message was given and goes with the next call */
    bool closed;               /* a close frame was given */
    bool in_payload;           /* the header of the running frame has been read */
    bool fin;                  /* of the running frame, and the four below too */
    enum ws_opcode frame_opcode;
    uint64_t left_bytes;
    uint8_t mask[4];
    unsigned mask_at; /* next byte of mask */
    uint8_t control[WS_MAX_CONTROL_BYTES], header[14];
    unsigned control_bytes, header_bytes; /* used */
};

/* No allocation. max_message_bytes bounds a data message, however many frames it comes in; memory
 * follows the bytes that came, not those that a header promises. */
void ws_decoder_init(struct ws_decoder *dec, size_t max_message_bytes);
void ws_decoder_fini(struct ws_decoder *dec);

/* Feeds bytes of a client, split anywhere; gives at most one message, and control frames between
 * the fragments of another one as they come. Borrows *in and advances it. *out is written only on
 * E_OK. E_PROTO, E_TOO_BIG and E_NOMEM fill dec->fault and are given again from then on.
 *   E_OK       one message; call again, more may be ready
 *   E_AGAIN    all of *in is used
 *   E_END      a close frame was given before; what follows it means nothing (section 5.5.1)
 *   E_PROTO    frame not masked, reserved bits or opcodes, length not in its shortest form, broken
 *              fragmentation, control frame fragmented or long, close code or UTF-8 not allowed
 *   E_TOO_BIG  message above max_message_bytes; said as soon as a header promises it
 *   E_NOMEM    out of memory */
enum err ws_decoder_feed(struct ws_decoder *dec, struct buf_reader *in, struct ws_message *out);

#endif
