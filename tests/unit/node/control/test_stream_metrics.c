/* Series of single streams: of those with most viewers, and never more than asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/control/stream_metrics.h"

static void add(struct stream_metrics *m, const char *name, uint32_t n_viewers, int64_t lag_us)
{
    struct stream_info info = {.live = true,
                               .n_viewers = n_viewers,
                               .bytes_in = 10,
                               .n_frames = {1, 2},
                               .lag_us = lag_us,
                               .lag_unc_us = lag_us < 0 ? -1 : 5};

    snprintf(info.name.text, sizeof info.name.text, "%s", name);
    stream_metrics_add(m, &info);
}

static void assert_text(struct stream_metrics *m, const char *expected)
{
    struct buf_writer out;
    char text[4096];

    buf_writer_init(&out, sizeof text);
    stream_metrics_render(m, &out);
    assert_int_equal(buf_writer_status(&out), E_OK);
    assert_true(buf_view_to_str(buf_writer_view(&out), text, sizeof text));
    assert_string_equal(text, expected);
    buf_writer_fini(&out);
}

static void test_render_gives_nothing_when_nothing_is_wanted(void **state)
{
    struct stream_metrics m;

    (void)state;
    assert_int_equal(stream_metrics_init(&m, 0), E_OK);
    add(&m, "live/a", 3, 0);
    assert_text(&m, "");
    stream_metrics_fini(&m);
}

static void test_render_gives_each_family_by_name(void **state)
{
    struct stream_metrics m;

    (void)state;
    assert_int_equal(stream_metrics_init(&m, 2), E_OK);
    add(&m, "live/b", 3, -1);
    add(&m, "live/a", 4, 1234567);
    assert_text(&m, "# HELP headwater_top_stream_bytes_in_total Bytes of media received\n"
                    "# TYPE headwater_top_stream_bytes_in_total counter\n"
                    "headwater_top_stream_bytes_in_total{stream=\"live/a\"} 10\n"
                    "headwater_top_stream_bytes_in_total{stream=\"live/b\"} 10\n"
                    "# HELP headwater_top_stream_frames_total Frames received\n"
                    "# TYPE headwater_top_stream_frames_total counter\n"
                    "headwater_top_stream_frames_total{stream=\"live/a\"} 3\n"
                    "headwater_top_stream_frames_total{stream=\"live/b\"} 3\n"
                    "# HELP headwater_top_stream_lag_seconds From where it was taken in to here\n"
                    "# TYPE headwater_top_stream_lag_seconds gauge\n"
                    "headwater_top_stream_lag_seconds{stream=\"live/a\"} 1.234567\n"
                    "# HELP headwater_top_stream_live 1 while it has a source\n"
                    "# TYPE headwater_top_stream_live gauge\n"
                    "headwater_top_stream_live{stream=\"live/a\"} 1\n"
                    "headwater_top_stream_live{stream=\"live/b\"} 1\n"
                    "# HELP headwater_top_stream_relays Nodes that pull it from here\n"
                    "# TYPE headwater_top_stream_relays gauge\n"
                    "headwater_top_stream_relays{stream=\"live/a\"} 0\n"
                    "headwater_top_stream_relays{stream=\"live/b\"} 0\n"
                    "# HELP headwater_top_stream_viewers People who watch it here\n"
                    "# TYPE headwater_top_stream_viewers gauge\n"
                    "headwater_top_stream_viewers{stream=\"live/a\"} 4\n"
                    "headwater_top_stream_viewers{stream=\"live/b\"} 3\n");
    stream_metrics_fini(&m);
}

/* In whatever order they come: the same ones, and of equals the lower names. */
static void test_add_keeps_those_with_most_viewers(void **state)
{
    struct stream_metrics m;
    char name[32];

    (void)state;
    for (uint32_t step = 1; step < 100; step += 7) {
        assert_int_equal(stream_metrics_init(&m, 10), E_OK);
        for (uint32_t i = 0; i < 100; i++) {
            uint32_t at = i * step % 101 % 100;

            snprintf(name, sizeof name, "live/%02u", at);
            add(&m, name, at / 3, 0);
        }
        assert_int_equal(m.n, 10);
        for (size_t i = 0; i < m.n; i++)
            assert_true(m.items[i].n_viewers >= 29);
        stream_metrics_fini(&m);
    }
}

static void test_add_keeps_the_lower_names_of_equals(void **state)
{
    struct stream_metrics m;
    char name[32];
    bool found[3] = {false};

    (void)state;
    assert_int_equal(stream_metrics_init(&m, 3), E_OK);
    for (int i = 20; i-- > 0;) {
        snprintf(name, sizeof name, "live/%02d", i);
        add(&m, name, 7, 0);
    }
    for (size_t i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            snprintf(name, sizeof name, "live/%02d", j);
            found[j] |= strcmp(m.items[i].name.text, name) == 0;
        }
    assert_true(found[0] && found[1] && found[2]);
    stream_metrics_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render_gives_nothing_when_nothing_is_wanted),
        cmocka_unit_test(test_render_gives_each_family_by_name),
        cmocka_unit_test(test_add_keeps_those_with_most_viewers),
        cmocka_unit_test(test_add_keeps_the_lower_names_of_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
