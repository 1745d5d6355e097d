/* Schedulers and Redis. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/addr.h"
#include "common/net/http_client.h"
#include "proto/http/http.h"
#include "scheduler/config.h"
#include "scheduler/redis_link.h"
#include "tests/tools/doctor_checks.h"
#include "tests/tools/tool_run.h"

#define MAX_ANSWER_BYTES ((size_t)1 << 20)
#define SENTINEL_PORT 26379
#define MAX_SKEW_S 1.0

/* --- schedulers --- */

struct question {
    struct loop *loop;
    enum err e;
    unsigned status;
    char word[64]; /* what it says of itself */
};

static void on_answer(void *arg, const struct http_reply *reply)
{
    struct question *q = arg;
    const char *word;
    json_t *answer;

    q->e = reply->e;
    q->status = reply->status;
    answer = json_loadb((const char *)reply->body.data, reply->body.size_bytes, 0, NULL);
    word = json_string_value(json_object_get(answer, "status"));
    snprintf(q->word, sizeof q->word, "%s", word ? word : "");
    json_decref(answer);
    loop_stop(q->loop);
}

static struct question ask(struct doctor *d, struct http_client *client, const char *path)
{
    struct question q = {.loop = d->loop, .e = E_NOMEM};

    if (http_client_call(client, "GET", path, NULL, on_answer, &q))
        loop_run(d->loop);
    return q;
}

static void ask_scheduler(struct doctor *d, const char *url, const char *token)
{
    const struct http_client_conf conf = {.urls = &url,
                                          .n_urls = 1,
                                          .tls = d->trust,
                                          .bearer_token = token,
                                          .timeout_ms = d->timeout_ms,
                                          .max_body_bytes = MAX_ANSWER_BYTES,
                                          .log_area = "doctor"};
    const char *why = "";
    struct http_client *client = http_client_create(d->loop, &conf, &why);
    struct question q;

    if (!client) {
        doctor_say(d, DOCTOR_FAIL, "schedulers", "%s: %s", url, why);
        return;
    }
    q = ask(d, client, "/readyz");
    if (q.e != E_OK)
        doctor_say(d, DOCTOR_FAIL, "schedulers", "%s does not answer: %s", url, err_text(q.e));
    else if (q.status != 200)
        doctor_say(d, DOCTOR_FAIL, "schedulers", "%s is not ready: %u %s", url, q.status, q.word);
    else
        doctor_say(d, strstr(q.word, "degraded") ? DOCTOR_WARN : DOCTOR_OK, "schedulers",
                   "%s is ready: %s", url, q.word);
    if (q.e == E_OK) {
        q = ask(d, client, "/api/v1/nodes?limit=1");
        if (q.status != 200)
            doctor_say(d, DOCTOR_FAIL, "schedulers", "%s: GET /api/v1/nodes: %u %s%s", url,
                       q.status, http_status_text(q.status),
                       q.status == 401 ? ": cluster.token_file is not the scheduler's token_file"
                                       : "");
    }
    http_client_destroy(&client);
}

void doctor_ask_schedulers(struct doctor *d, const struct conf_list *urls, const char *token)
{
    for (size_t i = 0; i < urls->n_items && !tool_is_interrupted(); i++)
        ask_scheduler(d, urls->items[i], token);
}

/* --- Redis --- */

struct server {
    char host[256];
    unsigned port;
    const char *unix_path; /* or "" */
};

/* NULL after saying why. */
static redisContext *open_redis(struct doctor *d, const struct server *s, const char *what)
{
    const struct timeval limit = {d->timeout_ms / 1000, d->timeout_ms % 1000 * 1000};
    redisContext *c = s->unix_path[0] ? redisConnectUnixWithTimeout(s->unix_path, limit)
                                      : redisConnectWithTimeout(s->host, (int)s->port, limit);

    if (c && !c->err) {
        redisSetTimeout(c, limit);
        return c;
    }
    doctor_say(d, DOCTOR_FAIL, "redis", "%s at %s, port %u: %s", what,
               s->unix_path[0] ? s->unix_path : s->host, s->port, c ? c->errstr : "out of memory");
    if (c)
        redisFree(c);
    return NULL;
}

/* The answer, or NULL after saying why. */
static redisReply *ask_redis(struct doctor *d, redisContext *c, const char *what, int n_words,
                             const char **words)
{
    redisReply *r = redisCommandArgv(c, n_words, words, NULL);

    if (r && r->type != REDIS_REPLY_ERROR)
        return r;
    doctor_say(d, DOCTOR_FAIL, "redis", "%s: %s: %s", what, words[0], r ? r->str : c->errstr);
    if (r)
        freeReplyObject(r);
    return NULL;
}

