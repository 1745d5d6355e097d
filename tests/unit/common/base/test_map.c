/* common/base/map: many keys, colliding buckets, iteration with removal, no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "tests/unit/common/limited_alloc.h"
#include "common/base/map.c"
#include "tests/unit/common/limited_alloc_end.h"

enum { MANY = 20000 };

static int values[MANY];

static const char *key_of(int i, char out[20])
{
    snprintf(out, 20, "live/%d", i);
    return out;
}

static void fill(struct map *m, int n)
{
    char key[20];

    map_init(m);
    for (int i = 0; i < n; i++)
        assert_int_equal(map_set(m, key_of(i, key), &values[i]), E_OK);
}

static void test_get_gives_null_when_empty_or_unknown(void **state)
{
    struct map m;

    (void)state;
    map_init(&m);
    assert_null(map_get(&m, "a"));
    assert_null(map_remove(&m, "a"));
    assert_int_equal(map_set(&m, "a", &values[0]), E_OK);
    assert_null(map_get(&m, "b"));
    assert_null(map_remove(&m, ""));
    map_fini(&m);
    map_fini(&m); /* an empty map again */
}

static void test_set_copies_key_and_replaces_value(void **state)
{
    struct map m;
    char key[] = "a";

    (void)state;
    map_init(&m);
    assert_int_equal(map_set(&m, key, &values[0]), E_OK);
    key[0] = 'b';
    assert_ptr_equal(map_get(&m, "a"), &values[0]);
    assert_int_equal(map_set(&m, "a", &values[1]), E_OK);
    assert_int_equal(m.n_entries, 1);
    assert_ptr_equal(map_get(&m, "a"), &values[1]);
    assert_int_equal(map_set(&m, "", &values[2]), E_OK);
    assert_ptr_equal(map_get(&m, ""), &values[2]);
    map_fini(&m);
}

static void test_map_keeps_all_of_many_keys_through_growth_and_removal(void **state)
{
    struct map m;
    char key[20];

    (void)state;
    fill(&m, MANY);
    assert_int_equal(m.n_entries, MANY);
    for (int i = 0; i < MANY; i += 2)
        assert_ptr_equal(map_remove(&m, key_of(i, key)), &values[i]);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(map_get(&m, key_of(i, key)), i % 2 ? &values[i] : NULL);
    assert_int_equal(m.n_entries, MANY / 2);
    map_fini(&m);
}

static void test_map_keeps_keys_apart_when_they_share_a_bucket(void **state)
{
    struct map m;
    char kept[8][20];
    int n_kept = 0;

    (void)state;
    map_init(&m);
    /* the key is random, so colliding names must be looked for */
    for (int i = 0; n_kept < 8; i++) {
        char key[20];

        key_of(i, key);
        if ((map_hash(key, strlen(key)) & (FIRST_BUCKETS - 1)) == 5)
            memcpy(kept[n_kept++], key, sizeof key);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(map_set(&m, kept[i], &values[i]), E_OK);
    assert_int_equal(m.n_buckets, FIRST_BUCKETS);
    assert_ptr_equal(map_remove(&m, kept[3]), &values[3]); /* middle, first and last of the chain */
    assert_ptr_equal(map_remove(&m, kept[0]), &values[0]);
    assert_ptr_equal(map_remove(&m, kept[7]), &values[7]);
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(map_get(&m, kept[i]), i == 0 || i == 3 || i == 7 ? NULL : &values[i]);
    map_fini(&m);
}

/* Walks the map; every value once. Removes those that `remove_every` divides. */
static void walk(struct map *m, int n, int remove_every)
{
    static unsigned char seen[MANY];
    struct map_cursor cursor = {0};
    const char *key;
    void *value;
    int n_seen = 0;

    memset(seen, 0, sizeof seen);
    while (map_next(m, &cursor, &key, &value)) {
        int i = (int)((int *)value - values);
        char expected[20];

        assert_string_equal(key, key_of(i, expected));
        assert_int_equal(seen[i]++, 0);
        n_seen++;
        if (remove_every && i % remove_every == 0)
            assert_ptr_equal(map_remove(m, key), value);
    }
    assert_int_equal(n_seen, n);
    assert_false(map_next(m, &cursor, &key, &value)); /* the end stays the end */
}

static void test_next_gives_each_entry_once(void **state)
{
    static const int k_sizes[] = {0, 1, 2, 16, 17, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof k_sizes / sizeof k_sizes[0]; i++) {
        struct map m;

        fill(&m, k_sizes[i]);
        walk(&m, k_sizes[i], 0);
        map_fini(&m);
    }
}

static void test_next_allows_removal_of_the_entry_just_given(void **state)
{
    struct map m;

    (void)state;
    fill(&m, 999);
    walk(&m, 999, 3);
    walk(&m, 666, 1);
    assert_int_equal(m.n_entries, 0);
    walk(&m, 0, 0);
    map_fini(&m);
}

static void test_set_gives_nomem_and_keeps_entries(void **state)
{
    struct map m;
    char key[20];

    (void)state;
    map_init(&m);
    allocations_left = 0; /* no table */
    assert_int_equal(map_set(&m, "a", &values[0]), E_NOMEM);
    allocations_left = 1; /* a table, no entry */
    assert_int_equal(map_set(&m, "a", &values[0]), E_NOMEM);
    assert_null(map_get(&m, "a"));
    allocations_left = -1;
    map_fini(&m);

    fill(&m, FIRST_BUCKETS); /* the next one doubles the table, or not */
    allocations_left = 0;
    assert_int_equal(map_set(&m, "x", &values[99]), E_NOMEM);
    assert_int_equal(map_set(&m, key_of(3, key), &values[98]),
                     E_OK); /* replacing needs no memory */
    allocations_left = -1;
    assert_int_equal(m.n_entries, FIRST_BUCKETS);
    for (int i = 0; i < FIRST_BUCKETS; i++)
        assert_ptr_equal(map_get(&m, key_of(i, key)), &values[i == 3 ? 98 : i]);
    map_fini(&m);
}

static void test_hash_gives_same_for_same_bytes(void **state)
{
    (void)state;
    assert_true(map_hash("abc", 3) == map_hash("abcd", 3));
    assert_false(map_hash("abc", 3) == map_hash("abd", 3));
    assert_false(map_hash("abc", 3) == map_hash("abc", 4));
    assert_false(process_key[0] == 0 && process_key[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_gives_null_when_empty_or_unknown),
        cmocka_unit_test(test_set_copies_key_and_replaces_value),
        cmocka_unit_test(test_map_keeps_all_of_many_keys_through_growth_and_removal),
        cmocka_unit_test(test_map_keeps_keys_apart_when_they_share_a_bucket),
        cmocka_unit_test(test_next_gives_each_entry_once),
        cmocka_unit_test(test_next_allows_removal_of_the_entry_just_given),
        cmocka_unit_test(test_set_gives_nomem_and_keeps_entries),
        cmocka_unit_test(test_hash_gives_same_for_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
