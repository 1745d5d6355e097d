/* Sample entries: which codec, and where its configuration is. ISO 14496-12 8.5.2, 12.1.3, 12.2.3;
 * ISO 14496-14 5.6 (esds). */
#include "proto/mp4/demux_private.h"

#include "proto/codec/codec.h"

#define VIDEO_ENTRY_BYTES 78u /* in front of its boxes */
#define AUDIO_ENTRY_BYTES 28u
#define FULL_BOX_BYTES 4u

enum { /* ISO 14496-1 7.2.2.1: tags */
       TAG_ES = 3,
       TAG_DECODER_CONFIG = 4,
       TAG_DECODER_SPECIFIC = 5
};

static const struct entry_row {
    uint32_t type;
    enum media_kind kind;
    enum media_codec codec;
    uint32_t config; /* box; 0 = needs none */
} k_rows[] = {
    {MP4_TYPE('a', 'v', 'c', '1'), MEDIA_VIDEO, CODEC_H264, MP4_TYPE('a', 'v', 'c', 'C')},
    {MP4_TYPE('a', 'v', 'c', '3'), MEDIA_VIDEO, CODEC_H264, MP4_TYPE('a', 'v', 'c', 'C')},
    {MP4_TYPE('h', 'v', 'c', '1'), MEDIA_VIDEO, CODEC_HEVC, MP4_TYPE('h', 'v', 'c', 'C')},
    {MP4_TYPE('h', 'e', 'v', '1'), MEDIA_VIDEO, CODEC_HEVC, MP4_TYPE('h', 'v', 'c', 'C')},
    {MP4_TYPE('a', 'v', '0', '1'), MEDIA_VIDEO, CODEC_AV1, MP4_TYPE('a', 'v', '1', 'C')},
    {MP4_TYPE('v', 'p', '0', '8'), MEDIA_VIDEO, CODEC_VP8, MP4_TYPE('v', 'p', 'c', 'C')},
    {MP4_TYPE('v', 'p', '0', '9'), MEDIA_VIDEO, CODEC_VP9, MP4_TYPE('v', 'p', 'c', 'C')},
    {MP4_TYPE('m', 'p', '4', 'a'), MEDIA_AUDIO, CODEC_AAC, MP4_TYPE('e', 's', 'd', 's')},
    {MP4_TYPE('.', 'm', 'p', '3'), MEDIA_AUDIO, CODEC_MP3, 0},
    {MP4_TYPE('O', 'p', 'u', 's'), MEDIA_AUDIO, CODEC_OPUS, MP4_TYPE('d', 'O', 'p', 's')},
    {MP4_TYPE('f', 'L', 'a', 'C'), MEDIA_AUDIO, CODEC_FLAC, MP4_TYPE('d', 'f', 'L', 'a')},
    {MP4_TYPE('a', 'c', '-', '3'), MEDIA_AUDIO, CODEC_AC3, 0},
    {MP4_TYPE('e', 'c', '-', '3'), MEDIA_AUDIO, CODEC_EAC3, 0},
};

static const struct { /* objectTypeIndication, ISO 14496-1 table 5 */
    uint8_t object;
    enum media_codec codec;
} k_objects[] = {
    {0x40, CODEC_AAC}, {0x66, CODEC_AAC}, {0x67, CODEC_AAC}, {0x68, CODEC_AAC},
    {0x69, CODEC_MP3}, {0x6b, CODEC_MP3}, {0xa5, CODEC_AC3}, {0xa6, CODEC_EAC3},
};

/* --- esds --- */

/* Size: seven bits a byte, at most four. False: another tag, or cut off. */
static bool read_descriptor(struct buf_reader *in, unsigned wanted, struct buf_reader *content)
{
    unsigned tag = buf_read_u8(in), byte = 0x80;
    uint32_t size_bytes = 0;

    for (unsigned i = 0; i < 4 && byte & 0x80; i++) {
        byte = buf_read_u8(in);
        size_bytes = size_bytes << 7 | (byte & 0x7f);
    }
    *content = buf_reader_from(buf_take(in, size_bytes));
    return !in->overrun && tag == wanted;
}

