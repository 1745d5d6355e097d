/* MP4 as a container of media_input.h: files that can be sought in, and bytes that come in a row.
 */
#include "tests/unit/proto/mp4/demux_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/flv/flv.h"
#include "tests/tools/media_input.h"
#include "tests/tools/mp4_input.h"

/* 2 configurations less one (AC-3 has none), 4 pictures, 4 frames of sound. */
#define N_TAGS 9
#define SUM_US ((int64_t)432000)

static struct buf_writer file_of(const struct file_plan *plan)
{
    struct buf_writer w;

    buf_writer_init(&w, 1 << 16);
    put_file(&w, plan);
    return w;
}

/* All that there is now; adds up times. */
static enum err read_tags(struct media_input *input, unsigned *n, int64_t *sum_us)
{
    struct media_tag tag;
    enum err e;

    while ((e = media_input_next(input, &tag)) == E_OK) {
        assert_false(tag.is_broken);
        *sum_us += tag.dts_us;
        ++*n;
    }
    return e;
}

static void test_mp4_gives_the_same_tags_when_it_is_split_anywhere(void **state)
{
    struct buf_writer w = file_of(&k_plan);

    (void)state;
    for (size_t step = 1; step <= w.used_bytes; step = step < 40 ? step + 1 : step * 2) {
        struct media_input *input = media_input_create("x", CONTAINER_MP4);
        enum err e = E_AGAIN;
        int64_t sum_us = 0;
        unsigned n = 0;

        assert_non_null(input);
        for (size_t at = 0; at < w.used_bytes; at += step) {
            size_t size = w.used_bytes - at < step ? w.used_bytes - at : step;

            assert_int_equal(e, E_AGAIN);
            media_input_give(input, buf_view_of(w.data + at, size));
            e = read_tags(input, &n, &sum_us);
        }
        assert_int_equal(e, E_END);
        assert_int_equal(n, N_TAGS);
        assert_int_equal(sum_us, SUM_US);
        assert_null(media_input_lacks(input));
        media_input_close(&input);
    }
    buf_writer_fini(&w);
}

static void test_mp4_that_ends_early_says_so(void **state)
{
    struct buf_writer w = file_of(&k_plan);
    struct media_input *input = media_input_create("x", CONTAINER_MP4);
    int64_t sum_us = 0;
    unsigned n = 0;

    (void)state;
    assert_non_null(input);
    media_input_give(input, buf_view_of(w.data, w.used_bytes - 1));
    assert_int_equal(read_tags(input, &n, &sum_us), E_AGAIN);
    media_input_end(input);
    assert_int_equal(read_tags(input, &n, &sum_us), E_END);
    assert_int_equal(n, N_TAGS - 1);
    assert_string_equal(media_input_lacks(input), "ends before its last frame");
    media_input_close(&input);
    buf_writer_fini(&w);
}

static void test_file_is_read_with_moov_behind_the_media(void **state)
{
    char path[] = "/tmp/headwater-test-XXXXXX", why_not[128];
    struct file_plan plan = k_plan;
    struct media_input *input;
    struct buf_writer w;
    int64_t sum_us = 0;
    unsigned n = 0;
    int fd = mkstemp(path);

    (void)state;
    plan.is_behind = true;
    w = file_of(&plan);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, w.data, w.used_bytes), w.used_bytes);
    close(fd);
    input = media_input_open(path, why_not, sizeof why_not);
    assert_non_null(input);
    assert_int_equal(read_tags(input, &n, &sum_us), E_END);
    assert_int_equal(n, N_TAGS);
    assert_int_equal(sum_us, SUM_US);
    assert_int_equal(media_input_container(input), CONTAINER_MP4);
    assert_int_equal(media_input_bytes(input), w.used_bytes);
    assert_null(media_input_lacks(input));
    media_input_close(&input);
    unlink(path);
    buf_writer_fini(&w);
}

/* Which container it is shows in eight bytes, which a pipe may give one by one. */
static void test_pipe_is_recognised_however_its_first_bytes_come(void **state)
{
    struct buf_writer w = file_of(&k_plan);
    char path[32], why_not[128];
    struct media_input *input;
    int64_t sum_us = 0;
    unsigned n = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    input = media_input_open(path, why_not, sizeof why_not);
    assert_non_null(input);
    close(ends[0]);
    media_input_set_patient(input);
    for (size_t i = 0; i < w.used_bytes; i++) {
        assert_int_equal(write(ends[1], w.data + i, 1), 1);
        if (i < 12)
            assert_int_equal(read_tags(input, &n, &sum_us), E_AGAIN);
    }
    close(ends[1]);
    assert_int_equal(read_tags(input, &n, &sum_us), E_END);
    assert_int_equal(media_input_container(input), CONTAINER_MP4);
    assert_int_equal(n, N_TAGS);
    media_input_close(&input);
    buf_writer_fini(&w);
}

/* Sound is further behind than what is kept, and a picture in front of it is needed after it: known
 * at once, whether more comes or not. */
static void test_media_too_far_apart_is_an_error_in_a_row(void **state)
{
    static const uint8_t k_zeros[1 << 20];
    struct media_input *input = media_input_create("x", CONTAINER_MP4);
    const uint32_t far = 3 * MP4_INPUT_WINDOW_BYTES;
    size_t left_bytes = far + 4; /* two frames of sound */
    struct file_plan plan = k_plan;
    struct buf_writer w;
    int64_t sum_us = 0;
    unsigned n = 0;
    enum err e;

    (void)state;
    plan.tracks[1].places = (struct rows)ROWS("stco", 1, far);
    w = file_of(&plan);
    assert_non_null(input);
    media_input_give(input, buf_writer_view(&w));
    left_bytes -= strlen(plan.media);
    while ((e = read_tags(input, &n, &sum_us)) == E_AGAIN && left_bytes) {
        size_t size = left_bytes < sizeof k_zeros ? left_bytes : sizeof k_zeros;

        media_input_give(input, buf_view_of(k_zeros, size));
        left_bytes -= size;
    }
    assert_int_equal(e, E_UNSUPPORTED);
    assert_non_null(strstr(media_input_why(input), "too far apart"));
    assert_int_equal(n, 4); /* configuration and first picture; sound of 0 and 32 ms */
    media_input_close(&input);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mp4_gives_the_same_tags_when_it_is_split_anywhere),
        cmocka_unit_test(test_mp4_that_ends_early_says_so),
        cmocka_unit_test(test_file_is_read_with_moov_behind_the_media),
        cmocka_unit_test(test_pipe_is_recognised_however_its_first_bytes_come),
        cmocka_unit_test(test_media_too_far_apart_is_an_error_in_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
