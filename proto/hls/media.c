/* Media playlists. RFC 8216, sections 4.3.2 and 4.3.3; bis 4.4.3 to 4.4.5. */
#include <inttypes.h>

#include "common/base/date.h"
#include "proto/hls/hls.h"
#include "proto/hls/text.h"

#define US_PER_S 1000000
#define PARTS_FOR_TARGETS 3 /* bis 4.4.4.9: older parts need not be listed */
#define SKIP_TARGETS 6      /* bis 4.4.3.8: CAN-SKIP-UNTIL is at least so many */
#define HOLD_BACK_PARTS 3   /* likewise PART-HOLD-BACK */

struct media_writer {
    struct buf_writer *w;
    const struct hls_playlist *p;
    int64_t target_us; /* whole seconds */
    int64_t left_us;   /* from the end of the segment in hand to the end of the playlist */
    const struct hls_segment *mapped; /* the one whose init section was named last */
};

static int64_t round_to_seconds(int64_t us)
{
    int64_t s = (us + US_PER_S / 2) / US_PER_S;

    return s > 1 ? s : 1;
}

static int64_t parts_us(const struct hls_segment *s)
{
    int64_t sum_us = 0;

    for (uint32_t i = 0; i < s->n_parts; i++)
        sum_us += s->parts[i].duration_us;
    return sum_us;
}

/* --- names --- */

static void write_name(struct media_writer *m, const struct hls_segment *s, enum hls_name_kind kind,
                       uint32_t part)
{
    struct hls_name name = {.kind = kind,
                            .container = m->p->container,
                            .run = s->run,
                            .number = kind == HLS_INIT ? s->map : s->msn,
                            .part = part,
                            .only = m->p->only};
    char text[HLS_NAME_SIZE];

    hls_format_name(&name, text);
    hls_write_uri(m->w, m->p->base);
    buf_write_str(m->w, text);
    if (m->p->query.size_bytes) {
        buf_write_u8(m->w, '?');
        hls_write_uri(m->w, m->p->query);
    }
}

/* --- segments --- */

static bool same_map(const struct hls_segment *a, const struct hls_segment *b)
{
    return a && a->run == b->run && a->map == b->map;
}

/* The tags in front of a segment or its first part. */
static void write_segment_tags(struct media_writer *m, const struct hls_segment *s)
{
    if (s->discontinuity)
        buf_write_str(m->w, "#EXT-X-DISCONTINUITY\n");
    if (m->p->container == HLS_FMP4 && !same_map(m->mapped, s)) {
        buf_write_str(m->w, "#EXT-X-MAP:URI=\"");
        write_name(m, s, HLS_INIT, 0);
        buf_write_str(m->w, "\"\n");
        m->mapped = s;
    }
    if (s->wall_us > 0) {
        char date[DATE_SIZE];

        buf_printf(m->w, "#EXT-X-PROGRAM-DATE-TIME:%s\n", date_format(s->wall_us, date));
    }
}

static void write_parts(struct media_writer *m, const struct hls_segment *s)
{
    for (uint32_t i = 0; i < s->n_parts; i++) {
        buf_write_str(m->w, "#EXT-X-PART:DURATION=");
        hls_write_seconds(m->w, s->parts[i].duration_us);
        buf_write_str(m->w, ",URI=\"");
        write_name(m, s, HLS_PART, i);
        buf_write_str(m->w, "\"");
        buf_write_str(m->w, s->parts[i].independent ? ",INDEPENDENT=YES" : "");
        buf_write_str(m->w, s->parts[i].gap ? ",GAP=YES\n" : "\n");
    }
}

static void write_segment(struct media_writer *m, const struct hls_segment *s)
{
    m->left_us -= s->duration_us;
    write_segment_tags(m, s);
    if (m->p->part_target_us && m->left_us < PARTS_FOR_TARGETS * m->target_us)
        write_parts(m, s);
    if (s->gap)
        buf_write_str(m->w, "#EXT-X-GAP\n");
    buf_write_str(m->w, "#EXTINF:");
    hls_write_seconds(m->w, s->duration_us);
    buf_write_str(m->w, ",\n");
    write_name(m, s, HLS_SEGMENT, 0);
    buf_write_str(m->w, "\n");
}

/* The running segment as far as it has parts, and what comes next. */
static void write_open(struct media_writer *m, const struct hls_segment *s)
{
    if (s->n_parts) {
        write_segment_tags(m, s);
        write_parts(m, s);
    }
    buf_write_str(m->w, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"");
    write_name(m, s, HLS_PART, s->n_parts);
    buf_write_str(m->w, "\"\n");
}

/* --- the whole --- */