static enum err read_esds(struct mp4_demux *d, struct mp4_entry *entry, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body), es, config, specific;
    uint8_t flags, object;

    (void)buf_take(&in, FULL_BOX_BYTES);
    if (!read_descriptor(&in, TAG_ES, &es))
        return mp4_demux_fail(d, E_PROTO, "esds", body.data, "no ES descriptor");
    (void)buf_read_u16be(&es);
    flags = buf_read_u8(&es);
    (void)buf_take(&es, flags & 0x80 ? 2 : 0); /* another stream that it depends on */
    if (flags & 0x40)
        (void)buf_take(&es, buf_read_u8(&es)); /* URL */
    (void)buf_take(&es, flags & 0x20 ? 2 : 0); /* its clock */
    if (!read_descriptor(&es, TAG_DECODER_CONFIG, &config))
        return mp4_demux_fail(d, E_PROTO, "esds", body.data, "no decoder configuration");
    object = buf_read_u8(&config);
    (void)buf_take(&config, 12); /* stream type, buffer size, bits a second */
    if (config.overrun)
        return mp4_demux_fail(d, E_PROTO, "esds", body.data, "is cut off");
    entry->codec = CODEC_UNKNOWN;
    for (size_t i = 0; i < sizeof k_objects / sizeof k_objects[0]; i++)
        if (k_objects[i].object == object)
            entry->codec = k_objects[i].codec;
    if (entry->codec == CODEC_UNKNOWN) {
        (void)mp4_demux_fail(d, E_NOT_FOUND, "esds", body.data, "object type 0x%02x has no place",
                             object);
        return E_NOT_FOUND;
    }
    if (entry->codec == CODEC_AAC) {
        if (!read_descriptor(&config, TAG_DECODER_SPECIFIC, &specific) || specific.left_bytes < 2)
            return mp4_demux_fail(d, E_PROTO, "esds", body.data, "no AudioSpecificConfig");
        entry->config = buf_rest(&specific);
    }
    return E_OK;
}

/* --- stsd --- */

static enum err read_row(struct mp4_demux *d, struct mp4_entry *entry, const struct entry_row *row,
                         struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    struct buf_view config;
    const struct mp4_child children[] = {{row->config, &config, row->config != 0}};
    enum err e;

    (void)buf_take(&in, row->kind == MEDIA_VIDEO ? VIDEO_ENTRY_BYTES : AUDIO_ENTRY_BYTES);
    if (in.overrun)
        return mp4_demux_fail(d, E_PROTO, "stsd", body.data, "a sample entry is cut off");
    e = row->config ? mp4_demux_children(d, buf_rest(&in), "sample entry", children, 1) : E_OK;
    entry->codec = row->codec;
    if (e == E_OK && row->type == MP4_TYPE('m', 'p', '4', 'a'))
        return read_esds(d, entry, config);
    if (e == E_OK && row->config)
        entry->config = config;
    return e;
}

/* E_NOT_FOUND: no codec that has a place here. */
static enum err read_entry(struct mp4_demux *d, const struct mp4_demux_track *t, uint32_t type,
                           struct buf_view body, struct mp4_entry *entry)
{
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++)
        if (k_rows[i].type == type && k_rows[i].kind == t->kind)
            return read_row(d, entry, &k_rows[i], body);
    if (type == MP4_TYPE('e', 'n', 'c', 'v') || type == MP4_TYPE('e', 'n', 'c', 'a'))
        return mp4_demux_fail(d, E_UNSUPPORTED, "stsd", body.data, "track %u is encrypted", t->id);
    (void)mp4_demux_fail(d, E_NOT_FOUND, "stsd", body.data,
                         "track %u: sample entry %c%c%c%c has no place", t->id, (int)(type >> 24),
                         (int)(type >> 16 & 0xff), (int)(type >> 8 & 0xff), (int)(type & 0xff));
    return E_NOT_FOUND;
}

