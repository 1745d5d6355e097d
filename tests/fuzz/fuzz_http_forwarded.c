/* links: proto/http
 * Forwarded and X-Forwarded-For: what is given lies inside of what came, and is no more than asked.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/http/http.h"

#define MAX_HOPS 3

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_inside(struct buf_view part, const uint8_t *data, size_t size)
{
    check(part.size_bytes == 0 ||
          (part.data >= data && part.size_bytes <= size - (size_t)(part.data - data)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const k_names[] = {"X-Forwarded-For", "Forwarded"};
    uint8_t *copy = malloc(size ? size : 1);

    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    for (int field = HTTP_HOPS_X_FORWARDED_FOR; field <= HTTP_HOPS_FORWARDED; field++) {
        struct http_head head = {.n_fields = 2};
        struct http_hop hops[MAX_HOPS];
        unsigned n;

        head.fields[0] = (struct http_field){buf_view_str(k_names[field]), buf_view_of(copy, size)};
        head.fields[1] =
            (struct http_field){buf_view_str("X-Forwarded-Proto"), buf_view_of(copy, size)};
        n = http_forwarded_hops(&head, (enum http_hops_field)field, hops, MAX_HOPS);
        check(n <= MAX_HOPS);
        for (unsigned i = 0; i < n; i++) {
            check_inside(hops[i].host, copy, size);
            check_inside(hops[i].proto, copy, size);
        }
    }
    free(copy);
    return 0;
}
