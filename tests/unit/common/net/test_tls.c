/* tls_*.c: what servers and clients are made from. Handshakes go through a real connection. */
#include <pthread.h>

#include "tls_test.h"
#include "loop_test.h" /* behind it: its functions have a loop of their own */

static struct issued host_a, host_a_rsa, wild_b, other;

static int setup_all(void **state)
{
    (void)state;
    tls_dir_make();
    issue(&host_a, (struct issue){"a", "DNS:a.test", .ends_s = 9000});
    issue(&host_a_rsa, (struct issue){"rsa", "DNS:a.test", .is_rsa = true, .ends_s = 8000});
    issue(&wild_b, (struct issue){"b", "DNS:*.b.test,DNS:b.test", .ends_s = 7000});
    issue(&other, (struct issue){"other", "DNS:x.b.test", .ends_s = 6000});
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    issued_free(&host_a);
    issued_free(&host_a_rsa);
    issued_free(&wild_b);
    issued_free(&other);
    tls_dir_remove();
    return 0;
}

/* The certificate that a client gets who asks for host; sigalgs NULL = any. */
static void assert_serves(struct tls_server *server, const char *host, const char *sigalgs,
                          const struct issued *expected)
{
    struct end end;
    struct remote r;
    X509 *got;

    accepted(loop, server, &end, &r, 0);
    remote_start(&r, false);
    remote_ask(&r, host, sigalgs);
    step_until(loop, &r, &end.connected);
    assert_int_equal(end.e, E_OK);
    got = SSL_get1_peer_certificate(r.ssl);
    assert_int_equal(X509_cmp(got, expected->cert), 0);
    X509_free(got);
    end_free(&end);
    remote_free(&r);
}

/* --- certificates --- */

static void test_certificate_is_chosen_by_name(void **state)
{
    struct issued all[] = {host_a, host_a_rsa, wild_b, other};
    struct tls_server *server = server_of(all, 4, NULL, 0);

    (void)state;
    assert_serves(server, "b.test", NULL, &wild_b);
    assert_serves(server, "y.b.test", NULL, &wild_b);
    assert_serves(server, "x.b.test", NULL, &other); /* exact before wildcard */
    assert_serves(server, "Y.B.Test", NULL, &wild_b);
    assert_serves(server, "z.y.b.test", NULL, &host_a); /* a wildcard is one label: default */
    assert_serves(server, "unknown.test", NULL, &host_a);
    assert_serves(server, NULL, NULL, &host_a);
    assert_serves(server, "a.test", "ECDSA+SHA256", &host_a);
    assert_serves(server, "a.test", "RSA-PSS+SHA256", &host_a_rsa); /* both are offered */
    tls_server_destroy(&server);
}

static void test_expiry_is_that_of_the_first_to_end(void **state)
{
    struct issued all[] = {host_a, wild_b, host_a_rsa};
    struct tls_server *server = server_of(all, 3, NULL, 0);

    (void)state;
    assert_in_range(tls_server_expiry_s(server) - time(NULL), 6900, 7000);
    tls_server_destroy(&server);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static enum err load(struct tls_server *server, const struct issued *issued, char *text)
{
    struct tls_files files = {issued->cert_file, issued->key_file};
    struct tls_error error = {""};
    enum err e = tls_server_load(server, &files, 1, &error);

    strcpy(text,
           error.text +
               (strncmp(error.text, tls_dir, strlen(tls_dir)) == 0 ? strlen(tls_dir) + 1 : 0));
    return e;
}

static void test_load_replaces_certificates_or_keeps_them(void **state)
{
    struct tls_server *server = server_of(&host_a, 1, NULL, 0);
    struct issued mixed = host_a, gone = host_a;
    struct tls_error error;
    char text[sizeof error.text];

    (void)state;
    assert_int_equal(load(server, &wild_b, text), E_OK);
    assert_serves(server, "a.test", NULL, &wild_b);
    strcpy(mixed.key_file, wild_b.key_file);
    assert_int_equal(load(server, &mixed, text), E_INVAL);
    assert_string_equal(text, "b.key: the key is not that of the certificate");
    snprintf(gone.cert_file, sizeof gone.cert_file, "%s/none.pem", tls_dir);
    assert_int_equal(load(server, &gone, text), E_INVAL);
    assert_string_equal(text, "none.pem: No such file or directory");
    snprintf(mixed.cert_file, sizeof mixed.cert_file, "%s/broken.pem", tls_dir);
    write_text(mixed.cert_file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(load(server, &mixed, text), E_INVAL);
    assert_non_null(strstr(text, "broken.pem: "));
    write_text(mixed.cert_file, "");
    assert_int_equal(load(server, &mixed, text), E_INVAL);
    assert_string_equal(text, "broken.pem: no start line");
    assert_int_equal(tls_server_load(server, NULL, 0, &error), E_INVAL);
    assert_serves(server, "a.test", NULL, &wild_b);
    unlink(mixed.cert_file);
    tls_server_destroy(&server);
}

static void test_load_takes_the_chain_and_refuses_keys_with_a_password(void **state)
{
    struct tls_server *server = server_of(&host_a, 1, NULL, 0);
    struct issued chained = wild_b, locked = host_a;
    struct end end;
    struct remote r;
    char text[256];
    FILE *file;

    (void)state;
    snprintf(chained.cert_file, sizeof chained.cert_file, "%s/chain.pem", tls_dir);
    file = fopen(chained.cert_file, "w");
    PEM_write_X509(file, wild_b.cert);
    PEM_write_X509(file, tls_ca.cert);
    fclose(file);
    assert_int_equal(load(server, &chained, text), E_OK);
    opened(loop, server, &end, &r, 0, 0);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(r.ssl)), 2);
    end_free(&end);
    remote_free(&r);
    unlink(chained.cert_file);

    snprintf(locked.key_file, sizeof locked.key_file, "%s/locked.key", tls_dir);
    file = fopen(locked.key_file, "w");
    PEM_write_PrivateKey(file, host_a.key, EVP_aes_128_cbc(), (const unsigned char *)"x", 1, NULL,
                         NULL);
    fclose(file);
    assert_int_equal(load(server, &locked, text), E_INVAL);
    assert_non_null(strstr(text, "locked.key: "));
    unlink(locked.key_file);
    tls_server_destroy(&server);
}

