/* What a channel knows of the other renditions of its group: their live ends, and whether their
 * segments begin when its own do. */
#include <stdlib.h>

#include "common/base/log.h"
#include "node/hls/channel_private.h"
#include "proto/http/http.h"

#define BORDER_SLACK_US \
    100000 /* pictures are shown later than they are decoded, each as it likes */

/* Has one of the segments begun then, or is that before or behind all of them? */
static bool fits(const struct hls_channel *c, int64_t border_us)
{
    size_t n = c->n_segments;

    if (n < 2 || border_us < c->bodies[0].start_us || border_us > c->bodies[n - 1].start_us)
        return true;
    for (size_t i = 0; i < n; i++)
        if (c->segments[i].gap || llabs(c->bodies[i].start_us - border_us) <= BORDER_SLACK_US)
            return true;
    return false;
}

/* Said once: each is right by itself, and players go by EXT-X-PROGRAM-DATE-TIME. */
static void compare(struct hls_channel *c, const struct hls_sibling *other)
{
    if (c->is_unaligned || other->border_us == INT64_MIN || fits(c, other->border_us))
        return;
    c->is_unaligned = true;
    log_warn("hls",
             "msg=\"renditions cannot be aligned: their key frames are at other times, or their "
             "segments of another length\" stream=%s other=%s border_ms=%lld",
             c->name.text, other->name.text, (long long)(other->border_us / 1000));
}

void hls_reports_take(struct hls_channel *c, struct hls_reports *r)
{
    struct hls_sibling siblings[HLS_MAX_RENDITIONS];

    r->n = hls_siblings(c, siblings);
    for (size_t i = 0; i < r->n; i++) {
        const struct hls_edge *edge = &siblings[i].edge;
        bool is_open = edge->n_parts > 0;

        compare(c, &siblings[i]);
        buf_writer_init(&r->uris[i], 4 * STREAM_NAME_SIZE);
        buf_write_str(&r->uris[i], "../");
        http_percent_encode(buf_view_str(stream_name_part(&siblings[i].name)), &r->uris[i]);
        buf_printf(&r->uris[i], "/%s.m3u8%s%s", hls_container_name(c->form.container),
                   c->form.only == HLS_ALL_TRACKS ? "" : "?only=",
                   c->form.only == HLS_ALL_TRACKS ? "" : hls_only_name(c->form.only));
        r->all[i] = (struct hls_report){
            .uri = buf_writer_view(&r->uris[i]),
            .last_msn = edge->next_msn - !is_open,
            .last_part = (int64_t)(is_open ? edge->n_parts : edge->n_parts_before) - 1};
    }
}

void hls_reports_drop(struct hls_reports *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_writer_fini(&r->uris[i]);
}
