/* The list of records: lines, broken ones, and what the folder has to say. */
#include "tests/unit/node/record/record_test.h"

#define LINE(seq)                                                                               \
    "{\"file\":\"20260101T000000Z-00000" seq ".flv\",\"format\":\"flv\",\"start_ms\":1000,"     \
    "\"duration_ms\":2000,\"bytes\":3000,\"run\":\"18446744073709551615\",\"reason\":\"time\"," \
    "\"video\":\"h264\"}\n"

static struct record_entries parse(const char *text)
{
    struct record_entries list = {.items = NULL};

    assert_int_equal(record_index_parse(buf_view_str(text), &list), E_OK);
    return list;
}

static void test_parse_gives_entries_by_number(void **state)
{
    struct record_entries list = parse(LINE("2") LINE("1"));
    const struct record_entry *entry = record_entries_find(&list, 1);

    (void)state;
    assert_int_equal(list.n_items, 2);
    assert_false(list.is_broken);
    assert_ptr_equal(entry, &list.items[0]);
    assert_int_equal(entry->duration_us, 2000000);
    assert_int_equal(entry->bytes, 3000);
    assert_true(entry->run == UINT64_MAX);
    assert_int_equal(entry->cut, RECORD_CUT_TIME);
    assert_int_equal(entry->codecs[MEDIA_VIDEO], CODEC_H264);
    assert_int_equal(entry->codecs[MEDIA_AUDIO], CODEC_NONE);
    assert_null(record_entries_find(&list, 3));
    record_entries_fini(&list);
}

static void test_parse_says_that_a_line_is_broken_and_keeps_the_others(void **state)
{
    static const char *const k_bad[] = {"\n",
                                        "x\n",
                                        "{}\n",
                                        "[]\n",
                                        "{\"file\":7}\n",
                                        "{\"file\":\"../x.flv\",\"start_ms\":1,",
                                        "{\"file\":\"20260101T000000Z-000007.flv\",\"start_ms\":-1,"
                                        "\"duration_ms\":1,\"bytes\":1}\n",
                                        LINE("1")};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        char text[1024];
        struct record_entries list;

        snprintf(text, sizeof text, "%s%s", LINE("1"), k_bad[i]);
        list = parse(text);
        assert_int_equal(list.n_items, 1);
        assert_true(list.is_broken);
        record_entries_fini(&list);
    }
}

static void test_parse_takes_a_list_cut_at_any_byte(void **state)
{
    static const char k_text[] = LINE("1") LINE("2");

    (void)state;
    for (size_t n = 0; n < sizeof k_text; n++) {
        char *copy = strndup(k_text, n);
        struct record_entries list = parse(copy);

        assert_in_range(list.n_items, 0, 2);
        record_entries_fini(&list);
        free(copy);
    }
}

static void test_append_and_read_agree(void **state)
{
    struct record_entry entry = {.start_us = 5000000, .duration_us = 6000000, .bytes = 7};
    struct record_entries list;
    struct folder_rig r;
    int folder_fd;

    (void)state;
    rig_open(&r, RECORD_FLV);
    folder_fd = rig_folder(&r);
    assert_int_equal(record_index_read(folder_fd, &list), E_OK);
    assert_int_equal(list.n_items, 0);
    for (entry.name.seq = 1; entry.name.seq <= 3; entry.name.seq++) {
        record_name_set_time(&entry.name, 0);
        assert_int_equal(record_index_append(folder_fd, &entry), E_OK);
    }
    assert_int_equal(record_index_read(folder_fd, &list), E_OK);
    assert_int_equal(list.n_items, 3);
    assert_int_equal(list.items[2].bytes, 7);
    record_entries_fini(&list);
    close(folder_fd);
    rig_close(&r);
}

static size_t repaired(int folder_fd)
{
    size_t n;

    assert_int_equal(record_index_repair(folder_fd, &n), E_OK);
    return n;
}

