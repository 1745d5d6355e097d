/* Names of segments, parts and init sections. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/hls/hls.h"
#include "proto/hls/number.h"

void hls_format_name(const struct hls_name *name, char out[HLS_NAME_SIZE])
{
    const char *suffix = name->container == HLS_TS ? "ts" : "m4s";

    if (name->kind == HLS_INIT)
        snprintf(out, HLS_NAME_SIZE, "i%" PRIu64 "-%" PRIu64 ".mp4", name->run, name->number);
    else if (name->kind == HLS_PART)
        snprintf(out, HLS_NAME_SIZE, "s%" PRIu64 "-%" PRIu64 ".%" PRIu32 ".%s", name->run,
                 name->number, name->part, suffix);
    else
        snprintf(out, HLS_NAME_SIZE, "s%" PRIu64 "-%" PRIu64 ".%s", name->run, name->number,
                 suffix);
}

/* The text up to end, which is passed over; all of it when end is not there. */
static struct buf_view take_until(struct buf_reader *r, uint8_t end)
{
    struct buf_view rest = buf_rest(r);
    const uint8_t *at = rest.size_bytes ? memchr(rest.data, end, rest.size_bytes) : NULL;
    struct buf_view part = buf_take(r, at ? (size_t)(at - rest.data) : rest.size_bytes);

    if (at)
        (void)buf_take(r, 1);
    return part;
}

enum err hls_parse_name(struct buf_view text, struct hls_name *out)
{
    struct buf_reader r = buf_reader_from(text);
    struct hls_name name = {.kind = HLS_SEGMENT, .container = HLS_FMP4};
    uint8_t first = buf_read_u8(&r);
    char again[HLS_NAME_SIZE];
    uint64_t part = 0;

    if (first == 'i')
        name.kind = HLS_INIT;
    else if (first != 's')
        return E_INVAL;
    if (!hls_read_number(take_until(&r, '-'), UINT64_MAX, &name.run) ||
        !hls_read_number(take_until(&r, '.'), UINT64_MAX, &name.number))
        return E_INVAL;
    if (name.kind == HLS_SEGMENT && r.left_bytes && r.at[0] <= '9') {
        name.kind = HLS_PART;
        if (!hls_read_number(take_until(&r, '.'), UINT32_MAX, &part))
            return E_INVAL;
        name.part = (uint32_t)part;
    }
    if (buf_view_equals(buf_rest(&r), "ts"))
        name.container = HLS_TS;
    /* The suffix, separators and leading zeros are right when the name comes out the same. */
    hls_format_name(&name, again);
    if (!buf_view_equals(text, again))
        return E_INVAL;
    *out = name;
    return E_OK;
}
