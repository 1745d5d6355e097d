/* The text of a configuration file; links: common/base. Every input gives a configuration whose
 * values keep to the schema, or one printable line that says why not. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/conf_impl.h"
#include "tests/unit/common/base/conf_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

static void check_values(const struct sample *conf)
{
    REQUIRE(conf->loops <= 256);
    REQUIRE(conf->latency >= 0 && conf->latency <= 2);
    REQUIRE(!conf->zone || strlen(conf->zone) <= 8);
    REQUIRE(!conf->rtmp_listen || !conf->rtmp_listen[0] || strchr(conf->rtmp_listen, ':'));
    REQUIRE(conf->gop_bytes == 0 || conf->gop_bytes >= 10); /* 0: the file did not say */
    REQUIRE(conf->schedulers.n_items <= 3);
    for (size_t i = 0; i < conf->schedulers.n_items; i++)
        REQUIRE(conf->schedulers.items[i][0]);
}

static void check_error(const struct conf_error *error)
{
    REQUIRE(strncmp(error->text, "f.json:", 7) == 0);
    for (const char *at = error->text; *at; at++)
        REQUIRE(!iscntrl((unsigned char)*at));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_error error = {""};
    struct sample conf = {0};
    char *text = malloc(size ? size : 1);
    enum err e;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    e = conf_file_load_text(&k_sample, "f.json", text, size, &conf, &error);
    check_values(&conf); /* what was set before an error counts too */
    if (e != E_OK)
        check_error(&error);
    conf_free(&k_sample, &conf);
    free(text);
    return 0;
}
