/* One suite for both stores. */
#include "tests/unit/scheduler/store_test.h"

#include "proto/cluster/epoch.h"

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
    assert_true(w->owner.epoch > ahead);
    ahead = w->owner.epoch;
    assert_int_equal(claim(w, "o1", 1, 0, 0), E_OK); /* again, by one that has seen less */
    assert_true(w->owner.epoch == ahead + 1);
}

/* A report that does not know the run must not lose it. */
static void test_run_is_kept_with_the_owner(void **state)
{
    struct world *w = *state;
    struct store_claim c = {.name = name_of("/live/x"), .node = "o1", .instance = 1, .run = 77};
    struct store_owner mine;

    SKIP_WITHOUT_REDIS(w);
    w->is_answered = false;
    w->store->ops->claim(w->store, &c, on_answer, w);
    wait_until(w, is_answered);
    assert_int_equal(w->e, E_OK);
    assert_true(w->owner.run == 77);
    mine = owner("o1", 1, w->owner.epoch);
    w->store->ops->refresh(w->store, &c.name, &mine);
    assert_int_equal(lookup(w), E_OK);
    assert_true(w->owner.run == 77);
}

static void test_claim_leaps_when_an_epoch_was_seen_that_was_not_given_here(void **state)
{
    struct world *w = *state;
    uint64_t ahead = (uint64_t)clock_wall_us() + 3600ull * 1000000, elsewhere;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 1, 0, ahead), E_OK);
    assert_true(w->owner.epoch >= ahead + epoch_leap(0)); /* nothing was given here before */
    elsewhere = w->owner.epoch + 1;
    assert_int_equal(claim(w, "o1", 1, 0, elsewhere), E_OK);
    assert_true(w->owner.epoch >= elsewhere + epoch_leap(0));
}

static void test_claim_gives_more_than_a_stream_had_that_was_given_up(void **state)
{
    struct world *w = *state;
    uint64_t ahead = (uint64_t)clock_wall_us() + 3600ull * 1000000, epoch;

    SKIP_WITHOUT_REDIS(w);
    assert_int_equal(claim(w, "o1", 1, 0, ahead), E_OK);
    epoch = w->owner.epoch;
    assert_int_equal(release(w, "o1", 1, epoch), E_OK);
    assert_int_equal(claim(w, "o2", 2, 0, 0), E_OK);
    assert_true(w->owner.epoch > epoch);
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
    struct store_claim c = {.name = name_of("/live/x"), .node = "o1", .instance = 1};

    SKIP_WITHOUT_REDIS(w);
    w->is_answered = false;
    w->store->ops->claim(w->store, &c, on_answer, w);
    store_destroy(&w->store);
    assert_true(w->is_answered);
    assert_int_equal(w->e, w->is_redis ? E_CLOSED : E_OK);
    close_world(w);
}

static int set_up_memory(void **state)
{
    open_world(&g_world, false);
    *state = &g_world;
    return 0;
}

#define BOTH(test)                                             \
    {#test " (memory)", test, set_up_memory, tear_down, NULL}, \
    {                                                          \
#test " (redis)", test, set_up_redis, tear_down, NULL  \
    }

static int run(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_claim_gives_an_epoch_of_the_clock_when_free),
        BOTH(test_claim_gives_more_than_the_highest_seen),
        BOTH(test_run_is_kept_with_the_owner),
        BOTH(test_claim_leaps_when_an_epoch_was_seen_that_was_not_given_here),
        BOTH(test_claim_gives_more_than_a_stream_had_that_was_given_up),
        BOTH(test_claim_gives_stale_and_the_owner_when_somebody_was_faster),
        BOTH(test_release_frees_only_for_the_owner_with_its_epoch),
        BOTH(test_refresh_writes_unless_somebody_newer_is_there),
        BOTH(test_epochs_grow_when_many_claim),
        BOTH(test_destroy_answers_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_store_tests(run);
}
