#include "proto/rtmp/link.h"

#include "tests/unit/proto/rtmp/rtmp_test.h"

struct fixture {
    struct rtmp_link link;
    struct buf_writer in, out;
};

static void begin(struct fixture *f)
{
    struct rtmp_limits limits = k_rtmp_limits_default;

    limits.window_ack_size = 1000;
    rtmp_link_init(&f->link, &limits);
    buf_writer_init(&f->in, 1 << 20);
    buf_writer_init(&f->out, 1 << 20);
}

static void end(struct fixture *f)
{
    rtmp_link_fini(&f->link);
    buf_writer_fini(&f->in);
    buf_writer_fini(&f->out);
}

static void put(struct fixture *f, uint8_t type_id, uint32_t timestamp_ms, const void *body,
                size_t size)
{
    rtmp_write_message(&f->in, 128, 2, timestamp_ms, type_id, 1, buf_view_of(body, size));
}

/* Feeds what was put, byte by byte if step is 1; counts messages and keeps the last result. */
static enum err run(struct fixture *f, size_t step, unsigned *n_messages)
{
    enum err e = E_AGAIN;

    *n_messages = 0;
    for (size_t at = 0; at < f->in.used_bytes && e == E_AGAIN; at += step) {
        size_t n = f->in.used_bytes - at < step ? f->in.used_bytes - at : step;
        struct buf_reader in = buf_reader_from(buf_view_of(f->in.data + at, n));
        struct rtmp_message m;

        while ((e = rtmp_link_next(&f->link, &in, 77, &m, &f->out)) == E_OK)
            ++*n_messages;
    }
    buf_writer_clear(&f->in);
    return e;
}

static void test_next_acknowledges_at_half_of_the_window(void **state)
{
    static const uint8_t k_ack[] = {0x02, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0x01, 0xf4};
    uint8_t body[488] = {0};
    struct fixture f;
    unsigned n;

    (void)state;
    begin(&f);
    put(&f, RTMP_AUDIO, 0, body, 484); /* 12 + 484 + 3 type 3 headers = 499 */
    assert_int_equal(run(&f, 10000, &n), E_AGAIN);
    assert_int_equal(n, 1);
    assert_int_equal(f.out.used_bytes, 0);
    buf_write_u8(&f.in, 0x02); /* byte 500 */
    assert_int_equal(run(&f, 1, &n), E_AGAIN);
    assert_int_equal(f.out.used_bytes, sizeof k_ack);
    assert_memory_equal(f.out.data, k_ack, sizeof k_ack);
    end(&f);
}

static void test_next_acknowledges_by_the_window_of_the_peer(void **state)
{
    static const uint8_t k_window[] = {0, 0, 0, 100}, k_none[] = {0, 0, 0, 0};
    uint8_t body[100] = {0};
    struct fixture f;
    unsigned n;

    (void)state;
    begin(&f);
    put(&f, RTMP_WINDOW_ACK_SIZE, 0, k_window, 4);
    put(&f, RTMP_AUDIO, 0, body, 100);
    assert_int_equal(run(&f, 10000, &n), E_AGAIN);
    assert_int_equal(f.out.used_bytes, 16);
    put(&f, RTMP_WINDOW_ACK_SIZE, 0, k_none, 4);
    for (int i = 0; i < 20; i++)
        put(&f, RTMP_AUDIO, 0, body, 100);
    assert_int_equal(run(&f, 10000, &n), E_AGAIN);
    assert_int_equal(n, 20);
    assert_int_equal(f.out.used_bytes, 16);
    end(&f);
}

static void test_next_answers_ping_and_notes_pong(void **state)
{
    static const uint8_t k_ping[] = {0, 6, 0x11, 0x22, 0x33, 0x44};
    static const uint8_t k_pong[] = {0, 7, 0, 0, 0, 9};
    static const uint8_t k_answer[] = {0x02, 0, 0, 0, 0, 0,    6,    4,    0,
                                       0,    0, 0, 0, 7, 0x11, 0x22, 0x33, 0x44};
    struct fixture f;
    unsigned n;

    (void)state;
    begin(&f);
    put(&f, RTMP_USER_CONTROL, 0, k_ping, sizeof k_ping);
    assert_int_equal(run(&f, 1, &n), E_AGAIN);
    assert_int_equal(f.out.used_bytes, sizeof k_answer);
    assert_memory_equal(f.out.data, k_answer, sizeof k_answer);
    assert_false(f.link.has_pong);
    put(&f, RTMP_USER_CONTROL, 0, k_pong, sizeof k_pong);
    assert_int_equal(run(&f, 1, &n), E_AGAIN);
    assert_true(f.link.has_pong);
    assert_int_equal(f.link.last_pong_ms, 77);
    end(&f);
}

static void test_next_answers_peer_bandwidth_with_a_window(void **state)
{
    static const uint8_t k_bandwidth[] = {0, 0x26, 0x25, 0xa0, 2};
    static const uint8_t k_answer[] = {0x02, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x26, 0x25, 0xa0};
    struct fixture f;
    unsigned n;

    (void)state;
    begin(&f);
    put(&f, RTMP_SET_PEER_BANDWIDTH, 0, k_bandwidth, sizeof k_bandwidth);
    put(&f, RTMP_SET_PEER_BANDWIDTH, 0, k_bandwidth, sizeof k_bandwidth); /* no second answer */
    assert_int_equal(run(&f, 3, &n), E_AGAIN);
    assert_int_equal(f.out.used_bytes, sizeof k_answer);
    assert_memory_equal(f.out.data, k_answer, sizeof k_answer);
    end(&f);
}

