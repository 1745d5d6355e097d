/* Events connections. */
#include "scheduler/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PING_MS 5000
#define CAST_LINES 500 /* a slice: below 5 ms */
#define KEY_SIZE (CLUSTER_ID_SIZE + 24)

struct events_conn {
    struct list node; /* first: in events.conns, where a cast has no connection */
    struct events *events;
    struct http_exchange *x; /* NULL: the place of a cast */
    char id[CLUSTER_ID_SIZE];
    uint64_t instance;
};

struct events_cast { /* one line on its way to all */
    struct list node;
    struct events_conn place; /* behind the last connection that has it */
    struct buf_writer line;
};

static void write_key(char key[KEY_SIZE], const char *id, uint64_t instance)
{
    snprintf(key, KEY_SIZE, "%s/%" PRIu64, id, instance);
}

/* A node of before does not say its instance: it has one connection for all. */
static struct events_conn *find(const struct events *events, const char *id, uint64_t instance)
{
    struct events_conn *conn;
    char key[KEY_SIZE];

    write_key(key, id, instance);
    conn = map_get(&events->by_node, key);
    if (conn || !instance)
        return conn;
    write_key(key, id, 0);
    return map_get(&events->by_node, key);
}

/* A line that cannot be made or sent is lost: heartbeat answers carry what differs. A peer that
 * does not keep up is closed by the server, which calls on_gone(). */
static void send_line(const struct events_conn *conn, struct buf_view line)
{
    (void)http_stream_write(conn->x, line);
}

static enum err encode(const struct cluster_event *event, struct buf_writer *out)
{
    buf_writer_init(out, 4096);
    return cluster_event_encode(event, out);
}

/* --- to all --- */

static void end_cast(struct events_cast *cast)
{
    list_remove(&cast->node);
    list_remove(&cast->place.node);
    buf_writer_fini(&cast->line);
    free(cast);
}

/* Moves the cast on by up to *n_lines connections. True when it has reached all. */
static bool go_on(struct events *events, struct events_cast *cast, unsigned *n_lines)
{
    struct list *place = &cast->place.node;

    while (place->next != &events->conns && *n_lines > 0) {
        struct events_conn *conn = list_entry(place->next, struct events_conn, node);

        list_remove(place);
        list_push_back(conn->node.next, place); /* in front of the one after conn */
        if (!conn->x)
            continue; /* the place of another cast */
        send_line(conn, buf_writer_view(&cast->line));
        --*n_lines;
    }
    return place->next == &events->conns;
}

static void on_cast(struct timer *timer)
{
    struct events *events = list_entry(timer, struct events, cast);
    unsigned n_lines = CAST_LINES;

    while (!list_is_empty(&events->casts)) {
        struct events_cast *first = list_entry(events->casts.next, struct events_cast, node);

        if (!go_on(events, first, &n_lines)) {
            timer_start_ms(timer, 0);
            return;
        }
        end_cast(first);
    }
}

void events_broadcast(struct events *events, const struct cluster_event *event)
{
    struct events_cast *cast = calloc(1, sizeof *cast);

    if (!cast)
        return;
    list_init(&cast->node);
    list_init(&cast->place.node);
    if (encode(event, &cast->line) != E_OK) {
        end_cast(cast);
        return;
    }
    list_push_back(&events->casts, &cast->node);
    list_push_back(events->conns.next, &cast->place.node); /* in front of the first */
    if (!timer_is_armed(&events->cast))
        timer_start_ms(&events->cast, 0);
}

static void on_ping(struct timer *timer)
{
    struct events *events = list_entry(timer, struct events, ping);

    events_broadcast(events, &(struct cluster_event){.type = CLUSTER_EVENT_PING});
    timer_start_ms(timer, PING_MS);
}

/* --- life --- */

void events_begin(struct events *events, struct loop *loop, events_lost *on_lost, void *arg)
{
    *events = (struct events){.on_lost = on_lost, .arg = arg};
    map_init(&events->by_node);
    list_init(&events->conns);
    list_init(&events->casts);
    timer_init(&events->ping, loop, on_ping);
    timer_init(&events->cast, loop, on_cast);
    timer_start_ms(&events->ping, PING_MS);
}

/* Forgets conn, which the server or the caller ends. */
static void forget(struct events_conn *conn)
{
    char key[KEY_SIZE];

    write_key(key, conn->id, conn->instance);
    map_remove(&conn->events->by_node, key);
    list_remove(&conn->node);
    free(conn);
}

void events_end(struct events *events)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    timer_stop(&events->ping);
    timer_stop(&events->cast);
    while (!list_is_empty(&events->casts))
        end_cast(list_entry(events->casts.next, struct events_cast, node));
    while (map_next(&events->by_node, &cursor, &key, &value)) {
        struct events_conn *conn = value;
        struct http_exchange *x = conn->x;

        forget(conn);
        http_stream_end(x);
    }
    map_fini(&events->by_node);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct events_conn *conn = arg;
    struct events *events = conn->events;
    struct events_conn gone = *conn;

    (void)x;
    forget(conn);
    events->on_lost(events->arg, gone.id, gone.instance);
}

static struct events_conn *add(struct events *events, struct http_exchange *x, const char *node,
                               uint64_t instance)
{
    struct events_conn *conn = calloc(1, sizeof *conn);
    char key[KEY_SIZE];

    write_key(key, node, instance);
    if (!conn || map_set(&events->by_node, key, conn) != E_OK) {
        free(conn);
        return NULL;
    }
    conn->events = events;
    conn->x = x;
    conn->instance = instance;
    snprintf(conn->id, sizeof conn->id, "%s", node);
    list_push_back(&events->conns, &conn->node);
    return conn;
}

void events_open(struct events *events, struct http_exchange *x, const char *node,
                 uint64_t instance)
{
    struct events_conn *conn = find(events, node, instance);

    if (conn && conn->instance == instance) {
        struct http_exchange *old = conn->x;

        forget(conn);
        http_stream_end(old);
    }
    conn = add(events, x, node, instance);
    if (!conn) {
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    http_set_pending(x, on_gone, conn);
    http_stream_begin(x, 200, "application/x-ndjson");
    (void)events_send(events, node, instance, &(struct cluster_event){.type = CLUSTER_EVENT_PING});
}

bool events_send(struct events *events, const char *node, uint64_t instance,
                 const struct cluster_event *event)
{
    struct events_conn *conn = find(events, node, instance);
    struct buf_writer line;

    if (!conn)
        return false;
    if (encode(event, &line) == E_OK)
        send_line(conn, buf_writer_view(&line));
    buf_writer_fini(&line);
    return true;
}

size_t events_count(const struct events *events)
{
    return events->by_node.n_entries;
}

bool events_has(const struct events *events, const char *node, uint64_t instance)
{
    return find(events, node, instance) != NULL;
}
