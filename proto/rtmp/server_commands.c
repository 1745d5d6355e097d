/* Commands of RTMP clients, as the standard has them (RTMP 1.0, section 7.2) and as real clients
 * send them: OBS and FMLE releaseStream, FCPublish and FCUnpublish, ffmpeg getStreamLength, librtmp
 * _checkbw. One handler each, in a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/enhanced.h"
#include "proto/rtmp/server.h"

#define BIT(state) (1u << (state))
#define CONNECTED (BIT(SERVER_IDLE) | BIT(SERVER_PUBLISHING) | BIT(SERVER_PLAYING))

/* --- answers --- */

static void begin_result(const struct server_call *call, struct buf_writer *body)
{
    rtmp_command_begin(body, "_result", call->cmd->transaction_id);
}

/* Command results go on the stream that the command came on; nearly always 0. */
static void send_result(const struct server_call *call, struct buf_writer *body)
{
    rtmp_command_send(&call->s->link, call->out, call->cmd->stream_id, body);
}

/* _result with null and undefined, for a client that wants to hear something. */
static enum err answer_nothing(struct server_call *call)
{
    struct buf_writer body;

    if (call->cmd->transaction_id == 0)
        return E_OK;
    begin_result(call, &body);
    amf_write_null(&body);
    amf_write_undefined(&body);
    send_result(call, &body);
    return E_OK;
}

static enum err answer_error(struct server_call *call, const char *code, const char *description)
{
    struct buf_writer body;

    if (call->cmd->transaction_id == 0)
        return E_OK;
    rtmp_command_begin(&body, "_error", call->cmd->transaction_id);
    amf_write_null(&body);
    rtmp_write_info(&body, "error", code, description);
    amf_write_end(&body);
    send_result(call, &body);
    return E_OK;
}

static void status(const struct server_call *call, const char *level, const char *code,
                   const char *description)
{
    rtmp_write_status(&call->s->link, call->out, call->cmd->stream_id, level, code, description);
}

static enum err answer_status_error(struct server_call *call, const char *code,
                                    const char *description)
{
    status(call, "error", code, description);
    return E_OK;
}

/* onFCPublish, onFCUnpublish, onFCSubscribe: no standard has them, FMLE waits for them. */
static void write_fc_answer(const struct server_call *call, const char *name, const char *code,
                            const char *description)
{
    struct buf_writer body;

    rtmp_command_begin(&body, name, 0);
    amf_write_null(&body);
    rtmp_write_info(&body, "status", code, description);
    amf_write_end(&body);
    rtmp_command_send(&call->s->link, call->out, 0, &body);
}

/* --- connect --- */

/* Without control characters. Returns where the next one goes. */
static char *put_word(char *at, struct buf_view text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (text.data[i] >= 0x20 && text.data[i] != 0x7f)
            *at++ = (char)text.data[i];
    *at++ = '\0';
    return at;
}

/* app is never empty. */
static enum err keep_said(struct rtmp_server *s, struct buf_view app, const struct buf_view words[],
                          size_t n_words)
{
    size_t size = app.size_bytes + n_words;
    char *at;

    for (size_t i = 0; i < n_words; i++)
        size += words[i].size_bytes;
    s->said = malloc(size);
    if (!s->said)
        return rtmp_link_fail(&s->link, E_NOMEM, "other", "out of memory");
    memcpy(s->said, app.data, app.size_bytes);
    s->app_bytes = (uint32_t)app.size_bytes;
    at = s->said + app.size_bytes;
    for (size_t i = 0; i < n_words; i++)
        at = put_word(at, words[i]);
    s->has_words = true;
    return E_OK;
}

/* Without its query and the slashes around it: "live/?token=1" is live. */
static struct buf_view trim_app(struct buf_view text)
{
    struct buf_reader r = buf_reader_from(text);
    size_t size = 0;

    while (r.left_bytes && *r.at == '/')
        (void)buf_read_u8(&r);
    while (size < r.left_bytes && r.at[size] != '?')
        size++;
    while (size && r.at[size - 1] == '/')
        size--;
    return buf_take(&r, size);
}

