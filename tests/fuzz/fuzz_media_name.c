/* Stream names; links: common/media. The first byte says where the rest is split into app and name.
 * What one door accepts, the other accepts too and gives the same name, and it holds nothing that a
 * path, a log line or a terminal would take for more than a letter. */
#include <stdlib.h>
#include <string.h>

#include "common/media/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

static void check_name(const struct stream_name *name)
{
    struct stream_name again;
    char path[STREAM_NAME_SIZE + 1] = "/";
    const char *why = NULL;

    REQUIRE(strlen(name->text) < STREAM_NAME_SIZE);
    REQUIRE(name->text[name->app_bytes] == '/');
    REQUIRE(name->text[0] != '.' && !strstr(name->text, "/.") && !strstr(name->text, "//"));
    for (const char *at = name->text; *at; at++)
        REQUIRE((unsigned char)*at > ' ' && !strchr("\x7f?#%\\\"'&<>:;=*", *at));
    strcpy(path + 1, name->text);
    REQUIRE(stream_name_from_path(&again, buf_view_str(path), &why) == E_OK);
    REQUIRE(strcmp(again.text, name->text) == 0 && again.app_bytes == name->app_bytes);
}

/* Each half gets a block of its own exact size. */
static struct buf_view heap_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        exit(1);
    if (size)
        memcpy(copy, data, size);
    return buf_view_of(copy, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t rest = size ? size - 1 : 0;
    size_t split = size && data[0] < rest ? data[0] : rest;
    const uint8_t *bytes = size ? data + 1 : data;
    struct buf_view app = heap_copy(bytes, split), name = heap_copy(bytes + split, rest - split);
    struct buf_view path = heap_copy(bytes, rest);
    struct stream_name got;
    const char *why = NULL;

    if (stream_name_make(&got, app, name, &why) == E_OK)
        check_name(&got);
    else
        REQUIRE(why);
    why = NULL;
    if (stream_name_from_path(&got, path, &why) == E_OK)
        check_name(&got);
    else
        REQUIRE(why);
    free((void *)(uintptr_t)app.data);
    free((void *)(uintptr_t)name.data);
    free((void *)(uintptr_t)path.data);
    return 0;
}
