/* What the tests of node/stream share: a rig of media loops turned by the test, a source that
 * pushes numbered frames, and players behind real sockets that parse what reaches them. */
#ifndef HW_TESTS_STREAM_TEST_H
#define HW_TESTS_STREAM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/stream/feed.h"
#include "node/stream/media_loop.h"
#include "node/stream/stream_private.h"
#include "node/stream/tap.h"
#include "node/stream/viewer.h"
#include "proto/flv/flv.h"

#define RIG_MAX_LOOPS 4
#define DEADLINE_US 20000000

/* --- frames ------------------------------------------------------------------------------------
 */

/* E.4.3 and E.4.2 in front; after it a number of four bytes and a filler made from it. */
enum body_kind { BODY_AVC_CONFIG, BODY_AVC_KEY, BODY_AVC_INTER, BODY_AAC_CONFIG, BODY_AAC };

static const struct {
    uint8_t flv_type;
    uint8_t head[5];
    uint8_t head_bytes;
} k_bodies[] = {
    [BODY_AVC_CONFIG] = {FLV_TAG_VIDEO, {0x17, 0x00, 0, 0, 0}, 5},
    [BODY_AVC_KEY] = {FLV_TAG_VIDEO, {0x17, 0x01, 0, 0, 0}, 5},
    [BODY_AVC_INTER] = {FLV_TAG_VIDEO, {0x27, 0x01, 0, 0, 0}, 5},
    [BODY_AAC_CONFIG] = {FLV_TAG_AUDIO, {0xaf, 0x00}, 2},
    [BODY_AAC] = {FLV_TAG_AUDIO, {0xaf, 0x01}, 2},
};

#define MAX_BODY_BYTES 300000u

static inline size_t make_body(uint8_t *out, enum body_kind kind, uint32_t number,
                               size_t size_bytes)
{
    size_t n = k_bodies[kind].head_bytes;

    memcpy(out, k_bodies[kind].head, n);
    for (unsigned i = 0; i < 4; i++)
        out[n++] = (uint8_t)(number >> (24 - 8 * i));
    while (n < size_bytes)
        out[n++] = (uint8_t)(number * 7);
    return n;
}

static inline const struct media_frame *make_frame(enum body_kind kind, uint32_t number,
                                                   int64_t dts_us, size_t size_bytes)
{
    uint8_t *body = malloc(MAX_BODY_BYTES);
    struct media_frame_info info = {.dts_us = dts_us};
    const struct media_frame *frame;
    const char *why;
    size_t size;

    assert_non_null(body);
    size = make_body(body, kind, number, size_bytes);
    assert_int_equal(flv_parse_body(k_bodies[kind].flv_type, buf_view_of(body, size), &info, &why),
                     E_OK);
    frame = media_frame_create(&info, buf_view_of(body, size));
    assert_non_null(frame);
    free(body);
    return frame;
}

/* --- rig ---------------------------------------------------------------------------------------
 */

struct rig {
    struct stream_conf conf;
    struct registry *registry;
    unsigned n_loops;
    struct media_loop ml[RIG_MAX_LOOPS];
    struct stream_name name;
    struct stream *stream; /* owned reference */
    struct source source;
    bool evicted;
    enum err evicted_why;
    unsigned n_asked, n_idle, n_stalled, n_not_found; /* calls of the hooks */
    unsigned n_unsure; /* the one at which not_found is sure; 0 = the first */
    uint32_t next_number;
};

static inline struct stream_conf small_conf(void)
{
    return (struct stream_conf){
        .gop = {.max_gops = 1, .max_bytes = 8u << 20, .max_us = 20000000},
        .latency = LATENCY_REALTIME,
        .play_wait_ms = 10000,
        .tracks_wait_ms = 400,
        .publish_stall_ms = 10000,
        .publisher_grace_ms = 10000,
        .max_lag_ms = 10000,
        .stall_timeout_ms = 10000,
        .pull_idle_ms = 10000,
        .max_pinned_bytes = 64u << 20,
        .max_parked = 100,
    };
}

static inline void rig_on_need_source(void *arg, struct stream *stream)
{
    (void)stream;
    ((struct rig *)arg)->n_asked++;
}

