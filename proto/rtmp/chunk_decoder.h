/* RTMP chunk stream to messages: RTMP 1.0, section 5.3, with Set Chunk Size and Abort
 * (5.4.1, 5.4.2), which are about the chunks themselves and never come out. Sans I/O; one thread at
 * a time. */
#ifndef HW_PROTO_RTMP_CHUNK_DECODER_H
#define HW_PROTO_RTMP_CHUNK_DECODER_H

#include "common/base/buf.h"
#include "proto/rtmp/error_text.h"

struct rtmp_message {      /* section 6.1.1 */
    uint32_t timestamp_ms; /* absolute; wraps at 2^32 */
    uint32_t stream_id;
    uint8_t type_id;
    struct buf_view payload; /* lent: valid until the next call on the decoder */
};

struct rtmp_chunk_limits {
    uint32_t max_media_bytes;   /* message types 8, 9, 15, 18 and 22 */
    uint32_t max_other_bytes;   /* all others */
    uint32_t max_chunk_size;    /* that the peer may set */
    uint32_t max_chunk_streams; /* at most 65535 */
};
/* Parts of unfinished messages may hold this many times the longest message together. */
#define RTMP_CHUNK_MAX_OPEN_MESSAGES 2u

#define RTMP_CHUNK_MAX_HEADER_BYTES 18u /* 3 basic, 11 message, 4 extended timestamp */

struct rtmp_chunk_decoder { /* embedded in its connection; fields are private to chunk_decoder.c */
    struct rtmp_chunk_limits limits;
    struct rtmp_chunk_stream *streams; /* owned, n_streams; few: searched and added one by one */
    struct rtmp_error_text error;
    uint32_t open_bytes; /* in unfinished messages of all streams */
    uint32_t chunk_size;
    uint32_t chunk_left; /* payload bytes of the chunk that is being read still to come */
    int32_t delivered;   /* stream whose parts are lent, -1 for none */
    uint16_t n_streams;
    uint16_t current;    /* stream of the chunk that is being read, if chunk_left */
    uint8_t stash_bytes; /* bytes taken from the input that no step has used yet */
    uint8_t stash[RTMP_CHUNK_MAX_HEADER_BYTES];
};

/* Pair with rtmp_chunk_decoder_fini(). limits are copied. */
void rtmp_chunk_decoder_init(struct rtmp_chunk_decoder *dec,
                             const struct rtmp_chunk_limits *limits);
/* Fine on a zeroed one. */
void rtmp_chunk_decoder_fini(struct rtmp_chunk_decoder *dec);
/* For messages that begin from now on. */
void rtmp_chunk_decoder_set_limits(struct rtmp_chunk_decoder *dec, uint32_t max_media_bytes,
                                   uint32_t max_other_bytes);

/* Feeds bytes, gives at most one message. Borrows *in and advances it past what it kept; the stream
 * may be split anywhere. A message that lies in *in as one chunk is lent from there without a copy.
 * *out is written only on E_OK.
 *   E_OK       one message in *out; call again, more may be ready
 *   E_AGAIN    all of *in is used and no message is complete
 *   E_PROTO    type 2 or 3 opens a chunk stream, or a header changes an unfinished message
 *   E_TOO_BIG  message, chunk size, number of chunk streams or unfinished bytes above the limit
 *   E_NOMEM    out of memory. After this, E_PROTO or E_TOO_BIG only fini() is allowed */
enum err rtmp_chunk_decoder_feed(struct rtmp_chunk_decoder *dec, struct buf_reader *in,
                                 struct rtmp_message *out);
/* Gives back the memory of the message that was given last; its payload is void. */
void rtmp_chunk_decoder_release(struct rtmp_chunk_decoder *dec);
/* After an error: "csid 7: length 9000000 > limit 4194304". Never NULL. */
const char *rtmp_chunk_decoder_error(const struct rtmp_chunk_decoder *dec);

#endif
