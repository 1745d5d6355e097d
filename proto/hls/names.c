/* Names of segments, parts and init sections. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/hls/hls.h"
#include "proto/hls/number.h"

static const char *const k_only[] = {
    [HLS_ALL_TRACKS] = "", [HLS_ONLY_AUDIO] = "a", [HLS_ONLY_VIDEO] = "v"};

void hls_format_name(const struct hls_name *name, char out[HLS_NAME_SIZE])
{
    const char *suffix = name->container == HLS_TS ? "ts" : "m4s", *only = k_only[name->only];

    if (name->kind == HLS_INIT)
        snprintf(out, HLS_NAME_SIZE, "i%s%" PRIu64 "-%" PRIu64 ".mp4", only, name->run,
                 name->number);
    else if (name->kind == HLS_PART)
        snprintf(out, HLS_NAME_SIZE, "s%s%" PRIu64 "-%" PRIu64 ".%" PRIu32 ".%s", only, name->run,
                 name->number, name->part, suffix);
    else
        snprintf(out, HLS_NAME_SIZE, "s%s%" PRIu64 "-%" PRIu64 ".%s", only, name->run, name->number,
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

/* The letter between the kind and the run, which is passed over. */
static enum hls_only take_only(struct buf_reader *r)
{
    enum hls_only only = HLS_ONLY_VIDEO;

    while (only != HLS_ALL_TRACKS && (!r->left_bytes || r->at[0] != k_only[only][0]))
        only--;
    if (only != HLS_ALL_TRACKS)
        (void)buf_take(r, 1);
    return only;
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
    name.only = take_only(&r);
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
