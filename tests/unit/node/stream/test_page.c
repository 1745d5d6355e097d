/* Pages: what a reader on another thread sees, references along the chain, positions. */
#include "tests/unit/node/stream/stream_test.h"

#include <pthread.h>

/* Bytes that are 0, 1, 2 ... 250, 0, 1 ... from the chain's begin on. */
static void fill(struct feed_page *page, size_t n_bytes)
{
    while (n_bytes) {
        uint8_t bytes[251];
        uint64_t at = page->before_bytes + page->written_bytes;
        size_t n = n_bytes < sizeof bytes ? n_bytes : sizeof bytes;
        struct buf_reader in = buf_reader_from(buf_view_of(bytes, n));

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((at + i) % 251);
        page_copy(page, &in);
        n_bytes -= n - in.left_bytes;
        if (in.left_bytes)
            return;
    }
}

static struct feed_page *next_page(struct pool *pool, struct feed_page *tail)
{
    return tail->written_next = page_create(pool, PAGE_SMALL, tail->seq + 1,
                                            tail->before_bytes + tail->written_bytes);
}

/* Writes n_bytes at the end of the chain and gives its last page; a unit begins there. */
static struct feed_page *write_unit(struct pool *pool, struct feed_page *tail, size_t n_bytes)
{
    uint64_t end_bytes;

    if (page_is_full(tail))
        tail = next_page(pool, tail);
    end_bytes = tail->before_bytes + tail->written_bytes + n_bytes;
    (void)page_begin_unit(tail);
    for (;;) {
        fill(tail, (size_t)(end_bytes - tail->before_bytes - tail->written_bytes));
        if (tail->before_bytes + tail->written_bytes == end_bytes)
            return tail;
        tail = next_page(pool, tail);
    }
}

static size_t s_room_bytes; /* what a small page holds of copied bytes */

static size_t page_room(void)
{
    struct pool *pool = pool_create();
    struct feed_page *page = page_create(pool, PAGE_SMALL, 1, 0);
    size_t room;

    fill(page, 1 << 20);
    room = page->written_bytes;
    page_unref(&page);
    pool_release(&pool);
    return room;
}

static size_t alive(struct pool *pool)
{
    struct pool_stats stats;

    pool_get_stats(pool, &stats);
    return stats.taken_bytes / k_pool_block_bytes[0];
}

static void test_unref_frees_along_the_chain_up_to_a_held_page(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0), *third;

    (void)state;
    third = write_unit(pool, first, 5 * s_room_bytes); /* five full pages */
    (void)page_publish(first);
    third = page_ref(first->written_next->written_next);
    assert_int_equal(alive(pool), 5);
    page_unref(&first);
    assert_null(first);
    assert_int_equal(alive(pool), 3); /* the third and what follows */
    page_unref(&third);
    assert_int_equal(alive(pool), 0);
    pool_release(&pool);
}

static void test_unref_takes_no_stack_when_the_chain_is_long(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0);

    (void)state;
    (void)write_unit(pool, first, 3000 * s_room_bytes);
    (void)page_publish(first);
    assert_int_equal(alive(pool), 3000);
    page_unref(&first);
    assert_int_equal(alive(pool), 0);
    pool_release(&pool);
}

static void test_pages_outlive_the_pool_that_they_came_from(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *page = page_create(pool, PAGE_LARGE, 1, 0);

    (void)state;
    pool_release(&pool);
    assert_null(pool);
    fill(page, 10000);
    page_unref(&page); /* the block held the shelf: a use after free would show here */
}

static void test_publish_shows_nothing_before_it_is_called(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0), *next;

    (void)state;
    (void)write_unit(pool, first, s_room_bytes + 100);
    assert_int_equal(page_published(first, &next), 0);
    assert_null(next);
    assert_ptr_equal(page_publish(first), first->written_next);
    assert_int_equal(page_published(first, &next), s_room_bytes);
    assert_ptr_equal(next, first->written_next);
    assert_int_equal(page_published(first->written_next, &next), 100);
    assert_null(next);
    page_unref(&first);
    pool_release(&pool);
}

