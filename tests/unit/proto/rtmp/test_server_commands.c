#include "tests/unit/proto/rtmp/server_test.h"

/* Runs what was put: no event may come. Returns what the server said. */
static const char *answers(struct peer *p)
{
    struct rtmp_event event;

    assert_false(peer_run(p, &event));
    assert_int_equal(p->e, E_AGAIN);
    return peer_heard(p);
}

static void assert_app(const char *app, const char *tc_url, const char *expected)
{
    struct rtmp_event event;
    struct peer p;

    peer_begin(&p);
    peer_do_handshake(&p);
    peer_put_connect(&p, app, tc_url);
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_CONNECT);
    assert_true(buf_view_equals(event.app, expected));
    if (tc_url)
        assert_true(buf_view_equals(event.tc_url, tc_url));
    assert_true(buf_view_equals(event.agent, "test 1"));
    peer_end(&p);
}

static void test_connect_gives_app_as_real_clients_name_it(void **state)
{
    (void)state;
    assert_app("live", "rtmp://localhost/live", "live");
    assert_app("live/", "rtmp://localhost/live/", "live");
    assert_app("/live", NULL, "live");
    assert_app("live?token=a/b", NULL, "live");
    assert_app("live/?vhost=x", NULL, "live");
    assert_app("a/b", NULL, "a/b");
    assert_app(NULL, "rtmp://localhost:1935/live", "live");
    assert_app("", "rtmp://localhost/a/b/?x=1", "a/b");
    assert_app(NULL, "rtmp://localhost//live", "live");
}

static void test_connect_gives_error_when_there_is_no_app(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_do_handshake(&p);
    peer_put_connect(&p, "/?x", "rtmp://localhost");
    assert_string_equal(answers(&p), "_error 1 on 0: error NetConnection.Connect.InvalidApp\n");
    assert_string_equal(rtmp_server_state(p.server), "connecting");
    peer_put_connect(&p, "live", NULL);
    assert_true(peer_run(&p, &event));
    peer_end(&p);
}

/* Connects with the members that body holds and returns the _result's body, to be freed. */
static struct buf_writer connect_result(struct buf_view members)
{
    struct buf_writer body;
    struct rtmp_event event;
    struct peer p;

    peer_begin(&p);
    peer_do_handshake(&p);
    buf_writer_init(&body, 1 << 16);
    amf_write_cstr(&body, "connect");
    amf_write_number(&body, 1);
    amf_write_object(&body);
    amf_write_member_cstr(&body, "app", "live");
    buf_write_view(&body, members);
    amf_write_end(&body);
    peer_put(&p, RTMP_COMMAND_AMF0, 0, 0, body.data, body.used_bytes);
    assert_true(peer_run(&p, &event));
    buf_writer_clear(&body);
    buf_write_view(&body, buf_writer_view(&p.out));
    peer_end(&p);
    return body;
}

static void test_connect_echoes_object_encoding(void **state)
{
    static const uint8_t k_zero[] = "\x00\x0eobjectEncoding\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    static const uint8_t k_three[] = "\x00\x0eobjectEncoding\x00\x40\x08\x00\x00\x00\x00\x00\x00";
    struct buf_view zero = buf_view_of(k_zero, sizeof k_zero - 1);
    struct buf_view three = buf_view_of(k_three, sizeof k_three - 1);
    struct buf_writer result;

    (void)state;
    result = connect_result(zero);
    assert_true(contains(buf_writer_view(&result), zero.data, zero.size_bytes));
    buf_writer_fini(&result);
    result = connect_result(three);
    assert_true(contains(buf_writer_view(&result), three.data, three.size_bytes));
    buf_writer_fini(&result);
}