static void test_repair_says_so_when_the_index_cannot_be_written(void **state)
{
    struct folder_rig r;
    int folder_fd;
    size_t n;

    (void)state;
    rig_open(&r, RECORD_FLV);
    folder_fd = rig_folder(&r);
    assert_int_equal(mkdirat(folder_fd, RECORD_INDEX_NAME, 0700), 0);
    assert_int_equal(record_index_repair(folder_fd, &n), E_IO);
    assert_int_equal(unlinkat(folder_fd, RECORD_INDEX_NAME, AT_REMOVEDIR), 0);
    assert_int_equal(repaired(folder_fd), 0);
    close(folder_fd);
    rig_close(&r);
}

/* Who is stopped between them leaves a list, which the index has, and no segments without one. */
static void test_unlink_takes_the_segments_before_their_list(void **state)
{
    struct record_name name = {.format = RECORD_HLS, .seq = 1, .time = "20260101T000000Z"}, one;
    char file[RECORD_NAME_SIZE];
    struct folder_rig r;
    int folder_fd;

    (void)state;
    rig_open(&r, RECORD_HLS);
    folder_fd = rig_folder(&r);
    one = name;
    for (one.segment = 1; one.segment <= 3; one.segment++) {
        record_name_format(&one, file);
        close(record_file_open(folder_fd, file, O_WRONLY | O_CREAT));
    }
    record_name_format(&name, file);
    assert_int_equal(mkdirat(folder_fd, file, 0700), 0); /* so that it stays */
    assert_int_equal(record_unlink(folder_fd, &name), E_IO);
    assert_int_equal(unlinkat(folder_fd, file, AT_REMOVEDIR), 0);
    for (one.segment = 1; one.segment <= 3; one.segment++) {
        record_name_format(&one, file);
        assert_int_equal(faccessat(folder_fd, file, F_OK, 0), -1);
    }
    close(folder_fd);
    rig_close(&r);
}

static void test_repair_makes_the_index_what_the_folder_is(void **state)
{
    struct record_entry entry, gone = {.bytes = 1};
    struct record_entries list;
    struct folder_rig r;
    int folder_fd, reason;

    (void)state;
    rig_open(&r, RECORD_FLV);
    r.plan.split_us = 1000000;
    rig_put_seconds(&r, START_US, 50);
    record_writer_end(&r.w, RECORD_CUT_STOP);
    for (unsigned i = 0; i < r.n_done; i++)
        assert_int_equal(record_finish(r.dir_fd, &r.done[i], &entry, &reason), E_OK);
    folder_fd = rig_folder(&r);
    assert_int_equal(repaired(folder_fd), 0);
    record_name_set_time(&gone.name, 0);
    gone.name.seq = 77;
    assert_int_equal(record_index_append(folder_fd, &gone), E_OK);
    assert_int_equal(repaired(folder_fd), 1);
    assert_int_equal(unlinkat(folder_fd, RECORD_INDEX_NAME, 0), 0);
    assert_int_equal(repaired(folder_fd), 2);
    assert_int_equal(record_index_read(folder_fd, &list), E_OK);
    assert_int_equal(list.n_items, 2);
    assert_int_equal(list.items[1].bytes, entry.bytes);
    assert_int_equal(list.items[1].codecs[MEDIA_AUDIO], CODEC_AAC);
    record_entries_fini(&list);
    close(folder_fd);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_entries_by_number),
        cmocka_unit_test(test_parse_says_that_a_line_is_broken_and_keeps_the_others),
        cmocka_unit_test(test_parse_takes_a_list_cut_at_any_byte),
        cmocka_unit_test(test_append_and_read_agree),
        cmocka_unit_test(test_repair_makes_the_index_what_the_folder_is),
        cmocka_unit_test(test_repair_says_so_when_the_index_cannot_be_written),
        cmocka_unit_test(test_unlink_takes_the_segments_before_their_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
