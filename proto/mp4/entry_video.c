/* Sample entries of video. ISO 14496-12 12.1.3, and the binding of each codec. */
#include "proto/mp4/box.h"

#define UNSPECIFIED 2 /* ISO 23091-2 */
#define DPI_72 0x00480000u

static const struct video_row {
    const char *entry, *config; /* box types */
    bool full_box;              /* config is a FullBox of version 1 */
} k_rows[CODEC_COUNT] = {
    [CODEC_H264] = {"avc1", "avcC", false}, /* ISO 14496-15 5.4.2 */
    [CODEC_HEVC] = {"hvc1", "hvcC", false}, /* ISO 14496-15 8.4.1 */
    [CODEC_AV1] = {"av01", "av1C", false},  /* AV1 in ISOBMFF 2.2, 2.3 */
    [CODEC_VP8] = {"vp08", "vpcC", true},   /* VP codecs in ISOBMFF 3.1 */
    [CODEC_VP9] = {"vp09", "vpcC", true},
};

enum err mp4_video_fault(const struct codec_params *params, const char **why)
{
    if (!k_rows[params->codec].entry) {
        *why = "video codec without a place in MP4";
        return E_UNSUPPORTED;
    }
    *why = "width and height are not known yet";
    if (!params->video.width || !params->video.height || params->video.width > UINT16_MAX ||
        params->video.height > UINT16_MAX)
        return E_INVAL;
    *why = "no codec configuration yet";
    return params->record.size_bytes ? E_OK : E_INVAL;
}

static void write_config(struct buf_writer *w, const struct codec_params *params)
{
    const struct video_row *row = &k_rows[params->codec];
    size_t config =
        row->full_box ? mp4_begin_full_box(w, row->config, 1, 0) : mp4_begin_box(w, row->config);

    buf_write_view(w, params->record);
    mp4_end_box(w, config);
}

/* PixelAspectRatioBox, 12.1.4; square pixels need none. */
static void write_pasp(struct buf_writer *w, const struct codec_video *v)
{
    size_t pasp;

    if (v->sar_num == v->sar_den || !v->sar_num || !v->sar_den)
        return;
    pasp = mp4_begin_box(w, "pasp");
    buf_write_u32be(w, v->sar_num);
    buf_write_u32be(w, v->sar_den);
    mp4_end_box(w, pasp);
}

/* ColourInformationBox, 12.1.5. Some senders fill a vpcC with zeros, which are reserved values, and
 * a matrix of 0 would mean RGB: better nothing. */
static void write_colr(struct buf_writer *w, const struct codec_colour *c)
{
    size_t colr;

    if (!c->primaries || !c->transfer ||
        (c->primaries == UNSPECIFIED && c->transfer == UNSPECIFIED && c->matrix == UNSPECIFIED))
        return;
    colr = mp4_begin_box(w, "colr");
    buf_write_str(w, "nclx");
    buf_write_u16be(w, c->primaries);
    buf_write_u16be(w, c->transfer);
    buf_write_u16be(w, c->matrix);
    buf_write_u8(w, c->full_range ? 0x80 : 0);
    mp4_end_box(w, colr);
}

void mp4_write_video_entry(struct buf_writer *w, const struct codec_params *params)
{
    const struct codec_video *v = &params->video;
    size_t entry = mp4_begin_box(w, k_rows[params->codec].entry);

    mp4_write_zeros(w, 6);
    buf_write_u16be(w, 1); /* data_reference_index */
    mp4_write_zeros(w, 16);
    buf_write_u16be(w, v->width);
    buf_write_u16be(w, v->height);
    buf_write_u32be(w, DPI_72);
    buf_write_u32be(w, DPI_72);
    mp4_write_zeros(w, 4);
    buf_write_u16be(w, 1);      /* frame_count, of a sample */
    mp4_write_zeros(w, 32);     /* compressorname */
    buf_write_u16be(w, 0x0018); /* depth: colour without alpha */
    buf_write_u16be(w, 0xffff); /* pre_defined */
    write_config(w, params);
    write_pasp(w, v);
    write_colr(w, &v->colour);
    mp4_end_box(w, entry);
}