enum err mp4_demux_read_stsd(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view stsd)
{
    struct buf_reader in = buf_reader_from(stsd);
    struct buf_view whole, body;
    uint32_t n, type;
    enum err e = E_OK;

    (void)buf_take(&in, FULL_BOX_BYTES);
    n = buf_read_u32be(&in);
    if (in.overrun || !n || n > MP4_DEMUX_MAX_ENTRIES)
        return mp4_demux_fail(d, n > MP4_DEMUX_MAX_ENTRIES ? E_TOO_BIG : E_PROTO, "stsd", stsd.data,
                              "%u sample entries, not 1 to %u", n, MP4_DEMUX_MAX_ENTRIES);
    for (t->n_entries = 0; e == E_OK && t->n_entries < n; t->n_entries++) {
        if (!mp4_next_box(&in, &type, &whole, &body))
            return mp4_demux_fail(d, E_PROTO, "stsd", stsd.data, "%u sample entries, %u are there",
                                  n, t->n_entries);
        e = read_entry(d, t, type, body, &t->entries[t->n_entries]);
    }
    return e;
}

/* --- as FLV has it --- */

static void write_le(struct buf_writer *w, uint32_t value, unsigned n_bytes)
{
    for (; n_bytes; n_bytes--, value >>= 8)
        buf_write_u8(w, value & 0xff);
}

/* Opus in ISOBMFF 4.3.2 to RFC 7845 5.1: little endian, version 1. */
static void write_opus(struct buf_writer *w, struct buf_reader *in)
{
    buf_write_str(w, "OpusHead");
    (void)buf_read_u8(in); /* version */
    buf_write_u8(w, 1);
    buf_write_u8(w, buf_read_u8(in));
    write_le(w, buf_read_u16be(in), 2);
    write_le(w, buf_read_u32be(in), 4);
    write_le(w, buf_read_u16be(in), 2);
    buf_write_view(w, buf_rest(in)); /* channel mapping: bytes */
}

/* VP codecs 3.2, FLAC in ISOBMFF 3.3.2: what is behind version and flags. */
static void write_full(struct buf_writer *w, struct buf_reader *in, const char *magic)
{
    (void)buf_take(in, FULL_BOX_BYTES);
    buf_write_str(w, magic);
    buf_write_view(w, buf_rest(in));
}

enum err mp4_demux_config(struct mp4_demux *d, const struct mp4_entry *entry,
                          struct buf_view *config)
{
    struct buf_reader in = buf_reader_from(entry->config);
    struct codec_params params;
    const char *why = "";
    enum err e;

    if (!codec_has_config(entry->codec))
        return E_NOT_FOUND;
    buf_writer_clear(&d->config);
    if (entry->codec == CODEC_OPUS)
        write_opus(&d->config, &in);
    else if (entry->codec == CODEC_FLAC)
        write_full(&d->config, &in, "fLaC");
    else if (entry->codec == CODEC_VP8 || entry->codec == CODEC_VP9)
        write_full(&d->config, &in, "");
    else
        buf_write_view(&d->config, entry->config);
    if (buf_writer_status(&d->config) != E_OK || in.overrun)
        return mp4_demux_fail(d, in.overrun ? E_PROTO : buf_writer_status(&d->config),
                              "sample entry", entry->config.data, "configuration of %zu bytes",
                              entry->config.size_bytes);
    *config = buf_writer_view(&d->config);
    e = codec_params_from_config(entry->codec, *config, &params, &why);
    if (e != E_OK)
        return mp4_demux_fail(d, e, "sample entry", entry->config.data, "%s: %s",
                              media_codec_name(entry->codec), why);
    return E_OK;
}
