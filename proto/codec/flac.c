/* FLAC: "fLaC" and metadata blocks, and how long a frame is. RFC 9639 8.1, 8.2, 9.1. */
#include <stdio.h>

#include "proto/codec/params.h"

enum { BLOCK_STREAMINFO = 0, STREAMINFO_BYTES = 34, BLOCK_LAST = 0x80 };

enum err flac_params(struct codec_params *p, struct buf_view config, const char **why)
{
    struct codec_audio *a = &p->audio;
    struct buf_reader in = buf_reader_from(config);
    bool has_magic = buf_view_equals(buf_take(&in, 4), "fLaC");
    uint8_t type;
    uint32_t size_bytes;
    struct bit_reader r;

    p->record = buf_rest(&in);
    type = buf_read_u8(&in);
    size_bytes = buf_read_u24be(&in);
    r = bit_reader_from(buf_take(&in, STREAMINFO_BYTES));
    if (!has_magic || in.overrun || (type & ~BLOCK_LAST) != BLOCK_STREAMINFO ||
        size_bytes != STREAMINFO_BYTES)
        return params_fail(why, "no fLaC with STREAMINFO");
    bit_skip(&r, 16); /* smallest block */
    a->samples_per_frame = bit_read(&r, 16);
    bit_skip(&r, 24 + 24); /* smallest and largest frame */
    a->sample_rate_hz = a->output_rate_hz = bit_read(&r, 20);
    a->channels = (uint8_t)(bit_read(&r, 3) + 1);
    a->bits = (uint8_t)(bit_read(&r, 5) + 1);
    if (a->sample_rate_hz == 0)
        return params_fail(why, "STREAMINFO: sampling rate 0");
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "flac");
    return E_OK;
}

/* The frame or sample number, coded as UTF-8 codes characters, stands before the block size. */
static void skip_coded_number(struct bit_reader *r)
{
    unsigned first = bit_read(r, 8);

    for (unsigned mask = 0x40; first & 0x80 && first & mask; mask >>= 1)
        bit_skip(r, 8);
}

uint32_t flac_frame_samples(struct buf_view frame)
{
    struct bit_reader r = bit_reader_from(frame);
    unsigned sync = bit_read(&r, 15);
    unsigned code;
    uint32_t samples = 0;

    bit_skip(&r, 1); /* blocking strategy */
    code = bit_read(&r, 4);
    bit_skip(&r, 4 + 4 + 3 + 1); /* rate, channels, bits, reserved */
    skip_coded_number(&r);
    if (code == 1)
        samples = 192;
    else if (code >= 2 && code <= 5)
        samples = 576u << (code - 2);
    else if (code == 6 || code == 7)
        samples = bit_read(&r, code == 6 ? 8 : 16) + 1;
    else if (code >= 8)
        samples = 256u << (code - 8);
    return bit_overrun(&r) || sync != 0x7ffc ? 0 : samples;
}
