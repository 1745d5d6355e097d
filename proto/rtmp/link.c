/* Protocol control and aggregates: below commands and media, above chunks. */
#include "proto/rtmp/link.h"

#include <stdarg.h>
#include <stdlib.h>

#define DEFAULT_CHUNK_SIZE 128u /* section 5.4.1 */
#define LIMIT_DYNAMIC 2u        /* section 5.4.5 */

/* Taken apart over several calls: the input may be gone by then, so it is copied. */
struct rtmp_aggregate {
    struct rtmp_message message; /* its payload is body */
    struct buf_writer body;
    struct buf_reader parts; /* what is left of it */
    bool is_rebased;         /* the first part's time stamp is known */
    uint32_t rebase_ms;
};

void rtmp_link_init(struct rtmp_link *link, const struct rtmp_limits *limits)
{
    struct rtmp_chunk_limits chunk_limits = {
        .max_media_bytes = limits->max_command_bytes, /* until media is expected */
        .max_other_bytes = limits->max_command_bytes,
        .max_chunk_size = limits->max_chunk_size,
        .max_chunk_streams = limits->max_chunk_streams,
    };

    *link = (struct rtmp_link){
        .max_message_bytes = limits->max_message_bytes,
        .max_command_bytes = limits->max_command_bytes,
        .our_chunk_size = limits->out_chunk_size,
        .window_ack_size = limits->window_ack_size,
        .out_chunk_size = DEFAULT_CHUNK_SIZE,
        /* A peer that names no window gets acks as if it had ours: some encoders wait for them. */
        .in_window_bytes = limits->window_ack_size,
        .fault = "other",
    };
    rtmp_chunk_decoder_init(&link->dec, &chunk_limits);
}

static void drop_aggregate(struct rtmp_link *link)
{
    if (!link->aggregate)
        return;
    buf_writer_fini(&link->aggregate->body);
    free(link->aggregate);
    link->aggregate = NULL;
}

void rtmp_link_fini(struct rtmp_link *link)
{
    rtmp_chunk_decoder_fini(&link->dec);
    drop_aggregate(link);
    rtmp_error_text_fini(&link->error);
}

enum err rtmp_link_fail(struct rtmp_link *link, enum err e, const char *fault, const char *format,
                        ...)
{
    va_list args;

    link->fault = fault;
    va_start(args, format);
    rtmp_error_text_set(&link->error, format, args);
    va_end(args);
    return e;
}

static void write_view(const struct rtmp_link *link, struct buf_writer *out, unsigned csid,
                       uint8_t type_id, uint32_t stream_id, struct buf_view body)
{
    rtmp_write_message(out, link->out_chunk_size, csid, 0, type_id, stream_id, body);
}

void rtmp_link_send(const struct rtmp_link *link, struct buf_writer *out, unsigned csid,
                    uint8_t type_id, uint32_t stream_id, struct buf_writer *body)
{
    enum err e = buf_writer_status(body);

    if (e == E_OK)
        write_view(link, out, csid, type_id, stream_id, buf_writer_view(body));
    else if (buf_writer_status(out) == E_OK)
        out->failed = e; /* an answer is missing: the stream of answers is broken */
    buf_writer_fini(body);
}