static void test_positions_find_marks_and_unit_ends_across_pages(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0), *last;
    struct feed_pos start = {first, 0}, in_unit = {first, 120}, limit, end;

    (void)state;
    (void)write_unit(pool, first, 100);
    last = write_unit(pool, first, 2 * s_room_bytes); /* ends at 100 of the third page */
    last = write_unit(pool, last, 50);
    (void)page_publish(first);
    limit = (struct feed_pos){last, last->written_bytes};
    assert_non_null(pos_mark_at(&start));
    end = pos_unit_end(start, &limit);
    assert_ptr_equal(end.page, first);
    assert_int_equal(end.offset, 100);
    assert_null(pos_mark_at(&in_unit));
    assert_ptr_equal(pos_mark_before(&in_unit), &first->marks[1]);
    end = pos_unit_end(in_unit, &limit);
    assert_ptr_equal(end.page, last);
    assert_int_equal(end.offset, 100);
    assert_non_null(pos_mark_at(&end));
    end = pos_unit_end(end, &limit); /* the last unit ends where the bytes end */
    assert_int_equal(pos_compare(&end, &limit), 0);
    assert_int_equal(pos_compare(&start, &limit), -1);
    assert_int_equal(pos_compare(&limit, &start), 1);
    page_unref(&first);
    pool_release(&pool);
}

static void test_unit_end_stays_at_the_limit_when_more_is_published(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0);
    struct feed_pos start = {first, 0}, limit = {first, 60}, end;

    (void)state;
    (void)write_unit(pool, first, 100);
    (void)page_publish(first);
    end = pos_unit_end(start, &limit);
    assert_int_equal(end.offset, 60);
    page_unref(&first);
    pool_release(&pool);
}

static void test_normalise_moves_on_only_past_a_complete_page(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0);
    struct feed_pos pos = {first, 100};

    (void)state;
    (void)write_unit(pool, first, 100);
    (void)page_publish(first);
    pos_normalise(&pos);
    assert_ptr_equal(pos.page, first); /* more may come into this page */
    (void)write_unit(pool, first, s_room_bytes);
    (void)page_publish(first);
    pos_normalise(&pos);
    assert_ptr_equal(pos.page, first);
    pos.offset = (uint32_t)s_room_bytes;
    pos_normalise(&pos);
    assert_ptr_equal(pos.page, first->written_next);
    assert_int_equal(pos.offset, 0);
    page_unref(&first);
    pool_release(&pool);
}

static void test_init_is_kept_by_its_mark_until_the_page_goes(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0);
    struct feed_init *init = feed_init_create(3, buf_view_str("headers"));

    (void)state;
    (void)write_unit(pool, first, 10);
    first->marks[0].init = feed_init_ref(init);
    assert_int_equal(atomic_load(&init->refs), 2);
    page_unref(&first);
    assert_int_equal(atomic_load(&init->refs), 1);
    assert_int_equal(init->version, 3);
    assert_memory_equal(init->bytes, "headers", 7);
    feed_init_unref(&init);
    pool_release(&pool);
}

/* --- parts that stay in their frame --- */

#define BODY_BYTES 3000u

static const struct media_frame *big_frame(uint8_t first)
{
    uint8_t body[BODY_BYTES];
    struct media_frame_info info = {.kind = MEDIA_VIDEO};
    const struct media_frame *frame;

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(first + i);
    frame = media_frame_create(&info, buf_view_of(body, sizeof body));
    assert_non_null(frame);
    return frame;
}

static void copy_text(struct feed_page *page, struct buf_writer *expected, const char *text)
{
    struct buf_reader in = buf_reader_from(buf_view_str(text));

    buf_write_str(expected, text);
    page_copy(page, &in);
    assert_int_equal(in.left_bytes, 0);
}

static void lend_part(struct feed_page *page, struct buf_writer *expected,
                      const struct media_frame *frame, size_t offset, size_t size_bytes)
{
    struct buf_view part = buf_view_of(frame->body + offset, size_bytes);

    buf_write_view(expected, part);
    assert_true(page_lend(page, frame, part));
}

/* header, part, part, trailer + header, part: as units of large frames make them. */
static struct feed_page *mixed_page(struct pool *pool, struct buf_writer *expected)
{
    struct feed_page *page = page_create(pool, PAGE_SMALL, 1, 0);
    const struct media_frame *a = big_frame(1), *b = big_frame(77);

    buf_writer_init(expected, 1 << 20);
    copy_text(page, expected, "header");
    lend_part(page, expected, a, 0, 2500);
    lend_part(page, expected, a, 2500, 500);
    copy_text(page, expected, "trailer, header");
    lend_part(page, expected, b, 10, 2048);
    (void)page_publish(page);
    media_frame_unref(&a); /* the page has its own references */
    media_frame_unref(&b);
    return page;
}

