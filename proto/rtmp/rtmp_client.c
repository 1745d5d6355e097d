/* RTMP client: connect, createStream, then play or publish on a foreign server; what the server
 * answers moves it on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/client.h"
#include "proto/rtmp/enhanced.h"

#define BIT(state) (1u << (state))

/* States that may follow; CLIENT_ENDED and CLIENT_FAILED always may. */
static const unsigned k_next[CLIENT_N_STATES] = {
    [CLIENT_HANDSHAKE] = BIT(CLIENT_CONNECTING),
    [CLIENT_CONNECTING] = BIT(CLIENT_CREATING),
    [CLIENT_CREATING] = BIT(CLIENT_STARTING),
    [CLIENT_STARTING] = BIT(CLIENT_RUNNING),
};

struct rtmp_client *rtmp_client_create(const struct rtmp_client_conf *conf,
                                       const uint8_t seed[RTMP_SEED_BYTES])
{
    struct rtmp_client *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->publish = conf->publish;
    c->reconnects = conf->reconnects;
    c->app = strdup(conf->app);
    c->stream = strdup(conf->stream);
    c->tc_url = strdup(conf->tc_url);
    c->handshake = rtmp_handshake_create_client(seed);
    buf_writer_init(&c->held_body, conf->limits.max_message_bytes);
    rtmp_link_init(&c->link, &conf->limits);
    if (!c->app || !c->stream || !c->tc_url || !c->handshake)
        rtmp_client_destroy(&c);
    return c;
}

void rtmp_client_destroy(struct rtmp_client **c)
{
    if (!*c)
        return;
    rtmp_handshake_destroy(&(*c)->handshake);
    rtmp_link_fini(&(*c)->link);
    buf_writer_fini(&(*c)->held_body);
    free((*c)->app);
    free((*c)->stream);
    free((*c)->tc_url);
    free((*c)->asked_tc_url);
    free(*c);
    *c = NULL;
}

const char *rtmp_client_error(const struct rtmp_client *c)
{
    return rtmp_error_text(&c->link.error);
}

void rtmp_client_abilities(const struct rtmp_client *c, struct rtmp_abilities *out)
{
    *out = c->abilities;
}

uint32_t rtmp_client_stream_id(const struct rtmp_client *c)
{
    return c->stream_id;
}

static void set_state(struct rtmp_client *c, enum client_state state)
{
    bool allowed =
        state == CLIENT_ENDED || state == CLIENT_FAILED || (k_next[c->state] & BIT(state));

    assert(allowed);
    (void)allowed;
    c->state = state;
}

void rtmp_client_start(struct rtmp_client *c, struct buf_writer *out)
{
    rtmp_handshake_start(c->handshake, out);
}

void rtmp_client_stop(struct rtmp_client *c, struct buf_writer *out)
{
    if (c->state == CLIENT_STARTING || c->state == CLIENT_RUNNING)
        client_send_stop(c, out);
    if (c->state != CLIENT_FAILED)
        set_state(c, CLIENT_ENDED);
}

/* The functions below give E_OK with *event set, or E_AGAIN when the message made none. */

static enum err give(struct rtmp_client *c, enum rtmp_client_event_type type,
                     struct rtmp_client_event *event)
{
    *event = (struct rtmp_client_event){
        .type = type,
        .code = buf_view_str(c->code),
        .description = buf_view_str(c->description),
    };
    return E_OK;
}

static void copy_text(char *to, size_t size, struct buf_view text)
{
    size_t n = text.size_bytes < size - 1 ? text.size_bytes : size - 1;

    if (n)
        memcpy(to, text.data, n);
    to[n] = '\0';
}

static void note_info(struct rtmp_client *c, const struct amf_value *info)
{
    copy_text(c->code, sizeof c->code, amf_string(amf_find(info, "code")));
    copy_text(c->description, sizeof c->description, amf_string(amf_find(info, "description")));
}

/* The server says no, or that it is over. */
static enum err end(struct rtmp_client *c, struct rtmp_client_event *event)
{
    bool ran = c->state == CLIENT_RUNNING;

