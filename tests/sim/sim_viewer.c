/* Viewers: HTTP-FLV players that come back to their edge. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_people.h"

#define CONNECT_MS 3000
#define RETRY_MS 700
#define MAX_HEAD_BYTES 16384

static struct loop *viewers_loop;

void sim_people_begin(void)
{
    struct sim_process *before;

    sim_encoders_begin();
    before = sim_enter(sim_process_start(sim_host_add("viewers"), "viewers"));
    viewers_loop = loop_create("viewers", 0);
    sim_leave(before);
}

static void drop(struct sim_viewer *v)
{
    timer_stop(&v->timer);
    conn_close(&v->conn);
    buf_writer_fini(&v->head);
    flv_decoder_destroy(&v->flv);
    v->has_head = v->has_frame = false;
}

static void retry(struct sim_viewer *v, const char *why)
{
    sim_note("viewer stream=%s node=%s msg=\"%s\"", v->stream, v->edge->name, why);
    drop(v);
    if (v->wanted)
        timer_start_ms(&v->timer, jitter_ms(RETRY_MS, 0.5));
}

/* --- media --- */

/* One frame of ours. Within one session of an encoder the numbers only grow; time never goes back.
 */
static void look_at(struct sim_viewer *v, uint32_t dts_ms, uint64_t session, uint64_t frame)
{
    if (getenv("SIMFRAMES"))
        sim_note("viewer stream=%s at %s gets %llx/%llu dts %u", v->stream, v->edge->name,
                 (unsigned long long)session, (unsigned long long)frame, dts_ms);
    if (v->has_frame && (int32_t)(dts_ms - v->dts_ms) < 0)
        sim_fail("time goes on", v->stream, "stream=%s at %s: dts %u ms after %u ms", v->stream,
                 v->edge->name, dts_ms, v->dts_ms);
    if (v->has_frame && session == v->session && frame <= v->frame)
        sim_fail("each frame once", v->stream,
                 "stream=%s at %s: frame %" PRIu64 " after %" PRIu64 " of encoder session %" PRIx64,
                 v->stream, v->edge->name, frame, v->frame, session);
    if (v->frame_us && sim_now_us() - v->frame_us > v->longest_gap_us)
        v->longest_gap_us = sim_now_us() - v->frame_us;
    if (getenv("SIMFRAMES"))
        sim_note("viewer stream=%s at %s got %llx/%llu dts %u", v->stream, v->edge->name,
                 (unsigned long long)session, (unsigned long long)frame, dts_ms);
    v->has_frame = true;
    v->dts_ms = dts_ms;
    v->session = session;
    v->frame = frame;
    v->frame_us = sim_now_us();
    v->n_frames++;
}

static void on_tag(struct sim_viewer *v, const struct flv_tag *tag)
{
    struct buf_reader in = buf_reader_from(tag->body);
    uint64_t session, frame;
    unsigned packet_type;

    if (tag->header.type_id != FLV_TAG_VIDEO)
        return;
    (void)buf_read_u8(&in);
    packet_type = buf_read_u8(&in);
    (void)buf_read_u24be(&in);
    (void)buf_take(&in, 5); /* length and type of the NAL unit */
    session = buf_read_u64be(&in);
    frame = buf_read_u64be(&in);
    if (packet_type == 1 && !in.overrun)
        look_at(v, tag->header.dts_ms, session, frame);
}

/* --- HTTP --- */

/* E_AGAIN: more is to come. */
static enum err feed_body(struct sim_viewer *v, struct buf_reader *in)
{
    struct buf_view piece;
    struct flv_tag tag;
    enum err e;

    while ((e = http_body_next(&v->body, in, &piece)) == E_OK) {
        struct buf_reader flv = buf_reader_from(piece);

        while ((e = flv_decoder_feed(v->flv, &flv, &tag)) == E_OK)
            on_tag(v, &tag);
        if (e != E_AGAIN)
            return e;
    }
    return e;
}

static enum err feed(struct sim_viewer *v, struct buf_view got)
{
    struct buf_reader in = buf_reader_from(got);
    struct http_head head;
    struct http_error error;
    enum err e;

    if (v->has_head)
        return feed_body(v, &in);
    buf_write_view(&v->head, got);
    in = buf_reader_from(buf_writer_view(&v->head));
    e = http_parse_response(&in, MAX_HEAD_BYTES, &head, &error);
    if (e != E_OK)
        return e;
    if (head.status != 200)
        return E_DENIED;
    v->has_head = true;
    http_body_init(&v->body, &head, false);
    return feed_body(v, &in);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct sim_viewer *v = arg;
    struct buf_view got;
    enum err e;

    while ((e = conn_read(conn, &got)) == E_OK && (e = feed(v, got)) == E_AGAIN)
        continue;
    if (e != E_AGAIN)
        retry(v, e == E_DENIED ? "not here" : e == E_CLOSED || e == E_END ? "closed" : "broken");
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    if (e != E_OK)
        retry(arg, "no connection");
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_connected = on_connected};

static void dial(struct sim_viewer *v)
{
    char text[ADDR_TEXT_SIZE], request[200];
    struct addr peer;
    int size;

    snprintf(text, sizeof text, "%s:8080", v->edge->address);
    if (addr_parse(&peer, text) != E_OK || !(v->flv = flv_decoder_create(FLV_MAX_TAG_BYTES)))
        abort();
    buf_writer_init(&v->head, MAX_HEAD_BYTES);
    v->n_connects++;
    v->conn = conn_connect(viewers_loop, &peer, CONNECT_MS, 1 << 16, &k_ops, v);
    size = snprintf(request, sizeof request, "GET /%s.flv HTTP/1.1\r\nHost: %s\r\n\r\n", v->stream,
                    text);
    (void)conn_write(v->conn, buf_view_of(request, (size_t)size));
}

static void on_timer(struct timer *timer)
{
    dial(list_entry(timer, struct sim_viewer, timer));
}

/* --- public --- */

void sim_viewer_init(struct sim_viewer *v, const char *stream, const struct sim_host *edge)
{
    *v = (struct sim_viewer){.edge = edge};
    snprintf(v->stream, sizeof v->stream, "%s", stream);
    timer_init(&v->timer, viewers_loop, on_timer);
}

void sim_viewer_on(struct sim_viewer *v)
{
    if (v->wanted)
        return;
    v->wanted = true;
    timer_start_ms(&v->timer, 0);
}

void sim_viewer_off(struct sim_viewer *v)
{
    v->wanted = false;
    drop(v);
}
