/* Messages between node and scheduler, JSON in both directions (Jansson). DESIGN "The cluster".
 * Unknown fields are ignored, wrong types are E_INVAL with the path in *error; every message
 * carries "v". Sans I/O. Strings in the structs are fixed arrays: a longer value is E_INVAL. */
#ifndef HW_PROTO_CLUSTER_CLUSTER_H
#define HW_PROTO_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/media/name.h"

#define CLUSTER_VERSION 1
#define CLUSTER_ID_SIZE 65 /* node id: 1-64 of [A-Za-z0-9._-] */
#define CLUSTER_URL_SIZE 256
#define CLUSTER_ZONE_SIZE 65
#define CLUSTER_REASON_SIZE 160
#define CLUSTER_MAX_UPSTREAMS 4
#define CLUSTER_MAX_STREAMS 100000 /* in one heartbeat or its answer; more is E_TOO_BIG */

struct cluster_error {
    char text[160]; /* "streams[3].epoch: expected a number, found a string" */
};

enum cluster_role { CLUSTER_ORIGIN, CLUSTER_EDGE, CLUSTER_BOTH };
enum cluster_node_state { CLUSTER_NODE_STARTING, CLUSTER_NODE_ACTIVE, CLUSTER_NODE_DRAINING };
extern const char *const k_cluster_roles[];       /* "origin", "edge", "both", NULL */
extern const char *const k_cluster_node_states[]; /* "starting", "active", "draining", NULL */

struct cluster_urls { /* "rtmp://host:port", "http://host:port", ""; no trailing slash */
    char rtmp[CLUSTER_URL_SIZE], http[CLUSTER_URL_SIZE], https[CLUSTER_URL_SIZE];
};
struct cluster_load {
    uint32_t n_publishers, n_viewers, n_relays, n_streams;
    uint64_t in_bps, out_bps;
    uint32_t cpu_permille;
};
enum cluster_stream_kind { CLUSTER_STREAM_OWNED, CLUSTER_STREAM_CARRIED };
struct cluster_stream {
    struct stream_name name;
    enum cluster_stream_kind kind; /* published here, or pulled from another node */
    uint64_t epoch;
    uint32_t n_viewers, n_children; /* people, and nodes that pull from here */
    uint32_t depth;                 /* 0 at the origin */
    char upstream[CLUSTER_ID_SIZE]; /* carried: node id of the parent, "" if foreign */
    bool removed;                   /* in a delta: the stream is gone from this node */
};
struct cluster_heartbeat {
    char node[CLUSTER_ID_SIZE]; /* from the path */
    uint64_t instance;          /* random at each start */
    uint64_t seq;
    bool full; /* streams is everything; else a delta on seq - 1 */
    enum cluster_role role;
    enum cluster_node_state state;
    char zone[CLUSTER_ZONE_SIZE];
    struct cluster_urls public_urls, internal_urls;
    uint64_t capacity_egress_bps; /* 0 = unknown */
    uint64_t highest_epoch;       /* ever seen by this node */
    struct cluster_load load;
    struct cluster_stream *streams; /* owned */
    size_t n_streams;
};
struct cluster_fenced { /* a stream that the node reports as its own, but another one owns */
    struct stream_name name;
    uint64_t epoch;              /* of the owner */
    char owner[CLUSTER_ID_SIZE]; /* "" when nobody owns it */
};
struct cluster_heartbeat_reply {
    uint32_t lease_ms;
    uint32_t interval_ms;
    bool want_full; /* sequence gap, new scheduler, or Redis was emptied */
    uint64_t highest_epoch;
    /* Streams that this node owns by its own report but not any more: close the publisher. */
    struct cluster_fenced *fenced; /* owned */
    size_t n_fenced;
};
/* JSON numbers above 2^53 are strings in both directions: instance and epochs always travel as
 * strings. */
enum err cluster_heartbeat_encode(const struct cluster_heartbeat *m, struct buf_writer *out);
enum err cluster_heartbeat_decode(struct buf_view json, struct cluster_heartbeat *out,
                                  struct cluster_error *error);
void cluster_heartbeat_fini(struct cluster_heartbeat *m);
enum err cluster_heartbeat_reply_encode(const struct cluster_heartbeat_reply *m,
                                        struct buf_writer *out);
enum err cluster_heartbeat_reply_decode(struct buf_view json, struct cluster_heartbeat_reply *out,
                                        struct cluster_error *error);
void cluster_heartbeat_reply_fini(struct cluster_heartbeat_reply *m);

