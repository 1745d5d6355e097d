/* The answer to a request for a live stream over HTTP: its head, then its body piece by piece. Sans
 * I/O. */
#ifndef HW_TESTS_TOOLS_MEDIA_ANSWER_H
#define HW_TESTS_TOOLS_MEDIA_ANSWER_H

#include "common/base/buf.h"
#include "proto/http/http.h"
#include "tests/tools/media_input.h"

struct media_answer {
    unsigned status;                /* 0 until the head is whole */
    enum media_container container; /* by its type; else FLV */
    char location[1024];            /* of a redirect; "" */
    char why[96];                   /* after an error */
    struct http_body body;
    struct buf_writer head; /* private */
};

/* No allocation; pair with media_answer_fini(). */
void media_answer_init(struct media_answer *answer);
void media_answer_fini(struct media_answer *answer);
/* Lends the next piece of the body, which lies in *in.
 *   E_AGAIN   all of *in is used
 *   E_END     the body is whole
 *   E_DENIED  the status is not 200: status, location and why
 *   E_PROTO, E_TOO_BIG, E_NOMEM  with why */
enum err media_answer_next(struct media_answer *answer, struct buf_reader *in,
                           struct buf_view *piece);

#endif
