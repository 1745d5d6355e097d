/* MPEG-2 transport streams, and HLS, which is a row of them with a list. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/record/writer.h"

#define US_PER_S 1000000
#define CUT_SLACK_US 50000 /* as of files: times come in milliseconds */
/* The clock reference of the first packet is 0 then. */
#define FIRST_DTS_US TS_PCR_DELAY_US

struct packets {
    struct ts_sink sink;
    struct buf_writer *out;
};

static void put_packets(struct ts_sink *sink, struct buf_view bytes)
{
    buf_write_view(((struct packets *)sink)->out, bytes);
}

static void write_frame(struct ts_mux *mux, struct buf_writer *out, const struct media_frame *frame,
                        int64_t dts_us, bool entry)
{
    struct packets packets = {.sink = {put_packets}, .out = out};
    struct ts_frame ts = {.kind = frame->info.kind,
                          .codec = frame->info.codec,
                          .track_id = frame->info.track_id,
                          .key = frame->info.flags & FRAME_KEY,
                          .entry = entry,
                          .dts_us = FIRST_DTS_US + dts_us,
                          .pts_us = FIRST_DTS_US + dts_us + frame->info.cts_us,
                          .es = frame_es(frame)};
    const char *why;

    (void)ts_mux_write(mux, &packets.sink, &ts, &why); /* a broken one is left out */
}

static bool set_tracks(struct ts_mux *mux, const struct es_tracks *known)
{
    bool has_one = false;
    const char *why;

    for (unsigned kind = 0; kind < RECORD_KINDS; kind++)
        if (known->tracks[kind].is_known)
            has_one |= ts_mux_set_track(mux, 0, &known->tracks[kind].params, &why) == E_OK;
    return has_one;
}

static bool open_ts(struct record_writer *w)
{
    w->ts = malloc(sizeof *w->ts);
    if (w->ts)
        ts_mux_init(w->ts);
    return w->ts != NULL;
}

static void close_ts(struct record_writer *w)
{
    if (w->ts)
        ts_mux_fini(w->ts);
    free(w->ts);
    w->ts = NULL;
}

static enum err begin_ts(struct record_writer *w)
{
    return set_tracks(w->ts, &w->known) ? E_OK : E_UNSUPPORTED;
}

static void add_ts(struct record_writer *w, const struct media_frame *frame, int64_t dts_us,
                   bool entry)
{
    write_frame(w->ts, w->out, frame, dts_us, entry);
}

const struct record_format k_record_ts = {
    .carries = ts_carries, .open = open_ts, .close = close_ts, .begin = begin_ts, .add = add_ts};

/* --- HLS --- */

static void name_segment(const struct record_name *name, size_t number, char out[RECORD_NAME_SIZE])
{
    struct record_name segment = *name;

    segment.segment = (uint32_t)number;
    segment.is_part = false;
    record_name_format(&segment, out);
}

static void write_entry(struct buf_writer *out, const struct record_name *name, size_t number,
                        int64_t duration_us)
{
    char file[RECORD_NAME_SIZE];

    name_segment(name, number, file);
    buf_printf(out, "#EXTINF:%lld.%06lld,\n%s\n", (long long)(duration_us / US_PER_S),
               (long long)(duration_us % US_PER_S), file);
}

/* RFC 8216 4.3.3.1: durations rounded to the nearest second are not above it. */
void record_hls_write_list(struct buf_writer *out, const struct record_name *name,
                           const int64_t *segments_us, size_t n_segments, bool is_complete)
{
    int64_t target_s = 1;

    for (size_t i = 0; i < n_segments; i++)
        if ((segments_us[i] + US_PER_S / 2) / US_PER_S > target_s)
            target_s = (segments_us[i] + US_PER_S / 2) / US_PER_S;
    buf_printf(out,
               "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n"
               "#EXT-X-TARGETDURATION:%lld\n#EXT-X-MEDIA-SEQUENCE:1\n"
               "#EXT-X-INDEPENDENT-SEGMENTS\n",
               (long long)target_s);
    for (size_t i = 0; i < n_segments; i++)
        write_entry(out, name, i + 1, segments_us[i]);
    if (is_complete)
        buf_write_str(out, "#EXT-X-ENDLIST\n");
}

