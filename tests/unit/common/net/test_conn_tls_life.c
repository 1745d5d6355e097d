/* conn_tls.c: handshakes that fail, the end, connections as client, and from loop to loop. */
#include "conn_tls_test.h"

static struct issued expired;
static struct tls_server *late_server;

static int setup(void **state)
{
    (void)server_setup(state);
    issue(&expired, (struct issue){"old", "DNS:a.test", .ends_s = -86400});
    late_server = server_of(&expired, 1, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    tls_server_destroy(&late_server);
    issued_free(&expired);
    return server_teardown(state);
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
    for (size_t i = 0; i < N_VERSIONS; i++) {
        opened(loop, server, &end, &r, SMALL_BUFFER, k_versions[i]);
        buf_write(&r.out, data, 1000); /* unread */
        assert_int_equal(conn_write(end.conn, buf_view_of(data, 700000)), E_OK);
        assert_true(conn_queued_bytes(end.conn) > 0); /* with a record begun on the wire */
        conn_close_after_flush(&end.conn);
        step_until(loop, &r, &r.ended);
        assert_int_equal(SSL_get_shutdown(r.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
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
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_handshake_fails_with_the_reason),
        LOOP_TEST(test_handshake_fails_for_old_versions_and_foreign_alpn),
        LOOP_TEST(test_handshake_gives_timeout),
        LOOP_TEST(test_close_is_fine_inside_callbacks_and_during_the_handshake),
        LOOP_TEST(test_close_after_flush_delivers_the_queue_and_the_end),
        LOOP_TEST(test_client_believes_who_proves_the_name),
        LOOP_TEST(test_client_tells_refusal_of_the_port),
        LOOP_TEST(test_detach_and_adopt_lose_no_byte_between_loops),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
