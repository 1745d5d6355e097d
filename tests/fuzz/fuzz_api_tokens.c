/* links: common/net
 * The file of API tokens: whatever is in it, it is read whole or refused with a line. */
#include <stdlib.h>
#include <string.h>

#include "common/net/api_tokens.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_tokens tokens = {NULL, 0};
    struct conf_error error = {""};
    char *text = malloc(size + 1);
    enum err e;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    e = api_tokens_parse("file", text, &tokens, &error);
    check(e == E_OK || tokens.n_items == 0);
    check(e != E_INVAL || strncmp(error.text, "file: line ", 11) == 0);
    for (size_t i = 0; i < tokens.n_items; i++)
        check(tokens.items[i].name[0] && tokens.items[i].scope < API_NONE);
    api_tokens_fini(&tokens);
    free(text);
    return 0;
}
