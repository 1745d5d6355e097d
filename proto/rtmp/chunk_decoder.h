/* RTMP chunk stream to messages: RTMP 1.0, section 5.3, with Set Chunk Size and Abort
 * (5.4.1, 5.4.2), which are about the chunks themselves and never come out. Sans I/O; one thread at
 * a time. */
#ifndef HW_PROTO_RTMP_CHUNK_DECODER_H
#define HW_PROTO_RTMP_CHUNK_DECODER_H

#include "common/base/buf.h"

struct rtmp_chunk_decoder; /* opaque */

struct rtmp_message {      /* section 6.1.1 */
    uint32_t timestamp_ms; /* absolute; wraps at 2^32 */
    uint32_t stream_id;
    uint8_t type_id;
    struct buf_view payload; /* lent: valid until the next call on the decoder */
};

struct rtmp_chunk_limits {
    size_t max_media_bytes;  /* message types 8, 9, 15, 18 and 22 */
    size_t max_other_bytes;  /* all others */
    uint32_t max_chunk_size; /* that the peer may set */
    unsigned max_chunk_streams;
};
/* Parts of unfinished messages may hold this many times the longest message together. */
#define RTMP_CHUNK_MAX_OPEN_MESSAGES 2u

/* Returns a decoder, or NULL when out of memory; pair with rtmp_chunk_decoder_destroy(). */
struct rtmp_chunk_decoder *rtmp_chunk_decoder_create(const struct rtmp_chunk_limits *limits);
/* Takes *dec and sets it to NULL; a NULL *dec is fine. */
void rtmp_chunk_decoder_destroy(struct rtmp_chunk_decoder **dec);
/* For messages that begin from now on. */
void rtmp_chunk_decoder_set_limits(struct rtmp_chunk_decoder *dec, size_t max_media_bytes,
                                   size_t max_other_bytes);

/* Feeds bytes, gives at most one message. Borrows *in and advances it past what it kept; the stream
 * may be split anywhere. A message that lies in *in as one chunk is lent from there without a copy.
 * *out is written only on E_OK.
 *   E_OK       one message in *out; call again, more may be ready
 *   E_AGAIN    all of *in is used and no message is complete
 *   E_PROTO    type 2 or 3 opens a chunk stream, or a header changes an unfinished message
 *   E_TOO_BIG  message, chunk size, number of chunk streams or unfinished bytes above the limit
 *   E_NOMEM    out of memory. After this, E_PROTO or E_TOO_BIG only destroy() is allowed */
enum err rtmp_chunk_decoder_feed(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                                 struct rtmp_message *out);
/* After an error: "csid 7: length 9000000 > limit 4194304". Never NULL. */
const char *rtmp_chunk_decoder_error(const struct rtmp_chunk_decoder *dec);

#endif
