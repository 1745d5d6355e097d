/* Inside of the RTMP server: state that its two files share, rtmp_server.c (life, media) and
 * server_commands.c (what the client asks for). */
#ifndef HW_PROTO_RTMP_SERVER_H
#define HW_PROTO_RTMP_SERVER_H

#include "proto/rtmp/command.h"
#include "proto/rtmp/handshake.h"

enum server_state {
    SERVER_HANDSHAKE,       /* C0 C1 C2 are not complete */
    SERVER_CONNECTING,      /* waits for connect */
    SERVER_IDLE,            /* connected, neither publishes nor plays */
    SERVER_PUBLISH_PENDING, /* the caller decides; nothing is read */
    SERVER_PUBLISHING,
    SERVER_PLAY_PENDING, /* the caller decides; nothing is read */
    SERVER_PLAYING,
    SERVER_FAILED, /* only destroy() is left */
    SERVER_N_STATES
};

#define SERVER_SHORT_APP_BYTES 8 /* "live" */

struct rtmp_server {
    struct rtmp_link link;
    struct rtmp_handshake *handshake; /* owned; NULL once done */
    enum server_state state;
    bool has_stream;  /* createStream gave id 1 and deleteStream did not take it back */
    bool drops_media; /* a publish ended; what its encoder still sends is not an offence */
    bool has_words;   /* as below */
    struct rtmp_abilities abilities; /* of the client, as connect said */
    uint32_t next_stream_id;         /* for createStream while id 1 is out */
    uint32_t app_bytes;
    union {
        /* Owned: app; then, if has_words, tcUrl, flashVer and pageUrl, each with its zero. */
        char *said;
        char app[SERVER_SHORT_APP_BYTES]; /* of that size at most, when there are no words */
    };
};
_Static_assert(sizeof(struct rtmp_server) <= 184, "every RTMP viewer has one");

/* One command under way. */
struct server_call {
    struct rtmp_server *s;
    const struct rtmp_command *cmd;
    struct rtmp_event *event; /* written when has_event */
    bool has_event;
    struct buf_writer *out;
};

/* Answers the command and may make an event. E_OK, E_PROTO or E_NOMEM, with link.error. */
enum err server_on_command(struct server_call *call);
void server_set_state(struct rtmp_server *s, enum server_state state);
/* All that connect said but the app. */
void server_forget_words(struct rtmp_server *s);
struct buf_view server_app(const struct rtmp_server *s);
/* Ends publish or play, if there is one: false if not. */
bool server_stop(struct rtmp_server *s);

#endif
