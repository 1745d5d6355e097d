/* node/control/access_log: what ends up in the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/log.h"
#include "node/control/access_log.h"
#include "node/control/node_metrics.h"

static char g_path[64];

static int setup(void **state)
{
    int fd;

    (void)state;
    log_set_level(LOG_ERROR);
    snprintf(g_path, sizeof g_path, "/tmp/headwater-access-log-XXXXXX");
    fd = mkstemp(g_path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(g_path);
}

static const struct access_entry k_entry = {.node = "n",
                                            .session = "f-1",
                                            .client = "10.0.0.1:5",
                                            .protocol = "flv",
                                            .kind = "play",
                                            .stream = "live/x",
                                            .referrer = "",
                                            .agent = "a \"b\"\n\xff\x1f",
                                            .reason = "closed by the peer",
                                            .wall_us = 1767323045678000,
                                            .duration_us = 1234567,
                                            .bytes_out = 99,
                                            .n_jumps = 2};

static const char *read_all(char *out, size_t size)
{
    FILE *file = fopen(g_path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(out, 1, size - 1, file);
    out[n] = '\0';
    fclose(file);
    return out;
}

static void test_put_writes_an_object_a_line(void **state)
{
    struct access_log *log = access_log_create(g_path, ACCESS_LOG_JSON);
    char text[2048];
    json_t *json;

    (void)state;
    access_log_put(log, &k_entry);
    access_log_destroy(&log);
    read_all(text, sizeof text);
    assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "time")),
                        "2026-01-02T03:04:05.678Z");
    assert_string_equal(json_string_value(json_object_get(json, "agent")),
                        "a \"b\"\n\xef\xbf\xbd\x1f");
    assert_int_equal(json_integer_value(json_object_get(json, "bytes_out")), 99);
    assert_true(json_is_false(json_object_get(json, "refused")));
    assert_true(json_real_value(json_object_get(json, "seconds")) > 1.23);
    json_decref(json);
}

static void test_put_writes_keys_and_values_as_text(void **state)
{
    struct access_log *log = access_log_create(g_path, ACCESS_LOG_TEXT);
    char text[2048];

    (void)state;
    access_log_put(log, &k_entry);
    access_log_destroy(&log);
    read_all(text, sizeof text);
    assert_non_null(strstr(text, "2026-01-02T03:04:05.678Z node=n session=f-1 client=10.0.0.1:5 "
                                 "protocol=flv kind=play stream=live/x refused=false "
                                 "seconds=1.235 bytes_in=0 bytes_out=99 jumps=2 dropped=0 "
                                 "referrer=- agent="));
    assert_non_null(strstr(text, "reason=\"closed by the peer\"\n"));
    assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
}

static void test_put_cuts_long_texts(void **state)
{
    struct access_log *log = access_log_create(g_path, ACCESS_LOG_JSON);
    struct access_entry entry = k_entry;
    char agent[3000], text[4096];

    (void)state;
    memset(agent, 'a', sizeof agent - 1);
    agent[sizeof agent - 1] = '\0';
    entry.agent = agent;
    access_log_put(log, &entry);
    access_log_destroy(&log);
    assert_true(strlen(read_all(text, sizeof text)) < ACCESS_LOG_TEXT_BYTES + 400);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

/* More than the queue takes, while nobody can know how fast the thread is: each line is written, or
 * counted. */
static void test_put_loses_nothing_uncounted(void **state)
{
    int64_t written = atomic_load(&m_access_log_lines.value);
    int64_t lost =
        atomic_load(&m_access_log_lost_queue.value) + atomic_load(&m_access_log_lost_file.value);
    struct access_log *log = access_log_create(g_path, ACCESS_LOG_JSON);

    (void)state;
    for (int i = 0; i < 50000; i++)
        access_log_put(log, &k_entry);
    access_log_destroy(&log);
    written = atomic_load(&m_access_log_lines.value) - written;
    lost = atomic_load(&m_access_log_lost_queue.value) +
           atomic_load(&m_access_log_lost_file.value) - lost;
    assert_int_equal(written + lost, 50000);
    assert_true(written >= 16384);
}

static void test_put_is_fine_when_it_is_off(void **state)
{
    (void)state;
    access_log_put(NULL, &k_entry);
    access_log_reopen(NULL);
    access_log_destroy(&(struct access_log *){NULL});
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_put_writes_an_object_a_line), T(test_put_writes_keys_and_values_as_text),
        T(test_put_cuts_long_texts),         T(test_put_loses_nothing_uncounted),
        T(test_put_is_fine_when_it_is_off),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
