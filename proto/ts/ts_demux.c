/* Packets to PES packets: ISO 13818-1 2.4.3. */
#include "proto/ts/ts_demux.h"

#include <stdlib.h>
#include <string.h>

#include "proto/ts/ts_demux_private.h"

enum { HEADER_BYTES = 4, SCRAMBLED = 0xc0, BROKEN = 0x80, DISCONTINUITY = 0x80 };
enum { PES_HEADER_BYTES = 6, PES_FLAGS_BYTES = 3, HAS_PTS = 0x80, HAS_DTS = 0x40 };
#define STAMP_BITS 33

struct ts_demux *ts_demux_create(size_t max_frame_bytes)
{
    struct ts_demux *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->max_frame_bytes = max_frame_bytes;
    d->pat.pid = TS_PID_PAT;
    d->pmt.pid = TS_NO_PID;
    for (unsigned i = 0; i < 2; i++) {
        struct ts_es *es = &d->es[i];

        es->pid = TS_NO_PID;
        buf_writer_init(&es->in, max_frame_bytes);
        buf_writer_init(&es->pes, 2 * max_frame_bytes);   /* with what was carried over */
        buf_writer_init(&es->frame, 2 * max_frame_bytes); /* lengths are longer than start codes */
        buf_writer_init(&es->config, max_frame_bytes);
    }
    return d;
}

void ts_demux_destroy(struct ts_demux **demux)
{
    if (!*demux)
        return;
    ts_es_fini(&(*demux)->es[MEDIA_AUDIO]);
    ts_es_fini(&(*demux)->es[MEDIA_VIDEO]);
    free(*demux);
    *demux = NULL;
}

void ts_demux_get_counts(const struct ts_demux *demux, struct ts_demux_counts *out)
{
    *out = demux->counts;
}

/* --- time --- */

/* To the nearest microsecond. */
static int64_t us_of(int64_t ticks)
{
    return ticks / 9 * 100 + (ticks % 9 * 100 + (ticks < 0 ? -4 : 4)) / 9;
}

/* Of 33 bits, the nearest to the clock. */
static int64_t unwrap(const struct ts_demux *d, uint64_t stamp)
{
    uint64_t mask = (UINT64_C(1) << STAMP_BITS) - 1;
    uint64_t ahead = (stamp - (uint64_t)d->ticks) & mask;

    return ahead >> (STAMP_BITS - 1) ? d->ticks - (int64_t)((mask + 1) - ahead)
                                     : d->ticks + (int64_t)ahead;
}

/* 2.4.3.6: 4 bits that say which, then 3, 15 and 15 bits with a marker behind each. */
static uint64_t read_stamp(struct buf_reader *in)
{
    uint64_t bits = buf_read_be(in, 5);

    return (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7fff) << 15 | (bits >> 1 & 0x7fff);
}

static void read_stamps(struct ts_demux *d, struct ts_es *es, struct buf_reader in, uint8_t flags)
{
    uint64_t pts, dts;

    if (!(flags & HAS_PTS))
        return; /* it goes on from where the last one was */
    pts = dts = read_stamp(&in);
    if (flags & HAS_DTS)
        dts = read_stamp(&in);
    if (in.overrun)
        return;
    d->ticks = d->has_clock ? unwrap(d, dts) : (int64_t)dts;
    d->has_clock = true;
    es->next_dts_us = us_of(d->ticks);
    es->next_pts_us = us_of(unwrap(d, pts));
}

/* --- PES packets --- */

static void drop_open(struct ts_demux *d, struct ts_es *es)
{
    d->counts.n_broken += es->is_open;
    es->is_open = false;
}

/* Sound may go on in the middle of a frame; a picture is whole. */
static enum err take_in(struct ts_es *es, struct buf_view data)
{
    size_t carried = es->codec->kind == MEDIA_AUDIO ? es->rest.left_bytes : 0;

    if (carried)
        buf_writer_consume(&es->pes, es->pes.used_bytes - carried);
    else
        buf_writer_clear(&es->pes);
    es->carried_bytes = carried;
    buf_write_view(&es->pes, data);
    es->rest = buf_reader_from(buf_writer_view(&es->pes));
    return buf_writer_status(&es->pes);
}