static void test_next_notes_what_the_peer_acknowledged(void **state)
{
    static const uint8_t k_ack[] = {0x80, 0, 0, 1};
    struct fixture f;
    unsigned n;

    (void)state;
    begin(&f);
    put(&f, RTMP_ACK, 0, k_ack, sizeof k_ack);
    assert_int_equal(run(&f, 1, &n), E_AGAIN);
    assert_int_equal(f.link.peer_acked_bytes, 0x80000001);
    end(&f);
}

static void test_next_gives_proto_when_a_control_message_is_short(void **state)
{
    static const struct {
        uint8_t type_id, size;
    } k_cases[] = {{RTMP_ACK, 3},
                   {RTMP_WINDOW_ACK_SIZE, 0},
                   {RTMP_SET_PEER_BANDWIDTH, 3},
                   {RTMP_USER_CONTROL, 1},
                   {RTMP_USER_CONTROL, 5}};
    static const uint8_t k_body[] = {0, 6, 0, 0, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++) {
        struct fixture f;
        unsigned n;

        begin(&f);
        put(&f, k_cases[i].type_id, 0, k_body, k_cases[i].size);
        assert_int_equal(run(&f, 100, &n), E_PROTO);
        assert_string_equal(f.link.fault, "chunk");
        assert_true(rtmp_error_text(&f.link.error)[0] != '\0');
        end(&f);
    }
}

/* Section 7.1.6: times 0xfffffff0 and 5 ms later inside, 1000 outside. */
/* clang-format off */
static const uint8_t k_aggregate[] = {
    0x08, 0, 0, 2, 0xff, 0xff, 0xf0, 0xff, 0, 0, 0, 0xaf, 0x01, 0, 0, 0, 13, /* audio */
    0x09, 0, 0, 1, 0xff, 0xff, 0xf5, 0xff, 0, 0, 0, 0x17,       0, 0, 0, 12, /* video */
    0x12, 0, 0, 0, 0x00, 0x00, 0x04, 0x00, 0, 0, 0,                          /* data, 20 ms */
};
/* clang-format on */

static void test_next_gives_parts_of_an_aggregate_with_its_time(void **state)
{
    static const uint8_t k_types[] = {RTMP_AUDIO, RTMP_VIDEO, RTMP_DATA_AMF0, RTMP_AUDIO};
    static const uint32_t k_times[] = {1000, 1005, 1020, 2000};
    static const size_t k_sizes[] = {2, 1, 0, 1};
    struct fixture f;
    unsigned n;

    (void)state;
    for (size_t step = 1; step < 90; step++) {
        begin(&f);
        put(&f, RTMP_AGGREGATE, 1000, k_aggregate, sizeof k_aggregate);
        put(&f, RTMP_AUDIO, 2000, "x", 1);
        n = 0;
        for (size_t at = 0; at < f.in.used_bytes; at += step) {
            size_t size = f.in.used_bytes - at < step ? f.in.used_bytes - at : step;
            uint8_t *piece = heap_copy(buf_view_of(f.in.data + at, size));
            struct buf_reader in = buf_reader_from(buf_view_of(piece, size));
            struct rtmp_message m;

            while (rtmp_link_next(&f.link, &in, 0, &m, &f.out) == E_OK) {
                assert_in_range(n, 0, 3);
                assert_int_equal(m.type_id, k_types[n]);
                assert_int_equal(m.timestamp_ms, k_times[n]);
                assert_int_equal(m.payload.size_bytes, k_sizes[n]);
                assert_int_equal(m.stream_id, 1);
                n++;
            }
            free(piece);
        }
        assert_int_equal(n, 4);
        end(&f);
    }
}

static void test_next_gives_proto_when_an_aggregate_is_broken(void **state)
{
    uint8_t nested[sizeof k_aggregate];
    struct fixture f;
    unsigned n;

    (void)state;
    for (size_t size = 1; size < 13; size++) {
        begin(&f);
        put(&f, RTMP_AGGREGATE, 0, k_aggregate, size);
        assert_int_equal(run(&f, 100, &n), E_PROTO);
        end(&f);
    }
    memcpy(nested, k_aggregate, sizeof nested);
    nested[0] = RTMP_AGGREGATE;
    begin(&f);
    put(&f, RTMP_AGGREGATE, 0, nested, sizeof nested);
    assert_int_equal(run(&f, 100, &n), E_PROTO);
    assert_string_equal(rtmp_error_text(&f.link.error),
                        "aggregate message holds a message of type 22");
    end(&f);
}

static void test_send_breaks_the_output_when_the_body_could_not_be_made(void **state)
{
    struct fixture f;
    struct buf_writer body;

    (void)state;
    begin(&f);
    buf_writer_init(&body, 3);
    buf_write_u32be(&body, 1);
    rtmp_link_send(&f.link, &f.out, 3, RTMP_COMMAND_AMF0, 0, &body);
    assert_int_equal(buf_writer_status(&f.out), E_TOO_BIG);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_acknowledges_at_half_of_the_window),
        cmocka_unit_test(test_next_acknowledges_by_the_window_of_the_peer),
        cmocka_unit_test(test_next_answers_ping_and_notes_pong),
        cmocka_unit_test(test_next_answers_peer_bandwidth_with_a_window),
        cmocka_unit_test(test_next_notes_what_the_peer_acknowledged),
        cmocka_unit_test(test_next_gives_proto_when_a_control_message_is_short),
        cmocka_unit_test(test_next_gives_parts_of_an_aggregate_with_its_time),
        cmocka_unit_test(test_next_gives_proto_when_an_aggregate_is_broken),
        cmocka_unit_test(test_send_breaks_the_output_when_the_body_could_not_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
