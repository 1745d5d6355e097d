/* See flv_output.h. */
#include "tests/tools/flv_output.h"

#include <stdlib.h>

#include "proto/codec/codec.h"
#include "proto/flv/flv.h"

void flv_output_fini(struct flv_output *o)
{
    free(o->facts.keys);
    *o = (struct flv_output){.at = 0};
}

enum err flv_output_begin(struct flv_output *o, struct buf_writer *out)
{
    enum err e;

    flv_write_file_header(out, true, true);
    e = flv_seek_write_meta(out, &o->facts, 0);
    o->at = out->used_bytes;
    return e;
}

/* Of the first configuration of each kind. */
static void note_config(struct flv_seek_facts *facts, const struct media_tag *tag)
{
    struct buf_view es = buf_view_of(tag->body.data + tag->info.es_offset,
                                     tag->body.size_bytes - tag->info.es_offset);
    struct codec_params params;
    const char *why;

    if (tag->info.track_id || codec_params_from_config(tag->info.codec, es, &params, &why) != E_OK)
        return;
    if (tag->info.kind == MEDIA_VIDEO && !facts->width) {
        facts->width = params.video.width;
        facts->height = params.video.height;
    } else if (tag->info.kind == MEDIA_AUDIO && !facts->sample_rate_hz) {
        facts->sample_rate_hz = params.audio.sample_rate_hz;
        facts->channels = params.audio.channels;
    }
}

static bool note_frame(struct flv_output *o, const struct media_tag *tag, uint32_t time_ms)
{
    struct flv_seek_facts *facts = &o->facts;

    if (facts->codecs[tag->info.kind] == CODEC_NONE)
        facts->codecs[tag->info.kind] = tag->info.codec;
    if (time_ms > facts->last_ms) {
        facts->duration_ms = time_ms + (time_ms - facts->last_ms);
        facts->last_ms = time_ms;
    }
    return tag->info.kind != MEDIA_VIDEO || !(tag->info.flags & FRAME_KEY) ||
           flv_seek_add_key(facts, time_ms, o->at);
}

enum err flv_output_write(struct flv_output *o, const struct media_tag *tag, uint32_t time_ms,
                          struct buf_writer *out)
{
    size_t before = out->used_bytes;

    if (tag->info.flags & FRAME_METADATA && tag->info.kind == MEDIA_DATA)
        return E_UNSUPPORTED;
    if (tag->info.flags & FRAME_CONFIG)
        note_config(&o->facts, tag);
    else if (tag->info.kind != MEDIA_DATA && !(tag->info.flags & (FRAME_HEADERS | FRAME_SEQ_END)) &&
             !note_frame(o, tag, time_ms))
        return E_NOMEM;
    flv_write_tag(out, tag->type_id, time_ms, tag->body);
    o->at += out->used_bytes - before;
    return buf_writer_status(out);
}

enum err flv_output_end(struct flv_output *o, struct buf_writer *meta)
{
    return flv_seek_write_meta(meta, &o->facts, o->at);
}
