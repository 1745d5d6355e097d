/* One connection to a foreign RTMP server: publishes there, then is an ordinary viewer of the
 * stream in the form that publishers send, over a connection that goes the other way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/relay/rtmp_place.h"
#include "node/relay/target_private.h"
#include "node/session/session.h"

#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_TIMEOUT_MS 10000
#define MAX_QUEUE_BYTES (4u << 20) /* the rest of a unit, when the stream ends inside it */
#define MAX_ANSWER_BYTES 65536
#define MAX_AUTHS 2 /* what is missing, then the challenge */

static void link_free(struct target_link *l)
{
    l->target = NULL;
    if (l->busy) {
        l->doomed = true;
        return;
    }
    timer_stop(&l->timer);
    dial_stop(&l->dial);
    viewer_leave(&l->viewer);
    if (l->conn)
        metric_add(&m_bytes_out_rtmp, (int64_t)conn_bytes_out(l->conn));
    conn_close(&l->conn);
    rtmp_client_destroy(&l->rtmp);
    session_info_fini(&l->info, &l->nl->media);
    free(l);
}

static void say(struct target_link *l, const char *why)
{
    snprintf(l->why, sizeof l->why, "%s", why);
}

/* Last statement: the link may be gone. */
static void over(struct target_link *l, enum err e)
{
    if (l->target)
        target_link_over(l, e);
}

/* For callers that the viewer, or target.c, is still on the stack of. */
static void fail_soon(struct target_link *l, enum err e)
{
    l->failed = e;
    timer_start_ms(&l->timer, 0);
}

static void on_timer(struct timer *timer)
{
    struct target_link *l = list_entry(timer, struct target_link, timer);

    if (l->failed != E_OK) {
        over(l, l->failed);
        return;
    }
    say(l, "no answer within 10 s");
    over(l, E_TIMEOUT);
}
_Static_assert(ANSWER_TIMEOUT_MS == 10000, "on_timer() says so");

static enum err send_out(struct target_link *l, struct buf_writer *out)
{
    enum err e = buf_writer_status(out);

    if (e == E_OK && out->used_bytes)
        e = l->viewer.state == VIEWER_OUT ? conn_write(l->conn, buf_writer_view(out))
                                          : viewer_write(&l->viewer, buf_writer_view(out));
    buf_writer_fini(out);
    return e;
}

/* --- the viewer's side --- */

/* What the server has not said that it takes is not sent, unless the operator knows better. */
static bool takes_codec(const struct target_link *l, enum media_codec codec)
{
    if (codec == CODEC_NONE || flv_style_carries(FLV_STYLE_CLASSIC, codec))
        return true;
    if (l->item->codecs == PUSH_ALL)
        return true;
    if (l->item->codecs == PUSH_HEVC12)
        return flv_style_carries(FLV_STYLE_CLASSIC_HEVC, codec);
    return l->can.announces_codecs && l->can.codecs & UINT32_C(1) << codec;
}

static bool on_codecs(struct viewer *viewer, const struct stream_codecs *codecs)
{
    struct target_link *l = list_entry(viewer, struct target_link, viewer);

    l->untaken = !takes_codec(l, codecs->video)   ? codecs->video
                 : !takes_codec(l, codecs->audio) ? codecs->audio
                                                  : CODEC_NONE;
    return l->untaken == CODEC_NONE;
}

static enum err on_start(struct viewer *viewer, bool has_audio, bool has_video)
{
    struct target_link *l = list_entry(viewer, struct target_link, viewer);

    (void)has_audio;
    (void)has_video;
    l->state = TARGET_SENDING;
    timer_stop(&l->timer);
    target_link_sends(l);
    return E_OK;
}

static const char *reason_of(const struct target_link *l, enum err why, char text[160])
{
    if (why == E_UNSUPPORTED)
        snprintf(text, 160, "the stream has %s, which %s", media_codec_name(l->untaken),
                 l->can.announces_codecs ? "the target does not take (fourCcList)"
                                         : "targets without fourCcList are not sent (codecs)");
    else
        snprintf(text, 160, "%s",
                 why == E_SLOW  ? "the target took nothing for stall_timeout_ms"
                 : why == E_END ? "the stream has ended"
                                : err_text(why));
    return text;
}

static void on_end(struct viewer *viewer, enum err why)
{
    struct target_link *l = list_entry(viewer, struct target_link, viewer);
    char text[160];

    say(l, reason_of(l, why, text));
    over(l, why);
}

static const struct viewer_ops k_viewer_ops = {
    .on_start = on_start, .on_end = on_end, .takes = on_codecs};

static enum flv_style style_of(const struct target_link *l)
{
    if (l->item->codecs == PUSH_HEVC12)
        return FLV_STYLE_CLASSIC_HEVC;
    if (l->item->codecs != PUSH_ALL && !l->can.announces_codecs)
        return FLV_STYLE_CLASSIC;
    return l->can.mod_ex ? FLV_STYLE_WHOLE : FLV_STYLE_ENHANCED;
}

