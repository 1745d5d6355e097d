/* Where segments begin and end, and what the list says, with frames made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/tools/hls_folder.h"

/* MPEG-1 layer III, 128 kbit/s, 44.1 kHz: a header that describes itself, and silence. */
static const uint8_t k_mp3[1 + 417] = {0x2f, 0xff, 0xfb, 0x90, 0x64};

static void add(struct hls_folder *f, int64_t dts_us)
{
    const struct media_tag tag = {
        .type_id = 8,
        .dts_us = dts_us,
        .body = {k_mp3, sizeof k_mp3},
        .info = {.kind = MEDIA_AUDIO, .codec = CODEC_MP3, .es_offset = 1, .dts_us = dts_us}};

    assert_int_equal(hls_folder_write(f, &tag, 1000000 + dts_us), E_OK);
}

static void read_list(const char *folder, char *out, size_t size)
{
    char path[128];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "%s/" HLS_FOLDER_LIST, folder);
    file = fopen(path, "re");
    assert_non_null(file);
    n = fread(out, 1, size - 1, file);
    out[n] = '\0';
    (void)fclose(file);
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static void remove_all(const char *folder)
{
    char command[160];

    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_list_has_what_is_whole_and_ends(void **state)
{
    char folder[] = "/tmp/headwater-test-XXXXXX", list[4096];
    struct hls_folder f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(hls_folder_open(&f, folder, 1, 0), E_OK);
    for (int64_t at_us = 5000000; at_us <= 7500000; at_us += 100000)
        add(&f, at_us);
    read_list(folder, list, sizeof list);
    assert_int_equal(count(list, "#EXTINF:1.000"), 2);
    assert_int_equal(count(list, "#EXT-X-ENDLIST"), 0);
    assert_int_equal(hls_folder_close(&f), E_OK);
    read_list(folder, list, sizeof list);
    assert_int_equal(count(list, "#EXTINF:"), 3);
    assert_int_equal(count(list, "#EXTINF:0.600"),
                     1); /* the last one is as long as the one before */
    assert_int_equal(count(list, "#EXT-X-ENDLIST"), 1);
    assert_int_equal(count(list, "#EXT-X-DISCONTINUITY"), 0);
    assert_int_equal(hls_folder_open(&f, folder, 1, 0), E_BUSY);
    assert_int_equal(hls_folder_close(&f), E_OK);
    remove_all(folder);
}

static void test_list_says_where_time_does_not_go_on(void **state)
{
    char folder[] = "/tmp/headwater-test-XXXXXX", list[4096];
    struct hls_folder f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(hls_folder_open(&f, folder, 10, 0), E_OK);
    for (int64_t at_us = 60000000; at_us <= 61000000; at_us += 100000)
        add(&f, at_us);
    for (int64_t at_us = 0; at_us <= 500000; at_us += 100000)
        add(&f, at_us);
    assert_int_equal(hls_folder_close(&f), E_OK);
    read_list(folder, list, sizeof list);
    assert_int_equal(count(list, "#EXT-X-DISCONTINUITY\n"), 1);
    assert_int_equal(count(list, "#EXTINF:1.100"), 1);
    assert_int_equal(count(list, "#EXTINF:0.600"), 1);
    remove_all(folder);
}

static void test_window_keeps_the_numbers_going(void **state)
{
    char folder[] = "/tmp/headwater-test-XXXXXX", list[4096];
    struct hls_folder f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(hls_folder_open(&f, folder, 1, 2), E_OK);
    for (int64_t at_us = 0; at_us <= 9000000; at_us += 100000)
        add(&f, at_us);
    read_list(folder, list, sizeof list);
    assert_int_equal(count(list, "#EXTINF:"), 2);
    assert_int_equal(count(list, "#EXT-X-MEDIA-SEQUENCE:7\n"), 1);
    assert_int_equal(count(list, "PLAYLIST-TYPE"), 0);
    assert_int_equal(hls_folder_close(&f), E_OK);
    remove_all(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_has_what_is_whole_and_ends),
        cmocka_unit_test(test_list_says_where_time_does_not_go_on),
        cmocka_unit_test(test_window_keeps_the_numbers_going),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
