/* The client against our server through random splits, and against a server made by hand that
 * answers as others do. */
#include "proto/amf/amf.h"
#include "tests/unit/proto/rtmp/rtmp_test.h"

static const uint8_t k_seed[RTMP_SEED_BYTES];

static struct rtmp_client *make_client(bool publish)
{
    struct rtmp_client_conf conf = {
        .publish = publish,
        .reconnects = !publish,
        .app = "live",
        .stream = "x?key=1",
        .tc_url = "rtmp://localhost/live",
        .limits = k_rtmp_limits_default,
    };
    struct rtmp_client *client = rtmp_client_create(&conf, k_seed);

    assert_non_null(client);
    return client;
}

/* --- against our server --- */

struct pair {
    struct rtmp_server *server;
    struct rtmp_client *client;
    struct buf_writer up, down; /* on the way to server and client */
    uint32_t seed;
    char text[4096]; /* what happened, a line each */
    size_t text_bytes;
    bool running; /* the client said STARTED */
};

__attribute__((format(printf, 2, 3))) static void note(struct pair *p, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(p->text + p->text_bytes, sizeof p->text - p->text_bytes, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof p->text - p->text_bytes);
    p->text_bytes += (size_t)n;
}

static void pair_begin(struct pair *p, bool publish, uint32_t seed)
{
    *p = (struct pair){.seed = seed};
    p->server = rtmp_server_create(&k_rtmp_limits_default, k_seed);
    p->client = make_client(publish);
    assert_non_null(p->server);
    buf_writer_init(&p->up, 1 << 24);
    buf_writer_init(&p->down, 1 << 24);
    rtmp_client_start(p->client, &p->up);
}

static void pair_end(struct pair *p)
{
    rtmp_server_destroy(&p->server);
    rtmp_client_destroy(&p->client);
    buf_writer_fini(&p->up);
    buf_writer_fini(&p->down);
}

/* A heap copy of a random piece of what waits in w; small pieces when little waits. */
static uint8_t *take_piece(struct pair *p, struct buf_writer *w, struct buf_reader *in)
{
    size_t size = next_number(&p->seed) % (w->used_bytes < 400 ? 40 : 900) + 1;
    uint8_t *piece;

    if (size > w->used_bytes)
        size = w->used_bytes;
    piece = heap_copy(buf_view_of(w->data, size));
    *in = buf_reader_from(buf_view_of(piece, size));
    return piece;
}

static void on_server_event(struct pair *p, const struct rtmp_event *e)
{
    static const char *const k_names[] = {"connect", "publish", "play", "media", "stop", "pause"};

    note(p, "server %s", k_names[e->type]);
    if (e->type == RTMP_EVENT_PUBLISH || e->type == RTMP_EVENT_PLAY) {
        note(p, " %.*s/%.*s", (int)e->app.size_bytes, (const char *)e->app.data,
             (int)e->stream.size_bytes, (const char *)e->stream.data);
        rtmp_server_accept(p->server, &p->down);
    }
    if (e->type == RTMP_EVENT_MEDIA)
        note(p, " %u at %u: %zu", e->media_type, (unsigned)e->timestamp_ms, e->body.size_bytes);
    note(p, "\n");
}

static void on_client_event(struct pair *p, const struct rtmp_client_event *e)
{
    static const char *const k_names[] = {"started", "media", "ended", "refused", "reconnect"};

    note(p, "client %s", k_names[e->type]);
    if (e->type == RTMP_CLIENT_STARTED)
        p->running = true;
    if (e->type == RTMP_CLIENT_MEDIA)
        note(p, " %u at %u: %zu", e->media_type, (unsigned)e->timestamp_ms, e->body.size_bytes);
    else
        note(p, " %.*s", (int)e->code.size_bytes, (const char *)e->code.data);
    if (e->type == RTMP_CLIENT_RECONNECT)
        note(p, " to %.*s since %.*s", (int)e->tc_url.size_bytes, (const char *)e->tc_url.data,
             (int)e->description.size_bytes, (const char *)e->description.data);
    note(p, "\n");
}

