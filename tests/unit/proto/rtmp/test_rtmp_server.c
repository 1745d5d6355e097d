#include "tests/unit/proto/rtmp/server_test.h"

static const uint8_t k_audio[] = {0xaf, 0x01, 0x11};

/* A whole publish as an encoder sends it that does not wait for answers. */
static void put_publish_session(struct peer *p)
{
    /* clang-format off */
    static const uint8_t k_data_amf3[] = {0x00, 0x02, 0x00, 0x01, 'd'}; /* format byte, "d" */
    static const uint8_t k_aggregate[] = {
        0x08, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xa1, 0, 0, 0, 12,
        0x09, 0, 0, 1, 0, 0, 7, 0, 0, 0, 0, 0x17, 0, 0, 0, 12,
    };
    /* clang-format on */
    uint8_t frame[1000];

    peer_put_handshake(p);
    peer_put_connect(p, "live", "rtmp://localhost/live");
    peer_command_name(p, 0, "releaseStream", 2, "x?key=1");
    peer_command_name(p, 0, "FCPublish", 3, "x?key=1");
    peer_command(p, 0, "createStream", 4, buf_view_of(NULL, 0));
    peer_command_name(p, 1, "publish", 5, "x?key=1");
    memset(frame, 0x27, sizeof frame);
    peer_put(p, RTMP_DATA_AMF0, 0, 1, "\x02\x00\x01m", 4);
    peer_put(p, RTMP_AUDIO, 10, 1, k_audio, sizeof k_audio);
    peer_put(p, RTMP_AUDIO, 12, 1, NULL, 0); /* dropped: nothing in it */
    peer_put(p, RTMP_VIDEO, 20, 1, frame, sizeof frame);
    peer_put(p, RTMP_DATA_AMF3, 21, 1, k_data_amf3, sizeof k_data_amf3);
    peer_put(p, RTMP_AGGREGATE, 30, 1, k_aggregate, sizeof k_aggregate);
    peer_command_number(p, 0, "deleteStream", 6, 1);
    peer_put(p, RTMP_AUDIO, 40, 1, k_audio, sizeof k_audio); /* late: dropped */
}

static void note_event(char *text, size_t size, const struct rtmp_event *e)
{
    size_t used = strlen(text);

    if (e->type == RTMP_EVENT_MEDIA)
        snprintf(text + used, size - used, "media %u at %u: %zu bytes, %02x\n", e->media_type,
                 (unsigned)e->timestamp_ms, e->body.size_bytes, e->body.data[0]);
    else
        snprintf(text + used, size - used, "event %d %.*s %.*s %.*s %.*s\n", (int)e->type,
                 text_size(e->app), (const char *)e->app.data, text_size(e->stream),
                 (const char *)e->stream.data, text_size(e->tc_url), (const char *)e->tc_url.data,
                 text_size(e->agent), (const char *)e->agent.data);
}

static void test_feed_gives_same_events_for_every_split_of_a_publish(void **state)
{
    (void)state;
    for (size_t step = 1; step < 300; step++) {
        struct rtmp_event event;
        struct peer p;
        char text[2048] = "";

        peer_begin(&p);
        p.step = step;
        put_publish_session(&p);
        while (peer_run(&p, &event)) {
            note_event(text, sizeof text, &event);
            if (event.type == RTMP_EVENT_PUBLISH)
                rtmp_server_accept(p.server, &p.out);
        }
        assert_int_equal(p.e, E_AGAIN);
        assert_string_equal(text, "event 0 live  rtmp://localhost/live test 1\n"
                                  "event 1 live x?key=1  \n"
                                  "media 18 at 0: 4 bytes, 02\n"
                                  "media 8 at 10: 3 bytes, af\n"
                                  "media 9 at 20: 1000 bytes, 27\n"
                                  "media 18 at 21: 4 bytes, 02\n"
                                  "media 8 at 30: 1 bytes, a1\n"
                                  "media 9 at 37: 1 bytes, 17\n"
                                  "event 4    \n");
        buf_writer_consume(&p.out, 1 + 2 * 1536);
        assert_string_equal(peer_heard(&p), "type 5: 2500000\n"
                                            "type 6: 2500000\n"
                                            "_result 1 on 0: status NetConnection.Connect.Success\n"
                                            "_result 2 on 0\n"
                                            "onFCPublish 0 on 0: status NetStream.Publish.Start\n"
                                            "_result 3 on 0\n"
                                            "_result 4 on 0: 1\n"
                                            "onStatus 0 on 1: status NetStream.Publish.Start\n");
        peer_end(&p);
    }
}

