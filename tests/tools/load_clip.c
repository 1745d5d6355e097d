/* An FLV file becomes a list of messages: what sets a player up in front, then the frames by time.
 * Everything that costs is done here, so that sending a frame is one patch of eight bytes. */
#include "tests/tools/load_clip.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/flv/flv.h"
#include "tests/tools/stamp.h"

#define MAX_CLIP_BYTES ((size_t)1 << 30)

/* One track while the file is read. */
struct track {
    size_t n_frames;
    uint32_t first_ms, last_ms; /* as in the file */
    bool has_config;
};

struct reading {
    struct load_clip *clip;
    struct track tracks[MEDIA_N_KINDS];
    size_t n_allocated;
    bool stamp[MEDIA_N_KINDS];
};

/* Stamps are written for NAL units with lengths of four bytes, which is what nearly every encoder
 * sends: AVCDecoderConfigurationRecord and HEVCDecoderConfigurationRecord, ISO 14496-15. */
static bool has_long_lengths(const struct media_frame_info *info, struct buf_view body)
{
    size_t at = info->codec == CODEC_H264 ? 4 : 21;
    struct buf_reader r = buf_reader_from(body);

    if (info->codec != CODEC_H264 && info->codec != CODEC_HEVC)
        return true;
    (void)buf_take(&r, info->es_offset + at);
    return (buf_read_u8(&r) & 3) == 3;
}

static enum err add_message(struct reading *r, const struct flv_tag *tag,
                            const struct media_frame_info *info)
{
    struct load_clip *clip = r->clip;
    struct load_clip_message m = {.type_id = tag->header.type_id,
                                  .time_ms = tag->header.dts_ms,
                                  .at = clip->bytes.used_bytes};
    size_t stamp_at = 0;

    if (clip->n_messages == r->n_allocated) {
        size_t n = r->n_allocated ? r->n_allocated * 2 : 1024;
        struct load_clip_message *messages = realloc(clip->messages, n * sizeof *messages);

        if (!messages)
            return E_NOMEM;
        clip->messages = messages;
        r->n_allocated = n;
    }
    if (!r->stamp[info->kind] || stamp_insert(info, tag->body, &clip->bytes, &stamp_at) != E_OK) {
        clip->n_unstamped += info->kind != MEDIA_DATA && !(info->flags & FRAME_CONFIG);
        buf_write_view(&clip->bytes, tag->body);
    }
    m.stamp_at = (uint32_t)stamp_at;
    m.size_bytes = (uint32_t)(clip->bytes.used_bytes - m.at);
    clip->messages[clip->n_messages++] = m;
    return buf_writer_status(&clip->bytes);
}

/* Metadata and the first sequence header of a track come once, in front; others would be a change
 * of codec in each round. Other script tags are left out. */
static bool is_wanted_init(struct track *track, const struct media_frame_info *info)
{
    if (track->has_config || track->n_frames ||
        !(info->flags & (info->kind == MEDIA_DATA ? FRAME_METADATA : FRAME_CONFIG)))
        return false;
    track->has_config = true;
    return true;
}

static bool is_frame(const struct media_frame_info *info, const struct flv_tag *tag)
{
    return info->kind != MEDIA_DATA && !(info->flags & (FRAME_CONFIG | FRAME_SEQ_END)) &&
           tag->body.size_bytes > info->es_offset;
}

/* init = this walk takes what comes once, else the frames. */
static enum err add_tag(struct reading *r, const struct flv_tag *tag, bool init)
{
    struct media_frame_info info = {0};
    struct track *track;
    const char *why;

    if (tag->body.size_bytes == 0 || flv_parse_body(tag->header.type_id, tag->body, &info, &why))
        return E_OK; /* of no use to players */
    track = &r->tracks[info.kind];
    if (init) {
        if (!is_wanted_init(track, &info))
            return E_OK;
        r->stamp[info.kind] &= has_long_lengths(&info, tag->body);
        return add_message(r, tag, &info);
    }
    if (!is_frame(&info, tag))
        return E_OK;
    if (track->n_frames++ == 0)
        track->first_ms = track->last_ms = tag->header.dts_ms;
    if (tag->header.dts_ms > track->last_ms)
        track->last_ms = tag->header.dts_ms;
    return add_message(r, tag, &info);
}

static enum err read_tags(struct reading *r, struct buf_view file, bool init)
{
    struct flv_decoder *dec = flv_decoder_create(FLV_MAX_TAG_BYTES);
    struct buf_reader in = buf_reader_from(file);
    struct flv_tag tag;
    enum err e = dec ? E_OK : E_NOMEM;

