/* Media that is given piece by piece, and RTMP as a dump. Files are in tests/integration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "proto/flv/flv.h"
#include "proto/rtmp/rtmp.h"
#include "tests/tools/media_input.h"

static const uint8_t k_sound[] = {0xaf, 1, 0x21, 0x10};                  /* AAC, raw */
static const uint8_t k_picture[] = {0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65}; /* H.264, key */

static void test_flv_gives_the_same_tags_when_it_is_split_anywhere(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 4096);
    flv_write_file_header(&w, true, true);
    flv_write_tag(&w, FLV_TAG_VIDEO, 40, buf_view_of(k_picture, sizeof k_picture));
    flv_write_tag(&w, FLV_TAG_AUDIO, 50, buf_view_of(k_sound, sizeof k_sound));
    for (size_t step = 1; step <= w.used_bytes; step++) {
        struct media_input *input = media_input_create("x", CONTAINER_FLV);
        struct media_tag tag;
        int64_t sum_us = 0;
        unsigned n = 0;

        assert_non_null(input);
        for (size_t at = 0; at < w.used_bytes; at += step) {
            size_t size = w.used_bytes - at < step ? w.used_bytes - at : step;

            media_input_give(input, buf_view_of(w.data + at, size));
            while (media_input_next(input, &tag) == E_OK) {
                assert_false(tag.is_broken);
                sum_us += tag.dts_us;
                n++;
            }
        }
        assert_int_equal(n, 2);
        assert_int_equal(sum_us, 90000);
        assert_int_equal(media_input_bytes(input), w.used_bytes);
        media_input_end(input);
        assert_int_equal(media_input_next(input, &tag), E_END);
        media_input_close(&input);
    }
    buf_writer_fini(&w);
}

static void test_messages_are_tags_whose_time_goes_on_over_the_wrap(void **state)
{
    struct media_input *input = media_input_create("x", CONTAINER_RTMP);
    struct media_tag tag;

    (void)state;
    assert_non_null(input);
    media_input_give_message(input, FLV_TAG_AUDIO, UINT32_MAX,
                             buf_view_of(k_sound, sizeof k_sound));
    assert_int_equal(media_input_next(input, &tag), E_OK);
    assert_int_equal(tag.dts_us, (int64_t)UINT32_MAX * 1000);
    assert_int_equal(media_input_next(input, &tag), E_AGAIN);
    media_input_give_message(input, FLV_TAG_VIDEO, 9, buf_view_of(k_picture, sizeof k_picture));
    assert_int_equal(media_input_next(input, &tag), E_OK);
    assert_int_equal(tag.dts_us, ((int64_t)UINT32_MAX + 10) * 1000);
    assert_true(tag.info.flags & FRAME_KEY);
    assert_int_equal(media_input_next(input, &tag), E_AGAIN);
    media_input_close(&input);
}

/* A file of handshake and messages; path is to be unlinked. */
static void write_dump(char *path, struct buf_view rest)
{
    int fd = mkstemp(path);
    uint8_t handshake[1 + 2 * 1536] = {3};

    assert_true(fd >= 0);
    assert_int_equal(write(fd, handshake, sizeof handshake), sizeof handshake);
    assert_int_equal(write(fd, rest.data, rest.size_bytes), rest.size_bytes);
    close(fd);
}

static void test_dump_gives_its_media_and_counts_its_messages(void **state)
{
    char path[] = "/tmp/headwater-test-XXXXXX", why[128];
    struct media_input *input;
    struct media_tag tag;
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 4096);
    rtmp_write_message(&w, 128, 2, 0, 5, 0, buf_view_of("\0\0\0\1", 4)); /* window size */
    rtmp_write_message(&w, 128, 6, 40, FLV_TAG_VIDEO, 1, buf_view_of(k_picture, sizeof k_picture));
    rtmp_write_message(&w, 128, 4, 50, FLV_TAG_AUDIO, 1, buf_view_of(k_sound, sizeof k_sound));
    write_dump(path, buf_writer_view(&w));
    input = media_input_open(path, why, sizeof why);
    assert_non_null(input);
    assert_int_equal(media_input_next(input, &tag), E_OK);
    assert_int_equal(media_input_container(input), CONTAINER_RTMP);
    assert_int_equal(tag.type_id, FLV_TAG_VIDEO);
    assert_int_equal(media_input_next(input, &tag), E_OK);
    assert_int_equal(tag.dts_us, 50000);
    assert_int_equal(media_input_next(input, &tag), E_END);
    assert_int_equal(media_input_messages(input)[5], 1);
    assert_int_equal(media_input_messages(input)[9], 1);
    media_input_close(&input);
    unlink(path);
    buf_writer_fini(&w);
}

static void test_dump_says_where_it_is_broken(void **state)
{
    char path[] = "/tmp/headwater-test-XXXXXX", why[128];
    struct media_input *input;
    struct media_tag tag;

    (void)state;
    write_dump(path, buf_view_of("\xc4\0\0", 3)); /* begins with a header of type 3 */
    input = media_input_open(path, why, sizeof why);
    assert_non_null(input);
    assert_int_equal(media_input_next(input, &tag), E_PROTO);
    assert_non_null(strstr(media_input_why(input), "byte 307"));
    media_input_close(&input);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flv_gives_the_same_tags_when_it_is_split_anywhere),
        cmocka_unit_test(test_messages_are_tags_whose_time_goes_on_over_the_wrap),
        cmocka_unit_test(test_dump_gives_its_media_and_counts_its_messages),
        cmocka_unit_test(test_dump_says_where_it_is_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
