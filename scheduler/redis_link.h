/* One connection to Redis or to a Sentinel that keeps itself alive: resolves, connects,
 * authenticates, asks for the role, reconnects with jittered back-off. hiredis 0.14 on the loop's
 * libevent base has no time-outs of its own and looks names up in the loop, so both are done here.
 * A connection that ends takes back what was not delivered: nothing arrives late. Loop thread. */
#ifndef HW_SCHEDULER_REDIS_LINK_H
#define HW_SCHEDULER_REDIS_LINK_H

#include <hiredis/hiredis.h>

#include "common/net/loop.h"

struct redis_target {
    char host[256]; /* "" when unix_path is set */
    unsigned port;
    char unix_path[128];
    char user[128], password[256]; /* "" = none */
    unsigned database;
};
/* Fills host, port, unix_path, user and database. E_INVAL with *why (static). */
enum err redis_target_parse(const char *url, struct redis_target *out, const char **why);

struct redis_link_conf {
    struct loop *loop;
    const struct redis_target *target; /* borrowed for the life of the link; read at each attempt */
    const char *role;                  /* static: what ROLE must answer; another peer is left */
    int64_t connect_timeout_ms;
    int64_t command_timeout_ms; /* longest silence while an answer is due */
    int64_t retry_ms;           /* doubled up to 4 times of it; 0: redis_link_restart() alone */
    const char *name;           /* static, for logs; NULL: on_failed() logs */
    void (*on_up)(void *arg);
    void (*on_down)(void *arg); /* after every on_up() */
    /* An attempt or a connection failed, after on_down(): the next one may go elsewhere. May be
     * NULL. why is lent during the call. */
    void (*on_failed)(void *arg, const char *why);
    void *arg;
};

struct redis_link; /* opaque */

/* NULL when out of memory. Connects from the next turn on, if the target is an address by then:
 * without one (host and unix_path "") it waits for redis_link_restart(). */
struct redis_link *redis_link_create(const struct redis_link_conf *conf);
/* Takes *link. Answers that are due are given as NULL. */
void redis_link_destroy(struct redis_link **link);
bool redis_link_is_up(const struct redis_link *link);
/* Gives up what is open and stays so until redis_link_restart(). on_down(), never on_failed(). */
void redis_link_stop(struct redis_link *link);
/* The same, and a new attempt from the next turn on: the target changed. */
void redis_link_restart(struct redis_link *link);

/* reply is lent during the call; NULL when the connection went away first. */
typedef void redis_link_done(void *arg, const redisReply *reply);

/* Sends a command in the format of hiredis (%s, %b, %lld). done may be NULL. False when it was not
 * sent: done is not called then. */
bool redis_link_command(struct redis_link *link, redis_link_done *done, void *arg,
                        const char *format, ...);
/* The same for a list of words. */
bool redis_link_command_argv(struct redis_link *link, redis_link_done *done, void *arg, int n_words,
                             const char **words);
/* Redis refused a command: an ACL, no memory left, too few replicas. Said once while the link is
 * up; commands without done() do so by themselves. reply is an error. */
void redis_link_note_refusal(struct redis_link *link, const redisReply *reply);
/* From here on the connection is for what is said on that channel; done gets each message, never
 * NULL. One channel a link, after each on_up(). */
bool redis_link_subscribe(struct redis_link *link, redis_link_done *done, void *arg,
                          const char *channel);

#endif
