/* Which nodes asked for a stream of late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/interest.h"

#define SECOND 1000000ll

static char g_told[256];

static void tell(void *arg, const char *node)
{
    size_t used = strlen(g_told);

    (void)arg;
    snprintf(g_told + used, sizeof g_told - used, "%s%s", used ? " " : "", node);
}

static void assert_told(const struct interests *all, const char *stream, int64_t now_us,
                        const char *expected)
{
    g_told[0] = '\0';
    interests_tell(all, stream, now_us, tell, NULL);
    assert_string_equal(g_told, expected);
}

static void test_tell_gives_who_asked_of_late(void **state)
{
    struct interests all;

    (void)state;
    interests_init(&all, 100, 15 * SECOND);
    interests_note(&all, "live/x", "e1", 1 * SECOND);
    interests_note(&all, "live/x", "e2", 2 * SECOND);
    interests_note(&all, "live/y", "e3", 2 * SECOND);
    interests_note(&all, "live/x", "e1", 10 * SECOND); /* again */
    assert_int_equal(all.n, 3);
    assert_told(&all, "live/x", 11 * SECOND, "e1 e2");
    assert_told(&all, "live/x", 18 * SECOND, "e1");
    assert_told(&all, "live/z", 18 * SECOND, "");
    interests_note(&all, "live/z", "e9", 18 * SECOND); /* what is over is forgotten with it */
    assert_int_equal(all.n, 2);
    assert_told(&all, "live/y", 18 * SECOND, "");
    interests_fini(&all);
}

static void test_note_forgets_the_oldest_when_there_are_too_many(void **state)
{
    struct interests all;

    (void)state;
    interests_init(&all, 2, 15 * SECOND);
    interests_note(&all, "live/x", "e1", 1);
    interests_note(&all, "live/x", "e2", 2);
    interests_note(&all, "live/x", "e3", 3);
    assert_int_equal(all.n, 2);
    assert_told(&all, "live/x", 4, "e2 e3");
    interests_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tell_gives_who_asked_of_late),
        cmocka_unit_test(test_note_forgets_the_oldest_when_there_are_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
