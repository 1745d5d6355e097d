/* Players. Per frame there is one look at its codec header and at its stamp, per read one look at
 * the clock. */
#include "tests/tools/load_player_private.h"

#include <stdlib.h>

#include "proto/flv/flv.h"
#include "tests/tools/load_publisher.h"
#include "tests/tools/stamp.h"

/* Little enough that a server soon feels a reader that does not read. */
#define SLOW_RECEIVE_BYTES 16384

static const struct load_transport *transport_of(const struct load_player *p)
{
    return p->group->target.is_http ? &k_load_http : &k_load_rtmp;
}

unsigned load_player_index(const struct load_player *p)
{
    return (unsigned)(p - p->group->each) % p->group->modulo;
}

/* --- life --- */

static void close_all(struct load_player *p)
{
    timer_stop(&p->timer);
    transport_of(p)->close(p);
    conn_close(&p->conn);
}

static void over(struct load_player *p, const char *why)
{
    struct load_group *group = p->group;
    bool played = p->state == PLAYER_PLAYING;

    *(played ? &group->n_lost : &group->n_refused) += 1;
    group->n_playing -= played;
    group->n_missing += !p->has_key;
    load_tell(group->shared, "player %u of %s %s: %s", (unsigned)(p - group->each),
              group->target.url, played ? "lost" : "refused", why);
    p->state = PLAYER_OVER;
    close_all(p);
}

/* --- media --- */

static void note_start(struct load_player *p)
{
    p->state = PLAYER_PLAYING;
    p->group->n_playing++;
    load_hist_add(&p->group->first_byte, p->read_us - p->connect_us);
}

void load_player_begin(struct load_player *p)
{
    if (p->state == PLAYER_WAITING)
        note_start(p);
}

static void note_key(struct load_player *p, int64_t read_us)
{
    p->has_key = true;
    p->group->n_keyed++;
    load_hist_add(&p->group->first_key, read_us - p->connect_us);
}

static void count_frame(struct load_player *p, const struct load_frame *frame, unsigned track,
                        bool is_backward)
{
    struct load_group *group = p->group;

    group->frames++;
    group->backward += is_backward;
    group->stalls +=
        p->last_frame_us && frame->read_us - p->last_frame_us > group->shared->stall_us;
    if (frame->has_sent)
        load_hist_add(&group->latency[track], frame->read_us - frame->sent_us);
}

void load_player_frame(struct load_player *p, const struct load_frame *frame)
{
    const struct load_shared *shared = p->group->shared;
    unsigned track = frame->kind == MEDIA_VIDEO ? LOAD_VIDEO : LOAD_AUDIO;
    bool is_backward = p->has_last[track] && (int32_t)(frame->time_ms - p->last_ms[track]) < 0;

    p->last_ms[track] = frame->time_ms;
    p->has_last[track] = true;
    if (!p->has_key && (frame->is_key || !shared->has_video))
        note_key(p, frame->read_us);
    if (shared->counting)
        count_frame(p, frame, track, is_backward);
    p->last_frame_us = frame->read_us;
}

void load_player_take(struct load_player *p, uint8_t type_id, uint32_t time_ms,
                      struct buf_view body)
{
    struct load_frame frame = {.time_ms = time_ms, .read_us = p->read_us};
    struct media_frame_info info = {0};
    const char *why;

    load_player_begin(p);
    if (body.size_bytes == 0 || flv_parse_body(type_id, body, &info, &why) != E_OK ||
        info.kind == MEDIA_DATA || (info.flags & (FRAME_CONFIG | FRAME_SEQ_END)))
        return;
    frame.kind = info.kind;
    frame.is_key = info.flags & FRAME_KEY;
    frame.has_sent = p->group->shared->counting && stamp_read(&info, body, &frame.sent_us);
    load_player_frame(p, &frame);
}

/* --- reading --- */

static void on_pause_over(struct timer *timer)
{
    struct load_player *p = list_entry(timer, struct load_player, timer);

    conn_set_reading(p->conn, true);
}

