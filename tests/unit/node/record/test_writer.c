/* Where files begin and end, and what they are called. */
#include "tests/unit/node/record/record_test.h"

#include <errno.h>

static void test_file_begins_with_a_key_frame_and_ends_at_one_when_time_is_up(void **state)
{
    struct folder_rig r;

    (void)state;
    rig_open(&r, RECORD_FLV);
    r.plan.split_us = 2000000;
    rig_put_seconds(&r, START_US, 130);
    record_writer_end(&r.w, RECORD_CUT_END);
    assert_int_equal(r.n_done, 3);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(r.done[i].cut, RECORD_CUT_TIME);
        assert_int_equal(r.done[i].flv.n_keys, 2);
        assert_int_equal(r.done[i].flv.keys[0].time_ms, 0);
        assert_int_equal(r.done[i].flv.keys[1].time_ms, 1000);
        assert_in_range(r.done[i].duration_us, 1990000, 2010000);
        assert_int_equal(r.done[i].name.seq, i + 1);
    }
    assert_int_equal(r.done[2].cut, RECORD_CUT_END);
    rig_close(&r);
}

static void test_file_ends_by_size_at_the_next_key_frame(void **state)
{
    struct folder_rig r;

    (void)state;
    rig_open(&r, RECORD_TS);
    r.plan.split_bytes = 1;
    rig_put_seconds(&r, START_US, 75);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(r.n_done, 3);
    assert_int_equal(r.done[0].cut, RECORD_CUT_SIZE);
    assert_int_equal(r.done[0].bytes % TS_PACKET_BYTES, 0);
    rig_close(&r);
}

static void test_another_configuration_ends_the_file_at_the_next_key_frame(void **state)
{
    static const uint8_t k_mono[] = {0xaf, 0x00, 0x12, 0x08};
    struct folder_rig r;

    (void)state;
    rig_open(&r, RECORD_MP4);
    rig_put_seconds(&r, START_US, 30);
    rig_track(&r, MEDIA_AUDIO, k_mono, sizeof k_mono);
    rig_put_seconds(&r, START_US + 2000000, 30);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(r.n_done, 2);
    assert_int_equal(r.done[0].cut, RECORD_CUT_CODECS);
    rig_close(&r);
}

static void test_what_comes_before_the_first_frame_of_the_file_is_left_out(void **state)
{
    struct folder_rig r;
    uint64_t bytes;

    (void)state;
    rig_open(&r, RECORD_FLV);
    rig_put_seconds(&r, START_US, 1);
    bytes = r.w.bytes;
    rig_put(&r, make_sound(START_US - 10000), false);
    assert_int_equal(record_writer_flush(&r.w), E_OK);
    assert_int_equal(r.w.bytes, bytes);
    rig_close(&r);
}

static void test_numbers_go_on_whatever_the_clock_says(void **state)
{
    struct folder_rig r;
    int folder_fd, fd;

    (void)state;
    rig_open(&r, RECORD_FLV);
    folder_fd = rig_folder(&r);
    fd = record_file_open(folder_fd, "20991231T235959Z-000041.mp4", O_WRONLY | O_CREAT);
    assert_true(fd >= 0);
    close(fd);
    close(folder_fd);
    rig_put_seconds(&r, START_US, 2);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(r.done[0].name.seq, 42);
    assert_string_equal(r.done[0].name.time, "20260101T000000Z");
    rig_close(&r);
}

static void make_file(const struct folder_rig *r, const char *name)
{
    int folder_fd = rig_folder(r), fd = record_file_open(folder_fd, name, O_WRONLY | O_CREAT);

    assert_true(fd >= 0);
    close(fd);
    close(folder_fd);
}

/* Two processes record the same stream for a while, when one replaces the other. */
static void test_a_number_that_another_process_took_meanwhile_is_not_given_again(void **state)
{
    struct folder_rig r;

    (void)state;
    rig_open(&r, RECORD_FLV);
    rig_put_seconds(&r, START_US, 2);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    make_file(&r, "20260101T000007Z-000002.flv.part");
    rig_put_seconds(&r, START_US + 8000000, 2);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(r.done[0].name.seq, 1);
    assert_int_equal(r.done[1].name.seq, 3);
    rig_close(&r);
}

