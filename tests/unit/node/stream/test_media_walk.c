/* Walks over the sessions of a loop that go on in another turn, while sessions come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/stream/media_loop.h"

#define N 6

struct world {
    struct media_loop ml;
    struct session_info sessions[N + 2];
    char seen[N + 3];
};

static void add(struct world *w, int i)
{
    list_push_back(&w->ml.sessions, &w->sessions[i].node);
    w->ml.n_sessions++;
}

static void open_world(struct world *w)
{
    memset(w, 0, sizeof *w);
    list_init(&w->ml.streams);
    list_init(&w->ml.sessions);
    list_init(&w->ml.walks);
    for (int i = 0; i < N; i++)
        add(w, i);
}

/* As gather.c does; which they were in w->seen. */
static void visit(struct world *w, struct media_walk *walk, int n)
{
    for (; n > 0 && walk->session != &w->ml.sessions; n--) {
        struct session_info *info = list_entry(walk->session, struct session_info, node);
        size_t used = strlen(w->seen);

        walk->session = walk->session->next;
        w->seen[used] = (char)('a' + (info - w->sessions));
    }
}

static void test_walk_sees_each_once_when_nothing_changes(void **state)
{
    struct media_walk walk;
    struct world w;

    (void)state;
    for (int step = 1; step <= N + 1; step++) {
        open_world(&w);
        media_walk_begin(&walk, &w.ml);
        for (int i = 0; i < N; i++)
            visit(&w, &walk, step);
        assert_string_equal(w.seen, "abcdef");
        media_walk_end(&walk);
        assert_true(list_is_empty(&w.ml.walks));
    }
}

/* Whoever leaves, wherever the walk is: the others are seen, each once. */
static void test_walk_goes_on_when_sessions_leave(void **state)
{
    struct media_walk walk, other;
    struct world w;

    (void)state;
    for (int at = 0; at <= N; at++)
        for (int leaves = 0; leaves < N; leaves++) {
            char expected[N + 1] = "";

            open_world(&w);
            media_walk_begin(&walk, &w.ml);
            media_walk_begin(&other, &w.ml); /* of somebody else: stays at the beginning */
            visit(&w, &walk, at);
            session_info_fini(&w.sessions[leaves], &w.ml);
            session_info_fini(&w.sessions[(leaves + 1) % N], &w.ml);
            visit(&w, &walk, N);
            for (int i = 0; i < N; i++)
                if (i < at || (i != leaves && i != (leaves + 1) % N))
                    expected[strlen(expected)] = (char)('a' + i);
            assert_string_equal(w.seen, expected);
            assert_true(other.session == w.ml.sessions.next);
            media_walk_end(&walk);
            media_walk_end(&other);
        }
}

static void test_walk_sees_who_comes_before_its_end(void **state)
{
    struct media_walk walk;
    struct world w;

    (void)state;
    open_world(&w);
    media_walk_begin(&walk, &w.ml);
    visit(&w, &walk, 5);
    add(&w, N);
    visit(&w, &walk, N);
    add(&w, N + 1); /* it was through */
    visit(&w, &walk, N);
    assert_string_equal(w.seen, "abcdefg");
    media_walk_end(&walk);
}

static void test_end_is_fine_without_a_beginning(void **state)
{
    struct media_walk walk = {.session = NULL};

    (void)state;
    media_walk_end(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk_sees_each_once_when_nothing_changes),
        cmocka_unit_test(test_walk_goes_on_when_sessions_leave),
        cmocka_unit_test(test_walk_sees_who_comes_before_its_end),
        cmocka_unit_test(test_end_is_fine_without_a_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
