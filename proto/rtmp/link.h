/* What both ends of RTMP do alike: chunks in, the protocol control messages (RTMP 1.0, sections 5.4
 * and 6.2), acknowledgements both ways, aggregates taken apart, messages out. */
#ifndef HW_PROTO_RTMP_LINK_H
#define HW_PROTO_RTMP_LINK_H

#include "proto/rtmp/chunk_decoder.h"
#include "proto/rtmp/error_text.h"
#include "proto/rtmp/rtmp.h"

enum rtmp_user_control { /* section 6.2 and 7.1.7 */
                         RTMP_STREAM_BEGIN = 0,
                         RTMP_STREAM_EOF = 1,
                         RTMP_STREAM_DRY = 2,
                         RTMP_SET_BUFFER_LENGTH = 3,
                         RTMP_STREAM_IS_RECORDED = 4,
                         RTMP_PING_REQUEST = 6,
                         RTMP_PING_RESPONSE = 7
};

enum { /* chunk streams of what we say; media has rtmp_csid_of() */
       RTMP_CSID_CONTROL = 2,
       RTMP_CSID_COMMAND = 3,
       RTMP_CSID_STATUS = 5
};

struct rtmp_link {
    struct rtmp_chunk_decoder dec; /* has the other limits */
    uint32_t max_message_bytes, max_command_bytes;
    uint32_t our_chunk_size, window_ack_size; /* as limits say: what is announced */
    uint32_t out_chunk_size;                  /* 128 until rtmp_link_announce_chunk_size() */
    uint32_t bytes_in;                        /* of the connection; wraps */
    uint32_t acked_bytes;                     /* bytes_in when we last acknowledged */
    uint32_t in_window_bytes;                 /* the peer wants an ack for so many */
    uint32_t out_window_bytes;                /* the window we announced */
    uint32_t peer_acked_bytes;                /* what the peer said to have received; wraps */
    bool has_pong;
    uint32_t last_pong_ms;
    struct rtmp_aggregate *aggregate; /* owned; being taken apart, else NULL */
    const char *fault;                /* one word: which part of the protocol was broken */
    struct rtmp_error_text error;
};

void rtmp_link_init(struct rtmp_link *link, const struct rtmp_limits *limits);
void rtmp_link_fini(struct rtmp_link *link);

/* Next message for the layer above: a command, media, data, or user control other than ping.
 * Answers pings, window sizes and what was received to out. Results as rtmp_chunk_decoder_feed(),
 * with the text in link->error. The payload may be lent from *in. */
enum err rtmp_link_next(struct rtmp_link *link, struct buf_reader *in, uint32_t now_ms,
                        struct rtmp_message *message, struct buf_writer *out);
/* Notes why and returns e. fault is the static word that rtmp_server_fault() gives. */
enum err rtmp_link_fail(struct rtmp_link *link, enum err e, const char *fault, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Sends a body that was built in a writer of its own, takes the writer's memory. */
void rtmp_link_send(const struct rtmp_link *link, struct buf_writer *out, unsigned csid,
                    uint8_t type_id, uint32_t stream_id, struct buf_writer *body);
void rtmp_link_announce_window(struct rtmp_link *link, struct buf_writer *out);
void rtmp_link_announce_peer_bandwidth(const struct rtmp_link *link, struct buf_writer *out);
void rtmp_link_announce_chunk_size(struct rtmp_link *link, struct buf_writer *out);
void rtmp_link_write_user_control(const struct rtmp_link *link, struct buf_writer *out,
                                  enum rtmp_user_control event, uint32_t value);

#endif
