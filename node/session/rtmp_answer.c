/* What RTMP clients are answered. */
#include <string.h>

#include "common/base/log.h"
#include "node/session/rtmp_publish.h"
#include "node/session/rtmp_session.h"
#include "node/session/session.h"

#define MAX_REFUSED_SAID 8u /* of one session, in lines a person sees */

struct buf_writer *rtmp_session_out(struct rtmp_session *s)
{
    buf_writer_clear(&s->nl->out);
    return &s->nl->out;
}

enum err rtmp_session_send(struct rtmp_session *s, struct buf_writer *out)
{
    struct buf_view bytes = buf_writer_view(out);
    enum err e = buf_writer_status(out);

    if (e != E_OK || !bytes.size_bytes)
        return e;
    return rtmp_session_has_viewer(s) && s->viewer.state != VIEWER_OUT
               ? viewer_write(&s->viewer, bytes)
               : conn_write(s->conn, bytes);
}

void rtmp_session_accept_request(struct rtmp_session *s)
{
    struct buf_writer *out = rtmp_session_out(s);

    rtmp_server_accept(s->proto, out);
    if (rtmp_session_send(s, out) != E_OK)
        rtmp_session_close(s, "connection lost");
}

/* No more of one session than a person reads. */
static void log_refused(struct rtmp_session *s, bool is_publish, const char *text)
{
    if (s->n_refused <= MAX_REFUSED_SAID)
        session_log_refused(s->nl->node, &s->info, is_publish ? "publish" : "play", text);
    s->is_logged = true;
}

void rtmp_session_refuse(struct rtmp_session *s, const char *code, const char *text)
{
    static const char k_publish[] = "NetStream.Publish.";
    struct buf_writer *out = rtmp_session_out(s);

    log_line(s->n_refused++ < MAX_REFUSED_SAID ? LOG_WARN : LOG_DEBUG, "rtmp",
             "msg=refused session=%s peer=%s stream=%s code=%s reason=%s", s->info.id, s->info.peer,
             s->info.stream[0] ? s->info.stream : "-", code, LOG_STR(text));
    log_refused(s, !strncmp(code, k_publish, sizeof k_publish - 1), text);
    rtmp_server_refuse(s->proto, code, text, out);
    if (s->state != RTMP_SESSION_IDLE)
        rtmp_session_set_state(s, RTMP_SESSION_IDLE);
    if (rtmp_session_send(s, out) != E_OK)
        rtmp_session_close(s, "connection lost");
}

void rtmp_session_turn_away(struct rtmp_session *s, const char *why)
{
    bool is_publish = s->state == RTMP_SESSION_ASKING;

    rtmp_publish_drop(s);
    if (s->state == RTMP_SESSION_CHECKING)
        access_cancel(&s->check.pending);
    if (s->state == RTMP_SESSION_JOINING)
        viewer_leave(&s->viewer);
    s->busy++;
    rtmp_session_refuse(s, is_publish ? "NetStream.Publish.Denied" : "NetStream.Play.Failed", why);
    s->flush_at_close = true;
    rtmp_session_close(s, why);
    s->busy--;
    rtmp_session_resume(s); /* last: s is gone */
}

void rtmp_session_send_away(struct rtmp_session *s, const char *url)
{
    struct buf_writer *out = rtmp_session_out(s);

    log_info("rtmp", "msg=\"sent away\" session=%s peer=%s stream=%s", s->info.id, s->info.peer,
             s->info.stream);
    s->n_refused++;
    log_refused(s, s->state == RTMP_SESSION_ASKING, "sent to another server");
    rtmp_server_redirect(s->proto, url, out);
    rtmp_session_set_state(s, RTMP_SESSION_IDLE);
    if (rtmp_session_send(s, out) != E_OK)
        rtmp_session_close(s, "connection lost");
}

void rtmp_session_end(struct rtmp_session *s, const char *code, const char *text)
{
    struct buf_writer *out = rtmp_session_out(s);
    bool whole = !rtmp_session_has_viewer(s) || viewer_leave_whole(&s->viewer) == E_OK;

    rtmp_server_end(s->proto, code, text, out);
    s->flush_at_close = whole && rtmp_session_send(s, out) == E_OK;
    rtmp_session_close(s, text);
}
