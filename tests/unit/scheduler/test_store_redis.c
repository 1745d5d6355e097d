/* What only a store that is shared does: two schedulers and one Redis, and what happens to it. */
#include "tests/unit/scheduler/store_test.h"

#include "proto/cluster/epoch.h"
#include "scheduler/redis_keys.h"

static struct world g_other; /* the second scheduler */

/* For what the store does without a word. */
static void turn_until(struct world *w, bool (*until)(const struct world *w))
{
    int64_t end_us = clock_mono_us() + WAIT_MS * 1000;

    while (!until(w)) {
        assert_true(clock_mono_us() < end_us);
        loop_turn(w->loop, true);
    }
}

/* Calls of a command, given in lower case, since CONFIG RESETSTAT. */
static long long count_calls(const char *command)
{
    redisContext *c = redisConnectUnix(g_url + strlen("unix://"));
    redisReply *reply;
    const char *found;
    char key[64];
    long long n = 0;

    assert_true(c && !c->err);
    reply = redisCommand(c, "INFO commandstats");
    assert_true(reply && reply->str);
    snprintf(key, sizeof key, "cmdstat_%s:calls=", command);
    found = strstr(reply->str, key);
    if (found)
        n = strtoll(found + strlen(key), NULL, 10);
    freeReplyObject(reply);
    redisFree(c);
    return n;
}

static void test_node_reaches_the_other_scheduler(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat m = {.node = "o1",
                                  .instance = 77,
                                  .seq = 3,
                                  .state = CLUSTER_NODE_ACTIVE,
                                  .internal_urls = {.http = "http://10.0.0.1:8080"},
                                  .load = {.n_viewers = 12}};

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    w->store->ops->put_node(w->store, &m, 5000);
    assert_int_equal(lookup(w), E_NOT_FOUND); /* sent by now */
    wait_until(&g_other, has_node);
    assert_string_equal(g_other.node.node, "o1");
    assert_true(g_other.node.instance == 77);
    assert_string_equal(g_other.node.internal_urls.http, "http://10.0.0.1:8080");
    assert_int_equal(g_other.node.load.n_viewers, 12);
    close_world(&g_other);
}

static void test_events_of_all_kinds_reach_the_other_scheduler_only(void **state)
{
    static const struct {
        enum cluster_event_type type;
        const char *path; /* "" where the event is about a node alone */
    } k_said[] = {
        {CLUSTER_EVENT_PUBLISHED, "/live/x"}, {CLUSTER_EVENT_ENDED, "/live/x"},
        {CLUSTER_EVENT_KICK, "/live/x"},      {CLUSTER_EVENT_PROMOTE, "/live/x"},
        {CLUSTER_EVENT_LEAVING, ""},          {CLUSTER_EVENT_DRAIN, ""},
    };
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    for (size_t i = 0; i < sizeof k_said / sizeof k_said[0]; i++) {
        struct store_event said = {
            .type = k_said[i].type,
            .owner = {.node = "o1", .instance = 77, .epoch = 1234, .run = 5}};

        if (*k_said[i].path)
            said.name = name_of(k_said[i].path);
        g_other.n_news = 0;
        w->store->ops->announce(w->store, &said);
        assert_int_equal(lookup(w), E_NOT_FOUND); /* sent by now */
        wait_until(&g_other, has_news);
        assert_int_equal(g_other.news.type, said.type);
        assert_string_equal(g_other.news.name.text, said.name.text);
        assert_string_equal(g_other.news.owner.node, "o1");
        assert_true(g_other.news.owner.instance == 77 && g_other.news.owner.run == 5);
        assert_true(g_other.news.owner.epoch == (*said.name.text ? 1234u : 0u));
    }
    assert_int_equal(w->n_news, 0);
    close_world(&g_other);
}

static bool has_heard_of_y(const struct world *w)
{
    return strcmp(w->event.name.text, "live/y") == 0;
}
static bool has_two_kicks(const struct world *w)
{
    return w->n_of_type[CLUSTER_EVENT_KICK] == 2;
}

/* A replica that had not heard the last events becomes the master: the log ends earlier, and holds
 * others. Connections are closed as Sentinel closes those of a master that is demoted. */
