/* May this client publish or play this stream? Every protocol asks before it does anything else for
 * a client; rules, credentials, limits, bans and hooks answer behind it, as an ordered table of
 * checks (checks.h). Streams that other nodes bring or fetch are not asked about: the node that the
 * client came to has asked, and they bear the node token.
 *
 *   access_ask() -> true: *answer, at once
 *                \> false: done(arg, answer) later, on the same loop, unless access_cancel()
 *
 * On the loop of the connection. */
#ifndef HW_NODE_ACCESS_ACCESS_H
#define HW_NODE_ACCESS_ACCESS_H

#include "common/base/buf.h"
#include "common/media/name.h"
#include "common/net/addr.h"
#include "node/stream/publish_options.h"
#include "proto/http/trace_context.h"

struct node;
struct node_loop;

enum access_action { ACCESS_PUBLISH, ACCESS_PLAY, ACCESS_N_ACTIONS };
extern const char *const k_access_actions[ACCESS_N_ACTIONS + 1]; /* "publish", "play", NULL */

/* Texts are never NULL, and lent for the call: a question that is answered later has copies. */
struct access_request {
    enum access_action action;
    /* This viewer was let in before (HLS asks for its pieces): only what ends a session has a say
     * (bans), not what counts or lets in (limits, credentials, hooks). */
    bool goes_on;
    struct stream_name name;
    const char *protocol; /* "rtmp", "flv", "ws-flv", "ts", "mp4", "hls", ...: static */
    struct addr addr;     /* of the client */
    const char *peer;     /* the same as text */
    const char *session;  /* its id */
    const char *query;    /* of the URL, or behind the name of an RTMP stream; raw */
    const char *tc_url;   /* RTMP alone: connect's, which may have a query of its own */
    const char *referrer; /* Referer; pageUrl is not told */
    const char *agent;    /* User-Agent, or flashVer */
    const char *authorization;
    struct trace_id trace; /* as the client told; zeros = not */
};
extern const struct access_request k_access_request_empty; /* all texts "" */

enum access_decision { ACCESS_ALLOW, ACCESS_DENY, ACCESS_REDIRECT };

#define ACCESS_TEXT_SIZE 512

struct access_denial {
    unsigned status;        /* 401, 403, 404, 409, 429 or 503 */
    unsigned retry_after_s; /* 0 = nothing is said */
    bool wants_password;    /* with 401: HTTP Basic would do */
};

struct access_answer {
    enum access_decision decision;
    struct access_denial denial; /* DENY */
    char text[ACCESS_TEXT_SIZE]; /* DENY: the reason; REDIRECT: where to, an URL */
    /* ALLOW */
    char session[16]; /* as the client's session was called in the question */
    bool is_renamed;
    struct stream_name name;        /* what the client asked for, or what it gets instead */
    struct publish_options options; /* PUBLISH */
};

/* Returns a request with texts of its own, or NULL; pair with access_request_free(). */
struct access_request *access_request_copy(const struct access_request *request);
/* Wipes it: there may be secrets in it. NULL is fine. */
void access_request_free(struct access_request **request);

struct access_pending; /* opaque */

/* True: *answer is written, *pending is NULL. False: the answer comes by done(), answer is lent to
 * it; *pending stands for the question until then, and must be canceled when the client goes.
 * done() is never called from within access_ask(), and finds *pending NULL. */
bool access_ask(struct node_loop *nl, const struct access_request *request,
                struct access_answer *answer, struct access_pending **pending,
                void (*done)(void *arg, const struct access_answer *answer), void *arg);
/* What a client that asks for this is called in logs and lists until it is let in: the name, but
 * for a key that stands in its place; who is let in gets another name with the answer. */
void access_shown_name(const struct node_loop *nl, enum access_action action,
                       const struct stream_name *name, struct stream_name *out);
/* Fine on NULL. done() is not called after it. */
void access_cancel(struct access_pending **pending);

/* Who may do this is not the same for all: HLS players, say, get playlists of their own, with a
 * grant in each address. Any loop. */
bool access_is_personal(const struct node *node, enum access_action action,
                        const struct stream_name *name);

/* The value of a query argument, of the stream's URL or else of tcUrl. E_NOT_FOUND, E_INVAL. */
enum err access_query(const struct access_request *request, const char *key, char *out,
                      size_t size);

#endif
