/* Bits, the most significant first, as every codec configuration has them. For headers: it goes
 * byte by byte, not word by word. Sans I/O. */
#ifndef HW_PROTO_CODEC_BITS_H
#define HW_PROTO_CODEC_BITS_H

#include "common/base/buf.h"

/* A reader is a value, as struct buf_reader is: a short read gives 0 and sets in.overrun for good.
 */
struct bit_reader {
    struct buf_reader in; /* behind the byte that is open */
    unsigned n_zeros;     /* zero bytes in a row before the next one */
    unsigned left_bits;   /* of the open byte */
    uint8_t byte;         /* open */
    bool escaped;         /* 00 00 03 stands for 00 00: H.264 7.4.1, H.265 7.4.2 */
};

/* Borrows bytes while the reader is used. */
struct bit_reader bit_reader_from(struct buf_view bytes);
/* Over the payload of a NAL unit: emulation prevention bytes are left out. */
struct bit_reader bit_reader_from_nal(struct buf_view bytes);

uint32_t bit_read(struct bit_reader *r, unsigned n_bits); /* n_bits <= 32 */
static inline bool bit_read_flag(struct bit_reader *r)
{
    return bit_read(r, 1) != 0;
}
void bit_skip(struct bit_reader *r, unsigned n_bits);
/* Exp-Golomb, H.264 9.1: ue(v) and se(v). A code of more than 31 zeros is an overrun. */
uint32_t bit_read_ue(struct bit_reader *r);
int32_t bit_read_se(struct bit_reader *r);
static inline bool bit_overrun(const struct bit_reader *r)
{
    return r->in.overrun;
}
/* Bits not read yet, emulation prevention bytes counted. */
static inline size_t bit_left(const struct bit_reader *r)
{
    return r->in.left_bytes * 8 + r->left_bits;
}

#endif