static void test_files_changed_sees_what_is_written_replaced_and_lost(void **state)
{
    struct tls_server *server = server_of(&host_a, 1, NULL, 0);
    struct issued copy;
    char text[256], aside[128];

    (void)state;
    issue(&copy, (struct issue){"copy", "DNS:a.test", .ends_s = 9000});
    assert_int_equal(load(server, &copy, text), E_OK);
    assert_false(tls_server_files_changed(server));
    write_text(copy.key_file, "half a key");
    assert_true(tls_server_files_changed(server));
    assert_int_equal(load(server, &copy, text), E_INVAL);
    assert_false(tls_server_files_changed(server)); /* said once */
    snprintf(aside, sizeof aside, "%s.aside", copy.cert_file);
    assert_int_equal(rename(copy.cert_file, aside), 0);
    assert_true(tls_server_files_changed(server));
    assert_int_equal(load(server, &copy, text), E_INVAL);
    write_pem(&copy);
    assert_true(tls_server_files_changed(server));
    assert_int_equal(load(server, &copy, text), E_OK);
    assert_serves(server, NULL, NULL, &copy);
    unlink(aside);
    issued_free(&copy);
    tls_server_destroy(&server);
}

static void test_create_tells_what_is_wrong(void **state)
{
    struct tls_files files = {"/nowhere/a.pem", "/nowhere/a.key"};
    static const char *const k_empty[] = {""};
    struct tls_server_conf conf = {&files, 1, NULL, 0, 1000};
    struct tls_client_conf client_conf = {.ca_file = "/nowhere/ca.pem"};
    struct tls_error error;

    (void)state;
    assert_null(tls_server_create(&conf, &error));
    assert_string_equal(error.text, "/nowhere/a.pem: No such file or directory");
    conf.alpn = k_empty;
    conf.n_alpn = 1;
    assert_null(tls_server_create(&conf, &error));
    assert_string_equal(error.text, "ALPN names: invalid value");
    conf = (struct tls_server_conf){.n_files = 0};
    assert_null(tls_server_create(&conf, &error));
    assert_string_equal(error.text, "certificates: there is none");
    assert_null(tls_client_create(&client_conf, &error));
    assert_string_equal(error.text, "/nowhere/ca.pem: No such file or directory");
}

/* --- tickets --- */

/* One connection that offers session (may be NULL); returns the one that it got. */
static SSL_SESSION *visit(struct loop *on, struct tls_server *server, SSL_SESSION *session,
                          int version, bool *was_resumed)
{
    SSL_SESSION *fresh;
    struct end end;
    struct remote r;

    accepted(on, server, &end, &r, 0);
    SSL_CTX_set_max_proto_version(r.context, version);
    remote_start(&r, false);
    if (session)
        SSL_set_session(r.ssl, session);
    step_until(on, &r, &end.connected);
    assert_int_equal(conn_write(end.conn, buf_view_str("x")), E_OK);
    step_until_bytes(on, &r, &r.got, 1); /* the tickets of TLS 1.3 came before */
    *was_resumed = SSL_session_reused(r.ssl) == 1;
    fresh = SSL_get1_session(r.ssl);
    SSL_shutdown(r.ssl);
    end_free(&end);
    remote_free(&r);
    return fresh;
}

