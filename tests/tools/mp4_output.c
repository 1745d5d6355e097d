/* Frames are held until both tracks are known, or a second has shown that there is one only. */
#include "tests/tools/mp4_output.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_US 1000000
#define HOLD_BYTES ((size_t)64 << 20)
#define MAX_CONFIG_BYTES ((size_t)16 << 20)

static const enum media_kind k_order[] = {MEDIA_VIDEO, MEDIA_AUDIO};

struct mp4_output_held {
    struct media_frame_info info;
    int64_t dts_us;
    uint8_t *es; /* owned */
    size_t size_bytes;
};

static void release(const void *owner)
{
    free((void *)(uintptr_t)owner);
}

enum err mp4_output_init(struct mp4_output *o)
{
    *o = (struct mp4_output){.movie = mp4_movie_create()};
    for (unsigned kind = 0; kind < 2; kind++) {
        o->tracks[kind].index = -1;
        buf_writer_init(&o->tracks[kind].config, MAX_CONFIG_BYTES);
    }
    return o->movie ? E_OK : E_NOMEM;
}

void mp4_output_fini(struct mp4_output *o)
{
    mp4_gather_fini(&o->gather);
    mp4_movie_destroy(&o->movie);
    for (unsigned kind = 0; kind < 2; kind++)
        buf_writer_fini(&o->tracks[kind].config);
    for (size_t i = 0; i < o->n_held; i++)
        free(o->held[i].es);
    free(o->held);
    *o = (struct mp4_output){.movie = NULL};
}

/* --- tracks --- */

static enum err take_config(struct mp4_output *o, const struct media_frame_info *info,
                            struct buf_view config, const char **why)
{
    struct mp4_output_track *t = &o->tracks[info->kind];
    enum err e;

    if (o->is_begun) {
        bool is_same = t->config.used_bytes == config.size_bytes &&
                       !memcmp(t->config.data, config.data, config.size_bytes);

        *why = "an MP4 file keeps the configuration that it began with";
        return is_same ? E_OK : E_UNSUPPORTED;
    }
    buf_writer_clear(&t->config);
    buf_write_view(&t->config, config);
    if (buf_writer_status(&t->config) != E_OK)
        return buf_writer_status(&t->config);
    e = codec_params_from_config(info->codec, buf_writer_view(&t->config), &t->params, why);
    t->is_known = e == E_OK;
    return e;
}

/* What only frames say. */
static void learn(struct mp4_output *o, const struct media_frame_info *info, struct buf_view es)
{
    struct mp4_output_track *t = &o->tracks[info->kind];
    const char *why;

    if (!t->is_known && !codec_has_config(info->codec))
        t->is_known = codec_params_from_frame(info->codec, es, &t->params, &why) == E_OK;
    if (t->is_known && info->kind == MEDIA_VIDEO && info->flags & FRAME_KEY)
        (void)codec_params_add_key_frame(&t->params, es, &why);
}

/* Of a file that is begun: another codec is not what its track has. */
static bool has_place(const struct mp4_output *o, const struct media_frame_info *info)
{
    const struct mp4_output_track *t = &o->tracks[info->kind];

    return t->index >= 0 && t->params.codec == info->codec;
}

static bool is_ready(const struct mp4_output_track *t)
{
    return t->is_known && mp4_is_complete(&t->params);
}

/* --- the file --- */

/* The fragment that begins at from in out, to the tables. */
static enum err note_fragment(struct mp4_output *o, const struct buf_writer *out, size_t from)
{
    struct buf_view bytes = buf_view_of(out->data + from, out->used_bytes - from);
    struct buf_reader r = buf_reader_from(bytes), size = r;
    struct buf_view moof;
    enum err e;

    if (!bytes.size_bytes)
        return E_OK;
    moof = buf_take(&r, buf_read_u32be(&size));
    size = r;
    e = mp4_movie_take_fragment(o->movie, moof, o->at, (uint64_t)buf_read_u32be(&size) - 8);
    o->at += bytes.size_bytes;
    return e;
}

static enum err write_fragment(struct mp4_output *o, struct buf_writer *out, int64_t next_us)
{
    int video = o->tracks[MEDIA_VIDEO].index;
    size_t from = out->used_bytes;
    enum err e = mp4_gather_write(&o->gather, out, 0, video < 0 ? INT64_MIN : next_us);

    return e == E_OK ? note_fragment(o, out, from) : e;
}

/* Takes es on E_OK. */
static enum err add(struct mp4_output *o, const struct mp4_output_held *frame,
                    struct buf_writer *out)
{
    const struct media_frame_info *info = &frame->info;
    const struct mp4_output_track *t = &o->tracks[info->kind];
    struct buf_view es = buf_view_of(frame->es, frame->size_bytes);
    bool is_entry = info->kind == MEDIA_VIDEO && info->flags & FRAME_KEY;
    const struct mp4_sample sample = {.track = (unsigned)t->index,
                                      .dts_us = frame->dts_us,
                                      .cts_us = info->cts_us,
                                      .size_bytes = (uint32_t)es.size_bytes,
                                      .n_sound = codec_frame_samples(&t->params, es),
                                      .key = info->flags & FRAME_KEY,
                                      .disposable = info->flags & FRAME_DISPOSABLE};
    enum err e = E_OK;

