/* See access.h. */
#include "node/access/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/access/checks.h"
#include "node/access/control.h"
#include "node/compat/compat.h"
#include "node/control/node_metrics.h"
#include "proto/http/http.h"

const char *const k_access_actions[ACCESS_N_ACTIONS + 1] = {"publish", "play", NULL};

const struct access_request k_access_request_empty = {.protocol = "",
                                                      .peer = "",
                                                      .session = "",
                                                      .query = "",
                                                      .tc_url = "",
                                                      .referrer = "",
                                                      .agent = "",
                                                      .authorization = ""};

struct access_pending {
    struct access_question question;
    struct access_request *request; /* owned */
    struct access_answer answer;
    _Atomic bool is_canceled;
};

/* --- copies of requests --- */

struct copy {
    struct access_request request; /* first */
    size_t texts_bytes;
    char texts[];
};

struct access_request *access_request_copy(const struct access_request *request)
{
    struct access_request copy = *request;
    const char **texts[] = {&copy.peer,     &copy.session, &copy.query,        &copy.tc_url,
                            &copy.referrer, &copy.agent,   &copy.authorization};
    size_t n_texts = sizeof texts / sizeof texts[0], size = 0, at = 0;
    struct copy *c;

    for (size_t i = 0; i < n_texts; i++)
        size += strlen(*texts[i]) + 1;
    c = malloc(sizeof *c + size);
    if (!c)
        return NULL;
    for (size_t i = 0; i < n_texts; i++) {
        size_t n = strlen(*texts[i]) + 1;

        memcpy(c->texts + at, *texts[i], n);
        *texts[i] = c->texts + at;
        at += n;
    }
    c->request = copy;
    c->texts_bytes = size;
    return &c->request;
}

void access_request_free(struct access_request **request)
{
    struct copy *c = (struct copy *)*request;

    *request = NULL;
    if (c)
        explicit_bzero(c->texts, c->texts_bytes);
    free(c);
}

static void pending_free(struct access_pending *p)
{
    access_request_free(&p->request);
    free(p);
}

/* --- the table --- */

static void count_denied(const struct access_request *request, const struct access_answer *answer)
{
    bool is_limit = answer->denial.status == 429 || answer->denial.status == 503;

    if (answer->decision != ACCESS_DENY || request->goes_on)
        return;
    if (request->action == ACCESS_PLAY)
        metric_add(is_limit ? &m_play_refused_limit : &m_play_refused_closed, 1);
    else
        metric_add(is_limit ? &m_publish_refused_limit : &m_publish_refused_closed, 1);
}

/* Nobody else is asked. */
static void end(struct access_question *q)
{
    q->next = k_n_access_checks;
    q->needs_hook = false;
}

/* Checks that have a say as long as a session goes on. None of them answers later. */
static void ask_lasting(struct access_question *q)
{
    for (unsigned i = 0; i < k_n_access_checks && q->answer->decision == ACCESS_ALLOW; i++)
        if (k_access_checks[i].is_lasting)
            (void)k_access_checks[i].check(q);
}

/* What it gets instead may be in an app that it is banned from, or whose pages are others. */
static void ask_of_new_name(const struct access_question *q)
{
    struct access_request request = *q->request;
    struct access_question other = *q;

    request.name = q->answer->name;
    other.request = &request;
    ask_lasting(&other);
}

/* False: a check answers later. */
static bool ask_on(struct access_question *q)
{
    while (q->next < k_n_access_checks) {
        const struct access_check *check = &k_access_checks[q->next++];
        enum access_verdict verdict = ACCESS_NEXT;

        if (!q->request->goes_on || check->is_lasting)
            verdict = check->check(q);
        if (verdict == ACCESS_LATER)
            return false;
        if (verdict == ACCESS_FINAL)
            end(q);
    }
    if (q->needs_hook && q->answer->decision == ACCESS_ALLOW)
        (void)access_deny(q, 403, "no hook allows it");
    if (*q->owner) /* it has waited: a ban may have come meanwhile */
        ask_lasting(q);
    if (q->answer->is_renamed)
        ask_of_new_name(q);
    count_denied(q->request, q->answer);
    return true;
}

/* livego's way: who publishes under the key of a room publishes the room, and has shown its key. */
static bool is_room_key(const struct node_loop *nl, enum access_action action,
                        const struct stream_name *name)
{
    return action == ACCESS_PUBLISH && stream_key_is_of_room(stream_name_part(name)) &&
           nl->node->access && compat_has(&nl->node->conf, COMPAT_LIVEGO);
}

void access_shown_name(const struct node_loop *nl, enum access_action action,
                       const struct stream_name *name, struct stream_name *out)
{
    *out = *name;
    if (is_room_key(nl, action, name))
        snprintf(out->text, sizeof out->text, "%.*s/***", name->app_bytes, name->text);
}

