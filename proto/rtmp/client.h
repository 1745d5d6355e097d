/* Inside of the RTMP client: state that its two files share, rtmp_client.c (what the server says)
 * and client_send.c (what we say). */
#ifndef HW_PROTO_RTMP_CLIENT_H
#define HW_PROTO_RTMP_CLIENT_H

#include "proto/rtmp/command.h"
#include "proto/rtmp/handshake.h"

/* Transaction ids: what the server answers to. */
enum transaction {
    TRANSACTION_NONE = 0,
    TRANSACTION_CONNECT = 1,
    TRANSACTION_RELEASE_STREAM,
    TRANSACTION_FC_PUBLISH,
    TRANSACTION_CREATE_STREAM,
    TRANSACTION_START, /* play or publish */
    TRANSACTION_CHECK_BW
};

enum client_state {
    CLIENT_HANDSHAKE,
    CLIENT_CONNECTING, /* connect is sent */
    CLIENT_CREATING,   /* createStream is sent */
    CLIENT_STARTING,   /* play or publish is sent */
    CLIENT_RUNNING,
    CLIENT_ENDED, /* refused, or ended by the server or us; messages are dropped */
    CLIENT_FAILED,
    CLIENT_N_STATES
};

struct rtmp_client {
    struct rtmp_link link;
    struct rtmp_handshake *handshake; /* owned; NULL once done */
    enum client_state state;
    bool publish, reconnects;
    char *app, *stream, *tc_url; /* owned */
    uint32_t stream_id;          /* from createStream */
    bool has_held;               /* media that came instead of Play.Start waits for the next call */
    struct rtmp_message held;
    struct buf_writer held_body;
    struct rtmp_abilities abilities; /* the server's */
    char code[96];                   /* of the event last given */
    char description[256];
    char *asked_tc_url; /* owned; of the last reconnect request, NULL = none said */
};

/* Section 7.2.1.1. */
void client_send_connect(struct rtmp_client *c, struct buf_writer *out);
/* For a publish with releaseStream and FCPublish before it. */
void client_send_create_stream(struct rtmp_client *c, struct buf_writer *out);
/* play or publish, on c->stream_id. */
void client_send_start(struct rtmp_client *c, struct buf_writer *out);
void client_send_stop(struct rtmp_client *c, struct buf_writer *out);
void client_send_check_bw(struct rtmp_client *c, struct buf_writer *out);

#endif
