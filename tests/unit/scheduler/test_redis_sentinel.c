/* Which sentinel is asked, and what its answers and messages mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/redis_sentinel.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

static const char *const k_places[] = {"10.0.0.1:5001", "sentinel-2", "[::1]:5003"};

static struct redis_sentinels made(void)
{
    struct redis_sentinels s;
    const char *why = "";

    assert_int_equal(redis_sentinels_init(&s, k_places, N(k_places), "m1", &why), E_OK);
    return s;
}

/* A reply of texts; NULL is nil. */
struct texts {
    redisReply reply, items[4];
    redisReply *pointers[4];
};

static const redisReply *reply_of(struct texts *t, size_t n, const char *const *texts)
{
    memset(t, 0, sizeof *t);
    t->reply.type = REDIS_REPLY_ARRAY;
    t->reply.elements = n;
    t->reply.element = t->pointers;
    for (size_t i = 0; i < n; i++) {
        t->pointers[i] = &t->items[i];
        t->items[i].type = texts[i] ? REDIS_REPLY_STRING : REDIS_REPLY_NIL;
        t->items[i].str = (char *)(uintptr_t)texts[i];
        t->items[i].len = texts[i] ? strlen(texts[i]) : 0;
    }
    return &t->reply;
}

static enum redis_sentinels_said answer(struct redis_sentinels *s, const char *host,
                                        const char *port)
{
    const char *texts[] = {host, port};
    struct texts t;

    return redis_sentinels_answer(s, reply_of(&t, N(texts), texts));
}

static enum redis_sentinels_said message(struct redis_sentinels *s, const char *text)
{
    const char *texts[] = {"message", "+switch-master", text};
    struct texts t;

    return redis_sentinels_message(s, reply_of(&t, N(texts), texts));
}

static void test_init_gives_places_with_the_default_port(void **state)
{
    struct redis_sentinels s = made();

    (void)state;
    assert_string_equal(redis_sentinels_current(&s)->host, "10.0.0.1");
    assert_int_equal(redis_sentinels_current(&s)->port, 5001);
    redis_sentinels_failed(&s);
    assert_string_equal(redis_sentinels_current(&s)->host, "sentinel-2");
    assert_int_equal(redis_sentinels_current(&s)->port, 26379);
    redis_sentinels_failed(&s);
    assert_string_equal(redis_sentinels_current(&s)->host, "::1");
    redis_sentinels_failed(&s);
    assert_string_equal(redis_sentinels_current(&s)->host, "10.0.0.1"); /* round */
    assert_string_equal(s.master.host, "");
}

static void test_init_gives_inval_and_why_when_the_list_is_wrong(void **state)
{
    static const char *const k_bad[] = {"", ":26379", "a:b", "a:70000", "::1:26379"};
    const char *many[REDIS_MAX_SENTINELS + 1], *why = NULL;
    struct redis_sentinels s;

    (void)state;
    for (size_t i = 0; i < N(k_bad); i++)
        assert_int_equal(redis_sentinels_init(&s, &k_bad[i], 1, "m1", &why), E_INVAL);
    assert_non_null(strstr(why, "host:port"));
    for (size_t i = 0; i < N(many); i++)
        many[i] = "a:1";
    assert_int_equal(redis_sentinels_init(&s, many, N(many), "m1", &why), E_INVAL);
    assert_int_equal(redis_sentinels_init(&s, many, N(many) - 1, "m1", &why), E_OK);
    assert_int_equal(redis_sentinels_init(&s, many, 0, "m1", &why), E_INVAL);
    assert_int_equal(redis_sentinels_init(&s, many, 1, "", &why), E_INVAL);
    assert_non_null(strstr(why, "name"));
}

static void test_answer_gives_moved_once_and_then_same(void **state)
{
    struct redis_sentinels s = made();

    (void)state;
    assert_int_equal(answer(&s, "10.0.1.1", "6379"), REDIS_SENTINELS_MOVED);
    assert_string_equal(s.master.host, "10.0.1.1");
    assert_int_equal(s.master.port, 6379);
    assert_int_equal(answer(&s, "10.0.1.1", "6379"), REDIS_SENTINELS_SAME);
    assert_int_equal(answer(&s, "10.0.1.1", "6380"), REDIS_SENTINELS_MOVED);
    redis_sentinels_failed(&s); /* the next one says the same */
    assert_int_equal(answer(&s, "10.0.1.1", "6380"), REDIS_SENTINELS_SAME);
}