    set_state(c, CLIENT_ENDED);
    return give(c, ran ? RTMP_CLIENT_ENDED : RTMP_CLIENT_REFUSED, event);
}

static enum err start(struct rtmp_client *c, struct rtmp_client_event *event)
{
    set_state(c, CLIENT_RUNNING);
    return give(c, RTMP_CLIENT_STARTED, event);
}

static enum err on_created(struct rtmp_client *c, const struct rtmp_command *cmd,
                           struct buf_writer *out)
{
    double id = amf_number(cmd->args, 0);

    if (!(id >= 0 && id <= UINT32_MAX))
        return rtmp_link_fail(&c->link, E_PROTO, "amf", "createStream gave no stream id");
    c->stream_id = (uint32_t)id;
    if (!c->publish)
        rtmp_chunk_decoder_set_limits(&c->link.dec, c->link.max_message_bytes,
                                      c->link.max_command_bytes);
    client_send_start(c, out);
    set_state(c, CLIENT_STARTING);
    return E_AGAIN;
}

/* Enhanced RTMP v2 puts them into the information object; some servers into the properties. */
static void note_abilities(struct rtmp_client *c, const struct rtmp_command *cmd)
{
    rtmp_read_abilities(amf_deref(cmd->args), &c->abilities);
    if (!c->abilities.announces_codecs)
        rtmp_read_abilities(cmd->object, &c->abilities);
}

static enum err on_result(struct rtmp_client *c, const struct rtmp_command *cmd,
                          struct buf_writer *out, struct rtmp_client_event *event)
{
    (void)event;
    if (c->state == CLIENT_CONNECTING && cmd->transaction_id == TRANSACTION_CONNECT) {
        note_abilities(c, cmd);
        client_send_create_stream(c, out);
        set_state(c, CLIENT_CREATING);
    } else if (c->state == CLIENT_CREATING && cmd->transaction_id == TRANSACTION_CREATE_STREAM) {
        return on_created(c, cmd, out);
    }
    return E_AGAIN;
}

/* releaseStream, FCPublish and _checkbw may fail: many servers do not know them. */
static enum err on_error(struct rtmp_client *c, const struct rtmp_command *cmd,
                         struct buf_writer *out, struct rtmp_client_event *event)
{
    (void)out;
    if (cmd->transaction_id != TRANSACTION_CONNECT &&
        cmd->transaction_id != TRANSACTION_CREATE_STREAM &&
        cmd->transaction_id != TRANSACTION_START)
        return E_AGAIN;
    note_info(c, amf_deref(cmd->args));
    return end(c, event);
}

/* Codes that end what runs. Those with level error need no row: they all do. */
static const char *const k_ending_codes[] = {
    "NetStream.Play.UnpublishNotify", "NetStream.Play.Stop",         "NetStream.Play.Complete",
    "NetStream.Play.StreamNotFound",  "NetStream.Unpublish.Success", "NetConnection.Connect.Closed",
};

/* Enhanced RTMP v2, "Reconnect Request". What runs goes on. */
static enum err ask_reconnect(struct rtmp_client *c, const struct amf_value *info,
                              struct rtmp_client_event *event)
{
    struct buf_view to = amf_string(amf_find(info, "tcUrl"));
    enum err e;

    if (!c->reconnects)
        return E_AGAIN;
    free(c->asked_tc_url);
    c->asked_tc_url = NULL;
    if (to.size_bytes && !(c->asked_tc_url = malloc(to.size_bytes)))
        return rtmp_link_fail(&c->link, E_NOMEM, "size", "no room for a tcUrl");
    if (to.size_bytes)
        memcpy(c->asked_tc_url, to.data, to.size_bytes);
    e = give(c, RTMP_CLIENT_RECONNECT, event);
    event->tc_url = buf_view_of(c->asked_tc_url, to.size_bytes);
    return e;
}

