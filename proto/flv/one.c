/* One body, one track: what a node keeps. Multitrack messages are taken apart and old headers made
 * new where a stream comes in, so that nobody behind has to know of them. */
#include "proto/flv/body.h"

#include "proto/flv/flv.h"

enum { STREAMINFO_BYTES = 34 };

static enum err fail(const char **why, const char *text)
{
    *why = text;
    return E_PROTO;
}

static uint8_t multitrack_type_of(uint8_t type_id)
{
    return type_id == FLV_TAG_VIDEO ? FLV_PACKET_VIDEO_MULTITRACK : FLV_PACKET_AUDIO_MULTITRACK;
}

static bool is_enhanced(uint8_t type_id, uint8_t first)
{
    return type_id == FLV_TAG_VIDEO ? (first & FLV_VIDEO_EX) != 0
                                    : first >> 4 == FLV_SOUND_FORMAT_EX;
}

bool flv_is_one_part(uint8_t type_id, struct buf_view body)
{
    uint8_t first, packet_type;

    if (type_id == FLV_TAG_SCRIPT || !body.size_bytes)
        return false;
    first = body.data[0];
    packet_type = first & 0x0f;
    if (is_enhanced(type_id, first))
        return packet_type == FLV_PACKET_CODED_FRAMES || packet_type == FLV_PACKET_CODED_FRAMES_X;
    return type_id == FLV_TAG_VIDEO ? packet_type != FLV_CODEC_ID_HEVC
                                    : first >> 4 != FLV_SOUND_FORMAT_OPUS;
}

void flv_parts_begin(struct flv_parts *parts, uint8_t type_id, struct buf_view body)
{
    *parts = (struct flv_parts){.rest = buf_reader_from(body), .type_id = type_id};
}

/* --- old forms --- */

static void write_first(struct buf_writer *w, uint8_t first, uint8_t packet_type, uint32_t fourcc)
{
    buf_write_u8(w, (first & 0xf0u) | packet_type);
    buf_write_u32be(w, fourcc);
}

/* AVC's header with codec id 12: frame type and id, packet type, composition time. */
static bool renew_hevc(struct buf_reader in, struct buf_writer *w)
{
    static const uint8_t k_types[] = {FLV_PACKET_SEQUENCE_START, FLV_PACKET_CODED_FRAMES_X,
                                      FLV_PACKET_SEQUENCE_END};
    uint8_t first = buf_read_u8(&in), old_type = buf_read_u8(&in);
    struct buf_view time = buf_take(&in, 3);
    bool is_late;

    if (in.overrun || old_type >= sizeof k_types || first >> 4 == FLV_FRAME_COMMAND)
        return false;
    is_late = k_types[old_type] == FLV_PACKET_CODED_FRAMES_X &&
              (time.data[0] | time.data[1] | time.data[2]) != 0;
    write_first(w, first | FLV_VIDEO_EX, is_late ? FLV_PACKET_CODED_FRAMES : k_types[old_type],
                media_codec_fourcc(CODEC_HEVC));
    if (is_late)
        buf_write_view(w, time);
    buf_write_view(w, buf_rest(&in));
    return true;
}

static bool renew_opus(struct buf_reader in, struct buf_writer *w)
{
    (void)buf_read_u8(&in);
    write_first(w, FLV_SOUND_FORMAT_EX << 4, FLV_PACKET_CODED_FRAMES,
                media_codec_fourcc(CODEC_OPUS));
    buf_write_view(w, buf_rest(&in));
    return true;
}

/* FFmpeg 8 sends STREAMINFO bare, without the fLaC marker and the block's header that E-RTMP v2 has
 * (RFC 9639, 8.1). */
static bool renew_flac(struct buf_reader in, struct buf_writer *w)
{
    static const uint8_t k_front[] = {'f', 'L', 'a', 'C', 0x80, 0, 0, STREAMINFO_BYTES};
    uint8_t first = buf_read_u8(&in);
    uint32_t fourcc = buf_read_u32be(&in);

    if ((first & 0x0f) != FLV_PACKET_SEQUENCE_START || fourcc != media_codec_fourcc(CODEC_FLAC) ||
        in.left_bytes != STREAMINFO_BYTES)
        return false;
    write_first(w, first, FLV_PACKET_SEQUENCE_START, fourcc);
    buf_write(w, k_front, sizeof k_front);
    buf_write_view(w, buf_rest(&in));
    return true;
}

/* True when the body was written anew. */
static bool renew(const struct flv_parts *p, uint8_t first, struct buf_writer *w)
{
    if (is_enhanced(p->type_id, first))
        return p->type_id == FLV_TAG_AUDIO && renew_flac(p->rest, w);

    if (p->type_id == FLV_TAG_VIDEO && (first & 0x0f) == FLV_CODEC_ID_HEVC)
        return renew_hevc(p->rest, w);
    return p->type_id == FLV_TAG_AUDIO && first >> 4 == FLV_SOUND_FORMAT_OPUS &&
           renew_opus(p->rest, w);
}

