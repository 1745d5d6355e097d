/* Who is let in: limits on viewers, publishers and what they get, of one address, a stream, an app,
 * and the node. Those who are in stay; limits of bandwidth keep further viewers away and shape
 * nothing, but for a publisher that sends more than it may: it is closed. Streams that other nodes
 * bring or fetch are not asked about: the node that the client came to has asked. */
#ifndef HW_NODE_SESSION_ADMISSION_H
#define HW_NODE_SESSION_ADMISSION_H

#include "common/net/loop.h"
#include "node/access/app_items.h"
#include "node/session/admission_counts.h"
#include "node/stream/media_loop.h"

struct node;
struct node_conf;

enum admission_kind { ADMISSION_VIEWER, ADMISSION_HLS_VIEWER, ADMISSION_PUBLISHER };

#define ADMISSION_N_RULES 16 /* at least as many as admission.c has */

struct admission { /* in struct node */
    struct admission_counts counts;
    _Atomic uint64_t n_viewers;    /* people let in: waiting or playing */
    _Atomic uint64_t n_publishers; /* likewise */
    _Atomic uint64_t egress_bps;   /* as last measured; 0 = unknown */
    _Atomic bool has_own_limits;   /* of some publisher: admission_note_own_limit() */
    _Atomic int64_t last_refused_us[ADMISSION_N_RULES]; /* one log line a burst of refusals */
    struct timer timer;
    int64_t measured_us;
    uint64_t sent_bytes;         /* by the node, at that time */
    struct measuring *measuring; /* owned; NULL: no loop is asked */
};

struct admission_ask {
    enum admission_kind kind;
    const struct addr *addr; /* of the client */
    const struct stream_name *name;
};

struct admission_refusal {
    const char *why;        /* static, with the key of the limit */
    uint64_t limit;         /* 0 = it is none */
    unsigned status;        /* 429: this client has enough; 503: all have */
    unsigned retry_after_s; /* with 429 */
    char text[192];         /* why, and the limit */
};

/* May one more come? True: the pass (not in yet) is in until admission_give(), wherever it is
 * moved. False: *no says why; counted, and logged once a burst. Any loop. */
bool admission_take(struct node *node, const struct admission_ask *ask, struct pass *pass,
                    struct admission_refusal *no);
/* Before a connection that was its proxy's becomes the client's own: may it have one more? */
bool admission_may_take_conn(struct node *node, const struct admission_ask *ask,
                             struct admission_refusal *no);
/* The session ends: *pass is out. Fine when it was not in. */
void admission_give(struct node *node, struct pass *pass);

/* From now on some publisher has a limit of its own (session_counts.max_in_bps). Any thread. */
void admission_note_own_limit(struct node *node);

/* limits.apps. E_INVAL with *error. */
enum err admission_read_apps(const struct node_conf *conf, struct app_items *out,
                             struct conf_error *error);
void admission_init(struct node *node);
/* Loops have ended, all sessions with them. */
void admission_fini(struct node *node);
/* Measures once a second from here on, what limits there are for. Control loop. */
void admission_start(struct node *node);
void admission_stop(struct node *node);

#endif
