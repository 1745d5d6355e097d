/* One message that visits the media loops in turn and ends on the control loop. */
#include "node/control/gather.h"

#include <stdlib.h>

struct gathering {
    struct loop_msg msg;
    struct node *node;
    void (*collect)(struct media_loop *ml, void *arg);
    void (*finish)(void *arg);
    void *arg;
    unsigned at; /* the loop that is visited */
};

static void on_drop(struct loop_msg *msg)
{
    free(list_entry(msg, struct gathering, msg));
}

static void on_finish(struct loop_msg *msg)
{
    struct gathering *g = list_entry(msg, struct gathering, msg);

    g->finish(g->arg);
    free(g);
}

static void send_on(struct gathering *g);

static void on_visit(struct loop_msg *msg)
{
    struct gathering *g = list_entry(msg, struct gathering, msg);

    g->collect(&g->node->loops[g->at].media, g->arg);
    g->at++;
    send_on(g);
}

static void send_on(struct gathering *g)
{
    bool done = g->at == g->node->n_loops;

    g->msg.run = done ? on_finish : on_visit;
    loop_post(done ? g->node->control : g->node->loops[g->at].media.loop, &g->msg);
}

enum err gather(struct node *node, void (*collect)(struct media_loop *ml, void *arg),
                void (*finish)(void *arg), void *arg)
{
    struct gathering *g = calloc(1, sizeof *g);

    if (!g)
        return E_NOMEM;
    *g = (struct gathering){.node = node, .collect = collect, .finish = finish, .arg = arg};
    g->msg.drop = on_drop;
    send_on(g);
    return E_OK;
}

void gather_each_stream(struct media_loop *ml, void (*each)(struct stream *stream, void *arg),
                        void *arg)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->streams) {
        each(stream_at_home(node), arg);
    }
}
