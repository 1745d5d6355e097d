/* What servers and clients have in common: versions, ciphers, modes. RFC 9325 has the reasons. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "common/net/tls_private.h"

/* AES-128 first: media is bulk, and 256 bits cost more for nothing that an attacker of today could
 * use. A client that puts ChaCha20 first has no AES in hardware, and gets its wish. */
#define TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
#define GROUPS "X25519:P-256:P-384"

#define OPTIONS \
    (SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_PRIORITIZE_CHACHA |  \
     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF /* an end is \
     an end: what must be whole has its length inside */)

/* PARTIAL and MOVING: a send says how far it got, and the rest may lie elsewhere when it is offered
 * again. RELEASE: an idle connection keeps no record buffers, which would be 34 KiB. */
#define MODES \
    (SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS)

SSL_CTX *tls_context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (!context)
        return NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, TLS13_CIPHERS) != 1 ||
        SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) != 1 ||
        SSL_CTX_set1_groups_list(context, GROUPS) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_options(context, OPTIONS);
    SSL_CTX_set_mode(context, MODES);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1); /* a record is one recv(), not one for its header too */
    return context;
}

bool tls_alpn_set(struct tls_alpn *alpn, const char *const *names, unsigned n_names)
{
    alpn->size_bytes = 0;
    for (unsigned i = 0; i < n_names; i++) {
        size_t size_bytes = strlen(names[i]);

        if (size_bytes == 0 || size_bytes > 255 ||
            size_bytes + 1 > sizeof alpn->bytes - alpn->size_bytes)
            return false;
        alpn->bytes[alpn->size_bytes++] = (unsigned char)size_bytes;
        memcpy(alpn->bytes + alpn->size_bytes, names[i], size_bytes);
        alpn->size_bytes += (unsigned)size_bytes;
    }
    return true;
}

const char *tls_openssl_reason(unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);

    return reason ? reason : "unknown error of OpenSSL";
}

void tls_error_set(struct tls_error *error, const char *what, const char *reason)
{
    snprintf(error->text, sizeof error->text, "%.140s: %.100s", what, reason);
}
