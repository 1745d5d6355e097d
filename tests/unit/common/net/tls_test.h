/* What the tests of TLS share: certificates made by OpenSSL at test time, a connection under test,
 * and a real OpenSSL peer on the other end of its socket, in the same thread. */
#ifndef HW_TESTS_TLS_TEST_H
#define HW_TESTS_TLS_TEST_H

#include <fcntl.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/base/buf.h"
#include "common/net/conn.h"
#include "common/net/tls.h"
#include "net_test.h"

#define SMALL_BUFFER 4096
#define QUEUE_MAX (1u << 20)

/* --- certificates --- */

struct issued {
    X509 *cert;
    EVP_PKEY *key;
    char cert_file[96], key_file[96];
};

static char tls_dir[64];
static struct issued tls_ca;

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void write_pem(const struct issued *issued)
{
    FILE *file = fopen(issued->cert_file, "w");

    assert_non_null(file);
    PEM_write_X509(file, issued->cert);
    fclose(file);
    file = fopen(issued->key_file, "w");
    PEM_write_PrivateKey(file, issued->key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

struct issue {
    const char *file;  /* in tls_dir, without ending */
    const char *names; /* "DNS:a.test,IP:127.0.0.1"; NULL = an authority */
    bool is_rsa;
    long ends_s; /* from now */
};

/* By the test's authority, or by itself when it is the authority. */
static inline void issue(struct issued *out, struct issue what)
{
    static long serial = 1;
    bool is_ca = !what.names;
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    out->cert = cert;
    out->key = what.is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    snprintf(out->cert_file, sizeof out->cert_file, "%s/%s.pem", tls_dir, what.file);
    snprintf(out->key_file, sizeof out->key_file, "%s/%s.key", tls_dir, what.file);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -2 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(cert), what.ends_s);
    X509_set_pubkey(cert, out->key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)what.file, -1, -1,
                               0);
    X509_set_issuer_name(cert, is_ca ? name : X509_get_subject_name(tls_ca.cert));
    add_extension(cert, is_ca ? cert : tls_ca.cert, NID_basic_constraints,
                  is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!is_ca)
        add_extension(cert, tls_ca.cert, NID_subject_alt_name, what.names);
    assert_true(X509_sign(cert, is_ca ? out->key : tls_ca.key, EVP_sha256()) > 0);
    write_pem(out);
}

static inline void issued_free(struct issued *issued)
{
    X509_free(issued->cert);
    EVP_PKEY_free(issued->key);
    unlink(issued->cert_file);
    unlink(issued->key_file);
}

static inline void tls_dir_make(void)
{
    snprintf(tls_dir, sizeof tls_dir, "/tmp/headwater-tls-XXXXXX");
    assert_non_null(mkdtemp(tls_dir));
    issue(&tls_ca, (struct issue){.file = "authority", .ends_s = 86400});
}

static inline void tls_dir_remove(void)
{
    issued_free(&tls_ca);
    rmdir(tls_dir);
}

static inline struct tls_server *server_of(const struct issued *issued, unsigned n,
                                           const char *const *alpn, unsigned n_alpn)
{
    struct tls_files files[4];
    struct tls_error error = {""};
    struct tls_server_conf conf = {files, n, alpn, n_alpn, 5000};
    struct tls_server *server;

    for (unsigned i = 0; i < n; i++)
        files[i] = (struct tls_files){issued[i].cert_file, issued[i].key_file};
    server = tls_server_create(&conf, &error);
    if (!server)
        fail_msg("%s", error.text);
    return server;
}

/* --- the connection under test --- */

struct end {
    struct conn *conn;
    struct buf_writer got;
    enum err e; /* of the last on_connected, on_error, or of reading when it ended */
    unsigned n_readable, n_writable, n_errors, n_connected, max_reads;
    bool connected, writable, ended, broken, close_in_callback;
    char why[112]; /* conn_tls_error() when it failed */
};

static inline void end_note(struct end *end, enum err e)
{
    end->e = e;
    snprintf(end->why, sizeof end->why, "%s", conn_tls_error(end->conn));
    if (end->close_in_callback)
        conn_close(&end->conn);
}

static inline void end_on_readable(struct conn *conn, void *arg)
{
    struct end *end = arg;
    struct buf_view view;
    enum err e = E_OK;

    end->n_readable++;
    for (unsigned i = 0; (end->max_reads == 0 || i < end->max_reads) && e == E_OK; i++)
        if ((e = conn_read(conn, &view)) == E_OK)
            buf_write_view(&end->got, view);
    if (e != E_AGAIN && e != E_OK)
        end->ended = true;
    end_note(end, e);
}

static inline void end_on_writable(struct conn *conn, void *arg)
{
    struct end *end = arg;

    (void)conn;
    end->n_writable++;
    end->writable = true;
    end_note(end, E_OK);
}

static inline void end_on_error(struct conn *conn, void *arg, enum err e)
{
    struct end *end = arg;

    (void)conn;
    end->n_errors++;
    end->broken = true;
    end_note(end, e);
}

static inline void end_on_connected(struct conn *conn, void *arg, enum err e)
{
    struct end *end = arg;

    (void)conn;
    end->n_connected++;
    end->connected = true;
    end_note(end, e);
}

static const struct conn_ops k_end_ops = {end_on_readable, end_on_writable, end_on_error,
                                          end_on_connected};
/* As servers have them: a handshake that fails is an error. */
static const struct conn_ops k_accepted_ops = {end_on_readable, end_on_writable, end_on_error,
                                               NULL};

static inline void end_init(struct end *end)
{
    *end = (struct end){.e = E_OK};
    buf_writer_init(&end->got, SIZE_MAX);
}

