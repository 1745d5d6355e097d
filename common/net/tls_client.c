/* Client side: whom a connection trusts, and that it reached the host it meant. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/net/tls_private.h"

struct tls_client {
    bool is_unverified;
    struct tls_alpn alpn;
    int64_t handshake_timeout_ms;
    pthread_mutex_t lock; /* of context */
    SSL_CTX *context;
    struct tls_file ca; /* of the last load; its caller's thread */
};

static bool trust(SSL_CTX *context, const char *ca_file, struct tls_error *error)
{
    bool has_file = ca_file && ca_file[0];

    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    ERR_clear_error();
    errno = 0;
    if (has_file ? SSL_CTX_load_verify_file(context, ca_file) == 1
                 : SSL_CTX_set_default_verify_paths(context) == 1)
        return true;
    tls_error_set(error, has_file ? ca_file : "the system's authorities",
                  errno ? strerror(errno) : tls_openssl_reason(ERR_peek_error()));
    ERR_clear_error();
    return false;
}

/* NULL with *e and *error. */
static SSL_CTX *make_context(const struct tls_client *client, const char *ca_file, enum err *e,
                             struct tls_error *error)
{
    SSL_CTX *context = tls_context_new(TLS_client_method());

    *e = E_NOMEM;
    /* Unlike all else of OpenSSL, 0 is success here. */
    if (!context ||
        SSL_CTX_set_alpn_protos(context, client->alpn.bytes, client->alpn.size_bytes) != 0) {
        tls_error_set(error, "TLS client", err_text(E_NOMEM));
        goto fail;
    }
    *e = E_INVAL;
    if (!client->is_unverified && !trust(context, ca_file, error))
        goto fail;
    *e = E_OK;
    return context;
fail:
    SSL_CTX_free(context);
    return NULL;
}

enum err tls_client_load(struct tls_client *client, const char *ca_file, struct tls_error *error)
{
    SSL_CTX *context, *before;
    enum err e;

    tls_file_forget(&client->ca);
    if (ca_file && ca_file[0] && !tls_file_note(&client->ca, ca_file)) {
        tls_error_set(error, "TLS client", err_text(E_NOMEM));
        return E_NOMEM;
    }
    context = make_context(client, ca_file, &e, error);
    if (!context)
        return e;
    pthread_mutex_lock(&client->lock);
    before = client->context;
    client->context = context;
    pthread_mutex_unlock(&client->lock);
    SSL_CTX_free(before);
    return E_OK;
}

bool tls_client_file_changed(const struct tls_client *client)
{
    return tls_file_has_changed(&client->ca);
}

struct tls_client *tls_client_create(const struct tls_client_conf *conf, struct tls_error *error)
{
    struct tls_client *client = calloc(1, sizeof *client);

    if (!client) {
        tls_error_set(error, "TLS client", err_text(E_NOMEM));
        return NULL;
    }
    pthread_mutex_init(&client->lock, NULL);
    client->handshake_timeout_ms = conf->handshake_timeout_ms;
    client->is_unverified = conf->is_unverified;
    if (!tls_alpn_set(&client->alpn, conf->alpn, conf->n_alpn)) {
        tls_error_set(error, "ALPN names", err_text(E_INVAL));
        goto fail;
    }
    if (tls_client_load(client, conf->ca_file, error) != E_OK)
        goto fail;
    tls_metrics_register();
    return client;
fail:
    tls_client_destroy(&client);
    return NULL;
}

void tls_client_destroy(struct tls_client **client_ref)
{
    struct tls_client *client = *client_ref;

    *client_ref = NULL;
    if (!client)
        return;
    SSL_CTX_free(client->context);
    tls_file_forget(&client->ca);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

/* Numbers are not sent as names: RFC 6066, section 3. */
static bool set_host(SSL *ssl, const char *host)
{
    unsigned char number[sizeof(struct in6_addr)];
    union {
        const char *host;
        void *unconst; /* copied, not written to */
    } u = {host};
    bool is_number =
        inet_pton(AF_INET, host, number) == 1 || inet_pton(AF_INET6, host, number) == 1;

    if (is_number)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* What SSL_set_tlsext_host_name() is, but for its cast that drops a const. */
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, u.unconst) == 1 &&
           SSL_set1_host(ssl, host) == 1;
}

SSL *tls_client_session(struct tls_client *client, const char *host)
{
    SSL_CTX *context;
    SSL *ssl;

    pthread_mutex_lock(&client->lock);
    context = client->context;
    SSL_CTX_up_ref(context);
    pthread_mutex_unlock(&client->lock);
    ssl = SSL_new(context);
    SSL_CTX_free(context);
    if (!ssl)
        return NULL;
    SSL_set_connect_state(ssl);
    if (set_host(ssl, host))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

int64_t tls_client_timeout_ms(const struct tls_client *client)
{
    return client->handshake_timeout_ms;
}

const char *tls_client_host(const SSL *ssl, char out[TLS_HOST_SIZE])
{
    union {
        const SSL *ssl;
        SSL *unconst; /* read from, not written to */
    } u = {ssl};
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char *number = name ? NULL : X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(u.unconst));

    snprintf(out, TLS_HOST_SIZE, "%s", name ? name : number ? number : "");
    OPENSSL_free(number);
    return out;
}