static void close_segment_file(struct record_writer *w)
{
    if (w->hls.segment_fd >= 0)
        (void)close(w->hls.segment_fd);
    w->hls.segment_fd = -1;
}

static bool open_hls(struct record_writer *w)
{
    w->hls = (struct record_hls){.segment_fd = -1};
    return open_ts(w);
}

static void close_hls(struct record_writer *w)
{
    close_segment_file(w);
    free(w->hls.segments_us);
    w->hls.segments_us = NULL;
    close_ts(w);
}

static enum err open_segment(struct record_writer *w)
{
    struct record_name name = w->name;

    name.is_part = false;
    name.segment = (uint32_t)w->hls.n_segments + 1;
    w->hls.segment_fd = record_writer_create_file(w, &name);
    w->hls.segment_bytes = 0;
    if (w->hls.segment_fd >= 0)
        return E_OK;
    w->error_number = errno;
    return E_IO;
}

static enum err begin_hls(struct record_writer *w)
{
    enum err e = begin_ts(w);

    return e == E_OK ? open_segment(w) : e;
}

static bool keep_duration(struct record_hls *hls, int64_t duration_us)
{
    if (hls->n_segments == hls->max_segments) {
        size_t more = hls->max_segments * 2 + 64;
        int64_t *grown = realloc(hls->segments_us, more * sizeof *grown);

        if (!grown)
            return false;
        hls->segments_us = grown;
        hls->max_segments = more;
    }
    hls->segments_us[hls->n_segments++] = duration_us;
    return true;
}

/* A segment is complete: its bytes, then its line in the list, so that the list never has more than
 * there is. */
static void end_segment(struct record_writer *w, int64_t end_us)
{
    struct buf_writer line;
    int64_t duration_us = end_us - w->hls.segment_start_us;

    if (record_writer_flush(w) != E_OK || !w->hls.segment_bytes) {
        w->error = E_IO;
        return;
    }
    close_segment_file(w);
    w->hls.closed_bytes += w->hls.segment_bytes;
    w->hls.segment_bytes = 0;
    if (!keep_duration(&w->hls, duration_us)) {
        w->error = E_NOMEM;
        return;
    }
    buf_writer_init(&line, 256);
    write_entry(&line, &w->name, w->hls.n_segments, duration_us);
    w->error_number = record_write_all(w->fd, buf_writer_view(&line), w->bytes);
    if (w->error_number)
        w->error = E_IO;
    else
        w->bytes += line.used_bytes;
    buf_writer_fini(&line);
    w->hls.segment_start_us = end_us;
}

static void add_hls(struct record_writer *w, const struct media_frame *frame, int64_t dts_us,
                    bool entry)
{
    if (entry && dts_us - w->hls.segment_start_us >= w->plan->segment_us - CUT_SLACK_US) {
        end_segment(w, dts_us);
        if (w->error == E_OK)
            w->error = open_segment(w);
    }
    if (w->error == E_OK)
        write_frame(w->ts, w->out, frame, dts_us, entry);
}

static void end_hls(struct record_writer *w)
{
    if (w->hls.segment_fd >= 0 && w->hls.segment_bytes + w->out->used_bytes)
        end_segment(w, record_writer_duration_us(w));
}

static void describe_hls(struct record_writer *w, struct record_done *done)
{
    done->segments_us = w->hls.segments_us;
    done->n_segments = w->hls.n_segments;
    done->bytes = w->hls.closed_bytes;
    w->hls.segments_us = NULL;
}

const struct record_format k_record_hls = {.carries = ts_carries,
                                           .open = open_hls,
                                           .close = close_hls,
                                           .begin = begin_hls,
                                           .add = add_hls,
                                           .end = end_hls,
                                           .describe = describe_hls};
