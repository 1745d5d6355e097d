/* The table behind access_ask(). A check looks at the request and gives a verdict:
 *
 *   NEXT   it has nothing against it; the next check is asked
 *   FINAL  *answer is written (deny, redirect, or allowed whatever the others say)
 *   LATER  it has called access_hold(), and calls access_resume() or access_drop() once for it
 *   AGAIN  to access_resume() alone: the same check is asked again, it knows more by now
 *
 * When all say NEXT the client is allowed; what they wrote into the answer (a new name, options)
 * goes with it. checks.c has the table: the order is who has the first word. */
#ifndef HW_NODE_ACCESS_CHECKS_H
#define HW_NODE_ACCESS_CHECKS_H

#include <stdbool.h>

#include "node/access/access.h"
#include "node/node.h"

enum access_verdict { ACCESS_NEXT, ACCESS_FINAL, ACCESS_LATER, ACCESS_AGAIN };

/* One question on its way through the table. */
struct access_question {
    struct node_loop *nl;
    const struct access_request *request;
    struct access_answer *answer; /* begins as ALLOW, without a new name and options */
    /* Credentials let nobody in, and the rule of the app leaves it to the gate hooks: the hooks'
     * check clears it when one allows. Still true at the end: denied. */
    bool needs_hook;
    unsigned next; /* row of the table to go on with: access.c's */
    void (*done)(void *arg, const struct access_answer *answer);
    void *arg;
    struct access_pending **owner;
};

struct access_check {
    const char *name; /* for logs */
    bool is_lasting;  /* asked also of who goes on (request.goes_on), and who has waited; at once */
    enum access_verdict (*check)(struct access_question *q);
    /* NULL = never. What it says depends on more than name and address: see access_is_personal() */
    bool (*is_personal)(const struct node *node, enum access_action action,
                        const struct stream_name *name);
};
extern const struct access_check k_access_checks[];
extern const unsigned k_n_access_checks;

/* For use in a check: writes the answer and gives ACCESS_FINAL. */
enum access_verdict access_deny(struct access_question *q, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns the question with copies of all texts, which lives until resume() or drop(); NULL when
 * out of memory (deny then, 503). After it a check returns ACCESS_LATER, nothing else. Loop thread.
 */
struct access_pending *access_hold(struct access_question *q);
/* Lends the held question: request to read, answer to write. Any thread until resume(): nobody else
 * touches it meanwhile but for access_is_canceled(). */
struct access_question *access_held(struct access_pending *pending);
/* The client has gone: work on the answer is wasted. Any thread. */
bool access_is_canceled(const struct access_pending *pending);
/* Takes pending: goes on behind the check, with its verdict, NEXT, FINAL or AGAIN. On the loop of
 * the question (access_held()->nl), never from within the check. */
void access_resume(struct access_pending *pending, enum access_verdict verdict);
/* Takes pending, when its loop has ended (a message's drop). */
void access_drop(struct access_pending *pending);

#endif
