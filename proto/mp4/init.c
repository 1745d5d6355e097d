/* The init section: ftyp and moov, whose tables are empty since all samples are in fragments.
 * ISO 14496-12 4.3 and 8.2 to 8.8. */
#include <assert.h>

#include "proto/mp4/box.h"
#include "proto/mp4/mp4.h"

#define MOVIE_TIMESCALE 1000
#define UNDETERMINED 0x55c4 /* "und", packed: 8.4.2.3 */

bool mp4_carries(enum media_codec codec)
{
    struct codec_params params = {.codec = codec};
    const char *why;

    return mp4_video_fault(&params, &why) != E_UNSUPPORTED ||
           mp4_audio_fault(&params, &why) != E_UNSUPPORTED;
}

static enum err track_fault(const struct codec_params *track, const char **why)
{
    return track->kind == MEDIA_VIDEO ? mp4_video_fault(track, why) : mp4_audio_fault(track, why);
}

bool mp4_is_complete(const struct codec_params *params)
{
    const char *why;

    return track_fault(params, &why) == E_OK;
}

static void write_ftyp(struct buf_writer *w, const struct codec_params *const *tracks,
                       unsigned n_tracks)
{
    size_t ftyp = mp4_begin_box(w, "ftyp");

    buf_write_str(w, "iso6"); /* major brand: the first one with tfdt and default-base-is-moof */
    buf_write_u32be(w, 0);
    buf_write_str(w, "iso6mp41");
    if (n_tracks == 1)
        buf_write_str(w, "cmfc"); /* CMAF has one track in a file */
    for (unsigned i = 0; i < n_tracks; i++)
        if (tracks[i]->codec == CODEC_AV1)
            buf_write_str(w, "av01");
    mp4_end_box(w, ftyp);
}

static void write_matrix(struct buf_writer *w) /* unity, 6.2.2 */
{
    static const uint32_t k_unity[9] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};

    for (unsigned i = 0; i < 9; i++)
        buf_write_u32be(w, k_unity[i]);
}

static void write_mvhd(struct buf_writer *w, unsigned n_tracks)
{
    size_t mvhd = mp4_begin_full_box(w, "mvhd", 0, 0);

    mp4_write_zeros(w, 8); /* created, modified: not said, so that all nodes write the same */
    buf_write_u32be(w, MOVIE_TIMESCALE);
    buf_write_u32be(w, 0);       /* duration */
    buf_write_u32be(w, 0x10000); /* rate 1.0 */
    buf_write_u16be(w, 0x100);   /* volume 1.0 */
    mp4_write_zeros(w, 10);
    write_matrix(w);
    mp4_write_zeros(w, 24);
    buf_write_u32be(w, n_tracks + 1); /* next_track_ID */
    mp4_end_box(w, mvhd);
}

/* The size in which a picture is shown: what pasp says is in it. */
static uint32_t shown_width(const struct codec_video *v)
{
    uint64_t width;

    if (!v->sar_num || !v->sar_den)
        return v->width << 16;
    width = ((uint64_t)v->width << 16) * v->sar_num / v->sar_den;
    return width <= UINT32_MAX ? (uint32_t)width : v->width << 16;
}

static void write_tkhd(struct buf_writer *w, const struct codec_params *track, unsigned id)
{
    bool video = track->kind == MEDIA_VIDEO;
    size_t tkhd = mp4_begin_full_box(w, "tkhd", 0, 3); /* enabled, in the movie */

    mp4_write_zeros(w, 8);
    buf_write_u32be(w, id);
    mp4_write_zeros(w, 4 + 4 + 8 + 4); /* duration 0, layer, alternate group */
    buf_write_u16be(w, video ? 0 : 0x100);
    buf_write_u16be(w, 0);
    write_matrix(w);
    buf_write_u32be(w, video ? shown_width(&track->video) : 0);
    buf_write_u32be(w, video ? track->video.height << 16 : 0);
    mp4_end_box(w, tkhd);
}

static void write_mdhd(struct buf_writer *w, const struct codec_params *track)
{
    size_t mdhd = mp4_begin_full_box(w, "mdhd", 0, 0);

    mp4_write_zeros(w, 8);
    buf_write_u32be(w, mp4_timescale(track));
    buf_write_u32be(w, 0);
    buf_write_u16be(w, UNDETERMINED);
    buf_write_u16be(w, 0);
    mp4_end_box(w, mdhd);
}

