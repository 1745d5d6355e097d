/* A client made by hand against the RTMP server, for its tests. */
#ifndef HW_TESTS_UNIT_PROTO_RTMP_SERVER_TEST_H
#define HW_TESTS_UNIT_PROTO_RTMP_SERVER_TEST_H

#include "proto/amf/amf.h"
#include "proto/rtmp/chunk_decoder.h"
#include "tests/unit/proto/rtmp/rtmp_test.h"

struct peer {
    struct rtmp_server *server;
    struct rtmp_chunk_decoder dec; /* of what the server says */
    struct buf_writer in, out;     /* to and from the server */
    size_t step;                   /* bytes a call */
    enum err e;                    /* of the last call */
    char said[8192]; /* the server's messages since the last peer_run(), a line each */
    size_t said_bytes;
};

static inline void peer_begin_with(struct peer *p, const struct rtmp_limits *limits)
{
    static const struct rtmp_chunk_limits k_limits = {1 << 20, 1 << 20, 0xffffff, 16};
    static const uint8_t k_seed[RTMP_SEED_BYTES];

    *p = (struct peer){.step = 1000000};
    p->server = rtmp_server_create(limits, k_seed);
    rtmp_chunk_decoder_init(&p->dec, &k_limits);
    assert_non_null(p->server);
    buf_writer_init(&p->in, 1 << 24);
    buf_writer_init(&p->out, 1 << 24);
}

static inline void peer_begin(struct peer *p)
{
    peer_begin_with(p, &k_rtmp_limits_default);
}

static inline void peer_end(struct peer *p)
{
    rtmp_server_destroy(&p->server);
    rtmp_chunk_decoder_fini(&p->dec);
    buf_writer_fini(&p->in);
    buf_writer_fini(&p->out);
}

__attribute__((format(printf, 2, 3))) static inline void peer_say(struct peer *p,
                                                                  const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(p->said + p->said_bytes, sizeof p->said - p->said_bytes, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof p->said - p->said_bytes);
    p->said_bytes += (size_t)n;
}

static inline int text_size(struct buf_view text)
{
    return (int)text.size_bytes;
}

/* "_result 4 on 0: 1" or "onStatus 0 on 1: status NetStream.Play.Start" */
static inline void peer_note_command(struct peer *p, const struct rtmp_message *m)
{
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *v, *info;
    struct buf_view level, code;

    assert_int_equal(amf0_read_all(doc, m->payload, &v), E_OK);
    info = m->type_id == RTMP_COMMAND_AMF0 ? amf_at(v, 3) : amf_at(v, 1);
    level = amf_string(amf_find(info, "level"));
    code = amf_string(amf_find(info, "code"));
    peer_say(p, "%.*s", text_size(v->text), (const char *)v->text.data);
    if (m->type_id == RTMP_COMMAND_AMF0)
        peer_say(p, " %g", amf_number(amf_at(v, 1), -1));
    peer_say(p, " on %u", (unsigned)m->stream_id);
    if (amf_is(info, AMF_NUMBER))
        peer_say(p, ": %g", info->number);
    if (level.size_bytes || code.size_bytes)
        peer_say(p, ": %.*s %.*s", text_size(level), (const char *)level.data, text_size(code),
                 (const char *)code.data);
    peer_say(p, "\n");
    amf_doc_destroy(&doc);
}

static inline void peer_note(struct peer *p, const struct rtmp_message *m)
{
    struct buf_reader r = buf_reader_from(m->payload);

    if (m->type_id == RTMP_COMMAND_AMF0 || m->type_id == RTMP_DATA_AMF0) {
        peer_note_command(p, m);
    } else if (m->type_id == RTMP_USER_CONTROL) {
        unsigned event = buf_read_u16be(&r);

        peer_say(p, "user control %u: %u\n", event, (unsigned)buf_read_u32be(&r));
    } else {
        peer_say(p, "type %u: %u\n", m->type_id, (unsigned)buf_read_u32be(&r));
    }
}

/* Decodes what the server wrote since the last time into p->said. */
static inline const char *peer_heard(struct peer *p)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&p->out));
    struct rtmp_message m;

    p->said_bytes = 0;
    p->said[0] = '\0';
    assert_int_equal(buf_writer_status(&p->out), E_OK);
    while (rtmp_chunk_decoder_feed(&p->dec, &in, &m) == E_OK)
        peer_note(p, &m);
    assert_int_equal(in.left_bytes, 0);
    buf_writer_clear(&p->out);
    return p->said;
}

/* Feeds what is in p->in until there is an event (true) or nothing more (false; see p->e). The body
 * of an event is lent until the next call. */
/* Copies what the input may have lent. */
static inline void peer_keep_event(struct rtmp_event *event)
{
    struct buf_view *const lent[] = {&event->body, &event->stream, &event->tc_url, &event->agent};
    static uint8_t copies[4][1 << 16];

    for (unsigned i = 0; i < 4; i++) {
        assert_in_range(lent[i]->size_bytes, 0, sizeof copies[i]);
        if (lent[i]->size_bytes)
            memcpy(copies[i], lent[i]->data, lent[i]->size_bytes);
        lent[i]->data = copies[i];
    }
}

