/* A protocol that notes what publisher.c tells it, for the tests of it. */
#ifndef HW_TESTS_NODE_SESSION_PUBLISHER_RIG_H
#define HW_TESTS_NODE_SESSION_PUBLISHER_RIG_H

#include "tests/unit/node/node_rig.h"

#include "common/base/metrics.h"
#include "node/session/admission.h"
#include "node/session/publisher.h"

struct session {
    struct node_loop *nl;
    struct conn *conn;
    int peer_fd; /* -1: the client has left */
    struct session_info info;
    struct publisher publisher;
    unsigned busy;
    bool moving, over, live, standby;
    unsigned n_moves, n_accepted;
    enum publisher_fault fault;
    struct access_denial denial;
    char text[200], name[STREAM_NAME_SIZE];
};

static struct metric m_test_sessions;

static void must_move(void *session)
{
    ((struct session *)session)->moving = true;
}

static void enter(void *session)
{
    ((struct session *)session)->busy++;
}

static void session_end(struct session *s)
{
    publisher_tell_done(&s->publisher, "the session ends");
    publisher_release(&s->publisher);
    session_info_fini(&s->info, &s->nl->media);
    conn_close(&s->conn);
}

static void leave(void *session)
{
    struct session *s = session;

    if (--s->busy)
        return;
    if (s->over && s->conn) {
        session_end(s);
    } else if (s->moving) {
        s->moving = false;
        s->n_moves++;
        publisher_move(&s->publisher);
    }
}

static bool on_renamed(void *session, const struct stream_name *name)
{
    struct session *s = session;

    snprintf(s->name, sizeof s->name, "%s", name->text);
    return true;
}

static void on_accepted(void *session, bool live)
{
    struct session *s = session;

    assert_true(s->busy > 0);
    s->n_accepted++;
    s->live = live;
    s->standby = !live;
}

static void on_over(void *session, enum publisher_fault fault, const char *text)
{
    struct session *s = session;

    assert_false(s->over);
    s->over = true;
    s->live = s->standby = false;
    s->fault = fault;
    s->denial = *publisher_denial(&s->publisher);
    snprintf(s->text, sizeof s->text, "%s", text);
    if (!s->busy)
        session_end(s);
}

static void discard(void *session)
{
    conn_close(&((struct session *)session)->conn);
}

static void on_readable(struct conn *conn, void *arg)
{
    (void)conn;
    (void)arg;
}

static const struct conn_ops k_conn_ops = {.on_readable = on_readable};
static const struct publisher_ops k_ops = {.protocol = "test",
                                           .conn_ops = &k_conn_ops,
                                           .sessions = &m_test_sessions,
                                           .must_move = must_move,
                                           .enter = enter,
                                           .leave = leave,
                                           .on_renamed = on_renamed,
                                           .on_accepted = on_accepted,
                                           .on_over = on_over,
                                           .discard = discard};

/* The client leaves. */
static inline void end(struct session *s)
{
    if (s->conn)
        session_end(s);
    close(s->peer_fd);
    s->peer_fd = -1;
}

static inline void open_session(struct session *s, struct node_loop *nl)
{
    *s = (struct session){.nl = nl};
    s->conn = node_rig_conn(nl, &k_conn_ops, s, &s->peer_fd);
    session_info_init(&s->info, &nl->media, 't', "test", conn_peer(s->conn));
    s->publisher = (struct publisher){
        .ops = &k_ops, .session = s, .nl = &s->nl, .conn = &s->conn, .info = &s->info};
}

#endif
