/* One suite for both stores. For Redis it starts a real redis-server of its own, on a Unix socket
 * in a temporary folder, and stops it; without the binary that half is skipped, loudly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

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
    struct cluster_heartbeat node; /* without streams */
    struct store_event event;
    bool (*until)(const struct world *w);
    /* the last answer */
    bool is_answered;
    enum err e;
    struct store_owner owner;
};

static char g_folder[64] = "/tmp/hw-test-store-XXXXXX";
static char g_url[160];
static pid_t g_redis;
static struct world g_world, g_other; /* two schedulers */

static void stop_if_done(struct world *w)
{
    if (w->until && w->until(w))
        loop_stop(w->loop);
}

static void on_state(void *arg, bool is_up)
{
    struct world *w = arg;

    w->is_up = is_up;
    w->n_downs += !is_up;
    stop_if_done(w);
}

static void on_emptied(void *arg)
{
    ((struct world *)arg)->n_emptied++;
    stop_if_done(arg);
}

static void on_node(void *arg, const struct cluster_heartbeat *m)
{
    struct world *w = arg;

    w->n_nodes++;
    w->node = *m;
    stop_if_done(w);
}

static void on_event(void *arg, const struct store_event *event)
{
    struct world *w = arg;

    w->n_events++;
    w->event = *event;
    stop_if_done(w);
}

static void on_deadline(struct timer *timer)
{
    (void)timer;
    fprintf(stderr, "test_store: what was waited for did not happen\n");
    abort();
}

static void wait_until(struct world *w, bool (*until)(const struct world *w))
{
    if (until(w))
        return;
    w->until = until;
    timer_start_ms(&w->deadline, WAIT_MS);
    loop_run(w->loop);
    timer_stop(&w->deadline);
    w->until = NULL;
}

static bool is_up(const struct world *w)
{
    return w->is_up;
}
static bool is_down(const struct world *w)
{
    return !w->is_up;
}
static bool is_answered(const struct world *w)
{
    return w->is_answered;
}
static bool is_emptied(const struct world *w)
{
    return w->n_emptied > 0;
}
static bool has_event(const struct world *w)
{
    return w->n_events > 0;
}
static bool has_node(const struct world *w)
{
    return w->n_nodes > 0;
}

static bool start_redis(void)
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

static void stop_redis(void)
{
    if (!g_redis)
        return;
    kill(g_redis, SIGKILL);
    waitpid(g_redis, NULL, 0);
    g_redis = 0;
}

