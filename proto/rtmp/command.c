/* Commands: read into a document, written by hand. */
#include "proto/rtmp/command.h"

#define MAX_COMMAND_DEPTH 16u
#define MAX_COMMAND_VALUES 1024u
#define MAX_ANSWER_BYTES \
    ((size_t)16 << 10) /* description and stream name are the only free parts */

/* Type 15 and 17 begin with a format byte, always 0; some encoders leave it out, and then an AMF0
 * string marker stands there. */
static struct buf_view without_format_byte(struct buf_view payload)
{
    struct buf_reader r = buf_reader_from(payload);

    if (buf_read_u8(&r) != 0 || r.overrun)
        return payload;
    return buf_rest(&r);
}

struct buf_view rtmp_data_body(const struct rtmp_message *message)
{
    return message->type_id == RTMP_DATA_AMF3 ? without_format_byte(message->payload)
                                              : message->payload;
}

bool rtmp_data_is(struct buf_view body, const char *name)
{
    struct buf_reader r = buf_reader_from(body);
    bool is_string = buf_read_u8(&r) == 0x02;
    struct buf_view text = buf_take(&r, buf_read_u16be(&r));

    return is_string && !r.overrun && buf_view_equals(text, name);
}

enum err rtmp_command_read(struct rtmp_link *link, const struct rtmp_message *message,
                           struct amf_doc **doc, struct rtmp_command *out)
{
    struct amf_limits limits = {
        .max_depth = MAX_COMMAND_DEPTH,
        .max_values = MAX_COMMAND_VALUES,
        .max_string_bytes = link->max_command_bytes,
    };
    struct buf_view body = message->type_id == RTMP_COMMAND_AMF3
                               ? without_format_byte(message->payload)
                               : message->payload;
    const struct amf_value *first;
    enum err e;

    *doc = amf_doc_create(&limits);
    if (!*doc)
        return rtmp_link_fail(link, E_NOMEM, "other", "out of memory");
    e = amf0_read_all(*doc, body, &first);
    if (e != E_OK)
        return rtmp_link_fail(link, e == E_UNSUPPORTED ? E_PROTO : e, "amf", "command: %s",
                              amf_doc_error(*doc));
    if (!amf_is(first, AMF_STRING))
        return rtmp_link_fail(link, E_PROTO, "amf", "command without a name");
    *out = (struct rtmp_command){
        .name = first->text,
        .transaction_id = amf_number(amf_at(first, 1), 0),
        .object = amf_deref(amf_at(first, 2)),
        .args = amf_at(first, 3),
        .stream_id = message->stream_id,
    };
    return E_OK;
}

void rtmp_command_begin(struct buf_writer *body, const char *name, double transaction_id)
{
    buf_writer_init(body, MAX_ANSWER_BYTES);
    amf_write_cstr(body, name);
    amf_write_number(body, transaction_id);
}

void rtmp_command_send(const struct rtmp_link *link, struct buf_writer *out, uint32_t stream_id,
                       struct buf_writer *body)
{
    rtmp_link_send(link, out, stream_id ? RTMP_CSID_STATUS : RTMP_CSID_COMMAND, RTMP_COMMAND_AMF0,
                   stream_id, body);
}

void rtmp_write_info(struct buf_writer *body, const char *level, const char *code,
                     const char *description)
{
    amf_write_object(body);
    amf_write_member_cstr(body, "level", level);
    amf_write_member_cstr(body, "code", code);
    amf_write_member_cstr(body, "description", description);
}

void rtmp_write_status(const struct rtmp_link *link, struct buf_writer *out, uint32_t stream_id,
                       const char *level, const char *code, const char *description)
{
    struct buf_writer body;

    rtmp_command_begin(&body, "onStatus", 0);
    amf_write_null(&body);
    rtmp_write_info(&body, level, code, description);
    amf_write_end(&body);
    rtmp_command_send(link, out, stream_id, &body);
}