/* The path of "rtmp://host:1935/live": some encoders and old set-top boxes send no app. */
static struct buf_view app_of_url(struct buf_view url)
{
    struct buf_reader r = buf_reader_from(url);
    unsigned slashes = 0;

    while (r.left_bytes && slashes < 3)
        slashes += buf_read_u8(&r) == '/';
    return trim_app(buf_rest(&r));
}

/* Section 7.2.1.1; the numbers are what Flash Media Server says and old players look at. */
static void write_connect_result(struct server_call *call)
{
    const struct amf_value *asked = call->cmd->object;
    double encoding = amf_number(amf_find(asked, "objectEncoding"), 0);
    struct buf_writer body;

    begin_result(call, &body);
    amf_write_object(&body);
    amf_write_member_cstr(&body, "fmsVer", "FMS/3,5,7,7009");
    amf_write_member_number(&body, "capabilities", 31);
    amf_write_member_number(&body, "mode", 1);
    amf_write_end(&body);
    rtmp_write_info(&body, "status", "NetConnection.Connect.Success", "Connection succeeded.");
    amf_write_member_number(&body, "objectEncoding", encoding == 3 ? 3 : 0);
    rtmp_write_enhanced(&body, asked);
    amf_write_end(&body);
    send_result(call, &body);
}

static enum err on_connect(struct server_call *call)
{
    struct rtmp_server *s = call->s;
    const struct amf_value *asked = call->cmd->object;
    const struct buf_view words[] = {amf_string(amf_find(asked, "tcUrl")),
                                     amf_string(amf_find(asked, "flashVer")),
                                     amf_string(amf_find(asked, "pageUrl"))};
    struct buf_view app = trim_app(amf_string(amf_find(asked, "app")));
    enum err e;

    if (app.size_bytes == 0)
        app = app_of_url(words[0]);
    if (app.size_bytes == 0)
        return answer_error(call, "NetConnection.Connect.InvalidApp",
                            "Neither app nor tcUrl names an application.");
    e = keep_said(s, app, words, sizeof words / sizeof words[0]);
    if (e != E_OK)
        return e;
    rtmp_link_announce_window(&s->link, call->out);
    rtmp_link_announce_peer_bandwidth(&s->link, call->out);
    rtmp_link_announce_chunk_size(&s->link, call->out);
    write_connect_result(call);
    rtmp_read_abilities(asked, &s->abilities);
    server_set_state(s, SERVER_IDLE);
    call->has_event = true;
    *call->event = (struct rtmp_event){
        .type = RTMP_EVENT_CONNECT,
        .app = server_app(s),
        .tc_url = words[0],
        .agent = words[1],
    };
    return E_OK;
}

/* --- streams --- */

/* Id 1 first, since viewers share bytes that carry it; 2, 3, ... while it is out. */
static enum err on_create_stream(struct server_call *call)
{
    struct rtmp_server *s = call->s;
    uint32_t id = s->has_stream ? s->next_stream_id++ : RTMP_MEDIA_STREAM_ID;
    struct buf_writer body;

    s->has_stream = true;
    begin_result(call, &body);
    amf_write_null(&body);
    amf_write_number(&body, id);
    send_result(call, &body);
    return E_OK;
}

/* Publish or play may begin: else the reason, for the client. */
static const char *why_not_now(const struct server_call *call)
{
    if (call->cmd->stream_id != RTMP_MEDIA_STREAM_ID)
        return "Only message stream 1 carries media: one publish or play a connection.";
    if (call->s->state == SERVER_PUBLISHING)
        return "This connection publishes already.";
    if (call->s->state == SERVER_PLAYING)
        return "This connection plays already.";
    if (!amf_is(call->cmd->args, AMF_STRING))
        return "The stream name is missing.";
    return NULL;
}

static enum err begin(struct server_call *call, enum server_state pending,
                      enum rtmp_event_type type)
{
    struct rtmp_server *s = call->s;

    s->drops_media = false;
    server_set_state(s, pending);
    call->has_event = true;
    *call->event = (struct rtmp_event){
        .type = type,
        .app = server_app(s),
        .stream = amf_string(call->cmd->args),
    };
    return E_OK;
}

static enum err on_close_stream(struct server_call *call);

