/* LOAS/LATM: AudioSyncStream, AudioMuxElement, StreamMuxConfig. */
#include "proto/codec/latm.h"

#include <string.h>

#include "proto/codec/bits.h"

enum { SYNC = 0x2b7, HEADER_BYTES = 3, AOT_SBR = 5, AOT_PS = 29, AOT_ESCAPE = 31, AOT_LTP = 4 };

/* 1.7.3.1, LatmGetValue() */
static uint32_t read_value(struct bit_reader *r)
{
    unsigned n_bytes = bit_read(r, 2) + 1;

    return bit_read(r, n_bytes * 8);
}

/* What is read goes into the configuration as well: it does not begin at a byte. */
struct config_copy {
    struct bit_reader *from;
    uint8_t bytes[LATM_CONFIG_MAX_BYTES];
    unsigned n_bits;
};

static uint32_t copy(struct config_copy *c, unsigned n_bits)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < n_bits; i++, c->n_bits++) {
        unsigned bit = bit_read(c->from, 1);

        value = value << 1 | bit;
        if (c->n_bits / 8 < sizeof c->bytes)
            c->bytes[c->n_bits / 8] |= (uint8_t)(bit << (7 - c->n_bits % 8));
        else
            c->from->in.overrun = true;
    }
    return value;
}

static void copy_rate(struct config_copy *c)
{
    if (copy(c, 4) == 15)
        (void)copy(c, 24);
}

/* 1.6.2.1 as far as the plain object types go: here its length follows from its content alone. */
static enum err copy_config(struct config_copy *c)
{
    unsigned type = copy(c, 5), channels;

    copy_rate(c);
    channels = copy(c, 4);
    if (type == AOT_SBR || type == AOT_PS) {
        copy_rate(c);
        type = copy(c, 5);
    }
    if (type == 0 || type > AOT_LTP || !channels)
        return E_UNSUPPORTED;
    (void)copy(c, 1); /* frame length */
    if (copy(c, 1))   /* depends on core coder */
        (void)copy(c, 14);
    (void)copy(c, 1); /* extension */
    return bit_overrun(c->from) ? E_PROTO : E_OK;
}

static enum err read_config(struct latm *latm, struct bit_reader *r, bool has_length)
{
    struct config_copy c = {.from = r};
    uint32_t n_bits = has_length ? read_value(r) : 0;
    enum err e = copy_config(&c);

    if (e != E_OK)
        return e;
    if (has_length && n_bits < c.n_bits)
        return E_PROTO;
    if (has_length)
        bit_skip(r, n_bits - c.n_bits);
    memcpy(latm->config, c.bytes, sizeof c.bytes);
    latm->config_bytes = (uint8_t)((c.n_bits + 7) / 8);
    return E_OK;
}

/* 1.7.3.1, StreamMuxConfig() */
static enum err read_mux_config(struct latm *latm, struct bit_reader *r)
{
    unsigned version = bit_read(r, 1);
    enum err e;

    latm->config_bytes = 0; /* until it is read: frames of another configuration are noise */
    if (version == 1 && bit_read(r, 1))
        return E_UNSUPPORTED;
    if (version == 1)
        (void)read_value(r);
    bit_skip(r, 1); /* all streams have the same framing: there is one */
    latm->n_sub_frames = (uint8_t)(bit_read(r, 6) + 1);
    if (bit_read(r, 4) || bit_read(r, 3))
        return E_UNSUPPORTED;
    e = read_config(latm, r, version == 1);
    if (e != E_OK)
        return e;
    if (bit_read(r, 3) != 0) { /* frameLengthType */
        latm->config_bytes = 0;
        return E_UNSUPPORTED;
    }
    bit_skip(r, 8);
    latm->other_bits = 0;
    if (bit_read_flag(r)) {
        bool more = version == 0;

        latm->other_bits = version == 1 ? read_value(r) : 0;
        while (more && !bit_overrun(r)) {
            more = bit_read_flag(r);
            latm->other_bits = latm->other_bits << 8 | bit_read(r, 8);
        }
    }
    if (bit_read_flag(r))
        bit_skip(r, 8);
    return bit_overrun(r) ? E_PROTO : E_OK;
}

static enum err read_frame(struct bit_reader *r, struct buf_writer *out)
{
    uint32_t size_bytes = 0, part;
    uint8_t *to;

    do {
        part = bit_read(r, 8);
        size_bytes += part;
    } while (part == 255 && !bit_overrun(r));
    if (bit_overrun(r) || (size_t)size_bytes * 8 > bit_left(r))
        return E_PROTO;
    buf_write_u16be(out, size_bytes);
    to = buf_writer_reserve(out, size_bytes);
    for (uint32_t i = 0; to && i < size_bytes; i++)
        to[i] = (uint8_t)bit_read(r, 8);
    return buf_writer_status(out);
}

static enum err read_element(struct latm *latm, struct buf_view element, struct buf_writer *out)
{
    struct bit_reader r = bit_reader_from(element);
    enum err e = E_OK;

    if (!bit_read_flag(&r))
        e = read_mux_config(latm, &r);
    for (unsigned i = 0; e == E_OK && latm->config_bytes && i < latm->n_sub_frames; i++)
        e = read_frame(&r, out);
    return e;
}

enum err latm_next(struct latm *latm, struct buf_reader *in, struct buf_writer *out)
{
    struct buf_reader at = *in;
    uint32_t header = buf_read_u24be(&at);
    struct buf_view element;

    buf_writer_clear(out);
    if (at.overrun)
        return E_AGAIN;
    if (header >> 13 != SYNC) {
        (void)buf_read_u8(in);
        return E_PROTO;
    }
    element = buf_take(&at, header & 0x1fff);
    if (at.overrun)
        return E_AGAIN;
    *in = at;
    return read_element(latm, element, out);
}
