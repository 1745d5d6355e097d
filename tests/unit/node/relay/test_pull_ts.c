/* Pulls of transport streams over HTTP: told from FLV by the head or the first byte, in pieces of
 * any size, from the middle of a packet, and up to the last frame. */
#include "tests/unit/node/relay/relay_test.h"

#include "node/relay/pull_private.h"
#include "node/relay/relays_private.h"
#include "proto/codec/codec.h"

#define N_FRAMES 50
#define STEP_US 40400 /* no whole number of milliseconds */
#define FRAME_BYTES 417

/* --- a stream of MP3: frames of three packets each --- */

struct capture {
    struct ts_sink sink;
    struct buf_writer bytes;
};

static void put(struct ts_sink *sink, struct buf_view bytes)
{
    buf_write_view(&list_entry(sink, struct capture, sink)->bytes, bytes);
}

/* As the player of relay_test.h wants to see it, behind the byte of the FLV body. */
static void make_sound(uint8_t frame[FRAME_BYTES], unsigned i)
{
    static const uint8_t k_head[] = {0xff, 0xfb, 0x90, 0x00};

    memset(frame, (int)(i * 7 & 0xff), FRAME_BYTES);
    memcpy(frame, k_head, sizeof k_head);
    frame[4] = (uint8_t)i;
}

static void mux(struct capture *c, int64_t from_us)
{
    uint8_t frame[FRAME_BYTES];
    struct codec_params params;
    struct ts_mux mux;
    const char *why;

    c->sink.put = put;
    buf_writer_init(&c->bytes, 1u << 20);
    ts_mux_init(&mux);
    make_sound(frame, 0);
    assert_int_equal(
        codec_params_from_frame(CODEC_MP3, buf_view_of(frame, sizeof frame), &params, &why), E_OK);
    assert_int_equal(ts_mux_set_track(&mux, 0, &params, &why), E_OK);
    for (unsigned i = 0; i < N_FRAMES; i++) {
        int64_t at_us = from_us + (int64_t)i * STEP_US;
        struct ts_frame f = {.kind = MEDIA_AUDIO,
                             .codec = CODEC_MP3,
                             .key = true,
                             .entry = i == 0,
                             .dts_us = at_us,
                             .pts_us = at_us,
                             .es = buf_view_of(frame, sizeof frame)};

        make_sound(frame, i);
        assert_int_equal(ts_mux_write(&mux, &c->sink, &f, &why), E_OK);
    }
    ts_mux_fini(&mux);
}

/* --- the node plays it --- */

static char source_text[128];
static char *sources[] = {source_text};

static void play_ts(struct upstream *up, const char *path)
{
    struct viewer_join how = {.format = FORMAT_FLV};

    up_open(up, "", 0);
    snprintf(source_text, sizeof source_text, "live/a=http://127.0.0.1:%u/%s", up->port, path);
    rig.node.conf.pull_sources = (struct conf_list){.items = sources, .n_items = 1};
    rig.node.relays = relays_of_conf(&rig.node);
    assert_non_null(rig.node.relays);
    assert_int_equal(player_join_as(&rig.player, &rig.names, &rig.nl.media, &how), E_OK);
    TURN_UNTIL(up_is_asked(up));
}

static void send_bytes(struct upstream *up, struct buf_view bytes)
{
    assert_int_equal(send(up->fd, bytes.data, bytes.size_bytes, MSG_NOSIGNAL),
                     (ssize_t)bytes.size_bytes);
}

/* The head goes with the first piece. */
static void answer_in_pieces(struct upstream *up, const char *head, struct buf_view ts,
                             size_t piece_bytes, bool chunked)
{
    struct buf_reader in = buf_reader_from(ts);
    struct buf_writer out;

    buf_writer_init(&out, 1u << 20);
    buf_printf(&out, "HTTP/1.1 200 OK\r\n%s\r\n", head);
    while (in.left_bytes) {
        size_t n = in.left_bytes < piece_bytes ? in.left_bytes : piece_bytes;

        if (chunked)
            buf_printf(&out, "%zx\r\n", n);
        buf_write_view(&out, buf_take(&in, n));
        if (chunked)
            buf_write_str(&out, "\r\n");
        send_bytes(up, buf_writer_view(&out));
        buf_writer_clear(&out);
        if (in.left_bytes % 64 == 0 || piece_bytes > 64)
            loop_turn(rig.loop, false);
    }
    buf_writer_fini(&out);
}

static unsigned n_sounds(void)
{
    (void)player_read(&rig.player, SIZE_MAX);
    return count_type(&rig.player, FLV_TAG_AUDIO, false);
}

/* Frames from this one on, each once, with times to the nearest millisecond. */
static void assert_sounds(unsigned from, int64_t begin_us)
{
    unsigned at = first_media(&rig.player);

    for (unsigned i = from; i < N_FRAMES; i++, at++) {
        assert_int_equal(rig.player.tags[at].number, 0xfb900000u | i);
        assert_in_range((int64_t)rig.player.tags[at].dts_ms * 1000 - begin_us - i * STEP_US + 520,
                        0, 1040); /* and a tick of 90 kHz */
    }
    assert_int_equal(at, rig.player.n_tags);
}

static void pull_whole(const char *path, const char *head, size_t piece_bytes, bool chunked)
{
    struct capture c;
    struct upstream up;

    mux(&c, 1000000);
    play_ts(&up, path);
    answer_in_pieces(&up, head, buf_writer_view(&c.bytes), piece_bytes, chunked);
    TURN_UNTIL(n_sounds() == N_FRAMES);
    assert_sounds(0, 1000000);
    buf_writer_fini(&c.bytes);
    up_die(&up);
}

/* --- tests --- */

