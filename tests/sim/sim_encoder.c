/* Encoders: RTMP publishers that come back, to the next server of their list. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_conn.h"
#include "tests/sim/sim_people.h"

#define CONNECT_MS 3000
#define ANSWER_MS 5000
#define STUCK_US 4000000 /* nothing of what was sent arrives: it gives up */
#define RETRY_MS 500
#define FRAME_BYTES 64

static struct sim_host *encoders_host;
static struct loop *encoders_loop;

struct sim_host *sim_encoders_host(void)
{
    return encoders_host;
}

void sim_encoders_begin(void)
{
    struct sim_process *before;

    encoders_host = sim_host_add("encoders");
    before = sim_enter(sim_process_start(encoders_host, "encoders"));
    encoders_loop = loop_create("encoders", 0);
    sim_leave(before);
}

static void dial(struct sim_encoder *e);

static void drop(struct sim_encoder *e)
{
    timer_stop(&e->timer);
    rtmp_client_destroy(&e->rtmp);
    conn_close(&e->conn);
    e->state = SIM_ENCODER_OFF;
}

/* To the next server, a little later. */
static void retry(struct sim_encoder *e, const char *why)
{
    sim_note("encoder=%u stream=%s node=%s msg=\"%s\"", e->number, e->stream,
             e->targets[e->at]->name, why);
    drop(e);
    e->at = (e->at + 1) % e->n_targets;
    if (e->wanted)
        timer_start_ms(&e->timer, jitter_ms(RETRY_MS, 0.5));
}

static bool flush(struct sim_encoder *e)
{
    bool ok = conn_write(e->conn, buf_writer_view(&e->out)) == E_OK;

    buf_writer_clear(&e->out);
    return ok;
}

/* --- media --- */

/* FLV video body, AVC: key or not, config or frame. What follows is ours: who made it, its number.
 */
static void write_video(struct sim_encoder *e, bool is_key, bool is_config)
{
    struct buf_writer body;
    uint32_t time_ms = e->n_frames * SIM_FRAME_MS;

    buf_writer_init(&body, FRAME_BYTES);
    buf_write_u8(&body, is_key ? 0x17 : 0x27);
    buf_write_u8(&body, is_config ? 0 : 1);
    buf_write_u24be(&body, 0);
    if (is_config) { /* AVCDecoderConfigurationRecord without parameter sets */
        buf_write(&body, "\x01\x42\xc0\x1e\xff\xe0\x00", 7);
    } else {
        buf_write_u32be(&body, 17); /* a NAL unit of a type that decoders pass over */
        buf_write_u8(&body, 30);
        buf_write_u64be(&body, (uint64_t)e->number << 32 | e->n_sessions);
        buf_write_u64be(&body, e->n_frames);
    }
    rtmp_client_write_media(e->rtmp, FLV_TAG_VIDEO, time_ms, buf_writer_view(&body), &e->out);
    buf_writer_fini(&body);
}

static void send_frame(struct sim_encoder *e)
{
    write_video(e, e->n_frames % SIM_FRAMES_A_GOP == 0, false);
    e->n_frames++;
    if (!flush(e) || sim_conn_stuck_us(e->conn) > STUCK_US)
        retry(e, "the server takes nothing any more");
    else
        timer_start_ms(&e->timer, SIM_FRAME_MS);
}

/* --- RTMP --- */