static inline void end_free(struct end *end)
{
    conn_close(&end->conn);
    buf_writer_fini(&end->got);
}

/* --- the peer: OpenSSL alone --- */

struct remote {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
    struct buf_writer got;
    struct buf_writer out; /* to be written */
    bool is_slow;          /* reads 1 KiB a step */
    bool is_mute;          /* does not read */
    bool shaken, ended;
    unsigned long failed; /* OpenSSL's error */
};

static inline void remote_init(struct remote *r, int fd, bool is_server)
{
    *r = (struct remote){.fd = fd};
    buf_writer_init(&r->got, SIZE_MAX);
    buf_writer_init(&r->out, SIZE_MAX);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    r->context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_options(r->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(r->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static inline void remote_start(struct remote *r, bool is_server)
{
    r->ssl = SSL_new(r->context);
    SSL_set_fd(r->ssl, r->fd);
    if (is_server)
        SSL_set_accept_state(r->ssl);
    else
        SSL_set_connect_state(r->ssl);
}

static inline void remote_free(struct remote *r)
{
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
    buf_writer_fini(&r->got);
    buf_writer_fini(&r->out);
    if (r->fd >= 0)
        close(r->fd);
}

static inline void remote_note(struct remote *r, int rc)
{
    int code = SSL_get_error(r->ssl, rc);

    if (code == SSL_ERROR_ZERO_RETURN || code == SSL_ERROR_SYSCALL)
        r->ended = true;
    if (code == SSL_ERROR_SSL)
        r->failed = ERR_peek_error();
}

static inline void remote_read(struct remote *r)
{
    unsigned char bytes[8192];
    int n = 1;

    while (n > 0 && !r->is_mute && !r->ended && !r->failed) {
        ERR_clear_error();
        n = SSL_read(r->ssl, bytes, r->is_slow ? 1024 : (int)sizeof bytes);
        if (n > 0)
            buf_write(&r->got, bytes, (size_t)n);
        else
            remote_note(r, n);
        if (r->is_slow)
            break;
    }
}

/* What can be done without waiting. */
static inline void remote_step(struct remote *r)
{
    int n = 1;

    if (r->ended || r->failed)
        return;
    ERR_clear_error();
    if (!r->shaken) {
        n = SSL_do_handshake(r->ssl);
        r->shaken = n == 1;
        if (!r->shaken) {
            remote_note(r, n);
            return;
        }
    }
    while (r->out.used_bytes > 0 && n > 0) {
        ERR_clear_error();
        n = SSL_write(r->ssl, r->out.data, (int)r->out.used_bytes);
        if (n > 0)
            buf_writer_consume(&r->out, (size_t)n);
        else
            remote_note(r, n);
    }
    remote_read(r);
}

/* Turns both ends until *flag. */
static inline void step_until(struct loop *loop, struct remote *r, const bool *flag)
{
    int64_t end_us = clock_mono_us() + TEST_DEADLINE_MS * 1000LL;

    while (!*flag) {
        remote_step(r);
        loop_turn(loop, false);
        if (clock_mono_us() > end_us)
            fail_msg("nothing happened for %d ms", TEST_DEADLINE_MS);
    }
}

static inline void step_until_bytes(struct loop *loop, struct remote *r,
                                    const struct buf_writer *got, size_t n_bytes)
{
    int64_t end_us = clock_mono_us() + TEST_DEADLINE_MS * 1000LL;

    while (got->used_bytes < n_bytes) {
        remote_step(r);
        loop_turn(loop, false);
        if (clock_mono_us() > end_us)
            fail_msg("%zu of %zu bytes in %d ms", got->used_bytes, n_bytes, TEST_DEADLINE_MS);
    }
}

static inline void step_some(struct loop *loop, struct remote *r)
{
    for (int i = 0; i < 20; i++) {
        remote_step(r);
        loop_turn(loop, false);
    }
}

/* An accepted connection under TLS, and a client that has not begun. */
static inline void accepted(struct loop *loop, struct tls_server *server, struct end *end,
                            struct remote *r, int sndbuf_bytes)
{
    struct addr any;
    int fds[2];

    assert_int_equal(addr_parse(&any, "10.1.2.3:5555"), E_OK);
    end_init(end);
    tcp_pair(fds, sndbuf_bytes);
    end->conn = conn_create(loop, fds[0], &any, QUEUE_MAX, &k_end_ops, end);
    assert_int_equal(conn_start_tls(end->conn, server), E_OK);
    remote_init(r, fds[1], false);
}

/* The same, after the handshake. max_version 0 = any. */
static inline void opened(struct loop *loop, struct tls_server *server, struct end *end,
                          struct remote *r, int sndbuf_bytes, int max_version)
{
    accepted(loop, server, end, r, sndbuf_bytes);
    SSL_CTX_set_max_proto_version(r->context, max_version);
    remote_start(r, false);
    step_until(loop, r, &end->connected);
    step_until(loop, r, &r->shaken);
    assert_int_equal(end->e, E_OK);
}

/* OpenSSL's macros cast their texts to void * or char *, which copy them. */
static inline void remote_ask(struct remote *r, const char *host, const char *sigalgs)
{
    char text[64];

    snprintf(text, sizeof text, "%s", host ? host : "");
    if (host)
        SSL_ctrl(r->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, text);
    snprintf(text, sizeof text, "%s", sigalgs ? sigalgs : "");
    if (sigalgs)
        SSL_ctrl(r->ssl, SSL_CTRL_SET_SIGALGS_LIST, 0, text);
}

/* --- bytes that are known by their place --- */

static inline uint8_t *pattern_bytes(size_t size_bytes)
{
    uint8_t *data = malloc(size_bytes);

    for (size_t i = 0; i < size_bytes; i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    return data;
}

#endif
