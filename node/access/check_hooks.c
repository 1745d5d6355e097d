/* Gate hooks: the question waits for receivers, its client for nothing else. */
#include "node/access/check_hooks.h"

#include <stdio.h>
#include <string.h>

#include "node/hooks/gate.h"

static enum access_verdict allow(struct access_question *q, const struct gate_answer *said)
{
    q->answer->options = said->options;
    q->needs_hook = false;
    return ACCESS_NEXT;
}

static enum access_verdict deny(struct access_question *q, const struct gate_answer *said)
{
    return access_deny(q, said->status, "%s", said->reason);
}

static enum access_verdict redirect(struct access_question *q, const struct gate_answer *said)
{
    q->answer->decision = ACCESS_REDIRECT;
    snprintf(q->answer->text, sizeof q->answer->text, "%s", said->redirect_url);
    return ACCESS_FINAL;
}
_Static_assert(GATE_URL_SIZE <= ACCESS_TEXT_SIZE, "an URL is not cut");

static enum access_verdict give_new_name(struct access_question *q, const struct gate_answer *said)
{
    q->answer->is_renamed = true;
    q->answer->name = said->name;
    return allow(q, said);
}

static enum access_verdict (*const k_apply[])(struct access_question *q,
                                              const struct gate_answer *said) = {
    [GATE_ALLOW] = allow,          [GATE_DENY] = deny,    [GATE_REDIRECT] = redirect,
    [GATE_RENAME] = give_new_name, [GATE_SOURCE] = allow, /* never: it answers another question */
};

static void on_answer(void *arg, const struct gate_answer *said)
{
    struct access_question *q = access_held(arg);

    access_resume(arg, k_apply[said->verdict](q, said));
}

static void on_drop(void *arg)
{
    access_drop(arg);
}

/* Of the stream's URL, or else of tcUrl. */
static const char *query_of(const struct access_request *request)
{
    const char *query = strchr(request->tc_url, '?');

    return *request->query || !query ? request->query : query + 1;
}

static const enum gate_action k_actions[ACCESS_N_ACTIONS] = {
    [ACCESS_PUBLISH] = GATE_PUBLISH, [ACCESS_PLAY] = GATE_PLAY};

bool access_hooks_are_personal(const struct node *node, enum access_action action,
                               const struct stream_name *name)
{
    (void)name;
    return gate_is_asked(node, k_actions[action]);
}

enum access_verdict access_check_hooks(struct access_question *q)
{
    const struct access_request *request = q->request;
    struct gate_question question = {.action = k_actions[request->action],
                                     .stream = request->name.text,
                                     .query = query_of(request),
                                     .protocol = request->protocol,
                                     .session = request->session,
                                     .peer = request->peer,
                                     .referrer = request->referrer,
                                     .agent = request->agent,
                                     .trace = request->trace};
    struct access_pending *pending;

    if (!gate_is_asked(q->nl->node, question.action))
        return ACCESS_NEXT;
    pending = access_hold(q);
    if (pending && gate_ask(q->nl, &question, on_answer, on_drop, pending))
        return ACCESS_LATER;
    return access_deny(q, 503, "out of memory");
}
