/* The end of a connection whose last answer must arrive: sends what is left, half-closes, reads and
 * drops until the peer closes or time is up. Closing at once would answer bytes still coming in
 * with a reset, and a reset makes the peer's kernel throw the answer away. Private to common/net.
 */
#ifndef HW_COMMON_NET_LINGER_H
#define HW_COMMON_NET_LINGER_H

#include "common/base/buf.h"
#include "common/net/loop.h"

/* Takes fd, and the content of *queue from sent_bytes on (left empty). The loop owns it from here;
 * out of memory it closes at once. */
void linger_start(struct loop *loop, int fd, struct buf_writer *queue, size_t sent_bytes);

#endif
