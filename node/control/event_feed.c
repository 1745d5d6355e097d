/* See event_feed.h. An event is made into text once; readers get the same bytes. Who does not take
 * them is cut off when its queue is full (HTTP_ANSWER_QUEUE_BYTES). */
#include "node/control/event_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/api_answer.h"
#include "node/control/events_json.h"
#include "node/control/node_metrics.h"
#include "node/node.h"

#define ALL_EVENTS ((UINT32_C(1) << N_EVENTS) - 1)
_Static_assert(N_EVENTS < 32, "a mask has a bit for each");

struct kept { /* one block: the texts lie behind it */
    uint64_t seq;
    enum event_id id;
    const char *stream; /* "" = of none */
    struct buf_view text;
};

struct event_feed {
    struct node *node;
    struct events_listener listener;
    struct timer beat;
    struct kept *ring[EVENT_FEED_KEPT]; /* owned; seq % EVENT_FEED_KEPT */
    uint64_t first_seq; /* everything from here on was heard; older than the ring is gone */
    struct list readers;
    unsigned n_readers;
    int64_t left_us; /* when the last reader left */
};

struct reader {
    struct list node;
    struct event_feed *feed;
    struct http_exchange *x;
    uint32_t mask;
    char stream[STREAM_NAME_SIZE]; /* "" = all */
};

/* --- texts --- */

static void write_block(struct buf_writer *out, const char *id, const char *event, const char *data)
{
    if (id)
        buf_printf(out, "id: %s\n", id);
    buf_printf(out, "event: %s\ndata: ", event);
    buf_write_str(out, data);
    buf_write_str(out, "\n\n");
}

static const char *stream_of(const struct event *event)
{
    for (unsigned i = 0; i < event->n_fields; i++)
        if (!strcmp(event->fields[i].key, "stream") && event->fields[i].text)
            return event->fields[i].text;
    return "";
}

static struct kept *keep(const struct event *event, struct buf_view text)
{
    const char *stream = stream_of(event);
    size_t stream_size = strlen(stream) + 1;
    struct kept *kept = malloc(sizeof *kept + stream_size + text.size_bytes);
    char *room;

    if (!kept)
        return NULL;
    room = (char *)(kept + 1);
    *kept = (struct kept){.seq = event->seq, .id = event->id, .stream = room};
    memcpy(room, stream, stream_size);
    memcpy(room + stream_size, text.data, text.size_bytes);
    kept->text = buf_view_of(room + stream_size, text.size_bytes);
    return kept;
}

static struct kept *make_kept(struct event_feed *feed, const struct event *event)
{
    json_t *json = event_json(feed->node, event);
    char *data = api_json_text(json);
    struct kept *kept = NULL;
    char id[EVENT_ID_SIZE];
    struct buf_writer out;

    json_decref(json);
    if (!data)
        return NULL;
    buf_writer_init(&out, SIZE_MAX);
    write_block(&out, event_id_format(feed->node, event->seq, id), k_event_names[event->id], data);
    if (buf_writer_status(&out) == E_OK)
        kept = keep(event, buf_writer_view(&out));
    buf_writer_fini(&out);
    free(data);
    return kept;
}

/* --- readers --- */

static bool wants(const struct reader *r, const struct kept *kept)
{
    return r->mask & UINT32_C(1) << kept->id && (!*r->stream || !strcmp(r->stream, kept->stream));
}

/* A write that fails ends the reader later: on_gone follows. */
static void give(struct reader *r, const struct kept *kept)
{
    if (!r->x || !wants(r, kept))
        return;
    if (http_stream_write(r->x, kept->text) == E_SLOW)
        log_warn("admin", "msg=\"reader of events cut off\" peer=%s reason=\"does not keep up\"",
                 http_peer(r->x));
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct reader *r = arg;
    struct event_feed *feed = r->feed;

    (void)x;
    list_remove(&r->node);
    free(r);
    metric_set(&m_event_readers, --feed->n_readers);
    feed->left_us = clock_mono_us();
}

/* --- what is heard --- */

static void forget_all(struct event_feed *feed)
{
    for (size_t i = 0; i < EVENT_FEED_KEPT; i++) {
        free(feed->ring[i]);
        feed->ring[i] = NULL;
    }
}

static void on_event(struct events_listener *listener, const struct event *event)
{
    struct event_feed *feed = list_entry(listener, struct event_feed, listener);
    struct kept **place = &feed->ring[event->seq % EVENT_FEED_KEPT];
    struct list *node, *tmp;

    free(*place);
    *place = make_kept(feed, event);
    if (!*place) {
        metric_add(&m_events_lost, 1);
        feed->first_seq = event->seq + 1;
        return;
    }
    list_for_each_safe(node, tmp, &feed->readers)
        give(list_entry(node, struct reader, node), *place);
}

static void stop_listening(struct event_feed *feed)
{
    if (feed->listener.mask)
        events_listen(&feed->node->events, &feed->listener, 0);
    timer_stop(&feed->beat);
    forget_all(feed);
}

static void on_beat(struct timer *timer)
{
    struct event_feed *feed = list_entry(timer, struct event_feed, beat);
    struct list *node, *tmp;

    if (!feed->n_readers && clock_mono_us() - feed->left_us >= EVENT_FEED_LISTENS_US) {
        stop_listening(feed);
        return;
    }
    timer_start_ms(timer, EVENT_FEED_BEAT_MS);
    list_for_each_safe(node, tmp, &feed->readers)
        (void)http_stream_write(list_entry(node, struct reader, node)->x,
                                buf_view_str(": keep-alive\n\n"));
}

