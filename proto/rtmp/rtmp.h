/* RTMP 1.0 (Adobe, 2012) as state machines, sans I/O: bytes in, events out, answers into a
 * buf_writer. Server and client; both over link.h, chunk_decoder.h, handshake.h and proto/amf.
 * One thread at a time; may move between threads between calls. */
#ifndef HW_PROTO_RTMP_RTMP_H
#define HW_PROTO_RTMP_RTMP_H

#include "common/base/buf.h"
#include "common/media/frame.h"

/* Sections 5.4, 6.2 and 7.1. */
enum rtmp_message_type {
    RTMP_SET_CHUNK_SIZE = 1,
    RTMP_ABORT = 2,
    RTMP_ACK = 3,
    RTMP_USER_CONTROL = 4,
    RTMP_WINDOW_ACK_SIZE = 5,
    RTMP_SET_PEER_BANDWIDTH = 6,
    RTMP_AUDIO = 8,
    RTMP_VIDEO = 9,
    RTMP_DATA_AMF3 = 15,
    RTMP_SHARED_OBJECT_AMF3 = 16,
    RTMP_COMMAND_AMF3 = 17,
    RTMP_DATA_AMF0 = 18,
    RTMP_SHARED_OBJECT_AMF0 = 19,
    RTMP_COMMAND_AMF0 = 20,
    RTMP_AGGREGATE = 22
};

#define RTMP_MEDIA_STREAM_ID 1u /* the one createStream answers; media and status use it */

struct rtmp_limits {
    uint32_t max_message_bytes; /* media, after publish was accepted */
    uint32_t max_command_bytes; /* any message before that, and every command */
    uint32_t max_chunk_size;    /* that the peer may set; <= 16 MiB - 1 */
    uint32_t max_chunk_streams; /* csids in use */
    uint32_t out_chunk_size;    /* we announce and send */
    uint32_t window_ack_size;   /* we announce */
};
/* 16 MiB - 1, 64 KiB, 16 MiB - 1, 64, 65536, 2500000 */
extern const struct rtmp_limits k_rtmp_limits_default;

enum rtmp_event_type {
    RTMP_EVENT_CONNECT, /* app, tc_url, agent set; already answered */
    RTMP_EVENT_PUBLISH, /* app, stream set; answer with rtmp_server_accept() or rtmp_server_refuse()
                         */
    RTMP_EVENT_PLAY,    /* the same */
    RTMP_EVENT_MEDIA,   /* audio, video or data of the accepted publish; never empty */
    RTMP_EVENT_STOP,    /* deleteStream, closeStream, FCUnpublish: it ended, answered */
    RTMP_EVENT_PAUSE    /* pause or resume of an accepted play, answered; flag says which */
};

struct rtmp_event {
    enum rtmp_event_type type;
    /* CONNECT, PUBLISH, PLAY: lent as body is. app without query; the others as sent. */
    struct buf_view app;    /* from connect app, else from tcUrl's path */
    struct buf_view stream; /* PUBLISH, PLAY: with its "?query" */
    struct buf_view tc_url; /* CONNECT */
    struct buf_view agent;  /* CONNECT: flashVer */
    bool paused;            /* PAUSE */
    /* MEDIA: message type 8, 9 or 18 (AMF3 data is unwrapped), its body and absolute time;
     * aggregate parts come one by one. body is lent until the next call, by *in when the message
     * lay there in one chunk: use it before the input's memory moves. */
    uint8_t media_type;
    uint32_t timestamp_ms; /* wraps at 2^32 */
    struct buf_view body;
};

/* Random bytes, for the handshake. It has no need of cryptographic ones (section 5.2.3): two
 * connections are only to look different. */
#define RTMP_SEED_BYTES 8

struct rtmp_server; /* opaque */

/* Returns NULL when out of memory. seed is copied. Pair with rtmp_server_destroy(). */
struct rtmp_server *rtmp_server_create(const struct rtmp_limits *limits,
                                       const uint8_t seed[RTMP_SEED_BYTES]);
void rtmp_server_destroy(struct rtmp_server **s);

/* Feeds bytes split anywhere; gives at most one event and appends answers (handshake, acks, ping
 * responses, command results) to out. now_ms is any monotonic clock. After PUBLISH or PLAY nothing
 * more is taken until accepted or refused (E_AGAIN with *in not empty; the caller keeps the rest).
 *   E_OK one event; E_AGAIN nothing more now; E_PROTO, E_TOO_BIG, E_NOMEM: only destroy(), with
 *   rtmp_server_error() for the log. Media before an accepted publish or from a player: E_PROTO;
 *   after the publish ended, from either side, it is dropped until the next publish. */