static size_t gather_all(const struct feed_page *page, uint32_t from, uint32_t to, int max,
                         uint8_t *out)
{
    size_t n_bytes = 0;

    while (from < to) {
        struct iovec iov[8];
        int n = page_gather(page, &from, to, iov, max);

        assert_in_range(n, 1, max);
        for (int i = 0; i < n; i++) {
            memcpy(out + n_bytes, iov[i].iov_base, iov[i].iov_len);
            n_bytes += iov[i].iov_len;
        }
    }
    return n_bytes;
}

static void test_gather_gives_the_bytes_between_any_two_offsets(void **state)
{
    struct pool *pool = pool_create();
    struct buf_writer expected;
    struct feed_page *page = mixed_page(pool, &expected), *next;
    uint32_t used = page_published(page, &next);
    uint8_t *out = malloc(used);

    (void)state;
    assert_non_null(out);
    assert_int_equal(used, expected.used_bytes);
    for (uint32_t from = 0; from < used; from += 1 + from % 7) {
        for (uint32_t to = from; to <= used; to += to % 11 ? 13 : 1) {
            assert_int_equal(gather_all(page, from, to, 1 + (int)(to % 8), out), to - from);
            assert_memory_equal(out, expected.data + from, to - from);
        }
    }
    free(out);
    buf_writer_fini(&expected);
    page_unref(&page); /* with it the frames, or the leak checker speaks */
    pool_release(&pool);
}

static void test_gather_takes_one_iovec_for_copied_units(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *page = page_create(pool, PAGE_LARGE, 1, 0);
    uint32_t offset = 0;
    struct iovec iov[4];

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        (void)write_unit(pool, page, 100);
    (void)page_publish(page);
    assert_int_equal(page_gather(page, &offset, 5000, iov, 4), 1);
    assert_int_equal(offset, 5000);
    page_unref(&page);
    pool_release(&pool);
}

static void test_lend_refuses_when_the_page_has_all_the_parts_it_can(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *page = page_create(pool, PAGE_SMALL, 1, 0);
    const struct media_frame *frame = big_frame(0);
    unsigned n = 0;

    (void)state;
    while (page_lend(page, frame, media_frame_body(frame)))
        n++;
    assert_in_range(n, 1, 100);
    assert_int_equal(page->written_bytes, n * BODY_BYTES);
    page_unref(&page);
    media_frame_unref(&frame);
    pool_release(&pool);
}

static void test_page_is_full_when_its_parts_hold_much(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *page = page_create(pool, PAGE_LARGE, 1, 0);
    const struct media_frame *frame = make_frame(BODY_AVC_KEY, 1, 0, PAGE_MAX_BYTES);

    (void)state;
    assert_false(page_is_full(page));
    (void)page_begin_unit(page);
    assert_true(page_lend(page, frame, media_frame_body(frame)));
    assert_true(page_is_full(page));
    assert_false(page_lend(page, frame, media_frame_body(frame)));
    page_unref(&page);
    media_frame_unref(&frame);
    pool_release(&pool);
}

/* --- a reader on another thread --- */

#define STRESS_RUNS 20
#define STRESS_UNITS 200
#define STRESS_UNIT_PAGES 8u /* full ones: an end inside a unit is one that is no multiple */

struct stress {
    struct feed_page *pages[STRESS_UNITS * STRESS_UNIT_PAGES + 1];
    atomic_bool started, done;
    size_t n_pages;    /* seen by the reader */
    unsigned n_inside; /* ends seen that lie inside a unit */
};

static void *stress_reader(void *arg)
{
    struct stress *s = arg;
    struct feed_pos at = {s->pages[0], 0};
    bool last_round = false;

    atomic_store(&s->started, true);
    while (!last_round) {
        last_round = atomic_load(&s->done);
        for (;;) {
            struct feed_page *next;
            uint32_t used = page_published(at.page, &next);

            s->n_pages += used == s_room_bytes && at.offset < s_room_bytes;
            at.offset = used;
            if (!next)
                break;
            at = (struct feed_pos){next, 0};
        }
        s->n_inside += s->n_pages % STRESS_UNIT_PAGES != 0;
    }
    return NULL;
}

