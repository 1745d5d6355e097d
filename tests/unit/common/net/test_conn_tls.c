/* conn_tls.c against OpenSSL itself, over TCP on loopback: what goes through an open connection. */
#include <netinet/tcp.h>

#include "conn_tls_test.h"

/* --- handshake --- */

static void test_start_tls_opens_with_both_versions(void **state)
{
    static const unsigned char k_alpn[] = "\x08http/1.1";
    struct end end;
    struct remote r;

    (void)state;
    for (size_t i = 0; i < N_VERSIONS; i++) {
        accepted(loop, server, &end, &r, 0);
        assert_true(conn_is_tls(end.conn));
        assert_string_equal(conn_tls_version(end.conn), "");
        SSL_CTX_set_max_proto_version(r.context, k_versions[i]);
        SSL_CTX_set_alpn_protos(r.context, k_alpn, sizeof k_alpn - 1);
        assert_int_equal(conn_write(end.conn, buf_view_str("hello")), E_OK); /* is queued */
        assert_int_equal(conn_queued_bytes(end.conn), 5);
        remote_start(&r, false);
        buf_write_str(&r.out, "request");
        step_until_bytes(loop, &r, &end.got, 7);
        step_until_bytes(loop, &r, &r.got, 5);
        assert_memory_equal(end.got.data, "request", 7);
        assert_memory_equal(r.got.data, "hello", 5);
        assert_string_equal(conn_tls_version(end.conn), i ? "TLSv1.3" : "TLSv1.2");
        assert_true(buf_view_equals(conn_alpn(end.conn), "http/1.1"));
        assert_string_equal(conn_tls_error(end.conn), "");
        assert_int_equal(end.n_connected, 1);
        assert_int_equal(conn_bytes_in(end.conn), 7);
        assert_int_equal(conn_bytes_out(end.conn), 5);
        both_free(&end, &r);
    }
}

/* Sends what the peer's OpenSSL wrote to memory, a few bytes at a time. */
static void carry(struct remote *r, size_t step)
{
    char *bytes;
    size_t size = (size_t)BIO_get_mem_data(SSL_get_wbio(r->ssl), &bytes);
    uint8_t in[16384];
    ssize_t n;

    for (size_t at = 0; at < size; at += step) {
        write_full(r->fd, bytes + at, size - at < step ? size - at : step);
        loop_turn(loop, false);
    }
    (void)BIO_reset(SSL_get_wbio(r->ssl));
    turn_ready(loop);
    while ((n = recv(r->fd, in, sizeof in, MSG_DONTWAIT)) > 0)
        BIO_write(SSL_get_rbio(r->ssl), in, (int)n);
}

static void test_read_gives_the_bytes_in_order_for_every_split(void **state)
{
    static const char k_parts[3][8] = {"first,", "second,", "third"};
    struct end end;
    struct remote r;
    int one = 1;

    (void)state;
    for (size_t step = 1; step < 400; step += 1 + step / 16) {
        accepted(loop, server, &end, &r, 0);
        setsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        remote_start(&r, false);
        SSL_set_bio(r.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        for (int i = 0; i < 4 && !r.shaken; i++) {
            r.shaken = SSL_do_handshake(r.ssl) == 1;
            if (!r.shaken)
                carry(&r, step);
        }
        assert_true(r.shaken);
        for (int i = 0; i < 3; i++) /* behind the last bytes of the handshake, as one flight */
            SSL_write(r.ssl, k_parts[i], (int)strlen(k_parts[i]));
        carry(&r, step);
        assert_int_equal(end.got.used_bytes, 18);
        assert_memory_equal(end.got.data, "first,second,third", 18);
        both_free(&end, &r);
    }
}

/* --- sending --- */

static size_t fill_iov(struct iovec *iov, int n_iov, size_t from, size_t piece_bytes)
{
    size_t sum = 0;

    for (int i = 0; i < n_iov && from + sum < SIZE; i++) {
        size_t n = SIZE - from - sum < piece_bytes ? SIZE - from - sum : piece_bytes;

        iov[i] = (struct iovec){data + from + sum, n};
        sum += n;
    }
    return sum;
}

/* All of data to a slow reader. */
static void send_all(int n_iov, size_t piece_bytes, int version)
{
    struct iovec *iov = calloc((size_t)n_iov, sizeof *iov);
    struct end end;
    struct remote r;
    size_t sent = 0;
    bool was_short = false;

    opened(loop, server, &end, &r, SMALL_BUFFER, version);
    while (sent < SIZE) {
        size_t asked = fill_iov(iov, n_iov, sent, piece_bytes), n;
        int used = (int)((asked + piece_bytes - 1) / piece_bytes);
        enum err e = conn_send_iov(end.conn, iov, used, asked, &n);

        assert_true(e == E_OK || (e == E_AGAIN && n == 0));
        sent += n;
        was_short = was_short || n < asked;
        end.writable = false;
        if (n < asked)
            step_until(loop, &r, &end.writable);
    }
    step_until_bytes(loop, &r, &r.got, SIZE);
    assert_true(was_short);
    assert_int_equal(r.got.used_bytes, SIZE);
    assert_memory_equal(r.got.data, data, SIZE);
    assert_int_equal(conn_bytes_out(end.conn), SIZE);
    assert_int_equal(conn_queued_bytes(end.conn), 0);
    both_free(&end, &r);
    free(iov);
}

static void test_send_iov_continues_after_short_sends(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VERSIONS; i++) {
        send_all(1, SIZE, k_versions[i]);
        send_all(7, 5000, k_versions[i]);
        send_all(2000, 1, k_versions[i]);
        send_all(3, 16384, k_versions[i]); /* records that lie in one piece */
        send_all(5, 16385, k_versions[i]);
    }
}