/* POST /v1/streams/{app}/{name}/publish */
struct cluster_publish {
    struct stream_name name; /* from the path */
    char node[CLUSTER_ID_SIZE];
    uint64_t instance;
    uint64_t highest_epoch;
    bool takeover;   /* the node's duplicate policy for this app */
    uint64_t epoch;  /* DELETE only: the one to give up */
    char client[64]; /* address of the encoder, for people */
};
enum cluster_publish_decision {
    CLUSTER_PUBLISH_GRANTED,
    CLUSTER_PUBLISH_FORWARD,
    CLUSTER_PUBLISH_REFUSED
};
struct cluster_publish_reply {
    enum cluster_publish_decision decision;
    uint64_t epoch;
    uint32_t lease_ms;
    char origin[CLUSTER_ID_SIZE]; /* forward: where to, or who owns it */
    char origin_rtmp[CLUSTER_URL_SIZE];
    char reason[CLUSTER_REASON_SIZE];
};
enum err cluster_publish_encode(const struct cluster_publish *m, struct buf_writer *out);
enum err cluster_publish_decode(struct buf_view json, struct cluster_publish *out,
                                struct cluster_error *error);
enum err cluster_publish_reply_encode(const struct cluster_publish_reply *m,
                                      struct buf_writer *out);
enum err cluster_publish_reply_decode(struct buf_view json, struct cluster_publish_reply *out,
                                      struct cluster_error *error);

/* GET /v1/route */
enum cluster_intent { CLUSTER_INTENT_PLAY, CLUSTER_INTENT_SOURCE, CLUSTER_INTENT_PUBLISH };
enum cluster_decision { CLUSTER_SERVE, CLUSTER_PULL, CLUSTER_REDIRECT, CLUSTER_WAIT, CLUSTER_DENY };
extern const char *const k_cluster_intents[]; /* "play", "source", "publish", NULL */
extern const char
    *const k_cluster_decisions[]; /* "serve", "pull", "redirect", "wait", "deny", NULL */
struct cluster_route_query {
    struct stream_name name;
    char protocol[16]; /* "rtmp", "flv", ... */
    enum cluster_intent intent;
    char node[CLUSTER_ID_SIZE]; /* who asks; "" for a person */
    char client_ip[64];
    char avoid[CLUSTER_MAX_UPSTREAMS][CLUSTER_ID_SIZE]; /* upstreams that just failed */
    unsigned n_avoid;
    uint64_t have_epoch;
};
struct cluster_upstream {
    char node[CLUSTER_ID_SIZE];
    char url[CLUSTER_URL_SIZE]; /* base of its internal HTTP: "http://10.0.0.1:8080" */
    uint64_t epoch;
    uint32_t depth;
};
struct cluster_route {
    enum cluster_decision decision;
    struct cluster_upstream upstreams[CLUSTER_MAX_UPSTREAMS];
    unsigned n_upstreams;
    char redirect_url[2 * CLUSTER_URL_SIZE]; /* whole, without query */
    uint32_t ttl_ms;
    char reason[CLUSTER_REASON_SIZE];
};
/* "/v1/route?stream=...", percent-encoded. */
enum err cluster_route_query_encode(const struct cluster_route_query *q, struct buf_writer *out);
enum err cluster_route_query_decode(struct buf_view query, struct cluster_route_query *out,
                                    struct cluster_error *error);
enum err cluster_route_encode(const struct cluster_route *m, struct buf_writer *out);
enum err cluster_route_decode(struct buf_view json, struct cluster_route *out,
                              struct cluster_error *error);

/* GET /v1/nodes/{id}/events: one JSON object a line; {"v":1,"type":"ping"} every 5 s. */
enum cluster_event_type {
    CLUSTER_EVENT_PING,
    CLUSTER_EVENT_PUBLISHED, /* stream has an owner now (new, or moved): name, epoch, node */
    CLUSTER_EVENT_ENDED,     /* stream has no owner any more */
    CLUSTER_EVENT_FENCED,    /* to the old owner: close your publisher; node = new owner */
    CLUSTER_EVENT_KICK,      /* close publisher and viewers of the stream here */
    CLUSTER_EVENT_UNKNOWN    /* a newer scheduler's: ignore */
};
struct cluster_event {
    enum cluster_event_type type;
    struct stream_name name;
    uint64_t epoch;
    char node[CLUSTER_ID_SIZE];
};
enum err cluster_event_encode(const struct cluster_event *m,
                              struct buf_writer *out); /* with newline */
enum err cluster_event_decode(struct buf_view json, struct cluster_event *out,
                              struct cluster_error *error);

/* 1-64 bytes of [A-Za-z0-9._-]. */
bool cluster_id_is_valid(const char *id);

#endif