static void test_connect_answers_enhanced_capabilities_only_when_asked(void **state)
{
    static const uint8_t k_list[] = "\x00\x0a"
                                    "fourCcList\x0a\x00\x00\x00\x01\x02\x00\x01*";
    static const uint8_t k_caps[] = "\x00\x06"
                                    "capsEx\x00\x40\x2e\x00\x00\x00\x00\x00\x00"; /* 15 */
    struct buf_writer members, result;

    (void)state;
    result = connect_result(buf_view_of(NULL, 0));
    assert_false(contains_text(buf_writer_view(&result), "fourCcList"));
    assert_false(contains_text(buf_writer_view(&result), "capsEx"));
    buf_writer_fini(&result);

    buf_writer_init(&members, 1 << 12);
    amf_write_name(&members, "fourCcList");
    amf_write_strict_array(&members, 1);
    amf_write_cstr(&members, "hvc1");
    amf_write_name(&members, "videoFourCcInfoMap");
    amf_write_object(&members);
    amf_write_member_number(&members, "*", 7);
    amf_write_end(&members);
    amf_write_member_number(&members, "capsEx", 31); /* one bit that we do not know */
    result = connect_result(buf_writer_view(&members));
    assert_true(contains(buf_writer_view(&result), k_list, sizeof k_list - 1));
    assert_true(contains(buf_writer_view(&result), k_caps, sizeof k_caps - 1));
    assert_true(contains_text(buf_writer_view(&result), "videoFourCcInfoMap"));
    assert_false(contains_text(buf_writer_view(&result), "audioFourCcInfoMap"));
    buf_writer_fini(&members);
    buf_writer_fini(&result);
}

/* A client that connected with these capabilities. */
static void peer_connect_with_caps(struct peer *p, double caps)
{
    struct rtmp_event event;
    struct buf_writer body;

    peer_begin(p);
    peer_do_handshake(p);
    buf_writer_init(&body, 1 << 12);
    amf_write_cstr(&body, "connect");
    amf_write_number(&body, 1);
    amf_write_object(&body);
    amf_write_member_cstr(&body, "app", "live");
    amf_write_member_number(&body, "capsEx", caps);
    amf_write_end(&body);
    peer_put(p, RTMP_COMMAND_AMF0, 0, 0, body.data, body.used_bytes);
    buf_writer_fini(&body);
    assert_true(peer_run(p, &event));
    (void)peer_heard(p);
}

static void test_ask_reconnect_gives_status_of_the_connection_with_the_new_place(void **state)
{
    static const uint8_t k_url[] = "\x00\x05tcUrl\x02\x00\x10rtmp://b:19/live";
    struct peer p;

    (void)state;
    peer_connect_with_caps(&p, 1);
    assert_true(rtmp_server_ask_reconnect(p.server, "rtmp://b:19/live", "moving", &p.out));
    assert_true(contains(buf_writer_view(&p.out), k_url, sizeof k_url - 1));
    assert_true(contains_text(buf_writer_view(&p.out), "moving"));
    assert_string_equal(peer_heard(&p),
                        "onStatus 0 on 0: status NetConnection.Connect.ReconnectRequest\n");
    assert_true(rtmp_server_ask_reconnect(p.server, NULL, "moving", &p.out));
    assert_false(contains_text(buf_writer_view(&p.out), "tcUrl"));
    peer_end(&p);
}

static void test_ask_reconnect_writes_nothing_to_clients_that_did_not_announce_it(void **state)
{
    static const double k_caps[] = {0, 14, -1, 1e300};
    struct peer p;

    (void)state;
    for (size_t i = 0; i < sizeof k_caps / sizeof k_caps[0]; i++) {
        peer_connect_with_caps(&p, k_caps[i]);
        assert_false(rtmp_server_ask_reconnect(p.server, NULL, "moving", &p.out));
        assert_int_equal(p.out.used_bytes, 0);
        peer_end(&p);
    }
    peer_begin(&p);
    peer_connect(&p); /* without capsEx */
    assert_false(rtmp_server_ask_reconnect(p.server, NULL, "moving", &p.out));
    peer_end(&p);
}