static enum err on_status(struct rtmp_client *c, const struct rtmp_command *cmd,
                          struct buf_writer *out, struct rtmp_client_event *event)
{
    const struct amf_value *info = amf_deref(cmd->args);
    struct buf_view code = amf_string(amf_find(info, "code"));

    (void)out;
    note_info(c, info);
    if (buf_view_equals(amf_string(amf_find(info, "level")), "error"))
        return end(c, event);
    if (c->state == CLIENT_STARTING &&
        buf_view_equals(code, c->publish ? "NetStream.Publish.Start" : "NetStream.Play.Start"))
        return start(c, event);
    if (buf_view_equals(code, "NetConnection.Connect.ReconnectRequest"))
        return ask_reconnect(c, info, event);
    for (size_t i = 0; i < sizeof k_ending_codes / sizeof k_ending_codes[0]; i++)
        if (buf_view_equals(code, k_ending_codes[i]))
            return end(c, event);
    return E_AGAIN;
}

static enum err on_bw_done(struct rtmp_client *c, const struct rtmp_command *cmd,
                           struct buf_writer *out, struct rtmp_client_event *event)
{
    (void)cmd;
    (void)event;
    client_send_check_bw(c, out);
    return E_AGAIN;
}

static enum err on_close(struct rtmp_client *c, const struct rtmp_command *cmd,
                         struct buf_writer *out, struct rtmp_client_event *event)
{
    (void)out;
    note_info(c, amf_deref(cmd->args));
    return end(c, event);
}

static const struct {
    const char *name;
    enum err (*handle)(struct rtmp_client *c, const struct rtmp_command *cmd,
                       struct buf_writer *out, struct rtmp_client_event *event);
} k_commands[] = {
    {"_result", on_result},   {"_error", on_error},          {"onStatus", on_status},
    {"onBWDone", on_bw_done}, {"onFCUnsubscribe", on_close}, {"close", on_close},
};

static enum err on_command(struct rtmp_client *c, const struct rtmp_message *message,
                           struct buf_writer *out, struct rtmp_client_event *event)
{
    struct rtmp_command cmd;
    struct amf_doc *doc;
    enum err e = rtmp_command_read(&c->link, message, &doc, &cmd);

    if (e == E_OK)
        e = E_AGAIN;
    for (size_t i = 0; e == E_AGAIN && i < sizeof k_commands / sizeof k_commands[0]; i++)
        if (buf_view_equals(cmd.name, k_commands[i].name))
            e = k_commands[i].handle(c, &cmd, out, event);
    amf_doc_destroy(&doc);
    return e;
}

static enum err on_user_control(struct rtmp_client *c, const struct rtmp_message *message,
                                struct rtmp_client_event *event)
{
    struct buf_reader r = buf_reader_from(message->payload);
    unsigned type = buf_read_u16be(&r);
    uint32_t stream_id = buf_read_u32be(&r);

    if (r.overrun || type != RTMP_STREAM_EOF || stream_id != c->stream_id || c->publish ||
        c->state != CLIENT_RUNNING)
        return E_AGAIN;
    note_info(c, NULL);
    return end(c, event);
}

static bool is_data(uint8_t type_id)
{
    return type_id == RTMP_DATA_AMF0 || type_id == RTMP_DATA_AMF3;
}

static enum err give_media(const struct rtmp_message *message, struct rtmp_client_event *event)
{
    *event = (struct rtmp_client_event){
        .type = RTMP_CLIENT_MEDIA,
        .media_type = is_data(message->type_id) ? (uint8_t)RTMP_DATA_AMF0 : message->type_id,
        .timestamp_ms = message->timestamp_ms,
        .body = message->payload,
    };
    return E_OK;
}