/* publish(false) and play(false) are how Flash closes a stream. */
static bool closes(const struct server_call *call)
{
    return amf_is(call->cmd->args, AMF_BOOLEAN) && !call->cmd->args->boolean;
}

static enum err on_publish(struct server_call *call)
{
    const char *why = why_not_now(call);

    if (closes(call))
        return on_close_stream(call);
    if (why)
        return answer_status_error(call, "NetStream.Publish.BadName", why);
    return begin(call, SERVER_PUBLISH_PENDING, RTMP_EVENT_PUBLISH);
}

/* start, duration and reset are read by nobody: all streams are live (ffmpeg says -2000). */
static enum err on_play(struct server_call *call)
{
    const char *why = why_not_now(call);

    if (closes(call))
        return on_close_stream(call);
    if (why)
        return answer_status_error(call, "NetStream.Play.Failed", why);
    return begin(call, SERVER_PLAY_PENDING, RTMP_EVENT_PLAY);
}

static enum err on_play2(struct server_call *call)
{
    return answer_status_error(call, "NetStream.Play.Failed",
                               "Switching streams with play2 is not offered: play the other one.");
}

static enum err on_pause(struct server_call *call)
{
    struct rtmp_server *s = call->s;
    bool paused = amf_boolean(call->cmd->args, true);

    if (s->state != SERVER_PLAYING || call->cmd->stream_id != RTMP_MEDIA_STREAM_ID)
        return answer_status_error(call, "NetStream.Failed", "Nothing plays.");
    /* librtmp takes the end of stream as the mark that it is paused. */
    rtmp_link_write_user_control(&s->link, call->out, paused ? RTMP_STREAM_EOF : RTMP_STREAM_BEGIN,
                                 RTMP_MEDIA_STREAM_ID);
    if (paused)
        status(call, "status", "NetStream.Pause.Notify", "Paused.");
    else
        status(call, "status", "NetStream.Unpause.Notify", "Goes on.");
    *call->event = (struct rtmp_event){.type = RTMP_EVENT_PAUSE, .paused = paused};
    call->has_event = true;
    return E_OK;
}

static enum err on_seek(struct server_call *call)
{
    return answer_status_error(call, "NetStream.Seek.Failed", "A live stream cannot be sought in.");
}

/* Sections 7.2.2.4 and 7.2.2.5: true is answered, false is not. All media is sent either way. */
static enum err on_receive(struct server_call *call)
{
    if (call->s->state != SERVER_PLAYING || !amf_boolean(call->cmd->args, false))
        return E_OK;
    status(call, "status", "NetStream.Seek.Notify", "Live.");
    status(call, "status", "NetStream.Play.Start", "Playing has started.");
    return E_OK;
}

static void stop(struct server_call *call)
{
    if (!server_stop(call->s))
        return;
    *call->event = (struct rtmp_event){.type = RTMP_EVENT_STOP};
    call->has_event = true;
}

/* Section 7.2.2.3: not answered. */
static enum err on_delete_stream(struct server_call *call)
{
    if (amf_number(call->cmd->args, RTMP_MEDIA_STREAM_ID) != RTMP_MEDIA_STREAM_ID)
        return E_OK;
    stop(call);
    call->s->has_stream = false;
    return E_OK;
}

static enum err on_close_stream(struct server_call *call)
{
    bool publishes = call->s->state == SERVER_PUBLISHING;

    if (call->cmd->stream_id > RTMP_MEDIA_STREAM_ID)
        return E_OK;
    stop(call);
    if (!call->has_event)
        return E_OK;
    rtmp_write_status(&call->s->link, call->out, RTMP_MEDIA_STREAM_ID, "status",
                      publishes ? "NetStream.Unpublish.Success" : "NetStream.Play.Stop",
                      publishes ? "Publishing has ended." : "Playing has ended.");
    return E_OK;
}

static enum err on_fc_publish(struct server_call *call)
{
    write_fc_answer(call, "onFCPublish", "NetStream.Publish.Start", "Go on with publish.");
    return answer_nothing(call);
}

