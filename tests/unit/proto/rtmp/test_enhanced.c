/* What a client says of itself in connect: Enhanced RTMP v2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/rtmp/enhanced.h"

#define TAKES(codec) (UINT32_C(1) << (codec))

/* The object that write() made, as a server reads it. */
static struct rtmp_abilities read_back(void (*write)(struct buf_writer *w))
{
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    const struct amf_value *object = NULL;
    struct rtmp_abilities got;
    struct buf_writer w;

    assert_non_null(doc);
    buf_writer_init(&w, 1 << 12);
    amf_write_object(&w);
    write(&w);
    amf_write_end(&w);
    assert_int_equal(amf0_read_all(doc, buf_writer_view(&w), &object), E_OK);
    rtmp_read_abilities(object, &got);
    buf_writer_fini(&w);
    amf_doc_destroy(&doc);
    return got;
}

static void write_nothing(struct buf_writer *w)
{
    amf_write_member_cstr(w, "app", "live");
}

static void write_list(struct buf_writer *w)
{
    amf_write_name(w, "fourCcList");
    amf_write_strict_array(w, 4);
    amf_write_cstr(w, "hvc1");
    amf_write_cstr(w, "Opus");
    amf_write_cstr(w, "what"); /* of later days */
    amf_write_number(w, 7);
    amf_write_member_number(w, "capsEx", 7);
}

static void write_wildcard(struct buf_writer *w)
{
    amf_write_name(w, "fourCcList");
    amf_write_strict_array(w, 1);
    amf_write_cstr(w, "*");
}

static void write_maps(struct buf_writer *w)
{
    amf_write_name(w, "videoFourCcInfoMap");
    amf_write_object(w);
    amf_write_member_number(w, "av01", 1); /* can decode */
    amf_write_member_number(w, "vp09", 2); /* can encode alone */
    amf_write_end(w);
    amf_write_name(w, "audioFourCcInfoMap");
    amf_write_object(w);
    amf_write_member_number(w, "ec-3", 4); /* can forward */
    amf_write_end(w);
    amf_write_member_number(w, "capsEx", -1);
}

static void write_player(struct buf_writer *w)
{
    rtmp_write_abilities(w, false, true);
}

static void write_publisher(struct buf_writer *w)
{
    rtmp_write_abilities(w, true, false);
}

static void test_write_abilities_gives_what_a_server_reads_back(void **state)
{
    struct rtmp_abilities player = read_back(write_player), publisher = read_back(write_publisher);

    (void)state;
    assert_true(player.announces_codecs && player.reconnect && player.multitrack && player.mod_ex);
    for (enum media_codec codec = 0; codec < CODEC_COUNT; codec++)
        if (media_codec_fourcc(codec))
            assert_true(player.codecs & TAKES(codec));
    assert_true(publisher.announces_codecs && publisher.multitrack && publisher.mod_ex);
    assert_false(publisher.reconnect);
    assert_int_equal(publisher.codecs, player.codecs);
}

/* Version 2 servers may look at the maps alone. */
static void test_write_abilities_gives_maps_of_what_players_decode_and_pass_on(void **state)
{
    static const char k_video[] = "videoFourCcInfoMap\x03\x00\x04"
                                  "av01\x00\x40\x14\x00\x00\x00\x00\x00\x00"; /* 5 */
    static const char k_audio[] = "audioFourCcInfoMap\x03\x00\x04"
                                  "Opus\x00\x40\x18\x00\x00\x00\x00\x00\x00"; /* 6 */
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 12);
    write_player(&w);
    assert_non_null(memmem(w.data, w.used_bytes, k_video, sizeof k_video - 1));
    buf_writer_clear(&w);
    write_publisher(&w);
    assert_non_null(memmem(w.data, w.used_bytes, k_audio, sizeof k_audio - 1));
    buf_writer_fini(&w);
}

static void test_read_abilities_gives_none_of_old_clients(void **state)
{
    struct rtmp_abilities got = read_back(write_nothing);

    (void)state;
    assert_false(got.announces_codecs);
    assert_int_equal(got.codecs, 0);
    assert_false(got.reconnect || got.multitrack || got.mod_ex);
}

static void test_read_abilities_gives_codecs_of_the_list(void **state)
{
    struct rtmp_abilities got = read_back(write_list);

    (void)state;
    assert_true(got.announces_codecs);
    assert_int_equal(got.codecs, TAKES(CODEC_HEVC) | TAKES(CODEC_OPUS));
    assert_true(got.reconnect && got.multitrack && got.mod_ex);
    assert_int_equal(read_back(write_wildcard).codecs, UINT32_MAX);
}

static void test_read_abilities_gives_codecs_that_the_maps_decode_or_forward(void **state)
{
    struct rtmp_abilities got = read_back(write_maps);

    (void)state;
    assert_true(got.announces_codecs);
    assert_int_equal(got.codecs, TAKES(CODEC_AV1) | TAKES(CODEC_EAC3));
    assert_false(got.reconnect || got.multitrack || got.mod_ex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_abilities_gives_what_a_server_reads_back),
        cmocka_unit_test(test_write_abilities_gives_maps_of_what_players_decode_and_pass_on),
        cmocka_unit_test(test_read_abilities_gives_none_of_old_clients),
        cmocka_unit_test(test_read_abilities_gives_codecs_of_the_list),
        cmocka_unit_test(test_read_abilities_gives_codecs_that_the_maps_decode_or_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
