/* See http_asked.h. */
#include "node/session/http_asked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/control/access_log.h"
#include "node/node.h"
#include "node/session/redirect.h"
#include "node/session/session.h"
#include "node/token.h"

#define BASIC "Basic realm=\"headwater\", charset=\"UTF-8\""

/* One request. While its answer waits it is in the list of sessions: who kicks and bans, and the
 * end of the node, finds it there. */
struct asked {
    struct session_info info;
    struct http_exchange *x;
    struct node_loop *nl;
    struct access_pending *pending;
    const char *protocol; /* static */
    struct stream_name name;
    bool goes_on; /* what is refused has been a session, or is one */
    void (*go_on)(struct http_exchange *x, struct node_loop *nl,
                  const struct access_answer *answer);
};

static const char *header(const struct http_exchange *x, const char *name)
{
    const char *value = http_header(x, name);

    return value ? value : "";
}

/* A WebSocket, and a page that keeps its address to itself, say their site alone. */
static const char *page_of(const struct http_exchange *x)
{
    const char *referrer = header(x, "Referer"), *origin = header(x, "Origin");

    return *referrer || !strcmp(origin, "null") ? referrer : origin;
}

void http_access_request(const struct http_exchange *x, enum access_action action,
                         const struct stream_name *name, const char *protocol,
                         struct access_request *out)
{
    *out = k_access_request_empty;
    out->action = action;
    out->name = *name;
    out->protocol = protocol;
    out->addr = *http_peer_addr(x);
    out->peer = http_peer(x);
    out->query = http_query(x);
    out->referrer = page_of(x);
    out->agent = header(x, "User-Agent");
    out->authorization = header(x, "Authorization");
}

static void refuse(const struct asked *a, const struct access_answer *answer)
{
    const struct access_denial *denial = &answer->denial;
    struct http_exchange *x = a->x;
    char seconds[16];

    if (!a->goes_on)
        http_log_refused(x, a->nl->node, "play", a->protocol, &a->name,
                         answer->decision == ACCESS_DENY ? answer->text : "sent to another server");

    http_add_header(x, "Cache-Control", "no-store");
    if (answer->decision == ACCESS_REDIRECT) {
        metric_add(&m_play_redirected, 1);
        http_add_header(x, "Location", answer->text);
        http_respond(x, 302, NULL, buf_view_of(NULL, 0));
        return;
    }
    snprintf(seconds, sizeof seconds, "%u", denial->retry_after_s);
    if (denial->retry_after_s)
        http_add_header(x, "Retry-After", seconds);
    if (denial->status == 401)
        http_add_header(x, "WWW-Authenticate", denial->wants_password ? BASIC : "Bearer");
    http_respond_problem(x, denial->status, "%s", answer->text);
}

void http_write_denial(struct buf_writer *out, const struct access_denial *denial)
{
    if (denial->retry_after_s)
        buf_printf(out, "Retry-After: %u\r\n", denial->retry_after_s);
    if (denial->status == 401)
        buf_printf(out, "WWW-Authenticate: %s\r\n", denial->wants_password ? BASIC : "Bearer");
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct asked *a = arg;

    (void)x;
    session_log(a->nl->node, &a->info, "closed by the peer");
    access_cancel(&a->pending);
    session_info_fini(&a->info, &a->nl->media);
    free(a);
}

/* Takes a, which waits no more. */
static struct asked asked_end(struct asked *a)
{
    struct asked asked = *a;

    access_cancel(&a->pending);
    session_info_fini(&a->info, &a->nl->media);
    free(a);
    http_set_pending(asked.x, NULL, NULL);
    return asked;
}

static void on_kick(struct session_info *info)
{
    struct asked *a = list_entry(info, struct asked, info);
    struct access_answer answer = {.decision = ACCESS_DENY, .denial = {.status = 403}};
    struct asked asked;

    if (a->nl->closed)
        answer.denial = (struct access_denial){.status = 503, .retry_after_s = 2};
    snprintf(answer.text, sizeof answer.text, "%s", sessions_kick_reason(a->nl));
    metric_add(&m_play_refused_denied, 1);
    asked = asked_end(a);
    refuse(&asked, &answer);
}

