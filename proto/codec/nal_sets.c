/* Parameter sets on their way into a configuration record. */
#include "proto/codec/nal_sets.h"

#include <string.h>

#include "proto/codec/bits.h"

enum { LENGTH_BYTES = 4, HEVC_HEADER_BITS = 16, HEVC_PROFILE_BITS = 96, HEVC_MAX_SUB_LAYERS = 7 };

void nal_sets_init(struct nal_sets *sets, enum media_codec codec)
{
    *sets = (struct nal_sets){.codec = codec};
}

static void forget(struct nal_sets *sets, enum nal_kind kind)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < sets->n_sets; i++) {
        if (sets->sets[i].kind == kind)
            buf_writer_fini(&sets->sets[i].bytes);
        else
            sets->sets[kept++] = sets->sets[i];
    }
    sets->n_sets = kept;
}

void nal_sets_fini(struct nal_sets *sets)
{
    for (unsigned i = 0; i < sets->n_sets; i++)
        buf_writer_fini(&sets->sets[i].bytes);
    sets->n_sets = 0;
}

/* --- what a set says of itself --- */

/* H.265 7.3.3, behind the general part: what each sub-layer has. */
static void skip_sub_layers(struct bit_reader *r, unsigned n)
{
    unsigned present = n ? bit_read(r, 16) : 0; /* two flags each, to a whole of 8 */

    for (unsigned i = 0; i < n; i++)
        bit_skip(r,
                 (present >> (15 - 2 * i) & 1 ? 88u : 0) + (present >> (14 - 2 * i) & 1 ? 8u : 0));
}

/* A reader behind profile, tier and level of an HEVC SPS: at its id. */
static struct bit_reader behind_profile(struct buf_view sps)
{
    struct bit_reader r = bit_reader_from_nal(sps);
    unsigned n_sub_layers;

    bit_skip(&r, HEVC_HEADER_BITS + 4);
    n_sub_layers = bit_read(&r, 3);
    if (n_sub_layers >= HEVC_MAX_SUB_LAYERS)
        r.in.overrun = true;
    bit_skip(&r, 1 + HEVC_PROFILE_BITS);
    skip_sub_layers(&r, n_sub_layers);
    return r;
}

static enum err read_id(enum media_codec codec, enum nal_kind kind, struct buf_view nal,
                        uint32_t *id)
{
    struct bit_reader r = bit_reader_from_nal(nal);

    if (codec == CODEC_HEVC && kind == NAL_SPS)
        r = behind_profile(nal);
    else
        bit_skip(&r, codec == CODEC_HEVC ? HEVC_HEADER_BITS : kind == NAL_SPS ? 32 : 8);
    *id = kind == NAL_VPS ? bit_read(&r, 4) : bit_read_ue(&r);
    return bit_overrun(&r) ? E_PROTO : E_OK;
}

/* --- keeping --- */

static struct nal_set *find(struct nal_sets *sets, enum nal_kind kind, uint32_t id)
{
    for (unsigned i = 0; i < sets->n_sets; i++)
        if (sets->sets[i].kind == kind && sets->sets[i].id == id)
            return &sets->sets[i];
    return NULL;
}

static bool is_same(const struct nal_set *set, struct buf_view nal)
{
    return set && set->bytes.used_bytes == nal.size_bytes &&
           !memcmp(set->bytes.data, nal.data, nal.size_bytes);
}

static enum err keep(struct nal_sets *sets, struct nal_set *set, struct buf_view nal)
{
    enum err e;

    buf_writer_clear(&set->bytes);
    buf_write_view(&set->bytes, nal);
    e = buf_writer_status(&set->bytes);
    if (e != E_OK)
        forget(sets, set->kind); /* rather none than half of it */
    return e;
}

enum err nal_sets_add(struct nal_sets *sets, struct buf_view nal)
{
    enum nal_kind kind = nal_kind_of(sets->codec, nal);
    struct nal_set *set;
    uint32_t id;

    if (kind != NAL_VPS && kind != NAL_SPS && kind != NAL_PPS)
        return E_AGAIN;
    if (nal.size_bytes > NAL_SET_MAX_BYTES)
        return E_TOO_BIG;
    if (read_id(sets->codec, kind, nal, &id) != E_OK)
        return E_PROTO;
    set = find(sets, kind, id);
    if (is_same(set, nal))
        return E_AGAIN;
    if (kind == NAL_SPS) {
        forget(sets, NAL_PPS);
        set = find(sets, kind, id);
    }
    if (!set && sets->n_sets == CODEC_MAX_SETS)
        return E_TOO_BIG;
    if (!set) {
        set = &sets->sets[sets->n_sets++];
        *set = (struct nal_set){.kind = kind, .id = id};
        buf_writer_init(&set->bytes, NAL_SET_MAX_BYTES);
    }
    return keep(sets, set, nal);
}

/* --- records --- */

static unsigned count(const struct nal_sets *sets, enum nal_kind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sets->n_sets; i++)
        n += sets->sets[i].kind == kind;
    return n;
}

static struct buf_view first(const struct nal_sets *sets, enum nal_kind kind)
{
    for (unsigned i = 0; i < sets->n_sets; i++)
        if (sets->sets[i].kind == kind)
            return buf_writer_view(&sets->sets[i].bytes);
    return buf_view_of(NULL, 0);
}