static inline void rig_on_idle(void *arg, struct stream *stream)
{
    (void)stream;
    ((struct rig *)arg)->n_idle++;
}

static inline void rig_on_stalled(void *arg, struct stream *stream)
{
    assert_true(stream_has_source(stream)); /* it can be said whose it is */
    ((struct rig *)arg)->n_stalled++;
}

static inline bool rig_on_not_found(void *arg, struct stream *stream)
{
    (void)stream;
    return ++((struct rig *)arg)->n_not_found >= ((struct rig *)arg)->n_unsure;
}

static inline void rig_init(struct rig *r, unsigned n_loops, const struct stream_conf *conf)
{
    struct stream_hooks hooks = {.need_source = rig_on_need_source,
                                 .idle = rig_on_idle,
                                 .stalled = rig_on_stalled,
                                 .not_found = rig_on_not_found,
                                 .arg = r};
    const char *why;

    memset(r, 0, sizeof *r);
    r->conf = *conf;
    r->n_loops = n_loops;
    r->registry = registry_create(&r->conf, &hooks);
    assert_non_null(r->registry);
    for (unsigned i = 0; i < n_loops; i++)
        assert_int_equal(media_loop_init(&r->ml[i], loop_create("test", i), r->registry), E_OK);
    assert_int_equal(stream_name_make(&r->name, buf_view_str("live"), buf_view_str("x"), &why),
                     E_OK);
}

/* One turn of every loop; wait: the first one may block until its next event (housekeeping comes
 * ten times a second). */
static inline void rig_turn(struct rig *r, bool wait)
{
    for (unsigned i = 0; i < r->n_loops; i++)
        loop_turn(r->ml[i].loop, wait && i == 0);
}

/* Lets messages go to and fro between loops. */
static inline void rig_settle(struct rig *r)
{
    for (unsigned i = 0; i < 8; i++)
        rig_turn(r, false);
}

static inline void rig_fini(struct rig *r)
{
    if (r->source.stream)
        stream_detach(&r->source);
    stream_unref(&r->stream);
    rig_settle(r);
    for (unsigned i = 0; i < r->n_loops; i++) {
        media_loop_fini(&r->ml[i]);
        loop_destroy(&r->ml[i].loop);
    }
    registry_destroy(&r->registry);
}

