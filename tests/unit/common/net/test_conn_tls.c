/* conn_tls.c against OpenSSL itself, over TCP on loopback. */
#include <netinet/tcp.h>

#include "tls_test.h"

#define SIZE (3u << 20)

static struct loop *loop;
static struct issued cert, expired;
static struct tls_server *server, *late_server;
static uint8_t *data; /* SIZE of pattern */

static int setup_all(void **state)
{
    static const char *const k_alpn[] = {"h2", "http/1.1"};

    (void)state;
    tls_dir_make();
    issue(&cert, (struct issue){"a", "DNS:a.test,DNS:*.b.test,IP:127.0.0.1", .ends_s = 86400});
    issue(&expired, (struct issue){"old", "DNS:a.test", .ends_s = -86400});
    server = server_of(&cert, 1, k_alpn, 2);
    late_server = server_of(&expired, 1, NULL, 0);
    data = pattern_bytes(SIZE);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    tls_server_destroy(&server);
    tls_server_destroy(&late_server);
    issued_free(&cert);
    issued_free(&expired);
    tls_dir_remove();
    free(data);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    loop = loop_create("test", 0);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(&loop);
    return 0;
}

static void both_free(struct end *end, struct remote *r)
{
    end_free(end);
    remote_free(r);
}

static const int k_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_VERSION(i) (size_t i = 0; i < 2; i++)

/* --- handshake --- */