/* A slow reader, slow from its first key frame on: what it has read is worn off at its rate, then
 * it reads again. */
static void pause_reading(struct load_player *p, size_t size_bytes)
{
    if (p->slow_us < p->read_us)
        p->slow_us = p->read_us;
    p->slow_us += (int64_t)((double)size_bytes * 8e6 / p->group->options->slow_bps);
    conn_set_reading(p->conn, false);
    timer_start_ms(&p->timer, (p->slow_us - p->read_us + 999) / 1000);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct load_player *p = arg;
    struct load_group *group = p->group;
    struct load_shared *shared = group->shared;
    bool is_slow = group->options->slow_bps > 0 && p->has_key;
    int64_t read_us = 0;
    struct buf_view got;
    enum err e;

    (void)loop_now_us(shared->loop); /* the turn's length counts from here */
    while ((e = conn_read(conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        read_us = p->read_us = clock_mono_us();
        if (shared->counting) {
            group->reads++;
            group->bytes += got.size_bytes;
        }
        e = transport_of(p)->feed(p, &in);
        if (e != E_AGAIN || is_slow)
            break;
    }
    if (e != E_AGAIN)
        over(p, p->why ? p->why : err_text(e));
    else if (is_slow && got.size_bytes)
        pause_reading(p, got.size_bytes);
    load_publishers_send_due(shared->publishers, read_us);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    over(arg, err_text(e));
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_error = on_error};

static void dial(struct load_group *group)
{
    struct load_player *p = &group->each[group->n_dialed++];
    int receive_bytes = group->options->slow_bps > 0 ? SLOW_RECEIVE_BYTES : 0;

    p->state = PLAYER_WAITING;
    p->connect_us = clock_mono_us();
    timer_init(&p->timer, group->shared->loop, on_pause_over);
    p->conn = load_dial(group->shared->loop, &group->target, receive_bytes, &k_ops, p);
    if (!p->conn || transport_of(p)->open(p) != E_OK)
        over(p, "no connection");
}

/* --- public --- */

enum err load_group_init(struct load_group *group, struct load_shared *shared,
                         const struct load_group_options *options, unsigned modulo,
                         const char **why)
{
    enum err e;

    *group = (struct load_group){.shared = shared,
                                 .options = options,
                                 .n_asked = (unsigned)options->players,
                                 .modulo = modulo ? modulo : 1};
    e = load_target_init(&group->target, options->url, why);
    if (e != E_OK || group->n_asked == 0)
        return e;
    group->each = calloc(group->n_asked, sizeof *group->each);
    *why = err_text(E_NOMEM);
    if (!group->each)
        return E_NOMEM;
    for (unsigned i = 0; i < group->n_asked; i++)
        group->each[i].group = group;
    return E_OK;
}

void load_group_fini(struct load_group *group)
{
    for (unsigned i = 0; i < group->n_dialed; i++)
        close_all(&group->each[i]);
    free(group->each);
    *group = (struct load_group){0};
}

int64_t load_group_turn(struct load_group *group, int64_t now_us)
{
    if (group->begin_us == 0)
        group->begin_us = now_us;
    while (group->n_dialed < group->n_asked) {
        int64_t at_us = group->begin_us +
                        (int64_t)(group->options->ramp_s * 1e6 * group->n_dialed / group->n_asked);

        if (at_us > now_us)
            return at_us;
        dial(group);
    }
    return INT64_MAX;
}

bool load_group_is_settled(const struct load_group *group)
{
    return group->n_keyed + group->n_missing == group->n_asked;
}

void load_group_end_window(struct load_group *group, int64_t now_us)
{
    for (unsigned i = 0; i < group->n_dialed; i++)
        group->stalls += group->each[i].state == PLAYER_PLAYING &&
                         now_us - group->each[i].last_frame_us > group->shared->stall_us;
}

void load_group_give_up(struct load_group *group)
{
    for (unsigned i = 0; i < group->n_dialed; i++)
        if (group->each[i].state == PLAYER_WAITING)
            over(&group->each[i], "never played");
}