/* Media that comes without NetStream.Play.Start says the same: that is told first. */
static enum err hold(struct rtmp_client *c, const struct rtmp_message *message,
                     struct rtmp_client_event *event)
{
    buf_writer_clear(&c->held_body);
    buf_write_view(&c->held_body, message->payload);
    if (buf_writer_status(&c->held_body) != E_OK)
        return rtmp_link_fail(&c->link, buf_writer_status(&c->held_body), "size",
                              "no room for a message of %zu bytes", message->payload.size_bytes);
    c->held = *message;
    c->held.payload = buf_writer_view(&c->held_body);
    c->has_held = true;
    note_info(c, NULL);
    return start(c, event);
}

/* What the server says of itself in data messages is not part of the stream. */
static bool is_server_data(struct buf_view body)
{
    return rtmp_data_is(body, "|RtmpSampleAccess") || rtmp_data_is(body, "onStatus");
}

static enum err on_media(struct rtmp_client *c, const struct rtmp_message *message,
                         struct rtmp_client_event *event)
{
    struct rtmp_message m = *message;

    m.payload = rtmp_data_body(message);
    if (c->publish || m.payload.size_bytes == 0)
        return E_AGAIN;
    if (is_data(m.type_id) && is_server_data(m.payload))
        return E_AGAIN;
    if (c->state == CLIENT_STARTING)
        return hold(c, &m, event);
    return c->state == CLIENT_RUNNING ? give_media(&m, event) : E_AGAIN;
}

static enum err on_message(struct rtmp_client *c, const struct rtmp_message *message,
                           struct buf_writer *out, struct rtmp_client_event *event)
{
    switch (message->type_id) {
    case RTMP_AUDIO:
    case RTMP_VIDEO:
    case RTMP_DATA_AMF0:
    case RTMP_DATA_AMF3:
        return on_media(c, message, event);
    case RTMP_COMMAND_AMF0:
    case RTMP_COMMAND_AMF3:
        return on_command(c, message, out, event);
    case RTMP_USER_CONTROL:
        return on_user_control(c, message, event);
    default:
        return E_AGAIN;
    }
}

static enum err do_handshake(struct rtmp_client *c, struct buf_reader *in, struct buf_writer *out)
{
    size_t before = in->left_bytes;
    enum err e = rtmp_handshake_feed(c->handshake, in, out);

    c->link.bytes_in += (uint32_t)(before - in->left_bytes);
    if (e == E_AGAIN)
        return e;
    if (e != E_OK)
        return rtmp_link_fail(&c->link, e, "handshake", "%s", rtmp_handshake_error(c->handshake));
    rtmp_handshake_destroy(&c->handshake);
    if (c->publish)
        rtmp_link_announce_chunk_size(&c->link, out);
    client_send_connect(c, out);
    set_state(c, CLIENT_CONNECTING);
    return E_OK;
}

static enum err next_event(struct rtmp_client *c, struct buf_reader *in, uint32_t now_ms,
                           struct rtmp_client_event *event, struct buf_writer *out)
{
    struct rtmp_message message;
    enum err e;

    if (c->state == CLIENT_ENDED) {
        (void)buf_take(in, in->left_bytes);
        return E_AGAIN;
    }
    if (c->has_held) {
        c->has_held = false;
        return give_media(&c->held, event);
    }
    if (c->handshake) {
        e = do_handshake(c, in, out);
        if (e != E_OK)
            return e;
    }
    do {
        e = rtmp_link_next(&c->link, in, now_ms, &message, out);
        if (e != E_OK)
            return e;
        e = on_message(c, &message, out, event);
    } while (e == E_AGAIN); /* ENDED and REFUSED are events: no more is read after them */
    return e;
}

enum err rtmp_client_feed(struct rtmp_client *c, struct buf_reader *in, uint32_t now_ms,
                          struct rtmp_client_event *event, struct buf_writer *out)
{
    enum err e;

    if (c->state == CLIENT_FAILED)
        return E_PROTO;
    e = next_event(c, in, now_ms, event, out);
    if (e == E_OK || e == E_AGAIN) {
        if (buf_writer_status(out) == E_OK)
            return e;
        e = rtmp_link_fail(&c->link, buf_writer_status(out), "size", "no room for the answers");
    }
    set_state(c, CLIENT_FAILED);
    return e;
}