/* Returns the question as it is about the room; E_NOT_FOUND: no room has the key (now). */
static enum err ask_of_room(struct node_loop *nl, const struct access_request *request,
                            struct access_request **out)
{
    const char *key = stream_name_part(&request->name);
    struct access_request own = *request;
    struct buf_view app = buf_view_of(request->name.text, request->name.app_bytes);
    char query[sizeof "key=" + STREAM_ROOM_KEY_BYTES];

    if (!stream_keys_name(nl->node->access->stream_keys, app, key, clock_wall_us() / 1000000,
                          &own.name))
        return E_NOT_FOUND;
    snprintf(query, sizeof query, "key=%s", key);
    own.query = query;
    *out = access_request_copy(&own);
    explicit_bzero(query, sizeof query);
    return *out ? E_OK : E_NOMEM;
}

bool access_ask(struct node_loop *nl, const struct access_request *request,
                struct access_answer *answer, struct access_pending **pending,
                void (*done)(void *arg, const struct access_answer *answer), void *arg)
{
    struct access_request *room = NULL;
    struct access_question q = {
        .nl = nl, .request = request, .answer = answer, .done = done, .arg = arg, .owner = pending};
    enum err e = E_OK;
    bool is_answered;

    *pending = NULL;
    if (is_room_key(nl, request->action, &request->name))
        e = ask_of_room(nl, request, &room);
    if (room)
        q.request = room;
    *answer = (struct access_answer){.decision = ACCESS_ALLOW,
                                     .is_renamed = room != NULL,
                                     .name = q.request->name,
                                     .options = PUBLISH_OPTIONS_NONE};
    (void)buf_view_to_str(buf_view_str(request->session), answer->session, sizeof answer->session);
    if (e != E_OK) {
        (void)access_deny(&q, e == E_NOT_FOUND ? 403 : 503, "%s",
                          e == E_NOT_FOUND ? "no room of this app has that key" : err_text(e));
        end(&q);
    }
    is_answered = ask_on(&q);
    access_request_free(&room); /* whoever answers later has a copy of it */
    if (!is_answered)
        return false;
    if (*pending) /* a check has held the question, and could not go on with it */
        pending_free(*pending);
    *pending = NULL;
    return true;
}

bool access_is_personal(const struct node *node, enum access_action action,
                        const struct stream_name *name)
{
    for (unsigned i = 0; i < k_n_access_checks; i++)
        if (k_access_checks[i].is_personal && k_access_checks[i].is_personal(node, action, name))
            return true;
    return false;
}

/* --- for checks --- */

enum access_verdict access_deny(struct access_question *q, unsigned status, const char *format, ...)
{
    va_list args;

    q->answer->decision = ACCESS_DENY;
    q->answer->denial.status = status;
    va_start(args, format);
    vsnprintf(q->answer->text, sizeof q->answer->text, format, args);
    va_end(args);
    return ACCESS_FINAL;
}

struct access_pending *access_hold(struct access_question *q)
{
    struct access_pending *p;

    if (*q->owner) /* it is held already: a check before this one answered later, too */
        return *q->owner;
    p = malloc(sizeof *p);
    if (!p)
        return NULL;
    p->request = access_request_copy(q->request);
    if (!p->request) {
        free(p);
        return NULL;
    }
    p->answer = *q->answer;
    p->question = *q;
    p->question.request = p->request;
    p->question.answer = &p->answer;
    atomic_init(&p->is_canceled, false);
    *q->owner = p;
    return p;
}

struct access_question *access_held(struct access_pending *pending)
{
    return &pending->question;
}

bool access_is_canceled(const struct access_pending *pending)
{
    return atomic_load_explicit(&pending->is_canceled, memory_order_relaxed);
}

void access_resume(struct access_pending *pending, enum access_verdict verdict)
{
    struct access_question *q = &pending->question;

    if (access_is_canceled(pending)) {
        pending_free(pending);
        return;
    }
    if (verdict == ACCESS_FINAL)
        end(q);
    if (verdict == ACCESS_AGAIN)
        q->next--;
    if (!ask_on(q))
        return;
    *q->owner = NULL;
    q->done(q->arg, &pending->answer);
    pending_free(pending);
}

void access_drop(struct access_pending *pending)
{
    if (!access_is_canceled(pending))
        *pending->question.owner = NULL;
    pending_free(pending);
}

void access_cancel(struct access_pending **pending)
{
    if (*pending)
        atomic_store_explicit(&(*pending)->is_canceled, true, memory_order_relaxed);
    *pending = NULL;
}

enum err access_query(const struct access_request *request, const char *key, char *out, size_t size)
{
    enum err e = http_query_get(buf_view_str(request->query), key, out, size);
    const char *query = e == E_NOT_FOUND ? strchr(request->tc_url, '?') : NULL;

    return query ? http_query_get(buf_view_str(query + 1), key, out, size) : e;
}
