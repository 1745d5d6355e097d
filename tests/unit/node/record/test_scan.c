/* Files cut off at every byte: what is good of them, and what recovery makes of it. */
#include "tests/unit/node/record/record_test.h"

#include "proto/flv/flv.h"

#define N_PICTURES 55

/* The bytes as they lie there when the process dies. */
static uint8_t *make_clip(struct folder_rig *r, enum record_format_id format, size_t *size)
{
    struct record_name name;

    rig_open(r, format);
    rig_put_seconds(r, START_US, N_PICTURES);
    name = r->w.name;
    if (format == RECORD_HLS) {
        name.is_part = false;
        name.segment = 1;
    }
    return rig_read(r, &name, size);
}

/* Every piece gets a block of its own, so that a read behind it is seen. */
static enum err scan_cut(enum record_format_id format, const uint8_t *data, size_t size,
                         struct record_scan *out)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct memory_source source = memory_source_of(copy, size);
    enum err e;

    assert_non_null(copy);
    memcpy(copy, data, size);
    e = record_scan(format, &source.source, out);
    free(copy);
    return e;
}

static bool flv_parses(struct buf_view file)
{
    struct flv_decoder *dec = flv_decoder_create(1 << 20);
    struct buf_reader in = buf_reader_from(file);
    struct flv_tag tag;
    size_t n_bytes = FLV_HEADER_BYTES + 4;
    enum err e;

    while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK)
        n_bytes += tag.body.size_bytes + FLV_TAG_HEADER_BYTES + 4;
    flv_decoder_destroy(&dec);
    return e == E_AGAIN && n_bytes == file.size_bytes;
}

static bool mp4_parses(struct buf_view file)
{
    struct buf_reader in = buf_reader_from(file);

    while (in.left_bytes) {
        uint32_t size = buf_read_u32be(&in);

        if (size < 8)
            return false;
        (void)buf_take(&in, size - 4u);
        if (in.overrun)
            return false;
    }
    return true;
}

static bool ts_parses(struct buf_view file)
{
    for (size_t i = 0; i < file.size_bytes; i += TS_PACKET_BYTES)
        if (file.data[i] != 0x47)
            return false;
    return file.size_bytes % TS_PACKET_BYTES == 0;
}

static void check_every_cut(enum record_format_id format, bool (*parses)(struct buf_view file),
                            size_t max_lost)
{
    struct folder_rig r;
    struct record_scan scan;
    size_t size, last = 0, first_good = 0;
    uint8_t *data = make_clip(&r, format, &size);

    for (size_t n = 0; n <= size; n++) {
        if (scan_cut(format, data, n, &scan) != E_OK) {
            assert_int_equal(last, 0); /* what was good stays so with more behind it */
            continue;
        }
        if (!first_good)
            first_good = n;
        assert_true(scan.good_bytes <= n && scan.good_bytes >= last);
        assert_true(n - scan.good_bytes <= max_lost);
        if (scan.good_bytes != last)
            assert_true(parses(buf_view_of(data, (size_t)scan.good_bytes)));
        last = (size_t)scan.good_bytes;
        record_scan_fini(&scan);
    }
    assert_int_equal(last, size);
    assert_true(first_good && first_good < size);
    free(data);
    rig_close(&r);
}

static void test_scan_gives_whole_tags_when_flv_is_cut_at_any_byte(void **state)
{
    (void)state;
    check_every_cut(RECORD_FLV, flv_parses, 80);
}

static void test_scan_gives_whole_packets_when_ts_is_cut_at_any_byte(void **state)
{
    (void)state;
    check_every_cut(RECORD_TS, ts_parses, TS_PACKET_BYTES - 1);
}

static void test_scan_gives_whole_fragments_when_mp4_is_cut_at_any_byte(void **state)
{
    (void)state;
    check_every_cut(RECORD_MP4, mp4_parses, 4096); /* a GOP, here of some 3 KB */
}

static void test_scan_ends_where_a_byte_is_wrong(void **state)
{
    static const enum record_format_id k_formats[] = {RECORD_FLV, RECORD_TS, RECORD_MP4};

    (void)state;
    for (size_t f = 0; f < 3; f++) {
        struct folder_rig r;
        size_t size;
        uint8_t *data = make_clip(&r, k_formats[f], &size);

        for (size_t i = 0; i < size; i += 7) {
            struct record_scan scan;

            data[i] ^= 0xff;
            if (scan_cut(k_formats[f], data, size, &scan) == E_OK) {
                assert_true(scan.good_bytes <= size);
                record_scan_fini(&scan);
            }
            data[i] ^= 0xff;
        }
        free(data);
        rig_close(&r);
    }
}