/* One command over a connection of the test's own. */
static void tell_redis(const char *command)
{
    redisContext *c = redisConnectUnix(g_url + strlen("unix://"));
    redisReply *reply;

    assert_true(c && !c->err);
    reply = redisCommand(c, command);
    assert_true(reply && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redisFree(c);
}

static void open_world(struct world *w, bool is_redis)
{
    struct store_watch watch = {on_state, on_emptied, on_node, on_event, w};
    struct store_redis_conf conf = k_store_redis_default;
    const char *why = "";

    memset(w, 0, sizeof *w);
    w->is_redis = is_redis;
    w->loop = loop_create("test", 0);
    assert_non_null(w->loop);
    timer_init(&w->deadline, w->loop, on_deadline);
    conf.url = g_url;
    conf.retry_ms = 10;
    conf.poll_ms = 20;
    w->store =
        is_redis ? store_redis_create(w->loop, &conf, &watch, &why) : store_memory_create(&watch);
    assert_non_null(w->store);
    if (is_redis)
        wait_until(w, is_up);
}

static void close_world(struct world *w)
{
    store_destroy(&w->store);
    timer_stop(&w->deadline);
    loop_destroy(&w->loop);
}

static int set_up_memory(void **state)
{
    open_world(&g_world, false);
    *state = &g_world;
    return 0;
}

static int set_up_redis(void **state)
{
    if (g_redis) {
        tell_redis("FLUSHALL");
        open_world(&g_world, true);
    }
    *state = &g_world;
    return 0;
}

static int tear_down(void **state)
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

static struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static void on_answer(void *arg, enum err e, const struct store_owner *owner)
{
    struct world *w = arg;

    w->is_answered = true;
    w->e = e;
    w->owner = *owner;
    stop_if_done(w);
}

static enum err claim(struct world *w, const char *node, uint64_t instance, uint64_t known,
                      uint64_t highest)
{
    struct store_claim c = {name_of("/live/x"), "", instance, known, highest};

    snprintf(c.node, sizeof c.node, "%s", node);
    w->is_answered = false;
    w->store->ops->claim(w->store, &c, on_answer, w);
    wait_until(w, is_answered);
    return w->e;
}

static struct store_owner owner(const char *node, uint64_t instance, uint64_t epoch)
{
    struct store_owner o = {.instance = instance, .epoch = epoch};

    snprintf(o.node, sizeof o.node, "%s", node);
    return o;
}

static enum err release(struct world *w, const char *node, uint64_t instance, uint64_t epoch)
{
    struct stream_name name = name_of("/live/x");
    struct store_owner o = owner(node, instance, epoch);

    w->is_answered = false;
    w->store->ops->release(w->store, &name, &o, on_answer, w);
    wait_until(w, is_answered);
    return w->e;
}

static enum err lookup(struct world *w)
{
    struct stream_name name = name_of("/live/x");

    w->is_answered = false;
    w->store->ops->lookup(w->store, &name, on_answer, w);
    wait_until(w, is_answered);
    return w->e;
}

static void test_claim_gives_an_epoch_of_the_clock_when_free(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", UINT64_MAX, 0, 0), E_OK);
    assert_string_equal(w->owner.node, "o1");
    assert_true(w->owner.instance == UINT64_MAX);
    assert_true(w->owner.epoch > 1600000000000000ull);
    assert_int_equal(lookup(w), E_OK);
    assert_string_equal(w->owner.node, "o1");
}

static void test_claim_gives_more_than_the_highest_seen(void **state)
{
    struct world *w = *state;
    uint64_t ahead = (uint64_t)clock_wall_us() + 3600ull * 1000000;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 1, 0, ahead), E_OK);
    assert_true(w->owner.epoch == ahead + 1);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK); /* again, by one that has seen less */
    assert_true(w->owner.epoch > ahead + 1);
}

static void test_claim_gives_stale_and_the_owner_when_somebody_was_faster(void **state)
{
    struct world *w = *state;
    uint64_t epoch;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
    epoch = w->owner.epoch;
    assert_int_equal(claim(w, "o2", 2, 0, 0), E_STALE);
    assert_string_equal(w->owner.node, "o1");
    assert_true(w->owner.instance == 1 && w->owner.epoch == epoch);
    assert_int_equal(claim(w, "o2", 2, epoch, 0), E_OK); /* decided against that owner */
    assert_true(w->owner.epoch > epoch);
    assert_string_equal(w->owner.node, "o2");
}

static void test_release_frees_only_for_the_owner_with_its_epoch(void **state)
{
    struct world *w = *state;
    uint64_t epoch;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(release(w, "o1", 1, 5), E_NOT_FOUND);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
    epoch = w->owner.epoch;
    assert_int_equal(release(w, "o1", 1, epoch - 1), E_STALE);
    assert_int_equal(release(w, "o1", 2, epoch), E_STALE);
    assert_int_equal(release(w, "o2", 1, epoch), E_STALE);
    assert_int_equal(lookup(w), E_OK);
    assert_int_equal(release(w, "o1", 1, epoch), E_OK);
    assert_int_equal(lookup(w), E_NOT_FOUND);
}

static void test_refresh_writes_unless_somebody_newer_is_there(void **state)
{
    struct world *w = *state;
    struct stream_name name = name_of("/live/x");
    struct store_owner mine = owner("o1", 1, 100), older = owner("o2", 2, 99),
                       tie = owner("o0", 3, 100), newer = owner("o2", 2, 101);

    SKIP_WITHOUT_REDIS(w);
    w->store->ops->refresh(w->store, &name, &mine);
    w->store->ops->refresh(w->store, &name, &older);
    w->store->ops->refresh(w->store, &name, &tie);
    assert_int_equal(claim(w, "o9", 9, 50, 0), E_STALE); /* behind the refreshes */
    assert_string_equal(w->owner.node, "o1");
    assert_true(w->owner.epoch == 100);
    w->store->ops->refresh(w->store, &name, &newer);
    assert_int_equal(claim(w, "o9", 9, 50, 0), E_STALE);
    assert_true(w->owner.epoch == 101);
}