static void test_start_tls_opens_with_both_versions(void **state)
{
    static const unsigned char k_alpn[] = "\x08http/1.1";
    struct end end;
    struct remote r;

    (void)state;
    for
        EACH_VERSION(i)
        {
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
    for
        EACH_VERSION(i)
        {
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
    for
        EACH_VERSION(i)
        {
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
    for
        EACH_VERSION(i)
        {
            opened(loop, server, &end, &r, 0, k_versions[i]);
            buf_write_str(&r.out, "bye");
            remote_step(&r);
            SSL_shutdown(r.ssl);
            turn_until(loop, &end.ended);
            assert_int_equal(end.e, E_CLOSED);
            assert_memory_equal(end.got.data, "bye", 3);
            assert_int_equal(conn_read(end.conn, &view), E_CLOSED);
            assert_int_equal(conn_write(end.conn, buf_view_str("still")),
                             E_OK); /* half-closed only */
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
    for
        EACH_VERSION(i)
        {
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

/* --- handshakes that fail --- */

static void failed_by(const char *bytes, enum err e, const char *why)
{
    struct end end;
    struct remote r;

    accepted(loop, server, &end, &r, 0);
    conn_set_ops(end.conn, &k_accepted_ops, &end);
    end.close_in_callback = true;
    write_full(r.fd, bytes, strlen(bytes));
    shutdown(r.fd, SHUT_WR);
    turn_until(loop, &end.broken);
    assert_int_equal(end.e, e);
    assert_string_equal(end.why, why);
    assert_int_equal(end.n_errors, 1);
    assert_null(end.conn);
    both_free(&end, &r);
}

static void test_handshake_fails_with_the_reason(void **state)
{
    (void)state;
    failed_by("GET / HTTP/1.1\r\nHost: a\r\n\r\n", E_PROTO, "plain HTTP sent to a TLS port");
    failed_by("\x03rtmp, of all things, to a TLS port", E_PROTO, "the peer does not speak TLS");
    failed_by("", E_CLOSED, "closed by the peer");
    failed_by("\x16\x03\x01", E_CLOSED, "closed by the peer");
}

static void test_handshake_fails_for_old_versions_and_foreign_alpn(void **state)
{
    static const unsigned char k_alpn[] = "\x04imap";
    struct end end;
    struct remote r;

    (void)state;
    accepted(loop, server, &end, &r, 0);
    SSL_CTX_set_security_level(r.context, 0);
    SSL_CTX_set_min_proto_version(r.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(r.context, TLS1_1_VERSION);
    remote_start(&r, false);
    step_until(loop, &r, &end.connected);
    assert_int_equal(end.e, E_PROTO);
    assert_string_equal(end.why, "the peer's TLS is older than 1.2");
    both_free(&end, &r);

    accepted(loop, server, &end, &r, 0);
    SSL_CTX_set_alpn_protos(r.context, k_alpn, sizeof k_alpn - 1);
    remote_start(&r, false);
    step_until(loop, &r, &end.connected);
    assert_int_equal(end.e, E_PROTO);
    assert_string_equal(end.why, "no application protocol");
    both_free(&end, &r);
}

static void test_handshake_gives_timeout(void **state)
{
    struct tls_files files = {cert.cert_file, cert.key_file};
    struct tls_server_conf conf = {&files, 1, NULL, 0, 30};
    struct tls_error error;
    struct tls_server *hasty = tls_server_create(&conf, &error);
    struct end end;
    struct remote r;

    (void)state;
    accepted(loop, hasty, &end, &r, 0);
    turn_until(loop, &end.connected);
    assert_int_equal(end.e, E_TIMEOUT);
    assert_string_equal(end.why, "handshake not complete in time");
    both_free(&end, &r);
    tls_server_destroy(&hasty);
}

static void test_close_is_fine_inside_callbacks_and_during_the_handshake(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    accepted(loop, server, &end, &r, 0);
    end.close_in_callback = true;
    remote_start(&r, false);
    step_until(loop, &r, &end.connected);
    assert_null(end.conn);
    both_free(&end, &r);

    accepted(loop, server, &end, &r, 0);
    remote_start(&r, false);
    remote_step(&r);
    conn_close_after_flush(&end.conn);
    both_free(&end, &r);

    opened(loop, server, &end, &r, 0, 0);
    end.close_in_callback = true;
    end.max_reads = 1;
    buf_write(&r.out, data, 300000);
    while (end.conn) {
        remote_step(&r);
        loop_turn(loop, false);
    }
    both_free(&end, &r);
}

/* --- closing --- */

static void test_close_after_flush_delivers_the_queue_and_the_end(void **state)
{
    struct end end;
    struct remote r;

    (void)state;
    for
        EACH_VERSION(i)
        {
            opened(loop, server, &end, &r, SMALL_BUFFER, k_versions[i]);
            buf_write(&r.out, data, 1000); /* unread */
            assert_int_equal(conn_write(end.conn, buf_view_of(data, 700000)), E_OK);
            assert_true(conn_queued_bytes(end.conn) > 0); /* with a record begun on the wire */
            conn_close_after_flush(&end.conn);
            step_until(loop, &r, &r.ended);
            assert_int_equal(SSL_get_shutdown(r.ssl) & SSL_RECEIVED_SHUTDOWN,
                             SSL_RECEIVED_SHUTDOWN);
            assert_int_equal(r.got.used_bytes, 700000);
            assert_memory_equal(r.got.data, data, 700000);
            assert_int_equal(r.failed, 0);
            both_free(&end, &r);
        }
}

/* --- as client --- */

struct pair {
    struct end client, server;
    int listen_fd;
};

static void client_ends(struct tls_server *of, const char *ca_file, const char *host, enum err e,
                        const char *why)
{
    static const char *const k_alpn[] = {"http/1.1"};
    struct tls_client_conf conf = {ca_file, false, k_alpn, 1, 5000};
    struct tls_error error;
    struct tls_client *client = tls_client_create(&conf, &error);
    struct pair p;
    struct addr bound;
    int fd;

    assert_non_null(client);
    p.listen_fd = raw_listen(&bound);
    end_init(&p.client);
    end_init(&p.server);
    p.client.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_end_ops, &p.client);
    assert_int_equal(conn_start_tls_client(p.client.conn, client, host), E_OK);
    tls_client_destroy(&client);
    assert_true(conn_is_tls(p.client.conn));
    assert_int_equal(conn_write(p.client.conn, buf_view_str("hello")), E_OK);
    fd = accept(p.listen_fd, NULL, NULL);
    p.server.conn = conn_create(loop, fd, &bound, QUEUE_MAX, &k_accepted_ops, &p.server);
    assert_int_equal(conn_start_tls(p.server.conn, of), E_OK);
    turn_until(loop, &p.client.connected);
    assert_int_equal(p.client.e, e);
    assert_string_equal(p.client.why, why);
    while (e == E_OK && p.server.got.used_bytes < 5)
        loop_turn(loop, true);
    if (e != E_OK) { /* the other side is told, and no byte came through */
        turn_until(loop, &p.server.broken);
        assert_int_equal(p.server.got.used_bytes, 0);
        assert_int_equal(conn_write(p.client.conn, buf_view_str("x")), E_CLOSED);
    } else if (of == server) {
        assert_true(buf_view_equals(conn_alpn(p.client.conn), "http/1.1"));
    }
    assert_int_equal(p.client.n_connected, 1);
    end_free(&p.client);
    end_free(&p.server);
    close(p.listen_fd);
}

static void test_client_believes_who_proves_the_name(void **state)
{
    (void)state;
    client_ends(server, tls_ca.cert_file, "a.test", E_OK, "");
    client_ends(server, tls_ca.cert_file, "x.b.test", E_OK, "");
    client_ends(server, tls_ca.cert_file, "127.0.0.1", E_OK, "");
    client_ends(server, tls_ca.cert_file, "c.test", E_DENIED,
                "certificate verify failed: hostname mismatch");
    client_ends(server, tls_ca.cert_file, "y.x.b.test", E_DENIED,
                "certificate verify failed: hostname mismatch");
    client_ends(server, tls_ca.cert_file, "127.0.0.2", E_DENIED,
                "certificate verify failed: IP address mismatch");
    client_ends(late_server, tls_ca.cert_file, "a.test", E_DENIED,
                "certificate verify failed: certificate has expired");
    client_ends(server, NULL, "a.test", E_DENIED,
                "certificate verify failed: unable to get local issuer certificate");
}

static void test_client_tells_refusal_of_the_port(void **state)
{
    struct tls_client_conf conf = {.is_unverified = true, .handshake_timeout_ms = 50};
    struct tls_error error;
    struct tls_client *client = tls_client_create(&conf, &error);
    struct end end;
    struct addr bound;
    int listen_fd = raw_listen(&bound);

    (void)state;
    end_init(&end);
    end.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_end_ops, &end);
    assert_int_equal(conn_start_tls_client(end.conn, client, "a.test"), E_OK);
    turn_until(loop, &end.connected); /* nobody answers */
    assert_int_equal(end.e, E_TIMEOUT);
    end_free(&end);
    close(listen_fd);
    end_init(&end);
    end.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_end_ops, &end);
    assert_int_equal(conn_start_tls_client(end.conn, client, "a.test"), E_OK);
    turn_until(loop, &end.connected);
    assert_int_equal(end.e, E_IO);
    end_free(&end);
    end_init(&end);
    end.conn = conn_connect(loop, &bound, 5000, QUEUE_MAX, &k_end_ops, &end);
    assert_int_equal(conn_start_tls_client(end.conn, client, "a.test"), E_OK);
    end_free(&end); /* before it is connected */
    tls_client_destroy(&client);
}

/* --- from loop to loop --- */

/* The connection goes to a loop thread and back, while the peer sends and receives. */
struct move {
    struct loop_msg msg;
    struct conn *conn; /* on its way */
    struct loop *home, *away, *at;
    struct buf_writer got;
    unsigned n_hops;
    bool done;
};

static void on_moved(struct loop_msg *msg);

static void on_move_readable(struct conn *conn, void *arg)
{
    struct move *m = arg;
    struct buf_view view;

    if (conn_read(conn, &view) != E_OK) /* one read: the rest travels in OpenSSL and the socket */
        return;
    buf_write_view(&m->got, view);
    if (m->got.used_bytes == SIZE) {
        conn_close_after_flush(&m->conn);
        m->msg.run = on_moved;
        loop_post(m->home, &m->msg);
    } else if (m->got.used_bytes >= 100000 * (size_t)(m->n_hops + 1)) {
        m->n_hops++;
        m->at = m->at == m->home ? m->away : m->home;
        m->conn = conn_detach(&m->conn);
        loop_post(m->at, &m->msg);
    }
}

static const struct conn_ops k_move_ops = {on_move_readable, NULL, NULL, NULL};

static void on_moved(struct loop_msg *msg)
{
    struct move *m = (struct move *)msg;

    if (m->got.used_bytes == SIZE) {
        m->done = true;
        return;
    }
    conn_adopt(m->conn, m->at, &k_move_ops, m);
    conn_write(m->conn, buf_view_of(data, 5000));
}

static void test_detach_and_adopt_lose_no_byte_between_loops(void **state)
{
    struct move m = {.msg = {.run = on_moved}};
    struct end end;
    struct remote r;

    (void)state;
    m.home = m.at = loop;
    m.away = loop_create("away", 1);
    buf_writer_init(&m.got, SIZE_MAX);
    assert_int_equal(loop_start_thread(m.away), E_OK);
    opened(loop, server, &end, &r, SMALL_BUFFER, 0);
    m.conn = end.conn;
    end.conn = NULL;
    conn_set_ops(m.conn, &k_move_ops, &m);
    buf_write(&r.out, data, SIZE);
    step_until(loop, &r, &m.done);
    assert_memory_equal(m.got.data, data, SIZE);
    assert_true(m.n_hops >= 10);
    step_until(loop, &r, &r.ended); /* what was queued at the end is sent by either loop */
    loop_stop(m.away);
    loop_join(m.away);
    assert_int_equal(r.got.used_bytes, m.n_hops * 5000u); /* each new loop could write */
    loop_destroy(&m.away);
    buf_writer_fini(&m.got);
    both_free(&end, &r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_start_tls_opens_with_both_versions),
        T(test_read_gives_the_bytes_in_order_for_every_split),
        T(test_send_iov_continues_after_short_sends),
        T(test_send_iov_may_go_on_with_other_bytes_after_a_short_send),
        T(test_send_iov_gives_again_while_a_record_waits),
        T(test_send_iov_takes_empty_pieces),
        T(test_write_queues_up_to_its_bound),
        T(test_write_gives_closed_after_a_reset),
        T(test_read_loses_nothing_that_openssl_holds),
        T(test_read_is_told_again_of_a_record_behind_a_full_read),
        T(test_set_reading_pauses_and_tells_what_was_held),
        T(test_readable_is_not_told_without_need),
        T(test_read_gives_closed_once_at_the_end_of_the_stream),
        T(test_read_tells_an_end_that_openssl_holds),
        T(test_read_gives_an_error_with_its_reason_for_a_forged_record),
        T(test_renegotiation_is_refused),
        T(test_key_update_is_answered),
        T(test_handshake_fails_with_the_reason),
        T(test_handshake_fails_for_old_versions_and_foreign_alpn),
        T(test_handshake_gives_timeout),
        T(test_close_is_fine_inside_callbacks_and_during_the_handshake),
        T(test_close_after_flush_delivers_the_queue_and_the_end),
        T(test_client_believes_who_proves_the_name),
        T(test_client_tells_refusal_of_the_port),
        T(test_detach_and_adopt_lose_no_byte_between_loops),
    };
#undef T

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