static void test_what_is_written_is_left_alone_by_the_recovery_of_another_process(void **state)
{
    struct record_entry entry;
    struct record_name part;
    struct folder_rig r;
    int folder_fd, reason = 0;

    (void)state;
    rig_open(&r, RECORD_FLV);
    rig_put_seconds(&r, START_US, 2);
    folder_fd = rig_folder(&r);
    part = r.w.name;
    assert_int_equal(record_recover(&r.stream, folder_fd, &part, &entry, &reason), E_BUSY);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(record_finish(r.dir_fd, &r.done[0], &entry, &reason), E_OK);
    assert_int_equal(record_recover(&r.stream, folder_fd, &part, &entry, &reason), E_BUSY);
    close(folder_fd);
    rig_close(&r);
}

static void test_a_file_that_was_removed_is_ended_at_the_next_key_frame(void **state)
{
    struct folder_rig r;

    (void)state;
    rig_open(&r, RECORD_MP4);
    rig_put_seconds(&r, START_US, 30);
    nftw(r.path, rig_unlink, 8, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(r.path, 0700), 0);
    close(r.dir_fd);
    r.dir_fd = r.place.dir_fd = open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig_put_seconds(&r, START_US + 2000000, 30);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(r.n_done, 2);
    assert_int_equal(r.done[0].cut, RECORD_CUT_ERROR);
    assert_int_equal(r.done[1].cut, RECORD_CUT_STOP);
    rig_close(&r);
}

static void test_write_all_says_that_the_disk_is_full(void **state)
{
    static const uint8_t k_bytes[64] = {1};
    int fd = open("/dev/full", O_WRONLY);

    (void)state;
    assert_true(fd >= 0);
    assert_int_not_equal(record_write_all(fd, buf_view_of(k_bytes, sizeof k_bytes), 0), 0);
    close(fd);
}

/* A disk that is full when a segment is to be ended: what it had before is listed. */
static void test_hls_keeps_what_a_segment_had_when_its_end_cannot_be_written(void **state)
{
    int full_fd = open("/dev/full", O_WRONLY);
    struct folder_rig r;
    struct record_entry entry;
    uint64_t bytes;
    int reason;

    (void)state;
    assert_true(full_fd >= 0);
    rig_open(&r, RECORD_HLS);
    rig_put_seconds(&r, START_US, 20);
    bytes = r.w.hls.segment_bytes;
    assert_true(bytes > 0);
    assert_true(dup2(full_fd, r.w.hls.segment_fd) >= 0);
    rig_put(&r, make_picture(false, START_US + 960000), false);
    rig_put(&r, make_picture(true, START_US + 1000000), true);
    assert_int_equal(record_writer_flush(&r.w), E_IO);
    assert_int_equal(r.w.error_number, ENOSPC);
    record_writer_end(&r.w, RECORD_CUT_ERROR);
    assert_int_equal(r.done[0].n_segments, 1);
    assert_int_equal(record_finish(r.dir_fd, &r.done[0], &entry, &reason), E_OK);
    assert_int_equal(entry.bytes, bytes);
    close(full_fd);
    rig_close(&r);
}

static void test_links_on_the_way_are_not_followed(void **state)
{
    struct folder_rig r;
    char path[96];

    (void)state;
    rig_open(&r, RECORD_FLV);
    snprintf(path, sizeof path, "%s/live", r.path);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(record_folder_open(r.dir_fd, &r.stream, true), -1);
    assert_int_equal(unlink(path), 0);
    strcpy(r.stream.text, "../x"); /* no stream is called so; the folder does not rely on it */
    assert_int_equal(record_folder_open(r.dir_fd, &r.stream, true), -1);
    strcpy(r.stream.text, "a//x");
    assert_int_equal(record_folder_open(r.dir_fd, &r.stream, true), -1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_begins_with_a_key_frame_and_ends_at_one_when_time_is_up),
        cmocka_unit_test(test_file_ends_by_size_at_the_next_key_frame),
        cmocka_unit_test(test_another_configuration_ends_the_file_at_the_next_key_frame),
        cmocka_unit_test(test_what_comes_before_the_first_frame_of_the_file_is_left_out),
        cmocka_unit_test(test_numbers_go_on_whatever_the_clock_says),
        cmocka_unit_test(test_a_number_that_another_process_took_meanwhile_is_not_given_again),
        cmocka_unit_test(test_what_is_written_is_left_alone_by_the_recovery_of_another_process),
        cmocka_unit_test(test_a_file_that_was_removed_is_ended_at_the_next_key_frame),
        cmocka_unit_test(test_write_all_says_that_the_disk_is_full),
        cmocka_unit_test(test_hls_keeps_what_a_segment_had_when_its_end_cannot_be_written),
        cmocka_unit_test(test_links_on_the_way_are_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
