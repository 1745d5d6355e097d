/* HTTP answers that come one behind the other on a connection. Sans I/O. */
#ifndef HW_TESTS_TOOLS_ASK_ANSWERS_H
#define HW_TESTS_TOOLS_ASK_ANSWERS_H

#include "common/base/buf.h"

struct ask_answers {
    struct buf_writer bytes; /* private: what came and is not used up */
    size_t used_bytes;       /* private */
};

/* Pair with ask_answers_fini(). */
void ask_answers_init(struct ask_answers *answers);
void ask_answers_fini(struct ask_answers *answers);
/* Copies got; it may be split anywhere. E_NOMEM; E_TOO_BIG when an answer is above 1 MiB. */
enum err ask_answers_feed(struct ask_answers *answers, struct buf_view got);
/* The status of the next whole answer. E_AGAIN: there is none yet; E_PROTO: no HTTP, or a body
 * without a length. */
enum err ask_answers_next(struct ask_answers *answers, unsigned *status);

#endif
