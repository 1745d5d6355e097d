/* Playing over RTMP: from the request to the stream's bytes to its end. */
#include "node/session/rtmp_play.h"

#include <stdio.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/admission.h"
#include "node/session/selection.h"
#include "node/session/session.h"

static struct rtmp_session *session_of_viewer(struct viewer *viewer)
{
    return list_entry(viewer, struct rtmp_session, viewer);
}

/* In a turn of its own after on_viewer_start(): what was held may stop playing. */
static void on_held_due(struct timer *timer)
{
    rtmp_session_resume(list_entry(timer, struct rtmp_held, timer)->session);
}

static enum err on_viewer_start(struct viewer *viewer, bool has_audio, bool has_video)
{
    struct rtmp_session *s = session_of_viewer(viewer);
    struct buf_writer *out = rtmp_session_out(s);

    (void)has_audio;
    (void)has_video;
    rtmp_session_set_state(s, RTMP_SESSION_PLAYING);
    session_tell(s->nl->node, EVENT_PLAY, &s->info, NULL);
    log_info("rtmp", "msg=play session=%s trace=%s peer=%s stream=%s", s->info.id,
             SESSION_TRACE(&s->info), s->info.peer, s->info.stream);
    rtmp_server_accept(s->proto, out);
    if (s->held) {
        timer_init(&s->held->timer, s->nl->media.loop, on_held_due);
        timer_start_ms(&s->held->timer, 0);
    }
    return rtmp_session_send(s, out);
}

/* The stream is, or has become, one that the player has no decoder for. */
static void end_untaken(struct rtmp_session *s)
{
    struct rtmp_abilities can;
    char text[160];

    rtmp_server_abilities(s->proto, &can);
    metric_add(&m_play_refused_codec, 1);
    snprintf(text, sizeof text, "the stream has %s, which %s",
             media_codec_name((enum media_codec)s->untaken),
             can.announces_codecs ? "the player did not announce in connect (fourCcList)"
                                  : "is not sent to players without fourCcList (rtmp.old_players)");
    if (s->state == RTMP_SESSION_PLAYING) {
        rtmp_session_end(s, "NetStream.Play.Failed", text);
        return;
    }
    s->busy++;
    rtmp_session_refuse(s, "NetStream.Play.Failed", text);
    s->busy--;
    rtmp_session_resume(s);
}

static void on_viewer_end(struct viewer *viewer, enum err why)
{
    struct rtmp_session *s = session_of_viewer(viewer);

    if (s->closed) /* freed when the calls on the stack have returned */
        return;
    if (why == E_UNSUPPORTED) {
        end_untaken(s); /* last: s may be gone */
        return;
    }
    if (s->state == RTMP_SESSION_JOINING) {
        bool absent = why == E_NOT_FOUND || why == E_END;

        if (why == E_NOT_FOUND)
            metric_add(&m_timeout_play_wait, 1);
        metric_add(absent ? &m_play_refused_not_found : &m_play_refused_denied, 1);
        s->busy++;
        rtmp_session_refuse(s, absent ? "NetStream.Play.StreamNotFound" : "NetStream.Play.Failed",
                            absent ? "no such stream" : err_text(why));
        s->busy--;
        rtmp_session_resume(s); /* last: s may be gone */
        return;
    }
    if (why == E_END || why == E_DENIED)
        rtmp_session_end(s, "NetStream.Play.UnpublishNotify",
                         why == E_END ? "the stream has ended" : "closed by the operator");
    else
        rtmp_session_close(s, err_text(why));
}

/* --- what the player takes --- */

/* Codecs that Flash had need no announcement. */
static bool takes_codec(const struct rtmp_session *s, enum media_codec codec)
{
    enum flv_style style = viewer_key(&s->viewer)->style;
    struct rtmp_abilities can;

    rtmp_server_abilities(s->proto, &can);
    if (codec == CODEC_NONE || flv_style_carries(FLV_STYLE_CLASSIC, codec))
        return true;
    if (style == FLV_STYLE_CLASSIC || style == FLV_STYLE_CLASSIC_HEVC)
        return flv_style_carries(style, codec);
    return !can.announces_codecs || can.codecs & UINT32_C(1) << codec;
}

static bool on_viewer_codecs(struct viewer *viewer, const struct stream_codecs *codecs)
{
    struct rtmp_session *s = session_of_viewer(viewer);
    enum feed_tracks tracks = viewer_key(viewer)->tracks;

    if (tracks != TRACKS_AUDIO && !takes_codec(s, codecs->video))
        s->untaken = (uint8_t)codecs->video;
    else if (tracks != TRACKS_VIDEO && !takes_codec(s, codecs->audio))
        s->untaken = (uint8_t)codecs->audio;
    else
        return true;
    return false;
}

