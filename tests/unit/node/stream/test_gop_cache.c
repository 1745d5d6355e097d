/* GOP cache: whole GOPs, in order, within three limits. */
#include "tests/unit/node/stream/stream_test.h"

#define COST(body_bytes) ((body_bytes) + GOP_ITEM_BYTES)

static void cache_init(struct gop_cache *c, unsigned max_gops, size_t max_bytes, int64_t max_us)
{
    struct gop_cache_limits limits = {
        .max_gops = max_gops, .max_bytes = max_bytes, .max_us = max_us};

    gop_cache_init(c, &limits);
}

static void put(struct gop_cache *c, enum body_kind kind, uint32_t number, int64_t dts_ms,
                size_t size_bytes)
{
    const struct media_frame *frame = make_frame(kind, number, dts_ms * 1000, size_bytes);

    assert_int_equal(gop_cache_push(c, &frame, kind == BODY_AVC_KEY), E_OK);
    assert_null(frame);
}

/* A key frame, an inter frame and audio: numbers first, first + 1, first + 2. */
static void put_gop(struct gop_cache *c, uint32_t first, size_t size_bytes)
{
    put(c, BODY_AVC_KEY, first, first * 10, size_bytes);
    put(c, BODY_AVC_INTER, first + 1, first * 10 + 10, size_bytes);
    put(c, BODY_AAC, first + 2, first * 10 + 15, size_bytes);
}

static uint32_t number_at(const struct gop_cache *c, size_t i)
{
    const struct media_frame *frame = gop_cache_at(c, i)->frame;
    size_t at = frame->info.kind == MEDIA_VIDEO ? 5 : 2;
    struct buf_reader r = buf_reader_from(media_frame_body(frame));

    (void)buf_take(&r, at);
    return buf_read_u32be(&r);
}

static void assert_numbers(const struct gop_cache *c, uint32_t first, size_t n)
{
    size_t bytes = 0;

    assert_int_equal(c->n_items, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(number_at(c, i), first + i);
        bytes += COST(gop_cache_at(c, i)->frame->size_bytes);
    }
    assert_int_equal(c->used_bytes, bytes);
    if (n)
        assert_true(gop_cache_at(c, 0)->entry);
}

static void test_push_keeps_nothing_before_the_first_entry_but_the_configuration(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 1, 1 << 20, INT64_MAX);
    put(&c, BODY_AVC_CONFIG, 0, 0, 40);
    put(&c, BODY_AVC_INTER, 1, 0, 40);
    put(&c, BODY_AAC, 2, 0, 40);
    assert_int_equal(c.n_items, 0);
    assert_int_equal(c.base.n_configs, 1);
    gop_cache_fini(&c);
}

static void test_push_keeps_the_latest_gops_in_order_with_their_audio(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 2, 1 << 20, INT64_MAX);
    for (uint32_t i = 0; i < 10; i++)
        put_gop(&c, 3 * i, 40);
    assert_int_equal(c.n_gops, 2);
    assert_numbers(&c, 24, 6);
    gop_cache_fini(&c);
}

static void test_push_keeps_nothing_when_the_count_is_zero(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 0, 1 << 20, INT64_MAX);
    put(&c, BODY_AVC_CONFIG, 0, 0, 40);
    put_gop(&c, 1, 40);
    assert_int_equal(c.n_items, 0);
    assert_int_equal(c.base.n_configs, 1); /* late joiners need it all the same */
    gop_cache_fini(&c);
}

static void test_push_grows_the_ring_across_its_wrap(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 2, 1 << 20, INT64_MAX);
    for (uint32_t i = 0; i < 15; i++) /* moves the head off zero */
        put_gop(&c, 3 * i, 40);
    for (uint32_t i = 45; i < 45 + 200; i++)
        put(&c, BODY_AVC_INTER, i, i * 10, 40);
    assert_numbers(&c, 39, 206);
    gop_cache_fini(&c);
}