/* A viewer that jumps: after each short send it goes on somewhere else. What was said to be sent is
 * what arrives, a started record included. */
static void test_send_iov_may_go_on_with_other_bytes_after_a_short_send(void **state)
{
    struct end end;
    struct remote r;
    struct buf_writer said;
    unsigned n_jumps = 0;

    (void)state;
    buf_writer_init(&said, SIZE_MAX);
    opened(loop, server, &end, &r, SMALL_BUFFER, 0);
    r.is_slow = true;
    for (size_t from = 0; n_jumps < 50; from = (from + 777777) % (SIZE / 2)) {
        struct iovec iov[2] = {{data + from, 9000}, {data + from + 10000, 200000}};
        size_t n;
        enum err e = conn_send_iov(end.conn, iov, 2, 209000, &n);

        assert_true(e == E_OK || e == E_AGAIN);
        buf_write(&said, data + from, n < 9000 ? n : 9000);
        if (n > 9000)
            buf_write(&said, data + from + 10000, n - 9000);
        n_jumps += n > 0 && n < 209000;
        end.writable = false;
        step_until(loop, &r, &end.writable);
        if (n_jumps % 3 == 0) { /* and now and then a private message */
            assert_int_equal(conn_write(end.conn, buf_view_str("private")), E_OK);
            buf_write_str(&said, "private");
        }
    }
    r.is_slow = false;
    step_until_bytes(loop, &r, &r.got, said.used_bytes);
    assert_int_equal(r.got.used_bytes, said.used_bytes);
    assert_memory_equal(r.got.data, said.data, said.used_bytes);
    buf_writer_fini(&said);
    both_free(&end, &r);
}

static void test_send_iov_gives_again_while_a_record_waits(void **state)
{
    struct iovec iov = {data, SIZE};
    struct end end;
    struct remote r;
    size_t n;

    (void)state;
    opened(loop, server, &end, &r, SMALL_BUFFER, 0);
    assert_int_equal(conn_send_iov(end.conn, &iov, 1, SIZE, &n), E_OK);
    assert_in_range(n, 1, SIZE - 1);
    assert_in_range(conn_queued_bytes(end.conn), 1, 16384);
    assert_int_equal(conn_send_iov(end.conn, &iov, 1, SIZE, &n), E_AGAIN);
    assert_int_equal(n, 0);
    both_free(&end, &r);
}

static void test_send_iov_takes_empty_pieces(void **state)
{
    struct iovec iov[] = {{NULL, 0}, {data, 5}, {NULL, 0}, {data + 5, 20000}, {NULL, 0}, {data, 0}};
    struct end end;
    struct remote r;
    size_t n;

    (void)state;
    opened(loop, server, &end, &r, 0, 0);
    assert_int_equal(conn_send_iov(end.conn, iov, 6, 20005, &n), E_OK);
    assert_int_equal(n, 20005);
    step_until_bytes(loop, &r, &r.got, 20005);
    assert_memory_equal(r.got.data, data, 20005);
    both_free(&end, &r);
}

