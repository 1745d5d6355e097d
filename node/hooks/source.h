/* A stream that nobody has: gates are asked where it comes from. */
#ifndef HW_NODE_HOOKS_SOURCE_H
#define HW_NODE_HOOKS_SOURCE_H

struct node;
struct stream;

/* Nothing where no gate is asked of it. Who waits for the stream goes on waiting. Home loop. */
void source_ask(struct node *node, struct stream *stream);

#endif