#define RIG_UNTIL(r, condition)                                 \
    do {                                                        \
        int64_t deadline_us = clock_mono_us() + DEADLINE_US;    \
                                                                \
        while (!(condition)) {                                  \
            rig_turn(r, true);                                  \
            if (clock_mono_us() > deadline_us)                  \
                fail_msg("%s did not become true", #condition); \
        }                                                       \
    } while (0)

/* --- source ------------------------------------------------------------------------------------
 */

static inline void rig_on_evict(struct source *source, enum err why)
{
    struct rig *r = list_entry(source, struct rig, source);

    r->evicted = true;
    r->evicted_why = why;
}

static inline enum err rig_attach(struct rig *r, enum source_kind kind)
{
    struct source_offer offer = {.numbers_gops = true, .epoch = 7};

    stream_unref(&r->stream);
    r->stream = registry_get(r->registry, &r->name);
    assert_non_null(r->stream);
    rig_settle(r); /* the stream arrives at its home */
    r->source = (struct source){.kind = kind,
                                .protocol = "test",
                                .session_id = "t-1",
                                .upstream = "",
                                .on_evict = rig_on_evict};
    r->evicted = false;
    return stream_attach(r->stream, &r->source, &offer);
}

static inline void rig_publish(struct rig *r)
{
    assert_int_equal(rig_attach(r, SOURCE_PUBLISHER), E_OK);
}

/* Gives the number that the frame carries. */
static inline uint32_t push_sized(struct rig *r, enum body_kind kind, int64_t dts_ms,
                                  size_t size_bytes)
{
    uint8_t *body = malloc(MAX_BODY_BYTES);
    uint32_t number = r->next_number++;
    const char *why = "";
    size_t size;

    assert_non_null(body);
    size = make_body(body, kind, number, size_bytes);
    assert_int_equal(stream_push(&r->source, k_bodies[kind].flv_type, dts_ms * 1000,
                                 buf_view_of(body, size), &why),
                     E_OK);
    free(body);
    return number;
}

static inline uint32_t push(struct rig *r, enum body_kind kind, int64_t dts_ms)
{
    return push_sized(r, kind, dts_ms, 64);
}

/* Both configurations, then n_frames of video at 40 ms with one of audio each, a key frame first.
 */
static inline void push_gop(struct rig *r, int64_t start_ms, unsigned n_frames, size_t size_bytes)
{
    for (unsigned i = 0; i < n_frames; i++) {
        push_sized(r, i ? BODY_AVC_INTER : BODY_AVC_KEY, start_ms + 40 * i, size_bytes);
        push(r, BODY_AAC, start_ms + 40 * i + 5);
    }
}

static inline void push_configs(struct rig *r, int64_t dts_ms)
{
    push(r, BODY_AVC_CONFIG, dts_ms);
    push(r, BODY_AAC_CONFIG, dts_ms);
}

/* --- player ------------------------------------------------------------------------------------
 */

#define PLAYER_MAX_TAGS 20000

struct got_tag {
    uint8_t type;
    bool config, key;
    uint32_t dts_ms;
    uint32_t number; /* of the frame; for script tags the first four bytes */
    uint32_t size_bytes;
};

struct player {
    struct viewer viewer;
    struct conn *conn;
    int fd; /* the player's end */
    struct flv_decoder *dec;
    bool started, ended, has_audio, has_video;
    enum err why;
    enum err start_answer; /* what on_start gives */
    uint64_t run;          /* as on_start was told */
    struct got_tag *tags;
    unsigned n_tags;
    size_t n_bytes;
};

static inline enum err player_on_start(struct viewer *viewer, bool has_audio, bool has_video)
{
    struct player *p = list_entry(viewer, struct player, viewer);
    struct buf_writer out;
    enum err e;

    assert_false(p->started);
    p->started = true;
    p->has_audio = has_audio;
    p->has_video = has_video;
    p->run = viewer_run(viewer);
    if (p->start_answer != E_OK)
        return p->start_answer;
    buf_writer_init(&out, 64);
    flv_write_file_header(&out, has_audio, has_video);
    e = viewer_write(viewer, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

static inline void player_on_end(struct viewer *viewer, enum err why)
{
    struct player *p = list_entry(viewer, struct player, viewer);

    assert_false(p->ended);
    p->ended = true;
    p->why = why;
}

static inline void player_on_readable(struct conn *conn, void *arg)
{
    struct player *p = arg;
    struct buf_view got;
    enum err e;

    do
        e = conn_read(conn, &got);
    while (e == E_OK);
    if (e != E_AGAIN)
        viewer_leave(&p->viewer);
}

static inline void player_on_writable(struct conn *conn, void *arg)
{
    (void)conn;
    viewer_on_writable(&((struct player *)arg)->viewer);
}

static inline struct feed *flv_feed(const struct stream *stream)
{
    return stream_feed(stream, &(struct feed_key){.format = FORMAT_FLV});
}

static const struct viewer_ops k_player_ops = {.on_start = player_on_start,
                                               .on_end = player_on_end};
static const struct conn_ops k_player_conn_ops = {.on_readable = player_on_readable,
                                                  .on_writable = player_on_writable};

/* send_bytes: the socket's buffer, 0 = as it is. */
static inline void player_open(struct player *p, struct media_loop *ml, int send_bytes)
{
    struct addr peer;
    int fds[2];

    memset(p, 0, sizeof *p);
    assert_int_equal(addr_parse(&peer, "127.0.0.1:1"), E_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    if (send_bytes)
        setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    p->fd = fds[1];
    p->conn = conn_create(ml->loop, fds[0], &peer, 1 << 20, &k_player_conn_ops, p);
    p->dec = flv_decoder_create(FLV_MAX_TAG_BYTES);
    p->tags = calloc(PLAYER_MAX_TAGS, sizeof p->tags[0]);
    assert_non_null(p->conn);
    assert_non_null(p->dec);
    assert_non_null(p->tags);
}

static inline enum err player_join_as(struct player *p, struct rig *r, struct media_loop *ml,
                                      const struct viewer_join *how)
{
    struct viewer_join join = *how;

    join.name = &r->name;
    join.conn = p->conn;
    join.ops = &k_player_ops;
    return viewer_join(ml, &p->viewer, &join);
}

/* Opens and joins as an HTTP-FLV viewer. */
static inline void player_join(struct player *p, struct rig *r, unsigned loop, int send_bytes)
{
    struct viewer_join how = {.format = FORMAT_FLV};

    player_open(p, &r->ml[loop], send_bytes);
    assert_int_equal(player_join_as(p, r, &r->ml[loop], &how), E_OK);
}

static inline void player_close(struct player *p)
{
    viewer_leave(&p->viewer);
    conn_close(&p->conn);
    close(p->fd);
    flv_decoder_destroy(&p->dec);
    free(p->tags);
    p->tags = NULL;
}

static inline void player_take_tag(struct player *p, const struct flv_tag *tag)
{
    struct got_tag *t = &p->tags[p->n_tags++];
    struct media_frame_info info = {0};
    struct buf_reader in = buf_reader_from(tag->body);
    const char *why;

    assert_true(p->n_tags < PLAYER_MAX_TAGS);
    assert_int_equal(flv_parse_body(tag->header.type_id, tag->body, &info, &why), E_OK);
    t->type = tag->header.type_id;
    t->dts_ms = tag->header.dts_ms;
    t->config = info.flags & FRAME_CONFIG;
    t->key = info.flags & FRAME_KEY;
    t->size_bytes = (uint32_t)tag->body.size_bytes;
    if (t->type != FLV_TAG_SCRIPT)
        (void)buf_take(&in, t->type == FLV_TAG_VIDEO ? 5 : 2);
    t->number = buf_read_u32be(&in);
    for (; t->type != FLV_TAG_SCRIPT && in.left_bytes;)
        assert_int_equal(buf_read_u8(&in), (uint8_t)(t->number * 7));
}

/* Reads at most max_bytes of what has arrived; gives how many there were. */
static inline size_t player_read(struct player *p, size_t max_bytes)
{
    size_t total = 0;

    while (total < max_bytes) {
        uint8_t bytes[4096];
        size_t want = max_bytes - total < sizeof bytes ? max_bytes - total : sizeof bytes;
        ssize_t n = recv(p->fd, bytes, want, MSG_DONTWAIT);
        struct buf_reader in;
        struct flv_tag tag;
        enum err e;

        if (n <= 0)
            break;
        total += (size_t)n;
        in = buf_reader_from(buf_view_of(bytes, (size_t)n));
        while ((e = flv_decoder_feed(p->dec, &in, &tag)) == E_OK)
            player_take_tag(p, &tag);
        assert_int_equal(e, E_AGAIN); /* in sync, always */
    }
    p->n_bytes += total;
    return total;
}

/* Reads all there is, turning the rig so that more can come. */
static inline void player_drain(struct player *p, struct rig *r)
{
    rig_settle(r);
    while (player_read(p, SIZE_MAX))
        rig_settle(r);
}

static inline unsigned count_type(const struct player *p, uint8_t type, bool config)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_tags; i++)
        n += p->tags[i].type == type && p->tags[i].config == config;
    return n;
}

/* Index of the first tag that is neither configuration nor script; asserts that there is one. */
static inline unsigned first_media(const struct player *p)
{
    unsigned i = 0;

    while (i < p->n_tags && (p->tags[i].config || p->tags[i].type == FLV_TAG_SCRIPT))
        i++;
    assert_true(i < p->n_tags);
    return i;
}

/* Numbers grow by one from tag to tag from `from` on, and time does not go back per type. */
static inline void assert_no_gap(const struct player *p, unsigned from)
{
    uint32_t last_ms[32] = {0};

    for (unsigned i = from; i < p->n_tags; i++) {
        const struct got_tag *t = &p->tags[i];

        if (i > from)
            assert_int_equal(t->number, p->tags[i - 1].number + 1);
        assert_true(t->dts_ms >= last_ms[t->type]);
        last_ms[t->type] = t->dts_ms;
    }
}

static inline void assert_time_grows(const struct player *p)
{
    uint32_t last_ms[32] = {0};

    for (unsigned i = 0; i < p->n_tags; i++) {
        assert_true(p->tags[i].dts_ms >= last_ms[p->tags[i].type]);
        last_ms[p->tags[i].type] = p->tags[i].dts_ms;
    }
}

#endif