static void run_server(struct pair *p)
{
    struct buf_reader in;
    uint8_t *piece = take_piece(p, &p->up, &in);
    size_t size = in.left_bytes;
    struct rtmp_event event;
    enum err e;

    while ((e = rtmp_server_feed(p->server, &in, 0, &event, &p->down)) == E_OK)
        on_server_event(p, &event);
    assert_int_equal(e, E_AGAIN);
    buf_writer_consume(&p->up, size - in.left_bytes);
    free(piece);
}

static void run_client(struct pair *p)
{
    struct buf_reader in;
    uint8_t *piece = take_piece(p, &p->down, &in);
    size_t size = in.left_bytes;
    struct rtmp_client_event event;
    enum err e;

    while ((e = rtmp_client_feed(p->client, &in, 0, &event, &p->up)) == E_OK)
        on_client_event(p, &event);
    assert_int_equal(e, E_AGAIN);
    buf_writer_consume(&p->down, size - in.left_bytes);
    free(piece);
}

static void pair_run(struct pair *p)
{
    while (p->up.used_bytes || p->down.used_bytes) {
        if (p->up.used_bytes)
            run_server(p);
        if (p->down.used_bytes)
            run_client(p);
    }
}

static uint8_t frame[200000];

static void test_publish_reaches_the_server_through_random_splits(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 12; seed++) {
        static const uint8_t k_metadata[] = "\x02\x00\x0aonMetaData\x05";
        struct pair p;

        pair_begin(&p, true, seed);
        pair_run(&p);
        assert_true(p.running);
        rtmp_client_write_media(p.client, RTMP_DATA_AMF0, 0,
                                buf_view_of(k_metadata, sizeof k_metadata - 1), &p.up);
        rtmp_client_write_media(p.client, RTMP_AUDIO, 0xffffff, buf_view_of(frame, 100), &p.up);
        rtmp_client_write_media(p.client, RTMP_VIDEO, 0xfffffffe, buf_view_of(frame, sizeof frame),
                                &p.up);
        rtmp_client_write_media(p.client, RTMP_VIDEO, 3, buf_view_of(frame, 1), &p.up);
        rtmp_client_stop(p.client, &p.up);
        rtmp_client_write_media(p.client, RTMP_VIDEO, 4, buf_view_of(frame, 1), &p.up);
        pair_run(&p);
        assert_string_equal(p.text, "server connect\nserver publish live/x?key=1\n"
                                    "client started NetStream.Publish.Start\n"
                                    "server media 18 at 0: 30\n" /* with @setDataFrame */
                                    "server media 8 at 16777215: 100\n"
                                    "server media 9 at 4294967294: 200000\n"
                                    "server media 9 at 3: 1\n"
                                    "server stop\n");
        pair_end(&p);
    }
}

static void test_play_reaches_the_client_through_random_splits(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 12; seed++) {
        uint32_t chunk_size = k_rtmp_limits_default.out_chunk_size;
        struct pair p;

        pair_begin(&p, false, seed);
        pair_run(&p);
        assert_true(p.running);
        rtmp_write_message(&p.down, chunk_size, 5, 0, RTMP_DATA_AMF0, 1,
                           buf_view_of("\x02\0\1m", 4));
        rtmp_write_message(&p.down, chunk_size, 4, 0xfffffe, RTMP_AUDIO, 1, buf_view_of(frame, 9));
        rtmp_write_message(&p.down, chunk_size, 6, 0x1000000, RTMP_VIDEO, 1,
                           buf_view_of(frame, sizeof frame));
        rtmp_server_end(p.server, "NetStream.Play.UnpublishNotify", "gone", &p.down);
        pair_run(&p);
        assert_string_equal(p.text, "server connect\nserver play live/x?key=1\n"
                                    "client started NetStream.Play.Start\n"
                                    "client media 18 at 0: 4\n"
                                    "client media 8 at 16777214: 9\n"
                                    "client media 9 at 16777216: 200000\n"
                                    "client ended NetStream.Play.UnpublishNotify\n");
        pair_end(&p);
    }
}

