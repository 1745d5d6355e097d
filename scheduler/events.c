/* Events connections. */
#include "scheduler/events.h"

#include <stdio.h>
#include <stdlib.h>

#define PING_MS 5000

struct events_conn {
    struct events *events;
    struct http_exchange *x;
    char node[CLUSTER_ID_SIZE];
};

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

static void on_ping(struct timer *timer)
{
    struct events *events = list_entry(timer, struct events, ping);

    events_broadcast(events, &(struct cluster_event){.type = CLUSTER_EVENT_PING});
    timer_start_ms(timer, PING_MS);
}

void events_init(struct events *events, struct loop *loop,
                 void (*on_lost)(void *arg, const char *node), void *arg)
{
    *events = (struct events){.on_lost = on_lost, .arg = arg};
    map_init(&events->by_node);
    timer_init(&events->ping, loop, on_ping);
    timer_start_ms(&events->ping, PING_MS);
}

/* Forgets conn, which the server or the caller ends. */
static void forget(struct events_conn *conn)
{
    map_remove(&conn->events->by_node, conn->node);
    free(conn);
}

void events_fini(struct events *events)
{
    struct map_cursor cursor = {0};
    const char *node;
    void *value;

    timer_stop(&events->ping);
    while (map_next(&events->by_node, &cursor, &node, &value)) {
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
    char node[CLUSTER_ID_SIZE];

    (void)x;
    snprintf(node, sizeof node, "%s", conn->node);
    forget(conn);
    events->on_lost(events->arg, node);
}

void events_open(struct events *events, struct http_exchange *x, const char *node)
{
    struct events_conn *conn = map_get(&events->by_node, node);

    if (conn) {
        struct http_exchange *old = conn->x;

        forget(conn);
        http_stream_end(old);
    }
    conn = calloc(1, sizeof *conn);
    if (!conn || map_set(&events->by_node, node, conn) != E_OK) {
        free(conn);
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    conn->events = events;
    conn->x = x;
    snprintf(conn->node, sizeof conn->node, "%s", node);
    http_set_pending(x, on_gone, conn);
    http_stream_begin(x, 200, "application/x-ndjson");
    events_send(events, node, &(struct cluster_event){.type = CLUSTER_EVENT_PING});
}

void events_send(struct events *events, const char *node, const struct cluster_event *event)
{
    struct events_conn *conn = map_get(&events->by_node, node);
    struct buf_writer line;

    if (!conn)
        return;
    if (encode(event, &line) == E_OK)
        send_line(conn, buf_writer_view(&line));
    buf_writer_fini(&line);
}

void events_broadcast(struct events *events, const struct cluster_event *event)
{
    struct map_cursor cursor = {0};
    struct buf_writer line;
    const char *node;
    void *conn;

    if (encode(event, &line) == E_OK)
        while (map_next(&events->by_node, &cursor, &node, &conn))
            send_line(conn, buf_writer_view(&line));
    buf_writer_fini(&line);
}

size_t events_count(const struct events *events)
{
    return events->by_node.n_entries;
}

bool events_has(const struct events *events, const char *node)
{
    return map_get(&events->by_node, node) != NULL;
}
