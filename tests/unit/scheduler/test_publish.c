/* Who may publish: every case of the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler/publish.h"

enum owner { NOBODY, SELF, OTHER };

static const struct {
    enum cluster_role role;
    enum owner owner;
    bool is_live, is_suspect, is_gone, answered, takeover;
    enum publish_verdict verdict;
} k_cases[] = {
    /* role           owner   live   suspect gone   answered takeover */
    {CLUSTER_ORIGIN, NOBODY, false, false, false, false, false, PUBLISH_GRANT},
    {CLUSTER_BOTH, NOBODY, false, false, false, false, false, PUBLISH_GRANT},
    {CLUSTER_EDGE, NOBODY, false, false, false, false, false, PUBLISH_FORWARD},
    {CLUSTER_EDGE, OTHER, true, false, false, false, true, PUBLISH_FORWARD},
    {CLUSTER_ORIGIN, SELF, true, false, false, false, false, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER, true, false, false, false, false, PUBLISH_REFUSE},
    {CLUSTER_ORIGIN, OTHER, true, false, false, false, true, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER, true, true, false, false, false, PUBLISH_ASK_OWNER},
    {CLUSTER_ORIGIN, OTHER, true, true, false, true, false, PUBLISH_REFUSE},
    {CLUSTER_ORIGIN, OTHER, true, true, true, false, false, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER, false, true, false, false, false, PUBLISH_GRANT},
};

static void test_decide_gives_the_rule_for_each_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct registry_node self = {.place.role = k_cases[i].role}, other = {0};
        struct registry_stream stream = {.owner = k_cases[i].owner == SELF    ? &self
                                                  : k_cases[i].owner == OTHER ? &other
                                                                              : NULL};
        struct publish_view view = {.asker = &self,
                                    .stream = &stream,
                                    .is_live = k_cases[i].is_live,
                                    .is_suspect = k_cases[i].is_suspect,
                                    .owner_is_gone = k_cases[i].is_gone,
                                    .owner_answered = k_cases[i].answered};

        if (publish_decide(&view, k_cases[i].takeover) != k_cases[i].verdict)
            fail_msg("case %zu: %d", i, publish_decide(&view, k_cases[i].takeover));
    }
}

static void test_decide_gives_grant_when_the_stream_is_unknown(void **state)
{
    struct registry_node self = {.place.role = CLUSTER_ORIGIN};
    struct publish_view view = {.asker = &self};

    (void)state;
    assert_int_equal(publish_decide(&view, false), PUBLISH_GRANT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_gives_the_rule_for_each_case),
        cmocka_unit_test(test_decide_gives_grant_when_the_stream_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
