/* The side of the media loops: a question travels to the control loop, and comes back answered. */
#include "node/hooks/gate.h"

#include <stdlib.h>
#include <string.h>

#include "node/hooks/hooks_private.h"
#include "node/node.h"

bool gate_is_asked(const struct node *node, enum gate_action action)
{
    return node->hooks && node->hooks->gate_events & 1u << gate_event(action);
}

void gate_call_drop(struct gate_call *call)
{
    call->drop(call->arg);
    free(call);
}

static void on_drop(struct loop_msg *msg)
{
    gate_call_drop(list_entry(msg, struct gate_call, msg));
}

/* Media loop. */
static void on_back(struct loop_msg *msg)
{
    struct gate_call *call = list_entry(msg, struct gate_call, msg);

    call->done(call->arg, &call->answer);
    free(call);
}

void gate_call_answered(struct gate_call *call)
{
    call->msg = (struct loop_msg){.run = on_back, .drop = on_drop};
    loop_post(call->nl->media.loop, &call->msg);
}

/* Control loop. */
static void on_asked(struct loop_msg *msg)
{
    struct gate_call *call = list_entry(msg, struct gate_call, msg);

    gate_call_begin(&call->nl->node->hooks->gate, call);
}

/* Copies the texts behind the call. */
static struct gate_call *call_new(const struct gate_question *question)
{
    const char *const texts[] = {question->stream,  question->query, question->protocol,
                                 question->session, question->peer,  question->referrer,
                                 question->agent};
    struct gate_question copy = {.action = question->action, .trace = question->trace};
    const char **const members[] = {&copy.stream, &copy.query,    &copy.protocol, &copy.session,
                                    &copy.peer,   &copy.referrer, &copy.agent};
    size_t n = sizeof texts / sizeof texts[0], size = 0;
    struct gate_call *call;
    char *at;

    for (size_t i = 0; i < n; i++)
        size += (texts[i] ? strlen(texts[i]) : 0) + 1;
    call = malloc(sizeof *call + size);
    if (!call)
        return NULL;
    at = call->texts;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = (texts[i] ? strlen(texts[i]) : 0) + 1;

        *members[i] = memcpy(at, texts[i] ? texts[i] : "", bytes);
        at += bytes;
    }
    call->question = copy;
    return call;
}

bool gate_ask(struct node_loop *nl, const struct gate_question *question,
              void (*done)(void *arg, const struct gate_answer *answer), void (*drop)(void *arg),
              void *arg)
{
    struct gate_call *call = call_new(question);

    if (!call)
        return false;
    call->msg = (struct loop_msg){.run = on_asked, .drop = on_drop};
    list_init(&call->node);
    call->nl = nl;
    call->done = done;
    call->drop = drop;
    call->arg = arg;
    loop_post(nl->node->control, &call->msg);
    return true;
}
