/* links: proto/rtmp
 * What a server says when it asks for a password. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t k_nonce[RTMP_AUTH_NONCE_BYTES] = {1, 2, 3, 4};
    char out[RTMP_AUTH_SIZE] = "";
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (rtmp_auth_answer(buf_view_of(copy, size), "user", "password", k_nonce, out) == E_OK)
        assert(strlen(out) < RTMP_AUTH_SIZE && strstr(out, "authmod=adobe&user=user") == out);
    free(copy);
    return 0;
}
