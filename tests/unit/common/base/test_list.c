/* common/base/list: order, removal while walking, double removal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/list.h"

struct item {
    int number;
    struct list node;
};

/* The numbers in order as one decimal number: 1, 2, 3 -> 123. */
static int digits(struct list *head)
{
    struct list *node, *tmp;
    int value = 0;

    list_for_each_safe(node, tmp, head)
        value = value * 10 + list_entry(node, struct item, node)->number;
    return value;
}

static void test_push_back_gives_order_of_pushing(void **state)
{
    struct list head;
    struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}};

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_int_equal(digits(&head), 0);
    for (size_t i = 0; i < 3; i++)
        list_push_back(&head, &items[i].node);
    assert_false(list_is_empty(&head));
    assert_int_equal(digits(&head), 123);
}

static void test_pop_front_gives_unlinked_nodes_then_null(void **state)
{
    struct list head;
    struct item items[] = {{.number = 1}, {.number = 2}};

    (void)state;
    list_init(&head);
    list_push_back(&head, &items[0].node);
    list_push_back(&head, &items[1].node);
    assert_ptr_equal(list_pop_front(&head), &items[0].node);
    assert_true(list_is_empty(&items[0].node)); /* points to itself */
    assert_int_equal(digits(&head), 2);
    assert_ptr_equal(list_pop_front(&head), &items[1].node);
    assert_null(list_pop_front(&head));
}

static void test_remove_is_fine_twice_and_on_a_fresh_node(void **state)
{
    struct list head;
    struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}};

    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 3; i++)
        list_push_back(&head, &items[i].node);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    assert_int_equal(digits(&head), 13);
    list_push_back(&head, &items[1].node);
    assert_int_equal(digits(&head), 132);
    list_init(&items[0].node); /* as a fresh one; the list is not used again */
    list_remove(&items[0].node);
    assert_true(list_is_empty(&items[0].node));
}

static void test_for_each_safe_allows_removal_of_current(void **state)
{
    struct list head, *node, *tmp;
    struct item items[6];

    (void)state;
    list_init(&head);
    for (int i = 0; i < 6; i++) {
        items[i].number = i + 1;
        list_push_back(&head, &items[i].node);
    }
    list_for_each_safe(node, tmp, &head) {
        struct item *item = list_entry(node, struct item, node);

        if (item->number % 2) {
            list_remove(node);
            item->node.next = item->node.prev = NULL; /* as if freed */
        }
    }
    assert_int_equal(digits(&head), 246);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_back_gives_order_of_pushing),
        cmocka_unit_test(test_pop_front_gives_unlinked_nodes_then_null),
        cmocka_unit_test(test_remove_is_fine_twice_and_on_a_fresh_node),
        cmocka_unit_test(test_for_each_safe_allows_removal_of_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