static void put_u32(uint8_t out[4], uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void write_control_u32(const struct rtmp_link *link, struct buf_writer *out, uint8_t type_id,
                              uint32_t value)
{
    uint8_t body[4];

    put_u32(body, value);
    write_view(link, out, RTMP_CSID_CONTROL, type_id, 0, buf_view_of(body, sizeof body));
}

static void announce_window(struct rtmp_link *link, struct buf_writer *out, uint32_t size_bytes)
{
    link->out_window_bytes = size_bytes;
    write_control_u32(link, out, RTMP_WINDOW_ACK_SIZE, size_bytes);
}

void rtmp_link_announce_window(struct rtmp_link *link, struct buf_writer *out)
{
    announce_window(link, out, link->window_ack_size);
}

void rtmp_link_announce_peer_bandwidth(const struct rtmp_link *link, struct buf_writer *out)
{
    uint8_t body[5];

    put_u32(body, link->window_ack_size);
    body[4] = LIMIT_DYNAMIC;
    write_view(link, out, RTMP_CSID_CONTROL, RTMP_SET_PEER_BANDWIDTH, 0,
               buf_view_of(body, sizeof body));
}

void rtmp_link_announce_chunk_size(struct rtmp_link *link, struct buf_writer *out)
{
    write_control_u32(link, out, RTMP_SET_CHUNK_SIZE, link->our_chunk_size);
    link->out_chunk_size = link->our_chunk_size; /* from the next message on */
}

void rtmp_link_write_user_control(const struct rtmp_link *link, struct buf_writer *out,
                                  enum rtmp_user_control event, uint32_t value)
{
    uint8_t body[6] = {0, (uint8_t)event};

    put_u32(body + 2, value);
    write_view(link, out, RTMP_CSID_CONTROL, RTMP_USER_CONTROL, 0, buf_view_of(body, sizeof body));
}

/* Section 5.4.3: at half of the window, so that a peer that waits at its end never has to. */
static void acknowledge(struct rtmp_link *link, struct buf_writer *out)
{
    uint32_t due = link->in_window_bytes / 2;

    if (link->in_window_bytes == 0 || link->bytes_in - link->acked_bytes < (due ? due : 1))
        return;
    link->acked_bytes = link->bytes_in;
    write_control_u32(link, out, RTMP_ACK, link->bytes_in);
}

static enum err on_user_control(struct rtmp_link *link, struct buf_reader *body, uint32_t now_ms,
                                struct buf_writer *out)
{
    unsigned event = buf_read_u16be(body);
    uint32_t value = 0;

    if (event == RTMP_PING_REQUEST || event == RTMP_PING_RESPONSE)
        value = buf_read_u32be(body);
    if (body->overrun)
        return rtmp_link_fail(link, E_PROTO, "chunk", "user control message cut short");
    if (event == RTMP_PING_REQUEST) {
        rtmp_link_write_user_control(link, out, RTMP_PING_RESPONSE, value);
    } else if (event == RTMP_PING_RESPONSE) {
        link->has_pong = true;
        link->last_pong_ms = now_ms;
    }
    return E_OK;
}

/* Sections 5.4.3 to 5.4.5 and 6.2. */
static enum err on_control(struct rtmp_link *link, const struct rtmp_message *message,
                           uint32_t now_ms, struct buf_writer *out)
{
    struct buf_reader body = buf_reader_from(message->payload);
    uint32_t value;

    if (message->type_id == RTMP_USER_CONTROL)
        return on_user_control(link, &body, now_ms, out);
    value = buf_read_u32be(&body);
    if (body.overrun)
        return rtmp_link_fail(link, E_PROTO, "chunk", "control message type %u of %zu bytes",
                              message->type_id, message->payload.size_bytes);
    if (message->type_id == RTMP_ACK)
        link->peer_acked_bytes = value;
    else if (message->type_id == RTMP_WINDOW_ACK_SIZE)
        link->in_window_bytes = value; /* 0: the peer wants no acks */
    else if (value != link->out_window_bytes)
        announce_window(link, out, value); /* Set Peer Bandwidth asks for it */
    return E_OK;
}

static bool is_control(uint8_t type_id)
{
    return type_id >= RTMP_ACK && type_id <= RTMP_SET_PEER_BANDWIDTH;
}

/* Section 7.1.6: FLV tags with back pointers; the first one's time becomes the aggregate's. */
static enum err next_part(struct rtmp_link *link, struct rtmp_message *out)
{
    struct rtmp_aggregate *aggregate = link->aggregate;
    struct buf_reader *r = &aggregate->parts;
    uint8_t type_id = buf_read_u8(r);
    uint32_t size_bytes = buf_read_u24be(r);
    uint32_t time_ms = buf_read_u24be(r);

    time_ms |= (uint32_t)buf_read_u8(r) << 24;
    (void)buf_read_u24be(r); /* stream id: the aggregate's counts */
    *out = aggregate->message;
    out->payload = buf_take(r, size_bytes);
    if (r->left_bytes) /* the last back pointer is missing with some senders */
        (void)buf_read_u32be(r);
    if (r->overrun)
        return rtmp_link_fail(link, E_PROTO, "chunk",
                              "aggregate message of %zu bytes: a part is cut short",
                              aggregate->message.payload.size_bytes);
    if (type_id != RTMP_AUDIO && type_id != RTMP_VIDEO && type_id != RTMP_DATA_AMF0 &&
        type_id != RTMP_DATA_AMF3)
        return rtmp_link_fail(link, E_PROTO, "chunk",
                              "aggregate message holds a message of type %u", type_id);
    if (!aggregate->is_rebased)
        aggregate->rebase_ms = aggregate->message.timestamp_ms - time_ms;
    aggregate->is_rebased = true;
    out->type_id = type_id;
    out->timestamp_ms = time_ms + aggregate->rebase_ms;
    return E_OK;
}

static enum err begin_aggregate(struct rtmp_link *link, const struct rtmp_message *message)
{
    struct rtmp_aggregate *aggregate = calloc(1, sizeof *aggregate);
    enum err e = E_NOMEM;

    link->aggregate = aggregate;
    if (aggregate) {
        buf_writer_init(&aggregate->body, link->max_message_bytes);
        buf_write_view(&aggregate->body, message->payload);
        e = buf_writer_status(&aggregate->body);
    }
    if (e != E_OK)
        return rtmp_link_fail(link, e, "size", "no room for an aggregate message of %zu bytes",
                              message->payload.size_bytes);
    aggregate->message = *message;
    aggregate->message.payload = buf_writer_view(&aggregate->body);
    aggregate->parts = buf_reader_from(aggregate->message.payload);
    return E_OK;
}

static enum err next_message(struct rtmp_link *link, struct buf_reader *in,
                             struct rtmp_message *out)
{
    size_t before = in->left_bytes;
    enum err e = rtmp_chunk_decoder_feed(&link->dec, in, out);

    link->bytes_in += (uint32_t)(before - in->left_bytes);
    if (e != E_OK && e != E_AGAIN)
        return rtmp_link_fail(link, e, e == E_TOO_BIG ? "size" : "chunk", "%s",
                              rtmp_chunk_decoder_error(&link->dec));
    return e;
}

enum err rtmp_link_next(struct rtmp_link *link, struct buf_reader *in, uint32_t now_ms,
                        struct rtmp_message *message, struct buf_writer *out)
{
    for (;;) {
        enum err e;

        if (link->aggregate && link->aggregate->parts.left_bytes)
            return next_part(link, message);
        if (in->left_bytes == 0 && link->dec.stash_bytes == 0) { /* each read ends here: quick */
            drop_aggregate(link);
            rtmp_chunk_decoder_release(&link->dec);
            return E_AGAIN;
        }
        drop_aggregate(link);
        e = next_message(link, in, message);
        acknowledge(link, out);
        if (e != E_OK)
            return e;
        if (message->type_id == RTMP_AGGREGATE)
            e = begin_aggregate(link, message);
        else if (is_control(message->type_id))
            e = on_control(link, message, now_ms, out);
        else
            return E_OK;
        if (e != E_OK || message->type_id == RTMP_USER_CONTROL)
            return e;
    }
}
