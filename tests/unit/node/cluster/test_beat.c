/* node/cluster/beat: full reports, deltas, acknowledgement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
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
    assert_int_equal(beat_book_ack(book, &m, true, now_us), E_OK);
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
    assert_int_equal(beat_book_ack(&book, &m, true, 0), E_OK);
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
    assert_int_equal(beat_book_ack(&book, &m, true, 1000), E_OK);
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
    beat_book_want_full(&book);
    assert_int_equal(beat_book_build(&book, streams, 1, 1000, &m), E_OK);
    assert_true(m.full);
    assert_int_equal(beat_book_ack(&book, &m, true, 1000), E_OK);
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
    beat_book_want_full(&book);
    report(&book, streams, 1, 1000);
    assert_int_equal(beat_book_epoch(&book, "live/b"), 0);
    assert_int_equal(beat_book_build(&book, NULL, 0, 2000, &m), E_OK);
    assert_int_equal(m.n_streams, 1);
    assert_true(m.streams[0].removed);
    cluster_heartbeat_fini(&m);
    beat_book_fini(&book);
}

/* Many streams, "live/0" and so on. */
#define N_MANY (2 * CLUSTER_PART_STREAMS + 500)
static struct cluster_stream *many_streams(void)
{
    struct cluster_stream *streams = calloc(N_MANY, sizeof *streams);
    char name[32];

    assert_non_null(streams);
    for (unsigned i = 0; i < N_MANY; i++) {
        snprintf(name, sizeof name, "live/%u", i);
        streams[i] = stream(name, i + 1, 0);
    }
    return streams;
}

/* The book of a node whose scheduler takes parts. */
static void begin_with_parts(struct beat_book *book)
{
    beat_book_init(book);
    report(book, NULL, 0, 0);
    beat_book_want_full(book);
}

static void test_build_gives_a_long_full_report_in_parts(void **state)
{
    static const struct {
        size_t n_streams;
        bool more;
    } k_parts[] = {{CLUSTER_PART_STREAMS, true}, {CLUSTER_PART_STREAMS, true}, {500, false}};
    struct cluster_stream *streams = many_streams();
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    begin_with_parts(&book);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(beat_book_build(&book, streams, N_MANY, 1000, &m), E_OK);
        assert_true(m.full);
        assert_int_equal(m.seq, i + 2); /* behind the one that said that it takes parts */
        assert_int_equal(m.part, i);
        assert_int_equal(m.more, k_parts[i].more);
        assert_int_equal(m.n_streams, k_parts[i].n_streams);
        assert_string_equal(m.streams[0].name.text,
                            streams[(size_t)i * CLUSTER_PART_STREAMS].name.text);
        assert_int_equal(beat_book_ack(&book, &m, true, 1000), E_OK);
        assert_int_equal(beat_book_is_done(&book), !k_parts[i].more);
        cluster_heartbeat_fini(&m);
    }
    assert_int_equal(beat_book_epoch(&book, "live/0"), 1);
    assert_int_equal(beat_book_epoch(&book, streams[N_MANY - 1].name.text), N_MANY);
    assert_int_equal(beat_book_build(&book, streams, N_MANY, 2000, &m), E_OK);
    assert_false(m.full); /* from here on deltas */
    assert_int_equal(m.n_streams, 0);
    cluster_heartbeat_fini(&m);
    beat_book_fini(&book);
    free(streams);
}

static void test_build_begins_again_when_a_part_was_lost(void **state)
{
    struct cluster_stream *streams = many_streams();
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    begin_with_parts(&book);
    report(&book, streams, N_MANY, 1000);
    assert_false(beat_book_is_done(&book));
    beat_book_want_full(&book); /* the second one got no answer */
    assert_true(beat_book_is_done(&book));
    assert_int_equal(beat_book_build(&book, streams, N_MANY, 2000, &m), E_OK);
    assert_true(m.full && m.more);
    assert_int_equal(m.part, 0);
    cluster_heartbeat_fini(&m);
    beat_book_fini(&book);
    free(streams);
}

static void test_build_gives_a_long_report_whole_to_those_who_take_no_parts(void **state)
{
    struct cluster_stream *streams = many_streams();
    struct cluster_heartbeat m = {0};
    struct beat_book book;

    (void)state;
    begin_with_parts(&book);
    assert_int_equal(beat_book_build(&book, streams, N_MANY, 1000, &m), E_OK);
    assert_true(m.more);
    /* Another scheduler answers, of an earlier release: to it that part was everything. */
    assert_int_equal(beat_book_ack(&book, &m, false, 1000), E_OK);
    cluster_heartbeat_fini(&m);
    assert_true(beat_book_is_done(&book));
    assert_int_equal(beat_book_build(&book, streams, N_MANY, 2000, &m), E_OK);
    assert_true(m.full);
    assert_false(m.more);
    assert_int_equal(m.n_streams, N_MANY);
    assert_int_equal(beat_book_ack(&book, &m, false, 2000), E_OK);
    cluster_heartbeat_fini(&m);
    assert_false(book.want_full);
    beat_book_fini(&book);
    free(streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_gives_full_report_at_first_and_until_acknowledged),
        cmocka_unit_test(test_build_gives_what_changed_came_and_went_as_delta),
        cmocka_unit_test(test_build_repeats_delta_that_was_not_acknowledged),
        cmocka_unit_test(test_build_gives_full_report_when_wanted_or_due),
        cmocka_unit_test(test_ack_forgets_what_a_full_report_left_out),
        cmocka_unit_test(test_build_gives_a_long_full_report_in_parts),
        cmocka_unit_test(test_build_begins_again_when_a_part_was_lost),
        cmocka_unit_test(test_build_gives_a_long_report_whole_to_those_who_take_no_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