static void test_push_drops_the_oldest_gop_above_the_byte_limit(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 16, 7 * COST(100), INT64_MAX);
    put_gop(&c, 0, 100);
    put_gop(&c, 3, 100);
    assert_numbers(&c, 0, 6);
    put(&c, BODY_AVC_KEY, 6, 60, 100);
    assert_numbers(&c, 0, 7); /* seven are still within */
    put(&c, BODY_AVC_INTER, 7, 70, 100);
    assert_numbers(&c, 3, 5);
    gop_cache_fini(&c);
}

static void test_push_drops_a_gop_whole_when_it_alone_is_above_the_byte_limit(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 1, 2 * COST(100) + 50, INT64_MAX);
    put(&c, BODY_AVC_CONFIG, 100, 0, 40);
    put_gop(&c, 0, 100);
    assert_int_equal(c.n_items, 0);
    put(&c, BODY_AVC_INTER, 3, 30, 10); /* the rest of that GOP is of no use either */
    assert_int_equal(c.n_items, 0);
    put(&c, BODY_AVC_KEY, 4, 40, 100);
    assert_numbers(&c, 4, 1);
    assert_int_equal(c.base.n_configs, 1);
    gop_cache_fini(&c);
}

static void test_push_drops_by_decode_time(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 16, 1 << 20, 100000);
    put(&c, BODY_AVC_KEY, 0, 0, 40);
    put(&c, BODY_AVC_KEY, 1, 60, 40);
    put(&c, BODY_AVC_INTER, 2, 100, 40);
    assert_numbers(&c, 0, 3);
    put(&c, BODY_AVC_INTER, 3, 101, 40);
    assert_numbers(&c, 1, 3);
    put(&c, BODY_AVC_INTER, 4, 161, 40);
    assert_int_equal(c.n_items, 0);
    gop_cache_fini(&c);
}

static void test_push_moves_dropped_configuration_to_the_base(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 1, 1 << 20, INT64_MAX);
    put(&c, BODY_AVC_CONFIG, 100, 0, 40);
    put(&c, BODY_AVC_KEY, 0, 0, 40);
    put(&c, BODY_AVC_CONFIG, 200, 10, 40); /* in the middle: an item */
    assert_int_equal(c.n_items, 2);
    assert_int_equal(c.base.configs[0]->body[8], 100);
    put(&c, BODY_AVC_KEY, 1, 20, 40);
    assert_int_equal(c.n_items, 1);
    assert_int_equal(c.base.configs[0]->body[8], 200);
    gop_cache_fini(&c);
}

static void test_clear_keeps_the_configuration_and_waits_for_an_entry(void **state)
{
    struct gop_cache c;

    (void)state;
    cache_init(&c, 1, 1 << 20, INT64_MAX);
    put(&c, BODY_AVC_KEY, 0, 0, 40);
    put(&c, BODY_AVC_CONFIG, 9, 0, 40);
    gop_cache_clear(&c);
    assert_int_equal(c.n_items, 0);
    assert_int_equal(c.n_gops, 0);
    assert_int_equal(c.used_bytes, 0);
    assert_int_equal(c.base.n_configs, 1);
    put(&c, BODY_AVC_INTER, 1, 10, 40);
    assert_int_equal(c.n_items, 0);
    gop_cache_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_keeps_nothing_before_the_first_entry_but_the_configuration),
        cmocka_unit_test(test_push_keeps_the_latest_gops_in_order_with_their_audio),
        cmocka_unit_test(test_push_keeps_nothing_when_the_count_is_zero),
        cmocka_unit_test(test_push_grows_the_ring_across_its_wrap),
        cmocka_unit_test(test_push_drops_the_oldest_gop_above_the_byte_limit),
        cmocka_unit_test(test_push_drops_a_gop_whole_when_it_alone_is_above_the_byte_limit),
        cmocka_unit_test(test_push_drops_by_decode_time),
        cmocka_unit_test(test_push_moves_dropped_configuration_to_the_base),
        cmocka_unit_test(test_clear_keeps_the_configuration_and_waits_for_an_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
