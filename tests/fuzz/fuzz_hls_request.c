/* links: proto/hls
 * What a player sends: a query string with directives, and a name. What is taken comes out the same
 * when it is written again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/hls/hls.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void try_directives(struct buf_view query)
{
    struct hls_directives d, again;
    struct hls_edge edge = {.next_msn = 10, .n_parts = 2, .n_parts_before = 5};
    const char *why;
    char text[128];

    if (hls_parse_directives(query, &d, &why) != E_OK) {
        check(why != NULL);
        return;
    }
    check(why == NULL && (d.has_msn || !d.has_part));
    (void)hls_judge(&d, &edge);
    edge.part_target_us = 200000;
    if (d.has_msn)
        check((hls_judge(&d, &edge) == HLS_ANSWER_REFUSE) || d.msn <= 11);
    if (!d.has_part)
        return;
    snprintf(text, sizeof text, "_HLS_msn=%" PRIu64 "&_HLS_part=%" PRIu32 "&_HLS_skip=%s", d.msn,
             d.part, d.skip ? "v2" : "no");
    check(hls_parse_directives(buf_view_str(text), &again, &why) == E_OK);
    check(again.msn == d.msn && again.part == d.part && again.skip == d.skip);
}

static void try_name(struct buf_view text)
{
    struct hls_name name;
    char again[HLS_NAME_SIZE];

    if (hls_parse_name(text, &name) != E_OK)
        return;
    hls_format_name(&name, again);
    check(buf_view_equals(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    try_directives(buf_view_of(copy, size));
    try_name(buf_view_of(copy, size));
    free(copy);
    return 0;
}