static void go_live(struct sim_encoder *e)
{
    e->state = SIM_ENCODER_LIVE;
    e->live_us = sim_now_us();
    e->n_sessions++;
    e->n_frames = 0;
    sim_note("encoder=%u stream=%s node=%s msg=live session=%u", e->number, e->stream,
             e->targets[e->at]->name, e->n_sessions);
    write_video(e, true, true);
    send_frame(e);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct sim_encoder *e = arg;
    struct rtmp_client_event event;
    struct buf_view got;
    enum err result = E_AGAIN;

    while (result == E_AGAIN && (result = conn_read(conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        while ((result = rtmp_client_feed(e->rtmp, &in, (uint32_t)(sim_now_us() / 1000), &event,
                                          &e->out)) == E_OK) {
            if (event.type != RTMP_CLIENT_STARTED) {
                retry(e, event.type == RTMP_CLIENT_REFUSED ? "refused" : "ended by the server");
                return;
            }
            go_live(e);
            if (e->state != SIM_ENCODER_LIVE)
                return;
        }
        if (!flush(e))
            result = E_CLOSED;
    }
    if (result != E_AGAIN)
        retry(e, "closed by the server");
}

static void on_connected(struct conn *conn, void *arg, enum err result)
{
    struct sim_encoder *e = arg;

    (void)conn;
    if (result != E_OK)
        retry(e, "no connection");
    else
        timer_start_ms(&e->timer, ANSWER_MS);
}

static void on_error(struct conn *conn, void *arg, enum err result)
{
    (void)conn, (void)result;
    retry(arg, "broken");
}

static const struct conn_ops k_ops = {
    .on_readable = on_readable, .on_error = on_error, .on_connected = on_connected};

static void dial(struct sim_encoder *e)
{
    struct rtmp_client_conf conf = {.publish = true, .limits = k_rtmp_limits_default};
    const char *slash = strchr(e->stream, '/');
    char app[40], tc_url[80], address[ADDR_TEXT_SIZE];
    uint8_t seed[RTMP_SEED_BYTES];
    struct addr peer;

    snprintf(app, sizeof app, "%.*s", (int)(slash - e->stream), e->stream);
    snprintf(tc_url, sizeof tc_url, "rtmp://%s/%s", e->targets[e->at]->address, app);
    snprintf(address, sizeof address, "%s:1935", e->targets[e->at]->address);
    conf.app = app;
    conf.stream = slash + 1;
    conf.tc_url = tc_url;
    random_bytes(seed, sizeof seed);
    if (addr_parse(&peer, address) != E_OK || !(e->rtmp = rtmp_client_create(&conf, seed)))
        abort();
    e->state = SIM_ENCODER_CONNECTING;
    e->conn = conn_connect(encoders_loop, &peer, CONNECT_MS, 1 << 20, &k_ops, e);
    rtmp_client_start(e->rtmp, &e->out);
    (void)flush(e);
}

static void on_timer(struct timer *timer)
{
    struct sim_encoder *e = list_entry(timer, struct sim_encoder, timer);

    if (e->state == SIM_ENCODER_LIVE)
        send_frame(e);
    else if (e->state == SIM_ENCODER_CONNECTING)
        retry(e, "no answer");
    else if (e->wanted)
        dial(e);
}

/* --- public --- */

void sim_encoder_init(struct sim_encoder *e, unsigned number, const char *stream)
{
    *e = (struct sim_encoder){.number = number};
    snprintf(e->stream, sizeof e->stream, "%s", stream);
    timer_init(&e->timer, encoders_loop, on_timer);
    buf_writer_init(&e->out, SIZE_MAX);
}

void sim_encoder_target(struct sim_encoder *e, const struct sim_host *host)
{
    if (e->n_targets < SIM_MAX_TARGETS)
        e->targets[e->n_targets++] = host;
}

void sim_encoder_on(struct sim_encoder *e)
{
    if (e->wanted)
        return;
    e->wanted = true;
    timer_start_ms(&e->timer, 0);
}

void sim_encoder_off(struct sim_encoder *e)
{
    e->wanted = false;
    sim_note("encoder=%u stream=%s msg=off", e->number, e->stream);
    if (e->state == SIM_ENCODER_LIVE) {
        rtmp_client_stop(e->rtmp, &e->out);
        (void)flush(e);
    }
    drop(e);
}

const struct sim_host *sim_encoder_place(const struct sim_encoder *e)
{
    return e->state == SIM_ENCODER_LIVE ? e->targets[e->at] : NULL;
}
