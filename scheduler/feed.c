/* See feed.h. An event is made into text once; readers get the same bytes. Nothing is kept for who
 * was away: "hello" says that all is to be asked for again. */
#include "scheduler/feed.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/api_answer.h"
#include "scheduler/scheduler.h"

#define TICK_MS 250
#define ROUND_US 1000000 /* each node is told once in that time; in a big cluster less often */
#define TICK_NODES 32    /* a slice: below 2 ms */
#define TICK_STREAMS 200
#define MAX_READERS 64

struct feed_reader {
    struct list node;
    struct feed *feed;
    struct http_exchange *x;
};

enum series { VIEWERS, STREAMS, RELAYS, IN_BPS, OUT_BPS, NODES, CPU_PERMILLE, N_SERIES };

static const char *const k_series[] = {
    [VIEWERS] = "viewers",
    [STREAMS] = "streams",
    [RELAYS] = "relays",
    [IN_BPS] = "in_bps",
    [OUT_BPS] = "out_bps",
    [NODES] = "nodes",
    [CPU_PERMILLE] = "cpu_permille",
    [N_SERIES] = NULL,
};

/* --- what there is to say --- */

static json_t *all_json(const int64_t values[N_SERIES])
{
    json_t *json = json_object();

    for (size_t i = 0; i < N_SERIES; i++)
        (void)json_object_set_new(json, k_series[i], json_integer((json_int_t)values[i]));
    return json;
}

/* Of those that live. 10,000 nodes take some 2 ms. */
static void add_up(struct scheduler *s, int64_t values[N_SERIES])
{
    const struct registry_node *node = registry_node_after(&s->registry, "");
    int64_t now_us = scheduler_now_us(s), cpu = 0;

    memset(values, 0, N_SERIES * sizeof *values);
    for (; node; node = registry_node_next(node)) {
        if (!registry_is_live(node, now_us))
            continue;
        values[VIEWERS] += node->load.n_viewers;
        values[RELAYS] += node->load.n_relays;
        values[IN_BPS] += (int64_t)node->load.in_bps;
        values[OUT_BPS] += (int64_t)node->load.out_bps;
        values[NODES]++;
        cpu += node->load.cpu_permille;
    }
    values[STREAMS] = (int64_t)s->registry.n_owned;
    values[CPU_PERMILLE] = values[NODES] ? cpu / values[NODES] : 0;
}

/* Takes data. */
static void tell(struct feed *feed, const char *event, json_t *data)
{
    char *json = api_json_text(data);
    struct buf_writer text;
    struct list *at, *tmp;

    json_decref(data);
    buf_writer_init(&text, SIZE_MAX);
    buf_printf(&text, "event: %s\ndata: ", event);
    buf_write_str(&text, json ? json : "{}");
    buf_write_str(&text, "\n\n");
    if (json && buf_writer_status(&text) == E_OK)
        list_for_each_safe(at, tmp, &feed->readers)
            (void)http_stream_write(list_entry(at, struct feed_reader, node)->x,
                                    buf_writer_view(&text));
    buf_writer_fini(&text);
    free(json);
}

/* The next nodes of a round. Who hears a whole one knows which are gone. */
static void tell_nodes(struct feed *feed)
{
    struct scheduler *s = feed->scheduler;
    int64_t now_us = scheduler_now_us(s);
    bool is_first = !*feed->place;
    const struct registry_node *node = registry_node_after(&s->registry, feed->place);
    json_t *items;

    if (is_first && now_us - feed->round_us < ROUND_US)
        return;
    if (is_first)
        feed->round_us = now_us;
    items = json_array();
    for (unsigned n = 0; node && n < TICK_NODES; n++, node = registry_node_next(node)) {
        (void)json_array_append_new(items, people_node_json(s, node, true));
        memcpy(feed->place, node->id, sizeof feed->place);
    }
    if (!node)
        feed->place[0] = '\0';
    tell(feed, "nodes",
         json_pack("{s:b, s:b, s:o}", "first", is_first, "last", !node, "items", items));
    if (!node) {
        int64_t values[N_SERIES];

        add_up(s, values);
        tell(feed, "totals", all_json(values));
        tell(feed, "autoscale", scaling_json(&s->scaling));
    }
}

static json_t *ended_json(const char *name)
{
    return json_pack("{s:s, s:n, s:s, s:i, s:i}", "name", name, "owner", "epoch", "0", "n_carriers",
                     0, "viewers", 0);
}