    while (e == E_OK && (e = flv_decoder_feed(dec, &in, &tag)) == E_OK)
        e = add_tag(r, &tag, init);
    flv_decoder_destroy(&dec);
    return e == E_AGAIN ? E_OK : e; /* a cut last tag is dropped */
}

static int by_time(const void *a, const void *b)
{
    const struct load_clip_message *l = a, *m = b;

    if (l->time_ms != m->time_ms)
        return l->time_ms < m->time_ms ? -1 : 1;
    return l->at < m->at ? -1 : 1; /* as in the file */
}

static uint32_t frame_us(const struct track *track)
{
    if (track->last_ms == track->first_ms) /* one frame */
        return 40000;
    return (uint32_t)((uint64_t)(track->last_ms - track->first_ms) * 1000 / (track->n_frames - 1));
}

/* Times count from the first frame, and the round is as long as its longest track with one frame's
 * time behind its last frame: so no track ever steps back, and the longest one has no gap. */
static enum err finish(struct reading *r)
{
    struct load_clip *clip = r->clip;
    const struct track *video = &r->tracks[MEDIA_VIDEO], *audio = &r->tracks[MEDIA_AUDIO];
    uint32_t begin_ms;

    if (clip->n_messages == clip->n_init)
        return E_NOT_FOUND;
    qsort(clip->messages + clip->n_init, clip->n_messages - clip->n_init, sizeof *clip->messages,
          by_time);
    begin_ms = clip->messages[clip->n_init].time_ms;
    for (size_t i = 0; i < clip->n_messages; i++)
        clip->messages[i].time_ms = i < clip->n_init ? 0 : clip->messages[i].time_ms - begin_ms;
    for (size_t i = 0; i < MEDIA_N_KINDS; i++) {
        const struct track *t = &r->tracks[i];
        uint32_t end_ms = t->last_ms - begin_ms + (frame_us(t) + 500) / 1000;

        if (t->n_frames && end_ms > clip->length_ms)
            clip->length_ms = end_ms;
    }
    clip->has_video = video->n_frames > 0;
    clip->frame_us = frame_us(clip->has_video ? video : audio);
    return E_OK;
}

enum err load_clip_init(struct load_clip *clip, struct buf_view file, bool stamp, const char **why)
{
    struct reading r = {.clip = clip, .stamp = {stamp, stamp, false}};
    enum err e;

    *clip = (struct load_clip){0};
    buf_writer_init(&clip->bytes, MAX_CLIP_BYTES);
    e = read_tags(&r, file, true);
    clip->n_init = clip->n_messages;
    if (e == E_OK)
        e = read_tags(&r, file, false);
    if (e == E_OK)
        e = finish(&r);
    if (e == E_OK)
        return E_OK;
    *why = e == E_NOT_FOUND ? "has no frames" : e == E_PROTO ? "is not FLV" : err_text(e);
    load_clip_fini(clip);
    return e;
}

enum err load_clip_read(struct load_clip *clip, const char *path, bool stamp, const char **why)
{
    FILE *file = fopen(path, "rb");
    struct buf_writer bytes;
    enum err e = E_OK;
    size_t n = 1;

    *clip = (struct load_clip){0};
    *why = "cannot be read";
    if (!file)
        return E_IO;
    buf_writer_init(&bytes, MAX_CLIP_BYTES);
    while (n > 0) {
        char part[65536];

        n = fread(part, 1, sizeof part, file);
        buf_write(&bytes, part, n);
    }
    if (ferror(file) || buf_writer_status(&bytes) != E_OK)
        e = E_IO;
    else
        e = load_clip_init(clip, buf_writer_view(&bytes), stamp, why);
    buf_writer_fini(&bytes);
    fclose(file);
    return e;
}

void load_clip_fini(struct load_clip *clip)
{
    buf_writer_fini(&clip->bytes);
    free(clip->messages);
    *clip = (struct load_clip){0};
}

uint8_t *load_clip_body(const struct load_clip *clip, const struct load_clip_message *message)
{
    return clip->bytes.data + message->at;
}

const struct load_clip_message *load_clip_peek(const struct load_clip *clip,
                                               const struct load_clip_cursor *cursor,
                                               uint32_t *time_ms)
{
    const struct load_clip_message *message = &clip->messages[cursor->next];

    *time_ms = cursor->begin_ms + message->time_ms;
    return message;
}

void load_clip_advance(const struct load_clip *clip, struct load_clip_cursor *cursor)
{
    if (++cursor->next < clip->n_messages)
        return;
    cursor->next = clip->n_init;
    cursor->begin_ms += clip->length_ms;
}
