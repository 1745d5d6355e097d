/* What the tests of node/relay share: a node of one loop with a viewer, the agent's answers made by
 * the test, and upstreams behind real sockets that say what the test has them say. Everything runs
 * in this thread: the loop is turned until what is expected has happened. */
#ifndef HW_TESTS_RELAY_TEST_H
#define HW_TESTS_RELAY_TEST_H

#include "tests/unit/node/stream/stream_test.h"

#include <netinet/in.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/handover.h"
#include "node/node.h"
#include "node/relay/pull.h"
#include "node/relay/relays.h"
#include "node/session/session.h"

#define RUN 77
#define EPOCH 5

/* --- the node --- */

struct relay_rig {
    struct rig names; /* its name alone, for players */
    struct loop *loop;
    struct node node;
    struct node_loop nl;
    struct player player;
    struct agent_ask *asked; /* waits for its answer */
    unsigned n_asked;
    struct cluster_ids avoided; /* as the last question said */
};
static struct relay_rig rig;

/* Stands in for node/cluster/agent.c. */
void agent_ask(struct agent *agent, struct agent_ask *ask)
{
    (void)agent;
    assert_null(rig.asked);
    assert_int_equal(ask->what, AGENT_ASK_ROUTE);
    assert_int_equal(ask->route.intent, CLUSTER_INTENT_SOURCE);
    rig.asked = ask;
    rig.avoided = ask->route.avoid;
    rig.n_asked++;
}

/* No process replaces another one here. */
bool handover_upstream(struct node *node, const char *name, char url[CLUSTER_URL_SIZE],
                       char id[CLUSTER_ID_SIZE])
{
    (void)node;
    (void)name;
    (void)url;
    (void)id;
    return false;
}

/* Stands in for node/session/protocols.c, which knows the whole node. */
const char *sessions_kick_reason(const struct node_loop *nl)
{
    (void)nl;
    return "closed by the operator";
}

static void on_changed(void *arg, struct stream *stream)
{
    (void)arg;
    pull_stream_changed(stream);
}

static void turn(void)
{
    loop_turn(rig.loop, true); /* housekeeping ends every wait */
}

