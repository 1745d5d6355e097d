/* GET /v1/trace?session=: finds the node that has the session and passes its answer on. Sessions
 * are known to their nodes alone, so those with viewers are asked, a few at a time, in the order of
 * their ids. Loop thread. */
#ifndef HW_SCHEDULER_TRACE_H
#define HW_SCHEDULER_TRACE_H

#include "common/base/list.h"
#include "common/net/http_server.h"

struct scheduler;

struct traces {
    struct scheduler *scheduler;
    struct list running; /* struct trace, owned */
    unsigned n;
};

void traces_init(struct traces *traces, struct scheduler *scheduler);
/* After the HTTP server is gone. */
void traces_fini(struct traces *traces);
/* Takes the exchange. node "" = whoever has the session. */
void traces_start(struct traces *traces, struct http_exchange *x, const char *session,
                  const char *node);

#endif