static void test_pull_gives_each_frame_once_when_bytes_come_in_odd_pieces(void **state)
{
    (void)state;
    pull_whole("cam.ts", "Content-Type: video/mp2t\r\n", 187, false);
}

static void test_pull_gives_each_frame_once_when_bytes_come_one_by_one(void **state)
{
    (void)state;
    pull_whole("cam", "Content-Type: video/MP2T\r\n", 1, false);
}

static void test_pull_gives_each_frame_once_when_it_is_chunked(void **state)
{
    (void)state;
    pull_whole("cam.ts", "Transfer-Encoding: chunked\r\n", 1316, true);
}

static void test_pull_knows_a_transport_stream_by_its_first_byte(void **state)
{
    (void)state;
    pull_whole("cam.flv", "Content-Type: video/x-flv\r\n", 1000, false);
}

/* As from a server that sends what it has just got. */
static void pull_from_middle_of_packet(const char *path, const char *head)
{
    struct capture c;
    struct upstream up;

    mux(&c, 1000000);
    play_ts(&up, path);
    c.bytes.data[100] = 'F'; /* part of a table, and no sign of FLV */
    answer_in_pieces(&up, head, buf_view_of(c.bytes.data + 100, c.bytes.used_bytes - 100), 1000,
                     false);
    TURN_UNTIL(n_sounds() > 0 &&
               rig.player.tags[rig.player.n_tags - 1].number == (0xfb900000u | (N_FRAMES - 1)));
    buf_writer_fini(&c.bytes);
    up_die(&up);
}

static void test_pull_finds_packets_when_bytes_begin_inside_one_of_a_known_type(void **state)
{
    (void)state;
    pull_from_middle_of_packet("cam", "Content-Type: video/mp2t\r\n");
}

static void test_pull_finds_packets_when_bytes_begin_inside_one_of_a_known_name(void **state)
{
    (void)state;
    pull_from_middle_of_packet("cam.ts?x=1", "Content-Type: application/octet-stream\r\n");
}

static void test_pull_gives_time_that_goes_on_when_stamps_wrap(void **state)
{
    int64_t begin_us = (INT64_C(1) << 33) * 100 / 9 - 1000000; /* one second before it */
    struct capture c;
    struct upstream up;

    (void)state;
    mux(&c, begin_us);
    play_ts(&up, "cam.ts");
    answer_in_pieces(&up, "", buf_writer_view(&c.bytes), 1316, false);
    TURN_UNTIL(n_sounds() == N_FRAMES);
    for (unsigned i = first_media(&rig.player) + 1; i < rig.player.n_tags; i++)
        assert_in_range(rig.player.tags[i].dts_ms - rig.player.tags[i - 1].dts_ms, 40, 41);
    buf_writer_fini(&c.bytes);
    up_die(&up);
}

static void test_pull_ends_with_the_reason_when_it_is_no_transport_stream(void **state)
{
    uint8_t *noise = malloc(TS_DEMUX_MAX_NOISE_BYTES + 4096);
    struct upstream up;

    (void)state;
    assert_non_null(noise);
    memset(noise, 'x', TS_DEMUX_MAX_NOISE_BYTES + 4096);
    play_ts(&up, "cam.ts");
    answer_in_pieces(&up, "", buf_view_of(noise, TS_DEMUX_MAX_NOISE_BYTES + 4096), 4096, false);
    TURN_UNTIL(up_is_left(&up));
    {
        struct relay_facts facts;

        relay_status_read(&relays_pull(rig.node.relays, "live/a")->status, &facts);
        assert_non_null(strstr(facts.last_error, "no transport stream"));
    }
    free(noise);
    up_die(&up);
}

static void test_pull_of_ipv6_gives_a_host_in_brackets(void **state)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct viewer_join how = {.format = FORMAT_FLV};
    struct upstream up = {.fd = -1};
    socklen_t size = sizeof addr;
    char host[64];

    (void)state;
    up.listen_fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (up.listen_fd < 0 || bind(up.listen_fd, (struct sockaddr *)&addr, sizeof addr))
        skip(); /* a machine without IPv6 */
    assert_int_equal(listen(up.listen_fd, 8), 0);
    assert_int_equal(getsockname(up.listen_fd, (struct sockaddr *)&addr, &size), 0);
    snprintf(source_text, sizeof source_text, "live/a=http://[::1]:%u/a.flv",
             ntohs(addr.sin6_port));
    rig.node.conf.pull_sources = (struct conf_list){.items = sources, .n_items = 1};
    rig.node.relays = relays_of_conf(&rig.node);
    assert_int_equal(player_join_as(&rig.player, &rig.names, &rig.nl.media, &how), E_OK);
    TURN_UNTIL(up_is_asked(&up));
    snprintf(host, sizeof host, "\r\nHost: [::1]:%u\r\n", ntohs(addr.sin6_port));
    assert_non_null(strstr(up.request, host));
    up_die(&up);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pull_gives_each_frame_once_when_bytes_come_in_odd_pieces),
        TEST(test_pull_gives_each_frame_once_when_bytes_come_one_by_one),
        TEST(test_pull_gives_each_frame_once_when_it_is_chunked),
        TEST(test_pull_knows_a_transport_stream_by_its_first_byte),
        TEST(test_pull_finds_packets_when_bytes_begin_inside_one_of_a_known_type),
        TEST(test_pull_finds_packets_when_bytes_begin_inside_one_of_a_known_name),
        TEST(test_pull_gives_time_that_goes_on_when_stamps_wrap),
        TEST(test_pull_ends_with_the_reason_when_it_is_no_transport_stream),
        TEST(test_pull_of_ipv6_gives_a_host_in_brackets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
