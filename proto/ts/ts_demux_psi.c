/* PAT and PMT: ISO 13818-1 2.4.4. The first program that the PAT names. */
#include <string.h>

#include "proto/ts/ts_demux_private.h"

enum { TABLE_PAT = 0, TABLE_PMT = 2, CRC_BYTES = 4, LONG_HEADER_BYTES = 5, STUFFING = 0xff };

/* program_number 0 is the network's. */
static void on_pat(struct ts_demux *d, struct buf_reader in)
{
    while (in.left_bytes >= 4) {
        unsigned number = buf_read_u16be(&in), pid = buf_read_u16be(&in) & 0x1fff;

        if (!number)
            continue;
        if (d->pmt.pid != pid) {
            d->pmt = (struct ts_section){.pid = (uint16_t)pid};
            d->pmt_crc = 0;
        }
        return;
    }
}

/* A stream that is there as before goes on. */
static void use(struct ts_demux *d, const struct ts_es_codec *codec, unsigned pid,
                struct buf_view descriptors, bool found[2])
{
    struct ts_es *es = &d->es[codec->kind];

    if (found[codec->kind]) {
        d->counts.n_unsupported++; /* one of each kind */
        return;
    }
    found[codec->kind] = true;
    if (es->codec != codec || es->pid != pid)
        ts_es_set(es, codec, (uint16_t)pid, descriptors);
}

static void on_pmt(struct ts_demux *d, struct buf_reader in, uint32_t crc)
{
    bool found[2] = {false};

    if (crc == d->pmt_crc)
        return;
    d->pmt_crc = crc;
    (void)buf_read_u16be(&in); /* PCR PID */
    (void)buf_take(&in, buf_read_u16be(&in) & 0x0fff);
    while (!in.overrun && in.left_bytes >= 5) {
        uint8_t type = buf_read_u8(&in);
        unsigned pid = buf_read_u16be(&in) & 0x1fff;
        struct buf_view descriptors = buf_take(&in, buf_read_u16be(&in) & 0x0fff);
        const struct ts_es_codec *codec = ts_es_codec_of(type, descriptors);

        if (in.overrun)
            break;
        if (codec)
            use(d, codec, pid, descriptors, found);
        else
            d->counts.n_unsupported++;
    }
    for (unsigned kind = 0; kind < 2; kind++)
        if (!found[kind])
            ts_es_set(&d->es[kind], NULL, TS_NO_PID, buf_view_of(NULL, 0));
    d->has_program = true;
}

/* A section with its CRC: 2.4.4.3, 2.4.4.8. */
static void on_section(struct ts_demux *d, struct ts_section *s, struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes), body, tail;
    uint8_t table_id = buf_read_u8(&in), version;
    uint32_t crc;

    (void)buf_take(&in, 2);
    if (in.left_bytes < LONG_HEADER_BYTES + CRC_BYTES || ts_crc(bytes.data, bytes.size_bytes)) {
        d->counts.n_broken++;
        return;
    }
    body = buf_reader_from(buf_take(&in, in.left_bytes - CRC_BYTES));
    tail = in;
    crc = buf_read_u32be(&tail);
    (void)buf_read_u16be(&body); /* transport stream, or program */
    version = buf_read_u8(&body);
    (void)buf_read_u16be(&body); /* section numbers */
    if (!(version & 1))
        return; /* applicable next, not yet */
    if (s == &d->pat && table_id == TABLE_PAT)
        on_pat(d, body);
    else if (s == &d->pmt && table_id == TABLE_PMT)
        on_pmt(d, body, crc);
}

/* Sections as far as they are whole. */
static void look(struct ts_demux *d, struct ts_section *s)
{
    uint8_t whole[TS_SECTION_MAX_BYTES];

    while (s->used_bytes >= 3 && s->bytes[0] != STUFFING) {
        size_t size_bytes = 3 + (size_t)((s->bytes[1] & 0x0f) << 8 | s->bytes[2]);
        uint16_t pid = s->pid;

        if (size_bytes > sizeof s->bytes) {
            d->counts.n_broken++;
            s->used_bytes = 0;
            return;
        }
        if (s->used_bytes < size_bytes)
            return;
        memcpy(whole, s->bytes, size_bytes);
        s->used_bytes = (uint16_t)(s->used_bytes - size_bytes);
        memmove(s->bytes, s->bytes + size_bytes, s->used_bytes);
        on_section(d, s, buf_view_of(whole, size_bytes));
        if (s->pid != pid)
            return; /* the PMT is another one now */
    }
    if (s->used_bytes && s->bytes[0] == STUFFING)
        s->used_bytes = 0;
}

static void append(struct ts_section *s, struct buf_view bytes)
{
    size_t room = sizeof s->bytes - s->used_bytes;
    size_t n = bytes.size_bytes < room ? bytes.size_bytes : room;

    if (n)
        memcpy(s->bytes + s->used_bytes, bytes.data, n);
    s->used_bytes = (uint16_t)(s->used_bytes + n);
}

/* 2.4.4.2: where one starts, pointer_field says how much of the last one comes first. */
void ts_demux_psi(struct ts_demux *d, struct ts_section *section, struct buf_view payload,
                  bool starts)
{
    struct buf_reader in = buf_reader_from(payload);

    if (starts) {
        struct buf_view last = buf_take(&in, buf_read_u8(&in));

        if (in.overrun)
            return;
        if (section->used_bytes) {
            append(section, last);
            look(d, section);
        }
        section->used_bytes = 0;
    } else if (!section->used_bytes) {
        return; /* its beginning was not seen */
    }
    append(section, buf_rest(&in));
    look(d, section);
}
