/* The secret that nodes and schedulers share (cluster.token_file). Two at a time, so that it can be
 * changed without a moment in which one part of the cluster refuses the other. */
#ifndef HW_NODE_TOKEN_H
#define HW_NODE_TOKEN_H

#include "node/node.h"

#define TOKEN_MAX_BYTES 512

struct node_tokens { /* owned; "" = none */
    char *sent;
    char *also; /* accepted too: the one before, or the one to come */
};

/* Reads the file; an empty path gives no tokens. E_INVAL or E_NOMEM with the reason in *error,
 * tokens untouched. */
enum err node_tokens_read(const char *path, struct node_tokens *tokens, struct conf_error *error);
/* The same file for another purpose; source is for the error: "hooks.targets[0]: secret_file". */
enum err node_secrets_read(const char *source, const char *path, struct node_tokens *tokens,
                           struct conf_error *error);
void node_tokens_free(struct node_tokens *tokens);

/* True when the request comes from a node or an operator: it bears one of the tokens, or there is
 * none and it comes from this machine. Any loop. */
bool node_trusts(const struct node *node, const struct http_exchange *x);
/* The same for requests that must bear a token; false when there is none. */
bool node_bears_token(const struct node *node, const struct http_exchange *x);

#endif
