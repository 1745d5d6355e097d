/* AMF: any bytes are read without a fault, and what was read and written is read again the same.
 * The first byte says which format the rest is in.
 * links: proto/amf */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/amf/amf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct amf_limits k_limits = {
    .max_depth = 12,
    .max_values = 512,
    .max_string_bytes = 4096,
};
#define MAX_WRITTEN_BYTES ((size_t)1 << 20)

static enum err read_all3(struct amf_doc *doc, struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes);
    const struct amf_value *v;
    enum err e = E_OK;

    while (e == E_OK && in.left_bytes)
        e = amf3_read_value(doc, &in, &v);
    return e;
}

/* Reads what was written and writes it again: the same bytes. */
static void check_agrees(struct buf_view written)
{
    struct amf_doc *doc = amf_doc_create(&k_limits);
    const struct amf_value *v;
    struct buf_writer again;
    enum err e;

    assert(doc);
    buf_writer_init(&again, MAX_WRITTEN_BYTES);
    e = amf0_read_all(doc, written, &v);
    assert(e == E_OK);
    e = amf_write_doc(&again, doc);
    assert(e == E_OK);
    assert(again.used_bytes == written.size_bytes);
    assert(!again.used_bytes || memcmp(again.data, written.data, again.used_bytes) == 0);
    buf_writer_fini(&again);
    amf_doc_destroy(&doc);
    (void)e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct amf_doc *doc = amf_doc_create(&k_limits);
    uint8_t *copy = malloc(size ? size : 1);
    const struct amf_value *v;
    struct buf_writer written;
    enum err e = E_NOMEM;

    buf_writer_init(&written, MAX_WRITTEN_BYTES);
    if (doc && copy && size) {
        struct buf_view bytes = buf_view_of(copy, size - 1);

        memcpy(copy, data + 1, size - 1);
        e = data[0] & 1 ? read_all3(doc, bytes) : amf0_read_all(doc, bytes, &v);
    }
    if (e == E_OK && amf_write_doc(&written, doc) == E_OK)
        check_agrees(buf_writer_view(&written));
    buf_writer_fini(&written);
    amf_doc_destroy(&doc);
    free(copy);
    return 0;
}
