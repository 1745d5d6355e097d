/* Multivariant playlists (RFC 8216 calls them master playlists). bis 4.4.6. */
#include <inttypes.h>

#include "proto/hls/hls.h"
#include "proto/hls/text.h"

#define US_PER_S 1000000

static void write_codecs(struct buf_writer *w, const struct hls_variant *v)
{
    if (!v->codecs[0] && !v->codecs[1])
        return;
    buf_printf(w, ",CODECS=\"%s%s%s\"", v->codecs[0] ? v->codecs[0] : "",
               v->codecs[0] && v->codecs[1] ? "," : "", v->codecs[1] ? v->codecs[1] : "");
}

static void write_variant(struct buf_writer *w, const struct hls_variant *v)
{
    buf_printf(w, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRIu64, v->peak_bps);
    if (v->average_bps)
        buf_printf(w, ",AVERAGE-BANDWIDTH=%" PRIu64, v->average_bps);
    write_codecs(w, v);
    if (v->width && v->height)
        buf_printf(w, ",RESOLUTION=%" PRIu32 "x%" PRIu32, v->width, v->height);
    if (v->fps_num && v->fps_den) {
        uint64_t milli = ((uint64_t)v->fps_num * 1000 + v->fps_den / 2) / v->fps_den;

        buf_printf(w, ",FRAME-RATE=%" PRIu64 ".%03" PRIu64, milli / 1000, milli % 1000);
    }
    if (v->video_range)
        buf_printf(w, ",VIDEO-RANGE=%s", v->video_range);
    buf_write_str(w, "\n");
    hls_write_uri(w, v->uri);
    buf_write_str(w, "\n");
}

void hls_write_multivariant(struct buf_writer *w, const struct hls_variant *variants,
                            size_t n_variants)
{
    /* Nothing in it needs more than version 3, but segments that stand alone are said for all. */
    buf_write_str(w, "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (size_t i = 0; i < n_variants; i++)
        write_variant(w, &variants[i]);
}

/* Durations are short and sizes below 2^40, but sums may be of a day: hence the double. */
static uint64_t bits_per_second(uint64_t size_bytes, int64_t duration_us)
{
    return (uint64_t)((double)size_bytes * 8 * US_PER_S / (double)duration_us + 0.5);
}

void hls_measure(const struct hls_segment *segments, size_t n_segments, uint64_t *peak_bps,
                 uint64_t *average_bps)
{
    uint64_t size_bytes = 0;
    int64_t duration_us = 0;

    *peak_bps = *average_bps = 0;
    for (size_t i = 0; i < n_segments; i++) {
        const struct hls_segment *s = &segments[i];
        uint64_t bps;

        if (s->gap || s->duration_us <= 0)
            continue;
        bps = bits_per_second(s->size_bytes, s->duration_us);
        if (bps > *peak_bps)
            *peak_bps = bps;
        size_bytes += s->size_bytes;
        duration_us += s->duration_us;
    }
    if (duration_us > 0)
        *average_bps = bits_per_second(size_bytes, duration_us);
}
