/* How the source of a stream is read: at once, or together with others once a tick. A wake-up for
 * each packet of each publisher is what ingest costs most; media_loop.c says how many are many. */
#include "node/stream/stream_private.h"

#define UNWATCHED_AT_ONCE 16 /* with so few publishers on the loop a wake-up each costs nothing */
#define RATE_WINDOW_US 1000000
#define THIN_BYTES_PER_S 250000 /* 40 KB a slow tick: within the smallest socket buffers */

static void tell_pace(struct source *source, enum conn_pace pace)
{
    if (pace == source->pace)
        return;
    source->pace = pace;
    source->set_pace(source, pace);
}

/* How the source is read. Nobody waits for a stream that nobody watches: its frames only keep the
 * cache fresh, and with the first viewer it is read at the usual pace again. */
void stream_choose_pace(struct stream *s)
{
    struct source *source = s->source;
    enum conn_pace pace = s->home->many_publishers ? CONN_TICK : CONN_AT_ONCE;

    if (!source || !source->set_pace)
        return;
    if (!s->n_readers && s->is_thin && s->home->n_publishers > UNWATCHED_AT_ONCE)
        pace = CONN_SLOW_TICK;
    tell_pace(source, pace);
}

void stream_pace_begin(struct stream *s)
{
    s->source->pace = CONN_AT_ONCE;
    s->home->n_publishers += s->source->set_pace != NULL;
    s->rate_since_us = loop_now_us(s->home->loop);
    s->rate_bytes = s->bytes_in;
    s->is_thin = false;
    stream_choose_pace(s);
}

void stream_pace_end(struct stream *s)
{
    if (!s->source->set_pace)
        return;
    s->home->n_publishers--;
    tell_pace(s->source, CONN_AT_ONCE);
}

static void check_rate(struct stream *s, int64_t now)
{
    int64_t lasted_us = now - s->rate_since_us;

    if (lasted_us < RATE_WINDOW_US)
        return;
    s->is_thin = s->ready && (int64_t)(s->bytes_in - s->rate_bytes) * 1000000 <
                                 (int64_t)THIN_BYTES_PER_S * lasted_us;
    s->rate_since_us = now;
    s->rate_bytes = s->bytes_in;
}

void stream_check_pace(struct stream *s, int64_t now_us)
{
    check_rate(s, now_us);
    stream_choose_pace(s);
}
