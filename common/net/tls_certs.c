/* Certificates of a server: loaded together, chosen by host name, shared by all loops. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/net/tls_private.h"

struct cert {
    X509 *own;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct tls_certs {
    atomic_uint refs;
    int64_t expiry_s;
    unsigned n_certs;
    struct cert certs[];
};

/* How well a certificate fits a host; the best ones are offered. */
enum fit { FIT_NONE, FIT_WILDCARD, FIT_EXACT };

/* --- loading --- */

/* A key with a password must not make a daemon ask its terminal. */
static int no_password(char *out, int size, int is_writing, void *arg)
{
    (void)out, (void)size, (void)is_writing, (void)arg;
    return -1;
}

static BIO *open_file(const char *path, struct tls_error *error)
{
    BIO *file = BIO_new_file(path, "r");

    if (!file)
        tls_error_set(error, path, errno ? strerror(errno) : tls_openssl_reason(ERR_peek_error()));
    return file;
}

static bool load_cert(struct cert *cert, const char *path, struct tls_error *error)
{
    BIO *file = open_file(path, error);
    X509 *next;

    if (!file)
        return false;
    cert->own = PEM_read_bio_X509_AUX(file, NULL, no_password, NULL);
    cert->chain = sk_X509_new_null();
    if (!cert->own || !cert->chain)
        goto fail;
    while ((next = PEM_read_bio_X509(file, NULL, no_password, NULL)) != NULL) {
        if (sk_X509_push(cert->chain, next) <= 0) {
            X509_free(next);
            goto fail;
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) /* that is the file's end */
        goto fail;
    ERR_clear_error();
    BIO_free(file);
    return true;
fail:
    tls_error_set(error, path, tls_openssl_reason(ERR_peek_error()));
    BIO_free(file);
    return false;
}

static bool load_key(struct cert *cert, const char *path, struct tls_error *error)
{
    BIO *file = open_file(path, error);

    if (!file)
        return false;
    cert->key = PEM_read_bio_PrivateKey(file, NULL, no_password, NULL);
    BIO_free(file);
    if (cert->key && X509_check_private_key(cert->own, cert->key) == 1)
        return true;
    tls_error_set(error, path,
                  cert->key ? "the key is not that of the certificate"
                            : tls_openssl_reason(ERR_peek_error()));
    return false;
}

static bool note_expiry(struct tls_certs *certs, const X509 *own)
{
    struct tm end;
    int64_t end_s;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(own), &end) != 1)
        return false;
    end_s = timegm(&end);
    if (end_s < certs->expiry_s)
        certs->expiry_s = end_s;
    return true;
}

struct tls_certs *tls_certs_load(const struct tls_files *files, unsigned n_files, enum err *e,
                                 struct tls_error *error)
{
    struct tls_certs *certs = calloc(1, sizeof *certs + n_files * sizeof certs->certs[0]);

    *e = certs ? E_INVAL : E_NOMEM;
    if (!certs) {
        tls_error_set(error, "certificates", err_text(E_NOMEM));
        return NULL;
    }
    atomic_init(&certs->refs, 1);
    certs->expiry_s = INT64_MAX;
    certs->n_certs = n_files;
    for (unsigned i = 0; i < n_files; i++) {
        struct cert *cert = &certs->certs[i];

        errno = 0;
        ERR_clear_error();
        if (!load_cert(cert, files[i].cert_file, error) ||
            !load_key(cert, files[i].key_file, error))
            goto fail;
        if (!note_expiry(certs, cert->own)) {
            tls_error_set(error, files[i].cert_file, "its end is not a time");
            goto fail;
        }
    }
    *e = E_OK;
    return certs;
fail:
    ERR_clear_error();
    tls_certs_unref(&certs);
    return NULL;
}

struct tls_certs *tls_certs_ref(struct tls_certs *certs)
{
    atomic_fetch_add_explicit(&certs->refs, 1, memory_order_relaxed);
    return certs;
}

void tls_certs_unref(struct tls_certs **certs_ref)
{
    struct tls_certs *certs = *certs_ref;

    *certs_ref = NULL;
    if (!certs || atomic_fetch_sub_explicit(&certs->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < certs->n_certs; i++) {
        X509_free(certs->certs[i].own);
        sk_X509_pop_free(certs->certs[i].chain, X509_free);
        EVP_PKEY_free(certs->certs[i].key);
    }
    free(certs);
}

int64_t tls_certs_expiry_s(const struct tls_certs *certs)
{
    return certs->expiry_s;
}

/* --- choosing --- */

/* RFC 6125, section 6.4; a wildcard is the whole leftmost label. */
static enum fit fit_of(const struct cert *cert, const char *host)
{
    if (X509_check_host(cert->own, host, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1)
        return FIT_EXACT;
    if (X509_check_host(cert->own, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1)
        return FIT_WILDCARD;
    return FIT_NONE;
}

static bool use(const struct cert *cert, SSL *ssl)
{
    return SSL_use_cert_and_key(ssl, cert->own, cert->key, cert->chain, 1) == 1;
}

bool tls_certs_apply(const struct tls_certs *certs, const char *host, SSL *ssl)
{
    enum fit best = FIT_NONE;
    bool ok = true;

    for (unsigned i = 0; host && i < certs->n_certs; i++) {
        enum fit fit = fit_of(&certs->certs[i], host);

        best = fit > best ? fit : best;
    }
    if (best == FIT_NONE)
        return use(&certs->certs[0], ssl);
    /* Backwards: of two with the same kind of key the first one of the list is to stay. */
    for (unsigned i = certs->n_certs; i-- > 0 && ok;)
        if (fit_of(&certs->certs[i], host) == best)
            ok = use(&certs->certs[i], ssl);
    return ok;
}
