/* VP8 and VP9: vpcC ("VP Codec ISO Media File Format Binding", 3.2) and key frame headers. */
#include <stdio.h>

#include "proto/codec/params.h"

enum { VPCC_VERSION_FLAGS = 0x01000000 }; /* version 1 */
enum { CHROMA_MAX = 3 };

enum err vpx_params(struct codec_params *p, struct buf_view config, const char **why)
{
    static const uint8_t k_chroma[4] = {1, 1, 2, 3}; /* both kinds of 4:2:0, 4:2:2, 4:4:4 */
    struct codec_video *v = &p->video;
    struct buf_reader in = buf_reader_from(config);
    struct buf_reader bare = in;
    uint8_t flags;

    /* Senders differ: some copy version and flags of the vpcC box, some do not. Without them these
     * four bytes would be a level and a bit depth of 0, which do not exist. */
    if (buf_read_u32be(&bare) == VPCC_VERSION_FLAGS)
        in = bare;
    bare = in;
    v->profile = buf_read_u8(&in);
    v->level = buf_read_u8(&in);
    flags = buf_read_u8(&in); /* depth:4, chroma:3, full range:1 */
    v->colour.primaries = buf_read_u8(&in);
    v->colour.transfer = buf_read_u8(&in);
    v->colour.matrix = buf_read_u8(&in);
    (void)buf_take(&in, buf_read_u16be(&in)); /* codecInitializationData: none for VP8, VP9 */
    if (in.overrun)
        return params_fail(why, "vpcC is cut off");
    v->bit_depth = flags >> 4;
    if (v->profile > 3 || v->bit_depth < 8 || v->bit_depth > 12 || (flags >> 1 & 7) > CHROMA_MAX)
        return params_fail(why, "vpcC: impossible profile, bit depth or chroma");
    v->chroma = k_chroma[flags >> 1 & 7];
    v->colour.full_range = flags & 1;
    p->record = buf_take(&bare, bare.left_bytes - in.left_bytes);
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "%s.%02u.%02u.%02u",
                   p->codec == CODEC_VP8 ? "vp08" : "vp09", v->profile, v->level, v->bit_depth);
    return E_OK;
}

/* VP8: RFC 6386 9.1. Little endian. */
enum err vp8_add_key_frame(struct codec_video *v, struct buf_view frame, const char **why)
{
    struct buf_reader in = buf_reader_from(frame);
    uint32_t tag = buf_read_u24be(&in);
    uint32_t start_code = buf_read_u24be(&in);
    unsigned width = buf_read_u8(&in);
    unsigned height;

    width |= (unsigned)buf_read_u8(&in) << 8;
    height = buf_read_u8(&in);
    height |= (unsigned)buf_read_u8(&in) << 8;
    if (in.overrun || tag >> 16 & 1 || start_code != 0x9d012a)
        return params_fail(why, "not a VP8 key frame");
    v->width = width & 0x3fff; /* above: scaling */
    v->height = height & 0x3fff;
    return E_OK;
}

/* VP9 bitstream specification 6.2: up to frame_size() of a key frame. */
enum err vp9_add_key_frame(struct codec_video *v, struct buf_view frame, const char **why)
{
    enum { SYNC_CODE = 0x498342, CS_RGB = 7 };
    struct bit_reader r = bit_reader_from(frame);
    unsigned marker = bit_read(&r, 2);
    unsigned profile = bit_read(&r, 1);
    unsigned not_key, width, height;

    profile |= bit_read(&r, 1) << 1;
    if (profile == 3)
        bit_skip(&r, 1);
    not_key = bit_read(&r, 2); /* show_existing_frame, frame_type */
    bit_skip(&r, 2);           /* show_frame, error_resilient_mode */
    if (marker != 2 || not_key || bit_read(&r, 24) != SYNC_CODE)
        return params_fail(why, "not a VP9 key frame");
    if (profile >= 2)
        bit_skip(&r, 1); /* ten or twelve bits */
    if (bit_read(&r, 3) != CS_RGB) {
        bit_skip(&r, 1); /* range */
        if (profile & 1)
            bit_skip(&r, 3);
    } else if (profile & 1) {
        bit_skip(&r, 1);
    }
    width = bit_read(&r, 16) + 1;
    height = bit_read(&r, 16) + 1;
    if (bit_overrun(&r))
        return params_fail(why, "VP9 key frame is cut off");
    v->width = width;
    v->height = height;
    return E_OK;
}