static void write_hdlr(struct buf_writer *w, bool video)
{
    size_t hdlr = mp4_begin_full_box(w, "hdlr", 0, 0);

    buf_write_u32be(w, 0);
    buf_write_str(w, video ? "vide" : "soun");
    mp4_write_zeros(w, 12);
    buf_write_str(w, video ? "video" : "sound");
    buf_write_u8(w, 0);
    mp4_end_box(w, hdlr);
}

static void write_dinf(struct buf_writer *w)
{
    size_t dinf = mp4_begin_box(w, "dinf");
    size_t dref = mp4_begin_full_box(w, "dref", 0, 0);

    buf_write_u32be(w, 1);
    mp4_end_box(w, mp4_begin_full_box(w, "url ", 0, 1)); /* flag 1: in this file */
    mp4_end_box(w, dref);
    mp4_end_box(w, dinf);
}

static void write_stbl(struct buf_writer *w, const struct codec_params *track)
{
    static const struct {
        const char *type;
        unsigned n_zeros;
    } k_empty[] = {{"stts", 4}, {"stsc", 4}, {"stsz", 8}, {"stco", 4}};
    size_t stbl = mp4_begin_box(w, "stbl");
    size_t stsd = mp4_begin_full_box(w, "stsd", 0, 0);

    buf_write_u32be(w, 1);
    if (track->kind == MEDIA_VIDEO)
        mp4_write_video_entry(w, track);
    else
        mp4_write_audio_entry(w, track);
    mp4_end_box(w, stsd);
    for (size_t i = 0; i < sizeof k_empty / sizeof k_empty[0]; i++) {
        size_t box = mp4_begin_full_box(w, k_empty[i].type, 0, 0);

        mp4_write_zeros(w, k_empty[i].n_zeros);
        mp4_end_box(w, box);
    }
    mp4_end_box(w, stbl);
}

static void write_trak(struct buf_writer *w, const struct codec_params *track, unsigned id)
{
    bool video = track->kind == MEDIA_VIDEO;
    size_t trak = mp4_begin_box(w, "trak");
    size_t mdia, minf, header;

    write_tkhd(w, track, id);
    mdia = mp4_begin_box(w, "mdia");
    write_mdhd(w, track);
    write_hdlr(w, video);
    minf = mp4_begin_box(w, "minf");
    header = mp4_begin_full_box(w, video ? "vmhd" : "smhd", 0, video ? 1 : 0);
    mp4_write_zeros(w, video ? 8 : 4);
    mp4_end_box(w, header);
    write_dinf(w);
    write_stbl(w, track);
    mp4_end_box(w, minf);
    mp4_end_box(w, mdia);
    mp4_end_box(w, trak);
}

static void write_mvex(struct buf_writer *w, unsigned n_tracks)
{
    size_t mvex = mp4_begin_box(w, "mvex");

    for (unsigned id = 1; id <= n_tracks; id++) {
        size_t trex = mp4_begin_full_box(w, "trex", 0, 0);

        buf_write_u32be(w, id);
        buf_write_u32be(w, 1);  /* sample description */
        mp4_write_zeros(w, 12); /* duration, size, flags: each fragment says its own */
        mp4_end_box(w, trex);
    }
    mp4_end_box(w, mvex);
}

enum err mp4_write_init(struct buf_writer *w, const struct codec_params *const *tracks,
                        unsigned n_tracks, const char **why)
{
    size_t moov;

    assert(n_tracks > 0 && n_tracks <= MP4_MAX_TRACKS);
    for (unsigned i = 0; i < n_tracks; i++) {
        enum err e = track_fault(tracks[i], why);

        if (e != E_OK)
            return e;
    }
    *why = NULL;
    write_ftyp(w, tracks, n_tracks);
    moov = mp4_begin_box(w, "moov");
    write_mvhd(w, n_tracks);
    for (unsigned i = 0; i < n_tracks; i++)
        write_trak(w, tracks[i], i + 1);
    write_mvex(w, n_tracks);
    mp4_end_box(w, moov);
    return E_OK;
}