static enum err join(struct target_link *l)
{
    struct viewer_join how = {.name = &l->name,
                              .format = FORMAT_RTMP_PUBLISH,
                              .conn = l->conn,
                              .ops = &k_viewer_ops,
                              .relay = true};

    rtmp_client_abilities(l->rtmp, &l->can);
    how.style = style_of(l);
    how.tracks = l->can.multitrack ? TRACKS_ALL : TRACKS_DEFAULT;
    if (stream_has_ended(l->target->stream)) {
        say(l, "the stream has ended");
        return E_END;
    }
    if (rtmp_client_stream_id(l->rtmp) != RTMP_MEDIA_STREAM_ID) {
        say(l, "the target gave a message stream id that is not 1");
        return E_UNSUPPORTED;
    }
    l->state = TARGET_JOINING;
    timer_stop(&l->timer); /* the viewer has a time of its own */
    return viewer_join(&l->nl->media, &l->viewer, &how);
}

/* --- the connection's side --- */

static void say_status(struct target_link *l, const struct rtmp_client_event *ev)
{
    snprintf(l->why, sizeof l->why, "%.*s%s%.*s", (int)ev->code.size_bytes,
             (const char *)ev->code.data, ev->description.size_bytes ? ": " : "",
             (int)ev->description.size_bytes, (const char *)ev->description.data);
}

/* The URL's user and password, if the server asks for such. True: it is connected to again. */
static bool answer_auth(struct target_link *l, const struct rtmp_client_event *ev)
{
    char user[128] = "", password[128] = "";
    uint8_t nonce[RTMP_AUTH_NONCE_BYTES];
    struct url url;
    enum err e;

    if (url_parse(buf_view_str(l->url), &url) != E_OK || !url.user.size_bytes ||
        http_percent_decode(url.user, user, sizeof user) != E_OK ||
        http_percent_decode(url.password, password, sizeof password) != E_OK)
        return false;
    random_bytes(nonce, sizeof nonce);
    e = rtmp_auth_answer(ev->description, user, password, nonce, l->auth);
    if (e == E_DENIED)
        say(l, "the target does not believe user and password");
    l->dials_again = e == E_OK && l->n_auths++ < MAX_AUTHS;
    return l->dials_again;
}

static enum err on_event(struct target_link *l, const struct rtmp_client_event *ev)
{
    switch (ev->type) {
    case RTMP_CLIENT_STARTED:
        return join(l);
    case RTMP_CLIENT_REFUSED:
        say_status(l, ev);
        return answer_auth(l, ev) ? E_END : E_DENIED;
    case RTMP_CLIENT_ENDED:
        say_status(l, ev);
        return E_DENIED;
    case RTMP_CLIENT_MEDIA:
    case RTMP_CLIENT_RECONNECT: /* not announced */
        break;
    }
    return E_AGAIN;
}

static enum err take(struct target_link *l, struct buf_view got)
{
    uint32_t now_ms = (uint32_t)(loop_now_us(l->nl->media.loop) / 1000);
    struct buf_reader in = buf_reader_from(got);
    struct rtmp_client_event ev;
    struct buf_writer out;
    enum err e, sent;

    buf_writer_init(&out, MAX_ANSWER_BYTES);
    while ((e = rtmp_client_feed(l->rtmp, &in, now_ms, &ev, &out)) == E_OK) {
        e = on_event(l, &ev);
        if (e != E_OK && e != E_AGAIN)
            break;
    }
    if (e == E_PROTO || e == E_TOO_BIG)
        snprintf(l->why, sizeof l->why, "the target broke the protocol: %.150s",
                 rtmp_client_error(l->rtmp));
    sent = send_out(l, &out);
    return e == E_AGAIN && sent != E_OK ? sent : e;
}

static void dial(struct target_link *l);

static void on_readable(struct conn *conn, void *arg)
{
    struct target_link *l = arg;
    struct buf_view got;
    enum err e = E_AGAIN;

    (void)conn;
    l->busy++;
    while (!l->doomed && (e = conn_read(l->conn, &got)) == E_OK) {
        e = take(l, got);
        if (e != E_AGAIN)
            break;
    }
    l->busy--;
    if (l->doomed)
        link_free(l);
    else if (l->dials_again)
        dial(l);
    else if (e != E_AGAIN)
        over(l, e == E_OK ? E_CLOSED : e);
}

static void on_writable(struct conn *conn, void *arg)
{
    (void)conn;
    viewer_on_writable(&((struct target_link *)arg)->viewer); /* last: the link may be gone */
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    over(arg, e);
}

static void add_auth(const struct target_link *l, char *text, size_t size)
{
    size_t used = strlen(text);

    if (*l->auth)
        snprintf(text + used, size - used, "%c%s", strchr(text, '?') ? '&' : '?', l->auth);
}

static enum err ask(struct target_link *l)
{
    uint8_t seed[RTMP_SEED_BYTES];
    struct rtmp_place to;
    struct rtmp_client_conf conf = {.publish = true,
                                    .app = to.app,
                                    .stream = to.stream,
                                    .tc_url = to.tc_url,
                                    .limits = k_rtmp_limits_default};
    struct buf_writer out;

