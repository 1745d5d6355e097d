/* RTMP server: handshake, then messages; media of an accepted publish goes up, commands go to
 * server_commands.c. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/server.h"

#define BIT(state) (1u << (state))
#define MAX_SAMPLE_ACCESS_BYTES ((size_t)256)
#define REDIRECT_MAX_BYTES ((size_t)4096)

static const struct {
    const char *name;
    unsigned next; /* states that may follow; SERVER_FAILED always may */
} k_states[SERVER_N_STATES] = {
    [SERVER_HANDSHAKE] = {"handshake", BIT(SERVER_CONNECTING)},
    [SERVER_CONNECTING] = {"connecting", BIT(SERVER_IDLE)},
    [SERVER_IDLE] = {"connected", BIT(SERVER_PUBLISH_PENDING) | BIT(SERVER_PLAY_PENDING)},
    [SERVER_PUBLISH_PENDING] = {"publish pending", BIT(SERVER_PUBLISHING) | BIT(SERVER_IDLE)},
    [SERVER_PUBLISHING] = {"publishing", BIT(SERVER_IDLE)},
    [SERVER_PLAY_PENDING] = {"play pending", BIT(SERVER_PLAYING) | BIT(SERVER_IDLE)},
    [SERVER_PLAYING] = {"playing", BIT(SERVER_IDLE)},
    [SERVER_FAILED] = {"failed", 0},
};

struct rtmp_server *rtmp_server_create(const struct rtmp_limits *limits,
                                       const uint8_t seed[RTMP_SEED_BYTES])
{
    struct rtmp_server *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->handshake = rtmp_handshake_create_server(seed);
    s->next_stream_id = RTMP_MEDIA_STREAM_ID + 1;
    rtmp_link_init(&s->link, limits);
    if (!s->handshake)
        rtmp_server_destroy(&s);
    return s;
}

static bool has_short_app(const struct rtmp_server *s)
{
    return !s->has_words && s->app_bytes <= sizeof s->app;
}

void rtmp_server_destroy(struct rtmp_server **s)
{
    if (!*s)
        return;
    rtmp_handshake_destroy(&(*s)->handshake);
    rtmp_link_fini(&(*s)->link);
    server_forget_words(*s);
    if (!has_short_app(*s))
        free((*s)->said);
    free(*s);
    *s = NULL;
}

const char *rtmp_server_error(const struct rtmp_server *s)
{
    return rtmp_error_text(&s->link.error);
}

const char *rtmp_server_fault(const struct rtmp_server *s)
{
    return s->link.fault;
}

const char *rtmp_server_state(const struct rtmp_server *s)
{
    return k_states[s->state].name;
}

bool rtmp_server_last_pong(const struct rtmp_server *s, uint32_t *at_ms)
{
    if (s->link.has_pong)
        *at_ms = s->link.last_pong_ms;
    return s->link.has_pong;
}

void server_set_state(struct rtmp_server *s, enum server_state state)
{
    assert(state == SERVER_FAILED || (k_states[s->state].next & BIT(state)));
    s->state = state;
}

bool server_stop(struct rtmp_server *s)
{
    if (s->state != SERVER_PUBLISHING && s->state != SERVER_PLAYING)
        return false;
    s->drops_media = s->state == SERVER_PUBLISHING;
    server_set_state(s, SERVER_IDLE);
    return true;
}

static enum err do_handshake(struct rtmp_server *s, struct buf_reader *in, struct buf_writer *out)
{
    size_t before = in->left_bytes;
    enum err e = rtmp_handshake_feed(s->handshake, in, out);

    s->link.bytes_in += (uint32_t)(before - in->left_bytes);
    if (e == E_AGAIN)
        return e;
    if (e != E_OK)
        return rtmp_link_fail(&s->link, e, "handshake", "%s", rtmp_handshake_error(s->handshake));
    rtmp_handshake_destroy(&s->handshake);
    server_set_state(s, SERVER_CONNECTING);
    return E_OK;
}

static const char *media_name(uint8_t type_id)
{
    return type_id == RTMP_AUDIO ? "audio" : type_id == RTMP_VIDEO ? "video" : "data";
}

/* E_OK: *event is the message. E_AGAIN: nothing to give. */
static enum err on_media(struct rtmp_server *s, const struct rtmp_message *message,
                         struct rtmp_event *event)
{
    struct buf_view body = rtmp_data_body(message);

    if (s->state != SERVER_PUBLISHING) {
        if (s->drops_media)
            return E_AGAIN;
        return rtmp_link_fail(
            &s->link, E_PROTO, "order", "%s message %s (state %s)", media_name(message->type_id),
            s->state == SERVER_PLAYING ? "from a player" : "before an accepted publish",
            k_states[s->state].name);
    }
    if (body.size_bytes == 0) /* FMLE opens its audio with one; there is nothing to pass on */
        return E_AGAIN;
    *event = (struct rtmp_event){
        .type = RTMP_EVENT_MEDIA,
        .media_type =
            message->type_id == RTMP_DATA_AMF3 ? (uint8_t)RTMP_DATA_AMF0 : message->type_id,
        .timestamp_ms = message->timestamp_ms,
        .body = body,
    };
    return E_OK;
}