static bool sign_in(struct doctor *d, redisContext *c, const char *what, const char *user,
                    const char *password)
{
    const char *words[3] = {"AUTH"};
    int n = 1;
    redisReply *r;

    if (!password[0])
        return true;
    if (user[0])
        words[n++] = user;
    words[n++] = password;
    r = ask_redis(d, c, what, n, words);
    if (r)
        freeReplyObject(r);
    return r != NULL;
}

static const char *element_text(const redisReply *r, size_t i)
{
    return r->type == REDIS_REPLY_ARRAY && i < r->elements && r->element[i]->str
               ? r->element[i]->str
               : "";
}

/* Leases are written by the schedulers' clocks and looked at by Redis's. */
static void compare_clock(struct doctor *d, redisContext *c)
{
    const char *words[] = {"TIME"};
    redisReply *r = ask_redis(d, c, "clock", 1, words);
    double skew_s;

    if (!r)
        return;
    skew_s = (double)clock_wall_us() / 1e6 - strtod(element_text(r, 0), NULL) -
             strtod(element_text(r, 1), NULL) / 1e6;
    doctor_say(d, skew_s > MAX_SKEW_S || skew_s < -MAX_SKEW_S ? DOCTOR_WARN : DOCTOR_OK, "redis",
               "its clock is %.3f s behind this one", skew_s);
    freeReplyObject(r);
}

static void examine_server(struct doctor *d, const struct server *s,
                           const struct redis_target *target)
{
    const char *words[] = {"ROLE"};
    redisContext *c = open_redis(d, s, "server");
    redisReply *r;

    if (!c)
        return;
    if (sign_in(d, c, "server", target->user, target->password) &&
        (r = ask_redis(d, c, "server", 1, words))) {
        bool is_master = strcmp(element_text(r, 0), "master") == 0;

        doctor_say(d, is_master ? DOCTOR_OK : DOCTOR_FAIL, "redis", "%s:%u is %s", s->host, s->port,
                   is_master ? "a master"
                             : "a replica: schedulers need the master, or store.redis.sentinels");
        freeReplyObject(r);
        compare_clock(d, c);
    }
    redisFree(c);
}

/* True when it names a master, in *master. */
static bool ask_sentinel(struct doctor *d, const struct scheduler_conf *conf, const char *place,
                         const char *password, struct server *master)
{
    const char *words[] = {"SENTINEL", "get-master-addr-by-name", conf->redis_master};
    struct server s = {.unix_path = ""};
    bool has_named = false;
    redisContext *c;
    redisReply *r = NULL;

    if (addr_split(place, s.host, sizeof s.host, &s.port, SENTINEL_PORT) != E_OK ||
        !(c = open_redis(d, &s, "sentinel")))
        return false;
    if (sign_in(d, c, place, conf->sentinel_user, password) &&
        (r = ask_redis(d, c, place, 3, words))) {
        has_named = element_text(r, 0)[0] != '\0';
        snprintf(master->host, sizeof master->host, "%s", element_text(r, 0));
        master->port = (unsigned)strtoul(element_text(r, 1), NULL, 10);
        if (has_named)
            doctor_say(d, DOCTOR_OK, "redis", "sentinel %s names %s:%u", place, master->host,
                       master->port);
        else
            doctor_say(d, DOCTOR_FAIL, "redis", "sentinel %s does not know \"%s\"", place,
                       conf->redis_master);
        freeReplyObject(r);
    }
    redisFree(c);
    return has_named;
}

void doctor_ask_redis(struct doctor *d, const struct scheduler_conf *conf)
{
    struct redis_target target = {.host = ""};
    struct server server = {.unix_path = ""};
    char sentinel_password[256] = "";
    struct conf_error error;
    const char *why = "";
    bool has_server;

    if (redis_target_parse(conf->redis_url, &target, &why) != E_OK) {
        doctor_say(d, DOCTOR_FAIL, "redis", "store.redis.url: %s", why);
        return;
    }
    if (scheduler_read_secret("store.redis.password_file", conf->redis_password_file,
                              target.password, sizeof target.password, &error) != E_OK ||
        scheduler_read_secret("store.redis.sentinel_password_file", conf->sentinel_password_file,
                              sentinel_password, sizeof sentinel_password, &error) != E_OK) {
        doctor_say(d, DOCTOR_FAIL, "redis", "%s", error.text);
        return;
    }
    snprintf(server.host, sizeof server.host, "%s", target.host);
    server.port = target.port;
    server.unix_path = target.unix_path;
    has_server = conf->redis_sentinels.n_items == 0;
    for (size_t i = 0; i < conf->redis_sentinels.n_items; i++)
        has_server |=
            ask_sentinel(d, conf, conf->redis_sentinels.items[i], sentinel_password, &server);
    if (conf->redis_sentinels.n_items > 0)
        server.unix_path = "";
    if (has_server)
        examine_server(d, &server, &target);
    explicit_bzero(&target, sizeof target);
    explicit_bzero(sentinel_password, sizeof sentinel_password);
}