    if (mp4_gather_is_due(&o->gather, frame->dts_us, is_entry))
        e = write_fragment(o, out, info->kind == MEDIA_VIDEO ? frame->dts_us : INT64_MIN);
    return e == E_OK ? mp4_gather_add(&o->gather, &sample, es, frame->es) : e;
}

static enum err begin(struct mp4_output *o, struct buf_writer *out, const char **why)
{
    const struct codec_params *params[MP4_MAX_TRACKS];
    size_t from = out->used_bytes;
    struct buf_reader r;
    unsigned n = 0;
    enum err e;

    for (unsigned i = 0; i < 2; i++) {
        struct mp4_output_track *t = &o->tracks[k_order[i]];

        t->index = is_ready(t) && mp4_carries(t->params.codec) ? (int)n : -1;
        if (t->index >= 0)
            params[n++] = &t->params;
    }
    *why = "no track that MP4 has a place for";
    if (!n)
        return E_UNSUPPORTED;
    o->is_begun = true;
    mp4_gather_init(&o->gather, params, n, release);
    e = mp4_write_file_head(out, params, n, &o->ftyp_bytes, why);
    if (e != E_OK || buf_writer_status(out) != E_OK)
        return e == E_OK ? E_NOMEM : e;
    r = buf_reader_from(buf_view_of(out->data + from, out->used_bytes - from));
    (void)buf_take(&r, o->ftyp_bytes + MP4_HOLD_BYTES);
    o->at = out->used_bytes - from;
    return mp4_movie_take_init(o->movie, buf_rest(&r));
}

static enum err let_go(struct mp4_output *o, struct buf_writer *out, const char **why)
{
    enum err e = begin(o, out, why);
    size_t n = 0;

    for (; e == E_OK && n < o->n_held; n++) {
        struct mp4_output_held *frame = &o->held[n];

        if (!has_place(o, &frame->info))
            free(frame->es);
        else
            e = add(o, frame, out);
        if (e != E_OK)
            break;
        frame->es = NULL;
    }
    for (; n < o->n_held; n++)
        free(o->held[n].es);
    o->n_held = 0;
    return e;
}

static bool is_time_to_begin(const struct mp4_output *o, int64_t dts_us)
{
    return (is_ready(&o->tracks[MEDIA_VIDEO]) && is_ready(&o->tracks[MEDIA_AUDIO])) ||
           dts_us - o->held_since_us >= HOLD_US || o->held_bytes >= HOLD_BYTES;
}

/* Takes frame->es. */
static enum err hold(struct mp4_output *o, const struct mp4_output_held *frame)
{
    if (o->n_held == o->max_held) {
        size_t more = o->max_held * 2 + 64;
        struct mp4_output_held *grown = realloc(o->held, more * sizeof *grown);

        if (!grown)
            return E_NOMEM;
        o->held = grown;
        o->max_held = more;
    }
    if (!o->n_held)
        o->held_since_us = frame->dts_us;
    o->held[o->n_held++] = *frame;
    o->held_bytes += frame->size_bytes;
    return E_OK;
}

/* --- public --- */

enum err mp4_output_write(struct mp4_output *o, const struct media_tag *tag, int64_t dts_us,
                          struct buf_writer *out, const char **why)
{
    struct buf_view es = buf_view_of(tag->body.data + tag->info.es_offset,
                                     tag->body.size_bytes - tag->info.es_offset);
    struct mp4_output_held frame = {
        .info = tag->info, .dts_us = dts_us, .size_bytes = es.size_bytes};
    enum err e;

    *why = "MP4 has no place for it";
    if (tag->info.kind == MEDIA_DATA || tag->info.track_id || !mp4_carries(tag->info.codec) ||
        tag->info.flags & (FRAME_METADATA | FRAME_EXTRA | FRAME_SEQ_END))
        return E_UNSUPPORTED;
    if (tag->info.flags & FRAME_CONFIG)
        return take_config(o, &tag->info, es, why);
    if (!o->is_begun)
        learn(o, &tag->info, es);
    if (!es.size_bytes || (o->is_begun && !has_place(o, &tag->info)))
        return E_UNSUPPORTED;
    frame.es = malloc(es.size_bytes);
    if (!frame.es)
        return E_NOMEM;
    memcpy(frame.es, es.data, es.size_bytes);
    e = o->is_begun ? add(o, &frame, out) : hold(o, &frame);
    if (e != E_OK)
        free(frame.es);
    else if (!o->is_begun && is_time_to_begin(o, dts_us))
        e = let_go(o, out, why);
    return e;
}

enum err mp4_output_end(struct mp4_output *o, struct buf_writer *out, uint64_t *hold_at,
                        uint8_t hold_bytes[MP4_HOLD_BYTES], const char **why)
{
    enum err e = o->is_begun ? E_OK : let_go(o, out, why);

    if (e == E_OK)
        e = write_fragment(o, out, INT64_MIN);
    if (e != E_OK)
        return e;
    mp4_movie_write(o->movie, out);
    *hold_at = o->ftyp_bytes;
    mp4_put_hold(hold_bytes, o->at - o->ftyp_bytes);
    return buf_writer_status(out);
}
