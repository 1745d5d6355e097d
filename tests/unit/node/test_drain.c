/* node/drain: when publishers are asked to reconnect. Who asks them is played by the test. */
#include "tests/unit/node/node_rig.h"

#include "node/relay/relays.h"
#include "node/session/session.h"

static struct node_rig rig;
static unsigned n_asked, n_asked_same_place;

void rtmp_ask_reconnect(struct node_loop *nl, bool same_place)
{
    (void)nl;
    n_asked++;
    n_asked_same_place += same_place;
}

static void set_up(void)
{
    static const struct stream_hooks k_hooks;

    n_asked = n_asked_same_place = 0;
    node_rig_open(&rig, (const char *const[]){NULL}, &k_hooks);
    rig.node.control = rig.loops[0].media.loop;
    events_init(&rig.node.events);
}

static void tear_down(void)
{
    timer_stop(&rig.node.drain.timer);
    node_rig_close(&rig);
}

static void test_drain_asks_on_every_loop_at_once(void **state)
{
    (void)state;
    set_up();
    node_drain(&rig.node, DRAIN_ORDER);
    node_rig_settle(&rig);
    assert_int_equal(n_asked, NODE_RIG_LOOPS);
    assert_int_equal(n_asked_same_place, 0);
    tear_down();
}

static void test_replaced_asks_once_and_not_before_no_loop_listens(void **state)
{
    (void)state;
    set_up();
    rig.node.relays = relays_create(&rig.node);
    assert_non_null(rig.node.relays);
    node_drain(&rig.node, DRAIN_REPLACED);
    node_rig_settle(&rig);
    assert_int_equal(n_asked, 0);
    node_drain_left(&rig.node);
    node_drain_left(&rig.node);
    node_rig_settle(&rig);
    assert_int_equal(n_asked_same_place, NODE_RIG_LOOPS);
    relays_destroy(&rig.node.relays);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_asks_on_every_loop_at_once),
        cmocka_unit_test(test_replaced_asks_once_and_not_before_no_loop_listens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
