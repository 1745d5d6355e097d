/* A node that is nothing but its hooks, and receivers on the same loop. */
#ifndef HW_TESTS_HOOKS_RIG_H
#define HW_TESTS_HOOKS_RIG_H

#include "tests/unit/common/net/http_test.h"

#include "common/base/log.h"
#include "node/compat/compat.h"
#include "node/hooks/gate.h"
#include "node/hooks/hooks_private.h"
#include "node/node.h"

static struct node node;
static struct node_loop nl;

/* target: the first %s is the URL of a, the second that of b. */
static inline void open_hooks(const char *target)
{
    char set[512] = "hooks.targets=";
    const char *sets[] = {set, "hooks.update_s=0"};
    struct conf_args args = {.sets = sets, .n_sets = 2};
    struct conf_error error;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(set + strlen(set), sizeof set - strlen(set), target, a.url, b.url);
#pragma GCC diagnostic pop
    log_set_level(LOG_ERROR);
    node = (struct node){.control = loop, .instance = 0xabc};
    snprintf(node.id, sizeof node.id, "n1");
    nl = (struct node_loop){.node = &node, .media.loop = loop};
    events_init(&node.events);
    assert_int_equal(conf_load(&k_node_schema, &args, &node.conf, &error), E_OK);
    if (compat_is_wanted(&node.conf))
        node.compat = compat_create(&node);
    if (hooks_init(&node, &error) != E_OK)
        fail_msg("%s", error.text);
}

static inline void close_hooks(void)
{
    turn_ready(loop);
    hooks_destroy(&node.hooks);
    compat_destroy(&node.compat);
    conf_free(&k_node_schema, &node.conf);
}

static inline int hooks_setup(void **state)
{
    (void)setup(state);
    a.body = b.body = "";
    return 0;
}

static inline int64_t count_of(const struct metric *m)
{
    return atomic_load(&m->value);
}

#define TURN_UNTIL(condition)                                              \
    do {                                                                   \
        int64_t end_us = clock_mono_us() + TEST_DEADLINE_MS * 1000ll;      \
        struct timer wake;                                                 \
                                                                           \
        timer_init(&wake, loop, wake_up);                                  \
        timer_start_ms(&wake, 5);                                          \
        while (!(condition)) {                                             \
            loop_turn(loop, true);                                         \
            if (clock_mono_us() > end_us)                                  \
                fail_msg("%d: never came true: %s", __LINE__, #condition); \
        }                                                                  \
        timer_stop(&wake);                                                 \
    } while (0)

static inline void wake_up(struct timer *timer)
{
    timer_start_ms(timer, 5);
}

#endif
