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
#define CLUSTER_PART_STREAMS 500   /* in a part of a full report: some 3 ms of a scheduler */
#define CLUSTER_WEIGHT_DEFAULT 100

struct cluster_ids { /* of nodes */
    char id[CLUSTER_MAX_UPSTREAMS][CLUSTER_ID_SIZE];
    unsigned n;
};
bool cluster_ids_hold(const struct cluster_ids *ids, const char *id);

struct cluster_error {
    char text[160]; /* "streams[3].epoch: expected a number, found a string" */
};

enum cluster_role { CLUSTER_ORIGIN, CLUSTER_EDGE, CLUSTER_BOTH };
enum cluster_node_state { CLUSTER_NODE_STARTING, CLUSTER_NODE_ACTIVE, CLUSTER_NODE_DRAINING };
extern const char *const k_cluster_roles[];       /* "origin", "edge", "both", NULL */
extern const char *const k_cluster_node_states[]; /* "starting", "active", "draining", NULL */

struct cluster_urls { /* "rtmp://host:port", "http://host:port", ""; no trailing slash */
    char rtmp[CLUSTER_URL_SIZE], http[CLUSTER_URL_SIZE];
    char rtmps[CLUSTER_URL_SIZE], https[CLUSTER_URL_SIZE];
};
/* Where to connect by HTTP: over TLS when who connects can do that, and it is offered. */
const char *cluster_urls_http(const struct cluster_urls *urls, bool tls);
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
    uint64_t run; /* owned: of the encoder's session, so that a restarted scheduler knows it */
    bool removed; /* in a delta: the stream is gone from this node */
};
struct cluster_standby { /* a publisher held ready for when the owner of its stream fails */
    struct stream_name name;
};
/* A full report of many streams comes in parts, one heartbeat each, with sequence numbers that run
 * on: part 0, 1, ... all full, all but the last with more. What no part names is gone. A scheduler
 * of version 1 without parts would take each part for everything: nodes send parts only to those
 * whose answers say "parts". */
struct cluster_heartbeat {
    char node[CLUSTER_ID_SIZE]; /* from the path */
    uint64_t instance;          /* random at each start */
    uint64_t replaces;          /* the instance that this one was started beside; 0 = none */
    uint64_t seq;
    bool full; /* streams is everything; else a delta on seq - 1 */
    uint32_t part;
    bool more;
    enum cluster_role role;
    enum cluster_node_state state;
    char zone[CLUSTER_ZONE_SIZE];
    struct cluster_urls public_urls, internal_urls;
    char admin_url[CLUSTER_URL_SIZE]; /* where schedulers reach its admin.listen; "" = nowhere */
    uint64_t capacity_egress_bps;     /* 0 = unknown */
    uint32_t max_viewers;             /* that it admits; 0 = no limit */
    uint32_t weight;                  /* share of new work, relative to others; 0 counts as 100 */
    uint64_t highest_epoch;           /* ever seen by this node */
    uint64_t owned_sum; /* of all that it owns now, named below or not (names.c); 0 = not said */
    struct cluster_load load;
    struct cluster_stream *streams; /* owned */
    size_t n_streams;
    struct cluster_standby *standbys; /* owned; all of them, in every heartbeat but parts above 0 */
    size_t n_standbys;
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
    /* Streams that it carries at an epoch that is not the owner's any more: what an events
     * connection may have missed. */
    struct cluster_fenced *moved; /* owned */
    size_t n_moved;
    bool drain; /* the operator wants this node empty; only RESUME takes it back */
    bool parts; /* full reports may come in parts */
    uint64_t settings_run, settings_seq; /* how far its settings are; run 0: it has none */
};
/* A sum of streams and epochs, in any order: who counts the same has the same. Adds one to it, or
 * takes it out again. */
#define CLUSTER_SUM_OF_NONE 1u
uint64_t cluster_sum_toggle(uint64_t sum, const struct stream_name *name, uint64_t epoch);

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

/* What becomes of a second publisher while the first one lives. */
enum cluster_duplicate {
    CLUSTER_DUPLICATE_REFUSE,
    CLUSTER_DUPLICATE_TAKEOVER, /* the second one gets the stream */
    CLUSTER_DUPLICATE_STANDBY   /* it is held ready, and gets the stream when the first one fails */
};
extern const char *const k_cluster_duplicates[]; /* "refuse", "takeover", "standby", NULL */

