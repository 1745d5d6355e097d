/* What streams tell: the hooks of the stream core (struct stream_hooks) that are events. arg is the
 * struct node; on the stream's home loop. */
#ifndef HW_NODE_CONTROL_EVENTS_STREAM_H
#define HW_NODE_CONTROL_EVENTS_STREAM_H

#include "node/stream/stream.h"

void events_on_stream_idle(void *arg, struct stream *stream);
void events_on_stream_stalled(void *arg, struct stream *stream);
/* False: a pull is under way. */
bool events_on_stream_not_found(void *arg, struct stream *stream);

#endif
