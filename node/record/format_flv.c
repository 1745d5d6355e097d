/* FLV: bodies as nodes keep them, without ModEx, which file readers do not expect. */
#include <stdlib.h>

#include "node/record/writer.h"
#include "proto/flv/flv.h"

#define US_PER_MS 1000

static bool carries(enum media_codec codec)
{
    return codec != CODEC_NONE && codec != CODEC_SCRIPT && codec != CODEC_UNKNOWN;
}

static void write_frame(struct buf_writer *out, const struct media_frame *frame, uint32_t time_ms)
{
    uint8_t header[FLV_TAG_HEADER_BYTES], trailer[4];
    struct flv_shape body;
    size_t size_bytes;

    if (!flv_shape_body(FLV_STYLE_ENHANCED, &frame->info, media_frame_body(frame), &body))
        return;
    size_bytes = body.head_bytes + body.rest.size_bytes;
    if (!size_bytes || size_bytes > FLV_MAX_TAG_BYTES)
        return;
    flv_put_tag_header(header, flv_tag_type_of(frame->info.kind), time_ms, (uint32_t)size_bytes);
    flv_put_tag_trailer(trailer, (uint32_t)size_bytes);
    buf_write(out, header, sizeof header);
    buf_write(out, body.head, body.head_bytes);
    buf_write_view(out, body.rest);
    buf_write(out, trailer, sizeof trailer);
}

static bool open_flv(struct record_writer *w)
{
    w->flv = (struct flv_seek_facts){.codecs = {w->codecs[0], w->codecs[1]}};
    return true;
}

static void close_flv(struct record_writer *w)
{
    free(w->flv.keys);
    w->flv.keys = NULL;
}

static void describe_tracks(struct record_writer *w)
{
    const struct es_track *video = &w->known.tracks[MEDIA_VIDEO];
    const struct es_track *audio = &w->known.tracks[MEDIA_AUDIO];

    if (video->is_known) {
        w->flv.width = video->params.video.width;
        w->flv.height = video->params.video.height;
    }
    if (audio->is_known) {
        w->flv.sample_rate_hz = audio->params.audio.sample_rate_hz;
        w->flv.channels = audio->params.audio.channels;
    }
}

static enum err begin_flv(struct record_writer *w)
{
    enum err e;

    describe_tracks(w);
    flv_write_file_header(w->out, w->codecs[MEDIA_AUDIO], w->codecs[MEDIA_VIDEO]);
    e = flv_seek_write_meta(w->out, &w->flv, 0);
    for (unsigned i = 0; i < w->tracks->n_configs; i++) {
        const struct media_frame *config = w->tracks->configs[i];

        if (config->info.track_id == 0 && !(config->info.flags & FRAME_MULTITRACK) &&
            config->info.kind != MEDIA_DATA && w->codecs[config->info.kind] == config->info.codec)
            write_frame(w->out, config, 0);
    }
    return e;
}

static void add_flv(struct record_writer *w, const struct media_frame *frame, int64_t dts_us,
                    bool entry)
{
    uint32_t time_ms = (uint32_t)(dts_us / US_PER_MS);

    (void)entry;
    if (frame->info.kind == MEDIA_VIDEO && frame->info.flags & FRAME_KEY &&
        !flv_seek_add_key(&w->flv, time_ms, w->bytes + w->out->used_bytes))
        w->error = E_NOMEM;
    write_frame(w->out, frame, time_ms);
    if (time_ms > w->flv.last_ms)
        w->flv.last_ms = time_ms;
}

static void describe_flv(struct record_writer *w, struct record_done *done)
{
    w->flv.duration_ms = (uint32_t)(done->duration_us / US_PER_MS);
    done->flv = w->flv;
    w->flv.keys = NULL;
}

const struct record_format k_record_flv = {.carries = carries,
                                           .open = open_flv,
                                           .close = close_flv,
                                           .begin = begin_flv,
                                           .add = add_flv,
                                           .describe = describe_flv};