static void test_create_stream_gives_1_first_and_again_after_delete(void **state)
{
    static const struct buf_view k_none;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command(&p, 0, "createStream", 2, k_none);
    peer_command(&p, 0, "createStream", 3, k_none);
    peer_command_number(&p, 0, "deleteStream", 0, 2);
    peer_command(&p, 0, "createStream", 4, k_none);
    peer_command_number(&p, 0, "deleteStream", 0, 1);
    peer_command(&p, 0, "createStream", 5, k_none);
    assert_string_equal(answers(&p), "_result 2 on 0: 1\n_result 3 on 0: 2\n"
                                     "_result 4 on 0: 3\n_result 5 on 0: 1\n");
    peer_end(&p);
}

static void test_publish_and_play_are_refused_on_another_stream_id(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command_name(&p, 2, "publish", 3, "x");
    peer_command_name(&p, 0, "play", 3, "x");
    peer_command(&p, 1, "publish", 3, buf_view_of("\x05", 1)); /* null for a name */
    assert_string_equal(answers(&p), "onStatus 0 on 2: error NetStream.Publish.BadName\n"
                                     "onStatus 0 on 0: error NetStream.Play.Failed\n"
                                     "onStatus 0 on 1: error NetStream.Publish.BadName\n");
    peer_end(&p);
}

static void test_publish_and_play_are_refused_while_one_runs(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_publish(&p);
    peer_command_name(&p, 1, "publish", 4, "y");
    peer_command_name(&p, 1, "play", 5, "y");
    assert_string_equal(answers(&p), "onStatus 0 on 1: error NetStream.Publish.BadName\n"
                                     "onStatus 0 on 1: error NetStream.Play.Failed\n");
    assert_string_equal(rtmp_server_state(p.server), "publishing");
    peer_end(&p);
}

/* What was put ends the publish or play, with these answers. */
static void assert_stops(struct peer *p, const char *said)
{
    struct rtmp_event event;

    assert_true(peer_run(p, &event));
    assert_int_equal(event.type, RTMP_EVENT_STOP);
    assert_string_equal(peer_heard(p), said);
    assert_string_equal(rtmp_server_state(p->server), "connected");
    peer_end(p);
}

static void test_a_publish_stops_in_every_way_that_encoders_know(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_publish(&p);
    peer_command_name(&p, 0, "FCUnpublish", 6, "x");
    assert_stops(&p, "onFCUnpublish 0 on 0: status NetStream.Unpublish.Success\n"
                     "_result 6 on 0\n"
                     "onStatus 0 on 1: status NetStream.Unpublish.Success\n");
    peer_begin(&p);
    peer_publish(&p);
    peer_command_number(&p, 0, "deleteStream", 7, 1);
    assert_stops(&p, "");
    peer_begin(&p);
    peer_publish(&p);
    peer_command(&p, 1, "closeStream", 0, buf_view_of(NULL, 0));
    assert_stops(&p, "onStatus 0 on 1: status NetStream.Unpublish.Success\n");
    peer_begin(&p);
    peer_publish(&p);
    peer_command_boolean(&p, 1, "publish", 0, false);
    assert_stops(&p, "onStatus 0 on 1: status NetStream.Unpublish.Success\n");
}

static void test_a_play_stops_in_every_way_that_players_know(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_play(&p);
    peer_command_number(&p, 0, "deleteStream", 0, 1);
    assert_stops(&p, "");
    peer_begin(&p);
    peer_play(&p);
    peer_command(&p, 1, "closeStream", 0, buf_view_of(NULL, 0));
    assert_stops(&p, "onStatus 0 on 1: status NetStream.Play.Stop\n");
    peer_begin(&p);
    peer_play(&p);
    peer_command_boolean(&p, 1, "play", 0, false);
    assert_stops(&p, "onStatus 0 on 1: status NetStream.Play.Stop\n");
}

static void test_stop_gives_nothing_when_nothing_runs(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command_name(&p, 0, "FCUnpublish", 6, "x");
    peer_command_number(&p, 0, "deleteStream", 7, 1);
    peer_command(&p, 1, "closeStream", 0, buf_view_of(NULL, 0));
    assert_string_equal(answers(&p), "onFCUnpublish 0 on 0: status NetStream.Unpublish.Success\n"
                                     "_result 6 on 0\n");
    peer_end(&p);
}