static void test_epochs_grow_when_many_claim(void **state)
{
    struct world *w = *state;
    uint64_t last = 0;

    SKIP_WITHOUT_REDIS(w);
    for (uint64_t i = 0; i < 200; i++) {
        assert_int_equal(claim(w, i & 1 ? "o1" : "o2", i, last, last), E_OK);
        assert_true(w->owner.epoch > last);
        last = w->owner.epoch;
    }
}

static void test_destroy_answers_what_is_under_way(void **state)
{
    struct world *w = *state;
    struct store_claim c = {name_of("/live/x"), "o1", 1, 0, 0};

    SKIP_WITHOUT_REDIS(w);
    w->is_answered = false;
    w->store->ops->claim(w->store, &c, on_answer, w);
    store_destroy(&w->store);
    assert_true(w->is_answered);
    assert_int_equal(w->e, w->is_redis ? E_CLOSED : E_OK);
    close_world(w);
}

/* What only a store that is shared does. */

static void test_node_reaches_the_other_scheduler(void **state)
{
    struct world *w = *state;
    struct cluster_stream stream = {.name = name_of("/live/x")};
    struct cluster_heartbeat m = {.node = "o1",
                                  .instance = 77,
                                  .seq = 3,
                                  .state = CLUSTER_NODE_ACTIVE,
                                  .internal_urls = {.http = "http://10.0.0.1:8080"},
                                  .load = {.n_viewers = 12},
                                  .streams = &stream,
                                  .n_streams = 1};

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    w->store->ops->put_node(w->store, &m, 5000);
    assert_int_equal(lookup(w), E_NOT_FOUND); /* sent by now */
    wait_until(&g_other, has_node);
    assert_string_equal(g_other.node.node, "o1");
    assert_true(g_other.node.instance == 77 && g_other.node.n_streams == 0);
    assert_string_equal(g_other.node.internal_urls.http, "http://10.0.0.1:8080");
    assert_int_equal(g_other.node.load.n_viewers, 12);
    close_world(&g_other);
}

static void test_event_reaches_the_other_scheduler_only(void **state)
{
    struct world *w = *state;
    struct store_event said = {
        CLUSTER_EVENT_PUBLISHED, name_of("/live/x"), {"o1", 77, 1234}, false};

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    g_other.is_answered = false;
    assert_int_equal(lookup(&g_other), E_NOT_FOUND);
    wait_until(&g_other, is_emptied); /* its first poll is done */
    w->store->ops->announce(w->store, &said);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    wait_until(&g_other, has_event);
    assert_int_equal(g_other.event.type, CLUSTER_EVENT_PUBLISHED);
    assert_string_equal(g_other.event.name.text, "live/x");
    assert_string_equal(g_other.event.owner.node, "o1");
    assert_true(g_other.event.owner.instance == 77 && g_other.event.owner.epoch == 1234);
    assert_int_equal(w->n_events, 0);
    close_world(&g_other);
}

static void test_owner_is_read_by_a_scheduler_that_starts_later(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 77, 0, 0), E_OK);
    open_world(&g_other, true);
    wait_until(&g_other, has_event);
    assert_true(g_other.event.is_old);
    assert_string_equal(g_other.event.name.text, "live/x");
    assert_true(g_other.event.owner.epoch == w->owner.epoch);
    close_world(&g_other);
}

static void test_flush_is_noticed(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    wait_until(w, is_emptied);                /* the first poll of a new Redis says so too */
    assert_int_equal(lookup(w), E_NOT_FOUND); /* and its mark is written by now */
    w->n_emptied = 0;
    tell_redis("FLUSHALL");
    wait_until(w, is_emptied);
    assert_int_equal(w->n_downs, 0);
}

static void test_calls_fail_at_once_when_redis_is_gone_and_work_when_it_is_back(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
    stop_redis();
    wait_until(w, is_down);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_IO);
    assert_false(w->store->ops->is_up(w->store));
    w->n_emptied = 0;
    assert_true(start_redis());
    wait_until(w, is_up);
    wait_until(w, is_emptied);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
}

static void test_call_fails_in_time_when_redis_is_frozen(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    kill(g_redis, SIGSTOP);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_CLOSED);
    assert_false(w->is_up);
    kill(g_redis, SIGCONT);
    wait_until(w, is_up);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
}

static bool has_many_nodes(const struct world *w)
{
    return w->n_nodes >= 20;
}

