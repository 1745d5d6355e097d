/* common/base/metrics: the text format, families in order, counters from threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/metrics.h"

static struct metric series[] = {
    METRIC(METRIC_GAUGE, "headwater_sessions", "protocol=\"rtmp\"", "Sessions open now."),
    METRIC(METRIC_COUNTER, "headwater_bytes_total", "", "Bytes \\ sent,\nand more."),
    METRIC(METRIC_GAUGE, "headwater_sessions", "protocol=\"http\"", "Not shown: the first one is."),
    METRIC(METRIC_RATIO, "headwater_utilisation", "", "A share."),
    METRIC(METRIC_COUNTER, "zz_last_total", "", "After the process metrics."),
};
static const double k_bounds[] = {0.005, 0.1, 2.5};
static struct metric_histogram first_byte = {
    .name = "headwater_first_byte_seconds",
    .labels = "protocol=\"rtmp\"",
    .help = "Connect to first byte.",
    .bounds = k_bounds,
    .n_bounds = 3,
};
static struct metric_histogram plain = {
    .name = "headwater_plain_seconds",
    .labels = "",
    .help = "Without labels.",
    .bounds = k_bounds,
    .n_bounds = 1,
};

static int register_all(void **state)
{
    (void)state;
    metrics_register(series, sizeof series / sizeof series[0]);
    metrics_register_histogram(&plain);
    metrics_register_histogram(&first_byte);
    return 0;
}

/* Returns the text; the caller frees it. */
static char *rendered(void)
{
    struct buf_writer out;
    char *text;

    buf_writer_init(&out, 1 << 20);
    metrics_render(&out);
    assert_int_equal(buf_writer_status(&out), E_OK);
    text = strndup((const char *)out.data, out.used_bytes);
    buf_writer_fini(&out);
    assert_non_null(text);
    return text;
}

static void test_render_gives_family_once_with_all_its_series(void **state)
{
    char *text;

    (void)state;
    metric_set(&series[0], -3);
    metric_set(&series[2], 4);
    metric_add(&series[0], 1);
    text = rendered();
    assert_non_null(strstr(text, "# HELP headwater_sessions Sessions open now.\n"
                                 "# TYPE headwater_sessions gauge\n"
                                 "headwater_sessions{protocol=\"rtmp\"} -2\n"
                                 "headwater_sessions{protocol=\"http\"} 4\n"));
    assert_null(strstr(text, "Not shown"));
    free(text);
}

static void test_render_gives_a_ratio_as_gauge_with_decimals(void **state)
{
    static const struct {
        int64_t value;
        const char *text;
    } k_ratios[] = {{0, "0.000000"},
                    {METRIC_RATIO_ONE / 4, "0.250000"},
                    {METRIC_RATIO_ONE + 1, "1.000001"},
                    {-METRIC_RATIO_ONE / 2, "-0.500000"}};
    char line[160], *text;

    (void)state;
    for (size_t i = 0; i < sizeof k_ratios / sizeof k_ratios[0]; i++) {
        metric_set(&series[3], k_ratios[i].value);
        text = rendered();
        snprintf(line, sizeof line,
                 "# TYPE headwater_utilisation gauge\nheadwater_utilisation %s\n",
                 k_ratios[i].text);
        assert_non_null(strstr(text, line));
        free(text);
    }
}

/* 0 would be a value that somebody acts on. */
static void test_render_leaves_out_what_is_not_known(void **state)
{
    char *text;

    (void)state;
    metric_set(&series[3], METRIC_ABSENT);
    text = rendered();
    assert_non_null(strstr(text, "# TYPE headwater_utilisation gauge\n"));
    assert_null(strstr(text, "\nheadwater_utilisation "));
    free(text);
}

static void test_set_histogram_gives_what_another_has_counted(void **state)
{
    static const uint64_t k_counts[] = {3, 4};
    char *text;

    (void)state;
    metric_set_histogram(&plain, k_counts, 2500000);
    text = rendered();
    assert_non_null(strstr(text, "headwater_plain_seconds_bucket{le=\"0.005\"} 3\n"
                                 "headwater_plain_seconds_bucket{le=\"+Inf\"} 7\n"
                                 "headwater_plain_seconds_sum 2.500000\n"
                                 "headwater_plain_seconds_count 7\n"));
    free(text);
    metric_set_histogram(&plain, (const uint64_t[]){0, 0}, 0);
}

static void test_render_escapes_help(void **state)
{
    char *text;

    (void)state;
    metric_set(&series[1], INT64_MAX);
    text = rendered();
    assert_non_null(strstr(text, "# HELP headwater_bytes_total Bytes \\\\ sent,\\nand more.\n"
                                 "# TYPE headwater_bytes_total counter\n"
                                 "headwater_bytes_total 9223372036854775807\n"));
    free(text);
}

