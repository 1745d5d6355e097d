/* RTMP chunks: any bytes, split by the first byte, give the same messages as unsplit.
 * links: proto/rtmp */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/chunk_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rtmp_chunk_limits k_limits = {
    .max_media_bytes = 1 << 14,
    .max_other_bytes = 1 << 10,
    .max_chunk_size = 1 << 12,
    .max_chunk_streams = 6,
};

struct result {
    unsigned n_messages;
    uint32_t sum; /* over all that the messages say */
    enum err e;
};

static void add(struct result *r, const struct rtmp_message *m)
{
    const uint32_t k_prime = 16777619u; /* FNV-1a */

    r->n_messages++;
    r->sum = (r->sum ^ m->timestamp_ms) * k_prime;
    r->sum = (r->sum ^ m->stream_id) * k_prime;
    r->sum = (r->sum ^ m->type_id) * k_prime;
    for (size_t i = 0; i < m->payload.size_bytes; i++)
        r->sum = (r->sum ^ m->payload.data[i]) * k_prime;
}

static void feed_piece(struct rtmp_chunk_decoder *dec, const uint8_t *data, size_t size,
                       struct result *r)
{
    uint8_t *copy = malloc(size);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size));
    struct rtmp_message m;

    assert(copy);
    memcpy(copy, data, size);
    while ((r->e = rtmp_chunk_decoder_feed(dec, &in, &m)) == E_OK)
        add(r, &m);
    assert(r->e != E_AGAIN || in.left_bytes == 0);
    free(copy);
}

static struct result feed_all(const uint8_t *data, size_t size, size_t step)
{
    struct rtmp_chunk_decoder dec;
    struct result r = {.e = E_AGAIN};

    rtmp_chunk_decoder_init(&dec, &k_limits);
    for (size_t at = 0; at < size && r.e == E_AGAIN; at += step)
        feed_piece(&dec, data + at, size - at < step ? size - at : step, &r);
    rtmp_chunk_decoder_fini(&dec);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result split, whole;

    if (size < 2)
        return 0;
    split = feed_all(data + 1, size - 1, data[0] + 1u);
    whole = feed_all(data + 1, size - 1, size - 1);
    assert(split.n_messages == whole.n_messages && split.sum == whole.sum && split.e == whole.e);
    (void)split;
    (void)whole;
    return 0;
}