static void test_reconnect_request_reaches_the_client_and_what_runs_goes_on(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 12; seed++) {
        uint32_t chunk_size = k_rtmp_limits_default.out_chunk_size;
        struct pair p;

        pair_begin(&p, false, seed);
        pair_run(&p);
        assert_true(rtmp_server_ask_reconnect(p.server, "//b:1936/live", "moving", &p.down));
        rtmp_write_message(&p.down, chunk_size, 4, 7, RTMP_AUDIO, 1, buf_view_of(frame, 9));
        assert_true(rtmp_server_ask_reconnect(p.server, NULL, "again", &p.down));
        rtmp_server_end(p.server, "NetStream.Play.UnpublishNotify", "gone", &p.down);
        pair_run(&p);
        assert_string_equal(
            p.text,
            "server connect\nserver play live/x?key=1\n"
            "client started NetStream.Play.Start\n"
            "client reconnect NetConnection.Connect.ReconnectRequest to //b:1936/live since "
            "moving\n"
            "client media 8 at 7: 9\n"
            "client reconnect NetConnection.Connect.ReconnectRequest to  since again\n"
            "client ended NetStream.Play.UnpublishNotify\n");
        pair_end(&p);
    }
}

/* --- against a server made by hand --- */

struct manual {
    struct rtmp_client *client;
    struct buf_writer in, out; /* to and from the client */
    struct rtmp_client_event event;
    enum err e;
};

static bool manual_run(struct manual *m)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&m->in));

    m->e = rtmp_client_feed(m->client, &in, 0, &m->event, &m->out);
    buf_writer_consume(&m->in, m->in.used_bytes - in.left_bytes);
    return m->e == E_OK;
}

static void manual_begin(struct manual *m, bool publish)
{
    uint8_t *room;

    *m = (struct manual){.client = make_client(publish)};
    buf_writer_init(&m->in, 1 << 20);
    buf_writer_init(&m->out, 1 << 20);
    rtmp_client_start(m->client, &m->out);
    assert_int_equal(m->out.used_bytes, 1537);
    buf_writer_clear(&m->out);
    buf_write_u8(&m->in, 3);
    room = buf_writer_reserve(&m->in, 2 * 1536);
    assert_non_null(room);
    memset(room, 0, 2 * 1536);
    assert_false(manual_run(m));
    assert_true(contains_text(buf_writer_view(&m->out), "connect"));
    buf_writer_clear(&m->out);
}

static void manual_end(struct manual *m)
{
    rtmp_client_destroy(&m->client);
    buf_writer_fini(&m->in);
    buf_writer_fini(&m->out);
}

static void say(struct manual *m, uint8_t type_id, uint32_t stream_id, const void *body,
                size_t size)
{
    rtmp_write_message(&m->in, 128, 3, 0, type_id, stream_id, buf_view_of(body, size));
}

/* name, transaction id, null, then {level, code, description} */
static void say_info(struct manual *m, const char *name, double transaction_id, const char *level,
                     const char *code)
{
    struct buf_writer body;

    buf_writer_init(&body, 1 << 12);
    amf_write_cstr(&body, name);
    amf_write_number(&body, transaction_id);
    amf_write_null(&body);
    amf_write_object(&body);
    amf_write_member_cstr(&body, "level", level);
    amf_write_member_cstr(&body, "code", code);
    amf_write_member_cstr(&body, "description", "why");
    amf_write_end(&body);
    say(m, RTMP_COMMAND_AMF0, 1, body.data, body.used_bytes);
    buf_writer_fini(&body);
}

static void say_created(struct manual *m, double stream_id)
{
    struct buf_writer body;

    buf_writer_init(&body, 1 << 12);
    amf_write_cstr(&body, "_result");
    amf_write_number(&body, 4);
    amf_write_null(&body);
    amf_write_number(&body, stream_id);
    say(m, RTMP_COMMAND_AMF0, 0, body.data, body.used_bytes);
    buf_writer_fini(&body);
}