static void write_sets(const struct nal_sets *sets, enum nal_kind kind, struct buf_writer *out)
{
    for (unsigned i = 0; i < sets->n_sets; i++) {
        if (sets->sets[i].kind != kind)
            continue;
        buf_write_u16be(out, (unsigned)sets->sets[i].bytes.used_bytes);
        buf_write_view(out, buf_writer_view(&sets->sets[i].bytes));
    }
}

/* chroma_format_idc and what bit depths are above 8; H.264 7.3.2.1.1, H.265 7.3.2.2.1. */
struct format {
    uint32_t chroma, more_luma_bits, more_chroma_bits;
};

static enum err h264_format(struct buf_view sps, struct format *f)
{
    struct bit_reader r = bit_reader_from_nal(sps);

    bit_skip(&r, 8 + 24);
    (void)bit_read_ue(&r);
    f->chroma = bit_read_ue(&r);
    if (f->chroma == 3)
        bit_skip(&r, 1);
    f->more_luma_bits = bit_read_ue(&r);
    f->more_chroma_bits = bit_read_ue(&r);
    return bit_overrun(&r) ? E_PROTO : E_OK;
}

static enum err write_avcc(const struct nal_sets *sets, struct buf_writer *out)
{
    struct buf_view sps = first(sets, NAL_SPS);
    struct format f;
    uint8_t profile;

    if (sps.size_bytes < 4)
        return E_PROTO;
    profile = sps.data[1];
    buf_write_u8(out, 1);
    buf_write(out, sps.data + 1, 3); /* profile, compatibility, level */
    buf_write_u8(out, 0xfc | (LENGTH_BYTES - 1));
    buf_write_u8(out, 0xe0 | (count(sets, NAL_SPS) & 0x1f));
    write_sets(sets, NAL_SPS, out);
    buf_write_u8(out, count(sets, NAL_PPS));
    write_sets(sets, NAL_PPS, out);
    if (profile != 100 && profile != 110 && profile != 122 && profile != 144)
        return E_OK;
    if (h264_format(sps, &f) != E_OK)
        return E_PROTO;
    buf_write_u8(out, 0xfc | (f.chroma & 3));
    buf_write_u8(out, 0xf8 | (f.more_luma_bits & 7));
    buf_write_u8(out, 0xf8 | (f.more_chroma_bits & 7));
    buf_write_u8(out, 0); /* no extensions of the SPS */
    return E_OK;
}

static enum err hevc_format(struct buf_view sps, struct format *f)
{
    struct bit_reader r = behind_profile(sps);

    (void)bit_read_ue(&r);
    f->chroma = bit_read_ue(&r);
    if (f->chroma == 3)
        bit_skip(&r, 1);
    (void)bit_read_ue(&r); /* width and height */
    (void)bit_read_ue(&r);
    if (bit_read_flag(&r))
        for (unsigned i = 0; i < 4; i++)
            (void)bit_read_ue(&r);
    f->more_luma_bits = bit_read_ue(&r);
    f->more_chroma_bits = bit_read_ue(&r);
    return bit_overrun(&r) ? E_PROTO : E_OK;
}

static enum err write_hvcc(const struct nal_sets *sets, struct buf_writer *out)
{
    static const struct {
        enum nal_kind kind;
        uint8_t type;
    } k_arrays[] = {{NAL_VPS, 32}, {NAL_SPS, 33}, {NAL_PPS, 34}};
    struct buf_view sps = first(sets, NAL_SPS);
    struct bit_reader r = bit_reader_from_nal(sps);
    unsigned n_sub_layers, nested;
    struct format f;

    if (hevc_format(sps, &f) != E_OK)
        return E_PROTO;
    bit_skip(&r, HEVC_HEADER_BITS + 4);
    n_sub_layers = bit_read(&r, 3) + 1;
    nested = bit_read(&r, 1);
    buf_write_u8(out, 1);
    for (unsigned i = 0; i < HEVC_PROFILE_BITS / 8; i++)
        buf_write_u8(out, bit_read(&r, 8));
    buf_write_u16be(out, 0xf000); /* segmentation: not said */
    buf_write_u8(out, 0xfc);      /* parallelism: not said */
    buf_write_u8(out, 0xfc | (f.chroma & 3));
    buf_write_u8(out, 0xf8 | (f.more_luma_bits & 7));
    buf_write_u8(out, 0xf8 | (f.more_chroma_bits & 7));
    buf_write_u16be(out, 0); /* frame rate: not said */
    buf_write_u8(out, n_sub_layers << 3 | nested << 2 | (LENGTH_BYTES - 1));
    buf_write_u8(out, sizeof k_arrays / sizeof k_arrays[0]);
    for (size_t i = 0; i < sizeof k_arrays / sizeof k_arrays[0]; i++) {
        buf_write_u8(out, k_arrays[i].type); /* not complete: others may come in the stream */
        buf_write_u16be(out, count(sets, k_arrays[i].kind));
        write_sets(sets, k_arrays[i].kind, out);
    }
    return E_OK;
}

enum err nal_sets_write_record(const struct nal_sets *sets, struct buf_writer *out)
{
    bool is_hevc = sets->codec == CODEC_HEVC;
    enum err e;

    if (!count(sets, NAL_SPS) || !count(sets, NAL_PPS) || (is_hevc && !count(sets, NAL_VPS)))
        return E_AGAIN;
    e = is_hevc ? write_hvcc(sets, out) : write_avcc(sets, out);
    return e == E_OK ? buf_writer_status(out) : e;
}