static enum flv_style style_of(const struct rtmp_session *s, const struct rtmp_abilities *can)
{
    static const enum flv_style k_old_styles[] = {[OLD_PLAYERS_CLASSIC] = FLV_STYLE_CLASSIC,
                                                  [OLD_PLAYERS_HEVC] = FLV_STYLE_CLASSIC_HEVC,
                                                  [OLD_PLAYERS_ALL] = FLV_STYLE_ENHANCED};

    if (!can->announces_codecs)
        return k_old_styles[s->nl->node->conf.rtmp_old_players];
    return can->mod_ex ? FLV_STYLE_WHOLE : FLV_STYLE_ENHANCED;
}

static void choose(const struct rtmp_session *s, const struct play_selection *selection,
                   struct viewer_join *join)
{
    struct rtmp_abilities can;

    rtmp_server_abilities(s->proto, &can);
    join->tracks =
        selection->tracks == TRACKS_DEFAULT && can.multitrack ? TRACKS_ALL : selection->tracks;
    join->style = selection->old_hevc ? FLV_STYLE_CLASSIC_HEVC : style_of(s, &can);
}

static const struct viewer_ops k_viewer_ops = {
    .on_start = on_viewer_start, .on_end = on_viewer_end, .takes = on_viewer_codecs};

/* It may play. */
static void join(struct rtmp_session *s, const struct stream_name *name)
{
    struct viewer_join join = {.name = name,
                               .format = FORMAT_RTMP,
                               .conn = s->conn,
                               .ops = &k_viewer_ops,
                               .session = &s->info};
    struct admission_ask ask = {ADMISSION_VIEWER, conn_peer_addr(s->conn), name};
    struct admission_refusal no;
    enum err e;

    choose(s, &s->check.selection, &join);
    /* Given back on the way to IDLE, and at the end. */
    if (!admission_take(s->nl->node, &ask, &s->info.pass, &no)) {
        rtmp_session_refuse(s, "NetStream.Play.Failed", no.text);
        return;
    }
    rtmp_session_set_state(s, RTMP_SESSION_JOINING);
    e = viewer_join(&s->nl->media, &s->viewer, &join);
    if (e != E_OK) {
        metric_add(&m_play_refused_limit, 1);
        rtmp_session_refuse(s, "NetStream.Play.Failed",
                            e == E_LIMIT ? "too many viewers are waiting (limits.parked_viewers)"
                                         : err_text(e));
        return;
    }
    metric_add(&m_sessions_total_rtmp_play, 1);
}

static void apply(struct rtmp_session *s, const struct access_answer *answer)
{
    if (answer->decision == ACCESS_DENY) {
        rtmp_session_refuse(s, "NetStream.Play.Failed", answer->text);
    } else if (answer->decision == ACCESS_REDIRECT) {
        metric_add(&m_play_redirected, 1);
        rtmp_session_send_away(s, answer->text);
    } else if (!answer->is_renamed || rtmp_session_set_name(s, &answer->name)) {
        join(s, &answer->name);
    }
}

static void on_access(void *arg, const struct access_answer *answer)
{
    struct rtmp_session *s = arg;

    s->busy++;
    apply(s, answer);
    s->busy--;
    rtmp_session_resume(s); /* last: s may be gone */
}

void rtmp_play_begin(struct rtmp_session *s, const struct access_request *request)
{
    struct play_selection selection;
    struct access_answer answer;
    const char *why;

    if (!play_selection_read(buf_view_str(request->query), &selection, &why)) {
        rtmp_session_refuse(s, "NetStream.Play.Failed", why);
        return;
    }
    rtmp_session_set_state(s, RTMP_SESSION_CHECKING);
    s->check.selection = selection;
    if (access_ask(s->nl, request, &answer, &s->check.pending, on_access, s))
        apply(s, &answer);
}

bool rtmp_play_tell_done(struct rtmp_session *s, const char *reason)
{
    if (s->state != RTMP_SESSION_PLAYING)
        return false;
    session_tell(s->nl->node, EVENT_PLAY_DONE, &s->info, reason);
    return s->is_logged = true;
}

void rtmp_play_stop(struct rtmp_session *s)
{
    if (viewer_leave_whole(&s->viewer) != E_OK) {
        rtmp_session_close(s, "stopped playing inside a message that it does not take");
        return;
    }
    (void)rtmp_play_tell_done(s, "stopped by the player");
    rtmp_session_set_state(s, RTMP_SESSION_IDLE);
}
