/* Publishers. The one that sends next is the root of a heap by due time: with thousands of them a
 * frame costs one step down the heap, eight bytes of stamp, and the send. */
#include "tests/tools/load_publisher.h"

#include <stdlib.h>

#include "tests/tools/stamp.h"

#define CONNECTS_PER_S 1000
#define START_DELAY_US \
    20000 /* the turn's alarm is set by then, so that the first frame is not late */

#define SETTLE_US \
    200000 /* then the first key frame has arrived, and players need not wait for it */

enum publisher_state {
    PUBLISHER_IDLE,       /* not connected yet */
    PUBLISHER_CONNECTING, /* until the server accepts the publish */
    PUBLISHER_RUNNING,
    PUBLISHER_OVER,
};

struct load_publisher {
    struct load_publishers *all;
    struct conn *conn;
    struct rtmp_client *rtmp;
    struct load_clip_cursor cursor;
    int64_t start_us; /* when time 0 of the clip is due */
    enum publisher_state state;
};

struct load_due {
    int64_t due_us;
    struct load_publisher *publisher;
};

/* --- heap --- */

static void sift_down(struct load_publishers *all)
{
    struct load_due *heap = all->heap, moved = heap[0];
    unsigned at = 0;

    for (;;) {
        unsigned child = 2 * at + 1;

        if (child + 1 < all->n_heap && heap[child + 1].due_us < heap[child].due_us)
            child++;
        if (child >= all->n_heap || heap[child].due_us >= moved.due_us)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void heap_add(struct load_publishers *all, struct load_due due)
{
    unsigned at = all->n_heap++;

    while (at > 0 && all->heap[(at - 1) / 2].due_us > due.due_us) {
        all->heap[at] = all->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    all->heap[at] = due;
}

static void heap_drop_first(struct load_publishers *all)
{
    all->heap[0] = all->heap[--all->n_heap];
    if (all->n_heap)
        sift_down(all);
}

/* --- life --- */

/* Its place in the heap goes when it comes to the front. */
static void over(struct load_publisher *p, const char *why)
{
    struct load_publishers *all = p->all;
    bool ran = p->state == PUBLISHER_RUNNING;

    *(ran ? &all->n_lost : &all->n_refused) += 1;
    load_tell(all->shared, "publisher %u of %s %s: %s", (unsigned)(p - all->each), all->target.url,
              ran ? "lost" : "refused", why);
    p->state = PUBLISHER_OVER;
    rtmp_client_destroy(&p->rtmp);
    conn_close(&p->conn);
}

static int64_t due_us(const struct load_publisher *p)
{
    uint32_t time_ms;

    (void)load_clip_peek(p->all->clip, &p->cursor, &time_ms);
    return p->start_us + (int64_t)time_ms * 1000;
}

/* Publisher i sends i / n of a frame interval behind the first one. */
static void start(struct load_publisher *p)
{
    struct load_publishers *all = p->all;
    int64_t interval_us = all->clip->frame_us;
    int64_t phase_us = interval_us * (p - all->each) / all->n_asked;
    int64_t soon_us = clock_mono_us() + START_DELAY_US;

    p->state = PUBLISHER_RUNNING;
    p->start_us = soon_us / interval_us * interval_us + phase_us;
    if (p->start_us < soon_us)
        p->start_us += interval_us;
    if (p->start_us + SETTLE_US > all->settled_us)
        all->settled_us = p->start_us + SETTLE_US;
    all->n_connected++;
    heap_add(all, (struct load_due){due_us(p), p});
}

static void on_readable(struct conn *conn, void *arg)
{
    struct load_publisher *p = arg;
    struct load_shared *shared = p->all->shared;
    struct rtmp_client_event event;
    struct buf_view got;
    enum err e;

    (void)loop_now_us(shared->loop); /* the turn's length counts from here */
    while ((e = conn_read(conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        while ((e = load_rtmp_feed(shared, conn, p->rtmp, &in, &event)) == E_OK) {
            if (event.type == RTMP_CLIENT_STARTED) {
                start(p);
                continue;
            }
            over(p, load_rtmp_why(shared, &event));
            return;
        }
        if (e != E_AGAIN)
            break;
    }
    if (e == E_PROTO || e == E_TOO_BIG)
        over(p, rtmp_client_error(p->rtmp));
    else if (e != E_AGAIN)
        over(p, err_text(e));
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    over(arg, err_text(e));
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_error = on_error};

static void dial(struct load_publishers *all)
{
    struct load_publisher *p = &all->each[all->n_dialed];
    unsigned index = all->n_dialed++;

    p->state = PUBLISHER_CONNECTING;
    p->conn = load_dial(all->shared->loop, &all->target, 0, &k_ops, p);
    if (p->conn)
        p->rtmp = load_rtmp_open(all->shared, p->conn, &all->target, index, true);
    if (!p->rtmp)
        over(p, "no connection");
}

/* --- sending --- */

static void send_next(struct load_publisher *p)
{
    struct load_publishers *all = p->all;
    struct load_shared *shared = all->shared;
    uint32_t time_ms;
    const struct load_clip_message *m = load_clip_peek(all->clip, &p->cursor, &time_ms);
    uint8_t *body = load_clip_body(all->clip, m);
    int64_t now_us = clock_mono_us();
    size_t size_bytes;
    enum err e;

    if (m->stamp_at)
        stamp_put_time(body + m->stamp_at, now_us);
    rtmp_client_write_media(p->rtmp, m->type_id, time_ms, buf_view_of(body, m->size_bytes),
                            &shared->out);
    size_bytes = shared->out.used_bytes;
    e = load_flush(shared, p->conn);
    if (e != E_OK) {
        over(p, err_text(e));
        return;
    }
    if (shared->counting) {
        all->frames++;
        all->bytes += size_bytes;
        load_hist_add(&all->late, now_us - (p->start_us + (int64_t)time_ms * 1000));
    }
    load_clip_advance(all->clip, &p->cursor);
}

/* --- public --- */

enum err load_publishers_init(struct load_publishers *all, struct load_shared *shared, unsigned n,
                              const struct load_target *target, const struct load_clip *clip)
{
    *all =
        (struct load_publishers){.shared = shared, .clip = clip, .target = *target, .n_asked = n};
    all->each = calloc(n, sizeof *all->each);
    all->heap = calloc(n, sizeof *all->heap);
    if (!all->each || !all->heap) {
        load_publishers_fini(all);
        return E_NOMEM;
    }
    for (unsigned i = 0; i < n; i++)
        all->each[i].all = all;
    return E_OK;
}

void load_publishers_fini(struct load_publishers *all)
{
    for (unsigned i = 0; all->each && i < all->n_dialed; i++) {
        struct load_publisher *p = &all->each[i];

        if (p->state == PUBLISHER_RUNNING) {
            rtmp_client_stop(p->rtmp, &all->shared->out);
            (void)load_flush(all->shared, p->conn); /* a goodbye, no more */
        }
        rtmp_client_destroy(&p->rtmp);
        conn_close(&p->conn);
    }
    free(all->each);
    free(all->heap);
    *all = (struct load_publishers){0};
}

void load_publishers_send_due(struct load_publishers *all, int64_t now_us)
{
    while (all->n_heap && all->heap[0].due_us <= now_us) {
        struct load_publisher *p = all->heap[0].publisher;

        if (p->state == PUBLISHER_RUNNING)
            send_next(p);
        if (p->state == PUBLISHER_RUNNING) {
            all->heap[0].due_us = due_us(p);
            sift_down(all);
        } else {
            heap_drop_first(all);
        }
    }
}

int64_t load_publishers_turn(struct load_publishers *all, int64_t now_us)
{
    int64_t next_us = INT64_MAX;

    if (all->begin_us == 0)
        all->begin_us = now_us;
    while (all->n_dialed < all->n_asked) {
        next_us = all->begin_us + (int64_t)all->n_dialed * 1000000 / CONNECTS_PER_S;
        if (next_us > now_us)
            break;
        dial(all);
    }
    load_publishers_send_due(all, now_us);
    if (all->n_heap && all->heap[0].due_us < next_us)
        next_us = all->heap[0].due_us;
    return next_us;
}

bool load_publishers_are_settled(const struct load_publishers *all, int64_t now_us)
{
    return all->n_connected + all->n_refused == all->n_asked && now_us >= all->settled_us;
}
