/* The inside of the agent, for the files of this room. Everything runs on the control loop unless
 * said otherwise. */
#ifndef HW_NODE_CLUSTER_AGENT_PRIVATE_H
#define HW_NODE_CLUSTER_AGENT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/net/http_client.h"
#include "node/cluster/agent.h"
#include "node/cluster/beat.h"
#include "node/cluster/route_cache.h"
#include "node/control/load.h"
#include "node/node.h"

#define ASK_DEADLINE_MS 1000 /* a publisher or viewer is waiting */
#define ASK_SERVER_MS 600    /* one scheduler of several */
#define BEAT_TIMEOUT_MS 2000
#define BEAT_INTERVAL_MS 1000 /* until the scheduler says otherwise */
#define BEAT_MIN_GAP_MS 50    /* however often the agent is poked */
#define ANSWER_MAX_BYTES 65536
#define BEAT_ANSWER_MAX_BYTES (16u << 20)
#define SETTINGS_MAX_BYTES (16u << 20) /* CLUSTER_PART_SETTINGS of the longest, either way */

enum agent_link {
    LINK_UNKNOWN, /* no heartbeat has ended yet */
    LINK_UP,      /* the last heartbeat was acknowledged */
    LINK_DOWN,    /* nobody answered it */
    LINK_REFUSED  /* a scheduler is there, and does not want this node */
};

struct beat; /* the heartbeat under way; agent_beat.c */

struct agent_settings { /* agent_settings.c */
    struct http_client *client;
    struct http_call *call;        /* the one under way */
    struct cluster_settings batch; /* of a POST under way */
    uint64_t run, seq;             /* of the scheduler, up to where this node has its settings */
    bool is_known;                 /* the scheduler has settings */
    bool wants_sync, wants_round, in_round;
    bool is_behind; /* something could not be brought: with the next heartbeat */
};

struct agent {
    struct node *node;
    char id[CLUSTER_ID_SIZE]; /* to schedulers; node->id differs in a process that was replaced */
    /* A long heartbeat never delays a question, nor a flood of viewers' questions a publish. */
    struct http_client *beat_client, *ask_client, *publish_client;
    char server[CLUSTER_URL_SIZE]; /* acknowledged the last heartbeat; "" before the first one */
    struct http_client *look_client;
    struct http_call *look; /* for the first scheduler of the list, while it is another one */
    struct timer look_timer;
    struct cluster_urls public_urls, internal_urls;
    char admin_url[CLUSTER_URL_SIZE]; /* "" = schedulers do not reach it */
    uint64_t highest_epoch;           /* ever seen */
    enum agent_link link;
    _Atomic bool is_connected; /* link == LINK_UP, for other threads */
    pthread_mutex_t refusal_lock;
    char refusal[AGENT_REFUSAL_SIZE]; /* LINK_REFUSED: why; else "" */

    struct beat_book book;
    struct beat *beat;
    bool beat_again;    /* something changed while one was under way */
    bool said_draining; /* in the last one that was acknowledged */
    int64_t beat_interval_ms, beat_started_us;
    struct timer beat_timer;
    struct node_load sample; /* for rates between two heartbeats */
    _Atomic bool is_poked;
    struct loop_msg poke_msg; /* posted while is_poked */

    struct http_lines *lines;
    struct timer events_timer; /* reconnect; while connected: silence */
    int64_t events_backoff_ms;
    struct list leavings; /* walks over the media loops, under way */

    struct map
        queues; /* stream name -> struct name_queue, owned: publishes and releases in order */
    struct list held_ops; /* they wait for the heartbeat under way */

    struct agent_settings settings;

    struct route_cache routes;
    struct list flights; /* route questions under way */
    struct timer sweep_timer;
};

/* agent.c */
void agent_note_epoch(struct agent *agent, uint64_t epoch);
void agent_set_link(struct agent *agent, enum agent_link link, const char *server, const char *why);
/* Why a call is no answer: "timed out", "status 401: bad token", ... */
#define PROBLEM_SIZE 140
const char *agent_reply_problem(const struct http_reply *reply, char text[PROBLEM_SIZE]);
/* A scheduler is there and says no. */
static inline bool agent_reply_refuses(const struct http_reply *reply)
{
    return reply->e == E_OK && reply->status >= 400 && reply->status < 500;
}

/* agent_beat.c */
void agent_beat_init(struct agent *agent);
void agent_beat_fini(struct agent *agent);
void agent_beat_soon(struct agent *agent, int64_t delay_ms);

/* agent_events.c */
void agent_events_init(struct agent *agent);
void agent_events_fini(struct agent *agent);
/* A heartbeat was acknowledged: connect, if not done; at once when it is the first one in a while.
 */
void agent_events_want(struct agent *agent, bool recovered);
/* Another scheduler acknowledged: from now on it is the one to listen to. */
void agent_events_move(struct agent *agent);

/* agent_return.c */
void agent_return_init(struct agent *agent);
void agent_return_fini(struct agent *agent);
/* server acknowledged a heartbeat: questions go there, too. */
void agent_return_on_beat(struct agent *agent, const char *server);

/* agent_orders.c: what schedulers say, by event or in the answer to a heartbeat. */
void agent_orders_init(struct agent *agent);
void agent_orders_fini(struct agent *agent);
void agent_on_event(struct agent *agent, const struct cluster_event *event);
void agent_on_beat_reply(struct agent *agent, const struct cluster_heartbeat_reply *reply);

/* agent_settings.c */
void agent_settings_init(struct agent *agent);
void agent_settings_fini(struct agent *agent);
void agent_settings_on_beat(struct agent *agent, const struct cluster_heartbeat_reply *reply,
                            const char *server);
void agent_settings_on_event(struct agent *agent);

/* agent_publish.c */
void agent_publish_init(struct agent *agent);
void agent_publish_fini(struct agent *agent);
void agent_publish_ask(struct agent *agent, struct agent_ask *ask);
void agent_publish_release(struct agent *agent, const struct stream_name *name, uint64_t epoch);
/* A heartbeat has ended: what waited for it goes on. */
void agent_publish_beat_ended(struct agent *agent);

/* agent_route.c */
void agent_route_init(struct agent *agent);
void agent_route_fini(struct agent *agent);
void agent_route_ask(struct agent *agent, struct agent_ask *ask);

/* Posts done() to the asker's loop. ask is the asker's again. */
void agent_answer(struct agent_ask *ask);
/* The node ends before the answer: the asker, whose session is gone, may free it. */
void agent_abandon(struct agent_ask *ask);

#endif
