/* links: proto/proxy
 * Headers of the PROXY protocol. Bytes that come one after the other must end in what all of them
 * give at once. */
#include <stdlib.h>
#include <string.h>

#include "proto/proxy/proxy.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static enum err parse(const uint8_t *data, size_t size, struct proxy_header *out, size_t *used)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size));
    const char *why = NULL;
    enum err e;

    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    e = proxy_parse(&in, out, &why);
    check((e == E_PROTO) == (why != NULL));
    *used = size - in.left_bytes;
    check(e == E_OK ? *used > 0 && *used <= PROXY_MAX_BYTES : *used == 0);
    free(copy);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole = {0}, parts = {0};
    size_t used, used_parts = 0;
    enum err e = parse(data, size, &whole, &used), so_far = E_AGAIN;

    for (size_t n = 0; n <= size && so_far == E_AGAIN; n++)
        so_far = parse(data, n, &parts, &used_parts);
    check(so_far == e && used == used_parts);
    check(e != E_OK || (whole.family == parts.family && whole.port == parts.port &&
                        !memcmp(whole.address, parts.address, sizeof whole.address)));
    check(e != E_AGAIN || size < PROXY_MAX_BYTES);
    return 0;
}
