/* Flush policy: when written units become visible. The home loop decides once for all viewers of a
 * feed, so a policy costs nothing per viewer.
 *
 *   realtime   at the end of the turn that wrote them
 *   balanced   with a video frame, at least 33 ms after the last one; sound alone at most 40 ms old
 *   efficient  every 350 ms
 *
 * A feed that has to wait has its timer armed; timers of a loop share their wake-ups. */
#include "node/stream/feed.h"
#include "node/stream/media_loop.h"

#define BALANCED_MAX_US 40000
#define BALANCED_MIN_DISTANCE_US 33000 /* 50 and 60 frames a second go out in pairs */
#define EFFICIENT_US 350000

static void touch(struct feed *feed)
{
    if (list_is_empty(&feed->touched_node))
        list_push_back(&feed->home->touched, &feed->touched_node);
}

void flush_touch(struct feed *feed)
{
    if (!feed->pending) {
        feed->pending = true;
        feed->pending_us = loop_now_us(feed->home->loop);
    }
    touch(feed);
}

/* The turn hook, which runs after this, does the work. */
static void on_due(struct timer *timer)
{
    touch(list_entry(timer, struct feed, flush_timer));
}

void flush_init(struct feed *feed)
{
    list_init(&feed->touched_node);
    timer_init(&feed->flush_timer, feed->home->loop, on_due);
}

void flush_forget(struct feed *feed)
{
    list_remove(&feed->touched_node);
    timer_stop(&feed->flush_timer);
}

static int64_t due_us(const struct feed *feed)
{
    int64_t by_age, by_video;

    if (feed->format->relay || feed->conf->latency == LATENCY_REALTIME || !feed->published_us)
        return 0;
    if (feed->conf->latency == LATENCY_EFFICIENT)
        return feed->published_us + EFFICIENT_US;
    by_age = feed->pending_us + BALANCED_MAX_US;
    by_video = feed->video_us + BALANCED_MIN_DISTANCE_US;
    return feed->pending_video && by_video < by_age ? by_video : by_age;
}

/* In efficient a late wake-up does not move the ones that follow. */
static void publish(struct feed *feed, int64_t due, int64_t now_us)
{
    feed_publish(feed);
    if (feed->conf->latency == LATENCY_EFFICIENT && now_us - due < EFFICIENT_US)
        feed->published_us = due;
}

void flush_turn(struct media_loop *ml)
{
    int64_t now_us = loop_now_us(ml->loop);
    struct list *node;

    while ((node = list_pop_front(&ml->touched))) {
        struct feed *feed = list_entry(node, struct feed, touched_node);
        int64_t due = due_us(feed);

        if (!feed->pending)
            continue;
        if (due <= now_us)
            publish(feed, due, now_us);
        else
            timer_start_at_us(&feed->flush_timer, due);
    }
}
