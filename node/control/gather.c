/* One message that visits the media loops in turn and ends on the control loop. */
#include "node/control/gather.h"

#include <stdlib.h>

#define SLICE 250 /* streams or sessions in one turn: a fraction of a millisecond */

struct gathering {
    struct loop_msg msg;
    struct node *node;
    void (*collect)(struct media_loop *ml, void *arg); /* NULL: in slices */
    struct gather_each each;
    struct media_walk walk; /* in slices: of the loop that is visited */
    bool is_walking;
    unsigned at; /* the loop that is visited */
};

static void on_drop(struct loop_msg *msg)
{
    struct gathering *g = list_entry(msg, struct gathering, msg);

    if (g->is_walking)
        media_walk_end(&g->walk);
    free(g);
}

static void on_finish(struct loop_msg *msg)
{
    struct gathering *g = list_entry(msg, struct gathering, msg);

    g->each.finish(g->each.arg);
    free(g);
}

/* True: the loop has been walked through. */
static bool walk_on(struct gathering *g, struct media_loop *ml)
{
    struct media_walk *walk = &g->walk;

    if (!g->is_walking)
        media_walk_begin(walk, ml);
    for (unsigned n = 0; n < SLICE; n++) {
        struct list *stream = walk->stream, *session = walk->session;

        if (stream != &ml->streams) {
            walk->stream = stream->next;
            g->each.stream(stream_at_home(stream), g->each.arg);
        } else if (session != &ml->sessions) {
            walk->session = session->next;
            g->each.session(list_entry(session, struct session_info, node), g->each.arg);
        } else {
            media_walk_end(walk);
            g->is_walking = false;
            return true;
        }
    }
    g->is_walking = true;
    return false;
}

static void send_on(struct gathering *g);

static void on_visit(struct loop_msg *msg)
{
    struct gathering *g = list_entry(msg, struct gathering, msg);
    struct media_loop *ml = &g->node->loops[g->at].media;

    if (g->collect)
        g->collect(ml, g->each.arg);
    if (g->collect || walk_on(g, ml))
        g->at++;
    send_on(g);
}

static void send_on(struct gathering *g)
{
    bool done = g->at == g->node->n_loops;

    g->msg.run = done ? on_finish : on_visit;
    loop_post(done ? g->node->control : g->node->loops[g->at].media.loop, &g->msg);
}

static enum err start(struct node *node, void (*collect)(struct media_loop *ml, void *arg),
                      const struct gather_each *each)
{
    struct gathering *g = calloc(1, sizeof *g);

    if (!g)
        return E_NOMEM;
    g->node = node;
    g->collect = collect;
    g->each = *each;
    g->msg.drop = on_drop;
    send_on(g);
    return E_OK;
}

enum err gather(struct node *node, void (*collect)(struct media_loop *ml, void *arg),
                void (*finish)(void *arg), void *arg)
{
    return start(node, collect, &(struct gather_each){.finish = finish, .arg = arg});
}

enum err gather_slices(struct node *node, const struct gather_each *each)
{
    return start(node, NULL, each);
}

void gather_each_stream(struct media_loop *ml, void (*each)(struct stream *stream, void *arg),
                        void *arg)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->streams) {
        each(stream_at_home(node), arg);
    }
}
