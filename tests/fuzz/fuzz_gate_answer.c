/* What a receiver answers a gate; links: node. Each is a denial, an answer that can be acted on, or
 * one line that says why not. The first two bytes pick the action and the status. */
#include <stdlib.h>
#include <string.h>

#include "node/hooks/gate_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

static void check_url(const char *url)
{
    REQUIRE(strstr(url, "://"));
    for (const char *at = url; *at; at++)
        REQUIRE((unsigned char)*at > 0x20 && *at != 0x7f);
}

static void check(enum gate_action action, unsigned status, const struct gate_answer *answer)
{
    struct stream_name same;
    const char *why;

    REQUIRE(!answer->is_policy);
    if (status > 299)
        REQUIRE(answer->verdict == GATE_DENY && answer->status == status);
    if (answer->verdict == GATE_DENY)
        REQUIRE(answer->status >= 400 && answer->status < 600 && answer->reason[0]);
    if (answer->verdict == GATE_REDIRECT)
        check_url(answer->redirect_url);
    if (answer->verdict == GATE_SOURCE)
        check_url(answer->source_url);
    if (answer->verdict == GATE_RENAME) {
        struct buf_view app = buf_view_of(answer->name.text, answer->name.app_bytes);

        REQUIRE(stream_name_make(&same, app, buf_view_str(stream_name_part(&answer->name)), &why) ==
                E_OK);
    }
    REQUIRE((answer->verdict == GATE_SOURCE) <= (action == GATE_NOT_FOUND));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned k_statuses[] = {200, 204, 401, 403, 404, 302, 500, 100};
    enum gate_action action = size ? (enum gate_action)(data[0] % GATE_N_ACTIONS) : GATE_PLAY;
    unsigned status = size > 1 ? k_statuses[data[1] % 8] : 200;
    size_t body_size = size > 2 ? size - 2 : 0;
    uint8_t *body = malloc(body_size ? body_size : 1);
    struct conf_error error = {""};
    struct gate_answer answer;
    uint64_t cache_s;

    if (!body)
        return 0;
    if (body_size)
        memcpy(body, data + 2, body_size);
    if (gate_answer_read(action, status, buf_view_of(body, body_size), &answer, &cache_s, &error) ==
        E_OK) {
        check(action, status, &answer);
        REQUIRE(cache_s <= 86400);
    } else {
        REQUIRE(error.text[0]);
    }
    free(body);
    return 0;
}