/* Until play or publish is sent, on stream 7. */
static void manual_connect(struct manual *m, bool publish)
{
    manual_begin(m, publish);
    say_info(m, "_result", 1, "status", "NetConnection.Connect.Success");
    assert_false(manual_run(m));
    assert_int_equal(m->e, E_AGAIN);
    assert_true(contains_text(buf_writer_view(&m->out), "createStream"));
    assert_int_equal(contains_text(buf_writer_view(&m->out), "FCPublish"), publish);
    buf_writer_clear(&m->out);
    say_created(m, 7);
    assert_false(manual_run(m));
    assert_true(contains_text(buf_writer_view(&m->out), publish ? "publish" : "play"));
    assert_true(contains(buf_writer_view(&m->out), "\x14\x07\x00\x00\x00", 5)); /* type, stream */
    buf_writer_clear(&m->out);
}

static void assert_event(struct manual *m, enum rtmp_client_event_type type, const char *code)
{
    assert_true(manual_run(m));
    assert_int_equal(m->event.type, type);
    assert_true(buf_view_equals(m->event.code, code));
}

static void test_feed_gives_refused_when_the_server_says_no(void **state)
{
    static const struct {
        bool publish;
        const char *name, *level, *code;
        double transaction_id;
    } k_cases[] = {
        {false, "onStatus", "error", "NetStream.Play.StreamNotFound", 0},
        {false, "onStatus", "status", "NetStream.Play.StreamNotFound", 0},
        {true, "onStatus", "error", "NetStream.Publish.BadName", 0},
        {true, "_error", "error", "NetConnection.Call.Failed", 5},
    };
    struct manual m;

    (void)state;
    manual_begin(&m, false);
    say_info(&m, "_error", 1, "error", "NetConnection.Connect.Rejected");
    assert_event(&m, RTMP_CLIENT_REFUSED, "NetConnection.Connect.Rejected");
    assert_true(buf_view_equals(m.event.description, "why"));
    manual_end(&m);
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++) {
        manual_connect(&m, k_cases[i].publish);
        say_info(&m, k_cases[i].name, k_cases[i].transaction_id, k_cases[i].level, k_cases[i].code);
        say(&m, RTMP_AUDIO, 7, "a", 1);
        assert_event(&m, RTMP_CLIENT_REFUSED, k_cases[i].code);
        assert_false(manual_run(&m)); /* what follows is dropped */
        assert_int_equal(m.e, E_AGAIN);
        manual_end(&m);
    }
}

static void test_feed_goes_on_when_what_servers_may_not_know_fails(void **state)
{
    struct manual m;

    (void)state;
    manual_connect(&m, true);
    say_info(&m, "_error", 2, "error", "NetConnection.Call.Failed"); /* releaseStream */
    say_info(&m, "_error", 3, "error", "NetConnection.Call.Failed"); /* FCPublish */
    assert_false(manual_run(&m));
    assert_int_equal(m.e, E_AGAIN);
    say_info(&m, "onStatus", 0, "status", "NetStream.Publish.Start");
    assert_event(&m, RTMP_CLIENT_STARTED, "NetStream.Publish.Start");
    manual_end(&m);
}

static void test_feed_gives_started_before_media_when_play_start_is_missing(void **state)
{
    struct manual m;

    (void)state;
    manual_connect(&m, false);
    say(&m, RTMP_DATA_AMF0, 7, "\x02\x00\x11|RtmpSampleAccess\x01\x00\x01\x00", 24);
    assert_false(manual_run(&m)); /* the server's own */
    say(&m, RTMP_DATA_AMF3, 7, "\x00\x02\x00\x01m", 5);
    say(&m, RTMP_VIDEO, 7, "v", 1);
    assert_event(&m, RTMP_CLIENT_STARTED, "");
    assert_event(&m, RTMP_CLIENT_MEDIA, ""); /* held outside of the input, which has moved on */
    assert_int_equal(m.event.media_type, RTMP_DATA_AMF0);
    assert_int_equal(m.event.body.size_bytes, 4);
    assert_memory_equal(m.event.body.data, "\x02\x00\x01m", 4);
    manual_end(&m);
}

