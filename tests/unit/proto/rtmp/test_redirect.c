/* RTMP server: clients that are sent elsewhere, and what they said in connect. */
#include "tests/unit/proto/rtmp/server_test.h"

/* A player whose play waits for an answer. caps < 0: it announces nothing. */
static void ask_to_play_of(struct peer *p, const char *app, double caps)
{
    struct rtmp_event event;
    struct buf_writer body;

    peer_begin(p);
    peer_do_handshake(p);
    buf_writer_init(&body, 1 << 12);
    amf_write_cstr(&body, "connect");
    amf_write_number(&body, 1);
    amf_write_object(&body);
    amf_write_member_cstr(&body, "app", app);
    amf_write_member_cstr(&body, "tcUrl", "rtmp://a/live?token=x\r\n");
    amf_write_member_cstr(&body, "flashVer", "LNX 9,0");
    amf_write_member_cstr(&body, "pageUrl", "https://page/");
    if (caps >= 0)
        amf_write_member_number(&body, "capsEx", caps);
    amf_write_end(&body);
    peer_put(p, RTMP_COMMAND_AMF0, 0, 0, body.data, body.used_bytes);
    buf_writer_fini(&body);
    assert_true(peer_run(p, &event));
    peer_command(p, 0, "createStream", 2, buf_view_of(NULL, 0));
    peer_command_name(p, 1, "play", 3, "x");
    assert_true(peer_run(p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PLAY);
    (void)peer_heard(p);
}

static void ask_to_play(struct peer *p, double caps)
{
    ask_to_play_of(p, "live", caps);
}

static void test_redirect_says_302_and_the_url(void **state)
{
    static const uint8_t k_code[] = "\x00\x04"
                                    "code\x00\x40\x72\xe0\x00\x00\x00\x00\x00"; /* 302 */
    struct peer p;

    (void)state;
    ask_to_play(&p, -1);
    rtmp_server_redirect(p.server, "rtmp://b:19/live/x?token=x", &p.out);
    assert_true(contains(buf_writer_view(&p.out), k_code, sizeof k_code - 1));
    assert_true(contains_text(buf_writer_view(&p.out), "redirect"));
    assert_true(contains_text(buf_writer_view(&p.out), "rtmp://b:19/live/x?token=x"));
    assert_string_equal(peer_heard(&p), "onStatus 0 on 1: error NetConnection.Connect.Rejected\n");
    assert_string_equal(rtmp_server_state(p.server), "connected"); /* it may try another */
    peer_end(&p);
}

static void test_redirect_asks_those_who_can_to_reconnect(void **state)
{
    static const uint8_t k_url[] = "\x00\x05tcUrl\x02\x00\x10rtmp://b:19/live";
    struct peer p;

    (void)state;
    ask_to_play(&p, 1);
    rtmp_server_redirect(p.server, "rtmp://b:19/live/x?token=a/b", &p.out);
    assert_true(contains(buf_writer_view(&p.out), k_url, sizeof k_url - 1));
    assert_string_equal(peer_heard(&p),
                        "onStatus 0 on 1: error NetConnection.Connect.Rejected\n"
                        "onStatus 0 on 0: status NetConnection.Connect.ReconnectRequest\n");
    peer_end(&p);
}

static void test_client_words_are_there_until_a_play_is_accepted(void **state)
{
    struct rtmp_client_words words;
    struct peer p;

    (void)state;
    ask_to_play(&p, -1);
    rtmp_server_client_words(p.server, &words);
    assert_string_equal(words.tc_url, "rtmp://a/live?token=x"); /* it ends in no log as two lines */
    assert_string_equal(words.agent, "LNX 9,0");
    assert_string_equal(words.page_url, "https://page/");
    rtmp_server_accept(p.server, &p.out);
    rtmp_server_client_words(p.server, &words);
    assert_string_equal(words.tc_url, "");
    assert_string_equal(words.page_url, "");
    peer_end(&p);
}

static void test_app_is_there_for_the_next_play_when_the_words_are_gone(void **state)
{
    static const char *const k_apps[] = {"a", "12345678", "123456789", "a-long-app/with-a-part"};

    (void)state;
    for (size_t i = 0; i < sizeof k_apps / sizeof k_apps[0]; i++) {
        struct rtmp_event event;
        struct peer p;

        ask_to_play_of(&p, k_apps[i], -1);
        rtmp_server_accept(p.server, &p.out);
        peer_command_number(&p, 0, "deleteStream", 4, 1);
        assert_true(peer_run(&p, &event));
        assert_int_equal(event.type, RTMP_EVENT_STOP);
        peer_command(&p, 0, "createStream", 5, buf_view_of(NULL, 0));
        peer_command_name(&p, 1, "play", 6, "y");
        assert_true(peer_run(&p, &event));
        assert_int_equal(event.type, RTMP_EVENT_PLAY);
        assert_true(buf_view_equals(event.app, k_apps[i]));
        peer_end(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redirect_says_302_and_the_url),
        cmocka_unit_test(test_redirect_asks_those_who_can_to_reconnect),
        cmocka_unit_test(test_client_words_are_there_until_a_play_is_accepted),
        cmocka_unit_test(test_app_is_there_for_the_next_play_when_the_words_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
