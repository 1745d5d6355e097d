/* What the tests of the stores share: a world is one scheduler's side of a store, with what it
 * heard and was answered. For Redis a real redis-server is started, on a Unix socket in a temporary
 * folder; without the binary those tests are skipped, loudly. */
#ifndef HW_TESTS_STORE_TEST_H
#define HW_TESTS_STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "scheduler/store.h"

#define WAIT_MS 10000 /* longest wait for something that must happen; ends a broken test */

struct world {
    bool is_redis;
    struct loop *loop;
    struct store *store;
    struct timer deadline;
    /* heard from the store */
    bool is_up;
    unsigned n_downs, n_emptied, n_nodes, n_events;
    unsigned n_of_type[CLUSTER_EVENT_UNKNOWN]; /* events */
    struct cluster_heartbeat node;             /* without streams */
    struct store_event event;                  /* the last one */
    struct store_event news;                   /* the last one that is not old */
    struct store_event of_x;                   /* the last one about live/x */
    unsigned n_news;
    unsigned n_settings, n_settings_read, n_settings_refused;
    char setting[700]; /* the last one */
    unsigned n_scales;
    char scale[64]; /* the last one; "" = nothing is kept */
    bool (*until)(const struct world *w);
    /* the last answer */
    bool is_answered;
    enum err e;
    struct store_owner owner;
};

static char g_folder[64] = "/tmp/hw-test-store-XXXXXX";
static char g_url[160];
static pid_t g_redis;
static struct world g_world;

static inline void stop_if_done(struct world *w)
{
    if (w->until && w->until(w))
        loop_stop(w->loop);
}

static inline void on_state(void *arg, bool is_up)
{
    struct world *w = arg;

    w->is_up = is_up;
    w->n_downs += !is_up;
    stop_if_done(w);
}

static inline void on_emptied(void *arg)
{
    ((struct world *)arg)->n_emptied++;
    stop_if_done(arg);
}

static inline void on_node(void *arg, const struct cluster_heartbeat *m)
{
    struct world *w = arg;

    w->n_nodes++;
    w->node = *m;
    stop_if_done(w);
}

static inline void on_event(void *arg, const struct store_event *event)
{
    struct world *w = arg;

    w->n_events++;
    w->n_of_type[event->type]++;
    w->event = *event;
    if (!event->is_old) {
        w->news = *event;
        w->n_news++;
    }
    if (strcmp(event->name.text, "live/x") == 0)
        w->of_x = *event;
    stop_if_done(w);
}

static inline void on_settings(void *arg, struct cluster_settings *m)
{
    struct world *w = arg;

    for (size_t i = 0; i < m->n_settings; i++) {
        const struct cluster_setting *setting = &m->settings[i];

        w->n_settings++;
        snprintf(w->setting, sizeof w->setting, "%s %s %llu %s %s", setting->kind, setting->id,
                 (unsigned long long)setting->version, setting->origin,
                 setting->item ? setting->item : "-");
    }
    stop_if_done(w);
}

static inline void on_settings_read(void *arg)
{
    ((struct world *)arg)->n_settings_read++;
    stop_if_done(arg);
}

static inline void on_settings_refused(void *arg)
{
    ((struct world *)arg)->n_settings_refused++;
    stop_if_done(arg);
}

static inline void on_deadline(struct timer *timer)
{
    (void)timer;
    fprintf(stderr, "store_test: what was waited for did not happen\n");
    abort();
}

static inline void wait_until(struct world *w, bool (*until)(const struct world *w))
{
    if (until(w))
        return;
    w->until = until;
    timer_start_ms(&w->deadline, WAIT_MS);
    loop_run(w->loop);
    timer_stop(&w->deadline);
    w->until = NULL;
}

static inline bool is_up(const struct world *w)
{
    return w->is_up;
}
static inline bool is_down(const struct world *w)
{
    return !w->is_up;
}
static inline bool is_answered(const struct world *w)
{
    return w->is_answered;
}
static inline bool is_emptied(const struct world *w)
{
    return w->n_emptied > 0;
}
static inline bool has_event(const struct world *w)
{
    return w->n_events > 0;
}
static inline bool has_news(const struct world *w)
{
    return w->n_news > 0;
}
static inline bool has_node(const struct world *w)
{
    return w->n_nodes > 0;
}

static inline bool start_redis(void)
{
    char socket_path[96];
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(socket_path, sizeof socket_path, "%s/redis.sock", g_folder);
    snprintf(g_url, sizeof g_url, "unix://%s", socket_path);
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    g_redis = fork();
    if (g_redis == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives a test that broke */
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--save",
               "", "--dir", g_folder, "--logfile", "redis.log", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000; i++) { /* until it listens, or is not there */
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        int failed = connect(fd, (struct sockaddr *)&address, sizeof address);
        int status;

        close(fd);
        if (!failed)
            return true;
        if (waitpid(g_redis, &status, WNOHANG) == g_redis) {
            g_redis = 0;
            return false;
        }
        usleep(10000); /* another process starts: there is nothing to wait on */
    }
    return false;
}