enum err rtmp_server_feed(struct rtmp_server *s, struct buf_reader *in, uint32_t now_ms,
                          struct rtmp_event *event, struct buf_writer *out);
/* Publish: NetStream.Publish.Start. Play: Stream Begin, NetStream.Play.Reset, Play.Start,
 * |RtmpSampleAccess, NetStream.Data.Start as real players want them. */
void rtmp_server_accept(struct rtmp_server *s, struct buf_writer *out);
/* NetStream status of level error; the session goes on, the client may try another. code is e.g.
 * "NetStream.Publish.BadName", "NetStream.Play.StreamNotFound", "NetStream.Play.Failed". */
void rtmp_server_refuse(struct rtmp_server *s, const char *code, const char *description,
                        struct buf_writer *out);
/* The same, for a client that is to go to url ("rtmp://host/app/stream") instead: "ex" with code
 * 302 and redirect, as servers and clients of the SRS family have it, and a reconnect request to
 * who announced that (Enhanced RTMP v2). Others see an error. */
void rtmp_server_redirect(struct rtmp_server *s, const char *url, struct buf_writer *out);
/* The accepted play or publish ends from our side. Play: NetStream.Play.UnpublishNotify (and
 * Stream EOF); publish: status of level error or "status" with this code. */
void rtmp_server_end(struct rtmp_server *s, const char *code, const char *description,
                     struct buf_writer *out);
/* Enhanced RTMP v2, "Reconnect Request": asks the client to go on over a new connection, to tc_url
 * ("rtmp://host:port/app"; NULL = where it came from); it keeps this one until it has that. False,
 * and nothing is written: it did not announce that it can. */
bool rtmp_server_ask_reconnect(struct rtmp_server *s, const char *tc_url, const char *description,
                               struct buf_writer *out);
/* What the client said in connect that it can (Enhanced RTMP v2: fourCcList, videoFourCcInfoMap,
 * audioFourCcInfoMap, capsEx); all false before, and of older clients. */
struct rtmp_abilities {
    bool announces_codecs;
    bool reconnect, multitrack, mod_ex;
    uint32_t codecs; /* 1 << enum media_codec: it takes them with enhanced headers */
};
void rtmp_server_abilities(const struct rtmp_server *s, struct rtmp_abilities *out);
/* What else it said in connect; all "" before, and once a play was accepted: viewers are many. Lent
 * until then. Control characters are gone. */
struct rtmp_client_words {
    const char *tc_url, *agent, *page_url; /* tcUrl, flashVer, pageUrl */
};
void rtmp_server_client_words(const struct rtmp_server *s, struct rtmp_client_words *out);
/* Ping request (user control 6); feed sees the answer, rtmp_server_last_pong() tells. */
void rtmp_server_ping(struct rtmp_server *s, uint32_t now_ms, struct buf_writer *out);
/* "csid 7: message type 9 length 9000000 > limit 4194304" */
const char *rtmp_server_error(const struct rtmp_server *s);
/* One static word for metrics after an error: handshake, chunk, amf, order, size or other. */
const char *rtmp_server_fault(const struct rtmp_server *s);
/* When the last ping response came, on the clock of now_ms; false when none has. */
bool rtmp_server_last_pong(const struct rtmp_server *s, uint32_t *at_ms);
/* Handshake done? connect done? For timeouts and logs. */
const char *rtmp_server_state(const struct rtmp_server *s);

/* --- Shared by every viewer: one message, type 0 header and type 3 continuations --- */

#define RTMP_MAX_CHUNK_HEADER 16 /* 1 byte csid + 11 + 4 extended timestamp */
/* The chunk stream a media kind travels on out of Headwater (4 audio, 6 video, 5 data). */
unsigned rtmp_csid_of(enum media_kind kind);
/* Returns the header's length. */
unsigned rtmp_put_type0_header(uint8_t out[RTMP_MAX_CHUNK_HEADER], unsigned csid,
                               uint32_t timestamp_ms, uint32_t length_bytes, uint8_t type_id,
                               uint32_t stream_id);