static void test_orders_are_heard_once_when_the_log_lost_its_end(void **state)
{
    struct world *w = *state;
    struct store_event kick = {.type = CLUSTER_EVENT_KICK,
                               .name = name_of("/live/x"),
                               .owner = {.node = "o1", .instance = 77}};

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    w->store->ops->announce(w->store, &kick);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    wait_until(&g_other, has_news);
    tell_redis("DEL hw:events");
    tell_redis("XADD hw:events 1-1 from a instance 77 "
               "event {\"v\":1,\"type\":\"kick\",\"name\":\"live/x\"}");
    tell_redis("XADD hw:events 1-2 from a instance 77 "
               "event {\"v\":1,\"type\":\"published\",\"name\":\"live/y\",\"epoch\":\"9\","
               "\"node\":\"o2\"}");
    tell_redis("CLIENT KILL TYPE normal");
    wait_until(&g_other, has_heard_of_y);
    assert_int_equal(g_other.n_news, 1);
    assert_int_equal(g_other.n_of_type[CLUSTER_EVENT_KICK], 1);
    wait_until(w, is_down);
    wait_until(w, is_up);
    w->store->ops->announce(w->store, &kick);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    wait_until(&g_other, has_two_kicks);
    assert_int_equal(g_other.n_news, 2);
    close_world(&g_other);
}

static bool has_heard_of_o2(const struct world *w)
{
    return strcmp(w->of_x.owner.node, "o2") == 0;
}

static bool has_heard_of_o1(const struct world *w)
{
    return strcmp(w->of_x.owner.node, "o1") == 0;
}

/* Both granted the stream while they were cut off, and write it when they are back. */
static void test_refresh_tells_the_schedulers_that_know_less(void **state)
{
    struct world *w = *state;
    struct stream_name name = name_of("/live/x");
    struct store_owner older = owner("o1", 1, 100), newer = owner("o2", 2, 101);

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    w->store->ops->refresh(w->store, &name, &older); /* in nobody's place: announced */
    assert_int_equal(lookup(w), E_OK);
    assert_int_equal(lookup(w), E_OK); /* sent by now */
    wait_until(&g_other, has_heard_of_o1);
    g_other.n_news = 0;
    g_other.store->ops->refresh(g_other.store, &name, &newer); /* in its place: too */
    assert_int_equal(lookup(&g_other), E_OK);
    assert_int_equal(lookup(&g_other), E_OK);
    wait_until(w, has_heard_of_o2);
    assert_false(w->of_x.is_old);
    assert_true(w->of_x.owner.instance == 2 && w->of_x.owner.epoch == 101);
    w->of_x = (struct store_event){.is_old = false};
    w->store->ops->refresh(w->store, &name, &older); /* refused */
    wait_until(w, has_heard_of_o2);
    assert_true(w->of_x.is_old && w->of_x.owner.epoch == 101);
    assert_int_equal(g_other.n_news, 0);
    close_world(&g_other);
}

static void test_owner_is_read_by_a_scheduler_that_starts_later(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 77, 0, 0), E_OK);
    open_world(&g_other, true);
    assert_true(g_other.of_x.is_old);
    assert_string_equal(g_other.of_x.owner.node, "o1");
    assert_true(g_other.of_x.owner.epoch == w->owner.epoch);
    close_world(&g_other);
}

static bool has_no_scale(const struct world *w)
{
    return w->n_scales > 0 && !*w->scale;
}

static bool has_scale(const struct world *w)
{
    return strcmp(w->scale, "{\"v\":1}") == 0;
}

static void test_scale_reaches_the_other_scheduler_and_its_loss_is_told(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    wait_until(&g_other, has_no_scale);
    w->store->ops->put_scale(w->store, buf_view_str("{\"v\":1}"));
    assert_int_equal(lookup(w), E_NOT_FOUND); /* sent by now */
    wait_until(&g_other, has_scale);
    tell_redis("FLUSHALL");
    wait_until(&g_other, has_no_scale);
    close_world(&g_other);
}

static void test_flush_is_noticed(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    tell_redis("FLUSHALL");
    wait_until(w, is_emptied);
    assert_int_equal(w->n_downs, 0);
}

/* Whoever comes first marks the new one; the other must not take the mark for the old one. */
static void test_flush_is_noticed_by_every_scheduler(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    tell_redis("FLUSHALL");
    wait_until(w, is_emptied);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    wait_until(&g_other, is_emptied);
    assert_int_equal(g_other.n_emptied, 1);
    close_world(&g_other);
}