static void test_answer_gives_useless_when_it_is_no_address(void **state)
{
    static const redisReply k_nil = {.type = REDIS_REPLY_NIL};
    static char k_text[] = "NOAUTH Authentication required.";
    redisReply refused = {.type = REDIS_REPLY_ERROR, .str = k_text, .len = sizeof k_text - 1};
    static const char *const k_bad[][2] = {{"", "6379"},   {"10.0.1.1", ""},  {"10.0.1.1", "0"},
                                           {NULL, NULL},   {"a", "65536"},    {"a", "-1"},
                                           {"a", " 6379"}, {"10.0.1.1", "6x"}};
    struct redis_sentinels s = made();
    char longest[sizeof s.master.host + 1] = "";
    struct texts t;

    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    assert_int_equal(redis_sentinels_answer(&s, &k_nil), REDIS_SENTINELS_USELESS);
    assert_int_equal(redis_sentinels_answer(&s, &refused), REDIS_SENTINELS_USELESS);
    assert_int_equal(redis_sentinels_answer(&s, reply_of(&t, 0, NULL)), REDIS_SENTINELS_USELESS);
    for (size_t i = 0; i < N(k_bad); i++)
        assert_int_equal(answer(&s, k_bad[i][0], k_bad[i][1]), REDIS_SENTINELS_USELESS);
    assert_int_equal(answer(&s, longest, "6379"), REDIS_SENTINELS_USELESS);
    assert_string_equal(s.master.host, "");
    assert_int_equal(s.state, REDIS_SENTINELS_ASKED);
    longest[sizeof longest - 2] = '\0';
    assert_int_equal(answer(&s, longest, "65535"), REDIS_SENTINELS_MOVED);
    assert_string_equal(s.master.host, longest);
}

static void test_message_gives_moved_for_this_master_alone(void **state)
{
    struct redis_sentinels s = made();

    (void)state;
    assert_int_equal(answer(&s, "10.0.1.1", "6379"), REDIS_SENTINELS_MOVED);
    assert_int_equal(message(&s, "m2 10.0.1.1 6379 10.0.1.9 6379"), REDIS_SENTINELS_NOTHING);
    assert_int_equal(message(&s, "m1 10.0.1.1 6379 10.0.1.2 6380"), REDIS_SENTINELS_MOVED);
    assert_string_equal(s.master.host, "10.0.1.2");
    assert_int_equal(s.master.port, 6380);
    assert_int_equal(message(&s, "m1 10.0.1.1 6379 10.0.1.2 6380"), REDIS_SENTINELS_SAME);
    assert_int_equal(answer(&s, "10.0.1.2", "6380"), REDIS_SENTINELS_SAME);
}

static void test_message_gives_nothing_when_it_is_something_else(void **state)
{
    static const char *const k_confirmed[] = {"subscribe", "+switch-master", NULL};
    static const char *const k_bad[] = {"", "m1", "m1 10.0.1.1 6379 10.0.1.2", "m1 a 1 b x",
                                        "m1 a 1 b 0"};
    struct redis_sentinels s = made();
    struct texts t;

    (void)state;
    assert_int_equal(redis_sentinels_message(&s, reply_of(&t, N(k_confirmed), k_confirmed)),
                     REDIS_SENTINELS_NOTHING);
    for (size_t i = 0; i < N(k_bad); i++)
        assert_int_equal(message(&s, k_bad[i]), REDIS_SENTINELS_NOTHING);
    assert_string_equal(s.master.host, "");
}

static void test_doubted_asks_the_next_one_only_when_the_current_has_answered(void **state)
{
    struct redis_sentinels s = made();

    (void)state;
    assert_false(redis_sentinels_doubted(&s));
    assert_int_equal(s.at, 0);
    assert_int_equal(answer(&s, "10.0.1.1", "6379"), REDIS_SENTINELS_MOVED);
    assert_true(redis_sentinels_doubted(&s));
    assert_int_equal(s.at, 1);
    assert_false(redis_sentinels_doubted(&s)); /* both connections to the master failed at once */
    assert_int_equal(s.at, 1);
    assert_int_equal(s.n_failures, 0); /* the sentinels are not to blame */
}

static void test_failures_are_counted_until_one_answers_twice(void **state)
{
    struct redis_sentinels s = made();

    (void)state;
    redis_sentinels_failed(&s);
    redis_sentinels_failed(&s);
    assert_int_equal(answer(&s, "10.0.1.1", "6379"), REDIS_SENTINELS_MOVED);
    assert_int_equal(s.n_failures, 2); /* it may be gone again */
    assert_int_equal(answer(&s, "10.0.1.1", "6379"), REDIS_SENTINELS_SAME);
    assert_int_equal(s.n_failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_gives_places_with_the_default_port),
        cmocka_unit_test(test_init_gives_inval_and_why_when_the_list_is_wrong),
        cmocka_unit_test(test_answer_gives_moved_once_and_then_same),
        cmocka_unit_test(test_answer_gives_useless_when_it_is_no_address),
        cmocka_unit_test(test_message_gives_moved_for_this_master_alone),
        cmocka_unit_test(test_message_gives_nothing_when_it_is_something_else),
        cmocka_unit_test(test_doubted_asks_the_next_one_only_when_the_current_has_answered),
        cmocka_unit_test(test_failures_are_counted_until_one_answers_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