/* Repeats the extended timestamp when there is one (section 5.3.1.3 and every real client). */
unsigned rtmp_put_type3_header(uint8_t out[RTMP_MAX_CHUNK_HEADER], unsigned csid,
                               uint32_t timestamp_ms);
/* What a publisher says before the body of onMetaData, an AMF0 string: bare, servers pass it on
 * once and later viewers miss it. */
#define RTMP_SET_DATA_FRAME_BYTES 16
extern const uint8_t k_rtmp_set_data_frame[RTMP_SET_DATA_FRAME_BYTES];
/* A whole message in chunks of chunk_size. */
void rtmp_write_message(struct buf_writer *w, uint32_t chunk_size, unsigned csid,
                        uint32_t timestamp_ms, uint8_t type_id, uint32_t stream_id,
                        struct buf_view body);

/* --- Client side: pulls from and pushes to foreign servers --- */

enum rtmp_client_event_type {
    RTMP_CLIENT_STARTED, /* play or publish accepted by the server */
    RTMP_CLIENT_MEDIA,   /* play: as RTMP_EVENT_MEDIA */
    RTMP_CLIENT_ENDED,   /* the server ended the stream (UnpublishNotify, EOF, Play.Stop) */
    RTMP_CLIENT_REFUSED, /* code and description lent until the next call */
    /* Enhanced RTMP v2: go on over a new connection, to rtmp_resolve_tc_url(tc_url), and leave this
     * one once that runs; until then it goes on. May come at any time after connect. */
    RTMP_CLIENT_RECONNECT
};
struct rtmp_client_event {
    enum rtmp_client_event_type type;
    struct buf_view code, description;
    struct buf_view tc_url; /* RECONNECT: as sent, lent as code is; empty = the same place */
    uint8_t media_type;
    uint32_t timestamp_ms;
    struct buf_view body;
};
struct rtmp_client_conf {
    bool publish;       /* else play */
    bool reconnects;    /* honours RTMP_CLIENT_RECONNECT: announced; else it never comes */
    const char *app;    /* copied; may hold a query */
    const char *stream; /* copied; may hold a query */
    const char *tc_url; /* copied */
    struct rtmp_limits limits;
};
struct rtmp_client; /* opaque */
/* As rtmp_server_create(). The client sends a digest and takes either handshake. */
struct rtmp_client *rtmp_client_create(const struct rtmp_client_conf *conf,
                                       const uint8_t seed[RTMP_SEED_BYTES]);
void rtmp_client_destroy(struct rtmp_client **c);
/* Writes C0 and C1. */
void rtmp_client_start(struct rtmp_client *c, struct buf_writer *out);
/* As rtmp_server_feed(). STARTED comes before any MEDIA; after ENDED and REFUSED input is dropped.
 * What a server says of itself in data messages (|RtmpSampleAccess, onStatus) is not MEDIA. */
enum err rtmp_client_feed(struct rtmp_client *c, struct buf_reader *in, uint32_t now_ms,
                          struct rtmp_client_event *event, struct buf_writer *out);
/* After STARTED of a publish: one media message. onMetaData is sent as @setDataFrame; after ENDED
 * nothing is written. */
void rtmp_client_write_media(struct rtmp_client *c, uint8_t media_type, uint32_t timestamp_ms,
                             struct buf_view body, struct buf_writer *out);
/* FCUnpublish and deleteStream, before the connection is closed. */
void rtmp_client_stop(struct rtmp_client *c, struct buf_writer *out);
const char *rtmp_client_error(const struct rtmp_client *c);
/* What the server said in its answer to connect that it takes; all false before STARTED, and of
 * older servers. */
void rtmp_client_abilities(const struct rtmp_client *c, struct rtmp_abilities *out);
/* The message stream that createStream gave: RTMP_MEDIA_STREAM_ID nearly everywhere. */
uint32_t rtmp_client_stream_id(const struct rtmp_client *c);
/* Where a reconnect request leads: reference as the server said it, whole or relative (RFC
 * 3986, 5.2) to base, the tcUrl of the connection; empty = base. out is terminated. E_UNSUPPORTED:
 * not rtmp nor rtmps, or no longer rtmps; E_INVAL: not a URL of host and app, or one with spaces,
 * control characters or a user; E_TOO_BIG: more than size bytes. */
enum err rtmp_resolve_tc_url(struct buf_view base, struct buf_view reference, char *out,
                             size_t size);

#endif
