/* Bytes in a row, by reference. */
#include "node/hls/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* All bytes of data, to be freed. */
static uint8_t *flatten(const struct hls_data *data)
{
    uint8_t *all = malloc(hls_data_size(data) + 1);
    size_t n, at = 0;
    const struct buf_view *views = hls_data_views(data, &n);

    assert_non_null(all);
    for (size_t i = 0; i < n; i++) {
        memcpy(all + at, views[i].data, views[i].size_bytes);
        at += views[i].size_bytes;
    }
    assert_int_equal(at, hls_data_size(data));
    all[at] = 0;
    return all;
}

static void test_put_joins_what_lies_side_by_side(void **state)
{
    struct hls_data *data = hls_data_create();
    uint8_t *all;
    size_t n;

    (void)state;
    hls_data_put(data, buf_view_str("one "));
    hls_data_put(data, buf_view_str(""));
    hls_data_put(data, buf_view_str("two"));
    (void)hls_data_views(data, &n);
    assert_int_equal(n, 1);
    all = flatten(data);
    assert_string_equal((char *)all, "one two");
    free(all);
    hls_data_unref(&data);
    assert_null(data);
}

static void test_put_takes_more_than_a_block(void **state)
{
    struct hls_data *data = hls_data_create();
    uint8_t *big = malloc(100000), *all;

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        big[i] = (uint8_t)(i * 7);
    hls_data_put(data, buf_view_of(big, 10));
    hls_data_put(data, buf_view_of(big, 100000));
    for (unsigned i = 0; i < 1000; i++)
        hls_data_put(data, buf_view_of(big + i * 100, 100));
    all = flatten(data);
    assert_memory_equal(all, big, 10);
    assert_memory_equal(all + 10, big, 100000);
    assert_memory_equal(all + 100010, big, 100000);
    free(all);
    free(big);
    hls_data_unref(&data);
}

static void test_put_frame_keeps_the_frame_and_copies_nothing(void **state)
{
    struct media_frame_info info = {.kind = MEDIA_VIDEO, .es_offset = 2};
    const struct media_frame *frame = media_frame_create(&info, buf_view_str("xxpicture"));
    struct hls_data *data = hls_data_create(), *joined = hls_data_create();
    const struct buf_view *views;
    uint8_t *all;
    size_t n;

    (void)state;
    hls_data_put(data, buf_view_str("head "));
    hls_data_put_frame(data, frame, buf_view_of(frame->body + 2, 7));
    views = hls_data_views(data, &n);
    assert_int_equal(n, 2);
    assert_ptr_equal(views[1].data, frame->body + 2);
    hls_data_put_data(joined, data);
    media_frame_unref(&frame);
    hls_data_unref(&data);
    all = flatten(joined); /* the last one holds all */
    assert_string_equal((char *)all, "head picture");
    free(all);
    hls_data_unref(&joined);
}

static void test_number_is_each_ones_own(void **state)
{
    struct hls_data *a = hls_data_create(), *b = hls_data_create();

    (void)state;
    assert_int_not_equal(hls_data_number(a), hls_data_number(b));
    hls_data_unref(&a);
    hls_data_unref(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_joins_what_lies_side_by_side),
        cmocka_unit_test(test_put_takes_more_than_a_block),
        cmocka_unit_test(test_put_frame_keeps_the_frame_and_copies_nothing),
        cmocka_unit_test(test_number_is_each_ones_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
