/* links: proto/ws
 * Client frames. Whatever the split, the answer must be the same as for the whole. */
#include <stdlib.h>
#include <string.h>

#include "proto/ws/ws.h"

#define MAX_MESSAGE 4096

struct outcome {
    enum err e;
    unsigned close_code, n_messages;
    uint64_t sum; /* of all that was given */
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void note(struct outcome *o, const struct ws_message *m)
{
    check(m->opcode != WS_CONTINUATION && m->payload.size_bytes <= MAX_MESSAGE);
    check(m->opcode < WS_CLOSE || m->payload.size_bytes <= WS_MAX_CONTROL_BYTES);
    o->n_messages++;
    o->sum = o->sum * 31 + (uint64_t)m->opcode + m->close_code;
    for (size_t i = 0; i < m->payload.size_bytes; i++)
        o->sum = o->sum * 31 + m->payload.data[i];
}

static struct outcome decode(const uint8_t *data, size_t size, size_t step)
{
    struct outcome o = {.e = E_AGAIN};
    struct ws_decoder dec;

    ws_decoder_init(&dec, MAX_MESSAGE);
    for (size_t at = 0; at < size && o.e == E_AGAIN; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *copy = malloc(n);
        struct buf_reader in = buf_reader_from(buf_view_of(copy, n));
        struct ws_message m;

        check(copy != NULL);
        memcpy(copy, data + at, n);
        while ((o.e = ws_decoder_feed(&dec, &in, &m)) == E_OK)
            note(&o, &m);
        check(o.e != E_AGAIN || in.left_bytes == 0);
        free(copy);
    }
    check((o.e == E_AGAIN || o.e == E_END) == (dec.fault.text == NULL));
    o.close_code = dec.fault.close_code;
    ws_decoder_fini(&dec);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? data[0] + 1u : 1; /* the first byte picks the split */
    struct outcome whole, parts;

    if (size < 1)
        return 0;
    whole = decode(data + 1, size - 1, size);
    parts = decode(data + 1, size - 1, step);
    check(whole.e == parts.e && whole.close_code == parts.close_code &&
          whole.n_messages == parts.n_messages && whole.sum == parts.sum);
    return 0;
}