static enum err on_command(struct rtmp_server *s, const struct rtmp_message *message,
                           struct rtmp_event *event, struct buf_writer *out)
{
    struct rtmp_command cmd;
    struct server_call call = {.s = s, .cmd = &cmd, .event = event, .out = out};
    struct amf_doc *doc;
    enum err e = rtmp_command_read(&s->link, message, &doc, &cmd);

    if (e == E_OK)
        e = server_on_command(&call);
    amf_doc_destroy(&doc);
    return e == E_OK && !call.has_event ? E_AGAIN : e;
}

/* E_OK: *event is set. E_AGAIN: the message made none. */
static enum err on_message(struct rtmp_server *s, const struct rtmp_message *message,
                           struct rtmp_event *event, struct buf_writer *out)
{
    switch (message->type_id) {
    case RTMP_AUDIO:
    case RTMP_VIDEO:
    case RTMP_DATA_AMF0:
    case RTMP_DATA_AMF3:
        return on_media(s, message, event);
    case RTMP_COMMAND_AMF0:
    case RTMP_COMMAND_AMF3:
        return on_command(s, message, event, out);
    default: /* set buffer length, shared objects, what later versions bring: nothing to do */
        return E_AGAIN;
    }
}

static enum err next_event(struct rtmp_server *s, struct buf_reader *in, uint32_t now_ms,
                           struct rtmp_event *event, struct buf_writer *out)
{
    for (;;) {
        struct rtmp_message message;
        enum err e;

        if (s->state == SERVER_PUBLISH_PENDING || s->state == SERVER_PLAY_PENDING)
            return E_AGAIN;
        if (s->state == SERVER_HANDSHAKE) {
            e = do_handshake(s, in, out);
            if (e != E_OK)
                return e;
        }
        e = rtmp_link_next(&s->link, in, now_ms, &message, out);
        if (e == E_OK)
            e = on_message(s, &message, event, out);
        else if (e == E_AGAIN)
            return e;
        if (e != E_AGAIN)
            return e;
    }
}

enum err rtmp_server_feed(struct rtmp_server *s, struct buf_reader *in, uint32_t now_ms,
                          struct rtmp_event *event, struct buf_writer *out)
{
    enum err e;

    if (s->state == SERVER_FAILED)
        return E_PROTO;
    e = next_event(s, in, now_ms, event, out);
    if (e == E_OK || e == E_AGAIN) {
        if (buf_writer_status(out) == E_OK)
            return e;
        e = rtmp_link_fail(&s->link, buf_writer_status(out), "size", "no room for the answers");
    }
    server_set_state(s, SERVER_FAILED);
    return e;
}

/* SRS and Wowza send this before media, and Flash players look for it. */
static void write_sample_access(struct rtmp_server *s, struct buf_writer *out)
{
    struct buf_writer body;

    buf_writer_init(&body, MAX_SAMPLE_ACCESS_BYTES);
    amf_write_cstr(&body, "|RtmpSampleAccess");
    amf_write_boolean(&body, true);
    amf_write_boolean(&body, true);
    rtmp_link_send(&s->link, out, RTMP_CSID_STATUS, RTMP_DATA_AMF0, RTMP_MEDIA_STREAM_ID, &body);

    buf_writer_init(&body, MAX_SAMPLE_ACCESS_BYTES);
    amf_write_cstr(&body, "onStatus");
    amf_write_object(&body);
    amf_write_member_cstr(&body, "code", "NetStream.Data.Start");
    amf_write_end(&body);
    rtmp_link_send(&s->link, out, RTMP_CSID_STATUS, RTMP_DATA_AMF0, RTMP_MEDIA_STREAM_ID, &body);
}

static void write_status(struct rtmp_server *s, struct buf_writer *out, const char *level,
                         const char *code, const char *description)
{
    rtmp_write_status(&s->link, out, RTMP_MEDIA_STREAM_ID, level, code, description);
}

void rtmp_server_accept(struct rtmp_server *s, struct buf_writer *out)
{
    assert(s->state == SERVER_PUBLISH_PENDING || s->state == SERVER_PLAY_PENDING);
    if (s->state == SERVER_PUBLISH_PENDING) {
        rtmp_chunk_decoder_set_limits(&s->link.dec, s->link.max_message_bytes,
                                      s->link.max_command_bytes);
        write_status(s, out, "status", "NetStream.Publish.Start", "Publishing has started.");
        server_set_state(s, SERVER_PUBLISHING);
        return;
    }
    rtmp_link_write_user_control(&s->link, out, RTMP_STREAM_BEGIN, RTMP_MEDIA_STREAM_ID);
    write_status(s, out, "status", "NetStream.Play.Reset", "The play list is empty.");
    write_status(s, out, "status", "NetStream.Play.Start", "Playing has started.");
    write_sample_access(s, out);
    server_forget_words(s);
    server_set_state(s, SERVER_PLAYING);
}

