/* node/cluster/beat: full reports, deltas, acknowledgement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/cluster/beat.h"

static struct cluster_stream stream(const char *name, uint64_t epoch, uint32_t n_viewers)
{
    struct cluster_stream s = {.epoch = epoch, .n_viewers = n_viewers};
    const char *why = "";
    char path[64];

    snprintf(path, sizeof path, "/%s", name);
    assert_int_equal(stream_name_from_path(&s.name, buf_view_str(path), &why), E_OK);
    return s;
}

static const struct cluster_stream *find(const struct cluster_heartbeat *m, const char *name)
{
    for (size_t i = 0; i < m->n_streams; i++)
        if (strcmp(m->streams[i].name.text, name) == 0)
            return &m->streams[i];
    return NULL;
}

/* Builds and acknowledges. */
static void report(struct beat_book *book, const struct cluster_stream *streams, size_t n,
                   int64_t now_us)
{
    struct cluster_heartbeat m = {0};

    assert_int_equal(beat_book_build(book, streams, n, now_us, &m), E_OK);
    assert_int_equal(beat_book_ack(book, &m, now_us), E_OK);
    cluster_heartbeat_fini(&m);
}

static void test_build_gives_full_report_at_first_and_until_acknowledged(void **state)
{
    struct cluster_stream streams[] = {stream("live/a", 5, 1), stream("live/b", 6, 0)};
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    beat_book_init(&book);
    for (int i = 0; i < 2; i++) { /* the first one got no answer */
        assert_int_equal(beat_book_build(&book, streams, 2, 0, &m), E_OK);
        assert_true(m.full);
        assert_int_equal(m.seq, 1);
        assert_int_equal(m.n_streams, 2);
        if (i == 0)
            cluster_heartbeat_fini(&m);
    }
    assert_int_equal(beat_book_ack(&book, &m, 0), E_OK);
    cluster_heartbeat_fini(&m);
    assert_int_equal(beat_book_epoch(&book, "live/b"), 6);
    assert_int_equal(beat_book_epoch(&book, "live/c"), 0);
    beat_book_fini(&book);
}

static void test_build_gives_what_changed_came_and_went_as_delta(void **state)
{
    struct cluster_stream first[] = {stream("live/same", 1, 2), stream("live/changed", 2, 0),
                                     stream("live/gone", 3, 0)};
    struct cluster_stream second[] = {stream("live/same", 1, 2), stream("live/changed", 2, 9),
                                      stream("live/new", 4, 0)};
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    beat_book_init(&book);
    report(&book, first, 3, 0);
    assert_int_equal(beat_book_build(&book, second, 3, 1000, &m), E_OK);
    assert_false(m.full);
    assert_int_equal(m.seq, 2);
    assert_int_equal(m.n_streams, 3);
    assert_null(find(&m, "live/same"));
    assert_int_equal(find(&m, "live/changed")->n_viewers, 9);
    assert_false(find(&m, "live/new")->removed);
    assert_true(find(&m, "live/gone")->removed);
    assert_int_equal(find(&m, "live/gone")->epoch, 3);
    assert_int_equal(beat_book_ack(&book, &m, 1000), E_OK);
    cluster_heartbeat_fini(&m);

    assert_int_equal(beat_book_build(&book, second, 3, 2000, &m), E_OK);
    assert_int_equal(m.seq, 3);
    assert_int_equal(m.n_streams, 0);
    cluster_heartbeat_fini(&m);
    beat_book_fini(&book);
}

static void test_build_repeats_delta_that_was_not_acknowledged(void **state)
{
    struct cluster_stream streams[] = {stream("live/a", 1, 0), stream("live/b", 2, 0)};
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    beat_book_init(&book);
    report(&book, streams, 1, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(beat_book_build(&book, streams, 2, 1000, &m), E_OK);
        assert_int_equal(m.seq, 2);
        assert_int_equal(m.n_streams, 1);
        assert_non_null(find(&m, "live/b"));
        cluster_heartbeat_fini(&m);
    }
    beat_book_fini(&book);
}

static void test_build_gives_full_report_when_wanted_or_due(void **state)
{
    struct cluster_stream streams[] = {stream("live/a", 1, 0)};
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    beat_book_init(&book);
    report(&book, streams, 1, 0);
    book.want_full = true;
    assert_int_equal(beat_book_build(&book, streams, 1, 1000, &m), E_OK);
    assert_true(m.full);
    assert_int_equal(beat_book_ack(&book, &m, 1000), E_OK);
    cluster_heartbeat_fini(&m);
    assert_false(book.want_full);

    assert_int_equal(beat_book_build(&book, streams, 1, BEAT_FULL_EVERY_US, &m), E_OK);
    assert_false(m.full);
    cluster_heartbeat_fini(&m);
    assert_int_equal(beat_book_build(&book, streams, 1, BEAT_FULL_EVERY_US + 1000, &m), E_OK);
    assert_true(m.full);
    cluster_heartbeat_fini(&m);
    beat_book_fini(&book);
}

static void test_ack_forgets_what_a_full_report_left_out(void **state)
{
    struct cluster_stream streams[] = {stream("live/a", 1, 0), stream("live/b", 1, 0)};
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    beat_book_init(&book);
    report(&book, streams, 2, 0);
    book.want_full = true;
    report(&book, streams, 1, 1000);
    assert_int_equal(beat_book_epoch(&book, "live/b"), 0);
    assert_int_equal(beat_book_build(&book, NULL, 0, 2000, &m), E_OK);
    assert_int_equal(m.n_streams, 1);
    assert_true(m.streams[0].removed);
    cluster_heartbeat_fini(&m);
    beat_book_fini(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_gives_full_report_at_first_and_until_acknowledged),
        cmocka_unit_test(test_build_gives_what_changed_came_and_went_as_delta),
        cmocka_unit_test(test_build_repeats_delta_that_was_not_acknowledged),
        cmocka_unit_test(test_build_gives_full_report_when_wanted_or_due),
        cmocka_unit_test(test_ack_forgets_what_a_full_report_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