static void test_accept_gives_players_what_they_wait_for(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command(&p, 0, "createStream", 2, buf_view_of(NULL, 0));
    peer_command_name(&p, 1, "play", 3, "x");
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PLAY);
    assert_true(buf_view_equals(event.stream, "x"));
    (void)peer_heard(&p);
    rtmp_server_accept(p.server, &p.out);
    assert_string_equal(peer_heard(&p), "user control 0: 1\n"
                                        "onStatus 0 on 1: status NetStream.Play.Reset\n"
                                        "onStatus 0 on 1: status NetStream.Play.Start\n"
                                        "|RtmpSampleAccess on 1\n"
                                        "onStatus on 1:  NetStream.Data.Start\n");
    assert_string_equal(rtmp_server_state(p.server), "playing");
    peer_end(&p);
}

static void test_feed_takes_nothing_while_an_answer_is_due(void **state)
{
    struct rtmp_event event;
    struct buf_reader in;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command_name(&p, 1, "publish", 3, "x");
    peer_put(&p, RTMP_AUDIO, 10, 1, k_audio, sizeof k_audio);
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PUBLISH);
    assert_string_equal(rtmp_server_state(p.server), "publish pending");
    in = buf_reader_from(buf_writer_view(&p.in));
    assert_int_equal(in.left_bytes, 12 + sizeof k_audio);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rtmp_server_feed(p.server, &in, 0, &event, &p.out), E_AGAIN);
    assert_int_equal(in.left_bytes, 12 + sizeof k_audio);
    rtmp_server_accept(p.server, &p.out);
    assert_int_equal(rtmp_server_feed(p.server, &in, 0, &event, &p.out), E_OK);
    assert_int_equal(event.type, RTMP_EVENT_MEDIA);
    assert_int_equal(in.left_bytes, 0);
    peer_end(&p);
}

static void test_refuse_gives_status_and_lets_the_client_try_another(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    peer_command_name(&p, 1, "publish", 3, "busy");
    assert_true(peer_run(&p, &event));
    rtmp_server_refuse(p.server, "NetStream.Publish.BadName", "busy", &p.out);
    assert_string_equal(peer_heard(&p), "onStatus 0 on 1: error NetStream.Publish.BadName\n");
    peer_command_name(&p, 1, "play", 4, "none");
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PLAY);
    rtmp_server_refuse(p.server, "NetStream.Play.StreamNotFound", "none", &p.out);
    assert_string_equal(peer_heard(&p), "onStatus 0 on 1: error NetStream.Play.StreamNotFound\n");
    peer_command_name(&p, 1, "publish", 5, "free");
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PUBLISH);
    assert_true(buf_view_equals(event.stream, "free"));
    peer_end(&p);
}

static void assert_media_breaks(struct peer *p, uint8_t type_id, const char *error)
{
    struct rtmp_event event;

    peer_put(p, type_id, 0, 1, k_audio, sizeof k_audio);
    assert_false(peer_run(p, &event));
    assert_int_equal(p->e, E_PROTO);
    assert_string_equal(rtmp_server_error(p->server), error);
    assert_string_equal(rtmp_server_fault(p->server), "order");
    assert_string_equal(rtmp_server_state(p->server), "failed");
    peer_end(p);
}

static void test_feed_gives_proto_when_media_comes_unasked(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_do_handshake(&p);
    assert_media_breaks(&p, RTMP_AUDIO,
                        "audio message before an accepted publish (state connecting)");
    peer_begin(&p);
    peer_connect(&p);
    assert_media_breaks(&p, RTMP_VIDEO,
                        "video message before an accepted publish (state connected)");
    peer_begin(&p);
    peer_connect(&p);
    peer_command_name(&p, 1, "publish", 3, "busy");
    assert_true(peer_run(&p, &event));
    rtmp_server_refuse(p.server, "NetStream.Publish.BadName", "busy", &p.out);
    assert_media_breaks(&p, RTMP_DATA_AMF0,
                        "data message before an accepted publish (state connected)");
    peer_begin(&p);
    peer_play(&p);
    assert_media_breaks(&p, RTMP_AUDIO, "audio message from a player (state playing)");
}

static void test_feed_gives_too_big_when_a_message_is_long_before_publish(void **state)
{
    struct rtmp_limits limits = k_rtmp_limits_default;
    static uint8_t body[5001];
    struct rtmp_event event;
    struct peer p;

    (void)state;
    limits.max_command_bytes = 1000;
    limits.max_message_bytes = 5000;
    peer_begin_with(&p, &limits);
    peer_connect(&p);
    peer_put(&p, RTMP_VIDEO, 0, 1, body, 1001);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_TOO_BIG);
    assert_string_equal(rtmp_server_error(p.server),
                        "csid 3: message type 9 length 1001 > limit 1000");
    assert_string_equal(rtmp_server_fault(p.server), "size");
    peer_end(&p);

    peer_begin_with(&p, &limits);
    peer_publish(&p);
    peer_put(&p, RTMP_VIDEO, 0, 1, body, 5000);
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.body.size_bytes, 5000);
    peer_put(&p, RTMP_COMMAND_AMF0, 0, 1, body, 1001);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_TOO_BIG);
    peer_end(&p);
}