static void test_render_gives_families_sorted_by_name(void **state)
{
    char *text = rendered();
    char last[64] = "";
    int n = 0;

    (void)state;
    for (char *at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE "), n++) {
        char name[64];

        assert_int_equal(sscanf(at, "# TYPE %63s", name), 1);
        if (strcmp(last, name) >= 0)
            fail_msg("%s comes after %s", name, last);
        strcpy(last, name);
    }
    assert_int_equal(n, 4 + 2 + 7);
    assert_string_equal(last, "zz_last_total");
    free(text);
}

static void test_observe_gives_cumulative_buckets(void **state)
{
    char *text;

    (void)state;
    metric_observe_us(&first_byte, -5);   /* a clock that stepped counts as 0 */
    metric_observe_us(&first_byte, 5000); /* equal to a bound: inside it */
    metric_observe_us(&first_byte, 5001);
    metric_observe_us(&first_byte, 2500000);
    metric_observe_us(&first_byte, 60000000);
    text = rendered();
    assert_non_null(strstr(text,
                           "# HELP headwater_first_byte_seconds Connect to first byte.\n"
                           "# TYPE headwater_first_byte_seconds histogram\n"
                           "headwater_first_byte_seconds_bucket{protocol=\"rtmp\",le=\"0.005\"} 2\n"
                           "headwater_first_byte_seconds_bucket{protocol=\"rtmp\",le=\"0.1\"} 3\n"
                           "headwater_first_byte_seconds_bucket{protocol=\"rtmp\",le=\"2.5\"} 4\n"
                           "headwater_first_byte_seconds_bucket{protocol=\"rtmp\",le=\"+Inf\"} 5\n"
                           "headwater_first_byte_seconds_sum{protocol=\"rtmp\"} 62.510001\n"
                           "headwater_first_byte_seconds_count{protocol=\"rtmp\"} 5\n"));
    assert_non_null(strstr(text, "headwater_plain_seconds_bucket{le=\"0.005\"} 0\n"
                                 "headwater_plain_seconds_bucket{le=\"+Inf\"} 0\n"
                                 "headwater_plain_seconds_sum 0.000000\n"
                                 "headwater_plain_seconds_count 0\n"));
    free(text);
}

/* The number behind `name` and a space at the start of a line. */
static double value_of(const char *text, const char *name)
{
    char line[96];
    const char *at;

    snprintf(line, sizeof line, "\n%s ", name);
    at = strstr(text, line);
    if (!at)
        fail_msg("%s is missing", name);
    return atof(at + strlen(line));
}

static void test_render_gives_facts_about_the_process(void **state)
{
    char *text = rendered();
    double now = (double)time(NULL), start;

    (void)state;
    assert_true(value_of(text, "headwater_build_info{version=\"" HW_VERSION "\"}") == 1);
    assert_true(value_of(text, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(text, "process_virtual_memory_bytes") >=
                value_of(text, "process_resident_memory_bytes"));
    assert_true(value_of(text, "process_open_fds") >= 3);
    assert_true(value_of(text, "process_max_fds") >= value_of(text, "process_open_fds"));
    assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
    start = value_of(text, "process_start_time_seconds");
    assert_true(start > now - 120 && start < now + 2); /* the test's own time limit */
    free(text);
}

static void test_render_counts_open_descriptors(void **state)
{
    char *before = rendered();
    FILE *f = fopen("/dev/null", "r");
    char *after = rendered();

    (void)state;
    assert_non_null(f);
    assert_true(value_of(after, "process_open_fds") == value_of(before, "process_open_fds") + 1);
    fclose(f);
    free(before);
    free(after);
}

enum { N_THREADS = 4, N_ADDS = 20000 };

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < N_ADDS; i++) {
        metric_add(&series[4], 1);
        metric_observe_us(&plain, i % 2 ? 1 : 1000000);
    }
    return NULL;
}

static void test_add_loses_nothing_when_threads_add_and_one_renders(void **state)
{
    pthread_t threads[N_THREADS];
    char *text;

    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    free(rendered());
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    text = rendered();
    assert_true(value_of(text, "zz_last_total") == N_THREADS * N_ADDS);
    assert_true(value_of(text, "headwater_plain_seconds_count") == N_THREADS * N_ADDS);
    assert_true(value_of(text, "headwater_plain_seconds_bucket{le=\"0.005\"}") ==
                N_THREADS * N_ADDS / 2);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render_gives_family_once_with_all_its_series),
        cmocka_unit_test(test_render_gives_a_ratio_as_gauge_with_decimals),
        cmocka_unit_test(test_render_leaves_out_what_is_not_known),
        cmocka_unit_test(test_set_histogram_gives_what_another_has_counted),
        cmocka_unit_test(test_render_escapes_help),
        cmocka_unit_test(test_render_gives_families_sorted_by_name),
        cmocka_unit_test(test_observe_gives_cumulative_buckets),
        cmocka_unit_test(test_render_gives_facts_about_the_process),
        cmocka_unit_test(test_render_counts_open_descriptors),
        cmocka_unit_test(test_add_loses_nothing_when_threads_add_and_one_renders),
    };

    return cmocka_run_group_tests(tests, register_all, NULL);
}
