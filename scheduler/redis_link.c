/* A connection to Redis that keeps itself alive. */
#include "scheduler/redis_link.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>

#include "common/base/log.h"
#include "common/net/addr.h"
#include "proto/http/http.h"
#include "scheduler/stats.h"

#define MAX_BACKOFF_SHIFT 2 /* schedulers are few, and all state waits for the return of Redis */

enum link_state {
    LINK_WAITING,    /* the retry timer runs, or the owner says when */
    LINK_RESOLVING,  /* a look-up is under way */
    LINK_CONNECTING, /* connecting, or the first answers are due */
    LINK_UP
};

struct redis_link {
    struct redis_link_conf conf;
    enum link_state state;
    redisAsyncContext *ac; /* owned; freed by hiredis when it breaks */
    struct net_resolve *resolve;
    struct timer retry;    /* LINK_WAITING */
    struct timer deadline; /* connect, then answers */
    unsigned n_failures;
    unsigned n_due;              /* commands without an answer */
    bool said_down;              /* one log line an outage */
    bool said_refused;           /* one log line a connection */
    redis_link_done *on_message; /* of the channel */
    void *message_arg;
};

struct pending { /* one command */
    struct redis_link *link;
    redis_link_done *done;
    void *arg;
};

enum err redis_target_parse(const char *url, struct redis_target *out, const char **why)
{
    struct redis_target t = {.port = 6379};
    struct url parts;
    char database[12] = "";

    *why = "expected redis://[user@]host[:port][/database] or unix:///path";
    if (strncmp(url, "unix:///", 8) == 0) {
        if (!buf_view_to_str(buf_view_str(url + 7), t.unix_path, sizeof t.unix_path))
            return E_INVAL;
        *out = t;
        return E_OK;
    }
    if (url_parse(buf_view_str(url), &parts) != E_OK || !buf_view_equals(parts.scheme, "redis") ||
        parts.host.size_bytes == 0)
        return E_INVAL;
    if (parts.password.size_bytes) {
        *why = "the password belongs in store.redis.password_file";
        return E_INVAL;
    }
    if (parts.port)
        t.port = parts.port;
    if (!buf_view_to_str(parts.host, t.host, sizeof t.host) ||
        !buf_view_to_str(parts.user, t.user, sizeof t.user) ||
        !buf_view_to_str(parts.path, database, sizeof database))
        return E_INVAL;
    if (database[0] && database[1]) {
        if (strspn(database + 1, "0123456789") != strlen(database + 1))
            return E_INVAL;
        t.database = (unsigned)strtoul(database + 1, NULL, 10);
    }
    *out = t;
    return E_OK;
}

static void wait_and_retry(struct redis_link *link)
{
    unsigned shift = link->n_failures < MAX_BACKOFF_SHIFT ? link->n_failures : MAX_BACKOFF_SHIFT;

    link->state = LINK_WAITING;
    link->n_failures++;
    timer_stop(&link->deadline);
    if (link->conf.retry_ms)
        timer_start_ms(&link->retry, jitter_ms(link->conf.retry_ms << shift, 0.5));
}

#define PLACE_SIZE 280

/* For logs: host:port, or the path of the socket. */
static const char *place_of(const struct redis_link *link, char out[PLACE_SIZE])
{
    const struct redis_target *t = link->conf.target;

    if (*t->unix_path)
        snprintf(out, PLACE_SIZE, "%s", t->unix_path);
    else
        snprintf(out, PLACE_SIZE, strchr(t->host, ':') ? "[%s]:%u" : "%s:%u", t->host, t->port);
    return out;
}

/* The connection is gone or of no use. It is not freed here. */
static void went_down(struct redis_link *link, const char *why)
{
    bool was_up = link->state == LINK_UP;
    char place[PLACE_SIZE];

    link->ac = NULL;
    if (!link->said_down && link->conf.name)
        log_warn("redis", "msg=\"redis away\" link=%s server=%s reason=%s", link->conf.name,
                 LOG_STR(place_of(link, place)), LOG_STR(why));
    link->said_down = true;
    wait_and_retry(link);
    if (was_up)
        link->conf.on_down(link->conf.arg);
    if (link->conf.on_failed)
        link->conf.on_failed(link->conf.arg, why);
}

/* Gives the connection up. */
static void drop(struct redis_link *link, const char *why)
{
    redisAsyncContext *ac = link->ac;

    went_down(link, why);
    if (ac) {
        ac->data = NULL;
        redisAsyncFree(ac); /* answers that are due come as NULL */
    }
}