/* --- multitrack --- */

/* Stands behind what all tracks share. E_NOT_FOUND: the body has one track, or is of a kind that is
 * not known yet. */
static enum err open_multitrack(struct flv_parts *p, struct buf_view body, const char **why)
{
    struct buf_reader in = buf_reader_from(body);
    uint64_t offset_ns = 0;
    uint8_t types;

    p->packet_type = buf_read_u8(&in) & 0x0f;
    if (flv_skip_mod_ex(&in, &p->packet_type, &offset_ns, why) != E_OK)
        return E_PROTO;
    if (p->packet_type != multitrack_type_of(p->type_id))
        return E_NOT_FOUND;
    p->prefix = buf_view_of(body.data, body.size_bytes - in.left_bytes);
    types = buf_read_u8(&in);
    p->multitrack_type = types >> 4;
    p->packet_type = types & 0x0f;
    if (p->packet_type == multitrack_type_of(p->type_id))
        return fail(why, "multitrack inside multitrack");
    if (p->packet_type == FLV_PACKET_MOD_EX)
        return fail(why, "ModEx inside multitrack");
    if (p->multitrack_type > FLV_MULTITRACK_MANY_CODECS)
        return E_NOT_FOUND;
    if (p->multitrack_type != FLV_MULTITRACK_MANY_CODECS)
        p->fourcc = buf_read_u32be(&in);
    if (in.overrun)
        return fail(why, "enhanced header runs over the end");
    p->rest = in;
    p->is_many = true;
    return E_OK;
}

static void write_track(const struct flv_parts *p, struct buf_writer *w, uint8_t track_id,
                        struct buf_view data)
{
    size_t type_at = p->prefix.size_bytes - 1;
    unsigned type = track_id ? multitrack_type_of(p->type_id) : p->packet_type;

    buf_write(w, p->prefix.data, type_at);
    buf_write_u8(w, (p->prefix.data[type_at] & 0xf0u) | type);
    if (track_id)
        buf_write_u8(w, (unsigned)FLV_MULTITRACK_ONE << 4 | p->packet_type);
    buf_write_u32be(w, p->fourcc);
    if (track_id)
        buf_write_u8(w, track_id);
    buf_write_view(w, data);
}

static bool note_seen(struct flv_parts *p, uint8_t track_id)
{
    uint64_t bit = UINT64_C(1) << track_id % 64, *word = &p->seen[track_id / 64];
    bool is_new = !(*word & bit);

    *word |= bit;
    return is_new;
}

static enum err next_track(struct flv_parts *p, struct buf_writer *scratch, struct buf_view *out,
                           const char **why)
{
    size_t size_bytes;
    struct buf_view data;
    uint8_t track_id;

    if (p->multitrack_type == FLV_MULTITRACK_MANY_CODECS)
        p->fourcc = buf_read_u32be(&p->rest);
    track_id = buf_read_u8(&p->rest);
    size_bytes = p->rest.left_bytes;
    if (p->multitrack_type != FLV_MULTITRACK_ONE)
        size_bytes = buf_read_u24be(&p->rest);
    data = buf_take(&p->rest, size_bytes);
    if (p->rest.overrun)
        return fail(why, "track size runs over the end");
    if (!note_seen(p, track_id))
        return fail(why, "a track twice in one message");
    p->is_over = !p->rest.left_bytes;
    buf_writer_clear(scratch);
    write_track(p, scratch, track_id, data);
    *out = buf_writer_view(scratch);
    return buf_writer_status(scratch);
}

/* The first call: what kind of body it is. */
static enum err next_first(struct flv_parts *p, struct buf_writer *scratch, struct buf_view *out,
                           const char **why)
{
    struct buf_view body = buf_rest(&p->rest);
    enum err e = E_NOT_FOUND;

    buf_writer_clear(scratch);
    if (body.size_bytes && p->type_id != FLV_TAG_SCRIPT) {
        if (is_enhanced(p->type_id, body.data[0]))
            e = open_multitrack(p, body, why);
        if (e != E_NOT_FOUND)
            return e == E_OK ? next_track(p, scratch, out, why) : e;
        if (renew(p, body.data[0], scratch))
            body = buf_writer_view(scratch);
    } else if (p->type_id == FLV_TAG_SCRIPT) {
        (void)flv_is_metadata(body, &body);
    }
    p->is_over = true;
    *out = body;
    return buf_writer_status(scratch);
}

enum err flv_parts_next(struct flv_parts *parts, struct buf_writer *scratch, struct buf_view *out,
                        const char **why)
{
    if (parts->is_over)
        return E_END;
    return parts->is_many ? next_track(parts, scratch, out, why)
                          : next_first(parts, scratch, out, why);
}
