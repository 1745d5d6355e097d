/* The least possible ingest: RTMP publishers are answered with prepared bytes, then all they send
 * is read and thrown away. A yardstick: what any server pays on this machine for so many wake-ups
 * and reads. Commands are not parsed but searched for: name and number stand at the start of a
 * message, and so always in its first chunk. */
#include <errno.h>

#include "tests/bench/floor/floor.h"

#define MAX_CLIENTS (1 << 17)
#define C0C1_BYTES 1537 /* RTMP 1.0, section 5.2 */
#define C2_BYTES 1536
#define TALK_BYTES 16384  /* what a client may say before its media */
#define READ_BYTES 262144 /* more than a publisher sends in a tick */

enum step { /* what is waited for */
            STEP_NONE,
            STEP_C0C1,
            STEP_C2,
            STEP_CONNECT,
            STEP_CREATE_STREAM,
            STEP_PUBLISH,
            STEP_MEDIA
};

struct client {
    enum step step;
    uint8_t *talk; /* owned, TALK_BYTES; NULL once media runs */
    size_t talk_bytes;
};

/* One type 0 chunk (section 5.3.1.2) with message type 20; its length is written at LENGTH_AT. */
#define CHUNK(csid, stream_id) csid "\0\0\0\0\0\0\x14" stream_id "\0\0\0"
#define CHUNK_HEADER_BYTES 12
#define LENGTH_AT 6
/* AMF0: a string; a command begins with its name and a number, 8 bytes behind the mark 0. */
#define TEXT(size, text) "\x02\0" size text
#define NUMBER "\0\0\0\0\0\0\0\0\0"
#define NUMBER_BYTES 8
#define RESULT TEXT("\x07", "_result") NUMBER
#define RESULT_NUMBER_AT (CHUNK_HEADER_BYTES + sizeof TEXT("\x07", "_result"))
#define NULL_OBJECT "\x05\x03" /* no command object, then an object */
#define OBJECT_END "\0\0\x09"
#define ROW(step, command, answer) \
    [step] = {command "\0", sizeof command, answer, sizeof(answer) - 1}

/* clang-format off */
static const struct {
    const char *command;
    size_t command_bytes; /* with the mark of the number */
    const char *answer;
    size_t answer_bytes;
} k_talk[] = {
    ROW(STEP_CONNECT, TEXT("\x07", "connect"),
        CHUNK("\x03", "\0") RESULT NULL_OBJECT
        "\0\x04" "code" TEXT("\x1d", "NetConnection.Connect.Success") OBJECT_END),
    ROW(STEP_CREATE_STREAM, TEXT("\x0c", "createStream"),
        CHUNK("\x03", "\0") RESULT "\x05" "\0\x3f\xf0\0\0\0\0\0\0"), /* stream 1 */
    ROW(STEP_PUBLISH, TEXT("\x07", "publish"),
        CHUNK("\x03", "\x01") TEXT("\x08", "onStatus") NUMBER NULL_OBJECT
        "\0\x05" "level" TEXT("\x06", "status")
        "\0\x04" "code" TEXT("\x17", "NetStream.Publish.Start") OBJECT_END),
};
/* clang-format on */

static struct client g_clients[MAX_CLIENTS]; /* by descriptor */
static uint8_t g_read[READ_BYTES];
static int g_epoll;       /* the listener, and clients that talk */
static int g_media_epoll; /* clients whose media runs; the same one without a tick */

static void drop(int fd)
{
    free(g_clients[fd].talk);
    g_clients[fd] = (struct client){0};
    close(fd);
}

/* Takes n bytes from the start of what the client said. */
static void consume(struct client *c, size_t n)
{
    c->talk_bytes -= n;
    memmove(c->talk, c->talk + n, c->talk_bytes);
}

