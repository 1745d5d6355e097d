/* Command messages (RTMP 1.0, sections 7.1.1 and 7.2): name, transaction id, command object,
 * arguments. Inside of proto/rtmp. */
#ifndef HW_PROTO_RTMP_COMMAND_H
#define HW_PROTO_RTMP_COMMAND_H

#include "proto/amf/amf.h"
#include "proto/rtmp/link.h"

struct rtmp_command {
    struct buf_view name;
    double transaction_id;          /* 0: no answer is wanted */
    const struct amf_value *object; /* NULL when the message ends before it; references followed */
    const struct amf_value *args;   /* the first one, or NULL */
    uint32_t stream_id;             /* of the message */
};

/* Reads a message of type 17 or 20 (after its format byte 17 is AMF0 as well). Views and values are
 * lent by the message and *doc, which the caller destroys, after a failure, too. E_OK, or E_PROTO,
 * E_TOO_BIG, E_NOMEM with the text in link->error */
enum err rtmp_command_read(struct rtmp_link *link, const struct rtmp_message *message,
                           struct amf_doc **doc, struct rtmp_command *out);
/* Body of a data message as type 18 would have it: type 15 has a format byte in front. */
struct buf_view rtmp_data_body(const struct rtmp_message *message);
/* True when a data message's body begins with this AMF0 string. */
bool rtmp_data_is(struct buf_view body, const char *name);

/* Inits body and writes name and transaction id; arguments follow, then rtmp_command_send(). */
void rtmp_command_begin(struct buf_writer *body, const char *name, double transaction_id);
/* Takes the memory of body. */
void rtmp_command_send(const struct rtmp_link *link, struct buf_writer *out, uint32_t stream_id,
                       struct buf_writer *body);
/* An information object with level, code and description, left open for more members. */
void rtmp_write_info(struct buf_writer *body, const char *level, const char *code,
                     const char *description);
/* onStatus (section 7.2.2). */
void rtmp_write_status(const struct rtmp_link *link, struct buf_writer *out, uint32_t stream_id,
                       const char *level, const char *code, const char *description);

#endif
