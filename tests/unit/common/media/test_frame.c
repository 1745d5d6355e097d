/* common/media/frame: content, references, and references from many threads (for TSan too). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "tests/unit/common/limited_alloc.h"
#include "common/base/pool.c"
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

/* --- arena --- */

static const struct media_frame *arena_frame(struct media_arena *arena, int64_t dts_us,
                                             size_t size_bytes)
{
    struct media_frame_info info = {.dts_us = dts_us};
    uint8_t *body = malloc(size_bytes ? size_bytes : 1);
    const struct media_frame *frame;

    assert_non_null(body);
    memset(body, (int)(dts_us % 251), size_bytes);
    frame = media_arena_frame(arena, &info, buf_view_of(body, size_bytes));
    free(body);
    return frame;
}

static void check_and_drop(const struct media_frame **frame)
{
    const struct media_frame *f = *frame;

    for (size_t i = 0; i < f->size_bytes; i++)
        assert_int_equal(f->body[i], (uint8_t)(f->info.dts_us % 251));
    media_frame_unref(frame);
}

static struct pool_stats stats_of(struct pool *pool)
{
    struct pool_stats stats;

    pool_get_stats(pool, &stats);
    return stats;
}

static void test_arena_frames_share_blocks_and_give_them_back_in_order(void **state)
{
    struct pool *pool = pool_create();
    struct media_arena arena;
    const struct media_frame *frames[200];

    (void)state;
    media_arena_init(&arena, pool);
    for (int i = 0; i < 200; i++) {
        frames[i] = arena_frame(&arena, i * 20000, 100 + (size_t)i);
        assert_int_equal((uintptr_t)frames[i] % alignof(struct media_frame), 0);
    }
    assert_in_range(stats_of(pool).n_taken, 2, 20);
    assert_true(frames[0]->block == frames[1]->block);
    for (int i = 0; i < 100; i++)
        check_and_drop(&frames[i]);
    assert_true(stats_of(pool).kept_bytes > 0); /* the first blocks are free already */
    for (int i = 100; i < 200; i++)
        check_and_drop(&frames[i]);
    media_arena_close(&arena);
    assert_int_equal(stats_of(pool).taken_bytes, 0);
    pool_release(&pool);
}

static void test_arena_allocates_nothing_in_steady_state(void **state)
{
    enum { N_KEPT = 50 };
    static const size_t k_sizes[] = {400, 20000, 60000}; /* 25 a second: 80 kbit/s to 12 Mbit/s */
    struct media_arena arena;
    const struct media_frame *ring[N_KEPT];

    (void)state;
    for (size_t s = 0; s < sizeof k_sizes / sizeof k_sizes[0]; s++) {
        struct pool *pool = pool_create();

        memset(ring, 0, sizeof ring);
        media_arena_init(&arena, pool);
        for (int i = 0; i < 2000; i++) {
            if (i == 500)
                allocations_left = 0; /* from here on the pool has to do */
            media_frame_unref(&ring[i % N_KEPT]);
            ring[i % N_KEPT] = arena_frame(&arena, i * 40000, k_sizes[s]);
            assert_non_null(ring[i % N_KEPT]);
        }
        allocations_left = -1;
        for (int i = 0; i < N_KEPT; i++)
            check_and_drop(&ring[i]);
        media_arena_close(&arena);
        pool_release(&pool);
    }
}

static void test_arena_block_size_follows_the_rate(void **state)
{
    struct pool *pool = pool_create();
    struct media_arena arena;

    (void)state;
    media_arena_init(&arena, pool);
    for (int i = 0; i < 100; i++) {
        const struct media_frame *frame = arena_frame(&arena, i * 40000, 60000);

        media_frame_unref(&frame);
    }
    assert_int_equal(arena.size, POOL_N_SIZES - 1);
    for (int i = 100; i < 10000; i++) {
        const struct media_frame *frame = arena_frame(&arena, i * 40000, 50);

        media_frame_unref(&frame);
    }
    assert_int_equal(arena.size, 0);
    media_arena_close(&arena);
    pool_release(&pool);
}

static void test_arena_leaves_its_block_open_for_small_ones_when_a_large_one_comes(void **state)
{
    struct pool *pool = pool_create();
    const struct media_frame *small, *large, *next;
    struct media_arena arena;

    (void)state;
    media_arena_init(&arena, pool);
    small = arena_frame(&arena, 0, 100);
    large = arena_frame(&arena, 40000, 6000);
    next = arena_frame(&arena, 80000, 100);
    assert_ptr_not_equal(large->block, small->block);
    assert_ptr_equal(next->block, small->block);
    check_and_drop(&small);
    check_and_drop(&large);
    check_and_drop(&next);
    media_arena_close(&arena);
    pool_release(&pool);
}

static void test_arena_gives_null_when_out_of_memory(void **state)
{
    struct pool *pool = pool_create();
    struct media_frame_info info = {0};
    struct media_arena arena;

    (void)state;
    media_arena_init(&arena, pool);
    allocations_left = 0;
    assert_null(media_arena_frame(&arena, &info, buf_view_str("12345")));
    allocations_left = -1;
    assert_null(media_arena_frame(&arena, &info, buf_view_of("", SIZE_MAX)));
    media_arena_close(&arena);
    pool_release(&pool);
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
        cmocka_unit_test(test_arena_frames_share_blocks_and_give_them_back_in_order),
        cmocka_unit_test(test_arena_allocates_nothing_in_steady_state),
        cmocka_unit_test(test_arena_block_size_follows_the_rate),
        cmocka_unit_test(test_arena_leaves_its_block_open_for_small_ones_when_a_large_one_comes),
        cmocka_unit_test(test_arena_gives_null_when_out_of_memory),
        cmocka_unit_test(test_codec_name_gives_text_for_each_codec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
