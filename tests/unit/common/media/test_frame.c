/* common/media/frame: content, references, and references from many threads (for TSan too). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "tests/unit/common/limited_alloc.h"
#include "common/media/frame.c"
#include "tests/unit/common/limited_alloc_end.h"

static const struct media_frame_info k_info = {
    .kind = MEDIA_VIDEO,
    .codec = CODEC_H264,
    .flags = FRAME_KEY,
    .track_id = 3,
    .es_offset = 5,
    .dts_us = -1,
    .cts_us = 40000,
    .ingest_us = INT64_MAX,
    .gop = UINT64_MAX,
};

static void test_create_copies_info_and_body(void **state)
{
    char body[] = "\x17\x01\0\0\0data";
    const struct media_frame *frame = media_frame_create(&k_info, buf_view_of(body, sizeof body));

    (void)state;
    assert_non_null(frame);
    memset(body, 0, sizeof body);
    assert_memory_equal(frame->body, "\x17\x01\0\0\0data", sizeof body);
    assert_int_equal(media_frame_body(frame).size_bytes, sizeof body);
    assert_ptr_equal(media_frame_body(frame).data, frame->body);
    assert_int_equal(frame->info.codec, CODEC_H264);
    assert_int_equal(frame->info.track_id, 3);
    assert_true(frame->info.dts_us == -1 && frame->info.gop == UINT64_MAX);
    media_frame_unref(&frame);
    assert_null(frame);
}

static void test_create_gives_frame_when_body_is_empty(void **state)
{
    const struct media_frame_info info = {.kind = MEDIA_DATA, .codec = CODEC_SCRIPT};
    const struct media_frame *frame = media_frame_create(&info, buf_view_of(NULL, 0));

    (void)state;
    assert_non_null(frame);
    assert_int_equal(media_frame_body(frame).size_bytes, 0);
    media_frame_unref(&frame);
}

static void test_create_gives_null_when_size_overflows(void **state)
{
    (void)state;
    assert_null(media_frame_create(&k_info, buf_view_of("", SIZE_MAX)));
}

static void test_create_gives_null_when_out_of_memory(void **state)
{
    (void)state;
    allocations_left = 0;
    assert_null(media_frame_create(&k_info, buf_view_str("12345")));
    allocations_left = -1;
}

static void test_unref_frees_with_the_last_reference(void **state)
{
    const struct media_frame *a = media_frame_create(&k_info, buf_view_str("12345"));
    const struct media_frame *b;

    (void)state;
    assert_non_null(a);
    b = media_frame_ref(a);
    assert_ptr_equal(a, b);
    media_frame_unref(&a);
    assert_null(a);
    assert_memory_equal(b->body, "12345", 5); /* freed, the address sanitizer would say so */
    media_frame_unref(&b);
    media_frame_unref(&b); /* NULL is fine */
}

enum { N_THREADS = 4, N_ROUNDS = 20000 };

/* Owns one reference on entry; takes and drops many, the first one last. */
static void *use_frame(void *arg)
{
    const struct media_frame *own = arg;
    unsigned long sum = 0;

    for (int i = 0; i < N_ROUNDS; i++) {
        const struct media_frame *more = media_frame_ref(own);

        sum += more->body[i % 5];
        media_frame_unref(&more);
    }
    media_frame_unref(&own);
    return (void *)sum;
}

static void test_ref_and_unref_agree_when_called_from_threads(void **state)
{
    const struct media_frame *frame = media_frame_create(&k_info, buf_view_str("\1\1\1\1\1"));
    pthread_t threads[N_THREADS];

    (void)state;
    assert_non_null(frame);
    for (int i = 0; i < N_THREADS; i++) {
        const struct media_frame *given = media_frame_ref(frame);

        assert_int_equal(pthread_create(&threads[i], NULL, use_frame, (void *)(uintptr_t)given), 0);
    }
    media_frame_unref(&frame); /* the last thread to end frees it */
    for (int i = 0; i < N_THREADS; i++) {
        void *sum;

        pthread_join(threads[i], &sum);
        assert_int_equal((unsigned long)sum, N_ROUNDS);
    }
}

static void test_codec_name_gives_text_for_each_codec(void **state)
{
    (void)state;
    assert_string_equal(media_codec_name(CODEC_NONE), "none");
    assert_string_equal(media_codec_name(CODEC_H264), "h264");
    assert_string_equal(media_codec_name(CODEC_FLAC), "flac");
    assert_string_equal(media_codec_name(CODEC_UNKNOWN), "unknown");
    assert_string_equal(media_codec_name(CODEC_COUNT), "unknown");
    for (int i = 0; i < CODEC_COUNT; i++)
        assert_true(strlen(media_codec_name((enum media_codec)i)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_copies_info_and_body),
        cmocka_unit_test(test_create_gives_frame_when_body_is_empty),
        cmocka_unit_test(test_create_gives_null_when_size_overflows),
        cmocka_unit_test(test_create_gives_null_when_out_of_memory),
        cmocka_unit_test(test_unref_frees_with_the_last_reference),
        cmocka_unit_test(test_ref_and_unref_agree_when_called_from_threads),
        cmocka_unit_test(test_codec_name_gives_text_for_each_codec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
