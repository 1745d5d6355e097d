/* What an RTMP client said of itself: for who decides, for lists and logs, for who listens to
 * events. */
#include <stdlib.h>
#include <string.h>

#include "node/session/rtmp_session.h"
#include "node/session/words.h"

#define CONNECT_TEXT_SIZE 1024

void rtmp_session_describe(const struct rtmp_session *s, enum access_action action,
                           const char *query, struct access_request *out)
{
    struct rtmp_client_words words;

    rtmp_server_client_words(s->proto, &words);
    *out = k_access_request_empty;
    out->action = action;
    out->protocol = "rtmp";
    out->addr = *conn_peer_addr(s->conn);
    out->peer = s->info.peer;
    out->session = s->info.id;
    out->query = query;
    out->tc_url = words.tc_url;
    out->referrer = words.page_url;
    out->agent = words.agent;
}

void rtmp_session_drop_words(struct rtmp_session *s)
{
    if (s->info.stream[0])
        free((void *)(uintptr_t)s->info.stream); /* our own block; the cast drops const */
    s->info.stream = "";
    s->info.pass.has_words = s->info.pass.has_trace = false;
}

bool rtmp_session_take_words(struct rtmp_session *s, const struct access_request *request)
{
    struct stream_name shown;
    struct words words = {.stream = shown.text};

    access_shown_name(s->nl, request->action, &request->name, &shown);
    if (words_are_wanted(s->nl->node)) {
        words.referrer = request->referrer;
        words.agent = request->agent;
    }
    rtmp_session_drop_words(s); /* of a play that was refused */
    if (words_make(&words, &s->info))
        return true;
    rtmp_session_close(s, err_text(E_NOMEM));
    return false;
}

bool rtmp_session_set_name(struct rtmp_session *s, const struct stream_name *name)
{
    void *old = (void *)(uintptr_t)s->info.stream; /* our own block; the cast drops const */

    if (words_rename(&s->info, name->text)) {
        free(old);
        return true;
    }
    rtmp_session_close(s, err_text(E_NOMEM));
    return false;
}

/* The start of it that fits, without what may be secret: a query, and user and password in front of
 * a host ("rtmp://user:password@host/app", as librtmp and FMLE have them). */
static const char *connect_text(struct buf_view said, char out[WORD_SIZE])
{
    char text[CONNECT_TEXT_SIZE];
    size_t size = said.size_bytes < sizeof text ? said.size_bytes : sizeof text - 1;

    if (size)
        memcpy(text, said.data, size);
    text[size] = '\0';
    return words_clean_referrer(text, out);
}

void rtmp_session_tell_connect(struct rtmp_session *s, const struct rtmp_event *ev)
{
    char app[WORD_SIZE], agent[WORD_SIZE], tc_url[WORD_SIZE];

    if (!events_wanted(&s->nl->node->events, EVENT_RTMP_CONNECT))
        return;
    events_tell_session(s->nl->node, EVENT_RTMP_CONNECT, &s->info,
                        (struct event_field[]){{"app", connect_text(ev->app, app), 0},
                                               {"flash_ver", connect_text(ev->agent, agent), 0},
                                               {"tc_url", connect_text(ev->tc_url, tc_url), 0}},
                        3);
}
