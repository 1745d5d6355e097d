/* Server side: one OpenSSL context for the life of the server; what a reload changes is the set of
 * certificates that each handshake takes its own from. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "common/net/tls_private.h"

struct tls_server {
    SSL_CTX *context;
    struct tls_tickets *tickets;
    struct tls_alpn alpn;
    int64_t handshake_timeout_ms;
    pthread_mutex_t lock; /* of certs */
    struct tls_certs *certs;
    struct tls_file *files; /* of the last load; its caller's thread */
    unsigned n_files;
};

/* --- what OpenSSL asks in a handshake; on any loop --- */

static struct tls_certs *current_certs(struct tls_server *server)
{
    struct tls_certs *certs;

    pthread_mutex_lock(&server->lock);
    certs = tls_certs_ref(server->certs);
    pthread_mutex_unlock(&server->lock);
    return certs;
}

/* SSL_CTX_set_cert_cb(3): 1 go on, 0 fail. */
static int on_choose_cert(SSL *ssl, void *arg)
{
    struct tls_certs *certs = current_certs(arg);
    bool ok = tls_certs_apply(certs, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), ssl);

    tls_certs_unref(&certs);
    return ok;
}

/* RFC 7301, section 3.2. */
static int on_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                          const unsigned char *in, unsigned in_bytes, void *arg)
{
    const struct tls_server *server = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_bytes, server->alpn.bytes, server->alpn.size_bytes, in,
                              in_bytes) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    return tls_tickets_key(server->tickets, name, iv, cipher, mac, is_sealing != 0);
}

/* --- files --- */

static void files_free(struct tls_file *files, unsigned n_files)
{
    for (unsigned i = 0; files && i < n_files; i++)
        tls_file_forget(&files[i]);
    free(files);
}

static bool note_files(struct tls_server *server, const struct tls_files *files, unsigned n_files)
{
    struct tls_file *noted = calloc(2 * (size_t)n_files, sizeof *noted);

    for (unsigned i = 0; noted && i < 2 * n_files; i++) {
        if (!tls_file_note(&noted[i], i % 2 ? files[i / 2].key_file : files[i / 2].cert_file)) {
            files_free(noted, 2 * n_files);
            return false;
        }
    }
    if (!noted)
        return false;
    files_free(server->files, server->n_files);
    server->files = noted;
    server->n_files = 2 * n_files;
    return true;
}

bool tls_server_files_changed(const struct tls_server *server)
{
    for (unsigned i = 0; i < server->n_files; i++)
        if (tls_file_has_changed(&server->files[i]))
            return true;
    return false;
}

enum err tls_server_load(struct tls_server *server, const struct tls_files *files, unsigned n_files,
                         struct tls_error *error)
{
    struct tls_certs *certs, *before;
    enum err e;

    if (n_files == 0) {
        tls_error_set(error, "certificates", "there is none");
        return E_INVAL;
    }
    if (!note_files(server, files, n_files)) {
        tls_error_set(error, "certificates", err_text(E_NOMEM));
        return E_NOMEM;
    }
    certs = tls_certs_load(files, n_files, &e, error);
    if (!certs)
        return e;
    pthread_mutex_lock(&server->lock);
    before = server->certs;
    server->certs = certs;
    pthread_mutex_unlock(&server->lock);
    tls_certs_unref(&before);
    return E_OK;
}

int64_t tls_server_expiry_s(struct tls_server *server)
{
    struct tls_certs *certs = current_certs(server);
    int64_t expiry_s = tls_certs_expiry_s(certs);

    tls_certs_unref(&certs);
    return expiry_s;
}

/* --- life --- */

static bool set_up_context(struct tls_server *server)
{
    SSL_CTX *context = server->context = tls_context_new(TLS_server_method());
    static const unsigned char k_area[] = "headwater"; /* tickets are for nothing else */

    if (!context || SSL_CTX_set_session_id_context(context, k_area, sizeof k_area - 1) != 1)
        return false;
    SSL_CTX_set_app_data(context, server);
    SSL_CTX_set_cert_cb(context, on_choose_cert, server);
    SSL_CTX_set_timeout(context, 2 * TLS_TICKET_KEY_S); /* while the key is sure to be there */
    if (server->alpn.size_bytes > 0)
        SSL_CTX_set_alpn_select_cb(context, on_choose_alpn, server);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
}

struct tls_server *tls_server_create(const struct tls_server_conf *conf, struct tls_error *error)
{
    struct tls_server *server = calloc(1, sizeof *server);

    if (!server)
        goto no_memory;
    pthread_mutex_init(&server->lock, NULL);
    server->handshake_timeout_ms = conf->handshake_timeout_ms;
    if (!tls_alpn_set(&server->alpn, conf->alpn, conf->n_alpn)) {
        tls_error_set(error, "ALPN names", err_text(E_INVAL));
        goto fail;
    }
    server->tickets = tls_tickets_create();
    if (!server->tickets || !set_up_context(server))
        goto no_memory;
    if (tls_server_load(server, conf->files, conf->n_files, error) != E_OK)
        goto fail;
    tls_metrics_register();
    return server;
no_memory:
    tls_error_set(error, "TLS server", err_text(E_NOMEM));
fail:
    tls_server_destroy(&server);
    return NULL;
}

void tls_server_destroy(struct tls_server **server_ref)
{
    struct tls_server *server = *server_ref;

    *server_ref = NULL;
    if (!server)
        return;
    SSL_CTX_free(server->context);
    tls_tickets_destroy(&server->tickets);
    tls_certs_unref(&server->certs);
    files_free(server->files, server->n_files);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void tls_server_rotate_tickets(struct tls_server *server)
{
    tls_tickets_rotate(server->tickets);
}

SSL *tls_server_session(struct tls_server *server)
{
    SSL *ssl = SSL_new(server->context);

    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

int64_t tls_server_timeout_ms(const struct tls_server *server)
{
    return server->handshake_timeout_ms;
}
