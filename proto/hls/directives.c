/* Delivery directives: what a player asks of a playlist in its query string. bis 6.2.5. */
#include <string.h>

#include "proto/hls/hls.h"
#include "proto/hls/number.h"
#include "proto/http/http.h"

#define US_PER_S 1000000

/* E_OK and *has false when it is not there. */
static enum err read_directive(struct buf_view query, const char *key, uint64_t max, bool *has,
                               uint64_t *value)
{
    char text[24];
    enum err e = http_query_get(query, key, text, sizeof text);

    *has = false;
    if (e == E_NOT_FOUND)
        return E_OK;
    if (e != E_OK || !hls_read_number(buf_view_str(text), max, value))
        return E_INVAL;
    *has = true;
    return E_OK;
}

enum err hls_parse_directives(struct buf_view query, struct hls_directives *out, const char **why)
{
    struct hls_directives d = {.has_msn = false};
    uint64_t part = 0;
    char skip[8];

    *why = "_HLS_msn is no decimal number of 64 bits";
    if (read_directive(query, "_HLS_msn", UINT64_MAX, &d.has_msn, &d.msn) != E_OK)
        return E_INVAL;
    *why = "_HLS_part is no decimal number of 32 bits";
    if (read_directive(query, "_HLS_part", UINT32_MAX, &d.has_part, &part) != E_OK)
        return E_INVAL;
    *why = "_HLS_part without _HLS_msn";
    if (d.has_part && !d.has_msn)
        return E_INVAL;
    d.part = (uint32_t)part;
    if (http_query_get(query, "_HLS_skip", skip, sizeof skip) == E_OK)
        d.skip = strcmp(skip, "YES") == 0 || strcmp(skip, "v2") == 0;
    *why = NULL;
    *out = d;
    return E_OK;
}

/* Parts that a request may be ahead: 3 seconds of them, and at least 3. */
static uint64_t advance_part_limit(int64_t part_target_us)
{
    if (part_target_us >= US_PER_S)
        return 3;
    return (uint64_t)((3 * US_PER_S + part_target_us - 1) / part_target_us);
}

enum hls_answer hls_judge(const struct hls_directives *want, const struct hls_edge *edge)
{
    bool has_part = want->has_part && edge->part_target_us > 0;
    uint64_t msn = want->msn, part = want->part;

    if (edge->ended || !want->has_msn)
        return HLS_ANSWER_NOW;
    /* A part that its segment turned out not to have is the first one of the next segment. */
    if (has_part && msn < edge->next_msn && msn + 1 == edge->next_msn &&
        part >= edge->n_parts_before) {
        msn++;
        part = 0;
    }
    if (msn < edge->next_msn)
        return HLS_ANSWER_NOW;
    /* The last segment is next_msn - 1; two more may be asked for. */
    if (msn - edge->next_msn > 1)
        return HLS_ANSWER_REFUSE;
    if (!has_part)
        return HLS_ANSWER_LATER;
    if (msn == edge->next_msn && part < edge->n_parts)
        return HLS_ANSWER_NOW;
    if (part >=
        (msn == edge->next_msn ? edge->n_parts : 0) + advance_part_limit(edge->part_target_us))
        return HLS_ANSWER_REFUSE;
    return HLS_ANSWER_LATER;
}