#define TURN_UNTIL(condition)                                              \
    do {                                                                   \
        int64_t end_us = clock_mono_us() + DEADLINE_US;                    \
        while (!(condition)) {                                             \
            if (clock_mono_us() > end_us)                                  \
                fail_msg("%d: never came true: %s", __LINE__, #condition); \
            turn();                                                        \
        }                                                                  \
    } while (0)

static inline void turn_for_ms(int64_t ms)
{
    int64_t end_us = clock_mono_us() + ms * 1000;

    while (clock_mono_us() < end_us)
        turn();
}

static char k_no_token[] = "";

static int rig_setup(void **state)
{
    struct stream_hooks hooks = {
        .need_source = pull_need_source, .changed = on_changed, .arg = &rig.node};
    const char *why;

    (void)state;
    memset(&rig, 0, sizeof rig);
    log_set_level(LOG_ERROR);
    rig.loop = loop_create("test", 0);
    assert_non_null(rig.loop);
    rig.node.stream_conf = small_conf();
    rig.node.stream_conf.gop.max_gops = 16; /* the viewer starts with the first picture */
    rig.node.registry = registry_create(&rig.node.stream_conf, &hooks);
    strcpy(rig.node.id, "me");
    rig.node.token = k_no_token;
    rig.node.agent = (struct agent *)(void *)&rig; /* never looked into */
    rig.node.conf.upstream_stall_ms = 10000;
    rig.node.conf.pull_head_start_ms = 60000;
    rig.node.conf.pull_failback_ms = 60000;
    rig.nl.node = &rig.node;
    list_init(&rig.nl.pulls);
    list_init(&rig.nl.keepers);
    list_init(&rig.nl.targets);
    assert_int_equal(media_loop_init(&rig.nl.media, rig.loop, rig.node.registry), E_OK);
    rig.nl.media.owner = &rig.nl;
    assert_int_equal(
        stream_name_make(&rig.names.name, buf_view_str("live"), buf_view_str("a"), &why), E_OK);
    player_open(&rig.player, &rig.nl.media, 0);
    return 0;
}

static int rig_teardown(void **state)
{
    struct list *node, *tmp;

    (void)state;
    player_close(&rig.player);
    pull_stop_all(&rig.nl);
    free(rig.asked);
    list_for_each_safe(node, tmp, &rig.nl.media.streams)
        stream_kick(stream_at_home(node));
    for (unsigned i = 0; i < 4; i++)
        loop_turn(rig.loop, false);
    media_loop_fini(&rig.nl.media);
    loop_destroy(&rig.loop);
    relays_destroy(&rig.node.relays);
    registry_destroy(&rig.node.registry);
    return 0;
}

/* Somebody plays live/a: the pull begins, and asks. */
static inline void play(void)
{
    struct viewer_join how = {.format = FORMAT_FLV};

    assert_int_equal(player_join_as(&rig.player, &rig.names, &rig.nl.media, &how), E_OK);
    TURN_UNTIL(rig.asked);
}

static inline struct stream *the_stream(void)
{
    struct stream *stream = registry_find(rig.node.registry, rig.names.name.text), *lent = stream;

    assert_non_null(stream);
    stream_unref(&stream); /* the registry holds it */
    return lent;
}

/* --- upstreams --- */

struct upstream {
    const char *id;
    uint32_t depth;
    int listen_fd, fd;
    unsigned port;
    char request[2048];
    bool closed; /* by the node */
};

static void up_open(struct upstream *up, const char *id, uint32_t depth)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;

    *up = (struct upstream){.id = id, .depth = depth, .fd = -1};
    up->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(up->listen_fd >= 0);
    assert_int_equal(bind(up->listen_fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(up->listen_fd, 8), 0);
    assert_int_equal(getsockname(up->listen_fd, (struct sockaddr *)&addr, &size), 0);
    up->port = ntohs(addr.sin_port);
}

/* The process is gone: connections break, new ones are refused. */
static void up_die(struct upstream *up)
{
    if (up->fd >= 0)
        close(up->fd);
    if (up->listen_fd >= 0)
        close(up->listen_fd);
    up->fd = up->listen_fd = -1;
}

/* True once the node has connected and its request is here. */
static inline bool up_is_asked(struct upstream *up)
{
    size_t used = strlen(up->request);
    ssize_t n;

    if (up->fd < 0)
        up->fd = accept4(up->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (up->fd < 0)
        return false;
    n = recv(up->fd, up->request + used, sizeof up->request - 1 - used, 0);
    if (n > 0)
        up->request[used + (size_t)n] = '\0';
    return strstr(up->request, "\r\n\r\n") != NULL;
}

/* The node has closed the connection. */
static inline bool up_is_left(struct upstream *up)
{
    char byte;
    ssize_t n = recv(up->fd, &byte, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void up_send(struct upstream *up, struct buf_writer *out)
{
    assert_int_equal(buf_writer_status(out), E_OK);
    assert_int_equal(send(up->fd, out->data, out->used_bytes, MSG_NOSIGNAL),
                     (ssize_t)out->used_bytes);
    buf_writer_fini(out);
}

static inline void up_refuse(struct upstream *up, unsigned status)
{
    struct buf_writer out;

    buf_writer_init(&out, 1024);
    buf_printf(&out, "HTTP/1.1 %u No\r\nContent-Length: 0\r\n\r\n", status);
    up_send(up, &out);
}

/* The stream is not there yet. */
static inline void up_wait(struct upstream *up)
{
    struct buf_writer out;

    buf_writer_init(&out, 1024);
    buf_write_str(&out, "HTTP/1.1 102 Processing\r\n\r\n");
    up_send(up, &out);
}

/* 200, with sound and pictures; path: the nodes from this one to the origin. */
static inline void up_answer(struct upstream *up, uint64_t epoch, const char *path)
{
    struct buf_writer out;

    buf_writer_init(&out, 1024);
    buf_printf(&out,
               "HTTP/1.1 200 OK\r\nX-Headwater-Epoch: %llu\r\nX-Headwater-Run: %u\r\n"
               "X-Headwater-Path: %s\r\n\r\n",
               (unsigned long long)epoch, RUN, path);
    flv_write_file_header(&out, true, true);
    up_send(up, &out);
}

/* path NULL = not said. */
static void up_say(struct upstream *up, uint64_t epoch, uint64_t gop, int64_t ingest_us,
                   const char *path)
{
    struct flv_hw hw = {
        .v = FLV_HW_VERSION, .epoch = epoch, .run = RUN, .gop = gop, .ingest_us = ingest_us};
    struct buf_writer body, out;

    if (path)
        hw.path = buf_view_str(path);
    buf_writer_init(&body, 1024);
    buf_writer_init(&out, 1024);
    flv_write_hw_body(&body, &hw);
    flv_write_tag(&out, FLV_TAG_SCRIPT, 0, buf_writer_view(&body));
    buf_writer_fini(&body);
    up_send(up, &out);
}

static void up_frame(struct upstream *up, enum body_kind kind, uint32_t number, uint32_t dts_ms)
{
    uint8_t body[64];
    size_t size = make_body(body, kind, number, sizeof body);
    struct buf_writer out;

    buf_writer_init(&out, 1024);
    flv_write_tag(&out, k_bodies[kind].flv_type, dts_ms, buf_view_of(body, size));
    up_send(up, &out);
}

/* Headers, as every connection begins. */
static inline void up_headers(struct upstream *up, uint32_t dts_ms)
{
    up_frame(up, BODY_AVC_CONFIG, 1000000, dts_ms);
    up_frame(up, BODY_AAC_CONFIG, 1000001, dts_ms);
}

/* Pictures from one up to another of GOPs of ten, the first GOP is number 1. The first one's time
 * is begin_ms; times wrap at 2^32. */
static void up_pictures_at(struct upstream *up, uint64_t epoch, uint32_t from, uint32_t to,
                           uint32_t begin_ms)
{
    for (uint32_t i = from; i < to; i++) {
        if (i % 10 == 0)
            up_say(up, epoch, i / 10 + 1, (int64_t)i * 40000, NULL);
        up_frame(up, i % 10 ? BODY_AVC_INTER : BODY_AVC_KEY, i, begin_ms + i * 40);
    }
}

static inline void up_pictures(struct upstream *up, uint64_t epoch, uint32_t from, uint32_t to)
{
    up_pictures_at(up, epoch, from, to, 0);
}

/* --- routes --- */

/* The scheduler's answer: these, the best first. */
static inline void answer_route(struct upstream *const *ups, unsigned n)
{
    struct agent_ask *ask = rig.asked;
    struct cluster_route *route;

    assert_non_null(ask);
    rig.asked = NULL;
    route = &ask->route_reply;
    *route = (struct cluster_route){.decision = n ? CLUSTER_PULL : CLUSTER_WAIT, .n_upstreams = n};
    for (unsigned i = 0; i < n; i++) {
        snprintf(route->upstreams[i].node, sizeof route->upstreams[i].node, "%s", ups[i]->id);
        snprintf(route->upstreams[i].url, sizeof route->upstreams[i].url, "http://127.0.0.1:%u",
                 ups[i]->port);
        route->upstreams[i].depth = ups[i]->depth;
    }
    ask->done(ask); /* frees it */
}

#define ROUTE(...)                                        \
    answer_route((struct upstream *const[]){__VA_ARGS__}, \
                 sizeof((struct upstream *const[]){__VA_ARGS__}) / sizeof(struct upstream *))

/* --- what the viewer got --- */

/* Pictures from 0 on, each once and in order, up to this one. */
static inline bool player_has(uint32_t number)
{
    (void)player_read(&rig.player, SIZE_MAX);
    return rig.player.n_tags && rig.player.tags[rig.player.n_tags - 1].number == number;
}

static inline void assert_whole(uint32_t n)
{
    unsigned first = first_media(&rig.player);

    assert_int_equal(rig.player.n_tags - first, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(rig.player.tags[first + i].number, i);
        assert_int_equal(rig.player.tags[first + i].dts_ms, 40 * i);
    }
    assert_false(rig.player.ended);
}

#endif
