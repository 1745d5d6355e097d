/* Boxes: a size that is known late, a type, content. */
#include "proto/mp4/box.h"

#include "proto/mp4/mp4.h"

size_t mp4_begin_box(struct buf_writer *w, const char type[5])
{
    size_t begin = w->used_bytes;

    buf_write_u32be(w, 0);
    buf_write(w, type, 4);
    return begin;
}

size_t mp4_begin_full_box(struct buf_writer *w, const char type[5], unsigned version,
                          uint32_t flags)
{
    size_t begin = mp4_begin_box(w, type);

    buf_write_u8(w, version);
    buf_write_u24be(w, flags);
    return begin;
}

void mp4_end_box(struct buf_writer *w, size_t begin)
{
    buf_patch_u32be(w, begin, (uint32_t)(w->used_bytes - begin));
}

void mp4_write_zeros(struct buf_writer *w, size_t n)
{
    while (n--)
        buf_write_u8(w, 0);
}

void mp4_write_styp(struct buf_writer *w)
{
    size_t styp = mp4_begin_box(w, "styp");

    buf_write_str(w, "msdh"); /* major brand: a media segment, ISO 23009-1 6.3.4.2 */
    buf_write_u32be(w, 0);
    buf_write_str(w, "msdh");
    mp4_end_box(w, styp);
}

uint32_t mp4_timescale(const struct codec_params *params)
{
    if (params->kind == MEDIA_VIDEO)
        return MP4_VIDEO_TIMESCALE;
    return params->audio.sample_rate_hz;
}