void rtmp_server_refuse(struct rtmp_server *s, const char *code, const char *description,
                        struct buf_writer *out)
{
    assert(s->state == SERVER_PUBLISH_PENDING || s->state == SERVER_PLAY_PENDING);
    write_status(s, out, "error", code, description);
    server_set_state(s, SERVER_IDLE);
}

/* "rtmp://host/app/stream?query" without the stream. */
static void tc_url_of(const char *url, struct buf_writer *out)
{
    size_t size = strcspn(url, "?");

    while (size && url[size - 1] != '/')
        size--;
    buf_write(out, url, size ? size - 1 : 0);
    buf_write_u8(out, 0);
}

void rtmp_server_redirect(struct rtmp_server *s, const char *url, struct buf_writer *out)
{
    struct buf_writer body, tc_url;

    assert(s->state == SERVER_PUBLISH_PENDING || s->state == SERVER_PLAY_PENDING);
    rtmp_command_begin(&body, "onStatus", 0);
    amf_write_null(&body);
    rtmp_write_info(&body, "error", "NetConnection.Connect.Rejected", "The stream is elsewhere.");
    amf_write_name(&body, "ex");
    amf_write_object(&body);
    amf_write_member_number(&body, "code", 302);
    amf_write_member_cstr(&body, "redirect", url);
    amf_write_end(&body);
    amf_write_end(&body);
    rtmp_command_send(&s->link, out, RTMP_MEDIA_STREAM_ID, &body);
    buf_writer_init(&tc_url, REDIRECT_MAX_BYTES);
    tc_url_of(url, &tc_url);
    if (buf_writer_status(&tc_url) == E_OK)
        (void)rtmp_server_ask_reconnect(s, (const char *)tc_url.data, "The stream is elsewhere.",
                                        out);
    buf_writer_fini(&tc_url);
    server_set_state(s, SERVER_IDLE);
}

void rtmp_server_end(struct rtmp_server *s, const char *code, const char *description,
                     struct buf_writer *out)
{
    static const char k_unpublished[] = "NetStream.Play.UnpublishNotify";
    static const char k_unpublish_success[] = "NetStream.Unpublish.Success";
    bool plays = s->state == SERVER_PLAYING;

    if (!server_stop(s))
        return;
    if (!plays) {
        bool is_error = strcmp(code, k_unpublish_success) != 0;

        write_status(s, out, is_error ? "error" : "status", code, description);
        return;
    }
    if (strcmp(code, k_unpublished) != 0)
        write_status(s, out, strstr(code, ".Failed") ? "error" : "status", code, description);
    /* ffmpeg and librtmp leave at this one, whatever came before; others at the end of stream. */
    write_status(s, out, "status", k_unpublished, description);
    rtmp_link_write_user_control(&s->link, out, RTMP_STREAM_EOF, RTMP_MEDIA_STREAM_ID);
}

bool rtmp_server_ask_reconnect(struct rtmp_server *s, const char *tc_url, const char *description,
                               struct buf_writer *out)
{
    struct buf_writer body;

    if (!s->abilities.reconnect)
        return false;
    rtmp_command_begin(&body, "onStatus", 0);
    amf_write_null(&body);
    rtmp_write_info(&body, "status", "NetConnection.Connect.ReconnectRequest", description);
    if (tc_url)
        amf_write_member_cstr(&body, "tcUrl", tc_url);
    amf_write_end(&body);
    rtmp_command_send(&s->link, out, 0, &body);
    return true;
}

void rtmp_server_ping(struct rtmp_server *s, uint32_t now_ms, struct buf_writer *out)
{
    rtmp_link_write_user_control(&s->link, out, RTMP_PING_REQUEST, now_ms);
}

/* The start of what was said is all that is left of it. */
static void keep_app(struct rtmp_server *s)
{
    char *said = s->said, *app;

    if (has_short_app(s)) {
        memcpy(s->app, said, s->app_bytes);
        free(said);
        return;
    }
    app = realloc(said, s->app_bytes);
    if (app)
        s->said = app;
}

void server_forget_words(struct rtmp_server *s)
{
    char *tc_url;

    if (!s->has_words)
        return;
    tc_url = s->said + s->app_bytes;
    explicit_bzero(tc_url, strlen(tc_url)); /* it may hold a secret */
    s->has_words = false;
    keep_app(s);
}

struct buf_view server_app(const struct rtmp_server *s)
{
    return buf_view_of((const uint8_t *)(has_short_app(s) ? s->app : s->said), s->app_bytes);
}

void rtmp_server_client_words(const struct rtmp_server *s, struct rtmp_client_words *out)
{
    *out = (struct rtmp_client_words){"", "", ""};
    if (!s->has_words)
        return;
    out->tc_url = s->said + s->app_bytes;
    out->agent = out->tc_url + strlen(out->tc_url) + 1;
    out->page_url = out->agent + strlen(out->agent) + 1;
}

void rtmp_server_abilities(const struct rtmp_server *s, struct rtmp_abilities *out)
{
    *out = s->abilities;
}