/* 2.4.3.6. True when there is something to take apart. */
static enum err close_pes(struct ts_demux *d, struct ts_es *es)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&es->in)), fields;
    uint32_t start = buf_read_u32be(&in); /* packet_start_code_prefix, stream_id */
    size_t size_bytes = buf_read_u16be(&in);
    unsigned marks = buf_read_u8(&in);
    uint8_t flags = buf_read_u8(&in);

    es->is_open = false;
    fields = buf_reader_from(buf_take(&in, buf_read_u8(&in)));
    if (in.overrun || start >> 8 != 1 || marks >> 6 != 2 ||
        (size_bytes && size_bytes > es->in.used_bytes - PES_HEADER_BYTES)) {
        d->counts.n_broken++;
        return E_AGAIN;
    }
    read_stamps(d, es, fields, flags);
    if (es->next_dts_us == TS_NO_TIME && es->dts_us == TS_NO_TIME) {
        d->counts.n_broken++;
        return E_AGAIN;
    }
    es->is_pending = true;
    return take_in(es, buf_rest(&in));
}

static void open_pes(struct ts_es *es, struct buf_view payload)
{
    struct buf_reader in = buf_reader_from(payload);

    buf_writer_clear(&es->in);
    (void)buf_read_u32be(&in);
    es->expected_bytes = buf_read_u16be(&in);
    if (es->expected_bytes)
        es->expected_bytes += PES_HEADER_BYTES;
    es->is_open = !in.overrun; /* a header in two packets is nobody's */
}

/* E_OK: a PES packet is complete. */
static enum err on_payload(struct ts_demux *d, struct ts_es *es, struct buf_view payload,
                           bool starts)
{
    enum err e = E_AGAIN;

    if (starts) {
        if (es->is_open && es->in.used_bytes >= es->expected_bytes)
            e = close_pes(d, es);
        else
            drop_open(d, es);
        open_pes(es, payload);
    }
    if (!es->is_open)
        return e;
    buf_write_view(&es->in, payload);
    if (buf_writer_status(&es->in) == E_NOMEM)
        return E_NOMEM;
    if (buf_writer_status(&es->in) != E_OK)
        drop_open(d, es);
    else if (e == E_AGAIN && es->expected_bytes && es->in.used_bytes >= es->expected_bytes)
        e = close_pes(d, es);
    return e;
}

/* --- packets --- */

/* 2.4.3.3. False: the packet is the one before, sent again. */
static bool follows(struct ts_demux *d, bool *has, uint8_t *last, uint8_t now, bool *gap)
{
    bool again = *has && now == *last;

    *gap = *has && !again && now != ((*last + 1) & 0x0f);
    d->counts.n_lost += *gap;
    *has = true;
    *last = now;
    return !again;
}

static enum err on_es_packet(struct ts_demux *d, struct ts_es *es, struct buf_view payload,
                             uint8_t continuity, bool starts)
{
    bool gap;

    if (!follows(d, &es->has_continuity, &es->continuity, continuity, &gap))
        return E_AGAIN;
    if (gap) {
        drop_open(d, es);
        if (!starts)
            return E_AGAIN;
    }
    return on_payload(d, es, payload, starts);
}

static void on_psi_packet(struct ts_demux *d, struct ts_section *section, struct buf_view payload,
                          uint8_t continuity, bool starts)
{
    bool gap;

    if (!follows(d, &section->has_continuity, &section->continuity, continuity, &gap))
        return;
    if (gap)
        section->used_bytes = 0;
    ts_demux_psi(d, section, payload, starts);
}

/* Which of what is looked for has that PID. */
static struct ts_es *es_of(struct ts_demux *d, unsigned pid)
{
    for (unsigned i = 0; i < 2; i++)
        if (d->es[i].codec && d->es[i].pid == pid)
            return &d->es[i];
    return NULL;
}

static void forget_continuity(struct ts_demux *d, unsigned pid)
{
    struct ts_es *es = es_of(d, pid);

    if (es)
        es->has_continuity = false;
    else if (pid == d->pmt.pid)
        d->pmt.has_continuity = false;
}

/* E_OK: something is pending; E_AGAIN: nothing new. */
static enum err on_packet(struct ts_demux *d, struct buf_view packet)
{
    struct buf_reader in = buf_reader_from(packet), adaptation;
    uint32_t header = buf_read_u32be(&in);
    unsigned pid = header >> 8 & 0x1fff;
    bool starts = header >> 8 & TS_START << 8;
    uint8_t continuity = header & 0x0f;
    struct ts_es *es = es_of(d, pid);