static void test_write_queues_up_to_its_bound(void **state)
{
    struct end end;
    struct remote r;
    size_t n_written = 0;
    enum err e = E_OK;

    (void)state;
    opened(loop, server, &end, &r, SMALL_BUFFER, 0);
    for (size_t at = 0; at + 1000 <= 500000; at += 1000)
        assert_int_equal(conn_write(end.conn, buf_view_of(data + at, 1000)), E_OK);
    step_until_bytes(loop, &r, &r.got, 500000);
    assert_memory_equal(r.got.data, data, 500000);
    assert_int_equal(conn_bytes_out(end.conn), 500000);
    while (n_written < 3 * SIZE && e == E_OK) {
        e = conn_write(end.conn, buf_view_of(data, 100000));
        n_written += 100000;
    }
    assert_int_equal(e, E_SLOW);
    assert_in_range(conn_queued_bytes(end.conn), QUEUE_MAX - 100000, QUEUE_MAX);
    both_free(&end, &r);
}

static void test_write_gives_closed_after_a_reset(void **state)
{
    struct linger hard = {1, 0};
    struct end end;
    struct remote r;

    (void)state;
    opened(loop, server, &end, &r, 0, 0);
    setsockopt(r.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(r.fd);
    r.fd = -1;
    turn_until(loop, &end.ended);
    assert_int_equal(end.e, E_CLOSED);
    assert_int_equal(conn_write(end.conn, buf_view_str("x")), E_CLOSED);
    both_free(&end, &r);
}

/* --- reading --- */

static void receive_all(unsigned max_reads, enum conn_pace pace, int version)
{
    struct end end;
    struct remote r;

    opened(loop, server, &end, &r, 0, version);
    end.max_reads = max_reads;
    conn_set_pace(end.conn, pace);
    buf_write(&r.out, data, SIZE);
    step_until_bytes(loop, &r, &end.got, SIZE);
    assert_memory_equal(end.got.data, data, SIZE);
    assert_int_equal(conn_bytes_in(end.conn), SIZE);
    both_free(&end, &r);
}

static void test_read_loses_nothing_that_openssl_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VERSIONS; i++) {
        receive_all(0, CONN_AT_ONCE, k_versions[i]);
        receive_all(1, CONN_AT_ONCE, k_versions[i]); /* never up to E_AGAIN */
        receive_all(0, CONN_TICK, k_versions[i]);
    }
    receive_all(5, CONN_TICK, 0);
}

/* One read a call: the rest is told again, whether it is in OpenSSL or still in the socket. */
static void test_read_is_told_again_of_a_record_behind_a_full_read(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    for (size_t more = 1; more < 17000; more += 1999) {
        opened(loop, server, &end, &r, 0, 0);
        SSL_set_max_send_fragment(r.ssl, 8192);
        end.max_reads = 1;
        conn_set_reading(end.conn, false);
        buf_write(&r.out, data, LOOP_SCRATCH_BYTES + more);
        while (r.out.used_bytes > 0)
            remote_step(&r);
        step_some(loop, &r);
        conn_set_reading(end.conn, true);
        step_until_bytes(loop, &r, &end.got, LOOP_SCRATCH_BYTES + more);
        assert_memory_equal(end.got.data, data, LOOP_SCRATCH_BYTES + more);
        both_free(&end, &r);
    }
}

static void test_set_reading_pauses_and_tells_what_was_held(void **state)
{
    struct end end;
    struct remote r;
    size_t n;

    (void)state;
    opened(loop, server, &end, &r, 0, 0);
    end.max_reads = 1;
    buf_write(&r.out, data, 200000);
    while (end.n_readable == 0) {
        remote_step(&r);
        loop_turn(loop, false);
    }
    conn_set_reading(end.conn, false);
    n = end.got.used_bytes;
    step_some(loop, &r);
    assert_int_equal(end.got.used_bytes, n);
    conn_set_reading(end.conn, true);
    step_until_bytes(loop, &r, &end.got, 200000);
    assert_memory_equal(end.got.data, data, 200000);
    both_free(&end, &r);
}

static void test_readable_is_not_told_without_need(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    opened(loop, server, &end, &r, 0, 0);
    buf_write(&r.out, data, 100);
    step_until_bytes(loop, &r, &end.got, 100);
    step_some(loop, &r);
    assert_int_equal(end.n_readable, 1);
    write_full(r.fd, "\x17\x03\x03\x01", 4); /* a record that does not go on */
    step_some(loop, &r);
    assert_in_range(end.n_readable, 1, 2);
    conn_set_reading(end.conn, false);
    conn_set_reading(end.conn, true); /* may look once whether what OpenSSL has is of use */
    step_some(loop, &r);
    assert_in_range(end.n_readable, 1, 3);
    both_free(&end, &r);
}