static void stress_run(struct stress *s)
{
    struct pool *pool = pool_create();
    struct feed_page *tail;
    size_t n = 0;
    pthread_t thread;

    for (size_t i = 0; i <= STRESS_UNITS * STRESS_UNIT_PAGES; i++)
        s->pages[i] = page_create(pool, PAGE_SMALL, i + 1, i * s_room_bytes);
    assert_int_equal(pthread_create(&thread, NULL, stress_reader, s), 0);
    while (!atomic_load(&s->started))
        continue;
    tail = s->pages[0];
    for (unsigned unit = 0; unit < STRESS_UNITS; unit++) {
        for (unsigned i = 0; i < STRESS_UNIT_PAGES; i++, n++) {
            s->pages[n]->written_bytes = (uint32_t)s_room_bytes;
            s->pages[n]->written_next = s->pages[n + 1];
        }
        tail = page_publish(tail);
    }
    atomic_store(&s->done, true);
    pthread_join(thread, NULL);
    page_unref(&s->pages[0]);
    assert_int_equal(alive(pool), 0);
    pool_release(&pool);
}

static void test_publish_shows_whole_units_only_to_another_thread(void **state)
{
    (void)state;
    for (unsigned run = 0; run < STRESS_RUNS; run++) {
        struct stress *s = calloc(1, sizeof *s);

        assert_non_null(s);
        stress_run(s);
        assert_int_equal(s->n_pages, STRESS_UNITS * STRESS_UNIT_PAGES);
        assert_int_equal(s->n_inside, 0);
        free(s);
    }
}

static void test_cancelled_unit_leaves_the_page_as_it_was(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *page = page_create(pool, PAGE_SMALL, 1, 0);
    size_t init_bytes = 99;

    (void)state;
    (void)write_unit(pool, page, 100);
    page_begin_unit(page)->init = feed_init_create(1, buf_view_str("twelve bytes"));
    page->init_bytes += 12;
    assert_true(page_cancel_unit(page, &init_bytes));
    assert_int_equal(init_bytes, 12);
    assert_int_equal(page->init_bytes, 0);
    assert_int_equal(page->written_marks, 1);
    assert_int_equal(page->written_bytes, 100);
    (void)page_begin_unit(page);
    assert_true(page_cancel_unit(page, &init_bytes));
    assert_int_equal(init_bytes, 0);
    page_unref(&page);
    assert_int_equal(alive(pool), 0);
    pool_release(&pool);
}

static void test_unit_of_which_something_was_written_is_not_cancelled(void **state)
{
    struct pool *pool = pool_create();
    struct feed_page *first = page_create(pool, PAGE_SMALL, 1, 0), *last;
    size_t init_bytes;

    (void)state;
    assert_false(page_cancel_unit(first, &init_bytes)); /* none begun */
    last = write_unit(pool, first, 1);
    assert_ptr_equal(last, first);
    assert_false(page_cancel_unit(first, &init_bytes));
    last = write_unit(pool, first, s_room_bytes); /* ends on the next page, which has no mark */
    assert_ptr_not_equal(last, first);
    assert_false(page_cancel_unit(last, &init_bytes));
    assert_int_equal(first->written_marks, 2);
    (void)page_publish(first);
    page_unref(&first);
    pool_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unref_frees_along_the_chain_up_to_a_held_page),
        cmocka_unit_test(test_unref_takes_no_stack_when_the_chain_is_long),
        cmocka_unit_test(test_pages_outlive_the_pool_that_they_came_from),
        cmocka_unit_test(test_gather_gives_the_bytes_between_any_two_offsets),
        cmocka_unit_test(test_gather_takes_one_iovec_for_copied_units),
        cmocka_unit_test(test_lend_refuses_when_the_page_has_all_the_parts_it_can),
        cmocka_unit_test(test_page_is_full_when_its_parts_hold_much),
        cmocka_unit_test(test_publish_shows_nothing_before_it_is_called),
        cmocka_unit_test(test_positions_find_marks_and_unit_ends_across_pages),
        cmocka_unit_test(test_unit_end_stays_at_the_limit_when_more_is_published),
        cmocka_unit_test(test_normalise_moves_on_only_past_a_complete_page),
        cmocka_unit_test(test_init_is_kept_by_its_mark_until_the_page_goes),
        cmocka_unit_test(test_publish_shows_whole_units_only_to_another_thread),
        cmocka_unit_test(test_cancelled_unit_leaves_the_page_as_it_was),
        cmocka_unit_test(test_unit_of_which_something_was_written_is_not_cancelled),
    };

    s_room_bytes = page_room();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
