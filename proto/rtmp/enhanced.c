/* Enhanced RTMP v2, "Enhancing NetConnection connect Command": what a client says that it can, and
 * what we say. Bodies pass through, so multitrack, ModEx and nanosecond offsets need no help of
 * ours; and we may ask to reconnect. */
#include "proto/rtmp/enhanced.h"

enum { CAPS_RECONNECT = 0x01, CAPS_MULTITRACK = 0x02, CAPS_MOD_EX = 0x04, CAPS_NANO_OFFSET = 0x08 };
#define CAPS_OURS (CAPS_RECONNECT | CAPS_MULTITRACK | CAPS_MOD_EX | CAPS_NANO_OFFSET)
/* FourCcInfoMask: a client that decodes or forwards a codec takes it. */
enum { FOURCC_CAN_DECODE = 0x01, FOURCC_CAN_ENCODE = 0x02, FOURCC_CAN_FORWARD = 0x04 };

static const char *const k_maps[] = {"videoFourCcInfoMap", "audioFourCcInfoMap"};
#define N_MAPS (sizeof k_maps / sizeof k_maps[0])

/* OBS sends the same list; "*" is known to version 2 servers only. */
static const struct {
    unsigned map;
    const char *name;
} k_fourccs[] = {
    {0, "av01"}, {0, "vp09"}, {0, "vp08"}, {0, "hvc1"}, {0, "avc1"}, {1, "Opus"},
    {1, "fLaC"}, {1, "ac-3"}, {1, "ec-3"}, {1, ".mp3"}, {1, "mp4a"},
};
#define N_FOURCCS (sizeof k_fourccs / sizeof k_fourccs[0])

static void write_map(struct buf_writer *body, unsigned map, unsigned mask)
{
    amf_write_name(body, k_maps[map]);
    amf_write_object(body);
    for (size_t i = 0; i < N_FOURCCS; i++)
        if (k_fourccs[i].map == map)
            amf_write_member_number(body, k_fourccs[i].name, mask);
    amf_write_end(body);
}

/* A player says that it decodes, too: who watches behind us does, and servers that think of players
 * look for that alone. */
void rtmp_write_abilities(struct buf_writer *body, bool publish, bool reconnects)
{
    unsigned mask = FOURCC_CAN_FORWARD | (publish ? FOURCC_CAN_ENCODE : FOURCC_CAN_DECODE);

    amf_write_name(body, "fourCcList");
    amf_write_strict_array(body, N_FOURCCS);
    for (size_t i = 0; i < N_FOURCCS; i++)
        amf_write_cstr(body, k_fourccs[i].name);
    for (unsigned map = 0; map < N_MAPS; map++)
        write_map(body, map, mask);
    amf_write_member_number(body, "capsEx", reconnects ? CAPS_OURS : CAPS_OURS & ~CAPS_RECONNECT);
}

static unsigned bits_of(const struct amf_value *value)
{
    double bits = amf_number(value, 0);

    return bits >= 0 && bits <= 0xffff ? (unsigned)bits : 0;
}

static void add_codec(struct rtmp_abilities *out, struct buf_view name)
{
    struct buf_reader in = buf_reader_from(name);
    enum media_codec codec;

    out->announces_codecs = true;
    if (buf_view_equals(name, "*"))
        out->codecs = UINT32_MAX;
    if (name.size_bytes != 4)
        return;
    codec = media_codec_of_fourcc(buf_read_u32be(&in));
    if (codec != CODEC_UNKNOWN)
        out->codecs |= UINT32_C(1) << codec;
}

static void read_list(const struct amf_value *list, struct rtmp_abilities *out)
{
    const struct amf_value *values = amf_deref(list);

    for (const struct amf_value *v = values ? values->first : NULL; v; v = v->next)
        add_codec(out, amf_string(v));
}

static void read_map(const struct amf_value *map, struct rtmp_abilities *out)
{
    const struct amf_value *values = amf_deref(map);

    for (const struct amf_value *v = values ? values->first : NULL; v; v = v->next)
        if (bits_of(v) & (FOURCC_CAN_DECODE | FOURCC_CAN_FORWARD))
            add_codec(out, v->name);
}

void rtmp_read_abilities(const struct amf_value *asked, struct rtmp_abilities *out)
{
    unsigned caps = bits_of(amf_find(asked, "capsEx"));

    *out = (struct rtmp_abilities){.reconnect = caps & CAPS_RECONNECT,
                                   .multitrack = caps & CAPS_MULTITRACK,
                                   .mod_ex = caps & CAPS_MOD_EX};
    read_list(amf_find(asked, "fourCcList"), out);
    for (unsigned i = 0; i < N_MAPS; i++)
        read_map(amf_find(asked, k_maps[i]), out);
}

void rtmp_write_enhanced(struct buf_writer *body, const struct amf_value *asked)
{
    if (amf_find(asked, "fourCcList")) {
        amf_write_name(body, "fourCcList");
        amf_write_strict_array(body, 1);
        amf_write_cstr(body, "*");
    }
    for (unsigned i = 0; i < N_MAPS; i++) {
        if (!amf_find(asked, k_maps[i]))
            continue;
        amf_write_name(body, k_maps[i]);
        amf_write_object(body);
        amf_write_member_number(body, "*", FOURCC_CAN_FORWARD);
        amf_write_end(body);
    }
    if (amf_find(asked, "capsEx"))
        amf_write_member_number(body, "capsEx", bits_of(amf_find(asked, "capsEx")) & CAPS_OURS);
}