static void test_read_gives_closed_once_at_the_end_of_the_stream(void **state)
{
    struct end end;
    struct remote r;
    struct buf_view view;

    (void)state;
    for (size_t i = 0; i < N_VERSIONS; i++) {
        opened(loop, server, &end, &r, 0, k_versions[i]);
        buf_write_str(&r.out, "bye");
        remote_step(&r);
        SSL_shutdown(r.ssl);
        turn_until(loop, &end.ended);
        assert_int_equal(end.e, E_CLOSED);
        assert_memory_equal(end.got.data, "bye", 3);
        assert_int_equal(conn_read(end.conn, &view), E_CLOSED);
        assert_int_equal(conn_write(end.conn, buf_view_str("still")), E_OK); /* half-closed only */
        step_until_bytes(loop, &r, &r.got, 5);
        both_free(&end, &r);
    }
}

/* The end is behind bytes that the owner has not read when it is seen. */
static void test_read_tells_an_end_that_openssl_holds(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    opened(loop, server, &end, &r, 0, 0);
    end.max_reads = 1;
    buf_write(&r.out, data, 100000);
    while (r.out.used_bytes > 0)
        remote_step(&r);
    SSL_shutdown(r.ssl);
    turn_until(loop, &end.ended);
    assert_int_equal(end.got.used_bytes, 100000);
    assert_int_equal(end.e, E_CLOSED);
    both_free(&end, &r);
}

static void test_read_gives_an_error_with_its_reason_for_a_forged_record(void **state)
{
    static const uint8_t k_forged[] = {
        0x17, 0x03, 0x03, 0x00, 0x20,          /* application data, 32 bytes */
        1,    2,    3,    4,    5,    6, 7, 8, /* of nothing */
        1,    2,    3,    4,    5,    6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
    };
    struct end end;
    struct remote r;

    (void)state;
    for (size_t i = 0; i < N_VERSIONS; i++) {
        opened(loop, server, &end, &r, 0, k_versions[i]);
        write_full(r.fd, k_forged, sizeof k_forged);
        turn_until(loop, &end.ended);
        assert_int_equal(end.e, E_PROTO);
        assert_string_equal(end.why, "decryption failed or bad record mac");
        assert_int_equal(conn_write(end.conn, buf_view_str("x")), E_CLOSED);
        both_free(&end, &r);
    }
}

/* --- what changes keys --- */

static void test_renegotiation_is_refused(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    opened(loop, server, &end, &r, 0, TLS1_2_VERSION);
    SSL_renegotiate(r.ssl);
    r.shaken = false;
    for (int i = 0; i < 20 && !r.failed; i++)
        step_some(loop, &r);
    assert_int_equal(ERR_GET_REASON(r.failed), SSL_R_NO_RENEGOTIATION);
    assert_int_equal(end.n_errors, 0);
    both_free(&end, &r);
}

static void test_key_update_is_answered(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    opened(loop, server, &end, &r, SMALL_BUFFER, 0);
    for (int i = 0; i < 8; i++) {
        size_t before = r.got.used_bytes;

        assert_int_equal(SSL_key_update(r.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        buf_write_str(&r.out, "ping");
        assert_int_equal(conn_write(end.conn, buf_view_of(data, 50000)), E_OK);
        step_until_bytes(loop, &r, &end.got, 4 * (size_t)(i + 1));
        step_until_bytes(loop, &r, &r.got, before + 50000);
        assert_memory_equal(r.got.data + before, data, 50000);
    }
    both_free(&end, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_start_tls_opens_with_both_versions),
        LOOP_TEST(test_read_gives_the_bytes_in_order_for_every_split),
        LOOP_TEST(test_send_iov_continues_after_short_sends),
        LOOP_TEST(test_send_iov_may_go_on_with_other_bytes_after_a_short_send),
        LOOP_TEST(test_send_iov_gives_again_while_a_record_waits),
        LOOP_TEST(test_send_iov_takes_empty_pieces),
        LOOP_TEST(test_write_queues_up_to_its_bound),
        LOOP_TEST(test_write_gives_closed_after_a_reset),
        LOOP_TEST(test_read_loses_nothing_that_openssl_holds),
        LOOP_TEST(test_read_is_told_again_of_a_record_behind_a_full_read),
        LOOP_TEST(test_set_reading_pauses_and_tells_what_was_held),
        LOOP_TEST(test_readable_is_not_told_without_need),
        LOOP_TEST(test_read_gives_closed_once_at_the_end_of_the_stream),
        LOOP_TEST(test_read_tells_an_end_that_openssl_holds),
        LOOP_TEST(test_read_gives_an_error_with_its_reason_for_a_forged_record),
        LOOP_TEST(test_renegotiation_is_refused),
        LOOP_TEST(test_key_update_is_answered),
    };

    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