/* POST /v1/streams/{app}/{name}/publish */
struct cluster_publish {
    struct stream_name name; /* from the path */
    char node[CLUSTER_ID_SIZE];
    uint64_t instance;
    enum cluster_role role; /* the node may not have reported to this scheduler yet */
    uint64_t highest_epoch;
    enum cluster_duplicate duplicate; /* the node's policy for this app */
    bool takeover;                    /* private: the same for version 1 before "duplicate" */
    uint64_t run; /* of the encoder's session, the same wherever it is forwarded to; 0 = unknown */
    struct cluster_ids avoid; /* origins that just failed for an edge */
    uint64_t epoch;           /* DELETE only: the one to give up */
    char client[64];          /* address of the encoder, for people */
    bool tls;                 /* an origin may be named by https */
};
enum cluster_publish_decision {
    CLUSTER_PUBLISH_GRANTED,
    CLUSTER_PUBLISH_FORWARD,
    CLUSTER_PUBLISH_REFUSED,
    CLUSTER_PUBLISH_STANDBY /* only for those who asked with that policy; PROMOTE may follow */
};
struct cluster_publish_reply {
    enum cluster_publish_decision decision;
    uint64_t epoch;
    uint32_t lease_ms;
    char origin[CLUSTER_ID_SIZE]; /* forward: where to; refused, standby: who owns it */
    char origin_rtmp[CLUSTER_URL_SIZE];
    char origin_http[CLUSTER_URL_SIZE]; /* forward: base of its internal HTTP */
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
    struct cluster_ids avoid; /* upstreams that just failed */
    uint64_t have_epoch;
    bool tls;     /* people: only by rtmps and https; nodes: by https where it is offered */
    bool explain; /* for people: why each candidate was taken or left; nothing is counted */
};
struct cluster_upstream {
    char node[CLUSTER_ID_SIZE];
    char url[CLUSTER_URL_SIZE]; /* base of its internal HTTP: "http://10.0.0.1:8080", or https */
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
    /* explain: raw JSON array for people, lent; nodes never read it. Empty = none */
    struct buf_view candidates_json;
};
/* "/v1/route?stream=...", percent-encoded. */
enum err cluster_route_query_encode(const struct cluster_route_query *q, struct buf_writer *out);
enum err cluster_route_query_decode(struct buf_view query, struct cluster_route_query *out,
                                    struct cluster_error *error);
enum err cluster_route_encode(const struct cluster_route *m, struct buf_writer *out);
enum err cluster_route_decode(struct buf_view json, struct cluster_route *out,
                              struct cluster_error *error);

/* GET and POST /v1/settings, and a node's state file. What operators told: (kind, id) -> an item of
 * JSON, or nothing any more. Of two writers the higher version counts, then the higher origin, so
 * whoever has heard of both has the same. A version is the writer's clock in microseconds, or one
 * more than the highest that it has seen. */
#define CLUSTER_KIND_SIZE 33
#define CLUSTER_MAX_ITEM_BYTES 16384
#define CLUSTER_MAX_SETTINGS 100000 /* in a message */
#define CLUSTER_PART_SETTINGS 250   /* in an answer; more follows */
#define CLUSTER_MAX_VERSION ((uint64_t)1 << 53)
struct cluster_setting {
    char kind[CLUSTER_KIND_SIZE]; /* 1-32 of [a-z0-9/-]; of a newer release, too */
    char id[STREAM_NAME_SIZE];
    uint64_t version;
    char origin[CLUSTER_ID_SIZE]; /* the node where it was told */
    char *item;                   /* owned JSON text of an object; NULL: removed */
};
struct cluster_settings {
    uint64_t run; /* of the scheduler, random at its start: seq counts within it */
    uint64_t seq; /* of the last change in here; ask for what comes after it */
    bool more;    /* there is more after it */
    struct cluster_setting *settings; /* owned */
    size_t n_settings;
};
enum err cluster_settings_encode(const struct cluster_settings *m, struct buf_writer *out);
/* The same piece by piece; what m says of settings is not looked at. */
void cluster_settings_begin(const struct cluster_settings *m, struct buf_writer *out);
void cluster_settings_add(const struct cluster_setting *setting, bool first,
                          struct buf_writer *out);
void cluster_settings_end(struct buf_writer *out);
enum err cluster_settings_decode(struct buf_view json, struct cluster_settings *out,
                                 struct cluster_error *error);
void cluster_settings_fini(struct cluster_settings *m);
bool cluster_setting_is_newer(uint64_t version, const char *origin, uint64_t than,
                              const char *than_origin);
bool cluster_kind_is_valid(const char *kind);

/* GET /v1/nodes/{id}/events: one JSON object a line; {"v":1,"type":"ping"} every 5 s. */
enum cluster_event_type {
    CLUSTER_EVENT_PING,
    CLUSTER_EVENT_PUBLISHED, /* stream has an owner now (new, or moved): name, epoch, node */
    CLUSTER_EVENT_ENDED,     /* stream has no owner any more */
    CLUSTER_EVENT_FENCED,    /* to the old owner: close your publisher; node = new owner */
    CLUSTER_EVENT_KICK,      /* close publisher and viewers of the stream here */
    CLUSTER_EVENT_PROMOTE,   /* to a node with a standby: it owns the stream now, with this epoch */
    CLUSTER_EVENT_LEAVING,   /* node is about to leave: pull and forward elsewhere first */
    CLUSTER_EVENT_DRAIN,     /* to the node itself: take no new work, leave when empty */
    CLUSTER_EVENT_RESUME,    /* to the node itself: the drain is taken back */
    CLUSTER_EVENT_SUSPECT,   /* between schedulers: node may be gone, ask it */
    CLUSTER_EVENT_RECOUNT,   /* between schedulers: say again what node owns */
    CLUSTER_EVENT_SETTINGS,  /* something was told: ask for it */
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