static void test_feed_gives_proto_when_the_handshake_is_not_rtmp(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    buf_write_str(&p.in, "GET / HTTP/1.1\r\n\r\n");
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_PROTO);
    assert_string_equal(rtmp_server_error(p.server), "handshake: not RTMP");
    assert_string_equal(rtmp_server_fault(p.server), "handshake");
    buf_write_u8(&p.in, 3);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_PROTO); /* it stays broken */
    peer_end(&p);
}

static void test_feed_gives_too_big_when_there_is_no_room_for_answers(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    p.out.max_bytes = 100;
    peer_put_handshake(&p);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_TOO_BIG);
    peer_end(&p);
}

static void test_end_tells_the_player_and_the_session_goes_on(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_play(&p);
    rtmp_server_end(p.server, "NetStream.Play.UnpublishNotify", "gone", &p.out);
    assert_string_equal(peer_heard(&p), "onStatus 0 on 1: status NetStream.Play.UnpublishNotify\n"
                                        "user control 1: 1\n");
    rtmp_server_end(p.server, "NetStream.Play.UnpublishNotify", "gone", &p.out);
    assert_string_equal(peer_heard(&p), "");
    peer_command_name(&p, 1, "play", 4, "y");
    assert_true(peer_run(&p, &event));
    rtmp_server_accept(p.server, &p.out);
    (void)peer_heard(&p);
    rtmp_server_end(p.server, "NetStream.Play.Failed", "too slow", &p.out);
    assert_string_equal(peer_heard(&p), "onStatus 0 on 1: error NetStream.Play.Failed\n"
                                        "onStatus 0 on 1: status NetStream.Play.UnpublishNotify\n"
                                        "user control 1: 1\n");
    peer_end(&p);
}

static void test_end_tells_the_publisher_and_drops_what_it_still_sends(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_publish(&p);
    rtmp_server_end(p.server, "NetStream.Publish.BadName", "taken over", &p.out);
    assert_string_equal(peer_heard(&p), "onStatus 0 on 1: error NetStream.Publish.BadName\n");
    peer_put(&p, RTMP_AUDIO, 10, 1, k_audio, sizeof k_audio);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_AGAIN);
    peer_end(&p);
}

static void test_ping_gives_request_and_notes_the_answer(void **state)
{
    static const uint8_t k_pong[] = {0, 7, 0, 0, 0x30, 0x39};
    struct rtmp_event event;
    uint32_t at_ms = 0;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_play(&p);
    rtmp_server_ping(p.server, 12345, &p.out);
    assert_string_equal(peer_heard(&p), "user control 6: 12345\n");
    assert_false(rtmp_server_last_pong(p.server, &at_ms));
    peer_put(&p, RTMP_USER_CONTROL, 0, 0, k_pong, sizeof k_pong);
    assert_false(peer_run(&p, &event));
    assert_true(rtmp_server_last_pong(p.server, &at_ms));
    assert_int_equal(at_ms, 55);
    peer_end(&p);
}

static void test_feed_ignores_messages_of_other_types(void **state)
{
    static const uint8_t k_types[] = {0, 7, 10, 16, 19, 21, 23, 255};
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    peer_connect(&p);
    for (size_t i = 0; i < sizeof k_types; i++)
        peer_put(&p, k_types[i], 0, 0, "abc", 3);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_AGAIN);
    assert_string_equal(peer_heard(&p), "");
    peer_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_same_events_for_every_split_of_a_publish),
        cmocka_unit_test(test_accept_gives_players_what_they_wait_for),
        cmocka_unit_test(test_feed_takes_nothing_while_an_answer_is_due),
        cmocka_unit_test(test_refuse_gives_status_and_lets_the_client_try_another),
        cmocka_unit_test(test_feed_gives_proto_when_media_comes_unasked),
        cmocka_unit_test(test_feed_gives_too_big_when_a_message_is_long_before_publish),
        cmocka_unit_test(test_feed_gives_proto_when_the_handshake_is_not_rtmp),
        cmocka_unit_test(test_feed_gives_too_big_when_there_is_no_room_for_answers),
        cmocka_unit_test(test_end_tells_the_player_and_the_session_goes_on),
        cmocka_unit_test(test_end_tells_the_publisher_and_drops_what_it_still_sends),
        cmocka_unit_test(test_ping_gives_request_and_notes_the_answer),
        cmocka_unit_test(test_feed_ignores_messages_of_other_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
