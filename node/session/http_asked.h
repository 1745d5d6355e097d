/* access_ask() for requests over HTTP, and its answers in HTTP's words. */
#ifndef HW_NODE_SESSION_HTTP_ASKED_H
#define HW_NODE_SESSION_HTTP_ASKED_H

#include "common/net/http_server.h"
#include "node/access/access.h"
#include "node/session/admission.h"
#include "node/session/words.h"

struct node;
struct node_loop;

/* Everything but the session, which is "", and the trace. Texts are lent until x is answered, or
 * taken. */
void http_access_request(const struct http_exchange *x, enum access_action action,
                         const struct stream_name *name, const char *protocol,
                         struct access_request *out);
/* True: allowed, *answer says how. False: it was refused, or go_on() is called later when it is
 * allowed. */
bool http_ask_access(struct http_exchange *x, struct node_loop *nl,
                     const struct access_request *request, struct access_answer *answer,
                     void (*go_on)(struct http_exchange *x, struct node_loop *nl,
                                   const struct access_answer *answer));
/* Another node asks, for clients that it has asked itself: they are let in. Where there is no token
 * that is whoever asks from this machine, behind a proxy here everybody; so what not everybody may
 * do needs one. */
bool http_is_node(const struct http_exchange *x, const struct node *node, enum access_action action,
                  const struct stream_name *name);
/* What who asks has said, as far as it is wanted. Lent by x and name. */
void http_words(const struct http_exchange *x, const struct node *node,
                const struct stream_name *name, struct words *out);
/* A line in the access log: the request was refused before there was a session. */
void http_log_refused(const struct http_exchange *x, struct node *node, const char *kind,
                      const char *protocol, const struct stream_name *name, const char *reason);
/* Before a connection becomes a session's own: if it was a proxy's, may the client have one more?
 * False: answered. */
bool http_may_take_conn(struct http_exchange *x, struct node_loop *nl, enum admission_kind kind,
                        const char *protocol, const struct stream_name *name);
/* Ends the exchange: 429 for who has enough; else 302 to another node, or 503. asked: what the
 * scheduler calls the protocol, NULL = there is no other place. */
void http_refuse_admission(struct http_exchange *x, struct node_loop *nl,
                           const struct stream_name *name, const char *asked,
                           const struct admission_refusal *no);
/* Header fields that go with a refusal or a redirect; "" when there are none. */
#define HTTP_DENIAL_BYTES 256
void http_write_denial(struct buf_writer *out, const struct access_denial *denial);

#endif
