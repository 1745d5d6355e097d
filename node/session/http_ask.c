/* Requests to play over HTTP: GET /{app}/{name} with a suffix for the form, up to the session. */
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/session/admission.h"
#include "node/session/http_asked.h"
#include "node/session/http_play.h"
#include "node/session/redirect.h"
#include "node/session/session.h"

static bool wants_websocket(const struct http_exchange *x)
{
    struct http_head head;

    if (!http_header(x, "Upgrade"))
        return false;
    http_request_head(x, &head);
    return ws_is_upgrade(&head);
}

static bool find_form(struct http_exchange *x, struct play_request *r)
{
    const char *path = http_path(x), *why = NULL;
    size_t name_bytes;

    r->form = play_form_of(path, wants_websocket(x), &name_bytes);
    if (!r->form) {
        metric_add(&m_play_refused_not_found, 1);
        http_respond_problem(
            x, 404, "nothing is here: streams are at /{app}/{name}.flv, .ts, .mp4 and .m3u8");
        return false;
    }
    if (stream_name_from_path(&r->name, buf_view_of(path, name_bytes), &why) == E_OK)
        return true;
    metric_add(&m_play_refused_name, 1);
    http_respond_problem(x, 404, "%s", why);
    return false;
}

static bool read_selection(struct http_exchange *x, struct play_request *r)
{
    const char *why;

    if (play_selection_read(buf_view_str(http_query(x)), &r->selection, &why))
        return true;
    http_respond_problem(x, 400, "%s", why);
    return false;
}

static bool parse_request(struct http_exchange *x, struct node *node, struct play_request *r)
{
    (void)traceparent_parse(http_header(x, "traceparent"), &r->trace);
    return find_form(x, r) && read_selection(x, r) && play_relay_check(x, node, r) &&
           play_ws_check(x, node, r);
}

static bool is_here(struct node *node, const struct stream_name *name)
{
    struct stream *stream = registry_find(node->registry, name->text);
    bool found = stream != NULL;

    stream_unref(&stream);
    return found;
}

static void answer_head(struct http_exchange *x, struct node *node, const struct play_request *r)
{
    bool found = is_here(node, &r->name);

    http_respond(x, found ? 200 : 404, found ? r->form->content_type : NULL, buf_view_of(NULL, 0));
}

/* A node that drains still gives other nodes what it has: it may be the only one. */
static const char *why_no_relay(struct node *node, const struct play_request *r)
{
    return atomic_load(&node->draining) && !is_here(node, &r->name) ? "this node is shutting down"
                                                                    : NULL;
}

static bool admit_relay(struct http_exchange *x, struct node *node, const struct play_request *r)
{
    const char *why = why_no_relay(node, r);

    if (why)
        http_respond_problem(x, 503, "%s", why);
    return !why;
}

/* May it come? Then the pass of the request is in, unless it is a relay's. Else it is answered. */
static bool admit(struct http_exchange *x, struct node_loop *nl, struct play_request *r)
{
    struct admission_ask ask = {ADMISSION_VIEWER, http_peer_addr(x), &r->name};
    struct admission_refusal no;

    if (r->hops)
        return admit_relay(x, nl->node, r);
    if (!http_may_take_conn(x, nl, ADMISSION_VIEWER, r->form->protocol, &r->name))
        return false;
    if (admission_take(nl->node, &ask, &r->pass, &no))
        return true;
    http_log_refused(x, nl->node, "play", r->form->protocol, &r->name, no.text);
    http_refuse_admission(x, nl, &r->name, r->form->asked, &no);
    return false;
}

static void serve(struct http_exchange *x, struct node_loop *nl, struct play_request *r)
{
    struct play_session *s;

    if (admit(x, nl, r) && (s = play_session_create(x, nl, r))) /* r->hops is gone with x */
        play_session_join(s, r);
}

/* There is no better place. */
static void serve_here(struct http_exchange *x, void *arg, const struct stream_name *name)
{
    struct node_loop *nl = arg;
    struct play_request r = {0};

    if (!parse_request(x, nl->node, &r))
        return;
    r.name = *name;
    serve(x, nl, &r);
}

/* It may play. */
static void give(struct http_exchange *x, struct node_loop *nl, struct play_request *r)
{
    if (http_is_head(x))
        answer_head(x, nl->node, r);
    else if (r->hops || r->form->websocket || /* browsers follow no redirect of a WebSocket */
             !redirect_viewer(x, nl, &r->name, r->form->asked, serve_here))
        serve(x, nl, r);
}

static void go_on(struct http_exchange *x, struct node_loop *nl, const struct access_answer *answer)
{
    struct play_request r = {0};

    if (!parse_request(x, nl->node, &r))
        return;
    r.name = answer->name;
    memcpy(r.session, answer->session, sizeof r.session);
    give(x, nl, &r);
}

void http_play_handle(struct http_exchange *x, void *arg)
{
    struct node_loop *nl = arg;
    struct play_request r = {0};
    struct access_request request;
    struct access_answer answer;

    if (http_hls_handle(x, nl) || !parse_request(x, nl->node, &r))
        return;
    if (!r.hops) {
        session_id_make(r.session, r.form->letter);
        http_access_request(x, ACCESS_PLAY, &r.name, r.form->protocol, &request);
        request.trace = r.trace;
        request.session = r.session;
        if (!http_ask_access(x, nl, &request, &answer, go_on))
            return;
        r.name = answer.name;
    }
    give(x, nl, &r);
}
