/* Bits, the most significant first. */
#include "proto/codec/bits.h"

struct bit_reader bit_reader_from(struct buf_view bytes)
{
    return (struct bit_reader){.in = buf_reader_from(bytes)};
}

struct bit_reader bit_reader_from_nal(struct buf_view bytes)
{
    return (struct bit_reader){.in = buf_reader_from(bytes), .escaped = true};
}

static void open_byte(struct bit_reader *r)
{
    r->byte = buf_read_u8(&r->in);
    if (r->escaped && r->n_zeros >= 2 && r->byte == 3) {
        r->byte = buf_read_u8(&r->in);
        r->n_zeros = 0;
    }
    r->n_zeros = r->byte == 0 ? r->n_zeros + 1 : 0;
    r->left_bits = 8;
}

uint32_t bit_read(struct bit_reader *r, unsigned n_bits)
{
    uint32_t value = 0;

    while (n_bits > 0 && !r->in.overrun) {
        unsigned n;

        if (r->left_bits == 0)
            open_byte(r);
        n = n_bits < r->left_bits ? n_bits : r->left_bits;
        value = value << n | ((uint32_t)r->byte >> (r->left_bits - n) & ((1u << n) - 1));
        r->left_bits -= n;
        n_bits -= n;
    }
    return r->in.overrun ? 0 : value;
}

void bit_skip(struct bit_reader *r, unsigned n_bits)
{
    for (; n_bits > 32 && !r->in.overrun; n_bits -= 32)
        (void)bit_read(r, 32);
    (void)bit_read(r, n_bits < 32 ? n_bits : 32);
}

uint32_t bit_read_ue(struct bit_reader *r)
{
    unsigned n_zeros = 0;

    while (!bit_read_flag(r)) {
        if (r->in.overrun || ++n_zeros > 31) {
            r->in.overrun = true;
            return 0;
        }
    }
    return (1u << n_zeros) - 1 + bit_read(r, n_zeros);
}

int32_t bit_read_se(struct bit_reader *r)
{
    uint32_t code = bit_read_ue(r); /* 0, 1, -1, 2, -2, ...: 9.1.1 */
    int32_t half = (int32_t)(code / 2);

    return code % 2 ? half + 1 : -half;
}