static void test_feed_gives_ended_when_the_server_ends_the_stream(void **state)
{
    static const char *const k_codes[] = {"NetStream.Play.UnpublishNotify", "NetStream.Play.Stop",
                                          "NetStream.Play.Complete",
                                          "NetConnection.Connect.Closed"};
    static const uint8_t k_eof[] = {0, 1, 0, 0, 0, 7}, k_other_eof[] = {0, 1, 0, 0, 0, 8};
    struct manual m;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_codes); i++) {
        manual_connect(&m, false);
        say_info(&m, "onStatus", 0, "status", "NetStream.Play.Start");
        assert_event(&m, RTMP_CLIENT_STARTED, "NetStream.Play.Start");
        say_info(&m, "onStatus", 0, "status", k_codes[i]);
        assert_event(&m, RTMP_CLIENT_ENDED, k_codes[i]);
        manual_end(&m);
    }
    manual_connect(&m, false);
    say_info(&m, "onStatus", 0, "status", "NetStream.Play.Start");
    assert_event(&m, RTMP_CLIENT_STARTED, "NetStream.Play.Start");
    say(&m, RTMP_USER_CONTROL, 0, k_other_eof, sizeof k_other_eof);
    assert_false(manual_run(&m));
    say(&m, RTMP_USER_CONTROL, 0, k_eof, sizeof k_eof);
    assert_event(&m, RTMP_CLIENT_ENDED, "");
    manual_end(&m);
}

static void test_feed_gives_ended_when_a_publisher_is_thrown_out(void **state)
{
    struct manual m;

    (void)state;
    manual_connect(&m, true);
    say_info(&m, "onStatus", 0, "status", "NetStream.Publish.Start");
    assert_event(&m, RTMP_CLIENT_STARTED, "NetStream.Publish.Start");
    say_info(&m, "onStatus", 0, "error", "NetStream.Publish.BadName");
    assert_event(&m, RTMP_CLIENT_ENDED, "NetStream.Publish.BadName");
    manual_end(&m);
}

static void write_request(struct buf_writer *body)
{
    amf_write_cstr(body, "onStatus");
    amf_write_number(body, 0);
    amf_write_null(body);
    amf_write_object(body);
    amf_write_member_cstr(body, "tcUrl", "rtmp://b/live");
    amf_write_member_cstr(body, "level", "status");
    amf_write_member_cstr(body, "code", "NetConnection.Connect.ReconnectRequest");
    amf_write_end(body);
}

static void test_feed_gives_reconnect_for_every_split(void **state)
{
    struct buf_writer body, bytes;

    (void)state;
    buf_writer_init(&body, 1 << 12);
    buf_writer_init(&bytes, 1 << 12);
    write_request(&body);
    rtmp_write_message(&bytes, 128, 3, 0, RTMP_COMMAND_AMF0, 0, buf_writer_view(&body));
    for (size_t step = 1; step <= bytes.used_bytes; step++) {
        unsigned n_asked = 0;
        struct manual m;

        manual_connect(&m, false); /* before play is answered, as well */
        for (size_t at = 0; at < bytes.used_bytes; at += step) {
            size_t size = bytes.used_bytes - at < step ? bytes.used_bytes - at : step;

            buf_write_view(&m.in, buf_view_of(bytes.data + at, size));
            if (!manual_run(&m)) {
                assert_int_equal(m.e, E_AGAIN);
                continue;
            }
            assert_int_equal(m.event.type, RTMP_CLIENT_RECONNECT);
            assert_true(buf_view_equals(m.event.tc_url, "rtmp://b/live"));
            assert_int_equal(m.event.description.size_bytes, 0);
            n_asked++;
        }
        assert_int_equal(n_asked, 1);
        manual_end(&m);
    }
    buf_writer_fini(&body);
    buf_writer_fini(&bytes);
}