    if (rtmp_place_of(l->url, "", l->dial.port, &to) != E_OK) {
        say(l, "not a URL of an app and a stream");
        return E_INVAL;
    }
    add_auth(l, to.app, sizeof to.app);
    add_auth(l, to.tc_url, sizeof to.tc_url);
    random_bytes(seed, sizeof seed);
    l->rtmp = rtmp_client_create(&conf, seed);
    if (!l->rtmp)
        return E_NOMEM;
    buf_writer_init(&out, MAX_ANSWER_BYTES);
    rtmp_client_start(l->rtmp, &out);
    return send_out(l, &out);
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct target_link *l = arg;

    if (e != E_OK && dial_next(&l->dial, conn))
        return;
    if (*conn_tls_error(conn))
        say(l, conn_tls_error(conn));
    else if (e != E_OK)
        say(l, e == E_TIMEOUT ? "no connection within 5 s" : "it cannot be connected to");
    l->state = TARGET_ASKING;
    timer_start_ms(&l->timer, ANSWER_TIMEOUT_MS);
    if (e == E_OK)
        e = ask(l);
    if (e != E_OK)
        over(l, e);
}

_Static_assert(CONNECT_TIMEOUT_MS == 5000, "on_connected() says so");

static const struct conn_ops k_conn_ops = {.on_readable = on_readable,
                                           .on_writable = on_writable,
                                           .on_error = on_error,
                                           .on_connected = on_connected};

/* --- opening and closing --- */

static void on_conn(void *arg, struct conn *conn)
{
    struct target_link *l = arg;

    l->conn = conn;
    l->info.peer = conn_peer(conn);
}

static void on_dial_failed(void *arg, enum err e, const char *why)
{
    struct target_link *l = arg;

    if (why)
        say(l, why);
    over(l, e);
}

static const struct dial_conf k_dial_conf = {.connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                             .max_queue_bytes = MAX_QUEUE_BYTES,
                                             .ops = &k_conn_ops,
                                             .on_conn = on_conn,
                                             .on_failed = on_dial_failed};

static void on_kick(struct session_info *info)
{
    struct target_link *l = list_entry(info, struct target_link, info);

    say(l, sessions_kick_reason(l->nl));
    over(l, E_DENIED);
}

static void count(const struct session_info *info, struct session_counts *counts)
{
    const struct target_link *l = list_entry_const(info, struct target_link, info);

    counts->bytes_in = l->conn ? conn_bytes_in(l->conn) : 0;
    counts->bytes_out = l->conn ? conn_bytes_out(l->conn) : 0;
    viewer_count(&l->viewer, counts);
}

static void make_session(struct target_link *l)
{
    session_info_init(&l->info, &l->nl->media, 't', "rtmp", "");
    l->info.kind = "push";
    l->info.stream = l->name.text;
    l->info.count = count;
    l->info.kick = on_kick;
    metric_add(&m_sessions_total_rtmp_push, 1);
}

/* Again, too: what there was of an earlier connection is let go. */
static void dial(struct target_link *l)
{
    struct url url;
    bool tls;

    l->dials_again = false;
    l->state = TARGET_CONNECTING;
    timer_stop(&l->timer);
    rtmp_client_destroy(&l->rtmp);
    l->info.peer = "";
    conn_close(&l->conn);
    if (url_parse(buf_view_str(l->url), &url) != E_OK) {
        say(l, "not an URL");
        fail_soon(l, E_INVAL);
        return;
    }
    tls = buf_view_equals(url.scheme, "rtmps");
    dial_begin(&l->dial, l->nl, &k_dial_conf, l, &url, tls ? 443 : 1935, tls,
               relay_is_guarded(l->target->push->origin));
}

struct target_link *target_link_open(struct target *target, const char *text)
{
    struct target_link *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->target = target;
    l->nl = target->nl;
    l->item = &target->push->item;
    l->name = *stream_name_of(target->stream);
    snprintf(l->url, sizeof l->url, "%s", text);
    timer_init(&l->timer, l->nl->media.loop, on_timer);
    make_session(l);
    dial(l);
    return l;
}

/* A server that is told takes it off the air at once; half a message before that would be an error
 * there. */
static void say_end(struct target_link *l)
{
    struct buf_writer out;

    if (l->state != TARGET_SENDING || l->busy || viewer_leave_whole(&l->viewer) != E_OK)
        return;
    buf_writer_init(&out, MAX_ANSWER_BYTES);
    rtmp_client_stop(l->rtmp, &out);
    if (buf_writer_status(&out) == E_OK && conn_write(l->conn, buf_writer_view(&out)) == E_OK) {
        metric_add(&m_bytes_out_rtmp, (int64_t)conn_bytes_out(l->conn));
        conn_close_after_flush(&l->conn);
    }
    buf_writer_fini(&out);
}

void target_link_close(struct target_link **link)
{
    struct target_link *l = *link;

    *link = NULL;
    if (!l)
        return;
    if (l->conn)
        say_end(l);
    link_free(l);
}