static inline void stop_redis(void)
{
    if (!g_redis)
        return;
    kill(g_redis, SIGKILL);
    waitpid(g_redis, NULL, 0);
    g_redis = 0;
}

/* One command over a connection of the test's own; the answer where that is a number. */
static inline long long tell_redis(const char *command)
{
    redisContext *c = redisConnectUnix(g_url + strlen("unix://"));
    redisReply *reply;
    long long number;

    assert_true(c && !c->err);
    reply = redisCommand(c, command);
    assert_true(reply && reply->type != REDIS_REPLY_ERROR);
    number = reply->integer;
    freeReplyObject(reply);
    redisFree(c);
    return number;
}

/* A Redis that was in use. The store begins with reading its mark and, once it knows where the
 * event log ends, its owners: when it tells of this one, it has begun. */
static inline void open_redis(struct world *w, const struct store_watch *watch)
{
    struct store_redis_conf conf = k_store_redis_default;
    const char *why = "";

    tell_redis("SET hw:boot test NX");
    tell_redis("SET hw:stream:live/first {\"node\":\"o0\",\"instance\":\"1\",\"epoch\":\"1\"}");
    conf.url = g_url;
    conf.retry_ms = 10;
    conf.poll_ms = 20;
    w->store = store_redis_create(w->loop, &conf, watch, &why);
    assert_non_null(w->store);
    wait_until(w, is_up);
    wait_until(w, has_event);
    w->n_events = 0;
}

static inline void on_scale(void *arg, struct buf_view json)
{
    struct world *w = arg;

    w->n_scales++;
    (void)buf_view_to_str(json, w->scale, sizeof w->scale);
    stop_if_done(w);
}

static inline void open_world(struct world *w, bool is_redis)
{
    struct store_watch watch = {
        on_state,         on_emptied,          on_node,  on_event, on_settings,
        on_settings_read, on_settings_refused, on_scale, w};

    memset(w, 0, sizeof *w);
    w->is_redis = is_redis;
    w->loop = loop_create("test", 0);
    assert_non_null(w->loop);
    timer_init(&w->deadline, w->loop, on_deadline);
    if (is_redis)
        open_redis(w, &watch);
    else
        w->store = store_memory_create(&watch);
    assert_non_null(w->store);
}

static inline void close_world(struct world *w)
{
    store_destroy(&w->store);
    timer_stop(&w->deadline);
    loop_destroy(&w->loop);
}

static inline int set_up_redis(void **state)
{
    if (g_redis) {
        (void)tell_redis("FLUSHALL");
        open_world(&g_world, true);
    }
    *state = &g_world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;

    if (w->store)
        close_world(w);
    w->store = NULL;
    return 0;
}

#define SKIP_WITHOUT_REDIS(w)                                                                  \
    if (!(w)->store) {                                                                         \
        fprintf(stderr, "SKIPPED: redis-server is not installed, this store is NOT tested\n"); \
        skip();                                                                                \
    }

static inline struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static inline void on_answer(void *arg, enum err e, const struct store_owner *owner)
{
    struct world *w = arg;

    w->is_answered = true;
    w->e = e;
    w->owner = *owner;
    stop_if_done(w);
}

static inline enum err claim(struct world *w, const char *node, uint64_t instance, uint64_t known,
                             uint64_t highest)
{
    struct store_claim c = {.name = name_of("/live/x"),
                            .instance = instance,
                            .known_epoch = known,
                            .highest_epoch = highest};

    snprintf(c.node, sizeof c.node, "%s", node);
    w->is_answered = false;
    w->store->ops->claim(w->store, &c, on_answer, w);
    wait_until(w, is_answered);
    return w->e;
}

static inline struct store_owner owner(const char *node, uint64_t instance, uint64_t epoch)
{
    struct store_owner o = {.instance = instance, .epoch = epoch};

    snprintf(o.node, sizeof o.node, "%s", node);
    return o;
}

static inline enum err release(struct world *w, const char *node, uint64_t instance, uint64_t epoch)
{
    struct stream_name name = name_of("/live/x");
    struct store_owner o = owner(node, instance, epoch);

    w->is_answered = false;
    w->store->ops->release(w->store, &name, &o, on_answer, w);
    wait_until(w, is_answered);
    return w->e;
}

static inline enum err lookup(struct world *w)
{
    struct stream_name name = name_of("/live/x");

    w->is_answered = false;
    w->store->ops->lookup(w->store, &name, on_answer, w);
    wait_until(w, is_answered);
    return w->e;
}

/* Runs the tests in a folder with a Redis of its own. */
static inline int run_store_tests(int (*run)(void))
{
    char command[128];
    int failed;

    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    if (!mkdtemp(g_folder))
        return 1;
    if (!start_redis())
        fprintf(stderr, "redis-server does not start, its tests are SKIPPED\n");
    failed = run();
    stop_redis();
    snprintf(command, sizeof command, "rm -rf %s", g_folder);
    return failed || system(command) != 0;
}

#endif