static void test_no_epoch_is_given_twice_when_redis_forgets_what_it_gave(void **state)
{
    enum { N_TIMES = 20 };
    struct world *w = *state;
    uint64_t given[N_TIMES], ahead = (uint64_t)clock_wall_us() + 3600ull * 1000000;

    SKIP_WITHOUT_REDIS(w);
    for (int i = 0; i < N_TIMES;
         i++) { /* each time by a scheduler that knows nothing of the rest */
        assert_int_equal(claim(w, i & 1 ? "o1" : "o2", 1, 0, ahead), E_OK);
        given[i] = w->owner.epoch;
        assert_true(given[i] >= ahead + epoch_leap(0));
        for (int k = 0; k < i; k++)
            assert_true(given[k] != given[i]);
        tell_redis("FLUSHALL");
    }
}

static bool has_tried_a_replica(const struct world *w)
{
    (void)w;
    return count_calls("role") >= 3;
}

static void test_replica_is_left_and_claims_leap_when_it_is_promoted(void **state)
{
    struct world *w = *state;
    uint64_t epoch, ahead = (uint64_t)clock_wall_us() + 3600ull * 1000000;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 1, 0, ahead), E_OK);
    assert_int_equal(claim(w, "o1", 1, 0, ahead), E_OK);
    epoch = w->owner.epoch;
    tell_redis("REPLICAOF 127.0.0.1 1");
    tell_redis("CONFIG RESETSTAT");
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_IO); /* READONLY */
    wait_until(w, is_down);
    turn_until(w, has_tried_a_replica);
    assert_false(w->is_up);
    tell_redis("REPLICAOF NO ONE");
    wait_until(w, is_up);
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK);
    assert_true(w->owner.epoch >= epoch + epoch_leap(0));
}

static bool has_no_ghost(const struct world *w)
{
    (void)w;
    return tell_redis("SISMEMBER hw:nodes ghost") == 0;
}

static void test_node_whose_lease_ran_out_leaves_the_list(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat m = {.node = "o1", .instance = 77};

    SKIP_WITHOUT_REDIS(w);
    w->store->ops->put_node(w->store, &m, 60000);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    tell_redis("SADD hw:nodes ghost");
    wait_until(w, has_no_ghost);
    assert_int_equal(tell_redis("SISMEMBER hw:nodes o1"), 1);
    assert_int_equal(tell_redis("EXISTS hw:node:o1"), 1);
}

static long long unlist(const char *id)
{
    redisContext *c = redisConnectUnix(g_url + strlen("unix://"));
    redisReply *reply;
    long long n;

    assert_true(c && !c->err);
    reply = redisCommand(c, "EVAL %s 2 hw:node:%s hw:nodes %s", k_redis_unlist, id, id);
    assert_true(reply && reply->type == REDIS_REPLY_INTEGER);
    n = reply->integer;
    freeReplyObject(reply);
    redisFree(c);
    return n;
}

