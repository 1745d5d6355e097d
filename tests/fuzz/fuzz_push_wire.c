/* links: node/relay
 * What an origin answers to a forwarding edge, in pieces; and the headers of such an edge. The
 * first byte picks the split. */
#include <stdlib.h>
#include <string.h>

#include "node/relay/push_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void read_answers(const uint8_t *data, size_t size, size_t step)
{
    struct push_answers answers;
    struct push_answer answer;
    enum err e = E_AGAIN;

    push_answers_init(&answers);
    for (size_t at = 0; at < size && e == E_AGAIN; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *copy = malloc(n);

        if (!copy)
            break;
        memcpy(copy, data + at, n);
        e = push_answers_add(&answers, buf_view_of(copy, n));
        free(copy);
        while (e == E_OK && (e = push_answers_next(&answers, &answer)) == E_OK) {
            require(answer.status >= 100 && answer.status <= 999);
            require(memchr(answer.detail, 0, sizeof answer.detail) != NULL);
            require(answer.status >= 200 || !answer.detail[0]);
        }
        require(e == E_AGAIN || e == E_PROTO || e == E_TOO_BIG || e == E_NOMEM);
    }
    push_answers_fini(&answers);
}

/* "forward" and "run", cut at the first line end. */
static void read_request(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct push_request request;
    char *run;

    if (!text)
        return;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    run = strchr(text, '\n');
    if (run)
        *run++ = '\0';
    if (push_read_request(text, run, &request) == E_OK) {
        require(cluster_id_is_valid(request.edge));
        require(memchr(request.client, 0, sizeof request.client) != NULL);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    read_answers(data + 1, size - 1, data[0] + 1u);
    read_request(data + 1, size - 1);
    return 0;
}