static void test_delete_of_another_stream_leaves_the_play_alone(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_play(&p);
    peer_command_number(&p, 0, "deleteStream", 0, 2);
    peer_command(&p, 2, "closeStream", 0, buf_view_of(NULL, 0));
    assert_string_equal(answers(&p), "");
    assert_string_equal(rtmp_server_state(p.server), "playing");
    peer_end(&p);
}

static void test_pause_gives_event_and_status_both_ways(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command_boolean(&p, 1, "pause", 0, true);
    assert_string_equal(answers(&p), "onStatus 0 on 1: error NetStream.Failed\n");
    peer_end(&p);

    peer_begin(&p);
    peer_play(&p);
    peer_command_boolean(&p, 1, "pause", 0, true);
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PAUSE);
    assert_true(event.paused);
    assert_string_equal(peer_heard(&p), "user control 1: 1\n"
                                        "onStatus 0 on 1: status NetStream.Pause.Notify\n");
    peer_command_boolean(&p, 1, "pauseRaw", 0, false);
    assert_true(peer_run(&p, &event));
    assert_false(event.paused);
    assert_string_equal(peer_heard(&p), "user control 0: 1\n"
                                        "onStatus 0 on 1: status NetStream.Unpause.Notify\n");
    peer_end(&p);
}

static void test_commands_of_players_are_answered(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_play(&p);
    peer_command_number(&p, 1, "seek", 0, 1000);
    peer_command(&p, 1, "play2", 0, buf_view_of("\x05", 1));
    peer_command_boolean(&p, 1, "receiveAudio", 0, true);
    peer_command_boolean(&p, 1, "receiveVideo", 0, false);
    peer_command_name(&p, 0, "FCSubscribe", 0, "x");
    peer_command_name(&p, 0, "getStreamLength", 8, "x");
    peer_command(&p, 0, "_checkbw", 9, buf_view_of(NULL, 0));
    peer_command(&p, 0, "checkBandwidth", 0, buf_view_of(NULL, 0));
    assert_string_equal(answers(&p), "onStatus 0 on 1: error NetStream.Seek.Failed\n"
                                     "onStatus 0 on 1: error NetStream.Play.Failed\n"
                                     "onStatus 0 on 1: status NetStream.Seek.Notify\n"
                                     "onStatus 0 on 1: status NetStream.Play.Start\n"
                                     "onFCSubscribe 0 on 0: status NetStream.Play.Start\n"
                                     "_result 8 on 0: 0\n"
                                     "_result 9 on 0\n");
    peer_end(&p);
}

static void test_unknown_command_gives_error_when_it_wants_an_answer(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command(&p, 0, "DVRGetStreamInfo", 9, buf_view_of(NULL, 0));
    peer_command(&p, 0, "initStream", 0, buf_view_of(NULL, 0));
    peer_command(&p, 0, "_error", 3, buf_view_of(NULL, 0));
    assert_string_equal(answers(&p), "_error 9 on 0: error NetConnection.Call.Failed\n");
    peer_end(&p);
}

static void test_commands_in_amf3_messages_are_read(void **state)
{
    /* clang-format off */
    static const uint8_t k_create[] = {
        0x00,                                                            /* format byte */
        0x02, 0x00, 0x0c, 'c', 'r', 'e', 'a', 't', 'e', 'S', 't', 'r', 'e', 'a', 'm',
        0x00, 0x40, 0x00, 0,   0,   0,   0,   0,   0,                    /* 2 */
        0x11, 0x01,                                                      /* AMF3 null */
    };
    /* clang-format on */
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_put(&p, RTMP_COMMAND_AMF3, 0, 0, k_create, sizeof k_create);
    peer_put(&p, RTMP_COMMAND_AMF3, 0, 0, k_create + 1, sizeof k_create - 1); /* without it */
    assert_string_equal(answers(&p), "_result 2 on 0: 1\n_result 2 on 0: 2\n");
    peer_end(&p);
}

