/* Names in order: pages see each name once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/name_index.h"

#define N 5000

struct item {
    char name[16];
    struct name_index_entry entry;
};

static void test_after_gives_every_name_in_order_when_inserted_at_random(void **state)
{
    struct item *items = calloc(N, sizeof *items);
    struct name_index index = {0};
    struct name_index_entry *at;
    int n = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(items[i].name, sizeof items[i].name, "%05d", i * 3571 % N);
        items[i].entry.name = items[i].name;
        name_index_insert(&index, &items[i].entry);
    }
    for (at = name_index_after(&index, ""); at; at = at->next[0], n++) {
        char expected[16];

        snprintf(expected, sizeof expected, "%05d", n);
        assert_string_equal(at->name, expected);
    }
    assert_int_equal(n, N);
    assert_string_equal(name_index_after(&index, "00041")->name, "00042");
    assert_string_equal(name_index_after(&index, "00041x")->name, "00042");
    assert_null(name_index_after(&index, "99999"));
    for (int i = 0; i < N; i += 2)
        name_index_remove(&index, &items[i].entry);
    for (n = 0, at = name_index_after(&index, ""); at; at = at->next[0])
        n++;
    assert_int_equal(n, N / 2);
    for (int i = 1; i < N; i += 2)
        name_index_remove(&index, &items[i].entry);
    assert_null(name_index_after(&index, ""));
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_gives_every_name_in_order_when_inserted_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
