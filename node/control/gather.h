/* Asks every media loop in turn for something and finishes on the control loop: how the API,
 * metrics and heartbeats read streams and sessions without a lock. */
#ifndef HW_NODE_CONTROL_GATHER_H
#define HW_NODE_CONTROL_GATHER_H

#include "node/node.h"

/* collect() runs on each media loop, one after another (never two at a time, so arg needs no lock);
 * finish() then on the control loop. Control loop. E_NOMEM: neither is called. */
enum err gather(struct node *node, void (*collect)(struct media_loop *ml, void *arg),
                void (*finish)(void *arg), void *arg);
/* The same a few at a time, so that no loop is held up however many there are: each stream and each
 * session, once, of those that are there all the time. What comes or leaves meanwhile may be left
 * out. */
struct gather_each {
    void (*stream)(struct stream *stream, void *arg);
    void (*session)(struct session_info *info, void *arg);
    void (*finish)(void *arg);
    void *arg;
};
enum err gather_slices(struct node *node, const struct gather_each *each);
/* For collect(): every stream at home on this loop. */
void gather_each_stream(struct media_loop *ml, void (*each)(struct stream *stream, void *arg),
                        void *arg);

#endif
