/* See source.h. Not about a client: who waits was let in already. */
#include "node/hooks/source.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "node/hooks/gate.h"
#include "node/hooks/item.h"
#include "node/node.h"
#include "node/relay/pull.h"

struct asking {
    struct node *node;
    struct stream_name name;
};

static void on_answer(void *arg, const struct gate_answer *said)
{
    struct asking *a = arg;
    char shown[HOOK_SHOWN_SIZE];
    enum err e;

    if (said->verdict == GATE_SOURCE) {
        e = pull_from_url(a->node, &a->name, said->source_url);
        if (e == E_OK)
            log_info("hooks", "msg=\"a gate knows the source\" stream=%s url=%s", a->name.text,
                     LOG_STR(hook_url_shown(said->source_url, shown)));
        else
            log_warn("hooks",
                     "msg=\"cannot pull from what a gate answered\" stream=%s url=%s error=%s",
                     a->name.text, LOG_STR(hook_url_shown(said->source_url, shown)), err_name(e));
    }
    free(a);
}

void source_ask(struct node *node, struct stream *stream)
{
    struct gate_question question = {.action = GATE_NOT_FOUND};
    struct asking *a;

    if (!gate_is_asked(node, GATE_NOT_FOUND))
        return;
    a = malloc(sizeof *a);
    if (!a)
        return;
    *a = (struct asking){.node = node, .name = *stream_name_of(stream)};
    question.stream = a->name.text;
    if (!gate_ask(stream_home(stream)->owner, &question, on_answer, free, a))
        free(a);
}
