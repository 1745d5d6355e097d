/* What the client says, in the order and with the values that ffmpeg and FMLE use. */
#include <assert.h>

#include "proto/rtmp/client.h"
#include "proto/rtmp/enhanced.h"

#define BUFFER_LENGTH_MS 3000u

/* Section 7.2.1.1. A publisher is FMLE: Wowza and others let only such ones publish. */
void client_send_connect(struct rtmp_client *c, struct buf_writer *out)
{
    struct buf_writer body;

    rtmp_command_begin(&body, "connect", TRANSACTION_CONNECT);
    amf_write_object(&body);
    amf_write_member_cstr(&body, "app", c->app);
    if (c->publish)
        amf_write_member_cstr(&body, "type", "nonprivate");
    amf_write_member_cstr(&body, "flashVer",
                          c->publish ? "FMLE/3.0 (compatible; Headwater)" : "LNX 9,0,124,2");
    amf_write_member_cstr(&body, "tcUrl", c->tc_url);
    if (!c->publish) {
        amf_write_member_boolean(&body, "fpad", false);
        amf_write_member_number(&body, "capabilities", 15);
        amf_write_member_number(&body, "audioCodecs", 4071);
        amf_write_member_number(&body, "videoCodecs", 252);
        amf_write_member_number(&body, "videoFunction", 1);
    }
    amf_write_member_number(&body, "objectEncoding", 0);
    rtmp_write_abilities(&body, c->publish, c->reconnects);
    amf_write_end(&body);
    rtmp_command_send(&c->link, out, 0, &body);
}

/* A command with null and the stream name, as releaseStream and its kind have it. */
static void send_name(struct rtmp_client *c, struct buf_writer *out, const char *command,
                      enum transaction transaction)
{
    struct buf_writer body;

    rtmp_command_begin(&body, command, transaction);
    amf_write_null(&body);
    amf_write_cstr(&body, c->stream);
    rtmp_command_send(&c->link, out, 0, &body);
}

void client_send_create_stream(struct rtmp_client *c, struct buf_writer *out)
{
    struct buf_writer body;

    if (c->publish) {
        send_name(c, out, "releaseStream", TRANSACTION_RELEASE_STREAM);
        send_name(c, out, "FCPublish", TRANSACTION_FC_PUBLISH);
    } else {
        rtmp_link_announce_window(&c->link, out);
    }
    rtmp_command_begin(&body, "createStream", TRANSACTION_CREATE_STREAM);
    amf_write_null(&body);
    rtmp_command_send(&c->link, out, 0, &body);
}

static void send_set_buffer_length(struct rtmp_client *c, struct buf_writer *out)
{
    struct buf_writer body;

    buf_writer_init(&body, 10);
    buf_write_u16be(&body, RTMP_SET_BUFFER_LENGTH);
    buf_write_u32be(&body, c->stream_id);
    buf_write_u32be(&body, BUFFER_LENGTH_MS);
    rtmp_link_send(&c->link, out, RTMP_CSID_CONTROL, RTMP_USER_CONTROL, 0, &body);
}

void client_send_start(struct rtmp_client *c, struct buf_writer *out)
{
    struct buf_writer body;

    rtmp_command_begin(&body, c->publish ? "publish" : "play", TRANSACTION_START);
    amf_write_null(&body);
    amf_write_cstr(&body, c->stream);
    if (c->publish)
        amf_write_cstr(&body, "live");
    else
        amf_write_number(&body, -2000); /* ffmpeg's way to say: live, else recorded */
    rtmp_command_send(&c->link, out, c->stream_id, &body);
    if (!c->publish)
        send_set_buffer_length(c, out);
}

/* FMS measures bandwidth with it and some set-ups wait for the question. */
void client_send_check_bw(struct rtmp_client *c, struct buf_writer *out)
{
    struct buf_writer body;

    rtmp_command_begin(&body, "_checkbw", TRANSACTION_CHECK_BW);
    amf_write_null(&body);
    rtmp_command_send(&c->link, out, 0, &body);
}

void client_send_stop(struct rtmp_client *c, struct buf_writer *out)
{
    struct buf_writer body;

    if (c->publish)
        send_name(c, out, "FCUnpublish", TRANSACTION_NONE);
    rtmp_command_begin(&body, "deleteStream", TRANSACTION_NONE);
    amf_write_null(&body);
    amf_write_number(&body, c->stream_id);
    rtmp_command_send(&c->link, out, 0, &body);
}

const uint8_t k_rtmp_set_data_frame[RTMP_SET_DATA_FRAME_BYTES] = "\x02\0\x0d@setDataFrame";

static void write_metadata(struct rtmp_client *c, uint32_t timestamp_ms, struct buf_view body,
                           struct buf_writer *out)
{
    struct buf_writer wrapped;

    buf_writer_init(&wrapped, body.size_bytes + RTMP_SET_DATA_FRAME_BYTES);
    buf_write(&wrapped, k_rtmp_set_data_frame, RTMP_SET_DATA_FRAME_BYTES);
    buf_write_view(&wrapped, body);
    if (buf_writer_status(&wrapped) == E_OK)
        rtmp_write_message(out, c->link.out_chunk_size, rtmp_csid_of(MEDIA_DATA), timestamp_ms,
                           RTMP_DATA_AMF0, c->stream_id, buf_writer_view(&wrapped));
    else if (buf_writer_status(out) == E_OK)
        out->failed = buf_writer_status(&wrapped);
    buf_writer_fini(&wrapped);
}

void rtmp_client_write_media(struct rtmp_client *c, uint8_t media_type, uint32_t timestamp_ms,
                             struct buf_view body, struct buf_writer *out)
{
    enum media_kind kind = media_type == RTMP_AUDIO   ? MEDIA_AUDIO
                           : media_type == RTMP_VIDEO ? MEDIA_VIDEO
                                                      : MEDIA_DATA;

    assert(c->publish);
    if (c->state != CLIENT_RUNNING)
        return; /* ended by the server a moment ago */
    if (kind == MEDIA_DATA && rtmp_data_is(body, "onMetaData"))
        write_metadata(c, timestamp_ms, body, out);
    else
        rtmp_write_message(out, c->link.out_chunk_size, rtmp_csid_of(kind), timestamp_ms,
                           media_type, c->stream_id, body);
}