static inline bool peer_run(struct peer *p, struct rtmp_event *event)
{
    p->e = E_AGAIN;
    while (p->in.used_bytes && p->e == E_AGAIN) {
        size_t size = p->in.used_bytes < p->step ? p->in.used_bytes : p->step;
        struct buf_reader in = buf_reader_from(buf_view_of(p->in.data, size));

        p->e = rtmp_server_feed(p->server, &in, 55, event, &p->out);
        if (size == in.left_bytes && p->e == E_AGAIN)
            break; /* takes nothing more: an answer to publish or play is due */
        if (p->e == E_OK)
            peer_keep_event(event); /* the input moves below */
        buf_writer_consume(&p->in, size - in.left_bytes);
    }
    if (p->e == E_AGAIN && !p->in.used_bytes) { /* parts of an aggregate need no input */
        struct buf_reader none = buf_reader_from(buf_view_of(NULL, 0));

        p->e = rtmp_server_feed(p->server, &none, 55, event, &p->out);
    }
    return p->e == E_OK;
}

static inline void peer_put(struct peer *p, uint8_t type_id, uint32_t timestamp_ms,
                            uint32_t stream_id, const void *body, size_t size)
{
    rtmp_write_message(&p->in, 128, 3, timestamp_ms, type_id, stream_id, buf_view_of(body, size));
}

/* A command: after name and transaction id null, then what args (AMF0, may be empty) holds. */
static inline void peer_command(struct peer *p, uint32_t stream_id, const char *name,
                                double transaction_id, struct buf_view args)
{
    struct buf_writer body;

    buf_writer_init(&body, 1 << 20);
    amf_write_cstr(&body, name);
    amf_write_number(&body, transaction_id);
    amf_write_null(&body);
    buf_write_view(&body, args);
    peer_put(p, RTMP_COMMAND_AMF0, 0, stream_id, body.data, body.used_bytes);
    buf_writer_fini(&body);
}

/* The same with one string. */
static inline void peer_command_name(struct peer *p, uint32_t stream_id, const char *name,
                                     double transaction_id, const char *arg)
{
    struct buf_writer args;

    buf_writer_init(&args, 1 << 20);
    amf_write_cstr(&args, arg);
    peer_command(p, stream_id, name, transaction_id, buf_writer_view(&args));
    buf_writer_fini(&args);
}

static inline void peer_command_number(struct peer *p, uint32_t stream_id, const char *name,
                                       double transaction_id, double arg)
{
    struct buf_writer args;

    buf_writer_init(&args, 64);
    amf_write_number(&args, arg);
    peer_command(p, stream_id, name, transaction_id, buf_writer_view(&args));
    buf_writer_fini(&args);
}

static inline void peer_command_boolean(struct peer *p, uint32_t stream_id, const char *name,
                                        double transaction_id, bool arg)
{
    struct buf_writer args;

    buf_writer_init(&args, 64);
    amf_write_boolean(&args, arg);
    peer_command(p, stream_id, name, transaction_id, buf_writer_view(&args));
    buf_writer_fini(&args);
}

static inline void peer_put_handshake(struct peer *p)
{
    uint8_t *room;

    buf_write_u8(&p->in, 3);
    room = buf_writer_reserve(&p->in, 2 * 1536);
    assert_non_null(room);
    memset(room, 0, 2 * 1536);
}

/* app NULL leaves it out. */
static inline void peer_put_connect(struct peer *p, const char *app, const char *tc_url)
{
    struct buf_writer body;

    buf_writer_init(&body, 1 << 20);
    amf_write_cstr(&body, "connect");
    amf_write_number(&body, 1);
    amf_write_object(&body);
    if (app)
        amf_write_member_cstr(&body, "app", app);
    if (tc_url)
        amf_write_member_cstr(&body, "tcUrl", tc_url);
    amf_write_member_cstr(&body, "flashVer", "test 1");
    amf_write_end(&body);
    peer_put(p, RTMP_COMMAND_AMF0, 0, 0, body.data, body.used_bytes);
    buf_writer_fini(&body);
}

/* Handshake bytes are not chunks: takes S0 S1 S2 out of what the server wrote. */
static inline void peer_do_handshake(struct peer *p)
{
    struct rtmp_event event;

    peer_put_handshake(p);
    assert_false(peer_run(p, &event));
    assert_int_equal(p->e, E_AGAIN);
    assert_int_equal(p->out.used_bytes, 1 + 2 * 1536);
    buf_writer_clear(&p->out);
}

static inline void peer_connect(struct peer *p)
{
    struct rtmp_event event;

    peer_do_handshake(p);
    peer_put_connect(p, "live", "rtmp://localhost/live");
    assert_true(peer_run(p, &event));
    assert_int_equal(event.type, RTMP_EVENT_CONNECT);
    (void)peer_heard(p);
}

static inline void peer_publish(struct peer *p)
{
    struct rtmp_event event;

    peer_connect(p);
    peer_command(p, 0, "createStream", 2, buf_view_of(NULL, 0));
    peer_command_name(p, 1, "publish", 3, "x");
    assert_true(peer_run(p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PUBLISH);
    rtmp_server_accept(p->server, &p->out);
    (void)peer_heard(p);
}

static inline void peer_play(struct peer *p)
{
    struct rtmp_event event;

    peer_connect(p);
    peer_command(p, 0, "createStream", 2, buf_view_of(NULL, 0));
    peer_command_name(p, 1, "play", 3, "x");
    assert_true(peer_run(p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PLAY);
    rtmp_server_accept(p->server, &p->out);
    (void)peer_heard(p);
}

#endif
