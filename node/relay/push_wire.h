/* What a forwarding edge and its origin say to each other over HTTP; both sides' words are here.
 * Sans I/O.
 *
 * The edge: POST /{app}/{name}.flv with the node token, the encoder's run, its own id and the
 * encoder's address; "Expect: 100-continue". The body is the relay format of the stream (FLV with
 * @hw tags). Its pages are shared with other receivers, so there is no room for chunk sizes between
 * them: its length is announced as the longest there is, and the connection ends it.
 *
 * The origin answers, any number of them, the last one for good:
 *   100 Continue    granted, with the epoch: media may come
 *   102 Processing  before that: the encoder is held ready, 100 follows when its turn has come;
 *                   every PUSH_BEAT_MS from then on: this node lives (a frozen process keeps its
 *                   sockets, and the kernel goes on taking bytes for it)
 *   4xx, 5xx        refused, or over: a problem (RFC 9457) whose detail says why */
#ifndef HW_NODE_RELAY_PUSH_WIRE_H
#define HW_NODE_RELAY_PUSH_WIRE_H

#include "proto/cluster/cluster.h"
#include "proto/http/http.h"

#define PUSH_BEAT_MS 500

#define PUSH_FORWARD_HEADER "X-Headwater-Forward" /* "<edge's node id>,<encoder's address>" */
#define PUSH_RUN_HEADER "X-Headwater-Run"
#define PUSH_EPOCH_HEADER "X-Headwater-Epoch"
#define PUSH_CLOCK_HEADER "X-Headwater-Clock" /* the edge's internal HTTP, which has its clock */

struct push_request {
    char edge[CLUSTER_ID_SIZE];
    char client[64];
    uint64_t run;
    const char *clock_url; /* written, not read; lent. NULL = not said */
};

/* --- the edge's side --- */

struct push_target {
    const struct stream_name *name;
    struct buf_view host; /* without brackets */
    unsigned port;
    const char *token; /* "" = none */
};
void push_write_request(struct buf_writer *out, const struct push_target *target,
                        const struct push_request *request);

struct push_answer {
    unsigned status;
    uint64_t epoch;                   /* 100 */
    char detail[CLUSTER_REASON_SIZE]; /* of a final answer; "" if it gives none */
};
struct push_answers {
    struct buf_writer kept; /* not understood yet */
};
void push_answers_init(struct push_answers *a);
void push_answers_fini(struct push_answers *a);
/* E_OK; E_TOO_BIG, E_NOMEM. */
enum err push_answers_add(struct push_answers *a, struct buf_view bytes);
/* E_OK the next answer; E_AGAIN more bytes are needed; E_PROTO no HTTP. */
enum err push_answers_next(struct push_answers *a, struct push_answer *out);

/* --- the origin's side --- */

/* Values of the two headers; run may be NULL (an edge that has none). E_INVAL. */
enum err push_read_request(const char *forward, const char *run, struct push_request *out);
void push_write_continue(struct buf_writer *out, uint64_t epoch);
void push_write_beat(struct buf_writer *out);
/* A final answer: a problem, or without text when status is 200. fields are whole lines of its
 * head, or "". */
void push_write_final(struct buf_writer *out, unsigned status, const char *fields,
                      const char *detail);

#endif
