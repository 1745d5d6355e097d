/* Requests made beforehand, so that asking costs a copy. */
#ifndef HW_TESTS_TOOLS_ASK_REQUESTS_H
#define HW_TESTS_TOOLS_ASK_REQUESTS_H

#include "common/base/buf.h"

struct ask_requests {
    struct buf_writer bytes; /* all of them */
    size_t *ends;            /* owned; where each ends */
    size_t n, next;
};

/* One request for each line of text, a path with its query. token "" = none is sent. E_INVAL: a
 * line is no path, or there is none; E_NOMEM. Pair with ask_requests_fini(), also after a failure.
 */
enum err ask_requests_init(struct ask_requests *requests, struct buf_view text, const char *host,
                           const char *token);
void ask_requests_fini(struct ask_requests *requests);
/* Lends the next one, over and over again in order. */
struct buf_view ask_requests_next(struct ask_requests *requests);

#endif