    if (header >> 16 & BROKEN || header & SCRAMBLED || !(header & (TS_ADAPTATION | TS_PAYLOAD)))
        return E_AGAIN;
    if (header & TS_ADAPTATION) {
        adaptation = buf_reader_from(buf_take(&in, buf_read_u8(&in)));
        if (adaptation.left_bytes && buf_read_u8(&adaptation) & DISCONTINUITY)
            forget_continuity(d, pid);
    }
    if (!(header & TS_PAYLOAD) || in.overrun || !in.left_bytes)
        return E_AGAIN;
    if (es)
        return on_es_packet(d, es, buf_rest(&in), continuity, starts);
    if (pid == d->pat.pid)
        on_psi_packet(d, &d->pat, buf_rest(&in), continuity, starts);
    else if (pid == d->pmt.pid)
        on_psi_packet(d, &d->pmt, buf_rest(&in), continuity, starts);
    return E_AGAIN;
}

/* --- bytes --- */

/* What is in hand begins with no packet: the next byte that may begin one. */
static enum err seek_sync(struct ts_demux *d)
{
    unsigned at = 1;

    if (d->in_sync)
        d->counts.n_resyncs++;
    d->in_sync = false;
    while (at < d->used_bytes && d->packet[at] != TS_SYNC_BYTE)
        at++;
    d->used_bytes -= at;
    memmove(d->packet, d->packet + at, d->used_bytes);
    d->noise_bytes += at;
    return d->noise_bytes > TS_DEMUX_MAX_NOISE_BYTES ? E_PROTO : E_AGAIN;
}

/* A packet is one when another one follows it; in a row that is taken for granted. */
static unsigned wanted(const struct ts_demux *d)
{
    return d->in_sync ? TS_PACKET_BYTES : TS_PACKET_BYTES + 1;
}

static enum err gather(struct ts_demux *d, struct buf_reader *in)
{
    size_t room = wanted(d) - d->used_bytes;
    struct buf_view part = buf_take(in, in->left_bytes < room ? in->left_bytes : room);
    enum err e;

    memcpy(d->packet + d->used_bytes, part.data, part.size_bytes);
    d->used_bytes += (unsigned)part.size_bytes;
    if (d->packet[0] != TS_SYNC_BYTE)
        return seek_sync(d);
    if (d->used_bytes < wanted(d))
        return E_AGAIN;
    if (!d->in_sync && d->packet[TS_PACKET_BYTES] != TS_SYNC_BYTE)
        return seek_sync(d);
    d->noise_bytes = 0;
    e = on_packet(d, buf_view_of(d->packet, TS_PACKET_BYTES));
    d->used_bytes -= TS_PACKET_BYTES;
    d->packet[0] = TS_SYNC_BYTE; /* the one that was looked at, if there is one */
    d->in_sync = true;
    return e;
}

static enum err next_packet(struct ts_demux *d, struct buf_reader *in)
{
    bool whole = d->in_sync && !d->used_bytes && in->left_bytes >= TS_PACKET_BYTES &&
                 *in->at == TS_SYNC_BYTE;

    return whole ? on_packet(d, buf_take(in, TS_PACKET_BYTES)) : gather(d, in);
}

/* --- units --- */

static enum err next_pending(struct ts_demux *d, struct ts_unit *out)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ts_es *es = &d->es[i];
        enum err e;

        if (!es->is_pending)
            continue;
        e = es->codec->next(es, out);
        if (e == E_OK || e == E_NOMEM)
            return e;
        es->is_pending = false;
        d->counts.n_broken += e != E_AGAIN;
    }
    return E_AGAIN;
}

enum err ts_demux_next(struct ts_demux *demux, struct buf_reader *in, struct ts_unit *out)
{
    enum err e = next_pending(demux, out);

    while (e == E_AGAIN && in->left_bytes) {
        e = next_packet(demux, in);
        if (e == E_OK || e == E_AGAIN)
            e = next_pending(demux, out);
    }
    return e;
}

enum err ts_demux_end(struct ts_demux *demux, struct ts_unit *out)
{
    enum err e = next_pending(demux, out);

    for (unsigned i = 0; e == E_AGAIN && i < 2; i++) {
        struct ts_es *es = &demux->es[i];

        if (es->is_open && !es->expected_bytes && close_pes(demux, es) == E_NOMEM)
            return E_NOMEM;
        e = next_pending(demux, out);
    }
    return e;
}

bool ts_demux_is_amid(const struct ts_demux *demux)
{
    return demux->used_bytes;
}
