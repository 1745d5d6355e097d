/* node/access: rules, grants, guesses, what was verified, stream keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/access/cache.h"
#include "node/access/grant.h"
#include "node/access/guess.h"
#include "node/access/rules.h"
#include "node/access/stream_keys.h"

static struct stream_name name_of(const char *app, const char *name)
{
    struct stream_name out;
    const char *why;

    assert_int_equal(stream_name_make(&out, buf_view_str(app), buf_view_str(name), &why), E_OK);
    return out;
}

/* --- rules --- */

static enum err make_rules(const char *const *texts, size_t n, struct access_rules *out,
                           struct conf_error *error)
{
    char *items[8];
    struct conf_list list = {items, n};

    for (size_t i = 0; i < n; i++)
        items[i] = (char *)(uintptr_t)texts[i];
    return access_rules_make(&list, out, error);
}

static void test_rules_find_gives_the_first_rule_of_the_app(void **state)
{
    static const char *const k_texts[] = {"live play=sign|jwt", "live publish=closed play=open",
                                          "a/b publish=key", "* publish=closed"};
    const struct stream_name live = name_of("live", "x"), deep = name_of("a/b", "x"),
                             other = name_of("a", "x");
    struct access_rules rules = {NULL, 0};
    struct conf_error error;
    unsigned methods = 77;

    (void)state;
    assert_int_equal(make_rules(k_texts, 4, &rules, &error), E_OK);
    assert_true(access_rules_find(&rules, ACCESS_PLAY, &live, &methods));
    assert_int_equal(methods, 1u << METHOD_SIGN | 1u << METHOD_JWT);
    methods = 77;
    assert_false(access_rules_find(&rules, ACCESS_PUBLISH, &live, &methods)); /* it says nothing */
    assert_int_equal(methods, 77);
    assert_true(access_rules_find(&rules, ACCESS_PUBLISH, &deep, &methods));
    assert_int_equal(methods, 1u << METHOD_KEY);
    assert_true(access_rules_find(&rules, ACCESS_PUBLISH, &other, &methods));
    assert_int_equal(methods, 0);
    assert_false(access_rules_find(&rules, ACCESS_PLAY, &other, &methods));
    access_rules_free(&rules);
}

static void test_rules_make_refuses_what_means_nothing(void **state)
{
    static const char *const k_texts[] = {"live play=maybe", "live play=closed|sign",
                                          "live pay=sign",   "/live play=open",
                                          ".x play=open",    ""};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        struct access_rules rules = {NULL, 0};
        struct conf_error error = {""};

        assert_int_equal(make_rules(&k_texts[i], 1, &rules, &error), E_INVAL);
        assert_non_null(strstr(error.text, "access.rules[0]"));
        assert_null(rules.rules);
    }
}

/* --- grants --- */

static void test_grant_holds_for_what_it_was_written_for_and_in_time(void **state)
{
    struct access_grants grants, other;
    char grant[GRANT_SIZE];

    (void)state;
    access_grants_init(&grants);
    access_grants_set(&grants, "token", "");
    access_grants_init(&other); /* another node of the cluster */
    access_grants_set(&other, "new", "token");
    assert_true(access_grant_write(&grants, GRANT_PIECES, "live/a", "h-1", 1000, grant));
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "live/a", "h-1", grant, 999), E_OK);
    assert_int_equal(access_grant_check(&other, GRANT_PIECES, "live/a", "h-1", grant, 999), E_OK);
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "live/a", "h-1", grant, 1000),
                     E_TIMEOUT);
    assert_int_equal(access_grant_check(&grants, GRANT_PLAYLISTS, "live/a", "h-1", grant, 1),
                     E_DENIED);
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "live/b", "h-1", grant, 1),
                     E_DENIED);
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "live/a", "h-2", grant, 1),
                     E_DENIED);
    access_grants_set(&other, "new", "newer");
    assert_int_equal(access_grant_check(&other, GRANT_PIECES, "live/a", "h-1", grant, 1), E_DENIED);
}

static void test_grant_check_refuses_every_change(void **state)
{
    struct access_grants grants;
    char grant[GRANT_SIZE], changed[GRANT_SIZE + 8];

    (void)state;
    access_grants_init(&grants);
    access_grants_set(&grants, NULL, NULL);
    assert_true(access_grant_write(&grants, GRANT_PIECES, "a/b", "h-1", 4000000000, grant));
    for (size_t i = 0; i < strlen(grant); i++) {
        snprintf(changed, sizeof changed, "%s", grant);
        changed[i] = changed[i] == 'e' ? 'f' : 'e';
        assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "a/b", "h-1", changed, 1),
                         E_DENIED);
    }
    snprintf(changed, sizeof changed, "%.*s", (int)strlen(grant) - 1, grant);
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "a/b", "h-1", changed, 1), E_DENIED);
    snprintf(changed, sizeof changed, "0%s", grant); /* the same number */
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "a/b", "h-1", "", 1), E_DENIED);
    assert_int_equal(access_grant_check(&grants, GRANT_PIECES, "a/b", "h-1", ".", 1), E_DENIED);
}