static void tell_streams(struct feed *feed)
{
    struct map_cursor cursor = {0};
    json_t *items = json_array();
    const char *name;
    void *value;

    if (feed->changed.n_entries == 0 && !feed->has_more) {
        json_decref(items);
        return;
    }
    while (map_next(&feed->changed, &cursor, &name, &value)) {
        const struct registry_stream *stream = registry_stream(&feed->scheduler->registry, name);

        (void)json_array_append_new(items, stream ? people_stream_json(stream) : ended_json(name));
        (void)map_remove(&feed->changed, name);
    }
    tell(feed, "streams", json_pack("{s:o, s:b}", "items", items, "more", feed->has_more));
    feed->has_more = false;
}

static void on_tick(struct timer *timer)
{
    struct feed *feed = list_entry(timer, struct feed, tick);

    if (feed->n_readers == 0)
        return;
    timer_start_ms(timer, TICK_MS);
    tell_streams(feed);
    tell_nodes(feed);
}

static void on_sample(struct timer *timer)
{
    struct feed *feed = list_entry(timer, struct feed, sample);
    int64_t values[N_SERIES];

    timer_start_ms(timer, HISTORY_STEP_MS);
    add_up(feed->scheduler, values);
    history_add(&feed->history, values);
}

void feed_note_stream(struct feed *feed, const struct registry_stream *stream)
{
    if (feed->n_readers == 0 || map_get(&feed->changed, stream->name.text))
        return;
    if (feed->changed.n_entries >= TICK_STREAMS ||
        map_set(&feed->changed, stream->name.text, feed) != E_OK)
        feed->has_more = true;
}

/* --- readers --- */

static void on_gone(struct http_exchange *x, void *arg)
{
    struct feed_reader *reader = arg;

    (void)x;
    list_remove(&reader->node);
    reader->feed->n_readers--;
    free(reader);
}

void feed_get_events(struct http_exchange *x, void *arg)
{
    struct feed *feed = &((struct scheduler *)arg)->feed;
    struct feed_reader *reader;

    if (feed->n_readers >= MAX_READERS) {
        http_add_header(x, "Retry-After", "10");
        http_respond_problem(x, 503, "%u readers of events are here already", feed->n_readers);
        return;
    }
    reader = calloc(1, sizeof *reader);
    if (!reader) {
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
        return;
    }
    http_add_header(x, "Cache-Control", "no-store");
    http_stream_begin(x, 200, "text/event-stream");
    if (http_is_head(x)) {
        http_stream_end(x);
        free(reader);
        return;
    }
    reader->feed = feed;
    reader->x = x;
    list_push_back(&feed->readers, &reader->node);
    http_set_pending(x, on_gone, reader);
    (void)http_stream_write(x, buf_view_str("retry: 2000\nevent: hello\ndata: {}\n\n"));
    feed->place[0] = '\0'; /* a round that begins now is whole for everybody */
    feed->round_us = 0;
    if (feed->n_readers++ == 0)
        timer_start_ms(&feed->tick, 0);
}

void feed_get_history(struct http_exchange *x, void *arg)
{
    const struct scheduler *s = arg;

    people_respond(x, history_json(&s->feed.history));
}

/* --- life --- */

enum err feed_begin(struct feed *feed, struct scheduler *scheduler)
{
    enum err e = history_init(&feed->history, k_series);

    if (e != E_OK)
        return e;
    feed->scheduler = scheduler;
    list_init(&feed->readers);
    map_init(&feed->changed);
    timer_init(&feed->tick, scheduler->loop, on_tick);
    timer_init(&feed->sample, scheduler->loop, on_sample);
    timer_start_ms(&feed->sample, HISTORY_STEP_MS);
    return E_OK;
}

void feed_end(struct feed *feed)
{
    struct list *at;

    if (!feed->scheduler)
        return;
    timer_stop(&feed->tick);
    timer_stop(&feed->sample);
    while ((at = list_pop_front(&feed->readers))) {
        struct feed_reader *reader = list_entry(at, struct feed_reader, node);
        struct http_exchange *x = reader->x;

        free(reader);
        http_set_pending(x, NULL, NULL);
        http_stream_end(x);
    }
    map_fini(&feed->changed);
    history_fini(&feed->history);
    *feed = (struct feed){0};
}
