/* node/control/listing: pages of a list that comes in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/control/listing.h"

#define N_KEYS 97 /* a prime, so that any step visits all of them */

struct item {
    char key[16];
    int value;
};

/* Puts keys 0..N_KEYS-1 in, in an order that the step makes. */
static void add_all(struct listing *l, unsigned step)
{
    for (unsigned i = 0, k = 0; i < N_KEYS; i++, k = (k + step) % N_KEYS) {
        char key[16];
        struct item *item;

        snprintf(key, sizeof key, "k%03u", k);
        item = listing_add(l, key);
        if (!item)
            continue;
        memcpy(item->key, key, sizeof key);
        item->value = (int)k;
    }
    listing_finish(l);
}

static void test_finish_gives_the_same_pages_for_every_order(void **state)
{
    (void)state;
    for (unsigned step = 1; step < N_KEYS; step++) {
        const char *after = NULL, *why;
        char last[16];
        int expected = 0;
        struct listing l;

        do {
            listing_init(&l, sizeof(struct item));
            assert_int_equal(listing_set_page(&l, "10", after, &why), E_OK);
            add_all(&l, step);
            assert_int_equal(l.failed, E_OK);
            for (size_t i = 0; i < l.n_items; i++)
                assert_int_equal(((struct item *)listing_at(&l, i))->value, expected++);
            memcpy(last, listing_at(&l, l.n_items - 1), sizeof last);
            after = last;
            assert_true(l.capacity <= 22);
            listing_fini(&l);
        } while (l.has_more);
        assert_int_equal(expected, N_KEYS);
    }
}

static void test_finish_gives_no_more_when_the_page_is_exactly_full(void **state)
{
    const char *why;
    struct listing l;

    (void)state;
    listing_init(&l, sizeof(struct item));
    assert_int_equal(listing_set_page(&l, "97", NULL, &why), E_OK);
    add_all(&l, 5);
    assert_int_equal(l.n_items, N_KEYS);
    assert_false(l.has_more);
    listing_fini(&l);
}

static void test_finish_gives_nothing_for_an_empty_list(void **state)
{
    struct listing l;

    (void)state;
    listing_init(&l, sizeof(struct item));
    listing_finish(&l);
    assert_int_equal(l.n_items, 0);
    assert_false(l.has_more);
    listing_fini(&l);
}

static void test_set_page_refuses_what_is_no_page(void **state)
{
    static const char *const k_bad[] = {"0",   "1001", "-1", "",
                                        "ten", "5x",   " 5", "99999999999999999999999"};
    char longest[LISTING_KEY_SIZE + 1];
    const char *why = "";
    struct listing l;

    (void)state;
    listing_init(&l, sizeof(struct item));
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_int_equal(listing_set_page(&l, k_bad[i], NULL, &why), E_INVAL);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(listing_set_page(&l, NULL, longest, &why), E_INVAL);
    longest[sizeof longest - 2] = '\0';
    assert_int_equal(listing_set_page(&l, "1000", longest, &why), E_OK);
    listing_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finish_gives_the_same_pages_for_every_order),
        cmocka_unit_test(test_finish_gives_no_more_when_the_page_is_exactly_full),
        cmocka_unit_test(test_finish_gives_nothing_for_an_empty_list),
        cmocka_unit_test(test_set_page_refuses_what_is_no_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