static void test_tickets_are_good_on_every_loop_until_their_key_is_gone(void **state)
{
    static const int k_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_server *server = server_of(&host_a, 1, NULL, 0);
    struct tls_server *stranger = server_of(&host_a, 1, NULL, 0);
    struct loop *second = loop_create("second", 1);
    char text[256];

    (void)state;
    for (int i = 0; i < 2; i++) {
        bool resumed;
        SSL_SESSION *first = visit(loop, server, NULL, k_versions[i], &resumed), *next;

        assert_false(resumed);
        for (int n_keys = 1; n_keys <= 4; n_keys++) {
            next = visit(second, server, first, k_versions[i], &resumed);
            assert_int_equal(resumed, n_keys <= 3);
            SSL_SESSION_free(next);
            tls_server_rotate_tickets(server);
        }
        SSL_SESSION_free(first);
        first = visit(loop, server, NULL, k_versions[i], &resumed);
        assert_int_equal(load(server, &host_a, text), E_OK); /* keys outlive a reload */
        next = visit(second, server, first, k_versions[i], &resumed);
        assert_true(resumed);
        SSL_SESSION_free(next);
        next = visit(second, stranger, first, k_versions[i], &resumed);
        assert_false(resumed);
        SSL_SESSION_free(next);
        SSL_SESSION_free(first);
    }
    loop_destroy(&second);
    tls_server_destroy(&server);
    tls_server_destroy(&stranger);
}

/* --- all at once --- */

struct visitor {
    pthread_t thread;
    struct tls_server *server;
    unsigned index;
};

static void *visit_often(void *arg)
{
    struct visitor *v = arg;
    struct loop *own = loop_create("visitor", v->index);
    SSL_SESSION *session = NULL;

    for (int i = 0; i < 40; i++) {
        bool resumed;
        SSL_SESSION *fresh = visit(own, v->server, session, i % 2 ? TLS1_2_VERSION : 0, &resumed);

        SSL_SESSION_free(session);
        session = fresh;
        if (i % 2) {
            SSL_SESSION_free(session);
            session = NULL;
        }
    }
    SSL_SESSION_free(session);
    loop_destroy(&own);
    return NULL;
}

static void test_loops_shake_hands_while_certificates_and_keys_change(void **state)
{
    struct tls_server *server = server_of(&host_a, 1, NULL, 0);
    struct visitor visitors[3];
    char text[256];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        visitors[i] = (struct visitor){.server = server, .index = i};
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit_often, &visitors[i]), 0);
    }
    for (int i = 0; i < 60; i++) {
        assert_int_equal(load(server, i % 2 ? &host_a : &wild_b, text), E_OK);
        if (i % 10 == 0)
            tls_server_rotate_tickets(server);
        assert_true(tls_server_expiry_s(server) > 0);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(visitors[i].thread, NULL);
    tls_server_destroy(&server);
}

/* --- ALPN --- */

static void test_alpn_is_chosen_by_the_server(void **state)
{
    static const char *const k_names[] = {"h2", "http/1.1"};
    static const unsigned char k_offer[] = "\x08http/1.1\x02h2";
    struct tls_server *server = server_of(&host_a, 1, k_names, 2);
    struct end end;
    struct remote r;

    (void)state;
    accepted(loop, server, &end, &r, 0);
    SSL_CTX_set_alpn_protos(r.context, k_offer, sizeof k_offer - 1);
    remote_start(&r, false);
    step_until(loop, &r, &end.connected);
    assert_true(buf_view_equals(conn_alpn(end.conn), "h2"));
    end_free(&end);
    remote_free(&r);
    opened(loop, server, &end, &r, 0, 0); /* who offers none is fine */
    assert_int_equal(conn_alpn(end.conn).size_bytes, 0);
    end_free(&end);
    remote_free(&r);
    tls_server_destroy(&server);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_certificate_is_chosen_by_name),
        T(test_expiry_is_that_of_the_first_to_end),
        T(test_load_replaces_certificates_or_keeps_them),
        T(test_load_takes_the_chain_and_refuses_keys_with_a_password),
        T(test_files_changed_sees_what_is_written_replaced_and_lost),
        T(test_create_tells_what_is_wrong),
        T(test_tickets_are_good_on_every_loop_until_their_key_is_gone),
        T(test_loops_shake_hands_while_certificates_and_keys_change),
        T(test_alpn_is_chosen_by_the_server),
    };
#undef T

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
