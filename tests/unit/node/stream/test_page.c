/* Pages: what a reader on another thread sees, references along the chain, positions. */
#include "tests/unit/node/stream/stream_test.h"

#include <pthread.h>

/* Writes n_bytes at the end of the chain and gives its last page; a unit begins there. */
static struct feed_page *write_unit(struct feed_page *tail, size_t n_bytes)
{
    struct feed_mark *mark;

    if (tail->written_marks == PAGE_MARKS || tail->written_bytes == PAGE_BYTES) {
        tail->written_next = page_create(tail->account, tail->seq + 1);
        tail = tail->written_next;
    }
    mark = &tail->marks[tail->written_marks++];
    *mark = (struct feed_mark){.offset = tail->written_bytes};
    while (n_bytes) {
        size_t room = PAGE_BYTES - tail->written_bytes;
        size_t here = n_bytes < room ? n_bytes : room;

        if (!room) {
            tail->written_next = page_create(tail->account, tail->seq + 1);
            tail = tail->written_next;
            continue;
        }
        memset(tail->data + tail->written_bytes, 0x5a, here);
        tail->written_bytes += (uint32_t)here;
        n_bytes -= here;
    }
    return tail;
}

static uint32_t alive(struct page_account *account)
{
    return atomic_load(&account->n_pages);
}

static void test_unref_frees_along_the_chain_up_to_a_held_page(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1), *third;

    (void)state;
    third = write_unit(first, 5 * PAGE_BYTES); /* five full pages */
    (void)page_publish(first);
    third = page_ref(first->written_next->written_next);
    assert_int_equal(alive(account), 5);
    page_unref(&first);
    assert_null(first);
    assert_int_equal(alive(account), 3); /* the third and what follows */
    page_unref(&third);
    assert_int_equal(alive(account), 0);
    page_account_unref(&account);
}

static void test_unref_takes_no_stack_when_the_chain_is_long(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1);

    (void)state;
    (void)write_unit(first, 3000 * (size_t)PAGE_BYTES);
    (void)page_publish(first);
    assert_int_equal(alive(account), 3000);
    page_unref(&first);
    assert_int_equal(alive(account), 0);
    page_account_unref(&account);
}

static void test_account_outlives_the_feed_that_made_it(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *page = page_create(account, 1);

    (void)state;
    page_account_unref(&account);
    assert_null(account);
    page_unref(&page); /* the page held the account: a use after free would show here */
}

static void test_publish_shows_nothing_before_it_is_called(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1), *next;

    (void)state;
    (void)write_unit(first, PAGE_BYTES + 100);
    assert_int_equal(page_published(first, &next), 0);
    assert_null(next);
    assert_ptr_equal(page_publish(first), first->written_next);
    assert_int_equal(page_published(first, &next), PAGE_BYTES);
    assert_ptr_equal(next, first->written_next);
    assert_int_equal(page_published(first->written_next, &next), 100);
    assert_null(next);
    page_unref(&first);
    page_account_unref(&account);
}

static void test_positions_find_marks_and_unit_ends_across_pages(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1), *last;
    struct feed_pos start = {first, 0}, in_unit = {first, 120}, limit, end;

    (void)state;
    (void)write_unit(first, 100);
    last = write_unit(first, 2 * PAGE_BYTES); /* ends at 100 of the third page */
    last = write_unit(last, 50);
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
    page_account_unref(&account);
}

static void test_unit_end_stays_at_the_limit_when_more_is_published(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1);
    struct feed_pos start = {first, 0}, limit = {first, 60}, end;

    (void)state;
    (void)write_unit(first, 100);
    (void)page_publish(first);
    end = pos_unit_end(start, &limit);
    assert_int_equal(end.offset, 60);
    page_unref(&first);
    page_account_unref(&account);
}

static void test_normalise_moves_on_only_past_a_complete_page(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1);
    struct feed_pos pos = {first, 100};

    (void)state;
    (void)write_unit(first, 100);
    (void)page_publish(first);
    pos_normalise(&pos);
    assert_ptr_equal(pos.page, first); /* more may come into this page */
    (void)write_unit(first, PAGE_BYTES);
    (void)page_publish(first);
    pos_normalise(&pos);
    assert_ptr_equal(pos.page, first);
    pos.offset = PAGE_BYTES;
    pos_normalise(&pos);
    assert_ptr_equal(pos.page, first->written_next);
    assert_int_equal(pos.offset, 0);
    page_unref(&first);
    page_account_unref(&account);
}

static void test_init_is_kept_by_its_mark_until_the_page_goes(void **state)
{
    struct page_account *account = page_account_create();
    struct feed_page *first = page_create(account, 1);
    struct feed_init *init = feed_init_create(3, buf_view_str("headers"));

    (void)state;
    (void)write_unit(first, 10);
    first->marks[0].init = feed_init_ref(init);
    assert_int_equal(atomic_load(&init->refs), 2);
    page_unref(&first);
    assert_int_equal(atomic_load(&init->refs), 1);
    assert_int_equal(init->version, 3);
    assert_memory_equal(init->bytes, "headers", 7);
    feed_init_unref(&init);
    page_account_unref(&account);
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

            s->n_pages += used == PAGE_BYTES && at.offset < PAGE_BYTES;
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
    struct page_account *account = page_account_create();
    struct feed_page *tail;
    size_t n = 0;
    pthread_t thread;

    for (size_t i = 0; i <= STRESS_UNITS * STRESS_UNIT_PAGES; i++)
        s->pages[i] = page_create(account, i + 1);
    assert_int_equal(pthread_create(&thread, NULL, stress_reader, s), 0);
    while (!atomic_load(&s->started))
        continue;
    tail = s->pages[0];
    for (unsigned unit = 0; unit < STRESS_UNITS; unit++) {
        for (unsigned i = 0; i < STRESS_UNIT_PAGES; i++, n++) {
            s->pages[n]->written_bytes = PAGE_BYTES;
            s->pages[n]->written_next = s->pages[n + 1];
        }
        tail = page_publish(tail);
    }
    atomic_store(&s->done, true);
    pthread_join(thread, NULL);
    page_unref(&s->pages[0]);
    assert_int_equal(alive(account), 0);
    page_account_unref(&account);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unref_frees_along_the_chain_up_to_a_held_page),
        cmocka_unit_test(test_unref_takes_no_stack_when_the_chain_is_long),
        cmocka_unit_test(test_account_outlives_the_feed_that_made_it),
        cmocka_unit_test(test_publish_shows_nothing_before_it_is_called),
        cmocka_unit_test(test_positions_find_marks_and_unit_ends_across_pages),
        cmocka_unit_test(test_unit_end_stays_at_the_limit_when_more_is_published),
        cmocka_unit_test(test_normalise_moves_on_only_past_a_complete_page),
        cmocka_unit_test(test_init_is_kept_by_its_mark_until_the_page_goes),
        cmocka_unit_test(test_publish_shows_whole_units_only_to_another_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
