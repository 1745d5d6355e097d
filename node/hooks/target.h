/* A target: what both kinds have. Private to node/hooks. */
#ifndef HW_NODE_HOOKS_TARGET_H
#define HW_NODE_HOOKS_TARGET_H

#include "common/net/http_client.h"
#include "node/hooks/item.h"
#include "node/hooks/metrics.h"
#include "node/hooks/notify.h"
#include "node/token.h"

struct node;

#define HOOK_ANSWER_BYTES 16384u
#define HOOK_ERROR_SIZE 128

struct hook_target {
    struct node *node;
    unsigned index;
    struct hook_item item;
    uint32_t events; /* bits */
    char shown[HOOK_SHOWN_SIZE];
    const char *path;           /* into item.url, or "/" */
    struct node_tokens secrets; /* requests are signed with the first; "" = they are not */
    struct http_client *client;
    struct hook_metrics *metrics;
    struct notify notify; /* of HOOK_NOTIFY */
    bool is_failing;      /* said in the log, until it works again */
    int64_t said_us;      /* when that was */
    char last_error[HOOK_ERROR_SIZE];
    int64_t last_error_wall_us, last_ok_wall_us; /* 0 = never */
};

/* Takes what *item holds (and zeroes it), on failure too. E_INVAL, E_NOMEM with *error; then there
 * is nothing to fini. */
enum err hook_target_init(struct hook_target *t, struct node *node, unsigned index,
                          struct hook_item *item, struct conf_error *error);
void hook_target_fini(struct hook_target *t);
/* Reads the secret again. E_INVAL, E_NOMEM: it stays as it was. */
enum err hook_target_read_secret(struct hook_target *t, struct conf_error *error);
/* Posts a JSON text (borrowed), signed. event: what stands for {event} in the URL; trace: zeros =
 * of none. As http_client_send(). */
struct http_call *hook_target_post(struct hook_target *t, const char *event, const char *body,
                                   const struct trace_id *trace,
                                   void (*done)(void *arg, const struct http_reply *reply),
                                   void *arg);
/* How a request went. why = NULL: well. A run of failures is logged once. */
void hook_target_note(struct hook_target *t, const struct http_reply *reply, const char *why);
/* What is wrong with a reply whose status is not 2xx; NULL when nothing is. */
const char *hook_reply_fault(const struct http_reply *reply, char out[HOOK_ERROR_SIZE]);

#endif
