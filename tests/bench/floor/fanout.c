/* The least possible fan-out: one stream from an FLV file, written once into one flat ring, and one
 * send() per viewer and flush. A yardstick: what any server pays on this machine for so many
 * sends. There is no protocol beyond a fixed HTTP head, no limit and no slow-viewer policy: who
 * falls a whole ring behind is cut off. */
#include "tests/bench/floor/flv_file.h"

#define RING_BYTES ((uint64_t)8 << 20)
#define MAX_CLIENTS (1 << 17)

static const char k_http_head[] = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n"
                                  "Connection: close\r\n\r\n";

struct client {
    uint64_t at;   /* in the stream of all bytes ever written; its place is at % RING_BYTES */
    bool plays;    /* has asked, and got the head */
    bool is_stuck; /* a send was short: waits for EPOLLOUT */
};

static struct flv_file g_flv;
static size_t g_next_tag;
static int64_t g_lap_began_ms; /* on the clock */
static uint32_t g_laps_ms;     /* length of the laps behind us */
static uint8_t *g_ring;
static uint64_t g_entry, g_end;              /* where new viewers start; end of what is written */
static struct client g_clients[MAX_CLIENTS]; /* by descriptor */
static int g_n_fds;                          /* all clients' descriptors are below */
static int g_epoll;

static void write_tag(const struct flv_tag *tag)
{
    uint64_t place = g_end % RING_BYTES, n = RING_BYTES - place;

    flv_write_ts(tag->bytes, g_laps_ms + tag->ts_ms);
    if (n > tag->size_bytes)
        n = tag->size_bytes;
    memcpy(g_ring + place, tag->bytes, n);
    memcpy(g_ring, tag->bytes + n, tag->size_bytes - n);
    if (tag->is_entry)
        g_entry = g_end;
    g_end += tag->size_bytes;
}

static int64_t next_due_ms(void)
{
    return g_lap_began_ms + g_flv.tags[g_next_tag].ts_ms;
}

/* Writes the tags whose time has come; true when there were any. */
static bool write_due(int64_t now_ms)
{
    uint64_t before = g_end;

    while (next_due_ms() <= now_ms) {
        write_tag(&g_flv.tags[g_next_tag]);
        if (++g_next_tag == g_flv.n_tags) {
            g_next_tag = 0;
            g_laps_ms += g_flv.length_ms;
            g_lap_began_ms += g_flv.length_ms;
        }
    }
    return g_end != before;
}

static void drop(int fd)
{
    g_clients[fd] = (struct client){0};
    close(fd);
}

/* Sends what is new to one client: one send(), two where the ring begins anew. */
static void send_to(int fd)
{
    struct client *c = &g_clients[fd];

    while (c->at < g_end) {
        uint64_t place = c->at % RING_BYTES, n = g_end - c->at;
        ssize_t sent;

        if (n > RING_BYTES) {
            drop(fd);
            return;
        }
        if (n > RING_BYTES - place)
            n = RING_BYTES - place;
        sent = send(fd, g_ring + place, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            c->at += (uint64_t)sent;
        if (sent < (ssize_t)n) {
            c->is_stuck = true;
            floor_watch(g_epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
            return;
        }
    }
}

static void flush_all(void)
{
    for (int fd = 0; fd < g_n_fds; fd++)
        if (g_clients[fd].plays && !g_clients[fd].is_stuck)
            send_to(fd);
}

static void accept_all(int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_CLIENTS) {
            close(fd);
            continue;
        }
        floor_watch(g_epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP);
        if (fd >= g_n_fds)
            g_n_fds = fd + 1;
    }
}

/* Goes out with the next send(). A new socket takes these few bytes whole. */
static void say(int fd, const void *bytes, size_t n)
{
    (void)send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
}

/* Whatever the first bytes ask for, the answer is the stream. */
static void on_client(int fd, uint32_t what)
{
    struct client *c = &g_clients[fd];
    char request[4096];

    if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ||
        ((what & EPOLLIN) && recv(fd, request, sizeof request, MSG_DONTWAIT) <= 0)) {
        drop(fd);
        return;
    }
    if ((what & EPOLLIN) && !c->plays) {
        c->plays = true;
        c->at = g_entry;
        say(fd, k_http_head, sizeof k_http_head - 1);
        say(fd, g_flv.head, g_flv.head_bytes);
        send_to(fd);
    }
    if ((what & EPOLLOUT) && c->is_stuck) {
        c->is_stuck = false;
        floor_watch(g_epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP);
        send_to(fd);
    }
}

static void turn(int listener, int64_t until_ms)
{
    static struct epoll_event events[FLOOR_EVENTS];
    int64_t wait_ms = until_ms - floor_now_ms();
    int n = epoll_wait(g_epoll, events, FLOOR_EVENTS, wait_ms > 0 ? (int)wait_ms : 0);

    for (int i = 0; i < n; i++)
        if (events[i].data.fd == listener)
            accept_all(listener);
        else
            on_client(events[i].data.fd, events[i].events);
}

int main(int argc, char **argv)
{
    int flush_ms = atoi(floor_option(argc, argv, "--flush-ms"));
    int64_t now_ms, flush_at_ms;
    int listener;

    flv_load(&g_flv, floor_option(argc, argv, "--flv"));
    g_ring = malloc(RING_BYTES);
    if (!g_ring)
        floor_die("malloc");
    g_epoll = epoll_create1(EPOLL_CLOEXEC);
    listener = floor_listen(floor_option(argc, argv, "--listen"));
    floor_watch(g_epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
    flush_at_ms = g_lap_began_ms = floor_now_ms();
    for (;;) {
        turn(listener, flush_ms ? flush_at_ms : next_due_ms());
        now_ms = floor_now_ms();
        if (write_due(now_ms) && !flush_ms)
            flush_all();
        if (flush_ms && now_ms >= flush_at_ms) {
            flush_all();
            flush_at_ms += flush_ms * ((now_ms - flush_at_ms) / flush_ms + 1);
        }
    }
}