static long long count_reads(void)
{
    redisContext *c = redisConnectUnix(g_url + strlen("unix://"));
    redisReply *reply;
    const char *found;
    long long n = 0;

    assert_true(c && !c->err);
    reply = redisCommand(c, "INFO commandstats");
    assert_true(reply && reply->str);
    found = strstr(reply->str, "cmdstat_xread:calls=");
    if (found)
        n = strtoll(found + strlen("cmdstat_xread:calls="), NULL, 10);
    freeReplyObject(reply);
    redisFree(c);
    return n;
}

static void test_events_are_not_asked_for_without_pause_when_redis_refuses_them(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat m = {.node = "o1", .instance = 77};
    struct store_event said = {
        CLUSTER_EVENT_PUBLISHED, name_of("/live/x"), {"o1", 77, 1234}, false};

    SKIP_WITHOUT_REDIS(w);
    tell_redis("SET hw:events x");
    tell_redis("CONFIG RESETSTAT");
    w->store->ops->put_node(w->store, &m, 60000);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    open_world(&g_other, true);
    wait_until(&g_other, has_many_nodes); /* 20 polls */
    assert_in_range(count_reads(), 1, 5);
    tell_redis("DEL hw:events");
    w->store->ops->announce(w->store, &said);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    wait_until(&g_other, has_event);
    assert_string_equal(g_other.event.name.text, "live/x");
    close_world(&g_other);
}

static void test_values_that_are_no_owners_count_as_absent(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    tell_redis("SET hw:stream:live/x [1,2]");
    assert_int_equal(lookup(w), E_IO);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
    tell_redis("SET hw:stream:live/x {\"epoch\":\"x\"}");
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
}

static void test_create_gives_null_and_why_when_url_is_wrong(void **state)
{
    static const char *const k_urls[] = {
        "", "http://a", "redis://", "redis://u:secret@a", "redis://a/x", "unix://a"};
    struct store_watch watch = {on_state, on_emptied, on_node, on_event, &g_world};
    struct loop *loop = loop_create("test", 0);

    (void)state;
    for (size_t i = 0; i < sizeof k_urls / sizeof k_urls[0]; i++) {
        struct store_redis_conf conf = k_store_redis_default;
        const char *why = "";

        conf.url = k_urls[i];
        assert_null(store_redis_create(loop, &conf, &watch, &why));
        assert_true(*why != '\0');
        assert_null(strstr(why, "secret"));
    }
    loop_destroy(&loop);
}

#define BOTH(test)                                             \
    {#test " (memory)", test, set_up_memory, tear_down, NULL}, \
    {                                                          \
#test " (redis)", test, set_up_redis, tear_down, NULL  \
    }
#define REDIS(test) cmocka_unit_test_setup_teardown(test, set_up_redis, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_claim_gives_an_epoch_of_the_clock_when_free),
        BOTH(test_claim_gives_more_than_the_highest_seen),
        BOTH(test_claim_gives_stale_and_the_owner_when_somebody_was_faster),
        BOTH(test_release_frees_only_for_the_owner_with_its_epoch),
        BOTH(test_refresh_writes_unless_somebody_newer_is_there),
        BOTH(test_epochs_grow_when_many_claim),
        BOTH(test_destroy_answers_what_is_under_way),
        REDIS(test_node_reaches_the_other_scheduler),
        REDIS(test_event_reaches_the_other_scheduler_only),
        REDIS(test_owner_is_read_by_a_scheduler_that_starts_later),
        REDIS(test_flush_is_noticed),
        REDIS(test_calls_fail_at_once_when_redis_is_gone_and_work_when_it_is_back),
        REDIS(test_call_fails_in_time_when_redis_is_frozen),
        REDIS(test_events_are_not_asked_for_without_pause_when_redis_refuses_them),
        REDIS(test_values_that_are_no_owners_count_as_absent),
        cmocka_unit_test(test_create_gives_null_and_why_when_url_is_wrong),
    };
    char command[128];
    int failed;

    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    if (!mkdtemp(g_folder))
        return 1;
    if (!start_redis())
        fprintf(stderr, "test_store: redis-server does not start, its half is SKIPPED\n");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    stop_redis();
    snprintf(command, sizeof command, "rm -rf %s", g_folder);
    return failed || system(command) != 0;
}