void redis_link_note_refusal(struct redis_link *link, const redisReply *reply)
{
    char place[PLACE_SIZE];

    if (!link->said_refused)
        log_warn("redis", "msg=\"redis refuses commands\" link=%s server=%s reason=%s",
                 link->conf.name, LOG_STR(place_of(link, place)), LOG_STR(reply->str));
    link->said_refused = true;
}

/* From a script, Redis before 7 puts words of its own in front. */
static bool is_read_only(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "READONLY ");
}

static void on_reply(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct pending *p = privdata;
    struct redis_link *link = p->link;
    const redisReply *r = reply;

    link->n_due--;
    if (reply && link->n_due)
        timer_start_ms(&link->deadline, link->conf.command_timeout_ms);
    else if (reply)
        timer_stop(&link->deadline);
    if (p->done)
        p->done(p->arg, reply);
    else if (r && r->type == REDIS_REPLY_ERROR)
        redis_link_note_refusal(link, r);
    free(p);
    if (r && is_read_only(r) && link->ac == ac)
        drop(link, "it became a replica");
}

/* Takes p, also on failure. */
static bool was_sent(struct pending *p, int status)
{
    struct redis_link *link = p->link;

    if (status != REDIS_OK) {
        free(p);
        return false;
    }
    stats_count(STAT_REDIS_COMMANDS);
    if (link->n_due++ == 0 && link->state == LINK_UP)
        timer_start_ms(&link->deadline, link->conf.command_timeout_ms);
    return true;
}

static bool send_command(struct redis_link *link, redis_link_done *done, void *arg,
                         const char *format, va_list args)
{
    struct pending *p = malloc(sizeof *p);

    if (!p)
        return false;
    *p = (struct pending){link, done, arg};
    return was_sent(p, redisvAsyncCommand(link->ac, on_reply, p, format, args));
}

bool redis_link_command(struct redis_link *link, redis_link_done *done, void *arg,
                        const char *format, ...)
{
    va_list args;
    bool sent;

    if (link->state != LINK_UP)
        return false;
    va_start(args, format);
    sent = send_command(link, done, arg, format, args);
    va_end(args);
    return sent;
}

bool redis_link_command_argv(struct redis_link *link, redis_link_done *done, void *arg, int n_words,
                             const char **words)
{
    struct pending *p = link->state == LINK_UP ? malloc(sizeof *p) : NULL;

    if (!p)
        return false;
    *p = (struct pending){link, done, arg};
    return was_sent(p, redisAsyncCommandArgv(link->ac, on_reply, p, n_words, words, NULL));
}

static void on_push(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis_link *link = privdata;

    if (reply && link->ac == ac) /* NULL: the connection ends */
        link->on_message(link->message_arg, reply);
}

bool redis_link_subscribe(struct redis_link *link, redis_link_done *done, void *arg,
                          const char *channel)
{
    if (link->state != LINK_UP)
        return false;
    link->on_message = done;
    link->message_arg = arg;
    return redisAsyncCommand(link->ac, on_push, link, "SUBSCRIBE %s", channel) == REDIS_OK;
}

/* The first commands of a connection. */
static void greet(struct redis_link *link, redis_link_done *done, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)send_command(link, done, link, format, args);
    va_end(args);
}

static void on_greeting(void *arg, const redisReply *reply)
{
    struct redis_link *link = arg;

    /* NOAUTH, WRONGPASS, LOADING, ...: the text is Redis's own and holds no secret */
    if (reply && reply->type == REDIS_REPLY_ERROR && link->ac)
        drop(link, reply->str);
}

/* The last greeting. A replica may say that all is well and lose what is written to it. */
static void on_role(void *arg, const redisReply *reply)
{
    struct redis_link *link = arg;
    const char *role = "unknown";
    char why[96];

    if (!reply || !link->ac)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        drop(link, reply->str);
        return;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements && reply->element[0]->str)
        role = reply->element[0]->str;
    if (strcmp(role, link->conf.role) != 0) {
        snprintf(why, sizeof why, "its role is %.32s, expected %s", role, link->conf.role);
        drop(link, why);
        return;
    }
    link->state = LINK_UP;
    link->n_failures = 0;
    timer_stop(&link->deadline);
    if (link->said_down && link->conf.name)
        log_info("redis", "msg=\"redis back\" link=%s", link->conf.name);
    link->said_down = link->said_refused = false;
    link->conf.on_up(link->conf.arg);
}

static void on_connected(const redisAsyncContext *ac, int status)
{
    struct redis_link *link = ac->data;

    if (link && status != REDIS_OK) /* hiredis frees ac after this */
        went_down(link, ac->errstr ? ac->errstr : "cannot connect");
}