/* Encoders send it at the end, some also before they begin: then nothing ends. */
static enum err on_fc_unpublish(struct server_call *call)
{
    bool publishes = call->s->state == SERVER_PUBLISHING;

    write_fc_answer(call, "onFCUnpublish", "NetStream.Unpublish.Success", "Publishing has ended.");
    (void)answer_nothing(call);
    if (!publishes)
        return E_OK;
    stop(call);
    rtmp_write_status(&call->s->link, call->out, RTMP_MEDIA_STREAM_ID, "status",
                      "NetStream.Unpublish.Success", "Publishing has ended.");
    return E_OK;
}

static enum err on_fc_subscribe(struct server_call *call)
{
    write_fc_answer(call, "onFCSubscribe", "NetStream.Play.Start", "Go on with play.");
    return answer_nothing(call);
}

/* ffmpeg asks before it plays; 0 is "not known", as for any live stream. */
static enum err on_get_stream_length(struct server_call *call)
{
    struct buf_writer body;

    if (call->cmd->transaction_id == 0)
        return E_OK;
    begin_result(call, &body);
    amf_write_null(&body);
    amf_write_number(&body, 0);
    send_result(call, &body);
    return E_OK;
}

static enum err on_ignored(struct server_call *call)
{
    (void)call;
    return E_OK;
}

static const struct {
    const char *name;
    unsigned states; /* when the peer may send it; else E_PROTO */
    enum err (*handle)(struct server_call *call);
} k_commands[] = {
    {"connect", BIT(SERVER_CONNECTING), on_connect},
    {"releaseStream", CONNECTED, answer_nothing},
    {"FCPublish", CONNECTED, on_fc_publish},
    {"createStream", CONNECTED, on_create_stream},
    {"publish", CONNECTED, on_publish},
    {"play", CONNECTED, on_play},
    {"play2", CONNECTED, on_play2},
    {"pause", CONNECTED, on_pause},
    {"pauseRaw", CONNECTED, on_pause},
    {"seek", CONNECTED, on_seek},
    {"receiveAudio", CONNECTED, on_receive},
    {"receiveVideo", CONNECTED, on_receive},
    {"deleteStream", CONNECTED, on_delete_stream},
    {"closeStream", CONNECTED, on_close_stream},
    {"FCUnpublish", CONNECTED, on_fc_unpublish},
    {"FCSubscribe", CONNECTED, on_fc_subscribe},
    {"getStreamLength", CONNECTED, on_get_stream_length},
    {"_checkbw", CONNECTED, answer_nothing},
    {"checkbw", CONNECTED, answer_nothing},
    {"checkBandwidth", CONNECTED, answer_nothing},
    {"_result", CONNECTED, on_ignored}, /* answers to what we never asked */
    {"_error", CONNECTED, on_ignored},
    {"onStatus", CONNECTED, on_ignored},
};

/* Printable ASCII of a name that a peer chose, for the log. */
static void quote(struct buf_view name, char *text, size_t size)
{
    size_t n = name.size_bytes < size - 1 ? name.size_bytes : size - 1;

    for (size_t i = 0; i < n; i++)
        text[i] = name.data[i] > ' ' && name.data[i] < 0x7f ? (char)name.data[i] : '?';
    text[n] = '\0';
}

static enum err on_unknown(struct server_call *call)
{
    char name[40], description[96];

    quote(call->cmd->name, name, sizeof name);
    if (call->s->state == SERVER_CONNECTING)
        return rtmp_link_fail(&call->s->link, E_PROTO, "order", "command %s before connect", name);

    snprintf(description, sizeof description, "There is no command %s.", name);
    return answer_error(call, "NetConnection.Call.Failed", description);
}

enum err server_on_command(struct server_call *call)
{
    struct rtmp_server *s = call->s;

    for (size_t i = 0; i < sizeof k_commands / sizeof k_commands[0]; i++) {
        if (!buf_view_equals(call->cmd->name, k_commands[i].name))
            continue;
        if (k_commands[i].states & BIT(s->state))
            return k_commands[i].handle(call);
        return rtmp_link_fail(&s->link, E_PROTO, "order", "command %s in state %s",
                              k_commands[i].name, rtmp_server_state(s));
    }
    return on_unknown(call);
}
