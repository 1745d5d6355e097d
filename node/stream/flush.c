/* Flush policy: when written units become visible. The home loop decides once for all viewers of a
 * feed, so a policy costs nothing per viewer.
 *
 *   realtime   at the end of the turn that wrote them
 *   balanced   with a video frame, at least 33 ms after the last flush; at most 40 ms old
 *   efficient  350 ms after the first of them was written
 *
 * Feeds that wait sit in a wheel of 4 ms slots with one timer a loop. */
#include "node/stream/feed.h"
#include "node/stream/media_loop.h"

#define BALANCED_MAX_US 40000
#define BALANCED_MIN_DISTANCE_US 33000
#define EFFICIENT_US 350000

void flush_touch(struct feed *feed)
{
    if (!feed->pending) {
        feed->pending = true;
        feed->pending_us = loop_now_us(feed->home->loop);
    }
    if (list_is_empty(&feed->touched_node))
        list_push_back(&feed->home->touched, &feed->touched_node);
}

static void leave_wheel(struct feed *feed)
{
    if (list_is_empty(&feed->flush_node))
        return;
    list_remove(&feed->flush_node);
    feed->home->n_waiting_flush--;
}

void flush_forget(struct feed *feed)
{
    list_remove(&feed->touched_node);
    leave_wheel(feed);
}

static int64_t due_us(const struct feed *feed)
{
    int64_t by_age, by_video;

    if (feed->format->realtime || feed->conf->latency == LATENCY_REALTIME || !feed->published_us)
        return 0;
    if (feed->conf->latency == LATENCY_EFFICIENT)
        return feed->pending_us + EFFICIENT_US;
    by_age = feed->pending_us + BALANCED_MAX_US;
    by_video = feed->published_us + BALANCED_MIN_DISTANCE_US;
    return feed->pending_video && by_video < by_age ? by_video : by_age;
}

static struct list *slot_at(struct media_loop *ml, int64_t us)
{
    return &ml->slots[(uint64_t)(us / FLUSH_SLOT_US) % FLUSH_SLOTS];
}

static void wait_until(struct feed *feed, int64_t us)
{
    struct media_loop *ml = feed->home;
    int64_t last_us = ml->slot_us + (int64_t)(FLUSH_SLOTS - 1) * FLUSH_SLOT_US;

    if (us < ml->slot_us)
        us = ml->slot_us;
    if (us > last_us)
        us = last_us;
    leave_wheel(feed);
    list_push_back(slot_at(ml, us), &feed->flush_node);
    ml->n_waiting_flush++;
    if (us < ml->next_flush_us)
        ml->next_flush_us = us;
}

static void serve_touched(struct media_loop *ml, int64_t now_us)
{
    struct list *node;

    while ((node = list_pop_front(&ml->touched))) {
        struct feed *feed = list_entry(node, struct feed, touched_node);
        int64_t us = due_us(feed);

        if (us > now_us) {
            wait_until(feed, us);
            continue;
        }
        leave_wheel(feed);
        feed_publish(feed);
    }
}

/* All slots that end at or before now. */
static void serve_wheel(struct media_loop *ml, int64_t now_us)
{
    struct list *node;

    if (!ml->n_waiting_flush)
        ml->slot_us = now_us - now_us % FLUSH_SLOT_US;
    while (ml->n_waiting_flush && ml->slot_us <= now_us) {
        struct list *slot = slot_at(ml, ml->slot_us);

        while ((node = list_pop_front(slot))) {
            ml->n_waiting_flush--;
            feed_publish(list_entry(node, struct feed, flush_node));
        }
        ml->slot_us += FLUSH_SLOT_US;
    }
}

static void arm_timer(struct media_loop *ml, int64_t now_us)
{
    if (ml->next_flush_us < ml->slot_us) { /* that slot was served: find the next one */
        ml->next_flush_us = ml->n_waiting_flush ? ml->slot_us : INT64_MAX;
        while (ml->n_waiting_flush && list_is_empty(slot_at(ml, ml->next_flush_us)))
            ml->next_flush_us += FLUSH_SLOT_US;
    }
    if (!ml->n_waiting_flush)
        ml->next_flush_us = INT64_MAX;
    if (ml->next_flush_us == INT64_MAX ||
        (timer_is_armed(&ml->flush_timer) && ml->armed_flush_us <= ml->next_flush_us))
        return;
    ml->armed_flush_us = ml->next_flush_us;
    timer_start_ms(&ml->flush_timer,
                   ml->next_flush_us > now_us ? (ml->next_flush_us - now_us + 999) / 1000 : 0);
}

void flush_turn(struct media_loop *ml)
{
    int64_t now_us = loop_now_us(ml->loop);

    serve_wheel(ml, now_us);
    serve_touched(ml, now_us);
    arm_timer(ml, now_us);
}

/* The turn hook, which runs after this, does the work. */
static void on_flush_timer(struct timer *timer)
{
    (void)timer;
}

void flush_init(struct media_loop *ml)
{
    list_init(&ml->touched);
    for (unsigned i = 0; i < FLUSH_SLOTS; i++)
        list_init(&ml->slots[i]);
    ml->next_flush_us = INT64_MAX;
    timer_init(&ml->flush_timer, ml->loop, on_flush_timer);
}

void flush_fini(struct media_loop *ml)
{
    timer_stop(&ml->flush_timer);
}