/* The lowest version that has all of it, RFC 8216 section 7 and bis 8. Low-latency playlists stay
 * at one version, whether a client asks for a delta update or not. */
static unsigned version_of(const struct hls_playlist *p)
{
    if (p->part_target_us)
        return 9;
    for (size_t i = 0; i < p->n_segments; i++)
        if (p->segments[i].gap)
            return 8;
    return p->container == HLS_FMP4 ? 6 : 3;
}

static void write_control(struct media_writer *m)
{
    buf_write_str(m->w, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=");
    hls_write_seconds(m->w, HOLD_BACK_PARTS * m->p->part_target_us);
    buf_write_str(m->w, ",CAN-SKIP-UNTIL=");
    hls_write_seconds(m->w, SKIP_TARGETS * m->target_us);
    buf_write_str(m->w, "\n#EXT-X-PART-INF:PART-TARGET=");
    hls_write_seconds(m->w, m->p->part_target_us);
    buf_write_str(m->w, "\n");
}

static void write_head(struct media_writer *m)
{
    const struct hls_playlist *p = m->p;
    uint64_t first_msn = p->n_segments ? p->segments[0].msn : p->open ? p->open->msn : 0;

    buf_printf(m->w, "#EXTM3U\n#EXT-X-VERSION:%u\n#EXT-X-TARGETDURATION:%" PRId64 "\n",
               version_of(p), m->target_us / US_PER_S);
    if (p->part_target_us)
        write_control(m);
    if (p->type != HLS_LIVE)
        buf_printf(m->w, "#EXT-X-PLAYLIST-TYPE:%s\n", p->type == HLS_VOD ? "VOD" : "EVENT");
    buf_printf(m->w, "#EXT-X-MEDIA-SEQUENCE:%" PRIu64 "\n", first_msn);
    if (p->discontinuity_sequence)
        buf_printf(m->w, "#EXT-X-DISCONTINUITY-SEQUENCE:%" PRIu64 "\n", p->discontinuity_sequence);
    buf_write_str(m->w, "#EXT-X-INDEPENDENT-SEGMENTS\n");
}

static void write_reports(struct media_writer *m)
{
    for (size_t i = 0; i < m->p->n_reports; i++) {
        const struct hls_report *r = &m->p->reports[i];

        buf_write_str(m->w, "#EXT-X-RENDITION-REPORT:URI=\"");
        hls_write_uri(m->w, r->uri);
        buf_printf(m->w, "\",LAST-MSN=%" PRIu64, r->last_msn);
        if (r->last_part >= 0)
            buf_printf(m->w, ",LAST-PART=%" PRId64, r->last_part);
        buf_write_str(m->w, "\n");
    }
}

/* Segments that a delta update leaves out: those that end before the skip boundary. */
static size_t skip_old(struct media_writer *m)
{
    size_t n = 0;

    if (!m->p->skip || !m->p->part_target_us)
        return 0;
    while (n < m->p->n_segments &&
           m->left_us - m->p->segments[n].duration_us >= SKIP_TARGETS * m->target_us)
        m->left_us -= m->p->segments[n++].duration_us;
    if (n)
        buf_printf(m->w, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%zu\n", n);
    return n;
}

void hls_write_media(struct buf_writer *w, const struct hls_playlist *p)
{
    struct media_writer m = {.w = w, .p = p, .target_us = round_to_seconds(p->target_us)};
    bool shows_parts = p->part_target_us && !p->ended;

    for (size_t i = 0; i < p->n_segments; i++) {
        int64_t s = round_to_seconds(p->segments[i].duration_us);

        m.left_us += p->segments[i].duration_us;
        if (s > m.target_us)
            m.target_us = s;
    }
    m.target_us *= US_PER_S;
    if (shows_parts && p->open)
        m.left_us += parts_us(p->open);
    write_head(&m);
    for (size_t i = skip_old(&m); i < p->n_segments; i++)
        write_segment(&m, &p->segments[i]);
    if (shows_parts && p->open)
        write_open(&m, p->open);
    if (shows_parts)
        write_reports(&m);
    if (p->ended)
        buf_write_str(w, "#EXT-X-ENDLIST\n");
}

void hls_write_head(struct buf_writer *w, const struct hls_playlist *p)
{
    struct media_writer m = {
        .w = w, .p = p, .target_us = round_to_seconds(p->target_us) * US_PER_S};

    write_head(&m);
}

void hls_write_next(struct buf_writer *w, const struct hls_playlist *p,
                    const struct hls_segment *segment, const struct hls_segment *before)
{
    struct media_writer m = {.w = w, .p = p, .mapped = before};

    write_segment(&m, segment);
}
