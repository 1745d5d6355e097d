/* Files of segments and their list, on a real file system. */
#include "node/hls/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_BYTES 1000
#define FILE_NAME "s1-2.m4s"

struct disk_rig {
    char dir[64];
    struct hls_disk *disk;
    struct stream_name name;
};

static void open_rig(struct disk_rig *r)
{
    const char *why;

    snprintf(r->dir, sizeof r->dir, "/tmp/hls_disk_XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->disk = hls_disk_create(r->dir, MAX_BYTES, 0);
    assert_non_null(r->disk);
    assert_int_equal(stream_name_make(&r->name, buf_view_str("live"), buf_view_str("a"), &why),
                     E_OK);
}

static void close_rig(struct disk_rig *r)
{
    char command[128];

    hls_disk_destroy(&r->disk);
    snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
    assert_int_equal(system(command), 0);
}

static const char *path_of(const struct disk_rig *r, const char *file)
{
    static char path[1024];

    snprintf(path, sizeof path, "%s/%s/%s", r->dir, r->name.text, file);
    return path;
}

/* What was asked for is done. */
static void settle(struct disk_rig *r)
{
    hls_disk_destroy(&r->disk);
    r->disk = hls_disk_create(r->dir, MAX_BYTES, 0);
    assert_non_null(r->disk);
}

static void assert_file(const struct disk_rig *r, const char *file, const char *wanted)
{
    char text[256] = "";
    FILE *in = fopen(path_of(r, file), "re");

    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    assert_string_equal(text, wanted);
}

static struct hls_data *data_of(const char *text)
{
    struct hls_data *data = hls_data_create();

    hls_data_put(data, buf_view_str(text));
    return data;
}

static void write_text(struct disk_rig *r, const char *file, const char *text)
{
    struct hls_data *data = data_of(text);

    assert_true(hls_disk_write(r->disk, &r->name, file, data));
    hls_data_unref(&data);
}

static void list_text(struct disk_rig *r, bool fresh, const char *text, const char *missing)
{
    struct hls_disk_entry entry = {
        .fresh = fresh, .data = data_of(text), .needs = FILE_NAME, .missing = data_of(missing)};

    assert_true(hls_disk_append(r->disk, &r->name, HLS_RECORD_NAME, &entry));
    hls_data_unref(&entry.data);
    hls_data_unref(&entry.missing);
}

static void test_append_lists_what_was_written(void **state)
{
    struct disk_rig r;

    (void)state;
    open_rig(&r);
    write_text(&r, FILE_NAME, "segment");
    list_text(&r, true, "one ", "gap ");
    list_text(&r, false, "two", "gap");
    settle(&r);
    assert_file(&r, FILE_NAME, "segment");
    assert_file(&r, HLS_RECORD_NAME, "one two");
    close_rig(&r);
}

static void test_append_lists_a_gap_when_the_segment_was_not_written(void **state)
{
    struct disk_rig r;

    (void)state;
    open_rig(&r);
    write_text(&r, "s1-1.m4s", "first"); /* makes the folder */
    settle(&r);
    assert_int_equal(mkdir(path_of(&r, FILE_NAME ".part"), 0755), 0);
    write_text(&r, FILE_NAME, "segment");
    list_text(&r, true, "one ", "gap ");
    list_text(&r, false, "two", "gap");
    settle(&r);
    assert_int_not_equal(access(path_of(&r, FILE_NAME), F_OK), 0);
    assert_file(&r, HLS_RECORD_NAME, "gap gap");
    close_rig(&r);
}

static void test_append_makes_no_list_without_a_beginning(void **state)
{
    struct disk_rig r;

    (void)state;
    open_rig(&r);
    write_text(&r, FILE_NAME, "segment");
    list_text(&r, false, "two", "gap");
    settle(&r);
    assert_int_not_equal(access(path_of(&r, HLS_RECORD_NAME), F_OK), 0);
    close_rig(&r);
}

static void test_write_follows_no_link(void **state)
{
    struct disk_rig r;

    (void)state;
    open_rig(&r);
    write_text(&r, "s1-1.m4s", "precious");
    settle(&r);
    assert_int_equal(symlink("s1-1.m4s", path_of(&r, HLS_RECORD_NAME)), 0);
    assert_int_equal(symlink("s1-1.m4s", path_of(&r, FILE_NAME ".part")), 0);
    list_text(&r, false, "two", "gap");
    write_text(&r, FILE_NAME, "segment");
    settle(&r);
    assert_file(&r, "s1-1.m4s", "precious");
    close_rig(&r);
}

static void test_write_leaves_out_a_stream_that_is_called_as_a_file(void **state)
{
    struct stream_name outer;
    struct disk_rig r;
    const char *why;

    (void)state;
    open_rig(&r);
    outer = r.name;
    assert_int_equal(
        stream_name_make(&r.name, buf_view_str("live/a"), buf_view_str(HLS_RECORD_NAME), &why),
        E_OK);
    write_text(&r, FILE_NAME, "inner");
    r.name = outer;
    write_text(&r, FILE_NAME, "segment");
    list_text(&r, true, "one", "gap");
    settle(&r);
    assert_file(&r, HLS_RECORD_NAME, "one");
    close_rig(&r);
}

/* --- reading --- */

static struct loop *s_loop;

static void on_read(struct hls_disk_read *read)
{
    (void)read;
    loop_stop(s_loop);
}

static enum err read_file(struct disk_rig *r, const char *file, struct hls_data **data)
{
    struct hls_disk_read read = {.stream = r->name, .done = on_read};

    s_loop = loop_create("test", 1);
    assert_non_null(s_loop);
    read.loop = s_loop;
    snprintf(read.file, sizeof read.file, "%s", file);
    assert_true(hls_disk_read(r->disk, &read));
    loop_run(s_loop);
    loop_destroy(&s_loop);
    *data = read.data;
    return read.result;
}

static void test_read_gives_files_alone(void **state)
{
    struct disk_rig r;
    struct hls_data *data;

    (void)state;
    open_rig(&r);
    write_text(&r, FILE_NAME, "segment");
    settle(&r);
    assert_int_equal(read_file(&r, FILE_NAME, &data), E_OK);
    assert_int_equal(hls_data_size(data), strlen("segment"));
    hls_data_unref(&data);
    assert_int_equal(mkfifo(path_of(&r, HLS_RECORD_NAME), 0644), 0);
    assert_int_equal(read_file(&r, HLS_RECORD_NAME, &data), E_NOT_FOUND);
    assert_int_equal(symlink(FILE_NAME, path_of(&r, "s1-3.m4s")), 0);
    assert_int_equal(read_file(&r, "s1-3.m4s", &data), E_NOT_FOUND);
    close_rig(&r);
}

static void test_read_refuses_above_what_may_be_held(void **state)
{
    char text[MAX_BYTES * 2 / 3];
    struct hls_data *first, *second;
    struct disk_rig r;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    open_rig(&r);
    write_text(&r, FILE_NAME, text);
    settle(&r);
    assert_int_equal(read_file(&r, FILE_NAME, &first), E_OK);
    assert_int_equal(read_file(&r, FILE_NAME, &second), E_LIMIT);
    assert_null(second);
    hls_data_unref(&first);
    assert_int_equal(read_file(&r, FILE_NAME, &second), E_OK);
    hls_data_unref(&second);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_lists_what_was_written),
        cmocka_unit_test(test_append_lists_a_gap_when_the_segment_was_not_written),
        cmocka_unit_test(test_append_makes_no_list_without_a_beginning),
        cmocka_unit_test(test_write_follows_no_link),
        cmocka_unit_test(test_write_leaves_out_a_stream_that_is_called_as_a_file),
        cmocka_unit_test(test_read_gives_files_alone),
        cmocka_unit_test(test_read_refuses_above_what_may_be_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
