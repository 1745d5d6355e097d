/* Gate hooks: receivers that are asked before somebody publishes or plays, and where a stream is
 * that nobody has. Asked on a media loop, answered there; what is done about it (JSON, HTTP, the
 * cache of answers) happens on the control loop. */
#ifndef HW_NODE_HOOKS_GATE_H
#define HW_NODE_HOOKS_GATE_H

#include <stdbool.h>

#include "common/media/name.h"
#include "node/stream/publish_options.h"
#include "proto/http/trace_context.h"

struct node;
struct node_loop;

enum gate_action { GATE_PUBLISH, GATE_PLAY, GATE_NOT_FOUND, GATE_N_ACTIONS };

enum gate_verdict {
    GATE_ALLOW,
    GATE_DENY,     /* status, reason */
    GATE_REDIRECT, /* redirect_url; not for GATE_NOT_FOUND */
    GATE_RENAME,   /* name: the stream is to be called so; not for GATE_NOT_FOUND */
    GATE_SOURCE    /* source_url: where to pull it from; GATE_NOT_FOUND alone */
};

#define GATE_URL_SIZE 512
#define GATE_REASON_SIZE 160

struct gate_question { /* borrowed by gate_ask(); texts may be NULL when they are not known */
    enum gate_action action;
    const char *stream; /* app/name */
    const char *query;  /* as the client sent it, without "?": its secret may be in it */
    const char *protocol, *session;
    const char *peer; /* host:port */
    const char *referrer, *agent;
    struct trace_id trace; /* as its client told, or zeros */
};

struct gate_answer {
    enum gate_verdict verdict;
    unsigned status; /* of GATE_DENY: 400 to 599 */
    bool is_policy;  /* no receiver said so: it failed, and this is what its "fail" says */
    char reason[GATE_REASON_SIZE];
    char redirect_url[GATE_URL_SIZE];
    char source_url[GATE_URL_SIZE];
    struct stream_name name;
    struct publish_options options; /* of GATE_ALLOW and GATE_RENAME */
};

/* Whether anybody is to be asked. Fixed from the start; any thread. */
bool gate_is_asked(const struct node *node, enum gate_action action);
/* Asks; only where gate_is_asked(). On the loop of nl: done is called there exactly once, never
 * from within this call; answer is lent for it. drop is called instead, by who frees the loops,
 * when they end before. False: out of memory, neither is called. All receivers are asked, one after
 * the other, until one denies; of other answers the first counts. */
bool gate_ask(struct node_loop *nl, const struct gate_question *question,
              void (*done)(void *arg, const struct gate_answer *answer), void (*drop)(void *arg),
              void *arg);

#endif