/* A new socket takes these few bytes whole. */
static void say(int fd, const void *bytes, size_t n)
{
    (void)send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool answer_handshake(int fd, struct client *c)
{
    static uint8_t answer[C0C1_BYTES + C2_BYTES]; /* S0, S1 of zeros, S2 = C1 */

    if (c->talk_bytes < C0C1_BYTES)
        return false;
    answer[0] = 3;
    memcpy(answer + C0C1_BYTES, c->talk + 1, C2_BYTES);
    say(fd, answer, sizeof answer);
    consume(c, C0C1_BYTES);
    return true;
}

static bool answer_command(int fd, struct client *c)
{
    const char *command = k_talk[c->step].command;
    size_t command_bytes = k_talk[c->step].command_bytes, n = k_talk[c->step].answer_bytes;
    uint8_t answer[160];
    uint8_t *found = memmem(c->talk, c->talk_bytes, command, command_bytes);
    size_t end;

    if (!found)
        return false;
    end = (size_t)(found - c->talk) + command_bytes + NUMBER_BYTES;
    if (end > c->talk_bytes)
        return false;
    memcpy(answer, k_talk[c->step].answer, n);
    answer[LENGTH_AT] = (uint8_t)(n - CHUNK_HEADER_BYTES);
    if (c->step != STEP_PUBLISH)
        memcpy(answer + RESULT_NUMBER_AT, found + command_bytes, NUMBER_BYTES);
    say(fd, answer, n);
    consume(c, end);
    return true;
}

/* True when what is waited for has come, and is answered. */
static bool take_step(int fd, struct client *c)
{
    if (c->step == STEP_C0C1)
        return answer_handshake(fd, c);
    if (c->step != STEP_C2)
        return answer_command(fd, c);
    if (c->talk_bytes < C2_BYTES)
        return false;
    consume(c, C2_BYTES);
    return true;
}

static void start_media(int fd, struct client *c)
{
    free(c->talk);
    c->talk = NULL;
    if (g_media_epoll == g_epoll)
        return;
    floor_watch(g_epoll, EPOLL_CTL_DEL, fd, 0);
    floor_watch(g_media_epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void on_talk(int fd, struct client *c)
{
    ssize_t n = recv(fd, c->talk + c->talk_bytes, (size_t)TALK_BYTES - c->talk_bytes, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) { /* gone, or it talks too much */
        drop(fd);
        return;
    }
    c->talk_bytes += (size_t)n;
    while (c->step < STEP_MEDIA && take_step(fd, c))
        if (++c->step == STEP_MEDIA)
            start_media(fd, c);
}

static void on_client(int fd)
{
    struct client *c = &g_clients[fd];

    if (c->step < STEP_MEDIA) {
        on_talk(fd, c);
        return;
    }
    if (recv(fd, g_read, sizeof g_read, MSG_DONTWAIT) <= 0)
        drop(fd);
}

static void accept_all(int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        uint8_t *talk = fd < MAX_CLIENTS ? malloc(TALK_BYTES) : NULL;

        if (!talk) {
            close(fd);
            continue;
        }
        g_clients[fd] = (struct client){.step = STEP_C0C1, .talk = talk};
        floor_watch(g_epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

/* One round over what is ready: a single read empties a socket. */
static void drain(int epoll, int listener, int timeout_ms)
{
    static struct epoll_event events[FLOOR_EVENTS];
    int n;

    do {
        n = epoll_wait(epoll, events, FLOOR_EVENTS, timeout_ms);
        timeout_ms = 0;
        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                on_client(events[i].data.fd);
    } while (n == FLOOR_EVENTS);
}

int main(int argc, char **argv)
{
    int tick_ms = atoi(floor_option(argc, argv, "--tick-ms"));
    int listener;
    int64_t tick_at_ms;

    g_epoll = g_media_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (tick_ms)
        g_media_epoll = epoll_create1(EPOLL_CLOEXEC);
    listener = floor_listen(floor_option(argc, argv, "--listen"));
    floor_watch(g_epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
    tick_at_ms = floor_now_ms() + tick_ms;
    for (;;) {
        int64_t now_ms = floor_now_ms();

        if (!tick_ms) {
            drain(g_epoll, listener, -1);
        } else if (now_ms < tick_at_ms) {
            drain(g_epoll, listener, (int)(tick_at_ms - now_ms));
        } else {
            drain(g_media_epoll, listener, 0);
            tick_at_ms += tick_ms * ((now_ms - tick_at_ms) / tick_ms + 1);
        }
    }
}
