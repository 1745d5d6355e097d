/* See rates.h. */
#include "node/compat/rates.h"

#include <stdlib.h>
#include <string.h>

#include "node/compat/view.h"
#include "node/control/gather.h"

#define TICK_MS 1000
#define SEEN_MAX_BYTES ((size_t)64 << 20)

struct seen_session {
    char id[SESSION_ID_SIZE];
    uint64_t in, out;
};

struct seen_stream {
    char name[STREAM_NAME_SIZE];
    uint64_t n_pictures;
};

/* --- sums to rates --- */

static void *need(struct map *map, const char *key, size_t size)
{
    void *value = map_get(map, key);

    if (value)
        return value;
    value = calloc(1, size);
    if (value && map_set(map, key, value) != E_OK) {
        free(value);
        value = NULL;
    }
    return value;
}

static unsigned kbits(uint64_t now, uint64_t before, int64_t us)
{
    return now > before && us > 0 ? (unsigned)((double)(now - before) * 8000000 / 1024 / (double)us)
                                  : 0;
}

void compat_rates_take_session(struct compat_rates *rates, const char *id, uint64_t in,
                               uint64_t out, int64_t now_us)
{
    struct compat_rate *rate = need(&rates->sessions, id, sizeof *rate);

    if (!rate)
        return;
    if (rate->at_us) {
        rate->in_kbits = kbits(in, rate->in, now_us - rate->at_us);
        rate->out_kbits = kbits(out, rate->out, now_us - rate->at_us);
    }
    rate->in = in;
    rate->out = out;
    rate->at_us = now_us;
    rate->round = rates->n_ticks;
}

void compat_rates_take_stream(struct compat_rates *rates, const char *name, uint64_t n_pictures,
                              int64_t unix_s)
{
    bool is_new = !map_get(&rates->streams, name);
    struct compat_pictures *p = need(&rates->streams, name, sizeof *p);

    if (!p)
        return;
    p->round = rates->n_ticks;
    if (p->n &&
        p->seconds[0].unix_s > unix_s) /* the clock was set back: none of them is told twice */
        p->n = 0;
    if (!is_new && (!p->n || p->seconds[0].unix_s < unix_s)) {
        memmove(p->seconds + 1, p->seconds, (COMPAT_SECONDS - 1) * sizeof p->seconds[0]);
        p->seconds[0] =
            (struct compat_second){unix_s, n_pictures > p->sum ? n_pictures - p->sum : 0};
        p->n += p->n < COMPAT_SECONDS;
    }
    p->sum = n_pictures;
}

void compat_rates_forget_sessions(struct compat_rates *rates)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    while (map_next(&rates->sessions, &cursor, &key, &value))
        if (((struct compat_rate *)value)->round != rates->n_ticks)
            free(map_remove(&rates->sessions, key));
}

void compat_rates_forget_streams(struct compat_rates *rates)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    while (map_next(&rates->streams, &cursor, &key, &value))
        if (((struct compat_pictures *)value)->round != rates->n_ticks)
            free(map_remove(&rates->streams, key));
}

const struct compat_rate *compat_rate_of(const struct compat_rates *rates, const char *session)
{
    return rates ? map_get(&rates->sessions, session) : NULL;
}

const struct compat_pictures *compat_pictures_of(const struct compat_rates *rates,
                                                 const char *stream)
{
    return rates ? map_get(&rates->streams, stream) : NULL;
}

/* --- looking --- */

static void look_at_stream(struct stream *stream, void *arg)
{
    struct compat_rates *rates = arg;
    struct stream_info info;
    struct seen_stream seen;

    stream_get_info(stream, &info);
    memcpy(seen.name, info.name.text, sizeof seen.name);
    seen.n_pictures = info.n_frames[MEDIA_VIDEO];
    buf_write(&rates->seen_streams, &seen, sizeof seen);
}

static void look_at_session(struct compat_rates *rates, const struct session_info *info)
{
    struct session_counts counts = {0};
    struct seen_session seen;

    if (!compat_is_shown(info) || !info->count)
        return;
    info->count(info, &counts);
    memcpy(seen.id, info->id, sizeof seen.id);
    seen.in = counts.bytes_in;
    seen.out = counts.bytes_out;
    buf_write(&rates->seen_sessions, &seen, sizeof seen);
}

static void collect(struct media_loop *ml, void *arg)
{
    struct compat_rates *rates = arg;
    struct list *node, *tmp;

    gather_each_stream(ml, look_at_stream, rates);
    if (!rates->with_sessions)
        return;
    list_for_each_safe(node, tmp, &ml->sessions)
        look_at_session(rates, list_entry(node, struct session_info, node));
}

/* What there was no memory for is as if it were not there. */
static void take_streams(struct compat_rates *rates)
{
    struct buf_view all = buf_writer_view(&rates->seen_streams);
    struct seen_stream seen;

    for (size_t at = 0; at + sizeof seen <= all.size_bytes; at += sizeof seen) {
        memcpy(&seen, all.data + at, sizeof seen);
        compat_rates_take_stream(rates, seen.name, seen.n_pictures, clock_wall_us() / 1000000);
    }
    compat_rates_forget_streams(rates);
}

static void take_sessions(struct compat_rates *rates)
{
    struct buf_view all = buf_writer_view(&rates->seen_sessions);
    struct seen_session seen;

    for (size_t at = 0; at + sizeof seen <= all.size_bytes; at += sizeof seen) {
        memcpy(&seen, all.data + at, sizeof seen);
        compat_rates_take_session(rates, seen.id, seen.in, seen.out, clock_mono_us());
    }
    compat_rates_forget_sessions(rates);
}

static void on_collected(void *arg)
{
    struct compat_rates *rates = arg;

    rates->is_gathering = false;
    take_streams(rates);
    if (rates->with_sessions)
        take_sessions(rates);
}

static void forget_all(struct compat_rates *rates)
{
    rates->n_ticks++;
    compat_rates_forget_streams(rates);
    compat_rates_forget_sessions(rates);
}

static void on_tick(struct timer *timer)
{
    struct compat_rates *rates = list_entry(timer, struct compat_rates, timer);

    if (clock_mono_us() - rates->asked_us > COMPAT_RATES_KEPT_US && !rates->is_gathering) {
        forget_all(rates);
        return;
    }
    timer_start_ms(timer, TICK_MS);
    if (rates->is_gathering)
        return;
    rates->with_sessions = rates->n_ticks++ % COMPAT_RATE_S == 0;
    buf_writer_clear(&rates->seen_sessions);
    buf_writer_clear(&rates->seen_streams);
    rates->is_gathering = gather(rates->node, collect, on_collected, rates) == E_OK;
}

/* --- life --- */

void compat_rates_init(struct compat_rates *rates, struct node *node)
{
    *rates = (struct compat_rates){.node = node};
    map_init(&rates->sessions);
    map_init(&rates->streams);
    buf_writer_init(&rates->seen_sessions, SEEN_MAX_BYTES);
    buf_writer_init(&rates->seen_streams, SEEN_MAX_BYTES);
    timer_init(&rates->timer, node->control, on_tick);
}

void compat_rates_fini(struct compat_rates *rates)
{
    timer_stop(&rates->timer);
    forget_all(rates);
    map_fini(&rates->sessions);
    map_fini(&rates->streams);
    buf_writer_fini(&rates->seen_sessions);
    buf_writer_fini(&rates->seen_streams);
}

void compat_rates_want(struct compat_rates *rates)
{
    rates->asked_us = clock_mono_us();
    if (!timer_is_armed(&rates->timer))
        timer_start_ms(&rates->timer, 0);
}