/* Without a node token each process has a key of its own. */
static void test_grants_of_two_processes_without_a_token_are_strangers(void **state)
{
    struct access_grants one, two;
    char grant[GRANT_SIZE];

    (void)state;
    access_grants_init(&one);
    access_grants_init(&two);
    access_grants_set(&one, "", "");
    access_grants_set(&two, "", "");
    assert_true(access_grant_write(&one, GRANT_PIECES, "a/b", "h-1", 10, grant));
    assert_int_equal(access_grant_check(&one, GRANT_PIECES, "a/b", "h-1", grant, 1), E_OK);
    assert_int_equal(access_grant_check(&two, GRANT_PIECES, "a/b", "h-1", grant, 1), E_DENIED);
}

/* --- guesses --- */

static void test_guess_budget_is_ten_at_once_and_one_every_three_seconds(void **state)
{
    static struct access_guesses guesses;
    struct addr here, there;
    int64_t now_us = 1000000000;

    (void)state;
    access_guesses_init(&guesses);
    assert_int_equal(addr_parse(&here, "10.0.0.1:1"), E_OK);
    assert_int_equal(addr_parse(&there, "10.0.0.2:1"), E_OK);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(access_guess_wait_s(&guesses, &here, now_us), 0);
        access_guess_count(&guesses, &here, now_us);
    }
    assert_in_range(access_guess_wait_s(&guesses, &here, now_us), 1, 4);
    assert_int_equal(access_guess_wait_s(&guesses, &there, now_us), 0);
    assert_int_equal(access_guess_wait_s(&guesses, &here, now_us + 3000000), 0);
    access_guess_count(&guesses, &here, now_us + 3000000);
    assert_true(access_guess_wait_s(&guesses, &here, now_us + 3000000) > 0);
    access_guess_forgive(&guesses, &here); /* the last one was right */
    assert_int_equal(access_guess_wait_s(&guesses, &here, now_us + 3000000), 0);
}

static void test_guess_budget_is_one_for_a_whole_ipv6_network(void **state)
{
    static struct access_guesses guesses;
    struct addr one, two;

    (void)state;
    access_guesses_init(&guesses);
    assert_int_equal(addr_parse(&one, "[2001:db8::1]:1"), E_OK);
    assert_int_equal(addr_parse(&two, "[2001:db8::ffff:2]:9"), E_OK);
    for (unsigned i = 0; i < 10; i++)
        access_guess_count(&guesses, &one, 1);
    assert_true(access_guess_wait_s(&guesses, &two, 1) > 0);
}

/* --- what was verified --- */

static void test_cache_gives_what_was_put_until_its_time(void **state)
{
    struct jwt_claims claims = {.expires_s = 5, .n_streams = 2, .streams = {"a/b", "c/*"}},
                      got = {0};
    struct access_cache *cache = access_cache_create(10);
    char key[ACCESS_CACHE_KEY_SIZE], other[ACCESS_CACHE_KEY_SIZE];
    const char *why = "";

    (void)state;
    assert_true(access_cache_key(cache, "jwt", 1, "token", key));
    assert_true(access_cache_key(cache, "jwt", 2, "token", other)); /* keys were read again */
    assert_string_not_equal(key, other);
    assert_int_equal(access_cache_get(cache, key, 1, &got, &why), ACCESS_UNKNOWN);
    access_cache_put(cache, key, 100, &claims, NULL);
    access_cache_put(cache, other, 100, NULL, "wrong");
    assert_int_equal(access_cache_get(cache, key, 99, &got, &why), ACCESS_GOOD);
    assert_int_equal(got.n_streams, 2);
    assert_string_equal(got.streams[1], "c/*");
    assert_int_equal(access_cache_get(cache, other, 99, NULL, &why), ACCESS_BAD);
    assert_string_equal(why, "wrong");
    assert_int_equal(access_cache_get(cache, key, 100, &got, &why), ACCESS_UNKNOWN);
    access_cache_destroy(&cache);
}

static void test_cache_forgets_what_was_not_used_for_longest(void **state)
{
    struct access_cache *cache = access_cache_create(3);
    char keys[4][ACCESS_CACHE_KEY_SIZE];
    const char *why;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        char secret[8];

        snprintf(secret, sizeof secret, "%u", i);
        assert_true(access_cache_key(cache, "user", 1, secret, keys[i]));
    }
    for (unsigned i = 0; i < 3; i++)
        access_cache_put(cache, keys[i], 100, NULL, NULL);
    assert_int_equal(access_cache_get(cache, keys[0], 1, NULL, &why), ACCESS_GOOD);
    access_cache_put(cache, keys[3], 100, NULL, NULL);
    assert_int_equal(access_cache_get(cache, keys[1], 1, NULL, &why), ACCESS_UNKNOWN);
    assert_int_equal(access_cache_get(cache, keys[0], 1, NULL, &why), ACCESS_GOOD);
    assert_int_equal(access_cache_get(cache, keys[3], 1, NULL, &why), ACCESS_GOOD);
    access_cache_destroy(&cache);
}

/* --- stream keys --- */

