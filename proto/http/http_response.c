/* Response heads. RFC 9112, section 4. The status of an error is only a class here: nobody is
 * answered. */
#include "proto/http/http_private.h"

/* Refuses what is no HTTP answer from its first bytes ("ICY 200 OK" of SHOUTcast, RTMP). */
static enum err check_start(struct buf_view bytes, struct http_error *error)
{
    static const char k_start[] = "HTTP/";

    for (size_t i = 0; i < bytes.size_bytes && k_start[i]; i++)
        if (bytes.data[i] != (uint8_t)k_start[i])
            return http_refuse(error, E_PROTO, 400, "not an HTTP answer");
    return E_OK;
}

/* HTTP-version SP status-code SP [reason]. The second space is missing in answers of some embedded
 * servers ("HTTP/1.1 200"), which no reader mistakes for something else. */
static enum err parse_status_line(struct buf_view line, struct http_head *out,
                                  struct http_error *error)
{
    struct buf_reader r = buf_reader_from(line);
    enum err e = http_parse_version(http_take_until(&r, ' '), &out->minor_version, error);
    struct buf_view code = http_take_until(&r, ' ');
    uint64_t status;

    if (e != E_OK)
        return e;
    if (code.size_bytes != 3 || !http_parse_uint(code, 999, &status) || status < 100)
        return http_refuse(error, E_PROTO, 400, "malformed status code");
    for (size_t i = 0; i < r.left_bytes; i++)
        if (!http_is_value_char(r.at[i]))
            return http_refuse(error, E_PROTO, 400, "control character in the reason phrase");
    out->status = (unsigned)status;
    return E_OK;
}

enum err http_parse_response(struct buf_reader *in, size_t max_head_bytes, struct http_head *out,
                             struct http_error *error)
{
    struct buf_reader at = *in;
    struct buf_view head_bytes;
    struct buf_reader head;
    enum err e = check_start(buf_rest(&at), error);

    if (e == E_OK)
        e = http_scan_head(&at, max_head_bytes, &head_bytes, error);
    if (e != E_OK)
        return e;
    *out = (struct http_head){.is_response = true};
    head = buf_reader_from(head_bytes);
    e = parse_status_line(http_take_line(&head), out, error);
    if (e == E_OK)
        e = http_parse_fields(&head, out, error);
    if (e == E_OK)
        *in = at;
    return e;
}