static void on_disconnected(const redisAsyncContext *ac, int status)
{
    struct redis_link *link = ac->data;

    (void)status;
    if (link)
        went_down(link, ac->errstr && *ac->errstr ? ac->errstr : "closed");
}

/* Of what is closed in order a kernel goes on sending the rest, also after the process: when a lost
 * network is back, Redis would do it after all that was said since over other connections, and a
 * node key would go back to an earlier instance. A reset takes it back. */
static void take_back_at_close(const redisAsyncContext *ac)
{
    static const struct linger k_reset = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(ac->c.fd, SOL_SOCKET, SO_LINGER, &k_reset, sizeof k_reset);
}

static void take_context(struct redis_link *link, redisAsyncContext *ac)
{
    const struct redis_target *target = link->conf.target;

    if (!ac || ac->err) {
        went_down(link, ac ? ac->errstr : "out of memory");
        if (ac)
            redisAsyncFree(ac);
        return;
    }
    link->ac = ac;
    link->state = LINK_CONNECTING;
    ac->data = link;
    take_back_at_close(ac);
    if (redisLibeventAttach(ac, loop_base(link->conf.loop)) != REDIS_OK) {
        drop(link, "out of memory");
        return;
    }
    redisAsyncSetConnectCallback(ac, on_connected);
    redisAsyncSetDisconnectCallback(ac, on_disconnected);
    timer_start_ms(&link->deadline, link->conf.connect_timeout_ms);
    if (*target->user)
        greet(link, on_greeting, "AUTH %s %s", target->user, target->password);
    else if (*target->password)
        greet(link, on_greeting, "AUTH %s", target->password);
    if (target->database)
        greet(link, on_greeting, "SELECT %d", (int)target->database);
    greet(link, on_greeting, "PING"); /* which LOADING refuses, unlike ROLE */
    greet(link, on_role, "ROLE");
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs)
{
    struct redis_link *link = arg;
    char ip[NI_MAXHOST];

    link->resolve = NULL;
    if (e != E_OK || n_addrs == 0 ||
        getnameinfo(&addrs[0].storage.any, addrs[0].size_bytes, ip, sizeof ip, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        went_down(link, e == E_OK ? "no address" : err_text(e));
        return;
    }
    take_context(link, redisAsyncConnect(ip, (int)addr_port(&addrs[0])));
}

static void on_retry(struct timer *timer)
{
    struct redis_link *link = list_entry(timer, struct redis_link, retry);
    const struct redis_target *target = link->conf.target;

    if (*target->unix_path) {
        take_context(link, redisAsyncConnectUnix(target->unix_path));
        return;
    }
    if (!*target->host)
        return; /* nobody knows where it is: restarted when somebody does */
    link->state = LINK_RESOLVING;
    link->resolve = net_resolve(link->conf.loop, target->host, target->port, on_resolved, link);
    if (!link->resolve)
        went_down(link, "out of memory");
}

static void on_deadline(struct timer *timer)
{
    struct redis_link *link = list_entry(timer, struct redis_link, deadline);

    drop(link, link->state == LINK_UP ? "no answer in time" : "cannot connect in time");
}

struct redis_link *redis_link_create(const struct redis_link_conf *conf)
{
    struct redis_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    link->conf = *conf;
    timer_init(&link->retry, conf->loop, on_retry);
    timer_init(&link->deadline, conf->loop, on_deadline);
    timer_start_ms(&link->retry, 0);
    return link;
}

/* True when it was up. */
static bool close_link(struct redis_link *link)
{
    redisAsyncContext *ac = link->ac;
    bool was_up = link->state == LINK_UP;

    link->ac = NULL;
    link->state = LINK_WAITING;
    net_resolve_cancel(&link->resolve);
    timer_stop(&link->retry);
    timer_stop(&link->deadline);
    if (ac) {
        ac->data = NULL;
        redisAsyncFree(ac); /* answers that are due come as NULL */
    }
    return was_up;
}

void redis_link_stop(struct redis_link *link)
{
    if (close_link(link))
        link->conf.on_down(link->conf.arg);
}

void redis_link_restart(struct redis_link *link)
{
    redis_link_stop(link);
    link->n_failures = 0;
    timer_start_ms(&link->retry, 0);
}

void redis_link_destroy(struct redis_link **link)
{
    if (*link)
        (void)close_link(*link);
    free(*link);
    *link = NULL;
}

bool redis_link_is_up(const struct redis_link *link)
{
    return link->state == LINK_UP;
}