static void test_feed_drops_reconnect_request_that_was_not_announced(void **state)
{
    struct buf_writer body;
    struct manual m;

    (void)state;
    buf_writer_init(&body, 1 << 12);
    write_request(&body);
    manual_connect(&m, true);
    say(&m, RTMP_COMMAND_AMF0, 0, body.data, body.used_bytes);
    assert_false(manual_run(&m));
    assert_int_equal(m.e, E_AGAIN);
    manual_end(&m);
    buf_writer_fini(&body);
}

static void test_feed_answers_bandwidth_check(void **state)
{
    struct manual m;

    (void)state;
    manual_connect(&m, false);
    say_info(&m, "onBWDone", 0, "", "");
    assert_false(manual_run(&m));
    assert_true(contains_text(buf_writer_view(&m.out), "_checkbw"));
    manual_end(&m);
}

static void test_stop_is_fine_in_every_state(void **state)
{
    struct manual m;
    struct rtmp_client *client = make_client(true);
    uint8_t bytes[4000] = {3};
    struct buf_reader in = buf_reader_from(VIEW(bytes));
    struct rtmp_client_event event;
    struct buf_writer out;

    (void)state;
    buf_writer_init(&out, 1 << 16);
    rtmp_client_stop(client, &out);
    assert_int_equal(rtmp_client_feed(client, &in, 0, &event, &out), E_AGAIN);
    assert_int_equal(in.left_bytes, 0);
    assert_int_equal(out.used_bytes, 0);
    rtmp_client_destroy(&client);
    buf_writer_fini(&out);

    manual_connect(&m, true);
    rtmp_client_stop(m.client, &m.out);
    assert_true(contains_text(buf_writer_view(&m.out), "FCUnpublish"));
    assert_true(contains_text(buf_writer_view(&m.out), "deleteStream"));
    manual_end(&m);
}

static void test_feed_gives_proto_when_the_server_is_broken(void **state)
{
    struct manual m;
    struct rtmp_client *client = make_client(false);
    uint8_t bytes[] = "HTTP/1.1 400 Bad Request";
    struct buf_reader in = buf_reader_from(VIEW(bytes));
    struct rtmp_client_event event;
    struct buf_writer out;

    (void)state;
    buf_writer_init(&out, 1 << 16);
    assert_int_equal(rtmp_client_feed(client, &in, 0, &event, &out), E_PROTO);
    assert_string_equal(rtmp_client_error(client), "handshake: not RTMP");
    assert_int_equal(rtmp_client_feed(client, &in, 0, &event, &out), E_PROTO);
    rtmp_client_destroy(&client);
    buf_writer_fini(&out);

    manual_begin(&m, false);
    say_info(&m, "_result", 1, "status", "NetConnection.Connect.Success");
    say_created(&m, -1);
    assert_false(manual_run(&m));
    assert_int_equal(m.e, E_PROTO);
    assert_string_equal(rtmp_client_error(m.client), "createStream gave no stream id");
    manual_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish_reaches_the_server_through_random_splits),
        cmocka_unit_test(test_play_reaches_the_client_through_random_splits),
        cmocka_unit_test(test_reconnect_request_reaches_the_client_and_what_runs_goes_on),
        cmocka_unit_test(test_feed_gives_reconnect_for_every_split),
        cmocka_unit_test(test_feed_drops_reconnect_request_that_was_not_announced),
        cmocka_unit_test(test_feed_gives_refused_when_the_server_says_no),
        cmocka_unit_test(test_feed_goes_on_when_what_servers_may_not_know_fails),
        cmocka_unit_test(test_feed_gives_started_before_media_when_play_start_is_missing),
        cmocka_unit_test(test_feed_gives_ended_when_the_server_ends_the_stream),
        cmocka_unit_test(test_feed_gives_ended_when_a_publisher_is_thrown_out),
        cmocka_unit_test(test_feed_answers_bandwidth_check),
        cmocka_unit_test(test_stop_is_fine_in_every_state),
        cmocka_unit_test(test_feed_gives_proto_when_the_server_is_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