static void on_access(void *arg, const struct access_answer *answer)
{
    struct asked asked = asked_end(arg);

    if (answer->decision == ACCESS_ALLOW)
        asked.go_on(asked.x, asked.nl, answer);
    else
        refuse(&asked, answer);
}

static void enlist(struct asked *a, const char *session)
{
    session_info_init(&a->info, &a->nl->media, 'q', a->protocol, http_peer(a->x));
    if (*session)
        snprintf(a->info.id, sizeof a->info.id, "%s", session);
    a->info.kind = "waiting";
    a->info.stream = a->name.text;
    a->info.kick = on_kick;
}

/* The answer was not there at once: what waits for it needs memory of its own. */
static bool ask(struct http_exchange *x, struct node_loop *nl, const struct access_request *request,
                struct access_answer *answer, struct asked *a)
{
    if (!access_ask(nl, request, answer, &a->pending, on_access, a)) {
        enlist(a, request->session);
        http_set_pending(x, on_gone, a);
        return false;
    }
    if (answer->decision != ACCESS_ALLOW)
        refuse(a, answer);
    free(a);
    return answer->decision == ACCESS_ALLOW;
}

bool http_ask_access(struct http_exchange *x, struct node_loop *nl,
                     const struct access_request *request, struct access_answer *answer,
                     void (*go_on)(struct http_exchange *x, struct node_loop *nl,
                                   const struct access_answer *answer))
{
    struct asked *a = malloc(sizeof *a);

    if (!a) {
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
        return false;
    }
    *a = (struct asked){.x = x,
                        .nl = nl,
                        .protocol = request->protocol,
                        .name = request->name,
                        .goes_on = request->goes_on,
                        .go_on = go_on};
    return ask(x, nl, request, answer, a);
}

bool http_is_node(const struct http_exchange *x, const struct node *node, enum access_action action,
                  const struct stream_name *name)
{
    return node_bears_token(node, x) ||
           (node_trusts(node, x) && !access_is_personal(node, action, name));
}

void http_words(const struct http_exchange *x, const struct node *node,
                const struct stream_name *name, struct words *out)
{
    *out = (struct words){.stream = name->text};
    if (!words_are_wanted(node))
        return;
    out->referrer = page_of(x);
    out->agent = http_header(x, "User-Agent");
    out->origin = http_header(x, "Origin");
}

void http_refuse_admission(struct http_exchange *x, struct node_loop *nl,
                           const struct stream_name *name, const char *asked,
                           const struct admission_refusal *no)
{
    char seconds[16];

    if (no->status != 429 && asked) {
        redirect_away(x, nl, name, asked, no->text);
        return;
    }
    snprintf(seconds, sizeof seconds, "%u", no->retry_after_s ? no->retry_after_s : 2);
    http_add_header(x, "Retry-After", seconds);
    http_add_header(x, "Cache-Control", "no-store");
    http_respond_problem(x, no->status, "%s", no->text);
}

void http_log_refused(const struct http_exchange *x, struct node *node, const char *kind,
                      const char *protocol, const struct stream_name *name, const char *reason)
{
    char referrer[WORD_SIZE];

    if (!node->access_log)
        return;
    access_log_put(node->access_log,
                   &(struct access_entry){.node = node->id,
                                          .session = "",
                                          .client = http_peer(x),
                                          .protocol = protocol,
                                          .kind = kind,
                                          .stream = name->text,
                                          .referrer = words_clean_referrer(page_of(x), referrer),
                                          .agent = header(x, "User-Agent"),
                                          .reason = reason,
                                          .wall_us = clock_wall_us(),
                                          .is_refused = true});
}

bool http_may_take_conn(struct http_exchange *x, struct node_loop *nl, enum admission_kind kind,
                        const char *protocol, const struct stream_name *name)
{
    struct admission_ask ask = {kind, http_peer_addr(x), name};
    struct admission_refusal no;

    if (!http_is_forwarded(x) || admission_may_take_conn(nl->node, &ask, &no))
        return true;
    http_log_refused(x, nl->node, kind == ADMISSION_PUBLISHER ? "publish" : "play", protocol, name,
                     no.text);
    http_refuse_admission(x, nl, name, NULL, &no);
    return false;
}