/* Read as gone by one scheduler, written by another, taken out by the first: in that order. */
static void test_unlist_spares_a_node_that_was_written_since(void **state)
{
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    tell_redis("SADD hw:nodes o5");
    tell_redis("SET hw:node:o5 x");
    assert_int_equal(unlist("o5"), 0);
    assert_int_equal(tell_redis("SISMEMBER hw:nodes o5"), 1);
    tell_redis("DEL hw:node:o5");
    assert_int_equal(unlist("o5"), 1);
    assert_int_equal(tell_redis("SISMEMBER hw:nodes o5"), 0);
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

static void test_end_said_while_redis_is_away_is_heard_after(void **state)
{
    static const enum cluster_event_type k_said[] = {CLUSTER_EVENT_PUBLISHED, CLUSTER_EVENT_KICK,
                                                     CLUSTER_EVENT_ENDED};
    struct world *w = *state;
    struct store_event said = {.name = name_of("/live/x"), .owner = owner("o1", 77, 1234)};

    SKIP_WITHOUT_REDIS(w);
    open_world(&g_other, true);
    stop_redis();
    wait_until(w, is_down);
    wait_until(&g_other, is_down);
    for (size_t i = 0; i < sizeof k_said / sizeof k_said[0]; i++) {
        said.type = k_said[i];
        w->store->ops->announce(w->store, &said);
    }
    assert_true(start_redis());
    wait_until(w, is_up);
    assert_int_equal(lookup(w), E_NOT_FOUND); /* sent by now */
    wait_until(&g_other, has_news);
    assert_int_equal(g_other.n_news, 1);
    assert_int_equal(g_other.news.type, CLUSTER_EVENT_ENDED);
    assert_true(g_other.news.owner.epoch == 1234);
    close_world(&g_other);
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

static void test_events_are_not_asked_for_without_pause_when_redis_refuses_them(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat m = {.node = "o1", .instance = 77};
    struct store_event said = {.type = CLUSTER_EVENT_PUBLISHED,
                               .name = name_of("/live/x"),
                               .owner = owner("o1", 77, 1234)};

    SKIP_WITHOUT_REDIS(w);
    tell_redis("SET hw:events x");
    tell_redis("CONFIG RESETSTAT");
    w->store->ops->put_node(w->store, &m, 60000);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    open_world(&g_other, true);
    wait_until(&g_other, has_many_nodes); /* 20 polls */
    assert_in_range(count_calls("xread"), 1, 5);
    tell_redis("DEL hw:events");
    w->store->ops->announce(w->store, &said);
    assert_int_equal(lookup(w), E_NOT_FOUND);
    wait_until(&g_other, has_news);
    assert_string_equal(g_other.news.name.text, "live/x");
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

static void test_key_that_is_too_long_names_no_stream(void **state)
{
    char command[1024], part[NAME_PART_MAX + 1] = "";
    struct world *w = *state;

    SKIP_WITHOUT_REDIS(w);
    memset(part, 'a', NAME_PART_MAX);
    snprintf(command, sizeof command,
             "SET hw:stream:%s/%s/%s+ {\"node\":\"o1\",\"instance\":\"1\",\"epoch\":\"2\"}", part,
             part, part); /* without the last byte it would be one */
    tell_redis(command);
    open_world(&g_other, true);
    assert_int_equal(g_other.n_of_type[CLUSTER_EVENT_PUBLISHED], 1); /* of open_redis() */
    close_world(&g_other);
}

static void test_create_gives_null_and_why_when_the_address_is_wrong(void **state)
{
    static const char *const k_sentinels[] = {"a:1", "a:x"};
    static const struct {
        const char *url;
        size_t n_sentinels;
        const char *master;
    } k_bad[] = {{"", 0, ""},
                 {"http://a", 0, ""},
                 {"redis://", 0, ""},
                 {"redis://u:secret@a", 0, ""},
                 {"redis://a/x", 0, ""},
                 {"unix://a", 0, ""},
                 {"unix:///a", 1, "m"},
                 {"redis://a", 1, ""},
                 {"redis://a", 2, "m"}};
    struct store_watch watch = {
        on_state,         on_emptied,          on_node,  on_event, on_settings,
        on_settings_read, on_settings_refused, on_scale, &g_world};
    struct loop *loop = loop_create("test", 0);

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct store_redis_conf conf = k_store_redis_default;
        const char *why = "";

        conf.url = k_bad[i].url;
        conf.sentinels = k_sentinels;
        conf.n_sentinels = k_bad[i].n_sentinels;
        conf.master = k_bad[i].master;
        assert_null(store_redis_create(loop, &conf, &watch, &why));
        assert_true(*why != '\0');
        assert_null(strstr(why, "secret"));
    }
    loop_destroy(&loop);
}

#define REDIS(test) cmocka_unit_test_setup_teardown(test, set_up_redis, tear_down)

static int run(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_node_reaches_the_other_scheduler),
        REDIS(test_events_of_all_kinds_reach_the_other_scheduler_only),
        REDIS(test_orders_are_heard_once_when_the_log_lost_its_end),
        REDIS(test_refresh_tells_the_schedulers_that_know_less),
        REDIS(test_owner_is_read_by_a_scheduler_that_starts_later),
        REDIS(test_scale_reaches_the_other_scheduler_and_its_loss_is_told),
        REDIS(test_flush_is_noticed),
        REDIS(test_flush_is_noticed_by_every_scheduler),
        REDIS(test_no_epoch_is_given_twice_when_redis_forgets_what_it_gave),
        REDIS(test_replica_is_left_and_claims_leap_when_it_is_promoted),
        REDIS(test_node_whose_lease_ran_out_leaves_the_list),
        REDIS(test_unlist_spares_a_node_that_was_written_since),
        REDIS(test_calls_fail_at_once_when_redis_is_gone_and_work_when_it_is_back),
        REDIS(test_end_said_while_redis_is_away_is_heard_after),
        REDIS(test_call_fails_in_time_when_redis_is_frozen),
        REDIS(test_events_are_not_asked_for_without_pause_when_redis_refuses_them),
        REDIS(test_values_that_are_no_owners_count_as_absent),
        REDIS(test_key_that_is_too_long_names_no_stream),
        cmocka_unit_test(test_create_gives_null_and_why_when_the_address_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_store_tests(run);
}