/* A number is left out, so that who has heard the last one of before is told of the hole. */
static void begin_listening(struct event_feed *feed)
{
    if (feed->listener.mask)
        return;
    feed->first_seq = ++feed->node->events.seq;
    events_listen(&feed->node->events, &feed->listener, ALL_EVENTS);
    timer_start_ms(&feed->beat, EVENT_FEED_BEAT_MS);
}

/* --- the beginning --- */

static uint64_t oldest_kept(const struct event_feed *feed)
{
    uint64_t next = feed->node->events.seq + 1;
    uint64_t in_ring = next > EVENT_FEED_KEPT ? next - EVENT_FEED_KEPT : 1;

    return in_ring > feed->first_seq ? in_ring : feed->first_seq;
}

static void say_lost(struct reader *r, const char *last_id)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s}", "event", "lost", "after", last_id, "node", r->feed->node->id);
    char *data = api_json_text(json);
    struct buf_writer out;

    json_decref(json);
    buf_writer_init(&out, SIZE_MAX);
    write_block(&out, NULL, "lost", data ? data : "{\"event\":\"lost\"}");
    (void)http_stream_write(r->x, buf_writer_view(&out));
    buf_writer_fini(&out);
    free(data);
}

/* What came after last_id; with the word that something is missing, all that is there. */
static void resume(struct reader *r, const char *last_id)
{
    const struct event_feed *feed = r->feed;
    uint64_t from = oldest_kept(feed), seq;

    if (event_id_parse(feed->node, last_id, &seq) && seq + 1 >= from &&
        seq <= feed->node->events.seq)
        from = seq + 1;
    else
        say_lost(r, last_id);
    for (; from <= feed->node->events.seq; from++) {
        const struct kept *kept = feed->ring[from % EVENT_FEED_KEPT];

        if (kept && kept->seq == from)
            give(r, kept);
    }
}

/* "on_play,on_publish". False: answered. */
static bool read_types(struct http_exchange *x, uint32_t *mask)
{
    const char *types = http_query_arg(x, "types");
    struct buf_reader list = buf_reader_from(buf_view_str(types ? types : ""));
    struct buf_view name;

    *mask = types ? 0 : ALL_EVENTS;
    while (http_list_next(&list, &name)) {
        enum event_id id = event_of_name(name);

        if (id == N_EVENTS) {
            http_respond_problem(x, 400, "types: found \"%.*s\", expected names of events",
                                 (int)name.size_bytes, (const char *)name.data);
            return false;
        }
        *mask |= UINT32_C(1) << id;
    }
    if (*mask)
        return true;
    http_respond_problem(x, 400, "types: expected names of events, comma-separated");
    return false;
}

/* False: answered. */
static bool read_stream(struct http_exchange *x, char out[STREAM_NAME_SIZE])
{
    const char *said = http_query_arg(x, "stream"), *why = "";
    char path[STREAM_NAME_SIZE + 1];
    struct stream_name name;

    out[0] = '\0';
    if (!said)
        return true;
    if (snprintf(path, sizeof path, "/%s", said) < (int)sizeof path &&
        stream_name_from_path(&name, buf_view_str(path), &why) == E_OK) {
        memcpy(out, name.text, strlen(name.text) + 1);
        return true;
    }
    http_respond_problem(x, 400, "stream: %s", *why ? why : "too long");
    return false;
}

static struct reader *reader_create(struct event_feed *feed, struct http_exchange *x)
{
    struct reader *r;

    if (feed->n_readers >= EVENT_FEED_MAX_READERS) {
        http_add_header(x, "Retry-After", "10");
        http_respond_problem(x, 503, "%u readers of events are here already", feed->n_readers);
        return NULL;
    }
    r = calloc(1, sizeof *r);
    if (!r) {
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
        return NULL;
    }
    r->feed = feed;
    r->x = x;
    if (read_types(x, &r->mask) && read_stream(x, r->stream))
        return r;
    free(r);
    return NULL;
}

/* What it has heard of so far is where it goes on, though nothing may come for a while. */
static void say_hello(struct reader *r, const char *last_id)
{
    char id[EVENT_ID_SIZE], text[96];

    snprintf(text, sizeof text, "retry: 2000\nid: %s\n\n",
             event_id_format(r->feed->node, r->feed->node->events.seq, id));
    (void)http_stream_write(r->x, buf_view_str(last_id ? "retry: 2000\n\n" : text));
}

void event_feed_open(struct event_feed *feed, struct http_exchange *x)
{
    struct reader *r = reader_create(feed, x);
    const char *last_id;

    if (!r)
        return;
    http_add_header(x, "Cache-Control", "no-store");
    http_stream_begin(x, 200, "text/event-stream");
    if (http_is_head(x)) {
        http_stream_end(x);
        free(r);
        return;
    }
    begin_listening(feed);
    http_set_pending(x, on_gone, r);
    list_push_back(&feed->readers, &r->node);
    metric_set(&m_event_readers, ++feed->n_readers);
    last_id = http_header(x, "Last-Event-ID");
    say_hello(r, last_id);
    if (last_id && *last_id)
        resume(r, last_id);
}

/* --- life --- */

struct event_feed *event_feed_create(struct node *node)
{
    struct event_feed *feed = calloc(1, sizeof *feed);

    if (!feed)
        return NULL;
    feed->node = node;
    feed->listener.on_event = on_event;
    list_init(&feed->readers);
    timer_init(&feed->beat, node->control, on_beat);
    return feed;
}

void event_feed_destroy(struct event_feed **feed)
{
    struct event_feed *f = *feed;

    *feed = NULL;
    if (!f)
        return;
    stop_listening(f);
    free(f);
}
