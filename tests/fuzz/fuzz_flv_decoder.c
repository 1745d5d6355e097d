/* links: proto/flv
 * Any bytes as an FLV stream, in pieces of the size that the first byte picks. What comes out is
 * written again and decoded whole: the tags have to agree. */
#include <stdlib.h>
#include <string.h>

#include "proto/flv/flv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TAG_BYTES = 1 << 16, MAX_WRITTEN_BYTES = 1 << 22 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Each piece has its own heap block. */
static enum err feed_piece(struct flv_decoder *dec, const uint8_t *data, size_t size,
                           struct buf_writer *written)
{
    uint8_t *copy = malloc(size);
    struct buf_reader in;
    struct flv_tag tag;
    enum err e;

    if (!copy)
        return E_NOMEM;
    memcpy(copy, data, size);
    in = buf_reader_from(buf_view_of(copy, size));
    while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK) {
        require(tag.body.size_bytes == tag.header.data_bytes);
        flv_write_tag(written, tag.header.type_id, tag.header.dts_ms, tag.body);
    }
    require(e != E_AGAIN || in.left_bytes == 0);
    require(e == E_AGAIN || flv_decoder_error(dec)[0] != '\0');
    free(copy);
    return e;
}

static void decode_again(const struct buf_writer *written)
{
    struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
    struct buf_reader in = buf_reader_from(buf_writer_view(written));
    struct buf_writer again;
    struct flv_tag tag;
    enum err e;

    if (!dec)
        return;
    buf_writer_init(&again, MAX_WRITTEN_BYTES);
    flv_write_file_header(&again, true, true);
    while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK)
        flv_write_tag(&again, tag.header.type_id, tag.header.dts_ms, tag.body);
    require(e == E_AGAIN);
    require(again.used_bytes == written->used_bytes);
    require(memcmp(again.data, written->data, again.used_bytes) == 0);
    buf_writer_fini(&again);
    flv_decoder_destroy(&dec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
    size_t step = size ? data[0] + 1u : 1;
    struct buf_writer written;
    enum err e = E_AGAIN;

    buf_writer_init(&written, MAX_WRITTEN_BYTES);
    flv_write_file_header(&written, true, true);
    for (size_t at = 1; dec && at < size && e == E_AGAIN; at += step)
        e = feed_piece(dec, data + at, size - at < step ? size - at : step, &written);
    flv_decoder_destroy(&dec);
    if (buf_writer_status(&written) == E_OK)
        decode_again(&written);
    buf_writer_fini(&written);
    return 0;
}