static void assert_command_breaks(struct buf_view body, enum err e, const char *fault)
{
    struct rtmp_event event;
    struct peer p;

    peer_begin(&p);
    peer_connect(&p);
    peer_put(&p, RTMP_COMMAND_AMF0, 0, 0, body.data, body.size_bytes);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, e);
    assert_string_equal(rtmp_server_fault(p.server), fault);
    peer_end(&p);
}

static void test_broken_command_gives_error(void **state)
{
    static const uint8_t k_number[] = {0x00, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t k_cut[] = {0x02, 0x00, 0x05, 'p'};
    static const uint8_t k_externalizable[] = {0x02, 0, 1, 'p', 0x11, 0x0a, 0x07, 0x01};
    uint8_t bomb[4 + 5 * 100] = {0x02, 0, 1, 'p'};

    (void)state;
    for (size_t i = 0; i < 100; i++)
        memcpy(bomb + 4 + 5 * i, "\x0a\x00\x00\x00\x01", 5);
    assert_command_breaks(buf_view_of(NULL, 0), E_PROTO, "amf");
    assert_command_breaks(VIEW(k_number), E_PROTO, "amf");
    assert_command_breaks(VIEW(k_cut), E_PROTO, "amf");
    assert_command_breaks(VIEW(k_externalizable), E_PROTO, "amf");
    assert_command_breaks(VIEW(bomb), E_TOO_BIG, "amf");
}

static void test_command_in_the_wrong_state_gives_proto(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_do_handshake(&p);
    peer_command_name(&p, 1, "publish", 3, "x");
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_PROTO);
    assert_string_equal(rtmp_server_error(p.server), "command publish in state connecting");
    peer_end(&p);

    peer_begin(&p);
    peer_do_handshake(&p);
    peer_command(&p, 0,
                 "no\nsuch\xff"
                 "command",
                 3, buf_view_of(NULL, 0));
    assert_false(peer_run(&p, &event));
    assert_string_equal(rtmp_server_error(p.server), "command no?such?command before connect");
    peer_end(&p);

    peer_begin(&p);
    peer_connect(&p);
    peer_put_connect(&p, "live", NULL);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_PROTO);
    assert_string_equal(rtmp_server_fault(p.server), "order");
    peer_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_gives_app_as_real_clients_name_it),
        cmocka_unit_test(test_connect_gives_error_when_there_is_no_app),
        cmocka_unit_test(test_connect_echoes_object_encoding),
        cmocka_unit_test(test_connect_answers_enhanced_capabilities_only_when_asked),
        cmocka_unit_test(test_ask_reconnect_gives_status_of_the_connection_with_the_new_place),
        cmocka_unit_test(test_ask_reconnect_writes_nothing_to_clients_that_did_not_announce_it),
        cmocka_unit_test(test_create_stream_gives_1_first_and_again_after_delete),
        cmocka_unit_test(test_publish_and_play_are_refused_on_another_stream_id),
        cmocka_unit_test(test_publish_and_play_are_refused_while_one_runs),
        cmocka_unit_test(test_a_publish_stops_in_every_way_that_encoders_know),
        cmocka_unit_test(test_a_play_stops_in_every_way_that_players_know),
        cmocka_unit_test(test_stop_gives_nothing_when_nothing_runs),
        cmocka_unit_test(test_delete_of_another_stream_leaves_the_play_alone),
        cmocka_unit_test(test_pause_gives_event_and_status_both_ways),
        cmocka_unit_test(test_commands_of_players_are_answered),
        cmocka_unit_test(test_unknown_command_gives_error_when_it_wants_an_answer),
        cmocka_unit_test(test_commands_in_amf3_messages_are_read),
        cmocka_unit_test(test_broken_command_gives_error),
        cmocka_unit_test(test_command_in_the_wrong_state_gives_proto),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
