/* MP4 of fragments: what was written before the power goes is a file that plays. Its finish turns
 * it into one with tables (finish.c). */
#include "node/record/writer.h"

static const enum media_kind k_order[RECORD_KINDS] = {MEDIA_VIDEO, MEDIA_AUDIO};

static void release(const void *owner)
{
    const struct media_frame *frame = owner;

    media_frame_unref(&frame);
}

static bool open_mp4(struct record_writer *w)
{
    w->mp4 = (struct record_mp4){.index = {-1, -1}};
    return true;
}

static void close_mp4(struct record_writer *w)
{
    mp4_gather_fini(&w->mp4.gather);
    w->mp4 = (struct record_mp4){.index = {-1, -1}};
}

static enum err begin_mp4(struct record_writer *w)
{
    const struct codec_params *params[MP4_MAX_TRACKS];
    const char *why;
    unsigned n = 0;
    uint32_t ftyp_bytes;

    for (unsigned i = 0; i < RECORD_KINDS; i++) {
        const struct es_track *track = &w->known.tracks[k_order[i]];
        bool is_there = track->is_known && mp4_is_complete(&track->params);

        w->mp4.index[k_order[i]] = is_there ? (int)n : -1;
        if (is_there)
            params[n++] = &track->params;
        else
            w->codecs[k_order[i]] = CODEC_NONE;
    }
    if (!n)
        return E_UNSUPPORTED;
    mp4_gather_fini(&w->mp4.gather);
    mp4_gather_init(&w->mp4.gather, params, n, release);
    return mp4_write_file_head(w->out, params, n, &ftyp_bytes, &why);
}

/* next: the picture that follows, which tells how long the last one is; INT64_MIN = not known. */
static void write_fragment(struct record_writer *w, int64_t next_us)
{
    int video = w->mp4.index[MEDIA_VIDEO];

    if (mp4_gather_write(&w->mp4.gather, w->out, video > 0 ? (unsigned)video : 0,
                         video < 0 ? INT64_MIN : next_us) != E_OK)
        w->error = E_NOMEM;
}

static void add_mp4(struct record_writer *w, const struct media_frame *frame, int64_t dts_us,
                    bool entry)
{
    const struct media_frame_info *info = &frame->info;
    struct record_mp4 *m = &w->mp4;
    struct buf_view es = frame_es(frame);
    const struct mp4_sample sample = {
        .track = (unsigned)m->index[info->kind],
        .dts_us = dts_us,
        .cts_us = info->cts_us,
        .size_bytes = (uint32_t)es.size_bytes,
        .n_sound = codec_frame_samples(&w->known.tracks[info->kind].params, es),
        .key = info->flags & FRAME_KEY,
        .disposable = info->flags & FRAME_DISPOSABLE};
    const struct media_frame *kept;

    if (mp4_gather_is_due(&m->gather, dts_us, entry))
        write_fragment(w, info->kind == MEDIA_VIDEO ? dts_us : INT64_MIN);
    kept = media_frame_ref(frame);
    if (mp4_gather_add(&m->gather, &sample, es, kept) == E_OK)
        return;
    media_frame_unref(&kept);
    w->error = E_NOMEM;
}

static void end_mp4(struct record_writer *w)
{
    write_fragment(w, INT64_MIN);
}

const struct record_format k_record_mp4 = {.carries = mp4_carries,
                                           .open = open_mp4,
                                           .close = close_mp4,
                                           .begin = begin_mp4,
                                           .add = add_mp4,
                                           .end = end_mp4};
