/* See watchdog.h. Each time, all media loops are asked in turn: where one hangs, nothing is said
 * any more, and the service manager ends the process. */
#include "node/watchdog.h"

#include "common/net/notify.h"
#include "node/control/gather.h"
#include "node/node.h"

static void pass(struct media_loop *ml, void *arg)
{
    (void)ml;
    (void)arg;
}

static void on_all_passed(void *arg)
{
    struct node *node = arg;

    if (node->watchdog.every_ms == 0)
        return; /* stopped */
    notify_or_warn("node", "WATCHDOG=1");
    timer_start_ms(&node->watchdog.timer, node->watchdog.every_ms);
}

static void on_timer(struct timer *timer)
{
    struct node *node = list_entry(timer, struct node, watchdog.timer);

    if (gather(node, pass, on_all_passed, node) != E_OK)
        timer_start_ms(timer, node->watchdog.every_ms);
}

void watchdog_start(struct node *node)
{
    node->watchdog.every_ms = notify_watchdog_ms();
    timer_init(&node->watchdog.timer, node->control, on_timer);
    if (node->watchdog.every_ms)
        timer_start_ms(&node->watchdog.timer, node->watchdog.every_ms);
}

void watchdog_stop(struct node *node)
{
    node->watchdog.every_ms = 0;
    timer_stop(&node->watchdog.timer);
}
