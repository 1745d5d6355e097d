/* Playlists for one viewer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hls/hls.h"

static void test_write_private_adds_arguments_to_addresses_of_pieces_alone(void **state)
{
    static const char k_shared[] = "#EXTM3U\n"
                                   "#EXT-X-MAP:URI=\"i1-1.mp4\"\n"
                                   "#EXTINF:2.00000,\n"
                                   "s1-7.m4s\n"
                                   "\n"
                                   "#EXT-X-PART:DURATION=0.2,URI=\"s1-8.0.m4s\",INDEPENDENT=YES\n"
                                   "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s1-8.1.m4s\"\n"
                                   "#EXT-X-RENDITION-REPORT:URI=\"../b/fmp4.m3u8\",LAST-MSN=8\n"
                                   "s1-9.m4s?x=1";
    static const char k_private[] =
        "#EXTM3U\n"
        "#EXT-X-MAP:URI=\"i1-1.mp4?a=b&c=d\"\n"
        "#EXTINF:2.00000,\n"
        "s1-7.m4s?a=b&c=d\n"
        "\n"
        "#EXT-X-PART:DURATION=0.2,URI=\"s1-8.0.m4s?a=b&c=d\",INDEPENDENT=YES\n"
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s1-8.1.m4s?a=b&c=d\"\n"
        "#EXT-X-RENDITION-REPORT:URI=\"../b/fmp4.m3u8\",LAST-MSN=8\n"
        "s1-9.m4s?x=1&a=b&c=d";
    struct buf_writer out;

    (void)state;
    buf_writer_init(&out, 4096);
    hls_write_private(&out, buf_view_str(k_shared), "a=b&c=d");
    assert_int_equal(buf_writer_status(&out), E_OK);
    assert_true(buf_view_equals(buf_writer_view(&out), k_private));
    buf_writer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_private_adds_arguments_to_addresses_of_pieces_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