static void set_key(struct stream_keys *keys, const char *id, const char *stream,
                    const char *secret, unsigned actions, int64_t expires_s)
{
    char hash[SHA256_HEX_SIZE];
    struct stream_key key = {
        .id = id, .stream = stream, .hash = hash, .actions = actions, .expires_s = expires_s};

    assert_true(stream_key_hash(secret, hash));
    assert_int_equal(stream_keys_set(keys, &key), E_OK);
}

static void test_stream_keys_allow_their_stream_action_and_time_alone(void **state)
{
    const struct stream_name a = name_of("live", "a"), b = name_of("live", "b"),
                             deep = name_of("live/x", "a");
    struct stream_keys *keys = stream_keys_create();

    (void)state;
    set_key(keys, "1", "live/a", "one", 1u << ACCESS_PUBLISH, 100);
    set_key(keys, "2", "live/*", "all", 1u << ACCESS_PUBLISH | 1u << ACCESS_PLAY, 0);
    assert_true(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "one", 99));
    assert_false(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "one", 100));
    assert_false(stream_keys_allow(keys, &a, ACCESS_PLAY, "one", 1));
    assert_false(stream_keys_allow(keys, &b, ACCESS_PUBLISH, "one", 1));
    assert_false(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "", 1));
    assert_true(stream_keys_allow(keys, &b, ACCESS_PLAY, "all", 1000));
    assert_false(stream_keys_allow(keys, &deep, ACCESS_PLAY, "all", 1));
    stream_keys_destroy(&keys);
}

static void test_stream_keys_overlap_are_replaced_and_go(void **state)
{
    const struct stream_name a = name_of("live", "a");
    struct stream_keys *keys = stream_keys_create();

    (void)state;
    set_key(keys, "1", "live/a", "old", 1u << ACCESS_PUBLISH, 0);
    set_key(keys, "2", "live/a", "new", 1u << ACCESS_PUBLISH, 0);
    assert_true(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "old", 1));
    assert_true(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "new", 1));
    set_key(keys, "1", "live/b", "old", 1u << ACCESS_PUBLISH, 0);
    assert_false(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "old", 1));
    stream_keys_remove(keys, "2");
    stream_keys_remove(keys, "2");
    assert_false(stream_keys_allow(keys, &a, ACCESS_PUBLISH, "new", 1));
    stream_keys_destroy(&keys);
}

static void test_stream_keys_name_the_stream_of_that_app_until_they_go(void **state)
{
    struct stream_keys *keys = stream_keys_create();
    struct stream_name name;

    (void)state;
    set_key(keys, "1", "live/a", "one", 1u << ACCESS_PUBLISH, 100);
    set_key(keys, "2", "live/b", "two", 1u << ACCESS_PLAY, 0);
    set_key(keys, "3", "live/*", "three", 1u << ACCESS_PUBLISH, 0);
    assert_true(stream_keys_name(keys, buf_view_str("live"), "one", 99, &name));
    assert_string_equal(name.text, "live/a");
    assert_false(stream_keys_name(keys, buf_view_str("live"), "one", 100, &name));
    assert_false(stream_keys_name(keys, buf_view_str("liv"), "one", 1, &name));
    assert_false(stream_keys_name(keys, buf_view_str("live"), "two", 1, &name));
    assert_false(stream_keys_name(keys, buf_view_str("live"), "three", 1, &name)); /* names none */
    stream_keys_remove(keys, "1");
    assert_false(stream_keys_name(keys, buf_view_str("live"), "one", 1, &name));
    stream_keys_destroy(&keys);
}

static void test_stream_key_of_room_is_48_digits(void **state)
{
    const char *key = "56c1cc689db7899764fd398fe22e3fee0115ecea532f284a";

    (void)state;
    assert_true(stream_key_is_of_room(key));
    assert_false(stream_key_is_of_room(key + 1));
    assert_false(stream_key_is_of_room("56c1cc689db7899764fd398fe22e3fee0115ecea532f284a0"));
    assert_false(stream_key_is_of_room("56C1cc689db7899764fd398fe22e3fee0115ecea532f284a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_find_gives_the_first_rule_of_the_app),
        cmocka_unit_test(test_rules_make_refuses_what_means_nothing),
        cmocka_unit_test(test_grant_holds_for_what_it_was_written_for_and_in_time),
        cmocka_unit_test(test_grant_check_refuses_every_change),
        cmocka_unit_test(test_grants_of_two_processes_without_a_token_are_strangers),
        cmocka_unit_test(test_guess_budget_is_ten_at_once_and_one_every_three_seconds),
        cmocka_unit_test(test_guess_budget_is_one_for_a_whole_ipv6_network),
        cmocka_unit_test(test_cache_gives_what_was_put_until_its_time),
        cmocka_unit_test(test_cache_forgets_what_was_not_used_for_longest),
        cmocka_unit_test(test_stream_keys_allow_their_stream_action_and_time_alone),
        cmocka_unit_test(test_stream_keys_overlap_are_replaced_and_go),
        cmocka_unit_test(test_stream_keys_name_the_stream_of_that_app_until_they_go),
        cmocka_unit_test(test_stream_key_of_room_is_48_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