/* --- on disk --- */

static void write_part(int folder_fd, const char *file, const uint8_t *data, size_t size)
{
    int fd = record_file_open(folder_fd, file, O_WRONLY | O_CREAT | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(record_write_all(fd, buf_view_of(data, size), 0), 0);
    close(fd);
}

static void check_recovery(enum record_format_id format, size_t step)
{
    struct folder_rig r;
    struct record_name part, whole;
    size_t size;
    uint8_t *data = make_clip(&r, format, &size);
    int folder_fd = rig_folder(&r), reason;
    char file[RECORD_NAME_SIZE];

    part = r.w.name;
    part.seq = 900;
    whole = part;
    whole.is_part = false;
    record_name_format(&part, file);
    for (size_t n = 0; n <= size; n += step) {
        struct record_entry entry, seen;
        enum err e;

        write_part(folder_fd, file, data, n);
        e = record_recover(&r.stream, folder_fd, &part, &entry, &reason);
        assert_true(e == E_OK || e == E_END);
        assert_int_equal(faccessat(folder_fd, file, F_OK, 0), -1);
        if (e == E_END)
            continue;
        assert_int_equal(record_look_at(folder_fd, &whole, &seen), E_OK);
        assert_int_equal(seen.duration_us, entry.duration_us);
        assert_int_equal(seen.bytes, entry.bytes);
        assert_int_equal(record_unlink(folder_fd, &whole), E_OK);
    }
    close(folder_fd);
    free(data);
    rig_close(&r);
}

static void test_recover_gives_a_finished_file_or_none_when_cut_anywhere(void **state)
{
    (void)state;
    check_recovery(RECORD_FLV, 977);
    check_recovery(RECORD_TS, 991);
    check_recovery(RECORD_MP4, 211);
}

static void test_recover_takes_the_segments_that_are_there(void **state)
{
    struct folder_rig r;
    struct record_name part;
    struct record_entry entry;
    int folder_fd, reason;

    (void)state;
    rig_open(&r, RECORD_HLS);
    rig_put_seconds(&r, START_US, N_PICTURES);
    part = r.w.name;
    folder_fd = rig_folder(&r);
    assert_int_equal(record_recover(&r.stream, folder_fd, &part, &entry, &reason),
                     E_BUSY); /* it is being written */
    record_writer_fini(&r.w);
    assert_int_equal(record_recover(&r.stream, folder_fd, &part, &entry, &reason), E_OK);
    assert_int_equal(entry.n_segments, 3);
    assert_in_range(entry.duration_us, 2100000, 2300000);
    assert_int_equal(entry.codecs[MEDIA_VIDEO], CODEC_H264);
    close(folder_fd);
    rig_close(&r);
}

static void test_finish_makes_an_mp4_with_tables(void **state)
{
    struct folder_rig r;
    struct record_entry entry;
    struct record_name name;
    struct buf_reader in;
    uint32_t moov_bytes;
    uint8_t *data;
    size_t size;
    int reason;

    (void)state;
    rig_open(&r, RECORD_MP4);
    rig_put_seconds(&r, START_US, N_PICTURES);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    assert_int_equal(record_finish(r.dir_fd, &r.done[0], &entry, &reason), E_OK);
    name = entry.name;
    data = rig_read(&r, &name, &size);
    assert_int_equal(entry.bytes, size);
    in = buf_reader_from(buf_view_of(data, size));
    (void)buf_take(&in, buf_read_u32be(&in) - 4u); /* ftyp */
    assert_int_equal(buf_read_u32be(&in), 1);
    assert_memory_equal(buf_take(&in, 4).data, "mdat", 4);
    (void)buf_take(&in, (size_t)buf_read_u64be(&in) - 16u);
    moov_bytes = buf_read_u32be(&in);
    assert_int_equal(moov_bytes, in.left_bytes + 4);
    assert_memory_equal(buf_take(&in, 4).data, "moov", 4);
    free(data);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_gives_whole_tags_when_flv_is_cut_at_any_byte),
        cmocka_unit_test(test_scan_gives_whole_packets_when_ts_is_cut_at_any_byte),
        cmocka_unit_test(test_scan_gives_whole_fragments_when_mp4_is_cut_at_any_byte),
        cmocka_unit_test(test_scan_ends_where_a_byte_is_wrong),
        cmocka_unit_test(test_recover_gives_a_finished_file_or_none_when_cut_anywhere),
        cmocka_unit_test(test_recover_takes_the_segments_that_are_there),
        cmocka_unit_test(test_finish_makes_an_mp4_with_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
